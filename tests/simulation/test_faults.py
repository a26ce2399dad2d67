"""Each fault does what it says, finds something to hit, and is survived: links and processes."""

from __future__ import annotations

import pytest

from im_proto.client import Status
from im_proto.client import events as ev
from im_proto.testing import FAULTS, simulate
from im_proto.testing.sim import describe
from im_proto.testing.sim.chaos import Chaos
from simulation.fault_kit import errors, three, told


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_says_what_it_is_in_one_line(name: str) -> None:
    assert describe(name)
    assert "\n" not in describe(name)
    assert describe(name).endswith(".")


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_alone_is_injected_and_survived(name: str) -> None:
    hits = 0
    for seed in (2, 3):  # without a site, and with one
        outcome = simulate(seed, minutes=1, faults=name)
        assert outcome.failure is None, outcome.failure
        hits += outcome.faults[name]
    assert hits


# ---------------------------------------------------------------- links


@pytest.mark.parametrize("name", ["reset", "truncated"])
def test_a_link_that_breaks_is_replaced_soon(name: str) -> None:
    world, clients, chaos = three()
    assert FAULTS[name](chaos)
    assert world.run(2, lambda: any(c.status is not Status.AUTHENTICATED for c in clients))
    assert world.run(10, lambda: all(c.status is Status.AUTHENTICATED for c in clients))


@pytest.mark.parametrize("name", ["half_open", "one_way"])
def test_a_dead_link_is_found_by_heartbeats(name: str) -> None:
    for seed in range(4):
        world, clients, chaos = three(seed)
        streams = [client.stream for client in clients]
        assert FAULTS[name](chaos)
        world.run(200)
        assert all(client.status is Status.AUTHENTICATED for client in clients)
        assert [client.stream for client in clients] != streams


def test_a_partition_that_is_short_costs_no_link() -> None:
    world, clients, _ = three()
    streams = [client.stream for client in clients]
    world.server.machine.island = 1
    clients[0].send(2, "late")
    world.run(4)
    assert not clients[2].received
    world.server.machine.island = 0
    world.network.heal()
    world.run(2)
    assert [m.content for m in clients[2].received] == ["late"]
    assert [client.stream for client in clients] == streams


def test_a_partition_hits_some_machines_and_ends() -> None:
    world, _, chaos = three()
    while not FAULTS["partition"](chaos):
        pass
    assert any(machine.island for machine in world.machines)
    chaos.heal()
    assert not any(machine.island for machine in world.machines)


def test_slow_streams() -> None:
    world, _, chaos = three()
    assert FAULTS["lag"](chaos)
    assert world.network.latency > 0.1
    assert FAULTS["one_byte"](chaos)
    assert any(end.piece == 1 for end in world.network.ends)
    assert FAULTS["slow_reader"](chaos)
    assert any(end.trickle or end.other.trickle for end in world.network.ends)
    chaos.heal()
    assert world.network.latency < 0.1
    assert not any(end.piece == 1 or end.trickle or end.other.trickle for end in world.network.ends)


def test_garbage_ends_the_link_and_names_the_violation() -> None:
    hit = 0
    for seed in range(6):
        world, clients, chaos = three(seed)
        assert FAULTS["garbage"](chaos)
        world.run(40)
        hit += bool(told(clients, ev.ProtocolViolation)) or any(
            "closed" in text or "1002" in text for text in errors(clients)
        )
        world.settle()
    assert hit >= 4


@pytest.mark.parametrize("name", ["forged_to_server", "forged_to_client"])
def test_forged_frames_reach_an_engine_and_it_lives_on(name: str) -> None:
    world, _clients, chaos = three()
    hits = 0
    for _ in range(60):
        hits += FAULTS[name](chaos)
        world.run(3)
        chaos.help()
    assert hits > 10
    chaos.heal()
    world.settle()


# ---------------------------------------------------------------- processes


def test_a_killed_client_comes_back_with_its_device_and_no_memory() -> None:
    world, clients, chaos = three()
    lives = [client.lives for client in clients]
    assert FAULTS["client_killed"](chaos)
    (dead,) = [client for client in clients if not client.alive]
    assert dead.send(2, "nobody hears this") is None
    world.run(15)
    assert dead.alive
    assert dead.lives == lives[clients.index(dead)] + 1
    assert dead.status is Status.AUTHENTICATED


def test_a_power_cut_is_told_to_nobody() -> None:
    world, _clients, chaos = three()
    assert FAULTS["client_power_cut"](chaos)
    world.run(1)
    gateway = world.server.gateway
    assert gateway is not None
    assert len(gateway.engines) >= 3


@pytest.mark.parametrize("name", ["server_killed", "server_power_cut"])
def test_a_server_that_dies_keeps_what_was_accepted(name: str) -> None:
    world, clients, chaos = three()
    for n in range(30):
        clients[0].send(2, str(n))
    world.run(0.02)
    assert FAULTS[name](chaos)
    assert not FAULTS[name](chaos)
    assert world.server.gateway is None
    world.run(25)
    assert world.server.gateway is not None
    world.settle()
    assert [m.content for m in clients[2].received] == [str(n) for n in range(30)]


def test_what_was_being_committed_at_a_crash_is_in_or_not() -> None:
    kept = []
    for seed in range(12):
        world, clients, _ = three(seed)
        world.server.commit_time = 0.5
        clients[0].send(2, "on its way")
        world.run(0.2)
        world.server.kill()
        clients[0].crash()
        world.run(5)
        kept.append(len(world.server.store.messages))
    assert set(kept) == {0, 1}


def test_a_drain_says_1012_and_the_server_comes_back() -> None:
    world, clients, chaos = three()
    assert FAULTS["drain"](chaos)
    assert not FAULTS["drain"](chaos)
    assert world.run(20, lambda: world.server.lives == 2)
    lost = [e.error for e in told(clients, ev.Disconnected) if isinstance(e, ev.Disconnected)]
    assert {error.server_code for error in lost if error} == {1012}
    world.settle()


def test_a_drain_that_never_ends_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    world, _, chaos = three()
    monkeypatch.setattr(world.server, "_on_drained", lambda _: None)
    monkeypatch.setattr(type(world.server), "shut_down", lambda *_: None)
    assert FAULTS["drain"](chaos)
    with pytest.raises(AssertionError, match="did not drain"):
        world.run(120)


@pytest.mark.parametrize("stops", [True, False])
def test_a_sleeping_machine_hears_nothing_and_its_clocks_differ(stops: bool) -> None:
    world, clients, _ = three()
    client = clients[2]
    client.machine.stops = stops
    clock = client.now
    wall = client.machine.wall(world.now)
    steps = len(client.events)
    clients[0].send(2, "while asleep")
    world.sleep(client.machine, 100.0)
    world.run(99.0)
    assert len(client.events) == steps
    world.run(1.0)
    assert client.machine.wall(world.now) - wall == pytest.approx(100.0)
    assert client.now - clock == pytest.approx(0.0 if stops else 100.0, abs=0.01)
    world.settle()
    assert [m.content for m in client.received] == ["while asleep"]


def test_the_fault_sleep_finds_a_machine() -> None:
    world, _, chaos = three()
    assert FAULTS["sleep"](chaos)
    assert sum(machine.asleep is not None for machine in world.machines) == 1


def test_a_stalled_process_reads_later_what_came_meanwhile() -> None:
    world, clients, _ = three()
    world.stall(clients[2], 5.0)
    clients[0].send(2, "one")
    clients[0].send(2, "two")
    world.run(4.9)
    assert not clients[2].received
    world.run(0.2)
    assert [m.content for m in clients[2].received] == ["one", "two"]
    chaos = Chaos(world, FAULTS, gap=1.0)
    assert FAULTS["stall"](chaos)
    assert any(node.stalled for node in (world.server, *clients))


def test_a_wall_clock_that_is_set_and_a_timer_that_is_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, _clients, chaos = three()
    before = [machine.wall_offset for machine in world.machines]
    assert FAULTS["wall_clock"](chaos)
    assert [machine.wall_offset for machine in world.machines] != before
    steps = world.steps
    assert FAULTS["early_timer"](chaos)
    assert world.steps > steps


def test_the_server_is_told_of_its_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    world, clients, _ = three()
    world.server.machine.wall_offset += 3600.0
    clients[0].send(2, "an hour later")
    world.run(1)
    (message,) = clients[2].received
    assert message.timestamp is not None
    assert message.timestamp / 1000 == pytest.approx(world.server.machine.wall(world.now), abs=2)


# ---------------------------------------------------------------- sleep and stalls


@pytest.mark.parametrize("stops", [True, False])
def test_a_link_that_died_in_its_sleep_is_found_within_two_seconds(stops: bool) -> None:
    for seed in range(4):
        world, clients, _ = three(seed)
        client = clients[2]
        client.machine.stops = stops
        world.run(world.rng.uniform(1.0, 40.0))
        stream = client.stream
        assert stream is not None
        world.sleep(client.machine, world.rng.choice((20.0, 60.0, 600.0)))
        world.network.cut(stream, tell=False)
        assert world.run(601, lambda client=client: client.machine.asleep is None)
        assert world.run(2.0, lambda client=client: client.status is not Status.AUTHENTICATED)


@pytest.mark.parametrize("stops", [True, False])
def test_a_link_that_is_well_survives_sleep_and_stall(stops: bool) -> None:
    for seed in range(4):
        world, clients, _ = three(seed)
        client = clients[2]
        client.machine.stops = stops
        stream = client.stream
        world.run(world.rng.uniform(1.0, 40.0))
        world.stall(client, world.rng.choice((1.5, 8.0, 30.0)))
        world.run(40.0)
        world.sleep(client.machine, world.rng.choice((3.0, 20.0, 60.0)))
        world.run(120.0)
        assert client.stream is stream
        assert client.status is Status.AUTHENTICATED
