"""Outgoing messages against a server of ours: pipelined, in order, exactly once."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.client_kit import WALL, Driver
from im_proto import validation
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.errors import IMError, LocalProtocolError


def refused(d: Driver, **send: object) -> str:
    """What a Send is refused as; it must have changed nothing."""
    before = len(d.core.sending.outbox), d.core.next_deadline(), len(d.actions)
    fields: dict[str, object] = {"ref": 999, "to_user": 2, "content": "x"} | send
    with pytest.raises(IMError) as caught:
        d.do(inp.Send(**fields))
    assert (len(d.core.sending.outbox), d.core.next_deadline(), len(d.actions)) == before
    assert d.core.step(inp.TimePassed(), d.now) == []
    return str(caught.value.code)


# ---------------------------------------------------------------- queue and window


def test_what_is_sent_offline_waits_and_goes_out_at_the_log_in() -> None:
    d = Driver()
    refs = [d.send(c) for c in "abc"]
    assert [event.ref for event in d.of(ev.MessageQueued)] == refs
    assert len(d.actions) == len(refs)
    d.link()
    assert d.chats() == []
    d.login_ours()
    assert d.chats() == ["a", "b", "c"]
    assert len([a for a in d.of(act.SendText) if a.text.startswith("[")]) == 1  # one batch
    for ref in refs:
        d.answer(ref, timestamp=5)
    assert d.accepted() == refs
    assert d.of(ev.MessageAccepted)[0].timestamp == 5


def test_a_message_goes_out_with_all_that_it_has() -> None:
    d = Driver().login_ours()
    d.do(inp.Send(ref=7, to_user="bravo", content=" a ", message_type="image", session_id=2**60))
    sent = d.said("CHAT_SEND_TO_ONE_REQUEST")[0]
    assert sent == {
        "msgId": sent["msgId"],
        "toUser": "bravo",
        "content": " a ",
        "messageType": "image",
        "sessionId": str(2**60),
    }
    assert d.of(ev.MessageHandedOver) == [
        ev.MessageHandedOver(ref=7, msg_id=int(sent["msgId"]), sends=1)
    ]


def test_no_more_than_the_window_are_unanswered() -> None:
    d = Driver(in_flight=3)
    refs = [d.send(str(n), to=2 + n % 2) for n in range(8)]
    d.login_ours()
    assert len(d.chats()) == 3
    for done, ref in enumerate(refs, 1):
        d.answer(ref)
        assert len(d.chats()) == min(8, 3 + done)


@pytest.mark.parametrize(("ours", "theirs", "window"), [(10, 2, 2), (2, 10, 2), (4, None, 4)])
def test_the_smaller_window_of_both_sides_holds(ours: int, theirs: int | None, window: int) -> None:
    d = Driver(in_flight=ours)
    for n in range(20):
        d.send(str(n))
    d.login_ours(**({"limits": {"inFlight": theirs}} if theirs else {}))
    assert len(d.chats()) == window


def test_conversations_take_turns() -> None:
    d = Driver(in_flight=4)
    for n in range(10):
        d.send(f"long {n}", to=2)
    d.send("hello", to=3)
    d.send("hallo", to=4)
    d.login_ours()
    assert {"hello", "hallo"} <= set(d.chats())


def test_a_blocked_transport_gets_no_new_message() -> None:
    d = Driver().login_ours()
    d.do(inp.WriteBlocked(transport=1))
    d.send("waits")
    assert d.chats() == []
    assert "blocked" in d.core.explain()
    d.do(inp.WriteReady(transport=1))
    assert d.chats() == ["waits"]


def test_a_transport_that_was_blocked_before_the_log_in_is_blocked_after_it() -> None:
    d = Driver().link()
    d.send("waits")
    d.do(inp.WriteBlocked(transport=1))
    d.login_ours()
    assert d.chats() == []
    d.do(inp.WriteReady(transport=1))
    assert d.chats() == ["waits"]


def test_a_new_transport_is_not_blocked_by_the_old_one() -> None:
    d = Driver().login_ours()
    d.do(inp.WriteBlocked(transport=1))
    d.lose()
    d.send("goes")
    d.login_ours()
    assert d.chats() == ["goes"]


# ---------------------------------------------------------------- order over reconnects


def test_order_per_conversation_survives_reconnects() -> None:
    d = Driver(in_flight=4)
    refs = {n: d.send(f"{n}", to=2 + n % 2) for n in range(10)}
    arrived: list[str] = []
    for round_ in range(10):
        d.forget().login_ours()
        arrived += d.chats()
        if round_ % 2 and d.core.sending.outbox.oldest:
            d.answer(d.core.sending.outbox.oldest.ref)
        d.lose()
    for to in (0, 1):
        wanted = [str(n) for n in range(10) if n % 2 == to]
        first_seen = list(dict.fromkeys(c for c in arrived if int(c) % 2 == to))
        assert first_seen == wanted[: len(first_seen)]
    d.forget().login_ours()
    while d.core.sending.outbox.oldest:
        d.answer(d.core.sending.outbox.oldest.ref)
    assert len(d.core.sending.outbox) == 0
    assert len(refs) == 10


def test_the_unanswered_go_out_again_first_under_the_same_id() -> None:
    d = Driver()
    first = [d.send(c) for c in "ab"]
    d.login_ours()
    ids = [m["msgId"] for m in d.said("CHAT_SEND_TO_ONE_REQUEST")]
    d.lose()
    d.send("c")
    d.forget().login_ours()
    assert d.chats() == ["a", "b", "c"]
    assert [m["msgId"] for m in d.said("CHAT_SEND_TO_ONE_REQUEST")][:2] == ids
    assert [event.sends for event in d.of(ev.MessageHandedOver)] == [2, 2, 1]
    assert d.core.counters.retransmitted == 2
    d.answer(first[0])
    assert d.of(ev.MessageAccepted)[0].sends == 2


def test_an_answer_counts_once_and_only_for_what_is_in_flight() -> None:
    d = Driver().login_ours()
    ref = d.send()
    d.answer(ref).answer(ref).answer(ref, 403)
    assert d.accepted() == [ref]
    assert not d.failed()
    d.frame("CHAT_SEND_RESPONSE", msgId=12345, code=0)
    waiting = d.send("two")
    d.lose().link()
    d.answer(waiting)  # before the log-in: nothing is in flight
    assert d.accepted() == [ref]


@pytest.mark.parametrize("code", [0, 200, None])
def test_no_code_and_both_codes_of_success_are_acceptances(code: int | None) -> None:
    d = Driver().login_ours()
    ref = d.send()
    d.answer(ref, code, sessionId=9)
    assert d.of(ev.MessageAccepted)[0].session_id == 9


@pytest.mark.parametrize("code", [400, 403, 40300, 40400, 429, 40000])
def test_a_refusal_is_the_end_of_the_message_and_of_it_alone(code: int) -> None:
    d = Driver().login_ours()
    bad, good = d.send("bad"), d.send("good")
    d.answer(bad, code, message="not\nyou").answer(good)
    error = d.of(ev.MessageFailed)[0].error
    assert (error.code, error.server_code) == ("MESSAGE_SEND_FAILED", code)
    assert error.server_text == "not\\nyou"
    assert d.accepted() == [good]


# ---------------------------------------------------------------- ids


def test_msg_ids_are_the_wall_clocks_microseconds_and_always_rise() -> None:
    d = Driver().login_ours()
    d.now += 1.5
    refs = [d.send() for _ in range(3)]
    ids = [d._ids[ref] for ref in refs]
    assert ids[0] == int((WALL + 1.5) * 1_000_000)
    assert ids[1:] == [ids[0] + 1, ids[0] + 2]
    d.do(inp.WallClock(wall=WALL - 86_400))  # set back by a day
    later = d.send()
    assert d._ids[later] > ids[2]


def test_msg_ids_go_on_behind_the_servers_last_of_this_device() -> None:
    d = Driver().login_ours(lastMsgId=str(2**51))
    assert d._ids[d.send()] == 2**51 + 1


def test_an_id_that_was_used_for_something_else_is_drawn_anew_once_and_silently() -> None:
    d = Driver().login_ours()
    ref = d.send("mine")
    old = d._ids[ref]
    d.answer(ref, 40900)
    assert d.chats() == ["mine", "mine"]
    assert d._ids[ref] > old
    assert not d.errors()
    assert not d.failed()
    d.answer(ref, 40900)
    assert d.failed() == {ref: "MESSAGE_SEND_FAILED"}


def test_a_renumbered_message_keeps_its_place_when_all_is_sent_again() -> None:
    d = Driver().login_ours()
    one, _, _ = d.send("one"), d.send("two"), d.send("three")
    d.answer(one, 40900)  # it goes out again behind the others; nothing of them is stored
    d.close(1013)
    d.forget().login_ours(resume="recovered")
    assert d.chats() == ["one", "two", "three"]


def test_two_that_are_renumbered_in_one_frame_keep_their_order() -> None:
    d = Driver().login_ours()
    refs = [d.send("one"), d.send("two"), d.send("three")]
    answers = [
        {"type": "CHAT_SEND_RESPONSE", "message": {"msgId": d._ids[ref], "code": 40900}}
        for ref in refs[:2]
    ]
    d.forget().text(json.dumps(answers))
    assert d.chats() == ["one", "two"]


# ---------------------------------------------------------------- ack timeout


def test_an_ack_timeout_probes_then_reconnects_and_never_sends_again_on_this_link() -> None:
    d = Driver(timeouts={"ack": 10}, heartbeat={"interval": 1000, "timeout": 5}).login_ours()
    d.send("unanswered")
    d.pass_time(9.9)
    assert d.probes() == 0
    d.pass_time(0.1)
    assert d.probes() == 1
    d.frame("HEARTBEAT_RESPONSE")
    assert d.status == "AUTHENTICATED"
    d.pass_time(4.9)
    assert d.chats() == ["unanswered"]
    assert d.status == "AUTHENTICATED"
    d.pass_time(0.1)
    assert d.core.reconnect == "waiting"
    assert d.of(act.AbortTransport)
    assert d.chats() == ["unanswered"]
    d.forget().login_ours()
    assert d.chats() == ["unanswered"]


def test_an_answer_after_the_probe_saves_the_link() -> None:
    d = Driver(timeouts={"ack": 10}, heartbeat={"interval": 1000, "timeout": 5}).login_ours()
    ref = d.send()
    d.pass_time(12)
    d.answer(ref)
    d.pass_time(100)
    assert d.status == "AUTHENTICATED"


def test_the_ack_timeout_is_the_oldest_messages() -> None:
    d = Driver(timeouts={"ack": 10}, heartbeat={"interval": 1000, "timeout": 5}).login_ours()
    for _ in range(10):  # a slow server that answers all, one behind
        ref = d.send()
        d.pass_time(8)
        d.answer(ref)
    assert d.probes() == 0


def test_a_server_error_from_a_server_of_ours_reconnects_and_keeps_the_order() -> None:
    d = Driver()
    first, second = d.send("1"), d.send("2")
    d.login_ours()
    d.answer(first, 50000)
    assert d.core.reconnect == "waiting"
    d.forget().login_ours()
    assert d.chats() == ["1", "2"]
    d.answer(first).answer(second)
    assert d.accepted() == [first, second]


def test_a_message_that_the_server_always_fails_on_ends() -> None:
    d = Driver(max_sends=3)
    ref = d.send()
    for _ in range(3):
        d.login_ours().answer(ref, 50000)
    assert d.failed() == {ref: "SERVER_ERROR"}


# ---------------------------------------------------------------- what is not taken


def test_a_full_queue_refuses_one_more_and_changes_nothing() -> None:
    d = Driver(max_queue=3)
    refs = [d.send() for _ in range(3)]
    assert refused(d) == "QUEUE_FULL"
    d.login_ours().answer(refs[0])
    d.send("room again")


@pytest.mark.parametrize(
    "send",
    [
        {"content": ""},
        {"content": " \n\t\ufeff\u3000"},
        {"content": "x" * 1001},
        {"content": "😀" * 501},
        {"content": "😀" * 1000},
        {"content": "a\x00b"},
        {"content": "\ud800"},
        {"to_user": 0},
        {"to_user": -1},
        {"to_user": 2**63},
        {"to_user": ""},
        {"to_user": "x" * 129},
        {"to_user": "a\nb"},
        {"message_type": ""},
        {"message_type": "x" * 65},
        {"message_type": "a\x00"},
        {"session_id": 0},
        {"session_id": -4},
        {"session_id": 2**63},
    ],
    ids=lambda send: " ".join(f"{k}={ascii(v)[:20]}" for k, v in send.items()),
)
def test_what_no_server_takes_is_refused_at_once(send: dict[str, object]) -> None:
    assert refused(Driver().login_ours(), **send) == "MESSAGE_FORMAT_ERROR"


@pytest.mark.parametrize("content", ["x" * 1000, "😀" * 500, f"  {'y' * 1000}\n", "汉" * 1000])
def test_a_thousand_utf16_units_after_trimming_are_taken_and_sent_untrimmed(content: str) -> None:
    d = Driver().login_ours()
    d.send(content)
    assert d.chats() == [content]


def test_the_servers_own_limit_wins_when_it_tells_one() -> None:
    d = Driver().login_ours(limits={"contentUnits": 2000})
    d.send("😀" * 1000)
    d.lose().login_ours(limits={"contentUnits": 10})
    assert refused(d, content="x" * 11) == "MESSAGE_FORMAT_ERROR"
    assert refused(Driver(content_units=5), content="x" * 6) == "MESSAGE_FORMAT_ERROR"


def test_a_ref_in_use_is_the_callers_mistake() -> None:
    d = Driver()
    ref = d.send()
    with pytest.raises(LocalProtocolError, match=f"ref {ref}"):
        d.do(inp.Send(ref=ref, to_user=2, content="again"))
    d.login_ours()
    assert d.chats() == ["hello"]


# ---------------------------------------------------------------- cancel


def test_cancel_withdraws_what_no_transport_ever_had() -> None:
    d = Driver(in_flight=1)
    first, second, third = d.send("1"), d.send("2"), d.send("3")
    d.do(inp.Cancel(ref=second))
    assert d.failed() == {second: "MESSAGE_CANCELLED"}
    d.login_ours().answer(first)
    assert d.chats() == ["1", "3"]
    d.answer(third)
    assert d.accepted() == [first, third]


@pytest.mark.parametrize("when", ["in flight", "link lost", "renumbered", "ended", "unknown"])
def test_cancel_after_that_is_refused_and_changes_nothing(when: str) -> None:
    d = Driver(in_flight=1).login_ours()
    ref = d.send("kept")
    if when == "link lost":
        d.lose()
    elif when == "renumbered":
        d.do(inp.WriteBlocked(transport=1))
        d.answer(ref, 40900)
    elif when == "ended":
        d.answer(ref)
    with pytest.raises(LocalProtocolError, match="Cancel"):
        d.do(inp.Cancel(ref=ref if when != "unknown" else 777))
    assert not d.failed()
    if when == "link lost":
        d.forget().login_ours()
        assert d.chats() == ["kept"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"message_type": "\ud83d"},
        {"message_type": None},
        {"message_type": "a\nb"},
        {"content": 5},
        {"content": None},
        {"session_id": "12"},
        {"session_id": True},
        {"session_id": 2**63},
    ],
    ids=str,
)
def test_what_no_server_takes_is_refused_before_anything_changes(wrong: dict[str, Any]) -> None:
    d = Driver().login_ours()
    fields: dict[str, Any] = {"ref": 1, "to_user": 2, "content": "x"} | wrong
    with pytest.raises(IMError) as caught:
        d.do(inp.Send(**fields))
    assert caught.value.code == "MESSAGE_FORMAT_ERROR"
    d.send("fine")
    assert d.chats() == ["fine"]


def test_what_may_have_arrived_is_not_sent_again_at_most_once_by_another_server() -> None:
    d = Driver(resend_when_unsure=False).login_ours()
    ref = d.send("A")
    d.lose().forget().login()  # a server that knows no identity of a send
    assert d.chats() == []
    assert d.failed() == {ref: "IN_DOUBT"}


def test_losses_to_a_server_that_knows_identities_use_up_no_tries() -> None:
    d = Driver(max_sends=2)
    d.login_ours()
    ref = d.send("A")
    for _ in range(5):
        d.lose().login_ours()
    d.lose().forget().login()
    assert d.chats() == ["A"] and ref not in d.failed()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.text(st.sampled_from("ab \t\n\0\x1f!~\u2003\ufeff汉😀\ud800"), max_size=6)
    | st.sampled_from([None, 7, b"x", "x" * 1001, " " + "x" * 1000, "x" * 1000 + " "])
)
def test_what_may_be_sent_is_what_the_rule_of_contents_says(content: object) -> None:
    d = Driver()
    try:
        validation.content(content)
    except ValueError as error:
        with pytest.raises(IMError, match=re.escape(str(error))):
            d.do(inp.Send(ref=1, to_user=2, content=content))  # type: ignore[arg-type]
    else:
        d.do(inp.Send(ref=1, to_user=2, content=content))  # type: ignore[arg-type]
        assert len(d.core.sending.outbox) == 1
