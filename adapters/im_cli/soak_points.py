"""The named points at which `im soak` kills a process, and how the process dies there.

Nothing of this is in the product: a child of the soak wraps the seams of the libraries from
outside (`soak_seams.py`), notes that it has come to a point, and kills itself at the one that it
was told to. SIGKILL runs nothing more of the process: no `finally`, no flush, no thread.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

#: Points of a client: what has just happened, or is just about to, when it dies.
CLIENT: Final = {
    "journal-before": "its journal is about to be written",
    "journal-after": "the journal is written, the engine does not know",
    "send-before": "a message is in the journal, not yet in the socket",
    "send-after": "a message is in the socket",
    "answer-before": "the answer to a message is there, the engine has not seen it",
    "push-before": "a message came in, the engine has not seen it",
    "handle-before": "the application has a message, and has done nothing",
    "handle-inside": "the application has written, its transaction is open",
    "handle-after": "the application is done, the client does not know",
    "ack-before": "an acknowledgement is about to go out",
    "ack-after": "an acknowledgement is in the socket",
}
#: It has no transaction.
NOT_IN_AUTO: Final = frozenset({"handle-inside"})
#: Points of the server.
SERVER: Final = {
    "login-after": "a log-in is on disk, the client does not know",
    "commit-before": "messages are about to be written",
    "commit-inside": "messages are written, not committed",
    "commit-after": "messages are committed, nobody knows",
    "answer-before": "answers are about to go out",
    "answer-after": "answers are in the socket",
    "push-before": "a message is about to be pushed",
    "push-after": "a message is in the socket",
    "cursor-before": "an acknowledgement is about to be written",
    "cursor-after": "an acknowledgement is on disk",
}
#: Killed from outside, as it had not come to its point when the other one was dead.
ANYWHERE: Final = "anywhere"

_KILL: Final = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows: it ends it as abruptly


class Points:
    """Where this process dies.

    Args:
        who: whose process it is.
        deaths: the file in which it notes its death.
    """

    def __init__(self, who: str, deaths: Path) -> None:
        self._who = who
        self._deaths = deaths
        self._lock = threading.Lock()
        self._point = ""
        self._left = 0

    def arm(self, point: str, nth: int) -> None:
        """Die when it comes there for the n-th time from now on."""
        with self._lock:
            self._point, self._left = point, nth

    def reach(self, point: str) -> None:
        """It is there. In any thread."""
        with self._lock:
            if point != self._point:
                return
            self._left -= 1
            if self._left > 0:
                return
            note_death(self._deaths, self._who, point)
            os.kill(os.getpid(), _KILL)
            threading.Event().wait()  # nothing else happens in this thread


def note_death(deaths: Path, who: str, point: str) -> None:
    """What is written survives the process: the kernel has it."""
    with deaths.open("a", encoding="utf-8") as file:
        file.write(f"{who} {point}\n")


# ---------------------------------------------------------------- orders


def _lines() -> Iterator[str]:
    # Not sys.stdin: a thread in it holds a lock that the end of the interpreter wants.
    buffer = b""
    while data := os.read(0, 4096):
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            yield line.decode()


class Orders:
    """What a child is told on its standard input: one JSON object, then a word a line."""

    def __init__(self) -> None:
        self._lines = _lines()
        #: what it is to be
        self.given: dict[str, Any] = json.loads(next(self._lines, "{}"))
        self.directory = Path(self.given["directory"])
        self.points = Points(self.given["name"], self.directory / DEATHS)
        if self.given["die"] is not None:
            self.points.arm(*self.given["die"])

    def obey(self, finish: Callable[[], object]) -> None:
        """Take orders from here on, in a thread.

        Args:
            finish: what to do when the soak is over; called in that thread.
        """
        threading.Thread(target=self._obey, args=(finish,), daemon=True).start()

    def _obey(self, finish: Callable[[], object]) -> None:
        for line in self._lines:
            word, *rest = line.split()
            if word == "die":
                self.points.arm(rest[0], int(rest[1]))
            elif word == "finish":
                finish()
        sys.stderr.write("nobody gives orders any more\n")
        os._exit(1)


#: In the directory of a run: a line a death.
DEATHS: Final = "deaths.txt"
