"""`BatchSize`: how much one transaction takes, so that nobody waits long for the one before."""

from __future__ import annotations

from typing import Final

#: However slow the store is, so much is written at once: a transaction costs as much as ten
#: messages in it.
LEAST: Final = 8
#: What a transaction that was quick lets the next one grow by.
GROWTH: Final = 1.25


class BatchSize:
    """As much as the store writes in a given time, by what the last full transaction took.

    Args:
        most: however quick the store is.
        seconds: that a transaction should take at the most.
    """

    __slots__ = ("_least", "_most", "_room", "_seconds")

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._least = min(LEAST, most)
        self._seconds = seconds
        self._room = float(most)

    @property
    def room(self) -> int:
        """What the next transaction takes."""
        return int(self._room)

    def took(self, size: int, seconds: float) -> None:
        """One of that size has taken so long. One that was not even half full says nothing."""
        if 2 * size < self.room:
            return
        if seconds > self._seconds:
            # by half at once: one that waited for something else may have been slow by chance
            self._room = max(self._least, self._room * max(0.5, self._seconds / seconds))
        else:
            self._room = min(self._most, self._room * GROWTH)
