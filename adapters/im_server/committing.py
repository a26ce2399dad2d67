"""A commit: one transaction for a batch, and a second one that finds the culprits if the database
refuses something in it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

from im_proto.server import commit as decide
from im_proto.server.actions import StoreCommit
from im_proto.server.inputs import Committed
from im_proto.server.records import (
    CommitResult,
    Conflicting,
    CursorMove,
    Entry,
    Marked,
    ReadMark,
    Submission,
    Unstorable,
)
from im_proto.wire import UserId

from . import snapshots, writing
from .database import Database
from .driver import part
from .failures import blames_an_item, kind
from .known import Known

__all__ = ["commit"]

_Item = TypeVar("_Item")
logger = logging.getLogger(__name__)


class _BadBatch(Exception):
    """The database refuses something in a batch; one item of it is to blame."""


def commit(database: Database, request: StoreCommit) -> Committed:
    """Write a batch; it is on disk when this returns. See `Store.commit`.

    Raises:
        StoreError: the database can't write now; nothing was kept.
    """
    try:
        with database.committing() as connection:
            batch = _Batch(connection, database.known, request)
            batch.apply(request.submissions, request.cursors, request.reads)
    except _BadBatch:
        with database.committing() as connection:
            batch = _Batch(connection, database.known, request)
            batch.salvage()
    return batch.committed()


class _Batch:
    """A batch in one transaction, as a whole or in parts, and what came of it."""

    def __init__(self, connection: sqlite3.Connection, known: Known, request: StoreCommit) -> None:
        self._connection = connection
        self._known = known
        self._request = request
        self._held: set[decide.DeviceKey] = set()
        self._results: list[CommitResult] = []
        self._marks: list[Marked] = []
        self._heads: dict[UserId, int] = {}
        self._entries: dict[UserId, list[Entry]] = {}
        self._acquainted: list[decide.Pair] = []
        self._fenced: list[CursorMove] = []

    def committed(self) -> Committed:
        """The answer, once it is on disk."""
        return Committed(
            request=self._request.request,
            results=tuple(self._results),
            marks=tuple(self._marks),
            heads=tuple(self._heads.items()),
            entries=tuple((user, tuple(entries)) for user, entries in self._entries.items()),
            acquainted=tuple(self._acquainted),
            fenced=tuple(self._fenced),
        )

    def apply(
        self,
        submissions: Sequence[Submission] = (),
        cursors: Sequence[CursorMove] = (),
        reads: Sequence[ReadMark] = (),
    ) -> None:
        """Look up, decide and write.

        Raises:
            _BadBatch: an item is to blame; what was written has to be rolled back.
        """
        try:
            wanted = decide.wanted(submissions, cursors, reads)
            snapshot = snapshots.look_up(self._connection, wanted, self._known)
            plan = decide.plan_commit(
                submissions,
                cursors,
                snapshot,
                self._request.at,
                reads=reads,
                held=self._held,
                session_lifetime=self._request.session_lifetime,
            )
            writing.write(self._connection, plan, self._known)
            self._known.written(plan)
        except Exception as error:
            if blames_an_item(error):
                # The name alone: texts of the database may quote what it was given.
                raise _BadBatch(f"the database refuses it ({kind(error)})") from error
            raise
        for submission, result in zip(submissions, plan.results, strict=True):
            if isinstance(result, Conflicting):
                self._held.add((submission.sender, submission.device))
        self._results += plan.results
        self._marks += plan.marks
        self._heads.update(plan.heads)
        for user, entries in plan.by_mailbox():
            self._entries.setdefault(user, []).extend(entries)
        self._acquainted += plan.acquainted
        self._fenced += plan.fenced

    def salvage(self) -> None:
        """Each part in a savepoint, halved until the culprits stand alone."""

        def refuse(submission: Submission, reason: str) -> None:
            logger.error("message %d of a batch is not stored: %s", submission.key, reason)
            self._results.append(Unstorable(key=submission.key, reason=reason))

        def drop(_: CursorMove, reason: str) -> None:
            logger.error("a cursor is not stored: %s", reason)

        def overlook(mark: ReadMark, reason: str) -> None:
            logger.error("a read mark is not stored: %s", reason)
            self._marks.append(Marked(key=mark.key, found=False))

        request = self._request
        self._salvage(request.submissions, lambda part: self.apply(submissions=part), refuse)
        self._salvage(request.cursors, lambda part: self.apply(cursors=part), drop)
        self._salvage(request.reads, lambda part: self.apply(reads=part), overlook)

    def _salvage(
        self,
        items: Sequence[_Item],
        apply: Callable[[Sequence[_Item]], None],
        refuse: Callable[[_Item, str], None],
    ) -> None:
        if not items:
            return
        try:
            with part(self._connection):
                apply(items)
        except _BadBatch as bad:
            if len(items) == 1:
                refuse(items[0], str(bad))
                return
        else:
            return
        half = len(items) // 2
        self._salvage(items[:half], apply, refuse)
        self._salvage(items[half:], apply, refuse)
