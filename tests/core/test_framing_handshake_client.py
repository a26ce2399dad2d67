"""The opening handshake of a client: hostile input of each kind, one test each."""

from __future__ import annotations

import random

import pytest

from core.test_framing_kit import (
    ACCEPT,
    LIMITS,
    TEXT,
    answer,
    feed,
    frame,
    single_bytes,
    waiting_client,
)
from im_proto.errors import LocalProtocolError
from im_proto.framing import (
    Framing,
    HandshakeAccepted,
    HandshakeRejected,
    TextFrame,
    Violation,
)
from im_proto.limits import FrameLimits


def failed(data: bytes, **options: object) -> str:
    """Why a client fails on `data`, whole and byte by byte alike."""
    events = waiting_client(**options).receive(data, 0.0)
    assert feed(waiting_client(**options), single_bytes(data)) == events
    (event,) = events
    assert isinstance(event, Violation), event
    assert event.handshake
    assert event.code == 1002
    assert "parser failed" not in event.reason
    return event.reason


def test_request_bytes():
    client = Framing.client(
        host="chat.example:8080",
        target="/im?x=1",
        rng=random.Random(1),
        limits=LIMITS,
        headers=[("Authorization", "Bearer t0")],
        subprotocols=["im.v1", "im.v2"],
        compression=True,
    )
    lines = client.request().decode().split("\r\n")
    key = lines[4].removeprefix("Sec-WebSocket-Key: ")
    assert len(key) == 24
    assert lines == [
        "GET /im?x=1 HTTP/1.1",
        "Host: chat.example:8080",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: im.v1, im.v2",
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
        "client_no_context_takeover; client_max_window_bits",
        "Authorization: Bearer t0",
        "",
        "",
    ]


@pytest.mark.parametrize("bad", ["a\r\nX: y", "a\nb", "a\rb", "a\0b", "caf\xe9", "\x7f", "\ud800"])
@pytest.mark.parametrize("where", ["path", "name", "value", "host", "subprotocol"])
def test_cr_lf_and_other_bad_characters_of_our_own(where, bad):
    options: dict[str, object] = {
        "path": {"target": "/" + bad},
        "name": {"headers": [(bad, "x")]},
        "value": {"headers": [("X", bad)]},
        "host": {"host": bad if bad != "caf\xe9" else "a b"},
        "subprotocol": {"subprotocols": [bad]},
    }[where]
    client = Framing.client(
        **{"host": "h", "target": "/", "rng": random.Random(1), "limits": LIMITS, **options}
    )
    with pytest.raises(LocalProtocolError):
        client.request()
    server = Framing.server(limits=LIMITS)
    if where in ("name", "value"):
        with pytest.raises(LocalProtocolError):
            server.reject(400, headers=options["headers"])


def test_a_bad_header_value_is_not_shown():
    client = Framing.client(
        host="h",
        target="/",
        rng=random.Random(1),
        limits=LIMITS,
        headers=[("Authorization", "Bearer s3cret\n")],
    )
    with pytest.raises(LocalProtocolError) as info:
        client.request()
    assert "s3cret" not in str(info.value)


@pytest.mark.parametrize(
    "name", ["Host", "upgrade", "Connection", "Sec-WebSocket-Key", "Content-Length"]
)
def test_headers_of_the_handshake_are_not_the_callers(name):
    client = Framing.client(
        host="h", target="/", rng=random.Random(1), limits=LIMITS, headers=[(name, "1")]
    )
    with pytest.raises(LocalProtocolError):
        client.request()


@pytest.mark.parametrize("target", ["", "im", "http://h/", "/a b", "/a#b"])
def test_bad_target_of_our_own(target):
    client = Framing.client(host="h", target=target, rng=random.Random(1), limits=LIMITS)
    with pytest.raises(LocalProtocolError):
        client.request()


def test_subprotocols_of_our_own_must_differ():
    client = Framing.client(
        host="h", target="/", rng=random.Random(1), limits=LIMITS, subprotocols=["a", "a"]
    )
    with pytest.raises(LocalProtocolError):
        client.request()


def test_international_host_name():
    def line(host: str) -> bytes:
        client = Framing.client(host=host, target="/", rng=random.Random(1), limits=LIMITS)
        return client.request().split(b"\r\n")[1]

    assert line("bücher.example:80") == b"Host: xn--bcher-kva.example:80"
    assert line("[::1]:8080") == b"Host: [::1]:8080"
    for host in ("ü" * 300, "", "a" * 256, "ü..a"):
        with pytest.raises(LocalProtocolError):
            line(host)


def test_101_then_frames():
    wire = answer() + frame(TEXT, b"first", mask=None)
    assert waiting_client().receive(wire, 0.0) == [
        HandshakeAccepted(subprotocol=None),
        TextFrame(text="first"),
    ]


@pytest.mark.parametrize(
    "extension",
    [
        "permessage-deflate; server_max_window_bits=99",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate; x=1",
        "x-other",
        "caf\xe9",
        ";",
    ],
)
def test_hostile_extension_answer(extension):
    failed(answer(f"Sec-WebSocket-Extensions: {extension}"), compression=True)
    failed(answer(f"Sec-WebSocket-Extensions: {extension}"))


def test_extension_not_asked_for():
    wire = answer("Sec-WebSocket-Extensions: permessage-deflate")
    assert failed(wire) == "an extension that was not asked for"


def test_non_ascii_subprotocol():
    failed(answer("Sec-WebSocket-Protocol: caf\xe9"), subprotocols=["im.v1"])


def test_subprotocol_not_asked_for():
    wire = answer("Sec-WebSocket-Protocol: im.v2")
    assert failed(wire) == "a subprotocol that was not asked for"
    assert failed(wire, subprotocols=["im.v1"]) == "a subprotocol that was not asked for"


def test_subprotocol_asked_for_and_none_chosen():
    assert failed(answer(), subprotocols=["im.v1"]) == "no subprotocol chosen"


def test_two_subprotocols_chosen():
    wire = answer("Sec-WebSocket-Protocol: im.v1", "Sec-WebSocket-Protocol: im.v1")
    failed(wire, subprotocols=["im.v1"])


@pytest.mark.parametrize(
    "accept", ["", "x", ACCEPT.lower(), ACCEPT + "\r\nSec-WebSocket-Accept: x"]
)
def test_wrong_accept_token(accept):
    wire = answer(f"Sec-WebSocket-Accept: {accept}", drop=["Sec-WebSocket-Accept"])
    assert "sec-websocket-accept" in failed(wire)


@pytest.mark.parametrize("name", ["Upgrade", "Connection", "Sec-WebSocket-Accept"])
def test_101_with_a_header_missing(name):
    failed(answer(drop=[name]))


@pytest.mark.parametrize("status", ["100 Continue", "103 Early Hints", "102 x"])
def test_interim_answers_are_skipped(status):
    interim = f"HTTP/1.1 {status}\r\nLink: </{'a' * 500}>\r\n\r\n".encode()
    wire = interim * 2 + answer() + frame(TEXT, b"x", mask=None)
    want = [HandshakeAccepted(subprotocol=None), TextFrame(text="x")]
    assert waiting_client().receive(wire, 0.0) == want
    assert feed(waiting_client(), single_bytes(wire)) == want
    for cut in (300, 700, 1100):
        assert feed(waiting_client(), [wire[:cut], wire[cut:]]) == want


def test_interim_answers_count_against_the_caps():
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    assert failed(interim * 65) == "too many headers in the handshake"
    long = b"HTTP/1.1 103 Early Hints\r\nLink: %s\r\n\r\n" % (b"a" * 1000)
    assert failed(long * 8) == "handshake too long"
    limits = FrameLimits(handshake_headers=10, handshake_bytes=10**6)
    assert failed(interim * 11, limits=limits) == "too many headers in the handshake"
    # 1xx without headers: their bytes alone.
    assert failed(b"HTTP/1.1 100 \r\n\r\n" * 2000) == "handshake too long"


def test_endless_header_stream_to_a_client():
    (event,) = feed(waiting_client(), [b"HTTP/1.1 101 \r\n", *[b"X: " + b"y" * 100] * 200])
    assert isinstance(event, Violation)


@pytest.mark.parametrize("status", [200, 301, 302, 307, 308, 400, 401, 403, 404, 429, 500, 503])
def test_other_status_ends_it_and_redirects_are_not_followed(status):
    wire = f"HTTP/1.1 {status} No\r\nLocation: wss://evil/\r\n\r\nbody".encode()
    client = waiting_client()
    assert client.receive(wire, 0.0) == [
        HandshakeRejected(status=status, retry_after=None, reason="No")
    ]
    assert not client.open and not client.partial
    assert client.receive(answer(), 0.0) == []  # the first terminal answer wins


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("30", 30.0),
        ("86400", 86400.0),
        ("86401", 86400.0),
        ("9" * 5000, 86400.0),
        ("-1", None),
        ("1.5", None),
        ("1e9", None),
        ("\xb2", None),  # isdigit() as text
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after(value, seconds):
    wire = f"HTTP/1.1 503 x\r\nRetry-After: {value}\r\n\r\n".encode("latin-1")
    (event,) = waiting_client().receive(wire, 0.0)
    assert isinstance(event, HandshakeRejected)
    assert event.retry_after == seconds


@pytest.mark.parametrize(
    ("phrase", "reason"),
    [
        ("Nope", "Nope"),
        ("caf\xe9", "caf\\xe9"),
        ("x" * 5000, "x" * 100),
        ("a\tb", "a\\tb"),
        ("", ""),
    ],
)
def test_reason_phrase_is_safe_to_log(phrase, reason):
    wire = f"HTTP/1.1 404 {phrase}\r\n\r\n".encode("latin-1")
    assert waiting_client().receive(wire, 0.0) == [
        HandshakeRejected(status=404, retry_after=None, reason=reason)
    ]


@pytest.mark.parametrize(
    "wire", [b"\r\n\r\n", b"SSH-2.0-x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\n\r\n\r\n"]
)
def test_answer_that_is_no_http_answer(wire):
    failed(wire)


def test_bytes_before_our_request():
    client = Framing.client(host="h", target="/", rng=random.Random(1), limits=LIMITS)
    (event,) = client.receive(answer(), 0.0)
    assert event == Violation(code=1002, reason="bytes before our request", handshake=True)
    with pytest.raises(LocalProtocolError):
        client.request()


def test_a_server_may_say_in_the_101_that_it_knows_more() -> None:
    client = Framing.client(host="h", target="/ws", rng=random.Random(1), limits=FrameLimits())
    server = Framing.server(limits=FrameLimits())
    server.receive(client.request(), 0.0)
    said = server.accept(headers=(("IM-Capabilities", "seq, batch"),))
    assert client.receive(said, 0.0) == [HandshakeAccepted(subprotocol=None, capable=True)]
    with pytest.raises(LocalProtocolError):
        Framing.server(limits=FrameLimits()).accept(headers=(("X", "a\r\nb"),))
