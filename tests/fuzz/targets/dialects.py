"""What peers write down, read by each dialect; what was understood is written again."""

from __future__ import annotations

import json
from collections.abc import Callable

from im_proto.errors import LocalProtocolError
from im_proto.frames import CLOSE_CODES
from im_proto.wire import (
    CLIENT_MESSAGES,
    MAX_ID,
    SERVER_MESSAGES,
    BadFrame,
    Invocation,
    Malformed,
    Message,
    Unknown,
)
from im_proto.wire.dialect import Dialect
from im_proto.wire.typed import Typed
from tests.fuzz.feed import Feed, as_text
from tests.fuzz.judge import SECRET, check_words

SIDES: tuple[tuple[str, Callable[[], Dialect]], ...] = (
    ("client", lambda: Invocation("client")),
    ("server", lambda: Invocation("server")),
    ("typed", Typed),
)
BATCHES = (0, 1, 3, 64)
FORMS = ("text", "string", "object", "batch", "data")
KINDS = (
    *dict.fromkeys(model.kind for model in (*CLIENT_MESSAGES, *SERVER_MESSAGES)),
    "auth_response",
    "heartbeat_response",
    "chat_message",
    "chat_response",
    "nonsense",
)


def fuzz(data: bytes) -> None:
    """A text frame of anybody's."""
    feed = Feed(data)
    side, make = feed.pick(SIDES)
    dialect, batch = make(), feed.pick(BATCHES)
    text = _text(feed)
    try:
        read = dialect.decode(text, batch=batch)
    except BadFrame as bad:
        assert bad.close_code in CLOSE_CODES
        check_words(bad.reason, 100)
        return
    assert 0 < len(read) <= max(1, batch)
    for item in read:
        if isinstance(item, Malformed):
            check_words(item.kind, 256)
            check_words(item.reason, 200)
            assert item.msg_id is None or 0 < item.msg_id <= MAX_ID
        elif isinstance(item, Unknown):
            check_words(item.kind, 256)
            assert item.seq is None or 0 < item.seq <= MAX_ID
        else:
            _check(item, side, dialect)


def _check(message: Message, side: str, dialect: Dialect) -> None:
    said = repr(message) + str(message)
    if message.kind == "AUTH_REQUEST":
        assert SECRET not in said, "a token in a repr"
    if side == "typed":
        return
    for inline in (False, True):
        text = dialect.encode(message, inline=inline)
        text.encode()  # no lone surrogates
        assert dialect.decode(text, batch=0) == [message], text
    if side == "server":
        try:
            Typed().encode(message, wall_ms=1)
        except LocalProtocolError as error:
            assert "has no word for" in str(error)


def _text(feed: Feed) -> str:
    form = feed.pick(FORMS)
    if form == "text":
        return as_text(feed.rest())
    envelopes = []
    while not feed.done and len(envelopes) < 80:
        kind = feed.pick(KINDS)
        body = feed.text() if form == "batch" else as_text(feed.rest())
        envelopes.append(_envelope(form, kind, body))
    return envelopes[0] if len(envelopes) == 1 else f"[{','.join(envelopes)}]"


def _envelope(form: str, kind: str, body: str) -> str:
    if form == "object":
        return f'{{"type":"{kind}","message":{body}}}'
    if form == "data":
        return f'{{"type":"{kind}","id":"m1","data":{body}}}'
    return json.dumps({"type": kind, "message": body})
