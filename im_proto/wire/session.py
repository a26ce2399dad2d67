"""A session (a book, its buyer, its seller) and the answers to calls about it (protocol.md
section 3).

Read in two passes like everything else: the answer first, then what it carries, so that one bad
session never takes its neighbours along. No error here ever shows the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, ValidationError, WrapValidator
from pydantic_core import from_json

from .reading import first_error
from .types import (
    Code,
    Id,
    IdOrZero,
    LenientMessageType,
    LenientText,
    Text,
    UserId,
    WireModel,
    WireUserId,
    _decimal,
    _none_if_bad,
    user_id,
)

#: `session_status` of a session that can be written in …
ACTIVE: Final = 1
#: … whose time is over …
EXPIRED: Final = 2
#: … that somebody has ended.
CLOSED: Final = 3
#: What the session machine (`im_proto.machines.SESSION`) calls each `session_status`.
STATES: Final = {ACTIVE: "active", EXPIRED: "expired", CLOSED: "closed"}


class SessionOp(StrEnum):
    """The calls about sessions, by their names on the wire."""

    GET = "get"
    CREATE = "create"
    START_CHAT = "startChat"
    GET_CURRENT = "getCurrent"
    HISTORY = "history"


#: Items of an answer that are looked at. A megabyte, the most that is read of an answer, holds no
#: more that are any good, and ten times as many that are none.
MOST_ITEMS: Final = 30_000
_Lenient = WrapValidator(_none_if_bad)
_Number = Annotated[int, BeforeValidator(_decimal), Field(ge=0, le=2**31 - 1)]
_Readed = Annotated[bool | _Number | None, _Lenient]


class SessionVO(WireModel):
    """A session, as the server has told it. What it did not tell, or not readably, is None."""

    id: Id
    #: 0: a chat without a book
    book_id: IdOrZero
    buyer_id: WireUserId
    seller_id: WireUserId
    #: 1 active, 2 expired, 3 closed
    session_status: Annotated[_Number | None, _Lenient] = None
    #: as the server wrote it: the formats differ
    expire_time: LenientText = None
    create_time: LenientText = None
    #: what the buyer has not read, a count; some servers say only whether all was read
    buyer_readed: _Readed = None
    #: what the seller has not read
    seller_readed: _Readed = None

    @property
    def active(self) -> bool:
        """Does the server say that it can be written in?"""
        return self.session_status == ACTIVE

    def unread_of(self, user: UserId) -> int | None:
        """How many messages in it a user has not read. It is as old as this object; what the user
        has written never counts.

        None: the server does not say how many, or the user is neither buyer nor seller.
        """
        try:
            user = user_id(user)
        except ValueError:
            return None
        readed = None
        if user == self.buyer_id:
            readed = self.buyer_readed
        elif user == self.seller_id:
            readed = self.seller_readed
        if isinstance(readed, bool):
            return 0 if readed else None
        return readed


class HistoryRecord(WireModel):
    """A message of the past, as the server has told it."""

    msg_id: Id
    sender_id: WireUserId
    receiver_id: WireUserId | None = None
    message_type: LenientMessageType = None
    content: Text
    #: 1 sent, 2 delivered, 3 read
    message_status: Annotated[_Number | None, _Lenient] = None
    #: as the server wrote it: the formats differ; on ours milliseconds since 1970
    send_time: LenientText = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """A page of messages, in the server's order of acceptance, the oldest first.

    Attributes:
        has_next: is there more in the direction that was asked for?
        total: of all pages, if the server says so.
    """

    records: tuple[HistoryRecord, ...]
    has_next: bool
    total: int | None = None


class BadAnswer(ValueError):
    """An answer that can't be read; the text says why, and holds none of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """{"code", "data", "message"}, with whatever `data` is."""

    code: int
    data: object
    message: str | None


class _Envelope(WireModel):
    code: Code
    message: LenientText = None


def read_answer(body: bytes) -> Answer:
    """Take an answer apart.

    Raises:
        BadAnswer: it isn't JSON, or no object with a code.
    """
    try:
        parsed = from_json(body, allow_inf_nan=False)
    except (ValueError, TypeError):  # its text quotes the input
        raise BadAnswer("it is not JSON") from None
    try:
        envelope = _Envelope.model_validate(parsed)
    except ValidationError as error:
        raise BadAnswer(first_error(error)) from None
    return Answer(code=envelope.code, data=parsed.get("data"), message=envelope.message)


def read_session(data: object) -> SessionVO | int | None:
    """One session: all of it, or its id alone; None if there is none.

    Raises:
        BadAnswer: it is none of the three.
    """
    if data is None:
        return None
    try:
        if isinstance(data, dict):
            return SessionVO.model_validate(data)
        return _IdAlone.model_validate({"id": data}).id
    except ValidationError as error:
        raise BadAnswer(f"data: {first_error(error)}") from None


def read_sessions(data: object) -> list[SessionVO]:
    """A list of sessions; those that can't be read are left out.

    Raises:
        BadAnswer: it is no list.
    """
    if data is None:
        return []
    if not isinstance(data, list):
        raise BadAnswer("data: it is no list")
    found = []
    for item in data[:MOST_ITEMS]:
        try:
            session = read_session(item)
        except BadAnswer:
            continue
        if isinstance(session, SessionVO):
            found.append(session)
    return found


def read_history(data: object, page_size: int) -> HistoryPage:
    """A page of messages, with or without {"records": …} around it. What can't be read is left out.

    Args:
        data: what the answer carries.
        page_size: how many were asked for: where the server does not say whether there is more, a
            full page means yes.

    Raises:
        BadAnswer: it is no page.
    """
    told = _PageAround()
    if isinstance(data, dict):
        told, data = _PageAround.model_validate(data), data.get("records")
    if data is None:
        data = []
    if not isinstance(data, list):
        raise BadAnswer("data: it is no page of messages")
    records = []
    for item in data[:MOST_ITEMS]:
        try:
            records.append(HistoryRecord.model_validate(item))
        except ValidationError:
            continue
    has_next = len(data) >= page_size if told.has_next is None else told.has_next
    return HistoryPage(records=tuple(records), has_next=has_next, total=told.total)


class _PageAround(WireModel):
    has_next: Annotated[bool | None, _Lenient] = None
    total: Annotated[IdOrZero | None, _Lenient] = None


class _IdAlone(WireModel):
    id: Id
