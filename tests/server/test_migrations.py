"""A file of an older release is brought up to date, all of it or nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from im_proto.server.actions import (
    StoreCall,
    StoreCommit,
    StoreLogin,
    StorePeers,
    StoreRead,
    StoreRevoke,
)
from im_proto.server.records import CursorMove, ReceiptEntry, Submission
from im_proto.server.sessions import Call
from im_proto.wire.session import SessionOp
from im_server import migrations, schema
from im_server.store import Store, StoreError
from im_server.tables import SCHEMA_VERSION, metadata

#: What the first release has written.
VERSION_1 = Path(__file__).with_name("version1.sql").read_text("utf-8")
AT = 1_800_000_000_000


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(VERSION_1)
    return path


def rows(path, question):
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(question).fetchall()


def structure(path):
    """The tables and indexes, however their texts are laid out."""
    found = rows(path, "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    tables = {}
    for name, text in found:
        if name == "alembic_version":
            continue
        if text.startswith("CREATE TABLE"):
            columns = rows(path, f"SELECT * FROM pragma_table_info('{name}')")
            keys = rows(path, f'SELECT "from", "table" FROM pragma_foreign_key_list(\'{name}\')')
            tables[name] = ({c[1:] for c in columns}, keys, "WITHOUT ROWID" in text)
        else:
            tables[name] = text
    return tables


def test_a_file_of_the_first_release_is_as_a_new_one(old, tmp_path):
    with Store(f"sqlite:///{old}", "process"), Store(f"sqlite:///{tmp_path / 'new.db'}", "process"):
        pass
    assert structure(old) == structure(tmp_path / "new.db")
    assert dict(rows(old, "SELECT * FROM meta")) == {
        "application": "im-proto",
        "epoch": "0123456789abcdef",
        "schema_version": str(SCHEMA_VERSION),
    }


def test_the_revisions_lead_to_what_the_tables_say():
    engine = create_engine("sqlite://")
    with engine.connect() as connection, connection.begin():
        migrations.upgrade(connection, 0)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == f"{SCHEMA_VERSION:04}"
    engine.dispose()


def test_the_first_revision_is_the_first_release(old, tmp_path):
    path = tmp_path / "first.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection, connection.begin():
        migrations.upgrade(connection, 0, "0001")
    engine.dispose()
    assert structure(path) == structure(old)


def test_what_was_in_it_is_in_it(old):
    with Store(f"sqlite:///{old}", "process") as store:
        found = store.read(StoreRead(request=1, user=2, after=0, limit=9))
        assert found.head == 4
        assert [(e.seq, e.from_user, e.msg_id, e.content) for e in found.entries] == [
            (1, 1, 10, "message 10"),
            (2, 1, 12, "message 12"),
            (3, 1, 14, "message 14"),
            (4, 1, 1_700_000_001_000_000, "it's another"),
        ]
        assert {e.timestamp for e in found.entries} == {1_700_000_000_000, 1_700_000_001_000}
        login = store.login(StoreLogin(request=1, user=2, device="b", resume_seq=4)).login
        assert (login.generation, login.cursor, login.head, login.oldest) == (2, 1, 4, 1)
        assert (login.epoch, login.last_msg_id) == ("epoch of 2", 1)
        assert login.resume_entry == (1, 1_700_000_001_000_000)


def test_all_that_two_wrote_to_each_other_is_in_one_chat(old):
    with Store(f"sqlite:///{old}", "process") as store:
        chats = rows(old, "SELECT book_id, buyer, seller, status, created_at FROM sessions")
        first = 1_700_000_000_000
        assert sorted(chats) == [(0, "1", other, 1, first) for other in ("1", "2", "bravo")]
        ask = Call(op=SessionOp.HISTORY, peer_id=1)
        done = store.call(StoreCall(request=1, user=2, call=ask, at=AT))
        assert [r["msgId"] for r in done.data["records"]] == [10, 12, 1, 14, 1_700_000_001_000_000]
        # client session ids were never checked then
        assert len({r["sessionId"] for r in done.data["records"]}) == 1
        peers = store.peers(StorePeers(request=1, user=1, at=AT)).peers
        assert {user for user, _ in peers} == {2, "bravo"}


def test_it_goes_on_where_it_was(old):
    with Store(f"sqlite:///{old}", "process") as store:
        fields = {"device": "a", "generation": 2, "to_user": 2, "message_type": "text"}
        again, new = (
            Submission(key=i, sender=1, msg_id=i, content=f"message {i}", session_id=None, **fields)
            for i in (10, 15)
        )
        move = CursorMove(user=2, device="b", generation=1, seq=4)
        done = store.commit(
            StoreCommit(request=1, submissions=(again, new), cursors=(move,), at=AT)
        )
        assert [(r.seq, r.repeat) for r in done.results] == [(1, True), (5, False)]
        assert rows(old, "SELECT head, delivered FROM mailboxes WHERE user = '2'") == [(5, 4)]
        # who has sent then did not ask for receipts
        sender = store.read(StoreRead(request=1, user=1, after=0, limit=9))
        assert not [e for e in sender.entries if isinstance(e, ReceiptEntry)]


def test_what_was_acknowledged_is_delivered(old):
    with Store(f"sqlite:///{old}", "process"):
        pass
    assert rows(old, "SELECT user, delivered FROM mailboxes ORDER BY user") == [
        ("1", 0),
        ("2", 1),
        ("bravo", 0),
    ]


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_file_of_any_earlier_release_is_as_a_new_one(tmp_path, version):
    path = tmp_path / "earlier.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection, connection.begin():
        migrations.upgrade(connection, 0, f"{version:04}")
        connection.exec_driver_sql("DROP TABLE alembic_version")
        written = {"application": "im-proto", "epoch": "e", "schema_version": str(version)}
        for key, value in written.items():
            connection.exec_driver_sql("INSERT INTO meta VALUES (?, ?)", (key, value))
    engine.dispose()
    with Store(f"sqlite:///{path}", "process") as store:
        assert store.revoked() == {}
        store.revoke(StoreRevoke(request=1, user="bravo", before=AT))
        assert store.revoked() == {"bravo": AT}
    with Store(f"sqlite:///{tmp_path / 'new.db'}", "process"):
        pass
    assert structure(path) == structure(tmp_path / "new.db")


def test_a_second_opening_changes_nothing(old):
    for _ in range(2):
        with Store(f"sqlite:///{old}", "process"):
            pass
        found = [rows(old, f"SELECT * FROM {t}") for t in ("sessions", "mailbox_entries", "meta")]
    with Store(f"sqlite:///{old}", "process"):
        pass
    assert found == [
        rows(old, f"SELECT * FROM {t}") for t in ("sessions", "mailbox_entries", "meta")
    ]


def test_a_migration_that_fails_leaves_the_file_as_it_was(old, monkeypatch):
    with closing(sqlite3.connect(old)) as raw:
        before = list(raw.iterdump())
    real = migrations.upgrade

    def upgrade(connection, version):
        real(connection, version)
        connection.exec_driver_sql("SELECT 1 FROM nowhere")

    monkeypatch.setattr(migrations, "upgrade", upgrade)
    with pytest.raises(StoreError) as caught:
        Store(f"sqlite:///{old}", "process").open()
    text = str(caught.value)
    assert (
        f"can't be brought from schema version 1 to {SCHEMA_VERSION} (no such table: nowhere)"
        in text
    )
    assert "nothing was changed: copy the file" in text
    with closing(sqlite3.connect(old)) as raw:
        assert list(raw.iterdump()) == before
    monkeypatch.undo()
    with Store(f"sqlite:///{old}", "process"):
        pass


def test_a_disk_that_fills_in_a_migration_leaves_the_file_as_it_was(old, monkeypatch):
    with closing(sqlite3.connect(old)) as raw:
        before = list(raw.iterdump())
    real = schema.prepare

    def prepare(connection, name):
        raw = connection.connection.driver_connection
        (pages,) = raw.execute("PRAGMA page_count").fetchone()
        raw.execute(f"PRAGMA max_page_count = {pages + 1}")
        real(connection, name)

    monkeypatch.setattr(schema, "prepare", prepare)
    with pytest.raises(
        StoreError, match=rf"version 1 to {SCHEMA_VERSION} \(database or disk is full\)"
    ):
        Store(f"sqlite:///{old}", "process").open()
    with closing(sqlite3.connect(old)) as raw:
        assert list(raw.iterdump()) == before
