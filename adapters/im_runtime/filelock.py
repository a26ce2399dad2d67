"""An exclusive lock on a file that dies with its process, on Linux, macOS and Windows.

The operating system holds it for an open file, so a killed process leaves nothing to clean up.
The file itself stays: deleting it would let two processes lock two files of the same name.
"""

from __future__ import annotations

import os
import sys
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["FileLock", "LockHeldError"]

#: Windows refuses others to read what is locked: lock a byte far behind the text.
_LOCKED_BYTE = 1 << 30
_MAX_TEXT = 200
#: Every lock that is held, for a forked child.
_HELD: Final[weakref.WeakSet[FileLock]] = weakref.WeakSet()


class LockHeldError(Exception):
    """Somebody else holds the lock. `holder` says who, as far as the file tells."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"held by {holder}")
        self.holder = holder


class FileLock:
    """The lock on one file. The same process can't take it twice either."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock, without waiting, and write into the file who has it since when.

        Raises:
            LockHeldError: another process, or this one, holds it.
            OSError: the file can't be opened, made or written.
        """
        if self._fd is not None:
            raise LockHeldError(_me())
        # The descriptor is not inheritable (PEP 446): a child process does not keep the lock.
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _try_lock(fd):
                raise LockHeldError(_read_holder(fd))
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)
            os.write(fd, _me().encode("ascii"))
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        _HELD.add(self)

    def release(self) -> None:
        """Give the lock back; without it, nothing happens."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        try:
            os.ftruncate(fd, 0)  # the next one to be refused must not be shown a stale holder
        finally:
            os.close(fd)

    def _let_go(self) -> None:
        """In a forked child: it would hold the lock for as long as it lives, too."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _let_go_all() -> None:
    for lock in list(_HELD):
        lock._let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_all)


def _me() -> str:
    return f"pid {os.getpid()}, since {datetime.now(UTC).isoformat(timespec='seconds')}"


def _read_holder(fd: int) -> str:
    os.lseek(fd, 0, os.SEEK_SET)
    text = os.read(fd, _MAX_TEXT).decode("ascii", "replace").strip()
    # Empty between the lock and the first write of its new holder.
    return text if text.isprintable() and text else "pid unknown"


def _try_lock(fd: int) -> bool:
    if sys.platform == "win32":
        os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    # flock, not lockf: that one is lost as soon as any descriptor of the file is closed.
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
