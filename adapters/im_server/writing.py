"""How a plan becomes rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite

from im_proto.server.planning import Plan
from im_proto.server.rows import BookSession, Message, NewEntry
from im_proto.wire import UserId

from .driver import driver
from .lookups import user_text
from .mailbox import of_entry
from .rownumbers import last_row
from .tables import devices, entries, mailboxes, messages, sessions

__all__ = ["SwallowedError", "write", "write_sessions"]

#: The most rows that one statement writes: some 900 values, of 999 that an SQLite may take.
_ROWS: Final = 64


class SwallowedError(ValueError):
    """The database has kept fewer rows than it was given: something like them is there already."""


def _prepared(statement: sqlite.Insert, *columns: str) -> str:
    """The text of an INSERT with these columns, for rows given to `_insert` as tuples.

    SQLAlchemy takes rows as dictionaries, which costs five times as much as writing them.
    """
    compiled = statement.compile(dialect=sqlite.dialect(), column_keys=list(columns))
    if compiled.positiontup != list(columns):
        raise TypeError(f"name the columns in the order of the table: {compiled.positiontup}")
    return str(compiled)


# The plan has seen to it that no such row is there yet; `_insert_all` counts what was written.
_INSERT_MESSAGES = _prepared(
    sqlite.insert(messages).on_conflict_do_nothing(), *messages.columns.keys()
)
_INSERT_ENTRIES = _prepared(
    sqlite.insert(entries).on_conflict_do_nothing(), *entries.columns.keys()
)
_mailbox = sqlite.insert(mailboxes)
_UPSERT_MAILBOXES = _prepared(
    _mailbox.on_conflict_do_update(
        index_elements=["user"],
        set_={"head": _mailbox.excluded.head, "delivered": _mailbox.excluded.delivered},
    ),
    *mailboxes.columns.keys(),
)
_device = sqlite.insert(devices)
#: What a commit moves: never the generation, never the time of the login.
_UPSERT_CURSORS = _prepared(
    _device.on_conflict_do_update(
        index_elements=["user", "device"],
        set_={"cursor": _device.excluded.cursor, "last_msg_id": _device.excluded.last_msg_id},
    ),
    *("user", "device", "generation", "cursor", "last_msg_id", "forgotten"),
)
_session = sqlite.insert(sessions)
#: What changes in a session.
_UPSERT_SESSIONS = _prepared(
    _session.on_conflict_do_update(
        index_elements=["id"],
        set_={
            name: _session.excluded[name]
            for name in ("status", "expires_at", "buyer_read", "seller_read")
        },
    ),
    *sessions.columns.keys(),
)


def write(connection: Connection, plan: Plan) -> None:
    """Write a plan, parents before children.

    Raises:
        SwallowedError: what the plan takes for new is there already; roll back.
    """
    boxes = [(user_text(user), *kept) for user, kept in plan.mailboxes.items()]
    _insert(connection, _UPSERT_MAILBOXES, boxes)
    write_sessions(connection, plan.sessions.values())
    rows: dict[tuple[UserId, int], int] = {}
    if plan.messages:
        # The write lock is ours, so the row numbers can be given here, a batch at a time.
        first = 1 + last_row(connection)
        rows = {(m.sender, m.msg_id): row for row, m in enumerate(plan.messages, first)}
        held = Counter(e.what for e in plan.entries if isinstance(e.what, Message))
        _insert_all(
            connection,
            _INSERT_MESSAGES,
            [_of_message(m, row, held[m]) for row, m in enumerate(plan.messages, first)],
        )
    _insert_all(connection, _INSERT_ENTRIES, [_of_entry(e, rows) for e in plan.entries])
    moved = [(user_text(user), device, *kept) for (user, device), kept in plan.devices.items()]
    _insert(connection, _UPSERT_CURSORS, moved)


def write_sessions(connection: Connection, changed: Iterable[BookSession]) -> None:
    """Write sessions that are new or have changed, in this order."""
    rows = [
        (number, book_id, user_text(buyer), user_text(seller), *rest)
        for number, book_id, buyer, seller, *rest in changed
    ]
    _insert(connection, _UPSERT_SESSIONS, rows)


def _of_message(m: Message, row: int, held: int) -> tuple[Any, ...]:
    return (
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
        m.wants_receipt,
        held,
    )


def _of_entry(entry: NewEntry, rows: dict[tuple[UserId, int], int]) -> tuple[Any, ...]:
    what, row = entry.what, None
    if isinstance(what, Message):
        row = rows[what.sender, what.msg_id]
    return (user_text(entry.user), entry.seq, entry.at, *of_entry(what, row))


def _insert_all(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if _insert(connection, statement, rows) != len(rows):
        # The plan said that all of them are new: it, or the table, is wrong.
        raise SwallowedError("rows are there already")


def _insert(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Write rows with a `_prepared` statement; returns how many were written.

    Many with one statement, as lookups.py says why; in powers of two, so that there are few texts
    and each is prepared once.
    """
    raw = driver(connection)
    written = start = 0
    while start < len(rows):
        size = min(_ROWS, 1 << (len(rows) - start).bit_length() - 1)
        values = tuple(value for row in rows[start : start + size] for value in row)
        written += raw.execute(_for_rows(statement, size), values).rowcount
        start += size
    return written


@cache
def _for_rows(statement: str, rows: int) -> str:
    before, _, rest = statement.partition(" VALUES ")
    one, end, after = rest.partition(")")
    return f"{before} VALUES {', '.join([one + end] * rows)}{after}"
