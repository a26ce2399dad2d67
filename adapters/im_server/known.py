"""What the writer knows of the tables without a look: what it has looked up and written itself.

In the steady state a commit looks nothing up, which saves a third of it. Whoever else writes says
whom he has touched, or all is forgotten; after an error, too. What has been forgotten is looked up
again, so that nothing but time depends on what is here.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter
from typing import Final

from im_proto.server.planning import Plan, new_tuple
from im_proto.server.rows import Awaiting, BookSession, Device, Mailbox, Pair
from im_proto.server.session_rules import NO_BOOK
from im_proto.wire import UserId

__all__ = ["Known"]

#: The most users of whom anything is known: some 10 MB. Then all are forgotten.
_USERS: Final = 10_000
#: The most messages to one user that are known not to be delivered.
_WAITING: Final = 1024
_SEQ: Final = attrgetter("seq")


class KnownUser:
    """What is known of one user.

    Attributes:
        mailbox: None: not known, or there is none.
        devices: those that exist, of those that were looked for.
        others: of these devices it is known whether the user has yet another one with a name.
        highest: the highest msg_id of any message of this user; 0 for none, None: not known.
        since: above this seq, every message to this user that wants a receipt, and is not
            delivered, stands in `waiting`, in order.
    """

    __slots__ = ("devices", "highest", "mailbox", "others", "since", "waiting")

    def __init__(self) -> None:
        self.mailbox: Mailbox | None = None
        self.devices: dict[str, Device] = {}
        self.others: dict[str, bool] = {}
        self.highest: int | None = None
        self.since = 0
        self.waiting: list[Awaiting] = []

    def upto(self, seq: int) -> int:
        """How many of those that wait have no higher seq. In a commit of one, a look at each of a
        thousand would be a third of the time."""
        return bisect_right(self.waiting, seq, key=_SEQ)


class Known:
    """See the module. Belongs to the thread that writes."""

    def __init__(self) -> None:
        self.users: dict[UserId, KnownUser] = {}
        #: by id, and of each pair the newest chat without a book
        self.sessions: dict[int, BookSession] = {}
        self.chats: dict[Pair, BookSession] = {}
        #: the highest row number that was ever given to a message
        self.last_row: int | None = None

    # ---- what is not known any more

    def forget(self) -> None:
        """All of it."""
        self.users.clear()
        self.forget_sessions()
        self.last_row = None

    def forget_user(self, user: UserId) -> None:
        """Devices or mailbox of this user have changed."""
        self.users.pop(user, None)

    def forget_sessions(self) -> None:
        """Sessions have changed."""
        self.sessions.clear()
        self.chats.clear()

    # ---- what was looked up

    def make_room(self) -> None:
        """Before a look-up: forget all, if it is too much."""
        if max(len(self.users), len(self.sessions)) > _USERS:
            self.forget()

    def user(self, user: UserId) -> KnownUser:
        """To be filled in, or asked."""
        known = self.users.get(user)
        if known is None:
            known = self.users[user] = KnownUser()
        return known

    def found_mailbox(self, user: UserId, mailbox: Mailbox) -> None:
        """It was looked up. From now on what comes into it is known."""
        known = self.user(user)
        known.mailbox, known.since = mailbox, mailbox.head
        known.waiting.clear()

    def found_session(self, session: BookSession) -> None:
        """It was looked up; a chat that is found so need not be the newest of its two."""
        self.sessions[session.id] = session

    def found_chat(self, session: BookSession) -> None:
        """It was looked up as the newest chat of its two."""
        self.sessions[session.id] = session
        self.chats[session.buyer, session.seller] = session

    # ---- what was written

    def written(self, plan: Plan) -> None:
        """A plan is in the tables, in a transaction after whose failure all is forgotten."""
        users = self.users
        for user, mailbox in plan.mailboxes.items():
            users[user].mailbox = mailbox
        for (user, name), device in plan.devices.items():
            users[user].devices[name] = device
        for session in plan.sessions.values():
            pair = (session.buyer, session.seller)
            newest = self.chats.get(pair)
            is_new = session.id not in self.sessions
            if session.book_id == NO_BOOK and (is_new or (newest and newest.id == session.id)):
                self.chats[pair] = session
            self.sessions[session.id] = session
        if self.last_row is not None:
            self.last_row += len(plan.messages)
        for sender, _, _, _, msg_id, to_user, _, _, session_id, seq, _, receipt in plan.messages:
            if receipt:
                awaiting = new_tuple(Awaiting, (sender, msg_id, to_user, session_id, seq))
                users[to_user].waiting.append(awaiting)
            if msg_id > (users[sender].highest or 0):
                users[sender].highest = msg_id
        for user, mailbox in plan.mailboxes.items():
            known = users[user]
            del known.waiting[: known.upto(mailbox.delivered)]
            if len(known.waiting) > _WAITING:
                known.waiting, known.since = [], mailbox.head
