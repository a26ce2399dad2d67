"""Whatever happens to a gateway, in whatever order: it never raises, never promises too early, and
keeps nothing of those who have left.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.server_kit import DETERMINISTIC, START, WALL
from im_proto.config import ServerConfig
from im_proto.framing import Framing, TextFrame
from im_proto.limits import FrameLimits
from im_proto.machines import SERVER_CONNECTION
from im_proto.server import Gateway
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.server.hub import HubTimer
from im_proto.server.login import CAPABILITIES
from im_proto.server.records import Fenced
from im_proto.testing import strategies as wire_st
from im_proto.testing.memory import MemoryStore

CONFIG = ServerConfig(in_flight=4, unacked=4, commit_batch=3, batch=4)
NUMBERED = {"CHAT_REDIRECT_TO_USER_REQUEST", "RECEIPT_PUSH", "READ_SYNC"}
Op = tuple[Any, ...]


class Chaos:
    """Carries out random operations, and judges what comes back after each."""

    def __init__(self, *, authorizes: bool = False) -> None:
        self.now = START
        self.gateway = Gateway(
            CONFIG, now=START, wall=WALL, authorizes=authorizes, tells=True, strict=True
        )
        self.store = MemoryStore()
        self.framings: dict[int, Framing] = {}
        self.gone: set[int] = set()
        self.closed: set[int] = set()
        self.tokens: list[act.Authenticate] = []
        self.asked: list[act.StoreAction] = []
        self.authorizing: list[act.Authorize] = []
        #: what the site has asked, and has no answer to
        self.site_waits: set[int] = set()
        self.site_asked = 0
        self.told = 0
        self.drained = 0
        self.sync = 0
        #: (user, msgId): how often it was sent, and how often the store said what became of it
        self.users: dict[int, int] = {}
        self.sent: Counter[tuple[int, int]] = Counter()
        self.decided: Counter[tuple[int, int]] = Counter()
        self.answered: Counter[tuple[int, int]] = Counter()
        self.last_seq: dict[int, int] = {}

    # ------------------------------------------------------------ one input

    def do(self, event: inp.Input) -> None:
        for action in self.gateway.step(event, self.now):
            self._judge(action)
        for engine in self.gateway.engines.values():
            assert engine.core.state in SERVER_CONNECTION.states
            assert engine.core.state not in SERVER_CONNECTION.final
            assert engine.next_deadline() is not None, "nothing would ever end it"

    def _judge(self, action: act.Action) -> None:
        if isinstance(action, act.Drained):
            self.drained += 1
            assert self.drained == 1 and not self.gateway.engines
        elif isinstance(action, act.Authorize):
            self.authorizing.append(action)
        elif isinstance(action, act.Answered):
            self.site_waits.remove(action.request)
        elif isinstance(action, act.MessageStored):
            self.told += 1
        elif isinstance(action, act.StoreAction):
            busy = any(isinstance(one, act.StoreCommit) for one in self.asked)
            assert not (busy and isinstance(action, act.StoreCommit)), "two commits at once"
            self.asked.append(action)
        else:
            assert action.connection in self.framings and action.connection not in self.gone
            if action.connection in self.closed:
                assert isinstance(action, act.AbortTransport), "more after the end"
            if isinstance(action, act.Authenticate):
                self.tokens.append(action)
            elif isinstance(action, act.SendBytes):
                self._read(action.connection, action.data)
            elif isinstance(action, act.AbortTransport):
                self.gone.add(action.connection)
            elif isinstance(action, act.CloseTransport):
                self.closed.add(action.connection)

    def _read(self, connection: int, data: bytes) -> None:
        for event in self.framings[connection].receive(data, self.now):
            if not isinstance(event, TextFrame):
                continue
            frame = json.loads(event.text)
            for envelope in frame if isinstance(frame, list) else [frame]:
                message = envelope["message"]
                message = json.loads(message) if isinstance(message, str) else message
                if envelope["type"] == "CHAT_SEND_RESPONSE" and message["code"] in (0, 40900):
                    self._on_answer(connection, int(message["msgId"]))
                elif envelope["type"] == "AUTH_RESPONSE" and "seq" in message.get("data", {}):
                    self.last_seq[connection] = int(message["data"]["seq"])
                elif envelope["type"] in NUMBERED and "seq" in message:
                    assert int(message["seq"]) == self.last_seq[connection] + 1, "a hole"
                    self.last_seq[connection] += 1
                elif envelope["type"] == "SYNC_RESPONSE":
                    self.last_seq[connection] = self.sync

    def _on_answer(self, connection: int, msg_id: int) -> None:
        key = (self.users[connection], msg_id)
        self.answered[key] += 1
        assert self.decided[key], "answered before the store has decided"
        assert self.answered[key] <= self.sent[key], "answered more often than sent"

    # ------------------------------------------------------------ operations

    def run(self, ops: list[Op]) -> None:
        for name, *arguments in ops:
            getattr(self, f"op_{name}")(*arguments)

    def op_connect(self, user: int, mode: int) -> None:
        connection = len(self.framings) + 1
        limits = FrameLimits(message_bytes=2**24, control_burst=10**6)
        rng = random.Random(connection)
        framing = Framing.client(host="s", target="/ws", rng=rng, limits=limits)
        self.framings[connection] = framing
        request = framing.request()
        self.do(inp.ConnectionMade(connection=connection))
        if mode == 0:
            return
        self._bytes(connection, request)
        if mode == 1:
            return
        auth: dict[str, Any] = {"accessToken": str(user), "userId": user}
        if mode > 2:
            auth |= {"capabilities": list(CAPABILITIES), "deviceId": f"d{mode % 2}"}
            auth["limits"] = {"batch": mode}
        if mode > 4:
            auth["resume"] = {"epoch": "e0", "seq": mode - 5}
        self._envelope(connection, "AUTH_REQUEST", auth)

    def op_token(self, at: int, user: int) -> None:
        if self.tokens:
            asked = self.tokens.pop(at % len(self.tokens))
            if user == 0:
                refused = inp.TokenRefused(connection=asked.connection, code=40101, reason="no")
                self.do(refused)
            else:
                name = int(asked.token) if asked.token.isdigit() else 1
                self.users[asked.connection] = name
                self.do(inp.TokenVerified(connection=asked.connection, user=name))

    def op_chat(self, at: int, msg_id: int, to: int, content: str) -> None:
        connection = self._some(at)
        self._envelope(
            connection,
            "CHAT_SEND_TO_ONE_REQUEST",
            {"msgId": msg_id, "toUser": to, "content": content},
        )
        self.sent[self.users.get(connection, 0), msg_id] += 1

    def op_ack(self, at: int, seq: int) -> None:
        connection = self._some(at)
        seq = min(seq, self.last_seq.get(connection, 0)) if seq < 9 else seq
        self._envelope(connection, "CHAT_ACK_REQUEST", {"seq": seq})

    def op_sync(self, at: int, after: int) -> None:
        self.sync = after
        self._envelope(self._some(at), "SYNC_REQUEST", {"after": after})

    def op_read(self, at: int, msg_id: int, of: int) -> None:
        message = {"msgId": msg_id, "fromUser": of}
        self._envelope(self._some(at), "CHAT_READ_RECEIPT_REQUEST", message)

    def op_status(self, at: int, msg_id: int) -> None:
        self._envelope(self._some(at), "MESSAGE_STATUS_REQUEST", {"msgIds": [msg_id, msg_id + 1]})

    def op_typing(self, at: int, to: int, active: bool) -> None:
        self._envelope(self._some(at), "TYPING", {"toUser": to, "active": active})

    def op_call(self, at: int, call: tuple[str, dict[str, Any]]) -> None:
        op, params = call
        request = {"id": f"c{at}", "op": op, "params": params}
        self._envelope(self._some(at), "SESSION_REQUEST", request)

    def op_refresh(self, at: int) -> None:
        connection = self._some(at)
        token = str(self.users.get(connection, 1))
        self._envelope(connection, "AUTH_REQUEST", {"accessToken": token})

    def op_authorized(self, at: int, allowed: bool | None) -> None:
        if self.authorizing:
            request = self.authorizing.pop(at % len(self.authorizing)).request
            self.do(inp.Authorized(request=request, allowed=allowed))

    def op_site_sends(self, user: int, to: int, content: str, msg_id: int | None) -> None:
        self.site_asked += 1
        self.site_waits.add(self.site_asked)
        asked = inp.SendAsked(
            request=self.site_asked, from_user=user, to_user=to, content=content, msg_id=msg_id
        )
        self.do(asked)

    def op_site_calls(self, user: int, call: tuple[str, dict[str, Any]]) -> None:
        self.site_asked += 1
        self.site_waits.add(self.site_asked)
        op, params = call
        self.do(inp.CallAsked(request=self.site_asked, user=user, op=op, params=params))

    def op_kick(self, user: int, device: str | None, again: bool) -> None:
        self.do(inp.KickAsked(user=user, device=device, reconnect=again))

    def op_text(self, at: int, text: str) -> None:
        framing = self.framings.get(connection := self._some(at))
        if framing is not None and framing.open:
            self._bytes(connection, framing.send_text(text))

    def op_bytes(self, at: int, data: bytes) -> None:
        self._bytes(self._some(at), data)

    def op_pong(self, at: int, seq: int) -> None:
        framing = self.framings.get(connection := self._some(at))
        if framing is not None and framing.open:
            self._bytes(connection, framing.send_pong(str(seq).encode()))

    def op_close(self, at: int) -> None:
        framing = self.framings.get(connection := self._some(at))
        if framing is not None and framing.open:
            words = framing.send_text('{"type":"HEARTBEAT_REQUEST"}')
            self._bytes(connection, words + framing.send_close(1000))

    def op_lose(self, at: int) -> None:
        connection = self._some(at)
        self.gone.add(connection)
        self.do(inp.ConnectionLost(connection=connection))

    def op_write(self, at: int, blocked: bool) -> None:
        kind = inp.WriteBlocked if blocked else inp.WriteReady
        self.do(kind(connection=self._some(at)))

    def op_store(self, fails: bool) -> None:
        if not self.asked:
            return
        action = self.asked.pop(0)
        if fails and not isinstance(action, act.StoreSeen):
            self.do(inp.StoreFailed(request=action.request, reason="full"))
        elif isinstance(action, act.StoreCommit):
            done = self.store.commit(action)
            for submission, result in zip(action.submissions, done.results, strict=True):
                if not isinstance(result, Fenced):
                    self.decided[int(submission.sender), submission.msg_id] += 1
            self.do(done)
        elif (answer := self.store.carry_out(action)) is not None:
            self.do(answer)

    def op_stale(self, request: int) -> None:
        self.do(inp.StoreFailed(request=10**6 + request, reason="of another life"))
        self.do(inp.ReadDone(request=10**6 + request, entries=(), head=9))
        self.do(inp.Committed(request=10**6 + request, results=()))

    def op_wait(self, seconds: float) -> None:
        end, spins = self.now + seconds, 0
        while (at := self.gateway.next_deadline()) is not None and at <= end:
            spins = spins + 1 if at <= self.now else 0
            assert spins < 20, "a livelock"
            self.now = max(self.now, at)
            self.do(inp.TimePassed())
        self.now = end

    def op_jump(self, seconds: float) -> None:
        self.now += seconds
        self.do(inp.TimePassed())

    def op_back(self, seconds: float) -> None:
        self.now -= seconds  # a clock that goes back is taken to stand still
        self.do(inp.TimePassed())
        self.now += seconds

    def op_shutdown(self) -> None:
        self.do(inp.Shutdown())

    def _some(self, at: int) -> int:
        return at % (len(self.framings) + 1)  # 0 was never there

    def _envelope(self, connection: int, kind: str, message: object) -> None:
        framing = self.framings.get(connection)
        if framing is not None and framing.open:
            text = json.dumps({"type": kind, "message": message})
            self._bytes(connection, framing.send_text(text))

    def _bytes(self, connection: int, data: bytes) -> None:
        self.do(inp.BytesReceived(connection=connection, data=data))

    # ------------------------------------------------------------ the end

    def finish(self) -> None:
        """Everybody leaves, the store does its work, and time goes on: nothing may be left."""
        for connection in self.framings:
            self.gone.add(connection)
            self.do(inp.ConnectionLost(connection=connection))
        assert not self.gateway._armed  # at once, not when their deadlines have come
        for _ in range(500):
            while self.authorizing:
                self.op_authorized(0, True)
            while self.asked:
                self.op_store(False)
            self.op_wait(100)
            if not self.asked:
                break
        hub, commits = self.gateway.hub, self.gateway.hub._commits
        assert not self.gateway.engines and not self.gateway._armed and not self.gateway._heap
        assert not hub._roster.all() and not hub._roster.online() and not hub._roster._devices
        assert not hub._logins and not hub._reads
        assert commits.idle and not commits._pending and not commits._waiters
        assert not hub._gate._lines and not hub._gate._asked and not hub._gate._asking
        assert not hub._questions._of_clients and not hub._questions._of_site
        assert not self.site_waits, "the site waits for ever"
        if not self.drained:
            assert not hub._peers._circles and not hub._peers._watched_by and not hub._peers._asked
            assert not hub._presence._leaving and not hub._typists._said
            assert [timer for timer, _ in hub.deadlines()] == [HubTimer.RETAIN]
        assert self.gateway.online() == {}


CONNECTION, USER = st.integers(0, 7), st.integers(1, 3)
CALL = st.sampled_from(
    [
        ("startChat", {"bookId": 7, "buyerId": 1, "sellerId": 2}),
        ("getCurrent", {"userId": 1}),
        ("history", {"peerId": 2}),
        ("get", {"sessionId": 1}),
        ("nonsense", {}),
    ]
)
OPS: dict[str, tuple[st.SearchStrategy[Any], ...]] = {
    "connect": (USER, st.integers(0, 7)),
    "token": (CONNECTION, st.integers(0, 9)),
    "chat": (CONNECTION, st.integers(1, 4), USER, st.sampled_from(["a", "b", " "])),
    "ack": (CONNECTION, st.integers(0, 9)),
    "sync": (CONNECTION, st.integers(0, 3)),
    "text": (CONNECTION, wire_st.garbage_frames | wire_st.frames(wire_st.client_messages, batch=3)),
    "bytes": (CONNECTION, st.binary(max_size=20) | st.sampled_from([b"\x81", b"\x89\x80abcd"])),
    "pong": (CONNECTION, st.integers(0, 5)),
    "read": (CONNECTION, st.integers(1, 4), USER),
    "status": (CONNECTION, st.integers(1, 4)),
    "typing": (CONNECTION, USER, st.booleans()),
    "call": (CONNECTION, CALL),
    "refresh": (CONNECTION,),
    "authorized": (CONNECTION, st.sampled_from([True, True, True, False, None])),
    "site_sends": (USER, USER, st.sampled_from(["a", " "]), st.none() | st.integers(0, 4)),
    "site_calls": (USER, CALL),
    "kick": (USER, st.sampled_from([None, "d0", ""]), st.booleans()),
    "close": (CONNECTION,),
    "lose": (CONNECTION,),
    "write": (CONNECTION, st.booleans()),
    "store": (st.sampled_from([False] * 5 + [True]),),
    "stale": (st.integers(0, 3),),
    "wait": (st.sampled_from([0.01, 0.6, 5.0, 31.0, 95.0]),),
    "jump": (st.sampled_from([0.5, 20.0, 500.0]),),
    "back": (st.sampled_from([0.5, 500.0]),),
    "shutdown": (),
}
#: what makes a session alive is drawn more often
OFTEN = ["connect", "token", "store", "chat"] * 4 + ["store", "chat", "ack", "authorized"] * 3
OFTEN += ["read", "status", "call", "typing", "site_sends", "site_calls", "store", "store"]
ANY_OP = st.sampled_from([*OPS, *OFTEN]).flatmap(lambda name: st.tuples(st.just(name), *OPS[name]))
LIVELY = st.sampled_from(["connect", *OFTEN]).flatmap(
    lambda name: st.tuples(st.just(name), *OPS[name])
)
LOGGED_IN: list[Op] = [
    op
    for user, mode in ((1, 3), (2, 4), (1, 2), (3, 2), (2, 5))
    for op in (("connect", user, mode), ("token", 0, user), ("store", False))
]


@settings(DETERMINISTIC, max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.lists(ANY_OP, max_size=60), st.booleans())
def test_nothing_that_can_happen_upsets_a_gateway(ops: list[Op], authorizes: bool) -> None:
    chaos = Chaos(authorizes=authorizes)
    chaos.run(ops)
    chaos.finish()


@settings(DETERMINISTIC, max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.lists(LIVELY, max_size=60), st.lists(ANY_OP, max_size=15), st.booleans())
def test_nothing_upsets_a_gateway_that_is_busy(
    lively: list[Op], any_ops: list[Op], authorizes: bool
) -> None:
    chaos = Chaos(authorizes=authorizes)
    chaos.run([*LOGGED_IN, *lively, *any_ops])
    chaos.finish()


@settings(DETERMINISTIC, max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.lists(LIVELY, max_size=30), st.lists(ANY_OP, max_size=30))
def test_a_shutdown_in_the_middle_of_anything_ends(before: list[Op], after: list[Op]) -> None:
    chaos = Chaos()
    chaos.run([*LOGGED_IN, *before, ("shutdown",), *after])
    chaos.finish()
    assert chaos.drained == 1


def test_the_random_runs_do_get_somewhere() -> None:
    chaos = Chaos()
    chaos.run([*LOGGED_IN, ("chat", 1, 1, 2, "a"), ("chat", 3, 1, 2, "b")])
    chaos.run([("store", False)] * 20)
    assert sum(chaos.answered.values()) == 2 and len(chaos.store.messages) == 2
    assert chaos.last_seq[2] == 2
    chaos.finish()
