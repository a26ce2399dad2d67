"""What is decided inside a transaction, against a model that decides one thing at a time."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.store_kit import AT, Store, message
from core.store_model import Model
from im_proto.server.commit import Device, unstorable, wanted
from im_proto.server.records import (
    PLAIN,
    Conflicting,
    CursorMove,
    Fenced,
    MailboxEntry,
    ReadMark,
    ReceiptEntry,
    Refused,
    Stored,
    Submission,
    Unstorable,
)
from im_proto.wire import MAX_ID

USERS = st.sampled_from([1, 2, "bravo"])
DEVICES = st.sampled_from([PLAIN, PLAIN, "a", "b"])
GENERATIONS = st.sampled_from([1, 1, 1, 2, 0])
#: 1000 and 2000 are what the server makes itself at 1 and 2 ms.
MSG_IDS = st.sampled_from([1, 2, 3, 1000, 1001, 2000])
TIMES = st.sampled_from([0, 1, 2, 6, 12, 30])

SUBMISSIONS = st.builds(
    Submission,
    key=st.integers(0, 99),
    sender=USERS,
    device=DEVICES,
    generation=GENERATIONS,
    msg_id=MSG_IDS,
    to_user=USERS,
    content=st.sampled_from("xy"),
    message_type=st.sampled_from(["text", "text", "image"]),
    # 1 and 2 are books of users 1 and 2, 3 may be a chat, nobody has 9
    session_id=st.sampled_from([None, None, None, 1, 2, 3, 9]),
    wants_receipt=st.sampled_from([True, True, False]),
    forbidden=st.sampled_from([False, False, False, True]),
)
MOVES = st.builds(
    CursorMove,
    user=USERS,
    device=DEVICES,
    generation=GENERATIONS,
    seq=st.integers(0, 9),
    base=st.sampled_from([None, 0, 2]),
)
MARKS = st.builds(
    ReadMark,
    key=st.integers(0, 99),
    reader=USERS,
    device=DEVICES,
    generation=GENERATIONS,
    from_user=USERS,
    msg_id=MSG_IDS,
)
COMMITS = st.tuples(
    st.just("commit"),
    st.lists(SUBMISSIONS, max_size=12),
    st.lists(MOVES, max_size=4),
    st.lists(MARKS, max_size=4),
    TIMES,
)
LOGINS = st.tuples(st.just("login"), USERS, DEVICES)
TRIMS = st.tuples(st.just("trim"), USERS, st.integers(1, 3))
BOOKS = ((7, 1, 2), (8, 2, 1))
LIFETIME = 10


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.lists(st.one_of(COMMITS, COMMITS, COMMITS, LOGINS, TRIMS), max_size=8))
def test_a_batch_is_decided_like_one_thing_after_the_other(steps):
    store, model = Store(), Model(lifetime=LIFETIME)
    for user in (1, 2, "bravo"):  # so that not nearly everything is fenced
        store.enter(user, "a")
        model.login(user, "a")
    for book, buyer, seller in BOOKS:
        opened = {"bookId": book, "buyerId": buyer, "sellerId": seller}
        made = store.ask(buyer, "create", at=0, lifetime=LIFETIME, **opened)
        assert made.data == model.begin(book, buyer, seller, 0)
    for kind, *arguments in steps:
        if kind == "login":
            store.enter(*arguments)
            model.login(*arguments)
        elif kind == "trim":
            user, count = arguments
            store.trim(user, min(store.oldest(user) + count, store._mailbox(user).head + 1))
            model.trim(user, count)
        else:
            submissions, cursors, reads, at = arguments
            before = {user: box.head for user, box in store._mailboxes.items()}
            plan = store.put(submissions, cursors, reads, at, LIFETIME)
            held = set()
            assert list(plan.fenced) == [one for one in cursors if model.move(one, at)]
            assert list(plan.marks) == [model.mark(one, at) for one in reads]
            assert list(plan.results) == [model.submit(new, at, held) for new in submissions]
            grown = {u: len(b) for u, b in model.boxes.items() if len(b) != before.get(u, 0)}
            assert dict(plan.heads) == grown

    assert [(m.sender, m.client_msg_id, m.msg_id, m.seq) for m in store.messages] == [
        (row.new.sender, row.new.msg_id, row.msg_id, row.seq) for row in model.rows
    ]
    assert {
        key: device.cursor for key, device in store._devices.items() if device.cursor is not None
    } == model.cursors
    assert [(s.book_id, (s.buyer, s.seller), s.status, s.expires_at) for _, s in by_id(store)] == [
        (chat.book, chat.two, chat.status, chat.end) for chat in model.sessions
    ]
    for user in (1, 2, "bravo"):
        assert store.entries(user) == model.held(user)
        seqs = [entry.seq for entry in store.entries(user)]
        assert seqs == list(range(store.oldest(user), store._mailbox(user).head + 1))
    check_that_nothing_is_made_up(store, model)


def by_id(store):
    return sorted(store.sessions.items())


def check_that_nothing_is_made_up(store, model):
    """What no rule about receipts may break, however they are counted."""
    ids = [(m.sender, m.msg_id) for m in store.messages]
    assert len(ids) == len(set(ids))
    rows = {(m.sender, m.msg_id): m for m in store.messages}
    told = []
    for sender in (1, 2, "bravo"):
        for receipt in store.of(sender, ReceiptEntry):
            for msg_id in receipt.msg_ids:
                row = rows[sender, msg_id]
                assert row.wants_receipt
                assert (row.to_user, row.session_id) == (receipt.user, receipt.session_id)
                if receipt.status == "delivered":
                    assert (row.to_user, row.seq) in model.arrived
                told.append((sender, msg_id, receipt.status))
    assert len(told) == len(set(told))
    for (user, device), kept in store._devices.items():
        sent = [m.client_msg_id for m in store.messages if (m.sender, m.device) == (user, device)]
        assert kept.last_msg_id == max(sent, default=0)


def stored(key, seq, *, repeat=False, to_user=2, timestamp=AT, session_id=1, msg_id=10):
    return Stored(
        key=key,
        to_user=to_user,
        seq=seq,
        timestamp=timestamp,
        repeat=repeat,
        session_id=session_id,
        msg_id=msg_id,
    )


@pytest.fixture
def store():
    made = Store()
    made.enter(1, "a")
    return made


def test_a_repeat_gets_the_first_answer_in_the_same_batch_and_later(store):
    assert store.put([message(1), message(2)]).results == (
        stored(1, 1),
        stored(2, 1, repeat=True),
    )
    later = store.put([message(3)], at=AT + 5)
    assert later.results == (stored(3, 1, repeat=True, timestamp=AT),)
    assert not later.messages and not later.mailboxes and not later.devices


@pytest.mark.parametrize("other", [{"message_type": "image"}, {"session_id": 5}])
def test_the_recipient_and_the_content_tell_a_repeat(store, other):
    """protocol.md section 2, "Identity of a send": what else it says changes nothing."""
    first, second = message(1), message(2, **other)
    assert store.put([first, second]).results == (stored(1, 1), stored(2, 1, repeat=True))


@pytest.mark.parametrize(
    "other", [{"to_user": 3}, {"content": "bye"}], ids=lambda other: next(iter(other))
)
@pytest.mark.parametrize("same_batch", [True, False])
def test_the_same_id_for_another_message_conflicts(store, other, same_batch):
    first, second = message(1), message(2, **other)
    if same_batch:
        results = store.put([first, second]).results
    else:
        results = store.put([first]).results + store.put([second]).results
    assert results == (stored(1, 1), Conflicting(key=2))
    assert len(store.messages) == 1


def test_the_same_id_of_another_device_conflicts_even_with_the_same_content(store):
    store.enter(1, "b")
    assert store.put([message(1), message(2, device="b")]).results == (
        stored(1, 1),
        Conflicting(key=2),
    )


def test_a_newer_login_fences_even_a_repeat(store):
    store.put([message(1)])
    store.enter(1, "a")
    move = CursorMove(user=1, device="a", generation=1, seq=4)
    plan = store.put([message(2), message(3, msg_id=11)], [move])
    assert plan.results == (Fenced(key=2), Fenced(key=3))
    assert not plan.messages and not plan.devices
    again = store.put([message(4, generation=2)], [replace(move, generation=2)])
    assert again.results == (stored(4, 1, repeat=True),)
    assert store._devices[1, "a"] == Device(generation=2, cursor=4, last_msg_id=10)


def test_a_device_that_never_logged_in_is_fenced(store):
    plan = store.put([message(1, device="new", generation=0)])
    assert plan.results == (Fenced(key=1),)


def test_a_plain_sender_may_use_an_id_again_for_another_message(store):
    plain = {"device": PLAIN, "generation": 0}
    results = store.put(
        [
            message(1, **plain),
            message(2, content="bye", **plain),
            message(3, **plain),
            message(4, content="bye", message_type="image", **plain),
            message(5, to_user=3, **plain),
        ]
    ).results
    assert results == (
        stored(1, 1),
        stored(2, 2, msg_id=AT * 1000),
        stored(3, 1, repeat=True),
        stored(4, 2, repeat=True, msg_id=AT * 1000),
        stored(5, 1, to_user=3, session_id=2, msg_id=AT * 1000 + 1),
    )
    assert [m.msg_id for m in store.messages] == [10, AT * 1000, AT * 1000 + 1]
    assert [m.client_msg_id for m in store.messages] == [10, 10, 10]
    assert store.put([message(6, content="bye", **plain)], at=AT + 9).results == (
        stored(6, 2, repeat=True, msg_id=AT * 1000),
    )


def test_a_plain_sender_gets_another_id_where_a_device_has_it(store):
    """The same content, but not by a plain login: another message, not a repeat."""
    store.put([message(1)])
    plan = store.put([message(2, device=PLAIN, generation=0)])
    assert plan.results == (stored(2, 2, msg_id=AT * 1000),)


def test_an_id_of_our_own_lies_above_all_that_the_sender_has(store):
    plain = {"device": PLAIN, "generation": 0}
    high = AT * 1000 + 500
    store.put([message(1, msg_id=high)])
    plan = store.put(
        [message(2, msg_id=high + 7, **plain), message(3, msg_id=high, content="y", **plain)]
    )
    assert plan.messages[1].msg_id == high + 8


def test_a_sender_who_has_used_the_last_id_is_told_so(store):
    plain = {"device": PLAIN, "generation": 0}
    plan = store.put(
        [message(1, msg_id=MAX_ID, **plain), message(2, msg_id=MAX_ID, content="y", **plain)]
    )
    assert plan.results[0] == stored(1, 1, msg_id=MAX_ID)
    assert isinstance(plan.results[1], Unstorable)
    assert len(plan.messages) == 1


def test_cursors_never_go_back(store):
    move = CursorMove(user=1, device="a", generation=1, seq=4)
    assert store.put([], [move, replace(move, seq=3)]).devices[1, "a"].cursor == 4
    assert not store.put([], [replace(move, seq=2), move]).devices


def test_a_plain_cursor_needs_no_login_and_zero_is_a_cursor(store):
    move = CursorMove(user=2, device=PLAIN, generation=0, seq=0)
    assert store.put([], [move]).devices == {(2, PLAIN): Device(0, 0, 0)}


BAD = [
    {"sender": 0},
    {"sender": 2**63},
    {"sender": True},
    {"sender": "7"},  # it would be the int 7 in a store that keeps text
    {"sender": "a\x00b"},
    {"to_user": ""},
    {"to_user": "\ud800"},
    {"to_user": 1.0},
    {"device": "\ud800"},
    {"device": "a\x00"},
    {"msg_id": 2**63},
    {"msg_id": 0},
    {"session_id": 2**63},
    {"session_id": "5"},
    {"content": "a\x00b"},
    {"content": "a\udfffb"},
    {"content": None},
    {"message_type": "\ud83d"},
]


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_what_no_store_can_hold_never_reaches_it(store, bad):
    culprit = message(2, msg_id=11) if "msg_id" not in bad else message(2)
    culprit = replace(culprit, **bad)
    asked = wanted([culprit], [])
    assert not any(getattr(asked, field.name) for field in fields(asked))
    reason = unstorable(culprit)
    assert reason
    plan = store.put([message(1), culprit, message(3, msg_id=12)])
    assert plan.results == (stored(1, 1), Unstorable(key=2, reason=reason), stored(3, 2, msg_id=12))


@pytest.mark.parametrize("bad", [{"seq": -1}, {"seq": 2**63}, {"user": "7"}, {"device": "\ud800"}])
def test_a_cursor_that_makes_no_sense_is_dropped(store, bad):
    good = CursorMove(user=1, device="a", generation=1, seq=4)
    plan = store.put([], [replace(good, **bad), good])
    assert plan.devices == {(1, "a"): Device(1, 4, 0)}


def test_a_copy_is_for_the_other_devices_of_the_sender(store):
    """All devices read one mailbox, so the sending one gets it, too."""
    store.put([message(1, msg_id=1)])
    assert store.entries(1) == []  # it has no other device
    store.put([message(2, msg_id=2, device=PLAIN, generation=0)])
    store.enter(1, "b")
    plan = store.put([message(3, msg_id=3), message(4, msg_id=4, device="b", to_user=1)])
    assert dict(plan.heads) == {1: 3, 2: 3}
    copies = [(e.seq, e.msg_id, e.to_user, e.device) for e in store.of(1, MailboxEntry)]
    assert copies == [(1, 2, 2, ""), (2, 3, 2, "a"), (3, 4, 1, "b")]
    assert [(e.seq, e.msg_id) for e in store.of(2, MailboxEntry)] == [(1, 1), (2, 2), (3, 3)]
    assert len(plan.messages) == 2  # each is kept once
    assert store.put([message(5, msg_id=3)]).entries == ()


def test_the_first_message_between_two_makes_their_chat(store):
    store.enter(2, "a")
    plan = store.put([message(1), message(2, msg_id=11), message(3, msg_id=12, to_user="bravo")])
    assert plan.acquainted == ((1, 2), (1, "bravo"))
    assert [r.session_id for r in plan.results] == [1, 1, 2]
    chat = store.sessions[1]
    assert (chat.book_id, chat.buyer, chat.seller) == (0, 1, 2)
    assert (chat.status, chat.created_at, chat.expires_at) == (1, AT, None)
    back = store.put([message(4, sender=2, to_user=1)], lifetime=5)
    assert (back.results[0].session_id, back.acquainted, back.sessions) == (1, (), {})


def test_who_writes_to_himself_has_a_chat_with_himself_and_no_new_acquaintance(store):
    plan = store.put([message(1, to_user=1)])
    assert (plan.results[0].session_id, plan.acquainted) == (1, ())
    assert (store.sessions[1].buyer, store.sessions[1].seller) == (1, 1)


def test_after_a_chat_was_closed_the_next_message_makes_another(store):
    store.put([message(1)])
    store.ask(1, "close", site=True, sessionId=1)
    assert store.put([message(2)]).results == (stored(2, 1, repeat=True),)
    assert store.put([message(3, msg_id=11)]).results[0].session_id == 2
    assert store.put([message(4, msg_id=12)]).results[0].session_id == 2


@pytest.fixture
def book(store):
    """A book of user 2 that user 1 asks for, till AT + 10."""
    opened = store.ask(1, "create", lifetime=10, bookId=7, buyerId=1, sellerId=2)
    assert opened.data == 1
    return store


@pytest.mark.parametrize(
    "wrong", [{"session_id": 9}, {"to_user": 3}, {"sender": 3, "to_user": 2}, {"to_user": 1}]
)
def test_a_session_is_for_its_buyer_and_its_seller(book, wrong):
    book.enter(3, "a")
    first, second = message(1, **({"session_id": 1} | wrong)), message(2, msg_id=11, session_id=1)
    plan = book.put([first, second])
    assert plan.results == (
        Refused(key=1, code=40400, reason="no such session"),
        stored(2, 1, msg_id=11),  # what is refused holds nothing up
    )
    assert len(book.messages) == 1


def test_nobody_writes_into_what_has_expired_or_was_closed(book):
    late = Refused(key=2, code=40300, reason="the session is over")
    plan = book.put([message(1, session_id=1)], at=AT + 9)
    assert plan.results == (stored(1, 1, timestamp=AT + 9),)
    again = [message(2, msg_id=11, session_id=1), message(3, session_id=1)]
    plan = book.put(again, at=AT + 10)
    assert plan.results == (late, stored(3, 1, timestamp=AT + 9, repeat=True))
    assert plan.sessions[1].status == 2
    book.ask(1, "close", site=True, sessionId=1)
    assert book.put(again[:1]).results == (late,)


def test_a_message_puts_the_end_of_its_session_off_when_half_its_life_is_over(book):
    assert book.put([message(1, session_id=1)], at=AT + 5, lifetime=10).sessions == {}
    plan = book.put([message(2, msg_id=11, session_id=1)], at=AT + 6, lifetime=10)
    assert plan.sessions[1].expires_at == AT + 16


def test_a_repeat_may_name_the_session_that_its_first_made(store):
    store.put([message(1)])
    assert store.put([message(2, session_id=1)]).results == (stored(2, 1, repeat=True),)


def test_whom_the_site_forbids_is_refused_but_gets_the_answer_of_before(store):
    store.put([message(1)])
    again, new = message(2, forbidden=True), message(3, msg_id=11, forbidden=True)
    plan = store.put([again, new])
    assert plan.results[0] == stored(2, 1, repeat=True)
    assert isinstance(plan.results[1], Refused) and plan.results[1].code == 403


def test_the_ends_of_what_a_store_can_hold_are_fine():
    assert unstorable(message(msg_id=MAX_ID, sender=MAX_ID, session_id=MAX_ID)) is None
    assert unstorable(message(sender="bravo", to_user="9" * 30, content="\U0001f600")) is None
