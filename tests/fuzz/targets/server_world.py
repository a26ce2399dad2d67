"""A server, what is around it, and what is seen of it: one step, and its judgement."""

from __future__ import annotations

import json
from collections import Counter, deque
from typing import Final

from im_proto.config import ServerConfig
from im_proto.framing import CloseFrame, HandshakeRejected, TextFrame, Violation
from im_proto.machines import SERVER_CONNECTION
from im_proto.server import Gateway
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.testing.memory import MemoryStore
from im_proto.testing.peers import FarClient
from tests.fuzz.feed import Feed
from tests.fuzz.judge import SECRET, check_deadline

START: Final = 1_000.0
WALL: Final = 1_700_000_000.0


class World:
    """One server, what is around it, and what was seen of it."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.now = self.latest = START
        self.config = ServerConfig(
            in_flight=4,
            unacked=4,
            commit_batch=3,
            batch=4,
            message_bytes=4096,
            auth_bytes=2048,
            blocked_bytes=1024,
            connections_per_user=3,
            unauthenticated=6,
            admissions=4,
            message_burst=12,
            messages_per_second=4.0,
            envelope_burst=30,
            envelopes_per_second=10.0,
            retention_count=20,
            origins=("https://shop.example",) if feed.flag() else (),
            trusted_proxies=("192.0.2.2",),
        )
        self.gateway = Gateway(
            self.config, now=START, wall=WALL, authorizes=feed.flag(), tells=True, strict=True
        )
        self.store = MemoryStore()
        self.peers: dict[int, FarClient] = {}
        self.gone: set[int] = set()
        self.closed: set[int] = set()
        self.paused: set[int] = set()
        self.blocked: Counter[int] = Counter()
        self.is_blocked: set[int] = set()
        self.tokens: deque[act.Authenticate] = deque()
        self.asked: deque[act.StoreAction] = deque()
        self.authorizing: deque[act.Authorize] = deque()
        self.waiting: set[int] = set()
        self.requests = 0
        self.drained = False

    # ------------------------------------------------------------ one step

    def do(self, event: inp.Input) -> None:
        """Give the gateway an input, and judge what comes of it."""
        gateway, before = self.gateway, self.gateway.next_deadline()
        self.latest = max(self.latest, self.now)
        if isinstance(event, inp.ConnectionLost):
            self.gone.add(event.connection)
        for action in gateway.step(event, self.now):
            if not isinstance(action, act.SendBytes):
                assert SECRET not in repr(action), "a token in a repr"
            self._check(action)
        # each connection has begun at a time of its own, so only a time that is to come counts
        check_deadline(gateway.next_deadline(), before, self.now)
        for connection, engine in gateway.engines.items():
            assert connection not in self.gone, "a connection is kept after its end"
            assert engine.core.state in SERVER_CONNECTION.states
            assert engine.next_deadline() is not None, "nothing would ever end it"
        assert sum(gateway.online().values()) <= len(gateway.engines)
        # of each connection its questions, its log-in, its pushes, and what is asked for all
        most = len(self.peers) * (self.config.in_flight + 4) + 8
        assert len(self.asked) <= most, "questions to the store have no bound"
        assert len(self.authorizing) <= most, "questions to the site have no bound"

    def _check(self, action: act.Action) -> None:
        if isinstance(action, act.StoreAction):
            commits = any(isinstance(one, act.StoreCommit) for one in self.asked)
            assert not (commits and isinstance(action, act.StoreCommit)), "two commits at once"
            self.asked.append(action)
        elif isinstance(action, act.Authorize):
            self.authorizing.append(action)
        elif isinstance(action, act.Answered):
            self.waiting.remove(action.request)
        elif isinstance(action, act.Drained):
            assert not self.drained and not self.gateway.engines
            self.drained = True
        elif not isinstance(action, act.MessageStored | act.RulesBroken):
            assert not isinstance(action, act.EngineFailed), action
            assert action.connection in self.peers and action.connection not in self.gone, action
            if action.connection in self.closed:
                assert isinstance(action, act.AbortTransport), f"{action}: it was closed"
            self._check_connection(action.connection, action)

    def _check_connection(self, connection: int, action: act.Action) -> None:
        if isinstance(action, act.SendBytes):
            self._read(connection, action.data)
        elif isinstance(action, act.Authenticate):
            self.tokens.append(action)
        elif isinstance(action, act.AbortTransport):
            self.gone.add(connection)
        elif isinstance(action, act.CloseTransport):
            self.closed.add(connection)
        elif isinstance(action, act.PauseReading):
            assert connection not in self.paused, "paused twice"
            self.paused.add(connection)
        elif isinstance(action, act.ResumeReading):
            self.paused.discard(connection)  # also to hear a goodbye

    def _read(self, connection: int, data: bytes) -> None:
        peer = self.peers[connection]
        if connection in self.is_blocked:
            self.blocked[connection] += len(data)
            # what one step may say at the worst: a full window of pushes, and the close
            most = self.config.blocked_bytes * 4 + self.config.unacked * 8192 + 65536
            assert self.blocked[connection] <= most, "answers to a blocked peer have no bound"
        if not peer.asked:
            assert data.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")), data
            return
        for event in peer.framing.receive(data, self.now):
            assert not isinstance(event, Violation), f"the server broke RFC 6455: {event}"
            if isinstance(event, TextFrame):
                frame = json.loads(event.text)
                for envelope in frame if isinstance(frame, list) else [frame]:
                    assert isinstance(envelope["type"], str)
            elif isinstance(event, HandshakeRejected | CloseFrame):
                peer.ended = True
