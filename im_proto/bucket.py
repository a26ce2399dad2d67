"""`Bucket`: how much was taken of something that a rate refills; `Buckets`: one for each."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

from .forgetting import Forgetting


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
        level = self._level  # as in `level`, without a call: it is asked for every message
        if now > self._at:
            level += (now - self._at) * self.rate
            self._at = now
        self._level = (level if level < self.burst else self.burst) - amount
        return self._level

    def level(self, now: float) -> float:
        """What is left."""
        return min(self.burst, self._level + max(0.0, now - self._at) * self.rate)

    def wait(self, now: float) -> float:
        """Seconds until it is no longer overdrawn; 0 if it is not."""
        return max(0.0, -self.level(now) / self.rate)


K = TypeVar("K", bound=Hashable)


class Buckets(Forgetting[K, Bucket]):
    """A bucket for each who takes. Those that are full again are forgotten: they are like new ones.

    Args:
        rate, burst: of each; see `Bucket`.
    """

    __slots__ = ()

    def __init__(self, rate: float, burst: float) -> None:
        super().__init__(
            lambda now: Bucket(rate, burst, now), lambda bucket, now: bucket.level(now) >= burst
        )
