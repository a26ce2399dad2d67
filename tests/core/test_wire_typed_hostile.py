"""What no peer may do to a reader of the second dialect: raise, cost much, or leak a secret."""

from __future__ import annotations

import json
import random
import time
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from im_proto.client import ClientEngine
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.config import ClientConfig
from im_proto.framing import Framing, HandshakeRequested, TextFrame
from im_proto.limits import FrameLimits
from im_proto.testing import strategies as wire_st
from im_proto.testing import typed_strategies as typed_st
from im_proto.wire import (
    BadFrame,
    ChatAnswer,
    ChatRedirectToUser,
    Malformed,
    Message,
    Typed,
    Unknown,
)

DETERMINISTIC = settings(derandomize=True, database=None, deadline=None, max_examples=150)
TYPED = Typed()
YES = '{"type":"chat_response","data":{"code":0}}'
NEEDLE = "eyJhbGciOi-N33DLE"


def close_code(text: str) -> int:
    """The code that a bad frame is answered with."""
    with pytest.raises(BadFrame) as raised:
        TYPED.decode(text, batch=0)
    return raised.value.close_code


NOT_JSON = ["", " ", "{", "}", "nul", "{'a':1}", "\x00", "\ufeff{}", YES + "x", YES + YES]
NOT_JSON += [YES + ",", YES[:-1], "[" + YES, "NaN", "Infinity", '{"a":NaN}', '{"a":-Infinity}']
NOT_JSON += ['{"type":"\\ud800"}', '{"a":"\ud800"}', '{"a":01}', '{"a":1,}', "\x00" + YES]
NOT_JSON += ["[" * 100_000, '{"data":' * 100_000, '{"a":' + "9" * 5_000 + "}"]


@pytest.mark.parametrize("text", NOT_JSON, ids=lambda text: ascii(text[:12]))
def test_what_is_not_json_is_one_bad_frame(text: str) -> None:
    assert close_code(text) == 1007


@pytest.mark.parametrize("text", ["1", '"x"', "true", "null", "[]", "[[]]", f"[{YES}]"])
def test_json_that_is_no_envelope_is_a_protocol_error(text: str) -> None:
    assert close_code(text) == 1002
    with pytest.raises(BadFrame):
        TYPED.decode(text, batch=64)  # there are no arrays in this dialect, whoever allows them


@pytest.mark.parametrize("kind", [None, 5, "", "x" * 65, ["auth_response"], {"a": 1}, True])
def test_an_envelope_without_a_usable_type_is_malformed(kind: object) -> None:
    (malformed,) = TYPED.decode(json.dumps({"type": kind}), batch=0)
    assert malformed == Malformed(kind="", reason="the envelope has no usable type")
    assert isinstance(TYPED.decode('{"data":{}}', batch=0)[0], Malformed)


@pytest.mark.parametrize(
    "data",
    [
        "{}", '{"content":null}', '{"content":5}', '{"content":["x"]}', '"x"', "[]",
        '{"content":"' + "x" * 65_537 + '"}', '"{\\"content\\":\\"\\\\ud800\\"}"',
        '"{\\"content\\":\\"a\\",\\"x\\":NaN}"', '"' + "[" * 100_000 + '"', '"{\\"content\\""',
    ],
    ids=lambda data: data[:16],
)  # fmt: skip
def test_a_message_without_a_readable_content_is_malformed(data: str) -> None:
    (malformed,) = TYPED.decode(f'{{"type":"chat_message","data":{data}}}', batch=0)
    assert isinstance(malformed, Malformed)
    assert malformed.kind == "chat_message" and malformed.reason.startswith("content: ")


@pytest.mark.parametrize("code", ["1e999", "1.5", "2147483648", "9" * 4000, "true", '"ten"', "{}"])
def test_a_code_that_is_none_is_no_acceptance(code: str) -> None:
    for text in (f'{{"code":{code}}}', json.dumps(f'{{"code":{code}}}')):
        frame = f'{{"type":"chat_response","id":"m7","data":{text}}}'
        try:
            (read,) = TYPED.decode(frame, batch=0)
        except BadFrame as bad:
            assert bad.close_code == 1007
        else:
            assert isinstance(read, Malformed), read


def test_who_sent_it_is_left_out_if_it_cannot_be_read() -> None:
    for sender in (0, -1, 2**63, 10**400, "", "a\x00b", "\u202e", [2], {"id": 2}, True, 1.0):
        frame = {"type": "chat_message", "data": {"content": "x", "fromUserId": sender}}
        if sender == 10**400:
            frame["data"]["fromUserId"] = str(10**400)  # type: ignore[index]
        assert TYPED.decode(json.dumps(frame), batch=0) == [ChatRedirectToUser(content="x")]


def test_of_two_equal_keys_the_last_one_counts_and_data_wins_over_what_stands_beside_it() -> None:
    frame = '{"type":"x","type":"chat_response","code":403,"data":{"code":500,"code":0}}'
    assert TYPED.decode(frame, batch=0) == [ChatAnswer(code=0)]
    frame = '{"type":"chat_response","data":{"code":0},"data":{"code":403,"type":"auth_response"}}'
    assert TYPED.decode(frame, batch=0) == [ChatAnswer(code=403)]


def test_json_inside_json_is_read_twice_at_most() -> None:
    for depth in range(2, 6):
        text: object = {"code": 0}
        for _ in range(depth):
            text = json.dumps(text)
        (read,) = TYPED.decode(json.dumps({"type": "chat_response", "data": text}), batch=0)
        assert isinstance(read, Malformed)


def test_800_kb_of_wrong_items_cost_little_and_say_little() -> None:
    for data in ([1] * 400_000, {"content": [1] * 400_000}, {str(n): n for n in range(60_000)}):
        began = time.process_time()
        (malformed,) = TYPED.decode(json.dumps({"type": "chat_message", "data": data}), batch=0)
        assert time.process_time() - began < 2
        assert isinstance(malformed, Malformed) and len(repr(malformed)) < 300


@DETERMINISTIC
@given(wire_st.garbage_frames | typed_st.typed_frames, st.integers(0, 64))
def test_no_text_raises_anything_but_bad_frame(text: str, batch: int) -> None:
    try:
        (read,) = TYPED.decode(text, batch=batch)
    except BadFrame as bad:
        assert bad.close_code in (1002, 1007)
    else:
        assert isinstance(read, Message | Unknown | Malformed)


@DETERMINISTIC
@given(typed_st.typed_frames, st.sampled_from(["x", "{}", "]", "\x00", YES, "0", '"']))
def test_no_readable_frame_is_readable_with_junk_behind_it(text: str, junk: str) -> None:
    assert close_code(text + junk) == 1007
    assert TYPED.decode(f" {text}\r\n\t", batch=0) == TYPED.decode(text, batch=0)


@DETERMINISTIC
@given(st.data())
def test_no_error_ever_holds_what_the_peer_sent(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(typed_st.TYPED_DATA)))
    fields: dict[str, Any] = data.draw(typed_st.TYPED_DATA[kind])
    key = data.draw(st.sampled_from([*sorted(fields), "success", "code", "content"]))
    needle = data.draw(st.sampled_from([NEEDLE, [NEEDLE], {NEEDLE: NEEDLE}, NEEDLE * 5000]))
    frame = typed_st.write_typed(
        kind, fields | {key: needle}, data.draw(st.sampled_from(typed_st.FORMS)), id=NEEDLE
    )
    for text in (frame, frame[:-1], frame + NEEDLE, f"[{frame}]"):
        try:
            read = TYPED.decode(text, batch=0)
        except BadFrame as bad:
            said = "".join(traceback.format_exception(bad)) + repr(bad)
        else:
            said = repr([item for item in read if isinstance(item, Malformed)])
        assert NEEDLE not in said


# ---------------------------------------------------------------- as bytes, cut anywhere


class _Wire:
    """A ClientEngine in the second dialect, and the server's end of its byte stream."""

    def __init__(self) -> None:
        config = ClientConfig(
            ws_url="ws://x/ws", token="t", user_id=1, dialect="typed",
            heartbeat={"interval": 1000},  # type: ignore[arg-type]
        )  # fmt: skip
        self.engine = ClientEngine(config, now=0.0, wall=1.7e9, rng=random.Random(1))
        self.server = Framing.server(limits=FrameLimits())
        self.events: list[ev.Event] = []
        self.texts: list[str] = []
        self.do(inp.Connect())
        self.do(inp.TransportOpened(transport=1))

    def do(self, event: inp.Input) -> None:
        """A step; what is sent is read by the server's end at once."""
        for action in self.engine.step(event, 0.0):
            if isinstance(action, act.Notify):
                self.events.append(action.event)
            elif isinstance(action, act.SendBytes):
                for frame in self.server.receive(action.data, 0.0):
                    if isinstance(frame, HandshakeRequested):
                        accepted = self.server.accept()
                        self.feed(accepted)
                    elif isinstance(frame, TextFrame):
                        self.texts.append(frame.text)

    def feed(self, data: bytes, size: int | None = None) -> None:
        """Bytes come in, whole or in pieces."""
        for at in range(0, len(data), size or len(data)):
            piece = data[at : at + (size or len(data))]
            self.do(inp.BytesReceived(transport=1, data=piece))


CONVERSATION = [
    '{"type":"auth_response","data":"{\\"success\\":true}"}',
    '{"type":"nobody_knows"}',
    '{"type":"chat_message","data":{"content":"你好 😀","fromUserId":"2"}}',
    '{"type":"chat_message","data":{"content":5}}',
    '{"type":"chat_message","data":{"content":"again","fromUserId":"bravo"}}',
]


@pytest.mark.parametrize("junk", ["", "{", "[]", "\x00"])
@pytest.mark.parametrize("size", [None, 1, 2, 7])
def test_one_bad_message_never_takes_others_along_however_the_bytes_are_cut(
    size: int | None, junk: str
) -> None:
    wire = _Wire()
    stream = b"".join(wire.server.send_text(text) for text in CONVERSATION)
    if junk:
        stream += wire.server.send_text(junk)
    wire.feed(stream, size)
    received = [event for event in wire.events if isinstance(event, ev.MessageReceived)]
    assert [(m.content, m.from_user) for m in received] == [("你好 😀", 2), ("again", "bravo")]
    assert [e.kind for e in wire.events if isinstance(e, ev.UnknownMessage)] == ["nobody_knows"]
    codes = [e.close_code for e in wire.events if isinstance(e, ev.ProtocolViolation)]
    assert codes == [None, *([1002 if junk == "[]" else 1007] if junk else [])]
    assert [json.loads(text)["type"] for text in wire.texts] == ["auth"]
