"""What a transaction writes for a message outlives a reset of the mailbox, in which it gets
another number."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from im_proto.client.journal import Change, Cursor, Handled
from im_proto.errors import LocalProtocolError
from im_runtime import Message
from im_runtime.journal import Journal
from im_runtime.transaction import Transaction


def handled(journal: Journal, message: Message) -> None:
    transaction = Transaction(journal, message)
    transaction.begin()
    transaction.commit()


def test_the_number_and_the_pair_are_both_written(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "x.db")) as journal:
        journal.open()
        journal.write([Cursor(epoch="e0", seq=1)])
        handled(journal, Message("hello", from_user=7, msg_id=70, seq=3))
        state = journal.load()
    assert state.handled == {3}
    assert list(state.pairs) == [(7, 70)]


@pytest.mark.parametrize(
    "reset",
    [
        [Cursor(epoch="e1", seq=0)],
        [Cursor(epoch="", seq=0), Cursor(epoch="e0", seq=0)],  # a store restored from a backup
    ],
)
def test_after_a_reset_the_old_number_is_not_but_the_pair_is(
    tmp_path: Path, reset: list[Change]
) -> None:
    with closing(Journal(tmp_path / "x.db")) as journal:
        journal.open()
        journal.write([Cursor(epoch="e0", seq=1), Handled(seq=5)])
        message = Message("hello", from_user=7, msg_id=70, seq=3, resets=journal.resets)
        journal.write(reset)
        handled(journal, message)
        state = journal.load()
    assert state.handled == set()
    assert list(state.pairs) == [(7, 70)]


def test_a_message_that_nothing_tells_from_others_is_handled_all_the_same(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "x.db")) as journal:
        journal.open()
        handled(journal, Message("hello"))
        with closing(sqlite3.connect(tmp_path / "x.db")) as db:
            assert db.execute("SELECT count(*) FROM im_pairs").fetchone() == (0,)


def test_a_transaction_that_begins_behind_the_end_is_refused(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "x.db")) as journal:
        journal.open()
        transaction = Transaction(journal, Message("hello", seq=1))
    with pytest.raises(LocalProtocolError, match="closed meanwhile"):
        transaction.begin()


@pytest.mark.parametrize("seq", [3, None])
def test_a_message_is_handled_in_one_transaction_only(tmp_path: Path, seq: int | None) -> None:
    with closing(Journal(tmp_path / "x.db")) as journal:
        journal.open()
        journal.write([Cursor(epoch="e0", seq=1)])
        message = Message("hello", from_user=7, msg_id=70, seq=seq)
        handled(journal, message)
        again = Transaction(journal, message)
        again.begin().execute("CREATE TABLE orders (x)")
        with pytest.raises(LocalProtocolError, match="handled already"):
            again.commit()
        assert again.done
        journal.write([Cursor(epoch="e0", seq=3)])
        with pytest.raises(LocalProtocolError, match="handled already"):
            handled(journal, message)
        with closing(sqlite3.connect(tmp_path / "x.db")) as db:
            tables = db.execute("SELECT name FROM sqlite_master WHERE name = 'orders'").fetchall()
    assert tables == []
