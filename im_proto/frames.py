"""Frames (RFC 6455 section 5): wsproto's, with limits and with masks from the injected `rng`.

What nearly all traffic is, whole text frames without compression, is read without wsproto, which
takes some 10 us for each, and 1 KB for each connection that it stands ready for. So is the close
frame, for which it would otherwise be made in vain.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from wsproto.frame_protocol import (
    CloseReason,
    Frame,
    FrameDecoder,
    FrameProtocol,
    Opcode,
    ParseFailed,
    RsvBits,
    XorMaskerSimple,
)

from im_proto.deflate import BoundedDeflate
from im_proto.handshake import Refused
from im_proto.limits import FrameLimits

__all__ = ["CLOSE_CODES", "Frames"]

#: wsproto is fed at most so much at once and then drained, so that a limit acts in time.
_SLICE: Final = 65536
#: Up to here one big XOR beats the four translations of wsproto: 0.5 against 0.9 us at 64 B, 1.3
#: alike at 512 B, and 15 against 10 us at 8 KiB.
_SHORT: Final = 512
_NO_RSV: Final = RsvBits(False, False, False)
#: The codes that may be sent: those of RFC 6455 section 7.4.1 and of the IANA registry that are
#: not for local use only, and what section 7.4.2 leaves to libraries and applications.
CLOSE_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1014), *range(3000, 5000)})
#: What DEFLATE may add to text that it can't shorten (stored blocks and their headers).
_STORED: Final = 1024
#: The first byte of a text message in one frame: FIN, no reserved bit, the opcode.
_WHOLE_TEXT: Final = 0x81
#: … and of a close frame.
_CLOSE: Final = 0x88


def _mask(key: bytes, data: bytes) -> bytes:
    """Mask or unmask one whole payload (section 5.3)."""
    size = len(data)
    if size > _SHORT:
        return bytes(XorMaskerSimple(key).process(bytearray(data)))
    pad = (key * ((size >> 2) + 1))[:size]
    mixed = int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")
    return mixed.to_bytes(size, "little")


class _Mask(XorMaskerSimple):
    """The same for wsproto."""

    def process(self, data: bytes | bytearray) -> bytearray:
        return bytearray(_mask(bytes(self._masking_key), bytes(data)))


class _Decoder(FrameDecoder):
    """wsproto's decoder with limits, which judges a frame by its header alone."""

    def __init__(
        self, client: bool, deflate: BoundedDeflate | None, limits: FrameLimits, *, binary: bool
    ) -> None:
        super().__init__(client, [] if deflate is None else [deflate])
        self._binary = binary
        self._frame_limit = limits.message_frames
        self._deflate = deflate
        self.byte_limit = limits.message_bytes
        self._frames = 0  # of the message that is coming in
        self._bytes = 0  # of it on the wire, announced ones included
        self._unfinished = False  # a fragment came whose message goes on
        #: frames and messages that are complete; a Ping between two fragments is no end of theirs
        self.finished = 0

    @property
    def partial(self) -> bool:
        """A frame or a message has begun and is not complete."""
        return self._unfinished or self.header is not None or len(self.buffer) > 0

    @property
    def missing(self) -> int:
        """How many bytes the frame still needs that has begun; 0 if that isn't known."""
        return 0 if self.header is None else self.header.payload_len - len(self.buffer)

    def process_buffer(self) -> Frame | None:
        """The next frame, and whether something is complete with it."""
        frame = super().process_buffer()
        if frame is not None and frame.frame_finished and not self._unfinished:
            self.finished += 1
        return frame

    def parse_header(self) -> bool:
        """Admit or refuse a frame as soon as its header is there, before its payload is held."""
        if not super().parse_header():
            return False
        header = self.header
        if header is None:  # pragma: no cover - wsproto sets it when it answers True
            return False
        # The whole frame in one piece: linear however it dribbles in, and unmasked in one go.
        self.payload_required = header.payload_len
        if isinstance(self.masker, XorMaskerSimple):
            self.masker = _Mask(self.masker._masking_key)
        if header.opcode.iscontrol():
            return True
        if header.opcode is Opcode.BINARY and not self._unfinished and not self._binary:
            raise ParseFailed("binary message", CloseReason.UNSUPPORTED_DATA)
        self._frames += 1
        self._bytes += header.payload_len
        compressed = self._deflate is not None and self._deflate.compressed
        if self._bytes > self.byte_limit + (_STORED if compressed else 0):
            raise ParseFailed("message too big", CloseReason.MESSAGE_TOO_BIG)
        if self._frames > self._frame_limit:
            raise ParseFailed("too many fragments", CloseReason.POLICY_VIOLATION)
        self._unfinished = not header.fin
        if header.fin:
            self._frames = self._bytes = 0
        return True


class _Protocol(FrameProtocol):
    """wsproto's frames of one connection, with that decoder."""

    def __init__(self, client: bool, deflate: BoundedDeflate | None, decoder: _Decoder) -> None:
        super().__init__(client, [] if deflate is None else [deflate])
        self.decoder = self._frame_decoder = decoder


class Frames:
    """Frames with our limits, and with masking keys from the injected `rng`."""

    __slots__ = (
        "_binary", "_byte_limit", "_deflate", "_finished", "_limits", "_protocol", "_rng", "_whole",
        "cut",
    )  # fmt: skip

    def __init__(
        self,
        deflate: BoundedDeflate | None,
        limits: FrameLimits,
        rng: random.Random | None,
        *,
        binary: bool,
    ) -> None:
        self._deflate = deflate
        self._limits = limits
        self._rng = rng  # None: the server's side
        self._binary = binary
        self._byte_limit = limits.message_bytes
        self._finished = 0  # without wsproto
        #: the beginning of a text frame that goes on, for `joined`; and how long it will be
        self.cut: bytearray | None = None
        self._whole = 0
        # there once something came that is no whole text frame
        self._protocol: _Protocol | None = None

    def allow(self, message_bytes: int) -> None:
        """A message may have so many bytes from now on, also the one that is half here."""
        self._byte_limit = message_bytes
        if self._protocol is not None:
            self._protocol.decoder.byte_limit = message_bytes
        if self._deflate is not None:
            self._deflate.max_message = message_bytes

    @property
    def partial(self) -> bool:
        """A frame or a message has begun and is not complete."""
        protocol = self._protocol
        return self.cut is not None or (protocol is not None and protocol.decoder.partial)

    @property
    def finished(self) -> int:
        """How many frames and messages are complete; a Ping between two fragments is not."""
        protocol = self._protocol
        return self._finished if protocol is None else self._finished + protocol.decoder.finished

    def joined(self, data: bytes) -> bytes:
        """`data` behind what was `cut`; nothing while that is no whole frame."""
        cut = self.cut
        assert cut is not None
        cut += data
        if len(cut) < self._whole:
            return b""
        self.cut = None
        return bytes(cut)

    def texts(self, data: bytes, at: int) -> tuple[list[str], int]:
        """The messages that stand in `data` from `at` on as whole text frames, and where they end.
        One that is cut off behind its header is kept for `joined`.

        The fast path beside `read`, which gets whatever is anything else, or may be wrong: what is
        taken here `read` would take alike.
        """
        texts: list[str] = []
        protocol = self._protocol
        if self._deflate is not None or (protocol is not None and protocol.decoder.partial):
            return texts, at
        masked = self._rng is None
        limit = self._byte_limit
        end = len(data)
        key = b""
        while end - at >= 2 and data[at] == _WHOLE_TEXT:
            # a length above 126: 64 KiB or more, or masked where it must not be or the other way
            length = data[at + 1] ^ 0x80 if masked else data[at + 1]
            start = at + 2
            if length == 126:
                start += 2
                length = int.from_bytes(data[at + 2 : start], "big")
                if length < 126:
                    break
            elif length > 126:
                break
            if masked:
                key = data[start : start + 4]
                start += 4
            if start > end or length > limit:
                break
            stop = start + length
            if stop > end:
                self.cut, self._whole = bytearray(data[at:]), stop - at
                at = end
                break
            payload = data[start:stop]
            try:
                texts.append(str(_mask(key, payload) if masked else payload, "utf-8"))
            except UnicodeDecodeError:
                break
            at = stop
        self._finished += len(texts)
        return texts, at

    def closing(self, piece: bytes) -> Frame | None:
        """The close frame that `piece` begins with, whole and as most are, where nothing came yet
        that wsproto was made for; else None. For `read`, which would say the same of it."""
        masked = self._rng is None
        if self._protocol is not None or len(piece) < 4 or piece[0] != _CLOSE:
            return None
        length = piece[1] ^ 0x80 if masked else piece[1]
        start = 6 if masked else 2
        if not 2 <= length <= 125 or start + length > len(piece):
            return None
        payload = piece[start : start + length]
        if masked:
            payload = _mask(piece[2:6], payload)
        code, reason = int.from_bytes(payload[:2], "big"), payload[2:]
        if code not in CLOSE_CODES or not reason.isascii():
            return None
        return Frame(Opcode.CLOSE, (code, reason.decode("ascii")), True, True)

    def piece(self, data: bytes, at: int) -> bytes:
        """What `read` is to be fed with next: the rest of the frame that has begun, so that `texts`
        may go on behind it, or else a slice."""
        missing = 0 if self._protocol is None else self._protocol.decoder.missing
        return data[at : at + min(missing or _SLICE, _SLICE)]

    def read(self, piece: bytes) -> Iterator[Frame]:
        """The frames that `piece` completes. With `parse` the only door to foreign parsers."""
        closing = self.closing(piece)
        if closing is not None:
            self._finished += 1
            yield closing
            return  # nothing counts behind it
        protocol = self._protocol or self._begin()
        try:
            protocol.receive_bytes(piece)
            yield from protocol.received_frames()  # wsproto parses here, and raises here
        except ParseFailed as exc:
            raise Refused(int(exc.code), str(exc)) from None
        except Exception as exc:  # whatever else: a peer's bytes never raise
            raise Refused(1002, f"frame parser failed: {type(exc).__name__}") from None

    def _begin(self) -> _Protocol:
        client, deflate = self._rng is not None, self._deflate
        decoder = _Decoder(client, deflate, self._limits, binary=self._binary)
        decoder.byte_limit = self._byte_limit
        self._protocol = _Protocol(client, deflate, decoder)
        return self._protocol

    def frame(self, opcode: int, payload: bytes) -> bytes:
        """One unfragmented frame (section 5.2)."""
        first = 0x80 | opcode
        if self._deflate is not None:
            rsv, payload = self._deflate.frame_outbound(
                self._protocol or self._begin(), Opcode(opcode), _NO_RSV, payload, True
            )
            first |= rsv.rsv1 << 6
        size = len(payload)
        masked = 0 if self._rng is None else 0x80
        if size < 126:
            head = (first << 8 | masked | size).to_bytes(2, "big")
        elif size < 65536:
            head = (first << 24 | (masked | 126) << 16 | size).to_bytes(4, "big")
        else:
            head = (first << 72 | (masked | 127) << 64 | size).to_bytes(10, "big")
        if self._rng is None:  # a server masks nothing (section 5.1)
            return head + payload
        key = self._rng.getrandbits(32).to_bytes(4, "big")
        return head + key + _mask(key, payload)
