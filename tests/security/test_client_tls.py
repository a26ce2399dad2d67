"""What a client needs to believe before its token goes out, and where it never goes."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import im_runtime.net
from adapters.threads_kit import Connection, nothing_left, plain
from adapters.tls_kit import CERTIFICATE, server_tls
from core.test_framing_kit import answer
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.wire.session import SessionOp
from security.hostile_kit import TOKEN, Victim, close, envelope, text_frame
from security.sockets_kit import ADAPTERS, against

__all__ = ["nothing_left"]
EXPIRED = Path(__file__).parent / "certs" / "expired.pem"
CONFORMANCE = Path(im_runtime.net.__file__).parents[2] / "im_proto/testing/conformance/data"

# ---------------------------------------------------------------- who is believed


@pytest.fixture
def system_trusts(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine trusts the certificate of the tests, and the expired one, as it does its own."""
    both = (CERTIFICATE.read_text() + EXPIRED.read_text()).split("-----BEGIN ")
    trusted = "\n".join(f"-----BEGIN {it}" for it in both if it.startswith("CERTIFICATE"))
    monkeypatch.setattr(
        ssl.SSLContext,
        "load_default_certs",
        lambda context, *_: context.load_verify_locations(cadata=trusted),
    )


def tls_of(certificate: Path) -> ssl.SSLContext:
    """A server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.usefixtures("nothing_left", "system_trusts")
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_certificate_that_the_system_trusts_is_taken(adapter: str) -> None:
    error = against(adapter, plain, tls=server_tls(), host="localhost")
    assert error is None


@pytest.mark.usefixtures("nothing_left", "system_trusts")
@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize(
    ("certificate", "words"),
    [(EXPIRED, "certificate has expired"), (CONFORMANCE / "stranger.pem", "VERIFY_FAILED")],
    ids=["expired", "self-signed"],
)
def test_no_other_certificate_gets_a_byte_of_the_upgrade(
    adapter: str, certificate: Path, words: str
) -> None:
    heard: list[bytes] = []

    def listen(connection: Connection) -> None:
        heard.append(connection.raw.recv(65536))

    error = against(adapter, listen, tls=tls_of(certificate), host="localhost")
    assert error is not None
    assert error.code == "CONNECTION_FAILED"
    assert words in error.text
    assert not any(heard)


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_name_is_verified_where_the_certificate_is_trusted(adapter: str) -> None:
    trusting = im_runtime.net.default_tls()
    trusting.load_verify_locations(str(CONFORMANCE / "ca.pem"))
    tls = tls_of(CONFORMANCE / "elsewhere.pem")
    error = against(adapter, plain, tls=tls, host="localhost", ssl_context=trusting)
    assert error is not None
    assert "mismatch" in error.text and "(tls)" in error.text
    tls = tls_of(CONFORMANCE / "localhost.pem")
    assert against(adapter, plain, tls=tls, host="localhost", ssl_context=trusting) is None


@pytest.mark.usefixtures("nothing_left", "system_trusts")
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_tls_1_1_is_refused_and_1_2_is_taken(adapter: str) -> None:
    old = server_tls()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    error = against(adapter, plain, tls=old, host="localhost")
    assert error is not None
    assert "(tls)" in error.text
    newer = server_tls()
    newer.maximum_version = ssl.TLSVersion.TLSv1_2
    assert against(adapter, plain, tls=newer, host="localhost") is None


def test_nothing_less_is_in_the_settings() -> None:
    context = im_runtime.net.default_tls()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_server_that_answers_tls_in_plain_text_is_not_talked_to_in_plain_text(
    adapter: str,
) -> None:
    heard: list[bytes] = []

    def in_plain(connection: Connection) -> None:
        heard.append(connection.raw.recv(65536))
        connection.raw.sendall(answer() + text_frame(envelope("AUTH_RESPONSE", code=0)))
        connection.mute()

    tries = {"max_retries": 3, "initial_delay": 0.001, "jitter": "none"}
    error = against(adapter, in_plain, scheme="wss", retry=True, reconnect=tries)
    assert error is not None
    assert len(heard) == 3
    assert all(data[:1] == b"\x16" for data in heard)  # a ClientHello, and nothing else


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_no_proxy_comes_from_the_environment(adapter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy", "socks_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:1")
    assert against(adapter, plain) is None


# ---------------------------------------------------------------- no way round TLS

_WAYS_TO_FAIL = (
    *inp.TransportFailure,
    "lost",
    "lost behind the request",
    "garbage",
    *(200, 301, 302, 307, 308, 400, 401, 403, 404, 426, 429, 500, 503),
    "silence",
    *(1000, 1001, 1002, 1006, 1008, 1009, 1011, 1012, 1013, 4001, 4002, 4003, 4004, 4009),
    "refused log-in",
    "another user",
    "log-in failed",
    "kick",
    "lost after the log-in",
)


def _fail(v: Victim, how: Any) -> None:
    """From an OpenTransport on: this attempt ends in that way."""
    transport = v.transport
    if isinstance(how, inp.TransportFailure):
        v.do(inp.TransportFailed(transport=transport, kind=how, reason="x"))
        return
    v.do(inp.TransportOpened(transport=transport))
    if v.config.proxy is not None:
        v.bytes(b"HTTP/1.1 200 OK\r\n\r\n")
        v.do(inp.TlsStarted(transport=transport))
    if how == "silence":
        v.pass_time(30.0, until=act.AbortTransport)
    elif how == "garbage":
        v.bytes(b"\x15\x03\x01\x00\x02\x02\x28" * 10 + b"\r\n\r\n")
    elif isinstance(how, int) and how < 1000:
        v.bytes(f"HTTP/1.1 {how} X\r\nLocation: ws://chat.example:80/ws\r\n\r\n".encode())
    elif how == "lost":
        v.do(inp.TransportLost(transport=transport))
    else:
        v.bytes(answer())
        if isinstance(how, int):
            v.bytes(close(how.to_bytes(2, "big")) if how != 1006 else b"\xff\xff")
        elif how == "kick":
            v.say("KICK", reason="go to ws://chat.example").bytes(close())
        else:
            codes = {"refused log-in": 40101, "log-in failed": 50000, "another user": 0}
            data = {"userId": 2} if how == "another user" else None
            if how in codes or how == "lost after the log-in":
                v.say("AUTH_RESPONSE", code=codes.get(how, 0), data=data)
        if v.engine.core.connection != "disconnected":
            v.do(inp.TransportLost(transport=transport))


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.sampled_from(_WAYS_TO_FAIL), max_size=10),
    st.sampled_from([None, "http://u:P4SS@proxy.example:3128"]),
)
def test_after_any_failure_the_next_attempt_is_as_secure_as_the_first(
    failures: list[Any], proxy: str | None
) -> None:
    v = Victim(ws_url="wss://chat.example/ws", proxy=proxy)
    v.send()
    v.do(inp.Connect())
    for how in failures:
        _fail(v, how)
        if v.status == "DISCONNECTED":
            v.do(inp.UpdateToken(token=TOKEN + "2"))
            v.do(inp.Connect())
        if v.engine.core.connection == "disconnected":
            v.pass_time(90_000.0, until=act.OpenTransport)
    _all_was_secure(v, proxied=proxy is not None)


def _all_was_secure(v: Victim, *, proxied: bool) -> None:
    """Each OpenTransport is of TLS with that name; through a proxy nothing but CONNECT goes out
    before TLS with that name."""
    tls: set[int] = set()
    opened: set[int] = set()
    for action in v.actions:
        if isinstance(action, act.OpenTransport):
            opened.add(action.transport)
            if proxied:
                assert (action.host, action.port) == ("proxy.example", 3128)
                assert not action.secure
            else:
                assert (action.host, action.port) == ("chat.example", 443)
                assert action.secure
                tls.add(action.transport)
        elif isinstance(action, act.StartTls):
            assert action.host == "chat.example"
            tls.add(action.transport)
        elif isinstance(action, act.SendBytes) and action.transport not in tls:
            assert proxied
            assert action.data.startswith(b"CONNECT chat.example:443 ")
            assert TOKEN.encode() not in action.data
        elif isinstance(action, act.CallHttp):
            assert action.url.startswith("https://chat.example/")
    assert opened


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_token_of_a_session_call_follows_no_redirect(status: int) -> None:
    v = Victim(ws_url="wss://chat.example/ws")
    v.do(inp.SessionCall(ref=1, op=SessionOp.GET, session_id=5))
    (call,) = v.of(act.CallHttp)
    assert call.url.startswith("https://chat.example/im/")
    v.forget().do(inp.HttpAnswered(request=call.request, status=status, body=b"{}"))
    assert not v.of(act.CallHttp)
    (failed,) = v.of(ev.SessionFailed)
    assert "redirects" in failed.error.text


@pytest.mark.parametrize("size", [1, 100_000], ids=["byte by byte", "at once"])
def test_a_proxy_says_no_more_than_a_head_and_hears_no_token(size: int) -> None:
    v = Victim(ws_url="wss://chat.example/ws", proxy="http://u:P4SS@proxy.example:3128")
    v.do(inp.Connect())
    v.do(inp.TransportOpened(transport=v.transport))
    endless = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 3000
    for at in range(0, len(endless), size):
        if v.engine.core.connection == "disconnected":
            break
        v.bytes(endless[at : at + size])
    assert v.of(act.AbortTransport)
    assert "too long" in v.error.text
    sent = b"".join(action.data for action in v.of(act.SendBytes))
    assert sent.startswith(b"CONNECT ")
    assert TOKEN.encode() not in sent
    assert "P4SS" not in v.engine.explain(v.now) + str(v.error)
