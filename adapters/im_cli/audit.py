"""Recomputes the verdict on a chat from what its two applications and the database say.

It needs nothing but Python, and imports nothing of im-proto: whoever doesn't trust the engine
reads this file and runs `python audit.py DIR`. In DIR are

    NAME.jsonl  one a user, written by the application. The first line says whose it is:
                {"t": 0.0, "event": "started", "user": 1, "name": "alice"}
                then one object a line, as things happened:
                {"t", "event": "queued",   "n", "to",   "content"}          before it is sent
                {"t", "event": "accepted", "n", "to",   "content", "msg_id"}
                {"t", "event": "failed",   "n", "to",   "content", "msg_id", "error"}
                {"t", "event": "received", "n", "from", "content", "msg_id", "redelivered"?}
    NAME.db     perhaps: a SQLite file of that application. If it has a table `received` (n, sender,
                msg_id, content), that is what it has handled, in the order of n, and it wrote a
                row in one transaction with the mark that the message is handled
    im.db       the server's SQLite file

A content is unique in its conversation (it holds a running number), so it names a message.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

DATABASE: Final = "im.db"
#: So many examples are given of each kind of violation.
_EXAMPLES: Final = 5
#: The kind of a mailbox's entry that is a message.
_MESSAGE: Final = 0
_KEYS: Final = {
    "queued": ("n", "to", "content"),
    "accepted": ("n", "to", "content", "msg_id"),
    "failed": ("n", "to", "content", "error"),
    "received": ("from", "content", "msg_id"),
}


class AuditError(Exception):
    """What is to be audited is missing or can't be read. Says what, and where."""


class _Name(NamedTuple):
    """A message."""

    sender: str
    recipient: str
    content: str


@dataclass(slots=True)
class _Log:
    """What one application has written."""

    path: Path
    user: str
    #: in the order of queueing, with the number that the application gave
    queued: dict[_Name, int] = field(default_factory=dict)
    accepted: dict[_Name, int] = field(default_factory=dict)
    #: why it failed
    failed: dict[_Name, str] = field(default_factory=dict)
    #: in the order of arrival; the last says whether it was told that it may be a repeat
    received: list[tuple[_Name, int | None, bool]] = field(default_factory=list)
    truncated: bool = False


@dataclass(slots=True)
class Verdict:
    """What came of a chat. All counts are messages."""

    sent: int = 0
    accepted: int = 0
    delivered: int = 0
    #: reported as failed by the sender's client
    failed: int = 0
    #: queued, and without an end when the log ends
    undecided: int = 0
    #: accepted, and not received or not in the database
    lost: int = 0
    #: received, or in the database, more than once (each repeat counts)
    duplicated: int = 0
    #: received once more, and the application was told so: no duplicates
    redelivered: int = 0
    #: received, or in a mailbox, behind a later one of the conversation; and `behind_a_fence`
    out_of_order: int = 0
    #: written by an older log-in of a device after a newer one
    behind_a_fence: int = 0
    #: received or stored, though nobody sent it, or though its sender was told that it failed
    never_sent: int = 0
    #: numbers that are missing in a mailbox, or stand for nothing
    mailbox_gaps: int = 0
    #: log-ins of devices that the database knows
    logins: int = 0
    #: the last line of a log was cut off, as happens when an application is killed
    truncated_logs: int = 0
    #: examples, in words
    problems: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Was the promise kept?"""
        return not (
            self.lost
            or self.duplicated
            or self.out_of_order
            or self.never_sent
            or self.mailbox_gaps
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        numbers = {name: getattr(self, name) for name in self.__slots__}
        return {"verdict": "kept" if self.kept else "broken", **numbers}


def audit(directory: Path) -> Verdict:
    """Recompute the verdict from the files in a directory alone.

    Raises:
        AuditError: a file is missing or broken, or there is nothing to judge.
    """
    logs = _read_logs(directory)
    court = _Court(logs)
    court.judge_logs()
    with _opened(directory / DATABASE) as database:
        missing = {"messages", "mailboxes", "mailbox_entries", "fences"} - _tables(database)
        if missing:
            raise AuditError(f"{directory / DATABASE}: no table {', '.join(sorted(missing))}")
        court.judge_messages(database)
        court.judge_mailboxes(database)
        court.judge_fences(database)
    return court.verdict()


# ---------------------------------------------------------------- reading


def _read_logs(directory: Path) -> dict[str, _Log]:
    if not directory.is_dir():
        raise AuditError(f"{directory}: no such directory")
    paths = sorted(directory.glob("*.jsonl"))
    if not paths:
        raise AuditError(f"{directory}: no logs (NAME.jsonl) in it")
    logs: dict[str, _Log] = {}
    for path in paths:
        log = _read_log(path)
        if log.user in logs:
            raise AuditError(f"{path}: user {log.user} has another log, {logs[log.user].path.name}")
        _read_table(log)
        logs[log.user] = log
    return logs


def _read_table(log: _Log) -> None:
    """What an application has handled in transactions."""
    path = log.path.with_suffix(".db")
    if not path.exists():
        return
    with _opened(path) as database:
        if "received" in _tables(database):
            log.received += [
                (_Name(str(sender), log.user, content), msg_id, False)
                for sender, content, msg_id in database.execute(
                    "SELECT sender, content, msg_id FROM received ORDER BY n"
                )
            ]


def _read_log(path: Path) -> _Log:
    log: _Log | None = None
    truncated = False
    for number, line, last in _lines(path):
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict):
                raise ValueError("not a JSON object")
            if log is None:
                if entry.get("event") != "started" or "user" not in entry:
                    raise ValueError('the first line must be {"event": "started", "user": …}')
                log = _Log(path, str(entry["user"]))
            else:
                _note(log, entry)
        except (ValueError, TypeError) as error:  # a TypeError: a list where a text should be
            if not last:
                raise AuditError(f"{path}, line {number}: {error}") from error
            truncated = True
    if log is None:
        raise AuditError(f"{path}: empty")
    log.truncated = truncated
    return log


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Number, text, and whether it is an unfinished last line."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        if line:
            yield number, line, number == len(lines)


def _note(log: _Log, entry: dict[str, Any]) -> None:
    event = entry.get("event")
    if event not in _KEYS:
        return
    missing = [key for key in _KEYS[event] if key not in entry]
    if missing:
        raise ValueError(f"{event} without {', '.join(missing)}")
    if event == "received":
        name = _Name(str(entry["from"]), log.user, entry["content"])
        log.received.append((name, entry["msg_id"], bool(entry.get("redelivered"))))
        return
    name = _Name(log.user, str(entry["to"]), entry["content"])
    if event == "queued":
        if name in log.queued:
            raise ValueError("a content that was queued before: it names no message")
        log.queued[name] = entry["n"]
    elif event == "accepted":
        log.accepted[name] = entry["msg_id"]
    else:
        log.failed[name] = str(entry["error"])


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the database, as reading it where it lies leaves files behind."""
    if not path.is_file():
        raise AuditError(f"{path}: no such file")
    with tempfile.TemporaryDirectory(prefix="im-audit-", ignore_cleanup_errors=True) as directory:
        try:
            for suffix in ("", "-wal"):  # what a killed server has left is in its log
                if Path(f"{path}{suffix}").is_file():
                    shutil.copyfile(f"{path}{suffix}", Path(directory, f"copy{suffix}"))
            with contextlib.closing(sqlite3.connect(Path(directory, "copy"))) as database:
                yield database
        except (OSError, sqlite3.Error) as error:
            raise AuditError(f"{path}: {error}") from error


def _tables(database: sqlite3.Connection) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM sqlite_master")}


# ---------------------------------------------------------------- judging


class _Court:
    """Takes down every violation once, however many files show it."""

    def __init__(self, logs: dict[str, _Log]) -> None:
        self._logs = logs
        self._queued = _joined(log.queued for log in logs.values())
        self._accepted = _joined(log.accepted for log in logs.values())
        self._failed = _joined(log.failed for log in logs.values())
        self._position = {
            name: place for log in logs.values() for place, name in enumerate(log.queued)
        }
        self._received = {name for log in logs.values() for name, *_ in log.received}
        self._lost: set[_Name] = set()
        self._repeats: Counter[_Name] = Counter()
        self._disordered: set[_Name] = set()
        self._never_sent: set[_Name] = set()
        self._behind = self._gaps = self._logins = self._redelivered = 0
        self._problems: dict[str, list[str]] = defaultdict(list)
        if not self._accepted:
            raise AuditError("no message was accepted, says every log: there is nothing to judge")

    def judge_logs(self) -> None:
        """Every accepted message once at its receiver, in order, and nothing else."""
        for name in self._accepted:
            if name not in self._queued:
                raise AuditError(f"{self._logs[name.sender].path}: accepted, but never queued")
            if name.recipient not in self._logs:
                raise AuditError(f"no log of user {name.recipient}, to whom messages were sent")
            if name not in self._received:
                self._add(self._lost, name, "was accepted and never received")
        for log in self._logs.values():
            arrived = [name for name, *_ in log.received]
            self._judge_repeats(self._untold(log), "was received")
            self._judge_order(arrived, "was received")
            self._judge_origin(arrived, "was received")

    def judge_messages(self, database: sqlite3.Connection) -> None:
        """Every accepted (sender, msg_id) once in the database; what was received is there."""
        stored: dict[tuple[str, int], _Name] = {}
        names: list[_Name] = []
        for sender, msg_id, recipient, content in database.execute(
            "SELECT sender, msg_id, recipient, content FROM messages ORDER BY id"
        ):
            names.append(_Name(sender, recipient, content))
            stored[sender, msg_id] = names[-1]
        for name, msg_id in self._accepted.items():
            if stored.get((name.sender, msg_id)) != name:
                self._add(self._lost, name, f"was accepted as {msg_id} and is not in the database")
        for log in self._logs.values():
            for name, number, _ in log.received:
                if number is not None and stored.get((name.sender, number)) != name:
                    self._add(self._never_sent, name, f"was received as {number}, never stored")
        self._judge_repeats(names, "is in the database")
        self._judge_origin(names, "is in the database")

    def judge_mailboxes(self, database: sqlite3.Connection) -> None:
        """Numbers without a gap, each for one message of that user, in the order of sending."""
        mailboxes: dict[str, list[tuple[int, _Name]]] = defaultdict(list)
        numbers: dict[str, set[int]] = defaultdict(set)
        columns = {row[1] for row in database.execute("PRAGMA table_info(mailbox_entries)")}
        kind = "e.kind" if "kind" in columns else str(_MESSAGE)  # the first release had no others
        for user, seq, what, sender, recipient, content, own in database.execute(
            f"SELECT e.user, e.seq, {kind}, m.sender, m.recipient, m.content, m.seq"  # noqa: S608
            " FROM mailbox_entries e"
            " LEFT JOIN messages m ON m.id = e.message_id ORDER BY e.user, e.seq"
        ):
            numbers[user].add(seq)
            if what != _MESSAGE:
                continue  # a receipt, or what another device has read
            mailboxes[user].append((seq, _Name(sender, recipient, content)))
            # what its other devices have sent stands in a mailbox too
            if sender != user and (recipient != user or own != seq):
                self._gap(f"number {seq} in the mailbox of user {user} stands for no message of it")
        for user, head in database.execute("SELECT user, head FROM mailboxes"):
            missing = set(range(1, head + 1)).symmetric_difference(numbers[user])
            for seq in sorted(missing):
                self._gap(f"number {seq} is missing in the mailbox of user {user}, or too much")
            self._judge_order([name for _, name in mailboxes[user]], "is in the mailbox")
        for (count,) in database.execute(
            "SELECT count(*) FROM messages m WHERE NOT EXISTS"
            " (SELECT 1 FROM mailbox_entries e WHERE e.message_id = m.id)"
        ):
            if count:
                self._gap(f"{count} messages stand in no mailbox", count)

    def judge_fences(self, database: sqlite3.Connection) -> None:
        """Nothing was written by an older log-in of a device after a newer one."""
        (self._logins,) = database.execute(
            "SELECT count(*) FROM fences WHERE device <> ''"
        ).fetchone()
        for sender, msg_id, generation, newer in database.execute(
            "SELECT m.sender, m.msg_id, m.generation, min(f.generation) FROM messages m"
            " JOIN fences f ON f.user = m.sender AND f.device = m.device"
            " WHERE m.device <> '' AND f.generation > m.generation AND m.id > f.last_message_id"
            " GROUP BY m.id ORDER BY m.id"
        ):
            self._behind += 1
            self._problems["behind a fence"].append(
                f"message {msg_id} of user {sender} was written by log-in {generation} of its "
                f"device, after log-in {newer}"
            )

    def verdict(self) -> Verdict:
        """The sum."""
        problems: list[str] = []
        for kind, texts in self._problems.items():
            problems += [f"{kind}: {text}" for text in texts[:_EXAMPLES]]
            if len(texts) > _EXAMPLES:
                problems.append(f"{kind}: … and {len(texts) - _EXAMPLES} more")
        return Verdict(
            sent=len(self._queued),
            accepted=len(self._accepted),
            delivered=len(self._received & self._queued.keys()),
            failed=len(self._failed),
            undecided=len(self._queued.keys() - self._accepted.keys() - self._failed.keys()),
            lost=len(self._lost),
            duplicated=self._repeats.total(),
            redelivered=self._redelivered,
            out_of_order=len(self._disordered) + self._behind,
            behind_a_fence=self._behind,
            never_sent=len(self._never_sent),
            mailbox_gaps=self._gaps,
            logins=self._logins,
            truncated_logs=sum(log.truncated for log in self._logs.values()),
            problems=problems,
        )

    # ------------------------------------------------------------ rules used twice

    def _untold(self, log: _Log) -> list[_Name]:
        """What it was given, without repeats that were told to be some."""
        seen: set[_Name] = set()
        names: list[_Name] = []
        for name, _, told in log.received:
            if told and name in seen:
                self._redelivered += 1
            else:
                names.append(name)
            seen.add(name)
        return names

    def _judge_repeats(self, names: list[_Name], where: str) -> None:
        for name, count in Counter(names).items():
            if count > 1:
                if name not in self._repeats:
                    self._problems["duplicated"].append(f"{self._say(name)} {where} {count} times")
                self._repeats[name] = max(self._repeats[name], count - 1)

    def _judge_order(self, names: list[_Name], where: str) -> None:
        newest: dict[str, int] = {}
        for name in dict.fromkeys(names):
            place = self._position.get(name)
            if place is None:
                continue
            if place < newest.get(name.sender, -1):
                self._add(self._disordered, name, f"{where} behind a later one")
            else:
                newest[name.sender] = place

    def _judge_origin(self, names: list[_Name], where: str) -> None:
        for name in names:
            if name not in self._queued:
                # an application that was killed has perhaps not got to writing it down
                self._add(self._never_sent, name, f"{where} and was never sent")
            elif self._failed.get(name, "IN_DOUBT") != "IN_DOUBT":
                self._add(self._never_sent, name, f"{where} and was reported as failed")

    def _add(self, found: set[_Name], name: _Name, text: str) -> None:
        if name in found:
            return
        found.add(name)
        kinds = {id(self._lost): "lost", id(self._disordered): "out of order"}
        self._problems[kinds.get(id(found), "never sent")].append(f"{self._say(name)} {text}")

    def _gap(self, text: str, count: int = 1) -> None:
        self._gaps += count
        self._problems["mailbox"].append(text)

    def _say(self, name: _Name) -> str:
        number = self._queued.get(name)
        which = "an unknown message" if number is None else f"message {number}"
        return f"{which} of user {name.sender} to user {name.recipient}"


def _joined(parts: Iterable[dict[_Name, Any]]) -> dict[_Name, Any]:
    return {name: value for part in parts for name, value in part.items()}


# ---------------------------------------------------------------- the command


def audit_command(directory: Path, json_output: bool = False) -> int:
    """Print the verdict on a directory; returns the exit code.

    0: the promise was kept; 1: it was broken; 2: there is something that can't be read.
    """
    try:
        verdict = audit(directory)
    except AuditError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    rows = verdict.as_dict()
    if json_output:
        sys.stdout.write(json.dumps(rows) + "\n")
        return 0 if verdict.kept else 1
    problems = rows.pop("problems")
    for name, value in rows.items():
        sys.stdout.write(f"{name.replace('_', ' '):<16}{value:>10}\n")
    for problem in problems:
        sys.stdout.write(f"  {problem}\n")
    return 0 if verdict.kept else 1


if __name__ == "__main__":
    raise SystemExit(audit_command(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
