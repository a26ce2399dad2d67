"""What a store says when it can't, and what may be told of an error of the database.

No text here holds a message, a token or a password: a database may quote what it was given.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy import exc

__all__ = ["StoreError", "blames_an_item", "code", "kind", "short"]


class StoreError(Exception):
    """The store can't be opened, or can't do what it was asked to. Says why and what helps."""


def kind(error: BaseException) -> str:
    """The name of an error, as the database or Python calls it."""
    driver = _of_driver(error)
    return str(getattr(driver, "sqlite_errorname", type(driver).__name__))


def code(error: BaseException) -> int:
    """SQLite's primary result code (sqlite.org/rescode.html), -1 if it isn't SQLite's."""
    found = getattr(_of_driver(error), "sqlite_errorcode", None)
    return found & 0xFF if isinstance(found, int) else -1


def short(error: BaseException) -> str:
    """The reason in the database's own words, if they can't hold what it was given."""
    driver = _of_driver(error)
    return str(driver) if isinstance(driver, sqlite3.OperationalError) else kind(error)


def blames_an_item(error: Exception) -> bool:
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
    if isinstance(error, sqlite3.ProgrammingError):
        return "closed" not in str(error)  # of the connection; there is no code for it
    return isinstance(
        error,
        exc.StatementError
        | sqlite3.IntegrityError
        | sqlite3.DataError
        | sqlite3.InterfaceError
        | sqlite3.NotSupportedError
        | OverflowError
        | ValueError,
    )


def _of_driver(error: BaseException) -> BaseException:
    original = getattr(error, "orig", None)
    return original if isinstance(original, BaseException) else error
