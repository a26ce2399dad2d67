"""The store on SQLite: what goes in comes out, decided as commit.py says."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from im_proto.server.actions import StoreCommit, StoreLogin, StoreRead
from im_proto.server.records import (
    PLAIN,
    Conflicting,
    CursorMove,
    Fenced,
    Held,
    MailboxEntry,
    Stored,
    Submission,
    Unstorable,
)
from im_proto.wire import MAX_ID
from im_server import calls, logins, lookups, mailbox, retaining, rownumbers, snapshots
from im_server.store import Store, StoreError

AT = 1_700_000_000_000


def message(key=0, **changes):
    fields = {
        "sender": 1,
        "device": "a",
        "generation": 1,
        "msg_id": 10,
        "to_user": 2,
        "content": "hello",
        "message_type": "text",
        "session_id": None,
    }
    return Submission(key=key, **(fields | changes))


def stored(key, **changes):
    fields = {
        "to_user": 2,
        "seq": 1,
        "timestamp": AT,
        "repeat": False,
        "session_id": 1,
        "msg_id": 10,
    }
    return Stored(key=key, **(fields | changes))


def commit(store, *submissions, cursors=(), at=AT):
    done = store.commit(StoreCommit(request=7, submissions=submissions, cursors=cursors, at=at))
    assert done.request == 7
    return done.results


def login(store, user=1, device="a", resume_seq=None):
    return store.login(StoreLogin(request=1, user=user, device=device, resume_seq=resume_seq)).login


def read(store, user=2, after=0, limit=100):
    return store.read(StoreRead(request=3, user=user, after=after, limit=limit))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "im.db"


@pytest.fixture
def store(path):
    with Store(f"sqlite:///{path}", "process") as opened:
        yield opened


def test_what_is_committed_is_read_in_order(store):
    login(store)
    results = commit(
        store,
        message(1),
        message(2, msg_id=11, to_user="bravo", message_type="image"),
        message(3, msg_id=12, content="again"),
    )
    assert results == (
        stored(1),
        stored(2, to_user="bravo", session_id=2, msg_id=11),
        stored(3, seq=2, msg_id=12),
    )
    done = read(store)
    assert (done.request, done.head) == (3, 2)
    first = MailboxEntry(
        seq=1,
        from_user=1,
        to_user=2,
        msg_id=10,
        content="hello",
        message_type="text",
        session_id=1,
        timestamp=AT,
        device="a",
    )
    assert done.entries == (first, replace(first, seq=2, msg_id=12, content="again"))
    assert read(store, "bravo").entries == (
        replace(first, to_user="bravo", msg_id=11, message_type="image", session_id=2),
    )


def test_a_read_is_bounded_at_both_ends(store):
    login(store)
    commit(store, *(message(i, msg_id=i) for i in range(1, 6)))
    assert [e.seq for e in read(store, after=1, limit=2).entries] == [2, 3]
    assert [e.seq for e in read(store, after=4).entries] == [5]
    assert read(store, after=2**63).entries == ()
    assert read(store, after=-5, limit=1).entries[0].seq == 1
    assert read(store, limit=-1).entries == ()
    empty = read(store, "nobody")
    assert (empty.entries, empty.head) == ((), 0)


@pytest.mark.parametrize(
    ("user", "content"),
    [
        (MAX_ID, "int64"),
        ("9223372036854775808", "one above is a name"),
        ("007", "no canonical decimal, so a name"),
        ('"]}\\', '"; DROP TABLE messages; --'),
        ("\U0001f600 é", "\U0001f600 \u2028 \ufeff \x01"),
    ],
)
def test_ids_and_texts_come_back_as_they_were(store, user, content):
    assert login(store, user).generation == 1
    sent = message(1, sender=user, to_user=user, content=content, msg_id=MAX_ID)
    assert isinstance(commit(store, sent)[0], Stored)
    assert commit(store, sent)[0].repeat
    (entry,) = read(store, user).entries
    assert (entry.from_user, entry.to_user, entry.content) == (user, user, content)
    assert type(entry.from_user) is type(user)
    assert login(store, user, resume_seq=1).resume_entry == (user, MAX_ID)


@pytest.mark.parametrize("user", ["7", "", "a\x00", "\ud800", 2**63, 0])
def test_a_user_id_that_is_not_canonical_is_refused(store, user):
    with pytest.raises(StoreError, match="canonical"):
        login(store, user)
    with pytest.raises(StoreError, match="canonical"):
        read(store, user)


def test_logins_count_generations_and_fence(store):
    first = login(store)
    assert (first.generation, first.last_msg_id, first.cursor) == (1, 0, None)
    assert (first.head, first.oldest, first.resume_entry) == (0, 1, None)
    commit(store, message(1), cursors=[CursorMove(user=1, device="a", generation=1, seq=0)])
    second = login(store)
    assert (second.generation, second.last_msg_id, second.cursor) == (2, 10, 0)
    assert second.epoch == first.epoch
    stale = CursorMove(user=1, device="a", generation=1, seq=9)
    assert commit(store, message(2), message(3, msg_id=11), cursors=[stale]) == (
        Fenced(key=2),
        Fenced(key=3),
    )
    assert commit(store, message(4, generation=2))[0].repeat
    third = login(store)
    assert (third.generation, third.last_msg_id, third.cursor) == (3, 10, 0)
    assert login(store, 1, "b").generation == 1
    assert read(store).head == 1


def test_plain_logins_have_no_generation(store):
    assert login(store, 1, PLAIN).generation == 0
    assert login(store, 1, PLAIN).generation == 0
    plain = {"device": PLAIN, "generation": 0}
    results = commit(store, message(1, **plain), message(2, content="bye", **plain))
    assert [r.seq for r in results] == [1, 2]
    assert [e.msg_id for e in read(store).entries] == [10, AT * 1000]
    again = commit(store, message(3, content="bye", **plain), message(4, **plain), at=AT + 1)
    assert [(r.seq, r.repeat) for r in again] == [(2, True), (1, True)]
    third = commit(store, message(5, content="third", **plain))
    assert [e.msg_id for e in read(store, after=2).entries] == [AT * 1000 + 1]
    assert third[0].seq == 3
    commit(store, cursors=[CursorMove(user=1, device=PLAIN, generation=0, seq=3)])
    after = login(store, 1, PLAIN)
    assert (after.cursor, after.last_msg_id) == (3, 10)


def test_every_mailbox_has_an_epoch_of_its_own_that_stays(store, path):
    login(store)
    commit(store, message(1))
    ours, theirs = login(store).epoch, login(store, 2).epoch
    assert ours != theirs
    store.close()
    with Store(f"sqlite:///{path}", "power") as again:
        assert (login(again).epoch, login(again, 2).epoch) == (ours, theirs)
        assert read(again).head == 1
        assert commit(again, message(2, generation=3))[0].repeat


def test_a_login_says_what_is_still_held(store, path):
    login(store)
    commit(store, *(message(i, msg_id=i) for i in range(1, 5)))
    found = login(store, 2, "x", resume_seq=3)
    assert (found.head, found.oldest, found.resume_entry) == (4, 1, (1, 3))
    with sqlite3.connect(path) as other:  # as a retention does
        other.execute("DELETE FROM mailbox_entries WHERE user = '2' AND seq < 3")
    other.close()
    assert login(store, 2, "x", resume_seq=2).resume_entry is None
    assert login(store, 2, "x").oldest == 3
    for nowhere in (0, -1, 5, 2**63):
        assert login(store, 2, "x", resume_seq=nowhere).resume_entry is None
    with sqlite3.connect(path) as other:
        other.execute("DELETE FROM mailbox_entries")
    other.close()
    assert (login(store, 2, "x").head, login(store, 2, "x").oldest) == (4, 5)
    commit(store, message(9, msg_id=9))
    assert (login(store, 2, "x").head, login(store, 2, "x").oldest) == (5, 5)


def test_the_time_of_a_login_is_kept(path):
    with Store(f"sqlite:///{path}", "process") as store:
        store.login(StoreLogin(request=0, user=1, device="a", resume_seq=None, at=12345))
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT last_login_at FROM devices").fetchall() == [(12345,)]
    other.close()


def test_a_batch_may_be_larger_than_what_a_statement_takes(store):
    login(store)
    many = [message(i, msg_id=i, to_user=1 + i % 3000) for i in range(1, 9001)]
    assert all(isinstance(r, Stored) and not r.repeat for r in commit(store, *many))
    assert all(isinstance(r, Stored) and r.repeat for r in commit(store, *many))
    assert [e.seq for e in read(store, 3).entries] == [1, 2, 3]


def test_what_it_is_asked_while_closed_is_an_error(path):
    store = Store(f"sqlite:///{path}", "process")
    for ask in (login, read, commit):
        with pytest.raises(StoreError, match="is not open"):
            ask(store)
    store.close()


# ---- how it talks to SQLite


@pytest.mark.parametrize(("durability", "synchronous"), [("power", 2), ("process", 1)])
def test_pragmas(path, durability, synchronous):
    with Store(f"sqlite:///{path}", durability) as store:
        raw = store._database._writer.connection.driver_connection

        def pragma(name):
            return raw.execute(f"PRAGMA {name}").fetchone()[0]

        assert pragma("journal_mode") == "wal"
        assert pragma("synchronous") == synchronous
        assert pragma("foreign_keys") == 1
        assert pragma("busy_timeout") == 5000
        assert pragma("cache_size") == -8192  # KiB: what a flood of messages fills, and no more
        reader = store._database._reader.connection.driver_connection
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM meta")


def test_each_request_is_one_transaction_that_takes_the_write_lock_first(store):
    login(store)
    said: list[str] = []
    store._database._writer.connection.driver_connection.set_trace_callback(said.append)
    commit(store, message(1), cursors=[CursorMove(user=1, device="a", generation=1, seq=0)])
    assert said[0] == "BEGIN IMMEDIATE"
    assert said[-1] == "COMMIT"
    assert sum(text.startswith(("BEGIN", "COMMIT", "SAVEPOINT")) for text in said) == 2
    said.clear()
    login(store)
    assert (said[0], said[-1]) == ("BEGIN IMMEDIATE", "COMMIT")


@pytest.mark.parametrize("count", [1, 2, 3, 63, 64, 65, 127, 128, 200])
def test_many_are_written_with_few_statements(store, count):
    """SQLite gives Python's lock away at each row that it is given, and at each that it gives."""
    login(store)
    said: list[str] = []
    raw = store._database._writer.connection.driver_connection
    raw.set_trace_callback(said.append)
    several = [message(n, msg_id=10 + n, content=str(n), wants_receipt=True) for n in range(count)]
    assert [result.seq for result in commit(store, *several)] == list(range(1, count + 1))
    raw.set_trace_callback(None)
    inserts = [text for text in said if text.startswith("INSERT INTO messages")]
    assert len(inserts) <= count // 64 + 6
    assert len(said) <= 10 + 2 * len(inserts)
    entries = read(store, limit=1_000).entries
    assert [entry.content for entry in entries] == [str(n) for n in range(count)]
    said.clear()
    raw.set_trace_callback(said.append)
    login(store, 2)
    commit(store, cursors=[CursorMove(user=2, device="a", generation=1, seq=count, base=0)])
    assert len(said) < 24
    told = [entry for entry in read(store, 1, limit=1_000).entries if entry.status == "delivered"]
    assert [i for entry in told for i in entry.msg_ids] == [10 + n for n in range(count)]


def test_what_a_commit_looks_up_is_one_row_and_scans_no_table(store):
    raw = store._database._writer.connection.driver_connection
    text = snapshots.all_of_a_commit()
    assert len(raw.execute(text, ["[]"] * text.count("?")).fetchall()) == 1
    steps = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {text}", ["[]"] * text.count("?"))]
    scans = [s for s in steps if s.startswith("SCAN") and not s.startswith(HARMLESS)]
    assert not scans, steps
    for name in ("others", "by msgId", "by the client's msgId", "chats", "undelivered", "unread"):
        assert any(USED[name] in s for s in steps), (name, steps)


LOOKUPS = [
    (module, name)
    for module in (lookups, snapshots, mailbox, calls, logins, retaining, rownumbers)
    for name in module.STATEMENTS
]


@pytest.mark.parametrize(("module", "name"), LOOKUPS, ids=lambda value: str(value))
def test_no_lookup_scans_a_table(store, module, name):
    raw = store._database._writer.connection.driver_connection
    text = str(module.STATEMENTS[name].compile(store._database._writer))
    plan = raw.execute(f"EXPLAIN QUERY PLAN {text}", ["1"] * text.count("?")).fetchall()
    steps = [row[3] for row in plan]
    scans = [s for s in steps if s.startswith("SCAN") and not s.startswith(HARMLESS)]
    assert not scans, (text, steps)
    assert any("SEARCH" in s for s in steps)
    if name in USED:
        assert any(USED[name] in s for s in steps), steps


#: no table: the array that was asked about, a row that stands alone, what was found inside
HARMLESS = ("SCAN asked VIRTUAL TABLE", "SCAN CONSTANT ROW", "SCAN anon_", "SCAN met")
OF_TWO = "INDEX messages_of_two (sender=? AND recipient=? AND rowid>? AND rowid<?)"
OF_SESSION = "INDEX messages_of_session (session_id=? AND recipient=? AND seq>? AND seq<?)"
#: by what a row is found, where another way would do but take long
USED = {
    "by msgId": "(sender=? AND msg_id=?)",
    "by the client's msgId": "INDEX messages_by_client_msg_id (sender=? AND client_msg_id=?)",
    "others": "PRIMARY KEY (user=?)",
    "chats": "INDEX sessions_of_two (buyer=? AND seller=? AND book_id=?)",
    "undelivered": "mailbox_entries USING PRIMARY KEY (user=? AND seq>? AND seq<?)",
    "unread": "INDEX messages_of_session (session_id=? AND recipient=? AND seq>? AND seq<?)",
    "newest session": "INDEX sessions_of_two (buyer=? AND seller=? AND book_id=?)",
    "active sessions": "INDEX sessions_active_of_seller (seller=?)",
    "peers": "INDEX sessions_active_of_seller (seller=?)",
    "unread counts": "COVERING INDEX messages_of_session (session_id=? AND recipient=? AND seq>?)",
    "first places": f"COVERING {OF_TWO}",
    "last places": f"COVERING {OF_TWO}",
    "first places in a session": f"COVERING {OF_SESSION}",
    "last places in a session": f"COVERING {OF_SESSION}",
    "count": f"COVERING {OF_TWO}",
    "count in a session": f"COVERING {OF_SESSION}",
    "free messages": "INDEX messages_in_no_mailbox (accepted_at<?)",
    "mailboxes": "PRIMARY KEY (user",
}


@pytest.mark.parametrize("name", ["first places", "last places", "active sessions"])
def test_a_page_is_merged_as_far_as_it_goes_and_nothing_is_put_in_order(store, name):
    raw = store._database._writer.connection.driver_connection
    text = str(calls.STATEMENTS[name].compile(store._database._writer))
    plan = raw.execute(f"EXPLAIN QUERY PLAN {text}", ["1"] * text.count("?")).fetchall()
    steps = [row[3] for row in plan]
    assert "MERGE (UNION)" in steps
    assert not [step for step in steps if "TEMP B-TREE" in step], steps


@pytest.mark.parametrize("name", ["first places in a session", "last places in a session"])
def test_a_page_of_a_session_puts_no_more_in_order_than_can_be_in_it(store, name):
    raw = store._database._writer.connection.driver_connection
    text = str(calls.STATEMENTS[name].compile(store._database._writer))
    plan = raw.execute(f"EXPLAIN QUERY PLAN {text}", ["1"] * text.count("?")).fetchall()
    above = {row[0]: (row[1], row[3]) for row in plan}
    sorts = [parent for parent, step in above.values() if "TEMP B-TREE" in step]
    assert len(sorts) == 2
    for parent in sorts:  # what it sorts is what a limited statement inside has found
        (within,) = [step for p, step in above.values() if p == parent and step.startswith("SCAN")]
        assert within.startswith("SCAN anon_"), plan
    assert text.count("LIMIT ? OFFSET") >= 3


def test_a_reader_does_not_wait_for_a_writer(store, path):
    login(store)
    commit(store, message(1))
    with store._database._writer.begin():
        assert read(store).head == 1


def test_the_unstorable_and_the_conflicting_leave_their_neighbours_alone(store):
    login(store)
    assert commit(
        store,
        message(1),
        message(2, msg_id=2**63),
        message(3, msg_id=11, content="\ud800"),
        message(4, msg_id=12),
        message(5, content="other"),
    ) == (
        stored(1),
        Unstorable(key=2, reason="the msgId is not an int64 above zero"),
        Unstorable(key=3, reason="a text holds a NUL character or a lone surrogate"),
        stored(4, seq=2, msg_id=12),
        Conflicting(key=5),
    )


def test_what_follows_a_conflict_is_held_back_with_it(store):
    login(store)
    assert commit(
        store, message(1), message(2, content="other"), message(3, msg_id=12), message(4)
    ) == (
        stored(1),
        Conflicting(key=2),
        Held(key=3),
        stored(4, repeat=True),  # it was in before
    )
    # the next transaction knows nothing of it: the hub has ended that connection
    (after,) = commit(store, message(5, msg_id=12))
    assert isinstance(after, Stored)


def test_each_login_leaves_a_fence_behind_the_last_message(store):
    login(store, 1, "a")
    commit(store, message())
    login(store, 1, "a")
    login(store, 1, "")  # a plain login fences nobody
    raw = store._database._writer.connection.driver_connection
    found = raw.execute(
        "SELECT user, device, generation, last_message_id FROM fences ORDER BY generation"
    ).fetchall()
    (row,) = raw.execute("SELECT id FROM messages").fetchall()
    assert found == [("1", "a", 1, 0), ("1", "a", 2, row[0])]
