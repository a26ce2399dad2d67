"""Moves bytes, arms one timer, carries out what the engine wants. Decides nothing.

The engine is stepped in the loop's thread alone. A list of actions is carried out to its end before
the next step: what a link has to say meanwhile waits for its turn.
"""

from __future__ import annotations

import inspect
import ssl
import threading
from collections import deque
from collections.abc import Callable

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
from im_proto.client.inputs import HttpAnswered, HttpFailed, Input, TimePassed, WallClock
from im_proto.config import TokenSource
from im_proto.errors import LocalProtocolError
from im_runtime import HttpCalls, Log, default_tls, token_failed, token_ready

from .link import Link
from .loop import Alarm, Loop

_OfLink = SendBytes | PauseReading | ResumeReading | StartTls | CloseTransport | AbortTransport


class Driver:
    """Carries out an engine's actions.

    Args:
        engine: who decides.
        loop: in whose thread everything here happens.
        log: of the client.
        token: the access token, or a function that gets one.
        deliver: takes the engine's events, in order; must not raise or call back.
        failed: takes an exception that is a bug of ours; everything is aborted by then.
        quiet: called when there is no transport any more.
        ssl_context: for wss; None for the system's certificates.
        wall: the wall clock, in seconds since 1970.
    """

    def __init__(
        self,
        engine: ClientEngine,
        loop: Loop,
        *,
        log: Log,
        token: TokenSource,
        deliver: Callable[[Event], None],
        failed: Callable[[Exception], None],
        quiet: Callable[[], None],
        ssl_context: ssl.SSLContext | None,
        wall: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._log = log
        self._token = token
        self._deliver = deliver
        self._failed = failed
        self._told_quiet = quiet
        self._ssl_context = ssl_context
        self._wall = wall
        self._links: dict[int, Link] = {}
        self._tokens: set[int] = set()
        self._http = HttpCalls(
            tls=self._tls, answer=lambda answer: loop.post(self._http_answered, answer)
        )
        self._timer: Alarm | None = None
        self._later: deque[Input] = deque()
        self._running = False
        self._cause: Exception | None = None
        #: timers are armed; between connect() and the end of disconnect()
        self.active = False
        #: … and while somebody waits for what needs no connection
        self.awaited: Callable[[], bool] = lambda: False

    # -- in --

    def step(self, item: Input) -> None:
        """Do what the application wants.

        Raises:
            LocalProtocolError, IMError: the engine refuses it; nothing has changed.
        """
        if self._loop.ended:
            raise LocalProtocolError("this client is closed, for good: make a new one")
        if self._running:
            raise LocalProtocolError("a log handler of the client may not change it")
        self._step(item, self._loop.now())

    def feed(
        self, item: Input, *, now: float | None = None, cause: Exception | None = None
    ) -> None:
        """`step` for what comes from the loop, where there is nobody to raise to.

        Args:
            item: what happened.
            now: when, if not now.
            cause: the exception behind it; errors that it leads to get it as their __cause__.
        """
        if self._running:
            self._later.append(item)
            return
        self._cause = cause
        try:
            self._step(item, self._loop.now() if now is None else now)
        except Exception as exc:
            self.broken(exc)
        finally:
            self._cause = None

    def broken(self, exc: Exception) -> None:
        """A bug here or in the engine: end in order, and say so."""
        self.stop()
        self._later.clear()
        self.abort(tell=False)
        self._failed(exc)

    def _step(self, item: Input, now: float) -> None:
        self._running = True
        try:
            while True:
                self._log.item(item)
                for action in self._engine.step(item, now):
                    self._log.item(action)
                    self._carry_out(action)
                if not self._later:
                    break
                item, now = self._later.popleft(), self._loop.now()
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
                link = self._links[action.transport] = Link(self, self._loop, action.transport)
                self._loop.soon(lambda: link.open(action, self._tls))
                # Also after a sleep, in which a wall clock goes on and others may not.
                self._later.append(WallClock(wall=self._wall()))
            case FetchToken():
                self._fetch(action.request)
            case CancelToken():
                self._tokens.discard(action.request)
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
                link.pause()
            case ResumeReading():
                link.resume()
            case StartTls():
                self._loop.soon(lambda: link.start_tls(action.host, self._tls))
            case CloseTransport():
                link.close()
            case AbortTransport():
                link.drop()

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = default_tls()
        return self._ssl_context

    # -- the token --

    def _fetch(self, request: int) -> None:
        self._tokens.add(request)
        if isinstance(self._token, str):
            self._loop.soon(lambda: self._answer(request, self._token, None))
            return
        fetching = threading.Thread(
            target=self._call_token, args=(request, self._token), name="im_threads-token"
        )
        fetching.daemon = True
        try:
            fetching.start()
        except RuntimeError as exc:
            self._loop.soon(lambda exc=exc: self._answer(request, None, exc))  # type: ignore[misc]

    def _call_token(self, request: int, source: Callable[[], object]) -> None:
        """In a thread of its own: as long as it takes, and dropped if nobody waits any more."""
        try:
            token, failed = source(), None
        except BaseException as exc:
            token, failed = None, exc
        if inspect.iscoroutine(token):
            token.close()
            token, failed = None, TypeError("the token function is async: that is for im_asyncio")
        self._loop.post(self._answer, request, token, failed)

    def _answer(self, request: int, token: object, failed: BaseException | None) -> None:
        if request not in self._tokens:
            return
        self._tokens.discard(request)
        try:
            if failed is not None:
                raise failed
            answer: Input = token_ready(request, token)
        except Exception as exc:
            self.feed(token_failed(request, exc), cause=exc)
        except BaseException as exc:
            self.feed(token_failed(request, exc))
        else:
            self.feed(answer)

    def _http_answered(self, answer: HttpAnswered | HttpFailed) -> None:
        if self._http.ended(answer.request):
            self.feed(answer)

    # -- time --

    def _arm(self) -> None:
        wanted = self.active or self.awaited()
        deadline = self._engine.next_deadline() if wanted else None
        if deadline is None:
            self._disarm()
        elif self._timer is None or self._timer.when > deadline:
            self._disarm()
            self._timer = self._loop.at(deadline, self._time_passed)
        # else it goes off early, and is then armed again: cheaper than to move it

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_passed(self) -> None:
        timer, self._timer = self._timer, None
        assert timer is not None
        now = max(self._loop.now(), timer.when)
        deadline = self._engine.next_deadline()
        if deadline is not None and deadline <= now:
            self.feed(TimePassed(wall=self._wall()), now=now)
        else:
            self._arm()

    # -- the end --

    @property
    def quiet(self) -> bool:
        """There is no transport, and none is being opened."""
        return not self._links

    def forget(self, link: Link) -> None:
        """Its socket is gone."""
        if self._links.get(link.name) is link:
            del self._links[link.name]
        if self.quiet:
            self._told_quiet()

    def abort(self, *, tell: bool = True) -> None:
        """End every transport at once; the engine hears that they are lost."""
        self._tokens.clear()
        self._http.cancel_all()
        for link in list(self._links.values()):
            link.drop(tell=tell)

    def stop(self) -> None:
        """No timer from here on."""
        self.active = False
        self._disarm()
