"""What drives an engine: steps it, carries out what it wants, arms one timer. Decides nothing.

An adapter adds how its loop does things: it opens a transport, calls the token function, sets a
timer. One thread, or one lock, at a time is in here.
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from im_proto.client.actions import (
    AbortTransport,
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
    WriteJournal,
)
from im_proto.client.engine import ClientEngine
from im_proto.client.events import AuthFailed, ErrorOccurred, Event, SessionFailed
from im_proto.client.inputs import (
    HttpAnswered,
    HttpFailed,
    Input,
    JournalFailed,
    JournalWritten,
    TimePassed,
    TurnEnded,
    WallClock,
)
from im_proto.config import TokenSource
from im_proto.errors import LocalProtocolError

from .functions import token_failed, token_ready
from .http import HttpCalls
from .journal import Journal
from .journal_writer import JournalWriter
from .links import Link
from .log import LOUD, Log
from .net import default_tls

_TURN_ENDED: Final = TurnEnded()
_TROUBLE: Final = (AuthFailed, ErrorOccurred, SessionFailed)
_OfLink = PauseReading | ResumeReading | StartTls | CloseTransport | AbortTransport
_Work = (
    _OfLink
    | SendBytes
    | OpenTransport
    | FetchToken
    | CancelToken
    | CallHttp
    | CancelHttp
    | WriteJournal
)


_L = TypeVar("_L", bound=Link)


class Driver(ABC, Generic[_L]):
    """Carries out an engine's actions.

    A list of actions is carried out to its end before the next step: what a link has to say
    meanwhile waits for its turn.

    Args:
        engine: who decides; one that is told of turns.
        log: has a line for each input and action.
        token: the access token, or a function that gets one.
        deliver: takes the engine's events, in order; must not raise or call back.
        failed: takes an exception that is a bug of ours; everything is aborted by then.
        ssl_context: for wss and https; None for the system's certificates.
        now: seconds on the engine's clock.
        wall: the wall clock, in seconds since 1970.
        journal: an open one, if the engine has one.
    """

    def __init__(
        self,
        engine: ClientEngine,
        *,
        log: Log,
        token: TokenSource,
        deliver: Callable[[Event], None],
        failed: Callable[[Exception], None],
        ssl_context: ssl.SSLContext | None,
        now: Callable[[], float],
        wall: Callable[[], float],
        journal: Journal | None = None,
    ) -> None:
        self._engine = engine
        self._log = log
        self._token = token
        #: every event of the engine goes through here, so this is where a test may listen
        self._deliver = deliver
        self._failed = failed
        self._ssl_context = ssl_context
        #: seconds on the engine's clock
        self.now = now
        self._wall = wall
        self._links: dict[int, _L] = {}
        #: the requests for a token that have no answer yet
        self._tokens: set[int] = set()
        self._http = HttpCalls(
            tls=self._tls, answer=lambda answer: self._post(self._http_answered, answer)
        )
        self._writer = (
            None
            if journal is None
            else JournalWriter(journal, lambda: self._post(self._journal_answered))
        )
        #: when the timer goes off, and what cancels it
        self._timer: tuple[float, Callable[[], object]] | None = None
        self._later: deque[tuple[Input | TurnEnded, BaseException | None]] = deque()
        self._running = False
        #: `turn_ended` is going to be called
        self._turning = False
        #: timers are armed; between connect() and the end of disconnect()
        self.active = False
        #: … and while somebody waits for what needs no connection
        self.awaited: Callable[[], bool] = lambda: False
        #: the journal is closed, so nothing can be promised any more
        self.closed = False
        #: the journal could not be written, and the engine tries again
        self._unwritten = False

    # ------------------------------------------------------------ what an adapter adds

    @abstractmethod
    def _open(self, action: OpenTransport) -> _L:
        """Begin to open a transport, which must not have anything to say before this returns."""

    @abstractmethod
    def _start_tls(self, link: _L, host: str) -> None:
        """Begin TLS on an open transport, with that host to verify."""

    @abstractmethod
    def _fetch(self, request: int) -> None:
        """Call the token function; `_token_answered` takes its answer, but not in this call."""

    @abstractmethod
    def _stop_fetching(self, request: int) -> None:
        """Nobody waits for this token any more."""

    @abstractmethod
    def _post(self, function: Callable[..., object], *args: Any) -> None:
        """In any thread: have it called where the engine is stepped, if that still goes on."""

    @abstractmethod
    def _set_timer(self, when: float) -> Callable[[], object]:
        """Have `_time_passed` called when `now()` is `when`; returns what cancels it."""

    @abstractmethod
    def _end_turn_soon(self) -> None:
        """Have `turn_ended` called when what the loop does by now is done, before it sleeps."""

    @abstractmethod
    def _is_quiet(self) -> None:
        """The last transport is gone."""

    @abstractmethod
    def _is_written(self) -> None:
        """The journal has answered: look at `written`."""

    # ------------------------------------------------------------ in

    def step(self, item: Input) -> None:
        """Do what the application wants.

        Raises:
            LocalProtocolError, IMError: the engine refuses it; nothing has changed.
        """
        if self._running:
            raise LocalProtocolError("a log handler of the client may not change it")
        if self.closed:
            raise LocalProtocolError("this client is closed, for good: make a new one")
        self._journal_answered()  # there may have been no loop to tell it to
        self._step(item, self.now(), None)

    def feed(
        self,
        item: Input | TurnEnded,
        *,
        now: float | None = None,
        cause: BaseException | None = None,
    ) -> None:
        """`step` for what comes from the loop, where there is nobody to raise to.

        Args:
            item: what happened.
            now: when, if not now.
            cause: the exception behind it; errors that it leads to get it as their __cause__.
        """
        if self._running:  # a write that blocks may say so at once
            self._later.append((item, cause))
            return
        if self.closed:
            return
        try:
            self._step(item, self.now() if now is None else now, cause)
        except Exception as exc:
            self.broken(exc)

    def broken(self, exc: Exception) -> None:
        """A bug here or in the engine: end in order, and say so."""
        self.stop()
        self._later.clear()
        self.abort(tell=False)
        self._failed(exc)

    def turn_ended(self) -> None:
        """The wishes of this turn of the loop are carried out, if there are any."""
        self._turning = False
        if self._engine.unsettled:
            self.feed(_TURN_ENDED)

    def _step(self, item: Input | TurnEnded, now: float, cause: BaseException | None) -> None:
        engine, log, later, deliver = self._engine, self._log, self._later, self._deliver
        self._running = True
        try:
            debug = log.debugging()
            while True:
                # that a turn is over is nothing that has happened
                if (debug or type(item) in LOUD) and not isinstance(item, TurnEnded):
                    log.item(item)
                for action in engine.step(item, now):
                    if isinstance(action, Notify):  # as most are
                        event = action.event
                        if debug or type(event) in LOUD:
                            log.item(action)
                        if cause is not None and isinstance(event, _TROUBLE):
                            event.error.__cause__ = cause
                        deliver(event)
                        continue
                    if debug or type(action) in LOUD:
                        log.item(action)
                    self._carry_out(action)
                if later:
                    (item, cause), now = later.popleft(), self.now()
                    continue
                unsettled = engine.unsettled
                if not unsettled or self._may_come_back:
                    break
                item, cause = _TURN_ENDED, None
        except BaseException:
            self._running = False
            # A bug at the end of a turn is not to come again and again: it is not ended anew.
            if not engine.unsettled:
                self._arm()
            raise
        self._running = False
        if not unsettled:  # else the end of the turn does it
            self._arm()
        elif not self._turning:
            self._turning = True
            self._end_turn_soon()

    # ------------------------------------------------------------ out

    def _carry_out(self, action: _Work) -> None:
        match action:
            case SendBytes():
                link = self._links.get(action.transport)
                if link is not None:
                    link.write(action.data)
            case OpenTransport():
                self._links[action.transport] = self._open(action)
                # Also after a sleep, in which a wall clock goes on and others may not.
                self._later.append((WallClock(wall=self._wall()), None))
            case FetchToken():
                self._tokens.add(action.request)
                self._fetch(action.request)
            case CancelToken():
                self._tokens.discard(action.request)
                self._stop_fetching(action.request)
            case CallHttp():
                self._http.start(action)
            case CancelHttp():
                self._http.cancel(action.request)
            case WriteJournal():
                self._write_journal(action)
            case _:
                known = self._links.get(action.transport)
                if known is not None:
                    self._use(known, action)

    def _use(self, link: _L, action: _OfLink) -> None:
        match action:
            case PauseReading():
                link.pause()
            case ResumeReading():
                link.resume()
            case StartTls():
                self._start_tls(link, action.host)
            case CloseTransport():
                link.close()
            case AbortTransport():
                link.drop()

    def _write_journal(self, action: WriteJournal) -> None:
        assert self._writer is not None
        self._writer.write(action, here=not self._may_come_back)
        self._later.extend((answer, None) for answer in self._answers())

    @property
    def _may_come_back(self) -> bool:
        """Does `_post` reach anybody?"""
        return True

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = default_tls()
        return self._ssl_context

    # ------------------------------------------------------------ answers

    def _token_answered(self, request: int, token: object, failed: BaseException | None) -> None:
        """The token function has returned this, or has raised."""
        if request not in self._tokens:
            return
        self._tokens.discard(request)
        if failed is None:
            try:
                answer = token_ready(request, token)
            except TypeError as exc:
                failed = exc
        if failed is None:
            self.feed(answer)
        else:
            self.feed(token_failed(request, failed), cause=failed)

    def _journal_answered(self) -> None:
        if self._writer is not None:
            for answer in self._answers():
                self.feed(answer)
            self._is_written()

    def _answers(self) -> list[JournalWritten | JournalFailed]:
        assert self._writer is not None
        answers = self._writer.answers()
        for answer in answers:
            self._unwritten = isinstance(answer, JournalFailed)
        return answers

    def _http_answered(self, answer: HttpAnswered | HttpFailed) -> None:
        if self._http.ended(answer.request):
            self.feed(answer)

    # ------------------------------------------------------------ time

    def _arm(self) -> None:
        retry = self._unwritten and self._may_come_back
        wanted = not self.closed and (self.active or self.awaited() or retry)
        deadline = self._engine.next_deadline() if wanted else None
        if deadline is None:
            self._disarm()
        elif self._timer is None or self._timer[0] > deadline:
            self._disarm()
            self._timer = (deadline, self._set_timer(deadline))
        # else it goes off early, and is then armed again: cheaper than to move it

    def _disarm(self) -> None:
        if self._timer is not None:
            _, cancel = self._timer
            cancel()
            self._timer = None

    def _time_passed(self) -> None:
        """The timer has gone off."""
        assert self._timer is not None
        (when, _), self._timer = self._timer, None
        # A loop may be early by its clock's resolution, 16 ms on Windows: that is on time.
        now = max(self.now(), when)
        deadline = self._engine.next_deadline()
        if deadline is not None and deadline <= now:
            self.feed(TimePassed(wall=self._wall()), now=now)
        else:
            self._arm()

    # ------------------------------------------------------------ the end

    @property
    def quiet(self) -> bool:
        """There is no transport, and none is being opened."""
        return not self._links

    @property
    def written(self) -> bool:
        """The journal has all that the engine wanted written so far."""
        if self._writer is None:
            return True
        return not (self._writer.pending or self._unwritten or self._engine.unsettled)

    def shut(self) -> None:
        """Nothing is taken any more, for good; where the engine is stepped."""
        self.closed = True
        self._disarm()

    def close_journal(self, timeout: float) -> None:
        """Close the journal for good; blocks, but no longer than so many seconds. Twice is no
        error. In any thread, when nothing is stepped any more."""
        if self._writer is None:
            return
        self.shut()
        if not self._writer.close(timeout):
            self._log.warning("! the storage does not answer; its file is held until it does")

    def forget(self, link: _L) -> None:
        """Its socket is gone."""
        if self._links.get(link.name) is link:
            del self._links[link.name]
        if self.quiet:
            self._is_quiet()

    def abort(self, *, tell: bool = True) -> None:
        """End all that is under way at once; the engine hears that the transports are lost."""
        self._tokens.clear()
        self._http.cancel_all()
        for link in list(self._links.values()):
            link.drop(tell=tell)

    def stop(self) -> None:
        """No timer from here on."""
        self.active = False
        self._disarm()
