"""Whole text frames are read and written without wsproto, and nobody can tell."""

from __future__ import annotations

import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.frame_protocol import XorMaskerSimple

from core.test_framing_kit import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    KeyRandom,
    cuts,
    frame,
    open_client,
    open_server,
)
from im_proto.frames import _SHORT, Frames, _mask
from im_proto.framing import CloseFrame, Framing, TextFrame, Violation
from im_proto.limits import FrameLimits

DETERMINISTIC = settings(derandomize=True, database=None, deadline=None, max_examples=300)
#: So small that random frames meet them.
SMALL = FrameLimits(message_bytes=300, message_frames=3, control_burst=4, fragment_burst=5)


class _Plodding(Frames):
    """All frames by wsproto."""

    def texts(self, data: bytes, at: int) -> tuple[list[str], int]:
        return [], at

    def closing(self, piece: bytes) -> None:
        return None


def plodding(limits: FrameLimits, *, server: bool) -> Framing:
    """A `Framing` that reads everything with wsproto."""
    framing = open_server(limits) if server else open_client(limits)
    framing._frames = _Plodding(None, limits, None if server else KeyRandom(7), binary=False)
    return framing


_payloads = st.one_of(
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from([124, 125, 126, 127, 254, 299, 300, 301]).map(lambda size: b"x" * size),
    st.binary(max_size=8),
    st.sampled_from([b"\xc3", b"\xe4\xbd", b"ok\xff", "\U0001f600".encode()]),
)
_texts = _payloads.map(lambda payload: (TEXT, payload, {}))
#: At most one thing is odd: of two only the first would be met.
_odd = st.one_of(
    st.just({}),
    st.just({"fin": False}),
    st.sampled_from([4, 2, 1]).map(lambda rsv: {"rsv": rsv}),
    st.sampled_from([2, 8]).map(lambda form: {"form": form}),
    st.integers(0, 125).map(lambda size: {"announced": size}),
    st.just({"unmasked": True}),
)
_opcodes = st.sampled_from([TEXT, TEXT, CONT, PING, PONG, BINARY, CLOSE, 3])
_others = st.tuples(_opcodes, _payloads, _odd)
_codes = st.sampled_from([1000, 1001, 1004, 1005, 1006, 1012, 1015, 999, 2000, 3000, 4999, 5000])
_closes = st.tuples(
    st.just(CLOSE),
    st.builds(lambda code, why: code.to_bytes(2, "big") + why, _codes, _payloads),
    _odd,
)


@st.composite
def streams(draw: st.DrawFn, *, server: bool) -> list[bytes]:
    """Frames, mostly texts, some of them odd or broken, cut anywhere."""
    data = b""
    for opcode, payload, odd in draw(st.lists(_texts | _others | _closes, max_size=8)):
        masked = server is not odd.get("unmasked", False)
        key = draw(st.binary(min_size=4, max_size=4)) if masked else None
        odd = {name: value for name, value in odd.items() if name != "unmasked"}
        data += frame(opcode, payload, mask=key, **odd)
    return draw(cuts(data))


@pytest.mark.parametrize("server", [True, False], ids=["server", "client"])
@given(data=st.data())
@DETERMINISTIC
def test_the_fast_path_and_wsproto_say_the_same(server: bool, data: st.DataObject) -> None:
    quick = open_server(SMALL) if server else open_client(SMALL)
    slow = plodding(SMALL, server=server)
    for chunk in data.draw(streams(server=server)):
        assert quick.receive(chunk, 1.0) == slow.receive(chunk, 1.0)
        assert (quick.partial, quick.pending) == (slow.partial, slow.pending)
        assert quick.open == slow.open


@pytest.mark.parametrize("server", [True, False], ids=["server", "client"])
@pytest.mark.parametrize("odd", [{"rsv": 1}, {"rsv": 2}, {"rsv": 4}, {"form": 2}, {"form": 8}])
def test_what_is_odd_in_a_header_ends_the_connection(server: bool, odd: dict[str, int]) -> None:
    framing = open_server() if server else open_client()
    mask = b"\x01\x02\x03\x04" if server else None
    first, last = framing.receive(frame(TEXT, b"a", mask=mask) + frame(TEXT, mask=mask, **odd), 0.0)
    assert first == TextFrame(text="a")
    assert isinstance(last, Violation) and last.code == 1002


def test_a_whole_text_between_fragments_is_no_message() -> None:
    server = open_server()
    assert server.receive(frame(TEXT, b"a", fin=False), 0.0) == []
    (event,) = server.receive(frame(TEXT, b"b"), 0.0)
    assert isinstance(event, Violation) and event.code == 1002


def test_what_looks_like_a_frame_inside_another_is_none() -> None:
    server, inner = open_server(), frame(TEXT, b"b", mask=b"\x90" * 4)
    text = bytes(byte ^ 0xF0 for byte in inner).decode("ascii")
    whole = frame(TEXT, text.encode(), mask=b"\xf0" * 4)
    assert whole.endswith(inner)
    assert server.receive(whole[: -len(inner)], 0.0) == []
    assert server.receive(inner, 0.0) == [TextFrame(text=text)]


LENGTHS = [0, 1, 125, 126, 127, 65_535, 65_536]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("server", [True, False], ids=["server", "client"])
def test_every_form_of_a_length_is_read(server: bool, length: int) -> None:
    quick = open_server() if server else open_client()
    slow = plodding(FrameLimits(), server=server)
    whole = frame(TEXT, b"a" * length, mask=b"\x01\x02\x03\x04" if server else None)
    for data in (whole * 3, whole + whole[:-1], whole[-1:], whole[:3], whole[3:]):
        assert quick.receive(data, 0.0) == slow.receive(data, 0.0)
        assert quick.pending == slow.pending


def test_whole_text_frames_do_without_wsproto() -> None:
    server, client = open_server(), open_client()
    assert server.receive(frame(TEXT, b"one") * 2, 0.0) == [TextFrame(text="one")] * 2
    assert client.receive(frame(TEXT, b"two", mask=None), 0.0) == [TextFrame(text="two")]
    for framing in (server, client):
        assert framing._frames is not None and framing._frames._protocol is None


def test_a_close_frame_does_without_wsproto() -> None:
    server, client = open_server(), open_client()
    for framing, mask in ((server, b"\x01\x02\x03\x04"), (client, None)):
        said = frame(TEXT, b"one", mask=mask) + frame(CLOSE, b"\x03\xe8bye", mask=mask) + b"rest"
        assert framing.receive(said, 0.0) == [
            TextFrame(text="one"),
            CloseFrame(code=1000, reason="bye"),
        ]
        assert framing._frames is not None and framing._frames._protocol is None
        assert framing._frames.finished == 2
        assert framing.receive(said, 0.0) == []


def test_after_a_frame_in_two_pieces_the_fast_path_goes_on() -> None:
    server = open_server()
    whole = frame(TEXT, b"one")
    assert server.receive(whole + whole[:-1], 0.0) == [TextFrame(text="one")]
    assert server.receive(whole[-1:] + whole * 2, 0.0) == [TextFrame(text="one")] * 3
    assert server._frames is not None and server._frames._finished == 4


@pytest.mark.parametrize("server", [True, False])
@pytest.mark.parametrize("size", [0, 5, 125, 126, 300, 301, 32_767, 40_000, 65_536])
def test_wherever_it_is_cut_it_is_judged_as_early_as_by_wsproto(size: int, server: bool) -> None:
    whole = frame(TEXT, b"x" * size, mask=b"mask" if server else None)[:320]
    for cut in range(1, 12):
        quick = open_server(SMALL) if server else open_client(SMALL)
        slow = plodding(SMALL, server=server)
        for piece in (whole[:cut], *(whole[at : at + 1] for at in range(cut, len(whole)))):
            assert quick.receive(piece, 0.0) == slow.receive(piece, 0.0)
            assert (quick.partial, quick.pending) == (slow.partial, slow.pending)


def test_a_limit_that_grows_holds_for_both_paths() -> None:
    server = open_server(FrameLimits(message_bytes=10))
    server.allow(20)
    assert server.receive(frame(TEXT, b"a" * 20), 0.0) == [TextFrame(text="a" * 20)]
    head, tail = frame(TEXT, b"a" * 20)[:9], frame(TEXT, b"a" * 20)[9:]
    assert server.receive(head, 0.0) == []
    assert server.receive(tail, 0.0) == [TextFrame(text="a" * 20)]
    (event,) = server.receive(frame(TEXT, b"a" * 21), 0.0)
    assert isinstance(event, Violation) and event.code == 1009


SIZES = [0, 1, 2, 3, 5, 125, 126, _SHORT - 1, _SHORT, _SHORT + 1, 65_535, 65_536, 70_001]


@pytest.mark.parametrize("size", SIZES)
def test_masks_and_headers_are_those_of_the_book(size: int) -> None:
    text = "ab\u00e9" * (size // 4) + "x" * (size % 4)
    payload = text.encode()
    assert len(payload) == size
    assert open_server().send_text(text) == frame(TEXT, payload, mask=None)

    client, draws = open_client(), random.Random()
    assert client._rng is not None
    draws.setstate(client._rng.getstate())
    for _ in range(2):
        key = draws.getrandbits(32).to_bytes(4, "big")
        assert client.send_text(text) == frame(TEXT, payload, mask=key)
        masked = XorMaskerSimple(key).process(bytearray(payload))
        assert _mask(key, payload) == masked and _mask(key, bytes(masked)) == payload
    assert client._rng.getstate() == draws.getstate()  # one draw for each frame


def test_an_idle_connection_holds_next_to_nothing() -> None:
    server = open_server()
    server.receive(frame(TEXT, b"hello"), 0.0)
    for made in (server, server._frames):
        assert not hasattr(made, "__dict__")
        assert sys.getsizeof(made) < 200
