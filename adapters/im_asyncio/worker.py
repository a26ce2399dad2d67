"""Plain functions in threads that nobody waits for when the program ends.

Executors, asyncio's own among them, are joined then, also behind a function that never returns.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from im_runtime import call


class _Answer:
    """What a function has returned, or raised. It may be a token, and asyncio's debug mode logs the
    results of futures and the arguments of calls: this has no repr that says more."""

    __slots__ = ("failed", "result")

    def __init__(self, result: object, failed: Exception | None) -> None:
        self.result = result
        self.failed = failed


class Worker:
    """One daemon thread that calls functions in order."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def call(self, function: Callable[..., Any], *args: object) -> Any:
        """Call it there and wait for what it returns. Cancelling this doesn't end the function."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_Answer] = loop.create_future()
        context = contextvars.copy_context()

        def work() -> None:
            result, failed = None, None
            try:
                result = context.run(call, function, *args)
            except Exception as exc:
                failed = exc
            except BaseException as exc:  # SystemExit ends a thread, and not the program
                failed = RuntimeError(f"the function raised {type(exc).__name__}")
                failed.__cause__ = exc
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(_settle, done, _Answer(result, failed))

        self._work.put(work)
        answer = await done
        if answer.failed is not None:
            raise answer.failed
        return answer.result

    def close(self, *, wait: bool) -> None:
        """Let the thread end behind its work; `wait`: it has none, so it ends at once."""
        self._work.put(None)
        if wait:
            self._thread.join()

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()


async def in_thread(name: str, function: Callable[..., Any], *args: object) -> Any:
    """Call one function in a thread of its own."""
    worker = Worker(name)
    given_up = False
    try:
        return await worker.call(function, *args)
    except asyncio.CancelledError:
        given_up = True
        raise
    finally:
        worker.close(wait=not given_up)


def _settle(done: asyncio.Future[_Answer], answer: _Answer) -> None:
    if not done.done():
        done.set_result(answer)
