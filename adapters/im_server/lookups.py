"""What the store looks up, and how rows become what `im_proto.server` knows.

Statements that look many things up at once take them as one JSON array: their text is always the
same, so SQLite prepares each once. (`(a, b) IN (VALUES ...)` makes SQLite scan the whole table, and
its text changes with the number of rows.)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    func,
    literal_column,
    select,
)

from im_proto.server.rows import (
    BookSession,
    Device,
    DeviceKey,
    Mailbox,
    Message,
)
from im_proto.wire import UserId, user_id

from .driver import AnyConnection, driver, text_of
from .tables import devices, mailboxes, messages, sessions

__all__ = [
    "HIGHEST_SESSION_ID",
    "MESSAGE_COLUMNS",
    "SESSION_COLUMNS",
    "a_message",
    "a_session",
    "ask",
    "asked",
    "devices_of",
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


# ---- statements that look many things up: `asked` is a JSON array
# SQLite's own table function; another database has another (PostgreSQL: jsonb_array_elements).

asked = func.json_each(bindparam("asked", type_=Text)).table_valued("key", "value", name="asked")


def part(index: int) -> ColumnElement[Any]:
    """That part of each item of `asked`."""
    return func.json_extract(asked.c.value, literal_column(f"'$[{index}]'"))


#: asked: [[user, device], ...]
DEVICES = select(
    devices.c.user,
    devices.c.device,
    devices.c.generation,
    devices.c.cursor,
    devices.c.last_msg_id,
    devices.c.forgotten,
).join_from(asked, devices, and_(devices.c.user == part(0), devices.c.device == part(1)))

#: asked: [user, ...]
MAILBOXES = select(
    mailboxes.c.user, mailboxes.c.epoch, mailboxes.c.head, mailboxes.c.delivered
).join_from(asked, mailboxes, mailboxes.c.user == asked.c.value)

#: asked: [[sender, msg_id], ...]
BY_MSG_ID = select(*MESSAGE_COLUMNS).join_from(
    asked, messages, and_(messages.c.sender == part(0), messages.c.msg_id == part(1))
)

#: asked: [id, ...]
SESSIONS = select(*SESSION_COLUMNS).join_from(asked, sessions, sessions.c.id == asked.c.value)

HIGHEST_SESSION_ID = select(func.max(sessions.c.id))

#: all of them, for a test that none scans a table
STATEMENTS: dict[str, Select[Any]] = {
    "devices": DEVICES,
    "mailboxes": MAILBOXES,
    "by msgId": BY_MSG_ID,
    "sessions": SESSIONS,
    "highest session": HIGHEST_SESSION_ID,
}


def ask(connection: AnyConnection, statement: Select[Any], items: Iterable[Any]) -> Sequence[Any]:
    """Carry out a statement that looks many things up; for no items, nothing is asked."""
    listed = list(items)
    if not listed:
        return ()
    return driver(connection).execute(asked_text(statement), (array(listed),)).fetchall()


#: `json.dumps` makes an encoder for each call, unless it is told nothing.
array = json.JSONEncoder(separators=(",", ":")).encode


@cache
def asked_text(statement: Select[Any]) -> str:
    """Made once: SQLAlchemy's own look for it would be felt."""
    return text_of(statement, "asked")


# ---- questions


def messages_of(
    connection: AnyConnection, user: UserId, msg_ids: Iterable[int]
) -> Sequence[Message]:
    """The messages with these ids that a user has sent."""
    identities = ((user_text(user), msg_id) for msg_id in msg_ids)
    return [a_message(row) for row in ask(connection, BY_MSG_ID, identities)]


def mailboxes_of(connection: AnyConnection, users: Iterable[UserId]) -> dict[UserId, Mailbox]:
    """Those mailboxes of these users that exist."""
    # Users are found again by the text that was asked for, which is cheaper than reading it.
    texts = {user_text(user): user for user in users}
    return {
        texts[user]: Mailbox(epoch, head, delivered)
        for user, epoch, head, delivered in ask(connection, MAILBOXES, texts)
    }


def sessions_of(connection: AnyConnection, ids: Iterable[int]) -> Sequence[BookSession]:
    """Those of these sessions that exist."""
    return [a_session(row) for row in ask(connection, SESSIONS, ids)]


def devices_of(connection: AnyConnection, keys: Iterable[DeviceKey]) -> dict[DeviceKey, Device]:
    """Those of these devices that have logged in."""
    texts = {(user_text(user), device): user for user, device in keys}
    return {
        (texts[user, device], device): Device(*kept)
        for user, device, *kept in ask(connection, DEVICES, texts)
    }
