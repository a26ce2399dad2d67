"""Threads for functions of a site, which may block: for ever, if they want to.

An executor's threads keep the process from ending until the last call has returned, and asyncio's
own are shared with everything that looks up a name. These end with the process, and a function
that hangs takes only its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Final

#: Calls of one function at a time; more wait.
MOST: Final = 16


class Threads:
    """The threads of one function. They are started when they are needed.

    Args:
        most: calls at a time.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._started = 0
        #: threads that will take a call, minus the calls that they will take
        self._free = 0

    async def call(self, function: Callable[..., Any], *args: object) -> Any:
        """Call it in a thread; returns or raises what it does. Who is cancelled doesn't wait."""
        future: Future[Any] = Future()
        context = contextvars.copy_context()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = context.run(function, *args)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self._calls.put(work)
        with self._gate:
            if self._free > 0:
                self._free -= 1
            elif self._started < self._most:
                self._started += 1
                threading.Thread(target=self._run, name="im-site", daemon=True).start()
            else:
                self._free -= 1
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let the threads end, each after its call; no call may follow."""
        with self._gate:
            for _ in range(self._started):
                self._calls.put(None)

    def _run(self) -> None:
        while (work := self._calls.get()) is not None:
            work()
            with self._gate:
                self._free += 1
