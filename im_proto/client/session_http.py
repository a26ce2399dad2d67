"""What a call about sessions is over HTTP: what may be asked, the request, and what an answer comes
down to (protocol.md section 3). Functions without a memory; `sessions.py` has it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from urllib.parse import urlencode

from pydantic_core import to_json

from ..config import ClientConfig
from ..errors import IMError, IMErrorCode, LocalProtocolError
from ..wire import MAX_ID, Outcome, UserId, id_on_wire, outcome, user_id
from ..wire.codes import NOT_FOUND
from ..wire.session import Answer, BadAnswer, SessionOp, read_answer
from . import actions as act
from . import inputs as inp

#: The most bytes of an answer.
MAX_BODY: Final = 1_048_576

# ---------------------------------------------------------------- what may be asked

_THREE: Final = "book_id, buyer_id and seller_id"
_TAKES: Final = {
    SessionOp.GET: f"session_id, or {_THREE}",
    SessionOp.CREATE: _THREE,
    SessionOp.START_CHAT: _THREE,
    SessionOp.GET_CURRENT: "nothing more",
}


def checked(wish: inp.SessionCall) -> inp.SessionCall:
    """The wish in one form, and without its ref: what is equal asks for the same.

    Raises:
        LocalProtocolError: it is not complete, or says too much.
    """
    three = (wish.book_id, wish.buyer_id, wish.seller_id)
    by_id = wish.session_id is not None
    by_three = None not in three and not by_id
    alone = by_id and three == (None, None, None)
    complete = {
        SessionOp.GET: alone or by_three,
        SessionOp.CREATE: by_three,
        SessionOp.START_CHAT: by_three,
        SessionOp.GET_CURRENT: not by_id and three == (None, None, None),
    }
    if not complete[wish.op]:
        raise LocalProtocolError(f"SessionCall: {wish.op} takes {_TAKES[wish.op]}")
    return inp.SessionCall(
        ref=0,
        op=wish.op,
        session_id=_id("session_id", wish.session_id, 1),
        book_id=_id("book_id", wish.book_id, 0),
        buyer_id=_user("buyer_id", wish.buyer_id),
        seller_id=_user("seller_id", wish.seller_id),
    )


def _id(name: str, value: object, least: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_ID:
        raise LocalProtocolError(f"SessionCall: {name} is an integer from {least} to 2^63-1")
    return value


def _user(name: str, value: UserId | None) -> UserId | None:
    try:
        return None if value is None else user_id(value)
    except ValueError as error:
        raise LocalProtocolError(f"SessionCall: {name}: {error}") from None


# ---------------------------------------------------------------- the request


def fits_a_header(token: str) -> bool:
    """Can it be sent, and nothing be smuggled with it?"""
    return token.isascii() and token.isprintable() and token == token.strip()


def request(
    config: ClientConfig,
    doing: SessionOp,
    wish: inp.SessionCall,
    *,
    session_id: int | None,
    number: int,
    token: str,
    timeout: float,
) -> act.CallHttp:
    """The request of a call.

    Args:
        config: where it goes.
        doing: what is asked at present.
        wish: book, buyer and seller.
        session_id: get this one.
        number: of the CallHttp.
        token: what it is asked with.
        timeout: seconds after which nobody waits any more.
    """
    triple = {"bookId": wish.book_id, "buyerId": wish.buyer_id, "sellerId": wish.seller_id}
    three = {name: value for name, value in triple.items() if value is not None}
    query: dict[str, UserId] = {}
    body: dict[str, UserId] = {}
    match doing:
        case SessionOp.GET:
            path, query = "/session/get", three if session_id is None else {"sessionId": session_id}
        case SessionOp.CREATE:
            path, query = config.http.create_path, three
        case SessionOp.START_CHAT:
            path, body = "/session/startChat", three
        case SessionOp.GET_CURRENT:
            path, body = "/session/getCurrent", {"userId": config.user_id}
    headers = [
        ("satoken", token),
        ("Accept", "application/json"),
        ("Accept-Encoding", "identity"),  # so that the limit is one of what is read
    ]
    if body:
        headers.append(("Content-Type", "application/json"))
    return act.CallHttp(
        request=number,
        method="GET" if doing is SessionOp.GET else "POST",
        url=f"{config.http_url}{path}" + (f"?{urlencode(query)}" if query else ""),
        headers=tuple(headers),
        body=to_json({name: id_on_wire(value) for name, value in body.items()}) if body else b"",
        limit=MAX_BODY,
        timeout=timeout,
        unix_path=config.unix_path if config.http.base_url is None else None,
        proxy=config.proxy,
    )


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


def sort(answered: inp.HttpAnswered) -> tuple[Kind, Answer | None]:
    """What an answer comes down to: by its code, else by its HTTP status.

    Raises:
        BadAnswer: it says that all is well, and can't be read.
    """
    status = answered.status
    answer: Answer | None = None
    try:
        if len(answered.body) > MAX_BODY:
            raise BadAnswer(f"it has more than {MAX_BODY} bytes")
        answer = read_answer(answered.body)
    except BadAnswer:
        if 200 <= status < 300:
            raise
    if 300 <= status < 400:
        return Kind.MOVED, None
    if status in (429, 503):
        return Kind.FAILED, answer
    if answer is None:
        return _by_status(status), None
    meaning = outcome(answer.code)
    if meaning is Outcome.SUCCESS and status >= 400:
        return _by_status(status), None
    if meaning is Outcome.REFUSED and answer.code in (404, NOT_FOUND):
        return Kind.ABSENT, answer
    return _KINDS.get(meaning, Kind.REFUSED), answer


def _by_status(status: int) -> Kind:
    if status == 401:
        return Kind.AUTH
    if status in (404, 405):
        return Kind.UNKNOWN_PATH
    return Kind.FAILED if status >= 500 else Kind.REFUSED


def is_404(answered: inp.HttpAnswered, answer: Answer | None) -> bool:
    """Some servers say it in the status, some in the code."""
    return answered.status == 404 or (answer is not None and answer.code == 404)


def refusal(
    doing: SessionOp, kind: Kind, answered: inp.HttpAnswered, answer: Answer | None
) -> IMError:
    """The error of an answer that ends a call."""
    code = IMErrorCode.SERVER_ERROR
    if kind is Kind.MOVED:
        text = "the server redirects, and the token goes nowhere else; see http.base_url"
    elif kind is Kind.UNKNOWN_PATH:
        text = "the server does not know the path; see http.prefix and http.create_path"
    elif doing in (SessionOp.CREATE, SessionOp.START_CHAT):
        code, text = IMErrorCode.SESSION_CREATE_FAILED, "the server refused the session"
    elif kind is Kind.ABSENT:
        code, text = IMErrorCode.SESSION_NOT_FOUND, "the server knows no such user"
    else:
        text = "the server refused the call"
    return server_error(code, text, answered, answer)


def server_error(
    code: IMErrorCode,
    text: str,
    answered: inp.HttpAnswered,
    answer: Answer | None,
    *,
    retryable: bool = False,
) -> IMError:
    """An error, with what the server has said. It ends the call, never the connection."""
    return IMError(
        code,
        text,
        server_code=answered.status if answer is None else answer.code,
        server_text=None if answer is None else answer.message or None,
        retryable=retryable,
        terminal=False,
    )
