"""Opening a transport: what can go wrong, silence at each stage, cancellation at each stage."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ....client import events as ev
from ....errors import IMErrorCode
from ....wire import AuthRequest, AuthResponse
from ..bench import Bench, Call
from ..case import Chapter
from ..failure import Failed, Skipped

OPENING = Chapter()
_ANSWER = "OpenTransport: whatever goes wrong in it is answered with TransportFailed"
_ABORT = "AbortTransport while the transport is being opened, and what cancel_connect() ends"


@contextmanager
def _closed_port() -> Iterator[int]:
    """A port where nobody listens; it is held, so that nobody else begins to."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


@contextmanager
def _deaf_port() -> Iterator[int]:
    """A port that answers no SYN: somebody listens there, and the queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        try:
            for _ in range(8):
                filler = socket.socket()
                fillers.append(filler)
                filler.settimeout(0.1)
                filler.connect(listener.getsockname())
            raise Skipped("this system never leaves a TCP connection unanswered")
        except TimeoutError:
            yield int(listener.getsockname()[1])
        finally:
            for filler in fillers:
                filler.close()


def _expect(connecting: Call[None], code: IMErrorCode, word: str = "") -> None:
    error = connecting.im_error()
    if error.code is not code or word not in error.text:
        raise Failed(f"connect() raised {error}; {code} {word} was due")


@OPENING.case(
    must="A port where nobody listens is TransportFailed with the kind REFUSED.",
    look=_ANSWER + ", with the kind that fits the exception",
)
def refused(bench: Bench) -> None:
    with _closed_port() as port:
        bench.client(f"ws://127.0.0.1:{port}/ws")
        _expect(bench.connecting(), IMErrorCode.CONNECTION_FAILED, "refused")
        bench.nothing_left()


@OPENING.case(
    must="A name that can't be looked up is TransportFailed with the kind DNS, also when Python "
    "says UnicodeError instead of gaierror.",
    look=_ANSWER + "; `host.encode('idna')` inside of getaddrinfo raises UnicodeError",
)
def a_name_that_is_none(bench: Bench) -> None:
    bench.client(f"ws://{'a' * 64}.invalid:80/ws")
    _expect(bench.connecting(), IMErrorCode.CONNECTION_FAILED, "(dns)")
    bench.nothing_left()


@OPENING.case(
    must="While the peer answers no SYN the engine's deadline ends the attempt, on time.",
    look="the timer must run while a transport is being opened, and AbortTransport must end the "
    "opening: close its socket, cancel its task; no answer is due",
)
def silence_of_tcp(bench: Bench) -> None:
    with _deaf_port() as port:
        bench.client(f"ws://127.0.0.1:{port}/ws", timeouts={"connect": 0.2})
        _expect(bench.connecting(), IMErrorCode.CONNECTION_TIMEOUT)
        bench.nothing_left()
        bench.close()


@OPENING.case(
    must="While the upgrade is not answered the engine's deadline ends the attempt, on time.",
    look="the timer: a deadline that was set before TransportOpened still counts after it",
)
def silence_of_http(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), timeouts={"connect": 0.2})
    connecting = bench.connecting()
    connection = peer.accept()
    _expect(connecting, IMErrorCode.CONNECTION_TIMEOUT)
    connection.until_ended()
    bench.nothing_left()


@OPENING.case(
    must="An attempt that the engine gives up is ended at once, and the next one begins.",
    look="AbortTransport: close the socket, whatever it waits for; no answer is due",
)
def an_attempt_that_is_given_up(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), timeouts={"connect": 0.6})
    bench.log_in(peer).finish()
    for _ in range(2):
        peer.accept().until_ended()
    peer.accept().log_in()
    bench.wait(ev.Reconnected)


@OPENING.case(
    must="An upgrade that is answered byte by byte, and never to its end, is ended on time.",
    look="the timer: bytes that come in must not put a deadline off",
)
def trickle_of_http(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), timeouts={"connect": 0.6})
    connecting = bench.connecting()
    connection = peer.accept()
    connection.requested()
    begin = time.monotonic()
    with suppress(OSError):
        connection.put(b"HTTP/1.1 101 Switching Protocols\r\nX: ")
        while not connecting.done and time.monotonic() - begin < bench.patience:
            connection.put(b"x")
            time.sleep(0.01)
    _expect(connecting, IMErrorCode.CONNECTION_TIMEOUT)
    connection.until_ended()
    bench.nothing_left()


@OPENING.case(
    must="While the log-in is not answered the engine's deadline ends the link, on time, and the "
    "close deadline after it the socket.",
    look="CloseTransport to a peer that never closes: the AbortTransport that follows it ends it",
)
def silence_of_the_login(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), timeouts={"auth": 0.2}, extensions=False)
    connecting = bench.connecting()
    connection = peer.accept()
    connection.accept()
    connection.next(AuthRequest)
    _expect(connecting, IMErrorCode.AUTH_TIMEOUT)
    connection.until_ended()
    bench.nothing_left()


@OPENING.case(
    must="A frame that begins and never ends is a dead link, found on time, though the next "
    "heartbeat is far away.",
    look="the timer: after each step look at next_deadline() and arm it anew if it is earlier",
)
def silence_in_a_frame(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), timeouts={"partial": 0.2})
    connection = bench.log_in(peer)
    connection.write(connection.push("never complete", 1)[:7])
    bench.wait(ev.Disconnected, why="half a frame came, and for 0.2 s nothing more")
    connection.until_ended()
    peer.accept().log_in()
    bench.wait(ev.Reconnected)


@OPENING.case(
    must="A peer that falls silent is found by heartbeats that stay unanswered.",
    look="the timer: TimePassed at each deadline, again and again, without any bytes in between",
)
def silence_after_the_login(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), heartbeat={"interval": 0.1, "timeout": 0.1, "max_missed": 2})
    connection = bench.log_in(peer)
    bench.wait(ev.Disconnected, why="the peer answers no heartbeat any more")
    connection.until_ended()
    peer.accept().log_in()
    bench.wait(ev.Reconnected)


@OPENING.case(
    must="connect() keeps its own timeout, and leaves nothing when it is over.",
    look="connect(): its timeout ends the attempt with Disconnect, and waits until all is gone",
)
def connect_keeps_its_timeout(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    connecting = bench.connecting(timeout=0.2)
    connection = peer.accept()
    connection.requested()
    connecting.error()
    connection.until_ended()
    bench.nothing_left()


@OPENING.case(
    must="A connect() that is cancelled while TCP is opened leaves no socket and no task.",
    look=_ABORT,
)
def cancel_while_tcp_opens(bench: Bench) -> None:
    with _deaf_port() as port:
        bench.client(f"ws://127.0.0.1:{port}/ws")
        connecting = bench.connecting()
        bench.wait(ev.StateChanged)
        bench.cancel(connecting)
        bench.nothing_left()
        bench.close()


@OPENING.case(
    must="A connect() that is cancelled while it waits for the upgrade leaves nothing, and a new "
    "one works.",
    look=_ABORT,
)
def cancel_while_the_upgrade_waits(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    connecting = bench.connecting()
    connection = peer.accept()
    connection.requested()
    bench.cancel(connecting)
    connection.until_ended()
    bench.nothing_left()
    bench.log_in(peer)


@OPENING.case(
    must="A connect() that is cancelled while it waits for the log-in leaves nothing, and a new "
    "one works.",
    look="cancel_connect(): it ends an open link too, with Disconnect; a late answer is nobody's",
)
def cancel_while_the_login_waits(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    connecting = bench.connecting()
    connection = peer.accept()
    connection.accept()
    connection.next(AuthRequest)
    bench.cancel(connecting)
    with suppress(OSError):
        connection.say(AuthResponse(code=0))
    connection.until_ended()
    bench.nothing_left()
    bench.never(ev.Authenticated, "the log-in was cancelled before it was answered")
    bench.log_in(peer)


@OPENING.case(
    must="After a lost link the client comes back by itself, and what was queued meanwhile goes "
    "out then.",
    look="OpenTransport that comes from a timer; Send while there is no transport",
)
def comes_back(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    bench.log_in(peer).finish()
    bench.wait(ev.Disconnected)
    bench.send("while away")
    again = peer.accept()
    again.log_in()
    if again.take(1) != ["while away"]:
        raise Failed("what was queued while there was no link came in another form")
    bench.wait(ev.MessageAccepted)


@OPENING.case(
    must="A client can be connected and disconnected again and again, and leaves nothing.",
    look="what is kept from one connection to the next: buffers, flags, timers, tasks",
)
def again_and_again(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    for n in range(5):
        connection = bench.log_in(peer)
        bench.send(f"round {n}")
        if connection.take(1) != [f"round {n}"]:
            raise Failed(f"in round {n} another message came than was sent")
        bench.wait(ev.MessageAccepted, n + 1)
        ending = bench.disconnecting()
        connection.until_close_frame()
        connection.close_frame(1000)
        ending.result()
        connection.finish()
        bench.nothing_left()


@OPENING.case(
    must="close() ends a client that is connecting, and one that waits for its next attempt.",
    look="close(): it ends connect(), timers and tasks in every state, in bounded time",
)
def close_in_every_state(bench: Bench) -> None:
    peer = bench.peer()
    far = {"initial_delay": 60, "max_delay": 60}
    bench.client(peer.url(), reconnect=far)
    bench.log_in(peer).finish()
    bench.wait(ev.Reconnecting)
    bench.close()
    for connection in peer.connections:
        connection.finish()
    bench.client(peer.url())
    connecting = bench.connecting()
    connection = peer.accept()
    connection.requested()
    bench.close()
    connecting.error()
    connection.until_ended()
