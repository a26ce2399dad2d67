"""Other ways to a server: IPv6, Unix sockets, an HTTP proxy in between."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import tempfile
from contextlib import suppress
from pathlib import Path

from ....errors import IMErrorCode
from ..bench import DATA, Bench, Call
from ..case import Chapter, Level
from ..failure import Failed, Skipped
from ..peer import Connection, Ended, Peer, server_tls
from ..subject import Feature

PATHS = Chapter(Level.EXTRAS)
_UNIX = "OpenTransport(unix_path=…): an AF_UNIX socket; host and port are not looked at"
_TLS = "StartTls: TLS on the transport that is open, with action.host to verify; then TlsStarted"


def _talk(bench: Bench, connecting: Call[None], connection: Connection) -> None:
    connection.log_in()
    connecting.result()
    bench.send("there")
    if connection.take(1) != ["there"]:
        raise Failed("a message came changed")
    connection.write(connection.push("and back", 1))
    bench.received(["and back"], "a message did not come")


@PATHS.case(
    must="An IPv6 address works, also in the URL's brackets.",
    look="OpenTransport: the address family comes from getaddrinfo; host has no brackets",
    needs=Feature.IPV6,
)
def ipv6(bench: Bench) -> None:
    try:
        peer = bench.peer("::1", family=socket.AF_INET6)
    except OSError:
        raise Skipped("this machine has no IPv6") from None
    bench.client(peer.url())
    connecting = bench.connecting()
    _talk(bench, connecting, peer.accept())


@PATHS.case(
    must="A name with addresses of both families works when only one of them answers.",
    look="OpenTransport: try the addresses one after the other (RFC 8305), not only the first",
    needs=Feature.IPV6,
)
def two_families(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url().replace("127.0.0.1", "localhost"))
    connecting = bench.connecting()
    _talk(bench, connecting, peer.accept())


@PATHS.case(
    must="config.unix_path: the same session over a Unix socket.", look=_UNIX, needs=Feature.UNIX
)
def unix_socket(bench: Bench) -> None:
    family = getattr(socket, "AF_UNIX", None)
    if family is None or os.name != "posix":
        raise Skipped("this system has no Unix sockets")
    with tempfile.TemporaryDirectory(prefix="im-") as directory:
        path = str(Path(directory) / "socket")
        peer = bench.peer(path, family=family)
        bench.client("ws://chat.example/ws", unix_path=path)
        connecting = bench.connecting()
        connection = peer.accept()
        _talk(bench, connecting, connection)
        connection.finish()
        bench.disconnect()


@PATHS.case(
    must="A Unix socket that is not there is TransportFailed.", look=_UNIX, needs=Feature.UNIX
)
def no_unix_socket(bench: Bench) -> None:
    if os.name != "posix":
        raise Skipped("this system has no Unix sockets")
    bench.client("ws://chat.example/ws", unix_path="/nowhere/at/all")
    error = bench.connecting().im_error()
    if error.code is not IMErrorCode.CONNECTION_FAILED:
        raise Failed(f"connect() raised {error}; CONNECTION_FAILED was due")
    bench.nothing_left()


def _tunnel(
    bench: Bench, url: str, *, user: str = ""
) -> tuple[Peer, Call[None], Connection, bytes]:
    """A client that reaches for `url` through a proxy; the CONNECT that the proxy gets."""
    peer = bench.peer()
    bench.client(url, proxy=f"http://{user}127.0.0.1:{peer.port}")
    connecting = bench.connecting()
    connection = peer.accept()
    head = connection.head()
    return peer, connecting, connection, head


@PATHS.case(
    must="Through a proxy: the adapter connects to the proxy, the engine speaks with it, and what "
    "follows its 200 is the server.",
    look="OpenTransport: connect to action.host and action.port, whatever config.ws_url says; the "
    "engine parses the proxy's answer",
    needs=Feature.PROXY,
)
def proxy(bench: Bench) -> None:
    _, connecting, connection, head = _tunnel(
        bench, "ws://chat.example:8080/ws", user="ann:secret@"
    )
    if not head.startswith(b"CONNECT chat.example:8080 HTTP/1.1\r\n"):
        raise Failed(f"the proxy was asked {head[:80]!r}")
    if base64.b64encode(b"ann:secret") not in head:
        raise Failed("the proxy was not told the user and password of the configuration")
    connection.put(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 kit\r\n\r\n")
    _talk(bench, connecting, connection)


@PATHS.case(
    must="A proxy's answer may come byte by byte.",
    look="BytesReceived before TransportOpened's tunnel is there goes to the engine as any other",
    needs=Feature.PROXY,
)
def proxy_that_trickles(bench: Bench) -> None:
    _, connecting, connection, _ = _tunnel(bench, "ws://chat.example:8080/ws")
    connection.trickle(b"HTTP/1.1 200 OK\r\nVia: 1.1 kit%s\r\n\r\n" % (b", 1.1 another" * 20))
    _talk(bench, connecting, connection)


@PATHS.case(
    must="A proxy that refuses fails the attempt; connect() tells it, and nothing is left.",
    look="AbortTransport after the engine has read the proxy's refusal",
    needs=Feature.PROXY,
)
def proxy_that_refuses(bench: Bench) -> None:
    _, connecting, connection, _ = _tunnel(bench, "ws://chat.example:8080/ws")
    connection.put(
        b"HTTP/1.1 407 Proxy Authentication Required\r\n"
        b'Proxy-Authenticate: Basic realm="kit"\r\nContent-Length: 0\r\n\r\n'
    )
    error = connecting.im_error()
    if "407" not in str(error) and "proxy" not in str(error).lower():
        raise Failed(f"connect() raised {error}; the proxy's refusal was due")
    connection.until_ended()
    bench.nothing_left()


@PATHS.case(
    must="A proxy that never ends its answer is dropped: too much of it, or too slow.",
    look="the engine has a limit and a deadline; AbortTransport ends the transport",
    needs=Feature.PROXY,
)
def proxy_that_answers_too_much(bench: Bench) -> None:
    _, connecting, connection, _ = _tunnel(bench, "ws://chat.example:8080/ws")
    with suppress(OSError):
        connection.put(b"HTTP/1.1 200 OK\r\n")
        for n in range(2000):
            connection.put(b"X-%d: %s\r\n" % (n, b"x" * 500))
    connecting.im_error()
    connection.until_ended()
    bench.nothing_left()


@PATHS.case(
    must="wss through a proxy: plain to the proxy, then TLS with the server's name.",
    look=_TLS,
    needs=Feature.PROXY,
)
def proxy_and_tls(bench: Bench) -> None:
    _, connecting, connection, head = _tunnel(bench, "wss://localhost:8443/ws")
    if not head.startswith(b"CONNECT localhost:8443 HTTP/1.1\r\n"):
        raise Failed(f"the proxy was asked {head[:80]!r}")
    connection.put(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.start_tls(server_tls(str(DATA / "localhost.pem")))
    _talk(bench, connecting, connection)


@PATHS.case(
    must="Through a proxy too a certificate for another name is refused.",
    look=_TLS + ". If it can't be had: TransportFailed, with the kind TLS",
    needs=Feature.PROXY,
)
def proxy_and_tls_for_another_name(bench: Bench) -> None:
    _, connecting, connection, _ = _tunnel(bench, "wss://localhost:8443/ws")
    connection.put(b"HTTP/1.1 200 OK\r\n\r\n")
    with suppress(ssl.SSLError, Ended, OSError):
        connection.start_tls(server_tls(str(DATA / "elsewhere.pem")))
        connection.head()
        raise Failed("the client trusts a certificate for another name")
    error = connecting.im_error()
    if "(tls)" not in error.text:
        raise Failed(f"connect() raised {error}; a TransportFailed with the kind TLS was due")
    bench.nothing_left()


@PATHS.case(
    must="A connect() that is cancelled during the TLS behind a proxy leaves nothing.",
    look="AbortTransport between StartTls and TlsStarted",
    needs=Feature.PROXY,
)
def proxy_and_tls_cancelled(bench: Bench) -> None:
    _, connecting, connection, _ = _tunnel(bench, "wss://localhost:8443/ws")
    connection.put(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.read()
    bench.cancel(connecting)
    connection.until_ended()
    bench.nothing_left()
