"""Whose turn it is to send: conversations of three priorities, and nobody waits for ever."""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

from ..wire import UserId

Priority = Literal["high", "normal", "low"]

#: How many turns each priority has before the next lower one gets its own. A flood of `high` slows
#: `low` down to one message in thirteen, and does not stop it.
SHARES: Final[dict[Priority, int]] = {"high": 8, "normal": 4, "low": 1}
PRIORITIES: Final[tuple[Priority, ...]] = tuple(SHARES)


class Turns:
    """Conversations that may send, each once. Those of one priority take turns."""

    def __init__(self) -> None:
        self._rings: dict[Priority, deque[UserId]] = {name: deque() for name in PRIORITIES}
        self._left = dict(SHARES)

    def __bool__(self) -> bool:
        return any(self._rings.values())

    def __len__(self) -> int:
        return sum(map(len, self._rings.values()))

    def join(self, user: UserId, priority: Priority) -> None:
        """Queue up, behind the others of that priority."""
        self._rings[priority].append(user)

    def leave(self, user: UserId, priority: Priority) -> None:
        """Stand there no longer."""
        self._rings[priority].remove(user)

    def next(self) -> UserId:
        """Whose turn it is; it is out of the queue.

        Raises:
            IndexError: nobody waits.
        """
        waiting = [name for name in PRIORITIES if self._rings[name]]
        if not any(self._left[name] for name in waiting):
            self._left = dict(SHARES)
        name = next(name for name in (*waiting, *PRIORITIES) if self._left[name])
        self._left[name] -= 1
        return self._rings[name].popleft()
