"""A hostile server that speaks the protocol, and says what no server may.

Each item has one documented answer: it is refused in a `ProtocolViolation`, or it is as good as
unsaid; nothing raises, nothing grows, and the state can be read.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.test_framing_kit import answer
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.welcome import LAST_PLAUSIBLE_ID
from security.hostile_kit import Victim, envelope, held, text_frame

MOST = 2**63 - 1

# ---------------------------------------------------------------- JSON

#: Frames of which nothing can be used: the link ends, with this code.
BAD_FRAMES: dict[str, tuple[str, int]] = {
    "100 000 arrays deep": ("[" * 100_000, 1007),
    "100 000 objects deep": ('{"type":' * 100_000, 1007),
    "no JSON": ("hello", 1007),
    "NaN": ('{"type":"KICK","message":{"retryAfter":NaN}}', 1007),
    "Infinity": ('{"type":"KICK","message":{"retryAfter":-Infinity}}', 1007),
    "an int of 5 000 digits": ('{"type":"KICK","x":' + "9" * 5_000 + "}", 1007),
    "a lone surrogate": ('{"type":"\\ud800"}', 1007),
    "a lone surrogate in a message": ('{"type":"KICK","message":{"reason":"\\udfff"}}', 1007),
    "a number": ("1", 1002),
    "an empty batch": ("[]", 1002),
    "a batch in a batch": ('[[{"type":"KICK"}]]', 1002),
    "a batch of 1 025": ("[" + ",".join(['{"type":"KICK"}'] * 1025) + "]", 1002),
    "a batch of 300 000": ("[" + ",".join(["{}"] * 300_000) + "]", 1002),
    "a login in a batch": ('[{"type":"AUTH_REQUEST"}]', 0),
    "two values": ("{}{}", 1007),
}


@pytest.mark.parametrize("name", [name for name, (_, code) in BAD_FRAMES.items() if code])
@pytest.mark.parametrize("logged_in", [True, False], ids=["logged in", "before the log-in"])
def test_a_frame_that_can_not_be_read_ends_the_link_and_is_told_without_its_words(
    name: str, logged_in: bool
) -> None:
    text, code = BAD_FRAMES[name]
    v = Victim().login() if logged_in else Victim().link()
    v.forget().text(text)
    (told,) = v.of(ev.ProtocolViolation)
    assert v.closed() == told.close_code
    assert told.close_code == (code if logged_in or not text.startswith("[{") else 1002)
    assert len(told.reason) < 100
    assert v.of(ev.Reconnecting)
    assert v.of(ev.ErrorOccurred)[0].error.retryable


#: Envelopes of which the client can't use one thing: that is told, and the link stays.
MALFORMED: dict[str, str] = {
    "no type": "{}",
    "a type that is a number": '{"type":5}',
    "a type of 1 MB": json.dumps({"type": "X" * 1_000_000}),
    "no fields": '{"type":"AUTH_RESPONSE"}',
    "a message that is no JSON": '{"type":"KICK","message":"{"}',
    "a message 10 000 deep": json.dumps({"type": "KICK", "message": "[" * 10_000}),
    "NaN in the message": json.dumps({"type": "KICK", "message": '{"retryAfter":NaN}'}),
    "1e999 in the message": json.dumps({"type": "KICK", "message": '{"retryAfter":1e999}'}),
    "retryAfter below zero": envelope("KICK", retryAfter=-1),
    "retryAfter of 1e300": envelope("KICK", retryAfter=1e300),
    "a lone surrogate": json.dumps({"type": "KICK", "message": '{"reason":1,"x":"\\ud800"}'}),
    "seq 0": envelope("CHAT_REDIRECT_TO_USER_REQUEST", content="x", seq=0),
    "seq -1": envelope("CHAT_REDIRECT_TO_USER_REQUEST", content="x", seq=-1),
    "seq 2^63": envelope("CHAT_REDIRECT_TO_USER_REQUEST", content="x", seq=2**63),
    "seq 1.5": envelope("CHAT_REDIRECT_TO_USER_REQUEST", content="x", seq=1.5),
    "seq true": envelope("CHAT_REDIRECT_TO_USER_REQUEST", content="x", seq=True),
    "msgId of 4 000 digits": '{"type":"CHAT_SEND_RESPONSE","message":{"msgId":' + "9" * 4000 + "}}",
    "content of 100 000": envelope("CHAT_REDIRECT_TO_USER_REQUEST", content="x" * 100_000),
    "a receipt of 100 000": envelope(
        "RECEIPT_PUSH", msgIds=list(range(1, 100_001)), user=2, status="read"
    ),
    "a status of 1 001": envelope(
        "MESSAGE_STATUS_RESPONSE", items=[{"msgId": 1, "status": "read"}] * 1001
    ),
    "a status that is none": envelope(
        "MESSAGE_STATUS_RESPONSE", items=[{"msgId": 1, "status": "eaten"}]
    ),
    "a sync that is none": envelope("SYNC_RESPONSE", status="perhaps", oldest=1),
    "a sync below zero": envelope("SYNC_RESPONSE", status="reset", oldest=-5),
    "an epoch with line ends": envelope("SYNC_RESPONSE", status="reset", oldest=1, epoch="a\nb"),
    "presence of nobody": envelope("PRESENCE", user="", online=True),
    "typing of a line end": envelope("TYPING", fromUser="a\nb", active=True),
    "an answer to a call of no name": envelope("SESSION_RESPONSE", id="", code=0),
    "a code of 2^40": envelope("CHAT_SEND_RESPONSE", msgId=1, code=2**40),
    "expiresIn of 1e300": envelope("AUTH_EXPIRING", expiresIn=1e300),
    "expiresIn below zero": envelope("AUTH_EXPIRING", expiresIn=-1),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_one_thing_that_can_not_be_read_is_told_in_our_words_and_costs_nothing_else(
    name: str,
) -> None:
    v = Victim().login()
    ref = v.send()
    v.forget().text(MALFORMED[name])
    (reason,) = v.violations()
    assert reason.isascii() and len(reason) < 120
    assert len(v.actions) == 1
    assert v.status == "AUTHENTICATED"
    v.push(1).forget()
    v.say("CHAT_SEND_RESPONSE", msgId=v.engine.core.sending.outbox[ref].msg_id, code=0)
    assert v.of(ev.MessageAccepted)


def test_an_unknown_type_is_an_event_and_of_two_equal_keys_the_last_counts() -> None:
    v = Victim().login().text('{"type":"SURPRISE\\u0000\\u202e","message":"{}"}')
    assert [event.kind for event in v.of(ev.UnknownMessage)] == ["SURPRISE\\x00\\u202e"]
    v.text('{"type":"KICK","type":"TYPING","message":"{\\"fromUser\\":1,\\"fromUser\\":2,'
           '\\"active\\":true}"}')  # fmt: skip
    assert [event.from_user for event in v.of(ev.TypingChanged)] == [2]


def test_a_nul_in_a_message_is_the_applications_affair_and_in_a_name_it_is_refused() -> None:
    v = Victim().login().push(1, "a\u0000b")
    assert [event.content for event in v.of(ev.MessageReceived)] == ["a\u0000b"]
    v.push(2, "x", fromUser="a\u0000b", messageType="a\u0000")
    assert v.of(ev.MessageReceived)[-1].from_user is None
    assert v.of(ev.MessageReceived)[-1].message_type == "text"


# ---------------------------------------------------------------- the log-in


@pytest.mark.parametrize("told", [2, "2", "bravo", MOST])
@pytest.mark.parametrize("extensions", [True, False])
def test_a_log_in_as_somebody_else_is_the_end_and_both_are_named(
    told: object, extensions: bool
) -> None:
    v = Victim(extensions=extensions).link()
    v.send()
    v.forget().say("AUTH_RESPONSE", code=0, data={"userId": told, "username": "eve"})
    assert not v.of(ev.Authenticated)
    (failed,) = v.of(ev.AuthFailed)
    assert failed.error.code == "AUTH_FAILED"
    assert failed.error.terminal and not failed.error.retryable
    assert f"{2 if told == '2' else told!r}" in failed.error.text
    assert "user_id is 1" in failed.error.text
    assert not v.said("CHAT_SEND_TO_ONE_REQUEST")
    assert v.closed() == 1000
    assert v.status == "DISCONNECTED"
    assert "a new token" in v.engine.explain(v.now)
    v.pass_time(3600.0)
    assert not v.of(act.OpenTransport)
    v.do(inp.UpdateToken(token="of user 1"))
    assert v.of(act.OpenTransport)


@pytest.mark.parametrize("data", [None, {}, {"userId": 1}, {"userId": "1"}, {"userId": 0}])
def test_a_log_in_that_names_the_user_or_nobody_is_one(data: dict[str, Any] | None) -> None:
    v = Victim().link().say("AUTH_RESPONSE", code=0, data=data)
    assert v.status == "AUTHENTICATED"


def test_a_refusal_may_name_whom_it_wants() -> None:
    v = Victim().link().say("AUTH_RESPONSE", code=50000, message="no", data={"userId": 7})
    assert v.error.code == "SERVER_ERROR"


def test_a_new_token_that_turns_out_to_be_somebody_elses_is_the_end_too() -> None:
    v = Victim().login(capabilities=["seq", "refresh"], expiresIn=600)
    v.do(inp.UpdateToken(token="of user 2"))
    v.forget().say("AUTH_RESPONSE", code=0, data={"userId": 2})
    assert v.of(ev.AuthFailed)[0].error.terminal
    assert v.status == "DISCONNECTED"
    assert not v.of(ev.TokenRefreshed)


def test_a_second_answer_to_the_log_in_is_a_violation_and_changes_nothing() -> None:
    v = Victim().login()
    before = v.engine.explain(v.now)
    v.forget()
    for code, user in ((0, 2), (0, 1), (40101, 1), (400, 1), (50000, 1)):
        v.say("AUTH_RESPONSE", code=code, data={"userId": user, "epoch": "other", "seq": 99})
    assert v.violations() == ["AUTH_RESPONSE without a log-in"] * 5
    assert v.engine.explain(v.now) == before
    assert v.status == "AUTHENTICATED"


def test_who_talks_for_ever_and_never_answers_the_log_in_is_given_up_in_time() -> None:
    v = Victim(timeouts={"auth": 10.0}).link()
    began = v.now
    while v.closed() is None:
        v.say("HEARTBEAT_RESPONSE").push(None, "early", msgId=int(v.now * 10)).pass_time(0.5)
    assert v.now - began <= 10.5
    assert v.error.code == "AUTH_TIMEOUT"
    assert not v.said("CHAT_ACK_REQUEST")


@pytest.mark.parametrize("last", [MOST, MOST - 1, 2**62, LAST_PLAUSIBLE_ID + 1])
def test_a_last_msg_id_that_can_not_be_is_ignored_and_told(last: int) -> None:
    v = Victim().link().forget()
    granted = {"deviceId": v.engine.device_id, "capabilities": ["seq"], "epoch": "e1", "seq": 0}
    v.say("AUTH_RESPONSE", code=0, data=granted | {"lastMsgId": last})
    assert "lastMsgId is too far ahead" in v.violations()[0]
    v.send()
    ((message),) = v.said("CHAT_SEND_TO_ONE_REQUEST")
    assert message["msgId"] == 1_700_000_000_000_000
    assert v.status == "AUTHENTICATED"


def test_the_highest_last_msg_id_that_can_be_leaves_numbers_enough() -> None:
    v = Victim().login(lastMsgId=LAST_PLAUSIBLE_ID)
    assert not v.violations()
    v.send()
    (message,) = v.said("CHAT_SEND_TO_ONE_REQUEST")
    assert message["msgId"] == LAST_PLAUSIBLE_ID + 1
    assert isinstance(message["msgId"], int)


HINTS = [0.001, 1e-300, 1e9, 86_400, 0, -1, "x", None]


@pytest.mark.parametrize("interval", HINTS)
@pytest.mark.parametrize("timeout", HINTS)
def test_no_hint_of_a_heartbeat_spins_the_client_or_keeps_it_from_sleeping(
    interval: object, timeout: object
) -> None:
    v = Victim().login(heartbeat={"interval": interval, "timeout": timeout})
    v.forget()
    ends = v.now + 10.0
    while v.now < ends and v.status == "AUTHENTICATED":
        v.say("HEARTBEAT_RESPONSE").pass_time(0.05)
    assert len(v.said("HEARTBEAT_REQUEST")) <= 101


LIMITS = [
    {"frameBytes": 1, "batch": 1, "contentUnits": 1, "inFlight": 1, "unacked": 1},
    {"frameBytes": 1024, "batch": 1, "contentUnits": 1, "inFlight": 1, "unacked": 1},
    {"frameBytes": 2**31, "batch": 65_536, "contentUnits": 2**31, "inFlight": 65_536},
    {"frameBytes": 2**40, "batch": 2**40, "contentUnits": 2**40, "inFlight": 2**40},
    {"frameBytes": 0, "batch": 0, "inFlight": 0, "dedupeSeconds": -1},
    {"dedupeSeconds": 0},
    {"dedupeSeconds": 1e300},
]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("before", [True, False], ids=["queued before", "queued after"])
def test_whatever_limits_a_server_tells_what_is_sent_stays_within_our_own(
    limits: dict[str, float], before: bool
) -> None:
    v = Victim(in_flight=8)
    for number in range(20 if before else 0):
        v.send("x" * 500, to=2 + number)
    v.login(limits=limits)
    for number in range(0 if before else 20):
        try:
            v.send("x" * 500, to=2 + number)
        except Exception as error:
            assert "MESSAGE_FORMAT_ERROR" in str(error)
            assert limits["contentUnits"] == 1
    assert len(v.said("CHAT_SEND_TO_ONE_REQUEST")) <= 8
    assert v.status == "AUTHENTICATED"


@pytest.mark.parametrize("expires", [0, -1, 1e-300, 1e300, "soon", MOST])
def test_no_lifetime_of_a_token_makes_the_client_ask_without_pause(expires: object) -> None:
    asked = 0
    v = Victim(token=lambda: "t", reconnect={"jitter": "none"})
    v.do(inp.Connect())
    v.do(inp.TokenReady(request=v.engine.core.login.request, token="t0"))
    v.login(capabilities=["seq", "refresh"], expiresIn=expires)
    ends = v.now + 60.0
    v.forget()
    while v.now < ends:
        v.say("AUTH_EXPIRING", expiresIn=0)
        for wanted in v.of(act.FetchToken):
            asked += 1
            v.forget().do(inp.TokenReady(request=wanted.request, token=f"t{asked}"))
            v.say("AUTH_RESPONSE", code=0, data={"expiresIn": expires})
        v.pass_time(0.1)
    assert 0 < asked <= 62


# ---------------------------------------------------------------- answers to what was never asked


def test_answers_to_what_was_never_sent_change_nothing() -> None:
    v = Victim().login(capabilities=["seq", "status", "receipts", "sessions", "refresh"])
    v.push(1)
    v.do(inp.MarkRead(from_user=2, msg_id=1))
    before = v.engine.explain(v.now)
    v.forget()
    for msg_id in (1, 1_700_000_000_000_000, MOST):
        for code in (None, 0, 400, 403, 40900, 50000):
            v.say("CHAT_SEND_RESPONSE", msgId=msg_id, code=code)
        v.say("CHAT_READ_RECEIPT_RESPONSE", msgId=msg_id + (msg_id < MOST), code=0)
        v.say("MESSAGE_STATUS_RESPONSE", items=[{"msgId": msg_id, "status": "accepted"}])
    v.say("SYNC_RESPONSE", status="reset", oldest=MOST, epoch="other")
    v.say("SESSION_RESPONSE", id="1", code=0, data={"id": 1})
    v.say("SESSION_RESPONSE", id="9" * 64, code=40100)
    v.say("HEARTBEAT_RESPONSE")
    assert {type(event) for event in v.events()} == {ev.HeartbeatReceived}
    assert [event.rtt for event in v.of(ev.HeartbeatReceived)] == [None]
    assert v.engine.counters.accepted == 0
    assert v.engine.explain(v.now) == before


def test_an_answer_to_what_was_never_sent_proves_no_token() -> None:
    v = Victim(token=lambda: "t")
    v.do(inp.Connect())
    v.do(inp.TokenReady(request=v.engine.core.login.request, token="t0"))
    v.login()
    logins = 0
    while v.status != "DISCONNECTED":
        ref = v.send(f"message {logins}")
        msg_id = v.engine.core.sending.outbox[ref].msg_id
        v.say("CHAT_SEND_RESPONSE", msgId=msg_id, code=40100)
        if v.status == "DISCONNECTED":
            break
        v.forget().pass_time(60.0, until=act.FetchToken)
        request = v.engine.core.login.request
        v.do(inp.TokenReady(request=request, token=f"t{(logins := logins + 1)}"))
        v.login().say("CHAT_SEND_RESPONSE", msgId=12345, code=0)
        assert logins < 5, "it would log in for ever"
    assert logins == 1


def test_an_error_that_names_no_message_is_told_and_blames_none_of_two() -> None:
    v = Victim().login()
    v.send("one", to=2)
    v.send("two", to=3)
    v.forget().say("CHAT_ERROR_RESPONSE", code=400, message="\x1b[31mno\r\nlog: forged")
    (told,) = v.of(ev.ErrorOccurred)
    assert told.error.server_text == "\\x1b[31mno\\r\\nlog: forged"
    assert not v.of(ev.MessageFailed)
    assert "2 messages to send" in v.engine.explain(v.now)


def test_memory_does_not_grow_with_answers_that_nobody_asked_for() -> None:
    v = Victim().login(capabilities=["seq", "batch", "status", "receipts", "presence", "typing"])
    batch = [json.loads(envelope("PRESENCE", user=user, online=True)) for user in range(1, 201)]
    batch += [json.loads(envelope("TYPING", fromUser=user, active=True)) for user in range(1, 201)]
    batch += [json.loads(envelope("CHAT_SEND_RESPONSE", msgId=n)) for n in range(1, 201)]
    batch += [json.loads(envelope("KICK", reason="r" * 50, reconnect=True))] * 200
    batch += [json.loads(envelope("SESSION_RESPONSE", id=str(n), code=0)) for n in range(200)]
    data = text_frame(json.dumps(batch))

    def flood() -> None:
        for _ in range(10):
            v.bytes(data)
            v.forget()

    flood()  # what is made once
    behind, most = held(flood)
    assert behind < 250_000  # other threads of the tests may hold something as well
    assert most < 20 << 20  # one frame of 1000 messages, read
    assert v.status == "AUTHENTICATED"


def test_a_kick_is_only_as_good_as_its_close_and_the_last_one_counts() -> None:
    v = Victim().login().forget()
    for number in range(1000):
        v.say("KICK", reason=f"kick {number}\r\n\x1b[2J", reconnect=False, retryAfter=1)
    assert not v.actions
    assert v.status == "AUTHENTICATED"
    v.say("KICK", reason="the\u202elast", reconnect=True, retryAfter=86_400 * 366)
    v.do(inp.TransportLost(transport=v.transport))
    assert v.of(ev.Reconnecting)[0].delay == 86_400  # nobody sends us away for longer than a day
    assert "the\\u202elast" in v.engine.explain(v.now)


def test_pushes_before_the_log_in_and_after_the_end() -> None:
    v = Victim().link()
    v.push(7, "early").push(9, "also early")
    assert [event.seq for event in v.of(ev.MessageReceived)] == [None, None]
    assert not v.said("SYNC_REQUEST")
    v.do(inp.Disconnect())
    v.forget().push(8, "late")
    assert not v.actions
    v.bytes(answer())  # no frame: it does not go on to listen
    assert v.actions == [act.AbortTransport(transport=v.transport)]
