"""The row numbers of messages: they count up for ever, also when the newest message is let go.

Webhooks, fences and histories go by them: a number that was used twice would hide a message.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Integer, cast, func, literal_column, select
from sqlalchemy.dialects import sqlite

from .driver import AnyConnection, driver, text_of
from .tables import messages, meta

__all__ = ["LAST_ROW", "STATEMENTS", "last_row", "pass_over"]

#: In `meta`: the highest number that was given when a message was let go.
_KEY: Final = "last_row"
_ZERO: Final = literal_column("0", Integer)
LAST_ROW = select(
    func.max(
        func.coalesce(select(func.max(messages.c.id)).scalar_subquery(), _ZERO),
        func.coalesce(
            select(cast(meta.c.value, Integer))
            .where(meta.c.key == literal_column(f"'{_KEY}'"))
            .scalar_subquery(),
            _ZERO,
        ),
    )
)
_kept = sqlite.insert(meta)
_KEEP = _kept.on_conflict_do_update(index_elements=["key"], set_={"value": _kept.excluded.value})
STATEMENTS = {"last row": LAST_ROW}
_LAST_ROW_TEXT: Final = text_of(LAST_ROW)


def last_row(connection: AnyConnection) -> int:
    """The highest number that was ever given to a message; 0 if none was."""
    found: int
    ((found,),) = driver(connection).execute(_LAST_ROW_TEXT).fetchall()
    return found


def pass_over(connection: Connection, numbers: int = 0) -> None:
    """Give none of the numbers again that were given so far, nor the next so many."""
    connection.execute(_KEEP, {"key": _KEY, "value": str(last_row(connection) + numbers)})
