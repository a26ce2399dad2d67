"""Pushes on their way in: what was seen, what the application has handled, where to go on.

With `seq` (protocol.md section 2) the mailbox's numbers decide: the next one is new, an old one is
a repeat, a later one shows a hole. Without, a message is a repeat only when msgId and fromUser are
both there and the content is equal.

What must outlive the process is noted for the journal: how far everything was handled (`Cursor`),
what was handled beyond (`Handled`), what the application may have seen (`Offered`), and the
messages that it has handled (`PairKnown`).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import replace
from enum import StrEnum
from hashlib import blake2b
from typing import Final, Protocol

from ..wire import ResumeFrom, UserId
from .events import Event, MessageReceived
from .journal import Cursor, Handled, JournalState, Offered, PairKnown
from .journaling import Journaling

Pair = tuple[UserId, int]
#: A `Cursor` of the present epoch: the number, and who wrote what stands there, and its msgId.
Place = tuple[int, UserId | None, int | None]


class Seen(StrEnum):
    """What a push turned out to be."""

    NEW = "new"
    REPEAT = "repeat"
    #: numbers are missing before it; it is dropped, and comes again after the repair
    HOLE = "hole"


#: By a name of its own each, as the class takes 50 ns to find one.
_NEW: Final = Seen.NEW
_REPEAT: Final = Seen.REPEAT
_HOLE: Final = Seen.HOLE


class Unhandled:
    """A push that is not handled yet, or waits for those before it; or a number passed over.

    Attributes:
        seq: its place in the mailbox; None if it moves no cursor.
        pair: (from_user, msg_id), where both are known.
        message: as the application was told last; None: it is no message, or it is done.
        shown: the application was told.
        taken: the application has begun with it.
        done: … and has ended, or it was dropped.
    """

    __slots__ = ("done", "message", "pair", "seq", "shown", "taken")

    def __init__(self, seq: int | None, pair: Pair | None, message: MessageReceived | None) -> None:
        self.seq = seq
        self.pair = pair
        self.message = message
        self.shown = False
        self.taken = False
        self.done = False


class Inbox:
    """The client's side of its mailbox.

    Args:
        known_pairs: how many messages are known by their pair.
        journaling: the way to the journal.
        kept: what an earlier process has kept.

    Attributes:
        epoch: of the mailbox; None before the first log-in with `seq`.
        received: the highest seq up to which everything came in; None: the first one decides.
        handled: the highest seq up to which everything was handled.
        pushed: the highest seq that came over this link; an ack never goes beyond it.
        acked: the highest seq that this link was told is handled.
        awaited: up to this seq somebody may wait for that: the highest of a message. Nobody waits
            for what is handled by being told, as receipts are.
        unhandled: by delivery, what is not handled, or what the cursor has not passed yet.
        waiting: messages that the application is not done with.
        seen_before: up to this seq an earlier process may have shown everything.
    """

    __slots__ = (
        "_cursors", "_deliveries", "_early", "_journaling", "_known", "_known_limit",
        "_offer_ticket", "_offered", "_safe", "acked", "awaited", "epoch", "handled", "pushed",
        "received", "seen_before", "unhandled", "waiting",
    )  # fmt: skip

    def __init__(
        self, known_pairs: int, journaling: Journaling, kept: JournalState | None = None
    ) -> None:
        self._known_limit = known_pairs
        self._journaling = journaling
        self._known: OrderedDict[Pair, bytes] = OrderedDict()
        self.unhandled: OrderedDict[int, Unhandled] = OrderedDict()
        self._deliveries = 0
        #: beyond the cursor, handled in an earlier life
        self._early: set[int] = set()
        #: where the handled ones end, as far as it is on disk; and what is on its way there
        self._safe: Place | None = None
        self._cursors: deque[tuple[int, Place]] | None = None
        #: what Offered was last noted for, and its ticket
        self._offered = 0
        self._offer_ticket = 0
        self.epoch: str | None = None
        self.received: int | None = None
        self.handled = 0
        self.pushed = 0
        self.acked = 0
        self.awaited = 0
        self.waiting = 0
        self.seen_before = 0
        if kept is not None:
            self._restore(kept)

    def _restore(self, kept: JournalState) -> None:
        newest = list(kept.pairs.items())[max(0, len(kept.pairs) - self._known_limit) :]
        self._known = OrderedDict(newest)
        cursor = kept.cursor
        if cursor is not None:
            self._safe = (cursor.seq, cursor.from_user, cursor.msg_id)
            self.epoch = cursor.epoch
            self.received = self.handled = cursor.seq
            self.seen_before = self._offered = kept.offered
            self._early = {seq for seq in kept.handled if seq > cursor.seq}

    # ------------------------------------------------------------ the log-in

    def resume(self) -> ResumeFrom | None:
        """Where the server should go on: behind what was handled, as far as that is on disk."""
        place = self._on_disk()
        if place is None or self.epoch is None:
            return None
        seq, from_user, msg_id = place
        return ResumeFrom(epoch=self.epoch, seq=seq, from_user=from_user, msg_id=msg_id)

    def logged_in(self, epoch: str, base: int | None) -> None:
        """The first log-in, or one that resumed: numbers go on where they were."""
        if self.epoch != epoch or self.received is None:
            self._begin(epoch, base)
        # what was handled while the log-in was answered comes again, and is acknowledged then
        self.acked = self.pushed = self.handled if base is None else min(base, self.handled)

    def reset(self, epoch: str, oldest: int) -> None:
        """The server starts again from `oldest`. What is known by its pair won't come twice."""
        self._begin(epoch, max(oldest, 1) - 1)

    def _begin(self, epoch: str, seq: int | None) -> None:
        """Numbers begin behind `seq` (None: with the first that comes); the old ones are void."""
        # What was shown and not handled comes again, it may be under the number that it had.
        shown = _above(self.handled, max(self._offered, self.received or 0))
        self.seen_before = _above(self.handled, self.seen_before)
        again = epoch == self.epoch
        self.epoch = epoch
        self._forget_numbers()
        self.received = seq
        self.handled = self.pushed = self.acked = seq or 0
        self.awaited = 0
        self._cursors = None
        self._safe = None
        self._early.clear()
        self._offered = 0
        if seq is None:
            return
        self._safe = (seq, None, None)
        if again:  # only another epoch makes a journal forget what it knows of numbers
            self._journaling.note(Cursor(epoch="", seq=0))
        self._journaling.note(Cursor(epoch=epoch, seq=seq))
        self._offer(shown)

    def _forget_numbers(self) -> None:
        """Deliveries of before are still to be handled, but they move no cursor."""
        self.unhandled = OrderedDict(
            (delivery, entry) for delivery, entry in self.unhandled.items() if not entry.done
        )
        for entry in self.unhandled.values():
            entry.seq = None
            if entry.message is not None:
                entry.message = replace(entry.message, seq=None)

    # ------------------------------------------------------------ what comes in

    def look_at(
        self,
        seq: int | None,
        message: tuple[Pair | None, str] | None,
        *,
        numbered: bool,
    ) -> Seen:
        """Sort a push; a NEW one is to be noted: follow with `deliver`.

        `message`: the pair and the content of a message, None for any other push. `numbered`: this
        link was granted `seq`; else a number means nothing.
        """
        if not numbered or self.epoch is None:
            seq = None
        pair, content = message or (None, "")
        if seq is not None:
            received = self.received
            if received is None:
                self._begin(self.epoch or "", seq - 1)
            elif seq > received + 1:
                return _HOLE
            if seq > self.pushed:
                self.pushed = seq
            if received is not None and seq <= received:
                return _REPEAT
            self.received = seq
            if self._early and seq in self._early:
                self._early.discard(seq)
                self._pass_over(seq, pair)
                return _REPEAT
        known = None if pair is None else self._known.get(pair)
        if known is not None and known == digest_of(content):
            if seq is not None:
                # it was handled, or is being handled, under its number of before a reset
                self._offer(seq)
                self._pass_over(seq, pair)
            return _REPEAT
        return _NEW

    def skip_to(self, seq: int) -> None:
        """Give up a hole: `seq` is taken as the next."""
        self.received = seq - 1
        self._pass_over(seq - 1, None)

    def new_delivery(self) -> int:
        """A name that no delivery had before."""
        self._deliveries += 1
        return self._deliveries

    def deliver(
        self,
        delivery: int,
        seq: int | None,
        pair: Pair | None,
        message: MessageReceived | None,
        *,
        numbered: bool,
    ) -> Unhandled:
        """Note a new push: a message for the application, or (None) what is handled when shown."""
        seq = seq if numbered and self.epoch is not None else None
        entry = self.unhandled[delivery] = Unhandled(seq, pair, message)
        if message is None:
            return entry
        self.waiting += 1
        if pair is not None and self._known_limit:
            self._known[pair] = digest_of(message.content)
            if len(self._known) > self._known_limit:
                self._known.popitem(last=False)
        return entry

    # ------------------------------------------------------------ what the application does

    def show(self, delivery: int, event: Event | None) -> Event | None:
        """The application is told of a delivery: what (None: nothing, it was dropped meanwhile).

        That is `event`, but for a message, which may have lost its number since it came. What is no
        message is handled by that.
        """
        entry = self.unhandled.get(delivery)
        if entry is None or entry.done:
            return None
        entry.shown = True
        if entry.message is None:
            self._settle(delivery, entry)
            return event
        return entry.message

    def take(self, delivery: int) -> None:
        """The application has begun with a delivery: it is not dropped any more."""
        entry = self._open(delivery)
        if entry is not None:
            entry.taken = True

    def handle(self, delivery: int) -> MessageReceived | None:
        """The application is done with a delivery: with which message. One that is not known (any
        more) is nothing."""
        entry = self._open(delivery)
        if entry is None:
            return None
        return self._settle(delivery, entry)

    def fail(self, delivery: int, attempts: int) -> MessageReceived | None:
        """The application has failed on a delivery: what to tell it, if it was not tried `attempts`
        times yet. Else, and if it is not known (any more), None."""
        entry = self._open(delivery)
        if entry is None or entry.message is None or entry.message.attempt >= attempts:
            return None
        entry.taken = False
        entry.message = replace(entry.message, attempt=entry.message.attempt + 1, redelivered=True)
        return entry.message

    def drop_oldest(self) -> tuple[int, Unhandled] | None:
        """Let the oldest go that the application has not begun with: which, with its delivery."""
        for delivery, entry in self.unhandled.items():
            if entry.message is not None and not entry.taken:
                self._settle(delivery, entry)
                return delivery, entry
        return None

    def _open(self, delivery: int) -> Unhandled | None:
        """A message that the application has and is not done with."""
        entry = self.unhandled.get(delivery)
        return entry if entry is not None and entry.message is not None and entry.shown else None

    # ------------------------------------------------------------ how far it is handled

    @property
    def unsettled(self) -> bool:
        """Is there something that the cursor waits for?"""
        return bool(self.unhandled)

    def to_acknowledge(self) -> int:
        """How far the server may be told: handled, on disk, and pushed over this link."""
        place = self._on_disk()
        return 0 if place is None else min(place[0], self.pushed)

    def offer(self) -> int:
        """Have it noted that the application may see all that came in; the ticket of that."""
        self._offer(self.received or 0)
        return self._offer_ticket

    def _offer(self, seq: int) -> None:
        if seq > self._offered:
            self._offered = seq
            self._offer_ticket = self._journaling.note(Offered(seq=seq))

    def _on_disk(self) -> Place | None:
        cursors = self._cursors
        while cursors and cursors[0][0] <= self._journaling.written:
            self._safe = cursors.popleft()[1]
        return self._safe

    def _settle(self, delivery: int, entry: Unhandled) -> MessageReceived | None:
        """A delivery is handled, or dropped; returns its message."""
        journaling = self._journaling
        message, entry.message = entry.message, None
        entry.done = True
        if message is not None:
            self.waiting -= 1
            self.awaited = max(self.awaited, entry.seq or 0)
            if journaling.on and self._known_limit:
                known = pair_known(message)
                if known is not None:
                    journaling.note(known)
        if entry.seq is None:  # no cursor waits for it
            del self.unhandled[delivery]
        self._advance()
        if journaling.on and entry.seq is not None and entry.seq > self.handled:
            journaling.note(Handled(seq=entry.seq))
        return message

    def _advance(self) -> None:
        unhandled = self.unhandled
        last: Unhandled | None = None
        while unhandled:
            entry = next(iter(unhandled.values()))
            if not entry.done:
                break
            unhandled.popitem(last=False)
            last = entry
        if last is None:
            return
        seq = last.seq
        assert seq is not None and self.epoch is not None
        self.handled = seq
        user, msg_id = last.pair or (None, None)
        if not self._journaling.on:
            self._safe = (seq, user, msg_id)
            return
        cursor = Cursor(epoch=self.epoch, seq=seq, from_user=user, msg_id=msg_id)
        if self._cursors is None:
            self._cursors = deque()
        self._cursors.append((self._journaling.note(cursor), (seq, user, msg_id)))
        self._on_disk()

    def _pass_over(self, seq: int, pair: Pair | None) -> None:
        """Count a number as handled, in its turn, without a delivery. No `Handled` is noted: what
        stands before it may be the same message, under its number of before a reset."""
        entry = Unhandled(seq, pair, None)
        entry.done = True
        self.awaited = max(self.awaited, seq)
        self.unhandled[self.new_delivery()] = entry
        self._advance()


class Said(Protocol):
    """A message, as far as it can be told from others."""

    @property
    def from_user(self) -> UserId | None: ...
    @property
    def msg_id(self) -> int | None: ...
    @property
    def content(self) -> str: ...


def pair_known(message: Said) -> PairKnown | None:
    """What an application writes into the journal, together with its own work for a message, so
    that the message is never shown to it again: exactly once, also over a reset of the mailbox,
    after which numbers mean something else. None: the server did not say who wrote it, or which of
    his messages it is."""
    if message.from_user is None or message.msg_id is None:
        return None
    digest = digest_of(message.content)
    return PairKnown(from_user=message.from_user, msg_id=message.msg_id, digest=digest)


def _above(limit: int, seq: int) -> int:
    return seq if seq > limit else 0


def digest_of(content: str) -> bytes:
    """By which a content is compared."""
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest()
