"""A client, what is around it, and what is seen of it: one step, and its judgement."""

from __future__ import annotations

import copy
import json
import random
from typing import Any, Final

from im_proto.client import ClientEngine
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.journal import JournalState
from im_proto.config import ClientConfig
from im_proto.errors import IMError, LocalProtocolError
from im_proto.framing import CloseFrame, TextFrame, Violation
from im_proto.machines.product import illegal
from im_proto.testing.peers import FarServer
from tests.fuzz.feed import Feed
from tests.fuzz.judge import SECRET, check_deadline

START: Final = 1_000.0
WALL: Final = 1_700_000_000.0
#: an input has at most 4 KB: so many messages don't fit into what was read at once
AT_ONCE: Final = 200
#: what the engine may refuse: mistakes of the application, and of an adapter
MAY_REFUSE: Final = (
    inp.Send,
    inp.Cancel,
    inp.MarkRead,
    inp.SetTyping,
    inp.UpdateToken,
    inp.SessionCall,
    inp.TransportOpened,
    inp.TransportFailed,
    inp.TlsStarted,
)
DIALECTS: Final = ("invocation", "invocation", "invocation", "typed")


class World:
    """One client, what is around it, and what was seen of it."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.now = self.latest = START
        self.config = ClientConfig(
            ws_url="wss://chat.example/im" if feed.flag() else "ws://chat.example/im",
            token=SECRET if feed.flag() else lambda: SECRET,
            user_id=1,
            proxy="http://user:password@proxy:3128" if feed.flag() else None,
            dialect=feed.pick(DIALECTS),
            extensions=not feed.flag(),
            ack="manual" if feed.flag() else "auto",
            when_full="drop_oldest" if feed.flag() else "block",
            when_queue_full=feed.pick(("reject", "drop_oldest", "drop_lowest_priority")),
            max_queue=4,
            max_unhandled=3,
            known_pairs=8,
            in_flight=2,
            message_bytes=2048,
            reconnect={"initial_delay": 0.5, "max_delay": 5.0},
        )
        self.disk = JournalState() if feed.flag() else None
        self.link: FarServer | None = None
        self.paused = False
        self.token: int | None = None
        self.https: set[int] = set()
        self.writing: act.WriteJournal | None = None
        self.refs: list[int] = []
        self.queued: set[int] = set()
        self.ended: set[int] = set()
        self.flying: list[int] = []
        self.deliveries: list[int] = []
        self.offered = 0
        self.engine = self._begin()

    def _begin(self) -> ClientEngine:
        self.latest = self.now
        journal = copy.deepcopy(self.disk)
        engine = ClientEngine(
            self.config, now=self.now, wall=self._wall(), rng=random.Random(1), journal=journal
        )
        self.queued = {record.ref for record in engine.restored() if record.end is None}
        return engine

    def _wall(self) -> float:
        return WALL + self.now - START

    # ------------------------------------------------------------ one step

    def do(self, event: inp.Input) -> None:
        """Give the engine an input, and judge what comes of it."""
        engine, before = self.engine, self.engine.next_deadline()
        self.latest = max(self.latest, self.now)
        glance = self._glance() if isinstance(event, MAY_REFUSE) else None
        try:
            actions = engine.step(event, self.now)
        except (LocalProtocolError, IMError):
            assert glance is not None, f"{event} was refused"
            assert glance == self._glance(), f"{event} was refused, and changed something"
            return
        self._note(event)
        for action in actions:
            if not isinstance(action, act.SendBytes):
                assert SECRET not in repr(action), "a token in a repr"
            self._check(action)
        at = engine.next_deadline()
        check_deadline(at, before, self.latest)
        if isinstance(event, inp.TimePassed):
            assert at is None or at > self.latest, "no time would pass: a livelock"
        self._check_state()

    def _glance(self) -> tuple[object, ...]:
        """What anybody can see of the engine, readable at any time."""
        engine = self.engine
        return (
            engine.state(self.now),
            engine.explain(self.now),
            [engine.explain(self.now, ref) for ref in self.refs[-3:]],
            engine.next_deadline(),
            repr(engine.counters),
            len(engine.cached_sessions()),
            engine.guarantee,
        )

    def changes_nothing(self, event: inp.Input) -> None:
        """Give the engine an input that nobody waits for."""
        before = self._glance()
        try:
            assert self.engine.step(event, self.now) == [], f"{event} brought something about"
        except (LocalProtocolError, IMError):
            assert isinstance(event, MAY_REFUSE), f"{event} was refused"
        assert self._glance() == before, f"{event} changed something"

    def reads_well(self) -> None:
        """The state can be told, and no secret with it."""
        seen = repr(self._glance())
        assert SECRET not in seen and "password" not in seen

    def _check_state(self) -> None:
        core, state = self.engine.core, self.engine.state(self.now)
        broken = illegal(core.connection, core.login.state, core.liveness.state, core.reconnect)
        assert broken is None, broken
        if state.status is not ev.Status.DISCONNECTED:
            assert self.engine.next_deadline() is not None, "wants a link and waits for nothing"
        assert len(self.queued) <= self.config.max_queue, "the outbox has no bound"
        # what one read has brought after the word to stop reading
        most = self.config.max_unhandled + AT_ONCE
        assert len(self.deliveries) <= most, "the inbox has no bound"

    def _note(self, event: inp.Input) -> None:
        link = self.link
        if isinstance(event, inp.JournalWritten | inp.JournalFailed):
            if self.writing is not None and event.request == self.writing.request:
                self.writing = None
        elif isinstance(event, inp.TokenReady | inp.TokenFailed):
            self.token = None if event.request == self.token else self.token
        elif isinstance(event, inp.HttpAnswered | inp.HttpFailed):
            self.https.discard(event.request)
        elif isinstance(event, inp.MessageHandled) and event.delivery in self.deliveries:
            if event.ok:
                self.deliveries.remove(event.delivery)
        elif link is None or getattr(event, "transport", None) != link.transport:
            return
        elif isinstance(event, inp.TransportOpened):
            link.opened = True
        elif isinstance(event, inp.TlsStarted):
            link.tunnel = ""
        elif isinstance(event, inp.TransportLost | inp.TransportFailed):
            self.link = None

    # ------------------------------------------------------------ what the engine wants

    def _check(self, action: act.Action) -> None:
        if isinstance(action, act.Notify):
            self._hear(action.event)
        elif isinstance(action, act.OpenTransport):
            assert self.link is None, "a second transport"
            self.paused = False
            self.link = FarServer(
                action.transport,
                message_bytes=self.config.message_bytes,
                proxied=self.config.proxy is not None,
            )
        elif isinstance(action, act.AbortTransport):
            self.link = None
        elif isinstance(action, act.FetchToken):
            assert self.token is None, "a second question for a token"
            self.token = action.request
        elif isinstance(action, act.CancelToken):
            assert action.request == self.token
            self.token = None
        elif isinstance(action, act.CallHttp):
            self.https.add(action.request)
        elif isinstance(action, act.CancelHttp):
            self.https.remove(action.request)
        elif isinstance(action, act.WriteJournal):
            assert self.disk is not None and self.writing is None, "a second write"
            self.writing = action
        else:
            link = self.link
            assert link is not None and action.transport == link.transport, action
            assert link.opened and not link.closed, action
            if isinstance(action, act.SendBytes):
                self._read(link, action.data)
            elif isinstance(action, act.CloseTransport):
                link.closed = True
            elif isinstance(action, act.StartTls):
                link.tunnel = "tls"
            else:
                pause = isinstance(action, act.PauseReading)
                assert pause != self.paused, f"{action} twice"
                self.paused = pause

    def _read(self, link: FarServer, data: bytes) -> None:
        assert not link.leaving, "bytes after the close frame"
        if link.tunnel == "asked" and not self.config.secure:
            link.tunnel = ""
        for frame in link.take(data):
            assert not isinstance(frame, Violation), f"the client broke RFC 6455: {frame}"
            if isinstance(frame, TextFrame):
                said = json.loads(frame.text)
                for envelope in said if isinstance(said, list) else [said]:
                    self._note_send(envelope)
            elif isinstance(frame, CloseFrame):
                link.leaving = True

    def _note_send(self, envelope: dict[str, Any]) -> None:
        body = envelope.get("message", envelope.get("data"))
        body = json.loads(body) if isinstance(body, str) else body
        if isinstance(body, dict) and "msgId" in body:
            self.flying = [*self.flying[-3:], int(body["msgId"])]

    def _hear(self, event: ev.Event) -> None:
        if isinstance(event, ev.MessageQueued):
            assert event.ref not in self.ended, "queued after its end"
            self.queued.add(event.ref)
        elif isinstance(event, ev.MessageAccepted | ev.MessageFailed):
            assert event.ref not in self.ended, "a second end"
            self.ended.add(event.ref)
            self.queued.discard(event.ref)
        elif isinstance(event, ev.MessageReceived):
            # again only after it has failed, under the number that it had
            assert event.delivery > self.offered or event.attempt > 1, "offered again"
            self.offered = max(self.offered, event.delivery)
            if event.delivery not in self.deliveries:
                self.deliveries.append(event.delivery)
        elif (
            isinstance(event, ev.MessageUndeliverable | ev.MessageDropped)
            and event.delivery in self.deliveries
        ):
            self.deliveries.remove(event.delivery)
