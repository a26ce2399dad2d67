"""What webhooks read: the messages by their row numbers, and how far each webhook has come."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sqlalchemy import Connection, Integer, bindparam, select
from sqlalchemy.dialects import sqlite

from im_proto.wire import user_id

from .rownumbers import last_row
from .store import Store
from .stored import LoggedMessage, StoredMessage
from .tables import messages, meta
from .writer import StoreWorker

_PLACE = select(meta.c.value).where(meta.c.key == bindparam("name"))
_place = sqlite.insert(meta)
_KEEP_PLACE = _place.on_conflict_do_update(
    index_elements=["key"], set_={"value": _place.excluded.value}
)
_BEHIND = (
    select(
        messages.c.id,
        messages.c.sender,
        messages.c.recipient,
        messages.c.msg_id,
        messages.c.content,
        messages.c.message_type,
        messages.c.session_id,
        messages.c.accepted_at,
    )
    .where(messages.c.id > bindparam("row"))
    .order_by(messages.c.id)
    .limit(bindparam("limit", type_=Integer))
)


class StoreLog:
    """See `webhooks.MessageLog`; everything happens in the threads of the store.

    Args:
        store: an open store.
        worker: its threads.
    """

    def __init__(self, store: Store, worker: StoreWorker) -> None:
        self._store = store
        self._worker = worker

    async def place(self, name: str) -> int:
        """The row up to which all was posted; of a new webhook the newest row of all."""

        def find() -> int:
            with self._store.writing() as connection:
                return _find_place(connection, name)

        return await asyncio.wrap_future(self._worker.run(find))

    async def behind(self, row: int, limit: int) -> Sequence[LoggedMessage]:
        """The next messages."""

        def read() -> Sequence[LoggedMessage]:
            with self._store.reading() as connection:
                return _read_behind(connection, row, limit)

        return await asyncio.wrap_future(self._worker.run(read, reads=True))

    async def keep_place(self, name: str, row: int) -> None:
        """All up to this row was posted."""

        def keep() -> None:
            with self._store.writing() as connection:
                _keep(connection, name, row)

        await asyncio.wrap_future(self._worker.run(keep))


def _key(name: str) -> str:
    return f"webhook:{name}"


def _find_place(connection: Connection, name: str) -> int:
    kept = connection.scalar(_PLACE, {"name": _key(name)})
    if kept is None:
        newest = last_row(connection)
        _keep(connection, name, newest)
        return newest
    return int(kept)


def _keep(connection: Connection, name: str, row: int) -> None:
    connection.execute(_KEEP_PLACE, {"key": _key(name), "value": str(row)})


def _read_behind(connection: Connection, row: int, limit: int) -> Sequence[LoggedMessage]:
    return [
        LoggedMessage(
            row=found.id,
            message=StoredMessage(
                from_user=user_id(found.sender),
                to_user=user_id(found.recipient),
                msg_id=found.msg_id,
                content=found.content,
                message_type=found.message_type,
                session_id=found.session_id,
                timestamp=found.accepted_at,
            ),
        )
        for found in connection.execute(_BEHIND, {"row": row, "limit": limit})
    ]
