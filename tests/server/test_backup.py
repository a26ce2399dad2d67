"""A copy is one moment of a store in use, and a server that opens it begins new epochs."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
from contextlib import closing

import pytest

from im_proto.server.actions import StoreCommit, StoreLogin, StoreRead
from im_proto.server.records import Submission
from im_server import backup
from im_server.backup import back_up
from im_server.store import Store, StoreError

AT = 1_700_000_000_000


def commit(store, *msg_ids):
    submissions = tuple(
        Submission(
            key=i,
            sender=1,
            device="a",
            generation=1,
            msg_id=i,
            to_user=2,
            content="x" * 900,
            message_type="text",
            session_id=None,
        )
        for i in msg_ids
    )
    return store.commit(StoreCommit(request=1, submissions=submissions, cursors=(), at=AT)).results


def login(store, user=1, device="a", resume_seq=None):
    return store.login(StoreLogin(request=1, user=user, device=device, resume_seq=resume_seq)).login


def msg_ids(store):
    found = store.read(StoreRead(request=1, user=2, after=0, limit=10_000))
    assert found.head == len(found.entries)
    return [entry.msg_id for entry in found.entries]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "im.db"


@pytest.fixture
def copy(tmp_path):
    return tmp_path / "copy.db"


@pytest.fixture
def store(path):
    with Store(f"sqlite:///{path}", "process") as opened:
        login(opened)
        login(opened, 2, "b")
        yield opened


def opened(path):
    return Store(f"sqlite:///{path}", "process")


def test_a_copy_holds_what_was_committed_when_it_began_and_nothing_else(store, path, copy):
    commit(store, *range(1, 101))
    told = []

    def meanwhile(done, total):
        told.append((done, total))
        assert len(told) < 100, "every commit makes it begin anew"
        commit(store, 100 + len(told))  # the server goes on

    back_up(f"sqlite:///{path}", copy, meanwhile, pages=4)
    assert len(told) > 5
    assert told == sorted(told)
    assert {total for _, total in told} == {copy.stat().st_size}
    assert told[-1][0] == told[-1][1]
    assert msg_ids(store) == list(range(1, 101 + len(told)))
    with opened(copy) as restored:
        assert msg_ids(restored) == list(range(1, 101))


def test_a_copy_is_one_file(store, copy, tmp_path):
    store.backup(copy)
    assert list(tmp_path.glob("copy*")) == [copy]
    with closing(sqlite3.connect(copy)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_server_that_opens_a_copy_gives_no_row_number_again(store, copy):
    """What a webhook was told of messages after the copy stays true."""

    def newest(of):
        with of.reading() as connection:
            return connection.exec_driver_sql("SELECT max(id) FROM messages").scalar()

    commit(store, 1)
    store.backup(copy)
    commit(store, 2, 3)
    with opened(copy) as restored:
        commit(restored, 4)
        assert newest(restored) > newest(store)


def test_a_server_that_opens_a_copy_begins_new_epochs(store, copy, caplog):
    commit(store, *range(1, 6))
    before = [login(store, user).epoch for user in (1, 2)]
    store.backup(copy)
    commit(store, 6)
    with caplog.at_level(logging.WARNING), opened(copy) as restored:
        after = [login(restored, user).epoch for user in (1, 2)]
        assert len({*before, *after}) == 4
        assert msg_ids(restored) == [1, 2, 3, 4, 5]
    assert "is a backup of 20" in caplog.text
    with opened(copy) as again:  # the second time it is a store like any other
        assert [login(again, user).epoch for user in (1, 2)] == after
    assert [login(store, user).epoch for user in (1, 2)] == before


def test_what_was_sent_after_the_copy_was_made_was_never_sent(store, copy):
    commit(store, 1)
    store.backup(copy)
    commit(store, 2)
    with opened(copy) as restored:
        assert login(restored).last_msg_id == 1
        found = login(restored, 2, "b", resume_seq=2)
        assert (found.head, found.resume_entry) == (1, None)


def test_a_store_that_nobody_uses_is_copied_too(path, copy):
    with opened(path) as store:
        login(store)
        commit(store, 1)
    back_up(f"sqlite:///{path}", copy)
    with opened(copy) as restored:
        assert msg_ids(restored) == [1]


def test_a_file_that_is_there_is_never_overwritten(store, copy):
    copy.write_text("dear")
    with pytest.raises(StoreError, match="is there already: choose another name"):
        store.backup(copy)
    assert copy.read_text() == "dear"


def test_what_is_no_store_is_not_copied(tmp_path, copy):
    nowhere = tmp_path / "nowhere.db"
    with pytest.raises(StoreError, match="doesn't exist: there is nothing to copy"):
        back_up(f"sqlite:///{nowhere}", copy)
    assert not nowhere.exists()
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as raw:
        raw.execute("CREATE TABLE books (id)")
    with pytest.raises(StoreError, match="is none of this program"):
        back_up(f"sqlite:///{other}", copy)
    other.write_bytes(b"no database at all, " * 500)
    with pytest.raises(StoreError, match="SQLITE_NOTADB"):
        back_up(f"sqlite:///{other}", copy)
    assert not copy.exists()


def test_a_copy_that_is_not_complete_is_no_file(store, path, copy, tmp_path):
    class Stopped(Exception):
        pass

    def stop(_done, _total):
        raise Stopped

    commit(store, *range(1, 101))
    with pytest.raises(Stopped):
        back_up(f"sqlite:///{path}", copy, stop, pages=1)
    assert not list(tmp_path.glob("copy*"))


def test_a_disk_without_room_for_the_copy(store, copy, monkeypatch):
    commit(store, *range(1, 101))
    connect = sqlite3.connect

    def small(name, **options):
        made = connect(name, **options)
        if str(name).endswith(".part"):
            made.execute("PRAGMA max_page_count = 5")
        return made

    monkeypatch.setattr(backup.sqlite3, "connect", small)
    with pytest.raises(StoreError, match=r"can't be copied \(database or disk is full\)"):
        store.backup(copy)
    assert not copy.exists()


def test_a_place_that_cannot_be_written(store, tmp_path):
    with pytest.raises(StoreError, match="unable to open database file"):
        store.backup(tmp_path / "no such directory" / "copy.db")


@pytest.mark.skipif(sys.platform == "win32", reason="no directory is opened there")
def test_the_copy_and_its_name_are_on_disk(store, copy, monkeypatch):
    flushed = []
    real = os.fsync

    def fsync(fd):
        flushed.append(os.fstat(fd).st_ino)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    store.backup(copy)
    assert flushed == [copy.stat().st_ino, copy.parent.stat().st_ino]
