"""Hypothesis strategies of the wire: one for each message, for envelopes and for frames as text.

`MESSAGES` has them by class. What they make is valid and uses the bounds of
`im_proto.wire.types` to the full; `garbage_frames` is everything else that a peer may send.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar, get_args

from hypothesis import strategies as st

from ...wire import (
    CLIENT_MESSAGES,
    MAX_ID,
    SERVER_MESSAGES,
    AuthData,
    AuthExpiring,
    AuthRequest,
    AuthResponse,
    ChatAck,
    ChatError,
    ChatReadReceipt,
    ChatReadReceiptResponse,
    ChatRedirectToUser,
    ChatSendResponse,
    ChatSendToAll,
    ChatSendToOne,
    ClientLimits,
    HeartbeatHint,
    HeartbeatRequest,
    HeartbeatResponse,
    Invocation,
    Kick,
    Message,
    MessageStatusRequest,
    MessageStatusResponse,
    Presence,
    ReadSync,
    ReceiptPush,
    ResumeFrom,
    ServerLimits,
    SessionRequest,
    SessionResponse,
    StatusItem,
    SyncRequest,
    SyncResponse,
    Typing,
    TypingPush,
    UserId,
    user_id,
)
from ...wire.extensions import SentState
from ...wire.session import SessionOp
from ...wire.types import WireModel

__all__ = [
    "MESSAGES",
    "client_messages",
    "contents",
    "envelopes",
    "frames",
    "garbage_frames",
    "ids",
    "ids_or_zero",
    "json_values",
    "server_messages",
    "user_ids",
    "user_names",
]

_INVOCATION: Final = Invocation("client")

#: msgId, sessionId, seq: 1 to 2^63-1, often where JavaScript begins to lose precision.
ids: Final[st.SearchStrategy[int]] = st.one_of(
    st.integers(1, MAX_ID),
    st.integers(1, 9),
    st.integers(2**53 - 2, 2**53 + 2),
    st.just(MAX_ID),
)
ids_or_zero: Final[st.SearchStrategy[int]] = st.just(0) | ids
_letters: Final = st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn"])
#: Names such as "bravo": whatever `user_id` leaves as it is.
user_names: Final[st.SearchStrategy[str]] = st.text(_letters, min_size=1, max_size=128).filter(
    lambda name: name.isprintable() and user_id(name) == name
)
user_ids: Final[st.SearchStrategy[UserId]] = ids | user_names
_text: Final = st.text(st.characters(codec="utf-8"), max_size=40)
#: What may be sent: no NUL, not only white space, well under the limit of 1000 units.
contents: Final[st.SearchStrategy[str]] = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", " ", "\u3000\n"]),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Z", "Cf"]), min_size=1),
        _text.map(lambda text: text.replace("\x00", "")),
    ),
)
_tags: Final = st.from_regex(r"[A-Za-z0-9_.:-]{1,64}", fullmatch=True)
_codes: Final = st.sampled_from([0, 200, 400, 403, 40100, 40400, 40900, 50000]) | st.integers(
    -(2**31), 2**31 - 1
)
_millis: Final = st.integers(0, MAX_ID)
_seconds: Final = st.floats(0, 86_400.0 * 366)
_kinds: Final = st.text(_letters, min_size=1, max_size=64)
_capabilities: Final = st.lists(st.text(_letters, min_size=1, max_size=32), max_size=32)


_M = TypeVar("_M", bound=WireModel)


def _of(model: type[_M], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[_M]:
    # not `builds`, which would try to make sense of the annotations
    return st.fixed_dictionaries(fields).map(lambda drawn: model(**drawn))


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


_resume: Final = _of(
    ResumeFrom, epoch=_tags, seq=ids_or_zero, from_user=_maybe(user_ids), msg_id=_maybe(ids)
)
_client_limits: Final = _of(
    ClientLimits,
    frame_bytes=_maybe(st.integers(1024, 2**31)),
    batch=_maybe(st.integers(1, 65_536)),
)
_server_limits: Final = _of(
    ServerLimits,
    frame_bytes=st.integers(1024, 2**31),
    batch=st.integers(1, 65_536),
    content_units=st.integers(1, 2**31),
    in_flight=st.integers(1, 65_536),
    unacked=st.integers(1, 65_536),
    dedupe_seconds=_seconds,
)
_hints: Final = _of(
    HeartbeatHint,
    interval=st.floats(0, 86_400, exclude_min=True),
    timeout=st.floats(0, 3_600, exclude_min=True),
)
_auth_data: Final = _of(
    AuthData,
    user_id=_maybe(user_ids),
    username=_maybe(_text),
    device_id=_maybe(_tags),
    capabilities=_maybe(_capabilities),
    server_time=_maybe(_millis),
    expires_in=_maybe(_seconds),
    last_msg_id=_maybe(ids_or_zero),
    resume=st.sampled_from([None, "recovered", "reset"]),
    epoch=_maybe(_tags),
    oldest=_maybe(ids_or_zero),
    seq=_maybe(ids_or_zero),
    heartbeat=_maybe(_hints),
    limits=_maybe(_server_limits),
)

_some_ids: Final = st.lists(ids, max_size=5)
_call_ids: Final = st.text(_letters, min_size=1, max_size=64)
#: What stands in a call about sessions and in its answer: JSON that comes back as it was.
_params: Final = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _text

#: Valid messages, by class.
MESSAGES: Final[Mapping[type[Message], st.SearchStrategy[Message]]] = {
    AuthRequest: _of(
        AuthRequest,
        access_token=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60),
        user_id=_maybe(user_ids),
        capabilities=_maybe(_capabilities),
        device_id=_maybe(_tags),
        limits=_maybe(_client_limits),
        resume=_maybe(_resume),
    ),
    AuthResponse: _of(AuthResponse, code=_codes, message=_maybe(_text), data=_maybe(_auth_data)),
    HeartbeatRequest: _of(HeartbeatRequest, timestamp=_maybe(_millis)),
    HeartbeatResponse: _of(
        HeartbeatResponse, timestamp=_maybe(_millis), server_time=_maybe(_millis)
    ),
    ChatSendToOne: _of(
        ChatSendToOne,
        msg_id=ids,
        to_user=user_ids,
        content=_text,
        session_id=_maybe(ids),
        message_type=_maybe(_kinds),
    ),
    ChatSendToAll: _of(ChatSendToAll, msg_id=ids, content=_text),
    ChatSendResponse: _of(
        ChatSendResponse,
        msg_id=ids,
        code=_maybe(_codes),
        message=_maybe(_text),
        session_id=_maybe(ids),
        timestamp=_maybe(_millis),
    ),
    ChatRedirectToUser: _of(
        ChatRedirectToUser,
        content=_text,
        msg_id=_maybe(ids),
        from_user=_maybe(user_ids),
        session_id=_maybe(ids),
        message_type=_maybe(_kinds),
        timestamp=_maybe(_millis),
        seq=_maybe(ids),
        to_user=_maybe(user_ids),
        device_id=_maybe(_tags),
    ),
    ChatReadReceipt: _of(ChatReadReceipt, msg_id=ids, from_user=user_ids),
    ChatReadReceiptResponse: _of(
        ChatReadReceiptResponse, msg_id=ids, code=_maybe(_codes), message=_maybe(_text)
    ),
    ChatError: _of(ChatError, code=_maybe(_codes), message=_maybe(_text), msg_id=_maybe(ids)),
    ChatAck: _of(ChatAck, seq=ids_or_zero),
    SyncRequest: _of(SyncRequest, after=ids_or_zero),
    SyncResponse: _of(
        SyncResponse,
        status=st.sampled_from(["recovered", "reset"]),
        oldest=ids_or_zero,
        epoch=_maybe(_tags),
    ),
    Kick: _of(Kick, reason=_maybe(_text), reconnect=st.booleans(), retry_after=_maybe(_seconds)),
    MessageStatusRequest: _of(MessageStatusRequest, msg_ids=_some_ids),
    MessageStatusResponse: _of(
        MessageStatusResponse,
        items=st.lists(
            _of(
                StatusItem,
                msg_id=ids,
                status=st.sampled_from(get_args(SentState)),
                timestamp=_maybe(_millis),
            ),
            max_size=5,
        ),
    ),
    ReceiptPush: _of(
        ReceiptPush,
        msg_ids=_some_ids,
        user=user_ids,
        status=st.sampled_from(["delivered", "read"]),
        session_id=_maybe(ids),
        timestamp=_maybe(_millis),
        seq=_maybe(ids),
    ),
    ReadSync: _of(ReadSync, from_user=user_ids, msg_id=ids, seq=_maybe(ids)),
    Typing: _of(Typing, to_user=user_ids, active=st.booleans()),
    TypingPush: _of(TypingPush, from_user=user_ids, active=st.booleans()),
    Presence: _of(Presence, user=user_ids, online=st.booleans(), last_seen=_maybe(_millis)),
    AuthExpiring: _of(AuthExpiring, expires_in=_seconds),
    SessionRequest: _of(
        SessionRequest,
        id=_call_ids,
        op=st.sampled_from(SessionOp).map(str) | st.text(_letters, min_size=1, max_size=32),
        params=st.dictionaries(st.text(max_size=12), _params, max_size=5),
    ),
    SessionResponse: _of(
        SessionResponse, id=_call_ids, code=_codes, data=_params, message=_maybe(_text)
    ),
}

#: Any valid message of a client.
client_messages: Final[st.SearchStrategy[Message]] = st.one_of(
    *(MESSAGES[model] for model in CLIENT_MESSAGES)
)
#: Any valid message of a server.
server_messages: Final[st.SearchStrategy[Message]] = st.one_of(
    *(MESSAGES[model] for model in SERVER_MESSAGES)
)


def envelopes(messages: st.SearchStrategy[Message]) -> st.SearchStrategy[str]:
    """Messages, written down: `message` as a string of JSON or as an object."""

    def write(message: Message, inline: bool) -> str:
        envelope = _INVOCATION.encode(message)
        if not inline:
            return envelope
        body = json.loads(json.loads(envelope)["message"])
        return json.dumps({"type": message.kind, "message": body}, ensure_ascii=False)

    return st.builds(write, messages, st.booleans())


def frames(messages: st.SearchStrategy[Message], *, batch: int = 1) -> st.SearchStrategy[str]:
    """Text frames of one envelope, or of an array of at most `batch`.

    AUTH_REQUEST stands alone: it may not be in an array.
    """
    alone = envelopes(messages)
    if batch <= 1:
        return alone
    many = envelopes(messages.filter(lambda message: not isinstance(message, AuthRequest)))
    return alone | st.lists(many, min_size=1, max_size=batch).map(_INVOCATION.join)


#: Any JSON value, NaN and huge numbers included.
json_values: Final[st.SearchStrategy[object]] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=12), inner, max_size=5)
    ),
    max_leaves=12,
)
_models: Final[tuple[type[WireModel], ...]] = (*CLIENT_MESSAGES, *SERVER_MESSAGES, AuthData)
_fields: Final = sorted(
    {str(field.alias or name) for m in _models for name, field in m.model_fields.items()}
)
_bodies: Final = json_values | st.dictionaries(st.sampled_from(_fields), json_values, max_size=6)
_types: Final = sorted({model.kind for model in MESSAGES})
_near_misses: Final = st.builds(
    lambda kind, body, inline: json.dumps(
        {"type": kind, "message": body if inline else json.dumps(body)}
    ),
    st.sampled_from(_types) | st.text(max_size=70) | json_values,
    _bodies,
    st.booleans(),
)
#: Frames that are wrong in all ways, and now and then right by accident.
garbage_frames: Final[st.SearchStrategy[str]] = st.one_of(
    st.text(max_size=60),
    json_values.map(json.dumps),
    _near_misses,
    st.lists(_near_misses, max_size=4).map(lambda some: f"[{','.join(some)}]"),
    st.builds(lambda text, at: text[: at % (len(text) + 1)], _near_misses, st.integers(0, 500)),
)
