"""The thread that all of a client lives in, and its timers."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.threads_kit import (
    LONGEST,
    Background,
    nothing_left,
    until,
)
from im_proto.client import actions as ac
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_runtime import Log
from im_threads.driver import Driver
from im_threads.loop import Loop

__all__ = ["nothing_left"]
pytestmark = pytest.mark.usefixtures("nothing_left")

# ------------------------------------------------------------ the loop and the driver


class FakeEngine:
    """Answers each input with what the test has put there, and has the deadline it is given."""

    def __init__(self) -> None:
        self.answers: dict[type, list[Any]] = {}
        self.deadline: float | None = None
        self.unsettled = False
        self.inputs: list[Any] = []

    def step(self, item: Any, now: float) -> list[Any]:
        self.inputs.append((type(item), now))
        return self.answers.get(type(item), [])

    def next_deadline(self) -> float | None:
        return self.deadline


@pytest.fixture
def loop() -> Iterator[Loop]:
    bugs: list[Exception] = []
    made = Loop("im_threads", busy=lambda: True, failed=bugs.append)
    yield made
    made.end(lambda: None)
    assert bugs == []


def driver(engine: FakeEngine, loop: Loop, told: list[Any]) -> Driver:
    return Driver(
        engine,
        loop,
        log=Log("im_threads"),
        token="t",
        deliver=told.append,
        failed=told.append,
        quiet=lambda: None,
        ssl_context=None,
        wall=lambda: 12.0,
    )


def test_a_list_is_carried_out_before_the_next_step(loop: Loop) -> None:
    """A link may have to say something within `write`; that has to wait for its turn."""
    engine, told = FakeEngine(), []
    it = driver(engine, loop, told)

    class Full:
        def write(self, _: bytes) -> None:
            it.feed(inp.WriteBlocked(transport=1))

    it._links[1] = Full()
    first, second = ev.HeartbeatSent(), ev.Connected()
    engine.answers[inp.Connect] = [
        ac.SendBytes(transport=1, data=b"x"),
        ac.Notify(event=first),
    ]
    engine.answers[inp.WriteBlocked] = [ac.Notify(event=second)]
    loop.ask(it.step, inp.Connect())
    assert told == [first, second]


def test_the_timer_follows_the_deadline(loop: Loop) -> None:
    engine = FakeEngine()
    it = driver(engine, loop, [])
    it.active = True
    now = loop.now()

    def armed(deadline: float | None) -> float | None:
        def step() -> float | None:
            engine.deadline = deadline
            it.step(inp.Connect())
            alarms = [alarm.when for alarm in loop._alarms if alarm.function is not None]
            assert len(alarms) <= 1
            return alarms[0] if alarms else None

        return loop.ask(step)

    assert armed(now + 20) == now + 20
    assert armed(now + 10) == now + 10
    assert armed(now + 30) == now + 10  # it goes off early, and is armed again
    assert armed(None) is None
    assert inp.TimePassed not in [kind for kind, _ in engine.inputs]
    assert armed(now + 0.01) == now + 0.01
    until(lambda: inp.TimePassed in [kind for kind, _ in engine.inputs])
    assert dict(engine.inputs)[inp.TimePassed] >= now + 0.01
    loop.ask(it.stop)


def test_an_idle_thread_sleeps_and_costs_nothing(loop: Loop) -> None:
    turns = 0
    sleep = loop._sleep

    def counted(until: float) -> None:
        nonlocal turns
        turns += 1
        sleep(until)

    loop.ask(lambda: None)
    loop._sleep = counted
    loop.ask(lambda: None)  # ends the sleep that was under way
    before = turns
    threading.Event().wait(0.1)
    assert turns - before <= 1


def test_a_thread_that_nothing_needs_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("im_threads.loop._LINGER", 0.01)
    loop = Loop("im_threads", busy=lambda: False, failed=lambda _: None)
    for _ in range(3):
        assert loop.ask(lambda: loop.inside)
        until(lambda: not loop.running)
    loop.end(lambda: None)
    loop.end(lambda: None)


def test_a_thread_that_was_slow_to_begin_something_stays_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine under load: the time to go has come before it knows what it is needed for."""
    monkeypatch.setattr("im_threads.loop._LINGER", 0.0)
    needed, done = False, threading.Event()

    def begin() -> None:
        nonlocal needed
        needed = True
        loop.at(loop.now() + 0.01, done.set)

    loop = Loop("im_threads", busy=lambda: needed, failed=lambda _: None)
    loop.ask(begin)
    assert done.wait(LONGEST)
    loop.end(lambda: None)


def test_posts_while_it_ends_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread leaves, and another one takes over, many times at once."""
    monkeypatch.setattr("im_threads.loop._LINGER", 0.0)
    loop = Loop("im_threads", busy=lambda: False, failed=lambda _: None)
    workers = [Background(lambda: [loop.ask(int, n) for n in range(200)]) for _ in range(4)]
    for worker in workers:
        assert worker.result() == list(range(200))
    loop.end(lambda: None)


def test_a_post_in_the_last_moment_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("im_threads.loop._LINGER", 0.0)
    loop = Loop("im_threads", busy=lambda: False, failed=lambda _: None)
    done = threading.Event()
    leave, posted = loop._leave, False

    def leave_later() -> bool:
        nonlocal posted
        if not posted:
            posted = True
            Background(loop.post, done.set).result()
        return leave()

    loop._leave = leave_later
    loop.post(lambda: None)
    assert done.wait(LONGEST)
    loop.end(lambda: None)


def test_a_post_in_the_moment_of_falling_asleep_wakes_it() -> None:
    done = threading.Event()
    armed = posted = False

    def busy() -> bool:
        """Asked just before it sleeps, too."""
        nonlocal posted
        if armed and not posted and "_sleep" in [f.name for f in traceback.extract_stack()]:
            posted = True
            Background(loop.post, done.set).result()
        return True

    loop = Loop("im_threads", busy=busy, failed=lambda _: None)
    loop.ask(lambda: None)
    armed = True
    loop.ask(lambda: None)
    assert done.wait(LONGEST)
    loop.end(lambda: None)


def test_an_exception_reaches_whoever_has_asked(loop: Loop) -> None:
    with pytest.raises(ZeroDivisionError):
        loop.ask(lambda: 1 / 0)
    with pytest.raises(SystemExit):
        loop.ask(sys.exit)
    assert loop.ask(lambda: 1) == 1
