"""One logged-in connection at the hub: a cursor in its user's mailbox, never a queue."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ..wire import UserId
from .records import Entry
from .talk import CallRequested, End, StatusAsked


@dataclass(slots=True)
class Session:
    """See the module.

    Attributes:
        granted: the capabilities that the connection may use.
        generation: of this login of the device; 0 for a plain one.
        epoch: of the mailbox, as it was at the login.
        oldest: the oldest seq that the mailbox still holds, as far as is known here.
        head: the newest seq of the mailbox that is known here.
        sent: pushed up to this seq.
        acked: acknowledged up to this seq.
        show_last_seen: others may learn when the user was here last.
        reading: the StoreRead that is under way.
        stale: what it brings is of before a SYNC_REQUEST, and is not pushed.
        blocked: the connection takes no more bytes for now.
        paused: the connection is not read: too much of what it wants has no answer yet.
        unanswered: how much that is.
        questions: those that wait for their turn to be asked …
        asked: … and how many are with the store.
        leaving: how it ends when it has got the answers that it waits for; nothing more is taken.
    """

    connection: int
    user: UserId
    roles: frozenset[str]
    device: str
    granted: frozenset[str]
    generation: int
    epoch: str
    oldest: int
    head: int
    sent: int
    acked: int
    show_last_seen: bool = True
    reading: int | None = None
    stale: bool = False
    blocked: bool = False
    paused: bool = False
    unanswered: int = 0
    questions: deque[StatusAsked | CallRequested] = field(default_factory=deque)
    asked: int = 0
    leaving: End | None = None

    def room(self, unacked: int) -> int:
        """How many entries may be read now, if there are any; `unacked` is the most beyond the
        ack."""
        if self.reading is not None or self.blocked or self.sent >= self.head:
            return 0
        # numbers below the oldest stand for nothing any more: nobody can acknowledge them
        below = max(self.acked, self.oldest - 1)
        return max(0, unacked - max(0, self.sent - below))

    def follow(self, entries: tuple[Entry, ...], unacked: int) -> tuple[Entry, ...]:
        """These have just come into the mailbox. Returns what is pushed without a read: all of
        them, if they follow what was sent and there is room."""
        if not entries or entries[0].seq != self.sent + 1 or self.room(unacked) < len(entries):
            return ()
        self.sent = entries[-1].seq
        return entries

    def read(self, entries: tuple[Entry, ...], head: int) -> tuple[Entry, ...]:
        """The read under way has come back; returns what is pushed of it."""
        self.reading = None
        if self.stale:
            self.stale = False
            return ()
        if entries:
            if entries[0].seq > self.sent + 1:  # only retention makes holes
                self.lost(entries[0].seq)
            self.sent = entries[-1].seq
            self.head = max(self.head, head)
        elif head >= self.head:
            # Nothing is held beyond what was sent. `sent` stays: numbers that stand for nothing are
            # never acknowledged. The next message shows the hole by its own number.
            self.head = self.sent
        return entries

    def lost(self, oldest: int) -> None:
        """The mailbox holds nothing below `oldest` any more."""
        self.oldest = max(self.oldest, oldest)

    def acknowledge(self, seq: int) -> str | None:
        """Move the ack; returns what is wrong with it, None if nothing is."""
        if seq < self.acked:
            return "the ack goes back"
        if seq > self.sent:
            return "the ack is above what was pushed"
        self.acked = seq
        return None

    def rewind(self, after: int) -> bool | None:
        """Push again what follows `after`. False: from the oldest held, as that is gone; None:
        the peer can't mean it."""
        if not self.acked <= after <= self.sent:
            return None
        self.stale = self.reading is not None
        recovered = after >= self.oldest - 1
        self.sent = after if recovered else self.oldest - 1
        self.acked = min(self.acked, self.sent)
        return recovered
