"""The I/O loop: moves bytes, arms one timer, carries out what the engine wants. Decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from im_proto.client.actions import (
    AbortTransport,
    Action,
    CallHttp,
    CancelHttp,
    CancelToken,
    CloseTransport,
    FetchToken,
    Notify,
    OpenTransport,
    PauseReading,
    ResumeReading,
    SendBytes,
    StartTls,
)
from im_proto.client.engine import ClientEngine
from im_proto.client.events import AuthFailed, ErrorOccurred, Event, SessionFailed
from im_proto.client.inputs import (
    HttpAnswered,
    HttpFailed,
    Input,
    TimePassed,
    WallClock,
)
from im_proto.config import TokenSource
from im_runtime import HttpCalls, Log, call, default_tls, is_async, token_failed, token_ready

from .clock import Clock
from .link import Link

_OfLink = SendBytes | PauseReading | ResumeReading | StartTls | CloseTransport | AbortTransport


class Driver:
    """Carries out an engine's actions on an asyncio loop.

    Args:
        engine: who decides.
        clock: what the engine is told as `now`.
        log: has a line for each input and action.
        deliver: takes the engine's events, in order; must not raise or call back.
        failed: takes an exception that is a bug of ours; everything is aborted by then.
    """

    def __init__(
        self,
        engine: ClientEngine,
        clock: Clock,
        *,
        log: Log,
        token: TokenSource,
        deliver: Callable[[Event], None],
        failed: Callable[[Exception], None],
        ssl_context: ssl.SSLContext | None,
        wall: Callable[[], float],
        close_timeout: float,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._log = log
        self._token = token
        self._deliver = deliver
        self._failed = failed
        self._ssl_context = ssl_context
        self._wall = wall
        self._close_timeout = close_timeout
        self._links: dict[int, Link] = {}
        self._tokens: dict[int, asyncio.Task[None]] = {}
        self._http = HttpCalls(tls=self._tls, answer=self._from_thread)
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiters: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._later: deque[Input] = deque()
        self._running = False
        self._cause: Exception | None = None
        #: timers are armed; between connect() and the end of disconnect()
        self.active = False
        #: … and while somebody waits for what needs no connection
        self.awaited: Callable[[], bool] = lambda: False

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        assert self._clock.loop is not None
        return self._clock.loop

    # -- in --

    def step(self, item: Input) -> None:
        """Do what an input leads to.

        Raises:
            LocalProtocolError, IMError: the engine refuses it; nothing has changed.
        """
        self._step(item, self._clock.now())

    def feed(
        self, item: Input, *, now: float | None = None, cause: Exception | None = None
    ) -> None:
        """`step` for what comes from the loop, where there is nobody to raise to.

        Args:
            item: what happened.
            now: when, if not now.
            cause: the exception behind it; errors that it leads to get it as their __cause__.
        """
        self._cause = cause
        try:
            self._step(item, self._clock.now() if now is None else now)
        except Exception as exc:  # a bug here or in the engine: end in order, and say so
            self.stop()
            self._later.clear()
            self.abort(tell=False)
            self._failed(exc)
        finally:
            self._cause = None

    def _step(self, item: Input, now: float) -> None:
        if self._running:  # a write that blocks says so at once: it has to wait for its turn
            self._later.append(item)
            return
        self._running = True
        try:
            while True:
                self._log.item(item)
                for action in self._engine.step(item, now):
                    self._log.item(action)
                    self._carry_out(action)
                if not self._later:
                    break
                item, now = self._later.popleft(), self._clock.now()
        finally:
            self._running = False
            self._arm()

    # -- out --

    def _carry_out(self, action: Action) -> None:
        match action:
            case Notify(event=event):
                if self._cause is not None and isinstance(
                    event, AuthFailed | ErrorOccurred | SessionFailed
                ):
                    event.error.__cause__ = self._cause
                self._deliver(event)
            case OpenTransport():
                link = Link(self, action.transport, close_timeout=self._close_timeout)
                self._links[link.name] = link
                link.task = self._spawn(link.open(action, self._tls))
                # Also after a sleep, in which a wall clock goes on and others may not.
                self._later.append(WallClock(wall=self._wall()))
            case FetchToken():
                self._tokens[action.request] = self._spawn(self._fetch(action.request))
            case CancelToken():
                task = self._tokens.pop(action.request, None)
                if task is not None:
                    task.cancel()
            case CallHttp():
                self._http.start(action)
            case CancelHttp():
                self._http.cancel(action.request)
            case _:
                known = self._links.get(action.transport)
                if known is not None:
                    self._use(known, action)

    def _use(self, link: Link, action: _OfLink) -> None:
        match action:
            case SendBytes():
                link.write(action.data)
            case PauseReading():
                link.pause_reading()
            case ResumeReading():
                link.resume_reading()
            case StartTls():
                link.pause_reading()  # nothing of TLS is to come in before TLS is there
                link.task = self._spawn(link.start_tls(action.host, self._tls))
            case CloseTransport():
                link.close()
            case AbortTransport():
                link.drop()

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
        self._look_if_quiet()

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = default_tls()
        return self._ssl_context

    async def _fetch(self, request: int) -> None:
        source = self._token
        cause = None
        try:
            token: Any = source
            if not isinstance(source, str):
                token = source() if is_async(source) else await asyncio.to_thread(call, source)
                if inspect.isawaitable(token):
                    token = await token
            answer: Input = token_ready(request, token)
        except Exception as exc:
            answer, cause = token_failed(request, exc), exc
        if self._tokens.pop(request, None) is not None:
            self.feed(answer, cause=cause)

    def _from_thread(self, answer: HttpAnswered | HttpFailed) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._answered, answer)

    def _answered(self, answer: HttpAnswered | HttpFailed) -> None:
        if self._http.ended(answer.request):
            self.feed(answer)

    # -- time --

    def _arm(self) -> None:
        wanted = self.active or self.awaited()
        deadline = self._engine.next_deadline() if wanted else None
        if deadline is None:
            self._disarm()
            return
        when = deadline - self._clock.ahead
        if self._timer is not None:
            if self._timer.when() <= when:
                return  # it goes off early, and is then armed again: cheaper than to move it
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._time_passed)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_passed(self) -> None:
        timer, self._timer = self._timer, None
        # A loop may be early by its clock's resolution, 16 ms on Windows: that is on time.
        now = self._clock.now()
        if timer is not None:
            now = max(now, timer.when() + self._clock.ahead)
        deadline = self._engine.next_deadline()
        if deadline is not None and deadline <= now:
            self.feed(TimePassed(wall=self._wall()), now=now)
        else:
            self._arm()

    # -- the end --

    @property
    def quiet(self) -> bool:
        """There is no transport, none is being opened, and no token is awaited."""
        return not self._links and not self._tasks

    def forget(self, link: Link) -> None:
        """Its socket is gone."""
        if self._links.get(link.name) is link:
            del self._links[link.name]
        self._look_if_quiet()

    def abort(self, *, tell: bool = True) -> None:
        """End every transport and task at once; the engine hears that the transports are lost."""
        for link in list(self._links.values()):
            link.drop(tell=tell)
        self._http.cancel_all()
        self._tokens.clear()
        for task in list(self._tasks):
            task.cancel()

    def stop(self) -> None:
        """No timer from here on."""
        self.active = False
        self._disarm()

    async def until_quiet(self, timeout: float) -> bool:
        """Wait until `quiet`, at most so many seconds; False if it isn't."""
        loop = self._loop
        end = loop.time() + timeout
        while not self.quiet:
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
        return self.quiet

    def _look_if_quiet(self) -> None:
        if self.quiet:
            for waiter in self._waiters:
                wake(waiter)


def wake(waiter: asyncio.Future[None]) -> None:
    """Let whoever waits for it go on."""
    if not waiter.done():
        waiter.set_result(None)
