"""Configurations, journals, inputs and actions as plain JSON, and back (docs/vectors.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, Final, get_args, get_type_hints

from pydantic import BaseModel
from pydantic.alias_generators import to_camel, to_snake

from ...client import actions as act
from ...client import events as ev
from ...client import inputs as inp
from ...client import journal as jn
from ...config import ClientConfig
from ...errors import IMError
from ...wire import UserId
from ...wire.types import MAX_SAFE_INTEGER, id_on_wire, user_id

Plain = dict[str, Any]

INPUTS: Final[Mapping[str, type]] = {kind.__name__: kind for kind in get_args(inp.CoreInput)}
_CHANGES: Final[Mapping[str, type]] = {kind.__name__: kind for kind in get_args(jn.Change)}
#: What has a `type`: the members of unions.
_TAGGED: Final = frozenset(
    {*INPUTS.values(), *_CHANGES.values(), *get_args(act.CoreAction), *get_args(ev.Event)}
)
#: What may be above 2^53-1, and is a string then.
_IDS: Final = frozenset(
    {
        *("id", "msg_id", "msg_ids", "session_id", "book_id", "start_msg_id", "highest_msg_id"),
        *("to_user", "from_user", "user", "user_id", "buyer_id", "seller_id", "peer_id"),
        *("sender_id", "receiver_id"),
    }
)
#: Of what an application says, what stands at its default may be left out.
_OF_THE_APPLICATION: Final = (inp.Send, inp.SessionCall, inp.MessageHandled, inp.SetTyping)
#: Of transports that give bytes.
_NOT_OF_A_CORE: Final = ("proxy", "unix_path", "headers")
#: The token of a client that has a function instead.
_FUNCTION: Final = None


class Untellable(Exception):
    """JSON, or JavaScript, has no way to say it."""


def tell(value: Any, field: str = "") -> Any:
    """A value as plain JSON: names in camelCase, ids above 2^53-1 as strings.

    Raises:
        Untellable: a number that JavaScript would not keep, or bytes that are no text.
    """
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_SAFE_INTEGER and field not in _IDS:
            raise Untellable(f"{field} {value}")
        return id_on_wire(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Untellable(f"{field} {value}")
        return int(value) if value.is_integer() and abs(value) < MAX_SAFE_INTEGER else value
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise Untellable(f"{field}: bytes that are no text") from None
    if isinstance(value, IMError):
        names = ("code", "text", "server_code", "server_text", "retryable", "terminal")
        return {to_camel(name): tell(getattr(value, name)) for name in names}
    if isinstance(value, BaseModel):
        model = type(value).model_fields
        return {to_camel(name): tell(getattr(value, name), name) for name in model}
    if isinstance(value, frozenset):
        return sorted(tell(one, field) for one in value)
    if isinstance(value, list | tuple):
        return [tell(one, field) for one in value]
    if not is_dataclass(value):
        raise Untellable(f"{field} {type(value).__name__}")
    told: Plain = {"type": type(value).__name__} if type(value) in _TAGGED else {}
    if isinstance(value, jn.PairKnown):
        value = replace(value, digest=b"")  # private to an implementation
    for part in fields(value):
        told[to_camel(part.name)] = tell(getattr(value, part.name), part.name)
    return told


def brief(actions: list[act.CoreAction]) -> list[Plain]:
    """Actions as plain JSON, without what is null, and without StateChanged's `previous`: it is
    the `current` of the one before.

    Raises:
        Untellable: as `tell`.
    """
    told: list[Plain] = tell(actions)
    for action in told:
        action.get("event", {}).pop("previous", None)
    return [_without_nulls(action) for action in told]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def told_input(event: object) -> Plain:
    """An input; of an application's without what stands at its default.

    Raises:
        Untellable: as `tell`, or it is no input of a core.
    """
    if type(event) not in INPUTS.values():
        raise Untellable(type(event).__name__)
    told: Plain = tell(event)
    if isinstance(event, _OF_THE_APPLICATION):
        for part in fields(event):
            if getattr(event, part.name) == part.default:
                del told[to_camel(part.name)]
    return told


def read_input(told: Plain) -> inp.CoreInput:
    """An input again."""
    event: inp.CoreInput = _read(INPUTS[told["type"]], told)
    return event


def _read(kind: Any, told: Plain) -> Any:
    hints = get_type_hints(kind)
    given = {to_snake(name): value for name, value in told.items() if name != "type"}
    return kind(**{name: _value(hints[name], name, value) for name, value in given.items()})


def _value(hint: Any, field: str, value: Any) -> Any:
    kinds = set(get_args(hint)) | {hint}
    if value is None:
        return None
    if bytes in kinds:
        return value.encode()
    if float in kinds:
        return float(value)
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return kind(value)
    return _id(value) if field in _IDS else value


def _id(value: UserId) -> UserId:
    """A number that was too large for one."""
    if isinstance(value, str) and value.isdigit() and len(value) > 15:
        return user_id(value)
    return value


# ---------------------------------------------------------------- configurations


def told_config(config: ClientConfig) -> Plain:
    """What is not at its default; a token function is null."""
    told: Plain = {}
    for name, field in ClientConfig.model_fields.items():
        value = getattr(config, name)
        if name in _NOT_OF_A_CORE or (not field.is_required() and value == field.default):
            continue
        if name == "token":
            told[name] = value if isinstance(value, str) else _FUNCTION
        elif isinstance(value, BaseModel):
            told[to_camel(name)] = {
                to_camel(part): tell(one)
                for part, one in value.model_dump(exclude_defaults=True).items()
            }
        else:
            told[to_camel(name)] = tell(value, name)
    return told


def read_config(told: Plain) -> ClientConfig:
    """A configuration again."""
    given: Plain = {}
    for name, value in told.items():
        if isinstance(value, dict):
            given[to_snake(name)] = {to_snake(part): one for part, one in value.items()}
        else:
            given[to_snake(name)] = value
    if given["token"] is _FUNCTION:
        given["token"] = _never_called
    return ClientConfig.model_validate(given)


def _never_called() -> str:
    raise AssertionError("the engine asks with FetchToken")


# ---------------------------------------------------------------- journals


def told_journal(state: jn.JournalState | None) -> Plain | None:
    """All that a journal holds; of pairs not what they are compared by."""
    if state is None:
        return None
    return {
        "identity": tell(state.identity),
        "outgoing": [tell(record) for record in state.outgoing.values()],
        "cursor": tell(state.cursor),
        "offered": tell(state.offered, "offered"),
        "handled": [tell(seq, "handled") for seq in sorted(state.handled)],
        "pairs": [[tell(user, "user"), tell(msg_id, "id"), ""] for user, msg_id in state.pairs],
        "knownPairs": state.known_pairs,
    }


def read_journal(told: Plain | None) -> jn.JournalState | None:
    """A journal again."""
    if told is None:
        return None
    state = jn.JournalState(known_pairs=told["knownPairs"])
    records = [record for record in (told["identity"], told["cursor"]) if record is not None]
    state.apply(_read(_CHANGES[one["type"]], one) for one in [*records, *told["outgoing"]])
    state.offered = told["offered"]
    state.handled = set(told["handled"])
    for user, msg_id, _ in told["pairs"]:
        state.pairs[_id(user), int(msg_id)] = b""
    return state
