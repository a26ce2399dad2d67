"""`ServerEngine`: one connection of the server, the core and its framing joined; and
`MessageEngine`, for transports that have a framing of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from ..config import ServerConfig
from ..errors import LocalProtocolError
from ..framing import (
    CloseFrame,
    FrameEvent,
    Framing,
    HandshakeRequested,
    PingFrame,
    PongFrame,
    TextFrame,
    Violation,
)
from ..handshake import CAPABILITIES_HEADER
from ..limits import FrameLimits
from . import actions as act
from . import core as c
from . import inputs as inp
from .login import CAPABILITIES
from .origins import forwarded

Action = act.ConnectionAction | act.TellHub
_CAPABLE: Final = ((CAPABILITIES_HEADER, ", ".join(CAPABILITIES)),)
#: Of what comes in, so many bytes at a time are looked at, and then what they mean: 256 KiB of
#: empty frames take 0.9 s, and a peer may have said too much long before their end.
_PIECE: Final = 4_096


def frame_limits(config: ServerConfig, message_bytes: int) -> FrameLimits:
    """Those of the framing, for messages of so many bytes."""
    return FrameLimits(
        handshake_bytes=config.handshake_bytes,
        handshake_headers=config.handshake_headers,
        message_bytes=message_bytes,
        message_frames=config.message_frames,
        control_burst=config.control_burst,
        control_rate=config.control_rate,
        fragment_burst=2 * config.message_frames,
        fragment_rate=config.messages_per_second,
    )


class ServerEngine:
    """Bytes, the hub's words and time in; bytes and words for the hub out.

    Args:
        connection: its name.
        config: limits and timeouts.
        now: seconds on a monotonic clock; the same clock as in every later call.
        wall_offset: wall clock minus `now`, in seconds.
        peer: the address of the transport's other end, "" for a local socket.
    """

    def __init__(
        self,
        connection: int,
        config: ServerConfig,
        *,
        now: float,
        wall_offset: float,
        peer: str = "",
    ) -> None:
        self.core = c.ServerCore(connection, config, now=now, wall_offset=wall_offset, peer=peer)
        self._connection = connection
        #: see Connection.largest
        self._largest = self.core.largest
        self._framing = Framing.server(limits=frame_limits(config, self._largest))
        #: what is half here; see Framing.pending
        self._pending = 0
        #: the payload of a ping that is not answered
        self._pong: bytes | None = None

    def step(self, *events: inp.BytesReceived | inp.CoreInput, now: float) -> list[Action]:
        """Take inputs that belong together; return what is to be done about them, in order."""
        done: list[Action] = []
        rest: list[inp.CoreInput] = []
        for event in events:
            if isinstance(event, inp.BytesReceived):
                if rest:
                    self._core(done, rest, now)
                for start in range(0, len(event.data), _PIECE):
                    if self.core.state != "closed":
                        self._receive(done, event.data[start : start + _PIECE], now)
            else:
                rest.append(event)
        if rest:
            self._core(done, rest, now)
        if self._pong is not None:
            self._answer_ping(done)
        return done

    def next_deadline(self) -> float | None:
        """When to call `step(TimePassed())` at the latest."""
        return self.core.next_deadline()

    @property
    def closed(self) -> bool:
        """The transport is gone; the engine may be forgotten."""
        return self.core.state == "closed"

    def _core(self, done: list[Action], events: list[inp.CoreInput], now: float) -> None:
        if not events:
            return
        core = self.core
        actions = core.step(*events, now=now)
        if actions:
            self._carry_out(done, actions)
        events.clear()
        if (largest := core.largest) > self._largest:  # somebody has logged in
            self._largest = largest
            if self._framing.open:
                self._framing.allow(largest)

    def _receive(self, done: list[Action], data: bytes, now: float) -> None:
        events: list[inp.CoreInput] = []
        for frame in self._framing.receive(data, now):
            if isinstance(frame, PingFrame):
                self._core(done, events, now)
                self._pong = frame.payload  # of several that wait the newest counts alone
                self._answer_ping(done)
            events.append(self._translate(frame))
        if self._framing.pending != self._pending and self._framing.open:
            was, self._pending = self._pending, self._framing.pending
            if was:
                events.append(inp.PartialChanged(connection=self._connection, partial=False))
            if self._pending:
                events.append(inp.PartialChanged(connection=self._connection, partial=True))
        self._core(done, events, now)

    def _answer_ping(self, done: list[Action]) -> None:
        """Unless the peer takes no bytes now, or something has ended the connection."""
        if self._pong is not None and self._framing.open and not self.core.blocked:
            self._write(done, self._framing.send_pong(self._pong))
            self._pong = None

    def _translate(self, frame: FrameEvent) -> inp.CoreInput:
        if isinstance(frame, TextFrame):
            return inp.TextReceived(connection=self._connection, text=frame.text)
        if isinstance(frame, PongFrame):
            return inp.ControlReceived(connection=self._connection, pong=frame.payload)
        if isinstance(frame, PingFrame):
            return inp.ControlReceived(connection=self._connection)
        if isinstance(frame, CloseFrame):
            return inp.PeerClosed(connection=self._connection, code=frame.code)
        if isinstance(frame, HandshakeRequested):
            chain = [value for name, value in frame.headers if name == "x-forwarded-for"]
            return inp.UpgradeAsked(
                connection=self._connection,
                target=frame.target,
                host=frame.host,
                origin=frame.origin,
                forwarded=forwarded(chain),
            )
        assert isinstance(frame, Violation)
        return inp.FramingViolated(
            connection=self._connection,
            code=frame.code,
            reason=frame.reason,
            handshake=frame.handshake,
        )

    def _carry_out(self, done: list[Action], actions: Sequence[act.CoreAction]) -> None:
        """Turn what is meant for the framing into bytes."""
        for action in actions:
            if isinstance(action, act.TellHub):
                done.append(action)
            elif isinstance(action, (act.SendText, act.SendPing)):
                # not if the same read held the peer's close, or what ends the connection
                if not self._framing.open:
                    continue
                if isinstance(action, act.SendText):
                    self._write(done, self._framing.send_text(action.text))
                else:
                    self._write(done, self._framing.send_ping(action.payload))
            elif isinstance(action, act.SendClose):
                self._write(done, self._framing.send_close(action.code, action.reason))
            elif isinstance(action, act.AcceptUpgrade):
                self._write(done, self._framing.accept(headers=_CAPABLE))
            elif isinstance(action, act.RefuseUpgrade):
                self._write(done, self._reject(action))
            else:
                done.append(action)

    def _reject(self, refusal: act.RefuseUpgrade) -> bytes:
        headers: tuple[tuple[str, str], ...] = ()
        if refusal.retry_after is not None:  # whole seconds (RFC 9110 section 10.2.3)
            headers = (("Retry-After", str(math.ceil(refusal.retry_after))),)
        return self._framing.reject(refusal.status, reason=refusal.reason, headers=headers)

    def _write(self, done: list[Action], data: bytes) -> None:
        """Neighbouring writes are one write."""
        if done and isinstance(last := done[-1], act.SendBytes):
            data = last.data + data
            done.pop()
        done.append(act.SendBytes(connection=self._connection, data=data))


class MessageEngine:
    """One connection over a transport that gives and takes whole messages: the core alone.

    Args:
        connection: its name.
        config: limits and timeouts.
        now: seconds on a monotonic clock; the same clock as in every later call.
        wall_offset: wall clock minus `now`, in seconds.
        peer: the address of the transport's other end, "" for a local socket.
    """

    def __init__(
        self,
        connection: int,
        config: ServerConfig,
        *,
        now: float,
        wall_offset: float,
        peer: str = "",
    ) -> None:
        self.core = c.ServerCore(connection, config, now=now, wall_offset=wall_offset, peer=peer)

    def step(
        self, *events: inp.BytesReceived | inp.BinaryReceived | inp.CoreInput, now: float
    ) -> list[act.CoreAction]:
        """Take inputs that belong together; return what is to be done about them, in order."""
        known: list[inp.CoreInput] = []
        for event in events:
            if isinstance(event, inp.BytesReceived):
                raise LocalProtocolError("a transport of whole messages gives no bytes")
            if isinstance(event, inp.UpgradeAsked) and self.core.state != "handshaking":
                continue  # a server that goes down has refused it before it asked
            if isinstance(event, inp.BinaryReceived):
                if self.core.state != "closing":
                    known.append(_violation(event, 1003, "only text messages are used here"))
                continue
            known.append(self._judged(event) if isinstance(event, inp.TextReceived) else event)
        return self.core.step(*known, now=now)

    def _judged(self, received: inp.TextReceived) -> inp.CoreInput:
        """What a framing would have made of it."""
        text, largest = received.text, self.core.largest
        if self.core.state == "closing" or 4 * len(text) <= largest:  # no need to count
            return received
        if len(text) <= largest and len(text.encode("utf-8", "surrogatepass")) <= largest:
            return received
        return _violation(received, 1009, "message too big")

    def next_deadline(self) -> float | None:
        """When to call `step(TimePassed())` at the latest."""
        return self.core.next_deadline()

    @property
    def closed(self) -> bool:
        """The transport is gone; the engine may be forgotten."""
        return self.core.state == "closed"


def _violation(
    received: inp.TextReceived | inp.BinaryReceived, code: int, reason: str
) -> inp.FramingViolated:
    return inp.FramingViolated(connection=received.connection, code=code, reason=reason)
