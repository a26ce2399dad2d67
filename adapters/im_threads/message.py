"""A received message, with the transaction in which it may be handled."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from im_proto.errors import LocalProtocolError
from im_runtime import Message as _Message


@dataclass(frozen=True, slots=True)
class Message(_Message):
    __doc__ = _Message.__doc__

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Handle it exactly once: what is written here, and that it is handled, is one transaction.

            with message.transaction() as db:
                db.execute("INSERT INTO orders VALUES (?, ?)", (message.seq, message.content))

        `db` is a connection to the storage's own file, in a transaction (BEGIN IMMEDIATE), for
        tables of the application; names that begin with `im_` are taken. At the end it is
        committed, and the message is acknowledged. An exception rolls it back and counts as a
        failure of the handler: the message is offered again.

        Nothing in it may wait for the client (`client.send_message(…)`), whose own writes wait for
        this.

        Raises:
            LocalProtocolError: the client has no storage, or is closed; `commit()` was called; or
                the message was handled already, and nothing was written.
            sqlite3.Error: the file is locked, the disk is full …; nothing was written.
        """
        desk = self._of_a_client()
        transaction = desk.begin(self)
        try:
            yield transaction.begin()
            transaction.commit()
        except BaseException as exc:
            transaction.roll_back()
            if transaction.done or isinstance(exc, Exception):
                with suppress(LocalProtocolError):  # closed meanwhile
                    desk.settle(self, transaction.done)
            raise
        with suppress(LocalProtocolError):
            desk.settle(self, True)
