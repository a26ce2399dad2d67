"""A copy of the store, made while a server uses it.

What is copied is one moment: whatever is written meanwhile is not in it. The copy is marked, so
that a server that opens it begins a new epoch for every mailbox (`schema.py`): clients that know
later messages are told that some may be missing. A file that was copied by other means has no
mark; there a client is told so only if the number it has reached is not in its mailbox now, or
stands for another message.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from .database import path_of
from .failures import StoreError, short
from .schema import BACKUP_MARK

__all__ = ["Progress", "back_up"]

#: Told the bytes that are copied and those to copy in all.
Progress = Callable[[int, int], None]

_PAGES = 1024  # in one step: 4 MiB, between two calls of `progress`


def back_up(
    url: str, target: Path, progress: Progress | None = None, *, pages: int = _PAGES
) -> None:
    """Copy a store's file; a server may have it open, in this process or another.

    Args:
        url: of the store: `sqlite:///PATH`.
        target: the file to make; it appears when it is complete.
        progress: is called in this thread between the steps; what it raises ends the copying.
        pages: in one step.

    Raises:
        StoreError: says what is wrong and what to do; no file was made.
    """
    name, source = path_of(url)
    if not source.is_file():
        raise StoreError(f"database {name} doesn't exist: there is nothing to copy")
    if target.exists():
        raise StoreError(f"{target} is there already: choose another name for the copy")
    part = target.with_name(f"{target.name}.part")
    try:
        with suppress(FileNotFoundError):
            part.unlink()  # of an attempt that was killed
        with closing(sqlite3.connect(source, isolation_level=None)) as live:
            _check(live, name)
            with closing(sqlite3.connect(part, isolation_level=None)) as copy:
                _copy(live, copy, progress, pages)
                _mark(copy)
        _flush(part)
        part.rename(target)
        _flush(target.parent)
    except sqlite3.Error as error:
        raise StoreError(
            f"database {name} can't be copied ({short(error)}): is there room for the copy, and "
            "is the file whole?"
        ) from error
    except OSError as error:
        raise StoreError(
            f"{target} can't be written ({error.strerror}): choose another place for the copy"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


def _check(live: sqlite3.Connection, name: str) -> None:
    live.execute("PRAGMA query_only = ON")
    # One read transaction from here to the end: without it, every commit of the server would make
    # SQLite begin the copy anew.
    live.execute("BEGIN")
    try:
        found = live.execute("SELECT value FROM meta WHERE key = 'application'").fetchone()
    except sqlite3.OperationalError:
        found = None
    if found != ("im-proto",):
        raise StoreError(f"database {name} is none of this program: there is nothing to copy")


def _copy(
    live: sqlite3.Connection, copy: sqlite3.Connection, progress: Progress | None, pages: int
) -> None:
    (size,) = live.execute("PRAGMA page_size").fetchone()

    def tell(_: int, remaining: int, total: int) -> None:
        if progress is not None:
            progress((total - remaining) * size, total * size)

    live.backup(copy, pages=pages, progress=tell)


def _mark(copy: sqlite3.Connection) -> None:
    # One file, without a log beside it.
    copy.execute("PRAGMA journal_mode = DELETE")
    copy.execute("PRAGMA synchronous = FULL")
    copy.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (BACKUP_MARK, str(int(time.time()))))


def _flush(path: Path) -> None:
    """What was written to a file, or a name in a directory, survives a power cut."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no directory, and keeps names by itself
    fd = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
