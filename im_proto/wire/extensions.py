"""The messages that protocol.md section 2 adds beside `seq` and `batch`: status, receipts, typing,
presence, refresh, sessions.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from .messages import Message
from .types import (
    MAX_ID,
    MAX_USER_NAME,
    Code,
    Id,
    LenientId,
    LenientText,
    Millis,
    Seconds,
    WireModel,
    WireUserId,
)

#: msgIds in one message: of a question for their status, or of a receipt.
MAX_IDS: Final = 1000
_Ids = Annotated[list[Id], Field(max_length=MAX_IDS)]

#: What a server says of a message that was sent: `never` came, and never will be taken any more;
#: `forgotten`: too long ago to know.
SentState = Literal["never", "accepted", "delivered", "read", "forgotten"]


class MessageStatusRequest(Message):
    """C→S, with `status`: what became of these messages of this device?"""

    kind = "MESSAGE_STATUS_REQUEST"
    msg_ids: _Ids


class StatusItem(WireModel):
    """What became of one message; `timestamp` is when it was accepted."""

    msg_id: Id
    status: SentState
    timestamp: Millis = None


class MessageStatusResponse(Message):
    """S→C: that. It is final: after a login nothing of an older connection is taken any more."""

    kind = "MESSAGE_STATUS_RESPONSE"
    items: Annotated[list[StatusItem], Field(max_length=MAX_IDS)]


class ReceiptPush(Message):
    """S→C, with `receipts`, numbered: these messages of yours reached `user`, or were read."""

    kind = "RECEIPT_PUSH"
    msg_ids: _Ids
    user: WireUserId
    status: Literal["delivered", "read"]
    session_id: LenientId = None
    timestamp: Millis = None
    seq: Id | None = None


class ReadSync(Message):
    """S→C, with `receipts`, numbered: another device of yours has read up to this message."""

    kind = "READ_SYNC"
    from_user: WireUserId
    msg_id: Id
    seq: Id | None = None


class Typing(Message):
    """C→S, with `typing`: I have begun, or stopped, to write to somebody."""

    kind = "TYPING"
    to_user: WireUserId
    active: bool


class TypingPush(Message):
    """S→C, with `typing`: somebody has begun, or stopped, to write to you."""

    kind = "TYPING"
    from_user: WireUserId
    active: bool


class Presence(Message):
    """S→C, with `presence`: somebody with whom you share a session came, or left."""

    kind = "PRESENCE"
    user: WireUserId
    online: bool
    last_seen: Millis = None


class AuthExpiring(Message):
    """S→C, with `refresh`: the token has so many seconds left."""

    kind = "AUTH_EXPIRING"
    expires_in: Seconds


#: The client's name for a call; it comes back with the answer.
CallId = Annotated[str, Field(min_length=1, max_length=64)]


_Param = (
    None
    | bool
    | Annotated[int, Field(ge=-MAX_ID, le=MAX_ID)]
    | Annotated[str, Field(max_length=MAX_USER_NAME)]
)
#: The fields of a call: ids, names, words.
Params = Annotated[dict[Annotated[str, Field(max_length=32)], _Param], Field(max_length=16)]


class SessionRequest(Message):
    """C→S, with `sessions`: a call of section 3. `params` are the fields of its query or body."""

    kind = "SESSION_REQUEST"
    id: CallId
    #: one of `im_proto.wire.session.SessionOp`
    op: Annotated[str, Field(min_length=1, max_length=32)]
    params: Params


class SessionResponse(Message):
    """S→C: its answer, as over HTTP."""

    kind = "SESSION_RESPONSE"
    id: CallId
    code: Code
    data: Any = None
    message: LenientText = None


__all__ = [
    "MAX_IDS",
    "AuthExpiring",
    "CallId",
    "MessageStatusRequest",
    "MessageStatusResponse",
    "Presence",
    "ReadSync",
    "ReceiptPush",
    "SentState",
    "SessionRequest",
    "SessionResponse",
    "StatusItem",
    "Typing",
    "TypingPush",
]
