"""The event loop that a client lives on: its time, and calls from other threads."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, Final, TypeVar

_T = TypeVar("_T")
#: How often a call from another thread looks whether the loop still runs, in seconds.
_LAST_TURN: Final = 0.25


class Clock:
    """The engine's clock: `loop.time()`, or the same kind of seconds where there is no loop yet.

    A loop whose clock is behind what the engine was told already is put ahead by a constant.
    """

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.ahead = 0.0
        self._time = time.monotonic
        self._thread = 0

    @classmethod
    def here_if_any(cls) -> Clock:
        """A clock of the running loop; without one, connect() will bind it."""
        clock = cls()
        with contextlib.suppress(RuntimeError):
            clock.bind(asyncio.get_running_loop(), fresh=True)
        return clock

    def now(self) -> float:
        """Seconds, never going back."""
        return self._time() + self.ahead

    def bind(self, loop: asyncio.AbstractEventLoop, *, fresh: bool = False) -> None:
        """Go on with this loop, in this thread; `fresh`: nobody was told a time so far."""
        if self.loop is not loop:
            self.ahead = 0.0 if fresh else max(0.0, self.now() - loop.time())
            self.loop, self._time = loop, loop.time
        self._thread = threading.get_ident()

    def here(self, function: Callable[..., _T], *args: Any) -> _T:
        """Call it on the loop's thread: at once if this is it, else there, and wait."""
        loop = self.loop
        if loop is None or threading.get_ident() == self._thread or not loop.is_running():
            return function(*args)

        work: Future[_T] = Future()

        def there() -> None:
            if work.set_running_or_notify_cancel():
                try:
                    work.set_result(function(*args))
                except BaseException as exc:
                    work.set_exception(exc)

        loop.call_soon_threadsafe(there)
        while not wait([work], _LAST_TURN).done:
            if not loop.is_running() and work.cancel():  # it will never get its turn
                return function(*args)
        return work.result()
