"""What a call about sessions is, over the WebSocket or over HTTP: what may be asked, and what an
answer comes down to (protocol.md section 3). Functions without a memory; `sessions.py` has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ..errors import IMError, IMErrorCode, LocalProtocolError
from ..wire import MAX_ID, Outcome, SessionRequest, SessionResponse, UserId, id_on_wire, outcome
from ..wire import user_id as checked_user
from ..wire.codes import NOT_FOUND
from ..wire.session import Answer, SessionOp
from .inputs import SessionCall

#: The most messages of one page of the past.
MAX_PAGE: Final = 1000

# ---------------------------------------------------------------- what may be asked

_THREE: Final = "book_id, buyer_id and seller_id"
_TAKES: Final = {
    SessionOp.GET: f"session_id, or {_THREE}",
    SessionOp.CREATE: _THREE,
    SessionOp.START_CHAT: _THREE,
    SessionOp.GET_CURRENT: "nothing more",
    SessionOp.HISTORY: "session_id or peer_id",
}


def checked(wish: SessionCall) -> SessionCall:
    """The wish in one form, and without its ref: what is equal asks for the same.

    Raises:
        LocalProtocolError: it is not complete, or says too much.
    """
    given = frozenset(
        name
        for name in ("session_id", "book_id", "buyer_id", "seller_id", "peer_id", "start_msg_id")
        if getattr(wish, name) is not None
    )
    three = frozenset(("book_id", "buyer_id", "seller_id"))
    whose = given - {"start_msg_id"}
    complete = {
        SessionOp.GET: given in ({"session_id"}, three),
        SessionOp.CREATE: given == three,
        SessionOp.START_CHAT: given == three,
        SessionOp.GET_CURRENT: not given,
        SessionOp.HISTORY: whose in ({"session_id"}, {"peer_id"}),
    }
    if not complete[wish.op]:
        raise LocalProtocolError(f"SessionCall: {wish.op} takes {_TAKES[wish.op]}")
    key = SessionCall(
        ref=0,
        op=wish.op,
        session_id=_int("session_id", wish.session_id, 1, MAX_ID),
        book_id=_int("book_id", wish.book_id, 0, MAX_ID),
        buyer_id=_user("buyer_id", wish.buyer_id),
        seller_id=_user("seller_id", wish.seller_id),
    )
    return key if wish.op is not SessionOp.HISTORY else _page(wish)


def _page(wish: SessionCall) -> SessionCall:
    if wish.direction not in ("before", "after"):
        raise LocalProtocolError("SessionCall: direction is 'before' or 'after'")
    size = _int("page_size", wish.page_size, 1, MAX_PAGE)
    assert size is not None
    return SessionCall(
        ref=0,
        op=wish.op,
        session_id=_int("session_id", wish.session_id, 1, MAX_ID),
        peer_id=_user("peer_id", wish.peer_id),
        start_msg_id=_int("start_msg_id", wish.start_msg_id, 1, MAX_ID),
        direction=wish.direction,
        page_size=size,
    )


def _int(name: str, value: object, least: int, most: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        upto = "2^63-1" if most == MAX_ID else most
        raise LocalProtocolError(f"SessionCall: {name} is an integer from {least} to {upto}")
    return value


def _user(name: str, value: UserId | None) -> UserId | None:
    try:
        return None if value is None else checked_user(value)
    except ValueError as error:
        raise LocalProtocolError(f"SessionCall: {name}: {error}") from None


# ---------------------------------------------------------------- what is asked


def params(
    doing: SessionOp, wish: SessionCall, *, session_id: int | None, user_id: UserId
) -> dict[str, Any]:
    """The fields of a call, as they stand in its query, its body or its SESSION_REQUEST.

    Args:
        doing: what is asked at present.
        wish: what the application wants.
        session_id: get this one.
        user_id: who asks.
    """
    fields: dict[str, UserId | None]
    if doing is SessionOp.HISTORY:
        fields = {
            "sessionId": wish.session_id,
            "peerId": wish.peer_id,
            "startMsgId": wish.start_msg_id,
            # not said where it is what every server does, as some refuse what they don't know
            "direction": "after" if wish.direction == "after" else None,
            "pageSize": wish.page_size,
        }
    elif doing is SessionOp.GET_CURRENT:
        fields = {"userId": user_id}
    elif doing is SessionOp.GET and session_id is not None:
        fields = {"sessionId": session_id}
    else:
        fields = {"bookId": wish.book_id, "buyerId": wish.buyer_id, "sellerId": wish.seller_id}
    return {name: id_on_wire(value) for name, value in fields.items() if value is not None}


def over_link(
    doing: SessionOp, wish: SessionCall, *, session_id: int | None, user_id: UserId, number: int
) -> SessionRequest:
    """The message of a call; `number` names it."""
    fields = params(doing, wish, session_id=session_id, user_id=user_id)
    return SessionRequest(id=str(number), op=str(doing), params=fields)


# ---------------------------------------------------------------- the answer


class Kind(StrEnum):
    """What an answer comes down to."""

    SUCCESS = "success"
    #: the token is no good
    AUTH = "auth"
    #: there is no such session, user or book
    ABSENT = "absent"
    #: the server doesn't know this path
    UNKNOWN_PATH = "unknown_path"
    #: the server failed; another try may succeed
    FAILED = "failed"
    #: will not be better next time
    REFUSED = "refused"
    #: it is somewhere else, and the token does not go there
    MOVED = "moved"


_KINDS: Final = {
    Outcome.SUCCESS: Kind.SUCCESS,
    Outcome.AUTH: Kind.AUTH,
    Outcome.SERVER_ERROR: Kind.FAILED,
}


def kind_of(answer: Answer) -> Kind:
    """What its code means."""
    meaning = outcome(answer.code)
    if meaning is Outcome.REFUSED and answer.code in (404, NOT_FOUND):
        return Kind.ABSENT
    return _KINDS.get(meaning, Kind.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, whichever way it came.

    Attributes:
        answer: None where only the HTTP status says something.
        status: of HTTP; None over the WebSocket.
        retry_after: seconds that the server wants to be left alone.
    """

    kind: Kind
    answer: Answer | None
    status: int | None = None
    retry_after: float | None = None

    @property
    def over_link(self) -> bool:
        """Did it come over the WebSocket?"""
        return self.status is None

    @property
    def is_404(self) -> bool:
        """Some servers say it in the status, some in the code."""
        return self.status == 404 or (self.answer is not None and self.answer.code == 404)


def read_response(response: SessionResponse) -> Reply:
    """What SESSION_RESPONSE comes down to."""
    answer = Answer(code=response.code, data=response.data, message=response.message)
    return Reply(kind=kind_of(answer), answer=answer)


def refusal(doing: SessionOp, reply: Reply) -> IMError:
    """The error of an answer that ends a call."""
    code = IMErrorCode.SERVER_ERROR
    if reply.kind is Kind.MOVED:
        text = "the server redirects, and the token goes nowhere else; see http.base_url"
    elif reply.kind is Kind.UNKNOWN_PATH:
        text = "the server does not know the path; see http.prefix and http.create_path"
    elif doing in (SessionOp.CREATE, SessionOp.START_CHAT):
        code, text = IMErrorCode.SESSION_CREATE_FAILED, "the server refused the session"
    elif reply.kind is Kind.ABSENT:
        what = "session" if doing is SessionOp.HISTORY else "user"
        code, text = IMErrorCode.SESSION_NOT_FOUND, f"the server knows no such {what}"
    else:
        text = "the server refused the call"
    return server_error(code, text, reply)


def server_error(code: IMErrorCode, text: str, reply: Reply, *, retryable: bool = False) -> IMError:
    """An error, with what the server has said. It ends the call, never the connection."""
    answer = reply.answer
    return IMError(
        code,
        text,
        server_code=reply.status if answer is None else answer.code,
        server_text=None if answer is None else answer.message or None,
        retryable=retryable,
        terminal=False,
    )
