"""Whose turn it is to send: conversations of three priorities, and nobody waits for ever."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Literal

from ..wire import UserId

Priority = Literal["high", "normal", "low"]

#: How many turns each priority has before the next lower one gets its own. A flood of `high` slows
#: `low` down to one message in thirteen, and does not stop it.
SHARES: Final[dict[Priority, int]] = {"high": 8, "normal": 4, "low": 1}
PRIORITIES: Final[tuple[Priority, ...]] = tuple(SHARES)


class Turns:
    """Conversations that may send, each once. Those of one priority take turns.

    Attributes:
        waiting: how many there are.
    """

    __slots__ = ("_left", "_rings", "waiting")

    def __init__(self) -> None:
        #: each made when it is needed; who leaves one need not be looked for
        self._rings: dict[Priority, OrderedDict[UserId, None]] = {}
        #: turns that are left, where it is not the whole share
        self._left: dict[Priority, int] = {}
        self.waiting = 0

    def __len__(self) -> int:
        return self.waiting

    def join(self, user: UserId, priority: Priority) -> None:
        """Queue up, behind the others of that priority."""
        ring = self._rings.get(priority)
        if ring is None:
            ring = self._rings[priority] = OrderedDict()
        ring[user] = None
        self.waiting += 1

    def leave(self, user: UserId, priority: Priority) -> None:
        """Stand there no longer."""
        del self._rings[priority][user]
        self.waiting -= 1

    def next(self) -> UserId:
        """Whose turn it is; it is out of the queue.

        Raises:
            IndexError: nobody waits.
        """
        if not self.waiting:
            raise IndexError("nobody waits")
        rings, left = self._rings, self._left
        while True:
            for name in PRIORITIES:
                ring = rings.get(name)
                if ring and (turns := left.get(name, SHARES[name])):
                    left[name] = turns - 1
                    self.waiting -= 1
                    return ring.popitem(last=False)[0]
            left.clear()  # all that wait have had their shares, each above zero
