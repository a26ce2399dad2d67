"""What becomes of the messages that come in: repeats, holes, and telling the server how far."""

from __future__ import annotations

from typing import Final

from ..config import ClientConfig
from ..timers import Timers
from ..wire import AuthData, ChatAck, ChatRedirectToUser, SyncRequest, SyncResponse
from . import events as ev
from .effects import Effects, Trouble
from .incoming import Inbox, Seen
from .timers import Timer

#: Handled messages are acknowledged at once when no other is being handled, else in such steps.
ACK_EVERY: Final = 32
#: … and never later than so many seconds after they were handled.
ACK_DELAY: Final = 0.2
#: While an answer is awaited the socket is read, whatever waits for the application. Beyond so
#: many times `max_unhandled`, but not below so many messages, the oldest go even with
#: `when_full="block"`.
HARD_FACTOR: Final = 10
HARD_LIMIT: Final = 10_000


class Receiving:
    """The incoming half of a client."""

    def __init__(self, config: ClientConfig, fx: Effects, timers: Timers[Timer]) -> None:
        self._config = config
        self._fx = fx
        self._timers = timers
        self._numbered = False
        self._syncing = False
        #: where the last hole was, and how often it was met there without progress
        self._hole = (-1, 0)
        self.inbox = Inbox(config.known_pairs)
        self._behind = False
        limit = config.max_unhandled
        self._limit = limit
        hard = max(limit * HARD_FACTOR, HARD_LIMIT)
        self._most = limit if config.when_full == "drop_oldest" else hard

    def online(self, data: AuthData, *, numbered: bool) -> bool:
        """Logged in; `numbered`: the server granted `seq`. Did it resume where we were?"""
        self._numbered = numbered and data.epoch is not None
        self._syncing = False
        if not self._numbered or data.epoch is None:
            return False
        if data.resume == "reset":
            self._reset(data.epoch, data.oldest or 1)
            return False
        self.inbox.logged_in(data.epoch, data.seq)
        if data.resume == "recovered":
            self._fx.counters.resumed += 1
            return True
        return False

    def offline(self) -> None:
        """The link is gone."""
        self._numbered = self._syncing = False
        self._timers.cancel(Timer.SYNC)

    def pushed(self, push: ChatRedirectToUser) -> Trouble | None:
        """A message came in."""
        seen = self.inbox.look_at(push, numbered=self._numbered)
        if seen is Seen.HOLE:
            trouble = self._repair(push)
            if trouble is not None or self._syncing:
                return trouble
            seen = self.inbox.look_at(push, numbered=self._numbered)
        if seen is Seen.REPEAT:
            self._fx.counters.duplicates_suppressed += 1
            self._fx.notify(
                ev.DuplicateSuppressed(msg_id=push.msg_id, from_user=push.from_user, seq=push.seq)
            )
            return None
        delivery = self.inbox.deliver(push, numbered=self._numbered)
        self._fx.counters.received += 1
        self._fx.notify(
            ev.MessageReceived(
                delivery=delivery,
                content=push.content,
                from_user=push.from_user,
                session_id=push.session_id,
                msg_id=push.msg_id,
                message_type=push.message_type or "text",
                timestamp=push.timestamp,
                seq=push.seq,
            )
        )
        if self.inbox.waiting > self._most:
            self._drop_oldest()
        return None

    def _drop_oldest(self) -> None:
        dropped = self.inbox.drop_oldest()
        if dropped is not None:
            delivery, entry = dropped
            user, msg_id = entry.pair or (None, None)
            self._fx.notify(
                ev.MessageDropped(delivery=delivery, from_user=user, msg_id=msg_id, seq=entry.seq)
            )

    @property
    def syncing(self) -> bool:
        """The repair of a hole is awaited."""
        return self._syncing

    def look_behind(self) -> bool:
        """Is the application so far behind that no more should be read? With hysteresis, told."""
        if self._config.when_full != "block":
            return False
        behind = self.inbox.waiting > (self._limit // 2 if self._behind else self._limit - 1)
        if behind and not self._behind:
            self._fx.notify(ev.ReadingPaused(unhandled=self.inbox.waiting))
        elif self._behind and not behind:
            self._fx.notify(ev.ReadingResumed())
        self._behind = behind
        return behind

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

    def acknowledge(self, *, at_once: bool = False) -> None:
        """Tell the server how far the application is, not for every message alone."""
        inbox = self.inbox
        upto = min(inbox.handled, inbox.pushed)
        behind = upto - inbox.acked
        if not self._numbered or behind <= 0:
            return
        if at_once or not inbox.unsettled or behind >= ACK_EVERY:
            inbox.acked = upto
            self._fx.say(ChatAck(seq=upto))
            self._timers.cancel(Timer.ACK_OUT)
        elif self._timers.get(Timer.ACK_OUT) is None:
            self._timers.set(Timer.ACK_OUT, self._fx.now + ACK_DELAY)

    def _repair(self, push: ChatRedirectToUser) -> Trouble | None:
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
        assert push.seq is not None
        self.inbox.skip_to(push.seq)
        self._fx.notify(ev.MessagesMayBeMissing(oldest=push.seq))
        return None

    def _reset(self, epoch: str, oldest: int) -> None:
        self.inbox.reset(epoch, oldest)
        self._fx.notify(ev.MessagesMayBeMissing(oldest=oldest))
