"""Messages on their way out: order, window, and what is known of each.

The unit of order is the conversation, that is the recipient. A message leaves here in one of five
ways: accepted, rejected, cancelled, expired, or in doubt.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator

from ..wire import UserId
from .message import Outgoing
from .turns import PRIORITIES, Priority, Turns


class _Conversation:
    __slots__ = ("counts", "in_flight", "listed", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Outgoing] = deque()
        #: of those that wait, by priority
        self.counts = dict.fromkeys(PRIORITIES, 0)
        self.in_flight = 0
        #: with this priority it stands among the conversations that may send
        self.listed: Priority | None = None

    @property
    def priority(self) -> Priority:
        """The highest of what waits: a message can't go before those ahead of it, so they all
        hurry."""
        return next((name for name in PRIORITIES if self.counts[name]), "low")

    def put(self, place: int, message: Outgoing) -> None:
        self.waiting.insert(place, message)
        self.counts[message.priority] += 1

    def take(self) -> Outgoing:
        message = self.waiting.popleft()
        self.counts[message.priority] -= 1
        return message

    def remove(self, message: Outgoing) -> None:
        self.waiting.remove(message)
        self.counts[message.priority] -= 1


class Outbox:
    """All messages without an end, in conversations that take turns."""

    def __init__(self) -> None:
        self._by_ref: dict[int, Outgoing] = {}
        #: UTF-8 bytes of all contents
        self.bytes = 0
        #: what no transport ever had, the oldest first
        self._untouched: dict[Priority, OrderedDict[int, Outgoing]] = {
            name: OrderedDict() for name in PRIORITIES
        }
        self._conversations: dict[UserId, _Conversation] = {}
        self._turns = Turns()
        #: by msgId, in the order they were handed over
        self._in_flight: dict[int, Outgoing] = {}
        #: by ref, in the order of their turns: they have a place in the window, and are handed over
        #: when the journal has that
        self._turn_has_come: dict[int, Outgoing] = {}
        #: conversations that wait for a retry's time
        self._resting: dict[UserId, float] = {}
        #: conversations that wait until the server has said what became of what was sent before
        self._held: set[UserId] = set()
        #: 1 against a plain server; None: no limit per conversation
        self.per_conversation: int | None = 1
        self._places = 0

    def __len__(self) -> int:
        return len(self._by_ref)

    def __contains__(self, ref: int) -> bool:
        return ref in self._by_ref

    @property
    def in_flight(self) -> int:
        """How many were handed over on this link and are unanswered."""
        return len(self._in_flight)

    def __getitem__(self, ref: int) -> Outgoing:
        return self._by_ref[ref]

    def get(self, ref: int) -> Outgoing | None:
        """The message of that ref, if it has no end yet."""
        return self._by_ref.get(ref)

    def unanswered(self, msg_id: int) -> Outgoing | None:
        """The message in flight with that msgId."""
        return self._in_flight.get(msg_id)

    def all_unanswered(self) -> Iterator[Outgoing]:
        """What is in flight, the oldest first."""
        return iter(self._in_flight.values())

    def all_unsure(self) -> list[Outgoing]:
        """What may have arrived over a link that is gone, and waits to go out again."""
        return [m for m in self._by_ref.values() if m.unsure and m.state == "unconfirmed"]

    @property
    def oldest(self) -> Outgoing | None:
        """The message that has been in flight longest."""
        return next(iter(self._in_flight.values()), None)

    def to_hand_over(self) -> list[Outgoing]:
        """Those whose turn has come, in that order."""
        return list(self._turn_has_come.values())

    def has_turn(self, message: Outgoing) -> bool:
        """Has its turn come?"""
        return message.ref in self._turn_has_come

    def is_held(self, user: UserId) -> bool:
        """Does that conversation wait for the status of what was sent before?"""
        return user in self._held

    def untouched(self, priorities: Iterable[Priority]) -> Iterator[Outgoing]:
        """Of these priorities, one after the other: what no transport ever had, oldest first."""
        for name in priorities:
            yield from self._untouched[name].values()

    def ahead_of(self, message: Outgoing) -> int:
        """How many of its conversation go before it."""
        conversation = self._conversations[message.to_user]
        if message.state == "in_flight" or message.ref in self._turn_has_come:
            return 0
        return conversation.in_flight + conversation.waiting.index(message)

    def add(self, message: Outgoing) -> None:
        """Take a new message, behind the others of its conversation."""
        self._places += 1
        message.place = self._places
        self._by_ref[message.ref] = message
        self.bytes += message.size
        if message.handed_at is None:
            self._untouched[message.priority][message.ref] = message
        conversation = self._conversations.setdefault(message.to_user, _Conversation())
        conversation.put(len(conversation.waiting), message)
        self._list(message.to_user)

    def take(self, *, window: int) -> Outgoing | None:
        """The next message whose turn it is; None when the window is full or none may go.

        It has its place in the window now: follow with `hand_over`, at once or later.
        """
        if len(self._in_flight) + len(self._turn_has_come) >= window or not self._turns:
            return None
        user = self._turns.next()
        conversation = self._conversations[user]
        conversation.listed = None
        message = conversation.take()
        conversation.in_flight += 1
        self._turn_has_come[message.ref] = message
        self._untouched[message.priority].pop(message.ref, None)
        self._list(user)
        return message

    def hand_over(self, message: Outgoing, now: float) -> None:
        """A message whose turn has come goes to the transport."""
        message.to("handed_over")
        del self._turn_has_come[message.ref]
        message.sends += 1
        message.sent_at = now
        if message.first_at is None:
            message.first_at = now
        message.not_before = None
        self._in_flight[message.msg_id] = message

    def finish(self, message: Outgoing, event: str) -> None:
        """It has its end: `acked`, `found`, `refused`, `cancel`, `expire` or `certainty_lost`."""
        was = message.state
        message.to(event)
        conversation = self._conversations[message.to_user]
        if was == "in_flight":
            self._land(message)
        elif self._turn_has_come.pop(message.ref, None) is not None:
            conversation.in_flight -= 1
        else:
            conversation.remove(message)
        del self._by_ref[message.ref]
        self.bytes -= message.size
        self._untouched[message.priority].pop(message.ref, None)
        if not conversation.waiting and not conversation.in_flight:
            del self._conversations[message.to_user]
            self._resting.pop(message.to_user, None)
            if conversation.listed is not None:
                self._turns.leave(message.to_user, conversation.listed)
        else:
            self._list(message.to_user)

    def retry(self, message: Outgoing, not_before: float | None) -> None:
        """Back to the front of its conversation, which rests until `not_before` if there is one."""
        message.to("retry_asked")
        message.unsure = False
        self._land(message)
        message.not_before = not_before
        self._put_back(message)
        if not_before is not None:
            self._resting[message.to_user] = not_before
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
        returned = [*self._in_flight.values(), *self._turn_has_come.values()]
        self._in_flight.clear()
        self._turn_has_come.clear()
        for message in reversed(returned):
            self._conversations[message.to_user].in_flight = 0
            self._put_back(message)
        for user in dict.fromkeys(message.to_user for message in returned):
            self._list(user)

    def hold(self, users: set[UserId]) -> None:
        """These conversations, and no others, wait for the status of what was sent before."""
        changed, self._held = self._held ^ users, users
        # in the order of the conversations: that of a set is another one in each process
        for user in [user for user in self._conversations if user in changed]:
            self._list(user)

    def wake(self, now: float) -> None:
        """Conversations whose rest is over may send again."""
        for user in [user for user, at in self._resting.items() if at <= now]:
            del self._resting[user]
            self._list(user)

    def next_wake(self) -> float | None:
        """When the first rest is over."""
        return min(self._resting.values(), default=None)

    def relist(self) -> None:
        """Look at every conversation again: `per_conversation` has changed."""
        for user in self._conversations:
            self._list(user)

    def _put_back(self, message: Outgoing) -> None:
        """Where it was among the others of its conversation: at the front, or nearly so."""
        conversation = self._conversations[message.to_user]
        before = 0
        for other in conversation.waiting:
            if other.place > message.place:
                break
            before += 1
        conversation.put(before, message)

    def _land(self, message: Outgoing) -> None:
        del self._in_flight[message.msg_id]
        self._conversations[message.to_user].in_flight -= 1

    def _list(self, user: UserId) -> None:
        conversation = self._conversations[user]
        limit = self.per_conversation
        may = (
            bool(conversation.waiting)
            and user not in self._resting
            and user not in self._held
            and (limit is None or conversation.in_flight < limit)
        )
        wanted = conversation.priority if may else None
        if wanted == conversation.listed:
            return
        if conversation.listed is not None:
            self._turns.leave(user, conversation.listed)
        if wanted is not None:
            self._turns.join(user, wanted)
        conversation.listed = wanted
