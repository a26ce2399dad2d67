"""Some of the worst servers on real sockets, for both clients: what holds in the engine holds."""

from __future__ import annotations

import contextlib
import gc
import socket
import ssl
import time
import tracemalloc

import pytest

from adapters.threads_kit import Connection, Gone, nothing_left, plain
from adapters.tls_kit import CERTIFICATE
from security.hostile_kit import ping
from security.sockets_kit import ADAPTERS, against, attempt_at_first

__all__ = ["nothing_left"]
pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.parametrize("adapter", ADAPTERS),
]
#: Seconds. Only what a test waits for is short: a busy machine must not change how it ends.
QUICK = {"connect": 0.3, "close": 0.1}
PATIENT = {"close": 0.1}


def pour(connection: Connection, data: bytes, most: int) -> int:
    """Write the same again and again, until the client goes; how many bytes it took."""
    written = 0
    with contextlib.suppress(OSError):
        while written < most:
            connection.raw.sendall(data)
            written += len(data)
    return written


def test_a_header_that_never_ends_is_refused_after_8_kb_and_held_no_further(adapter: str) -> None:
    took: list[int] = []

    def script(connection: Connection) -> None:
        connection.requested()
        connection.raw.sendall(b"HTTP/1.1 101 Switching Protocols\r\n")
        took.append(pour(connection, b"X-Y: " + b"z" * 1000 + b"\r\n", 1 << 30))
        raise Gone

    gc.collect()
    tracemalloc.start()
    try:
        error = against(adapter, script, timeouts=PATIENT)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error is not None
    assert error.code == "CONNECTION_FAILED"
    assert "handshake too long" in error.text
    assert took[0] < 64 << 20  # what the kernel has buffered
    assert most < 4 << 20


def test_a_header_that_trickles_meets_one_deadline(adapter: str) -> None:
    def script(connection: Connection) -> None:
        connection.requested()
        with contextlib.suppress(OSError):
            for _ in range(5000):
                connection.raw.sendall(b"H")
                time.sleep(0.02)  # each is a read of its own
        raise Gone

    began = time.monotonic()
    error = against(adapter, script, timeouts=QUICK)
    assert time.monotonic() - began < 60.0
    assert error is not None
    assert error.code == "CONNECTION_TIMEOUT"


@pytest.mark.parametrize("how", ["silence", "half a hello", "garbage"])
def test_half_of_tls_is_no_connection(adapter: str, how: str) -> None:
    heard: list[bytes] = []

    def script(connection: Connection) -> None:
        heard.append(connection.raw.recv(65536))
        if how == "half a hello" and heard[0]:
            connection.raw.sendall(_server_hello(heard[0])[:60])
        elif how == "garbage":
            connection.raw.sendall(b"\x16\x03\x03\xff\xff" + b"\x00" * 1000)
        while data := connection.raw.recv(65536):  # an alert, perhaps
            heard.append(data)
        raise Gone

    timeouts = PATIENT if how == "garbage" else QUICK
    error = against(adapter, script, host="localhost", scheme="wss", timeouts=timeouts)
    assert error is not None
    assert error.code == ("CONNECTION_FAILED" if how == "garbage" else "CONNECTION_TIMEOUT")
    assert b"GET " not in b"".join(heard)


def _server_hello(hello: bytes) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(hello)
    with contextlib.suppress(ssl.SSLWantReadError):
        server.do_handshake()
    return outgoing.read()


def test_a_flood_of_pings_from_who_does_not_read_ends_the_link_and_the_next_is_a_good_one(
    adapter: str,
) -> None:
    ends: list[bytes] = []

    def flood(connection: Connection) -> None:
        connection.login()
        connection.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert pour(connection, ping(b"x" * 125) * 100, 1 << 30) < 64 << 20
        with contextlib.suppress(OSError):  # only now it reads
            while data := connection.raw.recv(65536):
                ends.append(data)
        raise Gone

    reason = attempt_at_first(adapter, flood, plain, timeouts=PATIENT)
    assert "too many control frames" in reason
    assert len(b"".join(ends)) < 50 * 140


def test_who_is_never_done_with_the_log_in_is_given_up(adapter: str) -> None:
    def script(connection: Connection) -> None:
        connection.accept()
        with contextlib.suppress(OSError):
            for number in range(5000):
                connection.write(ping() if number % 2 else b"\x81\x02{}")
                time.sleep(0.05)
        raise Gone

    began = time.monotonic()
    error = against(adapter, script, timeouts={"auth": 0.3, "close": 0.1})
    assert time.monotonic() - began < 60.0
    assert error is not None
    assert error.code == "AUTH_TIMEOUT"
