"""Faults behind the server: its store, whoever gives and checks tokens, and the site."""

from __future__ import annotations

import pytest

from im_proto.client import Status
from im_proto.client import events as ev
from im_proto.server.actions import Answered, MessageStored
from im_proto.server.hub import Hub
from im_proto.server.records import MailboxEntry
from im_proto.testing import FAULTS, SimulationFailure, SimWorld
from im_proto.testing.sim.chaos import Chaos
from im_proto.testing.sim.client import ClientNode
from simulation.fault_kit import errors, three, told

# ---------------------------------------------------------------- the store


def test_a_store_that_fails_acknowledges_nothing() -> None:
    world, clients, chaos = three()
    world.server.failing = 1.0
    clients[0].send(2, "later")
    world.run(0.5)
    assert not clients[0].accepted
    assert clients[0].status is not Status.AUTHENTICATED
    assert FAULTS["store_fails"](chaos)
    chaos.heal()
    assert world.server.failing == 0.0
    world.settle()
    assert len(clients[2].received) == 1


def test_a_slow_store() -> None:
    world, clients, chaos = three()
    assert FAULTS["store_slow"](chaos)
    clients[0].send(2, "slowly")
    world.run(0.05)
    assert not clients[0].accepted
    chaos.heal()
    world.settle()


def test_retention_drops_the_oldest_and_who_missed_it_is_told() -> None:
    world, clients, _ = three()
    clients[2].disconnect()
    for n in range(10):
        clients[0].send(2, str(n))
    world.run(2)
    world.server.store.trim(2, 6)
    clients[2].connect()
    world.settle()
    assert [m.content for m in clients[2].received] == [str(n) for n in range(5, 10)]
    assert told([clients[2]], ev.MessagesMayBeMissing)


def test_retention_as_a_fault_needs_a_mailbox() -> None:
    world, clients, chaos = three()
    assert not FAULTS["retention"](chaos)
    for n in range(10):
        clients[0].send(2, f"a{n}")
        clients[2].send(1, f"b{n}")
    world.run(2)
    assert FAULTS["retention"](chaos)
    assert world.server.store.oldest(1) + world.server.store.oldest(2) > 2
    world.settle()


def test_a_new_epoch_is_a_reset_and_nothing_comes_twice() -> None:
    world, clients, chaos = three()
    for n in range(5):
        clients[0].send(2, f"a{n}")
        clients[2].send(1, f"b{n}")
    world.run(2)
    assert FAULTS["new_epoch"](chaos)
    world.run(20)
    world.settle()
    assert told(clients, ev.MessagesMayBeMissing)


def test_a_login_elsewhere_fences_this_one() -> None:
    world, clients, chaos = three()
    assert FAULTS["login_elsewhere"](chaos)
    for client in clients:
        client.send(2, f"from {client.name}")
    world.run(5)
    assert [c.status for c in clients].count(Status.DISCONNECTED) == 1
    assert any("4004" in text or "elsewhere" in text for text in errors(clients))


def acknowledged_elsewhere() -> tuple[SimWorld, list[ClientNode]]:
    """The third's device logs in at another gateway, and it acknowledges a message all the same."""
    world, clients, chaos = three()
    chaos._victim = clients[2]
    world.run(2)
    assert FAULTS["login_elsewhere"](chaos)
    clients[0].send(2, "acknowledged")
    world.run(5)
    return world, clients


def test_a_login_elsewhere_ends_who_only_acknowledges() -> None:
    world, clients = acknowledged_elsewhere()
    assert [m.content for m in clients[2].received] == ["acknowledged"]
    assert clients[2].status is Status.DISCONNECTED
    assert any("4004" in text for text in errors(clients[2:]))
    clients[2].connect()
    world.settle()


def test_who_is_fenced_and_stays_is_found_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hub, "_on_fenced_cursor", lambda hub, move: None)
    world, _ = acknowledged_elsewhere()
    gateway = world.server.gateway
    assert gateway is not None
    with pytest.raises(SimulationFailure, match="2 has acknowledged 1 on device 'c', and the st"):
        world.invariants.at_rest(world.server, gateway)


# ---------------------------------------------------------------- tokens


def test_tokens_that_are_refused_expired_or_not_to_be_had() -> None:
    world, clients, _ = three()
    client = clients[2]
    world.tokens.refused[2] = 403
    client.disconnect()
    client.connect()
    world.run(2)
    assert client.status is Status.DISCONNECTED
    world.tokens.refused.clear()
    found: dict[str, list[str]] = {}
    for trouble in ("fails", "expired", "slow", "never"):
        client.disconnect()
        client.crash()
        client.start()
        client.events.clear()
        client.token_trouble = trouble
        client.connect()
        world.run(3)
        assert client.status is not Status.AUTHENTICATED
        found[trouble] = errors([client])
    assert "the token function failed" in found["fails"][0]
    assert "refused" in found["expired"][0]
    assert not found["slow"]
    world.run(60)
    assert "no answer within 30 s" in errors([client])[0]
    client.token_trouble = None
    assert world.run(60, lambda: client.status is Status.AUTHENTICATED)


def test_an_authenticator_that_never_answers_is_not_waited_for() -> None:
    world, clients, chaos = three()
    world.server.auth_time = None
    clients[0].disconnect()
    clients[0].connect()
    world.run(9)
    assert clients[0].status is Status.CONNECTED
    world.run(9)
    assert any("AUTH_TIMEOUT" in text or "log-in" in text for text in errors(clients[:1]))
    for name in ("token_refused", "token_trouble", "new_token", "slow_authenticator"):
        assert FAULTS[name](chaos)
    chaos.heal()
    world.settle()


# ---------------------------------------------------------------- the site


def with_a_site() -> tuple[SimWorld, list[ClientNode], Chaos]:
    world, clients, chaos = three()
    world.server.reconfigure(world.server.config, has_site=True)
    world.settle()
    return world, clients, chaos


def test_a_site_forbids_and_its_word_is_kept() -> None:
    world, (one, _, other), chaos = with_a_site()
    world.server.site.forbidden[1, 2] = None
    ref = one.send(2, "not allowed")
    world.run(2)
    (failed,) = [event for event in one.failed if event.ref == ref]
    assert failed.error.server_code == 403
    assert "not allowed" not in [message.content for message in other.received]
    world.server.site.forbidden.clear()
    assert FAULTS["site_forbids"](chaos)
    assert len(world.server.site.forbidden) == 1
    chaos.heal()
    assert not world.server.site.forbidden
    world.settle()


def test_a_site_that_can_not_say_holds_messages_up_and_loses_none() -> None:
    world, (one, _, other), chaos = with_a_site()
    assert FAULTS["site_is_down"](chaos)
    world.server.site.silent = 1.0
    one.send(2, "later")
    world.run(1)
    assert "later" not in [message.content for message in other.received]
    chaos.heal()
    assert world.server.site.silent == 0.0
    world.settle()
    assert "later" in [message.content for message in other.received]


def test_a_site_writes_and_is_told_of_every_message_once() -> None:
    world, (one, _, other), _chaos = with_a_site()
    world.site_says_something(1, 2)
    one.send(2, "hello")
    world.settle()
    assert {message.content for message in other.received} == {"site#1", "hello"}
    assert len(world.server.site._told) == 2
    assert not world.server.site.asked
    with pytest.raises(SimulationFailure, match="the site was answered twice"):
        world.server.site.answered(Answered(request=1, code=0, data=None, text=""))
    (first, *_) = world.server.store.entries(2)
    assert isinstance(first, MailboxEntry)
    with pytest.raises(SimulationFailure, match="the site was told twice of"):
        world.server.site.stored(MessageStored(entry=first, offline=False))


def test_faults_of_a_site_need_one() -> None:
    world, _, chaos = three()
    for name in ("site_forbids", "site_is_down", "site_writes"):
        assert not FAULTS[name](chaos)
    world, _, chaos = with_a_site()
    assert FAULTS["site_writes"](chaos)
    world.settle()
    assert not world.server.site.asked


def test_who_is_kicked_comes_back_or_stays_away() -> None:
    stayed = set()
    for seed in range(12):
        world, clients, chaos = three(seed)
        assert FAULTS["kicked"](chaos)
        world.run(30)
        stayed.add(any(client.status is Status.DISCONNECTED for client in clients))
        assert told(clients, ev.Disconnected)
        chaos.heal()
        world.settle()
    assert stayed == {True, False}
