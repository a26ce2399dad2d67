"""What several targets look at."""

from __future__ import annotations

import math

import h11

from im_proto.frames import CLOSE_CODES
from im_proto.framing import (
    BinaryFrame,
    CloseFrame,
    FrameEvent,
    Framing,
    PingFrame,
    PongFrame,
    TextFrame,
    Violation,
)
from im_proto.limits import FrameLimits

#: in the requests and messages of the seeds where a token is, and nowhere else
SECRET = "s3cr3t-t0ken"


def check_words(words: str, limit: int) -> None:
    """One line that may be logged."""
    assert words.isprintable() and len(words) <= limit, words


def check_frame_events(events: list[FrameEvent], limits: FrameLimits, *, server: bool) -> None:
    """What a framing may say, and nothing after the last word."""
    for at, event in enumerate(events):
        repr(event)
        if isinstance(event, TextFrame):
            assert len(event.text.encode()) <= limits.message_bytes
        elif isinstance(event, BinaryFrame):
            assert len(event.payload) <= limits.message_bytes
        elif isinstance(event, PingFrame | PongFrame):
            assert len(event.payload) <= 125
        elif isinstance(event, CloseFrame):
            assert event.code in CLOSE_CODES or event.code == 1005, event
            assert at == len(events) - 1, "something after the peer's close"
        elif isinstance(event, Violation):
            assert event.reason.isascii(), event
            check_words(event.reason, 123)  # what a close frame has room for
            assert at == len(events) - 1, "something after a violation"
            if server and event.handshake:
                assert 400 <= event.code <= 431, event
            else:
                assert event.code in CLOSE_CODES, event


def held(framing: Framing) -> int:
    """How many bytes of the peer's a framing holds."""
    total = sum(len(piece.encode()) for piece in framing._text) + len(framing._bytes)
    if framing._frames is not None:
        protocol = framing._frames._protocol
        total += 0 if protocol is None else len(protocol.decoder.buffer)
    elif framing._opening is not None:
        total += len(framing._opening.heads.buffer)
    return total


def check_held(framing: Framing, limits: FrameLimits, compressed: bool = False) -> None:
    """No more than one message or one head, and what a frame has around it."""
    most = limits.handshake_bytes
    if framing._frames is not None:
        deflate = framing._frames._deflate
        inflated = 0 if deflate is None else deflate._inflated
        assert inflated <= limits.message_bytes + 1, "a bomb was inflated"
        # complete fragments, and behind them a frame that is not
        most = limits.message_bytes * 2 if compressed else limits.message_bytes
        most += 1024 + 14
    if framing._deaf:
        return  # its owner is told to let it go
    assert len(framing._text) <= limits.message_frames
    assert held(framing) <= most, f"{held(framing)} bytes are held, of at most {most}"


def check_answer(data: bytes, status: int) -> h11.Response:
    """An HTTP answer that ends, to whoever reads it strictly."""
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    http.send(h11.EndOfMessage())
    http.receive_data(data)
    answer = http.next_event()
    assert isinstance(answer, h11.Response), answer
    assert answer.status_code == status
    while not isinstance(event := http.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data), event
    return answer


def check_deadline(at: float | None, before: float | None, latest: float) -> None:
    """A new deadline does not lie in the past, and is a number."""
    assert at is None or math.isfinite(at), at
    if at is not None and (before is None or at < before):
        assert at >= latest, f"a deadline in the past: {at}, now {latest}"
