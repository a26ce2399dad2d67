"""Calls about sessions: which way they go, what an answer leads to, what is tried again
(protocol.md section 3).

They go over the WebSocket where the server takes them there, and wait for it while it is lost; else
over HTTP, which needs a token and no connection. `Sessions` decides; the core carries out, and gets
a token for it where none is held.
"""

from __future__ import annotations

import random
from typing import Final

from ..config import ClientConfig
from ..errors import IMError, IMErrorCode, LocalProtocolError, printable
from ..timers import GRACE, Timers
from ..wire import SessionResponse
from ..wire.session import (
    ACTIVE,
    Answer,
    BadAnswer,
    SessionOp,
    SessionVO,
    read_history,
    read_session,
    read_sessions,
)
from . import actions as act
from . import events as ev
from . import inputs as inp
from .backoff import Backoff
from .calling import Call
from .effects import Effects, Trouble
from .login import Login
from .session_cache import SessionCache
from .session_calls import Kind, Reply, checked, over_link, read_response, refusal, server_error
from .session_http import fits_a_header, read_reply, request
from .timers import Timer

#: Calls under way at a time; one more fails with QUEUE_FULL.
MAX_CALLS: Final = 64


class Sessions:
    """The calls under way (`calls`), and (`cache`) the sessions that are known.

    Args:
        config: where to ask.
        login: whose token is used.
        fx: takes what is to be done.
        timers: gets the deadlines.
        rng: where delays are drawn from.
    """

    __slots__ = (
        "_config", "_fx", "_login", "_online", "_requests", "_rng", "_takes_calls", "_timers",
        "cache", "calls",
    )  # fmt: skip

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
        self.calls: dict[inp.SessionCall, Call] = {}
        self._requests = 0
        self.cache = SessionCache()
        #: calls go over the present link
        self._online = False
        #: … and will over the next one, as far as we know
        self._takes_calls = False

    # ------------------------------------------------------------ the link

    def online(self, *, granted: bool) -> None:
        """Logged in; `granted`: the server takes calls over this link."""
        self._online = self._takes_calls = granted

    def offline(self) -> None:
        """The link is gone: what was out on it goes again over the next one."""
        self._online = False
        for call in self.calls.values():
            if call.linked and call.request:
                call.request, call.unsure = 0, True
                call.trouble = "the connection was lost before the answer"

    def takes_link(self, *, link_wanted: bool) -> bool:
        """Does a call go over the WebSocket, now or when there is one again?"""
        return self._online or (self._takes_calls and link_wanted)

    @property
    def awaited(self) -> bool:
        """An answer is awaited over the link."""
        return any(call.linked and call.request for call in self.calls.values())

    # ------------------------------------------------------------ in

    def call(self, wish: inp.SessionCall) -> None:
        """The application wants something.

        What is asked already is not asked twice: both get the one answer, and by the deadline of
        the first.

        Raises:
            LocalProtocolError: what it wants is not complete, or its ref is in use.
            IMError: QUEUE_FULL.
        """
        if any(wish.ref in call.refs for call in self.calls.values()):
            raise LocalProtocolError(f"SessionCall: ref {wish.ref} is in use")
        key = checked(wish)
        same = self.calls.get(key)
        if same is not None:
            same.refs.append(wish.ref)
            return
        if len(self.calls) >= MAX_CALLS:
            raise IMError(
                IMErrorCode.QUEUE_FULL, f"{MAX_CALLS} calls about sessions are under way already"
            )
        self.calls[key] = Call(
            wish=key,
            refs=[wish.ref],
            deadline=self._fx.now + self._config.http.timeout,
            backoff=Backoff(self._config.reconnect),
            doing=key.op,
            session_id=key.session_id,
        )
        self._arm()

    def responded(self, response: SessionResponse) -> Trouble | None:
        """SESSION_RESPONSE came; a stale one changes nothing."""
        for call in self.calls.values():
            if call.linked and call.request and str(call.request) == response.id:
                return self._took(call, read_response(response))
        return None

    def answered(self, answered: inp.HttpAnswered) -> None:
        """An answer came over HTTP; a stale one changes nothing."""
        call = self._of(answered.request)
        if call is None:
            return
        try:
            reply = read_reply(answered)
        except BadAnswer as bad:
            call.request = 0
            reply = Reply(kind=Kind.REFUSED, answer=None, status=answered.status)
            self._unreadable(call, bad, reply)
        else:
            self._took(call, reply)

    def _took(self, call: Call, reply: Reply) -> Trouble | None:
        call.request, call.unsure = 0, False
        kind = reply.kind
        if kind is Kind.SUCCESS:
            assert reply.answer is not None
            try:
                self._succeeded(call, reply.answer)
            except BadAnswer as bad:
                self._unreadable(call, bad, reply)
        elif kind is Kind.AUTH:
            return self._token_refused(call, reply)
        elif call.doing is SessionOp.START_CHAT and reply.is_404:
            call.doing = SessionOp.GET
        elif kind is Kind.ABSENT and call.doing is SessionOp.GET:
            self._absent(call)
        elif kind is Kind.FAILED:
            error = server_error(
                IMErrorCode.SERVER_ERROR, "the server failed", reply, retryable=True
            )
            self._try_again(call, error, reply.retry_after)
        else:
            self._fail(call, refusal(call.doing, reply))
        return None

    def _unreadable(self, call: Call, bad: BadAnswer, reply: Reply) -> None:
        text = f"the server's answer can't be read: {bad}"
        self._fail(call, server_error(IMErrorCode.SERVER_ERROR, text, reply))

    def failed(self, failed: inp.HttpFailed) -> None:
        """There is no answer; a stale one changes nothing."""
        call = self._of(failed.request)
        if call is None:
            return
        call.request = 0
        why = printable(failed.reason) or "no answer"
        self._try_again(call, call.lost(why), None)

    def token_ready(self) -> None:
        """The token function has answered: whoever waited for that goes on, with whatever it is."""
        for call in self.calls.values():
            call.refused = False

    def token_failed(self, error: IMError) -> None:
        """There is no token: whoever waited for one can't go on."""
        for call in [call for call in self.calls.values() if call.wants_token]:
            self._fail(call, error)

    def end(self, error: IMError) -> None:
        """Every call ends now."""
        for call in list(self.calls.values()):
            self._fail(call, error)

    # ------------------------------------------------------------ time

    def overdue(self, *, late: bool) -> None:
        """A call has taken too long, unless it is we who were asleep."""
        now = self._fx.now
        for call in [call for call in self.calls.values() if call.deadline <= now]:
            if late:  # its answer may be here, unread
                call.deadline = now + GRACE
            else:
                before = f"; before that: {call.trouble}" if call.trouble else ""
                text = f"no answer within {self._config.http.timeout:g} s{before}"
                self._fail(call, IMError(IMErrorCode.NETWORK_ERROR, text))
        self._arm()

    def retry_due(self) -> None:
        """A call is to be tried again."""
        for call in self.calls.values():
            if call.retry_at is not None and call.retry_at <= self._fx.now:
                call.retry_at = None
        self._arm()

    def _arm(self) -> None:
        deadlines = [call.deadline for call in self.calls.values()]
        retries = [call.retry_at for call in self.calls.values() if call.retry_at is not None]
        for timer, times in ((Timer.SESSION, deadlines), (Timer.SESSION_RETRY, retries)):
            if times:
                self._timers.set(timer, min(times))
            else:
                self._timers.cancel(timer)

    # ------------------------------------------------------------ out

    def pump(self, *, link_wanted: bool) -> bool:
        """Send what may go. Is a token wanted for the rest?

        Args:
            link_wanted: there is a link, or will be one if all goes well.
        """
        waits_for_link = self.takes_link(link_wanted=link_wanted)
        for call in [call for call in self.calls.values() if call.ready]:
            token = self._login.token
            call.wants_token = False
            if self._online:
                self._say(call)
            elif waits_for_link:
                continue
            elif call.unsure and call.doing is SessionOp.CREATE:
                call.linked = False
                self._fail(call, call.lost(call.trouble))
            elif token is None or (call.refused and call.token == token):
                call.wants_token = True
            else:
                self._send(call, token)
        return any(call.wants_token for call in self.calls.values())

    def _say(self, call: Call) -> None:
        self._requests += 1
        call.request, call.linked = self._requests, True
        self._fx.say(
            over_link(
                call.doing,
                call.wish,
                session_id=call.session_id,
                user_id=self._config.user_id,
                number=call.request,
            )
        )

    def _send(self, call: Call, token: str) -> None:
        if not fits_a_header(token):
            text = "the token is none that an HTTP header can hold: printable ASCII, trimmed"
            self._fail(call, IMError(IMErrorCode.TOKEN_INVALID, text, terminal=False))
            return
        call.token, call.refused, call.linked = token, False, False
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

    def _succeeded(self, call: Call, answer: Answer) -> None:
        if call.doing is SessionOp.GET_CURRENT:
            self._done(call, read_sessions(answer.data))
            return
        if call.doing is SessionOp.HISTORY:
            page = read_history(answer.data, call.wish.page_size)
            self._forget(call)
            for ref in call.refs:
                self._fx.notify(ev.HistoryFetched(ref=ref, page=page))
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

    def _absent(self, call: Call) -> None:
        """GET found nothing."""
        if call.wish.op is SessionOp.GET:
            if call.session_id is not None:
                self.cache.drop(call.session_id)
            self._done(call, [])
        elif call.session_id is None:
            call.doing = SessionOp.CREATE
        else:
            text = f"the server made session {call.session_id}, and does not know it"
            self._fail(call, IMError(IMErrorCode.SESSION_NOT_FOUND, text))

    @staticmethod
    def _falls_back(call: Call) -> bool:
        """Does it do in two steps what startChat does in one?"""
        return call.wish.op is SessionOp.START_CHAT and call.session_id is None

    def _token_refused(self, call: Call, reply: Reply) -> Trouble | None:
        if not call.renewed and (reply.over_link or self._login.fetches):
            call.renewed = True
            call.refused = not reply.over_link
            return Trouble.LOGIN_GONE if reply.over_link else None
        text = "the server refused the token"
        self._fail(call, server_error(IMErrorCode.TOKEN_INVALID, text, reply))
        return None

    def _try_again(self, call: Call, error: IMError, retry_after: float | None) -> None:
        if call.repeatable:
            at = self._fx.now + call.backoff.next_delay(self._fx.now, self._rng, retry_after)
            if at < call.deadline:
                call.retry_at, call.trouble = at, error.text
                self._arm()
                return
        self._fail(call, error)

    # ------------------------------------------------------------ the end of a call

    def _done(self, call: Call, sessions: list[SessionVO]) -> None:
        for session in sessions:
            self.cache.keep(session)
        self._forget(call)
        for ref in call.refs:
            self._fx.notify(ev.SessionFetched(ref=ref, sessions=tuple(sessions)))

    def _fail(self, call: Call, error: IMError) -> None:
        if call.wish.session_id is None and call.session_id is not None:
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

    def _forget(self, call: Call) -> None:
        if call.request and not call.linked:
            self._fx.do(act.CancelHttp(request=call.request))
        del self.calls[call.wish]
        self._arm()

    def _of(self, request: int) -> Call | None:
        for call in self.calls.values():
            if call.request == request and request and not call.linked:
                return call
        return None
