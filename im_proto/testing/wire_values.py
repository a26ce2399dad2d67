"""What the vectors of the wire are drawn from, and how it stands in a line."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from ..wire import (
    MAX_ID,
    Malformed,
    Message,
    Unknown,
    id_on_wire,
)

SEED: Final = 7
BATCH: Final = 4
#: Values, as JSON: each is wrong in some fields and right in others.
ODD: Final[tuple[str, ...]] = (
    *("null", "true", "false", "0", "1", "-1", "-0", "200", "401", "40900", "2147483648"),
    *("1.0", "-0.0", "0.5", "1e3", "1E400", "1e-400", "NaN", "-Infinity", "31622401"),
    *("9007199254740991", "9007199254740993", str(MAX_ID), str(MAX_ID + 1)),
    *('""', '"1"', '"01"', '"-1"', '"+1"', '"-0"', '" 5 "', '"5.5"', '"1e3"', '"1_000"', '"_1"'),
    *('"1__0"', '".5"', '"5."', '"."', '"inf"', '"-nan"', '"0x10"', '"1e400"', '"\\u0663"', '"-"'),
    *(f'"{number}"' for number in (2**53 - 1, 2**53 + 1, MAX_ID, MAX_ID + 1, "9" * 20, "9" * 21)),
    *('"bravo"', '"a b"', '"a\\u0000b"', '"\\u00a0"', '"\\ud83d\\ude00"', '"true"', '"NO"', '"on"'),
    *('"read"', '"reset"', '"a.b:c-d_e"', '"\\u200b"', '"t"', '"2"', f'"{"x" * 65}"'),
    *("[]", "[1]", '["1",2]', "[null]", '["a"]', "[{}]", "{}", '{"a":1}', f'"{"é" * 129}"'),
)
#: A right value for every field of a server's message, as JSON.
RIGHT: Final[dict[str, str]] = {
    "msgId": "7",
    "code": "0",
    "message": '"hello"',
    "sessionId": f'"{2**60}"',
    "timestamp": "1700000000000",
    "serverTime": "1700000000001",
    "content": '"h\\u00e9llo"',
    "fromUser": '"bravo"',
    "toUser": "9",
    "user": f"{2**53 + 1}",
    "messageType": '"text"',
    "seq": "3",
    "deviceId": '"a-b"',
    "errorMsg": '"no"',
    "status": '"read"',
    "oldest": "0",
    "epoch": '"e1"',
    "reason": '"go"',
    "reconnect": "false",
    "retryAfter": "1.5",
    "items": '[{"msgId":1,"status":"never"},{"msgId":"2","status":"read","timestamp":5}]',
    "msgIds": f'[1,"2",{2**53 + 1}]',
    "active": "true",
    "online": "true",
    "lastSeen": '"12"',
    "expiresIn": "60",
    "id": '"c1"',
    "data": '{"a":[1,2.5,"x",null,true]}',
    # of AuthResponse.data
    "userId": "1",
    "username": '"Ann"',
    "capabilities": '["seq","batch"]',
    "lastMsgId": "0",
    "resume": '"recovered"',
    "heartbeat": '{"interval":5,"timeout":"2.5"}',
    "limits": '{"frameBytes":2048,"batch":2,"dedupeSeconds":0}',
    # of the other dialect, and of sessions
    "success": "true",
    "fromUserId": '"bravo"',
    "bookId": "0",
    "buyerId": "5",
    "sellerId": f"{2**60}",
    "sessionStatus": "1",
    "expireTime": '"2026-01-01 00:00:00"',
    "createTime": "1700000000000",
    "buyerReaded": "true",
    "sellerReaded": "2",
    "senderId": "5",
    "receiverId": '"bravo"',
    "messageStatus": "2",
    "sendTime": "1700000000000",
}


def aliases(model: type[BaseModel]) -> list[str]:
    return [str(field.alias) for field in model.model_fields.values()]


def plain(value: object) -> Any:
    """A value as JSON has it, without what is None."""
    if isinstance(value, BaseModel):
        named = {} if not isinstance(value, Message) else {"type": type(value).__name__}
        return named | {to_camel(k): plain(v) for k, v in value if v is not None}
    if is_dataclass(value) and not isinstance(value, type):
        said = {field.name: getattr(value, field.name) for field in fields(value)}
        named = {"type": type(value).__name__} if isinstance(value, Unknown | Malformed) else {}
        return named | {to_camel(k): plain(v) for k, v in said.items() if v is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value if isinstance(value, bool) or not isinstance(value, int) else id_on_wire(value)


def tried(act: Callable[[], object], *faults: type[Exception]) -> dict[str, Any]:
    try:
        return {"gives": plain(act())}
    except faults as fault:
        return {"fault": str(fault)}


def object_of(fields: dict[str, str]) -> str:
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"


def broken(fields: dict[str, str], draw: random.Random) -> Iterator[str]:
    """An object without each of its fields, and with something else in each."""
    for name in fields:
        yield object_of({other: value for other, value in fields.items() if other != name})
        for odd in ("null", *draw.sample(ODD, 3)):
            yield object_of(fields | {name: odd})
