"""`Turns`: who says much is read in turns, one connection after the other, so that what all of them
want together holds up nobody who says little.

Nothing is slowed down by it while the server has time: a turn comes as soon as those who say little
were looked at once. And while hardly anybody says much, nobody waits: to stop reading and to go on
costs as much as some messages.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ..bucket import Buckets

#: Bytes that a connection may say each second without waiting for turns: forty short messages …
RATE: Final = 8_192.0
#: … and at once: a log-in with its token, and what has heaped up in an outbox. 16 KiB of short
#: messages are some 3 ms of work, and as much is read in a turn.
BURST: Final = 16_384.0
#: So many may say much without waiting, as long as nobody waits: two who talk to each other.
FREE: Final = 2


class Turns:
    """See the module."""

    def __init__(self) -> None:
        self._buckets: Buckets[int] = Buckets(RATE, BURST)
        #: who waits, first come first
        self._line: OrderedDict[int, None] = OrderedDict()
        #: who says much and need not wait while nobody does, who was so longest first
        self._free: OrderedDict[int, None] = OrderedDict()

    def __bool__(self) -> bool:
        """Does anybody wait?"""
        return bool(self._line)

    def said(self, connection: int, size: int, now: float) -> bool:
        """A connection has said so many bytes. Must it wait for its turn before it is read again?

        Args:
            connection: its name.
            size: in bytes.
            now: seconds on a monotonic clock.
        """
        if self._buckets.of(connection, now).take(now, size) >= 0:
            return False
        if not self._line and (connection in self._free or len(self._free) < FREE):
            self._free[connection] = None
            return False
        self._line.setdefault(connection)
        return True

    def gone(self, connection: int) -> None:
        """A connection says nothing more."""
        self._buckets.forget(connection)
        self._line.pop(connection, None)
        self._free.pop(connection, None)

    def next(self) -> int:
        """Whose turn it is. Asked only while somebody waits."""
        connection, _ = self._line.popitem(last=False)
        self._free[connection] = None
        self._free.move_to_end(connection)
        if len(self._free) > FREE:
            self._free.popitem(last=False)
        return connection
