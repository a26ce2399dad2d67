"""Whose file is it, and of which release: made anew, brought up to date, or refused."""

from __future__ import annotations

import logging
import secrets
import sqlite3
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, exc, insert, inspect, select, update

from .failures import StoreError, short
from .rownumbers import pass_over
from .tables import SCHEMA_VERSION, mailboxes, meta, metadata

__all__ = ["BACKUP_MARK", "draw_epoch", "prepare"]

_APPLICATION = "im-proto"
#: In `meta` of a copy that `backup.py` made: when, in seconds since 1970.
BACKUP_MARK = "backup"
#: More messages than were ever stored since a backup.
_MANY = 2**32
logger = logging.getLogger(__name__)


def draw_epoch() -> str:
    """The epoch of a new mailbox: nobody has a cursor in it."""
    return secrets.token_hex(8)


def prepare(connection: Connection, name: str) -> None:
    """Make the tables in an empty database, or see to it that those there are ours and of today.

    Args:
        connection: inside a transaction that may write.
        name: the database, as error texts call it.

    Raises:
        StoreError: the database belongs to another program or to a newer release, or can't be
            brought up to date.
    """
    inspector = inspect(connection)
    tables = inspector.get_table_names()
    if not tables:
        metadata.create_all(connection)
        # The epoch of the database tells it from any other, restored or made anew.
        written = {
            "application": _APPLICATION,
            "schema_version": str(SCHEMA_VERSION),
            "epoch": draw_epoch(),
        }
        connection.execute(insert(meta), [{"key": k, "value": v} for k, v in written.items()])
        return
    known: dict[str, str] = {}
    if "meta" in tables and {c["name"] for c in inspector.get_columns("meta")} == {"key", "value"}:
        known = {str(key): str(value) for key, value in connection.execute(select(meta))}
    version = known.get("schema_version", "")
    if known.get("application") != _APPLICATION or not version.isdecimal():
        raise StoreError(
            f"database {name} holds the tables of another program: choose another path"
        )
    if int(version) > SCHEMA_VERSION:
        raise StoreError(
            f"database {name} was made by a newer im-proto (its schema is version {version}, this "
            f"one knows {SCHEMA_VERSION}): upgrade im-proto, or choose another path"
        )
    # SQLite opens a file that may only be read without a word: write something to find out.
    _set(connection, "application", _APPLICATION)
    if int(version) < SCHEMA_VERSION:
        _bring_up_to_date(connection, name, int(version))
    if BACKUP_MARK in known:
        _begin_new_epochs(connection, name, known[BACKUP_MARK])


def _bring_up_to_date(connection: Connection, name: str, version: int) -> None:
    # Only here, as it takes half a second to import.
    from alembic.util import CommandError

    from .migrations import upgrade

    logger.info("database %s: from schema version %d to %d", name, version, SCHEMA_VERSION)
    try:
        upgrade(connection, version)
        _set(connection, "schema_version", str(SCHEMA_VERSION))
    except (exc.SQLAlchemyError, sqlite3.Error, CommandError) as error:
        raise StoreError(
            f"database {name} can't be brought from schema version {version} to {SCHEMA_VERSION} "
            f"({short(error)}); nothing was changed: copy the file, see that its disk has as much "
            "room again as it takes, and start again, or go back to the release that made it"
        ) from error


def _begin_new_epochs(connection: Connection, name: str, made: str) -> None:
    """A server opens a backup: what clients know of the numbers behind it is void."""
    when = datetime.fromtimestamp(int(made), UTC).isoformat(timespec="seconds")
    logger.warning("database %s is a backup of %s: all mailboxes begin a new epoch", name, when)
    for user in connection.scalars(select(mailboxes.c.user)).all():
        connection.execute(
            update(mailboxes).where(mailboxes.c.user == user).values(epoch=draw_epoch())
        )
    pass_over(connection, _MANY)  # what a webhook was told of later messages stays true
    _set(connection, "epoch", draw_epoch())
    connection.execute(delete(meta).where(meta.c.key == BACKUP_MARK))


def _set(connection: Connection, key: str, value: str) -> None:
    connection.execute(update(meta).where(meta.c.key == key).values(value=value))
