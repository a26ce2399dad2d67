"""The journal's file: it keeps what `JournalState` says, it is one process's, and it says what is
wrong with it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from im_proto.client.journal import (
    Change,
    Cursor,
    Handled,
    Identity,
    JournalState,
    Offered,
    OutgoingGone,
    OutgoingRecord,
    PairKnown,
)
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_runtime import Journal, journal, journal_schema

# ------------------------------------------------------------ what it keeps

NUMBER = st.integers(0, 2**63 - 1)
SMALL = st.integers(0, 12)
USER = st.integers(1, 2**63 - 1) | st.sampled_from(["bravo", "x" * 128, "007", "0"])
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
RECORD = st.builds(
    OutgoingRecord,
    ref=SMALL,
    msg_id=NUMBER,
    to_user=USER,
    content=TEXT,
    message_type=TEXT,
    session_id=st.none() | NUMBER,
    priority=st.sampled_from(["high", "normal", "low"]),
    key=st.none() | TEXT,
    expires_at=st.none() | NUMBER,
    handed_at=st.none() | NUMBER,
    renumbered=st.booleans(),
    unsure_sends=SMALL,
    end=st.sampled_from([None, "accepted", "rejected", "expired", "cancelled", "in_doubt"]),
    ended_at=st.none() | NUMBER,
    timestamp=st.none() | NUMBER,
    error_code=st.none() | TEXT,
    error_text=st.none() | TEXT,
    server_code=st.none() | st.integers(-5000, 5000),
    server_text=st.none() | TEXT,
)
CHANGE: st.SearchStrategy[Change] = st.one_of(
    RECORD,
    st.builds(OutgoingGone, ref=SMALL),
    st.builds(Identity, device_id=TEXT, highest_msg_id=NUMBER),
    st.builds(
        Cursor,
        epoch=st.sampled_from(["", "one", "two"]),
        seq=SMALL,
        from_user=st.none() | USER,
        msg_id=st.none() | NUMBER,
    ),
    st.builds(Offered, seq=SMALL),
    st.builds(Handled, seq=SMALL),
    st.builds(
        PairKnown, from_user=st.sampled_from([1, "a"]), msg_id=SMALL, digest=st.binary(max_size=4)
    ),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lives=st.lists(
        st.tuples(st.integers(0, 5), st.lists(st.lists(CHANGE, max_size=8), max_size=4)),
        min_size=1,
        max_size=4,
    )
)
def test_it_keeps_what_the_state_says_also_across_lives(
    tmp_path: Path, lives: list[tuple[int, list[list[Change]]]]
) -> None:
    path = tmp_path / "a.db"
    for file in tmp_path.iterdir():
        file.unlink()
    state = JournalState()
    for known_pairs, writes in lives:
        state.known_pairs = known_pairs
        while len(state.pairs) > known_pairs:
            state.pairs.popitem(last=False)
        it = Journal(path, durability="process", known_pairs=known_pairs)
        it.open()
        try:
            assert it.load() == state
            for changes in writes:
                it.write(changes)
                state.apply(changes)
                assert it.load() == state
        finally:
            it.close()


def test_what_can_not_be_written_leaves_all_as_it_was(it: Journal) -> None:
    it.load()
    it.write([Offered(seq=1)])
    with pytest.raises(IMError) as raised:
        it.write([Offered(seq=2), Cursor(epoch="e", seq=2**70)])
    assert raised.value.code is IMErrorCode.JOURNAL_FAILED
    with pytest.raises(IMError):
        it.write([Offered(seq=3), Identity(device_id="\ud800", highest_msg_id=1)])
    assert (it.load().offered, it.resets) == (1, 0)


def test_pairs_do_not_make_the_file_grow(it: Journal, path: Path) -> None:
    for n in range(0, 40_400, 400):  # the last ones stay among more than are wanted
        it.write([PairKnown(from_user=1, msg_id=n + k, digest=b"12345678") for k in range(400)])
    assert list(it.load().pairs) == [(1, msg_id) for msg_id in range(40_400 - 4096, 40_400)]
    it.close()
    assert path.stat().st_size < 1 << 20


def test_a_pair_that_is_written_again_is_the_newest(path: Path) -> None:
    it = Journal(path, durability="process", known_pairs=2)
    it.open()
    try:
        for msg_id, digest in ((1, b"a"), (2, b"b"), (1, b"c"), (3, b"d")):
            it.write([PairKnown(from_user="a", msg_id=msg_id, digest=digest)])
        assert list(it.load().pairs.items()) == [(("a", 1), b"c"), (("a", 3), b"d")]
    finally:
        it.close()


# ------------------------------------------------------------ whose it is


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


@pytest.fixture
def it(path: Path) -> Iterator[Journal]:
    opened = Journal(path, durability="process", busy_timeout=0.01)
    opened.open()
    yield opened
    opened.close()


def refusal(path: Any, **more: Any) -> str:
    """Why it can't be opened."""
    it = Journal(path, busy_timeout=0.01, **more)
    with pytest.raises(IMError) as raised:
        it.open()
    assert raised.value.code is IMErrorCode.JOURNAL_FAILED
    assert not raised.value.terminal
    with pytest.raises(IMError):
        it.load()  # nothing is left open
    return raised.value.text


def test_a_second_one_is_refused_by_name(it: Journal, path: Path) -> None:
    text = refusal(path)
    assert f"is in use by another client (pid {os.getpid()}, since 2" in text
    link = path.with_name("other.db")
    link.symlink_to(path)
    assert "in use" in refusal(link)
    it.close()
    other = Journal(path)
    other.open()
    other.close()


def test_it_is_of_one_user(path: Path) -> None:
    for user in (None, 7, "7", None):
        it = Journal(path, user=user)
        it.open()
        it.close()
    assert "belongs to user 7: choose another path for user bravo" in refusal(path, user="bravo")


def test_a_process_that_was_killed_leaves_nothing_behind(path: Path) -> None:
    code = (
        "import sys; from im_runtime import Journal; from im_proto.client.journal import Offered\n"
        "it = Journal(sys.argv[1]); it.open(); it.write([Offered(seq=7)])\n"
        "print('written', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdin is not None
    with child:
        assert child.stdout.readline().split() == [b"written"]
        assert f"(pid {child.pid}, since" in refusal(path)
        child.kill()
    it = Journal(path)
    it.open()
    assert it.load().offered == 7
    it.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_neither_writes_nor_holds_it(it: Journal, path: Path) -> None:
    there, here = os.pipe()
    back, out = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(here)
        try:
            it.write([Offered(seq=1)])
        except IMError:
            os.write(out, b".")
        else:
            os.write(out, b"!")
        os.read(there, 1)  # until the parent lets go
        os._exit(0)
    os.close(there)
    assert os.read(back, 1) == b"."
    it.close()
    again = Journal(path)
    again.open()
    again.close()
    for end in (here, back, out):
        os.close(end)
    os.waitpid(child, 0)


def test_it_is_open_once(it: Journal) -> None:
    with pytest.raises(LocalProtocolError, match="open already"):
        it.open()
    it.close()
    it.close()
    with pytest.raises(IMError, match="is closed"):
        it.write([])


@pytest.mark.parametrize("path", ["", ":memory:", "a\0b", b"bytes"])
def test_a_path_that_names_no_file(path: Any) -> None:
    with pytest.raises(LocalProtocolError, match="path of a file"):
        Journal(path)


def test_durability_is_one_of_two(path: Path) -> None:
    with pytest.raises(LocalProtocolError, match="'power' or 'process'"):
        Journal(path, durability="none")  # type: ignore[arg-type]


@pytest.mark.parametrize(("durability", "level"), [("power", 2), ("process", 1)])
def test_what_it_survives(path: Path, durability: Any, level: int) -> None:
    it = Journal(path, durability=durability)
    it.open()
    for db in (it._db, mine := it.connect()):
        assert db is not None
        assert db.execute("PRAGMA synchronous").fetchone() == (level,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    mine.close()
    it.close()


# ------------------------------------------------------------ what is wrong with it


def test_no_directory(tmp_path: Path) -> None:
    assert "has no directory: create it" in refusal(tmp_path / "nowhere" / "bot.db")


def test_a_directory(tmp_path: Path) -> None:
    assert "is a directory: name a file in it" in refusal(tmp_path)


def test_no_database(path: Path) -> None:
    path.write_bytes(b"no database at all, " * 500)
    assert "is not a SQLite database: move the file away" in refusal(path)
    assert path.read_bytes().startswith(b"no database")


@pytest.mark.parametrize(
    "does", ["PRAGMA application_id = 5", "PRAGMA user_version = 1", "CREATE TABLE t (a)"]
)
def test_the_file_of_another_program(path: Path, does: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(does)
    db.close()
    before = path.read_bytes()
    assert "belongs to another program: choose another path" in refusal(path)
    assert path.read_bytes() == before


def test_tables_of_the_application_are_no_harm(it: Journal, path: Path) -> None:
    db = it.connect()
    db.execute("CREATE TABLE orders (a)")
    db.close()
    it.close()
    it.open()


def test_a_newer_release(it: Journal, path: Path) -> None:
    it.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    text = refusal(path)
    assert "newer im-proto (its version is 2, this one knows 1): upgrade im-proto" in text


def test_an_older_release_is_brought_up_to_date(
    it: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it.write([Offered(seq=3)])
    it.close()
    newer = (*journal_schema.MIGRATIONS, ("UPDATE im_offered SET seq = seq + 1",))
    monkeypatch.setattr(journal_schema, "MIGRATIONS", newer)
    monkeypatch.setattr(journal_schema, "SCHEMA_VERSION", 2)
    for _ in range(2):  # once, and not again
        it.open()
        assert it.load().offered == 4
        it.close()


def test_a_migration_that_fails_changes_nothing(
    it: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it.close()
    before = path.read_bytes()
    wrong = (*journal_schema.MIGRATIONS, ("DROP TABLE im_offered", "nonsense"))
    monkeypatch.setattr(journal_schema, "MIGRATIONS", wrong)
    monkeypatch.setattr(journal_schema, "SCHEMA_VERSION", 2)
    assert "can't be used (SQLITE_ERROR)" in refusal(path)
    assert path.read_bytes() == before


def test_a_file_that_may_only_be_read(
    it: Journal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it.close()
    connect = sqlite3.connect

    def read_only(_: object, **options: Any) -> sqlite3.Connection:
        # permissions would not do: tests may run as root
        return connect(f"{path.as_uri()}?mode=ro", uri=True, **options)

    monkeypatch.setattr(sqlite3, "connect", read_only)
    assert "can't be written: give this user write permission" in refusal(path)


def test_another_program_has_it_locked(it: Journal, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(IMError, match="is locked by another program") as raised:
        it.write([Offered(seq=1)])
    assert raised.value.retryable
    it.close()
    assert "is locked by another program" in refusal(path)
    other.execute("ROLLBACK")
    other.close()


def test_a_full_disk(it: Journal) -> None:
    it.write([Offered(seq=1)])
    assert it._db is not None
    (pages,) = it._db.execute("PRAGMA page_count").fetchone()
    it._db.execute(f"PRAGMA max_page_count = {pages}")
    big = Identity(device_id="x" * 100_000, highest_msg_id=1)
    with pytest.raises(IMError, match="has no room: free some space") as raised:
        it.write([Offered(seq=2), big])
    assert raised.value.retryable
    assert it.load().offered == 1
    it._db.execute("PRAGMA max_page_count = 100000")
    it.write([Offered(seq=2), big])
    assert it.load().offered == 2


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)


def test_a_damaged_one(it: Journal, path: Path) -> None:
    it.close()
    damage(path)
    assert "is damaged: restore a backup" in refusal(path)


ODD: dict[str, Callable[[sqlite3.Connection], object]] = {
    "im_outgoing, ref 5, content: Input should be a valid string": lambda db: db.execute(
        "UPDATE im_outgoing SET content = x'ff'"
    ),
    "im_outgoing, ref 5, priority: Input should be 'high', 'normal' or 'low'": lambda db: (
        db.execute("UPDATE im_outgoing SET priority = 'secret'")
    ),
    "im_outgoing, ref 5: no user id": lambda db: db.execute("UPDATE im_outgoing SET to_user = ''"),
    "im_outgoing, ref 5, renumbered": lambda db: db.execute(
        "UPDATE im_outgoing SET renumbered = 'secret'"
    ),
    "im_identity, highest_msg_id: Input should be a valid integer": lambda db: db.execute(
        "INSERT INTO im_identity VALUES (1, 'a', 'secret')"
    ),
    "im_cursor, epoch: Input should be a valid string": lambda db: db.execute(
        "INSERT INTO im_cursor VALUES (1, x'00', 1, NULL, NULL)"
    ),
    "im_offered, seq: Input should be a valid integer": lambda db: db.execute(
        "INSERT INTO im_offered VALUES (1, 'secret')"
    ),
    "im_pairs, n 1, digest: Input should be a valid bytes": lambda db: db.execute(
        "INSERT INTO im_pairs VALUES (1, 'a', 1, 'secret')"
    ),
    "can't be used (SQLITE_ERROR)": lambda db: db.execute("DROP TABLE im_handled"),
}


@pytest.mark.parametrize("text", list(ODD))
def test_what_no_client_has_written_is_named_and_not_shown(it: Journal, text: str) -> None:
    it.write([OutgoingRecord(ref=5, msg_id=1, to_user=2, content="secret", message_type="text")])
    db = it.connect()
    ODD[text](db)
    db.close()
    with pytest.raises(IMError) as raised:
        it.load()
    assert text in raised.value.text
    assert "secret" not in raised.value.text


def test_a_drive_without_a_log(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Network(sqlite3.Connection):
        def execute(self, sql: str, *more: Any) -> sqlite3.Cursor:
            return super().execute(sql.replace("journal_mode = WAL", "journal_mode = DELETE"))

    real = sqlite3.connect
    monkeypatch.setattr(
        journal.sqlite3, "connect", lambda *args, **more: real(*args, **more, factory=Network)
    )
    assert "can't have a write-ahead log where it lies" in refusal(path)
