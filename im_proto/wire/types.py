"""The bounded building blocks of every message (protocol.md section 1).

Everything that comes in has a bound here: integers a range, strings a length. Ids come as JSON
numbers or as decimal strings, and leave as a number up to 2^53-1 and as a string above, because
JavaScript peers lose precision there.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel

MAX_ID: Final = 2**63 - 1
MAX_SAFE_INTEGER: Final = 2**53 - 1
MAX_TEXT: Final = 65_536
MAX_USER_NAME: Final = 128
MAX_TOKEN: Final = 8192
MAX_SECONDS: Final = 86_400.0 * 366

#: White space and line ends as ECMAScript's String.prototype.trim() knows them.
_JS_TRIM: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_CANONICAL_ID: Final = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)

#: Who somebody is: an int64 above zero, or a name ("bravo").
UserId = int | str


def id_on_wire(value: int | str) -> int | str:
    """How an id leaves: a number as long as JavaScript keeps it exact, else a string."""
    return str(value) if isinstance(value, int) and value > MAX_SAFE_INTEGER else value


def user_id(value: object) -> UserId:
    """Normalise a user id: a canonical decimal string is the int, another string a name.

    Raises:
        ValueError: not an int64 above zero and not a string of 1 to 128 printable characters.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if 1 <= value <= MAX_ID:
            return value
        raise ValueError("a numeric user id is between 1 and 2^63-1")
    if isinstance(value, str):
        if _CANONICAL_ID.fullmatch(value) and int(value) <= MAX_ID:
            return int(value)
        if 0 < len(value) <= MAX_USER_NAME and value.isprintable():
            return value
        raise ValueError(f"a user name has 1 to {MAX_USER_NAME} printable characters")
    raise ValueError("a user id is an integer or a string")


def in_order(one: UserId, other: UserId) -> tuple[UserId, UserId]:
    """Two users in the order in which their chat without a book names them: the first stands as its
    buyer, the second as its seller. Numbers go before names, the lower before the higher, and names
    by their code points."""
    if isinstance(one, int) and isinstance(other, int):  # the usual case, a sixth of the time
        return (one, other) if one <= other else (other, one)
    first, second = sorted((one, other), key=lambda user: (isinstance(user, str), user))
    return first, second


def is_token(token: object) -> bool:
    """May it stand in AUTH_REQUEST: 1 to 8192 characters that are text?"""
    return isinstance(token, str) and 0 < len(token) <= MAX_TOKEN and is_text(token)


def is_text(value: str) -> bool:
    """Can it be written as UTF-8, that is, does it hold no lone surrogate?"""
    if value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def content_units(content: str) -> int:
    """The length that the limit counts: UTF-16 units after trimming as JavaScript trims."""
    trimmed = content.strip(_JS_TRIM)
    if trimmed.isascii():
        return len(trimmed)
    return len(trimmed.encode("utf-16-le", "surrogatepass")) >> 1


def check_content(content: str, limit: int) -> None:
    """Is this a content that may be sent? (protocol.md section 1)

    Args:
        content: what would be sent, untrimmed.
        limit: the most UTF-16 units after trimming.

    Raises:
        ValueError: empty after trimming, too long, or not encodable; the text never holds it.
    """
    # Of plain ASCII that begins with no white space hardly anything is to be looked at: nothing is
    # trimmed at its beginning, so it is not empty, and has no more units than characters.
    plain = content.isascii() and content[:1] >= "!"
    if plain and len(content) <= limit and "\x00" not in content:
        return
    if "\x00" in content:
        raise ValueError("content holds a NUL character, which databases refuse")
    if not is_text(content):
        raise ValueError("content holds a lone surrogate, which is not text")
    units = content_units(content)
    if units == 0:
        raise ValueError("content is empty")
    if units > limit:
        raise ValueError(f"content has {units} UTF-16 units, the limit is {limit}")


def _decimal(value: Any) -> Any:
    """Decimal strings are numbers on this wire; anything else goes on to strict validation."""
    if isinstance(value, str) and len(value) <= 20 and value.isascii():
        digits = value[1:] if value.startswith("-") else value
        if digits.isdigit():
            return int(value)
    return value


def _none_if_bad(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """An optional remark of the peer that can't be read is as good as none."""
    try:
        return handler(value)
    except ValueError:
        return None


def _number_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _no_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("holds a NUL character")
    return value


_on_wire = PlainSerializer(id_on_wire, when_used="json")

#: msgId, sessionId, seq …: 1 to 2^63-1, a number or a decimal string.
Id = Annotated[int, BeforeValidator(_decimal), Field(ge=1, le=MAX_ID), _on_wire]
#: An Id or zero: a cursor that has seen nothing, a book that is none.
IdOrZero = Annotated[int, BeforeValidator(_decimal), Field(ge=0, le=MAX_ID), _on_wire]
#: A user id on the wire, normalised by `user_id`.
WireUserId = Annotated[
    int | str, Field(union_mode="left_to_right"), BeforeValidator(user_id), _on_wire
]
#: A result code; success is 0 on one branch of the family and 200 on the other.
Code = Annotated[int, BeforeValidator(_decimal), Field(ge=-(2**31), le=2**31 - 1)]
#: A time in milliseconds since 1970; what can't be read is None.
Millis = Annotated[
    Annotated[int, BeforeValidator(_decimal), Field(ge=0, le=MAX_ID)] | None,
    WrapValidator(_none_if_bad),
]
#: Seconds, as in `heartbeat` and `retryAfter`.
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, strict=False)]
#: Any text a peer may say to a person.
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
LenientText = Annotated[
    Annotated[str, BeforeValidator(_number_as_text), StringConstraints(max_length=MAX_TEXT)] | None,
    WrapValidator(_none_if_bad),
]
#: A kind of message ("text", "image" …), a number on some servers.
MessageType = Annotated[
    str,
    BeforeValidator(_number_as_text),
    StringConstraints(min_length=1, max_length=64),
    AfterValidator(_no_nul),
]
LenientMessageType = Annotated[MessageType | None, WrapValidator(_none_if_bad)]
LenientId = Annotated[Id | None, WrapValidator(_none_if_bad)]
LenientUserId = Annotated[WireUserId | None, WrapValidator(_none_if_bad)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TOKEN)]
DeviceId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
Epoch = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]


#: What an instance of a model is made with (`WireModel.trusted`), looked up once for all.
new: Final = object.__new__
set_values: Final = BaseModel.__dict__["__dict__"].__set__
set_given: Final = BaseModel.__dict__["__pydantic_fields_set__"].__set__
set_extra: Final = BaseModel.__dict__["__pydantic_extra__"].__set__
set_private: Final = BaseModel.__dict__["__pydantic_private__"].__set__


class WireModel(BaseModel):
    """What all messages share: unknown keys are passed over, errors never show the input."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    #: the fields in order, each with its default; a required one's place is only held
    _blank: ClassVar[dict[str, Any]]
    #: their names; of all messages of `whole` that is the set of what was given
    _names: ClassVar[set[str]]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Once for each class of messages."""
        super().__pydantic_init_subclass__(**kwargs)
        cls._blank = {
            name: None if field.is_required() else field.default
            for name, field in cls.model_fields.items()
        }
        cls._names = set(cls._blank)

    @classmethod
    def whole(cls, values: dict[str, Any]) -> Self:
        """The same of all fields, in the order of the class, at half the price of that.

        Args:
            values: the message keeps this very dictionary.
        """
        made = new(cls)
        set_values(made, values)
        set_given(made, cls._names)
        set_extra(made, None)
        set_private(made, None)
        return made

    @classmethod
    def trusted(cls, **values: Any) -> Self:
        """What `model_construct` makes, at a third of its price, of values that are known to be
        good: nothing is checked, not even that every required field is among them.

        Args:
            values: by attribute, each a field of this class.
        """
        made = new(cls)
        set_values(made, cls._blank | values)
        set_given(made, set(values))
        set_extra(made, None)
        set_private(made, None)
        return made
