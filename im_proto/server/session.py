"""One logged-in connection at the hub: a cursor in its user's mailbox, never a queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..wire import UserId
from .records import MailboxEntry


@dataclass(slots=True)
class Session:
    """See the module.

    Attributes:
        generation: of this login of the device; 0 for a plain one.
        epoch, oldest: of the mailbox, as they were at the login.
        head: the newest seq of the mailbox that is known here.
        sent: pushed up to this seq.
        acked: acknowledged up to this seq.
        reading: the StoreRead that is under way.
        blocked: the connection takes no more bytes for now.
        paused: the connection is not read: it has too many messages on their way into the store.
        unanswered: how many those are.
    """

    connection: int
    user: UserId
    roles: frozenset[str]
    device: str
    generation: int
    epoch: str
    oldest: int
    head: int
    sent: int
    acked: int
    reading: int | None = None
    blocked: bool = False
    paused: bool = False
    unanswered: int = 0

    def room(self, unacked: int) -> int:
        """How many entries may be read now, if there are any; `unacked` is the most beyond the
        ack."""
        if self.reading is not None or self.blocked or self.sent >= self.head:
            return 0
        return max(0, unacked - (self.sent - self.acked))

    def read(self, entries: Sequence[MailboxEntry], head: int) -> None:
        """The read under way has come back; its entries are pushed."""
        self.reading = None
        if entries:
            self.sent = entries[-1].seq
            self.head = max(self.head, head)
        elif head >= self.head:
            # Nothing is held beyond what was sent. `sent` stays: numbers that stand for nothing are
            # never acknowledged. The next message shows the hole by its own number.
            self.head = self.sent

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
        self.reading = None  # an answer that is under way is of before
        recovered = after >= self.oldest - 1
        self.sent = after if recovered else self.oldest - 1
        self.acked = min(self.acked, self.sent)
        return recovered
