"""Numbered pushes that are no messages: receipts, what other devices read and sent, the unknown."""

from __future__ import annotations

from typing import Any

import pytest

from core.client_kit import Driver
from core.inbox_kit import acks, resume
from im_proto.client import events as ev
from im_proto.client.receiving import ACK_DELAY, ACK_EVERY, ACK_PACE, QUIET_ACK_DELAY


def receipt(d: Driver, seq: int | None, **more: Any) -> Driver:
    fields: dict[str, Any] = {"msgIds": [5, 6], "user": 2, "status": "delivered"} | more
    return d.frame("RECEIPT_PUSH", **fields, **({} if seq is None else {"seq": seq}))


def copy_of(d: Driver, seq: int | None, content: str = "mine", **more: Any) -> Driver:
    fields: dict[str, Any] = {"fromUser": 1, "toUser": 2, "msgId": 700, "deviceId": "tablet"}
    return d.push(seq, content, **(fields | more))


def test_a_receipt_is_told_and_acknowledged() -> None:
    d = Driver().login_ours()
    receipt(d, 1, sessionId=9, timestamp=4)
    receipt(d, 2, status="read", user="bravo")
    assert d.of(ev.ReceiptReceived) == [
        ev.ReceiptReceived(msg_ids=(5, 6), user=2, status="delivered", session_id=9, timestamp=4),
        ev.ReceiptReceived(
            msg_ids=(5, 6), user="bravo", status="read", session_id=None, timestamp=None
        ),
    ]
    assert acks(d) == [] and acks(d.pass_time(QUIET_ACK_DELAY)) == [2]
    assert d.core.counters.received == 0


def test_a_receipt_is_acknowledged_with_the_next_words_or_a_second_later() -> None:
    d = Driver().login_ours()
    receipt(d, 1)
    d.send("words")
    assert acks(d) == [1]
    receipt(d, 2).pass_time(QUIET_ACK_DELAY - 0.1)
    receipt(d, 3)
    assert acks(d) == [1]
    assert acks(d.pass_time(0.1)) == [1, 3]
    # … but that of a message somebody waits for
    assert acks(receipt(d, 4).pass_time(ACK_PACE).push(5).handle(5)) == [1, 3, 5]


def test_as_many_receipts_as_messages_are_acknowledged_at_once() -> None:
    d = Driver().login_ours()
    for seq in range(1, 2 * ACK_EVERY + 2):
        receipt(d, seq)
    assert acks(d) == [ACK_EVERY, 2 * ACK_EVERY]


def test_a_message_that_is_being_handled_makes_a_receipt_wait_no_longer_than_itself() -> None:
    d = Driver().login_ours()
    receipt(d, 1).push(2)
    assert acks(d.pass_time(ACK_DELAY)) == [1]


def test_who_takes_leave_acknowledges_receipts_first() -> None:
    d = Driver().login_ours()
    receipt(d, 1).disconnect()
    assert acks(d) == [1]


def test_what_was_read_elsewhere_is_told_and_acknowledged() -> None:
    d = Driver().login_ours().frame("READ_SYNC", fromUser=2, msgId=7, seq=1)
    assert d.of(ev.ReadElsewhere) == [ev.ReadElsewhere(from_user=2, msg_id=7)]
    assert acks(d.pass_time(QUIET_ACK_DELAY)) == [1]


def test_what_another_device_sent_is_told_and_is_no_message_for_this_user() -> None:
    d = Driver().login_ours()
    copy_of(d, 1, "mine", sessionId=9, messageType="image", timestamp=4)
    assert d.of(ev.OwnMessage) == [
        ev.OwnMessage(
            to_user=2,
            content="mine",
            session_id=9,
            msg_id=700,
            message_type="image",
            timestamp=4,
            seq=1,
        )
    ]
    assert d.received() == []
    assert acks(d.pass_time(QUIET_ACK_DELAY)) == [1]
    assert d.core.receiving.inbox.waiting == 0


def test_what_this_device_sent_comes_back_silently_and_is_acknowledged() -> None:
    d = Driver(device_id="phone").login_ours().forget()
    copy_of(d, 1, deviceId="phone")
    assert d.events() == []
    assert acks(d.pass_time(QUIET_ACK_DELAY)) == [1]
    d.push(2)
    assert d.received() == ["hi"]


def test_a_copy_of_a_plain_login_is_another_devices() -> None:
    d = Driver(device_id="phone").login_ours()
    copy_of(d, 1, deviceId=None)
    assert len(d.of(ev.OwnMessage)) == 1


@pytest.mark.parametrize("more", [{"toUser": 1, "deviceId": "phone"}, {"toUser": None}])
def test_a_message_to_oneself_is_received(more: dict[str, Any]) -> None:
    d = Driver(device_id="phone").login_ours()
    copy_of(d, 1, "note", **more)
    assert d.received() == ["note"]
    assert acks(d) == []
    d.handle(1)
    assert acks(d) == [1]


def test_somebody_elses_message_is_no_copy_whatever_recipient_it_names() -> None:
    d = Driver().login_ours().push(1, "a", toUser=1).push(2, "b", toUser=3)
    assert d.received() == ["a", "b"]


def test_a_copy_without_a_number_is_a_message_as_ever() -> None:
    d = Driver().login()
    copy_of(d, None, "echo")
    assert d.received() == ["echo"]


def test_a_copy_is_not_taken_for_a_message_with_the_same_id_nor_the_other_way_round() -> None:
    d = Driver().login_ours()
    copy_of(d, 1, "same").push(2, "same", fromUser=1, msgId=700)
    copy_of(d, 3, "same")
    assert d.received() == ["same"]
    assert len(d.of(ev.OwnMessage)) == 2
    d.handle(*(event.delivery for event in d.of(ev.MessageReceived)))
    assert acks(d)[-1] == 3


def test_an_unknown_type_counts_if_it_has_a_number() -> None:
    d = Driver().login_ours().frame("NEW", seq=1, what="ever").frame("NEW").push(2)
    assert [event.kind for event in d.of(ev.UnknownMessage)] == ["NEW", "NEW"]
    assert d.received() == ["hi"]
    assert not d.said("SYNC_REQUEST")
    assert acks(d.pass_time(QUIET_ACK_DELAY)) == [1]


def test_repeats_are_not_told_again() -> None:
    d = Driver().login_ours()
    receipt(d, 1).frame("READ_SYNC", fromUser=2, msgId=7, seq=2).frame("NEW", seq=3)
    copy_of(d, 4).push(5).lose()
    d.login_ours(resume="recovered", seq=0).forget()
    receipt(d, 1).frame("READ_SYNC", fromUser=2, msgId=7, seq=2).frame("NEW", seq=3)
    copy_of(d, 4).push(5)
    assert {type(event) for event in d.events()} == {ev.DuplicateSuppressed}
    assert [event.seq for event in d.of(ev.DuplicateSuppressed)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", ["RECEIPT_PUSH", "READ_SYNC", "NEW"])
def test_a_hole_before_any_of_them_is_repaired(kind: str) -> None:
    d = Driver().login_ours()
    fields = {"msgIds": [5], "user": 2, "status": "read", "fromUser": 2, "msgId": 7, "seq": 2}
    d.frame(kind, **fields)
    assert d.said("SYNC_REQUEST") == [{"after": 0}]
    assert not any(isinstance(e, ev.ReceiptReceived | ev.ReadElsewhere) for e in d.events())
    d.frame("SYNC_RESPONSE", status="recovered", oldest=1).push(1).frame(kind, **fields)
    d.handle(1)
    assert acks(d)[-1] == 2


def test_they_wait_for_the_messages_before_them_to_be_handled() -> None:
    d = Driver().login_ours().push(1)
    receipt(d, 2)
    copy_of(d, 3)
    assert len(d.of(ev.ReceiptReceived)) == len(d.of(ev.OwnMessage)) == 1
    assert acks(d) == []
    d.handle(1)
    assert acks(d) == [3]


def test_the_resume_names_a_pair_only_where_the_push_has_one() -> None:
    d = Driver().login_ours().push(1).handle(1)
    receipt(d, 2).lose().link()
    assert resume(d) == {"epoch": "e1", "seq": 2}
    d.login_ours(resume="recovered", seq=2)
    copy_of(d, 3).lose().link()
    assert resume(d) == {"epoch": "e1", "seq": 3, "fromUser": 1, "msgId": 700}


def test_without_numbers_they_are_told_as_they_come() -> None:
    d = Driver().login()
    receipt(d, None)
    receipt(d, None)
    d.frame("READ_SYNC", fromUser=2, msgId=7)
    assert len(d.of(ev.ReceiptReceived)) == 2
    assert len(d.of(ev.ReadElsewhere)) == 1
    assert acks(d) == []


def test_after_a_reset_they_may_be_told_again() -> None:
    d = Driver().login_ours()
    receipt(d, 1).lose()
    d.login_ours(resume="reset", epoch="e2", oldest=1, seq=0)
    receipt(d, 1)
    assert len(d.of(ev.ReceiptReceived)) == 2
    assert acks(d.pass_time(QUIET_ACK_DELAY)) == [1]


def test_memory_does_not_grow_with_receipts() -> None:
    d = Driver().login_ours()
    for seq in range(1, 300):
        receipt(d, seq)
    assert not d.core.receiving.inbox.unhandled
    assert d.core.receiving.inbox.waiting == 0


# ---------------------------------------------------------------- presence, and who is writing


def test_who_is_writing_and_who_is_there_is_told() -> None:
    d = Driver().login_ours(capabilities=["seq", "typing", "presence"])
    d.frame("TYPING", fromUser="bravo", active=True)
    d.frame("PRESENCE", user=2, online=False, lastSeen=77).frame("PRESENCE", user=2, online=True)
    assert d.of(ev.TypingChanged) == [ev.TypingChanged(from_user="bravo", active=True)]
    assert d.of(ev.PresenceChanged) == [
        ev.PresenceChanged(user=2, online=False, last_seen=77),
        ev.PresenceChanged(user=2, online=True, last_seen=None),
    ]


def test_the_life_of_messages_is_asked_for_and_what_is_not_granted_is_not_had() -> None:
    d = Driver().link()
    (asked,) = d.said("AUTH_REQUEST")
    assert {"receipts", "typing", "presence"} <= set(asked["capabilities"])
    d.login_ours(capabilities=["seq", "receipts", "presence", "new"])
    (authenticated,) = d.of(ev.Authenticated)
    assert authenticated.capabilities == {"seq", "receipts", "presence"}
