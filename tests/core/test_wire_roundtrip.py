"""Every message survives the wire, in every form that peers write it (protocol.md section 1)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from im_proto.testing import strategies as wire_st
from im_proto.wire import (
    CLIENT_MESSAGES,
    SERVER_MESSAGES,
    AuthRequest,
    AuthResponse,
    BadFrame,
    ChatAck,
    ChatError,
    ChatReadReceipt,
    ChatRedirectToUser,
    ChatSendResponse,
    ChatSendToOne,
    HeartbeatRequest,
    Invocation,
    Malformed,
    Message,
    Outcome,
    SyncRequest,
    Typing,
    Unknown,
    id_on_wire,
    outcome,
    user_id,
)

DETERMINISTIC = settings(derandomize=True, database=None, deadline=None, max_examples=25)
CLIENT, SERVER = Invocation("client"), Invocation("server")
READER = dict.fromkeys(CLIENT_MESSAGES, SERVER) | dict.fromkeys(SERVER_MESSAGES, CLIENT)
KINDS = {model.kind: model for model in READER}
SAFE = 2**53 - 1


def read(kind: str, body: Any, **envelope: Any) -> Any:
    """What a message with this body, written as JSON in a string, is read as."""
    frame = json.dumps({"type": kind, "message": json.dumps(body)} | envelope)
    (message,) = READER[KINDS[kind]].decode(frame, batch=0)
    return message


def numbers(value: object) -> list[int]:
    """All ints in a JSON value."""
    if isinstance(value, dict):
        return [n for v in value.values() for n in numbers(v)]
    if isinstance(value, list):
        return [n for v in value for n in numbers(v)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []


def test_there_is_a_strategy_for_each_message_of_the_wire() -> None:
    assert set(wire_st.MESSAGES) == set(READER)


@pytest.mark.parametrize("model", READER, ids=lambda m: m.__name__)
def test_what_is_written_is_read_as_the_same_message(model: type[Message]) -> None:
    @DETERMINISTIC
    @given(message=wire_st.MESSAGES[model])
    def check(message: Message) -> None:
        frame = CLIENT.encode(message)
        assert READER[model].decode(frame, batch=0) == [message]
        envelope = json.loads(frame)
        assert envelope.keys() == {"type", "message"}
        assert isinstance(envelope["message"], str)  # "Send always the string form"
        inline = CLIENT.encode(message, inline=True)
        assert READER[model].decode(inline, batch=0) == [message]
        assert json.loads(inline)["message"] == json.loads(envelope["message"])
        assert None not in json.loads(envelope["message"]).values()

    check()


@pytest.mark.parametrize("model", READER, ids=lambda m: m.__name__)
def test_an_object_as_message_reads_like_the_string_and_unknown_keys_change_nothing(
    model: type[Message],
) -> None:
    @DETERMINISTIC
    @given(message=wire_st.MESSAGES[model], more=wire_st.json_values)
    def check(message: Message, more: object) -> None:
        body = json.loads(json.loads(CLIENT.encode(message))["message"])
        body |= {"__class__": "x", "unknown key": 1, "deprecated": None}
        envelope = {"v": 2, "id": "7", "type": model.kind, "message": body}
        assert READER[model].decode(json.dumps(envelope), batch=0) == [message]
        text = json.dumps(more)
        if "NaN" in text or "Infinity" in text:
            return
        assert READER[model].decode(
            json.dumps(envelope | {"message": body | {"zz": more}, "yy": more}), batch=0
        ) == [message]

    check()


@DETERMINISTIC
@given(st.lists(wire_st.client_messages, min_size=1, max_size=8))
def test_a_batch_is_read_in_order(messages: list[Message]) -> None:
    messages = [m for m in messages if not isinstance(m, AuthRequest)] or [HeartbeatRequest()]
    frame = CLIENT.join([CLIENT.encode(message) for message in messages])
    assert SERVER.decode(frame, batch=8) == messages


@DETERMINISTIC
@given(wire_st.frames(wire_st.client_messages, batch=4), wire_st.frames(wire_st.server_messages))
def test_the_strategies_for_frames_make_readable_frames(client: str, server: str) -> None:
    for message in (*SERVER.decode(client, batch=4), *CLIENT.decode(server, batch=0)):
        assert isinstance(message, Message)


@pytest.mark.parametrize(
    "value, expected",
    [(5, 5), ("5", 5), (SAFE, SAFE), (str(SAFE + 2), SAFE + 2), (2**63 - 1, 2**63 - 1),
     (str(2**63 - 1), 2**63 - 1), ("007", 7)],
)  # fmt: skip
def test_ids_come_as_numbers_or_as_decimal_strings(value: object, expected: int) -> None:
    assert read(ChatAck.kind, {"seq": value}) == ChatAck(seq=expected)
    sent = read(ChatSendToOne.kind, {"msgId": value, "toUser": 2, "content": "x"})
    assert sent == ChatSendToOne(msg_id=expected, to_user=2, content="x")
    redirected = read(ChatRedirectToUser.kind, {"content": "x", "msgId": value, "seq": value})
    assert (redirected.msg_id, redirected.seq) == (expected, expected)


@pytest.mark.parametrize(
    "value",
    [0, -1, "0", "-5", 2**63, str(2**63), 10**400, True, 1.0, "1.0", "1e3", " 5", "5 ", "+5", "٥",
     "5_0", "0x5", "", None, [], {}],
)  # fmt: skip
def test_what_is_no_id_is_refused_and_its_kind_is_named(value: object) -> None:
    read_back = read(ChatSendToOne.kind, {"msgId": value, "toUser": 2, "content": "x"})
    assert isinstance(read_back, Malformed)
    assert read_back.kind == ChatSendToOne.kind
    assert read_back.msg_id is None


@pytest.mark.parametrize("model", READER, ids=lambda m: m.__name__)
def test_no_number_above_2_to_the_53_leaves_as_a_number_but_times(model: type[Message]) -> None:
    @DETERMINISTIC
    @given(message=wire_st.MESSAGES[model])
    def check(message: Message) -> None:
        body = json.loads(json.loads(CLIENT.encode(message))["message"])
        data = body.get("data")
        items = body.get("items", [])
        for holder in (body, data if isinstance(data, dict) else {}, *items):
            for time in ("timestamp", "serverTime", "lastSeen"):
                holder.pop(time, None)
        assert all(abs(number) <= SAFE for number in numbers(body)), body

    check()


def test_ids_leave_as_numbers_up_to_2_to_the_53_minus_1_and_as_strings_above() -> None:
    assert [id_on_wire(n) for n in (1, SAFE, SAFE + 1)] == [1, SAFE, str(SAFE + 1)]
    assert id_on_wire("bravo") == "bravo"
    receipt = ChatReadReceipt(msg_id=SAFE + 1, from_user=SAFE)
    assert json.loads(json.loads(CLIENT.encode(receipt))["message"]) == {
        "msgId": "9007199254740992",
        "fromUser": 9007199254740991,
    }


@pytest.mark.parametrize(
    "value, expected",
    [(7, 7), ("7", 7), ("bravo", "bravo"), ("007", "007"), ("7a", "7a"), ("-7", "-7"),
     (str(2**63 - 1), 2**63 - 1), (str(2**63), str(2**63)), ("用户", "用户"), ("٧", "٧"),
     ("x" * 128, "x" * 128)],
)  # fmt: skip
def test_a_user_is_a_number_or_a_name_and_a_canonical_decimal_string_is_the_number(
    value: object, expected: int | str
) -> None:
    assert user_id(value) == expected
    assert type(user_id(value)) is type(expected)
    sent = read(ChatSendToOne.kind, {"msgId": 1, "toUser": value, "content": "x"})
    assert sent.to_user == expected
    assert user_id(user_id(value)) == user_id(value)


@pytest.mark.parametrize(
    "value",
    ["", "x" * 129, "a\x00b", "a\nb", "\ud800", "\u202e", 0, -1, 2**63, True, 1.5, None, [], {},
     b"x"],
)  # fmt: skip
def test_what_is_no_user_is_refused_without_saying_what_it_was(value: object) -> None:
    with pytest.raises(ValueError) as raised:
        user_id(value)
    assert not isinstance(value, str) or len(value) < 2 or value not in str(raised.value)
    if value is not None and not isinstance(value, bytes):
        for kind in (ChatSendToOne.kind, ChatReadReceipt.kind):
            body = {"msgId": 9, "toUser": value, "fromUser": value, "content": "x"}
            # an unpaired surrogate makes all of the inner JSON unreadable, its msgId too
            msg_id = None if value == "\ud800" else 9
            malformed = read(kind, body)
            assert isinstance(malformed, Malformed) and malformed.msg_id == msg_id


@pytest.mark.parametrize("message", [{}, None, "", "null", "{}", " {} ", "missing"])
def test_an_empty_message_in_every_spelling_is_an_empty_object(message: object) -> None:
    envelope: dict[str, object] = {"type": HeartbeatRequest.kind, "message": message}
    if message == "missing":
        del envelope["message"]
    assert SERVER.decode(json.dumps(envelope), batch=0) == [HeartbeatRequest()]
    (auth,) = SERVER.decode(json.dumps(envelope | {"type": AuthRequest.kind}), batch=0)
    assert isinstance(auth, Malformed)
    assert auth.reason == "accessToken: missing"


@pytest.mark.parametrize("message", [[], 1, True, "[]", "1", "nul", '"{}"', "{", '{"a":1}x', 1.5])
def test_a_message_that_is_no_object_is_malformed(message: object) -> None:
    frame = json.dumps({"type": HeartbeatRequest.kind, "message": message})
    (read_back,) = SERVER.decode(frame, batch=0)
    assert isinstance(read_back, Malformed) and read_back.kind == HeartbeatRequest.kind


def test_an_unknown_type_is_an_event_and_each_side_knows_only_what_it_can_get() -> None:
    assert SERVER.decode('{"type":"GROUP_JOIN","message":"{"}', batch=0) == [
        Unknown(kind="GROUP_JOIN")
    ]
    assert SERVER.decode('{"type":"GROUP_JOIN","message":{"seq":"7"}}', batch=0) == [
        Unknown(kind="GROUP_JOIN", seq=7)
    ]
    assert SERVER.decode('{"type":"GROUP_JOIN","message":{"seq":0}}', batch=0) == [
        Unknown(kind="GROUP_JOIN")
    ]
    both = {Typing.kind}  # one word, said in both directions
    for model in (model for model in SERVER_MESSAGES if model.kind not in both):
        assert SERVER.decode(json.dumps({"type": model.kind}), batch=0) == [
            Unknown(kind=model.kind)
        ]
    for model in (model for model in CLIENT_MESSAGES if model.kind not in both):
        assert CLIENT.decode(json.dumps({"type": model.kind}), batch=0) == [
            Unknown(kind=model.kind)
        ]
    assert SERVER.decode('{"type":"auth_request"}', batch=0) == [Unknown(kind="auth_request")]
    assert SERVER.decode('{"type":"a\\n\\u0007b"}', batch=0) == [Unknown(kind="a\\n\\x07b")]


@pytest.mark.parametrize("envelope", [{}, {"type": None}, {"type": 5}, {"type": ""},
                                      {"type": "x" * 65}, {"type": ["AUTH_REQUEST"]}])  # fmt: skip
def test_an_envelope_without_a_usable_type_is_malformed(envelope: object) -> None:
    assert SERVER.decode(json.dumps(envelope), batch=0) == [
        Malformed(kind="", reason="the envelope has no usable type")
    ]


@pytest.mark.parametrize("code, expected", [
    (0, Outcome.SUCCESS), (200, Outcome.SUCCESS), ("0", Outcome.SUCCESS), ("200", Outcome.SUCCESS),
    ("40100", Outcome.AUTH), (401, Outcome.AUTH), ("50000", Outcome.SERVER_ERROR),
    (None, Outcome.SUCCESS), ("-1", Outcome.REFUSED),
])  # fmt: skip
def test_codes_come_as_numbers_or_as_digits_on_both_branches(
    code: object, expected: Outcome
) -> None:
    answer = read(ChatSendResponse.kind, {"msgId": "1", "code": code})
    assert outcome(answer.code) is expected
    if code is not None:
        assert outcome(read(AuthResponse.kind, {"code": code}).code) is expected


def test_a_login_without_a_code_is_no_answer() -> None:
    assert isinstance(read(AuthResponse.kind, {"message": "ok"}), Malformed)


@pytest.mark.parametrize("data", [None, "", "x", [], [1], 5, True])
def test_a_login_with_nothing_to_say_is_read_all_the_same(data: object) -> None:
    assert read(AuthResponse.kind, {"code": 0, "data": data}) == AuthResponse(code=0)


def test_an_error_speaks_under_either_name() -> None:
    for name in ("message", "errorMsg"):
        other = "errorMsg" if name == "message" else "message"
        said = {"code": "40400", other: None, name: "no such user", "msgId": "5"}
        error = read(ChatError.kind, said)
        assert isinstance(error, ChatError)
        assert (error.code, error.text, error.msg_id) == (40400, "no such user", 5)


def test_optional_remarks_that_cannot_be_read_are_as_good_as_none() -> None:
    pushed = read(
        ChatRedirectToUser.kind,
        {"content": "x", "msgId": "abc", "fromUser": "", "sessionId": -1, "timestamp": "now",
         "messageType": []},
    )  # fmt: skip
    assert pushed == ChatRedirectToUser(content="x")
    assert read(ChatRedirectToUser.kind, {"content": "x", "messageType": 1}).message_type == "1"
    assert read(ChatSendResponse.kind, {"msgId": 1, "message": 7}).message == "7"


def test_resume_and_limits_are_read_inside_an_object_too() -> None:
    request = AuthRequest.model_validate(
        {"access_token": "t", "user_id": 1, "capabilities": ["seq"], "device_id": "d"}
        | {"resume": {"epoch": "e", "seq": 5, "from_user": "2", "msg_id": 9}}
        | {"limits": {"frame_bytes": 4096, "batch": 8}}
    )
    body = json.loads(json.loads(CLIENT.encode(request))["message"])
    assert body["resume"] == {"epoch": "e", "seq": 5, "fromUser": 2, "msgId": 9}
    assert SERVER.decode(json.dumps({"type": request.kind, "message": body}), batch=0) == [request]


def test_join_leaves_one_envelope_alone_and_makes_an_array_of_several() -> None:
    one = CLIENT.encode(SyncRequest(after=1))
    assert CLIENT.join([one]) == one
    assert json.loads(CLIENT.join([one, one])) == [json.loads(one)] * 2
    with pytest.raises(BadFrame):
        SERVER.decode(CLIENT.join([one, one]), batch=0)
