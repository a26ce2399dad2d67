"""Machines and their clocks: each has its own monotonic clock, wall clock and place in the net."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .node import Node

#: The wall clock of a machine that is right, at virtual time 0.
WALL: Final = 1_700_000_000.0
_NANOSECOND: Final = 1e-9


class Machine:
    """A computer.

    Args:
        name: for the history.
        offset: its monotonic clock minus virtual time at the start, in seconds.
        stops: its monotonic clock stops while it sleeps, as Linux's does; others go on.

    Attributes:
        wall_offset: its wall clock minus virtual time, in seconds; a step of the clock changes it.
        asleep: since when it sleeps, in virtual time; None: it doesn't.
        island: machines on different islands don't reach one another.
        nodes: the processes on it.
    """

    __slots__ = ("asleep", "island", "name", "nodes", "offset", "stops", "wall_offset")

    def __init__(self, name: str, *, offset: float = 0.0, stops: bool = True) -> None:
        self.name = name
        self.offset = offset
        self.stops = stops
        self.wall_offset = WALL
        self.asleep: float | None = None
        self.island = 0
        self.nodes: list[Node[Any]] = []

    def clock(self, at: float) -> float:
        """The monotonic clock at a virtual time."""
        return at + self.offset

    def wall(self, at: float) -> float:
        """The wall clock at a virtual time, in seconds since 1970."""
        return at + self.wall_offset

    def virtual(self, clock: float) -> float:
        """The virtual time at which the monotonic clock has reached a reading."""
        at = clock - self.offset
        # one of the two roundings may have gone down: never a wake-up that is too early
        return at if at + self.offset >= clock else at + _NANOSECOND

    def sleep(self, at: float) -> None:
        """Close the lid."""
        if self.asleep is None:
            self.asleep = at

    def wake(self, at: float) -> None:
        """Open it."""
        if self.asleep is not None:
            if self.stops:
                self.offset -= at - self.asleep
            self.asleep = None
