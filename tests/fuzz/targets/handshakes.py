"""The opening handshake, both sides, and the tunnel through a proxy: heads in any pieces."""

from __future__ import annotations

import random

from im_proto.framing import (
    FrameEvent,
    Framing,
    HandshakeAccepted,
    HandshakeRejected,
    HandshakeRequested,
    Violation,
)
from im_proto.handshake import Refused
from im_proto.limits import FrameLimits
from im_proto.tunnel import Tunnel
from tests.fuzz.feed import Feed, cut
from tests.fuzz.judge import check_answer, check_frame_events, check_held, check_words

LIMITS = (FrameLimits(), FrameLimits(handshake_bytes=300, handshake_headers=6, message_bytes=64))
#: what a client asks for
SUBPROTOCOLS: tuple[tuple[str, ...], ...] = ((), ("im.v1",), ("im.v1", "im.v2"))


class SampleKey(random.Random):
    """Draws the key of RFC 6455 section 1.3, so that a seed can answer it."""

    def randbytes(self, n: int) -> bytes:
        return b"the sample nonce" if n == 16 else super().randbytes(n)


def fuzz_handshake_server(data: bytes) -> None:
    """A request of anybody's, and both answers to it."""
    feed = Feed(data)
    compression, limits, how = feed.flag(), feed.pick(LIMITS), feed.byte()
    stream = feed.rest()

    def served(how: int) -> tuple[Framing, list[FrameEvent]]:
        framing = Framing.server(limits=limits, compression=compression)
        events = _given(framing, cut(stream, how), limits)
        check_frame_events(events, limits, server=True)
        return framing, events

    _, whole = served(0)
    for single in (served(1)[1], served(how)[1]):
        # what follows a request before its answer is wrong; it may come with it, or behind it
        if isinstance(single[-1:] and single[0], HandshakeRequested):
            assert whole[-1] == single[-1], (whole, single)
        else:
            assert whole == single, (whole, single)
    framing, events = served(how)
    last = events[-1] if events else None
    if isinstance(last, Violation):
        assert framing.receive(b"x", 0.0) == [] and not framing.open
        check_answer(framing.reject(last.code, reason=last.reason), last.code)
    elif isinstance(last, HandshakeRequested):
        assert len(last.headers) <= limits.handshake_headers
        assert sum(len(name) + len(value) for name, value in last.headers) < limits.handshake_bytes
        _answer(framing, last)
        check_answer(served(how)[0].reject(403, reason="no"), 403)
    else:
        check_answer(framing.reject(503), 503)


def _answer(framing: Framing, asked: HandshakeRequested) -> None:
    assert asked.target.startswith("/") and asked.target.isprintable() and asked.host
    assert all("\r" not in value and "\n" not in value for _, value in asked.headers)
    out = framing.accept(asked.subprotocols[0] if asked.subprotocols else None)
    head = out.decode("ascii")
    assert head.startswith("HTTP/1.1 101 ") and head.endswith("\r\n\r\n")
    assert head.count("\r\n\r\n") == 1 and head.count("\n") == head.count("\r\n")
    assert framing.open and not framing.partial


def fuzz_handshake_client(data: bytes) -> None:
    """An answer of anybody's, interim ones and first frames too."""
    feed = Feed(data)
    compression, limits, how = feed.flag(), feed.pick(LIMITS), feed.byte()
    subprotocols = feed.pick(SUBPROTOCOLS)
    stream = feed.rest()

    def asked(how: int) -> tuple[Framing, list[FrameEvent]]:
        framing = Framing.client(
            host="h", target="/", rng=SampleKey(1), limits=limits,
            subprotocols=subprotocols, compression=compression,
        )  # fmt: skip
        framing.request()
        events = _given(framing, cut(stream, how), limits)
        check_frame_events(events, limits, server=False)
        return framing, events

    framing, whole = asked(0)
    assert whole == asked(1)[1] == asked(how)[1]
    for at, event in enumerate(whole):
        if isinstance(event, HandshakeAccepted):
            assert at == 0 and (event.subprotocol in subprotocols or not subprotocols)
        elif isinstance(event, HandshakeRejected):
            assert at == 0 and len(whole) == 1, "something after a refusal"
            assert event.status != 101 and 200 <= event.status <= 999
            assert event.retry_after is None or 0 <= event.retry_after <= 86400
            check_words(event.reason, 100)
        else:
            assert at > 0 or (isinstance(event, Violation) and event.handshake), event
    if framing.open:
        framing.send_text("hello")


def fuzz_tunnel(data: bytes) -> None:
    """A proxy's answer to CONNECT."""
    feed = Feed(data)
    how, stream = feed.byte(), feed.rest()
    whole, single = _tunnelled(cut(stream, 0)), _tunnelled(cut(stream, 1))
    if single[0] is True:
        # what it says behind its answer is wrong, however it comes
        assert (whole == single) if len(single) == 1 else isinstance(whole[-1], Refused)
    else:
        assert str(whole) == str(single), (whole, single)
    _tunnelled(cut(stream, how))


def _tunnelled(pieces: list[bytes]) -> list[bool | Refused]:
    """True when the tunnel is there, and a `Refused` as the last; [False]: not yet."""
    tunnel = Tunnel("http://user:password@proxy:3128", "chat.example", 443)
    assert tunnel.request().startswith(b"CONNECT chat.example:443 HTTP/1.1\r\n")
    said: list[bool | Refused] = []
    for piece in pieces:
        try:
            if tunnel.receive(piece):
                said.append(True)
        except Refused as refused:
            check_words(refused.reason, 300)
            return [*said, refused]
        assert len(tunnel._heads.buffer) <= FrameLimits().handshake_bytes
    assert tunnel.open == bool(said)
    return said or [False]


def _given(framing: Framing, pieces: list[bytes], limits: FrameLimits) -> list[FrameEvent]:
    events: list[FrameEvent] = []
    for piece in pieces:
        events += framing.receive(piece, 0.0)
        check_held(framing, limits)
    return events
