"""What a client keeps on disk, as plain records: its journal.

An adapter loads a `JournalState`, gives it to the engine, and writes the changes that the engine
asks for (`WriteJournal`), each list in one transaction, in order. `JournalState.apply` says what
each change means; a file is nothing but that on disk.

Times are milliseconds since 1970, as a monotonic clock means nothing to the next process.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from ..wire import UserId
from .turns import Priority

#: How a send ended.
End = Literal["accepted", "rejected", "expired", "cancelled", "in_doubt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRecord:
    """A message of the outbox; written again, it takes the place of the one with its `ref`.

    Attributes:
        ref: its name and its place: it rises with each message and is never used again.
        key: the application's own name for the send.
        expires_at: when it expires, unless a transport had it before.
        handed_at: when it was first handed to a transport, or was about to be; None: never.
        unsure_sends: how often it was handed to a server that might take it twice.
        end: None while it has none. A record with an end is kept for its key.
        ended_at: when that was.
        timestamp: when the server accepted it, if it said so.
        error_code, error_text, server_code, server_text: of an end other than acceptance.
    """

    ref: int
    msg_id: int
    to_user: UserId
    content: str
    message_type: str
    session_id: int | None = None
    priority: Priority = "normal"
    key: str | None = None
    expires_at: int | None = None
    handed_at: int | None = None
    renumbered: bool = False
    unsure_sends: int = 0
    end: End | None = None
    ended_at: int | None = None
    timestamp: int | None = None
    error_code: str | None = None
    error_text: str | None = None
    server_code: int | None = None
    server_text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingGone:
    """A message has its end, and nobody will ask for it by a key."""

    ref: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """This installation's name at the server; and no msgId up to this one is drawn again."""

    device_id: str
    highest_msg_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Everything up to `seq` was handled; `from_user`, `msg_id` are those of the push at `seq`.

    Another `epoch` voids all that is known of numbers: `Offered` and `Handled`.
    """

    epoch: str
    seq: int
    from_user: UserId | None = None
    msg_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """The application may have seen everything up to `seq`. Written before it is shown."""

    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """`seq`, which lies beyond the cursor, was handled."""

    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairKnown:
    """A message with this (from_user, msg_id) was handled; `digest` is of its content."""

    from_user: UserId
    msg_id: int
    digest: bytes


Change = OutgoingRecord | OutgoingGone | Identity | Cursor | Offered | Handled | PairKnown


@dataclass(slots=True, kw_only=True)
class JournalState:
    """All that a journal holds. An empty one is a new installation.

    Attributes:
        known_pairs: how many of `pairs` are kept, the newest.
    """

    identity: Identity | None = None
    outgoing: dict[int, OutgoingRecord] = field(default_factory=dict)
    cursor: Cursor | None = None
    offered: int = 0
    handled: set[int] = field(default_factory=set)
    pairs: OrderedDict[tuple[UserId, int], bytes] = field(default_factory=OrderedDict)
    known_pairs: int = 4096

    def apply(self, changes: Iterable[Change]) -> None:
        """Take in what an engine wants written, in order."""
        for change in changes:
            if isinstance(change, OutgoingRecord):
                self.outgoing[change.ref] = change
            elif isinstance(change, OutgoingGone):
                self.outgoing.pop(change.ref, None)
            elif isinstance(change, Identity):
                self.identity = change
            elif isinstance(change, Cursor):
                if self.cursor is not None and self.cursor.epoch != change.epoch:
                    self.offered = 0
                    self.handled.clear()
                self.cursor = change
                self.handled = {seq for seq in self.handled if seq > change.seq}
            elif isinstance(change, Offered):
                self.offered = max(self.offered, change.seq)
            elif isinstance(change, Handled):
                if self.cursor is None or change.seq > self.cursor.seq:
                    self.handled.add(change.seq)
            else:
                pair = (change.from_user, change.msg_id)
                self.pairs.pop(pair, None)
                self.pairs[pair] = change.digest
                while len(self.pairs) > self.known_pairs:
                    self.pairs.popitem(last=False)
