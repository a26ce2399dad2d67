"""What the framing tests share: hand-made bytes, independent of the code under test."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Sequence

from hypothesis import strategies as st

from im_proto.framing import FrameEvent, Framing, HandshakeAccepted, HandshakeRequested
from im_proto.limits import FrameLimits

LIMITS = FrameLimits()
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"\x11\x22\x33\x44",
    announced: int | None = None,
    form: int | None = None,
) -> bytes:
    """One frame by the book, or not: any length field, any bits. `mask` None: from a server."""
    size = len(payload) if announced is None else announced
    form = (0 if size < 126 else 2 if size < 65536 else 8) if form is None else form
    short = {0: size, 2: 126, 8: 127}[form]
    out = bytes([(fin << 7) | (rsv << 4) | opcode, (0x80 if mask else 0) | short])
    out += {0: b"", 2: struct.pack("!H", size & 0xFFFF), 8: struct.pack("!Q", size)}[form]
    if mask:
        out += mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
    else:
        out += payload
    return out


def get(*headers: str, line: str = "GET /im?x=1 HTTP/1.1", drop: Sequence[str] = ()) -> bytes:
    """A correct opening request, plus `headers`, minus those whose name is in `drop`."""
    lines = [
        "Host: chat.example:8080",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
    ]
    kept = [text for text in lines if text.split(":")[0] not in drop]
    return ("\r\n".join([line, *kept, *headers]) + "\r\n\r\n").encode("latin-1")


class KeyRandom(random.Random):
    """Draws the key of RFC 6455 section 1.3, so that its answer can be written by hand."""

    def randbytes(self, n: int) -> bytes:
        return b"the sample nonce" if n == 16 else super().randbytes(n)


def answer(*headers: str, line: str = "HTTP/1.1 101 Switching Protocols", drop=()) -> bytes:
    """A correct 101 to a client with a `KeyRandom`, plus `headers`, minus `drop`."""
    lines = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {ACCEPT}"]
    kept = [text for text in lines if text.split(":")[0] not in drop]
    return ("\r\n".join([line, *kept, *headers]) + "\r\n\r\n").encode("latin-1")


def requested(data: bytes, **options: bool) -> HandshakeRequested:
    """What a server reads in an opening request that it takes."""
    (event,) = Framing.server(limits=LIMITS, **options).receive(data, 0.0)
    assert isinstance(event, HandshakeRequested), event
    return event


def waiting_client(limits: FrameLimits = LIMITS, **options: object) -> Framing:
    """A client that has sent its request."""
    client = Framing.client(
        host="chat.example", target="/im", rng=KeyRandom(7), limits=limits, **options
    )
    client.request()
    return client


def open_client(limits: FrameLimits = LIMITS, **options: object) -> Framing:
    client = waiting_client(limits, **options)
    assert client.receive(answer(), 0.0) == [HandshakeAccepted(subprotocol=None)]
    return client


def open_server(limits: FrameLimits = LIMITS, **options: object) -> Framing:
    server = Framing.server(limits=limits, **options)
    (event,) = server.receive(get(), 0.0)
    assert isinstance(event, HandshakeRequested)
    server.accept()
    return server


def open_pair(
    limits: FrameLimits = LIMITS, *, seed: int = 1, compression: bool = False
) -> tuple[Framing, Framing]:
    """A client and a server of ours, connected."""
    client = Framing.client(
        host="h",
        target="/",
        rng=random.Random(seed),
        limits=limits,
        compression=compression,
    )
    server = Framing.server(limits=limits, compression=compression)
    (event,) = server.receive(client.request(), 0.0)
    assert isinstance(event, HandshakeRequested)
    assert client.receive(server.accept(), 0.0) == [HandshakeAccepted(subprotocol=None)]
    return client, server


def feed(framing: Framing, chunks: Iterable[bytes], now: float = 0.0) -> list[FrameEvent]:
    return [event for chunk in chunks for event in framing.receive(chunk, now)]


def single_bytes(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """`data` in random pieces, empty ones among them."""
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
