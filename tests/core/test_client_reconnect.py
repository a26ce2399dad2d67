"""Coming back: when, how often, and what is kept meanwhile."""

from __future__ import annotations

import random

import pytest

from core.client_kit import Driver
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.backoff import Backoff, base_delay
from im_proto.config import ReconnectConfig


def fail(d: Driver) -> Driver:
    """One attempt that finds nobody."""
    if d.core.reconnect == "waiting":
        d.pass_time(d.until(d.core.state().retry_at))
    d.do(inp.TransportFailed(transport=d.transport, kind=inp.TransportFailure.REFUSED))
    return d


def delays(d: Driver, attempts: int) -> list[float]:
    d.connect()
    for _ in range(attempts):
        fail(d)
    return [event.delay for event in d.of(ev.Reconnecting)]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("fixed", [2, 2, 2, 2, 2]),
        ("linear", [2, 4, 6, 8, 9]),
        ("exponential", [2, 4, 8, 9, 9]),
    ],
)
def test_delays_grow_as_configured_and_stop_at_max_delay(
    strategy: str, expected: list[float]
) -> None:
    d = Driver(reconnect={"strategy": strategy, "initial_delay": 2, "max_delay": 9})
    assert delays(d, 5) == expected


def test_delays_stay_finite_after_years_of_trying() -> None:
    config = ReconnectConfig(max_delay=86_400.0)
    assert base_delay(config, 10**9) == 86_400.0


def test_full_jitter_draws_from_nothing_to_the_delay() -> None:
    drawn = []
    for seed in range(60):
        d = Driver(seed=seed, reconnect={"jitter": "full", "initial_delay": 4, "max_delay": 60})
        drawn.append(delays(d, 3))
    for attempt, bound in enumerate((4, 8, 16)):
        column = [each[attempt] for each in drawn]
        assert all(0 <= delay <= bound for delay in column)
        assert min(column) < bound / 5
        assert max(column) > bound * 4 / 5


class _Longest(random.Random):
    """Draws the most that may be drawn."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_who_drew_short_delays_draws_no_longer_ones_than_who_drew_long_ones_has_had() -> None:
    backoff = Backoff(ReconnectConfig())
    drawn = [backoff.next_delay(now, _Longest(), None) for now in (50.0, 50.5, 50.5, 60.0)]
    assert drawn == [1.0, 1.5, 1.5, 8.0]


def test_who_always_draws_the_most_waits_as_without_jitter() -> None:
    now, drawn, config = 7.0, [], ReconnectConfig()
    backoff = Backoff(config)
    for _ in range(8):
        drawn.append(backoff.next_delay(now, _Longest(), None))
        now += drawn[-1]
    assert drawn == [base_delay(config, failures) for failures in range(1, 9)]


def test_a_wait_that_the_server_asked_for_makes_the_next_delay_no_longer() -> None:
    backoff = Backoff(ReconnectConfig())
    asked = [backoff.next_delay(now, _Longest(), 7.0) for now in (0.0, 7.0, 14.0)]
    assert asked == [7.0, 7.0, 7.0] and backoff.asked and backoff.retries == 3
    assert backoff.next_delay(21.0, _Longest(), None) == 1.0


def test_after_links_that_are_dropped_at_once_the_delays_grow_all_the_same() -> None:
    backoff, now, drawn = Backoff(ReconnectConfig(stable_after=10.0)), 0.0, []
    for _ in range(6):
        backoff.authenticated(now)
        now += 1.0
        backoff.link_lost(now, as_failed=False)
        drawn.append(backoff.next_delay(now, _Longest(), None))
        now += drawn[-1]
    assert drawn == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]


def test_the_same_seed_draws_the_same_delays() -> None:
    one, two = (delays(Driver(seed=7, reconnect={"jitter": "full"}), 5) for _ in range(2))
    assert one == two
    assert one != delays(Driver(seed=8, reconnect={"jitter": "full"}), 5)


def test_the_next_attempt_starts_exactly_at_its_time() -> None:
    d = Driver(reconnect={"initial_delay": 5}).connect()
    fail(d)
    state = d.core.state(d.now + 2)
    assert (state.retry_in, state.attempts, state.status) == (3, 1, "RECONNECTING")
    d.forget().pass_time(4.999)
    assert not d.of(act.OpenTransport)
    d.pass_time(0.001)
    assert d.of(act.OpenTransport)[0].transport == 2


def test_max_retries_counts_consecutive_failed_attempts() -> None:
    d = Driver(reconnect={"max_retries": 3}).connect()
    for _ in range(2):
        fail(d)
        assert d.core.reconnect == "waiting"
    fail(d)
    assert d.core.reconnect == "exhausted"
    assert d.status == "DISCONNECTED"
    assert d.errors() == ["CONNECTION_FAILED"] * 3 + ["RECONNECT_FAILED"]
    assert d.error is not None
    assert d.error.terminal
    assert d.core.next_deadline() is None


def test_max_retries_resets_at_authentication_not_at_the_link() -> None:
    d = Driver(reconnect={"max_retries": 3}).connect()
    fail(fail(d))
    d.login()
    assert d.core.state().attempts == 0
    d.lose()
    fail(fail(d))
    assert d.core.reconnect == "waiting"
    d.link().lose()  # up, but not logged in: a failed attempt too
    assert d.core.reconnect == "exhausted"


def test_a_lost_link_is_no_failed_attempt() -> None:
    d = Driver(reconnect={"max_retries": 1})
    for _ in range(5):
        d.login().lose()
    assert d.core.reconnect == "waiting"


def test_without_max_retries_it_tries_for_ever() -> None:
    d = Driver(reconnect={"max_retries": None}).connect()
    for _ in range(300):
        fail(d)
    assert d.core.reconnect == "waiting"
    assert d.core.state().attempts == 300


def test_with_no_retries_at_all_the_first_loss_is_the_end() -> None:
    d = Driver(reconnect={"max_retries": 0}).login().lose()
    assert d.core.reconnect == "exhausted"
    assert d.errors() == ["CONNECTION_LOST", "RECONNECT_FAILED"]


def test_reconnect_failed_keeps_the_queue_and_connect_goes_on() -> None:
    d = Driver(reconnect={"max_retries": 1})
    ref = d.send("kept")
    d.connect()
    fail(d)
    assert d.errors()[-1] == "RECONNECT_FAILED"
    assert not d.failed()
    d.login()
    assert d.chats() == ["kept"]
    d.answer(ref)
    assert d.accepted() == [ref]


def test_connect_after_giving_up_starts_counting_afresh() -> None:
    d = Driver(reconnect={"max_retries": 2, "initial_delay": 3}).connect()
    fail(fail(d))
    assert d.core.reconnect == "exhausted"
    d.forget().connect()
    fail(d)
    assert d.core.reconnect == "waiting"
    assert d.delay() == 3


def test_only_the_delay_waits_for_a_link_that_stayed_good() -> None:
    d = Driver(reconnect={"initial_delay": 1, "max_retries": 5, "stable_after": 10})
    for expected in (1, 2, 4, 8):
        d.login().pass_time(9.9)
        assert d.core.state().attempts == 0  # the count does not wait
        d.lose()
        assert d.delay() == expected
    d.login().pass_time(10)
    d.lose()
    assert d.delay() == 1


@pytest.mark.parametrize("hurry", [inp.NetworkChanged(), inp.Connect()])
def test_a_waiting_client_tries_at_once_when_told_so(hurry: inp.CoreInput) -> None:
    d = Driver(reconnect={"initial_delay": 20}).login().lose().forget()
    d.do(hurry)
    assert d.of(act.OpenTransport)
    d.login()
    assert d.status == "AUTHENTICATED"


def test_a_new_network_means_nothing_to_who_wants_no_link_or_is_on_the_way() -> None:
    d = Driver()
    assert d.do(inp.NetworkChanged()) == []
    d.link()
    assert d.do(inp.NetworkChanged()) == []


def test_the_application_hears_of_every_step_of_coming_back() -> None:
    d = Driver().login_ours().forget().lose()
    d.login_ours(resume="recovered", seq=0)
    names = [type(event).__name__ for event in d.events() if not isinstance(event, ev.StateChanged)]
    assert names == [
        "Disconnected",
        "ErrorOccurred",
        "Reconnecting",
        "Connected",
        "Authenticated",
        "Reconnected",
    ]
    assert d.of(ev.Reconnecting)[0].attempt == 1
    assert d.of(ev.Reconnected) == [ev.Reconnected(resumed=True)]
    changes = [event.current.status for event in d.of(ev.StateChanged)]
    assert changes == ["RECONNECTING", "RECONNECTING", "CONNECTED", "AUTHENTICATED"]


def test_attempts_are_numbered_from_one_after_each_log_in() -> None:
    d = Driver().login().lose()
    fail(fail(d))
    assert [event.attempt for event in d.of(ev.Reconnecting)] == [1, 2, 3]
    d.login().forget().lose()
    assert [event.attempt for event in d.of(ev.Reconnecting)] == [1]


def test_delays_are_drawn_from_the_random_numbers_given_and_from_nowhere_else() -> None:
    random.seed(1)
    before = random.getstate()
    delays(Driver(reconnect={"jitter": "full"}), 5)
    assert random.getstate() == before
