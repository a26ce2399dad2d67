"""The dialect of the Invocation family: `{"type": …, "message": "<JSON in a string>"}`.

Read in two passes, both by pydantic-core: the envelopes first, then each message by its type, so
that one bad or unknown message never takes its neighbours along (protocol.md section 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from ..errors import printable
from .dialect import BadFrame, Incoming, Malformed, Unknown
from .messages import CLIENT_MESSAGES, SERVER_MESSAGES, Message
from .types import LenientId, WireModel

_EMPTY: Final = ("", "null")
_MAX_TYPE: Final = 64
_M = TypeVar("_M", bound=WireModel)


class _MsgIdOnly(WireModel):
    msg_id: LenientId = None


class Invocation:
    """The default dialect.

    Args:
        side: which messages are known: a client reads what servers send, and the other way round.
    """

    name: Final = "invocation"

    def __init__(self, side: Literal["client", "server"]) -> None:
        known = SERVER_MESSAGES if side == "client" else CLIENT_MESSAGES
        self._known: dict[str, type[Message]] = {model.kind: model for model in known}

    def decode(self, text: str, *, batch: int) -> list[Incoming]:
        """Read a text frame: one envelope, or with `batch` above 0 an array of them."""
        try:
            frame = from_json(text, allow_inf_nan=False)
        except (ValueError, TypeError):  # TypeError: a lone surrogate; the text quotes the input
            raise BadFrame("the frame is not JSON") from None
        if isinstance(frame, dict):
            return [self._message(frame, batched=False)]
        if not isinstance(frame, list) or not batch:
            raise BadFrame("the frame is not an envelope", 1002)
        if not 0 < len(frame) <= batch:
            raise BadFrame(f"a batch of {len(frame)}, allowed are 1 to {batch}", 1002)
        if not all(isinstance(envelope, dict) for envelope in frame):
            raise BadFrame("the batch holds something that is not an envelope", 1002)
        return [self._message(envelope, batched=True) for envelope in frame]

    def _message(self, envelope: Mapping[str, Any], *, batched: bool) -> Incoming:
        kind = envelope.get("type")
        if not isinstance(kind, str) or not 0 < len(kind) <= _MAX_TYPE:
            return Malformed(kind="", reason="the envelope has no usable type")
        model = self._known.get(kind)
        if model is None:
            return Unknown(kind=printable(kind))
        if batched and kind == "AUTH_REQUEST":
            raise BadFrame("AUTH_REQUEST inside a batch", 1002)
        body = envelope.get("message")
        try:
            return _validate(model, body)
        except ValidationError as error:
            return Malformed(kind=kind, reason=_first_error(error), msg_id=_msg_id(body))

    def encode(self, message: Message) -> str:
        """Write one message as one envelope, its `message` as a string of JSON."""
        body = message.model_dump_json(by_alias=True, exclude_none=True)
        return to_json({"type": message.kind, "message": body}).decode()

    def join(self, envelopes: Sequence[str]) -> str:
        """One envelope as it is, several as an array."""
        return envelopes[0] if len(envelopes) == 1 else f"[{','.join(envelopes)}]"


def _validate(model: type[_M], body: object) -> _M:
    if body is None or (isinstance(body, str) and body in _EMPTY):
        body = {}
    if isinstance(body, str):
        return model.model_validate_json(body)
    return model.model_validate(body)


def _first_error(error: ValidationError) -> str:
    """The first fault, by place and rule. Never the input: it may hold a token."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "message"
    return f"{printable(place, 64)}: {first['type']}"


def _msg_id(body: object) -> int | None:
    try:
        return _validate(_MsgIdOnly, body).msg_id
    except ValidationError:
        return None
