"""`ClientEngine`: the core and its framing joined; bytes and time in, actions out."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ..config import ClientConfig
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
from ..limits import FrameLimits
from ..wire import UserId
from . import actions as act
from . import inputs as inp
from .core import ClientCore
from .effects import Counters
from .events import ConnectionState, Guarantee


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
    """

    def __init__(
        self, config: ClientConfig, *, now: float, wall: float, rng: random.Random
    ) -> None:
        self.core = ClientCore(config, now=now, wall=wall, rng=rng)
        self._rng = rng
        self._framing: Framing | None = None
        self._partial = False

    def step(self, event: inp.Input, now: float) -> list[act.Action]:
        """Take one input; return what is to be done about it, in order.

        Raises:
            LocalProtocolError: the caller did what the state does not allow; nothing has changed.
            IMError: a Send that can't be taken (QUEUE_FULL, MESSAGE_FORMAT_ERROR); nothing has
                changed.
        """
        if isinstance(event, inp.BytesReceived):
            return self._receive(event, now)
        return self._carry_out(self.core.step(event, now))

    def next_deadline(self) -> float | None:
        """When to call `step(TimePassed())` at the latest; None: not before another input."""
        return self.core.next_deadline()

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

    def state(self, now: float | None = None) -> ConnectionState:
        """Where the client is, and why."""
        return self.core.state(now)

    def explain(self, now: float | None = None, ref: int | None = None) -> str:
        """In plain words: the state, why, what is waited for; or why a message is pending."""
        return self.core.explain(now, ref)

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
            if isinstance(frame, TextFrame):
                # what is half here now has begun after this one
                self._partial = False
        if framing.open and framing.partial != self._partial:
            self._partial = framing.partial
            changed = inp.PartialChanged(transport=received.transport, partial=self._partial)
            actions += self._carry_out(self.core.step(changed, now))
        return actions

    def _on_frame(self, frame: FrameEvent, transport: int, now: float) -> list[act.Action]:
        event: inp.CoreInput
        if isinstance(frame, TextFrame):
            event = inp.TextReceived(transport=transport, text=frame.text)
        elif isinstance(frame, PingFrame | PongFrame):
            reply: list[act.Action] = []
            if isinstance(frame, PingFrame) and self._framing and self._framing.open:
                data = self._framing.send_pong(frame.payload)
                reply.append(act.SendBytes(transport=transport, data=data))
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

    def _carry_out(self, actions: Sequence[act.CoreAction]) -> list[act.Action]:
        """Turn what is meant for the framing into bytes."""
        done: list[act.Action] = []
        for action in actions:
            if isinstance(action, act.SendText):
                # not if the same read held the peer's close, or what ends the link
                if self._framing is not None and self._framing.open:
                    self._write(done, action.transport, self._framing.send_text(action.text))
            elif isinstance(action, act.StartLink):
                self._write(done, action.transport, self._start())
            elif isinstance(action, act.SendClose):
                assert self._framing is not None
                data = self._framing.send_close(action.code, action.reason)
                self._write(done, action.transport, data)
            else:
                if isinstance(action, act.AbortTransport):
                    self._framing = None
                done.append(action)
        return done

    def _start(self) -> bytes:
        config = self.core.config
        self._partial = False
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
        done.append(act.SendBytes(transport=transport, data=data))
