"""Received messages that the application is not done with, in the order they came.

A message stays here until it is handled, or the engine has dropped it. The engine acknowledges by
the same rule, so whatever is here would come again after a crash. It also sees to it that there
are not too many (`ClientConfig.max_unhandled`).
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto
from typing import Final

from .message import Message


class _Stage(Enum):
    #: nobody has it
    FREE = auto()
    #: it waits for, or is in, the message_received callback
    OFFERED = auto()
    #: an iteration has given it to the application
    HELD = auto()
    #: the application has failed on it, and the engine offers it again, or gives it up
    FAILED = auto()


#: Named, as to look a member of an Enum up takes 0.05 us, and these are needed for each message.
_FREE: Final = _Stage.FREE
_OFFERED: Final = _Stage.OFFERED
_FAILED: Final = _Stage.FAILED


class _Entry:
    __slots__ = ("message", "stage")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.stage: _Stage = _FREE


class Inbox:
    """Unhandled messages, by delivery."""

    __slots__ = ("_entries", "_free")

    def __init__(self) -> None:
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._free: set[int] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, message: Message) -> None:
        """Keep a message: a new one, or one that is offered again, in its old place."""
        delivery = message.delivery
        entry = self._entries.get(delivery)
        if entry is None:
            self._entries[delivery] = _Entry(message)
        else:
            entry.message = message
            entry.stage = _FREE
        self._free.add(delivery)

    def has(self, message: Message) -> bool:
        """Is this very one here: neither handled nor failed on, nor offered again since?"""
        entry = self._entries.get(message.delivery)
        return entry is not None and entry.message is message and entry.stage is not _FAILED

    def remove(self, delivery: int) -> bool:
        """The application is done with it, or will not get it; False if it was not here."""
        self._free.discard(delivery)
        return self._entries.pop(delivery, None) is not None

    def handle(self, message: Message) -> bool:
        """The application is done with this very one; False if it was not here."""
        if not self.has(message):
            return False
        del self._entries[message.delivery]
        self._free.discard(message.delivery)
        return True

    def fail(self, message: Message) -> bool:
        """The application has failed on it; False if it was not here."""
        if not self.has(message):
            return False
        self._to(message.delivery, _FAILED)
        return True

    def take(self, *, plain_only: bool) -> Message | None:
        """The first message that nobody has, for an iteration.

        Args:
            plain_only: leave out what the server would send again.
        """
        if not self._free:
            return None
        for delivery, entry in self._entries.items():
            if entry.stage is _FREE and not (plain_only and entry.message.seq is not None):
                self._to(delivery, _Stage.HELD)
                return entry.message
        return None

    def release(self) -> None:
        """The iteration is gone: what it has given, and was not handled, is given again."""
        for delivery, entry in self._entries.items():
            if entry.stage is _Stage.HELD:
                self._to(delivery, _FREE)

    def offer(self) -> list[Message]:
        """Take out, for the callback, every message that nobody has, in order."""
        offered = []
        for delivery in sorted(self._free):
            entry = self._entries[delivery]
            entry.stage = _OFFERED
            offered.append(entry.message)
        self._free.clear()
        return offered

    def take_back(self, message: Message) -> None:
        """Whoever had it did not take it."""
        if self.has(message):
            self._to(message.delivery, _FREE)

    def _to(self, delivery: int, stage: _Stage) -> None:
        self._entries[delivery].stage = stage
        if stage is _FREE:
            self._free.add(delivery)
        else:
            self._free.discard(delivery)
