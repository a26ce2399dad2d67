"""A Driver that plays the HTTP server of the sessions as well, and what that answers with."""

from __future__ import annotations

import itertools
import json
from typing import Any

from core.client_kit import Driver
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.errors import IMError
from im_proto.wire.session import SessionOp, SessionVO

#: a session, as the server tells of it
VO = {
    "id": 77,
    "bookId": 5,
    "buyerId": 1,
    "sellerId": 2,
    "sessionStatus": 1,
    "expireTime": "2030-01-02 03:04:05",
}
#: the answer that there is none
NONE = {"code": 40400, "data": None, "message": "no"}
#: whom a session is between, and what about
THREE = {"book_id": 5, "buyer_id": 1, "seller_id": 2}


def fetch_token() -> str:
    """A token function; the core asks for it with an action and never calls it."""
    raise AssertionError("the core calls nobody")


class Http(Driver):
    """A driver that plays the HTTP server as well."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self._calls = itertools.count(1)
        #: requests that were answered
        self.answered: set[int] = set()

    def get(self, session_id: int | None = None, **three: Any) -> int:
        """Ask for a session by its id, or by book, buyer and seller; the ref."""
        return self.ask(SessionOp.GET, session_id=session_id, **three)

    def create(self, **more: Any) -> int:
        """Ask for a new session of `THREE`."""
        return self.ask(SessionOp.CREATE, **(THREE | more))

    def start_chat(self, **more: Any) -> int:
        """Ask for the session of `THREE`, new or not."""
        return self.ask(SessionOp.START_CHAT, **(THREE | more))

    def ask(self, op: SessionOp, **params: Any) -> int:
        """Any call, with the next ref."""
        ref = next(self._calls)
        self.do(inp.SessionCall(ref=ref, op=op, **params))
        return ref

    def ask_about(self, op: SessionOp, number: int) -> int:
        """Any call, about the book, or the session, of that number; the ref."""
        if op is SessionOp.GET_CURRENT:
            return self.ask(op)
        if op is SessionOp.HISTORY:
            return self.ask(op, session_id=number)
        return self.ask(op, **(THREE | {"book_id": number}))

    @property
    def http(self) -> act.CallHttp:
        """The last call."""
        return self.of(act.CallHttp)[-1]

    def asked(self) -> list[str]:
        """Method and path of all calls."""
        return [
            f"{a.method} {a.url.removeprefix('http://chat.example')}" for a in self.of(act.CallHttp)
        ]

    def reply(self, code: int = 0, data: Any = None, message: str = "", status: int = 200) -> Http:
        """Answer the last call."""
        body = json.dumps({"code": code, "data": data, "message": message}).encode()
        return self.raw(body, status)

    def raw(self, body: bytes, status: int = 200, **more: Any) -> Http:
        """Answer the last call with any bytes."""
        self.do(inp.HttpAnswered(request=self.http.request, status=status, body=body, **more))
        return self

    def fail(self, reason: str = "refused") -> Http:
        """The last call gets no answer."""
        self.do(inp.HttpFailed(request=self.http.request, reason=reason))
        return self

    def result(self, ref: int) -> tuple[SessionVO, ...]:
        """What the call of this ref has brought."""
        (event,) = [e for e in self.of(ev.SessionFetched) if e.ref == ref]
        return event.sessions

    def failure(self, ref: int) -> IMError:
        """Why the call of this ref has failed."""
        (event,) = [e for e in self.of(ev.SessionFailed) if e.ref == ref]
        return event.error

    def ended(self) -> list[int]:
        """The refs that have an end, in order."""
        ends = ev.SessionFetched | ev.HistoryFetched | ev.SessionFailed
        return [e.ref for e in self.events() if isinstance(e, ends)]
