"""The rules for what an application hands over, each by its name: for forms, before anything is
sent. The client applies the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from .config.client import ClientConfig, _check_url
from .errors import IMError, IMErrorCode, LocalProtocolError
from .wire import MAX_ID, check_content, user_id
from .wire.types import DeviceId, is_token

__all__ = [
    "RULES",
    "content",
    "device_id",
    "message_type",
    "msg_id",
    "session_id",
    "token",
    "user_id",
    "validate",
    "ws_url",
]

_CONTENT_UNITS: Final = ClientConfig.model_fields["content_units"].default
_DEVICE_ID: Final[TypeAdapter[str]] = TypeAdapter(DeviceId)


def content(value: object, units: int = _CONTENT_UNITS) -> str:
    """What a message says: 1 to `units` UTF-16 units after trimming as JavaScript trims, no NUL,
    no lone surrogate (protocol.md section 1).

    Raises:
        ValueError: names what is wrong, never the content.
    """
    if type(value) is not str:
        raise ValueError(f"content is a str, not {type(value).__name__}")
    check_content(value, units)
    return value


def message_type(value: object) -> str:
    """A kind of message ("text", "image" …): 1 to 64 printable characters.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str) or not 0 < len(value) <= 64 or not value.isprintable():
        raise ValueError("message_type has 1 to 64 printable characters")
    return value


def msg_id(value: object) -> int:
    """The id of a message: an int between 1 and 2^63-1.

    Raises:
        ValueError: it is none.
    """
    return _id("msg_id", value)


def session_id(value: object) -> int:
    """The id of a session: an int between 1 and 2^63-1.

    Raises:
        ValueError: it is none.
    """
    return _id("session_id", value)


def _id(name: str, value: object) -> int:
    if type(value) is not int or not 0 < value <= MAX_ID:
        raise ValueError(f"{name} is an int between 1 and 2^63-1")
    return value


def token(value: object) -> str:
    """An access token: 1 to 8192 characters that can be written as UTF-8.

    Raises:
        ValueError: it is none; the text never holds it.
    """
    if not isinstance(value, str) or not is_token(value):
        raise ValueError("token has 1 to 8192 characters, and is text")
    return value


def device_id(value: object) -> str:
    """An installation's name at the server: 1 to 64 of A-Z, a-z, 0-9 and `_ . : -`.

    Raises:
        ValueError: it is none.
    """
    try:
        return _DEVICE_ID.validate_python(value, strict=True)
    except ValidationError:
        raise ValueError("device_id has 1 to 64 of A-Z, a-z, 0-9 and _ . : -") from None


def ws_url(value: object) -> str:
    """Where the server is: ws://… or wss://…, without user, password or fragment.

    Raises:
        ValueError: it is no such URL.
    """
    if not isinstance(value, str):
        raise ValueError(f"ws_url is a str, not {type(value).__name__}")
    return _check_url(value)


#: Every rule by its name; it returns the value as the client uses it, or raises ValueError.
RULES: Final[Mapping[str, Callable[[Any], object]]] = {
    rule.__name__: rule
    for rule in (content, user_id, msg_id, session_id, message_type, token, device_id, ws_url)
}


def validate(rule: str, value: object) -> object:
    """Apply a rule by its name.

    Args:
        rule: a key of `RULES`.
        value: what the application would hand over.

    Returns:
        The value as the client uses it: a `user_id` of "7" as 7, all others as they are.

    Raises:
        IMError: MESSAGE_FORMAT_ERROR, saying what is wrong and never showing a token or content.
        LocalProtocolError: there is no such rule.
    """
    check = RULES.get(rule)
    if check is None:
        raise LocalProtocolError(f"there is no rule {rule!r}; there are {', '.join(RULES)}")
    try:
        return check(value)
    except ValueError as error:
        raise IMError(IMErrorCode.MESSAGE_FORMAT_ERROR, str(error)) from None
