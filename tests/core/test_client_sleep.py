"""A sleep of the machine, a stalled process, another network: who is doubted, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from core.client_kit import START, WALL, Driver
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.timers import Timer

#: When the wall clock of these tests was wound up: seconds since 1970 at `now` = 0.
OFFSET = WALL - START


class Sleeper(Driver):
    """A driver whose adapter looks at the wall clock at each wake-up, as all do."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**({"sleep_watch": 1.0} | config))
        self.offset = OFFSET

    def tick(self, seconds: float) -> Sleeper:
        """Time passes, and every deadline in it is met."""
        end = self.now + seconds
        while (at := self.core.next_deadline()) is not None and at <= end:
            self.now = max(self.now, at)
            self.do(inp.TimePassed(wall=self.now + self.offset))
        self.now = end
        return self

    def sleep(self, seconds: float, *, counts: bool) -> Sleeper:
        """The machine sleeps; `counts`: its monotonic clock goes on meanwhile (Windows)."""
        if counts:
            self.now += seconds
        else:  # Linux, macOS
            self.offset += seconds
        return self


def alive(d: Driver) -> bool:
    return d.status == "AUTHENTICATED"


@pytest.mark.parametrize("counts", [True, False], ids=["clock goes on", "clock stops"])
@pytest.mark.parametrize("asleep", [3.0, 60.0, 86_400.0])
def test_a_dead_socket_is_found_in_under_two_seconds_after_a_sleep(
    counts: bool, asleep: float
) -> None:
    d = Sleeper().login_ours()
    assert isinstance(d, Sleeper)
    d.tick(4.3).forget()
    d.sleep(asleep, counts=counts).tick(1.999)
    assert d.probes() == 1
    assert not alive(d)
    assert d.errors() == ["CONNECTION_LOST"]


@pytest.mark.parametrize("counts", [True, False])
def test_a_live_socket_survives_a_sleep(counts: bool) -> None:
    d = Sleeper().login_ours()
    assert isinstance(d, Sleeper)
    d.sleep(3600, counts=counts).tick(0.0 if counts else 1.0)
    assert d.probes() == 1
    d.tick(0.5).frame("HEARTBEAT_RESPONSE")
    d.forget()
    d.tick(20)
    assert alive(d)
    assert not d.errors()


def test_a_stalled_process_raises_no_alarm_when_the_peer_is_there() -> None:
    d = Sleeper(heartbeat={"interval": 10, "timeout": 1, "max_missed": 1}).login_ours()
    assert isinstance(d, Sleeper)
    for _ in range(5):
        d.stall(25.0)
        assert alive(d)
        d.tick(0.3).frame("HEARTBEAT_RESPONSE")
        d.tick(5)
        assert alive(d)


def test_a_process_that_stalls_again_before_the_answer_is_read_judges_nobody() -> None:
    d = Sleeper().login_ours()
    d.stall(30)
    d.stall(30)
    assert alive(d)
    d.frame("HEARTBEAT_RESPONSE")
    d.pass_time(10)
    assert alive(d)


def test_a_slow_link_has_four_round_trips_to_answer_after_a_sleep() -> None:
    d = Sleeper(heartbeat={"interval": 5, "timeout": 5}).login_ours()
    assert isinstance(d, Sleeper)
    d.tick(5.6).frame("HEARTBEAT_RESPONSE")  # a round trip of 0.6 s
    d.do(inp.NetworkChanged())
    d.tick(2.39)
    assert alive(d)
    d.tick(0.02)
    assert not alive(d)


def test_a_network_change_doubts_the_link_at_once_and_only_once() -> None:
    d = Driver().login_ours().forget()
    d.do(inp.NetworkChanged())
    assert d.probes() == 1
    for _ in range(4):  # a chatty system, that must not put the end off
        d.pass_time(0.19)
        d.do(inp.NetworkChanged())
    assert d.probes() == 1
    d.pass_time(0.05)
    assert not alive(d)


def test_after_an_answer_the_link_is_judged_as_before() -> None:
    d = Driver(heartbeat={"interval": 30, "timeout": 5, "max_missed": 3}).login_ours()
    d.do(inp.NetworkChanged())
    d.do(inp.ControlReceived(transport=1))
    d.pass_time(30 + 3 * 5 - 0.001)
    assert alive(d)
    d.pass_time(0.002)
    assert not alive(d)


def test_a_clock_that_is_set_back_or_forth_a_little_means_nothing() -> None:
    d = Sleeper().login_ours().forget()
    assert isinstance(d, Sleeper)
    for step in (-3600.0, 0.9, -0.5, 0.0):
        d.offset += step
        d.tick(3)
    assert d.probes() == 0


def test_a_waiting_client_counts_the_time_that_it_slept() -> None:
    d = Sleeper(reconnect={"initial_delay": 30}).login_ours()
    assert isinstance(d, Sleeper)
    d.lose().forget()
    d.sleep(29, counts=False)
    d.do(inp.WallClock(wall=d.now + d.offset))
    d.tick(0.9)
    assert not d.of(ev.HeartbeatSent)
    assert d.core.connection == "disconnected"
    d.tick(0.2)
    assert d.core.connection == "opening"


def test_without_a_watch_nothing_wakes_an_idle_client_but_its_heartbeat() -> None:
    d = Driver(sleep_watch=None, heartbeat={"interval": 30}).login_ours()
    assert d.core.next_deadline() == d.now + 30
    assert Sleeper().login_ours().core.next_deadline() == START + 1


def test_a_link_slower_than_the_probe_is_known_by_its_log_in() -> None:
    d = Driver().link()
    d.pass_time(1.2)  # what the log-in takes
    d.frame("AUTH_RESPONSE", code=0)
    d.do(inp.NetworkChanged())
    d.pass_time(1.2)
    assert alive(d)
    d.frame("HEARTBEAT_RESPONSE")
    d.pass_time(10)
    assert alive(d)


def test_each_stall_is_graced_however_many_there_were_before() -> None:
    d = Driver(heartbeat={"interval": 10, "timeout": 2, "max_missed": 1}).login_ours()
    for _ in range(4):
        d.pass_time(d.until(d.core.timers.get(Timer.HEARTBEAT_DUE)))
        d.stall(30)  # the answer is there, and nobody has read it yet
        assert alive(d)
        d.frame("HEARTBEAT_RESPONSE")
        d.pass_time(1)


def test_a_doubt_that_comes_while_nothing_is_read_is_settled_when_reading_goes_on() -> None:
    d = Driver(max_unhandled=1).login().push(None, "one")
    assert d.core.paused
    d.do(inp.NetworkChanged())
    d.pass_time(20)
    assert alive(d)
    d.forget().handle(1)
    assert d.probes() == 1
    d.pass_time(0.9)
    assert not alive(d)


def test_a_waiting_client_looks_at_the_clocks_too() -> None:
    d = Sleeper().login_ours()
    assert isinstance(d, Sleeper)
    d.frame("KICK", reconnect=True, retryAfter=3600)
    d.close(1012).forget()
    d.tick(1).sleep(8 * 3600, counts=False).tick(1.1)
    assert d.core.connection == "opening"


def test_without_a_watch_the_wall_clock_puts_no_link_in_doubt() -> None:
    d = Sleeper(sleep_watch=None).login_ours().forget()
    assert isinstance(d, Sleeper)
    d.sleep(3600, counts=False)
    d.do(inp.TimePassed(wall=d.now + d.offset))
    assert not d.probes()


# ---------------------------------------------------------------- a chatty system


def test_a_burst_of_network_changes_makes_nobody_give_up() -> None:
    d = Driver(reconnect={"max_retries": 3, "initial_delay": 20}).login_ours().lose()
    for _ in range(20):
        d.do(inp.NetworkChanged())
        if d.core.connection == "opening":
            d.do(inp.TransportFailed(transport=d.transport))
        d.pass_time(0.25)
    assert d.status == "RECONNECTING"
    assert 4 <= d.transport <= 7  # one a second, and none of them counts
    assert d.core.backoff.failed == 0


def test_a_network_change_does_not_shorten_what_the_server_asked_for() -> None:
    d = Driver().login_ours()
    d.frame("KICK", reconnect=True, retryAfter=60)
    d.close(1013).forget()
    for _ in range(5):
        d.do(inp.NetworkChanged())
        d.pass_time(5)
    assert d.core.connection == "disconnected"
    d.pass_time(36)
    assert d.core.connection == "opening"


def test_an_early_attempt_that_was_broken_off_excuses_no_later_one() -> None:
    d = Driver(reconnect={"max_retries": 1, "initial_delay": 20}).login_ours().lose()
    d.do(inp.NetworkChanged())
    d.disconnect().connect()
    d.do(inp.TransportFailed(transport=d.transport))
    assert d.core.reconnect == "exhausted"
