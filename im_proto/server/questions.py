"""What a client asks the store through the hub: what became of its messages, and calls about
sessions. A few at a time for each connection, and none while it takes no bytes: answers are large.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from ..wire import UserId, codes, user_id
from ..wire.session import SessionOp
from . import sessions, talk
from .actions import Answered, StoreCall, StoreStatus
from .commits import Commits
from .desk import Desk
from .gate import Gate
from .inputs import CallAsked, CallDone, StatusFound
from .rates import Rates
from .session import Session

#: Questions of one connection that are with the store at a time.
AT_ONCE: Final = 4
UNAVAILABLE: Final = "the store is unavailable"
UNSAID: Final = "it could not be found out who may write to whom"
#: Calls that may begin a session, in which one can write, and see when the other is here.
_OPENS: Final = frozenset({SessionOp.CREATE, SessionOp.START_CHAT})


class Questions:
    """See the module.

    Args:
        desk: of the hub.
        commits: the line before the store, which they stand in.
        gate: while messages of a connection wait there, its questions wait too.
        rates: what users may want by HTTP.
        authorizes: the site is asked whether a user may begin a session.
    """

    def __init__(
        self, desk: Desk, commits: Commits, gate: Gate, rates: Rates, *, authorizes: bool
    ) -> None:
        self._desk = desk
        self._commits = commits
        self._gate = gate
        self._rates = rates
        self._authorizes = authorizes
        #: by our request: of which connection, and its name for a call ("" for a status)
        self._of_clients: dict[int, tuple[int, str]] = {}
        #: by our request: the site's
        self._of_site: dict[int, int] = {}
        #: by our request: what waits for the site
        self._waiting: dict[int, tuple[UserId, sessions.Call]] = {}

    @property
    def idle(self) -> bool:
        """Nobody waits for an answer."""
        return not self._of_site and not any(
            self._desk.roster.get(connection) for connection, _ in self._of_clients.values()
        )

    def asked(self, question: talk.StatusAsked | talk.CallRequested) -> None:
        """A client asks."""
        session = self._desk.roster.get(question.connection)
        if session is not None:
            session.questions.append(question)
            self._desk.owes(session)
            self.go_on(session)

    def go_on(self, session: Session) -> None:
        """Ask the store what waits, as far as may be."""
        while session.questions and session.asked < AT_ONCE:
            if session.blocked or self._gate.holds(session):
                return
            self._ask(session, session.questions.popleft())

    def _ask(self, session: Session, question: talk.StatusAsked | talk.CallRequested) -> None:
        request = self._desk.request()
        name = ""
        if isinstance(question, talk.StatusAsked):
            forgotten = self._desk.wall_ms - int(self._desk.config.dedupe_seconds * 1000)
            self._commits.ask(
                StoreStatus(
                    request=request,
                    user=session.user,
                    device=session.device,
                    msg_ids=question.msg_ids,
                    forgotten_before=forgotten,
                )
            )
        else:
            name = question.id
            try:
                call = self._read(question.op, question.params)
            except sessions.BadCall as bad:
                self._tell(session, name, codes.BAD_REQUEST, None, str(bad))
                return
            self._call(request, session.user, call, trusted=False)
        self._of_clients[request] = (session.connection, name)
        session.asked += 1

    def called(self, asked: CallAsked) -> None:
        """The site asks."""
        try:
            user = user_id(asked.user)
            call = self._read(asked.op, asked.params, site=True)
        except ValueError as bad:
            self._answer(asked.request, codes.BAD_REQUEST, None, str(bad))
            return
        wait = 0.0 if asked.trusted else self._rates.call(user, asked.op)
        if wait:
            self._answer(asked.request, codes.TOO_MANY, {"retryAfter": wait}, "too much at once")
            return
        request = self._desk.request()
        self._of_site[request] = asked.request
        self._call(request, user, call, trusted=asked.trusted)

    def _read(self, op: str, params: Mapping[str, Any], *, site: bool = False) -> sessions.Call:
        page = self._desk.config.history_page
        return sessions.read_call(op, params, history_page=page, site=site)

    def _call(self, request: int, user: UserId, call: sessions.Call, *, trusted: bool) -> None:
        if self._authorizes and not trusted and call.op in _OPENS:
            other = call.seller_id if user == call.buyer_id else call.buyer_id
            if other is not None:
                allowed = self._gate.called((user, other), request)
                if allowed is None:
                    self._waiting[request] = (user, call)
                    return
                call = replace(call, forbidden=not allowed)
        self._commits.ask(
            StoreCall(
                request=request,
                user=user,
                call=call,
                at=self._desk.wall_ms,
                session_lifetime=self._desk.session_lifetime,
            )
        )

    def permitted(self, request: int, allowed: bool | None) -> None:
        """The site has said whether a session may be begun; None: it could not be found out."""
        user, call = self._waiting.pop(request)
        if allowed is None:
            self.failed(request, UNSAID)
        else:
            self._call(request, user, replace(call, forbidden=not allowed), trusted=True)

    # ------------------------------------------------------------ answers

    def found(self, found: StatusFound) -> None:
        """The store knows what became of messages."""
        self._commits.answered(found.request)
        session, _ = self._session(found.request)
        if session is not None:
            self._desk.tell(session.connection, talk.StatusTold(items=found.items))
            self._desk.answered(session)
            self.go_on(session)

    def done(self, done: CallDone) -> bool:
        """The store has carried out a call; False: nobody has asked for this."""
        self._commits.answered(done.request)
        site = self._of_site.pop(done.request, None)
        if site is not None:
            self._answer(site, done.code, done.data, done.text)
            return True
        if done.request not in self._of_clients:
            return False
        session, name = self._session(done.request)
        if session is not None:
            self._tell(session, name, done.code, done.data, done.text)
            self.go_on(session)
        return True

    def failed(self, request: int, why: str = UNAVAILABLE) -> list[Session] | None:
        """There is no answer; returns the sessions that can't be told so, and have to end. None:
        the store wasn't asked this."""
        self._commits.answered(request)
        site = self._of_site.pop(request, None)
        if site is not None:
            self._answer(site, codes.SERVER_ERROR, None, why)
            return []
        if request not in self._of_clients:
            return None
        session, name = self._session(request)
        if session is None:
            return []
        if not name:
            return [session]
        self._tell(session, name, codes.SERVER_ERROR, None, why)
        self.go_on(session)
        return []

    def _session(self, request: int) -> tuple[Session | None, str]:
        """Whose question that was, if it is still there, and its name."""
        connection, name = self._of_clients.pop(request, (-1, ""))
        session = self._desk.roster.get(connection)
        if session is not None:
            session.asked -= 1
        return session, name

    def _tell(self, session: Session, name: str, code: int, data: Any, text: str) -> None:
        self._desk.tell(
            session.connection, talk.CallAnswered(id=name, code=code, data=data, text=text)
        )
        self._desk.answered(session)

    def _answer(self, request: int, code: int, data: Any, text: str) -> None:
        self._desk.do(Answered(request=request, code=code, data=data, text=text))
