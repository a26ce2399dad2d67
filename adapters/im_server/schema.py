"""The tables of the store, the statements on them, and how a snapshot and a plan become rows.

A user id is kept as text, an int as its decimal: `user_id()` reads a canonical decimal as the
int, so the text stands for one id only. Statements that look many things up at once take them as
one JSON array: their text is always the same, so SQLite prepares each once. (`(a, b) IN (VALUES
...)` makes SQLite scan the whole table, and its text changes with the number of rows.)
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    bindparam,
    func,
    insert,
    inspect,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import sqlite

from im_proto.server import commit as decide
from im_proto.wire import UserId, user_id

__all__ = [
    "SCHEMA_VERSION",
    "StoreError",
    "SwallowedError",
    "draw_epoch",
    "look_up",
    "prepare",
    "user_text",
    "write",
]

SCHEMA_VERSION = 1
_APPLICATION = "im-proto"
_T = TypeVar("_T")


class StoreError(Exception):
    """The store can't be opened, or can't do what it was asked to. Says why and what helps.

    No text of it holds a message or a password.
    """


class SwallowedError(ValueError):
    """The database has kept fewer rows than it was given: something like them is there already."""


metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
    sqlite_with_rowid=False,
)

mailboxes = Table(
    "mailboxes",
    metadata,
    Column("user", Text, primary_key=True),
    Column("epoch", Text, nullable=False),
    Column("head", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: The present generation and the cursor. All plain logins of a user share the device "".
devices = Table(
    "devices",
    metadata,
    Column("user", Text, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("cursor", BigInteger),  # NULL: it has acknowledged nothing yet
    Column("last_msg_id", BigInteger, nullable=False),
    Column("last_login_at", BigInteger),  # milliseconds since 1970
    sqlite_with_rowid=False,
)

messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sender", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    # The sender's own id where the server had to make another (plain senders), else NULL.
    Column("client_msg_id", BigInteger),
    Column("msg_id", BigInteger, nullable=False),
    Column("recipient", Text, nullable=False),
    # The entry in the recipient's mailbox, so that a repeat is answered without an index there.
    Column("seq", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
    Column("message_type", Text, nullable=False),
    Column("session_id", BigInteger),
    Column("accepted_at", BigInteger, nullable=False),  # milliseconds since 1970
    UniqueConstraint("sender", "msg_id"),
)

#: Every login of a device, and the last message before it: what an older login has written behind
#: that row got past its fence. Nothing reads it but an audit.
fences = Table(
    "fences",
    metadata,
    Column("user", Text, primary_key=True),
    Column("device", Text, primary_key=True),
    Column("generation", BigInteger, primary_key=True),
    Column("logged_in_at", BigInteger, nullable=False),  # milliseconds since 1970
    Column("last_message_id", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# Nearly empty, as nearly every message has NULL there: it costs an ordinary insert nothing.
Index(
    "messages_by_client_msg_id",
    messages.c.sender,
    messages.c.client_msg_id,
    sqlite_where=messages.c.client_msg_id.is_not(None),
)

entries = Table(
    "mailbox_entries",
    metadata,
    Column("user", Text, ForeignKey("mailboxes.user"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("message_id", Integer, ForeignKey("messages.id"), nullable=False),
    sqlite_with_rowid=False,
)


# ---- statements that look many things up: `asked` is a JSON array
# SQLite's own table function; another database has another (PostgreSQL: jsonb_array_elements).

_asked = func.json_each(bindparam("asked", type_=Text)).table_valued("value", name="asked")


def _part(index: int) -> ColumnElement[str]:
    return func.json_extract(_asked.c.value, literal_column(f"'$[{index}]'"))


#: asked: [[user, device], ...]
SELECT_DEVICES = select(
    devices.c.user,
    devices.c.device,
    devices.c.generation,
    devices.c.cursor,
    devices.c.last_msg_id,
).join_from(_asked, devices, and_(devices.c.user == _part(0), devices.c.device == _part(1)))

#: asked: [user, ...]
SELECT_MAILBOXES = select(mailboxes.c.user, mailboxes.c.epoch, mailboxes.c.head).join_from(
    _asked, mailboxes, mailboxes.c.user == _asked.c.value
)

#: asked: [[sender, msg_id], ...]
SELECT_BY_MSG_ID = select(messages).join_from(
    _asked, messages, and_(messages.c.sender == _part(0), messages.c.msg_id == _part(1))
)

#: asked: [[sender, client_msg_id], ...]; finds only messages whose msg_id the server made
SELECT_BY_CLIENT_MSG_ID = select(messages).join_from(
    _asked, messages, and_(messages.c.sender == _part(0), messages.c.client_msg_id == _part(1))
)

# ---- statements about one thing

SELECT_DEVICE = select(devices.c.generation, devices.c.cursor, devices.c.last_msg_id).where(
    devices.c.user == bindparam("user"), devices.c.device == bindparam("device")
)
SELECT_MAILBOX = select(mailboxes.c.epoch, mailboxes.c.head).where(
    mailboxes.c.user == bindparam("user")
)
SELECT_OLDEST = select(func.min(entries.c.seq)).where(entries.c.user == bindparam("user"))
SELECT_AT_SEQ = (
    select(messages.c.sender, messages.c.msg_id)
    .join_from(entries, messages)
    .where(entries.c.user == bindparam("user"), entries.c.seq == bindparam("seq"))
)
SELECT_HIGHEST_MSG_ID = select(func.max(messages.c.msg_id)).where(
    messages.c.sender == bindparam("sender")
)
SELECT_LAST_ROW = select(func.max(messages.c.id))
SELECT_ENTRIES = (
    select(
        entries.c.seq,
        messages.c.sender,
        messages.c.recipient,
        messages.c.msg_id,
        messages.c.content,
        messages.c.message_type,
        messages.c.session_id,
        messages.c.accepted_at,
    )
    .join_from(entries, messages)
    .where(entries.c.user == bindparam("user"), entries.c.seq > bindparam("after"))
    .order_by(entries.c.seq)
    .limit(bindparam("limit", type_=Integer))
)

# ---- statements that write


def _prepared(statement: sqlite.Insert, *columns: str) -> str:
    """The text of an INSERT with these columns, for rows given as tuples.

    SQLAlchemy takes rows as dictionaries, which costs five times as much as writing them.
    """
    compiled = statement.compile(dialect=sqlite.dialect(), column_keys=list(columns))
    if compiled.positiontup != list(columns):
        raise TypeError(f"name the columns in the order of the table: {compiled.positiontup}")
    return str(compiled)


# The plan has seen to it that no such message is there yet; `write` counts what was written.
_INSERT_MESSAGES = _prepared(
    sqlite.insert(messages).on_conflict_do_nothing(), *messages.columns.keys()
)
_INSERT_ENTRIES = _prepared(
    sqlite.insert(entries).on_conflict_do_nothing(), *entries.columns.keys()
)
_mailbox = sqlite.insert(mailboxes)
_UPSERT_MAILBOXES = _prepared(
    _mailbox.on_conflict_do_update(index_elements=["user"], set_={"head": _mailbox.excluded.head}),
    *mailboxes.columns.keys(),
)
_device = sqlite.insert(devices)
#: What a commit moves: never the generation, never the time of the login.
_UPSERT_CURSORS = _prepared(
    _device.on_conflict_do_update(
        index_elements=["user", "device"],
        set_={"cursor": _device.excluded.cursor, "last_msg_id": _device.excluded.last_msg_id},
    ),
    *("user", "device", "generation", "cursor", "last_msg_id"),
)
#: A mailbox that a login makes; one that is there stays as it is.
INSERT_MAILBOX = sqlite.insert(mailboxes).on_conflict_do_nothing()
#: What a login moves.
UPSERT_LOGIN = _device.on_conflict_do_update(
    index_elements=["user", "device"],
    set_={
        "generation": _device.excluded.generation,
        "last_login_at": _device.excluded.last_login_at,
    },
)
INSERT_FENCE = insert(fences)


def prepare(connection: Connection, name: str) -> None:
    """Make the tables in an empty database, or check that those there are ours.

    Args:
        connection: inside a transaction that may write.
        name: the database, as error texts call it.

    Raises:
        StoreError: the database belongs to another program, or to another version of this one.
    """
    inspector = inspect(connection)
    tables = inspector.get_table_names()
    if not tables:
        metadata.create_all(connection)
        # The epoch of the database tells it from any other, restored or made anew.
        written = {
            "application": _APPLICATION,
            "schema_version": str(SCHEMA_VERSION),
            "epoch": secrets.token_hex(8),
        }
        connection.execute(insert(meta), [{"key": k, "value": v} for k, v in written.items()])
        return
    known: dict[str, str] = {}
    if "meta" in tables and {c["name"] for c in inspector.get_columns("meta")} == {"key", "value"}:
        known = {str(key): str(value) for key, value in connection.execute(select(meta))}
    version = known.get("schema_version", "")
    if known.get("application") != _APPLICATION or not version.isdecimal():
        raise StoreError(
            f"database {name} holds the tables of another program: choose another path"
        )
    if int(version) > SCHEMA_VERSION:
        raise StoreError(
            f"database {name} was made by a newer im-proto (its schema is version {version}, this "
            f"one knows {SCHEMA_VERSION}): upgrade im-proto, or choose another path"
        )
    # SQLite opens a file that may only be read without a word: write something to find out.
    connection.execute(update(meta).where(meta.c.key == "application").values(value=_APPLICATION))


# ---- a snapshot and a plan as rows


def user_text(user: UserId) -> str:
    """How a user id is kept; `user_id()` of it gives the id back."""
    return str(user)


def _as_json(items: Sequence[object]) -> str:
    return json.dumps(items, separators=(",", ":"))


def draw_epoch() -> str:
    """The epoch of a new mailbox: nobody has a cursor in it."""
    return secrets.token_hex(8)


def look_up(connection: Connection, wanted: decide.Wanted) -> decide.Snapshot:
    """Read what `plan_commit` needs to know, in a few statements however large the batch.

    Args:
        connection: inside the transaction that will write the plan.
        wanted: the questions; mailboxes that don't exist yet come with a fresh epoch.
    """

    def all_of(statement: Any, items: Sequence[Any]) -> Sequence[Any]:
        return connection.execute(statement, {"asked": _as_json(items)}).all() if items else ()

    def highest_msg_id(sender: UserId) -> int:
        found = connection.scalar(SELECT_HIGHEST_MSG_ID, {"sender": user_text(sender)})
        return found or 0

    def texts(pairs: Iterable[tuple[UserId, _T]]) -> list[tuple[str, _T]]:
        return [(user_text(user), rest) for user, rest in pairs]

    earlier = [
        _message(row)
        for statement, identities in (
            (SELECT_BY_MSG_ID, wanted.identities),
            (SELECT_BY_CLIENT_MSG_ID, wanted.plain),
        )
        for row in all_of(statement, texts(identities))
    ]
    # Users are found again by the text that was asked for, which is cheaper than reading it.
    users = {user_text(user): user for user, _ in wanted.devices}
    devices = {
        (users[user], device): decide.Device(generation, cursor, last_msg_id)
        for user, device, generation, cursor, last_msg_id in all_of(
            SELECT_DEVICES, texts(wanted.devices)
        )
    }
    recipients = {user_text(user): user for user in wanted.recipients}
    mailboxes = {
        recipients.pop(user): decide.Mailbox(epoch, head)
        for user, epoch, head in all_of(SELECT_MAILBOXES, list(recipients))
    }
    for user in recipients.values():
        mailboxes[user] = decide.Mailbox(draw_epoch(), 0)
    return decide.Snapshot(
        devices=devices,
        earlier=earlier,
        mailboxes=mailboxes,
        highest_msg_id=highest_msg_id,
    )


def _message(row: Row[Any]) -> decide.Message:
    return decide.Message(
        sender=user_id(row.sender),
        device=row.device,
        generation=row.generation,
        client_msg_id=row.msg_id if row.client_msg_id is None else row.client_msg_id,
        msg_id=row.msg_id,
        to_user=user_id(row.recipient),
        content=row.content,
        message_type=row.message_type,
        session_id=row.session_id,
        seq=row.seq,
        timestamp=row.accepted_at,
    )


def write(connection: Connection, plan: decide.Plan) -> None:
    """Write a plan, parents before children.

    Raises:
        SwallowedError: what the plan takes for new is there already; roll back.
    """
    if plan.mailboxes:
        connection.exec_driver_sql(
            _UPSERT_MAILBOXES,
            [(user_text(user), epoch, head) for user, (epoch, head) in plan.mailboxes.items()],
        )
    if plan.messages:
        # The write lock is ours, so the row numbers can be given here, a batch at a time.
        first = 1 + (connection.scalar(SELECT_LAST_ROW) or 0)
        _insert_all(
            connection,
            _INSERT_MESSAGES,
            [
                (
                    row,
                    user_text(m.sender),
                    m.device,
                    m.generation,
                    None if m.client_msg_id == m.msg_id else m.client_msg_id,
                    m.msg_id,
                    user_text(m.to_user),
                    m.seq,
                    m.content,
                    m.message_type,
                    m.session_id,
                    m.timestamp,
                )
                for row, m in enumerate(plan.messages, first)
            ],
        )
        _insert_all(
            connection,
            _INSERT_ENTRIES,
            [(user_text(m.to_user), m.seq, row) for row, m in enumerate(plan.messages, first)],
        )
    if plan.devices:
        connection.exec_driver_sql(
            _UPSERT_CURSORS,
            [(user_text(user), device, *kept) for (user, device), kept in plan.devices.items()],
        )


def _insert_all(connection: Connection, statement: str, rows: list[tuple[Any, ...]]) -> None:
    if connection.exec_driver_sql(statement, rows).rowcount != len(rows):
        # The plan said that all of them are new: it, or the table, is wrong.
        raise SwallowedError("rows are there already")
