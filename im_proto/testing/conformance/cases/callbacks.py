"""The application's callbacks: whatever they do, they can't hurt the client."""

from __future__ import annotations

import time

from ....client import events as ev
from ....wire import ChatSendResponse, ChatSendToOne, HeartbeatRequest, HeartbeatResponse
from ..bench import Bench
from ..case import Chapter, Level
from ..failure import Failed
from ..subject import Feature, Reaction

CALLBACKS = Chapter(Level.EXTRAS)
_OUTSIDE = "callbacks run outside of every lock and outside of the I/O loop"


@CALLBACKS.case(
    must="A callback that raises is a matter for the log; the client goes on.",
    look="where callbacks are called: catch everything, tell it, go on with the next",
    needs=Feature.CALLBACKS,
)
def callback_that_raises(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    for name in ("connected", "authenticated", "message_received", "state_changed"):
        bench.subject.react(name, Reaction.RAISE)
    connection = bench.log_in(peer)
    connection.write(connection.push("one", 1) + connection.push("two", 2))
    bench.received(["one", "two"], "after a callback that raised messages were lost")
    bench.send("goes on")
    if connection.take(1) != ["goes on"]:
        raise Failed("after a callback that raised another message went out than was sent")


@CALLBACKS.case(
    must="A callback that is slow holds up neither heartbeats nor sends.",
    look=_OUTSIDE,
    needs=Feature.CALLBACKS,
)
def callback_that_is_slow(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), heartbeat={"interval": 0.05, "timeout": 5})
    bench.subject.react("message_received", Reaction.SLOW)
    connection = bench.log_in(peer)
    connection.write(b"".join(connection.push(f"slow {n}", n + 1) for n in range(12)))
    bench.wait(ev.MessageReceived)
    begin = time.monotonic()
    for _ in range(3):
        if not isinstance(connection.receive(), HeartbeatRequest):
            raise Failed("a heartbeat was due")
        connection.say(HeartbeatResponse())
    took = time.monotonic() - begin
    if took > 4.0:
        raise Failed(
            f"three heartbeats, one each 0.05 s, took {took:.2f} s: twelve callbacks of 0.4 s held "
            "them up"
        )


@CALLBACKS.case(
    must="A callback may send a message and wait for its acceptance.",
    look=_OUTSIDE + ": whoever waits inside of one waits for what the loop still can bring",
    needs=Feature.CALLBACKS,
)
def send_inside_of_a_callback(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    bench.subject.react("message_received", Reaction.SEND)
    connection = bench.log_in(peer)
    connection.write(connection.push("one", 1) + connection.push("two", 2))
    for _ in range(2):
        message = connection.next(ChatSendToOne)
        if message.content != "from inside":
            raise Failed(f"the callback sent 'from inside'; there came {message.content!r}")
        connection.say(ChatSendResponse(msg_id=message.msg_id))
    bench.wait(ev.MessageAccepted, 2)


@CALLBACKS.case(
    must="A callback may disconnect its own client, and wait for that: no deadlock.",
    look="disconnect() inside of a callback does not wait for the callbacks to end",
    needs=Feature.CALLBACKS,
)
def disconnect_inside_of_a_callback(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    bench.subject.react("message_received", Reaction.DISCONNECT)
    connection = bench.log_in(peer)
    connection.write(connection.push("bye", 1))
    connection.until_close_frame()
    connection.close_frame(1000)
    connection.until_ended()
    bench.disconnect()
    bench.nothing_left()
    peer.nobody_comes(0.1, "disconnect() was called")


@CALLBACKS.case(
    must="close() returns while a callback runs.",
    look="close() waits for a callback for a bounded time only",
    needs=Feature.CALLBACKS,
)
def close_while_a_callback_runs(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    bench.subject.react("message_received", Reaction.SLOW)
    connection = bench.log_in(peer)
    connection.write(b"".join(connection.push(f"{n}", n + 1) for n in range(30)))
    bench.wait(ev.MessageReceived)
    begin = time.monotonic()
    bench.close()
    took = time.monotonic() - begin
    if took > 8.0:
        raise Failed(f"close() took {took:.1f} s: thirty callbacks of 0.4 s are not waited for")
    connection.until_ended()
