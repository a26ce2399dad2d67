"""Who is told that what was delivered or read (protocol.md section 2, `receipts`)."""

from __future__ import annotations

from dataclasses import fields

import pytest

from core.store_kit import AT, Store, mark, message, move
from im_proto.server.commit import wanted
from im_proto.server.records import PLAIN, Marked, ReadSyncEntry, ReceiptEntry
from im_proto.wire.extensions import MAX_IDS


@pytest.fixture
def store():
    made = Store()
    made.enter(1, "a")
    made.enter(2, "a")
    return made


def asking(msg_id, **changes):
    return message(msg_id=msg_id, wants_receipt=True, **changes)


def told(store, user=1):
    return [(r.status, r.msg_ids) for r in store.of(user, ReceiptEntry)]


def test_the_sender_is_told_what_the_first_device_has_acknowledged(store):
    store.enter(2, "b")
    store.put([asking(1), asking(2), asking(3)])
    plan = store.put(cursors=[move(2)], at=AT + 5)
    (receipt,) = store.of(1, ReceiptEntry)
    assert receipt == ReceiptEntry(
        seq=1, msg_ids=(1, 2), user=2, status="delivered", session_id=1, timestamp=AT + 5
    )
    assert plan.heads == ((1, 1),)
    store.put(cursors=[move(3, device="b")])
    store.put(cursors=[move(3)])
    assert told(store) == [("delivered", (1, 2)), ("delivered", (3,))]


def test_two_devices_may_acknowledge_in_one_batch(store):
    store.enter(2, "b")
    store.put([asking(1), asking(2), asking(3)])
    store.put(cursors=[move(1), move(3, device="b")])
    assert told(store) == [("delivered", (1,)), ("delivered", (2, 3))]
    store.put([asking(4), asking(5), asking(6)])
    store.put(reads=[mark(4), mark(6)])
    assert told(store)[2:] == [("read", (1, 2, 3, 4)), ("read", (5, 6))]


def test_only_messages_that_ask_for_it_have_receipts(store):
    store.put([message(1, msg_id=1), asking(2)])
    store.put(cursors=[move(2)])
    assert told(store) == [("delivered", (2,))]


def test_each_sender_and_each_session_has_a_receipt_of_its_own(store):
    store.enter(3, "a")
    store.ask(1, "create", bookId=7, buyerId=1, sellerId=2)
    store.put([asking(1), asking(2, session_id=1), asking(3), asking(1, sender=3)])
    store.put(cursors=[move(4)])
    assert [(r.session_id, r.msg_ids) for r in store.of(1, ReceiptEntry)] == [
        (2, (1, 3)),
        (1, (2,)),
    ]
    assert told(store, 3) == [("delivered", (1,))]


def test_a_receipt_names_a_thousand_messages_at_most(store):
    count = 2 * MAX_IDS + 1
    store.put([asking(n) for n in range(1, count + 1)])
    store.put(cursors=[move(count)])
    sizes = [len(ids) for _, ids in told(store)]
    assert sizes == [MAX_IDS, MAX_IDS, 1]
    assert [n for _, ids in told(store) for n in ids] == list(range(1, count + 1))


def test_what_a_first_login_passed_over_was_not_delivered(store):
    """As first_login = "latest" has it: pushes begin behind seq 2, and that much is no ack."""
    store.enter(2, "new")
    store.put([asking(1), asking(2), asking(3)])
    start = move(2, device="new", base=2)
    assert store.put(cursors=[start]).mailboxes == {}
    store.put(cursors=[move(1)])  # another device has really got the first
    assert told(store) == [("delivered", (1,))]
    store.put(cursors=[move(3, device="new")])
    assert told(store) == [("delivered", (1,)), ("delivered", (3,))]


def test_the_start_and_the_first_ack_of_a_device_may_come_as_one(store):
    store.put([asking(1), asking(2), asking(3)])
    store.put(cursors=[move(3, base=2)])
    assert told(store) == [("delivered", (3,))]


def test_what_the_store_has_let_go_was_not_delivered(store):
    store.put([asking(1), asking(2)])
    store.trim(2, 2)
    store.put(cursors=[move(2)])
    assert told(store) == [("delivered", (2,))]


def test_nothing_is_delivered_beyond_the_head(store):
    store.enter(2, "b")
    store.put([asking(1)])
    store.put(cursors=[move(50)])
    store.put([asking(2)])
    store.put(cursors=[move(2, device="b")])
    assert told(store) == [("delivered", (1,)), ("delivered", (2,))]


def test_a_fenced_cursor_delivers_nothing(store):
    store.put([asking(1)])
    store.enter(2, "a")
    store.put(cursors=[move(1)])
    assert told(store) == []


def test_a_plain_device_delivers_too(store):
    store.put([asking(1)])
    store.put(cursors=[move(1, device=PLAIN, generation=0)])
    assert told(store) == [("delivered", (1,))]


def test_what_was_read_is_everything_up_to_that_message(store):
    store.put([asking(1), message(msg_id=2), asking(3), asking(4)])
    plan = store.put(reads=[mark(3, key=8)], at=AT + 5)
    assert plan.marks == (Marked(key=8, found=True),)
    (receipt,) = store.of(1, ReceiptEntry)
    assert receipt == ReceiptEntry(
        seq=1, msg_ids=(1, 3), user=2, status="read", session_id=1, timestamp=AT + 5
    )
    store.put(reads=[mark(4)])
    assert told(store) == [("read", (1, 3)), ("read", (4,))]


def test_what_was_read_is_not_told_to_be_delivered_afterwards(store):
    store.put([asking(1), asking(2), asking(3)])
    store.put(cursors=[move(1)])
    store.put(reads=[mark(2)])
    store.put(cursors=[move(3)])
    assert told(store) == [("delivered", (1,)), ("read", (1, 2)), ("delivered", (3,))]


def test_reading_again_or_less_says_nothing_new(store):
    store.put([asking(1), asking(2)])
    store.put(reads=[mark(2)])
    plan = store.put(reads=[mark(2, key=1), mark(1, key=2)])
    assert plan.marks == (Marked(key=1, found=True), Marked(key=2, found=True))
    assert not (plan.entries or plan.sessions or plan.mailboxes)


def test_a_mark_counts_in_its_session_alone(store):
    store.ask(1, "create", bookId=7, buyerId=1, sellerId=2)
    store.put([asking(1), asking(2, session_id=1)])
    store.put(reads=[mark(2)])
    assert told(store) == [("read", (2,))]
    store.put([asking(3), asking(4, session_id=1), asking(5)])
    store.put(reads=[mark(5), mark(4)])
    assert told(store)[1:] == [("read", (1, 3, 5)), ("read", (4,))]


@pytest.mark.parametrize(
    "wrong",
    [{"reader": 3}, {"from_user": 3}, {"msg_id": 9}, {"reader": 1}, {"from_user": "\ud800"}],
    ids=str,
)
def test_only_who_received_a_message_can_read_it(store, wrong):
    store.enter(3, "a")
    store.put([asking(1)])
    plan = store.put(reads=[mark(**({"msg_id": 1} | wrong))])
    assert plan.marks == (Marked(key=0, found=False),)
    assert not plan.entries


@pytest.mark.parametrize(
    "bad",
    [{"reader": "7"}, {"from_user": "\ud800"}, {"device": "\x00"}, {"msg_id": 2**63}],
    ids=str,
)
def test_a_mark_that_makes_no_sense_never_reaches_the_store(store, bad):
    asked = wanted([], [], [mark(**({"msg_id": 1} | bad))])
    assert not any(getattr(asked, field.name) for field in fields(asked))
    plan = store.put(reads=[mark(**({"msg_id": 1} | bad))])
    assert plan.marks == (Marked(key=0, found=False),)


def test_a_fenced_mark_is_nobodys_to_answer(store):
    store.put([asking(1)])
    store.enter(2, "a")
    plan = store.put(reads=[mark(1)])
    assert plan.marks == (Marked(key=0, found=None),)
    assert not plan.entries


def test_the_other_devices_of_a_reader_are_told(store):
    store.put([message(msg_id=1), message(msg_id=2)])
    store.put(reads=[mark(1)])
    assert store.of(2, ReadSyncEntry) == []  # it has no other device
    store.enter(2, "b")
    store.put(reads=[mark(2)])
    assert store.of(2, ReadSyncEntry) == [ReadSyncEntry(seq=3, from_user=1, msg_id=2)]
    store.put(reads=[mark(2, device="b")])
    assert len(store.of(2, ReadSyncEntry)) == 1


def test_a_plain_login_reads_too_and_says_it_to_the_others(store):
    store.put([asking(1)])
    store.put(reads=[mark(1, device=PLAIN, generation=0)])
    assert told(store) == [("read", (1,))]
    assert len(store.of(2, ReadSyncEntry)) == 1


def test_who_writes_to_himself_is_told_what_he_has_got(store):
    store.put([asking(1, to_user=1)])
    store.put(cursors=[move(1, user=1)])
    store.put(reads=[mark(1, reader=1)])
    assert told(store) == [("delivered", (1,)), ("read", (1,))]


def test_nobody_has_got_what_is_written_in_the_same_batch(store):
    plan = store.put([asking(1)], cursors=[move(1)], reads=[mark(1)])
    assert plan.marks == (Marked(key=0, found=False),)
    assert told(store) == []
