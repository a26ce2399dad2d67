"""The store on SQLite: what goes in comes out, decided as commit.py says."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from im_proto.server.actions import StoreCommit, StoreLogin, StoreRead
from im_proto.server.commit import Device, Mailbox, Snapshot, plan_commit, wanted
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
from im_server import schema
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
        message(2, msg_id=11, to_user="bravo", message_type="image", session_id=MAX_ID),
        message(3, msg_id=12, content="again"),
    )
    assert results == (
        Stored(key=1, to_user=2, seq=1, timestamp=AT, repeat=False),
        Stored(key=2, to_user="bravo", seq=1, timestamp=AT, repeat=False),
        Stored(key=3, to_user=2, seq=2, timestamp=AT, repeat=False),
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
        session_id=None,
        timestamp=AT,
    )
    assert done.entries == (first, replace(first, seq=2, msg_id=12, content="again"))
    assert read(store, "bravo").entries == (
        replace(first, to_user="bravo", msg_id=11, message_type="image", session_id=MAX_ID),
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
    with Store(f"sqlite:///{path}", "process", clock=lambda: 12.3456) as store:
        login(store)
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


def test_no_lookup_scans_a_table(store):
    raw = store._database._writer.connection.driver_connection
    for statement in (
        schema.SELECT_DEVICES,
        schema.SELECT_MAILBOXES,
        schema.SELECT_BY_MSG_ID,
        schema.SELECT_BY_CLIENT_MSG_ID,
        schema.SELECT_DEVICE,
        schema.SELECT_MAILBOX,
        schema.SELECT_OLDEST,
        schema.SELECT_AT_SEQ,
        schema.SELECT_HIGHEST_MSG_ID,
        schema.SELECT_LAST_ROW,
        schema.SELECT_ENTRIES,
    ):
        text = str(statement.compile(store._database._writer))
        plan = raw.execute(f"EXPLAIN QUERY PLAN {text}", ["1"] * text.count("?")).fetchall()
        steps = [row[3] for row in plan]
        scans = [s for s in steps if "SEARCH" not in s and "VIRTUAL TABLE" not in s]
        assert steps and not scans, (text, steps)
        if statement is schema.SELECT_BY_MSG_ID:
            assert "(sender=? AND msg_id=?)" in steps[-1]
        if statement is schema.SELECT_BY_CLIENT_MSG_ID:
            assert "INDEX messages_by_client_msg_id (sender=? AND client_msg_id=?)" in steps[-1]


def test_a_reader_does_not_wait_for_a_writer(store, path):
    login(store)
    commit(store, message(1))
    with store._database._writer.begin():
        assert read(store).head == 1


# ---- the same as a dictionary


class DictStore:
    def __init__(self):
        self.devices, self.mailboxes, self.messages = {}, {}, []

    def login(self, user, device):
        old = self.devices.get((user, device), Device(0, None, 0))
        self.devices[user, device] = old._replace(generation=old.generation + (device != PLAIN))
        self.mailboxes.setdefault(user, Mailbox("", 0))
        return self.devices[user, device], self.mailboxes[user].head

    def commit(self, submissions, cursors, at):
        plan = plan_commit(
            submissions,
            cursors,
            Snapshot(
                devices=self.devices,
                earlier=self.messages,
                mailboxes={
                    user: self.mailboxes.get(user, Mailbox("", 0))
                    for user in wanted(submissions, cursors).recipients
                },
                highest_msg_id=lambda sender: max(
                    (m.msg_id for m in self.messages if m.sender == sender), default=0
                ),
            ),
            at,
        )
        self.messages += plan.messages
        self.mailboxes |= plan.mailboxes
        self.devices |= plan.devices
        return plan.results

    def read(self, user):
        mine = [m for m in self.messages if m.to_user == user]
        return [(m.seq, m.sender, m.msg_id, m.content, m.timestamp) for m in mine]


USERS = st.sampled_from([1, 2, "bravo"])
DEVICES = st.sampled_from([PLAIN, "a"])
SUBMISSIONS = st.builds(
    Submission,
    key=st.integers(0, 99),
    sender=USERS,
    device=DEVICES,
    generation=st.sampled_from([1, 1, 2]),
    msg_id=st.sampled_from([1, 2, 1000, 1001, 2**63]),
    to_user=USERS,
    content=st.sampled_from(["x", "y", "\ud800"]),
    message_type=st.just("text"),
    session_id=st.none(),
)
MOVES = st.builds(
    CursorMove, user=USERS, device=DEVICES, generation=st.just(1), seq=st.integers(0, 5)
)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.lists(SUBMISSIONS, max_size=8), st.lists(MOVES, max_size=3), st.integers(0, 1)
        ),
        st.tuples(USERS, DEVICES),
    ),
    max_size=6,
)


def test_it_answers_like_a_dictionary(store):
    # One file for all examples: making one takes longer than an example.
    raw = store._database._writer.connection.driver_connection

    @settings(max_examples=60, derandomize=True, deadline=None, database=None)
    @given(STEPS)
    def play(steps):
        for table in ("mailbox_entries", "messages", "mailboxes", "devices", "fences"):
            raw.execute(f"DELETE FROM {table}")
        twin = DictStore()
        for step in [(1, "a"), (2, "a"), ("bravo", "a"), *steps]:
            if len(step) == 2:
                device, head = twin.login(*step)
                found = login(store, *step)
                assert (found.generation, found.cursor, found.last_msg_id) == device
                assert found.head == head
            else:
                submissions, cursors, at = step
                expected = twin.commit(submissions, cursors, at)
                assert commit(store, *submissions, cursors=cursors, at=at) == expected
        for user in (1, 2, "bravo"):
            assert [
                (e.seq, e.from_user, e.msg_id, e.content, e.timestamp)
                for e in read(store, user).entries
            ] == twin.read(user)

    play()


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
        Stored(key=1, to_user=2, seq=1, timestamp=AT, repeat=False),
        Unstorable(key=2, reason="the msgId is not an int64 above zero"),
        Unstorable(key=3, reason="a text holds a NUL character or a lone surrogate"),
        Stored(key=4, to_user=2, seq=2, timestamp=AT, repeat=False),
        Conflicting(key=5),
    )


def test_what_follows_a_conflict_is_held_back_with_it(store):
    login(store)
    assert commit(
        store, message(1), message(2, content="other"), message(3, msg_id=12), message(4)
    ) == (
        Stored(key=1, to_user=2, seq=1, timestamp=AT, repeat=False),
        Conflicting(key=2),
        Held(key=3),
        Stored(key=4, to_user=2, seq=1, timestamp=AT, repeat=True),  # it was in before
    )
    # the next transaction knows nothing of it: the hub has ended that connection
    (stored,) = commit(store, message(5, msg_id=12))
    assert isinstance(stored, Stored)


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
