"""Framing as a whole: round trips in any chunking, determinism, purity, misuse."""

from __future__ import annotations

import contextlib
import os
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.test_framing_kit import (
    CLOSE,
    CONT,
    LIMITS,
    PING,
    TEXT,
    answer,
    cuts,
    feed,
    frame,
    get,
    open_client,
    open_pair,
    open_server,
    single_bytes,
    waiting_client,
)
from im_proto.errors import LocalProtocolError
from im_proto.framing import (
    CloseFrame,
    FrameEvent,
    Framing,
    HandshakeAccepted,
    HandshakeRejected,
    HandshakeRequested,
    PingFrame,
    PongFrame,
    TextFrame,
    Violation,
)
from im_proto.limits import FrameLimits

fast = settings(max_examples=60, deadline=None)

texts = st.one_of(
    st.text(max_size=40),
    st.builds(lambda c, n: c * n, st.sampled_from("aß漢😀"), st.integers(100, 3000)),
)
outgoing = st.lists(
    st.one_of(
        st.tuples(st.just("text"), texts),
        st.tuples(st.sampled_from(["ping", "pong"]), st.binary(max_size=125)),
    ),
    max_size=8,
)


def send_all(framing: Framing, items: list[tuple[str, str | bytes]]) -> bytes:
    sends = {"text": framing.send_text, "ping": framing.send_ping, "pong": framing.send_pong}
    return b"".join(sends[kind](value) for kind, value in items)


def expected(items: list[tuple[str, str | bytes]]) -> list[FrameEvent]:
    made = {
        "text": lambda v: TextFrame(text=v),
        "ping": lambda v: PingFrame(payload=v),
        "pong": lambda v: PongFrame(payload=v),
    }
    return [made[kind](value) for kind, value in items]


# --- Round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [False, True])
@pytest.mark.parametrize("role", ["client", "server"])
@fast
@given(data=st.data(), items=outgoing, close=st.text(max_size=30), junk=st.binary(max_size=40))
def test_round_trip_in_any_chunking(role, compression, data, items, close, junk):
    def pair() -> tuple[Framing, Framing]:
        client, server = open_pair(compression=compression)
        return (client, server) if role == "client" else (server, client)

    sender, _ = pair()
    wire = send_all(sender, items) + sender.send_close(4000, close)
    want = [*expected(items), CloseFrame(code=4000, reason=close)]
    for chunks in (
        [wire],
        single_bytes(wire) if len(wire) < 4000 else [wire[:100], wire[100:]],
        data.draw(cuts(wire)),
        [wire + junk],  # whatever follows a Close is not looked at
    ):
        receiver = pair()[1]
        assert feed(receiver, chunks) == want
        assert not receiver.open
        assert not receiver.partial


@fast
@given(data=st.data(), text=texts)
def test_handshake_and_first_frame_in_any_chunking(data, text):
    client = Framing.client(
        host="h", target="/", rng=random.Random(3), limits=LIMITS, subprotocols=["im.v1", "im.v2"]
    )
    request = client.request()
    server = Framing.server(limits=LIMITS)
    (asked,) = feed(server, data.draw(cuts(request)))
    assert isinstance(asked, HandshakeRequested)
    assert asked.subprotocols == ("im.v1", "im.v2")
    # The first frame may come in the same segment as the 101.
    wire = server.accept("im.v2") + server.send_text(text)
    assert feed(client, data.draw(cuts(wire))) == [
        HandshakeAccepted(subprotocol="im.v2"),
        TextFrame(text=text),
    ]


@fast
@given(
    data=st.data(),
    parts=st.lists(st.text(max_size=20), min_size=1, max_size=6),
    pings=st.lists(st.binary(max_size=20), max_size=6),
)
def test_fragments_with_pings_between_them(data, parts, pings):
    """Section 5.4: control frames may stand between fragments, and come out at once."""
    message = "".join(parts)
    raw = message.encode()
    pieces = data.draw(cuts(raw))[: LIMITS.message_frames]
    pieces[-1] = raw[sum(map(len, pieces[:-1])) :]  # characters may be cut in two
    wire, events = b"", []
    for i, piece in enumerate(pieces):
        last = i == len(pieces) - 1
        wire += frame(TEXT if i == 0 else CONT, piece, fin=last)
        if not last and i < len(pings):
            wire += frame(PING, pings[i])
            events.append(PingFrame(payload=pings[i]))
    events.append(TextFrame(text=message))
    assert feed(open_server(), [wire]) == events
    assert feed(open_server(), single_bytes(wire)) == events
    assert feed(open_server(), data.draw(cuts(wire))) == events


def test_every_length_form_both_roles():
    for size in (0, 1, 125, 126, 127, 1023, 1024, 1025, 65535, 65536):
        client, server = open_pair()
        text = "x" * size
        assert server.receive(client.send_text(text), 0.0) == [TextFrame(text=text)]
        assert client.receive(server.send_text(text), 0.0) == [TextFrame(text=text)]
    assert client.send_text("")[:2] == b"\x81\x80"
    assert server.send_text("x" * 125)[:2] == b"\x81\x7d"
    assert server.send_text("x" * 126)[:4] == b"\x81\x7e\x00\x7e"
    assert server.send_text("x" * 65536)[:10] == b"\x81\x7f" + (65536).to_bytes(8, "big")


def test_masked_example_of_the_rfc():
    """Section 5.7: "Hello", masked with 37 fa 21 3d."""

    class Fixed(random.Random):
        def getrandbits(self, k: int) -> int:
            return 0x37FA213D

    client = Framing.client(host="h", target="/", rng=Fixed(), limits=LIMITS)
    server = Framing.server(limits=LIMITS)
    server.receive(client.request(), 0.0)
    client.receive(server.accept(), 0.0)
    assert client.send_text("Hello").hex() == "818537fa213d7f9f4d5158"
    assert server.send_text("Hello").hex() == "810548656c6c6f"


# --- Pure, deterministic, robust -----------------------------------------------------------------


def session(seed: int, compression: bool) -> list[bytes]:
    client, server = open_pair(seed=seed, compression=compression)
    out = [client.send_text("a" * 300), client.send_ping(b"p"), server.send_text("b" * 300)]
    assert server.receive(out[0], 0.0) == [TextFrame(text="a" * 300)]
    assert client.receive(out[2], 0.0) == [TextFrame(text="b" * 300)]
    return [*out, client.send_close(1000, "bye"), server.send_close(1000)]


def first_request(rng: random.Random) -> bytes:
    return Framing.client(host="h", target="/", rng=rng, limits=LIMITS).request()


@pytest.mark.parametrize("compression", [False, True])
def test_same_seed_same_bytes(compression):
    assert session(5, compression) == session(5, compression)
    assert session(5, compression)[0] != session(6, compression)[0]
    assert first_request(random.Random(5)) == first_request(random.Random(5))
    assert first_request(random.Random(5)) != first_request(random.Random(6))


def test_every_frame_has_a_fresh_mask():
    client, _ = open_pair()
    masks = {client.send_text("x")[2:6] for _ in range(50)}
    assert len(masks) == 50


def test_a_system_random_serves_as_rng():
    assert first_request(random.SystemRandom()) != first_request(random.SystemRandom())


def test_no_entropy_clock_or_file_is_touched(monkeypatch):
    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("not pure")

    session(5, True)  # so that nothing is left to import
    with monkeypatch.context() as patch:
        patch.setattr(os, "urandom", forbidden)
        for name in ("time", "monotonic", "perf_counter", "time_ns", "sleep"):
            patch.setattr(time, name, forbidden)
        patch.setattr("builtins.open", forbidden)
        for compression in (False, True):
            session(5, compression)
            server = Framing.server(limits=LIMITS)
            server.receive(get("X: \xff"), 0.0)
            server.reject(403)
            open_server().receive(frame(TEXT, b"\xff"), 0.0)


def noise() -> st.SearchStrategy[bytes]:
    """Bytes that get somewhere: random ones, frames with one wrong bit, heads with junk."""
    frames = st.builds(
        frame,
        st.integers(0, 15),
        st.binary(max_size=130),
        fin=st.booleans(),
        rsv=st.integers(0, 7),
        mask=st.sampled_from([None, b"\0\0\0\0", b"abcd"]),
        announced=st.one_of(st.none(), st.integers(0, 2**64 - 1)),
        form=st.just(8),
    )
    heads = st.builds(
        lambda a, b: a + b + b"\r\n\r\n",
        st.sampled_from([b"GET / HTTP/1.1\r\n", b"HTTP/1.1 101 \r\n", b"HTTP/1.1 200 OK\r\n", b""]),
        st.binary(max_size=60),
    )
    lines = st.builds(
        lambda name, value: (
            get(drop=[name])[:-2] + name.encode() + b": " + value.replace(b"\n", b"") + b"\r\n\r\n"
        ),
        st.sampled_from(
            [
                "Host",
                "Connection",
                "Upgrade",
                "Origin",
                "Content-Length",
                "Sec-WebSocket-Key",
                "Sec-WebSocket-Version",
                "Sec-WebSocket-Extensions",
                "Sec-WebSocket-Protocol",
            ]
        ),
        st.binary(max_size=40),
    )
    answers = st.builds(
        lambda name, value: answer()[:-2] + name + b": " + value.replace(b"\n", b"") + b"\r\n\r\n",
        st.sampled_from([b"Sec-WebSocket-Extensions", b"Sec-WebSocket-Protocol", b"Retry-After"]),
        st.binary(max_size=40),
    )
    return st.one_of(st.binary(max_size=80), frames, heads, lines, answers)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), junk=st.lists(noise(), min_size=1, max_size=4), compression=st.booleans())
def test_never_raises_on_a_peers_bytes(data, junk, compression):
    wire = b"".join(junk)
    chunks = data.draw(cuts(wire))
    for make in (
        lambda: Framing.server(limits=LIMITS, compression=compression),
        lambda: waiting_client(compression=compression),
        lambda: open_pair(compression=compression)[0],
        lambda: open_pair(compression=compression)[1],
        lambda: Framing.client(host="h", target="/", rng=random.Random(1), limits=LIMITS),
    ):
        framing = make()
        events = feed(framing, chunks)
        violations = [event for event in events if isinstance(event, Violation)]
        assert violations == [event for event in events[-1:] if isinstance(event, Violation)]
        for event in violations:
            # The net under everything is not what catches it.
            assert "parser failed" not in event.reason
            assert event.reason.isascii()
            assert event.reason.isprintable()
            assert not framing.open
            assert feed(framing, [wire, get(), answer()]) == []
        whole = make()
        if not any(isinstance(event, HandshakeRequested) for event in events):
            assert feed(whole, [wire]) == events


@pytest.mark.parametrize("where", ["head", "frame", "fragments"])
def test_a_byte_at_a_time_is_linear(where):
    """16 times the bytes take about 16 times as long: no buffer is gone through again."""
    limits = FrameLimits(handshake_bytes=10**6, message_bytes=10**6, message_frames=10**6)

    def seconds(size: int) -> float:
        if where == "head":
            framing, wire = Framing.server(limits=limits), get("X: " + "x" * size)
        elif where == "frame":
            framing, wire = open_server(limits), frame(TEXT, b"x" * size)
        else:
            wire = frame(TEXT, fin=False) + frame(CONT, b"x", fin=False) * (size // 20)
            framing, wire = open_server(limits), wire + frame(CONT)
        chunks = single_bytes(wire)
        start = time.thread_time()
        assert len(feed(framing, chunks)) == 1
        return time.thread_time() - start

    small = min(seconds(10_000) for _ in range(3))
    assert seconds(160_000) < 64 * small  # 256 times when quadratic


# --- State ---------------------------------------------------------------------------------------


def test_open_and_partial_through_a_life():
    client = Framing.client(host="h", target="/", rng=random.Random(1), limits=LIMITS)
    server = Framing.server(limits=LIMITS)
    assert not client.open and not client.partial and not server.open and not server.partial
    request = client.request()
    server.receive(request[:10], 0.0)
    assert server.partial
    server.receive(request[10:], 0.0)
    assert not server.partial and not server.open  # complete, to be answered
    reply = server.accept()
    assert server.open
    client.receive(reply[:10], 0.0)
    assert client.partial and not client.open
    client.receive(reply[10:], 0.0)
    assert client.open and not client.partial
    for one_frame, between in ((client.send_text("hello"), False), (client.send_ping(b"p"), False)):
        for byte in single_bytes(one_frame)[:-1]:
            assert server.receive(byte, 0.0) == []
            assert server.partial
        assert len(server.receive(one_frame[-1:], 0.0)) == 1
        assert server.partial is between
    server.receive(frame(TEXT, b"he", fin=False), 0.0)
    assert server.partial  # between two fragments too
    server.receive(frame(PING), 0.0)
    assert server.partial
    server.receive(frame(CONT, b"y"), 0.0)
    assert not server.partial
    wire = client.send_close(1000)
    assert not client.open
    assert server.receive(wire, 0.0) == [CloseFrame(code=1000, reason="")]
    assert not server.open and not server.partial
    assert client.receive(server.send_close(1000), 0.0) == [CloseFrame(code=1000, reason="")]


def test_frames_still_come_in_after_our_close():
    client, server = open_pair()
    client.send_close(1000)
    wire = server.send_text("late") + server.send_close(1000)
    assert client.receive(wire, 0.0) == [TextFrame(text="late"), CloseFrame(code=1000, reason="")]


def test_close_can_be_sent_once_after_a_violation():
    server = open_server()
    (event,) = server.receive(frame(TEXT, b"x", mask=None), 0.0)
    assert event == Violation(code=1002, reason="server received unexpected unmasked frame")
    assert server.send_close(event.code) == b"\x88\x02\x03\xea"
    with pytest.raises(LocalProtocolError):
        server.send_close(1000)


words = st.text(st.sampled_from('aZ9/:.-[]?#"%\\ ,;=\t\r\n\0\x7fü漢\ud800'), max_size=6)


@settings(max_examples=200, deadline=None)
@given(
    host=words,
    target=words.map("/".__add__),
    headers=st.lists(st.tuples(words.map("X".__add__), words), max_size=2),
    subprotocols=st.lists(words, max_size=2),
)
def test_our_own_heads_are_right_or_refused(host, target, headers, subprotocols):
    """Nothing of ours but a `LocalProtocolError` comes out, and what is sent, the peer takes."""
    client = Framing.client(
        host="h" + host,
        target=target,
        rng=random.Random(1),
        limits=LIMITS,
        headers=headers,
        subprotocols=subprotocols,
    )
    with contextlib.suppress(LocalProtocolError):
        (event,) = Framing.server(limits=LIMITS).receive(client.request(), 0.0)
        assert isinstance(event, HandshakeRequested)
        assert event.target == target
        assert event.subprotocols == tuple(subprotocols)
        assert event.headers[-len(headers) :] == tuple((k.lower(), v) for k, v in headers) or (
            not headers
        )
    with contextlib.suppress(LocalProtocolError):
        refusal = Framing.server(limits=LIMITS).reject(403, reason=host, headers=headers)
        (event,) = waiting_client().receive(refusal, 0.0)
        assert isinstance(event, HandshakeRejected)


# --- Misuse: raises, and changes nothing ---------------------------------------------------------


def test_misuse_before_and_after_the_handshake():
    new = Framing.client(host="h", target="/", rng=random.Random(1), limits=LIMITS)
    fresh = Framing.server(limits=LIMITS)
    for framing in (new, fresh, waiting_client()):
        for call in (
            lambda f: f.send_text("x"),
            lambda f: f.send_ping(),
            lambda f: f.send_pong(b""),
            lambda f: f.send_close(1000),
            lambda f: f.allow(1000),
            lambda f: f.accept(),
        ):
            with pytest.raises(LocalProtocolError):
                call(framing)
    with pytest.raises(LocalProtocolError):
        new.reject(400)
    with pytest.raises(LocalProtocolError):
        fresh.request()
    assert new.request().startswith(b"GET / HTTP/1.1\r\n")
    with pytest.raises(LocalProtocolError):
        new.request()
    opened = open_server()
    for call in (opened.accept, opened.request, lambda: opened.reject(400)):
        with pytest.raises(LocalProtocolError):
            call()
    assert opened.open


def test_nothing_but_a_close_goes_out_after_a_close_came_in():
    server = open_server()
    server.receive(frame(CLOSE, b"\x03\xe8"), 0.0)
    for call in (lambda: server.send_text("x"), server.send_ping, lambda: server.send_pong(b"")):
        with pytest.raises(LocalProtocolError):
            call()
    assert server.send_close(1000)


@pytest.mark.parametrize(
    "code", [-1, 0, 999, 1004, 1005, 1006, 1014, 1015, 1016, 2999, 5000, 99999]
)
def test_close_codes_that_never_go_out(code):
    server = open_server()
    with pytest.raises(LocalProtocolError):
        server.send_close(code)
    assert server.open
    assert server.send_close(1000)


def test_ping_above_125_bytes_is_refused():
    server = open_server()
    assert len(server.send_ping(b"x" * 125)) == 127
    for call in (server.send_ping, server.send_pong):
        with pytest.raises(LocalProtocolError, match="126"):
            call(b"x" * 126)


def test_lone_surrogates_are_refused_without_showing_the_text():
    server = open_server()
    for call in (server.send_text, lambda text: server.send_close(1000, text)):
        with pytest.raises(LocalProtocolError) as info:
            call("secret \ud800")
        assert "secret" not in str(info.value)
        assert info.value.__cause__ is None and info.value.__suppress_context__
    assert server.open


@given(
    reason=st.builds(
        lambda start, char, n: start + char * n,
        st.text(max_size=3),
        st.sampled_from("aü漢😀"),
        st.integers(0, 130),
    )
)
@fast
def test_close_reason_is_cut_between_characters(reason):
    wire = open_server().send_close(4001, reason)
    assert len(wire) <= 127
    (event,) = open_client().receive(wire, 0.0)
    assert isinstance(event, CloseFrame)
    assert reason.startswith(event.reason)
    if len(event.reason) < len(reason):  # no character more would have fitted
        assert len(reason[: len(event.reason) + 1].encode()) > 123


def test_limits_must_be_positive():
    for name in ("handshake_bytes", "message_bytes", "message_frames", "control_rate"):
        with pytest.raises(ValueError, match=name):
            FrameLimits(**{name: 0})
