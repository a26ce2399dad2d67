"""What an application writes for a message, and that it is handled, in one transaction.

Exactly once: either both are on disk or neither, whenever the process ends.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

from im_proto.client.incoming import pair_known
from im_proto.client.journal import Handled, PairKnown
from im_proto.errors import LocalProtocolError

from . import journal_schema as schema
from .journal import Journal

if TYPE_CHECKING:
    from .message import Message


class Transaction:
    """One transaction on a journal's file, on a connection of its own.

    It waits for the journal's own writes, which are short, and they wait for it: nothing inside may
    wait for the client.

    Args:
        journal: whose file it is.
        message: what is handled. One without a `seq` will not come again anyway (a plain server).
    """

    def __init__(self, journal: Journal, message: Message) -> None:
        self._journal = journal
        self._message = message
        self._db: sqlite3.Connection | None = None
        #: it is on disk that the message is handled
        self.done = False

    def begin(self) -> sqlite3.Connection:
        """Begin it.

        Raises:
            sqlite3.Error: another program has the file locked …
            LocalProtocolError: the client was closed meanwhile.
        """
        db = self._journal.connect()
        try:
            db.execute("BEGIN IMMEDIATE")
            # As long as this lasts, the next client of the file can't read it.
            if not self._journal.is_open:
                raise LocalProtocolError("transaction(): the client was closed meanwhile")
        except BaseException:
            db.close()
            raise
        self._db = db
        return db

    def commit(self) -> None:
        """Note that the message is handled, and commit.

        Raises:
            LocalProtocolError: the application has ended it itself; or the message was handled
                before, and nothing of it was written.
            sqlite3.Error: nothing of it was written.
        """
        db = self._db
        assert db is not None
        try:
            if not db.in_transaction:
                raise LocalProtocolError(
                    "transaction(): commit() or rollback() inside; what was committed there is on "
                    "disk, and the message is not handled"
                )
            changes = self._handled(db)
            if changes and schema.has(db, changes[0]):
                self.done = True
                raise LocalProtocolError(
                    "transaction(): the message was handled already; nothing was written"
                )
            schema.write(db, changes)
            db.execute("COMMIT")
            self.done = True
        finally:
            self.roll_back()

    def _handled(self, db: sqlite3.Connection) -> list[Handled | PairKnown]:
        message = self._message
        changes: list[Handled | PairKnown] = []
        # The numbers of a mailbox that was reset meanwhile mean nothing any more; who wrote it, and
        # which of his messages it is, does.
        if message.seq is not None and message.resets == schema.resets(db):
            changes.append(Handled(seq=message.seq))
        known = pair_known(message)
        if known is not None:
            changes.append(known)
        return changes

    def roll_back(self) -> None:
        """End it; what was not committed is gone."""
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                if db.in_transaction:
                    db.execute("ROLLBACK")
            db.close()
