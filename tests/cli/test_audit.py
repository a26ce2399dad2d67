"""The auditor, on logs and databases made by hand, one violation each."""

from __future__ import annotations

import ast
import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from im_cli import audit as module
from im_cli.audit import AuditError, audit, audit_command

SCHEMA = """
CREATE TABLE mailboxes (user TEXT PRIMARY KEY, epoch TEXT, head INTEGER);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY, sender TEXT, device TEXT, generation INTEGER, msg_id INTEGER,
    recipient TEXT, seq INTEGER, content TEXT, UNIQUE (sender, msg_id)
);
CREATE TABLE mailbox_entries (
    user TEXT, seq INTEGER, message_id INTEGER, PRIMARY KEY (user, seq)
);
CREATE TABLE fences (
    user TEXT, device TEXT, generation INTEGER, logged_in_at INTEGER, last_message_id INTEGER
);
"""
Line = dict[str, Any]


class Case:
    """A faultless chat of three messages each way, to be damaged."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.logs: dict[str, list[Line]] = {}
        self.rows: list[Line] = []
        self.fences: list[tuple[str, str, int, int]] = []
        people = (("alice", 1, 2), ("bob", 2, 1))
        for name, user, other in people:
            log: list[Line] = [{"t": 0.0, "event": "started", "user": user, "name": name}]
            for n in (1, 2, 3):
                about = {"t": 0.1, "n": n, "to": other, "content": f"#{n} of {name}"}
                log.append({"event": "queued", **about})
                log.append({"event": "accepted", "msg_id": 10 * user + n, **about})
                self.rows.append(
                    {
                        "sender": str(user),
                        "device": "d",
                        "generation": 1,
                        "msg_id": 10 * user + n,
                        "recipient": str(other),
                        "seq": n,
                        "content": f"#{n} of {name}",
                    }
                )
            self.logs[name] = log
            self.fences.append((str(user), "d", 1, 0))
        for name, _, other in people:
            peer = next(n for n, u, _ in people if u == other)
            self.logs[name] += [self.received(other, peer, n) for n in (1, 2, 3)]

    @staticmethod
    def received(user: int, name: str, n: int) -> Line:
        return {
            "t": 0.2,
            "event": "received",
            "n": n,
            "from": user,
            "msg_id": 10 * user + n,
            "content": f"#{n} of {name}",
        }

    def write(self) -> Path:
        """Put it into files."""
        for name, log in self.logs.items():
            text = "".join(json.dumps(line) + "\n" for line in log)
            (self.directory / f"{name}.jsonl").write_text(text, encoding="utf-8")
        with closing(sqlite3.connect(self.directory / "im.db")) as db, db:
            db.executescript(SCHEMA)
            heads = {"1": 0, "2": 0}
            for number, row in enumerate(self.rows, 1):
                db.execute(
                    "INSERT INTO messages VALUES (?, :sender, :device, :generation, :msg_id, "
                    ":recipient, :seq, :content)".replace(":", "@").replace("?", "@id"),
                    {"id": number, **row},
                )
                if row.get("listed", True):
                    db.execute(
                        "INSERT INTO mailbox_entries VALUES (?, ?, ?)",
                        (row["recipient"], row["seq"], number),
                    )
                heads[row["recipient"]] = max(heads[row["recipient"]], row["seq"])
            db.executemany("INSERT INTO mailboxes VALUES (?, 'e', ?)", heads.items())
            db.executemany(
                "INSERT INTO fences VALUES (?, ?, ?, 0, ?)",
                [
                    (user, device, generation, last)
                    for user, device, generation, last in self.fences
                ],
            )
        return self.directory


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def numbers(case: Case) -> dict[str, Any]:
    """What the auditor counts, without what is as it should be."""
    found = audit(case.write()).as_dict()
    expected = {"sent": 6, "accepted": 6, "delivered": 6, "logins": 2}
    return {
        key: value
        for key, value in found.items()
        if key not in ("problems", "verdict") and value != expected.get(key, 0)
    }


def test_a_faultless_chat(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert numbers(case) == {}
    before = sorted(case.directory.iterdir())
    assert audit_command(case.directory) == 0
    assert "verdict" in capsys.readouterr().out
    assert audit_command(case.directory, True) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "kept"
    assert sorted(case.directory.iterdir()) == before, "it leaves nothing behind"


def _lost(case: Case) -> None:
    del case.logs["bob"][-2]


def _duplicated(case: Case) -> None:
    case.logs["bob"].append(case.logs["bob"][-1])


def _duplicated_twice(case: Case) -> None:
    case.logs["bob"] += [case.logs["bob"][-1], case.logs["bob"][-2], case.logs["bob"][-1]]


def _out_of_order(case: Case) -> None:
    log = case.logs["bob"]
    log[-1], log[-2] = log[-2], log[-1]


def _unsent(case: Case) -> None:
    case.logs["bob"].append(
        {"t": 1, "event": "received", "n": 4, "from": 1, "msg_id": None, "content": "#4 of alice"}
    )


def _altered(case: Case) -> None:
    case.logs["bob"][-1] = {**case.logs["bob"][-1], "content": "#3 of alice, altered"}


def _received_but_failed(case: Case) -> None:
    accepted = case.logs["alice"][6]
    assert accepted["event"] == "accepted"
    case.logs["alice"][6] = {**accepted, "event": "failed", "error": "MESSAGE_SEND_FAILED"}


def _in_doubt(case: Case) -> None:
    case.logs["alice"][6] = {**case.logs["alice"][6], "event": "failed", "error": "IN_DOUBT"}


def _without_an_end(case: Case) -> None:
    del case.logs["alice"][6]


def _not_stored(case: Case) -> None:
    case.rows[2]["content"] = "#3 of nobody"


def _stored_twice(case: Case) -> None:
    case.rows.append({**case.rows[2], "msg_id": 99, "seq": 4})


def _stored_out_of_order(case: Case) -> None:
    case.rows[0]["seq"], case.rows[1]["seq"] = 2, 1


def _gap(case: Case) -> None:
    case.rows[2]["seq"] = 4


def _not_listed(case: Case) -> None:
    case.rows[2]["listed"] = False


def _behind_a_fence(case: Case) -> None:
    case.fences += [("1", "d", 2, 1), ("1", "other", 9, 0), ("2", "d", 2, 6)]


def _before_a_fence(case: Case) -> None:
    case.fences.append(("1", "d", 2, 3))


@pytest.mark.parametrize(
    ("damage", "found", "kept"),
    [
        (_lost, {"lost": 1, "delivered": 5}, False),
        (_duplicated, {"duplicated": 1}, False),
        (_duplicated_twice, {"duplicated": 3}, False),
        (_out_of_order, {"out_of_order": 1}, False),
        (_unsent, {"never_sent": 1}, False),
        (_altered, {"lost": 1, "delivered": 5, "never_sent": 1}, False),
        (_received_but_failed, {"accepted": 5, "failed": 1, "never_sent": 1}, False),
        (_in_doubt, {"accepted": 5, "failed": 1}, True),
        (_without_an_end, {"accepted": 5, "undecided": 1}, True),
        # in the receiver's log, and not in the database: that is both
        (_not_stored, {"lost": 1, "never_sent": 2}, False),
        (_stored_twice, {"duplicated": 1}, False),
        (_stored_out_of_order, {"out_of_order": 1}, False),
        (_gap, {"mailbox_gaps": 1}, False),
        # the number is missing, and the message stands nowhere
        (_not_listed, {"mailbox_gaps": 2}, False),
        (_behind_a_fence, {"behind_a_fence": 2, "out_of_order": 2, "logins": 5}, False),
        (_before_a_fence, {"logins": 3}, True),
    ],
)
def test_each_violation_is_counted(
    case: Case, damage: Callable[[Case], None], found: dict[str, int], kept: bool
) -> None:
    damage(case)
    assert numbers(case) == found
    verdict = audit(case.directory)
    assert verdict.kept is kept
    assert bool(verdict.problems) is not kept
    assert audit_command(case.directory, True) == (0 if kept else 1)


def test_examples_are_few_and_the_rest_is_counted(case: Case) -> None:
    case.logs["bob"] = case.logs["bob"][:-3]
    case.logs["alice"] = case.logs["alice"][:-3]
    verdict = audit(case.write())
    assert verdict.lost == 6
    assert verdict.problems[-1] == "lost: … and 1 more"
    assert len(verdict.problems) == 6


def test_an_application_that_was_killed_while_it_wrote(case: Case) -> None:
    case.write()
    path = case.directory / "bob.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    verdict = audit(case.directory)
    assert verdict.truncated_logs == 1
    assert verdict.lost == 1  # it never got to saying that it has it


@pytest.mark.parametrize("broken", [b"{\n", b"[]\n", b'{"event": "queued"}\n', b"\xff\n"])
def test_a_broken_line_in_the_middle_is_told_with_its_place(case: Case, broken: bytes) -> None:
    case.write()
    path = case.directory / "bob.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], broken, *lines[1:]]))
    with pytest.raises(AuditError, match=r"bob\.jsonl, line 2: "):
        audit(case.directory)


def test_a_repeat_that_was_told_is_no_duplicate(case: Case) -> None:
    case.logs["bob"].append(case.received(1, "alice", 3) | {"redelivered": True})
    assert numbers(case) == {"redelivered": 1}


def test_the_first_time_does_not_excuse_the_second(case: Case) -> None:
    case.logs["bob"][-1]["redelivered"] = True
    case.logs["bob"].append(case.received(1, "alice", 3))
    assert numbers(case) == {"duplicated": 1}


def test_what_was_handled_in_transactions_stands_in_a_table(case: Case) -> None:
    rows = [line for line in case.logs["bob"] if line["event"] == "received"]
    case.logs["bob"] = [line for line in case.logs["bob"] if line["event"] != "received"]
    with closing(sqlite3.connect(case.directory / "bob.db")) as db, db:
        db.execute("CREATE TABLE received (n INTEGER PRIMARY KEY, sender, msg_id, content)")
        db.executemany("INSERT INTO received VALUES (@n, @from, @msg_id, @content)", rows)
    assert numbers(case) == {}
    with closing(sqlite3.connect(case.directory / "bob.db")) as db, db:
        db.execute("INSERT INTO received SELECT 4, sender, msg_id, content FROM received LIMIT 1")
    (case.directory / "im.db").unlink()
    assert numbers(case) == {"duplicated": 1}


def test_receipts_and_copies_have_numbers_too(case: Case) -> None:
    case.write()
    with closing(sqlite3.connect(case.directory / "im.db")) as db, db:
        db.execute("ALTER TABLE mailbox_entries ADD COLUMN kind INTEGER NOT NULL DEFAULT 0")
        # a receipt for alice, and a copy of what she wrote
        db.execute("INSERT INTO mailbox_entries VALUES ('1', 4, NULL, 1), ('1', 5, 1, 0)")
        db.execute("UPDATE mailboxes SET head = 5 WHERE user = '1'")
    assert audit(case.directory).kept
    with closing(sqlite3.connect(case.directory / "im.db")) as db, db:
        db.execute("DELETE FROM mailbox_entries WHERE user = '1' AND seq = 4")
    assert audit(case.directory).mailbox_gaps == 1


def test_what_is_not_known_in_a_log_is_passed_over(case: Case) -> None:
    case.logs["bob"].append({"event": "a note", "t": 1})
    assert numbers(case) == {}


def _remove_database(directory: Path) -> None:
    (directory / "im.db").unlink()


def _garble_database(directory: Path) -> None:
    (directory / "im.db").write_bytes(b"this is not a database " * 100)


def _empty_database(directory: Path) -> None:
    (directory / "im.db").write_bytes(b"")


def _remove_receiver(directory: Path) -> None:
    (directory / "bob.jsonl").unlink()


def _remove_logs(directory: Path) -> None:
    for path in directory.glob("*.jsonl"):
        path.unlink()


def _empty_log(directory: Path) -> None:
    (directory / "bob.jsonl").write_bytes(b"")


def _headless_log(directory: Path) -> None:
    path = directory / "bob.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


def _same_user_twice(directory: Path) -> None:
    shutil.copy(directory / "bob.jsonl", directory / "carol.jsonl")


def _log_is_a_directory(directory: Path) -> None:
    (directory / "bob.jsonl").unlink()
    (directory / "bob.jsonl").mkdir()


def _nothing_accepted(directory: Path) -> None:
    for path in directory.glob("*.jsonl"):
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])


def _everything(directory: Path) -> None:
    shutil.rmtree(directory)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_remove_database, "im.db: no such file"),
        (_garble_database, "im.db: file is not a database"),
        (_empty_database, "im.db: no table"),
        (_remove_receiver, "no log of user 2"),
        (_remove_logs, "no logs"),
        (_empty_log, "bob.jsonl: empty"),
        (_headless_log, "bob.jsonl, line 1: the first line"),
        (_same_user_twice, "user 2 has another log"),
        (_log_is_a_directory, "bob.jsonl"),
        (_nothing_accepted, "nothing to judge"),
        (_everything, "no such directory"),
    ],
)
def test_what_cannot_be_read_is_told(
    case: Case,
    damage: Callable[[Path], None],
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(case.write())
    assert audit_command(case.directory) == 2
    out, err = capsys.readouterr()
    assert not out
    assert text in err
    assert "Traceback" not in err


def test_it_imports_nothing_but_the_standard_library() -> None:
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "no import of a neighbour"
            imported.add(str(node.module).partition(".")[0])
    assert imported <= sys.stdlib_module_names
    assert not {"importlib", "runpy", "subprocess", "os"} & imported
