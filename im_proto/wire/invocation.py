"""The dialect of the Invocation family: `{"type": …, "message": "<JSON in a string>"}`.

Read in two passes, both by pydantic-core: the envelopes first, then each message by its type, so
that one bad or unknown message never takes its neighbours along (protocol.md section 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

from pydantic import ValidationError
from pydantic_core import to_json

from ..errors import printable
from .dialect import BadFrame, Incoming, Malformed, Unknown
from .directions import CLIENT_MESSAGES, SERVER_MESSAGES
from .messages import Message
from .quick import READERS, WRITERS
from .reading import first_error, kind_of, parse_frame, read_body
from .types import LenientId, WireModel, new, set_extra, set_given, set_private, set_values


class _MsgIdOnly(WireModel):
    msg_id: LenientId = None


class _SeqOnly(WireModel):
    seq: LenientId = None


class Invocation:
    """The default dialect.

    Args:
        side: which messages are known: a client reads what servers send, and the other way round.
    """

    name: Final = "invocation"
    extensions: Final = True
    in_flight: Final = None

    def __init__(self, side: Literal["client", "server"] = "client") -> None:
        known = SERVER_MESSAGES if side == "client" else CLIENT_MESSAGES
        self._known: dict[str, type[Message]] = {model.kind: model for model in known}
        self._quick = {kind: READERS[kind] for kind in self._known if kind in READERS}

    def decode(self, text: str, *, batch: int) -> list[Incoming]:
        """Read a text frame: one envelope, or with `batch` above 0 an array of them."""
        frame = parse_frame(text)
        if isinstance(frame, dict):
            return self._messages([frame], batched=False)
        if not isinstance(frame, list) or not batch:
            raise BadFrame("the frame is not an envelope", 1002)
        if not 0 < len(frame) <= batch:
            raise BadFrame(f"a batch of {len(frame)}, allowed are 1 to {batch}", 1002)
        if set(map(type, frame)) != {dict}:
            raise BadFrame("the batch holds something that is not an envelope", 1002)
        return self._messages(frame, batched=True)

    def _messages(self, envelopes: list[dict[str, Any]], *, batched: bool) -> list[Incoming]:
        """What stands in envelopes: the traffic by `quick`, and by its models what is rare or odd.

        What `quick` has checked becomes a message here as in `WireModel.trusted`, without a call.
        """
        quick = self._quick
        found: list[Incoming] = []
        for envelope in envelopes:
            try:
                model, by_json, by_python = quick[envelope["type"]]
                body = envelope["message"]
                values, _, given = by_json(body) if type(body) is str else by_python(body)
            except (LookupError, TypeError, ValueError):  # TypeError: a type that can't be a key
                found.append(self._message(envelope, batched=batched))
                continue
            message = new(model)
            set_values(message, values)
            set_given(message, given)
            set_extra(message, None)
            set_private(message, None)
            found.append(message)
        return found

    def _message(self, envelope: Mapping[str, Any], *, batched: bool) -> Incoming:
        kind = kind_of(envelope)
        if kind is None:
            return Malformed(kind="", reason="the envelope has no usable type")
        model = self._known.get(kind)
        if model is None:
            return Unknown(kind=printable(kind), seq=_named(_SeqOnly, envelope.get("message")).seq)
        if batched and kind == "AUTH_REQUEST":
            raise BadFrame("AUTH_REQUEST inside a batch", 1002)
        body = envelope.get("message")
        try:
            return read_body(model, body)
        except ValidationError as error:
            return Malformed(
                kind=kind, reason=first_error(error), msg_id=_named(_MsgIdOnly, body).msg_id
            )

    def encode(self, message: Message, *, wall_ms: int = 0, inline: bool = False) -> str:
        """Write one message as one envelope, its `message` as a string of JSON, or (`inline`) as
        it is."""
        write = WRITERS.get(type(message))
        if write is not None:
            body = write(message)
        else:
            body = message.model_dump_json(by_alias=True, exclude_none=True)
        if not inline:
            body = to_json(body).decode()
        return f'{{"type":"{message.kind}","message":{body}}}'

    def join(self, envelopes: Sequence[str]) -> str:
        """One envelope as it is, several as an array."""
        return envelopes[0] if len(envelopes) == 1 else f"[{','.join(envelopes)}]"


_M = TypeVar("_M", bound=WireModel)


def _named(model: type[_M], body: object) -> _M:
    """What one key of a message says, where the message as a whole can't be read."""
    try:
        return read_body(model, body)
    except ValidationError:
        return model()
