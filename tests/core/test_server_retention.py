"""What a store lets go (protocol.md section 2, "Resume")."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.store_kit import AT, Store, message
from im_proto.server.actions import StoreRetain
from im_proto.server.inputs import Retained
from im_proto.server.records import Stored
from im_proto.server.retention import Held, plan_release

FOREVER = 10**9


@pytest.fixture
def store():
    made = Store()
    made.enter(1, "a")
    return made


def retain(store, *, entries_before=None, keep=None, messages_before=0, limit=FOREVER):
    done = store.carry_out(
        StoreRetain(
            request=3,
            entries_before=entries_before,
            keep=keep,
            messages_before=messages_before,
            limit=limit,
        )
    )
    assert isinstance(done, Retained) and done.request == 3
    return dict(done.oldest), done.more


def seqs(store, user=2):
    return [entry.seq for entry in store.entries(user)]


def fill(store, count=5):
    """Messages 1, 2, … to user 2, a millisecond apart."""
    for n in range(1, count + 1):
        store.put([message(n, msg_id=n)], at=AT + n)


def test_entries_that_are_too_old_go(store):
    fill(store)
    assert retain(store, entries_before=AT + 3) == ({2: 3}, False)
    assert (seqs(store), store.oldest(2)) == ([3, 4, 5], 3)
    assert retain(store, entries_before=AT + 3) == ({}, False)


def test_entries_that_are_too_many_go(store):
    fill(store)
    store.put([message(6, msg_id=6, to_user=3)])
    assert retain(store, keep=2) == ({2: 4}, False)
    assert (seqs(store), seqs(store, 3)) == ([4, 5], [1])


def test_a_mailbox_may_lose_all_that_it_holds(store):
    fill(store)
    assert retain(store, entries_before=AT + 99) == ({2: 6}, False)
    assert (seqs(store), store.oldest(2)) == ([], 6)
    assert store.put([message(6, msg_id=6)]).results[0].seq == 6


def test_where_neither_is_set_nothing_goes(store):
    fill(store)
    assert retain(store) == ({}, False)
    assert seqs(store) == [1, 2, 3, 4, 5]


def test_an_old_entry_behind_a_young_one_stays_so_that_there_is_no_gap(store):
    """The clock went back between them."""
    for n, at in ((1, 1), (2, 9), (3, 2)):
        store.put([message(n, msg_id=n)], at=AT + at)
    assert retain(store, entries_before=AT + 5) == ({2: 2}, False)
    assert seqs(store) == [2, 3]


def test_a_message_goes_when_it_is_in_no_mailbox_and_nobody_sends_it_again(store):
    fill(store)
    store.enter(1, "b")
    store.put([message(6, msg_id=6)], at=AT)  # user 1 has a copy of it
    store.trim(2, 7)
    assert retain(store, messages_before=AT + 3) == ({}, False)
    assert [m.msg_id for m in store.messages] == [3, 4, 5, 6]
    store.trim(1, 2)
    retain(store, messages_before=AT + 3)
    assert [m.msg_id for m in store.messages] == [3, 4, 5]


def test_a_message_that_is_in_a_mailbox_stays_however_old(store):
    fill(store)
    retain(store, keep=3, messages_before=AT + 99)
    assert [m.msg_id for m in store.messages] == [3, 4, 5]


def test_what_is_in_no_mailbox_is_remembered_as_long_as_it_may_come_again(store):
    fill(store, 1)
    store.trim(2, 2)
    retain(store, messages_before=AT + 1)
    (repeat,) = store.put([message(9, msg_id=1)]).results
    assert isinstance(repeat, Stored) and repeat.repeat
    retain(store, messages_before=AT + 2)
    (new,) = store.put([message(9, msg_id=1)]).results
    assert not new.repeat


def test_a_history_and_what_is_unread_are_of_what_is_held(store):
    fill(store)
    retain(store, keep=2, messages_before=AT + 99)
    done = store.ask(1, "history", peerId=2)
    assert [record["msgId"] for record in done.data["records"]] == [4, 5]
    (session,) = store.ask(2, "getCurrent").data
    assert session["sellerReaded"] == 2


def test_a_transaction_has_a_most_of_rows_and_says_that_there_is_more(store):
    fill(store)
    everything = {"entries_before": AT + 99, "messages_before": AT + 99}
    assert retain(store, limit=3, **everything) == ({2: 4}, True)
    assert len(store.messages) == 5
    assert retain(store, limit=3, **everything) == ({2: 6}, True)
    assert [m.msg_id for m in store.messages] == [2, 3, 4, 5]
    assert retain(store, limit=3, **everything) == ({}, True)
    assert retain(store, limit=1, **everything) == ({}, False)
    assert store.messages == []


HELD = st.builds(
    lambda user, oldest, count, young: Held(user, oldest, oldest + count - 1, oldest + young),
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(0, 9),
    st.integers(0, 9),
).filter(lambda held: held.young <= held.head + 1)


@hypothesis_settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.lists(HELD, max_size=5, unique_by=lambda held: held.user),
    st.none() | st.integers(1, 9),
    st.integers(1, 20),
)
def test_a_release_is_what_has_to_go_as_far_as_the_limit_allows(mailboxes, keep, limit):
    release = plan_release(mailboxes, keep, limit)
    gone = left = 0
    for held in mailboxes:
        seqs = range(held.oldest, held.head + 1)
        goes = [
            seq
            for seq in seqs
            if seq < held.young or (keep is not None and seq <= held.head - keep)
        ]
        oldest = release.oldest.get(held.user, held.oldest)
        assert held.oldest <= oldest <= held.oldest + len(goes)
        assert held.user not in release.oldest or oldest > held.oldest
        gone += oldest - held.oldest
        left += held.oldest + len(goes) - oldest
    assert gone + release.room == limit
    assert release.more == (left > 0)
    assert left == 0 or release.room == 0
