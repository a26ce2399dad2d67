"""The messages of the wire, one class each (protocol.md section 1, and `seq`, `batch` and the
log-in of section 2); the rest of section 2 is in `extensions`.

`kind` is the envelope's `type`. Attributes are snake_case here and camelCase on the wire.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, WrapValidator

from .types import (
    Code,
    DeviceId,
    Epoch,
    Id,
    IdOrZero,
    LenientId,
    LenientMessageType,
    LenientText,
    LenientUserId,
    MessageType,
    Millis,
    Seconds,
    Text,
    Token,
    WireModel,
    WireUserId,
    _none_if_bad,
)


class Message(WireModel):
    """A message of the wire."""

    kind: ClassVar[str]


# ---------------------------------------------------------------- log-in


class ResumeFrom(WireModel):
    """The last push that the client has processed: where the server goes on."""

    epoch: Epoch
    seq: IdOrZero
    from_user: LenientUserId = None
    msg_id: LenientId = None


class ClientLimits(WireModel):
    """What this client can take."""

    frame_bytes: Annotated[int, Field(ge=1024, le=2**31)] | None = None
    batch: Annotated[int, Field(ge=1, le=65_536)] | None = None


Capability = Annotated[str, Field(min_length=1, max_length=32)]


class AuthRequest(Message):
    """C→S, the first message of a connection."""

    kind = "AUTH_REQUEST"
    access_token: Annotated[Token, Field(repr=False)]
    user_id: Annotated[WireUserId | None, WrapValidator(_none_if_bad)] = None
    capabilities: Annotated[list[Capability], Field(max_length=32)] | None = None
    device_id: DeviceId | None = None
    limits: ClientLimits | None = None
    resume: ResumeFrom | None = None


class HeartbeatHint(WireModel):
    """The rhythm that the server would like, in seconds."""

    interval: Annotated[float, Field(gt=0, le=86_400, strict=False)]
    timeout: Annotated[float, Field(gt=0, le=3_600, strict=False)]


class ServerLimits(WireModel):
    """What the server can take and gives."""

    frame_bytes: Annotated[int, Field(ge=1024, le=2**31)] = 65_536
    batch: Annotated[int, Field(ge=1, le=65_536)] = 64
    content_units: Annotated[int, Field(ge=1, le=2**31)] = 1000
    in_flight: Annotated[int, Field(ge=1, le=65_536)] = 64
    unacked: Annotated[int, Field(ge=1, le=65_536)] = 512
    dedupe_seconds: Seconds = 604_800.0


_Lenient = WrapValidator(_none_if_bad)


class AuthData(WireModel):
    """What the server says of the log-in. All but the user is section 2.

    A plain server may use any of these keys for something of its own, so what can't be read is
    as good as absent.
    """

    user_id: LenientUserId = None
    username: LenientText = None
    device_id: Annotated[DeviceId | None, _Lenient] = None
    capabilities: Annotated[Annotated[list[Capability], Field(max_length=32)] | None, _Lenient] = (
        None
    )
    server_time: Millis = None
    expires_in: Annotated[Seconds | None, _Lenient] = None
    last_msg_id: Annotated[IdOrZero | None, _Lenient] = None
    resume: Annotated[Literal["recovered", "reset"] | None, _Lenient] = None
    epoch: Annotated[Epoch | None, _Lenient] = None
    #: after "reset": the oldest seq still held, from which the server sends
    oldest: Annotated[IdOrZero | None, _Lenient] = None
    #: where the pushes of this connection go on: the first is the next one
    seq: Annotated[IdOrZero | None, _Lenient] = None
    heartbeat: Annotated[HeartbeatHint | None, _Lenient] = None
    limits: Annotated[ServerLimits | None, _Lenient] = None


def _object_or_none(value: object) -> object:
    """`data` is null, a string or a list on servers that have nothing to say."""
    return value if isinstance(value, dict | AuthData) else None


class AuthResponse(Message):
    """S→C: in, or not."""

    kind = "AUTH_RESPONSE"
    code: Code
    message: LenientText = None
    data: Annotated[AuthData | None, BeforeValidator(_object_or_none)] = None


# ---------------------------------------------------------------- liveness


class HeartbeatRequest(Message):
    """C→S: are you there?"""

    kind = "HEARTBEAT_REQUEST"
    timestamp: Millis = None


class HeartbeatResponse(Message):
    """S→C: yes."""

    kind = "HEARTBEAT_RESPONSE"
    timestamp: Millis = None
    server_time: Millis = None


# ---------------------------------------------------------------- chat


class ChatSendToOne(Message):
    """C→S: a message to one user."""

    kind = "CHAT_SEND_TO_ONE_REQUEST"
    msg_id: Id
    to_user: WireUserId
    content: Text
    session_id: LenientId = None
    message_type: LenientMessageType = None


class ChatSendToAll(Message):
    """C→S: a message to everybody who is online; needs the role `broadcast` (section 4)."""

    kind = "CHAT_SEND_TO_ALL_REQUEST"
    msg_id: Id
    content: Text


class ChatSendResponse(Message):
    """S→C: what became of a message. No code means accepted."""

    kind = "CHAT_SEND_RESPONSE"
    msg_id: Id
    code: Code | None = None
    message: LenientText = None
    session_id: LenientId = None
    timestamp: Millis = None


class ChatAnswer(Message):
    """S→C: what became of the only message in flight. No code means accepted.

    Of dialects without msgId alone, so it stands in none of the lists below.
    """

    kind = "chat_response"
    code: Code | None = None
    message: LenientText = None


class ChatRedirectToUser(Message):
    """S→C: a message for you. `seq` is there when the capability was granted.

    With `to_user` it is a copy of what another device of yours has sent: `device_id`.
    """

    kind = "CHAT_REDIRECT_TO_USER_REQUEST"
    content: Text
    msg_id: LenientId = None
    from_user: LenientUserId = None
    session_id: LenientId = None
    message_type: LenientMessageType = None
    timestamp: Millis = None
    seq: Id | None = None
    to_user: LenientUserId = None
    device_id: Annotated[DeviceId | None, _Lenient] = None


class ChatReadReceipt(Message):
    """C→S: I have read what `from_user` wrote."""

    kind = "CHAT_READ_RECEIPT_REQUEST"
    msg_id: Id
    from_user: WireUserId


class ChatReadReceiptResponse(Message):
    """S→C: noted."""

    kind = "CHAT_READ_RECEIPT_RESPONSE"
    msg_id: Id
    code: Code | None = None
    message: LenientText = None


class ChatError(Message):
    """S→C: something that you sent was wrong; with `msg_id` it says which message."""

    kind = "CHAT_ERROR_RESPONSE"
    code: Code | None = None
    message: LenientText = None
    error_msg: LenientText = None
    msg_id: LenientId = None

    @property
    def text(self) -> str | None:
        """The words, whichever key they came under."""
        return self.message or self.error_msg


# ---------------------------------------------------------------- section 2: seq, closes


class ChatAck(Message):
    """C→S: everything up to this seq was handled by the application."""

    kind = "CHAT_ACK_REQUEST"
    seq: IdOrZero


class SyncRequest(Message):
    """C→S: I have a hole; send again what follows this seq."""

    kind = "SYNC_REQUEST"
    after: IdOrZero


class SyncResponse(Message):
    """S→C: the pushes go on behind `after`, or, after a reset, from `oldest`."""

    kind = "SYNC_RESPONSE"
    status: Literal["recovered", "reset"]
    oldest: IdOrZero
    epoch: Epoch | None = None


class Kick(Message):
    """S→C: this connection ends; decides over the close that follows."""

    kind = "KICK"
    reason: LenientText = None
    reconnect: bool = True
    retry_after: Seconds | None = None


__all__ = [
    "AuthData",
    "AuthRequest",
    "AuthResponse",
    "ChatAck",
    "ChatAnswer",
    "ChatError",
    "ChatReadReceipt",
    "ChatReadReceiptResponse",
    "ChatRedirectToUser",
    "ChatSendResponse",
    "ChatSendToAll",
    "ChatSendToOne",
    "ClientLimits",
    "HeartbeatHint",
    "HeartbeatRequest",
    "HeartbeatResponse",
    "Kick",
    "Message",
    "MessageType",
    "ResumeFrom",
    "ServerLimits",
    "SyncRequest",
    "SyncResponse",
]
