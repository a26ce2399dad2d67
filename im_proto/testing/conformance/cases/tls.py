"""TLS: who is trusted, records that TCP doesn't show, and how it ends."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from contextlib import suppress

from ....client import events as ev
from ....errors import IMErrorCode
from ....wire import AuthRequest, AuthResponse
from ..bench import DATA, FLOOD, Bench, Call
from ..case import Chapter, Level
from ..failure import Failed
from ..peer import Connection, Ended, Peer, server_tls
from ..subject import Feature

TLS = Chapter(Level.EXTRAS)
_VERIFY = "the SSL context and server_hostname: `action.host` is what must be verified"


def _begin(
    bench: Bench, peer: Peer, certificate: str = "localhost.pem"
) -> tuple[Call[None], Connection]:
    connecting = bench.connecting()
    connection = peer.accept()
    connection.start_tls(server_tls(str(DATA / certificate)))
    return connecting, connection


def _log_in(bench: Bench, peer: Peer) -> Connection:
    connecting, connection = _begin(bench, peer)
    connection.log_in()
    connecting.result()
    return connection


@TLS.case(
    must="wss: the same session, inside of TLS; the name in the URL is verified.",
    look="OpenTransport(secure=True): TransportOpened comes after the TLS handshake",
    needs=Feature.TLS,
)
def tls_session(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url("wss").replace("127.0.0.1", "localhost"))
    connection = _log_in(bench, peer)
    bench.send("over TLS")
    if connection.take(1) != ["over TLS"]:
        raise Failed("a message over TLS came changed")
    connection.write(connection.push("and back", 1))
    bench.received(["and back"], "a message over TLS did not come")
    ending = bench.disconnecting()
    connection.until_close_frame()
    connection.close_frame(1000)
    connection.until_ended()
    ending.result()
    bench.nothing_left()


def _refused(bench: Bench, certificate: str) -> None:
    peer = bench.peer()
    bench.client(peer.url("wss"))
    connecting = bench.connecting()
    connection = peer.accept()
    with suppress(ssl.SSLError, Ended, OSError):
        connection.start_tls(server_tls(str(DATA / certificate)))
        head = connection.head()
        raise Failed(f"the client trusts this certificate, and sent {len(head)} bytes")
    error = connecting.im_error()
    if error.code is not IMErrorCode.CONNECTION_FAILED or "(tls)" not in error.text:
        raise Failed(f"connect() raised {error}; a TransportFailed with the kind TLS was due")
    bench.nothing_left()


@TLS.case(
    must="A certificate for another name is refused, though its CA is trusted.",
    look=_VERIFY + "; check_hostname stays on",
    needs=Feature.TLS,
)
def tls_for_another_name(bench: Bench) -> None:
    _refused(bench, "elsewhere.pem")


@TLS.case(
    must="A certificate that nobody vouches for is refused.",
    look=_VERIFY + "; verify_mode stays CERT_REQUIRED",
    needs=Feature.TLS,
)
def tls_that_nobody_vouches_for(bench: Bench) -> None:
    _refused(bench, "stranger.pem")


@TLS.case(
    must="Two TLS records in one segment, and then silence: both are delivered.",
    look="reading TLS: after a record was read there may be another one inside of the TLS object, "
    "of which select() knows nothing; read until it wants more",
    needs=Feature.TLS,
)
def tls_two_records_in_one_segment(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url("wss"))
    connection = _log_in(bench, peer)
    contents = [f"record {n}" + "x" * 5000 for n in range(20)]
    connection.put(
        b"".join(connection.seal(connection.push(c, n)) for n, c in enumerate(contents, 1))
    )
    bench.received(contents, "of the records in one segment not all were delivered")


@TLS.case(
    must="TLS may come one byte at a time, its handshake too.",
    look="reading TLS: a part of a record is no data and no end",
    needs=Feature.TLS,
)
def tls_one_byte_at_a_time(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url("wss"))
    connecting, connection = _begin(bench, peer)
    connection.trickle(connection.accepting())
    connection.next(AuthRequest)
    connection.trickle(connection.frame(AuthResponse(code=0)))
    connecting.result()
    connection.trickle(connection.push("byte by byte", 1))
    bench.received(["byte by byte"], "what came byte by byte did not come whole")


@TLS.case(
    must="While the peer says nothing in the TLS handshake the engine's deadline ends the attempt.",
    look="AbortTransport during the TLS handshake: no deadline of the TLS library, no wait",
    needs=Feature.TLS,
)
def tls_silence_in_the_handshake(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url("wss"), timeouts={"connect": 0.2})
    connecting = bench.connecting()
    connection = peer.accept()
    error = connecting.im_error()
    if error.code is not IMErrorCode.CONNECTION_TIMEOUT:
        raise Failed(f"connect() raised {error}; CONNECTION_TIMEOUT was due")
    connection.until_ended()
    bench.nothing_left()


@TLS.case(
    must="A connect() that is cancelled during the TLS handshake leaves nothing.",
    look="AbortTransport and cancel_connect() during the TLS handshake: the TCP socket too",
    needs=Feature.TLS,
)
def tls_cancel_in_the_handshake(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url("wss"))
    connecting = bench.connecting()
    connection = peer.accept()
    connection.read()
    bench.cancel(connecting)
    connection.until_ended()
    bench.nothing_left()


def _end_in_handshake(bench: Bench, end: Callable[[Connection], None]) -> None:
    peer = bench.peer()
    bench.client(peer.url("wss"))
    connecting = bench.connecting()
    connection = peer.accept()
    connection.read()
    end(connection)
    error = connecting.im_error()
    if error.code is not IMErrorCode.CONNECTION_FAILED:
        raise Failed(f"connect() raised {error}; CONNECTION_FAILED was due")
    bench.nothing_left()


@TLS.case(
    must="A reset, an end or garbage in the TLS handshake is TransportFailed.",
    look="OpenTransport(secure=True): SSLError, OSError and end of file all end in TransportFailed",
    needs=Feature.TLS,
)
def tls_cut_in_the_handshake(bench: Bench) -> None:
    _end_in_handshake(bench, Connection.reset)
    bench.close()
    _end_in_handshake(bench, Connection.finish)
    bench.close()
    _end_in_handshake(bench, lambda connection: connection.put(b"HTTP/1.1 400 Bad Request\r\n\r\n"))


@TLS.case(
    must="An end of TCP without an end of TLS is an end: TransportLost, no exception, no silence.",
    look="reading TLS: SSLEOFError and ragged ends are TransportLost",
    needs=Feature.TLS,
)
def tls_that_is_cut(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url("wss"))
    connection = _log_in(bench, peer)
    connection.write(connection.push("last words", 1))
    connection.half_close()
    bench.wait(ev.Disconnected, why="TCP has ended under TLS")
    connection.until_ended()
    bench.received(["last words"], "the end overtook the bytes before it")
    again = peer.accept()
    again.start_tls(server_tls(str(DATA / "localhost.pem")))
    again.log_in()
    bench.wait(ev.Reconnected)


@TLS.case(
    must="Over TLS too a mute peer that reads nothing holds nobody up.",
    look="CloseTransport and AbortTransport over TLS: the peer's end of TLS is not waited for",
    needs=Feature.TLS,
)
def tls_mute_peer(bench: Bench) -> None:
    peer = bench.peer(receive_buffer=65_536)
    bench.client(peer.url("wss"), content_units=FLOOD)
    connecting, connection = _begin(bench, peer)
    connection.accept()
    bench.welcome(connection)
    connecting.result()
    bench.flood()
    begin = time.monotonic()
    bench.disconnect()
    if time.monotonic() - begin < 0.2:
        raise Failed("disconnect() dropped what was buffered at once; it has 0.3 s")
    connection.finish()


@TLS.case(
    must="Back-pressure works through TLS: bounded while nobody reads, whole and in order after.",
    look="writing TLS: count the bytes that wait before TLS as well as those behind it",
    needs=Feature.TLS,
)
def tls_back_pressure(bench: Bench) -> None:
    peer = bench.peer(receive_buffer=65_536)
    bench.client(peer.url("wss"), content_units=FLOOD, in_flight=4096)
    connecting, connection = _begin(bench, peer)
    connection.accept()
    bench.welcome(connection)
    connecting.result()
    contents = bench.flood()
    bench.held_back(contents)
    if connection.take_long(len(contents)) != contents:
        raise Failed("under back-pressure messages changed places")
