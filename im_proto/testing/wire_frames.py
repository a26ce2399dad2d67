"""Frames for the vectors of the wire: whole, odd and broken in every way."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, Final

from ..wire import (
    DIALECTS,
    MAX_ID,
    SERVER_MESSAGES,
    AuthData,
    BadFrame,
    ServerLimits,
    SyncResponse,
)
from .wire_values import BATCH, ODD, RIGHT, SEED, aliases, broken, object_of, plain


def read(text: str, dialect: str = "invocation") -> dict[str, Any]:
    vector: dict[str, Any] = {"read": text}
    if dialect != "invocation":
        vector["dialect"] = dialect
    try:
        return vector | {"gives": plain(DIALECTS[dialect]().decode(text, batch=BATCH))}
    except BadFrame as bad:
        return vector | {"bad": [bad.reason, bad.close_code]}


def _envelope(kind: str, body: str, *, inline: bool) -> str:
    return f'{{"type":"{kind}","message":{body if inline else json.dumps(body)}}}'


def whole_frames() -> Iterator[str]:
    """Frames that are odd before any message is looked at."""
    beat = '{"type":"HEARTBEAT_RESPONSE"}'
    yield from ("", " ", "{}", "[]", "null", "5", '"x"', "[1]", "[{}]", "nul", "tru", "truefalse")
    yield from (
        beat,
        *(f" \t\r\n{beat}\n ", f"\ufeff{beat}", f"\u00a0{beat}", f"{beat} x"),
        beat + beat,
    )
    yield from (f"[{','.join([beat] * n)}]" for n in (1, BATCH, BATCH + 1))
    yield from (f"[{beat},5]", f"[{beat},]", f"[{beat}", f"[[{beat}]]", f"[{beat} {beat}]", "[,]")
    yield from (beat[:n] for n in range(1, len(beat), 5))
    yield from ("{'a':1}", "{a:1}", '{"a":1,}', '{"a"}', '{"a":}', "{,}", '{"a" 1}', "//x", "[1]]")
    for number in [
        *("01", "1.", ".5", "+1", "-", "1e", "1e+", "--1", "0x1", "1_0", "-01", "1e5.5", "NaN"),
        *("1e400", "-0", "0.0", "1E-7"),
    ]:
        yield f'{{"type":"HEARTBEAT_RESPONSE","x":{number}}}'
    for number in ("1" * 4300, "-" + "1" * 4300, "1" * 4301):
        yield f'{{"type":"HEARTBEAT_RESPONSE","x":{number}}}'
    for string in [r"\ud800", r"\udc00x", r"\ud83d\ude00", r"\u00e9", r"\x", r"\/", r"\u12"]:
        yield f'{{"type":"{string}"}}'
    yield from ('{"type":"\t"}', '{"type":"\x7f"}', '{"type":"\ud800"}', '{"a\\ud800":1}')
    yield from (r'{"typ\u0065":"KICK"}', '{"__proto__":{"type":"KICK"}}', '{"type":"__proto__"}')
    for n in (199, 200, 201):
        yield f'{{"x":{"[" * n}1{"]" * n}}}'
        yield f'{{"x":{"[" * n}{"]" * n}}}'
        yield '{"x":' * n + "{}" + "}" * n
    for kind in ("null", "5", '""', f'"{"k" * 64}"', f'"{"k" * 65}"', f'"{"😀" * 64}"', "[]"):
        yield f'{{"type":{kind}}}'
    for name in ("AUTH_REQUEST", "kick", "toString", "a\u202eb\u0085", "x" * 64):
        yield f'{{"type":"{name}"}}'
    yield '{"type":"KICK","type":"HEARTBEAT_RESPONSE"}'
    for body in ('{"seq":5}', '"{\\"seq\\":\\"5\\"}"', '{"seq":0}', '"5"', '"{"', "null", '"null"'):
        yield f'{{"type":"NEW_ONE","message":{body}}}'


def messages_of_servers() -> Iterator[str]:
    draw = random.Random(SEED)  # noqa: S311
    for model in SERVER_MESSAGES:
        right = {name: RIGHT[name] for name in aliases(model)}
        if model is SyncResponse:
            right["status"] = '"reset"'
        snake = {str(name): right[str(f.alias)] for name, f in model.model_fields.items()}
        for fields_ in (right, dict(reversed(right.items())), snake):
            yield _envelope(model.kind, object_of(fields_), inline=False)
            yield _envelope(model.kind, object_of(fields_), inline=True)
        for body in ("{}", "", "null", " null", "[]", "5", '"x"', "{", "{} x", "\ufeff{}"):
            yield _envelope(model.kind, body, inline=False)
        for body in ("null", '""', "[]", "5", "true"):
            yield _envelope(model.kind, body, inline=True)
        for body in broken(right, draw):
            yield _envelope(model.kind, body, inline=draw.random() < 0.4)
    for body in _log_ins(draw):
        yield _envelope("AUTH_RESPONSE", body, inline=draw.random() < 0.4)
    for item in broken({"msgId": "1", "status": '"never"', "timestamp": "5"}, draw):
        yield _envelope("MESSAGE_STATUS_RESPONSE", f'{{"items":[{item}]}}', inline=True)
    for n, one in ((1000, "1"), (1001, "1"), (1001, "0")):
        ids = ",".join([one] * n)
        yield _envelope(
            "RECEIPT_PUSH", f'{{"msgIds":[{ids}],"user":1,"status":"read"}}', inline=True
        )
    for body in (
        *('{"msgId":"x","msgId":2}', '{"msg_id":2,"msgId":1}', '{"msg_id":2,"msgId":"x"}'),
        *('{"msg_id":"x","code":[]}', '{"code":"x","msgId":9}', '{"code":"x"}'),
    ):
        yield _envelope("CHAT_SEND_RESPONSE", body, inline=False)
    for kind, name, rest in _ONE_OF_EACH:
        others = {part: RIGHT[part] for part in rest.split()}
        for n, odd in enumerate(ODD):
            yield _envelope(kind, object_of({name: odd} | others), inline=n % 3 == 0)


def _log_ins(draw: random.Random) -> Iterator[str]:
    """What stands inside of `data`, where nothing is a fault."""
    data = {name: RIGHT[name] for name in aliases(AuthData)}
    bodies = [object_of(data), '{"limits":{}}', *broken(data, draw)]
    heartbeat = {"interval": "5", "timeout": "2"}
    bodies += [object_of({"heartbeat": hint}) for hint in broken(heartbeat, draw)]
    limits = dict.fromkeys(aliases(ServerLimits), "2000")
    bodies += [object_of({"limits": limit}) for limit in broken(limits, draw)]
    return (f'{{"code":200,"data":{body}}}' for body in bodies)


#: A field of every kind, and what else its message needs.
_ONE_OF_EACH: Final = (
    ("CHAT_SEND_RESPONSE", "msgId", ""),
    ("CHAT_SEND_RESPONSE", "code", "msgId"),
    ("CHAT_ERROR_RESPONSE", "message", ""),
    ("AUTH_EXPIRING", "expiresIn", ""),
    ("KICK", "reconnect", ""),
    ("PRESENCE", "user", "online"),
    ("SYNC_RESPONSE", "status", "oldest"),
    ("SESSION_RESPONSE", "id", "code"),
    ("SESSION_RESPONSE", "data", "id code"),
    ("CHAT_REDIRECT_TO_USER_REQUEST", "content", ""),
    ("CHAT_REDIRECT_TO_USER_REQUEST", "messageType", "content"),
    ("MESSAGE_STATUS_RESPONSE", "items", ""),
    ("RECEIPT_PUSH", "msgIds", "user status"),
    ("AUTH_RESPONSE", "data", "code"),
)


def frames_of_the_other_dialect() -> Iterator[str]:
    draw = random.Random(SEED)  # noqa: S311
    messages = {
        "auth_response": "success code message userId",
        "heartbeat_response": "timestamp serverTime",
        "chat_message": "content fromUserId messageType timestamp",
        "chat_response": "code success message",
    }
    for kind, names in messages.items():
        right = {name: RIGHT[name] for name in names.split()}
        for body in (object_of(right), *broken(right, draw)):
            frame = {"type": f'"{kind}"', "id": '"m7"'}
            way = draw.randrange(3)
            if way == 0:
                yield object_of(frame | {"data": body})
            elif way == 1:
                yield object_of(frame | {"data": json.dumps(body)})
            else:
                yield object_of(frame)[:-1] + "," + body[1:] if body != "{}" else object_of(frame)
        for data in (
            *("{}", "null", '""', '"null"', "[]", "5", '"{"', '"5"', '"NaN"', '"{\\"x\\":NaN}"'),
        ):
            yield f'{{"type":"{kind}","content":"beside","data":{data}}}'
            yield f'{{"type":"{kind}","success":false,"data":{data}}}'
    for odd in ODD:
        yield f'{{"type":"chat_response","data":{{"success":{odd}}}}}'
        yield f'{{"type":"chat_response","id":{odd},"data":{{"code":{odd}}}}}'
    for number in (
        *("m1", "m0", "m01", "7", "M7", "m", f"m{2**53 + 1}", f"m{MAX_ID}", f"m{MAX_ID + 1}"),
    ):
        yield f'{{"type":"chat_response","id":"{number}"}}'
    for success in ("true", "false", "null"):
        for code in ("null", "0", "200", "401", "500"):
            data = f'{{"success":{success},"code":{code}}}'
            yield f'{{"type":"chat_response","data":{data}}}'
            yield f'{{"type":"auth_response","data":{data}}}'
    yield from ("[]", '{"type":5}', '{"type":"new_one","seq":5}', '[{"type":"chat_response"}]')
