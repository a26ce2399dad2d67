"""Faults of those who speak: applications, strangers, an imposter, and what nobody would do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from im_proto.client import Status
from im_proto.client import events as ev
from im_proto.client import inputs as ci
from im_proto.config import ServerConfig
from im_proto.errors import IMErrorCode
from im_proto.server import inputs as si
from im_proto.server.actions import StoreCommit
from im_proto.server.inputs import Committed
from im_proto.testing import FAULTS, Handles, SimulationFailure, SimWorld
from im_proto.testing.memory import MemoryStore
from im_proto.testing.sim.flood_faults import USER
from simulation.fault_kit import errors, three, told

# ---------------------------------------------------------------- applications


def test_what_applications_do() -> None:
    world, clients, chaos = three()
    assert FAULTS["disconnect"](chaos)
    world.run(0.2)
    assert told(clients, ev.Disconnected)
    world.run(10)
    beats = len(told(clients, ev.HeartbeatSent))
    assert FAULTS["network_changed"](chaos)
    assert len(told(clients, ev.HeartbeatSent)) == beats + 1
    assert FAULTS["app_stops"](chaos)
    assert [c.app.handles for c in clients].count(Handles.NEVER) == 1
    assert FAULTS["same_moment"](chaos) or FAULTS["same_moment"](chaos)
    chaos.heal()
    world.settle()


def test_a_message_is_cancelled_in_time_or_not_at_all() -> None:
    world, clients, chaos = three()
    assert not FAULTS["cancel"](chaos)
    clients[0].disconnect()
    for n in range(3):
        clients[0].send(2, str(n))
    for _ in range(50):
        FAULTS["cancel"](chaos)
    codes = [event.error.code for event in clients[0].failed]
    assert codes == [IMErrorCode.MESSAGE_CANCELLED] * 3
    clients[0].connect()
    world.settle()
    assert not clients[2].received


def test_the_same_device_twice_puts_one_out() -> None:
    world, clients, chaos = three()
    assert FAULTS["same_device"](chaos)
    world.run(1)
    assert [c.status for c in clients].count(Status.DISCONNECTED) == 1
    assert len(world.clients) == 4
    world.run(40)
    assert len(world.clients) == 3
    chaos.heal()
    world.settle()


def test_inputs_of_a_node_that_is_gone_change_nothing() -> None:
    world, clients, _ = three()
    clients[0].crash()
    clients[0].crash()
    clients[0].feed(ci.Connect())
    world.server.kill()
    world.server.kill()
    world.server.feed(si.TimePassed())
    world.run(5)
    assert clients[0].status is Status.DISCONNECTED


# ---------------------------------------------------------------- strangers, the unstorable


def test_strangers_are_thrown_out_or_leave() -> None:
    world, clients, chaos = three()
    met = 0
    for _ in range(80):
        met += FAULTS["stranger"](chaos)
        world.run(2.0)
    assert met > 70
    chaos.heal()
    world.settle()
    world.run(200)
    gateway = world.server.gateway
    assert gateway is not None
    assert len(gateway.engines) == len(clients)


def test_a_flood_is_held_up_and_costs_the_others_nothing() -> None:
    world, clients, chaos = three()
    small = {"envelopes_per_second": 5.0, "envelope_burst": 20, "admissions": 50}
    world.server.reconfigure(world.server.config.model_copy(update=small))
    for _ in range(20):
        assert FAULTS["flood"](chaos)
        world.say_something(world.rng.choice(clients))
        world.run(3.0)
    chaos.heal()
    world.settle()
    stored = [message for message in world.server.store.messages if message.sender == USER]
    written = [sent for sent in world.ledger._messages.values() if sent.client is None]
    assert 20 < len(stored) < len(written) / 2
    told = {m.content for client in clients for m in client.received if m.from_user == USER}
    assert told == {message.content for message in stored if message.to_user != USER} != set()
    gateway = world.server.gateway
    assert gateway is not None and gateway.online() == {1: 2, 2: 1}


def test_what_a_stranger_writes_is_stored_in_order_too(monkeypatch: pytest.MonkeyPatch) -> None:
    original = MemoryStore.commit

    def commit(self: MemoryStore, action: StoreCommit) -> Committed:
        done = original(self, replace(action, submissions=action.submissions[::-1]))
        return replace(done, results=done.results[::-1])

    monkeypatch.setattr(MemoryStore, "commit", commit)
    world, _, chaos = three()
    FAULTS["flood"](chaos)
    with pytest.raises(SimulationFailure, match=r"'stranger#.*' was overtaken on its way"):
        world.run(10.0)


def test_a_message_that_can_not_be_stored_fails_alone() -> None:
    world, clients, chaos = three()
    assert FAULTS["unstorable"](chaos)
    for n in range(3):
        clients[0].send(2, str(n))
    world.settle()
    assert [event.error.server_code for event in clients[0].failed] == [400]
    assert len(clients[2].received) == 2


def test_a_slow_reader_blocks_the_writer() -> None:
    world, clients, _ = three()
    end = clients[2].end
    assert end is not None
    end.trickle = (10, 1.0)
    end.other.window, end.other.high = 64, 100
    for n in range(50):
        clients[0].send(2, str(n))
    world.run(5)
    gateway = world.server.gateway
    assert gateway is not None
    (session,) = gateway.hub._roster.of_user(2)
    assert session.blocked
    end.trickle = None
    world.network.read(end)
    world.settle()
    assert len(clients[2].received) == 50


# ---------------------------------------------------------------- what nobody would do


def test_an_imposter_is_left_for_the_server_whatever_it_is() -> None:
    kinds: set[str] = set()
    reasons: set[str] = set()
    for seed in range(100):
        world, clients, chaos = three(seed)
        assert FAULTS["imposter"](chaos)
        assert world.server.imposter is not None
        assert not FAULTS["imposter"](chaos)  # one at a time
        kinds.add(world.server.imposter._kind)
        for client in clients:
            client.disconnect()
            client.connect()
            client.send(2, f"{client.name} in vain")
        world.run(20)
        chaos.heal()
        world.settle()
        assert world.server.imposter is None
        reasons.update(errors(clients))
        assert {m.content for m in clients[2].received} <= {f"c{n} in vain" for n in (1, 2, 3)}
    assert kinds == {
        *("silent", "hangs up", "no WebSocket", "refuses", "closes", "mute"),
        *("refuses logins", "plain"),
    }
    assert any("HTTP 4" in reason for reason in reasons)
    assert any("the WebSocket upgrade failed" in reason for reason in reasons)
    assert any("no answer to the log-in" in reason for reason in reasons)


def test_late_bytes_come_when_their_client_is_back() -> None:
    late = 0
    for seed in range(6):
        world, clients, chaos = three(seed)
        streams = [client.stream for client in clients]
        assert FAULTS["late_bytes"](chaos)
        assert world.run(8, lambda: any(c.stream not in streams for c in clients))  # noqa: B023
        (old,) = [end for end in streams if end not in [c.stream for c in clients]]
        assert old is not None
        assert not old.open
        late += old.last_at > world.now
        chaos.heal()
        world.settle()
    assert late >= 3


def test_a_mailbox_is_emptied_while_it_is_read() -> None:
    emptied = 0
    for seed in range(6):
        world, _clients, chaos = three(seed)
        assert FAULTS["retention_race"](chaos)
        world.run(4)
        emptied += any(world.server.store.oldest(user) > 1 for user in (1, 2))
        chaos.heal()
        world.settle()
    assert emptied


def test_misuse_is_refused_or_changes_nothing() -> None:
    for seed in range(4):
        world, clients, chaos = three(seed)
        for _ in range(20):
            assert FAULTS["misuse"](chaos)
            clients[1].send(2, f"{world.now}")
            world.run(0.01)
        assert all(client.status is Status.AUTHENTICATED for client in clients)
        chaos.heal()
        world.settle()


def test_misuse_that_is_taken_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    from im_proto.client import lifecycle

    _world, clients, chaos = three()
    for client in clients:
        client.disconnect()
    monkeypatch.setattr(lifecycle, "is_token", lambda token: True)
    with pytest.raises(SimulationFailure, match=r"UpdateToken.* was not refused"):
        FAULTS["misuse"](chaos)


def test_a_device_that_was_never_here_begins_at_the_end_if_so_configured() -> None:
    world = SimWorld(1, ServerConfig(first_login="latest"))
    writer = world.client(1, device_id="a")
    writer.connect()
    assert world.run(5, lambda: writer.status is Status.AUTHENTICATED)
    writer.send(2, "before")
    world.run(2)
    reader = world.client(2, device_id="b")
    reader.connect()
    assert world.run(5, lambda: reader.status is Status.AUTHENTICATED)
    writer.send(2, "after")
    world.settle()
    assert [message.content for message in reader.received] == ["after"]


def test_engines_must_count_what_happens() -> None:
    world, clients, _chaos = three()
    clients[0].send(2, "counted")
    world.settle()
    engine = clients[0].engine
    assert engine is not None
    engine.counters.accepted += 1
    with pytest.raises(SimulationFailure, match=r"c1 has counted \(1, 2\), not 1"):
        world.settle()


def test_what_a_plain_client_has_given_up_may_come_late() -> None:
    world = SimWorld(1)
    plain = world.client(1, extensions=False, resend_when_unsure=False)
    for n in (0, 1):
        world.ledger.submitted(plain, n, 2, f"m{n}")
    ledger = world.ledger
    first, second = ledger._messages[1, 2, "m0"], ledger._messages[1, 2, "m1"]
    assert not first.may_be_late
    first.end = IMErrorCode.IN_DOUBT
    assert first.may_be_late
    assert not second.may_be_late
    second.end = "accepted"
    assert not second.may_be_late
