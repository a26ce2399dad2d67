"""The queue of callbacks: order, what becomes of them, slow ones, and too many of them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

import pytest

from im_proto.client import inputs as inp
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_runtime import (
    RECEIVED,
    Call,
    Callbacks,
    CallbacksDropped,
    Calls,
    Iteration,
    Log,
    Message,
    Outcome,
    Reception,
    SlowCallback,
    Supply,
)
from im_runtime import calls as calls_module


class Told(Call):
    """A call that says what became of it."""

    def __init__(self, name: str, args: tuple[Any, ...], it: Bench, wanted: bool) -> None:
        super().__init__(name, args)
        self.it = it
        self.is_wanted = wanted

    def wanted(self) -> bool:
        return self.is_wanted

    def end(self, outcome: Outcome) -> None:
        self.it.outcomes.append(outcome)


class Bench:
    """A queue with a clock of its own, and a runner without a thread."""

    def __init__(self, *, slow: float | None = 5.0) -> None:
        self.now = 100.0
        self.wakes = 0
        self.callbacks = Callbacks()
        self.calls = Calls(
            self.callbacks,
            log=Log("im_asyncio"),
            now=lambda: self.now,
            wake=self._wake,
            slow=slow,
        )
        #: what was called, with what
        self.called: list[tuple[str, tuple[Any, ...]]] = []
        self.outcomes: list[Outcome] = []

    def _wake(self) -> None:
        self.wakes += 1

    def listen(self, *names: str, doing: Callable[..., None] | None = None) -> None:
        for name in names:

            def callback(*args: Any, name: str = name) -> None:
                self.called.append((name, args))
                if doing is not None:
                    doing(*args)

            self.callbacks.on(name, callback)

    def add(self, name: str, *args: object, wanted: bool = True) -> Told:
        """What becomes of it goes to `outcomes`."""
        call = Told(name, args, self, wanted)
        self.calls.add(call)
        return call

    def names(self) -> list[str]:
        return [name for name, _ in self.called]

    def run(self) -> None:
        """As a runner does it, see calls.py."""
        while (call := self.calls.next()) is not None:
            try:
                for callback in call.callbacks:
                    self.calls.begin(call, callback)
                    try:
                        callback(*call.args)
                    except Exception as exc:
                        self.calls.raised(exc)
                    finally:
                        self.calls.end()
            except BaseException:
                self.calls.give_up(call)
                raise
            self.calls.done(call)


# ------------------------------------------------------------ order, and what becomes of a call


def test_they_are_called_in_order_and_told_what_became_of_it() -> None:
    it = Bench()
    it.listen("message_sent", "message_failed")
    it.listen("connected", doing=lambda: 1 / 0)
    for name in ("message_sent", "connected", "notice", "message_failed"):
        it.add(name)
    it.add("message_sent", wanted=False)
    assert (len(it.calls), it.wakes) == (5, 5)
    it.run()
    assert it.names() == ["message_sent", "connected", "message_failed"]
    # in the order of their ends; "notice" and the last were called for nobody
    assert it.outcomes == [
        Outcome.RETURNED,
        Outcome.RAISED,
        Outcome.NOT_CALLED,
        Outcome.RETURNED,
        Outcome.NOT_CALLED,
    ]
    assert len(it.calls) == 0


def test_one_of_several_that_raises_does_not_keep_the_others_from_it() -> None:
    it = Bench()
    it.listen("message_sent", doing=lambda: 1 / 0)
    it.listen("message_sent")
    it.add("message_sent")
    it.run()
    assert len(it.called) == 2
    assert it.outcomes == [Outcome.RAISED]


def test_who_raises_is_named(caplog: pytest.LogCaptureFixture) -> None:
    it = Bench()
    it.listen("error")
    it.listen("connected", doing=lambda: 1 / 0)
    it.calls.put("connected")
    it.run()
    ((name, (error,)),) = it.called[1:]
    assert name == "error"
    assert isinstance(error, IMError)
    assert error.code is IMErrorCode.UNKNOWN_ERROR
    assert isinstance(error.__cause__, ZeroDivisionError)
    where = f"{__name__}.Bench.listen.<locals>.callback"
    assert error.text == f"the callback connected raised ZeroDivisionError ({where})"
    assert f"! {error.text}" in caplog.text


def test_given_up_half_way_is_not_called() -> None:
    class Stop(BaseException):
        pass

    def stop() -> None:
        raise Stop

    it = Bench()
    it.listen("message_sent", doing=stop)
    it.add("message_sent")
    with pytest.raises(Stop):
        it.run()
    assert it.outcomes == [Outcome.NOT_CALLED]
    assert it.calls.slow_at() is None


def test_what_is_forgotten_hears_of_it_and_what_is_withdrawn_does_not() -> None:
    it = Bench()
    it.listen("message_sent", "connected")
    for name in ("message_sent", "connected"):
        it.calls.withdraw(it.add(name))
    assert len(it.calls) == 0
    assert it.outcomes == []
    it.add("message_sent")
    it.add("connected")
    it.calls.clear()
    it.run()
    assert it.called == []
    assert it.outcomes == [Outcome.NOT_CALLED] * 2


# ------------------------------------------------------------ slow ones


@pytest.mark.parametrize("slow", [0, -1, float("nan")])
def test_slow_is_a_time(slow: float) -> None:
    with pytest.raises(LocalProtocolError, match="slow_callback"):
        Bench(slow=slow)


def test_a_slow_one_is_reported_once_while_it_runs_and_once_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = Bench(slow=5.0)
    dues: list[float | None] = []

    def slow() -> None:
        dues.append(it.calls.slow_at())
        it.now += 4.9
        it.calls.look()  # early is nothing
        assert it.calls.explain() == ""
        it.now += 0.1
        it.calls.look()
        dues.append(it.calls.slow_at())
        it.now += 10.0
        it.calls.look()
        it.calls.put("message_sent")
        assert it.calls.explain() == (
            f"The callback connected ({where}) has been running for 15.0 s, and 2 others wait for "
            "it."
        )

    it.listen("connected", doing=slow)
    it.listen("notice", "message_sent")
    where = f"{__name__}.Bench.listen.<locals>.callback"
    it.calls.put("connected")
    assert it.calls.slow_at() is None
    it.run()
    assert dues == [105.0, None]
    assert [r.getMessage() for r in caplog.records] == [
        f"! the callback connected ({where}) has been running for 5.000 s",
        f"! the callback connected ({where}) was running for 15.000 s",
    ]
    assert {r.levelno for r in caplog.records} == {logging.WARNING}
    assert it.called[1:] == [
        ("notice", (SlowCallback(name="connected", function=where, seconds=5.0, ended=False),)),
        ("message_sent", ()),
        ("notice", (SlowCallback(name="connected", function=where, seconds=15.0, ended=True),)),
    ]
    assert it.calls.explain() == ""


def test_one_that_nobody_could_look_at_is_reported_at_its_end() -> None:
    """It held up the loop, and with it the timer."""
    it = Bench(slow=5.0)

    def slow() -> None:
        it.now += 6.0

    it.listen("connected", doing=slow)
    it.listen("notice")
    it.calls.put("connected")
    it.run()
    ((_, (notice,)),) = it.called[1:]
    assert (notice.seconds, notice.ended) == (6.0, True)


def test_a_slow_notice_is_told_to_no_notice(caplog: pytest.LogCaptureFixture) -> None:
    it = Bench(slow=5.0)

    def slow(_: object) -> None:
        it.now += 6.0

    it.listen("notice", doing=slow)
    it.calls.put("notice", object())
    it.run()
    assert it.names() == ["notice"]
    assert "was running for 6.000 s" in caplog.text


def test_without_a_limit_nothing_is_slow(caplog: pytest.LogCaptureFixture) -> None:
    it = Bench(slow=None)

    def slow() -> None:
        assert it.calls.slow_at() is None
        it.now += 1e6
        it.calls.look()

    it.listen("connected", doing=slow)
    it.listen("notice")
    it.calls.put("connected")
    it.run()
    assert it.names() == ["connected"]
    assert caplog.records == []


# ------------------------------------------------------------ too many


def test_too_many_lose_the_oldest_and_messages_are_never_lost(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "MINOR_KEPT", 3)
    it = Bench()
    it.listen("heartbeat_sent", "state_changed", "message_received", "message_sent", "notice")
    for n in range(5):
        it.add("heartbeat_sent", n)
        it.calls.put("message_received", n)
        it.calls.put("state_changed", n)
        it.calls.put("message_sent", n)
    assert it.outcomes == [Outcome.NOT_CALLED] * 4  # told at once: 7 of 10 minor ones were dropped
    it.run()
    assert it.called[0] == ("notice", (CallbacksDropped(count=7),))
    for name in ("message_received", "message_sent"):
        assert [args[0] for called, args in it.called if called == name] == [0, 1, 2, 3, 4]
    minor = [call for call in it.called[1:] if not call[0].startswith("message_")]
    assert minor == [("state_changed", (3,)), ("heartbeat_sent", (4,)), ("state_changed", (4,))]
    assert [r.getMessage() for r in caplog.records] == [
        "! too many callbacks wait: those not about messages are dropped",
        "! 7 callbacks were dropped",
    ]


def test_as_many_as_there_are_being_called_are_not_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls_module, "MINOR_KEPT", 3)
    it = Bench()
    it.listen("heartbeat_sent", "notice")
    for _ in range(5):
        for n in range(3):
            it.calls.put("heartbeat_sent", n)
        it.run()
    assert it.names() == ["heartbeat_sent"] * 15


# ------------------------------------------------------------ received messages


class Cursor(Iteration):
    """An iteration that nobody waits in."""

    waiting = False

    def wake(self) -> None: ...


class Desk(Bench):
    """A queue with a reception before it."""

    def __init__(self, *, manual: bool = False) -> None:
        super().__init__()
        self.fed: list[inp.Input] = []
        self.supply: Supply | IMError = Supply.FLOWING
        self.reception: Reception[Cursor] = Reception(
            self.callbacks,
            self.calls,
            iteration=Cursor,
            supply=lambda: self.supply,
            feed=self.fed.append,
            manual=manual,
        )

    def receive(self, *deliveries: int, seq: bool = False) -> None:
        for n in deliveries:
            self.reception.received(Message(content=f"m{n}", delivery=n, seq=n if seq else None))


def taken(delivery: int) -> inp.MessageTaken:
    return inp.MessageTaken(delivery=delivery)


def handled(delivery: int) -> inp.MessageHandled:
    return inp.MessageHandled(delivery=delivery)


def test_a_message_is_taken_when_its_callback_begins_and_handled_when_it_returned() -> None:
    it = Desk()
    fed: list[list[inp.Input]] = []
    it.listen(RECEIVED, doing=lambda _: fed.append(list(it.fed)))
    it.receive(1, 2)
    assert it.fed == []
    it.run()
    assert fed == [[taken(1)], [taken(1), handled(1), taken(2)]]
    assert it.fed[-1] == handled(2)
    assert len(it.reception.inbox) == len(it.reception._offered) == 0  # nothing piles up


def failed(delivery: int) -> inp.MessageHandled:
    return inp.MessageHandled(delivery=delivery, ok=False)


def test_a_message_that_raised_has_failed_and_waits_for_the_engine() -> None:
    it = Desk()
    it.listen(RECEIVED, doing=lambda _: 1 / 0)
    it.receive(1)
    it.run()
    assert it.fed == [taken(1), failed(1)]
    it.reception.logged_in()
    it.run()
    assert len(it.fed) == 2


def test_what_is_offered_again_comes_before_what_waits_and_in_order() -> None:
    it = Desk()
    it.listen(RECEIVED)
    it.receive(1, 2, 3, 4)
    it.supply = Supply.DRY
    for n in (1, 2):
        again = Message(content=f"again {n}", delivery=n, attempt=2)
        it.reception.received(again)
    it.supply = Supply.FLOWING
    it.reception.logged_in()
    it.run()
    contents = [args[0].content for _, args in it.called]
    assert contents == ["again 1", "again 2", "m1", "m2", "m3", "m4"]


def test_what_was_settled_inside_the_callback_is_settled_once() -> None:
    it = Desk()

    def settle(message: Message) -> None:
        it.reception.settle(message, message.delivery == 1)
        if message.delivery == 2:
            it.reception.received(Message(content="again", delivery=2, attempt=2))
            raise ValueError

    it.listen(RECEIVED, doing=settle)
    it.receive(1)
    it.run()
    assert it.fed == [taken(1), handled(1)]
    it.receive(2)
    call = it.calls.next()
    assert call is not None
    with contextlib.suppress(ValueError):
        settle(call.args[0])
    call.raised = True
    it.calls.done(call)
    assert it.fed[2:] == [taken(2), failed(2)]
    assert len(it.reception._offered) == 1  # that one waits


def test_by_hand_a_message_is_handled_when_it_is_said_in_any_order() -> None:
    it = Desk(manual=True)
    it.listen(RECEIVED)
    it.receive(1, 2, 3)
    it.run()
    assert it.fed == [taken(1), taken(2), taken(3)]
    one, two, three = (args[0] for _, args in it.called)
    for message in (three, one, three):
        it.reception.settle(message, True)
    assert it.fed[3:] == [handled(3), handled(1)]
    it.listen(RECEIVED, doing=lambda _: 1 / 0)
    it.receive(4)
    it.run()
    assert it.fed[5:] == [taken(4), failed(4)]
    assert len(it.reception.inbox) == 2
    assert two.content == "m2"


def test_by_hand_an_iteration_gives_each_once_and_acknowledges_none() -> None:
    it = Desk(manual=True)
    it.receive(1, 2)
    cursor = it.reception.messages()
    cursor.ask()
    assert cursor.look() == Message(content="m1")
    cursor.ask()
    assert it.fed == [taken(1)]
    later = it.reception.messages()
    later.ask()
    assert later.look() == Message(content="m2")
    later.ask()
    assert later.look() is Supply.FLOWING


def test_what_an_iteration_has_left_goes_to_the_callback_that_comes_later() -> None:
    it = Desk()
    it.receive(1)
    cursor = it.reception.messages()
    cursor.ask()
    cursor.look()
    cursor.finish()
    it.listen(RECEIVED)
    it.reception.listen()
    it.run()
    assert [args[0].content for _, args in it.called] == ["m1"]


def test_a_message_that_the_engine_dropped_is_not_called_and_leaves_the_queue() -> None:
    it = Desk()
    it.listen(RECEIVED)
    it.receive(1, 2, 3)
    it.reception.dropped(2)
    it.reception.dropped(99)  # nobody knows it
    assert len(it.calls) == 2
    it.run()
    assert [args[0].content for _, args in it.called] == ["m1", "m3"]
    assert taken(2) not in it.fed
    assert handled(2) not in it.fed


def test_a_message_without_a_listener_is_not_taken() -> None:
    it = Desk()
    it.listen(RECEIVED)
    it.receive(1)
    it.callbacks.off(RECEIVED)
    it.run()
    assert it.fed == []
    assert it.reception.messages().look() == Message(content="m1")


def test_an_iteration_takes_what_it_hands_out_and_passes_over_what_was_dropped() -> None:
    it = Desk()
    it.receive(1, 2, 3)
    cursor = it.reception.messages()
    cursor.ask()
    assert cursor.look() == Message(content="m1")
    assert it.fed == [taken(1)]
    it.reception.dropped(2)
    cursor.ask()
    assert it.fed == [taken(1), handled(1)]
    assert cursor.look() == Message(content="m3")
    assert it.fed == [taken(1), handled(1), taken(3)]
    cursor.ask()
    assert cursor.look() is Supply.FLOWING


def test_without_a_link_a_callback_gets_only_what_would_not_come_again() -> None:
    it = Desk()
    it.listen(RECEIVED)
    it.receive(1, seq=True)
    it.receive(2)
    it.supply = Supply.DRY
    it.run()
    assert [args[0].content for _, args in it.called] == ["m2"]
    assert it.fed == [taken(2), handled(2)]


def test_a_later_iteration_takes_over_and_a_callback_excludes_both() -> None:
    it = Desk()
    first = it.reception.messages()
    second = it.reception.messages()
    with pytest.raises(LocalProtocolError, match="taken over"):
        first.look()
    assert first.look() is Supply.DRY
    with pytest.raises(LocalProtocolError, match="end that one first"):
        it.reception.check_no_iteration()
    second.finish()
    it.reception.check_no_iteration()
    it.listen(RECEIVED)
    with pytest.raises(LocalProtocolError, match="only one of them"):
        it.reception.messages()


def test_an_iteration_of_a_client_that_has_given_up_raises_once() -> None:
    it = Desk()
    it.receive(1)
    it.supply = IMError(IMErrorCode.CONNECTION_FAILED, "no")
    cursor = it.reception.messages()
    assert cursor.look() == Message(content="m1")  # nobody would send it again
    with pytest.raises(IMError):
        cursor.look()
    assert cursor.look() is Supply.DRY
