"""Crashes, lost links and a full disk, at random: nothing lost, nothing twice, all in order."""

from __future__ import annotations

from collections import Counter

import pytest

from core.outbox_world import World

CONFIGS: list[dict[str, object]] = [
    {},
    {"in_flight": 2},
    {"in_flight": 3, "max_queue": 6},
    {"max_queue": 5, "when_queue_full": "drop_oldest", "time_to_live": 3.0},
    {"max_queue": 5, "in_flight": 2, "when_queue_full": "drop_lowest_priority"},
]


def live(seed: int, steps: int = 150) -> World:
    world = World(seed, **CONFIGS[seed % len(CONFIGS)])
    for _ in range(steps):
        world.anything()
    world.settle()
    return world


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_lost_or_there_twice_or_out_of_order(seed: int) -> None:
    live(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1200))
def test_nor_in_many_more_lives(seed: int) -> None:
    live(seed, steps=300)


def test_random_lives_reach_what_they_are_meant_to_reach() -> None:
    """Guards the world itself: without crashes at the interesting points it would prove nothing."""
    seen: Counter[str] = Counter()
    for seed in range(60):
        seen += live(seed).seen
    for name in ("JOURNAL_FAILED", "MESSAGE_CANCELLED", "MESSAGE_EXPIRED", "QUEUE_FULL"):
        assert seen[name] > 20, seen
    for name in ("MESSAGE_SEND_FAILED", "crashes in flight", "crashes while it is marked"):
        assert seen[name] > 20, seen
    for name in ("crashes", "failed writes", "questions", "links lost"):
        assert seen[name] > 50, seen
