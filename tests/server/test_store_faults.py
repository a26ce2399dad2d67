"""Poison, full disks and locks: one bad message never fails its neighbours, a failure keeps
nothing."""

from __future__ import annotations

import logging
import sqlite3

import pytest

from im_proto.server import commit as decide
from im_proto.server.actions import StoreCommit, StoreLogin, StoreRead
from im_proto.server.records import (
    Conflicting,
    CursorMove,
    Held,
    Stored,
    Submission,
    Unstorable,
)
from im_server import snapshots, writing
from im_server.store import Store, StoreError

AT = 1_700_000_000_000
POISON = "arsenic, of all things"


def message(key, **changes):
    fields = {
        "sender": 1,
        "device": "a",
        "generation": 1,
        "msg_id": key + 1,
        "to_user": 2,
        "content": f"message {key}",
        "message_type": "text",
        "session_id": None,
    }
    return Submission(key=key, **(fields | changes))


def commit(store, submissions, cursors=()):
    return store.commit(
        StoreCommit(request=1, submissions=tuple(submissions), cursors=tuple(cursors), at=AT)
    ).results


def contents(store, user=2):
    done = store.read(StoreRead(request=1, user=user, after=0, limit=10_000))
    assert [e.seq for e in done.entries] == list(range(1, done.head + 1))
    return [e.content for e in done.entries]


@pytest.fixture(autouse=True)
def _all_logs(caplog):
    caplog.set_level(logging.DEBUG)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "im.db"


@pytest.fixture
def store(path):
    with Store(f"sqlite:///{path}", "process", busy_timeout=0.01) as opened:
        opened.login(StoreLogin(request=0, user=1, device="a", resume_seq=None))
        yield opened


@pytest.fixture
def poisoned(store):
    """The store of a database that refuses one content."""
    store._database._writer.connection.driver_connection.execute(
        f"""CREATE TRIGGER poison BEFORE INSERT ON messages WHEN NEW.content = '{POISON}'
            BEGIN SELECT RAISE(ABORT, '{POISON} is refused'); END"""
    )
    return store


@pytest.mark.parametrize("bad", [{37}, {0}, {63}, {31, 32}, {0, 1, 62, 63}, set(range(64))])
def test_only_the_poisoned_are_refused(poisoned, bad, caplog):
    batch = [message(i, **({"content": POISON} if i in bad else {})) for i in range(64)]
    results = commit(poisoned, batch)
    assert [r.key for r in results] == list(range(64))
    good = [i for i in range(64) if i not in bad]
    assert {r.key for r in results if isinstance(r, Unstorable)} == bad
    assert [r.seq for r in results if isinstance(r, Stored)] == list(range(1, len(good) + 1))
    assert contents(poisoned) == [f"message {i}" for i in good]
    reasons = " ".join(r.reason for r in results if isinstance(r, Unstorable))
    assert "SQLITE_CONSTRAINT_TRIGGER" in reasons
    assert POISON not in reasons
    assert f"message {min(bad)} of a batch is not stored" in caplog.text
    assert POISON not in caplog.text
    assert commit(poisoned, [message(99)])[0].seq == len(good) + 1


def test_the_search_for_the_culprit_is_one_transaction(poisoned):
    said: list[str] = []
    raw = poisoned._database._writer.connection.driver_connection
    raw.set_trace_callback(said.append)
    commit(poisoned, [message(0), message(1, content=POISON), message(2)])
    assert said.count("ROLLBACK") == 1
    assert said.count("COMMIT") == 1


def test_repeats_are_seen_across_the_halves(poisoned):
    first, last = message(0), message(9, msg_id=1, content="message 0")
    results = commit(poisoned, [first, message(1, content=POISON), message(2), last])
    assert (results[3].seq, results[3].repeat) == (1, True)
    assert contents(poisoned) == ["message 0", "message 2"]


def test_what_follows_a_conflict_is_held_back_across_the_halves(poisoned):
    commit(poisoned, [message(0)])
    other = message(1, msg_id=1, content="other")
    results = commit(poisoned, [other, message(2, content=POISON), message(3), message(4)])
    # Held, the poisoned one too: nothing of this device behind the conflict goes in
    assert [type(r) for r in results] == [Conflicting, Held, Held, Held]
    first = [message(5, sender=2, device="b", content=POISON), other, message(6), message(7)]
    poisoned.login(StoreLogin(request=0, user=2, device="b", resume_seq=None))
    results = commit(poisoned, first)
    assert [type(r) for r in results] == [Unstorable, Conflicting, Held, Held]
    assert contents(poisoned) == ["message 0"]


def test_cursors_are_kept_beside_poison(poisoned):
    move = CursorMove(user=1, device="a", generation=1, seq=5)
    commit(poisoned, [message(0, content=POISON)], [move])
    found = poisoned.login(StoreLogin(request=0, user=1, device="a", resume_seq=None)).login
    assert (found.cursor, found.last_msg_id) == (5, 0)


def test_fenced_cursors_are_told_of_beside_poison(poisoned):
    old = CursorMove(user=1, device="a", generation=7, seq=5)
    good = CursorMove(user=1, device="a", generation=1, seq=5)
    submissions = (message(0, content=POISON),)
    request = StoreCommit(request=1, submissions=submissions, cursors=(old, good), at=AT)
    assert poisoned.commit(request).fenced == (old,)


def test_a_cursor_that_is_refused_takes_nothing_along(store, caplog):
    store._database._writer.connection.driver_connection.execute(
        """CREATE TRIGGER poison BEFORE UPDATE ON devices WHEN NEW.cursor = 13
           BEGIN SELECT RAISE(ABORT, 'no'); END"""
    )
    store.login(StoreLogin(request=0, user=2, device="a", resume_seq=None))
    moves = [CursorMove(user=user, device="a", generation=1, seq=12 + user) for user in (1, 2)]
    assert isinstance(commit(store, [message(0)], moves)[0], Stored)
    cursors = [
        store.login(StoreLogin(request=0, user=user, device="a", resume_seq=None)).login.cursor
        for user in (1, 2)
    ]
    assert cursors == [None, 14]
    assert "a cursor is not stored" in caplog.text


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        ({"msg_id": 2**63}, "OverflowError"),
        ({"content": "\ud800"}, "UnicodeEncodeError"),
        ({"content": None}, "SQLITE_CONSTRAINT_NOTNULL"),
        ({"content": object()}, "Error"),  # the driver's class for it changes with Python
    ],
)
def test_what_the_checks_would_miss_the_driver_finds(store, monkeypatch, bad, kind):
    monkeypatch.setattr(decide, "unstorable", lambda _: None)
    results = commit(store, [message(i, **(bad if i == 5 else {})) for i in range(16)])
    assert [r.key for r in results if isinstance(r, Unstorable)] == [5]
    assert kind in results[5].reason
    assert len(contents(store)) == 15


def test_a_row_that_the_database_swallows_is_noticed(store, monkeypatch):
    commit(store, [message(0)])
    look_up = snapshots.look_up

    def blind(connection, wanted, known):
        snapshot = look_up(connection, wanted, known)
        snapshot.earlier.clear()  # a bug: an earlier message is not seen
        return snapshot

    monkeypatch.setattr(snapshots, "look_up", blind)
    results = commit(store, [message(1), message(2, msg_id=1, content="other"), message(3)])
    assert [type(r) for r in results] == [Stored, Unstorable, Stored]
    assert "SwallowedError" in results[1].reason
    assert contents(store) == ["message 0", "message 1", "message 3"]


def test_a_locked_database_fails_the_request_and_keeps_nothing(store, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="database is locked"):
        commit(store, [message(0)])
    with pytest.raises(StoreError, match="database is locked"):
        store.login(StoreLogin(request=0, user=1, device="a", resume_seq=None))
    assert contents(store) == []
    other.execute("ROLLBACK")
    other.close()
    said: list[str] = []
    store._database._writer.connection.driver_connection.set_trace_callback(said.append)
    assert commit(store, [message(0)])[0].seq == 1
    assert said[0] == "BEGIN IMMEDIATE"
    again = store.login(StoreLogin(request=0, user=1, device="a", resume_seq=None))
    assert again.login.generation == 2


def fill_the_disk(store):
    raw = store._database._writer.connection.driver_connection
    (pages,) = raw.execute("PRAGMA page_count").fetchone()
    raw.execute(f"PRAGMA max_page_count = {pages}")


def more_room(store):
    store._database._writer.connection.driver_connection.execute("PRAGMA max_page_count = 100000")


def test_a_full_disk_fails_the_request_and_keeps_nothing(store, caplog):
    commit(store, [message(0)])
    fill_the_disk(store)
    big = [message(i, content="x" * 900) for i in range(1, 64)]
    with pytest.raises(StoreError, match="database or disk is full"):
        commit(store, big)
    assert contents(store) == ["message 0"]
    more_room(store)
    assert [r.seq for r in commit(store, big)] == list(range(2, 65))


def test_a_disk_that_fills_during_the_search_keeps_nothing(poisoned):
    fill_the_disk(poisoned)
    batch = [
        message(0),
        message(1, content=POISON),
        *(message(i, content="x" * 900) for i in range(2, 64)),
    ]
    said: list[str] = []
    poisoned._database._writer.connection.driver_connection.set_trace_callback(said.append)
    with pytest.raises(StoreError, match="database or disk is full"):
        commit(poisoned, batch)
    assert any(text.startswith("SAVEPOINT") for text in said)
    assert contents(poisoned) == []
    more_room(poisoned)
    results = commit(poisoned, batch)
    assert [r.key for r in results if isinstance(r, Unstorable)] == [1]


def test_a_connection_that_is_gone_fails_the_request_and_blames_no_message(store):
    store._database._writer.connection.driver_connection.close()
    with pytest.raises(StoreError):
        commit(store, [message(0)])


def test_a_mistake_of_our_own_is_no_message_s_fault(store, monkeypatch):
    def broken(*_):
        raise KeyError("oops")

    monkeypatch.setattr(writing, "write", broken)
    with pytest.raises(KeyError):
        commit(store, [message(0)])
    monkeypatch.undo()
    assert commit(store, [message(0)])[0].seq == 1
