"""What is read without h11 is read as h11 does, and whatever h11 raises ends here."""

from __future__ import annotations

from contextlib import suppress

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.test_framing_kit import KEY, LIMITS, answer, get, requested, waiting_client
from im_proto import handshake
from im_proto.framing import Framing, Violation
from im_proto.heads import Heads, Refused, odd_request, ordinary_request

_lines = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"Host: a",
                b"host:\tb ",
                b"Upgrade: websocket",
                b"CONNECTION:keep-alive,  Upgrade",
                b"Sec-WebSocket-Key:" + KEY.encode(),
                b"Content-Length: 0",
                b"Transfer-Encoding: chunked",
                b"Cookie: a=b; c=\xe4",
                b"Empty:",
                b"No colon",
                b"Space : a",
                b": no name",
                b"",
            ]
        ),
        st.binary(max_size=12),
    ),
    max_size=6,
)
_starts = st.one_of(
    st.sampled_from(
        [
            b"GET /im HTTP/1.1",
            b"GET  HTTP/1.1",
            b"GET /a b HTTP/1.1",
            b"GET /im HTTP/1.0",
            b"PUT /im HTTP/1.1",
            b"GET HTTP/1.1",
            b"GET /im HTTP/1.1 ",
            b"get /im HTTP/1.1",
            b"",
        ]
    ),
    st.binary(max_size=20).map(lambda target: b"GET " + target + b" HTTP/1.1"),
)


@given(_starts, _lines)
def test_what_is_read_without_h11_is_read_as_h11_does(start: bytes, lines: list[bytes]) -> None:
    heads = Heads(LIMITS)
    heads.buffer += b"\r\n".join([start, b"Host: a", *lines, b"", b""])
    try:
        head = heads.next()
    except Refused:
        return
    assert head is not None
    quick = ordinary_request(head)
    if quick is not None:
        assert quick == odd_request(head)


@given(_starts, _lines)
def test_an_upgrade_that_is_handed_on_as_it_came_is_what_it_was_taken_for(
    start: bytes, lines: list[bytes]
) -> None:
    usual = [
        b"Host: a",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
    ]
    usual.append(b"Sec-WebSocket-Key: " + KEY.encode())
    data = b"\r\n".join([start, *usual, *lines, b"", b""])
    found = handshake.ordinary_upgrade(data, LIMITS)
    if found is not None:
        opening = handshake.ServerOpening(LIMITS, compression=False)
        with suppress(Refused):
            event = opening.receive(data)
            assert event is not None and (event.target, event.host, event.origin) == found


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (get(), ("/im?x=1", "chat.example:8080", None)),
        (get("Origin: https://a.b"), ("/im?x=1", "chat.example:8080", "https://a.b")),
        (get("Origin: a", "Origin: b"), None),
        (get("Content-Length: 0"), None),
        (get() + b"x", None),
        (get()[:-1], None),
        (get().replace(b"websocket", b"h2c"), None),
        (get("X: " + "x" * LIMITS.handshake_bytes), None),
        (get(*["X: x"] * (LIMITS.handshake_headers + 1)), None),
    ],
)
def test_only_a_whole_upgrade_with_nothing_behind_it_is_handed_on(
    data: bytes, found: tuple[str, str, str | None] | None
) -> None:
    assert handshake.ordinary_upgrade(data, LIMITS) == found


def test_an_ordinary_request_needs_no_h11(monkeypatch):
    monkeypatch.setattr(handshake, "odd_request", None)
    requested(get("Origin: https://a.example", "Cookie: a=b", "User-Agent: Mozilla/5.0 (x; y)"))


@pytest.mark.parametrize(
    "error", [UnicodeDecodeError("ascii", b"", 0, 1, "x"), IndexError(), OSError()]
)
def test_whatever_h11_lets_through_ends_here(error, monkeypatch):
    """The net under the checks, which know of nothing more that gets past them."""

    def burst(self: object) -> None:
        raise error

    client, server = waiting_client(), Framing.server(limits=LIMITS)
    monkeypatch.setattr(h11.Connection, "next_event", burst)
    odd = get("Content-Length: 0")
    for framing, data, code in ((client, answer(), 1002), (server, odd, 400)):
        (event,) = framing.receive(data, 0.0)
        assert isinstance(event, Violation)
        assert (event.code, event.handshake) == (code, True)
