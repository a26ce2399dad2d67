"""How a link ends, from either side or both, and that an old transport is really over."""

from __future__ import annotations

import time
from contextlib import suppress

from ....client import events as ev
from ....wire import ChatSendToOne
from ..bench import Bench
from ..case import Chapter
from ..failure import Failed

ENDING = Chapter()
_FLUSH = "CloseTransport: write what is buffered, then close the socket, then TransportLost"
_STALE = (
    "TransportLost, BytesReceived, WriteBlocked carry the number of *their* transport, the one of "
    "its OpenTransport; after AbortTransport its socket is closed and says nothing more"
)


@ENDING.case(
    must="disconnect() says goodbye (1000), waits for the peer's goodbye, and closes the socket.",
    look=_FLUSH,
)
def a_polite_goodbye(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), timeouts={"close": 5})
    connection = bench.log_in(peer)
    ending = bench.disconnecting()
    code = connection.until_close_frame()
    if code != 1000:
        raise Failed(f"the client's close frame says {code}; 1000 was due")
    if ending.done:
        raise Failed("disconnect() did not wait for the peer's close frame")
    connection.close_frame(1000)
    connection.until_ended()
    ending.result()
    bench.nothing_left()


@ENDING.case(
    must="What was sent before disconnect() goes out before the goodbye.",
    look=_FLUSH,
)
def last_words(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), in_flight=64)
    connection = bench.idempotent(peer)
    for n in range(20):
        bench.send(f"{n}" + "x" * 900, 1000 + n)
    ending = bench.disconnecting()
    for n in range(20):
        if not connection.next(ChatSendToOne).content.startswith(f"{n}x"):
            raise Failed("what was sent before disconnect() changed places")
    connection.until_close_frame()
    connection.close_frame(1000)
    ending.result()


@ENDING.case(
    must="A peer that never says goodbye holds nobody up: the close deadline ends the socket.",
    look="disconnect(): the timer goes on until the socket is closed; AbortTransport closes it",
)
def a_mute_peer_holds_nobody_up(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    connection = bench.log_in(peer)
    begin = time.monotonic()
    bench.disconnect()
    took = time.monotonic() - begin
    if took < 0.25:
        raise Failed(f"disconnect() gave the peer {took:.2f} s for its goodbye; 0.3 s were due")
    connection.until_close_frame()
    connection.until_ended()
    bench.nothing_left()


@ENDING.case(
    must="The peer's goodbye is answered, the socket closed, and the client comes back.",
    look=_FLUSH,
)
def the_peer_says_goodbye(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    connection = bench.log_in(peer)
    connection.close_frame(1012)
    if connection.until_close_frame() != 1012:
        raise Failed(f"the peer's 1012 was answered with {connection.close_code}")
    connection.until_ended()
    peer.accept().log_in()
    bench.wait(ev.Reconnected)


@ENDING.case(
    must="Both sides may say goodbye, and close, at the same moment.",
    look="CloseTransport of a transport that is ending already, and an end that comes twice",
)
def both_sides_at_once(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    for round_ in range(8):
        connection = bench.log_in(peer)
        goodbye = connection.closing(1000)
        ending = bench.disconnecting()
        connection.put(goodbye)
        if round_ % 2:
            connection.finish()
        else:
            with suppress(OSError):
                connection.half_close()
            connection.until_ended()
        ending.result()
        bench.nothing_left()


@ENDING.case(
    must="disconnect() twice, at the same time, and without a connection, does no harm.",
    look="disconnect(): whoever comes second waits for the same end",
)
def disconnect_twice(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    bench.disconnect()
    connection = bench.log_in(peer)
    first, second = bench.disconnecting(), bench.disconnecting()
    connection.until_close_frame()
    connection.close_frame(1000)
    first.result()
    second.result()
    bench.disconnect()
    bench.nothing_left()


@ENDING.case(
    must="disconnect() between two attempts ends the waiting; no further attempt comes.",
    look="disconnect(): the timer of the next attempt is gone; arm by next_deadline() alone",
)
def disconnect_between_two_attempts(bench: Bench) -> None:
    peer = bench.peer()
    late = {"initial_delay": 1, "max_delay": 1, "jitter": "none"}
    bench.client(peer.url(), reconnect=late)
    bench.log_in(peer).finish()
    bench.wait(ev.Reconnecting)
    bench.disconnect()
    bench.nothing_left()
    peer.nobody_comes(1.1, "disconnect() was called")


@ENDING.case(
    must="Bytes and the end of an old transport change nothing on the new one.",
    look=_STALE,
)
def bytes_of_an_old_transport(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), timeouts={"partial": 0.2, "close": 5})
    old = bench.log_in(peer)
    old.write(old.push("never complete", 1)[:7])
    stale = old.push("from the old transport", 1)
    new = peer.accept()
    new.log_in()
    bench.wait(ev.Reconnected)
    for _ in range(3):
        with suppress(OSError):
            old.put(stale)
            time.sleep(0.01)
    with suppress(OSError):
        old.half_close()
    old.until_ended()
    new.write(new.push("from the new transport", 2))
    bench.received(["from the new transport"], "an old transport was heard")
    if len(bench.of(ev.Disconnected)) != 1:
        raise Failed("the end of an old transport ended the new one")


@ENDING.case(
    must="A transport that is still closing when the next one opens is aborted, and its late end "
    "changes nothing.",
    look=_STALE,
)
def the_late_end_of_an_old_transport(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), timeouts={"close": 10})
    old = bench.log_in(peer)
    old.put(b"\x83\x00")  # opcode 3 is reserved: the client closes with 1002, and comes back
    old.until_close_frame()
    new = peer.accept()
    new.log_in()
    bench.wait(ev.Reconnected)
    with suppress(OSError):
        old.half_close()
    old.until_ended()
    time.sleep(0.02)
    new.write(new.push("still here", 1))
    bench.received(["still here"], "the late end of an old transport ended the new one")
    if len(bench.of(ev.Disconnected)) != 1:
        raise Failed("the late end of an old transport ended the new one")
