"""Opening a store: what it refuses, in which words, and that one server has a file for itself."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from im_proto.server.actions import StoreLogin, StoreRead
from im_runtime import FileLock, LockHeldError
from im_server.store import Store, StoreError
from im_server.tables import SCHEMA_VERSION


@pytest.fixture
def path(tmp_path):
    return tmp_path / "im.db"


def open_and_close(path):
    with Store(f"sqlite:///{path}", "process"):
        pass


def refusal(path):
    with pytest.raises(StoreError) as caught:
        Store(f"sqlite:///{path}", "process", busy_timeout=0.01).open()
    text = str(caught.value)
    assert ": " in text  # what is wrong: what to do
    return text


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://im:secret@db/im", "'postgresql' is not supported yet: use sqlite:///PATH"),
        ("mysql+pymysql://im:secret@db/im", "'mysql.pymysql' is not supported yet"),
        ("sqlite+aiosqlite:///im.db", "'sqlite.aiosqlite' is not supported yet"),
        ("sqlite://im.db", "three slashes"),
        ("sqlite:///im.db?mode=secret", "no options"),
        ("sqlite://", "live in a file"),
        ("sqlite:///:memory:", "live in a file"),
        ("sqlite:///a\x00b", "live in a file"),
        ("im.db", "write sqlite:///PATH"),
        ("//im:secret@x:port/y", "write sqlite:///PATH"),
        ("", "write sqlite:///PATH"),
    ],
)
def test_other_urls_are_refused_by_name_and_never_quoted(url, says):
    with pytest.raises(StoreError, match=says) as caught:
        Store(url, "process")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_new_file_gets_the_tables_and_keeps_them(path):
    open_and_close(path)
    with sqlite3.connect(path) as raw:
        before = dict(raw.execute("SELECT key, value FROM meta"))
    raw.close()
    assert before["schema_version"] == str(SCHEMA_VERSION)
    assert len(before["epoch"]) == 16
    open_and_close(path)
    with sqlite3.connect(path) as raw:
        assert dict(raw.execute("SELECT key, value FROM meta")) == before
    raw.close()


def test_a_relative_path_and_a_file_without_content_will_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty.db").touch()
    open_and_close("empty.db")
    assert Path("empty.db").stat().st_size > 0


def test_a_directory_that_does_not_exist(tmp_path):
    text = refusal(tmp_path / "nowhere" / "im.db")
    assert "the directory of database" in text
    assert "doesn't exist: create it" in text


def test_a_directory_in_place_of_the_file(tmp_path):
    assert "is a directory: name a file in it" in refusal(tmp_path)


def test_a_file_that_is_no_database(path):
    path.write_bytes(b"no database at all, " * 500)
    assert "is not a SQLite database: move the file away" in refusal(path)
    assert path.read_bytes().startswith(b"no database")


def test_a_damaged_database(path):
    open_and_close(path)
    content = bytearray(path.read_bytes())
    content[100:3000] = b"\xff" * 2900  # the root page of its schema
    path.write_bytes(content)
    assert "is damaged: restore a backup" in refusal(path)


@pytest.mark.parametrize("table", ["books (id)", "meta (a, b)", "meta (key, value)"])
def test_a_database_of_another_program_is_not_touched(path, table):
    with sqlite3.connect(path) as raw:
        raw.execute(f"CREATE TABLE {table}")
    raw.close()
    before = path.read_bytes()
    assert "holds the tables of another program: choose another path" in refusal(path)
    assert path.read_bytes() == before


def test_a_database_of_a_newer_release(path):
    open_and_close(path)
    with sqlite3.connect(path) as raw:
        newer = str(SCHEMA_VERSION + 1)
        raw.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (newer,))
    raw.close()
    text = refusal(path)
    knows = f"(its schema is version {SCHEMA_VERSION + 1}, this one knows {SCHEMA_VERSION})"
    assert f"newer im-proto {knows}: upgrade im-proto" in text


def test_a_database_that_another_program_has_locked(path):
    open_and_close(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "is locked by another program: close that one" in refusal(path)
    other.close()
    open_and_close(path)


def test_a_path_that_cannot_be_written(path, monkeypatch):
    def deny(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)
    assert "can't be written (Permission denied): give this user" in refusal(path)


def test_a_database_that_is_read_only(path, monkeypatch):
    """Told by SQLite itself: an administrator's permissions stop no administrator."""
    open_and_close(path)
    connect = sqlite3.dbapi2.connect

    def read_only(name, **options):
        return connect(f"file:{name}?mode=ro", uri=True, **options)

    monkeypatch.setattr(sqlite3.dbapi2, "connect", read_only)
    assert "can't be written: give this user write permission" in refusal(path)


def test_opening_twice_is_refused(path):
    with (
        Store(f"sqlite:///{path}", "process") as store,
        pytest.raises(StoreError, match="open already"),
    ):
        store.open()


def test_a_refused_file_is_not_left_locked(path):
    path.write_bytes(b"no database at all, " * 500)
    refusal(path)
    path.unlink()
    open_and_close(path)


# ---- one server only


def test_a_second_server_in_this_process_is_refused_too(path):
    with Store(f"sqlite:///{path}", "process"):
        text = refusal(path)
        assert f"is in use by another server (pid {os.getpid()}, since 20" in text
    open_and_close(path)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_two_names_of_one_file_are_one_file(path, tmp_path):
    (tmp_path / "other").mkdir()
    link = tmp_path / "other" / "link.db"
    link.symlink_to(path)
    with Store(f"sqlite:///{path}", "process"):
        assert "in use by another server" in refusal(link)


def test_the_lock_tells_nothing_stale(tmp_path):
    file = tmp_path / "x.lock"
    first, second = FileLock(file), FileLock(file)
    first.acquire()
    file.write_bytes(b"")  # as between the lock and the first write of its new holder
    with pytest.raises(LockHeldError, match="pid unknown"):
        second.acquire()
    with pytest.raises(LockHeldError):
        first.acquire()
    first.release()
    first.release()
    second.acquire()
    assert str(os.getpid()) in file.read_text()
    second.release()
    assert file.read_text() == ""


CHILD = """
import sys
from im_server.store import Store
from im_proto.server.actions import StoreCommit, StoreLogin
from im_proto.server.records import Submission

store = Store(f"sqlite:///{sys.argv[1]}", "process")
store.open()
store.login(StoreLogin(request=1, user=1, device="a", resume_seq=None))
for number in range(1, 6):
    store.commit(StoreCommit(request=2, cursors=(), at=number, submissions=(
        Submission(key=1, sender=1, device="a", generation=1, msg_id=number, to_user=2,
                   content="kept", message_type="text", session_id=None),
    )))
print("committed", flush=True)
sys.stdin.read()
"""


def test_a_killed_server_leaves_its_messages_and_no_lock(path):
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        assert child.stdout.readline().strip() == b"committed"
        assert f"in use by another server (pid {child.pid}, since 20" in refusal(path)
    finally:
        child.kill()  # SIGKILL where there are signals
        child.wait()
        child.stdin.close()
        child.stdout.close()
    with Store(f"sqlite:///{path}", "process") as store:
        done = store.read(StoreRead(request=1, user=2, after=0, limit=9))
        assert [e.msg_id for e in done.entries] == [1, 2, 3, 4, 5]
        login = store.login(StoreLogin(request=1, user=1, device="a", resume_seq=None)).login
        assert (login.generation, login.last_msg_id) == (2, 5)
