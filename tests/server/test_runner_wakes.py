"""The runner's one timer, and how the store's threads wake its loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from im_proto.config import ServerConfig
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_server.runner import Runner


class Handle:
    """Of the loop below; like uvloop's it can't tell when it goes off."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """Its clock is turned by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Handle]] = []
        self.soon: list[Callable[[], None]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, call: Callable[[], None]) -> Handle:
        handle = Handle(call)
        self.timers.append((at, handle))
        return handle

    def call_soon(self, call: Callable[[], None]) -> None:
        self.soon.append(call)

    call_soon_threadsafe = call_soon

    def turn(self) -> None:
        """Do what is to be done soon."""
        calls, self.soon = self.soon, []
        for call in calls:
            call()


class Script:
    """A gateway that notes what it is told and when."""

    def __init__(self) -> None:
        self.deadline: float | None = None
        self.steps: list[tuple[object, float]] = []
        self.breaks_at = 0

    def next_deadline(self) -> float | None:
        return self.deadline

    def step(self, event: Any, now: float) -> list[act.Action]:
        self.steps.append((event, now))
        if isinstance(event, inp.TimePassed):
            self.deadline = None
        elif getattr(event, "request", 0) and event.request == self.breaks_at:
            raise KeyError("a bug")
        return []


def made() -> tuple[Runner, Loop, Script]:
    """A runner that runs, on nothing."""
    runner, loop, gateway = (
        Runner(ServerConfig(), cast("Any", None), cast("Any", None)),
        Loop(),
        Script(),
    )
    runner._loop, runner._gateway = cast("Any", loop), cast("Any", gateway)
    runner._look_at_the_clock = lambda now: None  # type: ignore[method-assign]
    return runner, loop, gateway


LOST = inp.ConnectionLost(connection=1)


def test_a_timer_that_goes_off_a_little_early_is_on_time() -> None:
    runner, loop, gateway = made()
    gateway.deadline = 105.0
    runner.feed(LOST)
    ((at, handle),) = loop.timers
    loop.now = at - 0.001
    handle.call()
    assert gateway.steps == [(LOST, 100.0), (inp.TimePassed(), 105.0)]


def test_a_deadline_that_moves_away_moves_no_timer_and_wakes_nobody_too_early() -> None:
    runner, loop, gateway = made()
    gateway.deadline = 105.0
    runner.feed(LOST)
    gateway.deadline = 109.0
    runner.feed(LOST)
    ((at, handle),) = loop.timers
    assert at == 105.0 and not handle.cancelled
    loop.now = 105.0
    handle.call()
    assert len(gateway.steps) == 2 and [at for at, _ in loop.timers] == [105.0, 109.0]


def test_a_deadline_that_comes_nearer_moves_the_timer_and_none_ends_it() -> None:
    runner, loop, gateway = made()
    for deadline in (105.0, 102.0, None):
        gateway.deadline = deadline
        runner.feed(LOST)
    assert [(at, handle.cancelled) for at, handle in loop.timers] == [(105.0, True), (102.0, True)]


def answers(*requests: int) -> list[inp.StoreFailed]:
    """What a store says."""
    return [inp.StoreFailed(request=request, reason="") for request in requests]


def test_the_loop_is_woken_once_for_what_has_come_when_it_looks() -> None:
    runner, loop, gateway = made()
    said = answers(1, 2, 3, 4)
    for answer in said[:3]:
        runner._from_worker(answer)
    assert len(loop.soon) == 1 and not gateway.steps
    loop.turn()
    assert [event for event, _ in gateway.steps] == said[:3] and not loop.soon
    runner._from_worker(said[3])
    assert len(loop.soon) == 1
    loop.turn()
    assert [event for event, _ in gateway.steps] == said


def test_an_answer_that_comes_while_others_are_taken_is_taken_in_a_turn_of_its_own() -> None:
    runner, loop, gateway = made()
    first, second = answers(1, 2)
    step = gateway.step

    def meanwhile(event: Any, now: float) -> list[act.Action]:
        if event is first:
            runner._from_worker(second)
        return step(event, now)

    gateway.step = meanwhile  # type: ignore[method-assign]
    runner._from_worker(first)
    loop.turn()
    assert [event for event, _ in gateway.steps] == [first] and len(loop.soon) == 1
    loop.turn()
    assert [event for event, _ in gateway.steps] == [first, second] and not loop.soon


def test_an_answer_that_meets_a_bug_takes_no_other_with_it() -> None:
    runner, loop, gateway = made()
    said = answers(1, 2, 3)
    gateway.breaks_at = 2
    for answer in said:
        runner._from_worker(answer)
    with pytest.raises(KeyError):
        loop.turn()
    loop.turn()
    assert [event for event, _ in gateway.steps] == said and not loop.soon
