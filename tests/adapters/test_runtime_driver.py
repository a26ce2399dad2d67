"""What drives an engine in both clients: steps in order, causes, tokens, the timer, bugs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from im_proto.client import actions as ac
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_runtime import Driver, Log

WALL = 1_700_000_000.0


class FakeEngine:
    """Answers each input with what the test has put there, and has the deadline it is given."""

    def __init__(self) -> None:
        #: the actions for the first input of that kind, for the second …
        self.answers: dict[type, list[list[Any]]] = {}
        self.deadline: float | None = None
        self.unsettled = False
        self.inputs: list[Any] = []

    def step(self, item: Any, now: float) -> list[Any]:
        self.inputs.append(item)
        answers = self.answers.get(type(item), [])
        return answers.pop(0) if answers else []

    def next_deadline(self) -> float | None:
        return self.deadline


class FakeLink:
    """Notes what it is to do; `write` may say something at once."""

    def __init__(self, driver: Bare, name: int) -> None:
        self.name = name
        self.done: list[str] = []
        self.says: Callable[[], None] = lambda: None
        self._driver = driver

    def write(self, data: bytes) -> None:
        self.done.append("write")
        self.says()

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")

    def close(self) -> None:
        self.done.append("close")

    def drop(self, *, tell: bool = False) -> None:
        self.done.append("drop and tell" if tell else "drop")
        self._driver.forget(self)


class Bare(Driver[FakeLink]):
    """A driver whose loop is the test."""

    def __init__(self, engine: FakeEngine) -> None:
        self.told: list[Any] = []
        self.time = 100.0
        self.timers: list[float] = []
        self.turns: list[Callable[[], None]] = []
        self.fetched: list[int] = []
        self.made: list[FakeLink] = []
        self.times_quiet = 0
        super().__init__(
            engine,  # type: ignore[arg-type]
            log=Log("im_threads"),
            token="t",
            deliver=self.told.append,
            failed=self.told.append,
            ssl_context=None,
            now=lambda: self.time,
            wall=lambda: WALL,
        )

    def _open(self, action: ac.OpenTransport) -> FakeLink:
        self.made.append(FakeLink(self, action.transport))
        return self.made[-1]

    def _start_tls(self, link: FakeLink, host: str) -> None:
        link.done.append(f"TLS with {host}")

    def _fetch(self, request: int) -> None:
        self.fetched.append(request)

    def _stop_fetching(self, request: int) -> None:
        self.fetched.remove(request)

    def _post(self, function: Callable[..., object], *args: Any) -> None:
        function(*args)

    def _set_timer(self, when: float) -> Callable[[], object]:
        self.timers.append(when)
        return lambda: self.timers.remove(when)

    def _end_turn_soon(self) -> None:
        self.turns.append(self.turn_ended)

    def _is_quiet(self) -> None:
        self.times_quiet += 1

    def _is_written(self) -> None: ...

    def go_off(self) -> None:
        """The timer."""
        self.time = self.timers.pop()
        self._time_passed()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def it(engine: FakeEngine) -> Bare:
    return Bare(engine)


def opened(it: Bare, engine: FakeEngine) -> FakeLink:
    """With transport 1."""
    wanted = ac.OpenTransport(transport=1, host="h", port=1, secure=False)
    engine.answers[inp.Connect] = [[wanted]]
    it.step(inp.Connect())
    return it.made[0]


def trouble(text: str) -> ac.Notify:
    error = IMError(IMErrorCode.CONNECTION_FAILED, text)
    return ac.Notify(event=ev.ErrorOccurred(error=error))


# ------------------------------------------------------------ steps


def test_every_transport_comes_with_the_time_of_day(it: Bare, engine: FakeEngine) -> None:
    opened(it, engine)
    assert engine.inputs == [inp.Connect(), inp.WallClock(wall=WALL)]


def test_what_comes_within_a_step_waits_and_has_its_own_cause(it: Bare, engine: FakeEngine) -> None:
    link = opened(it, engine)
    outer, inner = OSError("outer"), OSError("inner")
    link.says = lambda: it.feed(inp.TransportLost(transport=1), cause=inner)
    engine.answers[inp.TransportFailed] = [
        [ac.SendBytes(transport=1, data=b"x"), trouble("first")],
    ]
    engine.answers[inp.TransportLost] = [[trouble("second")], [trouble("third")]]
    failed = inp.TransportFailed(transport=1, kind=inp.TransportFailure.OTHER, reason="")
    it.feed(failed, cause=outer)
    it.feed(inp.TransportLost(transport=1))
    told = [(event.error.text, event.error.__cause__) for event in it.told]
    assert told == [("first", outer), ("second", inner), ("third", None)]


def test_each_wish_reaches_the_transport_and_none_one_that_is_gone(
    it: Bare, engine: FakeEngine
) -> None:
    link = opened(it, engine)
    every = [
        ac.SendBytes(transport=1, data=b"x"),
        ac.PauseReading(transport=1),
        ac.ResumeReading(transport=1),
        ac.StartTls(transport=1, host="h"),
        ac.CloseTransport(transport=1),
        ac.AbortTransport(transport=1),
    ]
    engine.answers[inp.Connect] = [every, every]
    it.step(inp.Connect())
    done = ["write", "pause", "resume", "TLS with h", "close", "drop"]
    assert link.done == done
    assert it.quiet
    assert it.times_quiet == 1
    it.step(inp.Connect())
    assert link.done == done


def test_a_log_handler_may_not_step(
    it: Bare, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    refused: list[str] = []

    class Meddler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with pytest.raises(LocalProtocolError) as caught:
                it.step(inp.Disconnect())
            refused.append(str(caught.value))

    meddler = Meddler()
    caplog.set_level(logging.DEBUG, logger="im_threads")
    logging.getLogger("im_threads").addHandler(meddler)
    try:
        it.step(inp.Connect())
    finally:
        logging.getLogger("im_threads").removeHandler(meddler)
    assert len(refused) == 1
    assert "log handler" in refused[0]
    assert engine.inputs == [inp.Connect()]


def test_a_bug_ends_everything_and_tells_nobody_but_the_application(
    it: Bare, engine: FakeEngine
) -> None:
    link = opened(it, engine)
    it.active, engine.deadline = True, 130.0
    engine.answers[inp.Connect] = [[ac.FetchToken(request=1)]]
    it.step(inp.Connect())
    assert it.timers == [130.0]
    link.says = lambda: it.feed(inp.WriteBlocked(transport=1))
    engine.answers[inp.TimePassed] = [[ac.SendBytes(transport=1, data=b"x"), 1 / 3]]
    it.feed(inp.TimePassed(wall=WALL))
    (bug,) = it.told
    assert isinstance(bug, AttributeError)
    assert link.done == ["write", "drop"]
    assert it.quiet
    assert it.timers == []
    assert not it.active
    it._token_answered(1, "late", None)
    it.step(inp.Disconnect())
    assert [type(item) for item in engine.inputs[-2:]] == [inp.TimePassed, inp.Disconnect]


# ------------------------------------------------------------ tokens


def test_a_token_that_nobody_waits_for_is_not_told(it: Bare, engine: FakeEngine) -> None:
    engine.answers[inp.Connect] = [[ac.FetchToken(request=1), ac.FetchToken(request=2)]]
    engine.answers[inp.Disconnect] = [[ac.CancelToken(request=1)]]
    it.step(inp.Connect())
    it.step(inp.Disconnect())
    assert it.fetched == [2]
    for request in (1, 2, 2):
        it._token_answered(request, "t", None)
    assert engine.inputs[2:] == [inp.TokenReady(request=2, token="t")]


@pytest.mark.parametrize("answer", [(None, OSError("secret")), (b"t", None)])
def test_no_token_is_told_with_its_cause_and_without_its_text(
    it: Bare, engine: FakeEngine, answer: tuple[Any, Exception | None]
) -> None:
    engine.answers[inp.Connect] = [[ac.FetchToken(request=1)]]
    engine.answers[inp.TokenFailed] = [[trouble("no token")]]
    it.step(inp.Connect())
    it._token_answered(1, *answer)
    kind = TypeError if answer[1] is None else OSError
    assert engine.inputs[-1] == inp.TokenFailed(request=1, reason=kind.__name__)
    assert type(it.told[0].error.__cause__) is kind


# ------------------------------------------------------------ time


def test_a_timer_is_armed_only_where_somebody_wants_it(it: Bare, engine: FakeEngine) -> None:
    engine.deadline = 130.0
    it.step(inp.Connect())
    assert it.timers == []
    it.awaited = lambda: True
    it.step(inp.Connect())
    assert it.timers == [130.0]
    it.awaited = lambda: False
    it.step(inp.Connect())
    assert it.timers == []


def test_an_early_timer_is_armed_again_and_one_in_time_is_told(
    it: Bare, engine: FakeEngine
) -> None:
    it.active, engine.deadline = True, 120.0
    it.step(inp.Connect())
    engine.deadline = 130.0
    it.step(inp.Connect())
    assert it.timers == [120.0]
    it.go_off()
    assert it.timers == [130.0]
    it.go_off()
    assert engine.inputs[2:] == [inp.TimePassed(wall=WALL)]
    it.stop()
    assert it.timers == []
