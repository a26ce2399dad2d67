"""`Forgetting`: keeps what is needed, and little else."""

from __future__ import annotations

from dataclasses import dataclass

from im_proto.forgetting import Forgetting


@dataclass
class Thing:
    """Needed until then."""

    until: float


def things() -> Forgetting[int, Thing]:
    return Forgetting(Thing, lambda thing, now: thing.until <= now)


def test_each_has_its_own_for_as_long_as_it_is_needed() -> None:
    kept = things()
    one = kept.of(1, 0.0)
    one.until = 5.0
    assert kept.of(2, 1.0) is not one and kept.of(1, 2.0) is one
    kept.of(3, 5.0)
    assert len(kept) == 1 and kept.of(1, 5.0) is not one


def test_one_that_is_needed_for_long_holds_none_of_the_others() -> None:
    kept = things()
    long = kept.of(-1, 0.0)
    long.until = 1e9
    for number in range(10_000):
        kept.of(number, float(number)).until = number + 3.0
        assert len(kept) <= 2 * (3 + 1) + 1
    assert kept.of(-1, 10_000.0) is long


def test_there_are_hardly_more_than_twice_as_many_as_are_needed() -> None:
    kept = things()
    for number in range(20_000):  # every tenth for long
        lifetime = 1_000.0 if number % 10 == 0 else 1.0
        kept.of(number, float(number)).until = number + lifetime
        assert len(kept) <= 2 * (1_000 // 10 + 1) + 2


def test_one_who_will_not_come_again_is_forgotten_at_once() -> None:
    kept = things()
    kept.of(1, 0.0).until = 1e9
    kept.forget(1)
    kept.forget(2)
    assert len(kept) == 0
