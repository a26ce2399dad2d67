"""`BatchSize`: how much one transaction takes, so that nobody waits long for the one before."""

from __future__ import annotations

from typing import Final

#: However slow the store is, so much is written at once: a transaction costs as much as ten
#: messages in it.
LEAST: Final = 8
#: What a transaction that was quick lets the next one grow by.
GROWTH: Final = 1.25
#: What is split is twice as much at the least: a full frame.
HALF: Final = 32


class BatchSize:
    """As much as the store writes in a given time, by what the last full transaction took.

    Args:
        most: however quick the store is.
        seconds: that a transaction should take at the most.
    """

    __slots__ = ("_last", "_least", "_most", "_room", "_seconds")

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._least = min(LEAST, most)
        self._seconds = seconds
        self._room = float(most)
        #: what the last one took
        self._last = 0.0

    @property
    def room(self) -> int:
        """What the next transaction takes at the most."""
        return int(self._room)

    def of(self, waiting: int, *, rested: bool) -> int:
        """What the next transaction takes if so much waits.

        Args:
            waiting: what is there.
            rested: the store had nothing to do. Whoever says much at once then has probably said
                all that it may before it is answered. It gets its answers in two halves, and is at
                work on the first while the store is on the second. A store that takes long for any
                transaction is not asked for one more.
        """
        half = waiting // 2
        if rested and half >= HALF and 2 * self._last <= self._seconds:
            return min(half, self.room)
        return self.room

    def took(self, size: int, seconds: float) -> None:
        """One of that size has taken so long. For the size of the next, one that was not even half
        full says nothing."""
        self._last = seconds
        if 2 * size < self.room:
            return
        if seconds > self._seconds:
            # by half at once: one that waited for something else may have been slow by chance
            self._room = max(self._least, self._room * max(0.5, self._seconds / seconds))
        else:
            self._room = min(self._most, self._room * GROWTH)
