"""Drives a ClientCore with any input at any time, and checks what must always hold.

An op is three small numbers; what it means depends on where the client is, so that random ops
reach deep. Time moves only with the ops that are about time.
"""

from __future__ import annotations

import itertools
import json
import pickle
from collections.abc import Callable
from typing import Any

from core.client_kit import START, WALL, make_config, make_core, states
from im_proto.client import ClientCore
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.receiving import HARD_LIMIT
from im_proto.client.timers import Timer
from im_proto.client.turns import PRIORITIES
from im_proto.config import ClientConfig
from im_proto.errors import IMError, LocalProtocolError
from im_proto.machines.product import illegal

Op = tuple[int, int, int]

GARBAGE = (
    "",
    "[",
    "[]",
    "[{}]",
    "7",
    "{}",
    '{"type":7}',
    '{"type":"NEW","message":"{\\"a\\":1}"}',
    '{"type":"AUTH_RESPONSE","message":"{"}',
    '{"type":"CHAT_SEND_RESPONSE","message":{"msgId":0}}',
    '{"type":"CHAT_REDIRECT_TO_USER_REQUEST","message":[]}',
    '{"type":"KICK"}',
    '[{"type":"HEARTBEAT_RESPONSE"},[]]',
    '{"type":"SYNC_RESPONSE","message":{"status":"reset","oldest":99999999999999999999}}',
    "\ud800",
)
CODES = (
    0,
    0,
    0,
    0,
    200,
    None,
    None,
    400,
    403,
    40300,
    40400,
    40900,
    40100,
    40101,
    401,
    500,
    50000,
    -1,
)
CLOSES = (1000, 1001, 1002, 1005, 1006, 1007, 1009, 1012, 1013, 4001, 4002, 4003, 4004, 4009, 401)
STATUSES = (200, 301, 400, 401, 403, 404, 426, 429, 500, 503)
JUMPS = (0.0, 0.001, 0.5, 1.5, 5.0, 6.0, 31.0, 400.0, -3.0)
CONTENTS = ("a", "b", "", "x" * 1000, "😀" * 600, "é\n", "\ud800", "c" * 20)


class Explorer:
    """A core, what happened to it, and the invariants."""

    def __init__(self, config: ClientConfig, *, seed: int = 0) -> None:
        self.core = make_core(config, seed=seed)
        self.now = START
        self.history: list[tuple[float, inp.CoreInput]] = []
        self.log: list[str] = []
        self.sent: set[int] = set()
        self.ended: dict[int, int] = {}
        self.delivered = 0
        self._counters: tuple[int, ...] = (0,) * 6
        #: the transport that frames may be written to
        self._writable: int | None = None
        self._blocked = False
        self._paused = False
        self.pauses = 0

    # ------------------------------------------------------------ ops

    def op(self, op: Op) -> None:
        """Carry out one op."""
        kind, n, m = op
        if n % 16 < 9 and (name := self._next_good_thing()):
            self.step(name(m))
            return
        choice = OPS[kind % len(OPS)]
        event = choice(self, n, m)
        if event is not None:
            self.step(event)

    def _next_good_thing(self) -> Callable[[int], inp.CoreInput] | None:
        """Most ops help the client on its way to a log-in; else random ops would never see one."""
        core = self.core
        transport = core.transport
        if core.reconnect in ("idle", "halted", "exhausted"):
            return lambda _: inp.Connect()
        if core.login.state == "fetching_token":
            return lambda m: inp.TokenReady(request=core.login.request, token=f"t{m}")
        if core.connection == "opening":
            return lambda _: inp.TransportOpened(transport=transport)
        if core.connection == "handshaking":
            return lambda _: inp.LinkOpened(transport=transport)
        if core.login.state == "authenticating":
            return self._welcome
        return None

    def _welcome(self, m: int) -> inp.CoreInput:
        data: dict[str, Any] = {}
        if m % 4:
            data = {"deviceId": self.core.device_id, "capabilities": ["seq", "batch"]}
            data |= {"epoch": f"e{m % 2}", "seq": m % 3, "lastMsgId": m}
            inbox = self.core.receiving.inbox
            if inbox.epoch is not None:
                same = inbox.epoch == data["epoch"]
                data |= {"resume": "recovered", "seq": inbox.handled} if same else {}
                data |= {} if same else {"resume": "reset", "oldest": 1 + m % 5}
            if m % 3 == 0:
                data["limits"] = {"inFlight": 1 + m % 7, "batch": 1 + m % 4}
                data["heartbeat"] = {"interval": 1e-9 * m + 1e-9, "timeout": m + 1}
        return self.frame("AUTH_RESPONSE", code=m % 2 * 200, data=data)

    def transport(self, m: int) -> int:
        """Mostly the present transport, sometimes a stale or unknown one."""
        return self.core.transport + {5: -1, 7: 1}.get(m % 11, 0)

    def frame(self, kind: str, m: int = 0, **message: Any) -> inp.CoreInput:
        """A text frame with one envelope."""
        fields = {key: value for key, value in message.items() if value is not None}
        text = json.dumps({"type": kind, "message": json.dumps(fields)})
        return inp.TextReceived(transport=self.transport(m), text=text)

    def msg_id(self, n: int) -> int:
        """The id of a message in flight, or a wrong one."""
        flying = [message.msg_id for message in self.core.sending.outbox.all_unanswered()]
        return flying[n % len(flying)] if flying and n % 7 else n + 1

    def ref(self, n: int) -> int:
        """A new ref, or, which is a mistake, one in use."""
        used = len(self.sent)
        return used if n % 2 and used in self.core.sending.outbox else used + 1

    # ------------------------------------------------------------ a step

    def step(self, event: inp.CoreInput) -> None:
        """One input; what must always hold is checked after it."""
        core, before = self.core, pickle.dumps(self.core)
        self.history.append((self.now, event))
        try:
            actions = core.step(event, self.now)
        except (LocalProtocolError, IMError) as error:
            self.log.append(f"{type(error).__name__}: {error}")
            assert pickle.dumps(core) == before, f"{event} was refused, and changed something"
            return
        self.log.append(repr(actions))
        if isinstance(event, inp.Send):
            self.sent.add(event.ref)
            if event.key is not None and core.ref_of_key(event.key) != event.ref:
                self.ended[event.ref] = len(self.history)  # it is another one
        self._check_writes(event, actions)
        self._check_events(actions)
        self._check_state()
        if isinstance(event, inp.TimePassed):
            at = core.next_deadline()
            assert at is None or at > core.fx.now, "no time would pass: a livelock"

    def wake(self) -> None:
        """Jump to the next deadline, if there is one."""
        at = self.core.next_deadline()
        if at is not None:
            self.now = max(self.now, at)
        self.step(inp.TimePassed())

    def _check_writes(self, event: inp.CoreInput, actions: list[act.CoreAction]) -> None:
        """Frames go only to a transport that takes them: upgraded, and nobody has said goodbye."""
        if isinstance(event, inp.TransportLost) and event.transport == self.core.transport:
            self._paused = False
        if getattr(event, "transport", None) == self._writable:
            if isinstance(event, inp.PeerClosed | inp.TransportLost | inp.FramingViolated):
                closing = isinstance(event, inp.PeerClosed | inp.FramingViolated)
                self._writable = None
                actions = [a for a in actions if not (closing and isinstance(a, act.SendClose))]
            elif isinstance(event, inp.WriteBlocked | inp.WriteReady):
                self._blocked = isinstance(event, inp.WriteBlocked)
        if isinstance(event, inp.LinkOpened) and event.transport == self.core.transport:
            self._writable, self._blocked = event.transport, False
        for action in actions:
            if isinstance(action, act.SendText | act.SendClose):
                assert action.transport == self._writable, f"{action} to a transport that is gone"
            if isinstance(action, act.AbortTransport):
                self._paused = False
            if isinstance(action, act.PauseReading | act.ResumeReading):
                assert self._paused == isinstance(action, act.ResumeReading)
                self._paused = not self._paused
                self.pauses += self._paused
            if isinstance(action, act.SendClose | act.AbortTransport | act.CloseTransport):
                self._writable = None
            if isinstance(action, act.Notify) and isinstance(action.event, ev.MessageHandedOver):
                assert not self._blocked, "handed over to a transport that takes no more"

    def _check_events(self, actions: list[act.CoreAction]) -> None:
        for action in actions:
            if not isinstance(action, act.Notify):
                continue
            event = action.event
            if isinstance(event, ev.MessageAccepted | ev.MessageFailed):
                assert event.ref in self.sent
                assert event.ref not in self.ended, f"message {event.ref} ended twice"
                self.ended[event.ref] = len(self.history)
            elif isinstance(event, ev.MessageReceived):
                self.delivered += 1

    def _check_state(self) -> None:
        core = self.core
        assert illegal(*states(core)) is None, illegal(*states(core))
        assert core.fx.actions == []
        assert core.login.state == "authenticated" or core.fx.envelopes == []
        counters = core.counters
        now = tuple(getattr(counters, name) for name in counters.__slots__)
        assert all(a <= b for a, b in zip(self._counters, now, strict=True)), "a counter went back"
        self._counters = now
        outbox, config = core.sending.outbox, core.config
        line = core.sending.admission.line
        pending = {ref for ref in self.sent if ref in outbox}
        assert pending | set(self.ended) | set(line) == self.sent
        assert not pending & set(line)
        assert not line or len(outbox)
        assert outbox.bytes == sum(outbox[ref].size for ref in pending)
        assert outbox.bytes <= config.max_queue_bytes
        untouched = {message.ref for message in outbox.untouched(PRIORITIES)}
        drops = config.when_queue_full != "reject"
        assert untouched == {ref for ref in pending if drops and outbox[ref].handed_at is None}
        assert not pending & set(self.ended)
        assert len(outbox) == len(pending) <= config.max_queue
        assert outbox.in_flight <= config.in_flight
        assert len(outbox._conversations) <= len(pending)
        assert len(outbox.turns) <= len(outbox._conversations)
        listed = [c for c in outbox._conversations.values() if c.listed is not None]
        assert len(outbox.turns) == len(listed) == sum(map(len, outbox.turns._rings.values()))
        assert set(outbox._resting) <= set(outbox._conversations)
        assert outbox.wake_at == min(outbox._resting.values(), default=None)
        for conversation in outbox._conversations.values():
            waiting = [message.priority for message in conversation.waiting.values()]
            for name in PRIORITIES:
                assert conversation.counts.get(name, 0) == waiting.count(name)
            assert conversation.listed in (None, conversation.priority)
            places = [message.place for message in conversation.waiting.values()]
            assert places == sorted(places)
        inbox = core.receiving.inbox
        assert len(inbox._known) <= config.known_pairs
        drops = core.config.when_full == "drop_oldest"
        assert inbox.waiting <= (core.config.max_unhandled if drops else HARD_LIMIT)
        assert inbox.waiting == sum(not entry.done for entry in inbox.unhandled.values())
        assert core.paused == core.liveness.deaf == self._paused
        assert not core.paused or core.login.state == "authenticated"
        assert not core.paused or not len(outbox)
        assert inbox.received is None or inbox.handled <= inbox.received
        assert len(core.timers.all()) <= len(Timer)
        core.explain()
        for ref in itertools.islice(self.sent, 3):
            core.explain(ref=ref)


def _push(x: Explorer, n: int, m: int) -> inp.CoreInput:
    received = x.core.receiving.inbox.received or 0
    seq = None if n % 9 == 0 else max(1, received + (1, 1, 1, 1, 0, -1, 2, 3)[m % 8])
    return x.frame(
        "CHAT_REDIRECT_TO_USER_REQUEST",
        m,
        content=f"c{(seq or m) % 3}",
        fromUser=None if m % 6 == 0 else 2,
        msgId=None if m % 7 == 0 else (seq or m) + 1,
        seq=seq,
    )


def _jump(x: Explorer, n: int, m: int) -> inp.CoreInput:
    x.now += JUMPS[n % len(JUMPS)]
    slept = (0.0, 0.0, 3.0, 90.0, -9.0)[m % 5]
    return inp.TimePassed(wall=WALL + x.now + slept if m % 2 else None)


def _deadline(x: Explorer, n: int, _: int) -> inp.CoreInput:
    x.now = max(x.now, (x.core.next_deadline() or x.now) + (0.0, 0.0, 0.5, 2.0)[n % 4])
    return inp.TimePassed()


OPS: tuple[Callable[[Explorer, int, int], inp.CoreInput | None], ...] = (
    lambda x, n, m: inp.Connect(),
    lambda x, n, m: inp.Disconnect(),
    lambda x, n, m: inp.NetworkChanged(),
    lambda x, n, m: inp.WallClock(wall=float(n * 1000)),
    lambda x, n, m: inp.UpdateToken(token="u" * (n % 4)),
    lambda x, n, m: inp.TokenReady(request=x.core.login.request - m % 3, token="r" * (n % 3)),
    lambda x, n, m: inp.TokenFailed(request=x.core.login.request - m % 3, reason="no"),
    *[
        lambda x, n, m: inp.Send(
            ref=len(x.sent) + 1,
            to_user=2 + n % 3,
            content=CONTENTS[m % 8],
            priority=PRIORITIES[(n + m) % 3],
            key=f"k{m % 3}" if n % 13 == 5 else None,
            ttl=(None, None, None, 0.5, 20.0)[(n + m) % 5],
            wait=m % 7 == 0,
        )
    ]
    * 4,
    lambda x, n, m: inp.Send(ref=x.ref(n), to_user=("", 0, 3, "bravo")[m % 4], content="x"),
    lambda x, n, m: inp.Cancel(ref=max(0, len(x.sent) - n % 5)),
    *[lambda x, n, m: inp.MessageHandled(delivery=max(0, x.delivered - n % 6))] * 2,
    lambda x, n, m: inp.MessageTaken(delivery=max(0, x.delivered - n % 6)),
    lambda x, n, m: inp.TransportOpened(transport=x.transport(m)),
    lambda x, n, m: inp.TransportFailed(transport=x.transport(m)),
    lambda x, n, m: inp.TransportLost(transport=x.transport(m)),
    lambda x, n, m: inp.WriteBlocked(transport=x.transport(m)),
    lambda x, n, m: inp.WriteReady(transport=x.transport(m)),
    lambda x, n, m: inp.LinkOpened(transport=x.transport(m)),
    lambda x, n, m: inp.LinkRefused(
        transport=x.transport(m), status=STATUSES[n % 10], retry_after=(None, 0.5, 3.0)[m % 3]
    ),
    lambda x, n, m: inp.TextReceived(transport=x.transport(m), text=GARBAGE[n % len(GARBAGE)]),
    lambda x, n, m: x.frame("AUTH_RESPONSE", m, code=CODES[n % len(CODES)] or 0),
    *[
        lambda x, n, m: x.frame(
            "CHAT_SEND_RESPONSE", m, msgId=x.msg_id(n), code=CODES[m % len(CODES)]
        )
    ]
    * 3,
    lambda x, n, m: x.frame(
        "CHAT_ERROR_RESPONSE",
        m,
        msgId=x.msg_id(n) if n % 3 else None,
        code=CODES[m % len(CODES)],
    ),
    *[_push] * 4,
    lambda x, n, m: x.frame(
        "SYNC_RESPONSE", m, status=("recovered", "reset")[n % 2], oldest=m, epoch=f"e{n % 3}"
    ),
    lambda x, n, m: x.frame("KICK", m, reconnect=bool(n % 2), retryAfter=m if m % 2 else None),
    lambda x, n, m: x.frame("HEARTBEAT_RESPONSE", m),
    lambda x, n, m: inp.ControlReceived(transport=x.transport(m)),
    lambda x, n, m: inp.PartialChanged(transport=x.transport(m), partial=bool(n % 2)),
    lambda x, n, m: inp.PeerClosed(transport=x.transport(m), code=CLOSES[n % len(CLOSES)]),
    lambda x, n, m: inp.FramingViolated(transport=x.transport(m), code=1002, reason="rsv"),
    _jump,
    _jump,
    _deadline,
    _deadline,
)


def some_token() -> str:
    """A token function that can be pickled."""
    return "t"


CONFIGS = (
    make_config(in_flight=4, max_queue=12, known_pairs=5),
    make_config(token=some_token, reconnect={"max_retries": 3, "jitter": "full"}, max_queue=12),
    make_config(resend_when_unsure=False, max_sends=2, heartbeat={"interval": 3, "max_missed": 1}),
    make_config(extensions=False, reconnect={"max_retries": 0, "stable_after": 0}, max_queue=12),
    make_config(max_unhandled=1, max_queue=1, sleep_watch=1.0),
    make_config(
        max_unhandled=3, when_full="drop_oldest", sleep_watch=7.0, when_queue_full="drop_oldest"
    ),
    make_config(max_queue=5, when_queue_full="drop_lowest_priority", keys_kept=30.0, in_flight=2),
)


def replay(core: ClientCore, history: list[tuple[float, inp.CoreInput]]) -> list[str]:
    """What a core wants when all this happens to it, in words that can be compared."""
    log = []
    for now, event in history:
        try:
            log.append(repr(core.step(event, now)))
        except (LocalProtocolError, IMError) as error:
            log.append(f"{type(error).__name__}: {error}")
    return log
