"""The opening handshake, both roles: hostile input of each kind, one test each."""

from __future__ import annotations

import random
import time
from contextlib import suppress

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.test_framing_kit import (
    ACCEPT,
    KEY,
    LIMITS,
    TEXT,
    answer,
    feed,
    frame,
    get,
    single_bytes,
    waiting_client,
)
from im_proto import handshake
from im_proto.errors import LocalProtocolError
from im_proto.framing import (
    Framing,
    HandshakeAccepted,
    HandshakeRejected,
    HandshakeRequested,
    TextFrame,
    Violation,
)
from im_proto.heads import Heads, Refused, odd_request, ordinary_request
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


def requested(data: bytes, **options: bool) -> HandshakeRequested:
    (event,) = Framing.server(limits=LIMITS, **options).receive(data, 0.0)
    assert isinstance(event, HandshakeRequested), event
    return event


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


# --- Server --------------------------------------------------------------------------------------


def test_request_is_reported_as_it_came():
    event = requested(get("Origin: https://a.example", "Sec-WebSocket-Protocol: im.v1 ,, im.v2"))
    assert event.target == "/im?x=1"
    assert event.host == "chat.example:8080"
    assert event.origin == "https://a.example"
    assert event.subprotocols == ("im.v1", "im.v2")
    assert ("sec-websocket-key", KEY) in event.headers
    assert ("origin", "https://a.example") in event.headers


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


# --- Client --------------------------------------------------------------------------------------


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


def test_a_server_may_say_in_the_101_that_it_knows_more() -> None:
    client = Framing.client(host="h", target="/ws", rng=random.Random(1), limits=FrameLimits())
    server = Framing.server(limits=FrameLimits())
    server.receive(client.request(), 0.0)
    said = server.accept(headers=(("IM-Capabilities", "seq, batch"),))
    assert client.receive(said, 0.0) == [HandshakeAccepted(subprotocol=None, capable=True)]
    with pytest.raises(LocalProtocolError):
        Framing.server(limits=FrameLimits()).accept(headers=(("X", "a\r\nb"),))
