"""Every int, string and list of every message has a bound, and the bound is where it is said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.alias_generators import to_snake

from im_proto.wire import (
    CLIENT_MESSAGES,
    SERVER_MESSAGES,
    AuthExpiring,
    AuthRequest,
    AuthResponse,
    ChatAck,
    ChatRedirectToUser,
    ChatSendResponse,
    ChatSendToOne,
    HeartbeatResponse,
    Invocation,
    Kick,
    Malformed,
    Message,
    MessageStatusRequest,
    Presence,
    ReadSync,
    ReceiptPush,
    SessionRequest,
    SessionResponse,
    SyncResponse,
    Typing,
    check_content,
    content_units,
)
from im_proto.wire.packing import pack
from im_proto.wire.types import MAX_TEXT, WireModel, is_text

MAX = 2**63 - 1
SIDES = {model.kind: Invocation("client") for model in SERVER_MESSAGES}
SIDES |= {model.kind: Invocation("server") for model in CLIENT_MESSAGES}
BODIES: dict[str, dict[str, Any]] = {
    AuthRequest.kind: {"accessToken": "t"},
    AuthResponse.kind: {"code": 0},
    ChatSendToOne.kind: {"msgId": 1, "toUser": 2, "content": "x"},
    ChatSendResponse.kind: {"msgId": 1},
    ChatRedirectToUser.kind: {"content": "x"},
    HeartbeatResponse.kind: {},
    ChatAck.kind: {"seq": 0},
    SyncResponse.kind: {"status": "reset", "oldest": 1},
    Kick.kind: {},
    MessageStatusRequest.kind: {"msgIds": []},
    ReceiptPush.kind: {"msgIds": [], "user": 1, "status": "read"},
    ReadSync.kind: {"fromUser": 1, "msgId": 1},
    Typing.kind: {"toUser": 1, "active": True},
    Presence.kind: {"user": 1, "online": True},
    AuthExpiring.kind: {"expiresIn": 1},
    SessionRequest.kind: {"id": "1", "op": "get", "params": {}},
    SessionResponse.kind: {"id": "1", "code": 0},
}
RESUME = {"epoch": "e", "seq": 0}
LIMITS = {"frameBytes": 1024, "batch": 1, "contentUnits": 1, "inFlight": 1, "unacked": 1}
HINT = {"interval": 1, "timeout": 1}


def read(kind: str, field: str, value: object) -> Any:
    """A message of the kind with one field set; `a.b` is the field b inside a."""
    outer, _, inner = field.partition(".")
    base = {"resume": RESUME, "limits": LIMITS, "heartbeat": HINT}
    if outer == "data":
        outer_inner, _, rest = inner.partition(".")
        put: object = {outer_inner: base[outer_inner] | {rest: value}} if rest else {inner: value}
    else:
        put = base[outer] | {inner: value} if inner else value
    body = BODIES[kind] | {outer: put}
    results = [
        SIDES[kind].decode(json.dumps({"type": kind, "message": message}), batch=0)[0]
        for message in (body, json.dumps(body))
    ]
    assert results[0] == results[1] or isinstance(results[0], Malformed)
    return results[1]


#: kind, field, values that are just inside, values that are just outside
BOUNDS: list[tuple[str, str, list[object], list[object]]] = [
    (AuthRequest.kind, "accessToken", ["x", "x" * 8192], ["", "x" * 8193, 5, None]),
    (AuthRequest.kind, "deviceId", ["a", "A-z_0.9:" * 8], ["", "x" * 65, "a b", "é", "a\n", 1]),
    (AuthRequest.kind, "capabilities", [[], ["x" * 32] * 32], [["x"] * 33, ["x" * 33], [""], [1],
                                                              "seq", {}]),
    (AuthRequest.kind, "limits.batch", [1, 65_536], [0, 65_537, -1, "x", 1.5, True]),
    (AuthRequest.kind, "limits.frameBytes", [1024, 2**31], [1023, 2**31 + 1, True]),
    (AuthRequest.kind, "resume.seq", [0, MAX, str(MAX)], [-1, MAX + 1, None, True, 1.0]),
    (AuthRequest.kind, "resume.epoch", ["e", "e" * 64], ["", "e" * 65, "e\x00", 1, "e\n"]),
    (AuthRequest.kind, "resume", [None], ["x", 1, [], {}]),
    (AuthResponse.kind, "code", [2**31 - 1, -(2**31), "0"], [2**31, -(2**31) - 1, None, 0.0, "x"]),
    (AuthResponse.kind, "data.limits.batch", [1, 65_536], [0, 65_537]),
    (AuthResponse.kind, "data.limits.contentUnits", [1, 2**31], [0, 2**31 + 1]),
    (AuthResponse.kind, "data.limits.inFlight", [1, 65_536], [0, 65_537]),
    (AuthResponse.kind, "data.limits.unacked", [1, 65_536], [0, 65_537]),
    (AuthResponse.kind, "data.limits.dedupeSeconds", [0, 86_400 * 366], [-1, 86_400 * 366 + 1]),
    (AuthResponse.kind, "data.heartbeat.interval", [0.001, 86_400], [0, -1, 86_401]),
    (AuthResponse.kind, "data.heartbeat.timeout", [0.001, 3_600], [0, 3_601]),
    (AuthResponse.kind, "data.expiresIn", [0, 1.5, 86_400 * 366], [-0.1, 86_400 * 366 + 1]),
    (AuthResponse.kind, "data.lastMsgId", [0, MAX, None], [-1, MAX + 1, "x"]),
    (AuthResponse.kind, "data.seq", [0, MAX], [-1, MAX + 1]),
    (AuthResponse.kind, "data.resume", ["reset", None], ["RESET", 1, ""]),
    (ChatSendToOne.kind, "msgId", [1, MAX], [0, MAX + 1, None, "", "1" * 21]),
    (ChatSendToOne.kind, "content", ["", "x" * MAX_TEXT], ["x" * (MAX_TEXT + 1), 5, None, []]),
    (ChatRedirectToUser.kind, "seq", [1, MAX, None], [0, -1, MAX + 1, "x"]),
    (ChatRedirectToUser.kind, "content", ["x" * MAX_TEXT], ["x" * (MAX_TEXT + 1)]),
    (ChatAck.kind, "seq", [0, MAX], [-1, MAX + 1]),
    (SyncResponse.kind, "status", ["recovered", "reset"], ["", "again", None, 1]),
    (SyncResponse.kind, "oldest", [0, MAX], [-1, MAX + 1, None]),
    (MessageStatusRequest.kind, "msgIds", [[], [1] * 1000, ["5"]], [[1] * 1001, [0], None, "1"]),
    (ReceiptPush.kind, "msgIds", [[1] * 1000], [[1] * 1001, [MAX + 1], None]),
    (ReceiptPush.kind, "status", ["read", "delivered"], ["", "seen", None, 3]),
    (ReceiptPush.kind, "seq", [1, MAX, None], [0, MAX + 1]),
    (ReadSync.kind, "msgId", [1, MAX], [0, MAX + 1, None]),
    (Typing.kind, "active", [True, False], [1, "true", None]),
    (Presence.kind, "online", [True, False], [1, "true", None]),
    (AuthExpiring.kind, "expiresIn", [0, 86_400 * 366], [-1, 86_400 * 366 + 1, None]),
    (SessionRequest.kind, "id", ["x", "x" * 64], ["", "x" * 65, 1, None]),
    (SessionRequest.kind, "op", ["x", "x" * 32], ["", "x" * 33, 1, None]),
    (SessionRequest.kind, "params", [{}, {"x" * 32: "y" * 128}, {"a": None, "b": True, "c": MAX}],
     [None, [], {"x" * 33: 1}, {"x": "y" * 129}, {"x": {}}, {"x": 1.5},
      {str(n): 1 for n in range(17)}]),
    (SessionResponse.kind, "id", ["x" * 64], ["", "x" * 65, 1, None]),
    (Kick.kind, "reconnect", [True, False], ["true", 1, None]),
    (Kick.kind, "retryAfter", [0, 0.5, 86_400 * 366, None], [-1, 86_400 * 366 + 1, "x"]),
]  # fmt: skip


@pytest.mark.parametrize("kind, field, inside, outside", BOUNDS, ids=lambda v: str(v)[:30])
def test_each_bound_is_where_it_is_said(
    kind: str, field: str, inside: list[object], outside: list[object]
) -> None:
    for value in inside:
        assert isinstance(read(kind, field, value), Message), (field, str(value)[:40])
    for value in outside:
        bad = read(kind, field, value)
        if kind == AuthResponse.kind and field.startswith("data."):
            # of a plain server it may be something of its own: as good as absent
            assert isinstance(bad, AuthResponse) and bad.data is not None
            assert getattr(bad.data, to_snake(field.split(".")[1])) is None, (
                field,
                str(value)[:40],
            )
            continue
        assert isinstance(bad, Malformed), (field, str(value)[:40])
        assert bad.reason.startswith(field.split(".")[0]), bad


#: kind, field, values too much of which are read as none
LENIENT: list[tuple[str, str, str, list[object]]] = [
    (AuthResponse.kind, "message", "message", ["x" * (MAX_TEXT + 1), [], {}, 1.5, True]),
    (ChatSendToOne.kind, "messageType", "message_type", ["", "x" * 65, "a\x00", [], 10**4200]),
    (ChatSendToOne.kind, "sessionId", "session_id", [0, -1, MAX + 1, "x", True]),
    (ChatSendResponse.kind, "timestamp", "timestamp", [-1, MAX + 1, "x", 1.5]),
    (HeartbeatResponse.kind, "serverTime", "server_time", [-1, MAX + 1, "x", 1.5]),
    (ChatRedirectToUser.kind, "msgId", "msg_id", [0, MAX + 1, "x"]),
    (ChatRedirectToUser.kind, "fromUser", "from_user", [0, "", "x" * 129, "\x00"]),
    (AuthRequest.kind, "userId", "user_id", [0, "", "x" * 129]),
]


@pytest.mark.parametrize("kind, field, name, values", LENIENT, ids=lambda v: str(v)[:30])
def test_an_optional_remark_out_of_bounds_is_none(
    kind: str, field: str, name: str, values: list[object]
) -> None:
    for value in values:
        message = read(kind, field, value)
        assert isinstance(message, Message), str(value)[:40]
        assert getattr(message, name) is None


def _models() -> list[type[WireModel]]:
    models: list[type[WireModel]] = [WireModel]
    for model in models:
        models.extend(model.__subclasses__())
    return [model for model in models if model.model_fields]


#: enough for every model, since unknown keys are passed over
ENOUGH = {"accessToken": "t", "code": 0, "msgId": 1, "toUser": 2, "fromUser": 2, "content": "x"}
ENOUGH |= {"seq": 1, "after": 1, "status": "reset", "oldest": 1, "epoch": "e"}
ENOUGH |= {"interval": 1, "timeout": 1}
ENOUGH |= {
    "sessionId": 1,
    "bookId": 0,
    "buyerId": 1,
    "sellerId": 2,
    "senderId": 1,
    "msgIds": [],
    "items": [],
}
ENOUGH |= {"user": 1, "active": True, "online": True, "expiresIn": 1, "op": "get", "params": {}}
#: … but for these, whose words are not the same everywhere
OF: dict[str, dict[str, object]] = {
    "SessionVO": {"id": 1},
    "_IdAlone": {"id": 1},
    "SessionRequest": {"id": "1"},
    "SessionResponse": {"id": "1"},
    "ReceiptPush": {"status": "read"},
    "StatusItem": {"status": "read"},
}
#: What a limit of the frame bounds, and whoever reads on.
BOUNDED_ELSEWHERE = {("SessionResponse", "data")}
MONSTERS = [10**30, -(10**30), "x" * 100_000, "9" * 100_000, ["x"] * 100_000, 1e300, -1e300]


@pytest.mark.parametrize("model", _models(), ids=lambda model: model.__name__)
def test_no_field_of_any_message_is_without_a_bound(model: type[WireModel]) -> None:
    enough = ENOUGH | OF.get(model.__name__, {})
    model.model_validate(enough)
    for name, field in model.model_fields.items():
        if (model.__name__, name) in BOUNDED_ELSEWHERE:
            continue
        for monster in MONSTERS:
            try:
                read_back = model.model_validate_json(
                    json.dumps(enough | {field.alias or name: monster})
                )
            except ValidationError:
                continue
            # a number where a text may be is read as its digits
            held = getattr(read_back, name)
            assert held is None or held == str(monster)[:32], (name, str(monster)[:10])


# ------------------------------------------------------------ content

_WHITE = "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
_WHITE += "\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"


@pytest.mark.parametrize("content, units", [
    ("", 0), ("a", 1), (" a ", 1), ("a b", 3), ("é", 1), ("e\u0301", 2), ("中文", 2), ("\uffff", 1),
    ("😀", 2), ("👨‍👩‍👧‍👦", 11), ("🇨🇳", 4), ("\U0010ffff", 2), ("😀" * 1000, 2000),
    (_WHITE, 0), (_WHITE + "x" + _WHITE, 1), ("\u0085", 1), ("\u200b", 1), ("\u180e", 1),
    ("\x1c\x1d\x1e\x1f", 4), ("\x00", 1), ("\u2060x", 2), ("\u00ad", 1),
])  # fmt: skip
def test_content_is_counted_as_javascript_counts_it(content: str, units: int) -> None:
    """The numbers were counted by hand as `content.trim().length` counts."""
    assert content_units(content) == units


def test_every_character_is_trimmed_if_and_only_if_javascript_trims_it() -> None:
    trimmed = {chr(c) for c in range(0x11000) if content_units(chr(c)) == 0}
    assert trimmed == set(_WHITE)


@pytest.mark.parametrize("content, said", [
    ("", "empty"), (_WHITE, "empty"), ("a\x00", "NUL"), ("\ud800", "surrogate"),
    ("a\udfffb", "surrogate"), ("x" * 1001, "1001"), ("😀" * 501, "1002"),
])  # fmt: skip
def test_content_that_may_not_be_sent_is_refused_in_words_that_do_not_hold_it(
    content: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        check_content(content, 1000)
    assert len(str(raised.value)) < 80


@pytest.mark.parametrize("content", ["x" * 1000, "😀" * 500, " " * 5000 + "x", "\ue000", "\x01"])
def test_content_up_to_the_limit_after_trimming_may_be_sent(content: str) -> None:
    check_content(content, 1000)


_any_text = st.text(st.sampled_from("ab \u3000\u00e9\u4e2d\U0001f600\ud83d\ude00\udfff\ue000"))


@given(_any_text)
@settings(derandomize=True, database=None, deadline=None, max_examples=200)
def test_units_and_surrogates_are_those_of_the_characters_one_by_one(text: str) -> None:
    trimmed = text.strip(_WHITE)
    assert content_units(text) == sum(2 if c > "\uffff" else 1 for c in trimmed)
    assert is_text(text) is not any("\ud800" <= c <= "\udfff" for c in text)


@given(
    st.sampled_from((" \t\x1f\x7f!a\x00", " a\u3000\u00e9\U0001f600\ud83d\x00")).flatmap(
        lambda characters: st.text(characters, max_size=6)
    ),
    st.integers(1, 5),
)
@settings(derandomize=True, database=None, deadline=None, max_examples=500)
def test_content_is_judged_by_its_units_also_where_they_are_not_counted(
    text: str, limit: int
) -> None:
    good = "\x00" not in text and is_text(text) and 0 < content_units(text) <= limit
    try:
        check_content(text, limit)
    except ValueError:
        assert not good
    else:
        assert good


# ------------------------------------------------------------ frames


@pytest.mark.parametrize("batch", [1, 2, 3, 64])
@pytest.mark.parametrize("frame_bytes", [0, 2, 60, 61, 62, 63, 100, 1024])
def test_packing_keeps_order_and_both_limits(batch: int, frame_bytes: int) -> None:
    texts = ["a" * 19, "é" * 10, "b" * 18, "😀" * 5, "c" * 200, "d", "e", "f" * 57, "g" * 58]
    frames = pack(list(texts), batch=batch, frame_bytes=frame_bytes)
    assert [text for frame in frames for text in frame] == texts
    joined = Invocation("client")
    for frame in frames:
        assert 1 <= len(frame) <= batch
        assert len(frame) == 1 or len(joined.join(frame).encode()) <= frame_bytes


@given(
    st.sampled_from(("a", "a\u00e9\U0001f600")).flatmap(
        lambda characters: st.lists(st.text(characters, max_size=12), max_size=12)
    ),
    st.integers(-2, 2),
    st.integers(-2, 2),
)
@settings(derandomize=True, database=None, deadline=None, max_examples=500)
def test_packing_fills_one_frame_after_the_other(
    texts: list[str], more: int, more_bytes: int
) -> None:
    """Each envelope goes behind the one before it, if the frame may have it; here all of them just
    fit into one, or just don't."""
    batch = max(1, len(texts) + more)
    frame_bytes = 2 + sum(len(text.encode()) + 1 for text in texts) + more_bytes
    frames: list[list[str]] = []
    for text in texts:
        longer = [*frames[-1], text] if frames else []
        # the brackets, and a comma for each
        size = 2 + sum(len(one.encode()) + 1 for one in longer)
        if frames and len(longer) <= batch and size <= frame_bytes:
            frames[-1] = longer
        else:
            frames.append([text])
    assert pack(texts, batch=batch, frame_bytes=frame_bytes) == frames


def test_packing_does_not_waste_frames() -> None:
    assert pack(["a"] * 10, batch=4, frame_bytes=1024) == [["a"] * 4, ["a"] * 4, ["a"] * 2]
    assert pack([], batch=4, frame_bytes=1024) == []
    assert pack(["a" * 9] * 4, batch=64, frame_bytes=23) == [["a" * 9] * 2] * 2
