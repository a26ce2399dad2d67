"""Named deadlines: one table per engine, times on the clock given to it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Generic, TypeVar

#: A deadline that condemns somebody and fires more than so many seconds after its time was missed
#: by us (a stalled process, a laptop that slept), not by the peer …
LATE: Final = 1.0
#: … so the peer gets so many seconds more, in which the socket is read, before it is judged
#: (protocol.md section 1, "Liveness").
GRACE: Final = 1.0

K = TypeVar("K", bound=StrEnum)


class Timers(Generic[K]):
    """The deadlines that are set.

    Args:
        judges: the deadlines that condemn somebody; see `LATE`.
    """

    __slots__ = ("_deadlines", "_graced", "_judges", "_next")

    def __init__(self, judges: frozenset[K]) -> None:
        self._judges = judges
        self._graced: set[K] = set()
        self._deadlines: dict[K, float] = {}
        self._next: float | None = None

    def set(self, timer: K, deadline: float) -> None:
        """Set or move a deadline."""
        deadlines, first = self._deadlines, self._next
        before = deadlines.get(timer)
        deadlines[timer] = deadline
        if first is None or deadline <= first:
            self._next = deadline
        elif before == first:
            self._next = min(deadlines.values())

    def cancel(self, *timers: K) -> None:
        """Forget deadlines, set or not, and that they were too late to judge."""
        for timer in timers:
            if self._graced:
                self._graced.discard(timer)
            if timer in self._deadlines:  # most are not: the core cancels all the time
                self._forget(timer)

    def _forget(self, timer: K) -> None:
        at = self._deadlines.pop(timer, None)
        if at is not None and at == self._next:
            self._next = min(self._deadlines.values(), default=None)

    def get(self, timer: K) -> float | None:
        """When a deadline is, or None."""
        return self._deadlines.get(timer)

    def next(self) -> float | None:
        """The earliest deadline."""
        return self._next

    def pop_due(self, now: float) -> list[tuple[K, bool]]:
        """Take out what is due, the earliest first.

        Each with whether it is too late to judge: true at most once in a row for each.
        """
        due = sorted((at, timer) for timer, at in self._deadlines.items() if at <= now)
        for _, timer in due:
            self._forget(timer)
        return [(timer, self._too_late(timer, now - at)) for at, timer in due]

    def all(self) -> list[tuple[K, float]]:
        """What is set, the earliest first."""
        return sorted(self._deadlines.items(), key=lambda item: item[1])

    def _too_late(self, timer: K, lateness: float) -> bool:
        if timer in self._judges and lateness > LATE and timer not in self._graced:
            self._graced.add(timer)
            return True
        self._graced.discard(timer)
        return False
