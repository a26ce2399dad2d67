"""Incoming messages: nothing twice, nothing silently missing, acknowledged when handled."""

from __future__ import annotations

from typing import Any

import pytest

from core.client_kit import Driver
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client.receiving import ACK_EVERY, ACK_PACE


def acks(d: Driver) -> list[int]:
    return [message["seq"] for message in d.said("CHAT_ACK_REQUEST")]


def resume(d: Driver) -> Any:
    return d.said("AUTH_REQUEST")[-1].get("resume")


# ---------------------------------------------------------------- repeats


def test_a_message_comes_with_all_that_the_server_said() -> None:
    d = Driver().login_ours()
    d.push(1, "hi", fromUser="2", msgId=str(2**60), sessionId=9, messageType="image", timestamp=3)
    assert d.of(ev.MessageReceived) == [
        ev.MessageReceived(
            delivery=1,
            content="hi",
            from_user=2,
            session_id=9,
            msg_id=2**60,
            message_type="image",
            timestamp=3,
            seq=1,
        )
    ]


def test_with_seq_the_number_decides_not_the_content() -> None:
    d = Driver().login_ours()
    d.push(1, "same").push(1, "same").push(1, "other").push(2, "same", msgId=77)
    assert d.received() == ["same", "same"]
    assert [event.seq for event in d.of(ev.DuplicateSuppressed)] == [1, 1]
    assert d.core.counters.duplicates_suppressed == 2
    assert d.core.counters.received == 2


@pytest.mark.parametrize(
    ("first", "second", "delivered"),
    [
        ({"fromUser": 2, "msgId": 5}, {"fromUser": 2, "msgId": 5}, 1),
        ({"fromUser": "2", "msgId": "5"}, {"fromUser": 2, "msgId": 5}, 1),
        ({"fromUser": 2, "msgId": 5}, {"fromUser": 2, "msgId": 5, "content": "other"}, 2),
        ({"fromUser": 2, "msgId": 5}, {"fromUser": 3, "msgId": 5}, 2),
        ({"fromUser": 2, "msgId": 5}, {"fromUser": 2, "msgId": 6}, 2),
        ({"fromUser": 2}, {"fromUser": 2}, 2),
        ({"msgId": 5}, {"msgId": 5}, 2),
        ({}, {}, 2),
    ],
)
def test_without_seq_only_both_ids_and_equal_content_make_a_repeat(
    first: dict[str, Any], second: dict[str, Any], delivered: int
) -> None:
    d = Driver().login()
    for message in (first, second):
        d.frame("CHAT_REDIRECT_TO_USER_REQUEST", **({"content": "x"} | message))
    assert len(d.received()) == delivered


def test_repeats_are_known_over_reconnects() -> None:
    d = Driver().login().push(None, "x", msgId=5).lose().login().push(None, "x", msgId=5)
    assert d.received() == ["x"]


def test_as_many_pairs_are_known_as_configured() -> None:
    d = Driver(known_pairs=2).login()
    for msg_id in (1, 2, 3, 2, 1):
        d.push(None, "x", msgId=msg_id)
    assert [event.msg_id for event in d.of(ev.MessageReceived)] == [1, 2, 3, 1]
    none = Driver(known_pairs=0).login().push(None, msgId=1).push(None, msgId=1)
    assert len(none.received()) == 2


# ---------------------------------------------------------------- acknowledging


def test_a_message_is_acknowledged_after_it_was_handled_and_not_before() -> None:
    d = Driver().login_ours().push(1)
    d.pass_time(20)
    assert acks(d) == []
    d.handle(1)
    assert acks(d) == [1]


def test_an_ack_is_cumulative_and_contiguous() -> None:
    d = Driver().login_ours().push(1).push(2).push(3)
    d.handle(3)
    d.handle(2)
    assert acks(d) == []
    d.handle(1)
    assert acks(d) == [3]


def test_acks_are_coalesced_but_not_for_ever() -> None:
    d = Driver().login_ours(limits={"unacked": 100})
    for seq in range(1, 101):
        d.push(seq)
    for delivery in range(1, 101):
        d.handle(delivery)
    assert acks(d) == [25, 50, 75, 100]


@pytest.mark.parametrize(
    ("unacked", "steps"), [(65_536, ACK_EVERY), (512, ACK_EVERY), (8, 2), (1, 1)]
)
def test_never_more_waits_for_its_ack_than_a_quarter_of_what_the_server_allows(
    unacked: int, steps: int
) -> None:
    d = Driver().login_ours(limits={"unacked": unacked}).push(1)
    for seq in range(1, 3 * steps + 1):
        d.push(seq + 1).handle(seq)  # the next one is always being handled
    assert acks(d) == [steps, 2 * steps, 3 * steps]


def test_one_after_another_is_acknowledged_at_a_pace_the_first_at_once() -> None:
    d = Driver().login_ours()
    assert acks(d.push(1).handle(1)) == [1]
    for seq in range(2, 10):
        d.push(seq).handle(seq)
    assert acks(d) == [1]
    assert acks(d.pass_time(ACK_PACE)) == [1, 9]
    assert acks(d.pass_time(ACK_PACE).push(10).handle(10)) == [1, 9, 10]


def test_what_waits_for_its_pace_goes_with_the_next_words() -> None:
    d = Driver().login_ours()
    d.push(1).handle(1).push(2).handle(2).send("words")
    assert acks(d) == [1, 2]


def test_on_a_new_link_the_first_is_acknowledged_at_once() -> None:
    d = Driver().login_ours().push(1).handle(1).lose()
    d.login_ours(resume="recovered", seq=1).push(2).handle(2)
    assert acks(d) == [1, 2]


def test_handled_twice_or_unknown_is_nothing() -> None:
    d = Driver().login_ours().push(1).handle(1, 1, 99, 0, -1)
    assert acks(d) == [1]


def test_what_is_handled_offline_moves_the_resume_point_and_is_not_acked_twice() -> None:
    d = Driver().login_ours().push(1).push(2).handle(1).lose()
    d.handle(2)
    d.forget().link()
    assert resume(d) == {"epoch": "e1", "seq": 2, "fromUser": 2, "msgId": 2}
    d.login_ours(resume="recovered", seq=2)
    assert acks(d) == []


def test_leaving_acknowledges_what_was_handled() -> None:
    d = Driver().login_ours().push(1).push(2).push(3).handle(1, 2)
    assert acks(d) == []
    d.disconnect()
    assert acks(d) == [2]
    kinds = [type(a) for a in d.actions if not isinstance(a, act.Notify)]
    assert kinds.index(act.SendClose) > max(
        n for n, kind in enumerate(kinds) if kind is act.SendText
    )


@pytest.mark.parametrize("end", ["close", "lose"])
def test_nothing_is_said_to_a_peer_that_is_gone(end: str) -> None:
    d = Driver().login_ours().push(1).push(2).handle(1).forget()
    _ = d.close(1000) if end == "close" else d.lose()
    assert not d.of(act.SendText)
    assert resume(d.link()) == {"epoch": "e1", "seq": 1, "fromUser": 2, "msgId": 1}


# ---------------------------------------------------------------- resume


def test_the_first_log_in_has_nothing_to_resume_and_starts_where_the_server_says() -> None:
    d = Driver().link()
    assert resume(d) is None
    d.login_ours(seq=41).push(42)
    assert d.received() == ["hi"]
    assert not d.said("SYNC_REQUEST")
    d.handle(1)
    assert acks(d) == [42]


def test_resume_names_the_last_push_that_was_handled_not_received() -> None:
    d = Driver().login_ours().push(1).push(2).push(3).handle(1).lose().link()
    assert resume(d) == {"epoch": "e1", "seq": 1, "fromUser": 2, "msgId": 1}
    d.forget().login_ours(resume="recovered", seq=1).push(2).push(3).push(4)
    assert [event.seq for event in d.of(ev.MessageReceived)] == [4]
    assert [event.seq for event in d.of(ev.DuplicateSuppressed)] == [2, 3]
    assert d.of(ev.Reconnected) == [ev.Reconnected(resumed=True)]
    assert d.core.counters.resumed == 1


def test_over_a_resume_the_numbers_alone_tell_a_repeat() -> None:
    d = Driver().login_ours().push(1, msgId=None).push(2, msgId=None).lose()
    d.forget().login_ours(resume="recovered", seq=0)
    d.push(1, msgId=None).push(2, msgId=None).push(3, msgId=None)
    assert [event.seq for event in d.of(ev.MessageReceived)] == [3]


def test_a_log_in_without_messages_resumes_too() -> None:
    d = Driver().login_ours(seq=0).lose().link()
    assert resume(d) == {"epoch": "e1", "seq": 0}


def test_a_reset_tells_that_messages_may_be_missing_and_starts_at_the_oldest() -> None:
    d = Driver().login_ours().push(1).push(2).handle(1).lose()
    d.forget().login_ours(resume="reset", epoch="e2", oldest=10, seq=9)
    assert d.of(ev.MessagesMayBeMissing) == [ev.MessagesMayBeMissing(oldest=10)]
    assert d.of(ev.Reconnected) == [ev.Reconnected(resumed=False)]
    d.push(10, "ten").push(11, "eleven")
    assert d.received() == ["ten", "eleven"]
    assert not d.said("SYNC_REQUEST")


def test_a_mailbox_that_does_not_say_where_it_begins_is_not_resumed_before_its_first_push() -> None:
    d = Driver().login_ours().push(1).handle(1).lose()
    d.login_ours(epoch="e2", seq=None).lose().forget().link()
    assert resume(d) is None
    d.login_ours(epoch="e2", seq=None).push(42).handle(2).lose().link()
    assert resume(d) == {"epoch": "e2", "seq": 42, "fromUser": 2, "msgId": 42}


def test_deliveries_of_an_old_epoch_move_no_cursor() -> None:
    d = Driver().login_ours(seq=29).push(30).push(31).push(32).lose()
    d.forget().login_ours(resume="reset", epoch="e2", oldest=10, seq=9)
    d.push(10)
    d.handle(1, 2)
    assert acks(d) == []
    assert d.core.receiving.inbox.handled == 9
    d.handle(3)
    assert acks(d) == []
    d.handle(4)
    assert acks(d) == [10]
    assert resume(d.lose().link())["seq"] == 10


def test_after_a_reset_what_came_before_is_known_by_its_pair_and_still_counted() -> None:
    d = Driver().login_ours().push(1, "one", msgId=71).push(2, "two", msgId=72).handle(1, 2).lose()
    d.forget().login_ours(resume="reset", epoch="e2", oldest=1, seq=0)
    d.push(1, "one", msgId=71).push(2, "two", msgId=72).push(3, "three", msgId=73)
    assert d.received() == ["three"]
    d.handle(3 + 2)
    assert acks(d.pass_time(ACK_PACE))[-1] == 3


def test_a_repeat_after_a_reset_is_not_acked_before_its_first_delivery_is_handled() -> None:
    d = Driver().login_ours().push(1, "one", msgId=71).lose()
    d.forget().login_ours(resume="reset", epoch="e2", oldest=1, seq=0)
    d.push(1, "one", msgId=71)
    assert acks(d) == []
    d.handle(1)
    assert acks(d) == [1]


# ---------------------------------------------------------------- holes


def test_a_hole_is_asked_for_once_and_what_is_behind_it_waits() -> None:
    d = Driver().login_ours().push(1).push(3).push(4)
    assert d.said("SYNC_REQUEST") == [{"after": 1}]
    assert len(d.received()) == 1
    d.frame("SYNC_RESPONSE", status="recovered", oldest=1)
    d.push(2, "two").push(3, "three").push(4, "four")
    assert d.received() == ["hi", "two", "three", "four"]
    assert d.status == "AUTHENTICATED"


def hole_again(d: Driver) -> Driver:
    """Twice at the same hole: asked, and then reconnected."""
    d.login_ours().push(1).handle(1).push(3)
    d.frame("SYNC_RESPONSE", status="recovered", oldest=1)
    d.push(3)
    return d


def test_a_second_hole_without_progress_reconnects() -> None:
    d = hole_again(Driver())
    assert d.core.reconnect == "waiting"
    assert len(d.said("SYNC_REQUEST")) == 1
    assert not d.of(ev.MessagesMayBeMissing)
    assert resume(d.link())["seq"] == 1


def test_a_third_is_given_up_and_told() -> None:
    d = hole_again(Driver())
    d.login_ours(resume="recovered", seq=1).push(3, "three").push(4, "four")
    assert d.of(ev.MessagesMayBeMissing) == [ev.MessagesMayBeMissing(oldest=3)]
    assert d.received()[1:] == ["three", "four"]
    assert d.status == "AUTHENTICATED"
    d.handle(*(event.delivery for event in d.of(ev.MessageReceived)))
    assert acks(d)[-1] == 4


def test_progress_starts_the_count_of_holes_afresh() -> None:
    d = hole_again(Driver())
    d.login_ours(resume="recovered", seq=1).push(2).push(4)
    assert d.said("SYNC_REQUEST")[-1] == {"after": 2}
    assert d.status == "AUTHENTICATED"
    assert not d.of(ev.MessagesMayBeMissing)


def test_a_sync_without_an_answer_is_no_progress() -> None:
    d = Driver(timeouts={"ack": 10}).login_ours().push(1).push(3).pass_time(10)
    assert d.core.reconnect == "waiting"
    d.login_ours(resume="recovered", seq=1).push(3)
    assert d.of(ev.MessagesMayBeMissing)


def test_a_sync_may_be_answered_with_a_reset() -> None:
    d = Driver().login_ours().push(1).push(3)
    d.frame("SYNC_RESPONSE", status="reset", oldest=7, epoch="e2").push(7, "seven")
    assert d.of(ev.MessagesMayBeMissing) == [ev.MessagesMayBeMissing(oldest=7)]
    assert d.received() == ["hi", "seven"]
    assert d.core.next_deadline() == d.now + 30


def test_a_sync_response_out_of_the_blue_changes_nothing() -> None:
    d = Driver().login_ours().push(1)
    d.frame("SYNC_RESPONSE", status="reset", oldest=7, epoch="e2")
    assert not d.of(ev.MessagesMayBeMissing)
    d.push(2).handle(1, 2)
    assert acks(d) == [2]


def test_numbers_before_the_log_in_ask_for_nothing() -> None:
    d = Driver(timeouts={"ack": 1}).login_ours().push(1).lose().link().forget()
    d.push(9)
    assert d.said() == []
    d.login_ours(resume="recovered", seq=0).pass_time(5)
    assert d.status == "AUTHENTICATED"
    assert {m["type"] for m in d.said()} <= {"CHAT_ACK_REQUEST"}


def test_numbers_that_were_not_granted_on_this_link_mean_nothing() -> None:
    d = Driver().login_ours().push(1).push(2).lose()
    d.login().push(1, "new", msgId=50).push(40, "newer", msgId=51)
    assert d.received() == ["hi", "hi", "new", "newer"]
    assert [event.seq for event in d.of(ev.MessageReceived)] == [1, 2, None, None]
    assert d.status == "AUTHENTICATED"
    assert len(d.said("SYNC_REQUEST")) == 0
    d.handle(1, 2, 3, 4)
    assert resume(d.lose().link())["seq"] == 2


def test_one_bad_message_of_a_batch_takes_no_neighbour_along() -> None:
    d = Driver().login_ours()
    good = '{"type":"CHAT_REDIRECT_TO_USER_REQUEST","message":{"content":"%s","seq":%d}}'
    bad = '{"type":"CHAT_REDIRECT_TO_USER_REQUEST","message":{"content":7}}'
    d.text(f'[{good % ("a", 1)},{bad},{{"type":"NEW"}},{good % ("b", 2)}]')
    assert d.received() == ["a", "b"]
    assert [event.kind for event in d.of(ev.UnknownMessage)] == ["NEW"]
    assert len(d.of(ev.ProtocolViolation)) == 1
    assert d.status == "AUTHENTICATED"


@pytest.mark.parametrize("text", ["", "no json", "[]", "[1]", "7", "null", '"x"', "[[{}]]", "{"])
def test_a_frame_that_can_not_be_read_ends_the_link_and_never_raises(text: str) -> None:
    d = Driver().login_ours().forget().text(text)
    assert d.core.reconnect == "waiting"
    assert d.of(ev.ProtocolViolation)[0].close_code in (1002, 1007)
    assert d.of(act.SendClose)[0].code in (1002, 1007)


def test_what_is_handled_is_acknowledged_soon_though_another_is_being_handled() -> None:
    d = Driver().login_ours()
    for seq in range(1, 6):
        d.push(seq)
    d.forget().handle(1, 2, 3, 4)
    assert d.said("CHAT_ACK_REQUEST") == []  # not one frame for each
    d.pass_time(0.2)
    assert d.said("CHAT_ACK_REQUEST") == [{"seq": 4}]
    d.forget().pass_time(5)
    assert d.said("CHAT_ACK_REQUEST") == []


def test_what_was_handled_while_the_log_in_was_answered_is_acknowledged_when_it_comes_again() -> (
    None
):
    """Else a server that waits for the ack of its pushes, all of them repeats, waits for ever."""
    d = Driver().login_ours()
    for seq in (1, 2, 3):
        d.push(seq)
    d.handle(1).lose().link()
    d.handle(2, 3)  # AUTH_REQUEST said that 1 is handled
    d.forget()
    d.login_ours(resume="recovered", seq=1)
    assert not d.said("CHAT_ACK_REQUEST")  # of what this link has not pushed
    d.push(2).push(3)
    assert acks(d.pass_time(ACK_PACE))[-1] == 3
    assert d.received() == []
