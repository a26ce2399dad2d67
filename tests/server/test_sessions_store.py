"""Sessions, histories, read marks and peers in the SQL store."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from im_proto.server import history, sessions
from im_proto.server.actions import (
    StoreCall,
    StoreCommit,
    StoreLogin,
    StorePeers,
    StoreRead,
    StoreSeen,
    StoreStatus,
)
from im_proto.server.records import (
    PLAIN,
    CursorMove,
    Marked,
    ReadMark,
    ReadSyncEntry,
    ReceiptEntry,
    Refused,
    Stored,
    Submission,
)
from im_proto.server.session_view import MOST_UNREAD
from im_proto.server.sessions import Call
from im_proto.wire.session import SessionOp
from im_server.store import Store, StoreError

AT = 1_700_000_000_000
DAY = 86_400_000


@pytest.fixture
def store(tmp_path):
    with Store(f"sqlite:///{tmp_path / 'im.db'}", "process") as opened:
        for user in (1, 2):
            opened.login(StoreLogin(request=0, user=user, device="a", resume_seq=None))
        yield opened


def message(msg_id, sender=1, to_user=2, **changes):
    fields = {
        "key": msg_id,
        "sender": sender,
        "device": "a",
        "generation": 1,
        "msg_id": msg_id,
        "to_user": to_user,
        "content": f"message {msg_id}",
        "message_type": "text",
        "session_id": None,
        "wants_receipt": True,
    }
    return Submission(**(fields | changes))


def commit(store, *submissions, cursors=(), reads=(), at=AT):
    return store.commit(
        StoreCommit(
            request=1,
            submissions=submissions,
            cursors=cursors,
            reads=reads,
            at=at,
            session_lifetime=DAY,
        )
    )


def call(store, op, user=1, at=AT, **fields):
    ask = Call(op=op, **fields)
    return store.call(StoreCall(request=2, user=user, call=ask, at=at, session_lifetime=DAY))


def open_book(store, book_id, buyer=1, seller=2, at=AT):
    three = {"book_id": book_id, "buyer_id": buyer, "seller_id": seller}
    return call(store, SessionOp.CREATE, at=at, **three).data


def records(store, user=1, **fields):
    data = call(store, SessionOp.HISTORY, user, **fields).data
    return [r["msgId"] for r in data["records"]], data["total"], data["hasNext"]


def entries(store, user):
    return store.read(StoreRead(request=1, user=user, after=0, limit=1000)).entries


def test_a_book_has_one_active_session_of_two(store):
    first = open_book(store, 7)
    assert open_book(store, 7) == first
    assert open_book(store, 8) != first
    assert open_book(store, 7, at=AT + DAY) not in (first, open_book(store, 8))
    raw = store._database._writer.connection.driver_connection
    found = raw.execute("SELECT status FROM sessions WHERE book_id = 7 ORDER BY id").fetchall()
    assert found == [(2,), (1,)]


def test_a_chat_is_made_once_and_named_to_both(store):
    done = commit(store, message(1), message(2, sender=2, to_user=1))
    assert done.acquainted == ((1, 2),)
    assert [r.session_id for r in done.results] == [1, 1]
    again = commit(store, message(3))
    assert (again.acquainted, again.results[0].session_id) == ((), 1)
    assert dict(again.heads) == {2: 2}


def test_a_chat_that_was_closed_is_followed_by_one_that_is_found_again(store):
    commit(store, message(1))
    call(store, "close", session_id=1)
    made = [commit(store, message(i)).results[0].session_id for i in (2, 3)]
    raw = store._database._writer.connection.driver_connection
    found = raw.execute("SELECT id, status FROM sessions ORDER BY id").fetchall()
    assert (made, found) == ([2, 2], [(1, 3), (2, 1)])


def test_nobody_writes_into_a_session_of_others_or_one_that_is_over(store):
    number = open_book(store, 7)
    store.login(StoreLogin(request=0, user=3, device="a", resume_seq=None))
    done = commit(
        store,
        message(1, session_id=number),
        message(2, session_id=99),
        message(3, sender=3, session_id=number),
    )
    assert [type(r) for r in done.results] == [Stored, Refused, Refused]
    assert [r.code for r in done.results[1:]] == [40400, 40400]
    assert call(store, "close", session_id=number).code in (0, 200)
    (late,) = commit(store, message(4, session_id=number)).results
    assert late.code == 40300


def test_a_history_goes_through_all_sessions_of_two_in_the_order_of_acceptance(store):
    book = open_book(store, 7)
    for i in range(1, 11):
        sender = 1 + i % 2
        session = book if i % 3 == 0 else None
        commit(store, message(i, sender=sender, to_user=3 - sender, session_id=session))
    assert records(store, peer_id=2, page_size=4) == ([7, 8, 9, 10], 10, True)
    assert records(store, peer_id=2, page_size=4, page=3) == ([1, 2], 10, False)
    assert records(store, session_id=book, page_size=4) == ([3, 6, 9], 3, False)
    after = {"direction": "after", "start_msg_id": 5, "page_size": 3}
    assert records(store, peer_id=2, **after) == ([6, 7, 8], 5, True)
    before = {"start_msg_id": 5, "page_size": 3}
    assert records(store, peer_id=2, **before) == ([2, 3, 4], 4, True)
    assert records(store, peer_id=2, direction="after", page_size=2) == ([1, 2], 10, True)
    # of the other, and of nobody else
    assert records(store, user=2, peer_id=1, page_size=1) == ([10], 10, True)
    assert records(store, user=3, peer_id=1) == ([], 0, False)
    assert call(store, SessionOp.HISTORY, user=3, session_id=book).code == 40400


def test_what_one_writes_to_oneself_is_a_history_too(store):
    commit(store, message(1, to_user=1), message(2, to_user=1))
    assert records(store, peer_id=1) == ([1, 2], 2, False)
    (session,) = call(store, SessionOp.GET_CURRENT).data
    assert (session["buyerReaded"], session["sellerReaded"]) == (0, 0)


def test_unread_counts_are_of_each_session_and_never_of_what_is_one_s_own(store):
    book = open_book(store, 7)
    commit(
        store,
        *(message(i) for i in (1, 2, 3)),
        message(4, session_id=book),
        message(5, sender=2, to_user=1),
    )

    def unread(user):
        found = call(store, SessionOp.GET_CURRENT, user).data
        return {s["bookId"]: (s["buyerReaded"], s["sellerReaded"]) for s in found}

    assert unread(1) == unread(2) == {0: (1, 3), 7: (0, 1)}
    mark = ReadMark(key=1, reader=2, device="a", generation=1, from_user=1, msg_id=2)
    assert commit(store, reads=[mark]).marks == (Marked(key=1, found=True),)
    assert unread(2) == {0: (1, 1), 7: (0, 1)}


def test_a_read_mark_is_cumulative_and_told_to_the_sender_and_to_other_devices(store):
    store.login(StoreLogin(request=0, user=2, device="b", resume_seq=None))
    commit(store, *(message(i, wants_receipt=i != 2) for i in (1, 2, 3, 4)))

    def mark(msg_id, reader=2, from_user=1):
        return ReadMark(
            key=msg_id, reader=reader, device="a", generation=1, from_user=from_user, msg_id=msg_id
        )

    done = commit(store, reads=[mark(3), mark(9), mark(1, reader=1)], at=AT + 5)
    assert [m.found for m in done.marks] == [True, False, False]
    read = {"user": 2, "status": "read", "session_id": 1}
    assert entries(store, 1) == (ReceiptEntry(seq=1, msg_ids=(1, 3), timestamp=AT + 5, **read),)
    assert entries(store, 2)[-1] == ReadSyncEntry(seq=5, from_user=1, msg_id=3)
    assert dict(done.heads) == {1: 1, 2: 5}
    commit(store, reads=[mark(1), mark(4)], at=AT + 6)
    assert entries(store, 1)[1:] == (ReceiptEntry(seq=2, msg_ids=(4,), timestamp=AT + 6, **read),)


def test_delivered_is_what_the_first_device_has_acknowledged(store):
    store.login(StoreLogin(request=0, user=2, device="b", resume_seq=None))
    commit(store, message(1), message(2, wants_receipt=False), message(3))

    def status():
        asked = StoreStatus(request=1, user=1, device="a", msg_ids=(1, 3, 4), forgotten_before=0)
        return [item.status for item in store.status(asked).items]

    assert status() == ["accepted", "accepted", "never"]

    def acked(device, seq):
        return CursorMove(user=2, device=device, generation=1, seq=seq)

    commit(store, cursors=[acked("a", 2)], at=AT + 1)
    assert status() == ["delivered", "accepted", "never"]
    commit(store, cursors=[acked("b", 3)], at=AT + 2)
    commit(store, cursors=[acked("a", 3)], at=AT + 3)
    delivered = {"user": 2, "status": "delivered", "session_id": 1}
    assert entries(store, 1) == (
        ReceiptEntry(seq=1, msg_ids=(1,), timestamp=AT + 1, **delivered),
        ReceiptEntry(seq=2, msg_ids=(3,), timestamp=AT + 2, **delivered),
    )
    commit(
        store, reads=[ReadMark(key=1, reader=2, device="a", generation=1, from_user=1, msg_id=1)]
    )
    assert status() == ["read", "delivered", "never"]
    assert [
        item.timestamp
        for item in store.status(
            StoreStatus(request=1, user=1, device="b", msg_ids=(1,), forgotten_before=0)
        ).items
    ] == [None]  # another device has sent it


def test_a_copy_stands_in_the_mailbox_of_a_sender_with_other_devices(store):
    store.login(StoreLogin(request=0, user=1, device="b", resume_seq=None))
    commit(store, message(1))
    (copy,) = entries(store, 1)
    assert (copy.from_user, copy.to_user, copy.msg_id, copy.device) == (1, 2, 1, "a")
    assert store.login(
        StoreLogin(request=0, user=1, device="b", resume_seq=1)
    ).login.resume_entry == (1, 1)


def test_a_plain_login_is_no_other_device(store):
    store.login(StoreLogin(request=0, user=1, device=PLAIN, resume_seq=None))
    commit(store, message(1))
    assert entries(store, 1) == ()
    commit(store, message(2, device=PLAIN, generation=0))  # there is one with a name
    assert [entry.msg_id for entry in entries(store, 1)] == [2]


def test_each_of_the_two_has_a_read_mark_of_its_own(store):
    commit(store, *(message(i) for i in range(1, 6)))
    commit(store, *(message(i, sender=2, to_user=1) for i in range(1, 4)))

    def read(reader, msg_id):
        mark = ReadMark(
            key=1, reader=reader, device="a", generation=1, from_user=3 - reader, msg_id=msg_id
        )
        commit(store, reads=[mark])

    read(2, 5)
    read(1, 2)
    read(1, 3)
    told = [entry for entry in entries(store, 2) if isinstance(entry, ReceiptEntry)]
    assert [entry.msg_ids for entry in told] == [(1, 2), (3,)]


def test_there_is_nothing_to_compare_at_the_number_of_a_receipt(store):
    commit(store, message(1))
    commit(store, cursors=[CursorMove(user=2, device="a", generation=1, seq=1)])
    login = store.login(StoreLogin(request=0, user=1, device="a", resume_seq=1)).login
    assert (login.head, login.oldest, login.resume_entry) == (1, 1, None)


def test_peers_share_an_active_session_and_may_say_when_they_were_here(store):
    commit(store, message(1), message(2, to_user="bravo"), message(3, to_user=1))
    open_book(store, 7)
    store.seen(StoreSeen(request=1, user=2, at=5))
    store.seen(StoreSeen(request=1, user=2, at=6))
    store.seen(StoreSeen(request=1, user="bravo", at=5))
    store.seen(StoreSeen(request=1, user="bravo", at=None))

    def peers(user, at=AT):
        return store.peers(StorePeers(request=4, user=user, at=at))

    assert peers(1).request == 4
    assert dict(peers(1).peers) == {2: 6, "bravo": None}
    assert dict(peers("bravo").peers) == {1: None}
    assert peers(99).peers == ()
    open_book(store, 7, seller=3)
    assert dict(peers(1).peers) == {2: 6, "bravo": None, 3: None}
    for over in (AT + DAY, AT + 2 * DAY):
        assert dict(peers(1, over).peers) == {2: 6, "bravo": None}
    with pytest.raises(StoreError, match="canonical"):
        peers("7")
    login = StoreLogin(request=5, user=1, device="a", resume_seq=None, at=AT)
    assert store.login(login).peers is None
    assert store.login(replace(login, meets=True)).peers == peers(1).peers


def test_ids_beyond_what_a_database_knows_are_just_not_there(store):
    for number in (2**63, 2**70):
        assert call(store, SessionOp.GET, session_id=number).code == 40400


def test_what_is_not_read_and_what_there_is_is_counted_only_so_far(store, monkeypatch):
    monkeypatch.setattr(history, "DEEPEST", 5)
    book = open_book(store, 7)
    commit(store, *(message(i, session_id=book) for i in range(1, MOST_UNREAD + 2)))
    commit(store, message(1, sender=2, to_user=1, session_id=book))
    (session,) = call(store, SessionOp.GET_CURRENT).data
    assert (session["buyerReaded"], session["sellerReaded"]) == (1, MOST_UNREAD)
    for whole in ({"peer_id": 2}, {"session_id": book}):
        assert records(store, **whole, page_size=1) == ([1], 5, True)
        few = {"start_msg_id": 4, "start_sender_id": 1}
        assert records(store, **whole, **few, page_size=1) == ([3], 3, True)


def test_a_page_costs_the_same_however_much_there_is(store):
    """In steps of the machine that SQLite is: the same on every computer."""
    raw = store._database._writer.connection.driver_connection
    steps = 0

    def step():
        nonlocal steps
        steps += 1

    def cost(op, **fields):
        nonlocal steps
        steps = 0
        raw.set_progress_handler(step, 10)
        call(store, op, **fields)
        raw.set_progress_handler(None, 0)
        return steps

    def page(**fields):
        return cost(SessionOp.HISTORY, page_size=3, **fields)

    def costs():
        books = {"buyer_id": 1, "seller_id": 2, "book_id": 1}
        early = {"start_msg_id": 9, "start_sender_id": 1}
        return {
            "newest of two": page(peer_id=2),
            "oldest of two": page(peer_id=2, direction="after"),
            "early of two": page(peer_id=2, **early),
            "early of a session": page(session_id=1, **early),
            "small session": page(session_id=first),
            "current": cost(SessionOp.GET_CURRENT),
            "a session": cost(SessionOp.GET, **books),
        }

    def fill(start, count):
        at = AT + start
        chat = [message(start + i, session_id=None) for i in range(count)]
        commit(store, *chat, at=at)
        for i in range(count):
            book = open_book(store, start + i)
            commit(store, message(10**6 + start + i, session_id=book), at=at)

    commit(store, message(9))
    first = open_book(store, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "DEEPEST", 20)
        patch.setattr(sessions, "MAX_SESSIONS", 20)
        fill(100, 50)
        before = costs()
        fill(1000, 500)
        after = costs()
    assert {what: n for what, n in after.items() if n > 1.5 * before[what] + 10} == {}
    assert all(before.values())


TABLES = ("mailbox_entries", "messages", "mailboxes", "devices", "fences", "sessions")
#: who wrote to whom, and whether in the session of a book
TOLD = st.lists(
    st.tuples(
        st.sampled_from([(1, 2), (1, 2), (2, 1), (2, 1), (1, 3), (3, 2), (1, 1)]),
        st.sampled_from([None, 1, 1, 1, 2]),
    ),
    min_size=5,
    max_size=20,
)
PAGES = st.fixed_dictionaries(
    {
        "page_size": st.integers(1, 4),
        "page": st.sampled_from([1, 1, 2]),
        "direction": st.sampled_from(["before", "after"]),
        "start_msg_id": st.none() | st.integers(1, 6),
        "start_sender_id": st.sampled_from([None, 1, 2]),
    }
)


def expected(told, ours, asked):
    """A page, by looking at all that was ever said. `told`: (sender, msg_id), `ours`: of which."""
    found, start = [place for place, _ in enumerate(told) if ours[place]], None
    before = asked["direction"] == "before"
    if asked["start_msg_id"] is not None:
        senders = {1, 2} if asked["start_sender_id"] is None else {asked["start_sender_id"]}
        starts = [p for p in found if told[p][0] in senders and told[p][1] == asked["start_msg_id"]]
        if not starts:
            return None
        start = max(starts) if before else min(starts)
        found = [p for p in found if (p < start if before else p > start)]
    size, passed = asked["page_size"], (asked["page"] - 1) * asked["page_size"]
    if before:
        end = len(found) - passed
        page = found[max(0, end - size) : max(0, end)]
    else:
        page = found[passed : passed + size]
    return [told[p] for p in page], len(found), len(found) > passed + size


def test_a_page_is_what_one_finds_who_looks_at_everything(tmp_path):
    seen = Counter()
    with Store(f"sqlite:///{tmp_path / 'im.db'}", "process") as store:
        raw = store._database._writer.connection.driver_connection

        @settings(max_examples=60, derandomize=True, deadline=None, database=None)
        @given(TOLD, st.lists(PAGES, min_size=1, max_size=8))
        def play(lines, pages):
            for table in TABLES:
                raw.execute(f"DELETE FROM {table}")
            for user in (1, 2, 3):
                store.login(StoreLogin(request=0, user=user, device="a", resume_seq=None))
            books = [open_book(store, book) for book in (1, 2, 3)]
            told, where, clocks = [], [], Counter()
            for (sender, other), book in lines:
                clocks[sender] += 1
                session = books[book - 1] if book and {sender, other} == {1, 2} else None
                line = message(clocks[sender], sender, other, session_id=session)
                (result,) = commit(store, line).results
                told.append((sender, clocks[sender]))
                where.append(({sender, other}, result.session_id))
            for asked in pages:
                for whole in ({"peer_id": 2}, {"session_id": books[0]}, {"peer_id": 1}):
                    two = {1, whole.get("peer_id", 2)}
                    ours = [
                        between == two and session == whole.get("session_id", session)
                        for between, session in where
                    ]
                    done = call(store, SessionOp.HISTORY, **whole, **asked).data
                    found = done and (
                        [(r["senderId"], r["msgId"]) for r in done["records"]],
                        done["total"],
                        done["hasNext"],
                    )
                    assert found == expected(told, ours, asked), (whole, asked)
                    seen["pages"] += bool(found and found[0])
                    seen["more"] += bool(found and found[2])
                    seen["none"] += found is None

        play()
    assert min(seen["pages"], seen["more"], seen["none"]) > 30, seen
