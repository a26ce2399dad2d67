"""The dialect of an earlier client of the platform: `{"type", "id", "timestamp", "data": {…}}`.

It has no msgId. A message's envelope carries our own id for it; a server that echoes the id says
with it which message it answers, any other answer is one to the only message in flight
(protocol.md section 1, "The second dialect"). Read in two passes, as Invocation is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError, WrapValidator
from pydantic_core import from_json, to_json

from ..errors import LocalProtocolError, printable
from .codes import BAD_REQUEST, NOT_LOGGED_IN, OK, Outcome, outcome
from .dialect import BadFrame, Incoming, Malformed, Unknown
from .messages import (
    AuthData,
    AuthRequest,
    AuthResponse,
    ChatAnswer,
    ChatRedirectToUser,
    ChatSendResponse,
    ChatSendToOne,
    HeartbeatRequest,
    HeartbeatResponse,
    Message,
)
from .reading import EMPTY, first_error, kind_of, parse_frame
from .types import (
    MAX_ID,
    Code,
    LenientMessageType,
    LenientText,
    LenientUserId,
    Millis,
    Text,
    WireModel,
    _none_if_bad,
    id_on_wire,
)

#: The envelope id of a message of ours. The letter tells it from an id that a server made itself.
_OUR_ID: Final = re.compile(r"m([1-9][0-9]{0,18})", re.ASCII)
_Flag = Annotated[bool, Field(strict=False)] | None


class _AuthResponse(WireModel):
    success: _Flag = None
    code: Annotated[Code | None, WrapValidator(_none_if_bad)] = None
    message: LenientText = None
    user_id: LenientUserId = None


class _ChatMessage(WireModel):
    content: Text
    from_user_id: LenientUserId = None
    message_type: LenientMessageType = None
    timestamp: Millis = None


class _ChatResponse(WireModel):
    code: Code | None = None
    success: _Flag = None
    message: LenientText = None


class Typed:
    """The second dialect in the field, the client's side of it."""

    name: Final = "typed"
    extensions: Final = False
    in_flight: Final = 1

    def decode(self, text: str, *, batch: int) -> list[Incoming]:
        """Read a text frame: one envelope; this dialect has no arrays, whatever `batch`."""
        frame = parse_frame(text)
        if not isinstance(frame, dict):
            raise BadFrame("the frame is not an envelope", 1002)
        kind = kind_of(frame)
        if kind is None:
            return [Malformed(kind="", reason="the envelope has no usable type")]
        try:
            return [_read(kind, frame)]
        except ValidationError as error:
            return [Malformed(kind=kind, reason=first_error(error))]

    def encode(self, message: Message, *, wall_ms: int = 0, inline: bool = False) -> str:
        """Write one message as one envelope, its `data` as an object."""
        data: dict[str, Any]
        if isinstance(message, ChatSendToOne):
            kind, name = "chat_message", f"m{message.msg_id}"
            data = {
                "toUserId": id_on_wire(message.to_user),
                "content": message.content,
                "messageType": message.message_type or "text",
            }
        elif isinstance(message, HeartbeatRequest):
            kind, name = "heartbeat", f"h{wall_ms}"
            data = {"timestamp": wall_ms}
        elif isinstance(message, AuthRequest) and message.user_id is not None:
            kind, name = "auth", f"a{wall_ms}"
            data = {"token": message.access_token, "userId": id_on_wire(message.user_id)}
        else:
            raise LocalProtocolError(f"the dialect 'typed' has no word for {message.kind}")
        return to_json({"type": kind, "id": name, "timestamp": wall_ms, "data": data}).decode()

    def join(self, envelopes: Sequence[str]) -> str:
        """One envelope as it is; there are never several."""
        (envelope,) = envelopes
        return envelope


def _read(kind: str, envelope: Mapping[str, Any]) -> Incoming:
    reader = _READERS.get(kind)
    if reader is None:
        return Unknown(kind=printable(kind))
    # some servers write the fields beside `data`, or no `data` at all
    return reader({**envelope, **(_data(envelope) or {})}, envelope)


def _chat_message(fields: Mapping[str, Any], _: Mapping[str, Any]) -> Incoming:
    chat = _ChatMessage.model_validate(fields)
    return ChatRedirectToUser(
        content=chat.content,
        from_user=chat.from_user_id,
        message_type=chat.message_type,
        timestamp=chat.timestamp,
    )


def _chat_response(fields: Mapping[str, Any], envelope: Mapping[str, Any]) -> Incoming:
    answer = _ChatResponse.model_validate(fields)
    code = answer.code
    if code is None and answer.success is None and _data(envelope) is None:
        # no code means accepted, but not where there may be one that can't be read
        return Malformed(kind="chat_response", reason="data: not an object")
    if answer.success is False and outcome(code) is Outcome.SUCCESS:
        code = BAD_REQUEST
    msg_id = _our_id(envelope.get("id"))
    if msg_id is None:
        return ChatAnswer(code=code, message=answer.message)
    return ChatSendResponse(msg_id=msg_id, code=code, message=answer.message)


def _heartbeat_response(fields: Mapping[str, Any], _: Mapping[str, Any]) -> Incoming:
    return HeartbeatResponse.model_validate(fields)


def _auth_response(fields: Mapping[str, Any], _: Mapping[str, Any]) -> Incoming:
    response = _AuthResponse.model_validate(fields)
    code = response.code
    if response.success is None and code is None:
        return Malformed(kind="auth_response", reason="success: missing")
    if response.success:
        code = OK
    elif code is None or (response.success is False and outcome(code) is Outcome.SUCCESS):
        # it may be the token, and nobody says that it isn't: a token function is asked for another
        code = NOT_LOGGED_IN
    return AuthResponse(
        code=code, message=response.message, data=AuthData(user_id=response.user_id)
    )


#: By type: reads what is known of an envelope's fields, and of the envelope itself.
_READERS: Final[Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Incoming]]] = {
    "auth_response": _auth_response,
    "heartbeat_response": _heartbeat_response,
    "chat_message": _chat_message,
    "chat_response": _chat_response,
}


def _data(envelope: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `data` holds, as an object or as JSON in a string; None if it holds no object."""
    data = envelope.get("data")
    if data is None or (isinstance(data, str) and data in EMPTY):
        return {}
    if isinstance(data, str):
        try:
            data = from_json(data, allow_inf_nan=False)
        except (ValueError, TypeError):
            return None
    return data if isinstance(data, dict) else None


def _our_id(value: object) -> int | None:
    """The msgId that an answer's envelope names, if the id is one of ours."""
    ours = _OUR_ID.fullmatch(value) if isinstance(value, str) else None
    msg_id = int(ours[1]) if ours else 0
    return msg_id if 0 < msg_id <= MAX_ID else None
