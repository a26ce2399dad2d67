"""What `im_proto.server.sessions` asks about sessions and their messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Connection,
    Integer,
    ScalarSelect,
    Select,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    union,
    union_all,
)

from im_proto.server.rows import BookSession, Identity, Message, Pair
from im_proto.server.session_view import MOST_MET, MOST_UNREAD, Counted, Stretch
from im_proto.wire import MAX_ID, UserId, user_id
from im_proto.wire.session import ACTIVE

from .driver import AnyConnection, driver, text_of
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

__all__ = ["SqlView", "peers_of"]

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
_of_buyer = select(sessions.c.id).where(_is_active, sessions.c.buyer == bindparam("user"))
_of_seller = select(sessions.c.id).where(_is_active, sessions.c.seller == bindparam("user"))
# A UNION in the order of what its two sides are found by: SQLite merges them, and goes no further
# than to the limit. What is in both is there once.
_ACTIVE = (
    select(*SESSION_COLUMNS)
    .where(
        sessions.c.id.in_(
            union(_of_buyer, _of_seller)
            .order_by(sessions.c.id.desc())
            .limit(bindparam("limit", type_=Integer))
        )
    )
    .order_by(sessions.c.id.desc())
)


def _met_as(mine: Column[Any], others: Column[Any]) -> Select[Any]:
    """The newest active sessions in which a user is that one of the two."""
    newest = (
        select(others.label("peer"), sessions.c.id.label("id"), sessions.c.expires_at)
        .where(_is_active, mine == bindparam("user"))
        .order_by(sessions.c.id.desc())
        .limit(bindparam("limit", type_=Integer))
        .offset(literal_column("0"))  # else one is added, as a parameter
    )
    return select(newest.subquery())


_met = union_all(
    _met_as(sessions.c.buyer, sessions.c.seller), _met_as(sessions.c.seller, sessions.c.buyer)
).subquery("met")
_PEERS = (
    select(_met.c.peer, users.c.last_seen)
    .join_from(_met, users, users.c.user == _met.c.peer, isouter=True)
    .where(
        _met.c.peer != bindparam("user"),
        or_(_met.c.expires_at.is_(None), _met.c.expires_at > bindparam("at")),
    )
    .group_by(_met.c.peer)
    .order_by(func.min(_met.c.id))
)
_PEERS_TEXT = text_of(_PEERS, "user", "limit", "user", "limit", "user", "at")
#: asked: [[session, reader, read], ...]; how many are not read, by the place in `asked`
_unread: Select[Any] = (
    select(literal_column("1"))
    .where(
        messages.c.session_id == part(0),
        messages.c.recipient == part(1),
        messages.c.seq > part(2),
    )
    .correlate(asked)
    .limit(literal_column(str(MOST_UNREAD)))
    .offset(literal_column("0"))  # else one is added, as a parameter
)
_UNREAD = select(
    asked.c.key, select(func.count()).select_from(_unread.subquery()).scalar_subquery()
)
_PLACE = select(messages.c.session_id, messages.c.id).where(
    messages.c.sender == bindparam("sender"), messages.c.msg_id == bindparam("msg_id")
)


# ---- a stretch: what two have written to each other, one way and the other

_ABOVE, _BELOW = bindparam("above", type_=Integer), bindparam("below", type_=Integer)
_LIMIT, _OFFSET = bindparam("limit", type_=Integer), bindparam("offset", type_=Integer)


def _one_way(sender: str, recipient: str) -> Select[Any]:
    """The places of what one has written to the other."""
    return select(messages.c.id).where(
        messages.c.sender == bindparam(sender),
        messages.c.recipient == bindparam(recipient),
        messages.c.id > _ABOVE,
        messages.c.id < _BELOW,
    )


def _seq(sender: str, recipient: str, *, last: bool) -> ScalarSelect[Any]:
    """The seq of the first, or the last, of them."""
    order = messages.c.id.desc() if last else messages.c.id
    one = _one_way(sender, recipient).with_only_columns(messages.c.seq)
    return one.order_by(order).limit(literal_column("1")).scalar_subquery()


def _one_way_in_session(sender: str, recipient: str) -> Select[Any]:
    """The same, of one session. It is found by the seqs in the mailbox of the recipient: all that
    it was sent has its seqs and its places in the same order."""
    return select(messages.c.id).where(
        messages.c.session_id == bindparam("session_id"),
        messages.c.recipient == bindparam(recipient),
        messages.c.seq >= _seq(sender, recipient, last=False),
        messages.c.seq <= _seq(sender, recipient, last=True),
    )


def _places(*, newest_first: bool) -> CompoundSelect[Any]:
    """A page, merged as that of the active sessions is."""
    both = union(_one_way("one", "other"), _one_way("other", "one"))
    order = messages.c.id.desc() if newest_first else messages.c.id
    return both.order_by(order).limit(_LIMIT).offset(_OFFSET)


def _places_in_session(*, newest_first: bool) -> CompoundSelect[Any]:
    """A page; of each side no more is put in order than can be in it."""

    def reached(sender: str, recipient: str) -> Select[Any]:
        order = messages.c.seq.desc() if newest_first else messages.c.seq
        found = _one_way_in_session(sender, recipient).order_by(order)
        return select(found.limit(bindparam("reach", type_=Integer)).subquery().c.id)

    both = union(reached("one", "other"), reached("other", "one"))
    order: ColumnElement[Any] = literal_column("id DESC" if newest_first else "id")
    return both.order_by(order).limit(_LIMIT).offset(_OFFSET)


def _counted(one_way: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(one_way.limit(_LIMIT).subquery())


_FIRST, _LAST = _places(newest_first=False), _places(newest_first=True)
_FIRST_IN_SESSION = _places_in_session(newest_first=False)
_LAST_IN_SESSION = _places_in_session(newest_first=True)
_COUNT = _counted(_one_way("one", "other"))
_COUNT_IN_SESSION = _counted(_one_way_in_session("one", "other"))
#: asked: [place, ...]
_AT_PLACES = select(messages.c.id, *MESSAGE_COLUMNS).join_from(
    asked, messages, messages.c.id == asked.c.value
)
#: all of them, for a test that none scans a table
STATEMENTS: dict[str, Select[Any] | CompoundSelect[Any]] = {
    "newest session": _NEWEST,
    "active sessions": _ACTIVE,
    "peers": _PEERS,
    "unread counts": _UNREAD,
    "place": _PLACE,
    "first places": _FIRST,
    "last places": _LAST,
    "first places in a session": _FIRST_IN_SESSION,
    "last places in a session": _LAST_IN_SESSION,
    "count": _COUNT,
    "count in a session": _COUNT_IN_SESSION,
    "at places": _AT_PLACES,
}


class SqlView:
    """A `SessionView`: what the tables say inside the transaction of `connection`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def session(self, session_id: int) -> BookSession | None:
        """See SessionView, as for all methods here."""
        found = sessions_of(self._connection, [session_id])
        return found[0] if found else None

    def sessions(self, ids: Iterable[int]) -> Mapping[int, BookSession]:
        return {session.id: session for session in sessions_of(self._connection, ids)}

    def newest_session(self, book_id: int, buyer: UserId, seller: UserId) -> BookSession | None:
        names = {"book_id": book_id, "buyer": user_text(buyer), "seller": user_text(seller)}
        row = self._connection.execute(_NEWEST, names).one_or_none()
        return a_session(row) if row else None

    def active_sessions(self, user: UserId, limit: int) -> Sequence[BookSession]:
        rows = self._connection.execute(_ACTIVE, {"user": user_text(user), "limit": limit})
        return [a_session(row) for row in rows]

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
        names = _of_two(stretch.two) | _bounds(stretch) | {"offset": offset, "limit": limit}
        if stretch.session_id is None:
            statement = _LAST if newest_first else _FIRST
        else:
            statement = _LAST_IN_SESSION if newest_first else _FIRST_IN_SESSION
            names |= {"session_id": stretch.session_id, "reach": offset + limit}
        places = self._connection.scalars(statement, names).all()
        rows = {place: rest for place, *rest in ask(self._connection, _AT_PLACES, places)}
        return [a_message(rows[place]) for place in places]

    def count(self, stretch: Stretch, most: int) -> int:
        names = _bounds(stretch) | {"limit": most}
        statement = _COUNT
        if stretch.session_id is not None:
            statement = _COUNT_IN_SESSION
            names["session_id"] = stretch.session_id
        one, other = stretch.two
        ways = {(one, other), (other, one)}
        found = (self._connection.scalar(statement, names | _of_two(two)) or 0 for two in ways)
        return min(most, sum(found))


def peers_of(connection: AnyConnection, user: UserId, at: int) -> list[tuple[UserId, int | None]]:
    """With whom a user shares an active session at this time, as `im_proto.server.sessions.peers`
    says, and when they were here last, if that is known and may be told."""
    name = user_text(user)
    found = driver(connection).execute(_PEERS_TEXT, (name, MOST_MET, name, MOST_MET, name, at))
    return [(user_id(peer), seen) for peer, seen in found.fetchall()]


def _of_two(two: Pair) -> dict[str, Any]:
    return {"one": user_text(two[0]), "other": user_text(two[1])}


def _bounds(stretch: Stretch) -> dict[str, Any]:
    return {
        "above": min(stretch.above, MAX_ID),
        "below": MAX_ID if stretch.below is None else min(stretch.below, MAX_ID),
    }
