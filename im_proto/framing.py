"""WebSocket framing (RFC 6455) for both roles: bytes in, whole messages out, and back.

Pure: no socket, clock, entropy or log. h11 reads and writes the two HTTP heads, wsproto the
frames; neither has a limit of its own, both let other exceptions through than their own, and
wsproto would call os.urandom. So nothing reaches them before it was measured, nothing they do
comes out but as an event, and masks and keys come from the caller's `rng`.

After a `Violation`, a `CloseFrame` or a `HandshakeRejected` a `Framing` is deaf for good.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from wsproto.frame_protocol import Opcode

from im_proto.bucket import Bucket
from im_proto.deflate import BoundedDeflate
from im_proto.errors import LocalProtocolError
from im_proto.frames import CLOSE_CODES, Frames
from im_proto.handshake import (
    ClientOpening,
    HandshakeAccepted,
    HandshakeRejected,
    HandshakeRequested,
    Refused,
    ServerOpening,
    check_own,
    refusal,
)
from im_proto.limits import FrameLimits

__all__ = [
    "BinaryFrame",
    "CloseFrame",
    "FrameEvent",
    "Framing",
    "HandshakeAccepted",
    "HandshakeRejected",
    "HandshakeRequested",
    "PingFrame",
    "PongFrame",
    "TextFrame",
    "Violation",
]


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class TextFrame:
    """A text message is complete, all of its fragments joined (RFC 6455 section 5.4).

    Nobody changes one: it is not frozen, as a frozen field takes 0.1 us to make.
    """

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryFrame:
    """A binary message is complete, joined likewise; only with `binary`."""

    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PingFrame:
    """The peer sent a Ping; answering it is the caller's part (RFC 6455 section 5.5.2)."""

    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PongFrame:
    """The peer sent a Pong, asked for or not (RFC 6455 section 5.5.3)."""

    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseFrame:
    """The peer sent its Close, the last thing it says; 1005: no code in it (section 5.5.1)."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """The peer broke the protocol or a limit; all that it sends from now on is ignored.

    `code` is the close code to send (RFC 6455 section 7.4.1). With `handshake` no WebSocket came
    to be: for a server `code` is then the HTTP status to `reject` with, for a client it is 1002
    and there is nothing to send. `reason` is ours, ASCII, without the peer's words.
    """

    code: int
    reason: str
    handshake: bool = False


FrameEvent: TypeAlias = (
    HandshakeRequested
    | HandshakeAccepted
    | HandshakeRejected
    | TextFrame
    | BinaryFrame
    | PingFrame
    | PongFrame
    | CloseFrame
    | Violation
)

_new: Final = object.__new__
#: `Opcode.TEXT` is an object that knows its name.
_TEXT: Final = 1


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # not chained: it holds the text
        raise LocalProtocolError("text with a lone surrogate, which UTF-8 can't carry") from None


class Framing:
    """One WebSocket connection, seen from one side, without its transport.

    A client sends `request()`, then gives all that arrives to `receive`. A server begins with
    `receive` and answers `HandshakeRequested` with `accept` or `reject`. What the peer does wrong
    is a `Violation` among the events; what the caller does wrong raises `LocalProtocolError` and
    changes nothing. Pings are not answered, closes not echoed, nothing is timed here.
    """

    __slots__ = (
        "_binary", "_bytes", "_close_sent", "_controls", "_deaf", "_fragments", "_frames",
        "_limits", "_opening", "_rng", "_text",
    )  # fmt: skip

    def __init__(
        self,
        opening: ClientOpening | ServerOpening,
        rng: random.Random | None,
        limits: FrameLimits,
        binary: bool,
    ) -> None:
        """Not for users: `Framing.client` and `Framing.server` make one."""
        self._opening: ClientOpening | ServerOpening | None = opening
        self._rng = rng  # None: the server's side
        self._limits = limits
        self._binary = binary
        self._frames: Frames | None = None  # there once the handshake is done
        self._text: list[str] = []  # the fragments of the message that is coming in
        self._bytes = bytearray()  # or, of a binary one, what there is of it
        self._deaf = False  # the peer has said its last word
        self._close_sent = False  # we have: our Close or refusal
        self._controls: Bucket | None = None  # full until the first control frame
        self._fragments: Bucket | None = None  # … until the first frame that ends no message

    @classmethod
    def client(
        cls,
        *,
        host: str,
        target: str,
        rng: random.Random,
        limits: FrameLimits,
        headers: Sequence[tuple[str, str]] = (),
        subprotocols: Sequence[str] = (),
        compression: bool = False,
        binary: bool = False,
    ) -> Framing:
        """The client's side (RFC 6455 section 4.1).

        Args:
            host: for the Host header, with the port unless it is the scheme's own; a name that
                is not ASCII is sent in its IDNA form.
            target: path and query, from "/" on.
            rng: where key and masks come from; `random.SystemRandom()` outside of simulations,
                since section 5.3 wants them unpredictable.
            limits: what the server may make us hold.
            headers: more headers, such as Authorization or Origin.
            subprotocols: what is asked for; if any, the server must choose one of them.
            compression: offer permessage-deflate (RFC 7692).
            binary: take binary messages; else one is a `Violation` (1003).
        """
        opening = ClientOpening(
            host, target, rng, limits, tuple(headers), tuple(subprotocols), compression
        )
        return cls(opening, rng, limits, binary)

    @classmethod
    def server(
        cls, *, limits: FrameLimits, compression: bool = False, binary: bool = False
    ) -> Framing:
        """The server's side (RFC 6455 section 4.2), which masks nothing and so draws nothing."""
        return cls(ServerOpening(limits, compression), None, limits, binary)

    @property
    def open(self) -> bool:
        """The handshake is done, no Close went either way, no violation: data may be sent."""
        return self._frames is not None and not self._deaf and not self._close_sent

    @property
    def partial(self) -> bool:
        """The peer has begun something and not ended it: a head, a frame, a message."""
        if self._deaf:
            return False
        if self._frames is not None:
            return self._frames.partial
        return self._opening is not None and len(self._opening.heads.buffer) > 0

    @property
    def pending(self) -> int:
        """Which of the peer's frames or messages is `partial`, counted from 1; 0 for none.

        So a caller that gives each a deadline of its own sees that another has begun.
        """
        frames = self._frames
        if frames is None:
            return int(self.partial)
        return frames.finished + 2 if frames.partial and not self._deaf else 0

    # -- handshake, what goes out --

    def request(self) -> bytes:
        """Client: the opening request (RFC 6455 section 4.1), once."""
        opening = self._opening
        if not isinstance(opening, ClientOpening) or opening.key or self._deaf:
            raise self._misuse("request()")
        return opening.request()

    def accept(
        self, subprotocol: str | None = None, *, headers: Sequence[tuple[str, str]] = ()
    ) -> bytes:
        """Server: answer `HandshakeRequested` with 101 (RFC 6455 section 4.2.2); frames follow.

        `subprotocol` must be one of those that were asked for.
        """
        opening = self._opening
        if not isinstance(opening, ServerOpening) or opening.requested is None or self._deaf:
            raise self._misuse("accept()")
        if subprotocol is not None and subprotocol not in opening.requested.subprotocols:
            raise LocalProtocolError("accept() with a subprotocol that was not asked for")
        check_own(headers)
        out, deflate = opening.accept(subprotocol, headers)
        self._enter_frames(deflate)
        return out

    def reject(
        self, status: int, *, reason: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> bytes:
        """Server: refuse the handshake with an HTTP answer, at any time before `accept`.

        `reason` is the reason phrase (as far as it is ASCII) and the body; the connection is to
        be closed after it. 405 and 426 get the headers that belong to them.
        """
        if not isinstance(self._opening, ServerOpening):
            raise self._misuse("reject()")
        if not 300 <= status <= 599:
            raise LocalProtocolError(f"reject() with status {status}, which is no refusal")
        check_own(headers)
        self._opening, self._deaf, self._close_sent = None, True, True
        return refusal(status, reason, headers)

    # -- what comes in --

    def receive(self, data: bytes, now: float) -> list[FrameEvent]:
        """What `data`, cut in whatever way, completes. Never raises on what a peer sent.

        `now` (seconds, any monotonic clock; one that goes back is taken to stand still) is only
        for the rates of control frames and fragments.
        """
        events: list[FrameEvent] = []
        if not data or self._deaf:
            return events
        try:
            if self._opening is not None:
                data = self._receive_head(self._opening, data, events)
            if self._frames is not None:
                self._receive_frames(self._frames, data, now, events)
        except Refused as refused:
            handshake = self._frames is None
            # A client has no HTTP status to give: it can only go away.
            code = 1002 if handshake and self._rng is not None else refused.code
            self._deaf = True
            events.append(Violation(code=code, reason=refused.reason, handshake=handshake))
        return events

    def _receive_head(
        self, opening: ClientOpening | ServerOpening, data: bytes, events: list[FrameEvent]
    ) -> bytes:
        """Go on with the handshake; what is left over when it is done are frames."""
        if isinstance(opening, ServerOpening):
            requested = opening.receive(data)
            if requested is not None:
                events.append(requested)
            return b""
        result = opening.receive(data)
        if result is None:
            return b""
        answer, deflate = result
        events.append(answer)
        if isinstance(answer, HandshakeRejected):
            self._deaf = True
            return b""
        self._enter_frames(deflate)
        return bytes(opening.heads.buffer)

    def _enter_frames(self, deflate: BoundedDeflate | None) -> None:
        # What the handshake held, tokens perhaps, goes with it.
        self._opening = None
        self._frames = Frames(deflate, self._limits, self._rng, binary=self._binary)

    def _receive_frames(
        self, frames: Frames, data: bytes, now: float, events: list[FrameEvent]
    ) -> None:
        if frames.cut is not None:
            data = frames.joined(data)
        at, end = 0, len(data)
        while at < end and not self._deaf:
            texts, at = frames.texts(data, at)
            for text in texts:
                frame = _new(TextFrame)  # what the class makes, without a dictionary
                frame.text = text
                events.append(frame)
            if at < end:
                piece = frames.piece(data, at)
                self._read(frames, piece, now, events)
                at += len(piece)

    def _read(self, frames: Frames, piece: bytes, now: float, events: list[FrameEvent]) -> None:
        """What is no whole text frame."""
        for frame in frames.read(piece):
            # wsproto's Frame has one field for three types; the opcode says which.
            payload: object = frame.payload
            if not frame.message_finished and not frame.opcode.iscontrol():
                self._count_fragment(now)
            if frame.opcode is Opcode.TEXT:
                self._text.append(cast("str", payload))
                if frame.message_finished:
                    events.append(TextFrame(text="".join(self._text)))
                    self._text.clear()
            elif frame.opcode is Opcode.BINARY:
                self._bytes += cast("bytes", payload)
                if frame.message_finished:
                    events.append(BinaryFrame(payload=bytes(self._bytes)))
                    self._bytes.clear()
            elif frame.opcode is Opcode.CLOSE:
                code, reason = cast("tuple[int, str]", payload)
                self._deaf = True
                events.append(CloseFrame(code=int(code), reason=reason))
                return
            else:
                self._count_control(now)
                kind = PingFrame if frame.opcode is Opcode.PING else PongFrame
                events.append(kind(payload=cast("bytes", payload)))

    def _count_control(self, now: float) -> None:
        """A bucket of `control_burst`, refilled at `control_rate`; an overdrawn one is a flood."""
        if self._controls is None:
            limits = self._limits
            self._controls = Bucket(limits.control_rate, limits.control_burst, now)
        if self._controls.take(now) < 0:
            raise Refused(1008, "too many control frames")

    def _count_fragment(self, now: float) -> None:
        """The same of `fragment_burst` and `fragment_rate`."""
        limits = self._limits
        if limits.fragment_burst is None:
            return
        if self._fragments is None:
            self._fragments = Bucket(limits.fragment_rate, limits.fragment_burst, now)
        if self._fragments.take(now) < 0:
            raise Refused(1008, "messages in too many pieces")

    def allow(self, message_bytes: int) -> None:
        """The peer's messages may have so many bytes from now on, instead of what the limits say;
        also the one that is half here. For a server that has learnt whom it talks to."""
        if self._frames is None:
            raise self._misuse("allow()")
        self._frames.allow(message_bytes)

    # -- what goes out --

    def send_text(self, text: str) -> bytes:
        """A text message in one frame (RFC 6455 section 5.6)."""
        payload = _utf8(text)
        frames = self._frames
        if frames is None or self._deaf or self._close_sent:
            raise self._misuse("sending TEXT")
        return frames.frame(_TEXT, payload)

    def send_binary(self, payload: bytes) -> bytes:
        """A binary message in one frame (RFC 6455 section 5.6)."""
        return self._send(Opcode.BINARY, payload)

    def send_ping(self, payload: bytes = b"") -> bytes:
        """A Ping, with at most 125 bytes that the Pong brings back (section 5.5.2)."""
        return self._send(Opcode.PING, payload)

    def send_pong(self, payload: bytes) -> bytes:
        """A Pong with the payload of the Ping that it answers (section 5.5.3)."""
        return self._send(Opcode.PONG, payload)

    def send_close(self, code: int, reason: str = "") -> bytes:
        """Our Close, once: to begin the closing, to echo the peer's, or after a `Violation`.

        `code` must be one that may be sent (section 7.4), so 1005 is to be echoed as 1000.
        `reason` is cut to what fits, between characters. Later sends are refused; what the peer
        still says, up to its own Close, goes on to come in (section 5.5.1).
        """
        if self._frames is None or self._close_sent:
            raise self._misuse("send_close()")
        if code not in CLOSE_CODES:
            raise LocalProtocolError(f"close code {code} may not be sent")
        # At the cut at most a half character is left out; `_utf8` let nothing wrong in.
        cut = _utf8(reason)[:123].decode("utf-8", "ignore").encode("utf-8")
        self._close_sent = True
        return self._frames.frame(Opcode.CLOSE, code.to_bytes(2, "big") + cut)

    def _send(self, opcode: Opcode, payload: bytes) -> bytes:
        if not self.open or self._frames is None:
            raise self._misuse(f"sending {opcode.name}")
        if opcode.iscontrol() and len(payload) > 125:
            raise LocalProtocolError(f"{opcode.name} with {len(payload)} bytes, of at most 125")
        return self._frames.frame(opcode, payload)

    def _misuse(self, what: str) -> LocalProtocolError:
        state = "before" if self._frames is None else "after"
        ended = ", the peer is done" if self._deaf else ""
        closed = ", we are done" if self._close_sent else ""
        role = "server" if self._rng is None else "client"
        return LocalProtocolError(f"{what}: {role} {state} the handshake{ended}{closed}")
