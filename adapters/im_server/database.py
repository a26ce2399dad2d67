"""The SQLite file itself: taken for one process, opened, and written in transactions.

Two connections: one writes, one reads, and the write-ahead log lets them work side by side.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL, Connection, create_engine, event, exc, make_url
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool

from im_runtime import FileLock, LockHeldError

from . import schema
from .driver import driver, part, transaction
from .failures import StoreError, code, short
from .known import Known

#: What an acknowledged message survives: "power" a power cut, "process" a crash of the server.
Durability = Literal["power", "process"]

#: Prepared statements that a connection keeps: writing.py has some for each number of rows.
_STATEMENTS = 400
#: What a transaction may raise.
_ERRORS = (exc.SQLAlchemyError, sqlite3.Error, ValueError, OverflowError)
_SYNCHRONOUS = {"power": "FULL", "process": "NORMAL"}


class Database:
    """A file, from its lock to its end.

    Args:
        url: `sqlite:///PATH`.
        durability: what an acknowledged message survives.
        busy_timeout: how long to wait for another program that has the file locked, in seconds.

    Raises:
        StoreError: the URL is none that we can use.
    """

    def __init__(self, url: str, durability: Durability, busy_timeout: float) -> None:
        self._name, self._path = path_of(url)
        self._synchronous = _SYNCHRONOUS[durability]
        self._busy_timeout = busy_timeout
        self._lock = FileLock(Path(f"{self._path}.lock"))
        #: of the thread that writes; see `writing`
        self.known = Known()
        self._writer: Connection | None = None
        self._reader: Connection | None = None

    def open(self) -> None:
        """Take the file for this process alone and make the tables, if it is new.

        Raises:
            StoreError: says what is wrong with the file and what to do.
        """
        if self._writer is not None:
            raise StoreError(f"database {self._name} is open already")
        self._take_lock()
        try:
            with self._opening():
                self._writer = self._connect("BEGIN IMMEDIATE")
                raw = driver(self._writer)
                raw.execute(f"PRAGMA synchronous = {self._synchronous}")
                # macOS only: without it a flush stops at the cache of the disk.
                raw.execute(f"PRAGMA fullfsync = {int(self._synchronous == 'FULL')}")
                raw.execute("PRAGMA foreign_keys = ON")
                # Users are spread over the tables, so every commit touches pages everywhere:
                # keep more of them (8 MiB; with 100,000 users more saves less than a tenth of the
                # time), and copy them out of the log less often (32 MiB).
                raw.execute("PRAGMA cache_size = -8192")
                raw.execute("PRAGMA wal_autocheckpoint = 8192")
                raw.execute("SELECT json_valid('[]')")  # what lookups.py asks with
                with self._writer.begin():
                    schema.prepare(self._writer, self._name)
                # Only now, when the file is known to be ours, is anything about it changed.
                (mode,) = raw.execute("PRAGMA journal_mode = WAL").fetchone()
                if mode != "wal":
                    raise StoreError(
                        f"database {self._name} can't have a write-ahead log where it lies "
                        "(a network drive?): choose a path on a local disk"
                    )
                self._reader = self._connect("BEGIN")
                driver(self._reader).execute("PRAGMA query_only = ON")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file and leave it to others; without effect on a store that isn't open."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                with suppress(exc.SQLAlchemyError, sqlite3.Error):
                    connection.close()
        self._reader = self._writer = None
        self._lock.release()

    @contextmanager
    def writing(self, *, keeps_known: bool = False) -> Iterator[Connection]:
        """A transaction that may write; one at a time.

        Args:
            keeps_known: the caller sees to it that what is `known` stays true. Else all of it is
                forgotten.

        Raises:
            StoreError: the database can't write now; nothing was kept.
        """
        if not keeps_known:
            self.known.forget()
        with self._forgetting(), self._transaction(self._writer) as connection:
            yield connection

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        """What was written in a transaction that fails is not known."""
        try:
            yield
        except BaseException:
            self.known.forget()
            raise

    @contextmanager
    def committing(self, *, joins: bool = False) -> Iterator[sqlite3.Connection]:
        """The same as `writing`, for who needs nothing of SQLAlchemy: its own part of a transaction
        is a quarter of a commit of one message.

        Args:
            joins: in `together` it fails with all the others, and needs no savepoint.

        Raises:
            StoreError: the database can't write now; nothing was kept.
        """
        if self._writer is None:
            raise StoreError(f"database {self._name} is not open")
        try:
            raw = driver(self._writer)
            if not self._writer.in_transaction():
                scope = transaction(raw)
            else:
                scope = nullcontext(raw) if joins else part(raw)
            with self._forgetting(), scope:
                yield raw
        except _ERRORS as error:
            raise StoreError(short(error)) from error

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees the newest commit and writes nothing.

        Raises:
            StoreError: the database can't be read now.
        """
        return self._transaction(self._reader)

    @contextmanager
    def asking(self) -> Iterator[sqlite3.Connection]:
        """The same as `reading`, for one statement: it needs no transaction.

        Raises:
            StoreError: the database can't be read now.
        """
        if self._reader is None:
            raise StoreError(f"database {self._name} is not open")
        try:
            yield driver(self._reader)
        except _ERRORS as error:
            raise StoreError(short(error)) from error

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written in here is on disk when this ends, all of it, or nothing.

        Raises:
            StoreError: the database can't write now; nothing was kept.
        """
        with self._forgetting(), self._transaction(self._writer):
            yield

    def checkpoint(self) -> None:
        """Copy what is in the log into the file, beside whoever writes; in the thread that reads.

        Raises:
            StoreError: the database can't be written now; nothing is lost.
        """
        if self._reader is None:
            raise StoreError(f"database {self._name} is not open")
        try:
            driver(self._reader).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            raise StoreError(short(error)) from error

    @contextmanager
    def _transaction(self, connection: Connection | None) -> Iterator[Connection]:
        if connection is None:
            raise StoreError(f"database {self._name} is not open")
        try:
            with part(driver(connection)) if connection.in_transaction() else connection.begin():
                yield connection
        except _ERRORS as error:
            raise StoreError(short(error)) from error

    def _connect(self, begin: str) -> Connection:
        """A connection of its own, whose transactions start with `begin`.

        The driver's habit is to send BEGIN before the first write only, and never IMMEDIATE:
        a commit that has read could then fail with "locked" without waiting. SQLAlchemy's
        documented way out: the driver sends nothing, an event does.
        """
        arguments: dict[str, Any] = {
            "check_same_thread": False,  # opened here, used by a worker thread
            "timeout": self._busy_timeout,
            "cached_statements": _STATEMENTS,
        }
        legacy = getattr(sqlite3, "LEGACY_TRANSACTION_CONTROL", None)
        if legacy is not None:  # Python 3.12; its default changes in 3.16
            arguments["autocommit"] = legacy
        engine: Engine = create_engine(
            URL.create("sqlite", database=str(self._path)),
            poolclass=NullPool,
            hide_parameters=True,
            connect_args=arguments,
        )

        def send_begin(connection: Connection) -> None:
            driver(connection).execute(begin)

        connection = engine.connect()
        driver(connection).isolation_level = None
        event.listen(engine, "begin", send_begin)
        return connection

    def _take_lock(self) -> None:
        try:
            if not self._path.parent.is_dir():
                raise StoreError(
                    f"the directory of database {self._name} doesn't exist: create it, or choose "
                    "another path"
                )
            if self._path.is_dir():
                raise StoreError(f"database {self._name} is a directory: name a file in it")
            self._lock.acquire()
        except LockHeldError as held:
            raise StoreError(
                f"database {self._name} is in use by another server ({held.holder}): stop that "
                "one, or choose another path"
            ) from None
        except OSError as error:
            raise StoreError(
                f"database {self._name} can't be written ({error.strerror}): give this user write "
                "permission for the file and its directory, or choose another path"
            ) from error

    @contextmanager
    def _opening(self) -> Iterator[None]:
        try:
            yield
        except (exc.SQLAlchemyError, sqlite3.Error) as error:
            advice = _ADVICE.get(code(error), f"can't be opened ({short(error)})")
            raise StoreError(f"database {self._name} {advice}") from error


_CANT_WRITE = (
    "can't be written: give this user write permission for the file and its directory, or choose "
    "another path"
)
_ADVICE: dict[int, str] = {
    sqlite3.SQLITE_NOTADB: "is not a SQLite database: move the file away, or choose another path",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore a backup, or choose another path",
    sqlite3.SQLITE_READONLY: _CANT_WRITE,
    sqlite3.SQLITE_CANTOPEN: _CANT_WRITE,
    sqlite3.SQLITE_PERM: _CANT_WRITE,
    sqlite3.SQLITE_BUSY: "is locked by another program: close that one and start again",
    sqlite3.SQLITE_FULL: "has no room: free some space on its disk",
}


def path_of(url: str) -> tuple[str, Path]:
    """The file of a URL: as the user wrote it, for error texts, and as it really lies."""
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):
        # The text of the error, and the URL, may hold a password.
        raise StoreError("the database URL can't be read: write sqlite:///PATH") from None
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise StoreError(
            f"a database of the kind {parsed.drivername!r} is not supported yet: use sqlite:///PATH"
        )
    if parsed.host or parsed.username or parsed.port or parsed.query:
        raise StoreError("a SQLite URL has three slashes and no options: write sqlite:///PATH")
    name = parsed.database or ""
    if not name or name == ":memory:" or "\x00" in name:
        raise StoreError("the messages of a server live in a file: write sqlite:///PATH")
    # Symlinks resolved: two names of one file must meet at the same lock.
    return name, Path(os.path.realpath(name))
