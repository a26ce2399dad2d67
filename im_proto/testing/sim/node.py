"""What runs on a machine: a process that may be stalled, killed and started again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from .machine import Machine
from .network import End

if TYPE_CHECKING:
    from .world import SimWorld

I = TypeVar("I")  # noqa: E741 - an engine's input


class Node(ABC, Generic[I]):
    """A process with one engine.

    Args:
        world: where it lives.
        name: for the history.
        machine: where it runs.

    Attributes:
        stalled: it gets no processor time.
        lives: how often it was started.
        wakes: how often its timer has fired.
    """

    def __init__(self, world: SimWorld, name: str, machine: Machine) -> None:
        self.world = world
        self.name = name
        self.machine = machine
        machine.nodes.append(self)
        self.stalled = False
        self.lives = 0
        self.ends: dict[int, End] = {}
        self._armed: float | None = None
        self._busy = False
        self._later: deque[I] = deque()
        self._held: list[tuple[int, I]] = []

    # ------------------------------------------------------------ inputs

    def feed(self, event: I) -> None:
        """Give the engine an input; one that comes up while another is carried out waits."""
        if self.stalled or self.machine.asleep is not None:  # frozen
            self._held.append((self.lives, event))
            return
        if self._busy:
            self._later.append(event)
            return
        self._busy = True
        try:
            self._take(event)
            while self._later:
                self._take(self._later.popleft())
        finally:
            self._busy = False
            self._later.clear()
        self.arm()

    @property
    @abstractmethod
    def alive(self) -> bool:
        """It runs."""

    @abstractmethod
    def next_deadline(self) -> float | None:
        """When it wants to be woken, on its machine's clock."""

    @abstractmethod
    def time_passed(self) -> I:
        """What it is told when it is woken."""

    @abstractmethod
    def _take(self, event: I) -> None:
        """Step the engine and carry out what it wants."""

    @property
    def now(self) -> float:
        """Its machine's monotonic clock."""
        return self.world.now + self.machine.offset

    # ------------------------------------------------------------ time

    def arm(self) -> None:
        """Be woken at the engine's deadline. A deadline that moved away needs no new timer."""
        deadline = self.next_deadline()
        if deadline is None:
            return
        world = self.world
        at, now = self.machine.virtual(deadline), world.now
        if at < now:
            at = now
        if self._armed is None or at < self._armed:
            self._armed = at
            world.at(at, self._wake, at)

    def _wake(self, at: float) -> None:
        if at != self._armed:
            return  # an earlier one has come instead
        self._armed = None
        if self.frozen or not self.alive:
            return
        deadline = self.next_deadline()
        if deadline is not None and deadline <= self.now:
            self.wake()
        else:
            self.arm()

    def wake(self) -> None:
        """Wake it now, due or not."""
        self.feed(self.time_passed())

    # ------------------------------------------------------------ asleep, stalled

    @property
    def frozen(self) -> bool:
        """Nothing of it runs now."""
        return self.stalled or self.machine.asleep is not None

    def thaw(self, *, timer_first: bool) -> None:
        """It runs again: what has come meanwhile is looked at, and the clock, in either order."""
        if self.frozen:
            return
        if not self.alive:
            self._held.clear()
            return
        if timer_first:
            self.wake()
        held, self._held = self._held, []
        for life, event in held:
            if life == self.lives and self.alive:
                self.feed(event)
        for end in list(self.ends.values()):
            self.world.network.read(end)
        if self.alive:
            self.arm()

    # ------------------------------------------------------------ the end

    def _die(self, *, silent: bool) -> None:
        """Its streams end: reset by its kernel, or (`silent`, a power cut) nobody is told."""
        network = self.world.network
        for end in list(self.ends.values()):
            if silent:
                network.vanish(end)
            else:
                network.abort(end)
        self.ends.clear()
        self._held.clear()
        self._later.clear()
        self._armed = None

    # ------------------------------------------------------------ what the network says

    @abstractmethod
    def bytes_in(self, end: End, data: bytes) -> None:
        """Bytes came in."""

    @abstractmethod
    def lost(self, end: End, reason: str) -> None:
        """A stream has ended."""

    @abstractmethod
    def write_blocked(self, end: End) -> None:
        """The write buffer is over its high-water mark."""

    @abstractmethod
    def write_ready(self, end: End) -> None:
        """The write buffer is under its low-water mark."""
