"""Calls the application's callbacks: one task, in order.

The task lives as long as there is something to call. An async callback is awaited in it; a plain
one runs in one worker thread, or, with `inline`, in the task itself.
"""

from __future__ import annotations

import asyncio
import inspect
from contextvars import ContextVar
from typing import Any, Final

from im_runtime import Call, Callback, Callbacks, Calls, Log, is_async

from .clock import Clock
from .worker import Worker

#: After so many seconds of calls the loop gets its turn, whatever the callbacks do. Not after a
#: handful: while one client receives as fast as another in the same loop sends, it must not lag.
_TURN: Final = 0.002


class _Active:
    """A callback that is running: what it starts, in tasks or threads, can be told by it."""

    __slots__ = ("active", "dispatcher")

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.active = True


_ACTIVE: ContextVar[_Active | None] = ContextVar("im_asyncio_callback", default=None)


class Dispatcher:
    """Calls callbacks in the order of the events.

    Args:
        callbacks: who listens.
        clock: of the client.
        log: of the client.
        inline: plain callbacks run on the event loop instead of in a thread.
        slow: seconds after which a running callback is reported; None never does.

    Raises:
        LocalProtocolError: `slow` is no number of seconds above 0.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        clock: Clock,
        *,
        log: Log,
        inline: bool,
        slow: float | None,
    ) -> None:
        self.calls = Calls(callbacks, log=log, now=clock.now, wake=self.start, slow=slow)
        self._clock = clock
        self._inline = inline
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._worker: Worker | None = None
        #: the worker thread has a callback that nobody waits for any more
        self._stuck = False
        #: the worker thread and the timer are kept for the next event; without, they end with the
        #: queue
        self.open = False

    @property
    def inside(self) -> bool:
        """Is this code running in, or started and awaited by, one of our callbacks?"""
        running = _ACTIVE.get()
        return running is not None and running.active and running.dispatcher is self

    def runs_in(self, task: object) -> bool:
        """Is that the task in which callbacks run?"""
        return task is not None and task is self._task

    @property
    def busy(self) -> bool:
        """A callback is running or about to."""
        return self._task is not None

    def start(self) -> None:
        """Call what waits, if there is a loop to do it on."""
        if self._task is not None or not len(self.calls):
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
        self.calls.clear()
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        """No thread and no timer is kept from here on."""
        self.open = False
        if self._task is None:
            self._dismiss()

    def _dismiss(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        worker, self._worker = self._worker, None
        if worker is not None:
            # An idle thread ends within microseconds; a callback that was given up may not.
            worker.close(wait=not self._stuck)
            self._stuck = False

    async def _run(self) -> None:
        now = self._clock.now
        turn = now() + _TURN
        try:
            while (item := self.calls.next()) is not None:
                try:
                    for callback in item.callbacks:
                        await self._call(item, callback)
                except BaseException:
                    self.calls.give_up(item)
                    raise
                self.calls.done(item)
                if self.calls.ended >= turn:
                    await asyncio.sleep(0)
                    turn = now() + _TURN
        finally:
            self._task = None
            if not self.open:
                self._dismiss()

    async def _call(self, item: Call, callback: Callback) -> None:
        self.calls.begin(item, callback)
        if self._timer is None:
            self._watch()
        running = _Active(self)
        _ACTIVE.set(running)  # in the context of this task, where nobody needs the one before
        try:
            if self._inline or is_async(callback):
                result = callback(*item.args)
            else:
                result = await self._in_thread(callback, item.args)
            if result is not None and inspect.isawaitable(result):
                await result
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self.calls.raised(exc)  # the callback's own, of something that it awaited
        except Exception as exc:
            self.calls.raised(exc)
        finally:
            running.active = False
            self.calls.end()

    async def _in_thread(self, callback: Callback, args: tuple[Any, ...]) -> object:
        if self._worker is None:
            self._worker = Worker("im_asyncio-callbacks")
        try:
            return await self._worker.call(callback, *args)
        except asyncio.CancelledError:
            self._stuck = True
            raise

    def _watch(self) -> None:
        """Look at the running callback when it may be slow; one timer for all of them, as it
        needs no arming for each: one that goes off early is armed again."""
        self._timer = None
        self.calls.look()
        due = self.calls.slow_at()
        if due is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(due - self._clock.ahead, self._watch)
