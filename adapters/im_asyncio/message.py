"""A received message, with the transaction in which it may be handled."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from im_proto.errors import LocalProtocolError
from im_runtime import Message as _Message

from .worker import in_thread

_THREAD: Final = "im_asyncio-transaction"


@dataclass(frozen=True, slots=True)
class Message(_Message):
    __doc__ = _Message.__doc__

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[sqlite3.Connection]:
        """Handle it exactly once: what is written here, and that it is handled, is one transaction.

            async with message.transaction() as db:
                db.execute("INSERT INTO orders VALUES (?, ?)", (message.seq, message.content))

        `db` is a connection to the storage's own file, in a transaction (BEGIN IMMEDIATE), for
        tables of the application; names that begin with `im_` are taken. At the end it is
        committed, and the message is acknowledged. An exception rolls it back and counts as a
        failure of the handler: the message is offered again.

        The beginning and the end, which may have to wait for the disk, happen in a thread. What is
        executed in between happens here, on the event loop, so keep it short. Nothing in between
        may wait for the client (`await client.send_message(…)`), whose own writes wait for this.

        Raises:
            LocalProtocolError: the client has no storage, or is closed; `commit()` was called; or
                the message was handled already, and nothing was written.
            sqlite3.Error: the file is locked, the disk is full …; nothing was written.
        """
        desk = self._of_a_client()
        transaction = desk.begin(self)
        try:
            cancelled, db = await _to_the_end(transaction.begin)
            if cancelled is not None:
                raise cancelled
            yield db
            cancelled, _ = await _to_the_end(transaction.commit)
        except BaseException as exc:
            await _to_the_end(transaction.roll_back)
            if transaction.done or isinstance(exc, Exception):
                with suppress(LocalProtocolError):  # closed meanwhile
                    desk.settle(self, transaction.done)
            raise
        with suppress(LocalProtocolError):
            desk.settle(self, True)
        if cancelled is not None:
            raise cancelled


async def _to_the_end(function: Callable[[], Any]) -> tuple[asyncio.CancelledError | None, Any]:
    """Call it in a thread, and wait for its end also when this is cancelled: then that is
    returned."""
    work = asyncio.ensure_future(in_thread(_THREAD, function))
    cancelled = None
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as exc:
            cancelled = exc
    return cancelled, work.result()
