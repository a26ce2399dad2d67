"""The shapes of messages, records and configurations as plain data, for readers in other languages.

A shape is an object with a `type`: "integer", "number", "string", "boolean", "any", "id" (up to
2^63-1: a number up to 2^53-1, above it a decimal string), "userId" (such an id, or a name),
"bytes", "error" (an IMError), "function"; "enum" with `values`; "array" with `items`, "map" with
`keys` and `values`, "pair" with `items`; "ref" with `ref`, the name of another shape; "union" with
`of`. Beside it may stand: `nullable`; `lenient` (what can't be read is null); `decimalString` and
`numberAsText` (taken as well); the bounds `minimum`, `maximum`, `above`, `below` of numbers and
`least`, `most` of what has a length; `pattern`; `noNul`; `default`; `doc`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum, StrEnum
from typing import Annotated, Any, Final, Literal, Optional, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from .errors import IMError
from .wire import messages as _messages
from .wire import types as _types

Shape = dict[str, Any]

_NONE: Final = type(None)
#: There are two ways to write one.
_UNIONS: Final = (get_origin(Optional[int]), get_origin(int | None))  # noqa: UP045

#: Numbers of these names are ids, which JavaScript may not hold as numbers.
_IDS: Final = frozenset(
    {"msg_id", "msg_ids", "session_id", "book_id", "start_msg_id", "highest_msg_id"}
)
_PLAIN: Final[Mapping[object, str]] = {
    int: "integer",
    float: "number",
    str: "string",
    bool: "boolean",
    bytes: "bytes",
    object: "any",
    Any: "any",
    IMError: "error",
}
_BOUNDS: Final = {
    "ge": "minimum",
    "gt": "above",
    "le": "maximum",
    "lt": "below",
    "min_length": "least",
    "max_length": "most",
    "pattern": "pattern",
}
#: What a function before or around the validation does to a field.
_REMARKS: Final[Mapping[object, Shape]] = {
    _types._decimal: {"decimalString": True},
    _types._number_as_text: {"numberAsText": True},
    _types._none_if_bad: {"lenient": True},
    _types._no_nul: {"noNul": True},
    _types.id_on_wire: {"type": "id"},
    _messages._object_or_none: {"objectOrNull": True},
}


class Shapes:
    """Describes types; those that have a name of their own are referred to by it.

    Args:
        named: names of unions and of sets of words.
    """

    def __init__(self, named: Mapping[str, object]) -> None:
        self._named = named

    def record(self, kind: type) -> Shape:
        """A dataclass or a pydantic model: its name, what it is, and its fields in order."""
        of = self._of_dataclass if is_dataclass(kind) else self._of_model
        docs = {to_camel(name): doc for name, doc in of_parts(kind.__doc__).items()}
        listed = [f | {"doc": docs[f["name"]]} if f["name"] in docs else f for f in of(kind)]
        return {"name": kind.__name__, "doc": words(kind.__doc__), "fields": listed}

    def _of_dataclass(self, kind: Any) -> list[Shape]:
        hints = get_type_hints(kind, include_extras=True)
        found = []
        for field in fields(kind):
            shape = {"name": to_camel(field.name)} | self.of(hints[field.name], field.name)
            if field.default is not MISSING:
                shape["default"] = plain(field.default)
            found.append(shape)
        return found

    def _of_model(self, kind: type[BaseModel]) -> list[Shape]:
        hints = get_type_hints(kind, include_extras=True)
        found = []
        for name, field in kind.model_fields.items():
            shape = {"name": to_camel(name)} | self.of(hints[name], "")
            if not field.is_required():
                shape["default"] = plain(field.default)
            found.append(shape)
        return found

    def of(self, hint: Any, field: str = "") -> Shape:
        """The shape of a type; `field` is what bears it."""
        for name, named in self._named.items():
            if hint == named:
                return {"type": "ref", "ref": name}
        origin, given = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self._bounded(given[0], given[1:], field)
        if origin in _UNIONS:
            return self._union(given, field)
        if origin is Literal:
            return {"type": "enum", "values": list(given)}
        if origin in (list, frozenset, set) or (origin is tuple and given[-1] is Ellipsis):
            shape = {"type": "array", "items": self.of(given[0], field)}
            return shape | {"sorted": True} if origin is frozenset else shape
        if origin is tuple:
            return {"type": "pair", "items": [self.of(item, field) for item in given]}
        if origin is dict:
            return {"type": "map", "keys": self.of(given[0]), "values": self.of(given[1])}
        if origin is not None and issubclass(origin, Callable):  # type: ignore[arg-type]
            return {"type": "function"}
        if hint is int and field in _IDS:
            return {"type": "id"}
        if hint in _PLAIN:
            return {"type": _PLAIN[hint]}
        return {"type": "ref", "ref": hint.__name__}

    def _union(self, given: tuple[Any, ...], field: str) -> Shape:
        rest = [one for one in given if one is not _NONE]
        if set(rest) == {int, str}:
            shape: Shape = {"type": "userId"}
        elif len(rest) == 1:
            shape = self.of(rest[0], field)
        else:
            shape = {"type": "union", "of": [self.of(one, field) for one in rest]}
        return shape | {"nullable": True} if len(rest) < len(given) else shape

    def _bounded(self, base: Any, marks: tuple[Any, ...], field: str) -> Shape:
        shape = self.of(base, field)
        for mark in marks:
            shape |= _bounds(mark)
            for part in getattr(mark, "metadata", ()):
                shape |= _bounds(part)
            shape |= _REMARKS.get(getattr(mark, "func", None), {})
        if _types.user_id in [getattr(mark, "func", None) for mark in marks]:
            shape = {"type": "userId"} | {k: v for k, v in shape.items() if k in _BESIDE}
        if shape["type"] in ("id", "integer") and shape.get("maximum") == str(_types.MAX_ID):
            del shape["maximum"]
        return shape


#: What else than its type is told of a user id.
_BESIDE: Final = ("nullable", "lenient")


def _bounds(mark: object) -> Shape:
    found = {}
    for name, called in _BOUNDS.items():
        value = getattr(mark, name, None)
        if value is not None and not callable(value):
            found[called] = plain(getattr(value, "pattern", value))
    return found


def plain(value: Any) -> Any:
    """A value as JSON has it: models as objects in camelCase, integers above 2^53-1 as strings,
    sets in order.

    Raises:
        TypeError: it can't be told.
    """
    if isinstance(value, Enum):
        return value.value if isinstance(value, StrEnum) else value.name
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return str(value) if abs(value) > _types.MAX_SAFE_INTEGER else value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, BaseModel):
        return {to_camel(name): plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(plain(one) for one in value)
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    raise TypeError(f"{type(value).__name__} can't be told as JSON")


def words(doc: str | None) -> str:
    """What a docstring says of the whole: its paragraphs, one line each, before its lists."""
    told = _LIST.split(doc or "")[0]
    return "\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", told.strip()))


def of_parts(doc: str | None) -> dict[str, str]:
    """What a docstring says of each attribute."""
    _, _, listed = (doc or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    for names, text in _ITEM.findall(_LIST.split(listed)[0]):
        found |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return found


_LIST: Final = re.compile(r"^ *(?:Attributes|Args|Raises):$", re.M)
_ITEM: Final = re.compile(r"^ {8}(\w+(?:, \w+)*):((?:.*\n?)(?: {9,}.*\n?)*)", re.M)
