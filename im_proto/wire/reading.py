"""Reading JSON that a peer sent: what all dialects do alike, with pydantic-core alone.

No error here ever shows the input: it may hold a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from ..errors import printable
from .dialect import BadFrame
from .types import WireModel

#: Texts that stand for an empty object.
EMPTY: Final = ("", "null")
_MAX_TYPE: Final = 64
_M = TypeVar("_M", bound=WireModel)


def parse_frame(text: str) -> Any:
    """The JSON value that a frame holds.

    Raises:
        BadFrame: it is not JSON, or too deep, or not text.
    """
    try:
        return from_json(text, allow_inf_nan=False)
    except (ValueError, TypeError):  # TypeError: a lone surrogate; the text quotes the input
        raise BadFrame("the frame is not JSON") from None


def kind_of(envelope: Mapping[str, Any]) -> str | None:
    """The envelope's `type`; None if it can't be one."""
    kind = envelope.get("type")
    return kind if isinstance(kind, str) and 0 < len(kind) <= _MAX_TYPE else None


def read_body(model: type[_M], body: object) -> _M:
    """A message's fields, as an object or as JSON in a string; nothing at all is an empty object.

    Raises:
        pydantic.ValidationError: they break the rules of the model.
    """
    if body is None or (isinstance(body, str) and body in EMPTY):
        body = {}
    if isinstance(body, str):
        return model.model_validate_json(body)
    return model.model_validate(body)


def first_error(error: ValidationError) -> str:
    """The first fault, by place and rule."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "message"
    return f"{printable(place, 64)}: {first['type']}"
