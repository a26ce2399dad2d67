"""The calls about sessions: who may, and what is answered (protocol.md sections 3 and 4)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.store_kit import AT, Store, mark, message, move
from im_proto.server.calls import BadCall, Call, read_call
from im_proto.server.inputs import CallDone
from im_proto.wire import MAX_ID
from im_proto.wire.session import SessionOp, read_history, read_session, read_sessions

BOOK = {"bookId": 7, "buyerId": 1, "sellerId": 2}
NO_SESSION = CallDone(request=7, code=40400, data=None, text="no such user or session")


@pytest.fixture
def store():
    made = Store()
    for user in (1, 2, 3):
        made.enter(user, "a")
    return made


def vo(**changes):
    return {
        "id": 1,
        "bookId": 7,
        "buyerId": 1,
        "sellerId": 2,
        "sessionStatus": 1,
        "createTime": AT,
        "expireTime": AT + 10,
        "buyerReaded": 0,
        "sellerReaded": 0,
    } | changes


# ---- what is asked


@pytest.mark.parametrize(
    ("op", "params", "call"),
    [
        ("get", {"sessionId": "5"}, {"session_id": 5}),
        ("get", BOOK, {"book_id": 7, "buyer_id": 1, "seller_id": 2}),
        ("create", BOOK, {"book_id": 7, "buyer_id": 1, "seller_id": 2}),
        # over HTTP they come as text, and a chat has one order only
        (
            "startChat",
            {"bookId": "0", "buyerId": "bravo", "sellerId": "2"},
            {"book_id": 0, "buyer_id": 2, "seller_id": "bravo"},
        ),
        ("getCurrent", {"userId": "1"}, {"user_id": 1}),
        ("getCurrent", {}, {}),
        ("history", {"sessionId": 5, "peerId": None, "direction": None}, {"session_id": 5}),
        (
            "history",
            {"peerId": 2, "startMsgId": "9", "direction": "after", "pageSize": "20", "current": 3},
            {"peer_id": 2, "start_msg_id": 9, "direction": "after", "page_size": 20, "page": 3},
        ),
        ("history", {"sessionId": 5, "startMsgId": 0}, {"session_id": 5}),
        ("history", {"sessionId": 5, "pageSize": 10**12}, {"session_id": 5, "page_size": 100}),
    ],
)
def test_a_call_is_read(op, params, call):
    assert read_call(op, params) == Call(op=SessionOp(op), **call)


@pytest.mark.parametrize(
    ("op", "params"),
    [
        ("destroy", {}),
        ("close", {"sessionId": 1}),  # only the site may
        ("get", {}),
        ("get", {"bookId": 7, "buyerId": 1}),
        ("get", {"sessionId": "secret"}),
        ("create", BOOK | {"sellerId": 1}),
        ("create", BOOK | {"bookId": -1}),
        ("startChat", {"sessionId": 1}),
        ("getCurrent", {"userId": ["secret"]}),
        ("history", {}),
        ("history", {"sessionId": 1, "peerId": 2}),
        ("history", {"sessionId": 1, "direction": "secret"}),
        ("history", {"sessionId": 1, "pageSize": 0}),
        ("history", {"sessionId": 1, "current": 10**12}),
    ],
)
def test_a_call_of_bad_form_is_refused_in_words_that_hold_none_of_it(op, params):
    with pytest.raises(BadCall) as caught:
        read_call(op, params)
    assert str(caught.value) and "secret" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
NAMES = ["sessionId", "bookId", "buyerId", "sellerId", "userId", "peerId", "startMsgId"]
NAMES += ["startSenderId", "direction", "pageSize", "current", "session_id"]


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    op=st.sampled_from([*SessionOp, "close", "x"]),
    params=st.dictionaries(st.sampled_from(NAMES), JSON | st.integers(0, 9), max_size=5),
)
def test_any_call_is_carried_out_or_refused(op, params):
    store = Store()
    store.enter(1, "a")
    store.put([message(1), message(2, msg_id=11, to_user=1)])
    try:
        done = store.ask(1, op, site=True, **params)
    except BadCall:
        return
    assert done.code in (0, 403, 40400)
    json.dumps(done.data, allow_nan=False)


# ---- create, startChat, get, close


def test_a_book_has_one_active_session_of_the_same_two(store):
    made = store.ask(1, "create", lifetime=10, **BOOK)
    assert (made.code, made.data, made.acquainted) == (0, 1, ((1, 2),))
    again = store.ask(2, "create", lifetime=10, **BOOK)
    assert (again.code, again.data, again.acquainted) == (0, 1, ())
    chat = store.ask(2, "startChat", lifetime=10, **BOOK)
    assert (chat.code, chat.data, chat.acquainted) == (0, vo(), ())
    other = store.ask(1, "create", lifetime=10, **BOOK | {"buyerId": 2, "sellerId": 1})
    assert other.data == 2


def test_what_is_answered_can_be_read_by_a_client(store):
    store.ask(1, "create", lifetime=10, **BOOK)
    session = read_session(store.ask(1, "get", sessionId=1).data)
    assert session.active and (session.expire_time, session.unread_of(2)) == (str(AT + 10), 0)
    assert read_sessions(store.ask(1, "getCurrent").data) == [session]


def test_a_session_is_opened_by_its_buyer_or_its_seller(store):
    for op in ("create", "startChat"):
        assert store.ask(3, op, **BOOK).code == 403
    assert store.sessions == {}


def test_an_expired_session_stays_and_a_new_one_takes_its_place(store):
    store.ask(1, "create", lifetime=10, **BOOK)
    done = store.ask(1, "startChat", at=AT + 10, lifetime=10, **BOOK)
    assert done.data == vo(id=2, createTime=AT + 10, expireTime=AT + 20)
    assert done.acquainted == ((1, 2),)
    assert [session.status for session in store.sessions.values()] == [2, 1]
    assert store.ask(1, "get", sessionId=1).data == vo(sessionStatus=2)
    assert store.ask(1, "get", **BOOK).data["id"] == 2


def test_a_session_that_is_looked_at_too_late_has_expired(store):
    store.ask(1, "create", lifetime=10, **BOOK)
    assert store.ask(1, "get", at=AT + 9, sessionId=1).data == vo()
    assert store.ask(1, "get", at=AT + 10, sessionId=1).data == vo(sessionStatus=2)
    assert store.sessions[1].status == 2


def test_sessions_without_a_lifetime_have_no_end(store):
    store.ask(1, "create", **BOOK)
    assert store.ask(1, "get", at=AT * 2, sessionId=1).data == vo(expireTime=None)


def test_a_chat_without_a_book_has_no_end_and_one_order(store):
    made = store.ask(2, "startChat", lifetime=10, bookId=0, buyerId=2, sellerId=1)
    assert made.data == vo(bookId=0, expireTime=None)
    assert store.put([message(1)]).results[0].session_id == 1
    assert store.ask(1, "get", bookId=0, buyerId=1, sellerId=2).data["id"] == 1


def test_one_may_have_a_chat_with_oneself(store):
    made = store.ask(1, "create", bookId=0, buyerId=1, sellerId=1)
    assert (made.data, made.acquainted) == (1, ())


def test_what_is_not_yours_is_not_there(store):
    store.ask(1, "create", **BOOK)
    store.put([message(1)])
    for asked in ({"sessionId": 1}, BOOK, {"sessionId": 9}, BOOK | {"bookId": 8}):
        assert store.ask(3, "get", **asked) == NO_SESSION
    assert store.ask(3, "getCurrent", userId=1) == NO_SESSION
    assert (
        store.ask(3, "history", sessionId=1) == store.ask(3, "history", sessionId=9) == NO_SESSION
    )


def test_the_site_can_close_a_session_for_good(store):
    store.ask(1, "create", lifetime=10, **BOOK)
    for _ in range(2):
        closed = store.ask(3, "close", site=True, sessionId=1)
        assert (closed.code, closed.data) == (0, vo(sessionStatus=3))
    assert store.ask(1, "get", at=AT + 99, sessionId=1).data == vo(sessionStatus=3)
    assert store.ask(1, "create", **BOOK).data == 2
    assert store.ask(3, "close", site=True, sessionId=9) == NO_SESSION


def test_ids_that_javascript_would_spoil_go_out_as_text(store):
    store.enter(MAX_ID, "a")
    made = store.ask(MAX_ID, "startChat", bookId=MAX_ID, buyerId=MAX_ID, sellerId="bravo")
    assert (made.data["bookId"], made.data["buyerId"]) == (str(MAX_ID), str(MAX_ID))
    store.put([message(sender=MAX_ID, msg_id=MAX_ID, to_user=MAX_ID)])
    (record,) = store.ask(MAX_ID, "history", peerId=MAX_ID).data["records"]
    assert {record["msgId"], record["senderId"], record["receiverId"]} == {str(MAX_ID)}


# ---- getCurrent


def test_the_current_sessions_are_the_active_ones_the_newest_first(store):
    store.ask(1, "create", lifetime=10, **BOOK)
    store.ask(1, "create", lifetime=20, **BOOK | {"bookId": 8})
    store.ask(3, "create", **BOOK | {"buyerId": 3})
    store.put([message(1)])
    current = store.ask(1, "getCurrent", at=AT + 10, userId=1)
    assert [session["id"] for session in current.data] == [4, 2]
    assert store.sessions[1].status == 2
    assert [session["id"] for session in store.ask(2, "getCurrent").data] == [4, 3, 2]


def test_there_is_a_most_of_current_sessions(store, monkeypatch):
    monkeypatch.setattr("im_proto.server.sessions.MAX_SESSIONS", 2)
    for book in (5, 6, 7):
        store.ask(1, "create", **BOOK | {"bookId": book})
    assert [session["bookId"] for session in store.ask(1, "getCurrent").data] == [7, 6]


def unread(store, user=1):
    (session,) = store.ask(user, "getCurrent").data
    return session["buyerReaded"], session["sellerReaded"]


def test_what_is_unread_is_counted_for_each_of_the_two(store):
    store.ask(1, "create", **BOOK)
    store.put([message(msg_id=n, session_id=1) for n in (1, 2, 3)])
    store.put([message(msg_id=4, sender=2, to_user=1, session_id=1)])
    assert unread(store) == unread(store, 2) == (1, 3)
    store.put(reads=[mark(2)])
    assert unread(store) == (1, 1)
    store.put(reads=[mark(4, reader=1, from_user=2)])
    assert unread(store) == (0, 1)


def test_what_one_wrote_oneself_is_never_unread(store):
    store.put([message(msg_id=1, to_user=1)])
    assert unread(store) == (0, 0)


# ---- history


def filled(store):
    """Two chats of 1 and 2, and one of 1 and 3: messages 1 to 6 in the order of acceptance."""
    store.ask(1, "create", **BOOK)
    store.put([message(msg_id=1), message(msg_id=2, session_id=1)])
    store.put([message(msg_id=3, to_user=3)])
    store.put([message(msg_id=4, sender=2, to_user=1), message(msg_id=5), message(msg_id=6)])
    return store


def seen(done):
    assert done.code == 0
    return [record["msgId"] for record in done.data["records"]], done.data["hasNext"]


@pytest.mark.parametrize(
    ("asked", "ids", "more"),
    [
        ({}, [1, 2, 4, 5, 6], False),
        ({"pageSize": 2}, [5, 6], True),
        ({"pageSize": 2, "current": 2}, [2, 4], True),
        ({"pageSize": 2, "current": 3}, [1], False),
        ({"pageSize": 2, "current": 4}, [], False),
        ({"pageSize": 2, "startMsgId": 5}, [2, 4], True),
        ({"pageSize": 2, "startMsgId": 4}, [1, 2], False),
        ({"startMsgId": 1}, [], False),
        ({"direction": "after", "pageSize": 2}, [1, 2], True),
        ({"direction": "after", "pageSize": 2, "startMsgId": 2}, [4, 5], True),
        ({"direction": "after", "pageSize": 2, "startMsgId": 2, "current": 2}, [6], False),
        ({"direction": "after", "startMsgId": 6}, [], False),
    ],
)
def test_a_page_with_a_peer_is_of_all_their_sessions(store, asked, ids, more):
    assert seen(filled(store).ask(1, "history", peerId=2, **asked)) == (ids, more)
    assert seen(store.ask(2, "history", peerId=1, **asked)) == (ids, more)


def test_a_page_of_a_session_is_of_that_alone(store):
    assert seen(filled(store).ask(2, "history", sessionId=1)) == ([2], False)
    assert seen(store.ask(1, "history", sessionId=2)) == ([1, 4, 5, 6], False)


def test_a_record_says_what_became_of_the_message(store):
    filled(store)
    store.put(cursors=[move(2)])
    store.put(reads=[mark(1)])
    done = store.ask(1, "history", sessionId=2)
    assert {k: v for k, v in done.data.items() if k != "records"} == {
        "total": 4,
        "size": 50,
        "current": 1,
        "hasNext": False,
    }
    assert done.data["records"][0] == {
        "msgId": 1,
        "sessionId": 2,
        "senderId": 1,
        "receiverId": 2,
        "messageType": "text",
        "content": "hello",
        "messageStatus": 3,
        "sendTime": AT,
    }
    assert [r["messageStatus"] for r in done.data["records"]] == [3, 1, 1, 1]
    assert store.ask(1, "history", sessionId=1).data["records"][0]["messageStatus"] == 2
    assert len(read_history(done.data, 50).records) == 4


def test_total_counts_from_where_the_history_starts(store):
    assert filled(store).ask(1, "history", peerId=2, pageSize=1).data["total"] == 5
    assert store.ask(1, "history", peerId=2, startMsgId=4).data["total"] == 2
    after = store.ask(1, "history", peerId=2, startMsgId=4, direction="after", pageSize=1)
    assert after.data["total"] == 2


@pytest.mark.parametrize("start", [3, 9])
def test_a_history_starts_at_a_message_of_its_own(store, start):
    """Message 3 is there, and somebody else's."""
    done = filled(store).ask(2, "history", peerId=1, startMsgId=start)
    assert (done.code, done.data) == (40400, None)


def test_with_whom_one_never_spoke_one_has_no_history(store):
    assert seen(store.ask(1, "history", peerId=3)) == ([], False)


def test_where_two_used_the_same_msg_id_nothing_is_passed_over(store):
    store.put([message(msg_id=1), message(msg_id=2)])
    store.put([message(msg_id=n, sender=2, to_user=1) for n in (5, 1)])
    ask = {"peerId": 2, "startMsgId": 1}
    assert seen(store.ask(1, "history", **ask)) == ([1, 2, 5], False)
    assert seen(store.ask(1, "history", direction="after", **ask)) == ([2, 5, 1], False)
    assert seen(store.ask(1, "history", startSenderId=1, **ask)) == ([], False)
    after = {"direction": "after", "startSenderId": 2}
    assert seen(store.ask(1, "history", **after, **ask)) == ([], False)
    assert store.ask(1, "history", startSenderId=3, **ask).code == 40400


def test_a_history_is_not_paged_through_to_any_depth():
    """Each page reads all before it: who wants more goes on from a message."""
    page = {"peerId": 2, "pageSize": 100}
    assert read_call("history", page | {"current": 100}, history_page=100).page == 100
    with pytest.raises(BadCall, match="startMsgId"):
        read_call("history", page | {"current": 101}, history_page=100)
    assert read_call("history", {"peerId": 2, "pageSize": 10**6}, history_page=10**6).page == 1
