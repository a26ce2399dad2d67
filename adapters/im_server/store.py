"""The store of the server: SQLAlchemy Core on one SQLite file.

Everything here blocks. `commit` and `login` share one connection and are called by one thread at
a time; `read` has its own, which the write-ahead log lets run beside the writer (`writer.py` has
the two threads). What is decided inside a commit stands in `im_proto/server/commit.py`; here it
is only looked up and written.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from sqlalchemy import URL, Connection, create_engine, event, exc, make_url
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool

from im_proto.server import commit as decide
from im_proto.server.actions import StoreCommit, StoreLogin, StoreRead
from im_proto.server.inputs import Committed, LoginStored, ReadDone
from im_proto.server.records import (
    PLAIN,
    CommitResult,
    CursorMove,
    Login,
    MailboxEntry,
    Submission,
    Unstorable,
)
from im_proto.wire import MAX_ID, UserId, user_id

from . import schema
from .filelock import FileLock, LockHeldError
from .schema import StoreError, user_text

__all__ = ["Durability", "Store", "StoreError"]

#: What an acknowledged message survives: "power" a power cut, "process" a crash of the server.
Durability = Literal["power", "process"]

_SYNCHRONOUS = {"power": "FULL", "process": "NORMAL"}
_T = TypeVar("_T")
logger = logging.getLogger(__name__)


class _BadBatch(Exception):
    """The database refuses something in a batch; one item of it is to blame."""


class Store:
    """The mailboxes, devices and cursors of a server, in one file.

    Args:
        url: `sqlite:///PATH`.
        durability: what an acknowledged message survives.
        busy_timeout: how long to wait for another program that has the file locked, in seconds.
        clock: seconds since 1970, for the time of a login.

    Raises:
        StoreError: the URL is none that we can use.
    """

    def __init__(
        self,
        url: str,
        durability: Durability,
        *,
        busy_timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name, self._path = _path_of(url)
        self._synchronous = _SYNCHRONOUS[durability]
        self._busy_timeout = busy_timeout
        self._clock = clock
        self._lock = FileLock(Path(f"{self._path}.lock"))
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
                raw = _raw(self._writer)
                raw.execute(f"PRAGMA synchronous = {self._synchronous}")
                # macOS only: without it a flush stops at the cache of the disk.
                raw.execute(f"PRAGMA fullfsync = {int(self._synchronous == 'FULL')}")
                raw.execute("PRAGMA foreign_keys = ON")
                # Users are spread over the tables, so every commit touches pages everywhere:
                # keep more of them (32 MiB), and copy them out of the log less often (32 MiB).
                raw.execute("PRAGMA cache_size = -32768")
                raw.execute("PRAGMA wal_autocheckpoint = 8192")
                raw.execute("SELECT json_valid('[]')")  # what schema.py looks things up with
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
                _raw(self._reader).execute("PRAGMA query_only = ON")
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

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    # ---- the three requests

    def commit(self, request: StoreCommit) -> Committed:
        """Write a batch in one transaction; it is on disk when this returns.

        A message that the database refuses becomes `Unstorable` and its neighbours are written.

        Raises:
            StoreError: the database can't write now (locked, full, gone); nothing was kept.
        """
        try:
            with self._transaction(self._writer) as connection:
                results = self._apply(connection, request.submissions, request.cursors, request.at)
        except _BadBatch:
            with self._transaction(self._writer) as connection:
                results = self._salvage_all(connection, request)
        return Committed(request=request.request, results=tuple(results))

    def login(self, request: StoreLogin) -> LoginStored:
        """Start a new generation of the device, and say where it and its mailbox are.

        Raises:
            StoreError: the database can't write now; the old generation still holds.
        """
        user = {"user": _checked(request.user)}
        with self._transaction(self._writer) as connection:
            device = connection.execute(
                schema.SELECT_DEVICE, user | {"device": request.device}
            ).one_or_none()
            generation = 0
            if request.device != PLAIN:
                generation = 1 + (device.generation if device else 0)
            mailbox = connection.execute(schema.SELECT_MAILBOX, user).one_or_none()
            epoch, head = mailbox or (schema.draw_epoch(), 0)
            if mailbox is None:
                connection.execute(schema.INSERT_MAILBOX, user | {"epoch": epoch, "head": 0})
            connection.execute(
                schema.UPSERT_LOGIN,
                {
                    "user": user["user"],
                    "device": request.device,
                    "generation": generation,
                    "last_msg_id": 0,
                    "last_login_at": int(self._clock() * 1000),
                },
            )
            oldest = connection.scalar(schema.SELECT_OLDEST, user)
            resume_entry = None
            if request.resume_seq is not None and 0 < request.resume_seq <= MAX_ID:
                row = connection.execute(
                    schema.SELECT_AT_SEQ, user | {"seq": request.resume_seq}
                ).one_or_none()
                resume_entry = (user_id(row.sender), row.msg_id) if row else None
        return LoginStored(
            request=request.request,
            login=Login(
                generation=generation,
                last_msg_id=device.last_msg_id if device else 0,
                cursor=device.cursor if device else None,
                epoch=epoch,
                head=head,
                oldest=head + 1 if oldest is None else oldest,
                resume_entry=resume_entry,
            ),
        )

    def read(self, request: StoreRead) -> ReadDone:
        """Read a piece of a mailbox, as of the newest commit.

        Raises:
            StoreError: the database can't be read now.
        """
        user = {"user": _checked(request.user)}
        # A negative LIMIT would be none at all.
        span = {"after": min(max(request.after, 0), MAX_ID), "limit": max(request.limit, 0)}
        with self._transaction(self._reader) as connection:
            rows = connection.execute(schema.SELECT_ENTRIES, user | span).all()
            mailbox = connection.execute(schema.SELECT_MAILBOX, user).one_or_none()
        return ReadDone(
            request=request.request,
            entries=tuple(
                MailboxEntry(
                    seq=row.seq,
                    from_user=user_id(row.sender),
                    to_user=user_id(row.recipient),
                    msg_id=row.msg_id,
                    content=row.content,
                    message_type=row.message_type,
                    session_id=row.session_id,
                    timestamp=row.accepted_at,
                )
                for row in rows
            ),
            head=mailbox.head if mailbox else 0,
        )

    # ---- a commit

    def _apply(
        self,
        connection: Connection,
        submissions: Sequence[Submission],
        cursors: Sequence[CursorMove],
        at: int,
    ) -> Sequence[CommitResult]:
        """Look up, decide and write a batch, inside a transaction.

        Raises:
            _BadBatch: an item is to blame; what was written has to be rolled back.
        """
        try:
            snapshot = schema.look_up(connection, decide.wanted(submissions, cursors))
            plan = decide.plan_commit(submissions, cursors, snapshot, at)
            schema.write(connection, plan)
        except Exception as error:
            if _blames_an_item(error):
                # The name alone: texts of the database may quote what it was given.
                raise _BadBatch(f"the database refuses it ({_kind(error)})") from error
            raise
        return plan.results

    def _salvage_all(self, connection: Connection, request: StoreCommit) -> Sequence[CommitResult]:
        """A batch again, each part in a savepoint, halved until the culprits stand alone."""

        at = request.at

        def refuse(submission: Submission, reason: str) -> Sequence[CommitResult]:
            logger.error("message %d of a batch is not stored: %s", submission.key, reason)
            return (Unstorable(key=submission.key, reason=reason),)

        def drop(_: CursorMove, reason: str) -> Sequence[CommitResult]:
            logger.error("a cursor is not stored: %s", reason)
            return ()

        results = _salvage(
            connection,
            request.submissions,
            lambda part: self._apply(connection, part, (), at),
            refuse,
        )
        _salvage(
            connection,
            request.cursors,
            lambda part: self._apply(connection, (), part, at),
            drop,
        )
        return results

    # ---- connections and transactions

    @contextmanager
    def _transaction(self, connection: Connection | None) -> Iterator[Connection]:
        if connection is None:
            raise StoreError(f"database {self._name} is not open")
        try:
            with connection.begin():
                yield connection
        except (exc.SQLAlchemyError, sqlite3.Error, ValueError, OverflowError) as error:
            raise StoreError(_short(error)) from error

    def _connect(self, begin: str) -> Connection:
        """A connection of its own, whose transactions start with `begin`.

        The driver's habit is to send BEGIN before the first write only, and never IMMEDIATE:
        a commit that has read could then fail with "locked" without waiting. SQLAlchemy's
        documented way out: the driver sends nothing, an event does.
        """
        arguments: dict[str, Any] = {
            "check_same_thread": False,  # opened here, used by a worker thread
            "timeout": self._busy_timeout,
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
            connection.exec_driver_sql(begin)

        connection = engine.connect()
        _raw(connection).isolation_level = None
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
            advice = _ADVICE.get(_code(error), f"can't be opened ({_short(error)})")
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


def _path_of(url: str) -> tuple[str, Path]:
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


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _checked(user: UserId) -> str:
    """The text of a user id; one that is not canonical would be somebody else's.

    Raises:
        StoreError: it is not canonical.
    """
    with suppress(ValueError):
        if user_id(user) == user:
            return user_text(user)
    raise StoreError("a user id is not canonical")


def _salvage(
    connection: Connection,
    items: Sequence[_T],
    apply: Callable[[Sequence[_T]], Sequence[CommitResult]],
    refuse: Callable[[_T, str], Sequence[CommitResult]],
) -> Sequence[CommitResult]:
    """Apply items in order, each part in a savepoint of its own; refuse the culprits alone."""
    if not items:
        return ()
    try:
        with connection.begin_nested():
            return apply(items)
    except _BadBatch as bad:
        if len(items) == 1:
            return refuse(items[0], str(bad))
    half = len(items) // 2
    return (
        *_salvage(connection, items[:half], apply, refuse),
        *_salvage(connection, items[half:], apply, refuse),
    )


def _blames_an_item(error: Exception) -> bool:
    """Is it about what was to be written (True), or about the database and this program?"""
    if isinstance(error, exc.DBAPIError):
        return not error.connection_invalidated and isinstance(
            error,
            exc.IntegrityError
            | exc.DataError
            | exc.ProgrammingError
            | exc.InterfaceError
            | exc.NotSupportedError,
        )
    return isinstance(error, exc.StatementError | OverflowError | ValueError)


def _driver_error(error: BaseException) -> BaseException:
    original = getattr(error, "orig", None)
    return original if isinstance(original, BaseException) else error


def _kind(error: BaseException) -> str:
    driver = _driver_error(error)
    return str(getattr(driver, "sqlite_errorname", type(driver).__name__))


def _code(error: BaseException) -> int:
    """SQLite's primary result code (sqlite.org/rescode.html), -1 if it isn't SQLite's."""
    code = getattr(_driver_error(error), "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else -1


def _short(error: BaseException) -> str:
    """The reason in the database's own words, if they can't hold what it was given."""
    driver = _driver_error(error)
    return str(driver) if isinstance(driver, sqlite3.OperationalError) else _kind(error)
