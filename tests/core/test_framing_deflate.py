"""permessage-deflate (RFC 7692), bounded."""

from __future__ import annotations

import random
import tracemalloc
import zlib

import pytest

from core.test_framing_kit import (
    CONT,
    LIMITS,
    PING,
    TEXT,
    answer,
    feed,
    frame,
    get,
    open_pair,
    single_bytes,
    waiting_client,
)
from im_proto.framing import (
    Framing,
    HandshakeAccepted,
    PingFrame,
    TextFrame,
    Violation,
)
from im_proto.limits import FrameLimits

RSV1 = 4


def deflate(data: bytes, level: int = 6, bits: int = 15) -> bytes:
    """One message by the book: section 7.2.1."""
    maker = zlib.compressobj(level, zlib.DEFLATED, -bits)
    return (maker.compress(data) + maker.flush(zlib.Z_SYNC_FLUSH))[:-4]


def read_in_window(data: bytes, bits: int) -> str:
    """What a peer with so small a window makes of a message."""
    rest = data + b"\0\0\xff\xff"
    reader, read = zlib.decompressobj(-bits), b""
    while rest:  # in small steps: in one go zlib looks back further than its window
        read += reader.decompress(rest, 32)
        rest = reader.unconsumed_tail
    return read.decode()


def deflating_server(
    offer: str = "permessage-deflate", limits: FrameLimits = LIMITS
) -> tuple[Framing, bytes]:
    server = Framing.server(limits=limits, compression=True)
    server.receive(get(f"Sec-WebSocket-Extensions: {offer}"), 0.0)
    return server, server.accept()


def deflating_client(parameters: str = "") -> Framing:
    client = waiting_client(compression=True)
    events = client.receive(
        answer(f"Sec-WebSocket-Extensions: permessage-deflate{parameters}"), 0.0
    )
    assert events == [HandshakeAccepted(subprotocol=None)]
    return client


def one(events: list[object]) -> Violation:
    (event,) = events
    assert isinstance(event, Violation)
    assert "parser failed" not in event.reason
    return event


def test_it_compresses_and_both_sides_read_it():
    client, server = open_pair(compression=True)
    text = '{"type": "CHAT_SEND_TO_ONE_REQUEST"}' * 100
    for _ in range(3):
        wire = client.send_text(text)
        assert len(wire) < len(text) / 10
        assert server.receive(wire, 0.0) == [TextFrame(text=text)]
        assert client.receive(server.send_text(text), 0.0) == [TextFrame(text=text)]


def test_short_messages_go_as_they_are():
    client, server = open_pair(compression=True)
    wire = client.send_text("x" * 200)
    assert wire[0] == 0x81
    assert server.receive(wire, 0.0) == [TextFrame(text="x" * 200)]
    assert client.send_text("x" * 300)[0] == 0xC1


@pytest.mark.parametrize(
    ("offer", "reply"),
    [
        ("permessage-deflate", ""),
        ("permessage-deflate; client_max_window_bits", ""),
        ("permessage-deflate; client_max_window_bits=10; client_no_context_takeover", ""),
        ("permessage-deflate; server_max_window_bits=10", "; server_max_window_bits=10"),
        ('permessage-deflate; server_max_window_bits="9"', "; server_max_window_bits=9"),
        ("x, permessage-deflate; y, permessage-deflate", ""),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", ""),
    ],
)
def test_offers_that_are_taken(offer, reply):
    server, head = deflating_server(offer)
    want = f"permessage-deflate; server_no_context_takeover; client_no_context_takeover{reply}"
    assert f"\r\nSec-WebSocket-Extensions: {want}\r\n".encode() in head
    text = "".join(random.Random(1).choices("abcdefgh", k=1000)) * 3  # repeats out of 9 bits' reach
    wire = frame(TEXT, deflate(text.encode()), rsv=RSV1)
    assert server.receive(wire * 2, 0.0) == [TextFrame(text=text)] * 2
    bits = int(reply[-2:].strip("=") or 15)
    assert read_in_window(server.send_text(text)[4:], bits) == text


@pytest.mark.parametrize("bits", range(8, 16))
def test_client_reads_every_window_of_a_server(bits):
    client = deflating_client(f"; server_max_window_bits={bits}; server_no_context_takeover")
    wire = frame(TEXT, deflate(b"hello " * 100, bits=max(bits, 9)), rsv=RSV1, mask=None)
    assert client.receive(wire * 2, 0.0) == [TextFrame(text="hello " * 100)] * 2


@pytest.mark.parametrize("bits", range(9, 15))
def test_client_compresses_for_every_window_of_a_server(bits):
    client = deflating_client(f"; client_max_window_bits={bits}")
    # It repeats itself just out of the window's reach.
    text = "".join(random.Random(1).choices("abcdefgh", k=2**bits + 100)) * 3
    wire = client.send_text(text)
    assert wire[0] == 0xC1
    data = bytes(byte ^ wire[4 + i % 4] for i, byte in enumerate(wire[8:]))
    assert read_in_window(data, bits) == text


def test_client_sends_as_it_is_for_a_window_that_zlib_can_not_make():
    client = deflating_client("; client_max_window_bits=8")
    assert client.send_text("x" * 1000)[0] == 0x81


def test_server_that_keeps_its_context():
    """Without server_no_context_takeover the second message refers to the first."""
    maker = zlib.compressobj(6, zlib.DEFLATED, -15)
    client = deflating_client()
    for _ in range(3):
        data = maker.compress(b"hello world " * 5) + maker.flush(zlib.Z_SYNC_FLUSH)
        wire = frame(TEXT, data[:-4], rsv=RSV1, mask=None)
        assert client.receive(wire, 0.0) == [TextFrame(text="hello world " * 5)]
    assert len(wire) < 20


def test_ping_between_compressed_fragments():
    """wsproto issue 205: the Ping went through the inflater, and ended the message."""
    data = deflate(b"hello " * 1000, level=1)
    assert len(data) > 20
    wire = (
        frame(PING, b"first")
        + frame(TEXT, data[:10], fin=False, rsv=RSV1)
        + frame(PING, b"between")
        + frame(CONT, data[10:15], fin=False)
        + frame(PING, b"again")
        + frame(CONT, data[15:])
        + frame(TEXT, b"plain")
    )
    want = [
        PingFrame(payload=b"first"),
        PingFrame(payload=b"between"),
        PingFrame(payload=b"again"),
        TextFrame(text="hello " * 1000),
        TextFrame(text="plain"),
    ]
    assert deflating_server()[0].receive(wire, 0.0) == want
    assert feed(deflating_server()[0], single_bytes(wire)) == want


def test_bomb_is_stopped_at_the_limit():
    bomb = deflate(b"\0" * (60 * 2**20), level=9)
    assert len(bomb) < 65536
    server, _ = deflating_server()
    wire = frame(TEXT, bomb, rsv=RSV1)
    tracemalloc.start()
    event = one(server.receive(wire, 0.0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert event.code == 1009
    assert peak < 2**20  # 181 MB with wsproto's own class


def test_bomb_in_fragments_is_summed():
    server, _ = deflating_server()
    data = deflate(b"\0" * 70_000)
    pieces = [data[i : i + 10] for i in range(0, len(data), 10)]
    assert len(pieces) > 4  # none of them is too big by itself
    wire = frame(TEXT, pieces[0], fin=False, rsv=RSV1)
    wire += b"".join(frame(CONT, piece, fin=False) for piece in pieces[1:]) + frame(CONT)
    assert one(server.receive(wire, 0.0)).code == 1009


def test_limit_is_exact_after_inflation():
    limits = FrameLimits(message_bytes=1000)
    server, _ = deflating_server(limits=limits)
    wire = frame(TEXT, deflate(b"x" * 1000), rsv=RSV1)
    assert server.receive(wire * 3, 0.0) == [TextFrame(text="x" * 1000)] * 3
    assert one(server.receive(frame(TEXT, deflate(b"x" * 1001), rsv=RSV1), 0.0)).code == 1009


def test_a_limit_that_is_raised_counts_after_inflation():
    server, _ = deflating_server(limits=FrameLimits(message_bytes=1000))
    server.allow(9000)
    wire = frame(TEXT, deflate(b"x" * 9000), rsv=RSV1)
    assert server.receive(wire, 0.0) == [TextFrame(text="x" * 9000)]
    stored = frame(TEXT, deflate(b"x" * 9000, level=0), rsv=RSV1)
    assert server.receive(stored, 0.0) == [TextFrame(text="x" * 9000)]
    assert one(server.receive(frame(TEXT, deflate(b"x" * 9001), rsv=RSV1), 0.0)).code == 1009


def test_message_of_the_limit_that_does_not_compress():
    server, _ = deflating_server()
    text = "x" * LIMITS.message_bytes
    stored = deflate(text.encode(), level=0)
    assert len(stored) > LIMITS.message_bytes
    assert server.receive(frame(TEXT, stored, rsv=RSV1), 0.0) == [TextFrame(text=text)]


def test_announced_length_is_bounded_on_the_wire_too():
    server, _ = deflating_server()
    assert one(server.receive(frame(TEXT, rsv=RSV1, announced=70_000), 0.0)).code == 1009


def test_plain_message_is_bounded_too():
    server, _ = deflating_server(limits=FrameLimits(message_bytes=1000))
    assert one(server.receive(frame(TEXT, b"x" * 5000), 0.0)).code == 1009


def test_rsv1_where_it_may_not_be():
    for data in (
        frame(PING, rsv=RSV1),
        frame(TEXT, b"x", fin=False) + frame(CONT, b"y", rsv=RSV1),
        frame(TEXT, b"x", rsv=RSV1 | 2),
    ):
        server, _ = deflating_server()
        assert one(server.receive(data, 0.0)).code == 1002


def test_garbage_in_place_of_a_stream():
    server, _ = deflating_server()
    assert one(server.receive(frame(TEXT, b"\xff" * 20, rsv=RSV1), 0.0)).code == 1007


def test_invalid_utf8_inside():
    server, _ = deflating_server()
    assert one(server.receive(frame(TEXT, deflate(b"\xff"), rsv=RSV1), 0.0)).code == 1007


def test_example_with_a_final_block():
    """Section 7.2.3.5: "Hello" in a block with BFINAL, with its byte of padding or without."""
    for hello in (bytes.fromhex("f348cdc9c9070000"), bytes.fromhex("f348cdc9c90700")):
        for cut in range(len(hello)):
            # The client's peer keeps its context, yet such a block ends the stream.
            for framing, mask in ((deflating_server()[0], b"mask"), (deflating_client(), None)):
                wire = frame(TEXT, hello[:cut], fin=False, rsv=RSV1, mask=mask)
                wire += frame(CONT, hello[cut:], mask=mask)
                assert framing.receive(wire * 2, 0.0) == [TextFrame(text="Hello")] * 2


def test_nothing_hides_after_a_final_block():
    server, _ = deflating_server()
    wire = frame(TEXT, bytes.fromhex("f348cdc9c90700") + b"more", rsv=RSV1)
    assert one(server.receive(wire, 0.0)).code == 1007


def test_example_of_the_rfc_in_two_fragments():
    """Section 7.2.3.1."""
    hello = bytes.fromhex("f248cdc9c90700")
    server, _ = deflating_server()
    wire = frame(TEXT, hello[:3], fin=False, rsv=RSV1) + frame(CONT, hello[3:])
    assert server.receive(wire, 0.0) == [TextFrame(text="Hello")]


def test_empty_compressed_message():
    server, _ = deflating_server()
    assert server.receive(frame(TEXT, b"\0", rsv=RSV1), 0.0) == [TextFrame(text="")]
