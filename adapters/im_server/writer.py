"""The two threads of a store: one writes, one reads, so that the event loop never waits for a disk.

What writes, or must know all that was asked to be written before, is carried out strictly in the
order in which it was asked for, and so are reads. What heaps up for the writer meanwhile is written
together: a log-in costs a tenth of the wait for the disk. An answer is delivered from the thread
that did the work, after it is done: who asks for a read after a `Committed` was delivered sees what
was committed.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from im_proto.server import actions as act
from im_proto.server import inputs as inp

from .failures import StoreError

__all__ = ["Storage", "StoreWorker"]

logger = logging.getLogger(__name__)
#: What shares a transaction, and so the wait for the disk, with its neighbours in the queue. A
#: commit ends it: messages don't wait for what was asked behind them.
_SHARING = act.StoreLogin | act.StoreSeen | act.StoreCall | act.StoreStatus
#: The most that do; some 5 ms of work.
_TOGETHER = 8
#: Seconds from one copy of the log into the file to the next, by the thread that reads: a commit
#: that had to make it would keep all others waiting.
_CHECKPOINT = 0.5
_T = TypeVar("_T")


class Storage(Protocol):
    """What the threads call: `read` and `peers` in one, everything else in the other.

    Each may raise `StoreError`, whose text goes into the answer. What is done in `together` is one
    transaction.
    """

    def together(self) -> AbstractContextManager[None]: ...
    def checkpoint(self) -> None: ...
    def commit(self, request: act.StoreCommit, /) -> inp.Committed: ...
    def login(self, request: act.StoreLogin, /) -> inp.LoginStored: ...
    def status(self, request: act.StoreStatus, /) -> inp.StatusFound: ...
    def call(self, request: act.StoreCall, /) -> inp.CallDone: ...
    def seen(self, request: act.StoreSeen, /) -> None: ...
    def retain(self, request: act.StoreRetain, /) -> inp.Retained: ...
    def revoke(self, request: act.StoreRevoke, /) -> inp.RevocationStored: ...
    def read(self, request: act.StoreRead, /) -> inp.ReadDone: ...
    def peers(self, request: act.StorePeers, /) -> inp.PeersFound: ...


class StoreWorker:
    """Carries out the store's requests of a hub; every one is answered exactly once, but for
    StoreSeen, which asks for no answer.

    Args:
        store: an open store. It stays open: close it after the worker.
        deliver: is called with each answer, in a thread of the worker; an event loop's
            `call_soon_threadsafe` belongs in it. It must not block.
    """

    def __init__(self, store: Storage, deliver: Callable[[inp.StoreInput], None]) -> None:
        self._store = store
        self._deliver = deliver
        self._abandoned = threading.Event()
        self._checkpoint_at = time.monotonic() + _CHECKPOINT
        self._gate = threading.Lock()
        self._closed = False
        self._writes: SimpleQueue[act.StoreAction | _Errand | None] = SimpleQueue()
        self._reads: SimpleQueue[act.StoreAction | _Errand | None] = SimpleQueue()
        # Daemons: a disk that never answers must not keep the process from ending.
        self._threads = [
            threading.Thread(target=run, name=name, daemon=True)
            for run, name in ((self._write, "im-store-writer"), (self._read, "im-store-reader"))
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, action: act.StoreAction) -> None:
        """Queue a request; never blocks. After `close` it is answered StoreFailed at once."""
        with self._gate:  # nothing may be queued behind the mark that ends a thread
            if not self._closed:
                reads = isinstance(action, act.StoreRead | act.StorePeers)
                (self._reads if reads else self._writes).put(action)
                return
        self._answer(action, _failed(action, "the store is closed"))

    def run(self, work: Callable[[], _T], *, reads: bool = False) -> Future[_T]:
        """Queue something that is not of the hub, in turn with the rest; never blocks.

        Args:
            work: what to do with the store.
            reads: in the thread that reads.

        Returns:
            What it gives or raises; StoreError after `close`.
        """
        future: Future[_T] = Future()
        with self._gate:
            if not self._closed:
                (self._reads if reads else self._writes).put(_Errand(work, future))
                return future
        future.set_exception(StoreError("the store is closed"))
        return future

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

    def _read(self) -> None:
        while (action := self._reads.get()) is not None:
            self._do_alone(action)

    def _write(self) -> None:
        queue = self._writes
        waiting: deque[act.StoreAction | _Errand | None] = deque()
        while True:
            if not waiting:
                waiting.append(queue.get())
            while not queue.empty():  # nobody else takes from it
                waiting.append(queue.get())
            sharing: list[act.StoreAction] = []
            while waiting and isinstance(waiting[0], _SHARING) and len(sharing) < _TOGETHER:
                sharing.append(waiting[0])
                waiting.popleft()
            if waiting and isinstance(waiting[0], act.StoreCommit):
                sharing.append(waiting[0])
                waiting.popleft()
            if sharing:
                self._do_together(sharing)
                self._look_at_the_log()
            elif (action := waiting.popleft()) is not None:
                self._do_alone(action)
            else:
                return

    def _look_at_the_log(self) -> None:
        now = time.monotonic()
        if now >= self._checkpoint_at:
            self._checkpoint_at = now + _CHECKPOINT
            self.run(self._store.checkpoint, reads=True)  # if it can't be now, the next one will do

    def _do_alone(self, action: act.StoreAction | _Errand) -> None:
        if isinstance(action, _Errand):
            action.run(abandoned=self._abandoned.is_set())
        else:
            self._answer(action, self._carry_out(action))

    def _do_together(self, actions: Sequence[act.StoreAction]) -> None:
        """In one transaction; if that can't be, each alone, so that one that fails fails alone."""
        if len(actions) > 1 and not self._abandoned.is_set():
            try:
                with self._store.together():
                    answers = [self._ask(action) for action in actions]
            except Exception as error:
                logger.info("%d are written one by one: %s", len(actions), where(error))
            else:
                for action, answer in zip(actions, answers, strict=True):
                    self._answer(action, answer)
                return
        for action in actions:
            self._do_alone(action)

    def _ask(self, action: act.StoreAction) -> inp.StoreInput | None:
        match action:
            case act.StoreCommit():
                return self._store.commit(action)
            case act.StoreLogin():
                return self._store.login(action)
            case act.StoreStatus():
                return self._store.status(action)
            case act.StoreCall():
                return self._store.call(action)
            case act.StoreSeen():
                self._store.seen(action)
                return None
            case act.StoreRetain():
                return self._store.retain(action)
            case act.StoreRevoke():
                return self._store.revoke(action)
            case act.StoreRead():
                return self._store.read(action)
            case act.StorePeers():
                return self._store.peers(action)

    def _carry_out(self, action: act.StoreAction) -> inp.StoreInput | None:
        if self._abandoned.is_set():
            return _failed(action, "the store is closed")
        try:
            return self._ask(action)
        except StoreError as error:
            reason = str(error)
            logger.warning("%s %d failed: %s", type(action).__name__, action.request, reason)
        except Exception as error:
            # Not its text: it may quote a message.
            reason = "internal error of the store"
            logger.error("%s %d failed: %s", type(action).__name__, action.request, where(error))
        return _failed(action, reason)

    def _answer(self, action: act.StoreAction, answer: inp.StoreInput | None) -> None:
        if answer is None or isinstance(action, act.StoreSeen):
            return
        try:
            self._deliver(answer)
        except Exception as error:
            # The loop has ended before us; the thread goes on, what is queued must be written.
            logger.error("nobody took %s: %s", type(answer).__name__, where(error))


@dataclass(frozen=True, slots=True)
class _Errand:
    work: Callable[[], Any]
    future: Future[Any]

    def run(self, *, abandoned: bool) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            if abandoned:
                raise StoreError("the store is closed")
            self.future.set_result(self.work())
        except BaseException as error:
            self.future.set_exception(error)


def _failed(action: act.StoreAction, reason: str) -> inp.StoreFailed:
    return inp.StoreFailed(request=action.request, reason=reason)


def where(error: BaseException) -> str:
    """The kind of an error and the lines it came through, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " > ".join(f"{frame.name}:{frame.lineno}" for frame in frames)
    return f"{type(error).__name__} at {places}"
