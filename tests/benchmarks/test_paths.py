"""Each hot path is work that can be done again and again, and looks whether it was done."""

from __future__ import annotations

import random

import pytest

from benchmarks.paths import PATHS, pieces


@pytest.mark.parametrize("name", PATHS)
def test_a_path_does_work_again_and_again(name: str) -> None:
    some = pieces(name, random.Random(0))
    counts = []
    for _ in range(3):
        work = next(some)
        work.run()
        counts.append(work.count)
    next(some)  # looks whether the one before did what it should
    assert min(counts) == max(counts) > 0
