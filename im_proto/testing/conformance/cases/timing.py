"""One timer, armed at next_deadline() after every step: earlier, later, twice."""

from __future__ import annotations

import time

from ....client import events as ev
from ....client.inputs import NetworkChanged
from ....wire import ChatSendToOne, HeartbeatRequest
from ..bench import Bench
from ..case import Chapter
from ..failure import Failed

TIMING = Chapter()
_ARM = "the timer: after every step() compare next_deadline() with what it is armed for"


@TIMING.case(
    must="A deadline that a call of the application brings nearer is kept, though a later one was "
    "armed before.",
    look=_ARM + ", also after a step that came from a call and not from the socket",
)
def a_deadline_that_moves_nearer(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), timeouts={"ack": 1})
    connection = bench.log_in(peer)
    begin = time.monotonic()
    bench.send("unanswered")
    connection.next(ChatSendToOne)
    if not isinstance(connection.receive(), HeartbeatRequest):
        raise Failed("after a message that is not answered in 1 s a probe was due")
    took = time.monotonic() - begin
    if took < 0.99:
        raise Failed(f"the probe came after {took:.3f} s; it was due after 1 s: the deadline of "
                     "next_deadline() is on the clock that step() is given")  # fmt: skip


@TIMING.case(
    must="A deadline that moves away is not missed: after the early wake-up, which does nothing, "
    "the timer is armed for the later one.",
    look="the timer: a wake-up before next_deadline(), or a step without actions, arms it again",
)
def a_deadline_that_moves_away(bench: Bench) -> None:
    peer = bench.peer()
    heartbeat = {"interval": 0.5, "timeout": 0.1, "max_missed": 100}
    bench.client(peer.url(), timeouts={"ack": 0.2}, heartbeat=heartbeat)
    connection = bench.log_in(peer)
    bench.send("answered at once")
    connection.take(1)
    bench.wait(ev.MessageAccepted)
    # three: where the answer was late, the first is the probe that asks for it
    bench.wait(ev.HeartbeatSent, 3, why="0.2 s were armed, then it was put off to 0.5 s")


@TIMING.case(
    must="Two deadlines at the same moment both count.",
    look="the timer: after TimePassed it is armed for what next_deadline() says then",
)
def two_deadlines_at_once(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), timeouts={"partial": 0.2}, heartbeat={"interval": 0.2, "timeout": 10})
    connection = bench.log_in(peer)
    connection.write(connection.push("never complete", 1)[:5])
    bench.wait(ev.HeartbeatSent)
    bench.wait(ev.Disconnected, why="half a frame came, and for 0.2 s nothing more")


@TIMING.case(
    must="Deadlines come on time, one after the other, without any other input in between.",
    look=_ARM + "; and a timer that goes off is armed again even if the step did nothing",
)
def a_row_of_deadlines(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), heartbeat={"interval": 0.1, "timeout": 0.1, "max_missed": 100})
    begin = time.monotonic()
    bench.log_in(peer)
    bench.wait(ev.HeartbeatSent, 5, why="an unanswered heartbeat is repeated")
    took = time.monotonic() - begin
    if took < 0.45:
        raise Failed(f"five heartbeats, one each 0.1 s, took {took:.2f} s")


@TIMING.case(
    must="A client that has nothing to do does nothing: no polling, no loop that spins.",
    look="the loop: it sleeps until a socket, a call or the timer wakes it; a timer that is due "
    "but does not move, a socket that is always writable, keep it awake",
)
def an_idle_client_sleeps(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    bench.log_in(peer)
    bench.send("unanswered")
    time.sleep(0.05)
    for _ in range(5):  # a busy machine counts what is not the client's; not each time
        before = time.process_time()
        time.sleep(0.5)
        used = time.process_time() - before
        if used <= 0.05:  # a tenth: one that spins may have to share the processor with others
            return
    raise Failed(f"an idle client used {used:.2f} s of the processor in 0.5 s, and that five times")


@TIMING.case(
    must="Message ids are drawn from the wall clock, so the engine needs its seconds since 1970.",
    look="ClientEngine(wall=…), and WallClock at each OpenTransport: time.time(), no other clock",
)
def the_wall_clock_is_told(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url())
    connection = bench.log_in(peer)
    bench.send("when is it?")
    drawn = connection.next(ChatSendToOne).msg_id / 1e6
    if abs(drawn - time.time()) > 60:
        raise Failed(f"a message id says {drawn:.0f} s since 1970; it is {time.time():.0f}")


@TIMING.case(
    must="NetworkChanged ends the waiting for the next attempt at once.",
    look="feed() from another thread: it must wake the loop, which may sleep for long",
)
def a_call_wakes_the_loop(bench: Bench) -> None:
    peer = bench.peer()
    bench.client(peer.url(), reconnect={"initial_delay": 60, "max_delay": 60, "jitter": "none"})
    bench.log_in(peer).finish()
    bench.wait(ev.Reconnecting)
    peer.nobody_comes(0.05, "the next attempt is due after 60 s")
    bench.call("feed()", lambda: bench.subject.feed(NetworkChanged())).result()
    peer.accept().log_in()
    bench.wait(ev.Reconnected)
