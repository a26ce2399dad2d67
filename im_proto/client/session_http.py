"""How a call about sessions goes over HTTP (protocol.md section 3). Functions without a memory;
`sessions.py` has it.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from pydantic_core import to_json

from ..config import ClientConfig
from ..wire.session import Answer, BadAnswer, SessionOp, read_answer
from . import actions as act
from . import inputs as inp
from .session_calls import Kind, Reply, kind_of, params

#: The most bytes of an answer.
MAX_BODY: Final = 1_048_576
#: What stands in the query; the rest stands in the body.
_BY_QUERY: Final = (SessionOp.GET, SessionOp.CREATE)


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
        wish: what the application wants.
        session_id: get this one.
        number: of the CallHttp.
        token: what it is asked with.
        timeout: seconds after which nobody waits any more.
    """
    path = {
        SessionOp.GET: "/session/get",
        SessionOp.CREATE: config.http.create_path,
        SessionOp.START_CHAT: "/session/startChat",
        SessionOp.GET_CURRENT: "/session/getCurrent",
        SessionOp.HISTORY: "/message/history",
    }[doing]
    fields = params(doing, wish, session_id=session_id, user_id=config.user_id)
    headers = [
        ("satoken", token),
        ("Accept", "application/json"),
        ("Accept-Encoding", "identity"),  # so that the limit is one of what is read
    ]
    body = b""
    if doing in _BY_QUERY:
        path += f"?{urlencode(fields)}"
    else:
        headers.append(("Content-Type", "application/json"))
        body = to_json(fields)
    return act.CallHttp(
        request=number,
        method="GET" if doing is SessionOp.GET else "POST",
        url=f"{config.http_url}{path}",
        headers=tuple(headers),
        body=body,
        limit=MAX_BODY,
        timeout=timeout,
        unix_path=config.unix_path if config.http.base_url is None else None,
        proxy=config.proxy,
    )


def read_reply(answered: inp.HttpAnswered) -> Reply:
    """What an answer comes down to: by its code, else by its HTTP status.

    Raises:
        BadAnswer: it says that all is well, and can't be read.
    """
    kind, answer = _sort(answered)
    return Reply(kind=kind, answer=answer, status=answered.status, retry_after=answered.retry_after)


def _sort(answered: inp.HttpAnswered) -> tuple[Kind, Answer | None]:
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
    kind = kind_of(answer)
    if kind is Kind.SUCCESS and status >= 400:
        return _by_status(status), None
    return kind, answer


def _by_status(status: int) -> Kind:
    if status == 401:
        return Kind.AUTH
    if status in (404, 405):
        return Kind.UNKNOWN_PATH
    return Kind.FAILED if status >= 500 else Kind.REFUSED
