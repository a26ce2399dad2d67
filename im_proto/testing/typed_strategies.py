"""Hypothesis strategies of the second dialect (`ClientConfig(dialect="typed")`): what a server of
it says, in every form that such servers write it.

`TYPED_DATA` has the fields by the envelope's `type`; `write_typed` puts them into a frame,
`typed_frames` are whole frames.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from hypothesis import strategies as st

from .strategies import contents, ids, user_ids

__all__ = ["FORMS", "TYPED_DATA", "Form", "typed_frames", "write_typed"]

#: `data` as an object, as JSON in a string, or its fields beside where `data` would stand.
Form = Literal["object", "string", "beside"]
FORMS: Final[tuple[Form, ...]] = ("object", "string", "beside")

_codes: Final = st.sampled_from([0, 200, 400, 403, 40100, 40101, 50000]) | st.integers(
    -(2**31), 2**31 - 1
)
_millis: Final = st.integers(0, 2**53)
_words: Final = st.none() | st.text(st.characters(codec="utf-8"), max_size=40)
#: User ids as numbers, as decimal strings, or names.
_users: Final = user_ids | user_ids.map(str)

#: The fields of what a server says, by the envelope's `type`.
TYPED_DATA: Final[Mapping[str, st.SearchStrategy[dict[str, Any]]]] = {
    "auth_response": st.fixed_dictionaries(
        {"success": st.booleans(), "message": _words},
        optional={"userId": _users | st.none(), "code": _codes},
    ),
    "heartbeat_response": st.fixed_dictionaries(
        {}, optional={"timestamp": _millis | _millis.map(str), "serverTime": _millis | st.none()}
    ),
    "chat_message": st.fixed_dictionaries(
        {"content": contents, "fromUserId": _users},
        optional={
            "toUserId": _users,
            "messageType": st.sampled_from(["text", "image", 1]) | st.none(),
            "timestamp": _millis | _millis.map(str),
        },
    ),
    "chat_response": st.fixed_dictionaries(
        {"code": _codes | _codes.map(str), "message": _words},
        optional={"data": st.none() | st.just({"messageId": 1})},
    ),
}
#: Envelope ids: ours echoed, the server's own, none.
_names: Final = st.one_of(
    st.none(), ids.map(lambda msg_id: f"m{msg_id}"), ids, ids.map(str), st.uuids().map(str)
)


def write_typed(kind: str, data: Mapping[str, Any], form: Form = "object", **more: object) -> str:
    """A frame with these fields, written like that; `more` are keys of the envelope."""
    envelope = {"type": kind, **more}
    if form == "beside":
        return json.dumps(dict(data) | envelope)
    return json.dumps(envelope | {"data": json.dumps(data) if form == "string" else data})


@st.composite
def _frames(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(sorted(TYPED_DATA)))
    return write_typed(
        kind,
        draw(TYPED_DATA[kind]),
        draw(st.sampled_from(FORMS)),
        id=draw(_names),
        v=draw(st.none() | st.just({"x": 1})),
    )


#: Frames that a client of the second dialect can read.
typed_frames: Final[st.SearchStrategy[str]] = _frames()
