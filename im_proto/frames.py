"""Frames (RFC 6455 section 5): wsproto's, with limits and with masks from the injected `rng`."""

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
#: Up to here one big XOR beats the four translations of wsproto: 0.4 against 2.5 us at 10 B.
_SHORT: Final = 1024
_NO_RSV: Final = RsvBits(False, False, False)
#: The codes that may be sent: those of RFC 6455 section 7.4.1 and of the IANA registry that are
#: not for local use only, and what section 7.4.2 leaves to libraries and applications.
CLOSE_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1014), *range(3000, 5000)})
#: What DEFLATE may add to text that it can't shorten (stored blocks and their headers).
_STORED: Final = 1024


class _Mask(XorMaskerSimple):
    """Masks or unmasks one whole payload (section 5.3); fast for short ones."""

    def process(self, data: bytes | bytearray) -> bytearray:
        size = len(data)
        if size > _SHORT:
            return super().process(bytearray(data))
        pad = (bytes(self._masking_key) * ((size >> 2) + 1))[:size]
        mixed = int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")
        return bytearray(mixed.to_bytes(size, "little"))


class _Decoder(FrameDecoder):
    """wsproto's decoder with limits, which judges a frame by its header alone."""

    def __init__(
        self, client: bool, deflate: BoundedDeflate | None, limits: FrameLimits, *, binary: bool
    ) -> None:
        super().__init__(client, [] if deflate is None else [deflate])
        self._binary = binary
        self._frame_limit = limits.message_frames
        self._deflate = deflate
        self.allow(limits.message_bytes)
        self._frames = 0  # of the message that is coming in
        self._bytes = 0  # of it on the wire, announced ones included
        self._unfinished = False  # a fragment came whose message goes on
        #: frames and messages that are complete; a Ping between two fragments is no end of theirs
        self.finished = 0

    def allow(self, message_bytes: int) -> None:
        """A message may have so many bytes from now on, also the one that is half here."""
        self._byte_limit = message_bytes
        if self._deflate is not None:
            self._deflate.max_message = message_bytes

    @property
    def partial(self) -> bool:
        """A frame or a message has begun and is not complete."""
        return self._unfinished or self.header is not None or len(self.buffer) > 0

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
        if self._bytes > self._byte_limit + (_STORED if compressed else 0):
            raise ParseFailed("message too big", CloseReason.MESSAGE_TOO_BIG)
        if self._frames > self._frame_limit:
            raise ParseFailed("too many fragments", CloseReason.POLICY_VIOLATION)
        self._unfinished = not header.fin
        if header.fin:
            self._frames = self._bytes = 0
        return True


class Frames(FrameProtocol):
    """wsproto's frames with our limits, and with masking keys from the injected `rng`."""

    def __init__(
        self,
        deflate: BoundedDeflate | None,
        limits: FrameLimits,
        rng: random.Random | None,
        *,
        binary: bool,
    ) -> None:
        client = rng is not None
        super().__init__(client, [] if deflate is None else [deflate])
        self.decoder = self._frame_decoder = _Decoder(client, deflate, limits, binary=binary)
        self._deflate = deflate
        self._rng = rng

    def read(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes. With `parse` the only door to foreign parsers."""
        try:
            for start in range(0, len(data), _SLICE):
                self.receive_bytes(data[start : start + _SLICE])
                yield from self.received_frames()  # wsproto parses here, and raises here
        except ParseFailed as exc:
            raise Refused(int(exc.code), str(exc)) from None
        except Exception as exc:  # whatever else: a peer's bytes never raise
            raise Refused(1002, f"frame parser failed: {type(exc).__name__}") from None

    def frame(self, opcode: Opcode, payload: bytes) -> bytes:
        """One unfragmented frame (section 5.2)."""
        return bytes(self._serialize_frame(opcode, payload))

    def _serialize_frame(
        self, opcode: Opcode, payload: bytes | bytearray = b"", fin: bool = True
    ) -> bytearray:
        first = int(opcode) | (fin << 7)
        if self._deflate is not None:
            rsv, payload = self._deflate.frame_outbound(self, opcode, _NO_RSV, bytes(payload), fin)
            first |= rsv.rsv1 << 6
        size = len(payload)
        masked = 0 if self._rng is None else 0x80
        if size < 126:
            frame = bytearray((first, masked | size))
        elif size < 65536:
            frame = bytearray((first, masked | 126)) + size.to_bytes(2, "big")
        else:
            frame = bytearray((first, masked | 127)) + size.to_bytes(8, "big")
        if self._rng is None:  # a server masks nothing (section 5.1)
            return frame + payload
        key = self._rng.getrandbits(32).to_bytes(4, "big")
        return frame + key + _Mask(key).process(payload)
