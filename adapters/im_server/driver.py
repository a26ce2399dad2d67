"""The way past SQLAlchemy, for the statements of every commit: its own part of a short one is more
than SQLite's, and a commit of one message has seven.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Table, bindparam, func, literal_column
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement

__all__ = ["AnyConnection", "driver", "one_row", "part", "text_of", "transaction", "upsert"]

#: SQLAlchemy's, or the driver's own for the statements of a commit.
AnyConnection = Connection | sqlite3.Connection


def driver(connection: AnyConnection) -> sqlite3.Connection:
    """Python's own connection, in the transaction that SQLAlchemy has begun and will end. Its
    errors are `sqlite3.Error`."""
    if isinstance(connection, sqlite3.Connection):
        return connection
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def text_of(statement: ClauseElement, *parameters: str) -> str:
    """A statement for the driver; constants stand in it as they are. To be made once.

    Args:
        statement: of SQLAlchemy Core.
        parameters: what it is asked with, in this order.
    """
    compiled: Any = statement.compile(
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": not parameters}
    )
    if (compiled.positiontup or []) != list(parameters):
        raise TypeError(f"it is asked with {compiled.positiontup}")
    return str(compiled)


def one_row(table: Table, *columns: str, null: str = "") -> sqlite.Insert:
    """An INSERT of these columns; `null` is the one that is NULL where 0 is given."""
    given: dict[str, Any] = {name: bindparam(name) for name in columns}
    if null:
        given[null] = func.nullif(given[null], literal_column("0"))
    return sqlite.insert(table).values(given)


def upsert(table: Table, columns: Sequence[str], key: Sequence[str], moved: Sequence[str]) -> str:
    """An INSERT that changes some columns of a row that is there."""
    row = one_row(table, *columns)
    changes = {name: row.excluded[name] for name in moved}
    return text_of(row.on_conflict_do_update(index_elements=key, set_=changes), *columns)


def transaction(raw: sqlite3.Connection) -> AbstractContextManager[sqlite3.Connection]:
    """A transaction that may write: all of it is kept, or nothing."""
    return _all_or_nothing(raw, "BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))


def part(raw: sqlite3.Connection) -> AbstractContextManager[sqlite3.Connection]:
    """A part of the transaction under way: all of it is kept in there, or nothing."""
    return _all_or_nothing(
        raw, "SAVEPOINT part", "RELEASE part", ("ROLLBACK TO part", "RELEASE part")
    )


@contextmanager
def _all_or_nothing(
    raw: sqlite3.Connection, begin: str, keep: str, undo: Sequence[str]
) -> Iterator[sqlite3.Connection]:
    raw.execute(begin)
    try:
        yield raw
        raw.execute(keep)
    except BaseException:
        if raw.in_transaction:  # some errors have ended it already
            with suppress(sqlite3.Error):
                for statement in undo:
                    raw.execute(statement)
        raise
