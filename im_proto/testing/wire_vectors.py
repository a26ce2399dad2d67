"""What a client reads from frames and writes into them, line by line: docs/vectors/wire.jsonl.

For clients in other languages, which have to read and write the same. Each line is one object:

- {"read", "dialect"?, "gives" | "bad"}: a frame, and the messages in it, each with the name of its
  class as `type` and without what is None; or why none could be read, and the close code. A batch
  of 4 is allowed, and the dialect is "invocation", unless it is said.
- {"write", "dialect", "wallMs", "inline", "gives" | "fault"}: a message, and its envelope.
- {"rule", "value", "gives" | "fault"}: a rule for what an application hands over.
- {"url", "gives" | "fault"}: what follows from a configuration's `ws_url` and `base_url`.
- {"answer" | "session" | "sessions" | "history", "gives" | "fault"}: what a session call carries.
- {"pack", "batch", "frameBytes", "gives"}: envelopes into frames.
- {"text", "value", "gives"}: small functions on texts and numbers.
- {"fields"}: all fields of each message that a server sends.

Ids above 2^53-1 stand as strings, as they do on the wire. The file is written by
`python -m im_proto.testing.wire_vectors > docs/vectors/wire.jsonl`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from typing import Any, Final

from ..wire import (
    SERVER_MESSAGES,
)
from .wire_frames import frames_of_the_other_dialect, messages_of_servers, read, whole_frames
from .wire_said import rules, session_answers, small_things, urls, written
from .wire_values import aliases

#: Where the browser's numbers end, these do: it takes a higher one for none, or for a fault.
_COUNTED: Final = frozenset(
    {"seq", "oldest", "timestamp", "serverTime", "lastSeen", "total"},
)


def lines() -> Iterator[str]:
    """All of them, in an order and with draws that are always the same."""
    for vector in _vectors():
        if not _beyond(vector.get("gives")):
            yield json.dumps(vector, separators=(",", ":"))


def _beyond(value: object) -> bool:
    """Does JSON, or JavaScript, have no word for something in it?"""
    if isinstance(value, list):
        return any(map(_beyond, value))
    if isinstance(value, dict):
        return any((k in _COUNTED and isinstance(v, str)) or _beyond(v) for k, v in value.items())
    return isinstance(value, float) and not math.isfinite(value)


def _vectors() -> Iterator[dict[str, Any]]:
    yield {"fields": {model.__name__: aliases(model) for model in SERVER_MESSAGES}}
    for text in whole_frames():
        yield read(text)
    for text in messages_of_servers():
        yield read(text)
    for text in frames_of_the_other_dialect():
        yield read(text, "typed")
    yield from written()
    yield from rules()
    yield from urls()
    yield from session_answers()
    yield from small_things()


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in lines())
