"""What each user may want of the store, on all its connections and by HTTP together.

Who wants more is read more slowly; who goes on all the same is sent away until it is paid for.
Nothing that was taken is thrown away, so neither order nor certainty suffer.
"""

from __future__ import annotations

import heapq
from typing import Final

from ..bucket import Bucket, Buckets
from ..wire import UserId
from . import talk
from .costs import ENTRIES, cost_of, cost_of_status
from .desk import Desk, HubTimer
from .session import Session

#: What costs the store something, but for messages, which cost one each.
Costly = (
    talk.BroadcastAsked
    | talk.ReadAsked
    | talk.StatusAsked
    | talk.CallRequested
    | talk.SyncAsked
    | talk.TypingAsked
)
#: The longest that somebody is sent away for it, in seconds.
LONGEST: Final = 60.0
#: A debt that is paid in less than this, in seconds, is a rounding.
TICK: Final = 1e-6


class Rates:
    """See the module.

    Args:
        desk: of the hub.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rate = desk.config.messages_per_second
        self._burst = float(desk.config.message_burst)
        #: they outlive the log-out: nobody gets a full one by coming back
        self._buckets: Buckets[UserId] = Buckets(self._rate, self._burst)
        #: by user: the connections that are not read
        self._paused: dict[UserId, dict[int, None]] = {}
        #: (when it may be paid, a number that tells equal ones apart, user), a user once …
        self._due: list[tuple[float, int, UserId]] = []
        #: … namely these, and some that have left since
        self._expected: set[UserId] = set()
        self._number = 0

    def afford(self, session: Session, price: float) -> bool:
        """Take so much if it leaves no debt. If not, nothing is taken: see `spend`."""
        bucket = self._bucket(session.user)
        if bucket.level(self._desk.now) < price:
            return False
        bucket.take(self._desk.now, price)
        return True

    def spend(self, session: Session, price: float) -> talk.End | None:
        """A connection wants something. Returns how it ends for that, which is not to be done then;
        in debt it is done, and the next is read when it is paid."""
        bucket = self._bucket(session.user)
        refused = bucket.level(self._desk.now) <= -self._burst
        if refused or bucket.take(self._desk.now, price) < 0:
            self._pause(session, bucket)
        return self._sent_away(bucket) if refused else None

    def login(self, user: UserId) -> talk.End | None:
        """A user wants to log in. Returns how that ends, if it may not."""
        bucket = self._bucket(user)
        if bucket.level(self._desk.now) <= -self._burst:
            return self._sent_away(bucket)
        bucket.take(self._desk.now, cost_of("log-in"))
        return None

    def logged_in(self, session: Session) -> None:
        """… and is pushed what it has not acknowledged."""
        pushed = min(session.head - session.sent, self._desk.config.unacked)
        cost = min(pushed / ENTRIES, self._burst / 2)  # nobody is kept out by his own mailbox
        self._bucket(session.user).take(self._desk.now, cost)

    def call(self, user: UserId, op: str) -> float:
        """A user wants something by HTTP, where nobody can be read more slowly. Returns 0 if it
        gets it, else the seconds until it may ask again."""
        now, bucket = self._desk.now, self._bucket(user)
        cost = min(cost_of(op), self._burst)
        lacking = cost - bucket.level(now)
        if lacking > 0:
            return min(lacking / self._rate, LONGEST)
        bucket.take(now, cost)
        return 0.0

    def left(self, session: Session) -> None:
        """The session is over."""
        paused = self._paused.get(session.user, {})
        if paused.pop(session.connection, 0) is None and not paused:
            del self._paused[session.user]
            self._arm()

    def read_on(self) -> None:
        """Some have paid."""
        now = self._desk.now
        while self._due and self._due[0][0] <= now:
            user = self._next()
            if user not in self._paused:
                continue
            wait = self._bucket(user).wait(now)
            if wait > TICK:  # it took more meanwhile
                self._expect(user, wait)
                continue
            for connection in self._paused.pop(user):
                self._desk.tell(connection, talk.Pause(why=talk.Why.USER_RATE, paused=False))
        self._arm()

    # ------------------------------------------------------------ small things

    def _bucket(self, user: UserId) -> Bucket:
        return self._buckets.of(user, self._desk.now)

    def _pause(self, session: Session, bucket: Bucket) -> None:
        paused = self._paused.setdefault(session.user, {})
        if session.connection in paused:
            return
        paused[session.connection] = None
        self._desk.tell(session.connection, talk.Pause(why=talk.Why.USER_RATE, paused=True))
        if session.user not in self._expected:
            self._expect(session.user, bucket.wait(self._desk.now))
        self._arm()

    def _expect(self, user: UserId, wait: float) -> None:
        self._number += 1
        self._expected.add(user)
        heapq.heappush(self._due, (self._desk.now + wait, self._number, user))

    def _next(self) -> UserId:
        _, _, user = heapq.heappop(self._due)
        self._expected.discard(user)
        return user

    def _arm(self) -> None:
        while self._due and self._due[0][2] not in self._paused:
            self._next()
        if self._due:
            self._desk.timers.set(HubTimer.RATES, self._due[0][0])
        else:
            self._desk.timers.cancel(HubTimer.RATES)

    def _sent_away(self, bucket: Bucket) -> talk.End:
        wait = min(bucket.wait(self._desk.now), LONGEST)
        return talk.End(code=4009, reason="too much at once", retry_after=wait)


def cost(session: Session, wish: Costly) -> float:
    """What a wish costs, in messages."""
    match wish:
        case talk.StatusAsked():
            return cost_of_status(len(wish.msg_ids))
        case talk.CallRequested():
            return cost_of(wish.op)
        case talk.SyncAsked():  # what was pushed behind it is read and pushed again
            return 1.0 + max(0, session.sent - max(wish.after, session.acked)) // ENTRIES
        case _:
            return 1.0
