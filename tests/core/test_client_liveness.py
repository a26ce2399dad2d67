"""Liveness (protocol.md section 1): who is alive, who is dead, and who was only slow."""

from __future__ import annotations

import pytest

from core.client_kit import Driver
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp


def alive(d: Driver) -> bool:
    return d.status == "AUTHENTICATED"


def test_a_dead_link_is_found_within_interval_plus_missed_times_timeout() -> None:
    d = Driver(heartbeat={"interval": 30, "timeout": 5, "max_missed": 3}).login()
    d.pass_time(30 + 3 * 5 - 0.001)
    assert alive(d)
    d.pass_time(0.001)
    assert not alive(d)
    assert d.errors() == ["CONNECTION_LOST"]
    assert d.of(act.AbortTransport)
    assert "3 heartbeats" in str(d.error)


def test_after_a_miss_the_next_probe_goes_at_once() -> None:
    d = Driver(heartbeat={"interval": 30, "timeout": 5, "max_missed": 3}).login()
    for seconds, probes in ((29.9, 0), (0.1, 1), (4.9, 1), (0.1, 2), (5, 3)):
        d.pass_time(seconds)
        assert d.probes() == probes
    assert len(d.of(ev.HeartbeatSent)) == 3


@pytest.mark.parametrize("life", ["text", "unknown", "control", "answer"])
def test_any_complete_frame_is_life(life: str) -> None:
    d = Driver(heartbeat={"interval": 30, "timeout": 5, "max_missed": 1}).login()
    d.pass_time(34)
    if life == "text":
        d.push(None, "hi")
    elif life == "unknown":
        d.frame("SOMETHING_NEW")
    elif life == "control":
        d.do(inp.ControlReceived(transport=1))
    else:
        d.frame("HEARTBEAT_RESPONSE")
    d.pass_time(25.9)
    assert alive(d)
    assert d.probes() == 1


def test_a_byte_is_not_life() -> None:
    d = Driver(heartbeat={"interval": 30, "timeout": 5, "max_missed": 1}).login()
    d.pass_time(33)
    d.do(inp.PartialChanged(transport=1, partial=True))
    d.pass_time(2)
    assert not alive(d)


def test_misses_are_counted_in_a_row_only() -> None:
    d = Driver(heartbeat={"interval": 30, "timeout": 5, "max_missed": 2}).login()
    d.pass_time(36)
    for _ in range(4):
        assert d.core.liveness.missed == 1
        d.do(inp.ControlReceived(transport=1))
        d.pass_time(30)  # a probe every 30 s, a miss 5 s later, a second probe
    assert alive(d)


def test_a_partial_message_has_its_own_absolute_deadline() -> None:
    d = Driver(timeouts={"partial": 30}).login()
    d.do(inp.PartialChanged(transport=1, partial=True))
    d.pass_time(20)
    d.do(inp.ControlReceived(transport=1))  # a ping between two fragments
    d.do(inp.PartialChanged(transport=1, partial=True))
    d.pass_time(9.9)
    assert alive(d)
    d.pass_time(0.1)
    assert not alive(d)
    assert "half a message" in str(d.error)


def test_a_message_that_came_in_whole_sets_its_deadline_anew() -> None:
    d = Driver(timeouts={"partial": 30}, heartbeat={"interval": 1000}).login()
    for _ in range(3):
        d.do(inp.PartialChanged(transport=1, partial=True))
        d.pass_time(20)
        d.do(inp.PartialChanged(transport=1, partial=False))
    d.pass_time(100)
    assert alive(d)


def test_the_round_trip_counts_only_with_one_probe_out() -> None:
    d = Driver(heartbeat={"interval": 30, "timeout": 5}).login()
    d.pass_time(30)
    d.now += 0.25
    d.frame("HEARTBEAT_RESPONSE")
    assert [e.rtt for e in d.of(ev.HeartbeatReceived)] == [0.25]
    d.forget().pass_time(36)  # two probes out
    d.frame("HEARTBEAT_RESPONSE").frame("HEARTBEAT_RESPONSE")
    assert [e.rtt for e in d.of(ev.HeartbeatReceived)] == [None, None]
    d.forget()
    d.pass_time(d.until(d.core.next_deadline()) + 0.5)
    d.frame("HEARTBEAT_RESPONSE")
    assert [e.rtt for e in d.of(ev.HeartbeatReceived)] == [pytest.approx(0.5)]


@pytest.mark.parametrize(
    ("config", "hint", "interval", "timeout"),
    [
        ({}, None, 30, 5),
        ({}, {"interval": 12, "timeout": 4}, 12, 4),
        ({"interval": 7}, {"interval": 12, "timeout": 4}, 7, 4),
        ({"interval": 7, "timeout": 2}, {"interval": 12, "timeout": 4}, 7, 2),
        ({"timeout": 2}, None, 30, 2),
    ],
)
def test_the_configuration_beats_the_hint_and_the_hint_the_default(
    config: dict[str, float], hint: dict[str, float] | None, interval: float, timeout: float
) -> None:
    d = Driver(heartbeat=config | {"max_missed": 1})
    d.login_ours(**({"heartbeat": hint} if hint else {}))
    d.pass_time(interval - 0.001)
    assert d.probes() == 0
    d.pass_time(0.001 + timeout - 0.001)
    assert d.probes() == 1
    assert alive(d)
    d.pass_time(0.001)
    assert not alive(d)


def test_a_hint_of_next_to_nothing_does_not_spin_the_client() -> None:
    d = Driver().login_ours(heartbeat={"interval": 1e-300, "timeout": 1e-300})
    d.do(inp.TimePassed())
    d.pass_time(1)
    assert d.probes() < 100


def test_a_late_deadline_is_not_judged_before_a_probe_and_a_read() -> None:
    d = Driver(heartbeat={"interval": 30, "timeout": 5, "max_missed": 1}).login()
    d.pass_time(31)
    assert d.probes() == 1
    d.stall(60)  # the answer is in the socket; nobody read it
    assert alive(d)
    assert d.probes() == 2
    d.do(inp.ControlReceived(transport=1))
    d.pass_time(20)
    assert alive(d)


def test_after_that_one_chance_a_dead_peer_is_judged() -> None:
    d = Driver(heartbeat={"interval": 30, "timeout": 5, "max_missed": 1}).login()
    d.pass_time(31)
    d.stall(60)
    d.pass_time(5)
    assert not alive(d)


def test_a_process_that_always_wakes_late_still_finds_a_dead_peer() -> None:
    d = Driver(heartbeat={"interval": 30, "timeout": 5, "max_missed": 2}).login()
    for _ in range(8):
        d.stall(20)
    assert not alive(d)


@pytest.mark.parametrize("what", ["connect", "auth", "partial", "ack"])
def test_every_deadline_that_judges_gives_a_late_reader_a_second(what: str) -> None:
    d = Driver(timeouts={what: 10}, heartbeat={"interval": 1000})
    if what == "connect":
        d.connect()
    elif what == "auth":
        d.link()
    else:
        d.login()
        if what == "partial":
            d.do(inp.PartialChanged(transport=1, partial=True))
        else:
            d.send()
    before = d.core.reconnect
    d.stall(100)
    assert d.core.reconnect == before
    assert d.probes() == (1 if what in ("partial", "ack") else 0)
    d.pass_time(12)
    assert d.of(ev.Reconnecting)


def test_who_is_not_logged_in_is_not_probed() -> None:
    d = Driver(timeouts={"auth": 500}, heartbeat={"interval": 1}).link()
    d.pass_time(100)
    assert d.probes() == 0
    d.login().pass_time(1)
    assert d.probes() == 1
    d.disconnect().forget().pass_time(50)
    assert d.probes() == 0
