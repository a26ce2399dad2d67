"""What no peer may do to a reader: raise, cost much, or make us repeat its secrets in an error."""

from __future__ import annotations

import contextlib
import json
import time
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from im_proto.testing import strategies as wire_st
from im_proto.wire import (
    CLIENT_MESSAGES,
    SERVER_MESSAGES,
    AuthRequest,
    AuthResponse,
    BadFrame,
    ChatAck,
    ChatSendToOne,
    HeartbeatRequest,
    Invocation,
    Kick,
    Malformed,
    Message,
    Unknown,
)

DETERMINISTIC = settings(derandomize=True, database=None, deadline=None, max_examples=150)
CLIENT, SERVER = Invocation("client"), Invocation("server")
BEAT = '{"type":"HEARTBEAT_REQUEST","message":"{}"}'
NEEDLE = "eyJhbGciOi-N33DLE"


def close_code(text: str, *, batch: int = 64) -> int:
    """The code that a bad frame is answered with."""
    with pytest.raises(BadFrame) as raised:
        SERVER.decode(text, batch=batch)
    return raised.value.close_code


NOT_JSON = ["", " ", "{", "}", "nul", "{'a':1}", "\x00", "\ufeff{}", BEAT + "x", BEAT + BEAT]
NOT_JSON += [BEAT + ",", BEAT[:-1], "[" + BEAT, "NaN", "Infinity", '{"a":NaN}', '{"a":-Infinity}']
NOT_JSON += ['{"type":"\\ud800"}', '{"a":"\ud800"}', '{"a":01}', '{"a":1,}']
NOT_JSON += ["[" * 100_000, '{"a":' * 100_000, '{"a":' + "9" * 5_000 + "}"]


@pytest.mark.parametrize("text", NOT_JSON, ids=lambda text: ascii(text[:12]))
def test_what_is_not_json_is_one_bad_frame(text: str) -> None:
    assert close_code(text) == 1007


NO_BATCH = ["1", '"x"', "true", "null", "[]", "[[]]", "[1]", "[null]"]
NO_BATCH += [f"[{BEAT},[{BEAT}]]", f"[{BEAT},1]", f"[{','.join([BEAT] * 65)}]"]


@pytest.mark.parametrize("text", NO_BATCH, ids=lambda text: text[:12])
def test_json_that_is_no_envelope_or_no_good_batch_is_a_protocol_error(text: str) -> None:
    assert close_code(text) == 1002


def test_a_batch_needs_the_capability_and_obeys_its_size() -> None:
    two = f"[{BEAT},{BEAT}]"
    assert close_code(two, batch=0) == 1002
    assert close_code(f"[{BEAT}]", batch=0) == 1002
    assert close_code(two, batch=1) == 1002
    assert SERVER.decode(two, batch=2) == [HeartbeatRequest()] * 2


def test_a_login_inside_a_batch_is_a_violation_wherever_it_stands() -> None:
    auth = CLIENT.encode(AuthRequest(access_token="t"))
    for batch in ([auth], [BEAT, auth], [auth, BEAT], ['{"type":"AUTH_REQUEST"}', BEAT]):
        assert close_code(f"[{','.join(batch)}]") == 1002
    assert SERVER.decode(auth, batch=64) == [AuthRequest(access_token="t")]


def test_a_million_empty_envelopes_are_refused_before_any_of_them_is_read() -> None:
    text = "[" + ",".join(["{}"] * 1_000_000) + "]"
    began = time.process_time()
    assert close_code(text) == 1002
    assert time.process_time() - began < 5


@st.composite
def _spoilt_batches(draw: st.DrawFn) -> tuple[list[Message], int, str]:
    good = draw(st.lists(wire_st.MESSAGES[ChatSendToOne], min_size=2, max_size=6))
    at = draw(st.integers(0, len(good)))
    bad = draw(
        st.sampled_from(
            ['{"type":"NEW_THING","message":"["}', '{"type":"CHAT_ACK_REQUEST","message":"{"}',
             "{}", '{"type":5}', '{"type":"CHAT_ACK_REQUEST","message":{"seq":-1}}',
             '{"type":"CHAT_SEND_TO_ONE_REQUEST","message":"\\ud83d\\ude00"}']
        )
    )  # fmt: skip
    return good, at, bad


@DETERMINISTIC
@given(_spoilt_batches())
def test_one_bad_message_in_a_batch_leaves_its_neighbours(
    spoilt: tuple[list[Message], int, str],
) -> None:
    good, at, bad = spoilt
    texts = [CLIENT.encode(message) for message in good]
    texts.insert(at, bad)
    read = SERVER.decode(CLIENT.join(texts), batch=8)
    assert isinstance(read.pop(at), Malformed | Unknown)
    assert read == good


def test_a_malformed_send_still_names_its_msg_id_so_that_its_sender_can_be_answered() -> None:
    for msg_id in (7, "7"):
        body = {"msgId": msg_id, "toUser": None, "content": 5}
        for message in (body, json.dumps(body)):
            frame = json.dumps({"type": ChatSendToOne.kind, "message": message})
            (malformed,) = SERVER.decode(frame, batch=0)
            assert isinstance(malformed, Malformed)
            assert malformed.msg_id == 7


def test_800_kb_of_wrong_items_cost_little_and_say_little() -> None:
    many = json.dumps({"accessToken": "t", "capabilities": [1] * 400_000})
    began = time.process_time()
    (malformed,) = SERVER.decode(json.dumps({"type": AuthRequest.kind, "message": many}), batch=0)
    assert time.process_time() - began < 2
    assert isinstance(malformed, Malformed)
    assert len(repr(malformed)) < 300


def test_a_type_of_10_mb_is_cut_off() -> None:
    (malformed,) = SERVER.decode(json.dumps({"type": "x" * 10_000_000}), batch=0)
    assert malformed == Malformed(kind="", reason="the envelope has no usable type")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "9" * 400, "1e400"])
def test_numbers_that_are_none_are_refused_where_a_number_is_wanted(number: str) -> None:
    for body in (f'{{"retryAfter":{number}}}', f'{{\\"retryAfter\\":{number}}}'):
        message = body if body.startswith('{"') else f'"{body}"'
        frame = f'{{"type":"KICK","message":{message}}}'
        try:
            (read,) = CLIENT.decode(frame, batch=0)
        except BadFrame as bad:
            assert bad.close_code == 1007
        else:
            assert isinstance(read, Malformed), read


def test_2_to_the_63_and_ints_of_4000_digits_are_out_of_range_not_an_accident() -> None:
    for number in (2**63, 10**4000, -(10**4000)):
        for message in ({"seq": number}, json.dumps({"seq": number}), {"seq": str(number)[:4000]}):
            frame = json.dumps({"type": ChatAck.kind, "message": message})
            (read,) = SERVER.decode(frame, batch=0)
            assert isinstance(read, Malformed)
            assert len(read.reason) < 100


def test_of_two_equal_keys_the_last_one_counts_in_both_passes() -> None:
    frame = '{"type":"X","type":"CHAT_ACK_REQUEST","message":"{\\"seq\\":1,\\"seq\\":2}"}'
    assert SERVER.decode(frame, batch=0) == [ChatAck(seq=2)]
    inline = '{"type":"CHAT_ACK_REQUEST","message":{"seq":1},"message":{"seq":3,"seq":4}}'
    assert SERVER.decode(inline, batch=0) == [ChatAck(seq=4)]


def test_json_inside_json_as_deep_as_you_like_is_read_twice_at_most() -> None:
    text = '{"seq":1}'
    for _ in range(8):
        text = json.dumps(text)
    (read,) = SERVER.decode(f'{{"type":"CHAT_ACK_REQUEST","message":{text}}}', batch=0)
    assert isinstance(read, Malformed)
    deep = json.dumps('{"a":' * 100_000)
    (read,) = SERVER.decode(f'{{"type":"CHAT_ACK_REQUEST","message":{deep}}}', batch=0)
    assert isinstance(read, Malformed)


@DETERMINISTIC
@given(text=wire_st.garbage_frames, batch=st.integers(0, 4))
def test_no_text_raises_anything_but_bad_frame(text: str, batch: int) -> None:
    for side in (CLIENT, SERVER):
        try:
            read = side.decode(text, batch=batch)
        except BadFrame as bad:
            assert bad.close_code in (1002, 1007)
            assert str(bad) == bad.reason
        else:
            assert 1 <= len(read) <= max(batch, 1)
            assert all(isinstance(item, Message | Unknown | Malformed) for item in read)


@DETERMINISTIC
@given(
    text=wire_st.frames(wire_st.client_messages, batch=3),
    junk=st.sampled_from(["x", "{}", "]", "\x00", BEAT, "0", '"']),
)
def test_no_readable_frame_is_readable_with_junk_behind_it(text: str, junk: str) -> None:
    assert close_code(text + junk, batch=3) == 1007
    assert SERVER.decode(f" {text}\r\n\t", batch=3) == SERVER.decode(text, batch=3)


# ------------------------------------------------------------ errors never hold the input


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below: list[tuple[Any, ...]] = []
    if isinstance(value, dict):
        below = [p for key in value for p in _places(value[key], (*path, key))]
    elif isinstance(value, list):
        below = [p for i, item in enumerate(value) for p in _places(item, (*path, i))]
    return [path, *below]


def _put(value: Any, path: tuple[Any, ...], needle: object) -> Any:
    if not path:
        return needle
    copy = value.copy()
    copy[path[0]] = _put(copy[path[0]], path[1:], needle)
    return copy


def _needles() -> list[object]:
    return [NEEDLE, NEEDLE * 700, [NEEDLE], {NEEDLE: NEEDLE}, NEEDLE + "\n", {"seq": {NEEDLE: 1}}]


@pytest.mark.parametrize("model", wire_st.MESSAGES, ids=lambda m: m.__name__)
def test_no_error_ever_holds_what_the_peer_sent(model: type[Message]) -> None:
    side = SERVER if model in CLIENT_MESSAGES else CLIENT

    def look(text: str) -> None:
        try:
            read = side.decode(text, batch=2)
        except BadFrame as bad:
            said = "".join(traceback.format_exception(bad)) + repr(bad) + str(bad)
        else:
            said = repr([item for item in read if isinstance(item, Malformed)])
        # the traceback shows source lines, never the frame
        assert NEEDLE not in said

    @settings(DETERMINISTIC, max_examples=25)
    @given(message=wire_st.MESSAGES[model], data=st.data())
    def check(message: Message, data: st.DataObject) -> None:
        body = json.loads(json.loads(CLIENT.encode(message))["message"])
        path = data.draw(st.sampled_from(_places(body)))
        spoilt = _put(body, path, data.draw(st.sampled_from(_needles())))
        inner = json.dumps(spoilt)
        cut = data.draw(st.integers(0, len(inner)))
        for written in (spoilt, inner, inner[:cut], inner + NEEDLE, {**body, NEEDLE: 1}):
            text = json.dumps({"type": model.kind, "message": written})
            look(text)
            look(text + NEEDLE)
            look(text[:-1])
            look(f'[{text},"{NEEDLE}"]')

    check()


@pytest.mark.parametrize("model", [*CLIENT_MESSAGES, *SERVER_MESSAGES], ids=lambda m: m.__name__)
def test_not_even_the_validators_own_error_holds_the_input(model: type[Message]) -> None:
    fields = {field.alias or name: [NEEDLE] for name, field in model.model_fields.items()}
    for data in (json.dumps(fields), NEEDLE, json.dumps([NEEDLE]), json.dumps(NEEDLE)):
        with contextlib.suppress(ValidationError):
            model.model_validate_json(data)
            continue  # all of its fields may be left out
        with pytest.raises(ValidationError) as raised:
            model.model_validate_json(data)
        assert NEEDLE not in str(raised.value) + repr(raised.value)


def test_the_needle_would_be_seen() -> None:
    """The search above looks at the right thing: an unknown type does name itself."""
    assert NEEDLE in repr(SERVER.decode(json.dumps({"type": NEEDLE}), batch=0))
    with pytest.raises(BadFrame) as raised:
        SERVER.decode(f'{{"accessToken": "{NEEDLE}', batch=0)
    assert raised.value.__suppress_context__  # the JSON reader's own error quotes the input


def test_only_messages_of_the_two_lists_can_be_read() -> None:
    for messages in (CLIENT_MESSAGES, SERVER_MESSAGES):
        kinds = [model.kind for model in messages]
        assert len(set(kinds)) == len(kinds)
    assert {AuthResponse, Kick} <= set(SERVER_MESSAGES)
