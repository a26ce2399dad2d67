"""What becomes of what comes in: repeats, holes, what the application is told and when, and telling
the server how far.

With a journal a message is shown only when it is on disk that it may have been seen, so that the
next process can say that it comes again. What came behind it is shown behind it.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from ..config import ClientConfig
from ..timers import Timers
from ..wire import (
    AuthData,
    ChatAck,
    ChatRedirectToUser,
    ReadSync,
    ReceiptPush,
    SyncRequest,
    SyncResponse,
    Unknown,
)
from . import events as ev
from .effects import Effects, Trouble
from .incoming import Inbox, Seen
from .journal import JournalState
from .journaling import Journaling
from .made import message_received
from .timers import Timer

#: A handled message is acknowledged at once when no other is being handled and the last
#: acknowledgement is so many seconds old: each costs the server a transaction and the sender a
#: receipt. A server lets nobody say more than 100 messages a second unless it is told to.
ACK_PACE: Final = 0.01
#: Where many come, in such steps, and never in more than a quarter of what the server lets wait …
ACK_EVERY: Final = 128
#: … and never later than so many seconds after they were handled.
ACK_DELAY: Final = 0.2
#: Receipts and the like, for which nobody waits, with the next words, or so many seconds later.
QUIET_ACK_DELAY: Final = 1.0
#: While an answer is awaited the socket is read, whatever waits for the application. Beyond so
#: many times `max_unhandled`, but not below so many messages, the oldest go even with
#: `when_full="block"`.
HARD_FACTOR: Final = 10
HARD_LIMIT: Final = 10_000

#: By names of their own, as the classes take 50 ns to find one.
_REPEAT: Final = Seen.REPEAT
_HOLE: Final = Seen.HOLE
_ACK_OUT: Final = Timer.ACK_OUT
_chat_ack: Final = ChatAck.whole

#: What may stand in a mailbox, and has a number then.
Push = ChatRedirectToUser | ReceiptPush | ReadSync | Unknown


class Held:
    """An event that is not told yet: of which delivery (0: none), and what has to be on disk."""

    __slots__ = ("delivery", "event", "ticket")

    def __init__(self, event: ev.Event, delivery: int, ticket: int | None) -> None:
        self.event = event
        self.delivery = delivery
        #: None: that it may be seen is noted at the end of this step
        self.ticket = ticket


class Receiving:
    """The incoming half of a client.

    Args:
        device_id: this client's name at the server.
        journaling: the way to the journal.
        kept: what an earlier process has kept.
    """

    __slots__ = (
        "_ack_every", "_acked_at", "_behind", "_config", "_device_id", "_fx", "_held", "_hole",
        "_journaling", "_limit", "_most", "_most_open", "_new", "_numbered", "_syncing", "_timers",
        "inbox",
    )  # fmt: skip

    def __init__(
        self,
        config: ClientConfig,
        device_id: str,
        fx: Effects,
        timers: Timers[Timer],
        journaling: Journaling,
        kept: JournalState | None,
    ) -> None:
        self._config = config
        self._device_id = device_id
        self._fx = fx
        self._timers = timers
        self._journaling = journaling
        self._numbered = False
        self._ack_every = ACK_EVERY
        self._acked_at = -math.inf
        self._syncing = False
        #: where the last hole was, and how often it was met there without progress
        self._hole = (-1, 0)
        self.inbox = Inbox(config.known_pairs, journaling, kept)
        #: in the order of the mailbox; those of this step stand in `_new`
        self._held: deque[Held] | None = None
        self._new: list[Held] = []
        self._behind = False
        limit = config.max_unhandled
        self._limit = limit
        hard = max(limit * HARD_FACTOR, HARD_LIMIT)
        self._most = limit if config.when_full == "drop_oldest" else hard
        #: pushes of any kind that may wait: to be handled, to be shown, or for those before them
        self._most_open = 2 * hard

    def online(self, data: AuthData, *, numbered: bool) -> bool:
        """Logged in; `numbered`: the server granted `seq`. Did it resume where we were?"""
        self._numbered = numbered and data.epoch is not None
        self._syncing = False
        if not self._numbered or data.epoch is None:
            return False
        self._acked_at = -math.inf
        self._ack_every = ACK_EVERY
        if data.limits is not None:
            self._ack_every = min(ACK_EVERY, max(1, data.limits.unacked // 4))
        if data.resume == "reset":
            self._reset(data.epoch, data.oldest or 1)
            return False
        another = self.inbox.epoch not in (None, data.epoch)
        self.inbox.logged_in(data.epoch, data.seq)
        if another:  # a reset, whatever the server calls it
            self._show(ev.MessagesMayBeMissing(oldest=(data.seq or 0) + 1))
            return False
        if data.resume == "recovered":
            self._fx.counters.resumed += 1
            return True
        return False

    def offline(self) -> None:
        """The link is gone."""
        self._numbered = self._syncing = False
        self._timers.cancel(Timer.SYNC)

    # ------------------------------------------------------------ what comes in

    def pushed(self, push: Push) -> Trouble | None:
        """A push came in; one without a number is no less welcome."""
        inbox, numbered = self.inbox, self._numbered
        if len(inbox.unhandled) >= self._most_open:
            return Trouble.FLOOD
        seq = push.seq
        pair, own, said = None, False, None
        if isinstance(push, ChatRedirectToUser):
            from_user, msg_id = push.from_user, push.msg_id
            if from_user is not None and msg_id is not None:
                # by which the server knows the push at a seq; also of an own copy
                pair = (from_user, msg_id)
            own = push.to_user is not None and self._own_copy(push)
            said = None if own else (pair, push.content)
        seen = inbox.look_at(seq, said, numbered=numbered)
        if seen is _HOLE:
            assert seq is not None
            trouble = self._repair(seq)
            if trouble is not None or self._syncing:
                return trouble
            seen = inbox.look_at(seq, said, numbered=numbered)
        if seen is _REPEAT:
            self._fx.counters.duplicates_suppressed += 1
            user, number = getattr(push, "from_user", None), getattr(push, "msg_id", None)
            self._fx.notify(ev.DuplicateSuppressed(msg_id=number, from_user=user, seq=seq))
            return None
        delivery = inbox.new_delivery()
        event: ev.Event | None
        if isinstance(push, ChatRedirectToUser) and not own:
            event = self._message(push, delivery)
            entry = inbox.deliver(delivery, seq, pair, event, numbered=numbered)
            self._fx.counters.received += 1
            if not self._journaling.on and not self._held and not self._new:
                entry.shown = True  # what `_show` comes to where nothing waits
                self._fx.notify(event)
            else:
                self._show(event, delivery)
        else:
            event = self._other(push)
            inbox.deliver(delivery, seq, pair, None, numbered=numbered)
            if event is None:
                inbox.show(delivery, None)
                return None
            self._show(event, delivery)
        if inbox.waiting > self._most:
            self._drop_oldest()
        return None

    def _message(self, push: ChatRedirectToUser, delivery: int) -> ev.MessageReceived:
        # all at once, which takes a third of the time: a message holds its fields in order
        content, msg_id, from_user, session_id, kind, timestamp, seq, _, _ = push.__dict__.values()
        if not self._numbered:
            seq = None
        again = seq is not None and seq <= self.inbox.seen_before
        return message_received(
            delivery, content, from_user, session_id, msg_id, kind or "text", timestamp, seq, again
        )

    def _own_copy(self, push: ChatRedirectToUser) -> bool:
        """Has a device of this user sent it? A message to oneself is one that was received."""
        me = self._config.user_id
        return push.seq is not None and push.from_user == me and push.to_user != me

    def _other(self, push: Push) -> ev.Event | None:
        """What the application hears of a push that is no message for it; None: nothing."""
        if isinstance(push, ReceiptPush):
            return ev.ReceiptReceived(
                msg_ids=tuple(push.msg_ids),
                user=push.user,
                status=push.status,
                session_id=push.session_id,
                timestamp=push.timestamp,
            )
        if isinstance(push, ReadSync):
            return ev.ReadElsewhere(from_user=push.from_user, msg_id=push.msg_id)
        if isinstance(push, Unknown):
            return ev.UnknownMessage(kind=push.kind)
        assert push.seq is not None and push.to_user is not None
        if push.device_id == self._device_id:
            return None
        return ev.OwnMessage(
            to_user=push.to_user,
            content=push.content,
            session_id=push.session_id,
            msg_id=push.msg_id,
            message_type=push.message_type or "text",
            timestamp=push.timestamp,
            seq=push.seq,
        )

    # ------------------------------------------------------------ what the application is told

    def _show(self, event: ev.Event, delivery: int = 0) -> None:
        """Tell, as soon as the journal lets us, and in the order of the mailbox."""
        waits = False
        if self._journaling.on and isinstance(event, ev.MessageReceived):
            waits = event.seq is not None and not event.redelivered
        if waits or self._new or self._held:
            self._new.append(Held(event, delivery, None if waits else 0))
        else:
            self._tell(event, delivery)

    def settle(self) -> None:
        """Have it noted what this step shows, and tell what may be told by now."""
        if self._new:
            if any(held.ticket is None for held in self._new):
                ticket = self.inbox.offer()
                for held in self._new:
                    held.ticket = ticket
            if self._held is None:
                self._held = deque()
            self._held.extend(self._new)
            self._new.clear()
        waiting = self._held
        while waiting and (waiting[0].ticket or 0) <= self._journaling.written:
            held = waiting.popleft()
            self._tell(held.event, held.delivery)

    def _tell(self, event: ev.Event, delivery: int) -> None:
        told = event if delivery == 0 else self.inbox.show(delivery, event)
        if told is not None:
            self._fx.notify(told)

    def _drop_oldest(self) -> None:
        dropped = self.inbox.drop_oldest()
        if dropped is not None:
            delivery, entry = dropped
            user, msg_id = entry.pair or (None, None)
            self._fx.notify(
                ev.MessageDropped(delivery=delivery, from_user=user, msg_id=msg_id, seq=entry.seq)
            )

    def handled(self, delivery: int) -> None:
        """The application is done with a delivery."""
        self.inbox.handle(delivery)

    def failed(self, delivery: int) -> None:
        """The application has failed on a delivery: once more, unless that was enough."""
        again = self.inbox.fail(delivery, self._config.handler_attempts)
        if again is not None:
            self._fx.notify(again)
            return
        message = self.inbox.handle(delivery)
        if message is not None:
            self._fx.notify(
                ev.MessageUndeliverable(
                    delivery=delivery,
                    content=message.content,
                    from_user=message.from_user,
                    session_id=message.session_id,
                    msg_id=message.msg_id,
                    message_type=message.message_type,
                    timestamp=message.timestamp,
                    seq=message.seq,
                    attempts=message.attempt,
                )
            )

    @property
    def held(self) -> int:
        """How much the application is not told of, as the journal has to know of it first."""
        return len(self._held or ())

    @property
    def untold(self) -> bool:
        """Is there something that `settle` may tell?"""
        return bool(self._new) or bool(self._held)

    @property
    def syncing(self) -> bool:
        """The repair of a hole is awaited."""
        return self._syncing

    def look_behind(self) -> bool:
        """Is the application so far behind that no more should be read? With hysteresis, told."""
        if not self._behind and self.inbox.waiting < self._limit:
            return False
        if self._config.when_full != "block":
            return False
        behind = self.inbox.waiting > (self._limit // 2 if self._behind else self._limit - 1)
        if behind and not self._behind:
            self._fx.notify(ev.ReadingPaused(unhandled=self.inbox.waiting))
        elif self._behind and not behind:
            self._fx.notify(ev.ReadingResumed())
        self._behind = behind
        return behind

    # ------------------------------------------------------------ what the server is told

    def acknowledge(self, *, at_once: bool = False) -> None:
        """Tell the server how far the application is, not for every message alone."""
        inbox = self.inbox
        if inbox.handled <= inbox.acked or not self._numbered:
            return
        upto = inbox.to_acknowledge()
        behind = upto - inbox.acked
        if behind <= 0:
            return
        now = self._fx.now
        if inbox.unsettled:
            at = now + ACK_DELAY
        elif self._fx.envelopes:
            at = now
        elif inbox.awaited > inbox.acked:
            at = self._acked_at + ACK_PACE
        else:
            at = now + QUIET_ACK_DELAY
        if at_once or at <= now or behind >= self._ack_every:
            inbox.acked = upto
            self._acked_at = now
            self._fx.say(_chat_ack({"seq": upto}))
            self._timers.cancel(_ACK_OUT)
            return
        before = self._timers.get(_ACK_OUT)
        if before is None or at < before:
            self._timers.set(_ACK_OUT, at)

    # ------------------------------------------------------------ holes

    def synced(self, response: SyncResponse) -> None:
        """SYNC_RESPONSE came: the pushes go on behind the hole, or from the oldest held."""
        if not self._syncing:
            return
        self._syncing = False
        self._timers.cancel(Timer.SYNC)
        if response.status == "reset" and self.inbox.epoch is not None:
            self._reset(response.epoch or self.inbox.epoch, response.oldest)

    def sync_overdue(self) -> Trouble:
        """SYNC_REQUEST was not answered: no progress."""
        self._hole = (self._hole[0], self._hole[1] + 1)
        return Trouble.HOLE

    def _repair(self, seq: int) -> Trouble | None:
        """A hole: ask once; without progress reconnect; then go on without (section 2)."""
        if self._syncing:
            return None
        at = self.inbox.received or 0
        place, times = self._hole
        times = times + 1 if place == at else 1
        self._hole = (at, times)
        if times == 1:
            self._syncing = True
            self._timers.set(Timer.SYNC, self._fx.now + self._config.timeouts.ack)
            self._fx.say(SyncRequest(after=at))
            return None
        if times == 2:
            return Trouble.HOLE
        self.inbox.skip_to(seq)
        self._show(ev.MessagesMayBeMissing(oldest=seq))
        return None

    def _reset(self, epoch: str, oldest: int) -> None:
        self.inbox.reset(epoch, oldest)
        self._show(ev.MessagesMayBeMissing(oldest=oldest))
