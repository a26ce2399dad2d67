"""What the writer knows without a look is never wrong, and saves it the look."""

from __future__ import annotations

import pytest

from im_proto.server.actions import StoreCall, StoreCommit, StoreLogin, StoreRead
from im_proto.server.records import CursorMove, ReadMark, ReceiptEntry, Stored, Submission
from im_proto.server.sessions import Call
from im_server import known
from im_server.store import Store

AT = 1_700_000_000_000


@pytest.fixture
def store(tmp_path):
    with Store(f"sqlite:///{tmp_path / 'im.db'}", "process") as opened:
        for user in (1, 2, 3, "bravo"):
            opened.login(StoreLogin(request=0, user=user, device="a", resume_seq=None))
        yield opened


@pytest.fixture
def said(store):
    """What SQLite is told."""
    texts: list[str] = []
    raw = store._database._writer.connection.driver_connection
    raw.set_trace_callback(texts.append)
    yield texts
    raw.set_trace_callback(None)


def message(msg_id, sender=1, to_user=2, **changes):
    fields = {"device": "a", "generation": 1, "content": "x", "message_type": "text"}
    fields |= {"session_id": None, "wants_receipt": True}
    return Submission(
        key=msg_id, sender=sender, msg_id=msg_id, to_user=to_user, **(fields | changes)
    )


def commit(store, *submissions, cursors=(), reads=()):
    request = StoreCommit(request=7, submissions=submissions, cursors=cursors, reads=reads, at=AT)
    return store.commit(request).results


def acked(seq, user=2):
    return CursorMove(user=user, device="a", generation=1, seq=seq)


def told(store, user=1):
    """The msgIds of the receipts that a user has been told of, in order."""
    done = store.read(StoreRead(request=1, user=user, after=0, limit=1000))
    return [i for e in done.entries if isinstance(e, ReceiptEntry) for i in e.msg_ids]


def test_what_goes_on_looks_nothing_up(store, said):
    commit(store, message(1), message(2, sender="bravo", to_user=1))
    commit(store, message(2), cursors=[acked(1)])
    said.clear()
    commit(store, message(3), message(4, sender="bravo", to_user=1), cursors=[acked(2)])
    assert said[0] == "BEGIN IMMEDIATE"
    assert not [text for text in said if text.startswith("SELECT")]
    assert told(store) == [1, 2]
    said.clear()
    assert commit(store, message(3))[0].repeat
    assert len([text for text in said if text.startswith("SELECT")]) == 1


class _OneByOne(dict):
    """Is asked about one key at a time: that takes as long with 10,000 in it."""

    def _all(self, *_):
        raise AssertionError("a commit looks at all that is known")

    __iter__ = keys = values = items = _all


def test_a_commit_asks_about_nobody_else(store):
    # a receipt tells of a session, and a read mark of another one
    commit(store, message(1), message(2, sender="bravo", to_user=1))
    memory = store._database.known
    memory.users = _OneByOne(memory.users)
    memory.sessions, memory.chats = _OneByOne(memory.sessions), _OneByOne(memory.chats)
    mark = ReadMark(key=9, reader=1, device="a", generation=1, from_user="bravo", msg_id=2)
    commit(store, message(3), cursors=[acked(1)], reads=[mark])
    assert told(store) == [1]


def test_numbers_are_kept_as_text(store):
    commit(store, message(1), message(2), cursors=[acked(1)])
    commit(store, cursors=[acked(2)])
    columns = {
        "mailboxes": ["user"],
        "devices": ["user"],
        "messages": ["sender", "recipient"],
        "mailbox_entries": ["user"],
        "sessions": ["buyer", "seller"],
    }
    with store.reading() as connection:
        for table, names in columns.items():
            for name in names:
                of = connection.exec_driver_sql(f'SELECT typeof("{name}"), "{name}" FROM {table}')
                kinds = of.all()
                assert kinds, table
                assert {kind for kind, _ in kinds} == {"text"}, (table, name)
        rows = connection.exec_driver_sql("SELECT client_msg_id, held, wants_receipt FROM messages")
        assert rows.all() == [(None, 1, 1)] * 2


def test_what_was_rolled_back_is_not_known(store):
    commit(store, message(1))
    with pytest.raises(ZeroDivisionError), store.together():
        commit(store, message(2), message(1, sender=3))
        raise ZeroDivisionError
    again = commit(store, message(2), message(3), message(1, sender=3))
    assert [(r.seq, r.repeat) for r in again] == [(2, False), (3, False), (4, False)]
    with store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT id FROM messages ORDER BY id").scalars().all()
    assert rows == [1, 2, 3, 4]


def test_a_read_mark_in_an_older_chat_leaves_the_newest(store, said):
    (first,) = commit(store, message(1))
    store.call(
        StoreCall(request=1, user=1, call=Call(op="close", session_id=first.session_id), at=AT)
    )
    (second,) = commit(store, message(2))
    assert second.session_id != first.session_id
    store._database.known.forget()
    mark = ReadMark(key=1, reader=2, device="a", generation=1, from_user=1, msg_id=1)
    commit(store, reads=[mark])
    (third,) = commit(store, message(3))
    assert third.session_id == second.session_id
    assert "ROLLBACK" not in said  # as it would be if a second chat of theirs were begun


@pytest.mark.parametrize("limit", ["_USERS", "_WAITING"])
def test_nobody_sees_that_little_is_known(store, monkeypatch, limit):
    monkeypatch.setattr(known, limit, 2)
    for n in range(1, 6):
        results = commit(store, message(10 * n), message(10 * n + 1), message(n, sender=3))
        assert [result.seq for result in results] == [3 * n - 2, 3 * n - 1, 3 * n]
        assert all(isinstance(result, Stored) for result in results)
        assert len(store._database.known.users) <= 5
        assert len(store._database.known.users[2].waiting) <= 3
    commit(store, cursors=[acked(7)])
    commit(store, cursors=[acked(15)])
    assert told(store) == [10, 11, 20, 21, 30, 31, 40, 41, 50, 51]
