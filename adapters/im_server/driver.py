"""The way past SQLAlchemy, for the statements of every commit: its own part of a short one is more
than SQLite's, and a commit of one message has ten.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy import Connection


def driver(connection: Connection) -> sqlite3.Connection:
    """Python's own connection, in the transaction that SQLAlchemy has begun and will end. Its
    errors are `sqlite3.Error`."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw
