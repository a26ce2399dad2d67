"""The two threads of a store: one writes, one reads, so that the event loop never waits for a disk.

What writes, or must know all that was asked to be written before, is carried out strictly in the
order in which it was asked for, and so are reads. An answer is delivered from the thread that did
the work, after it is done: who asks for a read after a `Committed` was delivered sees what was
committed.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from im_proto.server import actions as act
from im_proto.server import inputs as inp

from .failures import StoreError

__all__ = ["Storage", "StoreWorker"]

logger = logging.getLogger(__name__)
_T = TypeVar("_T")


class Storage(Protocol):
    """What the threads call: `read` and `peers` in one, everything else in the other.

    Each may raise `StoreError`, whose text goes into the answer.
    """

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
        self._gate = threading.Lock()
        self._closed = False
        self._writes: SimpleQueue[act.StoreAction | _Errand | None] = SimpleQueue()
        self._reads: SimpleQueue[act.StoreAction | _Errand | None] = SimpleQueue()
        # Daemons: a disk that never answers must not keep the process from ending.
        self._threads = [
            threading.Thread(target=self._run, args=(queue,), name=name, daemon=True)
            for queue, name in ((self._writes, "im-store-writer"), (self._reads, "im-store-reader"))
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

    def _run(self, queue: SimpleQueue[act.StoreAction | _Errand | None]) -> None:
        while (action := queue.get()) is not None:
            if isinstance(action, _Errand):
                action.run(abandoned=self._abandoned.is_set())
            else:
                self._answer(action, self._carry_out(action))

    def _carry_out(self, action: act.StoreAction) -> inp.StoreInput | None:
        if self._abandoned.is_set():
            return _failed(action, "the store is closed")
        try:
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
