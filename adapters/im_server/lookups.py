"""What the store looks up, and how rows become what `im_proto.server` knows.

Statements that look many things up at once take them as one JSON array: their text is always the
same, so SQLite prepares each once. (`(a, b) IN (VALUES ...)` makes SQLite scan the whole table, and
its text changes with the number of rows.)

What a commit looks up is one statement with one row: SQLite gives Python's lock away at each row,
and beside a busy event loop it takes 0.1 ms to get it back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects import sqlite

from im_proto.server.planning import Snapshot, Wanted
from im_proto.server.rows import (
    Awaiting,
    BookSession,
    Device,
    DeviceKey,
    Mailbox,
    Message,
)
from im_proto.wire import UserId, user_id

from .driver import driver
from .schema import draw_epoch
from .tables import devices, entries, mailboxes, messages, sessions

__all__ = [
    "HIGHEST_SESSION_ID",
    "MESSAGE_COLUMNS",
    "SESSION_COLUMNS",
    "a_message",
    "a_session",
    "ask",
    "asked",
    "devices_of",
    "look_up",
    "mailboxes_of",
    "messages_of",
    "part",
    "sessions_of",
    "user_text",
]


def user_text(user: UserId) -> str:
    """How a user id is kept; `user_id()` of it gives the id back."""
    return str(user)


# ---- rows

MESSAGE_COLUMNS = (
    messages.c.sender,
    messages.c.device,
    messages.c.generation,
    messages.c.client_msg_id,
    messages.c.msg_id,
    messages.c.recipient,
    messages.c.content,
    messages.c.message_type,
    messages.c.session_id,
    messages.c.seq,
    messages.c.accepted_at,
    messages.c.wants_receipt,
)
SESSION_COLUMNS = (
    sessions.c.id,
    sessions.c.book_id,
    sessions.c.buyer,
    sessions.c.seller,
    sessions.c.status,
    sessions.c.created_at,
    sessions.c.expires_at,
    sessions.c.buyer_read,
    sessions.c.seller_read,
)
_AWAITING = (
    messages.c.sender,
    messages.c.msg_id,
    messages.c.recipient,
    messages.c.session_id,
    messages.c.seq,
)


def a_message(row: Any) -> Message:
    """A row of MESSAGE_COLUMNS."""
    sender, device, generation, client_msg_id, msg_id, recipient, *rest = row
    content, message_type, session_id, seq, accepted_at, wants_receipt = rest
    return Message(
        user_id(sender),
        device,
        generation,
        msg_id if client_msg_id is None else client_msg_id,
        msg_id,
        user_id(recipient),
        content,
        message_type,
        session_id,
        seq,
        accepted_at,
        bool(wants_receipt),
    )


def a_session(row: Any) -> BookSession:
    """A row of SESSION_COLUMNS."""
    number, book_id, buyer, seller, *rest = row
    return BookSession(number, book_id, user_id(buyer), user_id(seller), *rest)


def _awaiting(row: Any) -> Awaiting:
    sender, msg_id, recipient, *rest = row
    return Awaiting(user_id(sender), msg_id, user_id(recipient), *rest)


# ---- statements that look many things up: `asked` is a JSON array
# SQLite's own table function; another database has another (PostgreSQL: jsonb_array_elements).

asked = func.json_each(bindparam("asked", type_=Text)).table_valued("key", "value", name="asked")


def part(index: int) -> ColumnElement[Any]:
    """That part of each item of `asked`."""
    return func.json_extract(asked.c.value, literal_column(f"'$[{index}]'"))


#: asked: [[user, device], ...]
_DEVICES = select(
    devices.c.user,
    devices.c.device,
    devices.c.generation,
    devices.c.cursor,
    devices.c.last_msg_id,
    devices.c.forgotten,
).join_from(asked, devices, and_(devices.c.user == part(0), devices.c.device == part(1)))

#: asked: [[user, device], ...]; those whose user has another device with a name
_OTHERS = select(part(0), part(1)).where(
    select(devices.c.user)
    .where(devices.c.user == part(0), devices.c.device.not_in([part(1), literal_column("''")]))
    .correlate(asked)
    .exists()
)

#: asked: [user, ...]
_MAILBOXES = select(
    mailboxes.c.user, mailboxes.c.epoch, mailboxes.c.head, mailboxes.c.delivered
).join_from(asked, mailboxes, mailboxes.c.user == asked.c.value)

#: asked: [[sender, msg_id], ...]
_BY_MSG_ID = select(*MESSAGE_COLUMNS).join_from(
    asked, messages, and_(messages.c.sender == part(0), messages.c.msg_id == part(1))
)

#: asked: [[sender, client_msg_id], ...]; finds only messages whose msg_id the server made
_BY_CLIENT_MSG_ID = select(*MESSAGE_COLUMNS).join_from(
    asked, messages, and_(messages.c.sender == part(0), messages.c.client_msg_id == part(1))
)

#: asked: [id, ...]
_SESSIONS = select(*SESSION_COLUMNS).join_from(asked, sessions, sessions.c.id == asked.c.value)

_other = sessions.alias("other")
#: asked: [[buyer, seller], ...]; of each pair the newest chat without a book
_CHATS = select(*SESSION_COLUMNS).join_from(
    asked,
    sessions,
    sessions.c.id
    == select(func.max(_other.c.id))
    .where(
        _other.c.buyer == part(0),
        _other.c.seller == part(1),
        _other.c.book_id == literal_column("0"),
    )
    .correlate(asked)
    .scalar_subquery(),
)

#: asked: [[user, seq], ...]
_UNDELIVERED = (
    select(*_AWAITING)
    .select_from(asked)
    .join(mailboxes, mailboxes.c.user == part(0))
    .join(
        entries,
        and_(
            entries.c.user == mailboxes.c.user,
            entries.c.seq > mailboxes.c.delivered,
            entries.c.seq <= part(1),
        ),
    )
    .join(messages, messages.c.id == entries.c.message_id)
    .where(messages.c.recipient == entries.c.user, messages.c.wants_receipt)
)

_read = messages.alias("read")
#: asked: [[reader, sender, msg_id], ...]
_UNREAD = (
    select(*_AWAITING)
    .select_from(asked)
    .join(
        _read,
        and_(
            _read.c.sender == part(1),
            _read.c.msg_id == part(2),
            _read.c.recipient == part(0),
        ),
    )
    .join(sessions, sessions.c.id == _read.c.session_id)
    .join(
        messages,
        and_(
            messages.c.session_id == _read.c.session_id,
            messages.c.recipient == _read.c.recipient,
            messages.c.seq <= _read.c.seq,
            messages.c.seq
            > func.iif(
                sessions.c.buyer == _read.c.recipient,
                sessions.c.buyer_read,
                sessions.c.seller_read,
            ),
        ),
    )
    .where(messages.c.sender == _read.c.sender, messages.c.wants_receipt)
)

#: what a commit asks, each about an array of its own, in the order in which `look_up` asks
_OF_A_COMMIT = (
    *(_DEVICES, _OTHERS, _BY_MSG_ID, _BY_CLIENT_MSG_ID, _MAILBOXES),
    *(_SESSIONS, _CHATS, _UNDELIVERED, _UNREAD),
)

_HIGHEST_MSG_ID = select(func.max(messages.c.msg_id)).where(
    messages.c.sender == bindparam("sender")
)
HIGHEST_SESSION_ID = select(func.max(sessions.c.id))

#: all of them, for a test that none scans a table
STATEMENTS: dict[str, Select[Any]] = {
    "devices": _DEVICES,
    "others": _OTHERS,
    "mailboxes": _MAILBOXES,
    "by msgId": _BY_MSG_ID,
    "by the client's msgId": _BY_CLIENT_MSG_ID,
    "sessions": _SESSIONS,
    "chats": _CHATS,
    "undelivered": _UNDELIVERED,
    "unread": _UNREAD,
    "highest msgId": _HIGHEST_MSG_ID,
    "highest session": HIGHEST_SESSION_ID,
}


def ask(connection: Connection, statement: Select[Any], items: Iterable[Any]) -> Sequence[Any]:
    """Carry out a statement that looks many things up; for no items, nothing is asked."""
    listed = list(items)
    if not listed:
        return ()
    return driver(connection).execute(_text(statement), (_array(listed),)).fetchall()


#: `json.dumps` makes an encoder for each call, unless it is told nothing.
_array = json.JSONEncoder(separators=(",", ":")).encode


def _ask_all(connection: Connection, asks: Sequence[Iterable[Any]]) -> list[list[list[Any]]]:
    """Carry out all of `_OF_A_COMMIT` as one statement; returns the rows of each."""
    arrays = tuple(_array(list(items)) for items in asks)
    (row,) = driver(connection).execute(all_of_a_commit(), arrays).fetchall()
    found: list[list[list[Any]]] = json.loads(f"[{','.join(row)}]")
    return found


@cache
def all_of_a_commit() -> str:
    """The text of that statement."""
    gathered = []
    for statement in _OF_A_COMMIT:
        rows = statement.subquery()
        gathered.append(_text(select(func.json_group_array(func.json_array(*rows.c)))))
    return f"SELECT {', '.join(f'({text})' for text in gathered)}"


@cache
def _text(statement: Select[Any]) -> str:
    """Made once: SQLAlchemy's own look for it would be felt."""
    compiled = statement.compile(dialect=sqlite.dialect())
    if compiled.positiontup != ["asked"]:
        raise TypeError(f"it is asked about one array and nothing else: {compiled.positiontup}")
    return str(compiled)


# ---- questions


def messages_of(connection: Connection, user: UserId, msg_ids: Iterable[int]) -> Sequence[Message]:
    """The messages with these ids that a user has sent."""
    identities = ((user_text(user), msg_id) for msg_id in msg_ids)
    return [a_message(row) for row in ask(connection, _BY_MSG_ID, identities)]


def mailboxes_of(connection: Connection, users: Iterable[UserId]) -> dict[UserId, Mailbox]:
    """Those mailboxes of these users that exist."""
    # Users are found again by the text that was asked for, which is cheaper than reading it.
    texts = {user_text(user): user for user in users}
    return {
        texts[user]: Mailbox(epoch, head, delivered)
        for user, epoch, head, delivered in ask(connection, _MAILBOXES, texts)
    }


def sessions_of(connection: Connection, ids: Iterable[int]) -> Sequence[BookSession]:
    """Those of these sessions that exist."""
    return [a_session(row) for row in ask(connection, _SESSIONS, ids)]


def devices_of(connection: Connection, keys: Iterable[DeviceKey]) -> dict[DeviceKey, Device]:
    """Those of these devices that have logged in."""
    texts = {(user_text(user), device): user for user, device in keys}
    return {
        (texts[user, device], device): Device(*kept)
        for user, device, *kept in ask(connection, _DEVICES, texts)
    }


def look_up(connection: Connection, wanted: Wanted) -> Snapshot:
    """Read what `plan_commit` needs to know, in a few statements however large the batch.

    Args:
        connection: inside the transaction that will write the plan.
        wanted: the questions; mailboxes that don't exist yet come with a fresh epoch.
    """

    def highest_msg_id(sender: UserId) -> int:
        found = connection.scalar(_HIGHEST_MSG_ID, {"sender": user_text(sender)})
        return found or 0

    @cache  # asked for each session that is made
    def highest_session_id() -> int:
        return connection.scalar(HIGHEST_SESSION_ID) or 0

    texts = {user_text(user): user for user in wanted.mailboxes}  # of all who are asked about
    asks = (
        [(user_text(user), device) for user, device in wanted.devices],
        [(user_text(user), device) for user, device in wanted.others],
        [(user_text(sender), msg_id) for sender, msg_id in wanted.identities],
        [(user_text(sender), msg_id) for sender, msg_id in wanted.plain],
        texts,
        wanted.session_ids,
        [(user_text(buyer), user_text(seller)) for buyer, seller in wanted.chats],
        [(user_text(user), seq) for user, seq in wanted.acked.items()],
        [(user_text(reader), user_text(sender), i) for reader, sender, i in wanted.read],
    )
    known, others, by_id, by_client, boxes, open_, chats, pushed, seen = _ask_all(connection, asks)
    earlier = [a_message(row) for row in (*by_id, *by_client)]
    undelivered = [_awaiting(row) for row in pushed]
    mailboxes = {texts[user]: Mailbox(*kept) for user, *kept in boxes}
    # What the answers themselves speak of is asked for where it is not known yet.
    senders = {m.sender for m in undelivered} - wanted.mailboxes
    mailboxes |= mailboxes_of(connection, senders)
    for user in (wanted.mailboxes | senders) - mailboxes.keys():
        mailboxes[user] = Mailbox(draw_epoch(), 0)
    ids = {m.session_id for m in earlier} | {m.session_id for m in undelivered}
    more = sessions_of(connection, ids - wanted.session_ids)
    return Snapshot(
        devices={(texts[user], device): Device(*kept) for user, device, *kept in known},
        others={(texts[user], device) for user, device in others},
        earlier=earlier,
        undelivered=undelivered,
        unread=[_awaiting(row) for row in seen],
        mailboxes=mailboxes,
        sessions=[*map(a_session, open_), *more, *map(a_session, chats)],
        highest_msg_id=highest_msg_id,
        highest_session_id=highest_session_id,
    )
