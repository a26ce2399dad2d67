"""What a transaction writes for a message outlives a reset of the mailbox, in which it gets
another number."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from im_proto.client.journal import Cursor, Handled
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
        handled(journal, Message("hello", from_user=7, msg_id=70, seq=3, epoch="e0"))
        state = journal.load()
    assert state.handled == {3}
    assert list(state.pairs) == [(7, 70)]


def test_after_a_reset_the_old_number_is_not_but_the_pair_is(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "x.db")) as journal:
        journal.open()
        journal.write([Cursor(epoch="e0", seq=1), Handled(seq=5)])
        message = Message("hello", from_user=7, msg_id=70, seq=3, epoch="e0")
        journal.write([Cursor(epoch="e1", seq=0)])
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
