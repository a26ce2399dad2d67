"""Frames, both sides, with and without compression: raw bytes and frames by the book."""

from __future__ import annotations

import zlib

from im_proto.deflate import BoundedDeflate
from im_proto.errors import LocalProtocolError
from im_proto.frames import Frames
from im_proto.framing import (
    BinaryFrame,
    CloseFrame,
    FrameEvent,
    Framing,
    PingFrame,
    TextFrame,
    Violation,
)
from im_proto.limits import FrameLimits
from tests.fuzz.feed import Feed, cut
from tests.fuzz.judge import check_frame_events, check_held
from tests.fuzz.targets.handshakes import SampleKey

LIMITS = (
    FrameLimits(),
    FrameLimits(message_bytes=100, message_frames=3, control_burst=4),
)
PIECES = ("raw", "frame", "compressed", "bomb", "fragment")
_MASK = b"\x01\x02\x03\x04"


def fuzz(data: bytes) -> None:
    """Bytes for one side of an open WebSocket, in any pieces; and all that it says is sent back."""
    feed = Feed(data)
    server, compressed, binary = feed.flag(), feed.flag(), feed.flag()
    limits, how = feed.pick(LIMITS), feed.byte()
    window = feed.pick((15, 8, 9)) if compressed else 15
    resets = feed.flag()
    stream = b"".join(_piece(feed, masked=server) for _ in range(200) if not feed.done)

    def received(how: int) -> tuple[Framing, list[FrameEvent]]:
        framing = _opened(server, limits, binary, compressed, window, resets)
        events: list[FrameEvent] = []
        for piece in cut(stream, how):
            events += framing.receive(piece, 0.0)
            check_held(framing, limits, compressed)
            assert (framing.pending > 0) == framing.partial
        check_frame_events(events, limits, server=server)
        assert not any(isinstance(e, BinaryFrame) for e in events) or binary
        return framing, events

    framing, whole = received(0)
    assert whole == received(1)[1] == received(how)[1]
    other = _opened(not server, FrameLimits(), True, compressed, window, resets)
    # an echo of all that was said, which the other side must be able to read
    _echo(framing, other, whole)


def _opened(
    server: bool, limits: FrameLimits, binary: bool, compressed: bool, window: int, resets: bool
) -> Framing:
    if server:
        framing = Framing.server(limits=limits, binary=binary)
    else:
        framing = Framing.client(
            host="h", target="/", rng=SampleKey(1), limits=limits, binary=binary
        )
    deflate = None
    if compressed:
        deflate = BoundedDeflate(
            max_message=limits.message_bytes, peer_resets=server or resets, bits=window
        )
    framing._enter_frames(deflate)
    assert isinstance(framing._frames, Frames) and framing.open
    return framing


def _echo(framing: Framing, other: Framing, events: list[FrameEvent]) -> None:
    for event in events:
        try:
            if isinstance(event, TextFrame):
                assert other.receive(framing.send_text(event.text), 0.0) == [event]
            elif isinstance(event, BinaryFrame):
                assert other.receive(framing.send_binary(event.payload), 0.0) == [event]
            elif isinstance(event, PingFrame):
                (pong,) = other.receive(framing.send_pong(event.payload), 0.0)
                assert getattr(pong, "payload", None) == event.payload or isinstance(
                    pong,
                    Violation,  # a flood of them
                )
            elif isinstance(event, CloseFrame | Violation):
                code = 1000 if event.code == 1005 else event.code
                told = other.receive(framing.send_close(code, event.reason), 0.0)
                assert not other._deaf or all(isinstance(e, CloseFrame | Violation) for e in told)
        except LocalProtocolError:
            # of a framing whose peer is done, and that alone
            assert not framing.open, "a send was refused on an open connection"
        if other._deaf:
            return


def _piece(feed: Feed, *, masked: bool) -> bytes:
    how = feed.pick(PIECES)
    if how == "raw":
        return feed.chunk()
    first = feed.byte()
    payload = feed.chunk()
    if how == "compressed":
        payload, first = _deflated(payload), first | 0x40
    elif how == "bomb":  # much out of little
        payload, first = _deflated(payload[:8] * 2000), first | 0x40
    elif how == "fragment":
        first &= 0x7F
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    if size > 65535:
        length = b"\x7f" + size.to_bytes(8, "big")
    if not masked:
        return bytes([first]) + length + payload
    mixed = bytes(byte ^ _MASK[at % 4] for at, byte in enumerate(payload))
    return bytes([first, length[0] | 0x80]) + length[1:] + _MASK + mixed


def _deflated(payload: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    out = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return out.removesuffix(b"\x00\x00\xff\xff")
