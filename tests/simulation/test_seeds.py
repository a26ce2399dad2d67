"""Whole lives: everything goes wrong, then it heals, and every promise was kept."""

from __future__ import annotations

from collections import Counter

import pytest

from im_proto.server import talk
from im_proto.server.desk import Desk
from im_proto.testing import FAULTS, simulate
from im_proto.testing.sim.simulation import _Life, chosen


@pytest.mark.parametrize("seed", range(4))
def test_a_short_life_keeps_every_promise(seed: int) -> None:
    outcome = simulate(seed, minutes=1)
    assert outcome.failure is None, outcome.failure
    assert outcome.accepted > 20
    assert outcome.delivered > 20


@pytest.mark.slow
def test_long_lives_meet_every_fault_and_keep_every_promise() -> None:
    faults: Counter[str] = Counter()
    for seed in range(100, 110):
        outcome = simulate(seed, minutes=10)
        assert outcome.failure is None, f"seed {seed}: {outcome.failure}"
        faults.update(outcome.faults)
    assert [name for name in FAULTS if not faults[name]] == []


def test_a_life_without_faults_delivers_at_once() -> None:
    outcome = simulate(2, minutes=1, faults=[])
    assert outcome.failure is None
    assert outcome.faults == {}
    # some expire, or find no room, before they go: a life without faults has small queues
    assert 0.9 * outcome.submitted < outcome.accepted <= outcome.submitted
    # two devices of the first user are both delivered what is for it
    assert outcome.accepted <= outcome.delivered <= 2 * outcome.accepted
    assert outcome.simulated < 90


def test_only_the_faults_that_were_chosen_happen() -> None:
    outcome = simulate(2, minutes=1, faults=["reset", "store_slow"])
    assert list(outcome.faults) == ["reset", "store_slow"]
    assert min(outcome.faults.values()) > 0


def test_a_fault_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="there is no fault 'earthquake'; there are refused, "):
        chosen("earthquake")
    assert chosen("all") == list(FAULTS)
    assert chosen("reset") == ["reset"]


def test_a_failure_is_an_outcome_and_not_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    from im_proto.testing.memory import MemoryStore

    def broken(*_: object) -> None:
        raise RuntimeError("the simulated disk is on fire")

    monkeypatch.setattr(MemoryStore, "commit", broken)
    outcome = simulate(1, minutes=1)
    assert outcome.failure is not None
    assert "RuntimeError: the simulated disk is on fire (" in outcome.failure
    assert outcome.tail


def test_lives_under_small_limits_meet_them_and_keep_every_promise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    met: Counter[str] = Counter()
    tell = Desk.tell

    def telling(desk: Desk, connection: int, what: talk.FromHub) -> None:
        if isinstance(what, talk.Pause) and what.paused:
            met[what.why.name] += 1
        elif isinstance(what, talk.End):
            met[f"{what.code}: {what.reason}"] += 1
        tell(desk, connection, what)

    monkeypatch.setattr(Desk, "tell", telling)
    small = {
        "messages_per_second": 5.0,
        "message_burst": 8,
        "admissions": 1,
        "admission_window": 1.0,
        "connections_per_user": 2,
    }
    choose = _Life._server
    monkeypatch.setattr(_Life, "_server", lambda life: choose(life).model_copy(update=small))
    for seed in range(6):
        outcome = simulate(seed, minutes=1)
        assert outcome.failure is None, f"seed {seed}: {outcome.failure}"
    assert met["USER_RATE"] and met["1013: too many log in at once"]
    assert met["4009: too much at once"]
