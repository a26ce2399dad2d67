"""Received messages that the application is not done with, in the order they came.

A message stays here until it is handled, or the engine has dropped it. The engine acknowledges by
the same rule, so whatever is here would come again after a crash. It also sees to it that there
are not too many (`ClientConfig.max_unhandled`).
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto

from .message import Message


class _Stage(Enum):
    #: nobody has it
    FREE = auto()
    #: it waits for, or is in, the message_received callback
    OFFERED = auto()
    #: the callback raised: it is offered again after the next log-in
    FAILED = auto()


class _Entry:
    __slots__ = ("message", "stage")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.stage = _Stage.FREE


class Inbox:
    """Unhandled messages, by delivery."""

    __slots__ = ("_entries", "_free")

    def __init__(self) -> None:
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._free: set[int] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, message: Message) -> None:
        """Keep a new message."""
        self._entries[message.delivery] = _Entry(message)
        self._free.add(message.delivery)

    def remove(self, delivery: int) -> bool:
        """The application is done with it, or will not get it; False if it was not here."""
        self._free.discard(delivery)
        return self._entries.pop(delivery, None) is not None

    def next(self, after: int, *, plain_only: bool) -> Message | None:
        """The first message behind the delivery `after` that no callback has.

        Args:
            after: the last delivery that was taken; 0 begins at the front.
            plain_only: leave out what the server would send again.
        """
        for delivery, entry in self._entries.items():
            if delivery <= after or entry.stage is _Stage.OFFERED:
                continue
            if plain_only and entry.message.seq is not None:
                continue
            return entry.message
        return None

    def offer(self) -> list[Message]:
        """Take out, for the callback, every message that nobody has, in order."""
        offered = []
        for delivery in sorted(self._free):
            entry = self._entries[delivery]
            entry.stage = _Stage.OFFERED
            offered.append(entry.message)
        self._free.clear()
        return offered

    def take_back(self, delivery: int, *, failed: bool) -> None:
        """The callback did not take it; with `failed` it rests until `forgive`."""
        entry = self._entries.get(delivery)
        if entry is not None:
            self._to(entry, _Stage.FAILED if failed else _Stage.FREE)

    def forgive(self) -> None:
        """What a callback has failed on may be offered again."""
        for entry in self._entries.values():
            if entry.stage is _Stage.FAILED:
                self._to(entry, _Stage.FREE)

    def _to(self, entry: _Entry, stage: _Stage) -> None:
        entry.stage = stage
        if stage is _Stage.FREE:
            self._free.add(entry.message.delivery)
