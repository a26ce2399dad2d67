"""The store of the server: SQLAlchemy Core on one SQLite file.

Everything here blocks. What writes shares one connection and is called by one thread at a time;
`read` and `peers` have their own, which the write-ahead log lets run beside the writer (`writer.py`
has the two threads). What is decided inside a transaction stands in `im_proto/server`
(`commit.py`, `sessions.py`, `status.py`, `retention.py`); here it is only looked up and written.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection

from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.server.sessions import answer
from im_proto.server.status import status_items
from im_proto.wire import UserId, user_id

from . import committing, logins
from .backup import Progress, back_up
from .calls import SqlView, peers_of
from .database import Database, Durability
from .failures import StoreError
from .lookups import devices_of, mailboxes_of, messages_of, sessions_of
from .mailbox import read_entries
from .retaining import Retention
from .writing import write_sessions

__all__ = ["Durability", "Store", "StoreError"]


class Store:
    """The mailboxes, devices and cursors of a server, in one file.

    Args:
        url: `sqlite:///PATH`.
        durability: what an acknowledged message survives.
        busy_timeout: how long to wait for another program that has the file locked, in seconds.

    Raises:
        StoreError: the URL is none that we can use.
    """

    def __init__(
        self,
        url: str,
        durability: Durability,
        *,
        busy_timeout: float = 5.0,
    ) -> None:
        self._url = url
        self._database = Database(url, durability, busy_timeout)
        self._retention = Retention()

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

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction for what is none of the hub's, in the thread that writes.

        Raises:
            StoreError: the database can't write now; nothing was kept.
        """
        return self._database.writing()

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction for what is none of the hub's, in the thread that reads.

        Raises:
            StoreError: the database can't be read now.
        """
        return self._database.reading()

    # ---- what writes

    def together(self) -> AbstractContextManager[None]:
        """What is written in here is on disk when this ends, all of it, or nothing.

        Raises:
            StoreError: the database can't write now; nothing was kept.
        """
        return self._database.together()

    def commit(self, request: act.StoreCommit) -> inp.Committed:
        """Write a batch in one transaction; it is on disk when this returns.

        A message that the database refuses becomes `Unstorable` and its neighbours are written.

        Raises:
            StoreError: the database can't write now (locked, full, gone); nothing was kept.
        """
        return committing.commit(self._database, request)

    def login(self, request: act.StoreLogin) -> inp.LoginStored:
        """Start a new generation of the device, and say where it and its mailbox are.

        Raises:
            StoreError: the database can't write now; the old generation still holds.
        """
        _check(request.user)
        with self._database.committing(joins=True) as connection:
            self._database.known.forget_user(request.user)
            login = logins.log_in(connection, request)
            found = peers_of(connection, request.user, request.at) if request.meets else None
        met = None if found is None else tuple(found)
        return inp.LoginStored(request=request.request, login=login, peers=met)

    def status(self, request: act.StoreStatus) -> inp.StatusFound:
        """Say what became of messages; what was asked to be committed before is in it.

        Raises:
            StoreError: the database can't be read now.
        """
        _check(request.user)
        # In a transaction that could write: what it finds is what the next one changes.
        with self._database.writing(keeps_known=True) as connection:
            device = (request.user, request.device)
            messages = messages_of(connection, request.user, request.msg_ids)
            boxes = mailboxes_of(connection, {m.to_user for m in messages})
            sessions = sessions_of(connection, {m.session_id for m in messages})
            known = devices_of(connection, [device]).get(device)
        items = status_items(
            request,
            known,
            messages,
            {user: mailbox.delivered for user, mailbox in boxes.items()},
            {session.id: session for session in sessions},
        )
        return inp.StatusFound(request=request.request, items=items)

    def call(self, request: act.StoreCall) -> inp.CallDone:
        """Carry out a call about sessions in one transaction.

        Raises:
            StoreError: the database can't write now; nothing was kept.
        """
        _check(request.user)
        with self._database.writing(keeps_known=True) as connection:
            outcome = answer(
                request.call,
                request.user,
                SqlView(connection),
                at=request.at,
                lifetime=request.session_lifetime,
            )
            if outcome.sessions:
                write_sessions(connection, outcome.sessions)
                self._database.known.forget_sessions()
        return inp.CallDone(
            request=request.request,
            code=outcome.code,
            data=outcome.data,
            text=outcome.text,
            acquainted=outcome.acquainted,
        )

    def seen(self, request: act.StoreSeen) -> None:
        """Note when a user was here last.

        Raises:
            StoreError: the database can't write now.
        """
        _check(request.user)
        with self._database.committing(joins=True) as connection:
            logins.note_seen(connection, request.user, request.at)

    def revoke(self, request: act.StoreRevoke) -> inp.RevocationStored:
        """Keep that the tokens of a user made before are good no longer; on disk when this returns.

        Raises:
            StoreError: the database can't write now.
        """
        _check(request.user)
        with self._database.writing(keeps_known=True) as connection:
            logins.note_revoked(connection, request.user, request.before)
        return inp.RevocationStored(request=request.request)

    def retain(self, request: act.StoreRetain) -> inp.Retained:
        """Let go a little of what is too old, in one transaction.

        Raises:
            StoreError: the database can't write now; nothing went.
        """
        with self._database.writing() as connection:
            return self._retention.retain(connection, request)

    # ---- what reads

    def revoked(self) -> dict[UserId, int]:
        """Of whom the tokens that were made before are good no longer, in milliseconds since 1970.

        Raises:
            StoreError: the database can't be read now.
        """
        with self._database.reading() as connection:
            return logins.revoked(connection)

    def read(self, request: act.StoreRead) -> inp.ReadDone:
        """Read a piece of a mailbox, as of the newest commit.

        Raises:
            StoreError: the database can't be read now.
        """
        _check(request.user)
        with self._database.asking() as connection:
            entries, head = read_entries(connection, request.user, request.after, request.limit)
        return inp.ReadDone(request=request.request, entries=entries, head=head)

    def peers(self, request: act.StorePeers) -> inp.PeersFound:
        """Say with whom a user shares an active session, as of the newest commit.

        Raises:
            StoreError: the database can't be read now.
        """
        _check(request.user)
        with self._database.asking() as connection:
            found = peers_of(connection, request.user, request.at)
        return inp.PeersFound(request=request.request, peers=tuple(found))

    def checkpoint(self) -> None:
        """Copy what is in the write-ahead log into the file: else a commit does so now and then,
        and whoever comes behind it waits.

        Raises:
            StoreError: the database can't be written now; nothing is lost.
        """
        self._database.checkpoint()

    def backup(self, target: Path, progress: Progress | None = None) -> None:
        """Copy the file while it is in use, from any thread: see `im_server.backup.back_up`.

        Raises:
            StoreError: says what is wrong and what to do; no file was made.
        """
        back_up(self._url, target, progress)


def _check(user: UserId) -> None:
    """A user id that is not canonical would be somebody else's in the tables.

    Raises:
        StoreError: it is not canonical.
    """
    with suppress(ValueError):
        if user_id(user) == user:
            return
    raise StoreError("a user id is not canonical")
