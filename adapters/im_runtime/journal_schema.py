"""The tables of a journal, and how its records become rows and back.

An application may keep its own tables in the same file, so ours begin with `im_`. A user id is kept
as text, an int as its decimal: `user_id()` reads a canonical decimal as the int, so the text stands
for one id only.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from im_proto.client.journal import (
    Change,
    Cursor,
    Handled,
    Identity,
    JournalState,
    Offered,
    OutgoingGone,
    OutgoingRecord,
    PairKnown,
)
from im_proto.wire import UserId, user_id

#: "IMJ1" in the header of the file: what `file` and other programs know it by.
APPLICATION_ID: Final = 0x494D4A31

#: What takes a file from one version to the next: version 1 is made of an empty file by the first.
MIGRATIONS: Final = (
    (
        """
        CREATE TABLE im_identity (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            device_id TEXT NOT NULL,
            highest_msg_id INTEGER NOT NULL
        )
        """,
        """
        CREATE TABLE im_outgoing (
            ref INTEGER PRIMARY KEY,
            msg_id INTEGER NOT NULL,
            to_user TEXT NOT NULL,
            content TEXT NOT NULL,
            message_type TEXT NOT NULL,
            session_id INTEGER,
            priority TEXT NOT NULL,
            key TEXT,
            expires_at INTEGER,
            handed_at INTEGER,
            renumbered INTEGER NOT NULL,
            unsure_sends INTEGER NOT NULL,
            "end" TEXT,
            ended_at INTEGER,
            timestamp INTEGER,
            error_code TEXT,
            error_text TEXT,
            server_code INTEGER,
            server_text TEXT
        )
        """,
        """
        CREATE TABLE im_cursor (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            epoch TEXT NOT NULL,
            seq INTEGER NOT NULL,
            from_user TEXT,
            msg_id INTEGER
        )
        """,
        "CREATE TABLE im_offered (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL)",
        "CREATE TABLE im_handled (seq INTEGER PRIMARY KEY)",
        # The higher n, the newer.
        """
        CREATE TABLE im_pairs (
            n INTEGER PRIMARY KEY,
            from_user TEXT NOT NULL,
            msg_id INTEGER NOT NULL,
            digest BLOB NOT NULL,
            UNIQUE (from_user, msg_id)
        )
        """,
        # How often the numbers of the mailbox have got another meaning.
        "CREATE TABLE im_resets (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL)",
        "CREATE TABLE im_owner (id INTEGER PRIMARY KEY CHECK (id = 1), user_id TEXT NOT NULL)",
    ),
)
SCHEMA_VERSION: Final = len(MIGRATIONS)

_COLUMNS: Final = tuple(field.name for field in dataclasses.fields(OutgoingRecord))
_NAMES: Final = ", ".join(f'"{name}"' for name in _COLUMNS)
_PUT_OUTGOING: Final = (
    f"INSERT OR REPLACE INTO im_outgoing ({_NAMES}) "  # noqa: S608 - the names are ours
    f"VALUES ({', '.join(f':{name}' for name in _COLUMNS)})"
)
_GET_OUTGOING: Final = f"SELECT {_NAMES} FROM im_outgoing ORDER BY ref"  # noqa: S608
#: In place of what is known of that message.
_PUT_PAIR: Final = (
    "INSERT OR REPLACE INTO im_pairs (n, from_user, msg_id, digest) "
    "SELECT coalesce(max(n), 0) + 1, ?, ?, ? FROM im_pairs"
)
#: It counts only beyond the cursor.
PUT_HANDLED: Final = (
    "INSERT OR IGNORE INTO im_handled (seq) SELECT :seq "
    "WHERE NOT EXISTS (SELECT 1 FROM im_cursor WHERE im_cursor.seq >= :seq)"
)
_NEWEST_PAIRS: Final = (
    "SELECT * FROM (SELECT n, from_user, msg_id, digest FROM im_pairs ORDER BY n DESC LIMIT ?) "
    "ORDER BY n"
)
_T = TypeVar("_T")


class OddRecordError(Exception):
    """A row that no journal of ours has. The text never holds what stands in it."""


# ---- writing


def write(db: sqlite3.Connection, changes: Iterable[Change]) -> None:
    """Carry the changes out, inside a transaction: what `JournalState.apply` does, on disk.

    It leaves too many pairs: see `drop_pairs`.
    """
    for change in changes:
        match change:
            case OutgoingRecord():
                row = {name: getattr(change, name) for name in _COLUMNS}
                db.execute(_PUT_OUTGOING, row | {"to_user": str(change.to_user)})
            case OutgoingGone():
                db.execute("DELETE FROM im_outgoing WHERE ref = ?", (change.ref,))
            case Identity():
                db.execute(
                    "INSERT OR REPLACE INTO im_identity VALUES (1, ?, ?)",
                    (change.device_id, change.highest_msg_id),
                )
            case Cursor():
                _put_cursor(db, change)
            case Offered():
                db.execute(
                    "INSERT INTO im_offered VALUES (1, ?) "
                    "ON CONFLICT (id) DO UPDATE SET seq = max(seq, excluded.seq)",
                    (change.seq,),
                )
            case Handled():
                db.execute(PUT_HANDLED, {"seq": change.seq})
            case PairKnown():
                db.execute(_PUT_PAIR, (str(change.from_user), change.msg_id, change.digest))


def _put_cursor(db: sqlite3.Connection, cursor: Cursor) -> None:
    before = db.execute("SELECT epoch FROM im_cursor").fetchone()
    if before is not None and before[0] != cursor.epoch:
        db.execute("DELETE FROM im_offered")
        db.execute("DELETE FROM im_handled")
        db.execute(
            "INSERT INTO im_resets VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET count = count + 1"
        )
    user = None if cursor.from_user is None else str(cursor.from_user)
    db.execute(
        "INSERT OR REPLACE INTO im_cursor VALUES (1, ?, ?, ?, ?)",
        (cursor.epoch, cursor.seq, user, cursor.msg_id),
    )
    db.execute("DELETE FROM im_handled WHERE seq <= ?", (cursor.seq,))


def drop_pairs(db: sqlite3.Connection, too_many: int) -> None:
    """Forget the oldest pairs."""
    db.execute(
        "DELETE FROM im_pairs WHERE n IN (SELECT n FROM im_pairs ORDER BY n LIMIT ?)", (too_many,)
    )


# ---- reading


def owner(db: sqlite3.Connection, user: UserId) -> str:
    """Whose file it is: of the first user who asks."""
    db.execute("INSERT OR IGNORE INTO im_owner VALUES (1, ?)", (str(user),))
    (of,) = db.execute("SELECT user_id FROM im_owner").fetchone()
    return str(of)


def resets(db: sqlite3.Connection) -> int:
    """How often the numbers of the mailbox have got another meaning."""
    (count,) = db.execute("SELECT coalesce(max(count), 0) FROM im_resets").fetchone()
    return int(count)


def has(db: sqlite3.Connection, change: Handled | PairKnown) -> bool:
    """Was that written before?"""
    if isinstance(change, Handled):
        query = (
            "SELECT EXISTS (SELECT 1 FROM im_handled WHERE seq = :seq) "
            "OR EXISTS (SELECT 1 FROM im_cursor WHERE im_cursor.seq >= :seq)"
        )
        return bool(db.execute(query, {"seq": change.seq}).fetchone()[0])
    query = "SELECT 1 FROM im_pairs WHERE from_user = ? AND msg_id = ? AND digest = ?"
    known = db.execute(query, (str(change.from_user), change.msg_id, change.digest)).fetchone()
    return known is not None


def read(db: sqlite3.Connection, known_pairs: int) -> JournalState:
    """All that the tables hold.

    Raises:
        OddRecordError: names the table, and the row as far as it has a name.
    """
    state = JournalState(known_pairs=known_pairs)
    for row in _rows(db, "SELECT device_id, highest_msg_id FROM im_identity"):
        state.identity = _record(Identity, row, "im_identity")
    for row in _rows(db, _GET_OUTGOING):
        where = f"im_outgoing, ref {row['ref']}"
        row["to_user"] = _user(row["to_user"], where)
        row["renumbered"] = {0: False, 1: True}.get(row["renumbered"])
        record = _record(OutgoingRecord, row, where)
        state.outgoing[record.ref] = record
    for row in _rows(db, "SELECT epoch, seq, from_user, msg_id FROM im_cursor"):
        if row["from_user"] is not None:
            row["from_user"] = _user(row["from_user"], "im_cursor")
        state.cursor = _record(Cursor, row, "im_cursor")
    for row in _rows(db, "SELECT seq FROM im_offered"):
        state.offered = _record(Offered, row, "im_offered").seq
    state.handled = {row["seq"] for row in _rows(db, "SELECT seq FROM im_handled")}
    for row in _rows(db, _NEWEST_PAIRS, known_pairs):
        where = f"im_pairs, n {row.pop('n')}"
        row["from_user"] = _user(row["from_user"], where)
        pair = _record(PairKnown, row, where)
        state.pairs[pair.from_user, pair.msg_id] = pair.digest
    return state


def _rows(db: sqlite3.Connection, query: str, *asked: int) -> Iterator[dict[str, Any]]:
    cursor = db.execute(query, asked)
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def _user(text: object, where: str) -> UserId:
    try:
        return user_id(text)
    except ValueError:
        raise OddRecordError(f"{where}: no user id") from None


_READ: Final = (Identity, OutgoingRecord, Cursor, Offered, PairKnown)
#: SQLite keeps what it is given in any column, so each value is looked at.
_FIELDS: Final = {
    kind: {name: TypeAdapter(hint) for name, hint in get_type_hints(kind).items()} for kind in _READ
}


def _record(kind: type[_T], row: dict[str, Any], where: str) -> _T:
    for name, adapter in _FIELDS[kind].items():  # type: ignore[index]
        try:
            adapter.validate_python(row[name], strict=True)
        except ValidationError as error:
            reason = error.errors(include_input=False, include_url=False)[0]["msg"]
            raise OddRecordError(f"{where}, {name}: {reason}") from None
    return kind(**row)
