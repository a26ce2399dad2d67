"""`ServerEngineMachine`: it finds nothing wrong with the server, and every sabotage of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from im_proto.config import ServerConfig
from im_proto.server import actions as act
from im_proto.server import entrance, mail, talk
from im_proto.server import hub as h
from im_proto.server.commits import Commits
from im_proto.server.engine import ServerEngine
from im_proto.server.gateway import Gateway
from im_proto.server.hub import Hub
from im_proto.server.login import Login
from im_proto.server.session import Session
from im_proto.testing import memory
from im_proto.testing.machines import ServerEngineMachine
from testing_kit.machine_kit import SOUND, fails, reached, server_machine, wrap

Patch = pytest.MonkeyPatch
A = Any


class TestAnyServer(ServerEngineMachine.TestCase):  # type: ignore[name-defined,misc]
    settings = SOUND


def test_the_machine_gets_where_it_is_meant_to_get() -> None:
    """Guards the machine itself: without log-ins and messages it would prove nothing."""
    seen = reached(ServerEngineMachine, 200)
    for name in ("AuthResponse", "ChatSendResponse", "StoreCommit", "StoreLogin"):
        assert seen[name] > 30, seen
    for name in ("ChatRedirectToUser", "StoreRead", "Kick", "PauseReading"):
        assert seen[name] > 5, seen
    for name in ("SyncResponse", "Drained", "AbortTransport", "HeartbeatResponse", "ChatError"):
        assert seen[name] > 0, (name, seen)


# --- each a bug that somebody could write


def answered_before_the_commit(p: Patch) -> None:
    def submitted(self: A, asked: A) -> None:
        if self._roster.get(asked.connection) is not None:
            for message in asked.messages:
                self._tell(asked.connection, talk.Answer(msg_id=message.msg_id, code=0))

    p.setitem(h._HANDLERS, talk.Submitted, submitted)


def answered_twice(p: Patch) -> None:
    original = Hub._answer

    def answer(self: A, connection: int, what: A) -> None:
        original(self, connection, what)
        original(self, connection, what)

    p.setattr(Hub, "_answer", answer)


def never_answered(p: Patch) -> None:
    p.setattr(Hub, "_answer", lambda self, connection, what: None)


def answered_with_a_retryable_code(p: Patch) -> None:
    p.setattr(mail, "_answer", lambda s, result: talk.Answer(msg_id=s.msg_id, code=50000))


def written_in_another_order(p: Patch) -> None:
    def turn(_: A, self: A, *a: A) -> None:
        for queue in self._line._queues.values():
            queue.rotate(1)

    wrap(p, Commits, "submit", turn)


def two_commits_at_once(p: Patch) -> None:
    original = Commits.next

    def next_(self: A, *a: A, **k: A) -> A:
        self._committing = None
        return original(self, *a, **k)

    p.setattr(Commits, "next", next_)


def a_push_is_left_out(p: Patch) -> None:
    original = Hub._on_read

    def read(self: A, done: A) -> None:
        session = self._roster.get(self._reads.get(done.request, -1))
        if session is not None and done.entries and session.reading == done.request:
            session.sent = done.entries[0].seq
        original(self, done)

    def tell(self: A, connection: int, what: A) -> None:
        if isinstance(what, talk.Push):
            if len(what.entries) == 1:
                return
            what = talk.Push(entries=what.entries[1:])
        self.desk.tell(connection, what)

    p.setitem(h._HANDLERS, h.ReadDone, read)
    p.setattr(Hub, "_tell", tell)


def a_connection_goes_on_after_a_conflict(p: Patch) -> None:
    original = Hub._end_senders

    def end_senders(self: A, connections: A, why: str, **more: A) -> None:
        if "msgId" not in why:
            original(self, connections, why, **more)

    p.setattr(Hub, "_end_senders", end_senders)


def what_is_behind_a_conflict_is_committed(p: Patch) -> None:
    p.setattr(Commits, "drop", lambda self, gone: None)


def a_message_overtakes_a_conflict(p: Patch) -> None:
    from im_proto.server import commit

    def decide(result: A, self: A, new: A) -> A:
        self._held.clear()
        return result

    wrap(p, commit._Desk, "decide", decide)


def nobody_is_woken(p: Patch) -> None:
    original = Hub._pump

    def pump(self: A, session: A) -> None:
        if session.sent == 0:
            original(self, session)

    p.setattr(Hub, "_pump", pump)


def no_end_of_unacked(p: Patch) -> None:
    def room(self: A, unacked: int) -> int:
        return 0 if self.reading is not None or self.sent >= self.head else 99

    p.setattr(Session, "room", room)


def another_content_is_pushed(p: Patch) -> None:
    original = memory.MemoryStore.read

    def read(self: A, action: A) -> A:
        self._entries = {
            user: [n._replace(what=_blurred(n.what)) for n in entries]
            for user, entries in self._entries.items()
        }
        return original(self, action)

    p.setattr(memory.MemoryStore, "read", read)


def _blurred(what: A) -> A:
    return what._replace(content="?") if isinstance(what, memory.Message) else what


def a_device_may_be_here_twice(p: Patch) -> None:
    p.setattr(Hub, "_replace", lambda self, asked, login: None)
    from im_proto.server.roster import Roster

    p.setattr(Roster, "of_device", lambda self, user, device: None)


def who_is_fenced_stays(p: Patch) -> None:
    p.setattr(Hub, "_lost_elsewhere", lambda self, sessions: None)


def who_only_acknowledges_and_is_fenced_stays(p: Patch) -> None:
    p.setattr(Hub, "_on_fenced_cursor", lambda self, move: None)


def a_new_login_begins_at_the_end(p: Patch) -> None:
    start = entrance.start_of
    p.setattr(
        entrance,
        "start_of",
        lambda login, resume, first: type(start(login, resume, first))(
            base=login.head, resume=None
        ),
    )


def more_is_granted_than_asked(p: Patch) -> None:
    def verified(refusal: A, self: A, what: A) -> A:
        self.granted = frozenset({"seq", "batch"})
        return refusal

    wrap(p, Login, "verified", verified)


def online_for_ever(p: Patch) -> None:
    p.setattr(Hub, "_on_left", lambda self, left: None)
    p.setitem(h._HANDLERS, talk.Left, lambda self, left: None)


def connections_are_kept(p: Patch) -> None:
    p.setattr(ServerEngine, "closed", property(lambda self: False))


def a_deadline_that_does_not_move(p: Patch) -> None:
    from im_proto.server.connection import Connection

    def time(_: None, self: A, passed: A) -> None:
        if self.state == "online":
            self._timers.set(next(iter(self._timers._deadlines)), self._now)

    wrap(p, Connection, "_on_time", time)
    from im_proto.server import core, inputs

    p.setitem(core._HANDLERS, inputs.TimePassed, Connection._on_time)


def stale_answers_count(p: Patch) -> None:
    def failed(self: A, what: A) -> None:
        if what.request < 10**9:
            Hub._on_store_failed(self, what)
            return
        for session in self._roster.all():
            self._tell(session.connection, talk.End(code=1013, reason="the store is gone"))

    p.setitem(h._HANDLERS, h.StoreFailed, failed)


def more_after_the_end(p: Patch) -> None:
    def step(done: A, self: A, event: A, now: float) -> A:
        for action in list(done):
            if isinstance(action, act.AbortTransport | act.CloseTransport):
                done.append(act.SendBytes(connection=action.connection, data=b"more"))
        return done

    wrap(p, Gateway, "step", step)


def frames_with_a_mask(p: Patch) -> None:
    def write(self: A, done: A, data: bytes) -> None:
        if not data.startswith(b"HTTP"):
            data = bytes([data[0], data[1] | 0x80]) + data[2:]
        done.append(act.SendBytes(connection=self._connection, data=data))

    p.setattr(ServerEngine, "_write", write)


def a_client_can_raise(p: Patch) -> None:
    from im_proto.server.core import ServerCore

    def dispatch(self: A, message: A) -> None:
        raise AssertionError("raised by what a client said")

    p.setattr(ServerCore, "_dispatch", dispatch)


def the_store_takes_repeats(p: Patch) -> None:
    """A store's bug, not the server's: this machine tests both."""
    original = memory.plan_commit

    def plan(submissions: A, cursors: A, snapshot: A, at: int, **more: A) -> A:
        from dataclasses import replace

        return original(submissions, cursors, replace(snapshot, earlier=()), at, **more)

    p.setattr(memory, "plan_commit", plan)


def the_store_leaves_a_hole(p: Patch) -> None:
    from dataclasses import replace

    def commit(done: A, self: A, action: A) -> A:
        results = [replace(r, seq=r.seq + 1) if hasattr(r, "seq") else r for r in done.results]
        return replace(done, results=tuple(results))

    wrap(p, memory.MemoryStore, "commit", commit)


#: met in the first few runs: these go with every run of the tests
QUICK = {
    answered_before_the_commit,
    never_answered,
    answered_with_a_retryable_code,
    written_in_another_order,
    a_push_is_left_out,
    a_connection_goes_on_after_a_conflict,
    no_end_of_unacked,
    who_only_acknowledges_and_is_fenced_stays,
    another_content_is_pushed,
    a_deadline_that_does_not_move,
    the_store_leaves_a_hole,
}
SABOTAGES: list[tuple[Callable[[Patch], None], str, dict[str, Any]]] = [
    (answered_before_the_commit, "which was not committed", {}),
    (answered_twice, "oftener than it was sent", {}),
    (never_answered, "is not answered", {}),
    (answered_with_a_retryable_code, "a retryable code", {}),
    (written_in_another_order, "which came earlier, or never", {}),
    (two_commits_at_once, "two commits at once|is not answered", {}),
    (a_push_is_left_out, r"pushed \d after 0|and nothing is under way", {}),
    (a_connection_goes_on_after_a_conflict, r"connection \d+ goes on|came earlier, or never", {}),
    (what_is_behind_a_conflict_is_committed, "which came earlier, or never", {}),
    (a_message_overtakes_a_conflict, "overtake a conflict", {}),
    (nobody_is_woken, "and nothing is under way", {}),
    (no_end_of_unacked, "pushes beyond the ack", {"unacked": 1}),
    (another_content_is_pushed, "the mailbox has|in no mailbox", {}),
    (a_device_may_be_here_twice, "two connections of one device", {}),
    (who_is_fenced_stays, r"connection \d+ goes on", {}),
    (who_only_acknowledges_and_is_fenced_stays, r"connection \d+ goes on", {}),
    (a_new_login_begins_at_the_end, "begin with the oldest|never acknowledged", {}),
    (more_is_granted_than_asked, "was not asked for|that nobody asked for|was not granted", {}),
    (online_for_ever, "are online", {}),
    (connections_are_kept, "kept after its end|waits for nothing|is gone", {}),
    (a_deadline_that_does_not_move, "no time would pass", {}),
    (stale_answers_count, "not what the store was asked", {}),
    (more_after_the_end, "it is gone", {}),
    (frames_with_a_mask, "the server broke RFC 6455", {}),
    (a_client_can_raise, "raised by what a client said", {}),
    (the_store_takes_repeats, "the store took .* twice", {}),
    (the_store_leaves_a_hole, "the mailbox has|was not committed", {}),
]


@pytest.mark.parametrize(
    ("sabotage", "words", "config"),
    [
        pytest.param(*s, id=s[0].__name__, marks=[] if s[0] in QUICK else [pytest.mark.slow])
        for s in SABOTAGES
    ],
)
def test_the_machine_finds_a_server_in_which(
    sabotage: Callable[[Patch], None],
    words: str,
    config: dict[str, Any],
    monkeypatch: Patch,
) -> None:
    sabotage(monkeypatch)
    fails(server_machine(**config), words)


def test_a_machine_may_bring_a_configuration_and_a_store_of_its_own() -> None:
    class Mine(ServerEngineMachine):
        def make_config(self) -> ServerConfig:
            return ServerConfig(path="/mine")

        def make_store(self) -> memory.MemoryStore:
            return memory.MemoryStore(epoch=self.draw(memory_epochs))

    from hypothesis import strategies as st

    memory_epochs = st.sampled_from(["e0", "e7"])
    seen = reached(Mine, 5)
    assert seen["AuthResponse"]
