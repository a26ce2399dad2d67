"""Where the threads client connects to: several addresses, Unix sockets, a proxy."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.threads_kit import (
    Background,
    Connection,
    Peer,
    client_of,
    nothing_left,
    plain,
    until,
    within,
)
from adapters.tls_kit import server_tls, trusting
from im_threads import IMError
from im_threads.loop import Loop
from im_threads.opening import Opening

__all__ = ["nothing_left"]
pytestmark = pytest.mark.usefixtures("nothing_left")

# ------------------------------------------------------------ addresses


def test_ipv6() -> None:
    with Peer(plain, address=("::1", 0)) as peer, client_of(peer) as client:
        client.connect()
        client.send_message(2, "over IPv6")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
@pytest.mark.parametrize("tls", [False, True])
def test_a_unix_socket(tmp_path: Path, tls: bool) -> None:
    path = str(tmp_path / "im")
    with Peer(plain, address=path, tls=server_tls() if tls else None) as peer:
        options = {"ssl_context": trusting()} if tls else {}
        with client_of(peer, unix_path=path, **options) as client:
            client.connect()
            client.send_message(2, "over a Unix socket")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    with (
        client_of("ws://h/", unix_path=str(tmp_path / "im")) as client,
        pytest.raises(IMError, match="No such file"),
    ):
        client.connect()


def test_localhost_is_looked_up() -> None:
    with Peer(plain) as peer, client_of(peer.url.replace("127.0.0.1", "localhost")) as client:
        client.connect()
        client.send_message(2, "hello")


def through(proxy_of: Peer) -> Any:
    """An HTTP proxy that connects to that peer, whatever it is asked for."""

    def script(connection: Connection) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.raw.recv(65536)
        assert request.startswith(b"CONNECT localhost:"), request
        with socket.create_connection(("127.0.0.1", proxy_of.port)) as onward:
            connection.raw.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = Background(pump, onward, connection.raw)
            pump(connection.raw, onward)
            back.result()

    return script


def pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):  # reset: that is an end as well
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("tls", [False, True])
def test_through_a_proxy(tls: bool) -> None:
    """TLS begins on the open stream, with the server's name to verify."""
    with (
        Peer(plain, tls=server_tls() if tls else None) as peer,
        Peer(through(peer)) as proxy,
    ):
        options = {"ssl_context": trusting()} if tls else {}
        url = peer.url.replace("127.0.0.1", "localhost")
        with client_of(url, proxy=f"http://127.0.0.1:{proxy.port}", **options) as client:
            client.connect()
            client.send_message(2, "through a proxy")


def test_a_wrong_certificate_behind_a_proxy() -> None:
    with Peer(plain, tls=server_tls()) as peer, Peer(through(peer)) as proxy:
        url = peer.url.replace("127.0.0.1", "localhost")
        with (
            client_of(url, proxy=f"http://127.0.0.1:{proxy.port}") as client,
            pytest.raises(IMError, match=r"\(tls\)"),
        ):
            client.connect()


class Doors:
    """getaddrinfo that gives the addresses of sockets which a test has opened, or not."""

    def __init__(self, *addresses: tuple[int, tuple[Any, ...]]) -> None:
        self.infos = [(f, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", a) for f, a in addresses]

    def __call__(self, *_: object, **__: object) -> list[Any]:
        return self.infos


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop("im_threads", busy=lambda: True, failed=lambda _: None)
    yield made
    made.end(lambda: None)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def full() -> tuple[list[socket.socket], tuple[Any, ...]]:
    """An address that does not answer: the queue of whoever listens there is full."""
    deaf = socket.socket()
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(0)
    held = [deaf]
    for _ in range(4):
        caller = socket.socket()
        caller.setblocking(False)
        caller.connect_ex(deaf.getsockname())
        held.append(caller)
    return held, deaf.getsockname()


def open_one(loop: Loop) -> Any:
    """What an Opening comes to."""
    results: list[Any] = []

    def begin() -> None:
        Opening(loop, done=results.append, failed=results.append).tcp("a.name", 1)

    loop.ask(begin)
    until(lambda: results)
    return results[0]


def test_a_refusal_goes_on_at_once(
    loop: Loop, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("im_threads.opening.STAGGER", 60.0)
    refusing = (socket.AF_INET6, ("::1", 1, 0, 0))
    doors = Doors(refusing, (socket.AF_INET, listener.getsockname()))
    monkeypatch.setattr(socket, "getaddrinfo", doors)
    raw = open_one(loop)
    assert raw.getpeername() == listener.getsockname()
    raw.close()


@pytest.mark.skipif(sys.platform != "linux", reason="how a full queue behaves is Linux's own")
def test_an_address_that_does_not_answer_does_not_hold_up_the_next(
    loop: Loop, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, deaf = full()
    doors = Doors((socket.AF_INET, deaf), (socket.AF_INET, listener.getsockname()))
    monkeypatch.setattr(socket, "getaddrinfo", doors)
    with within(15.0):
        raw = open_one(loop)
    assert raw.getpeername() == listener.getsockname()
    for one in [raw, *held]:
        one.close()


def test_what_all_agree_on_is_the_error(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    doors = Doors((socket.AF_INET6, ("::1", 1, 0, 0)), (socket.AF_INET, ("127.0.0.1", 1)))
    monkeypatch.setattr(socket, "getaddrinfo", doors)
    error = open_one(loop)
    assert isinstance(error, ConnectionRefusedError)
    assert error.errno == errno.ECONNREFUSED


def test_a_name_without_addresses(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Doors())
    assert isinstance(open_one(loop), socket.gaierror)


def test_a_family_that_the_machine_does_not_have(
    loop: Loop, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors = Doors((999, ("x",)), (socket.AF_INET, listener.getsockname()))
    monkeypatch.setattr(socket, "getaddrinfo", doors)
    open_one(loop).close()
