"""The thread that writes a journal, so that no loop ever waits for a disk."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from im_proto.client.actions import WriteJournal
from im_proto.client.inputs import JournalFailed, JournalWritten
from im_proto.errors import IMError

from .journal import Journal

_NAME: Final = "im-journal"

Answer = JournalWritten | JournalFailed


class JournalWriter:
    """Carries out what an engine wants written, in order; each wish is answered once.

    All but `answers` is called where the engine is stepped.

    Args:
        journal: an open one; `close` closes it.
        answered: called in the thread when there is an answer to be had in `answers`; it must not
            block.
    """

    def __init__(self, journal: Journal, answered: Callable[[], object]) -> None:
        self._journal = journal
        self._answered = answered
        self._work: SimpleQueue[WriteJournal | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._answers: deque[Answer] = deque()
        self._closed = False
        #: wishes without an answer that somebody took
        self.pending = 0

    def write(self, wish: WriteJournal, *, here: bool = False) -> None:
        """Write it in the thread, or `here` and now: then nothing may be pending."""
        self.pending += 1
        if self._closed:
            reason = "the storage is closed"
            self._answers.append(JournalFailed(request=wish.request, reason=reason))
            return
        if here or not self._start():
            self._answers.append(self._carry_out(wish))
        else:
            self._work.put(wish)

    def answers(self) -> list[Answer]:
        """What has been answered since the last time. In any one thread."""
        answers = []
        while self._answers:
            answers.append(self._answers.popleft())
        self.pending -= len(answers)
        return answers

    def close(self, timeout: float) -> bool:
        """Write what is queued, and close the journal; waits at most so many seconds.

        Twice is no error.

        Returns:
            False if the disk hangs: the file is let go of when it answers, or with the process.
        """
        if not self._closed:
            self._closed = True
            if self._thread is None:
                self._journal.close()
            else:
                self._work.put(None)
        if self._thread is None:
            return True
        self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def _start(self) -> bool:
        """Is there a thread? It begins with the first wish."""
        if self._thread is None:
            # A daemon: a disk that never answers must not keep the program from ending.
            thread = threading.Thread(target=self._run, name=_NAME, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # too many, or the interpreter is about to exit
                return False
            self._thread = thread
        return True

    # -- the thread

    def _run(self) -> None:
        while (wish := self._work.get()) is not None:
            self._answers.append(self._carry_out(wish))
            self._answered()
        self._journal.close()

    def _carry_out(self, wish: WriteJournal) -> Answer:
        try:
            self._journal.write(wish.changes)
        except IMError as error:
            return JournalFailed(request=wish.request, reason=error.text)
        except Exception as error:  # a bug of ours; its text may quote a message
            return JournalFailed(request=wish.request, reason=type(error).__name__)
        return JournalWritten(request=wish.request)
