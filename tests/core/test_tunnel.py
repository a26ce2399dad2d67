"""CONNECT through a proxy (RFC 9110 section 9.3.6): the tunnel alone, and in a ClientEngine."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.test_client_engine import Engine
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.config import ClientConfig
from im_proto.errors import LocalProtocolError
from im_proto.framing import HandshakeRequested
from im_proto.handshake import Refused
from im_proto.tunnel import Tunnel

PROXY = "http://ann:s%20cret@proxy.example:3128"
YES = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n"


def fed(answer: bytes, size: int) -> bool:
    tunnel = Tunnel(PROXY, "chat.example", 443)
    tunnel.request()
    cuts = [answer[at : at + size] for at in range(0, len(answer), size)]
    return [False, *(tunnel.receive(cut) for cut in cuts)][-1]


def test_the_request_names_the_server_and_holds_the_proxys_credentials_only() -> None:
    tunnel = Tunnel(PROXY, "chat.example", 443)
    lines = tunnel.request().decode().split("\r\n")
    assert lines[0] == "CONNECT chat.example:443 HTTP/1.1"
    assert "Host: chat.example:443" in lines
    credentials = base64.b64encode(b"ann:s cret").decode()
    assert f"Proxy-Authorization: Basic {credentials}" in lines
    assert (tunnel.proxy_host, tunnel.proxy_port) == ("proxy.example", 3128)


def test_an_ipv6_address_is_bracketed_and_a_proxy_without_a_port_has_80() -> None:
    tunnel = Tunnel("http://[::1]", "2001:db8::1", 80)
    assert tunnel.request().startswith(b"CONNECT [2001:db8::1]:80 HTTP/1.1\r\n")
    assert (tunnel.proxy_host, tunnel.proxy_port) == ("::1", 80)


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    "answer",
    [YES, b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" + YES],
)
def test_any_2xx_opens_the_tunnel_in_any_chunking(answer: bytes, size: int) -> None:
    assert fed(answer, size)


def test_junk_behind_the_answer_is_refused() -> None:
    with pytest.raises(Refused, match="more than its answer"):
        fed(YES + b"\x81\x00", 10_000)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "user and a password"),
        (b"HTTP/1.1 502 Bad\x07 Gateway\r\n\r\n", "control characters"),
        (b"HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nsay", "answered 403 No"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 65 + b"\r\n", "too many headers"),
        (b"x" * 9000, "too long"),
    ],
)
@pytest.mark.parametrize("size", [1, 10_000])
def test_whatever_else_is_refused_in_our_words(answer: bytes, words: str, size: int) -> None:
    with pytest.raises(Refused, match=words):
        fed(answer, size)


@given(st.binary(max_size=300) | st.text(max_size=99).map(lambda t: f"HTTP/1.1 {t}".encode()))
def test_whatever_a_proxy_says_only_refused_is_raised(answer: bytes) -> None:
    try:
        assert fed(answer, 10_000) in (True, False)
    except Refused as refused:
        assert str(refused).isprintable()


# ---- in the engine


class Proxied(Engine):
    def tunnel(self) -> Proxied:
        self.do(inp.Connect())
        (opened,) = [a for a in self.actions if isinstance(a, act.OpenTransport)]
        assert (opened.host, opened.port, opened.secure) == ("proxy.example", 3128, False)
        self.actions.clear()
        self.engine_only(inp.TransportOpened(transport=opened.transport))
        (sent,) = self.actions
        assert isinstance(sent, act.SendBytes)
        assert sent.data.startswith(b"CONNECT chat.example:")
        self.actions.clear()
        return self

    def engine_only(self, event: inp.Input) -> None:
        """What goes to the proxy is nothing for the server."""
        self.actions += self.engine.step(event, self.now)

    def failure(self) -> str:
        return " ".join(
            str(a.event.error)
            for a in self.actions
            if isinstance(a, act.Notify) and isinstance(a.event, ev.ErrorOccurred)
        )


def test_behind_the_tunnel_the_websocket_begins() -> None:
    e = Proxied(proxy=PROXY).tunnel()
    for byte in YES:
        e.do(inp.BytesReceived(transport=1, data=bytes([byte])))
    assert isinstance(e.seen[-1], HandshakeRequested)


def test_with_wss_tls_is_asked_for_with_the_servers_name() -> None:
    e = Proxied(proxy=PROXY, ws_url="wss://chat.example/ws").tunnel()
    e.do(inp.BytesReceived(transport=1, data=YES))
    assert e.actions == [act.StartTls(transport=1, host="chat.example")]
    e.do(inp.BytesReceived(transport=9, data=b"of an older one"))
    e.do(inp.TlsStarted(transport=9))
    assert len(e.actions) == 1
    e.do(inp.TlsStarted(transport=1))
    assert isinstance(e.seen[-1], HandshakeRequested)


def test_what_an_adapter_says_out_of_turn_is_its_error_and_changes_nothing() -> None:
    e = Proxied(proxy=PROXY, ws_url="wss://chat.example/ws").tunnel()
    for wrong in (inp.TransportOpened(transport=1), inp.TlsStarted(transport=1)):
        with pytest.raises(LocalProtocolError, match="the proxy"):
            e.do(wrong)
    e.do(inp.BytesReceived(transport=1, data=YES))
    assert e.actions == [act.StartTls(transport=1, host="chat.example")]


def test_bytes_while_tls_begins_end_the_tunnel() -> None:
    e = Proxied(proxy=PROXY, ws_url="wss://chat.example/ws").tunnel()
    e.do(inp.BytesReceived(transport=1, data=YES))
    e.do(inp.BytesReceived(transport=1, data=b"HTTP/1.1 200 OK\r\n\r\n"))
    assert "out of turn" in e.failure()


def test_a_proxy_that_refuses_is_told_and_tried_again() -> None:
    e = Proxied(proxy=PROXY).tunnel()
    e.do(inp.BytesReceived(transport=1, data=b"HTTP/1.1 407 Who are you\r\n\r\n"))
    assert isinstance(e.actions[0], act.AbortTransport)
    assert "the proxy answered 407 Who are you" in e.failure()
    assert "(proxy)" in e.failure()
    assert "s cret" not in e.failure()
    assert e.engine.state().retry_in is not None


def test_a_proxy_that_goes_away_is_told_and_tls_that_fails_too() -> None:
    e = Proxied(proxy=PROXY).tunnel()
    e.do(inp.TransportLost(transport=1))
    assert "(proxy)" in e.failure()
    e = Proxied(proxy=PROXY, ws_url="wss://chat.example/ws").tunnel()
    e.do(inp.BytesReceived(transport=1, data=YES))
    e.do(inp.TransportFailed(transport=1, kind=inp.TransportFailure.TLS, reason="wrong name"))
    assert "wrong name" in e.failure()


def test_a_proxy_that_is_silent_or_trickles_is_given_up_in_time() -> None:
    e = Proxied(proxy=PROXY, timeouts={"connect": 5}).tunnel()
    for _ in range(5):
        e.now += 0.9
        e.do(inp.BytesReceived(transport=1, data=b"H"[:1] if not e.actions else b"T"))
    e.now += 1
    e.do(inp.TimePassed())
    assert any(isinstance(a, act.AbortTransport) for a in e.actions)
    e.do(inp.BytesReceived(transport=1, data=YES))
    assert not any(isinstance(a, act.SendBytes) for a in e.actions)


def test_disconnecting_in_the_tunnel_ends_it() -> None:
    e = Proxied(proxy=PROXY).tunnel()
    e.do(inp.Disconnect())
    assert any(isinstance(a, act.AbortTransport) for a in e.actions)
    e.actions.clear()
    e.do(inp.BytesReceived(transport=1, data=YES))
    e.do(inp.TransportLost(transport=1))
    e.do(inp.TlsStarted(transport=1))
    assert e.actions == []


@pytest.mark.parametrize(
    "proxy",
    ["https://p:1", "p:3128", "http://", "http://p:1/x", "http://p:99999", "http://p :1", ""],
)
def test_a_proxy_that_is_none_is_refused_without_showing_it(proxy: str) -> None:
    with pytest.raises(ValueError) as raised:
        ClientConfig(ws_url="ws://x/", token="t", user_id=1, proxy=proxy)
    assert "proxy" in str(raised.value)


def test_the_credentials_show_nowhere_and_one_way_is_enough() -> None:
    config = ClientConfig(ws_url="ws://x/", token="t", user_id=1, proxy=PROXY)
    assert "cret" not in repr(config)
    with pytest.raises(ValueError, match="choose one"):
        ClientConfig(ws_url="ws://x/", token="t", user_id=1, proxy=PROXY, unix_path="/x")


def test_a_proxy_that_can_not_be_reached_is_named_instead_of_the_server() -> None:
    e = Proxied(proxy=PROXY)
    e.do(inp.Connect())
    e.do(inp.TransportFailed(transport=1, kind=inp.TransportFailure.DNS, reason="no such name"))
    assert "the proxy proxy.example:3128" in e.failure()


@pytest.mark.parametrize("url", ["http://user:hunter2", "http://u:hunter2é@p:1", "//u:hunter2"])
def test_no_mistake_in_a_url_shows_the_password(url: str) -> None:
    fields = {"token": "t", "user_id": 1}
    for config in (
        {"ws_url": "ws://x/", "proxy": url},
        {"ws_url": url.replace("http", "ws")},
        {"ws_url": "ws://x/", "http": {"base_url": url}},
    ):
        with pytest.raises(ValueError) as raised:
            ClientConfig.model_validate(fields | config)
        assert "hunter" not in str(raised.value)
