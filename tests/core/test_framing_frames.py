"""Frames: what hostile input does to them, one test for each kind."""

from __future__ import annotations

import struct
import time
import tracemalloc

import pytest
from wsproto.frame_protocol import FrameDecoder

from core.test_framing_kit import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    feed,
    frame,
    open_client,
    open_pair,
    open_server,
    single_bytes,
)
from im_proto.framing import (
    BinaryFrame,
    CloseFrame,
    Framing,
    PingFrame,
    PongFrame,
    TextFrame,
    Violation,
)
from im_proto.limits import FrameLimits

SMALL = FrameLimits(message_bytes=1000, message_frames=5)


def broken(data: bytes, limits: FrameLimits = SMALL, framing: Framing | None = None) -> int:
    """The close code for `data`, whole and byte by byte alike; after it nothing is looked at."""
    server = framing or open_server(limits)
    after = frame(TEXT, b"later") + frame(CLOSE, b"\x03\xe8")
    (event,) = server.receive(data + after, 0.0)
    assert isinstance(event, Violation), event
    assert not event.handshake
    assert "parser failed" not in event.reason
    assert not server.open and not server.partial
    assert server.receive(after, 0.0) == []
    if framing is None:
        assert feed(open_server(limits), single_bytes(data)) == [event]
    assert server.send_close(event.code, event.reason)[:1] == b"\x88"
    return event.code


def test_unmasked_client_frame():
    assert broken(frame(TEXT, b"x", mask=None)) == 1002


def test_masked_server_frame():
    (event,) = open_client().receive(frame(TEXT, b"x"), 0.0)
    assert isinstance(event, Violation)
    assert event.code == 1002


@pytest.mark.parametrize("rsv", [1, 2, 4, 7])
@pytest.mark.parametrize("opcode", [TEXT, PING, CONT])
def test_reserved_bits(rsv, opcode):
    assert broken(frame(opcode, b"x", rsv=rsv)) == 1002


def test_rsv1_on_a_continuation():
    assert broken(frame(TEXT, b"x", fin=False) + frame(CONT, b"y", rsv=4)) == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_reserved_opcode(opcode):
    assert broken(frame(opcode)) == 1002


@pytest.mark.parametrize(("size", "form"), [(0, 2), (125, 2), (125, 8), (65535, 8)])
def test_length_that_is_not_minimal(size, form):
    limits = FrameLimits()
    assert broken(frame(TEXT, b"x" * size, form=form), limits) == 1002


def test_most_significant_bit_of_a_64_bit_length():
    assert broken(frame(TEXT, announced=2**63, form=8)) == 1002


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_fragmented_control_frame(opcode):
    assert broken(frame(opcode, fin=False)) == 1002


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_control_frame_above_125(opcode):
    assert broken(frame(opcode, b"x" * 126)) == 1002


def test_orphan_continuation():
    assert broken(frame(CONT, b"x")) == 1002
    assert broken(frame(CONT, b"x", fin=False)) == 1002


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_missing_continuation(opcode):
    assert broken(frame(TEXT, b"x", fin=False) + frame(opcode, b"y")) == 1002


def test_close_of_one_byte():
    assert broken(frame(CLOSE, b"\x03")) == 1002


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535])
def test_bad_close_code(code):
    assert broken(frame(CLOSE, struct.pack("!H", code))) == 1002


@pytest.mark.parametrize("code", [1000, 1001, 1007, 1011, 1012, 1013, 3000, 3999, 4000, 4999])
def test_good_close_code(code):
    wire = frame(CLOSE, struct.pack("!H", code) + "grün".encode())
    (event,) = open_server().receive(wire, 0.0)
    assert event == CloseFrame(code=code, reason="grün")
    assert type(event.code) is int


def test_close_without_a_code():
    assert open_server().receive(frame(CLOSE), 0.0) == [CloseFrame(code=1005, reason="")]


def test_binary_message():
    assert broken(frame(BINARY, b"x")) == 1003
    # The header is enough.
    (event,) = open_server().receive(frame(BINARY, announced=500, form=2), 0.0)
    assert isinstance(event, Violation)
    assert event.code == 1003


def test_binary_messages_where_they_are_wanted():
    wire = (
        frame(BINARY, b"\xff\0")
        + frame(BINARY, b"a", fin=False)
        + frame(PING)
        + frame(CONT, b"\xfe", fin=False)
        + frame(CONT)
        + frame(TEXT, b"text")
        + frame(BINARY)
    )
    want = [
        BinaryFrame(payload=b"\xff\0"),
        PingFrame(payload=b""),
        BinaryFrame(payload=b"a\xfe"),
        TextFrame(text="text"),
        BinaryFrame(payload=b""),
    ]
    assert open_server(binary=True).receive(wire, 0.0) == want
    events = feed(open_server(binary=True), single_bytes(wire))
    assert events == want
    assert [type(event.payload) for event in events if isinstance(event, BinaryFrame)] == [
        bytes
    ] * 3


def test_binary_messages_have_the_limits_of_text():
    server = open_server(SMALL, binary=True)
    assert broken(frame(BINARY, announced=1001, form=2), framing=server) == 1009
    server = open_server(SMALL, binary=True)
    assert broken(frame(BINARY, fin=False) + frame(CONT, fin=False) * 5, framing=server) == 1008


def test_sent_binary_message():
    wire = open_client().send_binary(b"\xff" * 200)
    assert wire[0] == 0x82
    assert open_server(binary=True).receive(wire, 0.0) == [BinaryFrame(payload=b"\xff" * 200)]
    assert open_client(binary=True).receive(open_server().send_binary(b"x"), 0.0) == [
        BinaryFrame(payload=b"x")
    ]


@pytest.mark.parametrize("bad", [b"\xff", b"ab\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_invalid_utf8(bad):
    assert broken(frame(TEXT, bad)) == 1007
    assert broken(frame(TEXT, b"x", fin=False) + frame(CONT, bad)) == 1007
    assert broken(frame(CLOSE, b"\x03\xe8" + bad)) == 1007


def test_utf8_cut_off_at_the_end_of_a_message():
    assert broken(frame(TEXT, "ü".encode()[:1])) == 1007
    assert broken(frame(TEXT, "ü".encode()[:1], fin=False) + frame(CONT)) == 1007


def test_invalid_utf8_fails_at_its_fragment():
    (event,) = open_server().receive(frame(TEXT, b"\xff", fin=False), 0.0)
    assert isinstance(event, Violation)
    assert event.code == 1007


# --- Size ----------------------------------------------------------------------------------------


def test_announced_length_is_refused_at_the_header():
    """2^62 announced, then a dribble: refused before one byte of it is held."""
    for size in (1001, 2**16, 2**62):
        (event,) = open_server(SMALL).receive(frame(TEXT, announced=size), 0.0)
        assert event == Violation(code=1009, reason="message too big")


def test_message_of_exactly_the_limit():
    text = "x" * 1000
    assert open_server(SMALL).receive(frame(TEXT, text.encode()), 0.0) == [TextFrame(text=text)]
    assert broken(frame(TEXT, text.encode() + b"x")) == 1009


def test_limit_counts_bytes_not_characters():
    assert broken(frame(TEXT, ("漢" * 334).encode())) == 1009


def test_fragments_are_summed_with_the_one_in_flight():
    first = frame(TEXT, b"x" * 600, fin=False)
    assert open_server(SMALL).receive(first + frame(CONT, b"x" * 400)[:300], 0.0) == []
    (event,) = open_server(SMALL).receive(first + frame(CONT, announced=401), 0.0)
    assert event == Violation(code=1009, reason="message too big")


def test_a_limit_that_is_raised_counts_for_what_is_half_here_too():
    server = open_server(SMALL)
    long = TextFrame(text="x" * 3000)
    assert server.receive(frame(TEXT, b"x" * 900, fin=False), 0.0) == []
    server.allow(3000)
    assert server.receive(frame(CONT, b"x" * 2100), 0.0) == [long]
    assert server.receive(frame(TEXT, b"x" * 3000), 0.0) == [long]
    assert broken(frame(TEXT, b"x" * 3001), framing=server) == 1009


def test_endless_continuations():
    wire = frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 10
    assert broken(wire) == 1008
    want = TextFrame(text="abcde")
    fits = frame(TEXT, b"a", fin=False) + b"".join(
        frame(CONT, b"%c" % c, fin=False) for c in b"bcd"
    )
    assert open_server(SMALL).receive(fits + frame(CONT, b"e"), 0.0) == [want]


def test_sums_begin_anew_with_each_message():
    wire = frame(TEXT, b"x" * 600, fin=False) + frame(CONT, b"y" * 400)
    assert len(open_server(SMALL).receive(wire * 10, 0.0)) == 10
    wire = frame(TEXT, b"a", fin=False) + frame(CONT, b"b", fin=False) + frame(CONT, b"c")
    assert len(open_server(SMALL).receive(wire * 10, 0.0)) == 10


def test_dribble_holds_no_more_than_the_message():
    wire = frame(TEXT, ("漢" * 20_000).encode())
    server = open_server()
    tracemalloc.start()
    for byte in single_bytes(wire[:-1]):
        server.receive(byte, 0.0)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 300_000  # 1.7 MB as one small str for every piece, and the test's own list
    assert len(server.receive(wire[-1:], 0.0)) == 1


def test_a_megabyte_of_tiny_fragments_ends_early():
    wire = frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 170_000
    start = time.thread_time()
    (event,) = open_server().receive(wire, 0.0)
    assert time.thread_time() - start < 1  # 3 s when all are parsed
    assert isinstance(event, Violation)


def test_much_in_one_read():
    """More than a slice at once: all of it comes out, in order."""
    wire = b"".join(frame(TEXT, b"%06d" % n) for n in range(12_000))
    assert len(wire) > 2 * 65536
    events = open_server().receive(wire, 0.0)
    assert [event.text for event in events] == [f"{n:06d}" for n in range(12_000)]


def test_nothing_after_a_close_is_looked_at():
    server = open_server()
    wire = frame(TEXT, b"a") + frame(CLOSE) + frame(TEXT, b"b") + b"\xff" * 100
    assert server.receive(wire, 0.0) == [TextFrame(text="a"), CloseFrame(code=1005, reason="")]
    assert server.receive(frame(TEXT, b"c"), 0.0) == []


def test_events_before_a_violation_in_the_same_read_count():
    events = open_server().receive(frame(TEXT, b"a") + frame(TEXT, b"b", mask=None), 0.0)
    assert events[0] == TextFrame(text="a")
    assert isinstance(events[1], Violation)
    assert len(events) == 2


# --- Control frames ------------------------------------------------------------------------------


def test_unsolicited_pong():
    assert open_server().receive(frame(PONG, b"x"), 0.0) == [PongFrame(payload=b"x")]


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_control_flood(opcode):
    server = open_server(FrameLimits(control_burst=5, control_rate=2.0))
    events = server.receive(frame(opcode) * 7, 10.0)
    assert len(events) == 6
    assert events[5] == Violation(code=1008, reason="too many control frames")


def test_control_bucket_refills_with_time():
    limits = FrameLimits(control_burst=5, control_rate=2.0)
    server = open_server(limits)
    assert len(server.receive(frame(PING) * 5, 10.0)) == 5
    assert len(server.receive(frame(PING) * 2, 11.0)) == 2
    assert len(server.receive(frame(PING) * 5, 100.0)) == 5  # full again, not more
    assert isinstance(server.receive(frame(PING), 100.4)[0], Violation)


def test_a_clock_that_goes_back_refills_nothing():
    server = open_server(FrameLimits(control_burst=2, control_rate=1.0))
    assert len(server.receive(frame(PING) * 2, 10.0)) == 2
    assert isinstance(server.receive(frame(PING), -(10.0**6))[0], Violation)
    server = open_server(FrameLimits(control_burst=2, control_rate=1.0))
    for now in (10.0, 0.0):
        assert server.receive(frame(PING), now) == [PingFrame(payload=b"")]
    assert isinstance(server.receive(frame(PING), 10.5)[0], Violation)


def test_text_is_no_control_frame():
    server = open_server(FrameLimits(control_burst=1, control_rate=0.001))
    assert len(server.receive(frame(TEXT, b"x") * 100 + frame(PING), 0.0)) == 101


def test_steady_keepalive_is_no_flood():
    server = open_server()
    for second in range(2000):
        assert server.receive(frame(PING) * 15, float(second)) == [PingFrame(payload=b"")] * 15


def test_violation_reason_holds_nothing_of_the_peer():
    peers = b"\x1b[31mevil\r\n\xff"
    for data in (frame(TEXT, peers), frame(CLOSE, b"\x03\xe8" + peers), frame(3, peers)):
        (event,) = open_server().receive(data, 0.0)
        assert isinstance(event, Violation)
        assert "evil" not in event.reason
        assert event.reason.isprintable() and event.reason.isascii()


def test_both_sides_close_at_once():
    client, server = open_pair()
    ours, theirs = client.send_close(1000), server.send_close(1001)
    assert client.receive(theirs, 0.0) == [CloseFrame(code=1001, reason="")]
    assert server.receive(ours, 0.0) == [CloseFrame(code=1000, reason="")]


def test_whatever_wsproto_lets_through_ends_here(monkeypatch):
    """The net under the checks, which know of nothing that gets past them."""

    def burst(self: object) -> None:
        raise IndexError

    server = open_server()
    monkeypatch.setattr(FrameDecoder, "process_buffer", burst)
    (event,) = server.receive(frame(PING, b"x"), 0.0)
    assert isinstance(event, Violation)
    assert event.code == 1002


def test_each_thing_that_is_half_here_has_a_number_of_its_own() -> None:
    server = open_server()

    def pending(data: bytes) -> int:
        server.receive(data, 0.0)
        return server.pending

    ping, text = frame(PING, b"x"), frame(TEXT, b"abc")
    first = pending(ping[:3])
    second = pending(ping[3:] + ping[:3])
    assert 0 < first < second
    assert pending(ping[3:]) == 0
    begun = pending(frame(TEXT, b"a", fin=False))
    assert begun > second
    # a ping between two fragments, whole or half, is no end of the message
    assert [pending(ping), pending(ping[:3]), pending(ping[3:])] == [begun] * 3
    assert pending(frame(CONT, b"", fin=False)) == begun
    after = pending(frame(CONT) + text[:2])
    assert after > begun
    assert pending(text[2:]) == 0


def test_the_head_of_the_handshake_is_pending_too() -> None:
    server = Framing.server(limits=FrameLimits())
    server.receive(b"GET / HT", 0.0)
    assert server.pending == 1
