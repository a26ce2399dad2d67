"""Whatever happens: nothing is lost, what comes twice says so, and nothing is said to be handled
that is not on disk."""

from __future__ import annotations

from collections import Counter

import pytest

from core.inbox_world import World


def run(seeds: range, *, transactional: bool, resets: bool) -> Counter[str]:
    seen: Counter[str] = Counter()
    for seed in seeds:
        world = World(seed, transactional=transactional, resets=resets)
        try:
            for _ in range(250):
                world.op()
            world.end()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        seen += world.seen
    return seen


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("transactional", [False, True])
def test_nothing_is_lost_and_nothing_comes_twice_unflagged(
    transactional: bool, resets: bool
) -> None:
    seen = run(range(60), transactional=transactional, resets=resets)
    for name in ("crashes", "flagged", "acks", "failures", "failed writes", "recovered", "holes"):
        assert seen[name] > 20, seen
    for name in ("undeliverable", "OwnMessage", "ReceiptReceived", "UnknownMessage"):
        assert seen[name] > 20, seen
    if resets:
        assert min(seen["reset"], seen["restored"], seen["may be missing"]) > 20, seen
