"""Calls the application's callbacks: one queue, one task, in order.

The task lives as long as there is something to call. An async callback is awaited in it; a plain
one runs in one worker thread, or, with `inline`, in the task itself.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from enum import Enum, auto
from typing import Any, Final

from im_proto.errors import IMError, IMErrorCode
from im_runtime import LOGGER, Callback, Callbacks

from .plain import call, is_async

#: After so many calls the loop gets its turn, whatever the callbacks do.
_TURN: Final = 32


class Outcome(Enum):
    """What became of one event."""

    RETURNED = auto()
    RAISED = auto()
    #: nobody listened any more, or the event was not wanted any more
    NOT_CALLED = auto()


class _Item:
    __slots__ = ("args", "name", "then", "wanted")

    def __init__(
        self,
        name: str,
        args: tuple[Any, ...],
        wanted: Callable[[], bool] | None,
        then: Callable[[Outcome], None] | None,
    ) -> None:
        self.name = name
        self.args = args
        self.wanted = wanted
        self.then = then


class _Call:
    """A callback that is running: what it starts, in tasks or threads, can be told by it."""

    __slots__ = ("active", "dispatcher")

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.active = True


_CALL: ContextVar[_Call | None] = ContextVar("im_asyncio_call", default=None)


class Dispatcher:
    """Calls callbacks in the order of the events.

    Args:
        callbacks: who listens.
        inline: plain callbacks run on the event loop instead of in a thread.
    """

    def __init__(self, callbacks: Callbacks, *, inline: bool) -> None:
        self._callbacks = callbacks
        self._inline = inline
        self._queue: deque[_Item] = deque()
        self._task: asyncio.Task[None] | None = None
        self._worker: ThreadPoolExecutor | None = None
        #: the worker thread has a callback that nobody waits for any more
        self._stuck = False
        #: the worker thread is kept for the next event; without, it ends with the queue
        self.open = False

    @property
    def inside(self) -> bool:
        """Is this code running in, or started and awaited by, one of our callbacks?"""
        running = _CALL.get()
        return running is not None and running.active and running.dispatcher is self

    @property
    def busy(self) -> bool:
        """A callback is running or about to."""
        return self._task is not None

    def put(
        self,
        name: str,
        *args: object,
        wanted: Callable[[], bool] | None = None,
        then: Callable[[Outcome], None] | None = None,
    ) -> None:
        """Have `name` called with `args`, after all that was put before.

        Args:
            name: of the callback.
            args: what it is called with.
            wanted: asked just before; False passes the event over.
            then: told what became of it.
        """
        self._queue.append(_Item(name, args, wanted, then))
        self.start()

    def start(self) -> None:
        """Call what waits, if there is a loop to do it on."""
        if self._task is not None or not self._queue:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # connect() will start it
        self._task = loop.create_task(self._run())

    async def drained(self, timeout: float) -> bool:
        """Wait until everything is called, at most so many seconds; False if it isn't."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while self._task is not None and (left := end - loop.time()) > 0:
            await asyncio.wait({self._task}, timeout=left)
        return self._task is None

    def cancel(self) -> None:
        """Cancel the callback that is running, and forget what waits."""
        dropped, self._queue = self._queue, deque()
        for item in dropped:
            if item.then is not None:
                item.then(Outcome.NOT_CALLED)
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        """No thread is kept from here on."""
        self.open = False
        if self._task is None:
            self._dismiss()

    def _dismiss(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            # An idle thread ends within microseconds; a callback that was given up may not.
            worker.shutdown(wait=not self._stuck, cancel_futures=True)

    async def _run(self) -> None:
        count = 0
        try:
            while self._queue:
                item = self._queue.popleft()
                outcome = Outcome.NOT_CALLED
                try:
                    if item.wanted is None or item.wanted():
                        outcome = await self._call_all(item)
                finally:
                    if item.then is not None:
                        item.then(outcome)
                count += 1
                if count % _TURN == 0:
                    await asyncio.sleep(0)
        finally:
            self._task = None
            if not self.open:
                self._dismiss()

    async def _call_all(self, item: _Item) -> Outcome:
        callbacks = self._callbacks.take(item.name)
        outcome = Outcome.RETURNED if callbacks else Outcome.NOT_CALLED
        for callback in callbacks:
            try:
                await self._call(callback, item.args)
            except asyncio.CancelledError as exc:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                outcome = Outcome.RAISED  # the callback's own, of something that it awaited
                self._report(item.name, exc)
            except Exception as exc:
                outcome = Outcome.RAISED
                self._report(item.name, exc)
        return outcome

    async def _call(self, callback: Callback, args: tuple[Any, ...]) -> None:
        running = _Call(self)
        token = _CALL.set(running)
        try:
            if self._inline or is_async(callback):
                result = callback(*args)
            else:
                result = await self._in_thread(callback, args)
            if inspect.isawaitable(result):
                await result
        finally:
            running.active = False
            _CALL.reset(token)

    async def _in_thread(self, callback: Callback, args: tuple[Any, ...]) -> object:
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="im_asyncio-callbacks")
        context = contextvars.copy_context()
        work = self._worker.submit(context.run, call, callback, *args)
        try:
            return await asyncio.wrap_future(work)
        finally:
            self._stuck = not work.done()

    def _report(self, name: str, exc: BaseException) -> None:
        LOGGER.error("! the callback %s raised %s", name, type(exc).__name__, exc_info=exc)
        if name != "error" and "error" in self._callbacks:
            error = IMError(
                IMErrorCode.UNKNOWN_ERROR, f"the callback {name} raised {type(exc).__name__}"
            )
            error.__cause__ = exc
            self.put("error", error)
