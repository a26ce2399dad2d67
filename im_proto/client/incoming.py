"""Messages on their way in: what was seen, what the application has handled, where to go on.

With `seq` (protocol.md section 2) the mailbox's numbers decide: the next one is delivered, an old
one is a repeat, a later one shows a hole. Without, a repeat is recognised only when msgId and
fromUser are both there and the content is equal.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum
from hashlib import blake2b

from ..wire import ChatRedirectToUser, ResumeFrom, UserId


class Seen(StrEnum):
    """What a push turned out to be."""

    NEW = "new"
    REPEAT = "repeat"
    #: numbers are missing before it; it is dropped, and comes again after the repair
    HOLE = "hole"


class Unhandled:
    """A delivered message that the application is not done with, or a number passed over.

    Attributes:
        seq: its place in the mailbox; None if it moves no cursor.
        pair: (from_user, msg_id), where both are known.
        taken: the application has begun with it.
        done: … and has ended, or it was dropped; it waits for those before it.
    """

    __slots__ = ("done", "pair", "seq", "taken")

    def __init__(self, seq: int | None, pair: tuple[UserId, int] | None) -> None:
        self.seq = seq
        self.pair = pair
        self.taken = False
        self.done = False


class Inbox:
    """The client's side of its mailbox.

    Attributes:
        epoch: of the mailbox; None before the first log-in with `seq`.
        received: the highest seq up to which everything came in; None: the first one decides.
        handled: the highest seq up to which the application has handled everything.
        pushed: the highest seq that came over this link; an ack never goes beyond it.
        acked: the highest seq that this link was told is handled.
        waiting: delivered messages that the application is not done with.
    """

    def __init__(self, known_pairs: int) -> None:
        self._known_limit = known_pairs
        self._known: OrderedDict[tuple[UserId, int], bytes] = OrderedDict()
        self._unhandled: OrderedDict[int, Unhandled] = OrderedDict()
        self._deliveries = 0
        self._last_pair: tuple[UserId, int] | None = None
        self.epoch: str | None = None
        self.received: int | None = None
        self.handled = 0
        self.pushed = 0
        self.acked = 0
        self.waiting = 0

    @property
    def unsettled(self) -> bool:
        """Is there something that the cursor waits for?"""
        return bool(self._unhandled)

    def resume(self) -> ResumeFrom | None:
        """Where the server should go on: behind the last push that was handled."""
        if self.epoch is None or self.received is None:
            return None
        user, msg_id = self._last_pair or (None, None)
        return ResumeFrom(epoch=self.epoch, seq=self.handled, from_user=user, msg_id=msg_id)

    def logged_in(self, epoch: str, base: int | None) -> None:
        """The first log-in, or one that resumed: numbers go on where they were."""
        if self.epoch != epoch or self.received is None:
            self.epoch = epoch
            self._forget_numbers()
            self.received = base
            self.handled = base or 0
        # what was handled while the log-in was answered comes again, and is acknowledged then
        self.acked = self.pushed = self.handled if base is None else min(base, self.handled)

    def reset(self, epoch: str, oldest: int) -> None:
        """The server starts again from `oldest`. What is known by its pair won't come twice."""
        self.epoch = epoch
        self._forget_numbers()
        self.received = max(oldest, 1) - 1
        self.handled = self.pushed = self.acked = self.received

    def skip_to(self, seq: int) -> None:
        """Give up a hole: `seq` is taken as the next."""
        self.received = seq - 1
        self._pass_over(seq - 1, None)

    def look_at(self, push: ChatRedirectToUser, *, numbered: bool) -> Seen:
        """Sort a push; a NEW one must be delivered: follow with `deliver`.

        `numbered`: this link was granted `seq`; else a number means nothing.
        """
        numbered = numbered and self.epoch is not None
        if push.seq is not None and numbered:
            if self.received is not None:
                if push.seq <= self.received:
                    self.pushed = max(self.pushed, push.seq)
                    return Seen.REPEAT
                if push.seq > self.received + 1:
                    return Seen.HOLE
            else:
                self.handled = self.acked = push.seq - 1
            self.received = push.seq
            self.pushed = max(self.pushed, push.seq)
        if self._knows(push):
            if push.seq is not None and numbered:
                # it was handled, or is being handled, under its number of before a reset
                self._pass_over(push.seq, _pair(push))
            return Seen.REPEAT
        return Seen.NEW

    def deliver(self, push: ChatRedirectToUser, *, numbered: bool) -> int:
        """Note a new push as delivered; returns the name of the delivery."""
        pair = _pair(push)
        if pair is not None and self._known_limit:
            self._known[pair] = _digest(push.content)
            if len(self._known) > self._known_limit:
                self._known.popitem(last=False)
        self._deliveries += 1
        seq = push.seq if numbered and self.epoch is not None else None
        self._unhandled[self._deliveries] = Unhandled(seq, pair)
        self.waiting += 1
        return self._deliveries

    def take(self, delivery: int) -> None:
        """The application has begun with a delivery: it is not dropped any more."""
        entry = self._unhandled.get(delivery)
        if entry is not None:
            entry.taken = True

    def handle(self, delivery: int) -> None:
        """The application is done with a delivery; one that is not known (any more) is nothing."""
        entry = self._unhandled.get(delivery)
        if entry is None or entry.done:
            return
        self.waiting -= 1
        if entry.seq is None:  # no cursor waits for it
            del self._unhandled[delivery]
        else:
            entry.done = True
        self._advance()

    def drop_oldest(self) -> tuple[int, Unhandled] | None:
        """Let the oldest go that the application has not begun with: which, with its delivery."""
        for delivery, entry in self._unhandled.items():
            if not entry.done and not entry.taken:
                self.handle(delivery)
                return delivery, entry
        return None

    def _advance(self) -> None:
        while self._unhandled:
            entry = next(iter(self._unhandled.values()))
            if not entry.done:
                return
            self._unhandled.popitem(last=False)
            if entry.seq is not None:
                self.handled = entry.seq
                self._last_pair = entry.pair

    def _pass_over(self, seq: int, pair: tuple[UserId, int] | None) -> None:
        """Count a number as handled, in its turn, without a delivery."""
        entry = Unhandled(seq, pair)
        entry.done = True
        self._deliveries += 1
        self._unhandled[self._deliveries] = entry
        self._advance()

    def _forget_numbers(self) -> None:
        """Deliveries of another epoch are still to be handled, but they move no cursor."""
        self._unhandled = OrderedDict(
            (delivery, entry) for delivery, entry in self._unhandled.items() if not entry.done
        )
        for entry in self._unhandled.values():
            entry.seq = None
        self._last_pair = None

    def _knows(self, push: ChatRedirectToUser) -> bool:
        pair = _pair(push)
        return pair is not None and self._known.get(pair) == _digest(push.content)


def _pair(push: ChatRedirectToUser) -> tuple[UserId, int] | None:
    if push.from_user is None or push.msg_id is None:
        return None
    return push.from_user, push.msg_id


def _digest(content: str) -> bytes:
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest()
