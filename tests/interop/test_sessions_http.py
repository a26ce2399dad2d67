"""`HttpCalls` against a real HTTP server that misbehaves on purpose."""

from __future__ import annotations

import logging
import queue
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.tls_kit import server_tls, trusting
from im_proto.client.actions import CallHttp
from im_proto.client.inputs import HttpAnswered, HttpFailed
from im_runtime.http import HttpCalls, check_httpx
from interop.sessions_kit import TOKEN
from peers.session_server import (
    PATIENCE,
    Rules,
    SessionServer,
    drops,
    garbage,
    hangs,
    pours,
    redirects,
    trickles,
    writes,
)


def no_tls() -> ssl.SSLContext:
    raise AssertionError("not for http")


class Bench:
    """Makes calls and waits for their answers."""

    def __init__(self, tls: Any = no_tls) -> None:
        self.answers: queue.Queue[HttpAnswered | HttpFailed] = queue.Queue()
        self.calls = HttpCalls(tls=tls, answer=self.answers.put)
        self._count = 0

    def start(self, url: str, **more: Any) -> int:
        self._count += 1
        fields: dict[str, Any] = {
            "method": "GET",
            "headers": (("satoken", TOKEN), ("Accept-Encoding", "identity")),
            "body": b"",
            "limit": 10_000,
            "timeout": 5.0,
        }
        self.calls.start(CallHttp(request=self._count, url=url, **(fields | more)))
        return self._count

    def answer(self, url: str, **more: Any) -> HttpAnswered | HttpFailed:
        request = self.start(url, **more)
        answer = self.answers.get(timeout=PATIENCE)
        assert answer.request == request
        assert self.calls.ended(request)
        assert not self.calls.ended(request)
        return answer


def until_no_thread() -> None:
    for thread in threading.enumerate():
        if thread.name == "im_http":
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.fixture
def server() -> Iterator[SessionServer]:
    with SessionServer() as server:
        server.add(5, 1, 2)
        yield server
    until_no_thread()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_answer_comes_back_as_it_is(server: SessionServer, bench: Bench) -> None:
    server.next(writes(503, b"\x00busy", Retry_After="7"))
    answer = bench.answer(f"{server.url}/x?a=1", method="POST", body=b'{"b": 2}')
    assert answer == HttpAnswered(request=1, status=503, body=b"\x00busy", retry_after=7.0)
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.query, seen.body) == ("POST", "/x", {"a": "1"}, {"b": 2})
    assert seen.headers["satoken"] == TOKEN
    assert seen.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("given", "understood"),
    [("7", 7.0), ("9" * 50, 86_400.0), ("soon", None), ("-1", None), ("²", None), ("", None)],
)
def test_retry_after_is_a_bounded_number_or_nothing(
    server: SessionServer, bench: Bench, given: str, understood: float | None
) -> None:
    server.next(writes(503, b"", Retry_After=given))
    answer = bench.answer(server.url)
    assert isinstance(answer, HttpAnswered)
    assert answer.retry_after == understood


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_so_the_token_goes_nowhere_else(
    server: SessionServer, bench: Bench, status: int
) -> None:
    with SessionServer() as elsewhere:
        server.next(redirects(f"{elsewhere.url}/im/session/get", status))
        answer = bench.answer(f"{server.url}/im/session/get?sessionId=7000")
        assert isinstance(answer, HttpAnswered)
        assert answer.status == status
        assert elsewhere.seen == []
    assert len(server.seen) == 1


def test_a_body_is_read_as_far_as_it_is_wanted(server: SessionServer, bench: Bench) -> None:
    for deed in (pours, writes(200, b"x" * 1_000_000)):
        server.next(deed)
        answer = bench.answer(server.url, limit=5000)
        assert isinstance(answer, HttpAnswered)
        assert len(answer.body) == 5001


def test_a_compressed_body_is_not_inflated(server: SessionServer, bench: Bench) -> None:
    import gzip

    bomb = gzip.compress(b"0" * 5_000_000)
    server.next(writes(200, bomb, Content_Encoding="gzip"))
    answer = bench.answer(server.url)
    assert isinstance(answer, HttpAnswered)
    assert answer.body == bomb


@pytest.mark.parametrize("deed", [drops, garbage], ids=["drops", "garbage"])
def test_no_answer_is_told_without_the_words_of_the_peer(
    server: SessionServer, bench: Bench, deed: Any
) -> None:
    server.next(deed)
    answer = bench.answer(server.url)
    assert isinstance(answer, HttpFailed)
    assert answer.reason == "RemoteProtocolError"


def test_where_nobody_listens_the_reason_says_so(bench: Bench) -> None:
    with SessionServer() as server:
        port = server.port
    answer = bench.answer(f"http://127.0.0.1:{port}/")
    assert isinstance(answer, HttpFailed)
    assert "refused" in answer.reason


def test_a_header_that_can_not_be_sent_is_not_quoted(server: SessionServer, bench: Bench) -> None:
    for token in ("secret\r\nx: y", "secret "):
        answer = bench.answer(server.url, headers=(("satoken", token),))
        assert isinstance(answer, HttpFailed)
        assert "secret" not in answer.reason


@pytest.mark.parametrize("deed", [hangs, trickles], ids=["hangs", "trickles"])
def test_a_cancelled_call_lets_go_of_its_connection_at_once(
    server: SessionServer, bench: Bench, deed: Any
) -> None:
    server.next(deed)
    request = bench.start(server.url, timeout=60.0)
    server.arrived(1)
    began = time.monotonic()
    bench.calls.cancel(request)
    until_no_thread()
    assert time.monotonic() - began < 30
    assert bench.answers.empty()
    assert not bench.calls.ended(request)


def test_cancelling_all_leaves_nothing(server: SessionServer, bench: Bench) -> None:
    server.next(hangs, hangs, hangs)
    for _ in range(3):
        bench.start(server.url, timeout=60.0)
    server.arrived(3)
    bench.calls.cancel_all()
    until_no_thread()
    assert len(bench.calls) == 0
    assert bench.answers.empty()


def test_silence_ends_with_the_timeout(server: SessionServer, bench: Bench) -> None:
    server.next(hangs)
    answer = bench.answer(server.url, timeout=0.05)
    assert isinstance(answer, HttpFailed)
    assert "ReadTimeout" in answer.reason


def test_https_is_trusted_by_the_context_that_is_given_and_no_other() -> None:
    with SessionServer(tls=server_tls()) as server:
        url = f"https://localhost:{server.port}/im/session/get?sessionId=1"
        answer = Bench(trusting).answer(url)
        assert isinstance(answer, HttpAnswered)
        assert answer.status == 200
        refused = Bench(ssl.create_default_context).answer(url)
        assert isinstance(refused, HttpFailed)
        assert "CERTIFICATE_VERIFY_FAILED" in refused.reason
        assert len(server.seen) == 1


def test_a_call_over_tls_can_be_cancelled_too() -> None:
    with SessionServer(tls=server_tls()) as server:
        server.next(hangs)
        bench = Bench(trusting)
        request = bench.start(f"https://localhost:{server.port}/", timeout=60.0)
        server.arrived(1)
        bench.calls.cancel(request)
        until_no_thread()
        assert bench.answers.empty()


def test_the_environment_has_no_say(
    server: SessionServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    answer = bench.answer(f"{server.url}/im/session/get?sessionId=7000")
    assert isinstance(answer, HttpAnswered)
    assert answer.status == 200


def test_a_configured_proxy_is_used(bench: Bench) -> None:
    with SessionServer(Rules(prefix="http://chat.example/im")) as proxy:
        answer = bench.answer("http://chat.example/", proxy=f"http://u:p@127.0.0.1:{proxy.port}")
        assert isinstance(answer, HttpAnswered)
        (seen,) = proxy.seen
        assert seen.headers["host"] == "chat.example"
        assert "proxy-authorization" in seen.headers


@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets in Python there")
def test_a_unix_socket_takes_the_place_of_host_and_port(bench: Bench) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f"{folder}/s"
        listener.bind(path)
        listener.listen()
        request = bench.start("http://chat.example/x", unix_path=path)
        peer, _ = listener.accept()
        with peer:
            assert peer.recv(9) == b"GET /x HT"
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            answer = bench.answers.get(timeout=PATIENCE)
        assert answer == HttpAnswered(request=request, status=200, body=b"ok")
    until_no_thread()


def test_nothing_that_goes_out_is_logged_at_any_level(
    server: SessionServer, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """What a server sends back is another matter: httpcore logs its headers at DEBUG."""
    with caplog.at_level(logging.DEBUG):
        for deed in (None, drops, redirects("http://elsewhere/")):
            if deed is not None:
                server.next(deed)
            bench.answer(
                f"{server.url}/im/session/startChat", method="POST", body=b'{"bookId": 424242}'
            )
    assert "httpcore" in caplog.text
    assert TOKEN not in caplog.text
    assert "424242" not in caplog.text


def test_without_httpx_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check_httpx()
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "im-proto\[http\]"'):
        check_httpx()


def test_importing_the_clients_does_not_import_httpx() -> None:
    import subprocess

    script = "import sys, im_asyncio, im_threads; print('httpx' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert ran.stdout.strip() == "False"
