"""The second dialect on the wire: what is sent, and every form that servers write (section 1)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from im_proto.errors import LocalProtocolError
from im_proto.testing import strategies as wire_st
from im_proto.testing import typed_strategies as typed_st
from im_proto.wire import (
    CLIENT_MESSAGES,
    AuthRequest,
    AuthResponse,
    ChatAnswer,
    ChatRedirectToUser,
    ChatSendResponse,
    ChatSendToOne,
    HeartbeatRequest,
    HeartbeatResponse,
    Incoming,
    Malformed,
    Message,
    Typed,
    Unknown,
    user_id,
)

DETERMINISTIC = settings(derandomize=True, database=None, deadline=None, max_examples=100)
TYPED = Typed()
SAFE = 2**53 - 1
NOW = 1_700_000_000_123


def read(text: str) -> Incoming:
    """The one message of a frame."""
    (message,) = TYPED.decode(text, batch=0)
    return message


def hear(kind: str, data: Any = None, **more: Any) -> Incoming:
    """What an envelope with that `data` is read as."""
    return read(json.dumps({"type": kind, "data": data} | more))


# ---------------------------------------------------------------- what is sent


def sent(message: Any) -> dict[str, Any]:
    """The envelope that is sent, as the peer's JSON reader has it."""
    envelope = json.loads(TYPED.encode(message, wall_ms=NOW))
    assert list(envelope) == ["type", "id", "timestamp", "data"]
    assert envelope["timestamp"] == NOW and isinstance(envelope["id"], str)
    return dict(envelope)


def same_user(written: Any, user: int | str) -> bool:
    """Does it mean that user, and does a JavaScript peer read it right?"""
    return user_id(written) == user and (not isinstance(written, int) or written <= SAFE)


@DETERMINISTIC
@given(message=wire_st.MESSAGES[ChatSendToOne])
def test_a_chat_message_has_three_fields_and_its_own_id(message: ChatSendToOne) -> None:
    envelope = sent(message)
    assert (envelope["type"], envelope["id"]) == ("chat_message", f"m{message.msg_id}")
    data = envelope["data"]
    assert data.keys() == {"toUserId", "content", "messageType"}
    assert same_user(data["toUserId"], message.to_user)
    assert data["content"] == message.content
    assert data["messageType"] == (message.message_type or "text")


@DETERMINISTIC
@given(message=wire_st.MESSAGES[ChatSendToOne], code=st.sampled_from([0, 200, 403, 50000]))
def test_an_echoed_id_names_the_message(message: ChatSendToOne, code: int) -> None:
    name = sent(message)["id"]
    answer = hear("chat_response", {"code": code, "message": "x"}, id=name)
    assert answer == ChatSendResponse(msg_id=message.msg_id, code=code, message="x")


@DETERMINISTIC
@given(token=st.text(st.characters(codec="utf-8"), min_size=1), user=wire_st.user_ids)
def test_a_log_in_has_the_token_and_the_user_and_nothing_else(token: str, user: int | str) -> None:
    everything = AuthRequest(
        access_token=token, user_id=user, capabilities=["seq"], device_id="phone"
    )
    envelope = sent(everything)
    assert envelope["type"] == "auth"
    assert envelope["data"].keys() == {"token", "userId"}
    assert envelope["data"]["token"] == token
    assert same_user(envelope["data"]["userId"], user)


def test_a_heartbeat_says_when() -> None:
    assert sent(HeartbeatRequest())["type"] == "heartbeat"
    assert sent(HeartbeatRequest())["data"] == {"timestamp": NOW}


SAID = (AuthRequest, HeartbeatRequest, ChatSendToOne)
UNSAID = [model for model in CLIENT_MESSAGES if model not in SAID]


@pytest.mark.parametrize("model", UNSAID, ids=lambda m: m.__name__)
def test_what_the_dialect_has_no_word_for_is_not_sent_as_something_else(
    model: type[Message],
) -> None:
    @settings(DETERMINISTIC, max_examples=2)
    @given(message=wire_st.MESSAGES[model])
    def check(message: Any) -> None:
        with pytest.raises(LocalProtocolError, match=model.kind):
            TYPED.encode(message)

    check()


def test_a_log_in_without_a_user_is_not_sent() -> None:
    with pytest.raises(LocalProtocolError, match="AUTH_REQUEST"):
        TYPED.encode(AuthRequest(access_token="t"))


def test_several_envelopes_never_share_a_frame() -> None:
    assert TYPED.join(["{}"]) == "{}"
    with pytest.raises(ValueError, match="unpack"):
        TYPED.join(["{}", "{}"])


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize("form", typed_st.FORMS)
@pytest.mark.parametrize("kind", sorted(typed_st.TYPED_DATA))
def test_every_form_and_unknown_keys_read_alike(kind: str, form: typed_st.Form) -> None:
    @DETERMINISTIC
    @given(data=typed_st.TYPED_DATA[kind], more=wire_st.json_values)
    def check(data: dict[str, Any], more: object) -> None:
        plain = read(typed_st.write_typed(kind, data))
        assert not isinstance(plain, Malformed | Unknown)
        unknown = {"__class__": "x", "unknown key": 1, "deprecated": None}
        assert read(typed_st.write_typed(kind, data, form)) == plain
        assert read(typed_st.write_typed(kind, unknown | data, form, v=2)) == plain
        if not any(word in json.dumps(more) for word in ("NaN", "Infinity")):
            assert read(typed_st.write_typed(kind, data, form, zz=more)) == plain

    check()


@DETERMINISTIC
@given(data=typed_st.TYPED_DATA["chat_message"])
def test_a_message_is_read_field_by_field(data: dict[str, Any]) -> None:
    message = hear("chat_message", data, id="m5", timestamp=NOW)
    assert isinstance(message, ChatRedirectToUser)
    assert message.content == data["content"]
    assert message.from_user == user_id(data["fromUserId"])
    kind = data.get("messageType")
    assert message.message_type == (None if kind is None else str(kind))
    assert message.timestamp == int(data.get("timestamp", NOW))  # else the envelope's
    assert (message.msg_id, message.session_id, message.seq) == (None, None, None)


@pytest.mark.parametrize(
    "data, code",
    [
        ({"success": True}, 0),
        ({"success": True, "code": 40100}, 0),
        ({"success": "true"}, 0),
        ({"success": 1}, 0),
        ({"code": 200}, 200),
        ({"code": "0"}, 0),
        ({"success": False}, 40100),
        ({"success": "false", "code": None}, 40100),
        ({"success": False, "code": 200}, 40100),
        ({"success": False, "code": "oops"}, 40100),
        ({"success": False, "code": 40101}, 40101),
        ({"success": None, "code": 50000}, 50000),
    ],
)
def test_what_an_answer_to_the_log_in_comes_down_to(data: dict[str, Any], code: int) -> None:
    answer = hear("auth_response", data | {"message": "words", "userId": "7"})
    assert isinstance(answer, AuthResponse)
    assert (answer.code, answer.message) == (code, "words")
    assert answer.data is not None and answer.data.user_id == 7
    assert answer.data.capabilities is None


@pytest.mark.parametrize(
    "data", [None, {}, {"message": "welcome"}, {"success": None}, {"success": "perhaps"}, "ok"]
)
def test_a_log_in_is_never_taken_as_granted_for_lack_of_an_answer(data: Any) -> None:
    answer = hear("auth_response", data)
    assert isinstance(answer, Malformed)
    assert answer.reason.startswith("success: ")


@pytest.mark.parametrize(
    "data, code",
    [
        ({"code": 200}, 200),
        ({"code": "200"}, 200),
        ({"code": None}, None),
        ({}, None),
        (None, None),
        ("", None),
        ("null", None),
        ("{}", None),
        ({"success": True}, None),
        ({"success": False}, 400),
        ({"success": False, "code": 0}, 400),
        ({"success": False, "code": 50000}, 50000),
        ({"success": True, "code": 403}, 403),
    ],
)
def test_what_an_answer_to_a_message_comes_down_to(data: Any, code: int | None) -> None:
    assert hear("chat_response", data) == ChatAnswer(code=code)
    assert hear("chat_response", data, id="m7") == ChatSendResponse(msg_id=7, code=code)


@pytest.mark.parametrize("data", ["ok", 5, True, [], ["code", 0], "[]", '{"code":', '"{}"'])
def test_what_stands_in_data_but_is_no_object_is_no_acceptance(data: Any) -> None:
    unreadable = Malformed(kind="chat_response", reason="data: not an object")
    assert hear("chat_response", data, id="m7") == unreadable
    # … but where the code stands beside it, the data may be anything
    beside = hear("chat_response", data, id="m7", code=0)
    assert beside == ChatSendResponse(msg_id=7, code=0)


NAMES: list[object] = [
    None,
    7,
    "7",
    "",
    "m",
    "m0",
    "m07",
    "M7",
    " m7",
    "m7\n",
    "m7.0",
    "m-7",
    "m٧",
    [7],
]
NAMES += ["m1\u0667", {"m": 7}, True, f"m{2**63}", "m" + "9" * 5000, 10**400]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:12])
def test_an_id_that_is_not_ours_names_nobody(name: object) -> None:
    assert hear("chat_response", {"code": 0}, id=name) == ChatAnswer(code=0)


def test_the_highest_msg_id_comes_back() -> None:
    answer = hear("chat_response", {"code": 0}, id=f"m{2**63 - 1}")
    assert answer == ChatSendResponse(msg_id=2**63 - 1, code=0)


@pytest.mark.parametrize("data", [None, "pong", 5, [], {"timestamp": "x", "serverTime": -1}])
def test_a_heartbeat_is_answered_whatever_the_answer_holds(data: Any) -> None:
    assert hear("heartbeat_response", data) == HeartbeatResponse()
    full = hear("heartbeat_response", {"timestamp": NOW, "serverTime": str(NOW + 1)})
    assert full == HeartbeatResponse(timestamp=NOW, server_time=NOW + 1)


def test_an_unknown_type_is_an_event() -> None:
    assert hear("presence", 5) == Unknown(kind="presence")
    assert hear("auth") == Unknown(kind="auth")  # what clients say
    assert hear("AUTH_RESPONSE") == Unknown(kind="AUTH_RESPONSE")
