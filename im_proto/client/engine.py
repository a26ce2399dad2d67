"""`ClientEngine`: the core and its framing joined; bytes and time in, actions out."""

from __future__ import annotations

import random
from typing import Final, cast, get_args

from ..config import ClientConfig
from ..errors import LocalProtocolError
from ..framing import (
    CloseFrame,
    FrameEvent,
    Framing,
    HandshakeAccepted,
    HandshakeRejected,
    PingFrame,
    PongFrame,
    TextFrame,
    Violation,
)
from ..handshake import Refused
from ..limits import FrameLimits
from ..tunnel import Tunnel
from ..wire import UserId
from ..wire.session import SessionVO
from . import actions as act
from . import inputs as inp
from .core import ClientCore
from .effects import Counters
from .events import ConnectionState, Guarantee
from .journal import JournalState, OutgoingRecord

_new: Final = object.__new__
_OfTheTunnel = inp.TransportOpened | inp.TlsStarted | inp.BytesReceived | inp.TransportLost
_OF_THE_TUNNEL: Final = get_args(_OfTheTunnel)
#: What is not the core's alone.
_OF_THE_BYTES: Final = frozenset({*_OF_THE_TUNNEL, inp.WriteReady})
#: What the framing has a part in. A list without them, as of most steps, is the adapter's as it is.
_OF_THE_FRAMING: Final = frozenset(
    {act.SendText, act.StartLink, act.OpenTransport, act.SendClose, act.AbortTransport}
)


class ClientEngine:
    """A client for any event loop.

    `step` takes an input and returns what is to be done; `next_deadline` says when to come back
    with `TimePassed`. It does no I/O, knows no clock, and never calls the application.

    Args:
        config: what to do.
        now: seconds on any monotonic clock; the same clock as in every later call.
        wall: seconds since 1970 at `now`.
        rng: for masks and keys (RFC 6455 section 5.3 wants strong entropy, so adapters pass
            `random.SystemRandom()`), delays and the device id.
        journal: what an earlier process has kept, to go on from; from here on the engine wants what
            it does written (`WriteJournal`). None: nothing is kept.
        turns: the adapter says when a turn of its loop is over (`TurnEnded`); see `ClientCore`.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        now: float,
        wall: float,
        rng: random.Random,
        journal: JournalState | None = None,
        turns: bool = False,
    ) -> None:
        self.core = ClientCore(config, now=now, wall=wall, rng=rng, journal=journal, turns=turns)
        self._rng = rng
        self._framing: Framing | None = None
        #: what is half here; see Framing.pending
        self._pending = 0
        #: the newest Ping that came while the transport took no more
        self._owed: bytes | None = None
        #: the way through the proxy, until the transport is the server's
        self._tunnel: Tunnel | None = None

    def step(self, event: inp.Input | inp.TurnEnded, now: float) -> list[act.Action]:
        """Take one input; return what is to be done about it, in order.

        Raises:
            LocalProtocolError: the caller did what the state does not allow; nothing has changed.
            IMError: a Send that can't be taken (QUEUE_FULL, MESSAGE_FORMAT_ERROR); nothing has
                changed.
        """
        if type(event) not in _OF_THE_BYTES:  # most are the core's alone
            return self._carry_out(self.core.step(event, now))  # type: ignore[arg-type]
        if self._tunnel is not None and isinstance(event, _OF_THE_TUNNEL):
            return self._through_proxy(self._tunnel, event, now)
        if isinstance(event, inp.BytesReceived):
            return self._receive(event, now)
        if isinstance(event, inp.TlsStarted):
            return []  # of a tunnel that is gone
        late = self._late_pong(event) if isinstance(event, inp.WriteReady) else []
        return late + self._carry_out(self.core.step(event, now))

    def next_deadline(self) -> float | None:
        """When to call `step(TimePassed())` at the latest; None: not before another input."""
        return self.core.next_deadline()

    @property
    def unsettled(self) -> bool:
        """Is `TurnEnded` wanted at the end of this turn? Never without `turns`."""
        return self.core.unsettled

    @property
    def user_id(self) -> UserId:
        """Who logs in."""
        return self.core.user_id

    @property
    def device_id(self) -> str:
        """This client object's name at the server (protocol.md section 2)."""
        return self.core.device_id

    @property
    def counters(self) -> Counters:
        """What has happened so far."""
        return self.core.counters

    @property
    def guarantee(self) -> Guarantee | None:
        """What a send means against the present server; None before the first log-in."""
        return self.core.guarantee

    def cached_session(self, session_id: int) -> SessionVO | None:
        """A session as the server told it last; None if it is not known."""
        return self.core.sessions.cache.get(session_id)

    @property
    def sessions_over_http(self) -> bool:
        """Would a SessionCall go over HTTP now, so that the adapter needs something for that?"""
        return self.core.sessions_over_http

    def cached_sessions(self) -> list[SessionVO]:
        """All sessions that are known, the one told last at the end."""
        return self.core.sessions.cache.all()

    def ref_of_key(self, key: str) -> int | None:
        """The message that was sent with that key, pending or ended; None: there is none."""
        return self.core.ref_of_key(key)

    def restored(self) -> list[OutgoingRecord]:
        """The messages that the journal has brought back, in the order they were given: those
        without an end, those that are remembered for their key, and those of whose failure the
        first step tells. After that step it is empty."""
        return self.core.restored()

    def state(self, now: float | None = None) -> ConnectionState:
        """Where the client is, and why."""
        return self.core.state(now)

    def explain(self, now: float | None = None, ref: int | None = None) -> str:
        """In plain words: the state, why, what is waited for; or why a message is pending."""
        return self.core.explain(now, ref)

    # ------------------------------------------------------------ through a proxy

    def _through_proxy(self, tunnel: Tunnel, event: _OfTheTunnel, now: float) -> list[act.Action]:
        """The core's transport leads to the server: until it does, it is the tunnel's."""
        transport = event.transport
        if transport != self.core.transport or self.core.connection != "opening":
            return []
        if isinstance(event, inp.TransportOpened):
            if tunnel.asked:
                raise LocalProtocolError("TransportOpened: the proxy was asked already")
            return [act.SendBytes(transport=transport, data=tunnel.request())]
        if isinstance(event, inp.BytesReceived):
            try:
                if not tunnel.receive(event.data):
                    return []
            except Refused as refused:
                return self._no_tunnel(transport, refused.reason, now)
            if self.core.config.secure:
                return [act.StartTls(transport=transport, host=self.core.config.host)]
        elif isinstance(event, inp.TransportLost):
            return self._no_tunnel(transport, "it ended the connection", now)
        elif not tunnel.open:
            raise LocalProtocolError("TlsStarted: the proxy has not answered yet")
        self._tunnel = None
        return self._carry_out(self.core.step(inp.TransportOpened(transport=transport), now))

    def _no_tunnel(self, transport: int, reason: str, now: float) -> list[act.Action]:
        self._tunnel = None
        failed = inp.TransportFailed(
            transport=transport, kind=inp.TransportFailure.PROXY, reason=reason
        )
        abort = act.AbortTransport(transport=transport)
        return [abort, *self._carry_out(self.core.step(failed, now))]

    # ------------------------------------------------------------ bytes

    def _receive(self, received: inp.BytesReceived, now: float) -> list[act.Action]:
        framing, core = self._framing, self.core
        if framing is None or received.transport != core.transport:
            return []
        if core.connection == "disconnected":
            return []
        actions: list[act.Action] = []
        for frame in framing.receive(received.data, now):
            actions += self._on_frame(frame, received.transport, now)
            if self._framing is not framing:
                return actions
        pending = framing.pending
        if pending != self._pending and framing.open:
            was, self._pending = self._pending, pending
            if was:
                actions += self._partial(received.transport, False, now)
            if self._pending:
                actions += self._partial(received.transport, True, now)
        return actions

    def _partial(self, transport: int, partial: bool, now: float) -> list[act.Action]:
        changed = inp.PartialChanged(transport=transport, partial=partial)
        return self._carry_out(self.core.step(changed, now))

    def _on_frame(self, frame: FrameEvent, transport: int, now: float) -> list[act.Action]:
        event: inp.CoreInput
        if type(frame) is TextFrame:
            event = received = _new(inp.TextReceived)  # what the class makes, at half the price
            received.transport = transport
            received.text = frame.text
        elif isinstance(frame, PingFrame | PongFrame):
            reply = self._pong(frame, transport) if isinstance(frame, PingFrame) else []
            event = inp.ControlReceived(transport=transport)
            return reply + self._carry_out(self.core.step(event, now))
        elif isinstance(frame, HandshakeAccepted):
            event = inp.LinkOpened(transport=transport, capable=frame.capable)
        elif isinstance(frame, HandshakeRejected):
            event = inp.LinkRefused(
                transport=transport,
                status=frame.status,
                retry_after=frame.retry_after,
                reason=frame.reason,
            )
        elif isinstance(frame, CloseFrame):
            event = inp.PeerClosed(transport=transport, code=frame.code, reason=frame.reason)
        elif isinstance(frame, Violation):
            event = inp.FramingViolated(transport=transport, code=frame.code, reason=frame.reason)
        else:
            raise AssertionError(f"a client's framing gave {type(frame).__name__}")
        return self._carry_out(self.core.step(event, now))

    def _pong(self, ping: PingFrame, transport: int) -> list[act.Action]:
        """Answer it. A peer that pings and does not read gets the newest alone, when it reads."""
        if self._framing is None or not self._framing.open:
            return []
        if self.core.sending.blocked:
            self._owed = ping.payload
            return []
        data = self._framing.send_pong(ping.payload)
        return [act.SendBytes(transport=transport, data=data)]

    def _late_pong(self, ready: inp.WriteReady) -> list[act.Action]:
        if ready.transport != self.core.transport:
            return []
        owed, self._owed = self._owed, None
        if owed is None or self._framing is None or not self._framing.open:
            return []
        return [act.SendBytes(transport=ready.transport, data=self._framing.send_pong(owed))]

    def _carry_out(self, actions: list[act.CoreAction]) -> list[act.Action]:
        """Turn what is meant for the framing into bytes."""
        for action in actions:
            if type(action) in _OF_THE_FRAMING:
                return self._through_framing(actions)
        return cast("list[act.Action]", actions)

    def _through_framing(self, actions: list[act.CoreAction]) -> list[act.Action]:
        done: list[act.Action] = []
        for action in actions:
            if type(action) is act.Notify:  # as most are
                done.append(action)
            elif isinstance(action, act.SendText):
                # not if the same read held the peer's close, or what ends the link
                if self._framing is not None and self._framing.open:
                    self._write(done, action.transport, self._framing.send_text(action.text))
            elif isinstance(action, act.StartLink):
                self._write(done, action.transport, self._start())
            elif isinstance(action, act.OpenTransport):
                done.append(self._open(action))
            elif isinstance(action, act.SendClose):
                assert self._framing is not None
                data = self._framing.send_close(action.code, action.reason)
                self._write(done, action.transport, data)
            else:
                if isinstance(action, act.AbortTransport):
                    self._framing = None
                done.append(action)
        return done

    def _open(self, action: act.OpenTransport) -> act.OpenTransport:
        config = self.core.config
        self._tunnel = None
        if config.proxy is None:
            return action
        self._tunnel = Tunnel(config.proxy, action.host, action.port)
        return act.OpenTransport(
            transport=action.transport,
            host=self._tunnel.proxy_host,
            port=self._tunnel.proxy_port,
            secure=False,
        )

    def _start(self) -> bytes:
        config = self.core.config
        self._pending, self._owed = 0, None
        self._framing = Framing.client(
            host=config.host_header,
            target=config.target,
            rng=self._rng,
            limits=FrameLimits(message_bytes=config.message_bytes),
            headers=config.headers,
        )
        return self._framing.request()

    @staticmethod
    def _write(done: list[act.Action], transport: int, data: bytes) -> None:
        """Neighbouring writes are one write."""
        if done and isinstance(last := done[-1], act.SendBytes) and last.transport == transport:
            data = last.data + data
            done.pop()
        action = _new(act.SendBytes)  # what the class makes, at half the price
        action.transport = transport
        action.data = data
        done.append(action)
