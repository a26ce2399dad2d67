"""The calls about sessions (protocol.md section 3), read: what is asked.

No error here ever shows the input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from ..wire import UserId
from ..wire.reading import first_error
from ..wire.session import SessionOp
from ..wire.types import Id, IdOrZero, WireModel, WireUserId, in_order
from .session_rules import NO_BOOK

#: Records in a page, where nobody says how many.
PAGE: Final = 50
#: How many records `current` may pass over.
DEEPEST: Final = 10_000


class BadCall(ValueError):
    """A call whose form is wrong: code 400. The text says why, and holds nothing of the input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call whose form is good; which fields are there depends on `op`.

    Attributes:
        session_id: of GET, HISTORY and "close".
        book_id, buyer_id, seller_id: of GET, CREATE and START_CHAT.
        user_id: of GET_CURRENT.
        peer_id: of HISTORY: with whom, in every session.
        start_msg_id: of HISTORY: the message before or after which to go on, without it.
        start_sender_id: of HISTORY: who wrote it. Two users may have used the same msgId: without
            this, the later of the two messages is meant before which to go on, and the earlier one
            after which, so that nothing is passed over.
        page_size, page: of HISTORY; `page` counts from 1.
        forbidden: the site says that the user may not write to the other of the two: it finds the
            session that they have, and begins none.
    """

    op: SessionOp | Literal["close"]
    session_id: int | None = None
    book_id: int | None = None
    buyer_id: UserId | None = None
    seller_id: UserId | None = None
    user_id: UserId | None = None
    peer_id: UserId | None = None
    start_msg_id: int | None = None
    start_sender_id: UserId | None = None
    direction: Literal["before", "after"] = "before"
    page_size: int = PAGE
    page: int = 1
    forbidden: bool = False


def read_call(
    op: str, params: Mapping[str, Any], *, history_page: int = 100, site: bool = False
) -> Call:
    """Read a call.

    Args:
        op: its name on the wire; `site` may also "close".
        params: the fields of its query or body, by their names on the wire.
        history_page: the most records in a page; who asks for more gets so many.
        site: it is the site itself that calls, not a user.

    Raises:
        BadCall: there is no such call, or it lacks something, or says it badly.
    """
    try:
        match op:
            case SessionOp.GET if params.get("sessionId") is None:
                return _of_three(SessionOp.GET, params)
            case SessionOp.GET:
                return Call(op=SessionOp.GET, session_id=_ById.model_validate(params).session_id)
            case SessionOp.CREATE | SessionOp.START_CHAT:
                return _of_three(SessionOp(op), params)
            case SessionOp.GET_CURRENT:
                return Call(
                    op=SessionOp.GET_CURRENT, user_id=_ByUser.model_validate(params).user_id
                )
            case SessionOp.HISTORY:
                return _of_history(_History.model_validate(params), history_page)
            case "close" if site:
                return Call(op="close", session_id=_ById.model_validate(params).session_id)
    except ValidationError as error:
        raise BadCall(f"{op}: {first_error(error)}") from None
    raise BadCall("there is no such call")


class _ById(WireModel):
    session_id: Id


class _ByThree(WireModel):
    book_id: IdOrZero
    buyer_id: WireUserId
    seller_id: WireUserId


class _ByUser(WireModel):
    user_id: WireUserId | None = None


class _History(WireModel):
    session_id: Id | None = None
    peer_id: WireUserId | None = None
    #: 0, as some clients of the family say it, is none
    start_msg_id: IdOrZero | None = None
    start_sender_id: WireUserId | None = None
    direction: Literal["before", "after"] | None = None
    page_size: Id | None = None
    #: bounded, so that what it stands for is a number that databases know
    current: Annotated[Id, Field(le=10**9)] | None = None


def _of_three(op: SessionOp, params: Mapping[str, Any]) -> Call:
    three = _ByThree.model_validate(params)
    buyer, seller = three.buyer_id, three.seller_id
    if three.book_id == NO_BOOK:
        buyer, seller = in_order(buyer, seller)
    elif buyer == seller:
        raise BadCall(f"{op}: nobody sells a book to himself")
    return Call(op=op, book_id=three.book_id, buyer_id=buyer, seller_id=seller)


def _of_history(asked: _History, history_page: int) -> Call:
    if (asked.session_id is None) == (asked.peer_id is None):
        raise BadCall("history: it takes sessionId or peerId, and not both")
    page_size, page = min(asked.page_size or PAGE, history_page), asked.current or 1
    if page > 1 and page * page_size > DEEPEST:
        # every record before it would be read, in turn with the commits
        raise BadCall("history: too deep for current; go on with startMsgId")
    return Call(
        op=SessionOp.HISTORY,
        session_id=asked.session_id,
        peer_id=asked.peer_id,
        start_msg_id=asked.start_msg_id or None,
        start_sender_id=asked.start_sender_id,
        direction=asked.direction or "before",
        page_size=page_size,
        page=page,
    )
