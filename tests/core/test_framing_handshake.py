"""The opening handshake of a server: hostile input of each kind, one test each."""

from __future__ import annotations

import time

import pytest

from core.test_framing_kit import (
    ACCEPT,
    KEY,
    LIMITS,
    TEXT,
    feed,
    frame,
    get,
    requested,
    single_bytes,
    waiting_client,
)
from im_proto.errors import LocalProtocolError
from im_proto.framing import (
    Framing,
    HandshakeRejected,
    HandshakeRequested,
    TextFrame,
    Violation,
)
from im_proto.limits import FrameLimits


def refused(data: bytes, limits: FrameLimits = LIMITS, **options: bool) -> int:
    """The status with which a server refuses `data`, whole and byte by byte alike."""
    server = Framing.server(limits=limits, **options)
    events = server.receive(data, 0.0)
    assert feed(Framing.server(limits=limits, **options), single_bytes(data)) == events
    (event,) = events
    assert isinstance(event, Violation), event
    assert event.handshake
    assert "parser failed" not in event.reason
    # The engine can always answer it.
    assert server.reject(event.code).startswith(b"HTTP/1.1 %d " % event.code)
    return event.code


def test_request_is_reported_as_it_came():
    event = requested(get("Origin: https://a.example", "Sec-WebSocket-Protocol: im.v1 ,, im.v2"))
    assert event.target == "/im?x=1"
    assert event.host == "chat.example:8080"
    assert event.origin == "https://a.example"
    assert event.subprotocols == ("im.v1", "im.v2")
    assert ("sec-websocket-key", KEY) in event.headers
    assert ("origin", "https://a.example") in event.headers


def test_accept_is_that_of_the_rfc():
    server = Framing.server(limits=LIMITS)
    server.receive(get(), 0.0)
    assert server.accept().decode().split("\r\n") == [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {ACCEPT}",
        "",
        "",
    ]


def test_tokens_stay_out_of_the_repr():
    event = requested(get("Authorization: Bearer s3cret", line="GET /?token=s3cret HTTP/1.1"))
    assert "s3cret" not in repr(event)


@pytest.mark.parametrize("name", ["Connection", "Sec-WebSocket-Extensions"])
@pytest.mark.parametrize("compression", [False, True])
def test_non_ascii_header_of_the_handshake(name, compression):
    assert refused(get(f"{name}: caf\xe9"), compression=compression) == 400


@pytest.mark.parametrize(
    "name", ["Host", "Sec-WebSocket-Protocol", "Origin", "Sec-WebSocket-Key", "Upgrade"]
)
def test_non_ascii_value(name):
    assert refused(get(f"{name}: \xff\xfe", drop=[name])) == 400


def test_non_ascii_elsewhere_is_opaque():
    """RFC 9110 section 5.5: obs-text in a header that is not ours is nobody's business."""
    event = requested(get("User-Agent: caf\xe9"))
    assert ("user-agent", "caf\xe9") in event.headers


def test_idna_host_is_not_decoded():
    assert requested(get("Host: xn--aaaa", drop=["Host"])).host == "xn--aaaa"


def test_host_above_255():
    assert requested(get("Host: " + "a" * 255, drop=["Host"])).host == "a" * 255
    assert refused(get("Host: " + "a" * 256, drop=["Host"])) == 400


@pytest.mark.parametrize("value", ["", "a b", "a, b"])
def test_bad_host(value):
    assert refused(get(f"Host: {value}", drop=["Host"])) == 400


def test_missing_or_double_host():
    assert refused(get(drop=["Host"])) == 400
    assert refused(get("Host: other")) == 400


@pytest.mark.parametrize(
    "parameter",
    [
        "server_max_window_bits=abc",
        'server_max_window_bits="10',
        "server_max_window_bits=" + "9" * 5000,
        "server_max_window_bits=99",
        "server_max_window_bits=8",
        "server_max_window_bits",
        "client_max_window_bits=16",
        "client_no_context_takeover=1",
        "client_no_context_takeover; client_no_context_takeover",
        "unknown",
        "=",
    ],
)
def test_bad_extension_offer_is_declined(parameter):
    offer = f"Sec-WebSocket-Extensions: permessage-deflate; {parameter}"
    server = Framing.server(limits=LIMITS, compression=True)
    server.receive(get(offer), 0.0)
    assert b"permessage" not in server.accept()
    assert server.receive(frame(TEXT, b"plain"), 0.0) == [TextFrame(text="plain")]


def test_no_extension_unless_switched_on():
    server = Framing.server(limits=LIMITS)
    server.receive(get("Sec-WebSocket-Extensions: permessage-deflate"), 0.0)
    assert b"permessage" not in server.accept()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "AAAA",
        "A" * 24,  # decodes to 18 bytes
        "A" * 22 + "=",
        "A" * 23 + "=",  # 17 bytes
        "!" * 22 + "==",
        "dGhlIHNhbXBsZSBub25jZQ==AAAA",
        "A" * 7000 + "==",
    ],
)
def test_key_that_is_not_16_bytes(key):
    assert refused(get(f"Sec-WebSocket-Key: {key}", drop=["Sec-WebSocket-Key"])) == 400


def test_two_keys_or_none():
    assert refused(get(f"Sec-WebSocket-Key: {KEY}")) == 400
    assert refused(get(drop=["Sec-WebSocket-Key"])) == 400


@pytest.mark.parametrize("header", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_body_is_refused(header):
    assert refused(get(header)) == 413


@pytest.mark.parametrize(
    "header", ["Transfer-Encoding: gzip", "Content-Length: x", "Content-Length: 1, 2"]
)
def test_malformed_body_is_refused(header):
    assert refused(get(header)) == 400


def test_an_empty_body_is_none():
    assert requested(get("Content-Length: 0"))


@pytest.mark.parametrize("target", ["http://chat.example/im", "*", "chat.example:80", "/a#b"])
def test_target_that_is_no_path(target):
    assert refused(get(line=f"GET {target} HTTP/1.1")) == 400


@pytest.mark.parametrize("method", ["POST", "HEAD", "CONNECT", "get"])
def test_other_method(method):
    assert refused(get(line=f"{method} / HTTP/1.1")) == 405


def test_http_1_0_and_preface_of_http_2():
    assert refused(get(line="GET / HTTP/1.0")) == 400
    assert refused(b"PRI * HTTP/2.0\r\n\r\n") in (400, 405)


@pytest.mark.parametrize("name", ["Upgrade", "Connection", "Sec-WebSocket-Version"])
def test_plain_http_or_other_version_is_426(name):
    assert refused(get(drop=[name])) == 426
    value = "8" if name.startswith("Sec") else "close"
    assert refused(get(f"{name}: {value}", drop=[name])) == 426


def test_two_versions():
    assert refused(get("Sec-WebSocket-Version: 8")) == 426


def test_two_origins():
    assert refused(get("Origin: https://a", "Origin: https://b")) == 400


def test_20_kb_header_in_one_read():
    assert refused(get("X: " + "a" * 20_000)) == 431


def test_1200_headers_in_one_read():
    lines = [f"X{n}: 1" for n in range(1200)]
    assert refused(get(*lines)) == 431
    assert refused(get(*lines), FrameLimits(handshake_bytes=10**6)) == 431


def test_head_that_never_ends():
    server = Framing.server(limits=LIMITS)
    (event,) = feed(server, [b"GET / HTTP/1.1\r\n", *[b"X: " + b"a" * 95 + b"\r\n"] * 1000])
    assert event == Violation(code=431, reason="handshake too long", handshake=True)


def test_handshake_caps_are_exact():
    data = get()
    assert Framing.server(limits=FrameLimits(handshake_bytes=len(data))).receive(data, 0.0)
    assert refused(data, FrameLimits(handshake_bytes=len(data) - 1)) == 431
    assert isinstance(
        Framing.server(limits=FrameLimits(handshake_headers=5)).receive(data, 0.0)[0],
        HandshakeRequested,
    )
    assert refused(data, FrameLimits(handshake_headers=4)) == 431


def test_many_spaces_in_a_subprotocol():
    start = time.thread_time()
    assert refused(get("Sec-WebSocket-Protocol: b" + " " * 7000 + "x")) == 400
    assert time.thread_time() - start < 1


def test_spaces_before_nul_do_not_reach_h11():
    """h11 needs 0.2 s to find out that this is no header: its pattern is quadratic there."""
    (event,) = Framing.server(limits=LIMITS).receive(get("X: " + " " * 7500 + "\0"), 0.0)
    assert event == Violation(
        code=400, reason="control characters in the handshake", handshake=True
    )


@pytest.mark.parametrize("bad", ["\0", "\x01", "\x7f", "\n", "\r", "\x0b"])
def test_control_characters_and_bare_line_ends(bad):
    assert refused(get(f"X: a{bad}b")) == 400


@pytest.mark.parametrize("fold", ["\r\n x", "\r\n\tx", "\r\n Origin: https://b", "\r\n "])
def test_folded_header(fold):
    """A proxy may take the second line for another header, h11 takes it for the first one's end."""
    assert refused(get(f"Origin: https://a{fold}")) == 400
    assert refused(get(line=f"GET /im HTTP/1.1{fold}")) == 400


def test_head_that_ends_at_bare_line_feeds():
    """h11 would end the first head here and take what follows for the next request."""
    smuggled = b"GET / HTTP/1.1\nHost: a\n\n" + get()
    assert refused(smuggled) == 400


def test_early_frame_with_the_get():
    (event,) = Framing.server(limits=LIMITS).receive(get() + frame(TEXT, b"early"), 0.0)
    assert isinstance(event, Violation)
    assert (event.code, event.handshake) == (400, True)


def test_early_frame_after_the_get():
    server = Framing.server(limits=LIMITS)
    assert isinstance(server.receive(get(), 0.0)[0], HandshakeRequested)
    (event,) = server.receive(frame(TEXT, b"early"), 0.0)
    assert isinstance(event, Violation)
    assert (event.code, event.handshake) == (400, True)
    with pytest.raises(LocalProtocolError):
        server.accept()
    assert server.reject(event.code)


def test_accept_with_a_subprotocol_not_asked_for():
    server = Framing.server(limits=LIMITS)
    server.receive(get("Sec-WebSocket-Protocol: im.v1"), 0.0)
    with pytest.raises(LocalProtocolError):
        server.accept("im.v2")
    assert b"\r\nSec-WebSocket-Protocol: im.v1\r\n" in server.accept("im.v1")


def test_reject():
    server = Framing.server(limits=LIMITS)
    server.receive(get(), 0.0)
    out = server.reject(503, reason="full", headers=[("Retry-After", "7")])
    assert out == (
        b"HTTP/1.1 503 full\r\nRetry-After: 7\r\nConnection: close\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n\r\nfull"
    )
    assert server.receive(b"more", 0.0) == []
    with pytest.raises(LocalProtocolError):
        server.reject(503)
    with pytest.raises(LocalProtocolError):
        server.accept()
    (event,) = waiting_client().receive(out, 0.0)
    assert event == HandshakeRejected(status=503, retry_after=7.0, reason="full")


def test_reject_says_what_belongs_to_its_status():
    server = Framing.server(limits=LIMITS)
    out = server.reject(426)  # at any time: before a request was complete, as on a timeout
    assert b"\r\nUpgrade: websocket\r\n" in out
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in out
    assert b"\r\nConnection: close, upgrade\r\n" in out
    assert b"\r\nAllow: GET\r\n" in Framing.server(limits=LIMITS).reject(405)


@pytest.mark.parametrize("reason", ["a\r\nX: y", "caf\xe9 漢", "x" * 5000, "\ud800"])
def test_reject_reason_cannot_smuggle(reason):
    out = Framing.server(limits=LIMITS).reject(400, reason=reason)
    head, body = out.split(b"\r\n\r\n", 1)
    assert head.count(b"\r\n") == 3
    assert b"Content-Length: %d" % len(body) in head
    (event,) = waiting_client().receive(out, 0.0)
    assert isinstance(event, HandshakeRejected)


@pytest.mark.parametrize("status", [0, 100, 101, 200, 204, 299, 600])
def test_reject_needs_a_refusal(status):
    server = Framing.server(limits=LIMITS)
    with pytest.raises(LocalProtocolError):
        server.reject(status)
    assert server.reject(400)
