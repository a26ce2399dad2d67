"""When messages expire: many times, one timer."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from ..timers import Timers
from .timers import Timer

#: The heap is cleaned when it has this many entries, and twice as many as messages may expire.
CLEAN_FROM = 64


class Expiry:
    """The times to live of messages. What no longer expires stays in the heap until its time, or
    until the heap is cleaned."""

    __slots__ = ("_clean_at", "_timers", "heap")

    def __init__(self, timers: Timers[Timer]) -> None:
        self._timers = timers
        #: (when, ref); where it is empty, nothing is to be done at the end of a step
        self.heap: list[tuple[float, int]] = []
        self._clean_at = CLEAN_FROM

    def add(self, at: float, ref: int) -> None:
        """A message expires then."""
        heapq.heappush(self.heap, (at, ref))

    def at(self, ref: int) -> float | None:
        """When a message expires; None: never."""
        return next((at for at, of in self.heap if of == ref), None)

    def due(self, now: float) -> list[int]:
        """Those whose time is over, each once."""
        due = []
        while self.heap and self.heap[0][0] <= now:
            due.append(heapq.heappop(self.heap)[1])
        return due

    def slept(self, seconds: float) -> None:
        """Time has passed that the clock did not see."""
        self.heap = [(at - seconds, ref) for at, ref in self.heap]

    def watch(self, expires: Callable[[int], bool]) -> None:
        """Set the timer to the first that still `expires`."""
        heap = self.heap
        if len(heap) >= self._clean_at:
            heap = self.heap = [entry for entry in heap if expires(entry[1])]
            heapq.heapify(heap)
            self._clean_at = max(CLEAN_FROM, 2 * len(heap))
        while heap and not expires(heap[0][1]):
            heapq.heappop(heap)
        at = heap[0][0] if heap else None
        if at == self._timers.get(Timer.EXPIRY):
            return
        if at is None:
            self._timers.cancel(Timer.EXPIRY)
        else:
            self._timers.set(Timer.EXPIRY, at)
