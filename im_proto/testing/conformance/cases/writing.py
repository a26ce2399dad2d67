"""Bytes that go out: in order, whole, held back when the peer doesn't read, cut off when told."""

from __future__ import annotations

import time
from functools import partial

from ....client import events as ev
from ....wire import ChatSendResponse, ChatSendToOne
from ..bench import FLOOD, Bench
from ..case import Chapter
from ..failure import Failed
from ..peer import Connection, Peer

WRITING = Chapter()
_HELD = (
    "writing: when more is buffered than a limit of yours (64 KiB, say) feed WriteBlocked, under "
    "a lower one WriteReady; in between the engine hands nothing over"
)


def _flood(bench: Bench) -> tuple[Peer, Connection, list[str]]:
    """Send far more than the peer, which reads nothing, has room for."""
    peer = bench.peer(receive_buffer=65_536)
    bench.client(peer.url(), content_units=FLOOD, in_flight=4096)
    connection = bench.idempotent(peer, limits=None)
    return peer, connection, bench.flood()


@WRITING.case(
    must="A peer that doesn't read stops the sending: WriteBlocked reaches the engine and memory "
    "stays bounded; when it reads again, everything goes on, in order.",
    look=_HELD,
)
def a_peer_that_does_not_read(bench: Bench) -> None:
    _, connection, contents = _flood(bench)
    bench.held_back(contents)
    if connection.take_long(len(contents)) != contents:
        raise Failed("of what was sent under back-pressure something was lost or changed places")
    bench.wait(ev.MessageAccepted, len(contents), why="the peer has taken all messages")


@WRITING.case(
    must="disconnect() in the middle of a write, to a peer that doesn't read, is bounded by the "
    "close deadline; what was not sent goes out on the next connection.",
    look="AbortTransport with bytes in the buffer: drop them, close the socket, end what writes",
)
def disconnect_in_the_middle_of_a_write(bench: Bench) -> None:
    peer, connection, contents = _flood(bench)
    begin = time.monotonic()
    bench.disconnect()
    took = time.monotonic() - begin
    if took < 0.2:
        raise Failed(f"disconnect() dropped what was buffered after {took:.2f} s; it has 0.3 s")
    connection.finish()
    _all_arrives(bench.idempotent(peer, limits=None), contents)
    bench.wait(ev.MessageAccepted, len(contents))


@WRITING.case(
    must="A link that dies while a write is blocked is an end like any other; the next transport "
    "starts with an empty buffer, and not blocked.",
    look="writing: buffer and 'blocked' belong to one transport, not to the adapter",
)
def a_reset_in_the_middle_of_a_write(bench: Bench) -> None:
    peer, connection, contents = _flood(bench)
    bench.held_back(contents)
    connection.reset()
    bench.wait(ev.Disconnected, why="the peer has sent a reset (RST)")
    again = peer.accept()
    again.accept()
    bench.welcome(again)
    _all_arrives(again, contents)


def _all_arrives(connection: Connection, contents: list[str]) -> None:
    found = connection.take_long(len(contents))
    if sorted(found) != sorted(contents):  # each is a conversation of its own
        raise Failed("after a write that was cut off something was lost or came twice")


def _send_all(bench: Bench, thread: int) -> None:
    for n in range(25):
        bench.send(f"{thread}/{n}", 100 + thread)


@WRITING.case(
    must="Many threads may send at once; every message goes out once.",
    look="feed() from other threads: the engine is not thread-safe, one lock or one thread has it",
)
def calls_from_many_threads(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), in_flight=512)
    connection = bench.idempotent(peer)
    senders = [
        bench.call(f"sender {thread}", partial(_send_all, bench, thread)) for thread in range(6)
    ]
    found = connection.take(150)
    for sender in senders:
        sender.result()
    for thread in range(6):
        if [c for c in found if c.startswith(f"{thread}/")] != [f"{thread}/{n}" for n in range(25)]:
            raise Failed(f"what thread {thread} sent was lost, doubled or changed places: {found}")
    bench.wait(ev.MessageAccepted, 150)


@WRITING.case(
    must="One list of actions is carried out to its end before the next step: what one step "
    "sends is never mixed with what another does.",
    look="the step: an input that comes while a list is carried out waits in a queue",
)
def sends_while_answers_come_in(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), in_flight=4)
    connection = bench.idempotent(peer)
    refs = [bench.send(f"{n}", 1000 + n) for n in range(40)]
    contents = []
    for _ in range(20):
        pair = [connection.next(ChatSendToOne) for _ in range(2)]
        contents += [message.content for message in pair]
        connection.say(*(ChatSendResponse(msg_id=message.msg_id) for message in pair))
    if contents != [f"{n}" for n in range(40)]:
        raise Failed(f"messages changed places: {contents}")
    bench.wait(ev.MessageAccepted, 40)
    accepted = [event.ref for event in bench.of(ev.MessageAccepted)]
    if accepted != refs:
        raise Failed("MessageAccepted was told in another order than the answers came")
