"""`Line`: what waits for the store, so that nobody waits behind all that somebody else wants."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

from ..wire import UserId

T = TypeVar("T")


class Line(Generic[T]):
    """A queue for each user, which are served in turn, one item at a time.

    What one user wants stays in order; between users there is none to keep.
    """

    __slots__ = ("_queues", "_size")

    def __init__(self) -> None:
        #: none is empty; whose turn it is stands first
        self._queues: OrderedDict[UserId, deque[T]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, user: UserId, item: T) -> None:
        """One more at the end of what the user wants."""
        queue = self._queues.get(user)
        if queue is None:
            self._queues[user] = deque((item,))
        else:
            queue.append(item)
        self._size += 1

    def prepend(self, user: UserId, item: T) -> None:
        """One before all that the user wants."""
        self._queues.setdefault(user, deque()).appendleft(item)
        self._size += 1

    def pop(self) -> T:
        """The next, of the user whose turn it is.

        Raises:
            KeyError: there is none.
        """
        user, queue = self._queues.popitem(last=False)
        item = queue.popleft()
        self._size -= 1
        if queue:  # behind the others
            self._queues[user] = queue
        return item

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Let go of what is not `wanted`; asked once of each, in no order but each user's own."""
        for user, queue in list(self._queues.items()):
            kept = deque(item for item in queue if wanted(item))
            self._size += len(kept) - len(queue)
            if kept:
                self._queues[user] = kept
            else:
                del self._queues[user]
