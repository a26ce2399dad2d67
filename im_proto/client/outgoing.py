"""Messages on their way out: order, window, and what is known of each.

The unit of order is the conversation, that is the recipient. A message leaves here in one of five
ways: accepted, rejected, cancelled, expired, or in doubt.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from ..wire import UserId
from .message import Outgoing
from .turns import PRIORITIES, Priority, Turns


class _Conversation:
    __slots__ = ("counts", "in_flight", "listed", "waiting")

    def __init__(self) -> None:
        #: by ref, in order: any of them may be withdrawn
        self.waiting: OrderedDict[int, Outgoing] = OrderedDict()
        #: of those that wait, by priority
        self.counts: dict[Priority, int] = {}
        self.in_flight = 0
        #: with this priority it stands among the conversations that may send
        self.listed: Priority | None = None

    @property
    def priority(self) -> Priority:
        """The highest of what waits: a message can't go before those ahead of it, so they all
        hurry."""
        counts = self.counts
        for name in PRIORITIES:
            if counts.get(name):
                return name
        return "low"

    def add(self, message: Outgoing) -> None:
        self.waiting[message.ref] = message
        self.counts[message.priority] = self.counts.get(message.priority, 0) + 1

    def put_back(self, message: Outgoing) -> None:
        """Where it was among the others: at the front, or nearly so."""
        before = []
        for other in self.waiting.values():
            if other.place > message.place:
                break
            before.append(other.ref)
        self.add(message)
        for ref in (message.ref, *reversed(before)):
            self.waiting.move_to_end(ref, last=False)

    def take(self) -> Outgoing:
        _, message = self.waiting.popitem(last=False)
        self.counts[message.priority] -= 1
        return message

    def remove(self, message: Outgoing) -> None:
        del self.waiting[message.ref]
        self.counts[message.priority] -= 1


class Outbox:
    """All messages without an end, in conversations that take turns.

    Args:
        drops: messages may have to go for others, so it is kept which of them can (`untouched`).
    """

    __slots__ = (
        "_conversations", "_drops", "_held", "_in_flight", "_places", "_resting", "_untouched",
        "by_ref", "bytes", "moved", "per_conversation", "touched", "turn_has_come", "turns",
        "wake_at",
    )  # fmt: skip

    def __init__(self, *, drops: bool = True) -> None:
        self._drops = drops
        self.by_ref: dict[int, Outgoing] = {}
        #: UTF-8 bytes of all contents
        self.bytes = 0
        #: what no transport ever had, the oldest first
        self._untouched: dict[Priority, OrderedDict[int, Outgoing]] = {}
        self._conversations: dict[UserId, _Conversation] = {}
        #: conversations that may send, if the window lets them
        self.turns = Turns()
        #: by msgId, in the order they were handed over; a dict would look for its first through
        #: all gaps, at the end of each step
        self._in_flight: OrderedDict[int, Outgoing] = OrderedDict()
        #: by ref, in the order of their turns: they have a place in the window, and are handed over
        #: when the journal has that
        self.turn_has_come: dict[int, Outgoing] = {}
        #: conversations that wait for a retry's time
        self._resting: dict[UserId, float] = {}
        #: when the first of them may go on; None: there is none
        self.wake_at: float | None = None
        #: a message has come or gone, since somebody has looked
        self.touched = False
        #: … or `oldest` or `wake_at` may be another one
        self.moved = False
        #: conversations that wait until the server has said what became of what was sent before
        self._held: set[UserId] = set()
        #: 1 against a plain server; None: no limit per conversation
        self.per_conversation: int | None = 1
        self._places = 0

    def __len__(self) -> int:
        return len(self.by_ref)

    def __contains__(self, ref: int) -> bool:
        return ref in self.by_ref

    @property
    def in_flight(self) -> int:
        """How many were handed over on this link and are unanswered."""
        return len(self._in_flight)

    def __getitem__(self, ref: int) -> Outgoing:
        return self.by_ref[ref]

    def get(self, ref: int) -> Outgoing | None:
        """The message of that ref, if it has no end yet."""
        return self.by_ref.get(ref)

    def unanswered(self, msg_id: int) -> Outgoing | None:
        """The message in flight with that msgId."""
        return self._in_flight.get(msg_id)

    def all_unanswered(self) -> Iterator[Outgoing]:
        """What is in flight, the oldest first."""
        return iter(self._in_flight.values())

    def all_unsure(self) -> list[Outgoing]:
        """What may have arrived over a link that is gone, and waits to go out again."""
        return [m for m in self.by_ref.values() if m.unsure and m.state == "unconfirmed"]

    @property
    def oldest(self) -> Outgoing | None:
        """The message that has been in flight longest."""
        return next(iter(self._in_flight.values()), None)

    def to_hand_over(self) -> list[Outgoing]:
        """Those whose turn has come, in that order."""
        return list(self.turn_has_come.values())

    def has_turn(self, message: Outgoing) -> bool:
        """Has its turn come?"""
        return message.ref in self.turn_has_come

    def is_held(self, user: UserId) -> bool:
        """Does that conversation wait for the status of what was sent before?"""
        return user in self._held

    def untouched(self, priorities: Iterable[Priority]) -> Iterator[Outgoing]:
        """Of these priorities, one after the other: what no transport ever had, oldest first.
        Nothing without `drops`."""
        for name in priorities:
            if name in self._untouched:
                yield from self._untouched[name].values()

    def ahead_of(self, message: Outgoing) -> int:
        """How many of its conversation go before it."""
        conversation = self._conversations[message.to_user]
        if message.state == "in_flight" or message.ref in self.turn_has_come:
            return 0
        return conversation.in_flight + list(conversation.waiting).index(message.ref)

    def add(self, message: Outgoing) -> None:
        """Take a new message, behind the others of its conversation."""
        user, priority = message.to_user, message.priority
        self._places += 1
        message.place = self._places
        self.by_ref[message.ref] = message
        self.bytes += message.size
        self.touched = True
        if self._drops and message.handed_at is None:
            untouched = self._untouched.get(priority)
            if untouched is None:
                untouched = self._untouched[priority] = OrderedDict()
            untouched[message.ref] = message
        conversation = self._conversations.get(user)
        if conversation is None:
            conversation = self._conversations[user] = _Conversation()
        conversation.add(message)
        if conversation.listed != priority:  # else it stands where it has to, and goes on to
            self._list(user, conversation)

    def take(self, *, window: int) -> list[Outgoing]:
        """The messages whose turn it is, in that order, until the window is full.

        They have their places in the window now: follow with `hand_over`, at once or later.
        """
        turns, limit = self.turns, self.per_conversation
        taken: list[Outgoing] = []
        room = window - len(self._in_flight) - len(self.turn_has_come)
        while room > 0 and turns.waiting:
            room -= 1
            user = turns.next()
            conversation = self._conversations[user]
            priority, conversation.listed = conversation.listed, None
            message = conversation.take()
            taken.append(message)
            conversation.in_flight += 1
            self.turn_has_come[message.ref] = message
            untouched = self._untouched.get(message.priority)
            if untouched is not None:
                untouched.pop(message.ref, None)
            # as in `_list`: what was listed neither rests nor is held
            if conversation.waiting and (limit is None or conversation.in_flight < limit):
                if priority is None or not conversation.counts[priority]:
                    priority = conversation.priority
                turns.join(user, priority)
                conversation.listed = priority
        return taken

    def hand_over(self, message: Outgoing, now: float) -> None:
        """A message whose turn has come goes to the transport."""
        message.to("handed_over")
        del self.turn_has_come[message.ref]
        message.sends += 1
        message.sent_at = now
        if message.first_at is None:
            message.first_at = now
        message.not_before = None
        self._in_flight[message.msg_id] = message
        self.moved = True

    def finish(self, message: Outgoing, event: str) -> None:
        """It has its end: `acked`, `found`, `refused`, `cancel`, `expire` or `certainty_lost`."""
        was = message.state
        message.to(event)
        user = message.to_user
        conversation = self._conversations[user]
        if was == "in_flight":
            del self._in_flight[message.msg_id]
            conversation.in_flight -= 1
        elif self.turn_has_come.pop(message.ref, None) is not None:
            conversation.in_flight -= 1
        else:
            conversation.remove(message)
            untouched = self._untouched.get(message.priority)
            if untouched is not None:
                untouched.pop(message.ref, None)
        del self.by_ref[message.ref]
        self.bytes -= message.size
        self.touched = self.moved = True
        if not conversation.waiting and not conversation.in_flight:
            del self._conversations[user]
            if self._resting and self._resting.pop(user, None) == self.wake_at:
                self._find_wake()
            if conversation.listed is not None:
                self.turns.leave(user, conversation.listed)
        elif was != "in_flight" or self.per_conversation is not None:
            self._list(user, conversation)

    def retry(self, message: Outgoing, not_before: float | None) -> None:
        """Back to the front of its conversation, which rests until `not_before` if there is one."""
        message.to("retry_asked")
        message.unsure = False
        self._land(message)
        message.not_before = not_before
        self._put_back(message)
        if not_before is not None:
            self._resting[message.to_user] = not_before
            self.moved = True
            if self.wake_at is None or not_before < self.wake_at:
                self.wake_at = not_before
        self._list(message.to_user)

    def renumber(self, message: Outgoing, msg_id: int) -> None:
        """Back to the front under a new msgId (protocol.md section 2, code 40900)."""
        message.to("renumbered")
        message.unsure = False
        self._land(message)
        message.renumbered = True
        message.msg_id = msg_id
        message.dirty = True
        self._put_back(message)
        self._list(message.to_user)

    def link_lost(self) -> None:
        """All that was in flight, or about to be, goes back to the front of its conversation, in
        order."""
        for message in self._in_flight.values():
            message.to("link_lost")
            message.unsure = True
        returned = [*self._in_flight.values(), *self.turn_has_come.values()]
        self._in_flight.clear()
        self.turn_has_come.clear()
        self.moved = True
        for message in reversed(returned):
            self._conversations[message.to_user].in_flight = 0
            self._put_back(message)
        for user in dict.fromkeys(message.to_user for message in returned):
            self._list(user)

    def hold(self, users: set[UserId]) -> None:
        """These conversations, and no others, wait for the status of what was sent before."""
        changed, self._held = self._held ^ users, users
        if not changed:
            return
        # in the order of the conversations: that of a set is another one in each process
        for user in [user for user in self._conversations if user in changed]:
            self._list(user)

    def wake(self, now: float) -> None:
        """Conversations whose rest is over may send again."""
        for user in [user for user, at in self._resting.items() if at <= now]:
            del self._resting[user]
            self._list(user)
        self._find_wake()

    def _find_wake(self) -> None:
        self.moved = True
        self.wake_at = min(self._resting.values(), default=None)

    def relist(self) -> None:
        """Look at every conversation again: `per_conversation` has changed."""
        for user in self._conversations:
            self._list(user)

    def _put_back(self, message: Outgoing) -> None:
        self._conversations[message.to_user].put_back(message)

    def _land(self, message: Outgoing) -> None:
        del self._in_flight[message.msg_id]
        self.moved = True
        self._conversations[message.to_user].in_flight -= 1

    def _list(self, user: UserId, conversation: _Conversation | None = None) -> None:
        conversation = conversation or self._conversations[user]
        limit = self.per_conversation
        may = (
            bool(conversation.waiting)
            and user not in self._resting
            and user not in self._held
            and (limit is None or conversation.in_flight < limit)
        )
        wanted = conversation.priority if may else None
        listed = conversation.listed
        if wanted == listed:
            return
        if listed is not None:
            self.turns.leave(user, listed)
        if wanted is not None:
            self.turns.join(user, wanted)
        conversation.listed = wanted
