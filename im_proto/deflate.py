"""permessage-deflate (RFC 7692) that cannot be made to inflate without bound.

Off unless asked for. wsproto's own class inflates whatever comes, loses its state when a Ping
stands between two compressed fragments, and takes any parameter; so what
is read from the peer is handled here, and wsproto's class gives the outgoing half.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason, Opcode, RsvBits

if TYPE_CHECKING:
    from wsproto.frame_protocol import FrameDecoder, FrameProtocol

__all__ = ["OFFER", "BoundedDeflate"]

_NAME = "permessage-deflate"
_BITS = [str(n) for n in range(8, 16)]
#: The parameters that exist and the values that each may have (RFC 7692 section 7.1).
_ALLOWED: dict[str, list[str | None]] = {
    "server_no_context_takeover": [None],
    "client_no_context_takeover": [None],
    "server_max_window_bits": [*_BITS],
    "client_max_window_bits": [None, *_BITS],
}
#: What we agree to, whatever the role: each message stands for itself.
_AGREED = f"{_NAME}; server_no_context_takeover; client_no_context_takeover"
#: What our client asks for; a server that can hold little may narrow our window.
OFFER = f"{_AGREED}; client_max_window_bits"
#: The end of each message, which its sender leaves out (RFC 7692 section 7.2.2).
_TAIL = b"\x00\x00\xff\xff"
#: A smaller message gains nothing that is worth a new 256 KB compressor.
_WORTH_IT = 256


def _parameters(item: str) -> dict[str, str | None] | None:
    """The parameters of one element of Sec-WebSocket-Extensions; None: not one that we take."""
    name, *rest = (part.strip() for part in item.split(";"))
    found: dict[str, str | None] = {}
    for part in rest:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if len(value) > 2 and value[0] == value[-1] == '"':  # RFC 6455 section 9.1
            value = value[1:-1]
        if key in found or (value if equals else None) not in _ALLOWED.get(key, []):
            return None
        found[key] = value if equals else None
    return found if name == _NAME else None


class BoundedDeflate(PerMessageDeflate):
    """One connection's compression. We never keep a context of our own between messages."""

    def __init__(self, *, max_message: int, peer_resets: bool, bits: int = 15) -> None:
        """`peer_resets`: the peer agreed to begin each message afresh; `bits`: our window."""
        # zlib can't make a raw stream with a window of 8 bits: then nothing is compressed.
        self._able = bits > 8
        super().__init__(True, max(bits, 9), True, max(bits, 9))
        self._enabled = True
        #: bytes of a message, inflated
        self.max_message = max_message
        self._peer_resets = peer_resets
        self._inflater: zlib._Decompress | None = None
        self._inflated = 0  # bytes that came out of the current message
        #: the current message is; its first frame says so
        self.compressed = False
        self._in_data = False  # the current frame is a data frame

    @classmethod
    def accepted(cls, offers: str, *, max_message: int) -> tuple[BoundedDeflate, str] | None:
        """Server: the first offer that we can serve, with our answer (section 7.1); else None."""
        for offer in offers.split(","):
            found = _parameters(offer)
            if found is None or found.get("server_max_window_bits") == "8":  # of no use to anyone
                continue
            bits = found.get("server_max_window_bits")
            answer = _AGREED if bits is None else f"{_AGREED}; server_max_window_bits={bits}"
            return cls(max_message=max_message, peer_resets=True, bits=int(bits or 15)), answer
        return None

    @classmethod
    def confirmed(cls, answer: str, *, max_message: int) -> BoundedDeflate | None:
        """Client: what the server made of `OFFER`; None when it may not answer that."""
        found = _parameters(answer)
        bits = None if found is None else found.get("client_max_window_bits", "15")
        if found is None or bits is None:  # only an offer may leave the number out
            return None
        resets = "server_no_context_takeover" in found
        return cls(max_message=max_message, peer_resets=resets, bits=int(bits))

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,
    ) -> RsvBits:
        """Note what the frame is. RSV1 is only for a message's first frame (section 6)."""
        # wsproto calls this again when the masking key was not there yet: nothing is counted.
        self._in_data = not opcode.iscontrol()
        first = opcode in (Opcode.TEXT, Opcode.BINARY)
        if first:
            self.compressed, self._inflated = rsv.rsv1, 0
        return RsvBits(first, False, False)

    def frame_inbound_payload_data(
        self, proto: FrameDecoder | FrameProtocol, data: bytes
    ) -> bytes | CloseReason:
        """Inflate one frame's payload; a Ping between fragments passes untouched."""
        return self._inflate(data) if self._in_data and self.compressed else data

    def frame_inbound_complete(
        self, proto: FrameDecoder | FrameProtocol, fin: bool
    ) -> bytes | CloseReason | None:
        """Give the inflater the tail that the sender left out, at the end of a message."""
        if not (fin and self._in_data and self.compressed):
            return None
        rest = self._inflate(_TAIL)
        if self._peer_resets or (self._inflater is not None and self._inflater.eof):
            self._inflater = None
        return rest

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        if self._inflater is None:
            self._inflater = zlib.decompressobj(-15)  # the widest window reads every narrower one
        room = self.max_message - self._inflated
        try:
            # One more than there is room for: less came out, so all of the input was used.
            out = self._inflater.decompress(data, room + 1)
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        # After a block with BFINAL (section 7.2.3.5) only padding and the tail may follow.
        unused = self._inflater.unused_data
        if unused and not ((b"\x00" + _TAIL).startswith(unused) or _TAIL.startswith(unused)):
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        self._inflated += len(out)
        return out if len(out) <= room else CloseReason.MESSAGE_TOO_BIG

    def frame_outbound(
        self,
        proto: FrameDecoder | FrameProtocol,
        opcode: Opcode,
        rsv: RsvBits,
        data: bytes,
        fin: bool,
    ) -> tuple[RsvBits, bytes]:
        """Compress what gains by it; RSV1 = 0 sends a message as it is (section 6)."""
        if len(data) < _WORTH_IT or not self._able:
            return rsv, data
        return super().frame_outbound(proto, opcode, rsv, data, fin)
