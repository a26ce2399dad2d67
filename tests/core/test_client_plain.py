"""Outgoing messages against a plain server (protocol.md, "Order and certainty")."""

from __future__ import annotations

import pytest

from core.client_kit import Driver
from im_proto.client import events as ev
from im_proto.errors import IMErrorCode


def test_one_unanswered_message_per_recipient_many_conversations_at_once() -> None:
    d = Driver(in_flight=64)
    refs = {content: d.send(content, to=int(content[1])) for content in ("a2", "b2", "a3", "b3")}
    d.login()
    assert d.chats() == ["a2", "a3"]
    d.answer(refs["a3"])
    assert d.chats() == ["a2", "a3", "b3"]
    d.answer(refs["a2"])
    assert d.chats() == ["a2", "a3", "b3", "b2"]


def test_the_window_holds_over_all_conversations() -> None:
    d = Driver(in_flight=2)
    refs = [d.send(str(n), to=n) for n in range(2, 7)]
    d.login()
    assert len(d.chats()) == 2
    d.answer(refs[0])
    assert len(d.chats()) == 3


def test_a_server_that_no_longer_knows_us_gets_one_at_a_time_again() -> None:
    d = Driver()
    for content in "abc":
        d.send(content)
    d.login_ours().lose().forget()
    d.login()
    assert d.chats() == ["a"]


def test_what_a_lost_link_left_unanswered_is_sent_again_on_the_next_in_order() -> None:
    d = Driver()
    first, second = d.send("1"), d.send("2")
    d.login().lose().login()
    assert d.chats() == ["1", "1"]
    d.answer(first).answer(second)
    assert d.accepted() == [first, second]
    assert d.chats() == ["1", "1", "2"]


def test_or_ends_in_doubt_if_it_may_arrive_at_most_once() -> None:
    d = Driver(resend_when_unsure=False)
    first, second = d.send("1"), d.send("2")
    d.login().lose()
    assert d.failed() == {first: "IN_DOUBT"}
    d.login()
    assert d.chats() == ["1", "2"]
    d.answer(second)
    assert d.accepted() == [second]


@pytest.mark.parametrize("end", ["disconnect", "close", "silence"])
def test_every_end_of_a_link_leaves_doubt(end: str) -> None:
    d = Driver(resend_when_unsure=False, heartbeat={"interval": 1, "timeout": 1}).login()
    ref = d.send()
    if end == "disconnect":
        d.disconnect()
    elif end == "close":
        d.close(1000)
    else:
        d.pass_time(10)
    assert d.failed() == {ref: "IN_DOUBT"}


def test_sending_again_is_bounded_and_ends_in_doubt() -> None:
    d = Driver(max_sends=3)
    ref = d.send()
    for _ in range(3):
        assert not d.failed()
        d.login().lose()
    assert d.failed() == {ref: "IN_DOUBT"}
    assert d.chats() == ["hello"] * 3


def test_an_ack_timeout_never_sends_again_on_the_same_connection() -> None:
    d = Driver(timeouts={"ack": 10}, heartbeat={"interval": 1000, "timeout": 5}).login()
    d.send()
    d.pass_time(10)
    d.frame("HEARTBEAT_RESPONSE")
    assert d.probes() == 1
    d.pass_time(5)
    assert d.core.reconnect == "waiting"
    assert d.chats() == ["hello"]
    d.login()
    assert d.chats() == ["hello"] * 2


@pytest.mark.parametrize("code", [500, 599, 50000, 50001])
def test_a_server_error_is_tried_again_later_on_the_same_link(code: int) -> None:
    d = Driver(reconnect={"initial_delay": 2}).login()
    ref, behind, other = d.send("1"), d.send("2"), d.send("o", to=3)
    d.answer(ref, code).answer(other)
    assert d.status == "AUTHENTICATED"
    d.pass_time(1.9)
    assert d.chats() == ["1", "o"]
    d.pass_time(0.1)
    assert d.chats() == ["1", "o", "1"]
    d.answer(ref).answer(behind)
    assert d.accepted() == [other, ref, behind]


def test_who_rests_less_goes_on_first() -> None:
    d = Driver(reconnect={"initial_delay": 2}).login()
    often, once = d.send("often"), d.send("once", to=3)
    d.answer(often, 500).pass_time(2)
    d.answer(often, 500).answer(once, 500).forget().pass_time(2)
    assert d.chats() == ["once"]
    d.pass_time(2)
    assert d.chats() == ["once", "often"]


def test_trying_again_after_a_server_error_slows_down_and_is_bounded() -> None:
    d = Driver(max_sends=4, reconnect={"initial_delay": 1}, heartbeat={"interval": 1000}).login()
    ref = d.send()
    for pause in (1, 2, 4):
        d.answer(ref, 50000)
        sends = len(d.chats())
        d.pass_time(pause - 0.01)
        assert len(d.chats()) == sends
        d.pass_time(0.01)
        assert len(d.chats()) == sends + 1
    d.answer(ref, 50000, message="db down")
    assert d.failed() == {ref: "SERVER_ERROR"}
    assert d.of(ev.MessageFailed)[0].error.server_text == "db down"


def test_a_rest_outlives_the_link() -> None:
    d = Driver(reconnect={"initial_delay": 20, "max_delay": 20, "stable_after": 0}).login()
    ref = d.send()
    d.answer(ref, 50000).lose()
    assert d.delay() == 20
    d.connect().login()
    assert d.chats() == ["hello"]
    d.pass_time(20)
    assert d.chats() == ["hello"] * 2


def test_only_server_errors_are_retried() -> None:
    d = Driver().login()
    for code in (400, 403, 404, 40400, 40300, 499, 49999):
        d.answer(d.send(), code)
    assert list(d.failed().values()) == ["MESSAGE_SEND_FAILED"] * 7
    assert d.core.next_deadline() == d.now + 30  # the heartbeat, and no retry


# ---------------------------------------------------------------- CHAT_ERROR_RESPONSE


@pytest.mark.parametrize("words", ["message", "errorMsg"])
def test_an_error_with_a_msg_id_is_the_answer_to_that_message(words: str) -> None:
    d = Driver().login()
    first, second = d.send("1"), d.send("2", to=3)
    d.frame("CHAT_ERROR_RESPONSE", code=403, msgId=d._ids[second], **{words: "blocked"})
    assert d.failed() == {second: "MESSAGE_SEND_FAILED"}
    assert d.of(ev.MessageFailed)[0].error.server_text == "blocked"
    d.answer(first)
    assert d.accepted() == [first]


def test_an_error_without_a_msg_id_speaks_of_the_only_message_in_flight() -> None:
    d = Driver().login()
    ref = d.send()
    d.frame("CHAT_ERROR_RESPONSE", code=400, errorMsg="what?")
    assert d.failed() == {ref: "MESSAGE_SEND_FAILED"}


@pytest.mark.parametrize("in_flight", [0, 2])
def test_an_error_without_a_msg_id_is_never_guessed_onto_one_of_several(in_flight: int) -> None:
    d = Driver().login()
    for n in range(in_flight):
        d.send(str(n), to=2 + n)
    d.frame("CHAT_ERROR_RESPONSE", code=400, message="something")
    assert not d.failed()
    error = d.of(ev.ErrorOccurred)[0].error
    assert (error.code, error.server_code) == (IMErrorCode.SERVER_ERROR, 400)
    assert d.status == "AUTHENTICATED"


def test_an_error_that_names_an_unknown_message_is_told_as_an_error() -> None:
    d = Driver().login()
    ref = d.send()
    d.frame("CHAT_ERROR_RESPONSE", code=400, msgId=4711)
    assert not d.failed()
    assert d.errors() == ["SERVER_ERROR"]
    d.answer(ref)


@pytest.mark.parametrize("code", [0, 200, None])
def test_an_error_is_no_acceptance_whatever_its_code(code: int | None) -> None:
    d = Driver().login()
    ref = d.send()
    d.frame("CHAT_ERROR_RESPONSE", msgId=d._ids[ref], **({} if code is None else {"code": code}))
    assert not d.accepted()
    assert d.failed() == {ref: "MESSAGE_SEND_FAILED"}


def test_an_error_of_the_server_kind_retries_the_message() -> None:
    d = Driver().login()
    ref = d.send()
    d.frame("CHAT_ERROR_RESPONSE", code=50000, msgId=d._ids[ref]).pass_time(1)
    assert d.chats() == ["hello"] * 2
