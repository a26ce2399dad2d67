"""The journal of a client: a SQLite file, taken by one process, written in transactions.

Everything here blocks; `journal_writer.py` has the thread. What is in the file, and what each
change means, is decided by the engine (`im_proto/client/journal.py`); here it is written and read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal

from im_proto.client.journal import Change, JournalState, PairKnown
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_proto.wire import UserId

from . import journal_schema as schema
from .filelock import FileLock, LockHeldError

#: What is kept survives: "power" a power cut, "process" a crash of the program.
Durability = Literal["power", "process"]

_SYNCHRONOUS: Final = {"power": "FULL", "process": "NORMAL"}
#: SQLite's files beside the database are cut to so many bytes when they can be.
_SIDE_FILE: Final = 4 << 20
_CANT_WRITE: Final = (
    "can't be written: give this user write permission for the file and its directory, or choose "
    "another path"
)
_ADVICE: Final = {
    sqlite3.SQLITE_NOTADB: "is not a SQLite database: move the file away, or choose another path",
    sqlite3.SQLITE_CORRUPT: "is damaged: restore a backup, or choose another path",
    sqlite3.SQLITE_READONLY: _CANT_WRITE,
    sqlite3.SQLITE_CANTOPEN: _CANT_WRITE,
    sqlite3.SQLITE_PERM: _CANT_WRITE,
    sqlite3.SQLITE_BUSY: "is locked by another program: close that one, or its transaction",
    sqlite3.SQLITE_LOCKED: "is locked by another program: close that one, or its transaction",
    sqlite3.SQLITE_FULL: "has no room: free some space on its disk",
    sqlite3.SQLITE_IOERR: "can't be read or written: its disk reports an error, or is gone",
}
#: These go away by themselves, or when somebody has made room.
_PASSING: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}


class Journal:
    """A journal file, from its lock to its end. One thread at a time is in here.

    Args:
        path: of the file; beside it lie `.lock`, `-wal` and `-shm`.
        user: whose it is: what waits in it goes out as this user's. None: not looked at.
        durability: what it survives.
        known_pairs: as for `JournalState`.
        busy_timeout: how long to wait for another program that has the file locked, in seconds.

    Raises:
        LocalProtocolError: the path names no file, or `durability` is another one.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        user: UserId | None = None,
        durability: Durability = "power",
        known_pairs: int = 4096,
        busy_timeout: float = 5.0,
    ) -> None:
        name: object = os.fspath(path)
        if not isinstance(name, str) or name in ("", ":memory:") or "\0" in name:
            raise LocalProtocolError('storage is the path of a file, like "bot.db"')
        if durability not in _SYNCHRONOUS:
            raise LocalProtocolError(f"durability is 'power' or 'process', not {durability!r}")
        #: as the user wrote it, for error texts; and as it really lies
        self._name = name
        # Symlinks resolved: two names of one file must meet at the same lock.
        self._path = Path(os.path.realpath(self._name))
        self._user = user
        self._process = os.getpid()
        self._synchronous = _SYNCHRONOUS[durability]
        self._known_pairs = known_pairs
        self._busy_timeout = busy_timeout
        self._lock = FileLock(Path(f"{self._path}.lock"))
        self._db: sqlite3.Connection | None = None
        #: how often the numbers of the mailbox have got another meaning; any thread may read it
        self.resets = 0

    # ------------------------------------------------------------ open and close

    @property
    def is_open(self) -> bool:
        """Is the file this journal's, so that nobody else opens it?"""
        return self._db is not None and os.getpid() == self._process

    def open(self) -> None:
        """Take the file for this process alone, and make what is not there yet.

        Raises:
            IMError: JOURNAL_FAILED; says what is wrong with the file and what to do.
        """
        if self._db is not None:
            raise LocalProtocolError("this journal is open already")
        self._take_lock()
        try:
            with self._telling():
                self._db = self.connect()
                with _transaction(self._db):
                    self._prepare(self._db)
                # Only now, when the file is known to be ours, is anything about it changed.
                (mode,) = self._db.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise self._error(
                    "can't have a write-ahead log where it lies (a network drive?): choose a path "
                    "on a local disk"
                )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file and leave it to others; without effect on one that isn't open."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
        try:
            self._lock.release()
        finally:
            self._db = None  # last: where it is not open, others may open it

    def connect(self) -> sqlite3.Connection:
        """Another connection to the same file, for any thread, without a transaction.

        Raises:
            sqlite3.Error: there is none to be had.
        """
        arguments: dict[str, Any] = {
            "check_same_thread": False,
            "isolation_level": None,  # no transaction but those that are asked for
            "timeout": self._busy_timeout,
        }
        legacy = getattr(sqlite3, "LEGACY_TRANSACTION_CONTROL", None)
        if legacy is not None:  # Python 3.12; its default changes in 3.16
            arguments["autocommit"] = legacy
        db: sqlite3.Connection = sqlite3.connect(self._path, **arguments)
        try:
            db.execute(f"PRAGMA synchronous = {self._synchronous}")
            # macOS only: without it a flush stops at the cache of the disk.
            db.execute(f"PRAGMA fullfsync = {int(self._synchronous == 'FULL')}")
            db.execute(f"PRAGMA journal_size_limit = {_SIDE_FILE}")
        except BaseException:
            db.close()
            raise
        return db

    def _take_lock(self) -> None:
        if not self._path.parent.is_dir():
            raise self._error("has no directory: create it, or choose another path")
        if self._path.is_dir():
            raise self._error("is a directory: name a file in it")
        try:
            self._lock.acquire()
        except LockHeldError as held:
            raise self._error(
                f"is in use by another client ({held.holder}): close that one, or give each client "
                "a file of its own"
            ) from None
        except OSError as error:
            raise self._error(f"{_CANT_WRITE} ({error.strerror})") from error

    def _prepare(self, db: sqlite3.Connection) -> None:
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != schema.APPLICATION_ID and (application or version or tables):
            raise self._error("belongs to another program: choose another path")
        if version > schema.SCHEMA_VERSION:
            raise self._error(
                f"was made by a newer im-proto (its version is {version}, this one knows "
                f"{schema.SCHEMA_VERSION}): upgrade im-proto, or choose another path"
            )
        for migration in schema.MIGRATIONS[version:]:
            for statement in migration:
                db.execute(statement)
        # SQLite opens a file that may only be read without a word: these write, to find out.
        db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION}")
        if self._user is not None and (owner := schema.owner(db, self._user)) != str(self._user):
            raise self._error(f"belongs to user {owner}: choose another path for user {self._user}")
        self._drop_pairs(db)

    # ------------------------------------------------------------ read and write

    def load(self) -> JournalState:
        """All that it holds.

        Raises:
            IMError: JOURNAL_FAILED; it can't be read, or holds what was never written by a client.
        """
        db = self._opened()
        try:
            with self._telling():
                state = schema.read(db, self._known_pairs)
                self.resets = schema.resets(db)
        except schema.OddRecordError as odd:
            raise self._error(
                f"holds what no client has written ({odd}): restore a backup, or choose another "
                "path"
            ) from None
        return state

    def write(self, changes: Iterable[Change]) -> None:
        """Write them in one transaction; it is on disk when this returns.

        Raises:
            IMError: JOURNAL_FAILED; nothing of it was written.
        """
        db = self._opened()
        changes = tuple(changes)
        with self._telling(), _transaction(db):
            schema.write(db, changes)
            if any(isinstance(change, PairKnown) for change in changes):
                self._drop_pairs(db)
            resets = schema.resets(db)
        self.resets = resets

    def _drop_pairs(self, db: sqlite3.Connection) -> None:
        # Counting takes as long as there are pairs, so it is left out as long as it can be, and
        # some more than `load` gives may be there.
        (newest,) = db.execute("SELECT coalesce(max(n), 0) FROM im_pairs").fetchone()
        (oldest,) = db.execute("SELECT coalesce(min(n), 1) FROM im_pairs").fetchone()
        if newest - oldest + 1 <= self._known_pairs + self._known_pairs // 8:
            return
        (count,) = db.execute("SELECT count(*) FROM im_pairs").fetchone()
        if count > self._known_pairs:
            schema.drop_pairs(db, count - self._known_pairs)

    def _opened(self) -> sqlite3.Connection:
        if os.getpid() != self._process:  # neither SQLite nor the lock goes over a fork
            raise self._error(
                "is in use by the process that forked this one: make a client here, with a file "
                "of its own"
            )
        if self._db is None:
            raise self._error("is closed")
        return self._db

    # ------------------------------------------------------------ errors

    def _error(self, what: str, *, retryable: bool = False) -> IMError:
        return IMError(
            IMErrorCode.JOURNAL_FAILED, f"storage {self._name} {what}", retryable=retryable
        )

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Whatever SQLite says is said in words that help."""
        try:
            yield
        except (sqlite3.Error, ValueError, OverflowError) as error:
            # A text of it that is not in the table may quote what it was given.
            code = getattr(error, "sqlite_errorcode", -1) & 0xFF
            name = getattr(error, "sqlite_errorname", type(error).__name__)
            advice = _ADVICE.get(code, f"can't be used ({name})")
            raise self._error(advice, retryable=code in _PASSING) from error


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk may have rolled it back already
            db.execute("ROLLBACK")
        raise
