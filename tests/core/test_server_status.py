"""What became of a message, and who knows whom (protocol.md section 2, `status`, `presence`)."""

from __future__ import annotations

import pytest

from core.store_kit import AT, Store, mark, message, move
from im_proto.server.actions import StorePeers, StoreRetain, StoreSeen, StoreStatus
from im_proto.server.inputs import PeersFound, StatusFound
from im_proto.server.records import StatusItem


@pytest.fixture
def store():
    made = Store()
    for user in (1, 2, 3):
        made.enter(user, "a")
    return made


def status(store, *msg_ids, device="a", forgotten_before=0):
    done = store.carry_out(
        StoreStatus(
            request=4,
            user=1,
            device=device,
            msg_ids=msg_ids,
            forgotten_before=forgotten_before,
        )
    )
    assert isinstance(done, StatusFound) and done.request == 4
    return done.items


def words(store, *msg_ids, **more):
    return [item.status for item in status(store, *msg_ids, **more)]


def test_a_message_is_accepted_then_delivered_then_read(store):
    store.put([message(msg_id=1), message(msg_id=2), message(msg_id=3)], at=AT + 1)
    store.put(cursors=[move(2)])
    store.put(reads=[mark(1)])
    assert status(store, 3, 2, 1) == (
        StatusItem(msg_id=3, status="accepted", timestamp=AT + 1),
        StatusItem(msg_id=2, status="delivered", timestamp=AT + 1),
        StatusItem(msg_id=1, status="read", timestamp=AT + 1),
    )


def test_what_was_read_was_delivered_even_without_an_ack(store):
    store.put([message(msg_id=1)])
    store.put(reads=[mark(1)])
    assert words(store, 1) == ["read"]


def test_what_did_not_come_was_never_accepted(store):
    store.put([message(msg_id=5)])
    assert status(store, 4, 6) == (
        StatusItem(msg_id=4, status="never"),
        StatusItem(msg_id=6, status="never"),
    )
    assert words(store, 5, device="unknown") == ["never"]


def test_what_another_device_sent_under_the_same_msg_id_is_not_this_ones(store):
    store.enter(1, "b")
    store.put([message(msg_id=1)])
    assert words(store, 1, device="b") == ["never"]


def test_a_msg_id_from_before_the_horizon_is_forgotten(store):
    horizon = AT * 1000
    store.put([message(msg_id=horizon - 2)])
    assert words(store, horizon - 2, horizon - 1, horizon, horizon + 1, forgotten_before=AT) == [
        "accepted",
        "forgotten",
        "never",
        "never",
    ]


def test_what_retention_may_have_let_go_is_forgotten_whatever_the_clock_of_the_device_said(store):
    """Its clock is a year ahead: its msgIds look young for a year."""
    ahead = (AT + 366 * 86_400_000) * 1000
    store.put([message(msg_id=ahead), message(msg_id=ahead + 1, to_user=3)])
    store.put([message(msg_id=ahead + 2)], at=AT + 5)
    store.trim(2, 3)
    store.carry_out(
        StoreRetain(request=1, entries_before=None, keep=None, messages_before=AT + 1, limit=99)
    )
    store.put(
        [message(msg_id=ahead + 4, to_user=3)], [move(1, user=1)]
    )  # it is not forgotten by that
    asked = (ahead - 1, ahead, ahead + 1, ahead + 2, ahead + 3)
    assert words(store, *asked, forgotten_before=AT) == [
        "forgotten",
        "forgotten",
        "accepted",
        "accepted",
        "never",
    ]


# ---- who knows whom


def peers(store, user, at=AT):
    found = store.carry_out(StorePeers(request=5, user=user, at=at))
    assert isinstance(found, PeersFound) and found.request == 5
    return dict(found.peers)


def test_peers_are_those_with_whom_one_shares_an_active_session(store):
    store.put([message(1), message(2, msg_id=11, to_user=1)])
    book = {"bookId": 7, "sellerId": 1}
    for session_id, buyer in ((3, 2), (4, 3)):
        assert store.ask(1, "create", lifetime=10, buyerId=buyer, **book).data == session_id
    assert peers(store, 1) == {2: None, 3: None}
    assert peers(store, 2) == {1: None}
    assert peers(store, 1, at=AT + 10) == {2: None}
    store.ask(1, "close", site=True, sessionId=1)
    assert peers(store, 2, at=AT + 10) == {}


def test_when_a_peer_was_last_seen_is_told_unless_it_is_nobodys_business(store):
    store.put([message(1)])
    assert store.carry_out(StoreSeen(request=1, user=2, at=AT)) is None
    assert peers(store, 1) == {2: AT}
    store.carry_out(StoreSeen(request=1, user=2, at=None))
    assert peers(store, 1) == {2: None}
