"""Every promise that the world checks can be broken: break it once, and be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from im_proto.client import events as ev
from im_proto.client.incoming import Inbox, Seen
from im_proto.client.outgoing import Outbox
from im_proto.client.sending import Sending
from im_proto.server import Hub
from im_proto.server import actions as sa
from im_proto.server import inputs as si
from im_proto.server.records import MailboxEntry, Stored
from im_proto.server.session import Session
from im_proto.testing import Handles, SimWorld
from im_proto.testing.memory import MemoryStore
from im_proto.testing.sim.hearsay import Hearsay
from im_proto.timers import Timers
from simulation.sim_kit import broken, live, two

Patch = pytest.MonkeyPatch
Commit = Callable[[MemoryStore, sa.StoreCommit], si.Committed]


def test_it_is_all_right_as_long_as_nothing_is_broken() -> None:
    for seed in range(3):
        live(seed)


# ---------------------------------------------------------------- what is in the store


def commits(patch: Patch, twist: Callable[[Commit], Commit]) -> None:
    patch.setattr(MemoryStore, "commit", twist(MemoryStore.commit))


def test_accepted_and_not_stored(monkeypatch: Patch) -> None:
    def lying(commit: Commit) -> Commit:
        def lie(store: MemoryStore, action: sa.StoreCommit) -> si.Committed:
            done = commit(store, replace(action, submissions=()))
            results = tuple(
                Stored(key=s.key, to_user=s.to_user, seq=1, timestamp=1, repeat=True)
                for s in action.submissions
            )
            return replace(done, results=results)

        return lie

    commits(monkeypatch, lying)
    broken("was accepted and is not in the store")


def test_stored_twice(monkeypatch: Patch) -> None:
    def forgetful(commit: Commit) -> Commit:
        def forget(store: MemoryStore, action: sa.StoreCommit) -> si.Committed:
            store._by_identity.clear()
            return commit(store, action)

        return forget

    commits(monkeypatch, forgetful)
    broken("is in the store twice")


def test_stored_in_another_order(monkeypatch: Patch) -> None:
    def backwards(commit: Commit) -> Commit:
        def reverse(store: MemoryStore, action: sa.StoreCommit) -> si.Committed:
            done = commit(store, replace(action, submissions=action.submissions[::-1]))
            return replace(done, results=done.results[::-1])

        return reverse

    commits(monkeypatch, backwards)
    broken("was overtaken on its way into the store")


def test_stored_and_sent_by_nobody(monkeypatch: Patch) -> None:
    def inventive(commit: Commit) -> Commit:
        def invent(store: MemoryStore, action: sa.StoreCommit) -> si.Committed:
            made = tuple(replace(s, content="made up") for s in action.submissions)
            return commit(store, replace(action, submissions=made))

        return invent

    commits(monkeypatch, inventive)
    broken("nobody has sent 'made up'")


def test_cancelled_and_stored_all_the_same(monkeypatch: Patch) -> None:
    def finish(outbox: Outbox, message: Any, event: str) -> None:
        message.to(event)  # and it goes on waiting for its turn
        message.state = "queued"

    world, one, _ = two()
    one.disconnect()
    ref = one.send(2, "never")
    assert ref is not None
    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "finish", finish)
        assert one.cancel(ref)
    one.connect()
    broken("ended as MESSAGE_CANCELLED and was stored later", lambda: world.settle(120))


def test_an_end_after_the_end(monkeypatch: Patch) -> None:
    accept = Sending._accept

    def twice(sending: Sending, message: Any, response: Any) -> None:
        accept(sending, message, response)
        sending._fx.notify(sending._fx.actions[-1].event)  # type: ignore[union-attr]

    monkeypatch.setattr(Sending, "_accept", twice)
    broken("ended a second time: accepted")


# ---------------------------------------------------------------- what is delivered


def test_delivered_twice(monkeypatch: Patch) -> None:
    look_at = Inbox.look_at

    def naive(inbox: Inbox, *push: Any, numbered: bool) -> Seen:
        inbox._known.clear()
        look_at(inbox, *push, numbered=numbered)
        return Seen.NEW

    def resume(_: Inbox) -> None:
        return None

    monkeypatch.setattr(Inbox, "look_at", naive)
    monkeypatch.setattr(Inbox, "resume", resume)  # the server goes on behind the last ack

    def slow() -> None:
        world, one, other = two()
        other.app.handles = Handles.NEVER
        for n in range(5):
            one.send(2, str(n))
        world.run(1)
        assert other.end is not None
        world.network.cut(other.end)
        world.run(10)

    broken("was delivered to c2 twice", slow)


def reads(patch: Patch, read: Callable[[MemoryStore, sa.StoreRead], si.ReadDone]) -> None:
    patch.setattr(MemoryStore, "read", read)


def test_delivered_out_of_order(monkeypatch: Patch) -> None:
    read = MemoryStore.read

    def backwards(store: MemoryStore, action: sa.StoreRead) -> si.ReadDone:
        done = read(store, action)
        contents = [e.content for e in done.entries if isinstance(e, MailboxEntry)]
        entries = tuple(
            replace(entry, content=contents.pop()) if isinstance(entry, MailboxEntry) else entry
            for entry in done.entries
        )
        return replace(done, entries=entries)

    reads(monkeypatch, backwards)
    broken("was delivered to c2 too late")


def test_delivered_and_stored_nowhere(monkeypatch: Patch) -> None:
    read = MemoryStore.read

    def inventive(store: MemoryStore, action: sa.StoreRead) -> si.ReadDone:
        done = read(store, action)
        made_up = tuple(
            replace(e, content="made up") if isinstance(e, MailboxEntry) else e
            for e in done.entries
        )
        return replace(done, entries=made_up)

    reads(monkeypatch, inventive)
    broken("'made up' was delivered to c2 and is not stored")


def test_never_delivered(monkeypatch: Patch) -> None:
    look_at = Inbox.look_at

    def careless(inbox: Inbox, seq: Any, message: Any, *, numbered: bool) -> Seen:
        seen = look_at(inbox, seq, message, numbered=numbered)
        return Seen.REPEAT if message is not None and message[1] == "7" else seen

    monkeypatch.setattr(Inbox, "look_at", careless)
    broken("c1 was told that '7' was delivered")
    monkeypatch.setattr(Hearsay, "_check", lambda *_: None)
    broken("'7' .seq 8. did not reach device .* of user 2")


# ---------------------------------------------------------------- machines, time, bounds


def test_machines_that_do_not_go_together() -> None:
    world, one, _ = two()
    assert one.engine is not None
    one.engine.core.connection = "disconnected"
    broken("authenticated => connection open", lambda: world.run(60))


def test_a_deadline_that_has_come_and_stays() -> None:
    world, one, _ = two()
    assert one.engine is not None
    now = one.now
    one.engine.next_deadline = lambda: now  # type: ignore[method-assign]
    one.arm()
    broken("c1: woken at .* it wants to be woken at", lambda: world.run(60))


def test_a_server_whose_deadline_stays(monkeypatch: Patch) -> None:
    world, *_ = two()

    def keep(timers: Timers[Any], now: float) -> list[Any]:
        return []

    monkeypatch.setattr(Timers, "pop_due", keep)
    broken("woken at .* it wants to be woken at", lambda: world.run(60))


def test_time_that_stands_still() -> None:
    world = SimWorld(1)

    def again() -> None:
        world.later(0.0, again)

    again()
    broken("a livelock", lambda: world.run(1))


def test_too_many_messages_in_flight(monkeypatch: Patch) -> None:
    take = Outbox.take
    monkeypatch.setattr(Outbox, "take", lambda box, window: take(box, window=1000))
    world, one, _ = two(in_flight=2)
    world.server.commit_time = 1.0
    broken(
        "c1: 3 messages are unanswered", lambda: [one.send(2, str(n)) for n in range(5)] and None
    )


def test_too_many_messages_that_wait() -> None:
    world, one, _ = two(max_queue=3)
    world.server.kill()
    assert [one.send(2, str(n)) for n in range(5)][2:] == [3, None, None]
    assert one.engine is not None
    one.engine.core.sending.admission._most = 10
    broken("c1: 4 messages wait", lambda: one.send(2, "one more"))


def test_too_many_pushes_without_an_ack(monkeypatch: Patch) -> None:
    monkeypatch.setattr(
        Session,
        "room",
        lambda session, unacked: 0 if session.reading or session.sent >= session.head else 1000,
    )
    world, one, other = two()
    world.server.reconfigure(world.server.config.model_copy(update={"unacked": 3}))
    other.app.handles = Handles.NEVER

    def talk() -> None:
        for n in range(20):
            one.send(2, str(n))
            other.send(1, str(n))
            world.run(2)

    broken("pushes without an ack", talk)


def test_a_buffer_that_nobody_stops_filling() -> None:
    _world, one, _ = two()
    assert one.end is not None
    one.end.window = 1
    one.end.buffered = 1_000_000

    broken("c1 has written 10001.. bytes too many", lambda: one.send(2, "hello"))


def test_blame_on_a_stream_that_nobody_has_touched(monkeypatch: Patch) -> None:
    world, one, other = two()
    assert one.end is not None
    world.network.write(one.end.other, b"\x01\x02 nonsense")
    broken("c1 blames the server", lambda: world.run(5))

    assert other.end is not None
    world.network.write(other.end, b"\x01\x02 nonsense")
    broken("the server blames c2", lambda: world.run(5))


def test_a_capable_server_that_is_taken_for_a_plain_one() -> None:
    world, one, _ = two()
    broken(
        "c1 takes a capable server for a plain one",
        lambda: world.invariants.event(one, ev.ExtensionsRefused(ws_url="ws://server/ws")),
    )


# ---------------------------------------------------------------- rest


def test_no_rest(monkeypatch: Patch) -> None:
    failed = [0]

    def never(hub: Hub, connection: int, answer: Any) -> None:
        failed[0] += 1

    monkeypatch.setattr(Hub, "_answer", never)
    error = broken("no rest within 300 s")
    assert failed[0] > 10
    assert "40 pending" in error.text
    assert "c1" in error.text


def test_something_is_left_behind() -> None:
    world, _, _ = two()
    assert world.server.gateway is not None
    world.server.gateway.hub._reads[999] = 7
    broken("the server is at rest, and there are 1 reads", world.settle)


def test_a_failure_says_where_and_how_it_came_to_it() -> None:
    world = SimWorld(77)
    world.client(1).connect()
    world.run(2)
    failure = broken("something", lambda: world.fail("something is wrong"))
    assert (failure.seed, failure.at, failure.step) == (77, world.now, world.steps)
    assert str(failure).startswith("seed 77, at 2.000000 s, step ")
    assert any("* Authenticated" in line for line in failure.tail)
