"""The messages that make up the traffic, read and written with hardly a call of Python.

Beside the models, which do the same for every message: their fields are checked by functions of
Python, since a peer may write an id as a string, or anything at all where a remark is expected.
Here pydantic-core alone takes what an ordinary peer writes, and refuses the rest, which is then
read by the model as ever. What both take they take alike; the models decide what it means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pydantic_core import CoreConfig, CoreSchema, SchemaValidator, to_json
from pydantic_core import core_schema as cs

from .extensions import MAX_IDS, ReceiptPush
from .messages import ChatAck, ChatRedirectToUser, ChatSendResponse, ChatSendToOne, Message
from .types import MAX_ID, MAX_SAFE_INTEGER, MAX_TEXT, MAX_USER_NAME, id_on_wire

# ---------------------------------------------------------------- reading


class Reader(NamedTuple):
    """How a class is read: both give its values in order, nothing, and the names that were given.

    Raises:
        ValueError: it is not what an ordinary peer writes.
    """

    model: type[Message]
    by_json: Callable[[str], tuple[dict[str, Any], None, set[str]]]
    by_python: Callable[[Any], tuple[dict[str, Any], None, set[str]]]


def _number(low: int, high: int) -> CoreSchema:
    return cs.int_schema(strict=True, ge=low, le=high)


#: A canonical decimal string that is an id above zero.
_DECIMAL: Final = cs.chain_schema(
    [
        cs.str_schema(strict=True, pattern=r"^[1-9][0-9]{0,18}$"),
        cs.int_schema(strict=False, ge=1, le=MAX_ID),
    ]
)
_ID: Final = cs.union_schema([_number(1, MAX_ID), _DECIMAL], mode="left_to_right")
_ID_OR_ZERO: Final = cs.union_schema([_number(0, MAX_ID), _DECIMAL], mode="left_to_right")
#: A name is plain ASCII here, and no digit comes first: it can't be taken for an id.
_NAME: Final = cs.str_schema(strict=True, max_length=MAX_USER_NAME, pattern=r"^[ -/:-~][ -~]*$")
_USER: Final = cs.union_schema([_number(1, MAX_ID), _NAME, _DECIMAL], mode="left_to_right")
_CODE: Final = _number(-(2**31), 2**31 - 1)
_MILLIS: Final = _number(0, MAX_ID)
_TEXT: Final = cs.str_schema(strict=True, max_length=MAX_TEXT)
_KIND: Final = cs.str_schema(strict=True, max_length=64, pattern=r"^[ -~]+$")
_DEVICE: Final = cs.str_schema(strict=True, pattern=r"^[A-Za-z0-9_.:-]{1,64}$")

_FIELDS: Final[dict[type[Message], dict[str, CoreSchema]]] = {
    ChatSendToOne: {
        "msg_id": _ID,
        "to_user": _USER,
        "content": _TEXT,
        "session_id": _ID,
        "message_type": _KIND,
    },
    ChatSendResponse: {
        "msg_id": _ID,
        "code": _CODE,
        "message": _TEXT,
        "session_id": _ID,
        "timestamp": _MILLIS,
    },
    ChatRedirectToUser: {
        "content": _TEXT,
        "msg_id": _ID,
        "from_user": _USER,
        "session_id": _ID,
        "message_type": _KIND,
        "timestamp": _MILLIS,
        "seq": _ID,
        "to_user": _USER,
        "device_id": _DEVICE,
    },
    ChatAck: {"seq": _ID_OR_ZERO},
    ReceiptPush: {
        "msg_ids": cs.list_schema(_ID, strict=True, max_length=MAX_IDS),
        "user": _USER,
        "status": cs.literal_schema(["delivered", "read"]),
        "session_id": _ID,
        "timestamp": _MILLIS,
        "seq": _ID,
    },
}
#: Of `WireModel.model_config` what concerns the fields.
_CONFIG: Final = CoreConfig(strict=True, validate_by_alias=True, validate_by_name=True)


def _reader(model: type[Message], schemas: dict[str, CoreSchema]) -> Reader:
    fields = {}
    for name, field in model.model_fields.items():
        schema = schemas[name]
        if not field.is_required():
            schema = cs.with_default_schema(cs.nullable_schema(schema), default=field.default)
        fields[name] = cs.model_field(schema, validation_alias=field.alias)
    validator = SchemaValidator(cs.model_fields_schema(fields), _CONFIG)
    return Reader(model, validator.validate_json, validator.validate_python)


READERS: Final = {model.kind: _reader(model, schemas) for model, schemas in _FIELDS.items()}


# ---------------------------------------------------------------- writing


def _id(value: int | str) -> int | str:
    """An id or a user in JSON; see `id_on_wire`."""
    if type(value) is int:
        return value if value <= MAX_SAFE_INTEGER else f'"{value}"'
    return to_json(value).decode()


def _send_to_one(message: Message) -> str:
    msg_id, to_user, content, session_id, message_type = message.__dict__.values()
    if type(to_user) is not int or to_user > MAX_SAFE_INTEGER or msg_id > MAX_SAFE_INTEGER:
        msg_id, to_user = _id(msg_id), _id(to_user)
    body = f'{{"msgId":{msg_id},"toUser":{to_user},"content":{to_json(content).decode()}'
    if session_id is not None:
        body += f',"sessionId":{_id(session_id)}'
    if message_type == "text":  # as nearly all are
        return body + ',"messageType":"text"}'
    if message_type is not None:
        body += f',"messageType":{to_json(message_type).decode()}'
    return body + "}"


def _send_response(message: Message) -> str:
    msg_id, code, text, session_id, timestamp = message.__dict__.values()
    body = f'{{"msgId":{_id(msg_id)}'
    if code is not None:
        body += f',"code":{code}'
    if text is not None:
        body += f',"message":{to_json(text).decode()}'
    if session_id is not None:
        body += f',"sessionId":{_id(session_id)}'
    if timestamp is not None:
        body += f',"timestamp":{timestamp}'
    return body + "}"


def _redirect_to_user(message: Message) -> str:
    (content, msg_id, from_user, session_id, message_type, timestamp, seq, to_user, device_id) = (
        message.__dict__.values()
    )
    body = {"content": content}
    if msg_id is not None:
        body["msgId"] = msg_id if msg_id <= MAX_SAFE_INTEGER else str(msg_id)
    if from_user is not None:
        body["fromUser"] = id_on_wire(from_user)
    if session_id is not None:
        body["sessionId"] = session_id if session_id <= MAX_SAFE_INTEGER else str(session_id)
    if message_type is not None:
        body["messageType"] = message_type
    if timestamp is not None:
        body["timestamp"] = timestamp
    if seq is not None:
        body["seq"] = seq if seq <= MAX_SAFE_INTEGER else str(seq)
    if to_user is not None:
        body["toUser"] = id_on_wire(to_user)
    if device_id is not None:
        body["deviceId"] = device_id
    return to_json(body).decode()


def _ack(message: Message) -> str:
    return f'{{"seq":{_id(message.__dict__["seq"])}}}'


def _receipt(message: Message) -> str:
    msg_ids, user, status, session_id, timestamp, seq = message.__dict__.values()
    body = f'{{"msgIds":[{",".join([str(_id(msg_id)) for msg_id in msg_ids])}],"user":{_id(user)}'
    body += f',"status":"{status}"'
    if session_id is not None:
        body += f',"sessionId":{_id(session_id)}'
    if timestamp is not None:
        body += f',"timestamp":{timestamp}'
    if seq is not None:
        body += f',"seq":{_id(seq)}'
    return body + "}"


#: By class: its fields as JSON, the very text of `model_dump_json(by_alias=True,
#: exclude_none=True)`. An instance holds its fields in the order of its class.
WRITERS: Final[dict[type[Message], Callable[[Message], str]]] = {
    ChatSendToOne: _send_to_one,
    ChatSendResponse: _send_response,
    ChatRedirectToUser: _redirect_to_user,
    ChatAck: _ack,
    ReceiptPush: _receipt,
}
