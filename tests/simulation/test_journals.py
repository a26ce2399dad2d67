"""What a journal promises, and how the world finds one that does not keep it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from im_proto.client import Status
from im_proto.client import events as ev
from im_proto.client import journal as jn
from im_proto.client.incoming import Inbox
from im_proto.client.keys import Keys
from im_proto.client.recording import Recording
from im_proto.errors import IMErrorCode
from im_proto.testing import FAULTS, Handles, SimWorld
from im_proto.testing.sim.chaos import Chaos
from im_proto.testing.sim.client import ClientNode
from im_proto.testing.sim.ledger import Ledger
from simulation.sim_kit import broken, log_in

Patch = pytest.MonkeyPatch


def journaled(seed: int = 1, **config: Any) -> tuple[SimWorld, ClientNode, ClientNode, Chaos]:
    """User 1 and user 2, each with a journal, logged in, and who can hit them."""
    world = SimWorld(seed)
    one, other = (
        world.client(user, journal=True, device_id=f"d{user}", **config) for user in (1, 2)
    )
    log_in(world)
    return world, one, other, Chaos(world, FAULTS, gap=1.0)


def restart(world: SimWorld, client: ClientNode) -> None:
    client.crash()
    world.run(0.5)
    client.start()
    client.connect()


def forgets(patch: Patch, *kinds: type) -> None:
    """A disk that says that it has written such changes, and has not."""
    apply = jn.JournalState.apply

    def careless(state: jn.JournalState, changes: Iterable[jn.Change]) -> None:
        apply(state, [change for change in changes if not isinstance(change, kinds)])

    patch.setattr(jn.JournalState, "apply", careless)


# ---------------------------------------------------------------- what is sent


def stored_and_untold(**how: Any) -> tuple[SimWorld, ClientNode, ClientNode]:
    """User 1 dies when its message is in the store and the answer on its way; then all settles."""
    world, one, other, _ = journaled()
    one.send(2, "untold", **how)
    assert world.run(1, lambda: len(world.server.store.messages) == 1)
    assert not one.accepted
    restart(world, one)
    world.settle(300)
    return world, one, other


def test_what_is_on_disk_goes_on_in_the_next_life() -> None:
    world, one, other, _ = journaled()
    world.server.kill()
    for n in range(3):
        one.send(2, str(n))
    world.run(1)
    restart(world, one)
    assert world.ledger.pending(one) == 3
    world.server.start()
    world.settle()
    assert [message.content for message in other.received] == ["0", "1", "2"]
    assert len(one.accepted) == 3


def test_what_was_stored_and_not_answered_is_accepted_in_the_next_life() -> None:
    _, one, other = stored_and_untold()
    assert [message.content for message in one.accepted] == ["untold"]
    assert [message.content for message in other.received] == ["untold"]


def test_a_journal_that_forgets_what_was_sent(monkeypatch: Patch) -> None:
    forgets(monkeypatch, jn.OutgoingRecord)
    broken("'untold' was sent before its record was on disk", stored_and_untold)
    monkeypatch.setattr(Ledger, "_check_record", lambda *_: None)
    broken("message 1 of c1 is stored, the journal lacks it", stored_and_untold)


def test_a_message_that_is_sent_before_its_record_is_on_disk(monkeypatch: Patch) -> None:
    def live() -> None:
        world, one, _, _ = journaled()
        one.journal_time = 1.0
        one.send(2, "too early")
        world.settle()

    live()
    monkeypatch.setattr(Recording, "written", property(lambda recording: 10**9))
    broken("'too early' was sent before its record was on disk", live)


def test_what_was_not_on_disk_and_is_stored_all_the_same() -> None:
    world, one, _, _ = journaled()
    one.journal_time = 5.0
    one.send(2, "never written")
    world.run(0.1)
    restart(world, one)
    submitted = world.ledger._messages[1, 2, "never written"]
    assert submitted.end == "unwritten"
    two = world.client(3)
    two.connect()
    world.run(2)
    world.ledger._messages[3, 2, "by another way"] = submitted
    broken("ended as unwritten", lambda: two.feed(_send("by another way")) or world.run(2))


def _send(content: str) -> Any:
    from im_proto.client import inputs as inp

    return inp.Send(ref=99, to_user=2, content=content)


def test_a_keyed_send_is_repeated_after_a_restart_and_stored_once() -> None:
    stored = set()
    for seed in range(12):
        world, one, other, _ = journaled(seed)
        one.journal_time = 0.05
        one.send(2, "keyed", key="k")
        world.run(world.rng.uniform(0.0, 0.2))
        restart(world, one)
        one.journal_time = 0.002
        world.settle()
        assert [message.content for message in other.received] == ["keyed"]
        stored.add(world.ledger.submissions)
    assert stored == {1, 2}  # in some lives the journal had it, in others it was sent again


def test_a_key_that_is_forgotten(monkeypatch: Patch) -> None:
    stored_and_untold(key="k")
    monkeypatch.setattr(Keys, "ref_of", lambda keys, key, wall_ms: None)
    broken(
        "c1 does not know the key of 'untold', which is on its way",
        lambda: stored_and_untold(key="k"),
    )


# ---------------------------------------------------------------- what is received


def reads_and_dies(
    *, handles: Handles = Handles.AT_ONCE, exactly_once: bool = False
) -> Callable[[], tuple[SimWorld, ClientNode]]:
    """Is given messages, handles some of them, dies, and begins anew."""

    def live() -> tuple[SimWorld, ClientNode]:
        world, one, other, _ = journaled()
        other.app.handles = handles
        other.app.exactly_once = exactly_once
        for n in range(6):
            one.send(2, str(n))
        world.run(1)
        for n, message in enumerate(list(other.received)):
            if n % 2 == 0 and message.delivery in other.app.waiting:
                other.handle(message)
        world.run(0.1)
        restart(world, other)
        other.app.handles = Handles.AT_ONCE
        world.settle(300)
        return world, other

    return live


def test_what_may_have_been_seen_comes_again_flagged() -> None:
    _, other = reads_and_dies(handles=Handles.ASKED)()
    again = other.received[6:]
    assert [message.content for message in again] == ["1", "3", "5"]
    assert all(message.redelivered for message in again)
    assert not any(message.redelivered for message in other.received[:6])


def test_a_redelivery_that_is_not_flagged(monkeypatch: Patch) -> None:
    def blank(inbox: Inbox, kept: jn.JournalState) -> None:
        restore(inbox, kept)
        inbox.seen_before = 0

    restore = Inbox._restore
    monkeypatch.setattr(Inbox, "_restore", blank)
    broken("came to c2 again, as if it were new", reads_and_dies(handles=Handles.ASKED))


def test_a_journal_that_forgets_what_was_offered(monkeypatch: Patch) -> None:
    forgets(monkeypatch, jn.Offered)
    broken("came to c2 again, as if it were new", reads_and_dies(handles=Handles.ASKED))


def test_an_exactly_once_application_does_nothing_twice() -> None:
    world, other = reads_and_dies(handles=Handles.ASKED, exactly_once=True)()
    done = world.ledger._installed[other].done
    assert len(done) == 6


def test_an_exactly_once_application_that_handles_twice(monkeypatch: Patch) -> None:
    forgets(monkeypatch, jn.Handled, jn.PairKnown)
    broken("was handled by c2 twice", reads_and_dies(handles=Handles.ASKED, exactly_once=True))


def test_a_cursor_that_is_acknowledged_before_it_is_on_disk(monkeypatch: Patch) -> None:
    def live() -> None:
        world, one, other, _ = journaled()
        other.app.handles = Handles.ASKED
        one.send(2, "seen")
        world.run(1)
        other.journal_time = 5.0
        other.handle(other.received[0])
        world.run(1)
        assert not any(
            d.cursor for (user, _), d in world.server.store._devices.items() if user == 2
        )
        world.run(20)
        assert any(d.cursor for (user, _), d in world.server.store._devices.items() if user == 2)

    live()
    monkeypatch.setattr(Inbox, "to_acknowledge", lambda inbox: inbox.handled)
    with pytest.raises(AssertionError):
        live()


def test_an_application_that_always_fails_is_told_what_it_loses() -> None:
    world, one, other, _ = journaled(handler_attempts=3)
    other.app.clumsy = 1.0
    one.send(2, "hard")
    world.run(2)
    assert [message.attempt for message in other.received] == [1, 2, 3]
    (lost,) = [event for event in other.events if isinstance(event, ev.MessageUndeliverable)]
    assert (lost.content, lost.attempts) == ("hard", 3)
    world.settle()


def test_an_undeliverable_message_that_is_not_told(monkeypatch: Patch) -> None:
    from im_proto.client.receiving import Receiving

    def quiet(receiving: Receiving, delivery: int) -> None:
        again = receiving.inbox.fail(delivery, receiving._config.handler_attempts)
        if again is not None:
            receiving._fx.notify(again)
        else:
            receiving.inbox.handle(delivery)

    def live() -> None:
        world, one, other, _ = journaled(handler_attempts=2)
        other.app.clumsy = 1.0
        one.send(2, "hard")
        world.run(2)
        other.app.clumsy = 0.0
        restart(world, other)
        world.settle(60)

    live()
    monkeypatch.setattr(Receiving, "failed", quiet)
    broken("c1 was told that 'hard' was delivered", live)


def test_given_up_too_early(monkeypatch: Patch) -> None:
    fail = Inbox.fail
    monkeypatch.setattr(Inbox, "fail", lambda inbox, delivery, attempts: fail(inbox, delivery, 1))

    def live() -> None:
        world, one, other, _ = journaled(handler_attempts=3)
        other.app.clumsy = 1.0
        one.send(2, "hard")
        world.run(2)

    broken("c2: undeliverable after 1 attempts", live)


# ---------------------------------------------------------------- the faults


def test_a_disk_that_is_full_fails_new_sends_and_says_so() -> None:
    world, one, other, chaos = journaled()
    while not one.journal_failing:
        assert FAULTS["journal_fails"](chaos)
    one.journal_failing = 1.0
    one.send(2, "no room")
    world.run(0.1)
    assert [event.error.code for event in one.failed] == [IMErrorCode.JOURNAL_FAILED]
    chaos.heal()
    assert one.journal_failing == 0.0
    one.send(2, "room")
    world.settle()
    assert "room" in [message.content for message in other.received]
    assert "no room" not in [message.content for message in other.received]


def test_a_slow_disk_delays_and_loses_nothing() -> None:
    world, one, other, chaos = journaled()
    while one.journal_time == 0.002 or other.journal_time == 0.002:
        assert FAULTS["journal_slow"](chaos)
    one.send(2, "slowly")
    world.run(0.04)
    assert not one.accepted
    world.run(30)
    assert [message.content for message in other.received] == ["slowly"]
    chaos.heal()
    assert one.journal_time == other.journal_time == 0.002
    world.settle()


def test_killed_while_writing_comes_back_with_what_the_disk_has() -> None:
    for seed in range(6):
        world, one, other, chaos = journaled(seed)
        lives = one.lives + other.lives
        assert FAULTS["killed_while_writing"](chaos)
        world.run(0.3)
        assert not (one.alive and other.alive) or one.lives + other.lives == lives + 1
        world.run(15)
        assert one.lives + other.lives == lives + 1
        chaos.heal()
        world.settle()


def test_an_application_that_fails_is_offered_its_messages_again() -> None:
    world, one, other, chaos = journaled(handler_attempts=3)
    while not other.app.clumsy:
        assert FAULTS["handler_fails"](chaos)
    other.app.clumsy = 1.0
    one.send(2, "hard")
    world.run(0.5)
    assert any(message.attempt > 1 for message in other.received)
    chaos.heal()
    assert one.app.clumsy == other.app.clumsy == 0.0
    world.settle()


def test_faults_of_journals_need_one() -> None:
    world = SimWorld(1)
    world.client(1)
    log_in(world)
    chaos = Chaos(world, FAULTS, gap=1.0)
    for name in ("journal_fails", "journal_slow", "killed_while_writing"):
        assert not FAULTS[name](chaos)


def test_a_token_that_runs_out_is_replaced_on_the_live_link() -> None:
    world = SimWorld(1)
    clients = [world.client(user, fetches_token=True) for user in (1, 2)]
    log_in(world)
    chaos = Chaos(world, FAULTS, gap=1.0)
    assert FAULTS["token_runs_out"](chaos)
    world.tokens.lifetime = 10.0
    world.run(3)
    (hit,) = [c for c in clients if any(isinstance(e, ev.Reconnected) for e in c.events)]
    stream = hit.stream
    world.run(25)
    assert any(isinstance(event, ev.TokenRefreshed) for event in hit.events)
    assert hit.stream is stream
    assert hit.status is Status.AUTHENTICATED
    chaos.heal()
    assert world.tokens.lifetime is None


def test_a_token_that_ran_out_is_taken_by_nobody() -> None:
    world = SimWorld(1)
    world.tokens.lifetime = 5.0
    token = world.tokens.make(1)
    found = world.tokens.check(token)
    assert (found.user, found.expires_in) == (1, 5.0)
    world.run(5)
    assert world.tokens.check(token).user is None
