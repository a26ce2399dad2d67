"""`Bucket`: it refills at its rate, may be overdrawn, and says when that is paid."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.server_kit import DETERMINISTIC
from im_proto.bucket import Bucket, Buckets


def test_it_begins_full_and_refills_at_its_rate_and_no_further() -> None:
    bucket = Bucket(rate=2.0, burst=10.0, now=100.0)
    assert bucket.level(100.0) == 10.0
    assert bucket.take(100.0, 4.0) == 6.0
    assert bucket.level(101.0) == 8.0
    assert bucket.level(200.0) == 10.0


def test_a_debt_is_paid_when_it_says() -> None:
    bucket = Bucket(rate=2.0, burst=1.0, now=0.0)
    assert bucket.wait(0.0) == 0.0
    assert bucket.take(0.0, 5.0) == -4.0
    assert bucket.wait(0.0) == 2.0
    assert bucket.wait(1.5) == 0.5
    assert bucket.level(2.0) == 0.0 and bucket.wait(2.0) == 0.0


def test_a_clock_that_goes_back_stands_still() -> None:
    bucket = Bucket(rate=1.0, burst=10.0, now=100.0)
    bucket.take(100.0, 10.0)
    assert bucket.level(0.0) == 0.0
    bucket.take(0.0)
    assert bucket.level(100.0) == -1.0, "a second look at the same time refilled it"
    assert bucket.level(101.0) == 0.0


@DETERMINISTIC
@given(st.lists(st.tuples(st.floats(-2, 3), st.floats(-1, 4)), max_size=40))
def test_what_is_taken_is_what_is_missing(takes: list[tuple[float, float]]) -> None:
    bucket, now = Bucket(rate=1.5, burst=7.0, now=0.0), 0.0
    for step, amount in takes:
        now += step
        level = bucket.level(now)
        left = bucket.take(now, amount)
        assert left == level - amount
        assert bucket.level(now) == min(left, bucket.burst)


@DETERMINISTIC
@given(
    st.lists(st.tuples(st.floats(-2, 3), st.floats(0.1, 4)), max_size=40),
    st.floats(0.1, 10),
    st.floats(1, 20),
)
def test_who_takes_only_what_is_there_never_gets_more_than_the_burst_and_the_rate(
    takes: list[tuple[float, float]], rate: float, burst: float
) -> None:
    bucket, now, latest = Bucket(rate, burst, 0.0), 0.0, 0.0
    taken: list[tuple[float, float]] = []
    for step, amount in takes:
        now += step
        latest = max(now, latest)
        if bucket.level(now) >= amount:
            assert bucket.take(now, amount) >= 0
            taken.append((latest, amount))
    for i, (begin, _) in enumerate(taken):
        for j in range(i, len(taken)):
            most = burst + rate * (taken[j][0] - begin)
            assert sum(amount for _, amount in taken[i : j + 1]) <= most * 1.000001


def test_each_has_its_own_and_who_is_full_again_is_forgotten() -> None:
    buckets: Buckets[str] = Buckets(rate=1.0, burst=10.0)
    assert buckets.of("a", 0.0).take(0.0, 4.0) == 6.0
    assert buckets.of("b", 0.0).take(0.0, 8.0) == 2.0
    assert buckets.of("a", 1.0).level(1.0) == 7.0
    buckets.of("c", 5.0).take(5.0)
    assert len(buckets) == 2  # a is full again, and forgotten
    assert buckets.of("b", 6.0).level(6.0) == 8.0
    buckets.of("d", 8.0).take(8.0)
    assert len(buckets) == 1  # the others too
    assert buckets.of("a", 8.0).level(8.0) == 10.0
