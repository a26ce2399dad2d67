"""Calls about sessions over HTTP: what is asked, what an answer means, what is tried again
(protocol.md section 3).

They need a token and no WebSocket. `Sessions` decides; the core carries out, and gets a token for
it where none is held.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from ..config import ClientConfig
from ..errors import IMError, IMErrorCode, LocalProtocolError, printable
from ..timers import GRACE, Timers
from ..wire.session import (
    ACTIVE,
    Answer,
    BadAnswer,
    SessionOp,
    SessionVO,
    read_session,
    read_sessions,
)
from . import actions as act
from . import events as ev
from . import inputs as inp
from .backoff import Backoff
from .effects import Effects
from .login import Login
from .session_http import Kind, checked, fits_a_header, is_404, refusal, request, server_error, sort
from .timers import Timer

#: Calls under way at a time; one more fails with QUEUE_FULL.
MAX_CALLS: Final = 64
#: Sessions that are remembered; the one told longest ago goes first.
MAX_CACHED: Final = 1000
#: What may be asked twice without harm, so what is tried again (protocol.md section 3).
REPEATABLE: Final = frozenset({SessionOp.GET, SessionOp.START_CHAT})


@dataclass(slots=True)
class _Call:
    """One call, from the application's wish to its end, over any number of requests."""

    wish: inp.SessionCall
    #: who waits for it
    refs: list[int]
    deadline: float
    backoff: Backoff
    #: what is asked at present, on the way to what is wished
    doing: SessionOp
    session_id: int | None
    #: of the CallHttp that is out; 0: none is
    request: int = 0
    #: when to try again
    retry_at: float | None = None
    #: why the last try has failed, in words
    trouble: str = ""
    #: of the last request
    token: str | None = field(default=None, repr=False)
    #: the server has refused `token`, and another is awaited
    refused: bool = False
    #: that was done once, and is not done again
    renewed: bool = False

    @property
    def waits_for_token(self) -> bool:
        return not self.request and self.retry_at is None


class Sessions:
    """The calls under way, and the sessions that are known.

    Args:
        config: where to ask.
        login: whose token is used.
        fx: takes what is to be done.
        timers: gets the deadlines.
        rng: where delays are drawn from.
    """

    def __init__(
        self,
        config: ClientConfig,
        login: Login,
        fx: Effects,
        timers: Timers[Timer],
        rng: random.Random,
    ) -> None:
        self._config = config
        self._login = login
        self._fx = fx
        self._timers = timers
        self._rng = rng
        self._calls: dict[inp.SessionCall, _Call] = {}
        self._requests = 0
        self._known: OrderedDict[int, SessionVO] = OrderedDict()

    # ------------------------------------------------------------ what is known

    def cached(self, session_id: int) -> SessionVO | None:
        """The session as the server told it last."""
        return self._known.get(session_id)

    def all_cached(self) -> list[SessionVO]:
        """All of them, the one told last at the end."""
        return list(self._known.values())

    def _keep(self, session: SessionVO) -> None:
        self._known[session.id] = session
        self._known.move_to_end(session.id)
        if len(self._known) > MAX_CACHED:
            self._known.popitem(last=False)

    # ------------------------------------------------------------ in

    def call(self, wish: inp.SessionCall) -> None:
        """The application wants something.

        What is asked already is not asked twice: both get the one answer, and by the deadline of
        the first.

        Raises:
            LocalProtocolError: what it wants is not complete, or its ref is in use.
            IMError: QUEUE_FULL.
        """
        if any(wish.ref in call.refs for call in self._calls.values()):
            raise LocalProtocolError(f"SessionCall: ref {wish.ref} is in use")
        key = checked(wish)
        same = self._calls.get(key)
        if same is not None:
            same.refs.append(wish.ref)
            return
        if len(self._calls) >= MAX_CALLS:
            raise IMError(
                IMErrorCode.QUEUE_FULL, f"{MAX_CALLS} calls about sessions are under way already"
            )
        self._calls[key] = _Call(
            wish=key,
            refs=[wish.ref],
            deadline=self._fx.now + self._config.http.timeout,
            backoff=Backoff(self._config.reconnect),
            doing=key.op,
            session_id=key.session_id,
        )
        self._arm()

    def answered(self, answered: inp.HttpAnswered) -> None:
        """An answer came in; a stale one changes nothing."""
        call = self._of(answered.request)
        if call is None:
            return
        call.request = 0
        try:
            kind, answer = sort(answered)
            if kind is Kind.SUCCESS:
                assert answer is not None
                self._succeeded(call, answer)
                return
        except BadAnswer as bad:
            text = f"the server's answer can't be read: {bad}"
            self._fail(call, server_error(IMErrorCode.SERVER_ERROR, text, answered, None))
            return
        if kind is Kind.AUTH:
            self._token_refused(call, answered, answer)
        elif call.doing is SessionOp.START_CHAT and is_404(answered, answer):
            call.doing = SessionOp.GET
        elif kind is Kind.ABSENT and call.doing is SessionOp.GET:
            self._absent(call)
        elif kind is Kind.FAILED:
            text = "the server failed"
            error = server_error(IMErrorCode.SERVER_ERROR, text, answered, answer, retryable=True)
            self._try_again(call, error, answered.retry_after)
        else:
            self._fail(call, refusal(call.doing, kind, answered, answer))

    def failed(self, failed: inp.HttpFailed) -> None:
        """There is no answer; a stale one changes nothing."""
        call = self._of(failed.request)
        if call is None:
            return
        call.request = 0
        why = printable(failed.reason) or "no answer"
        if call.doing not in REPEATABLE:
            why = f"nobody knows whether the server has done it: {why}"
        self._try_again(call, IMError(IMErrorCode.NETWORK_ERROR, why), None)

    def token_ready(self) -> None:
        """The token function has answered: whoever waited for that goes on, with whatever it is."""
        for call in self._calls.values():
            call.refused = False

    def token_failed(self, error: IMError) -> None:
        """There is no token: whoever waited for one can't go on."""
        for call in self._waiting():
            self._fail(call, error)

    def end(self, error: IMError) -> None:
        """Every call ends now."""
        for call in list(self._calls.values()):
            self._fail(call, error)

    # ------------------------------------------------------------ time

    def overdue(self, *, late: bool) -> None:
        """A call has taken too long, unless it is we who were asleep."""
        now = self._fx.now
        for call in [call for call in self._calls.values() if call.deadline <= now]:
            if late:  # its answer may be here, unread
                call.deadline = now + GRACE
            else:
                before = f"; before that: {call.trouble}" if call.trouble else ""
                text = f"no answer within {self._config.http.timeout:g} s{before}"
                self._fail(call, IMError(IMErrorCode.NETWORK_ERROR, text))
        self._arm()

    def retry_due(self) -> None:
        """A call is to be tried again."""
        for call in self._calls.values():
            if call.retry_at is not None and call.retry_at <= self._fx.now:
                call.retry_at = None
        self._arm()

    def _arm(self) -> None:
        deadlines = [call.deadline for call in self._calls.values()]
        retries = [call.retry_at for call in self._calls.values() if call.retry_at is not None]
        for timer, times in ((Timer.SESSION, deadlines), (Timer.SESSION_RETRY, retries)):
            if times:
                self._timers.set(timer, min(times))
            else:
                self._timers.cancel(timer)

    # ------------------------------------------------------------ out

    def pump(self) -> bool:
        """Send what may go. Is a token wanted for the rest?"""
        wanted = False
        for call in self._waiting():
            if self._login.token is None or (call.refused and call.token == self._login.token):
                wanted = True
            else:
                self._send(call, self._login.token)
        return wanted

    def _waiting(self) -> list[_Call]:
        return [call for call in self._calls.values() if call.waits_for_token]

    def _send(self, call: _Call, token: str) -> None:
        if not fits_a_header(token):
            text = "the token is none that an HTTP header can hold: printable ASCII, trimmed"
            self._fail(call, IMError(IMErrorCode.TOKEN_INVALID, text, terminal=False))
            return
        call.token, call.refused = token, False
        self._requests += 1
        call.request = self._requests
        self._fx.do(
            request(
                self._config,
                call.doing,
                call.wish,
                session_id=call.session_id,
                number=call.request,
                token=token,
                timeout=max(0.0, call.deadline - self._fx.now),
            )
        )

    # ------------------------------------------------------------ what an answer leads to

    def _succeeded(self, call: _Call, answer: Answer) -> None:
        if call.doing is SessionOp.GET_CURRENT:
            self._done(call, read_sessions(answer.data))
            return
        told = read_session(answer.data)
        if isinstance(told, SessionVO):
            ended = told.session_status not in (None, ACTIVE)
            if self._falls_back(call) and call.doing is SessionOp.GET and ended:
                call.doing = SessionOp.CREATE  # what startChat would do: "the open one"
            else:
                self._done(call, [told])
        elif told is None and call.doing is SessionOp.GET:
            self._absent(call)
        elif told is not None and call.session_id is None:
            # made; the rest of it has to be asked for
            call.session_id, call.doing = told, SessionOp.GET
        else:
            raise BadAnswer("data: there is no session in it")

    def _absent(self, call: _Call) -> None:
        """GET found nothing."""
        if call.wish.op is SessionOp.GET:
            if call.session_id is not None:
                self._known.pop(call.session_id, None)
            self._done(call, [])
        elif call.session_id is None:
            call.doing = SessionOp.CREATE
        else:
            text = f"the server made session {call.session_id}, and does not know it"
            self._fail(call, IMError(IMErrorCode.SESSION_NOT_FOUND, text))

    @staticmethod
    def _falls_back(call: _Call) -> bool:
        """Does it do in two steps what startChat does in one?"""
        return call.wish.op is SessionOp.START_CHAT and call.session_id is None

    def _token_refused(
        self, call: _Call, answered: inp.HttpAnswered, answer: Answer | None
    ) -> None:
        if self._login.fetches and not call.renewed:
            call.renewed = call.refused = True
            return
        text = "the server refused the token"
        self._fail(call, server_error(IMErrorCode.TOKEN_INVALID, text, answered, answer))

    def _try_again(self, call: _Call, error: IMError, retry_after: float | None) -> None:
        if call.doing in REPEATABLE:
            at = self._fx.now + call.backoff.next_delay(self._rng, retry_after)
            if at < call.deadline:
                call.retry_at, call.trouble = at, error.text
                self._arm()
                return
        self._fail(call, error)

    # ------------------------------------------------------------ the end of a call

    def _done(self, call: _Call, sessions: list[SessionVO]) -> None:
        for session in sessions:
            self._keep(session)
        self._forget(call)
        for ref in call.refs:
            self._fx.notify(ev.SessionFetched(ref=ref, sessions=tuple(sessions)))

    def _fail(self, call: _Call, error: IMError) -> None:
        if call.wish.op is not SessionOp.GET and call.session_id is not None:
            error = IMError(
                error.code,
                f"session {call.session_id} was made, but not told of: {error.text}",
                server_code=error.server_code,
                server_text=error.server_text,
                retryable=error.retryable,
                terminal=error.terminal,
            )
        self._forget(call)
        for ref in call.refs:
            self._fx.notify(ev.SessionFailed(ref=ref, error=error))

    def _forget(self, call: _Call) -> None:
        if call.request:
            self._fx.do(act.CancelHttp(request=call.request))
        del self._calls[call.wish]
        self._arm()

    def _of(self, request: int) -> _Call | None:
        for call in self._calls.values():
            if call.request == request and request:
                return call
        return None
