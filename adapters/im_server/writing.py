"""How a plan becomes rows.

Python's driver binds a whole number in 20 ns, a text in 70 and anything else, as None or True, in
250. So a user id is given as it is: a column of texts keeps the number 7 as the text "7", which is
what `user_text` makes of it. And 0 stands for a NULL where there can be no 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import Table, bindparam, literal_column, select
from sqlalchemy.dialects import sqlite

from im_proto.server.planning import Plan
from im_proto.server.rows import BookSession, Message

from .driver import AnyConnection, driver, one_row, text_of, upsert
from .known import Known
from .mailbox import of_note
from .rownumbers import last_row
from .tables import MESSAGE, devices, entries, mailboxes, messages, sessions

__all__ = ["SwallowedError", "write", "write_sessions"]

#: The most rows that one statement writes: some 900 values, of 999 that an SQLite may take.
_ROWS: Final = 64


class SwallowedError(ValueError):
    """The database has kept fewer rows than it was given: something like them is there already."""


def _insert_new(table: Table, *columns: str, null: str = "") -> str:
    """An INSERT of what the plan says is new; `_insert_all` counts what was written."""
    return text_of(one_row(table, *columns, null=null).on_conflict_do_nothing(), *columns)


_INSERT_MESSAGES = _insert_new(messages, *messages.columns.keys(), null="client_msg_id")
#: What stands in the mailboxes of the recipients, of the messages from a row on.
_INSERT_RECEIVED = text_of(
    sqlite.insert(entries)
    .from_select(
        ["user", "seq", "at", "kind", "message_id"],
        select(
            messages.c.recipient,
            messages.c.seq,
            messages.c.accepted_at,
            literal_column(str(MESSAGE)),
            messages.c.id,
        ).where(messages.c.id >= bindparam("first")),
    )
    .on_conflict_do_nothing(),
    "first",
)
_INSERT_COPIES = _insert_new(entries, "user", "seq", "at", "kind", "message_id")
_INSERT_NOTES = _insert_new(entries, "user", "seq", "at", "kind", "data")
_UPSERT_MAILBOXES = upsert(mailboxes, mailboxes.columns.keys(), ["user"], ["head", "delivered"])
#: What a commit moves: never the generation, never the time of the login.
_UPSERT_CURSORS = upsert(
    devices,
    ("user", "device", "generation", "cursor", "last_msg_id", "forgotten"),
    ["user", "device"],
    ["cursor", "last_msg_id"],
)
#: What changes in a session.
_UPSERT_SESSIONS = upsert(
    sessions,
    sessions.columns.keys(),
    ["id"],
    ["status", "expires_at", "buyer_read", "seller_read"],
)


def write(connection: AnyConnection, plan: Plan, known: Known) -> None:
    """Write a plan, parents before children.

    Raises:
        SwallowedError: what the plan takes for new is there already; roll back.
    """
    boxes = [(user, *kept) for user, kept in plan.mailboxes.items()]
    _insert(connection, _UPSERT_MAILBOXES, boxes)
    write_sessions(connection, plan.sessions.values())
    if plan.messages:
        _write_messages(connection, plan, known)
    if len(plan.entries) > len(plan.messages):
        notes = [
            (user, seq, at, *of_note(what))
            for user, seq, at, what in plan.entries
            if not isinstance(what, Message)
        ]
        _insert_all(connection, _INSERT_NOTES, notes)
    moved = [(user, device, *kept) for (user, device), kept in plan.devices.items()]
    _insert(connection, _UPSERT_CURSORS, moved)


def _write_messages(connection: AnyConnection, plan: Plan, known: Known) -> None:
    """New messages and what stands of them in mailboxes: an entry in that of the recipient, and a
    copy in that of the sender, if there is one."""
    # The write lock is ours, so the row numbers can be given here, a batch at a time.
    if known.last_row is None:
        known.last_row = last_row(connection)
    first = 1 + known.last_row
    copies = []
    twice: set[int] = set()
    if len(plan.entries) > len(plan.messages):
        rows = {id(message): row for row, message in enumerate(plan.messages, first)}
        copies = [
            (user, seq, at, MESSAGE, rows[id(what)])
            for user, seq, at, what in plan.entries
            if isinstance(what, Message) and user != what.to_user
        ]
        twice.update([row for *_, row in copies])
    new = []
    for row, message in enumerate(plan.messages, first):
        sender, device, generation, client_msg_id, msg_id, to_user = message[:6]
        content, message_type, session_id, seq, at, receipt = message[6:]
        new.append(
            (
                row,
                sender,
                device,
                generation,
                0 if client_msg_id == msg_id else client_msg_id,
                msg_id,
                to_user,
                seq,
                content,
                message_type,
                session_id,
                at,
                int(receipt),
                1 + (row in twice),
            )
        )
    _insert_all(connection, _INSERT_MESSAGES, new)
    if driver(connection).execute(_INSERT_RECEIVED, (first,)).rowcount != len(new):
        raise SwallowedError("entries are there already")
    _insert_all(connection, _INSERT_COPIES, copies)


def write_sessions(connection: AnyConnection, changed: Iterable[BookSession]) -> None:
    """Write sessions that are new or have changed, in this order."""
    _insert(connection, _UPSERT_SESSIONS, list(changed))


def _insert_all(connection: AnyConnection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if _insert(connection, statement, rows) != len(rows):
        # The plan said that all of them are new: it, or the table, is wrong.
        raise SwallowedError("rows are there already")


def _insert(connection: AnyConnection, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Write rows with the text of an INSERT of one; returns how many were written.

    Many with one statement, as lookups.py says why. Each number of rows has a text of its own,
    which is prepared once (`Database` keeps room for them).
    """
    written = 0
    while rows:
        some, rows = rows[:_ROWS], rows[_ROWS:]
        values = list(chain.from_iterable(some))
        written += driver(connection).execute(_for_rows(statement, len(some)), values).rowcount
    return written


@cache
def _for_rows(statement: str, rows: int) -> str:
    before, _, rest = statement.partition(" VALUES ")
    one, end, after = rest.partition(" ON CONFLICT")
    return f"{before} VALUES {', '.join([one] * rows)}{end}{after}"
