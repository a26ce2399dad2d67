"""The two threads of a store: one writes, one reads, so that the event loop never waits for a disk.

Writers (commits and logins) are carried out strictly in the order in which they were asked for,
and so are reads. An answer is delivered from the thread that did the work, after it is done: who
asks for a read after a `Committed` was delivered sees what was committed.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

from im_proto.server.actions import StoreCommit, StoreLogin, StoreRead
from im_proto.server.inputs import Committed, LoginStored, ReadDone, StoreFailed, StoreInput

from .schema import StoreError

__all__ = ["Storage", "StoreRequest", "StoreWorker"]

StoreRequest = StoreCommit | StoreLogin | StoreRead
logger = logging.getLogger(__name__)


class Storage(Protocol):
    """What the threads call: `commit` and `login` in one, `read` in the other.

    Each may raise `StoreError`, whose text goes into the answer.
    """

    def commit(self, request: StoreCommit, /) -> Committed: ...
    def login(self, request: StoreLogin, /) -> LoginStored: ...
    def read(self, request: StoreRead, /) -> ReadDone: ...


class StoreWorker:
    """Carries out the store's requests of a hub; every one is answered exactly once.

    Args:
        store: an open store. It stays open: close it after the worker.
        deliver: is called with each answer, in a thread of the worker; an event loop's
            `call_soon_threadsafe` belongs in it. It must not block.
    """

    def __init__(self, store: Storage, deliver: Callable[[StoreInput], None]) -> None:
        self._store = store
        self._deliver = deliver
        self._abandoned = threading.Event()
        self._gate = threading.Lock()
        self._closed = False
        self._writes: SimpleQueue[StoreRequest | None] = SimpleQueue()
        self._reads: SimpleQueue[StoreRequest | None] = SimpleQueue()
        # Daemons: a disk that never answers must not keep the process from ending.
        self._threads = [
            threading.Thread(target=self._run, args=(queue,), name=name, daemon=True)
            for queue, name in ((self._writes, "im-store-writer"), (self._reads, "im-store-reader"))
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, action: StoreRequest) -> None:
        """Queue a request; never blocks. After `close` it is answered StoreFailed at once."""
        with self._gate:  # nothing may be queued behind the mark that ends a thread
            if not self._closed:
                (self._reads if isinstance(action, StoreRead) else self._writes).put(action)
                return
        self._answer(StoreFailed(request=action.request, reason="the store is closed"))

    def close(self, timeout: float) -> bool:
        """Finish what is queued and end both threads; waits at most `timeout` seconds.

        What could not even be begun in that time is answered StoreFailed as soon as the disk
        lets go of the thread.

        Returns:
            True if both threads have ended: the store can be closed. False if one still hangs
            in it: leave the store alone, the end of the process closes it.
        """
        with self._gate:
            if not self._closed:
                self._closed = True
                self._writes.put(None)
                self._reads.put(None)
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            self._abandoned.set()
            return False
        return True

    def _run(self, queue: SimpleQueue[StoreRequest | None]) -> None:
        while (action := queue.get()) is not None:
            self._answer(self._carry_out(action))

    def _carry_out(self, action: StoreRequest) -> StoreInput:
        if self._abandoned.is_set():
            return StoreFailed(request=action.request, reason="the store is closed")
        try:
            match action:
                case StoreCommit():
                    return self._store.commit(action)
                case StoreLogin():
                    return self._store.login(action)
                case StoreRead():
                    return self._store.read(action)
        except StoreError as error:
            reason = str(error)
            logger.warning("%s %d failed: %s", type(action).__name__, action.request, reason)
        except Exception as error:
            # Not its text: it may quote a message.
            reason = "internal error of the store"
            logger.error("%s %d failed: %s", type(action).__name__, action.request, _where(error))
        return StoreFailed(request=action.request, reason=reason)

    def _answer(self, answer: StoreInput) -> None:
        try:
            self._deliver(answer)
        except Exception as error:
            # The loop has ended before us; the thread goes on, what is queued must be written.
            logger.error("nobody took %s: %s", type(answer).__name__, _where(error))


def _where(error: BaseException) -> str:
    """The kind of an error and the lines it came through, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " > ".join(f"{frame.name}:{frame.lineno}" for frame in frames)
    return f"{type(error).__name__} at {places}"
