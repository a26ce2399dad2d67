"""`Bucket`: how much was taken of something that a rate refills; `Buckets`: one for each."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar


class Bucket:
    """A token bucket that may be overdrawn: whoever takes from it decides what a debt means.

    Args:
        rate: what comes back each second.
        burst: the most that it holds; full at the beginning.
        now: seconds on any monotonic clock; one that goes back is taken to stand still.
    """

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._at = now

    def take(self, now: float, amount: float = 1.0) -> float:
        """Take so much; returns what is left, below zero if it is overdrawn."""
        self._level = self.level(now) - amount
        self._at = max(now, self._at)
        return self._level

    def level(self, now: float) -> float:
        """What is left."""
        return min(self.burst, self._level + max(0.0, now - self._at) * self.rate)

    def wait(self, now: float) -> float:
        """Seconds until it is no longer overdrawn; 0 if it is not."""
        return max(0.0, -self.level(now) / self.rate)


K = TypeVar("K", bound=Hashable)


class Buckets(Generic[K]):
    """A bucket for each who takes. Those that are full again are forgotten: they are like new ones.

    Args:
        rate, burst: of each; see `Bucket`.
    """

    __slots__ = ("_buckets", "_burst", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        #: who took last stands last
        self._buckets: dict[K, Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, who: K, now: float) -> Bucket:
        """The bucket of one, to take from it."""
        bucket = self._buckets.pop(who, None)
        if bucket is None:
            self._forget(now)
            bucket = Bucket(self._rate, self._burst, now)
        self._buckets[who] = bucket
        return bucket

    def _forget(self, now: float) -> None:
        while self._buckets:
            first = next(iter(self._buckets))
            if self._buckets[first].level(now) < self._burst:
                return
            del self._buckets[first]
