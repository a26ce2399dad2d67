"""What the tests in a browser share: a real `im serve`, Chromium, and words for the page."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import pytest

from im_proto.server.actions import StoreCommit
from im_proto.server.records import PLAIN, ReadMark, Submission
from im_server.store import Store

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

#: Seconds in which anything that a test waits for has to happen, however busy the machine is.
PATIENCE: Final = 60.0
#: The sizes of windows that are looked at.
DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 800}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
#: It works in a container, as root, and calls nobody outside of this machine.
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-auto-reload",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str:
    """The browser's program; without one the tests are skipped, saying how to get it."""
    given = os.environ.get("IM_TEST_BROWSER")
    found = given or shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        pytest.skip(
            "no Chromium: apt install chromium, or set IM_TEST_BROWSER to a Chrome of yours",
            allow_module_level=True,
        )
    return found


class Site:
    """`im serve --dev` in a process of its own, on one file and one port, to be killed and started
    again.

    Args:
        directory: where the database and the log go.
        settings: for its `--set`.
        options: more of its options; how it takes tokens is one.
    """

    def __init__(
        self, directory: Path, *settings: str, options: Sequence[str] = ("--dev",)
    ) -> None:
        self.database = directory / "im.db"
        self.log = directory / "server.log"
        self._options = options
        self._settings = [argument for setting in settings for argument in ("--set", setting)]
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

    @property
    def url(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start it; returns when it listens. From the second time on, on the same port."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "im_cli", "serve", *self._options),
                    *("--port", str(self.port)),
                    *("--database", f"sqlite:///{self.database.as_posix()}"),
                    *self._settings,
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"listening on http://[^ ]*:(\d+)", line)
        if found is None:
            process.kill()
            process.communicate()
            raise AssertionError(f"im serve did not start: {line!r} {self.log.read_text()}")
        self._process, self.port = process, int(found[1])

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and wait for a good end."""
        assert self._end(signal.SIGTERM) == 0

    def _end(self, how: signal.Signals) -> int:
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(how)
        process.communicate(timeout=PATIENCE)
        return process.returncode

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the server's tables say."""
        uri = f"file:{self.database.as_posix()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            return connection.execute(query, values).fetchall()

    def contents(self, sender: int | str | None = None) -> list[str]:
        """The contents of all messages, or of those of a sender, in the order of acceptance."""
        where, values = ("WHERE sender = ?", (str(sender),)) if sender is not None else ("", ())
        query = f"SELECT content FROM messages {where} ORDER BY id"
        return [row[0] for row in self.rows(query, *values)]


class Written(NamedTuple):
    """A message of a history."""

    sender: int
    to: int
    content: str
    #: when it was accepted, ms since 1970
    at: int
    #: the session's id; None: the one without a book
    session: int | None = None


def write_history(database: Path, history: Iterable[Written], *, read: bool = True) -> None:
    """Put messages into the file of a server that does not run.

    Args:
        history: in the order of their times.
        read: has each been read by its recipient?
    """
    numbers = itertools.count(1)
    last: dict[tuple[int, int], tuple[int, Written]] = {}
    with Store(f"sqlite:///{database.as_posix()}", "process") as store, store.together():
        for at, minute in itertools.groupby(history, lambda one: one.at):
            numbered = list(zip(minute, numbers, strict=False))
            last |= {(one.sender, one.to): (number, one) for one, number in numbered}
            submissions = tuple(_submission(one, number) for one, number in numbered)
            store.commit(StoreCommit(request=0, submissions=submissions, cursors=(), at=at))
        for number, one in last.values() if read else ():
            mark = ReadMark(
                key=0,
                reader=one.to,
                device=PLAIN,
                generation=0,
                from_user=one.sender,
                msg_id=number,
            )
            store.commit(
                StoreCommit(request=0, submissions=(), cursors=(), reads=(mark,), at=one.at)
            )


def _submission(one: Written, number: int) -> Submission:
    return Submission(
        key=number,
        sender=one.sender,
        device=PLAIN,
        generation=0,
        msg_id=number,
        to_user=one.to,
        content=one.content,
        message_type="text",
        session_id=one.session,
    )
