"""What `im_proto.server.sessions` asks about sessions and their messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    Select,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    union,
)

from im_proto.server.rows import BookSession, Identity, Message
from im_proto.server.session_view import Counted, Stretch
from im_proto.wire import MAX_ID, UserId
from im_proto.wire.session import ACTIVE

from .lookups import (
    HIGHEST_SESSION_ID,
    MESSAGE_COLUMNS,
    SESSION_COLUMNS,
    a_message,
    a_session,
    ask,
    asked,
    mailboxes_of,
    part,
    sessions_of,
    user_text,
)
from .tables import messages, sessions, users

__all__ = ["SqlView", "last_seen"]

_NEWEST = (
    select(*SESSION_COLUMNS)
    .where(
        sessions.c.buyer == bindparam("buyer"),
        sessions.c.seller == bindparam("seller"),
        sessions.c.book_id == bindparam("book_id"),
    )
    .order_by(sessions.c.id.desc())
    .limit(1)
)
# as a literal: only then SQLite knows that a partial index will do
_is_active = sessions.c.status == literal_column(str(ACTIVE))
_own = union(
    select(sessions.c.id).where(_is_active, sessions.c.buyer == bindparam("user")),
    select(sessions.c.id).where(_is_active, sessions.c.seller == bindparam("user")),
).subquery()
_ACTIVE = (
    select(*SESSION_COLUMNS)
    .join_from(_own, sessions, sessions.c.id == _own.c.id)
    .order_by(sessions.c.id.desc())
    .limit(bindparam("limit", type_=Integer))
)
_BETWEEN = select(sessions.c.id).where(
    or_(
        (sessions.c.buyer == bindparam("one")) & (sessions.c.seller == bindparam("other")),
        (sessions.c.buyer == bindparam("other")) & (sessions.c.seller == bindparam("one")),
    )
)
#: asked: [[session, reader, read], ...]; how many are not read, by the place in `asked`
_UNREAD = select(
    asked.c.key,
    select(func.count())
    .where(
        messages.c.session_id == part(0),
        messages.c.recipient == part(1),
        messages.c.seq > part(2),
    )
    .correlate(asked)
    .scalar_subquery(),
)
_PLACE = select(messages.c.session_id, messages.c.id).where(
    messages.c.sender == bindparam("sender"), messages.c.msg_id == bindparam("msg_id")
)
_OF_SESSION = (
    messages.c.session_id == bindparam("session_id"),
    messages.c.id > bindparam("above"),
    messages.c.id < bindparam("below"),
)
_COUNT = select(func.count()).where(*_OF_SESSION)
#: The messages to one of the two: their seqs and their places have the same order.
_PLACES = (
    select(messages.c.id)
    .where(*_OF_SESSION, messages.c.recipient == bindparam("recipient"))
    .limit(bindparam("limit", type_=Integer))
)
_FIRST_PLACES = _PLACES.order_by(messages.c.seq)
_LAST_PLACES = _PLACES.order_by(messages.c.seq.desc())
#: asked: [place, ...]
_AT_PLACES = select(messages.c.id, *MESSAGE_COLUMNS).join_from(
    asked, messages, messages.c.id == asked.c.value
)
#: asked: [user, ...]
_LAST_SEEN = select(users.c.user, users.c.last_seen).join_from(
    asked, users, users.c.user == asked.c.value
)

#: all of them, for a test that none scans a table
STATEMENTS: dict[str, Select[Any]] = {
    "newest session": _NEWEST,
    "active sessions": _ACTIVE,
    "sessions between": _BETWEEN,
    "unread counts": _UNREAD,
    "place": _PLACE,
    "count": _COUNT,
    "first places": _FIRST_PLACES,
    "last places": _LAST_PLACES,
    "at places": _AT_PLACES,
    "last seen": _LAST_SEEN,
}


class SqlView:
    """A `SessionView`: what the tables say inside the transaction of `connection`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def session(self, session_id: int) -> BookSession | None:
        """See SessionView, as for all methods here."""
        found = sessions_of(self._connection, [session_id])
        return found[0] if found else None

    def newest_session(self, book_id: int, buyer: UserId, seller: UserId) -> BookSession | None:
        names = {"book_id": book_id, "buyer": user_text(buyer), "seller": user_text(seller)}
        row = self._connection.execute(_NEWEST, names).one_or_none()
        return a_session(row) if row else None

    def active_sessions(self, user: UserId, limit: int) -> Sequence[BookSession]:
        rows = self._connection.execute(_ACTIVE, {"user": user_text(user), "limit": limit})
        return [a_session(row) for row in rows]

    def sessions_between(self, one: UserId, other: UserId) -> Sequence[int]:
        names = {"one": user_text(one), "other": user_text(other)}
        return self._connection.scalars(_BETWEEN, names).all()

    def highest_session_id(self) -> int:
        return self._connection.scalar(HIGHEST_SESSION_ID) or 0

    def unread(self, sessions: Sequence[BookSession]) -> Mapping[int, Counted]:
        # What somebody writes to himself is not unread.
        two = [s for s in sessions if s.buyer != s.seller]
        questions = [
            question
            for s in two
            for question in (
                (s.id, user_text(s.buyer), s.buyer_read),
                (s.id, user_text(s.seller), s.seller_read),
            )
        ]
        counts = dict(map(tuple, ask(self._connection, _UNREAD, questions)))
        found = {s.id: Counted(0, 0) for s in sessions}
        found.update((s.id, Counted(counts[2 * i], counts[2 * i + 1])) for i, s in enumerate(two))
        return found

    def delivered(self, user: UserId) -> int:
        mailbox = mailboxes_of(self._connection, [user]).get(user)
        return mailbox.delivered if mailbox else 0

    def place(self, message: Identity) -> tuple[int, int] | None:
        sender, msg_id = message
        row = self._connection.execute(
            _PLACE, {"sender": user_text(sender), "msg_id": msg_id}
        ).one_or_none()
        return (row.session_id, row.id) if row else None

    def history(
        self, stretch: Stretch, *, newest_first: bool, offset: int, limit: int
    ) -> Sequence[Message]:
        statement = _LAST_PLACES if newest_first else _FIRST_PLACES
        streams = [
            self._connection.scalars(
                statement,
                {
                    "session_id": session.id,
                    "recipient": user_text(user),
                    "limit": offset + limit,
                    **_bounds(stretch),
                },
            ).all()
            for session in sessions_of(self._connection, stretch.session_ids)
            for user in {session.buyer, session.seller}
        ]
        merged = merge(*streams, reverse=newest_first)
        places = list(islice(merged, offset, offset + limit))
        rows = {place: rest for place, *rest in ask(self._connection, _AT_PLACES, places)}
        return [a_message(rows[place]) for place in places]

    def count(self, stretch: Stretch) -> int:
        return sum(
            self._connection.scalar(_COUNT, {"session_id": number, **_bounds(stretch)}) or 0
            for number in stretch.session_ids
        )


def last_seen(connection: Connection, of: Iterable[UserId]) -> dict[UserId, int]:
    """When these users were here last, of those of whom that is known and may be told."""
    texts = {user_text(user): user for user in of}
    return {texts[user]: at for user, at in ask(connection, _LAST_SEEN, texts) if at is not None}


def _bounds(stretch: Stretch) -> dict[str, int]:
    return {
        "above": min(stretch.above, MAX_ID),
        "below": MAX_ID if stretch.below is None else min(stretch.below, MAX_ID),
    }
