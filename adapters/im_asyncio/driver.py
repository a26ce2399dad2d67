"""The I/O loop: how asyncio does what the engine wants. Decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from im_proto.client.actions import OpenTransport
from im_proto.client.engine import ClientEngine
from im_runtime import Driver as _Driver
from im_runtime import is_async

from .clock import Clock
from .link import Link
from .worker import in_thread

#: the name of the thread that a plain token function runs in
_TOKEN = "im_asyncio-token"  # noqa: S105 - no secret


class Driver(_Driver[Link]):
    """Carries out an engine's actions on an asyncio loop.

    Args:
        engine: who decides.
        clock: what the engine is told as `now`.
        close_timeout: seconds for the peer's end of TLS when closing.
        more: as for `im_runtime.Driver`.
    """

    def __init__(
        self, engine: ClientEngine, clock: Clock, *, close_timeout: float, **more: Any
    ) -> None:
        super().__init__(engine, now=clock.now, **more)
        self._clock = clock
        self._close_timeout = close_timeout
        self._fetching: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        assert self._clock.loop is not None
        return self._clock.loop

    def _post(self, function: Callable[..., object], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(function, *args)

    def _set_timer(self, when: float) -> Callable[[], object]:
        return self._loop.call_at(when - self._clock.ahead, self._time_passed).cancel

    def _end_turn_soon(self) -> None:
        self._loop.call_soon(self.turn_ended)

    @property
    def _may_come_back(self) -> bool:
        # Without a loop nothing is held up by a disk, and there is nobody to tell it to.
        loop = self._clock.loop
        return loop is not None and loop.is_running()

    # -- tasks

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        # Not at the end of the coroutine: one that is cancelled early never begins.
        self._tasks.discard(task)
        for link in list(self._links.values()):
            if link.task is task and link.transport is None:
                self.forget(link)
        if self.quiet:
            self._is_quiet()

    # -- transports

    def _open(self, action: OpenTransport) -> Link:
        link = Link(self, action.transport, close_timeout=self._close_timeout)
        link.task = self._spawn(link.open(action, self._tls))
        return link

    def _start_tls(self, link: Link, host: str) -> None:
        link.pause()  # nothing of TLS is to come in before TLS is there
        link.task = self._spawn(link.start_tls(host, self._tls))

    # -- the token

    def _fetch(self, request: int) -> None:
        self._fetching[request] = self._spawn(self._call_token(request))

    def _stop_fetching(self, request: int) -> None:
        task = self._fetching.pop(request, None)
        if task is not None:
            task.cancel()

    async def _call_token(self, request: int) -> None:
        source = self._token
        token: Any = source
        failed = None
        try:
            if not isinstance(source, str):
                token = source() if is_async(source) else await in_thread(_TOKEN, source)
                if inspect.isawaitable(token):
                    token = await token
        except Exception as exc:
            failed = exc
        self._fetching.pop(request, None)
        self._token_answered(request, token, failed)

    # -- the end

    @property
    def quiet(self) -> bool:
        """There is no transport, none is being opened, and no token is awaited."""
        return super().quiet and not self._tasks

    def abort(self, *, tell: bool = True) -> None:
        """End all that is under way at once; the engine hears that the transports are lost."""
        super().abort(tell=tell)
        self._fetching.clear()
        for task in list(self._tasks):
            task.cancel()

    async def until_quiet(self, timeout: float) -> bool:
        """Wait until `quiet`, at most so many seconds; False if it isn't."""
        return await self._until(lambda: self.quiet, timeout)

    async def until_written(self, timeout: float) -> bool:
        """Wait until the journal has all, at most so many seconds; False if it hasn't."""
        self.turn_ended()
        self._journal_answered()  # an earlier loop may have ended before it was told
        return await self._until(lambda: self.written, timeout)

    async def _until(self, reached: Callable[[], bool], timeout: float) -> bool:
        loop = self._loop
        end = loop.time() + timeout
        while not reached():
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.append(waiter)
            handle = loop.call_at(end, wake, waiter)
            try:
                await waiter
            finally:
                handle.cancel()
                self._waiters.remove(waiter)
            if loop.time() >= end:
                break
        return reached()

    def _is_quiet(self) -> None:
        for waiter in self._waiters:
            wake(waiter)

    def _is_written(self) -> None:
        self._is_quiet()


def wake(waiter: asyncio.Future[None]) -> None:
    """Let whoever waits for it go on."""
    if not waiter.done():
        waiter.set_result(None)
