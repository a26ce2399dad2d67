"""The vectors of the wire that are no frames to read."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import from_json

from ..config import ClientConfig
from ..errors import LocalProtocolError, printable
from ..validation import RULES
from ..wire import (
    DIALECTS,
    MAX_ID,
    AuthRequest,
    ChatAck,
    ChatReadReceipt,
    ChatSendToOne,
    ClientLimits,
    HeartbeatRequest,
    Message,
    MessageStatusRequest,
    ResumeFrom,
    SessionRequest,
    SyncRequest,
    Typing,
    content_units,
)
from ..wire.packing import pack
from ..wire.session import (
    BadAnswer,
    HistoryRecord,
    SessionVO,
    read_answer,
    read_history,
    read_session,
    read_sessions,
)
from .wire_values import ODD, RIGHT, SEED, aliases, broken, object_of, plain, tried

# ---------------------------------------------------------------- what is written


def written() -> Iterator[dict[str, Any]]:
    nasty = '"\\/\b\f\n\r\t\x00\x1f\x7f\u0085\u2028é😀 x'
    resume = ResumeFrom(epoch="e", seq=5, from_user="bravo", msg_id=2**60)
    messages: list[Message] = [
        AuthRequest(access_token=nasty),
        AuthRequest(access_token="t", user_id=7, capabilities=["seq", "batch"], device_id="a-b"),  # noqa: S106
        AuthRequest(
            access_token="t",  # noqa: S106
            user_id="bravo",
            limits=ClientLimits(frame_bytes=1024, batch=64),
            resume=resume,
        ),
        AuthRequest(
            access_token="t",  # noqa: S106
            user_id=2**60,
            limits=ClientLimits(frame_bytes=1024),
            resume=ResumeFrom(epoch="e", seq=0),
        ),
        HeartbeatRequest(),
        HeartbeatRequest(timestamp=1_700_000_000_000),
        ChatSendToOne(msg_id=1, to_user="bravo", content=nasty),
        ChatSendToOne(
            msg_id=2**53, to_user=2**53 - 1, content="x", session_id=MAX_ID, message_type="image"
        ),
        ChatSendToOne(msg_id=5, to_user=6, content="x", session_id=7, message_type="text"),
        ChatReadReceipt(msg_id=3, from_user=MAX_ID),
        ChatAck(seq=0),
        SyncRequest(after=2**53 - 1),
        MessageStatusRequest(msg_ids=[1, 2**53 - 1, 2**53]),
        Typing(to_user="bravo", active=False),
        SessionRequest(id="1", op="get", params={"b": 1, "a": str(2**60), "c": "é", "d": True}),
    ]
    for message in messages:
        for dialect, inline in (("invocation", False), ("invocation", True), ("typed", False)):
            written = {"type": type(message).__name__} | {
                to_camel(name): _written_value(value) for name, value in message
            }
            if (
                isinstance(message, ChatSendToOne)
                and dialect == "typed"
                and message.session_id == 7
            ):
                written["messageType"] = ""
                message = message.model_copy(update={"message_type": ""})
            yield {
                "write": written,
                "dialect": dialect,
                "wallMs": 1_700_000_000_123,
                "inline": inline,
            } | tried(
                lambda d=dialect, m=message, i=inline: DIALECTS[d]().encode(  # type: ignore[misc]
                    m, wall_ms=1_700_000_000_123, inline=i
                ),
                LocalProtocolError,
            )


def _written_value(value: object) -> Any:
    if isinstance(value, BaseModel):
        return {to_camel(name): _written_value(part) for name, part in value}
    return plain(value)


# ---------------------------------------------------------------- what an application gives


def rules() -> Iterator[dict[str, Any]]:
    values: dict[str, tuple[object, ...]] = {
        "content": (
            *(
                "",
                " ",
                "x",
                " x ",
                "x" * 1000,
                "x" * 1001,
                " " * 2000 + "x",
                "😀" * 500,
                "😀" * 501,
            ),
            *("a\x00b", "\ud800", "a\udc00", "\ufeff\u3000\x0b", "\u0085", "\u200b", "\x1c"),
            "\u180e",
        ),
        "user_id": (
            *(0, 1, -1, 2**53 - 1, "1", "01", "0", "-1", str(2**53 - 1), str(2**53), str(MAX_ID)),
            *(str(MAX_ID + 1), "1" * 20, "", "bravo", "a b", " ", "a\tb", "a\u00a0b", "\u200b"),
            *("x" * 128, "x" * 129, "😀" * 128, "😀" * 129, "\ud800", "é", "\u0663", "\ue000"),
        ),
        "msg_id": (0, 1, -1, 2**53 - 1, "", "x"),
        "session_id": (0, 1, 2**53 - 1),
        "message_type": ("", "text", "x" * 64, "x" * 65, "😀" * 64, "a\nb", "a b", "\x00"),
        "token": ("", "t", "é", "\ud800", "a\x00b", "😀" * 8192),
        "device_id": ("", "a", "a-b_c.d:e", "x" * 64, "x" * 65, "a b", "é", "a\n"),
        "ws_url": _URLS,
    }
    for rule, given in values.items():
        for value in given:
            yield {"rule": to_camel(rule), "value": value} | tried(
                lambda r=rule, v=value: RULES[r](v),  # type: ignore[misc]
                ValueError,
            )


_URLS: Final = (
    *("ws://h", "wss://h", "WS://H.Example/Im?A=b", "ws://h:80/", "wss://h:443/im", "ws://h:443"),
    *("wss://h:8443/im?x=1&y=2", "ws://127.0.0.1:9000/im", "ws://[::1]:9000/im", "wss://[FE80::1]"),
    *("http://h", "h", "", "ws:", "ws://", "ws:///x", "ws://:80", "//h", "ws:/h", "ws:h"),
    "1ws://h",
    *("ws://h:x", "ws://h:65535", "ws://h:65536", "ws://h:0", "ws://h:", "ws://h:-1", "ws://h:٣"),
    *("ws://u@h", "ws://u:p@h", "ws://@h", "ws://u@v@h:1", "ws://h/#x", "ws://h/#", "ws://h#"),
    *("ws://h?", "ws://h/?", "ws://h?x", "ws://h/a b", "ws://h/\n", "ws://é", "ws://[::1"),
    *("ws://::1]", "ws://h/@"),
    *("ws://h/?a#b?c", "ws://h//x", "ws://h/a/../b", "ws://h/%20", "ws://h\x7f", "ws://h:80:90"),
)


def urls() -> Iterator[dict[str, Any]]:
    def told(url: str, http: dict[str, str]) -> dict[str, object]:
        try:
            config = ClientConfig.model_validate(
                {"ws_url": url, "token": "t", "user_id": 1, "http": http}
            )
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
        return {
            "secure": config.secure,
            "host": config.host,
            "port": config.port,
            "target": config.target,
            "httpUrl": config.http_url,
        }

    bases = (
        *("http://h", "https://h:8/x/", "http://u@h", "https://h?x", "https://h#", "ftp://h", "x"),
    )
    for url in _URLS:
        yield {"url": url, "http": {}} | tried(lambda u=url: told(u, {}), ValueError)  # type: ignore[misc]
    for base in (*bases, "http://", "http://h:x", "https://H//"):
        http = {"base_url": base}
        yield {"url": "ws://h", "http": {"baseUrl": base}} | tried(
            lambda h=http: told("ws://h", h),  # type: ignore[misc]
            ValueError,
        )
    yield {"url": "wss://h", "http": {"baseUrl": "http://h"}} | tried(
        lambda: told("wss://h", {"base_url": "http://h"}), ValueError
    )


# ---------------------------------------------------------------- sessions


def session_answers() -> Iterator[dict[str, Any]]:
    draw = random.Random(SEED)  # noqa: S311
    session = {name: RIGHT[name] for name in aliases(SessionVO)}
    record = {name: RIGHT[name] for name in aliases(HistoryRecord)}
    for body in (
        *("", "{", "[]", "null", "5", "{}", '{"code":0}', '{"code":"200","data":[1]}'),
        *('{"code":0}x', '{"code":null}', '{"code":0,"message":5}', '{"code":0,"data":null}'),
        *("\ufeff{}", '{"code":1.0}'),
    ):
        yield {"answer": body} | tried(lambda b=body: read_answer(b.encode()), BadAnswer)  # type: ignore[misc]
    for text in (object_of(session), *broken(session, draw), *ODD):
        if "NaN" not in text and "Infinity" not in text:
            yield _told("session", text, read_session)
    items = [object_of(session), *broken(session, draw), "5", "null", '"x"', "[]"]
    some = [item for item in items if "NaN" not in item and "Infinity" not in item]
    for text in (f"[{','.join(some)}]", "null", "{}", "5", '"x"', "[]"):
        yield _told("sessions", text, read_sessions)
    items = [object_of(record), *broken(record, draw), "5", "null"]
    some = [item for item in items if "NaN" not in item and "Infinity" not in item]
    page = f"[{','.join(some)}]"
    for text in (
        *(
            page,
            f'{{"records":{page}}}',
            f'{{"records":{page},"hasNext":false,"total":"9"}}',
            "null",
        ),
        *("{}", '{"records":null,"has_next":true}', '{"records":5}', "5", '"x"', "[1,2,3]"),
        "[1,2]",
        *('{"records":[],"hasNext":"true","total":-1}', '{"hasNext":1}'),
    ):
        yield _told("history", text, lambda data: read_history(data, 3))


def _told(what: str, text: str, read: Callable[[Any], object]) -> dict[str, Any]:
    return {what: text} | tried(lambda: read(from_json(text)), BadAnswer)


# ---------------------------------------------------------------- small things


def small_things() -> Iterator[dict[str, Any]]:
    envelopes = ["a" * 10, "é" * 5, "😀", "b" * 30, "c", "d", "e"]
    for batch, frame_bytes in ((1, 100), (2, 100), (64, 20), (64, 14), (3, 45), (64, 1000), (0, 0)):
        for some in (envelopes, envelopes[:1], []):
            frames = pack(some, batch=batch, frame_bytes=frame_bytes)
            yield {"pack": some, "batch": batch, "frameBytes": frame_bytes, "gives": frames}
    numbers = (
        *(0.0, 1.0, 1.5, 0.1, 10.0, 1 / 3, 100_000.0, 999_999.5, 1e6, 123_456_789.0, 1e-4, 1e-5),
    )
    halves = (0.05, 0.15, 0.25, 0.35, 0.75, 1.25, 2.5, 0.5, 1.45, 99.95, 12.25, 0.049999)
    for number in (*numbers, *halves, 1.23456e-5, 1e22, 604_800.0, 2.675):
        yield {"text": "g", "value": number, "gives": f"{number:g}"}
        if number > 1e21:
            continue
        yield {"text": "fixed0", "value": number, "gives": f"{number:.0f}"}
        yield {"text": "fixed1", "value": number, "gives": f"{number:.1f}"}
    words = (
        *("", "x", "é", "it's", '"', "'\"", "a\\b", "a\nb\x00\x85", "\u200b\ue000", "😀\U000e0001"),
        "x" * 201,
    )
    for word in (
        *words,
        *("\x00" * 60, "x" * 199 + "\x00", "\ud800", "x" * 200, "😀" * 200, "😀" * 201),
    ):
        yield {"text": "printable", "value": word, "gives": printable(word)}
        if word.isprintable():
            yield {"text": "repr", "value": word, "gives": repr(word)}
        if "\ud800" not in word:
            yield {"text": "utf8Length", "value": word, "gives": len(word.encode())}
        yield {"text": "contentUnits", "value": f"\u3000{word} ", "gives": content_units(word)}
