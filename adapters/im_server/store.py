"""The store of the server: SQLAlchemy Core on one SQLite file.

Everything here blocks. `commit` and `login` share one connection and are called by one thread at
a time; `read` has its own, which the write-ahead log lets run beside the writer (`writer.py` has
the two threads). What is decided inside a commit stands in `im_proto/server/commit.py`; here it
is only looked up and written.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy import Connection, exc

from im_proto.server import commit as decide
from im_proto.server.actions import StoreCommit, StoreLogin, StoreRead
from im_proto.server.inputs import Committed, LoginStored, ReadDone
from im_proto.server.records import (
    PLAIN,
    CommitResult,
    Conflicting,
    CursorMove,
    Login,
    MailboxEntry,
    Submission,
    Unstorable,
)
from im_proto.wire import MAX_ID, UserId, user_id

from . import schema
from .database import Database, Durability, kind
from .schema import StoreError, user_text

__all__ = ["Durability", "Store", "StoreError"]

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
        self._database = Database(url, durability, busy_timeout)
        self._clock = clock

    def open(self) -> None:
        """Take the file for this process alone and make the tables, if it is new.

        Raises:
            StoreError: says what is wrong with the file and what to do.
        """
        self._database.open()

    def close(self) -> None:
        """Close the file and leave it to others; without effect on a store that isn't open."""
        self._database.close()

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
            with self._database.writing() as connection:
                results = self._apply(connection, request.submissions, request.cursors, request.at)
        except _BadBatch:
            with self._database.writing() as connection:
                results = self._salvage_all(connection, request)
        return Committed(request=request.request, results=tuple(results))

    def login(self, request: StoreLogin) -> LoginStored:
        """Start a new generation of the device, and say where it and its mailbox are.

        Raises:
            StoreError: the database can't write now; the old generation still holds.
        """
        user = {"user": _checked(request.user)}
        with self._database.writing() as connection:
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
            at = int(self._clock() * 1000)
            login = user | {"device": request.device, "generation": generation}
            connection.execute(schema.UPSERT_LOGIN, login | {"last_msg_id": 0, "last_login_at": at})
            if request.device != PLAIN:
                last = connection.scalar(schema.SELECT_LAST_ROW) or 0
                connection.execute(
                    schema.INSERT_FENCE, login | {"logged_in_at": at, "last_message_id": last}
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
        with self._database.reading() as connection:
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
        held: Iterable[decide.DeviceKey] = (),
    ) -> Sequence[CommitResult]:
        """Look up, decide and write a batch, inside a transaction.

        Raises:
            _BadBatch: an item is to blame; what was written has to be rolled back.
        """
        try:
            snapshot = schema.look_up(connection, decide.wanted(submissions, cursors))
            plan = decide.plan_commit(submissions, cursors, snapshot, at, held=held)
            schema.write(connection, plan)
        except Exception as error:
            if _blames_an_item(error):
                # The name alone: texts of the database may quote what it was given.
                raise _BadBatch(f"the database refuses it ({kind(error)})") from error
            raise
        return plan.results

    def _salvage_all(self, connection: Connection, request: StoreCommit) -> Sequence[CommitResult]:
        """A batch again, each part in a savepoint, halved until the culprits stand alone."""
        at = request.at
        held: set[decide.DeviceKey] = set()

        def apply(part: Sequence[Submission]) -> Sequence[CommitResult]:
            results = self._apply(connection, part, (), at, held)
            for submission, result in zip(part, results, strict=True):
                if isinstance(result, Conflicting):
                    held.add((submission.sender, submission.device))
            return results

        def refuse(submission: Submission, reason: str) -> Sequence[CommitResult]:
            logger.error("message %d of a batch is not stored: %s", submission.key, reason)
            return (Unstorable(key=submission.key, reason=reason),)

        def drop(_: CursorMove, reason: str) -> Sequence[CommitResult]:
            logger.error("a cursor is not stored: %s", reason)
            return ()

        results = _salvage(connection, request.submissions, apply, refuse)
        _salvage(
            connection,
            request.cursors,
            lambda part: self._apply(connection, (), part, at),
            drop,
        )
        return results


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
