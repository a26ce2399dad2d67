"""Clients and a server of ours in one virtual world: what is accepted arrives, once, in order."""

from __future__ import annotations

from im_proto.client import Status
from im_proto.client import events as ev
from im_proto.testing import Handles, SimWorld
from im_proto.testing.sim.client import ClientNode

QUICK = {
    "heartbeat": {"interval": 3, "timeout": 1},
    "timeouts": {"connect": 3, "auth": 3, "ack": 3},
    "reconnect": {"initial_delay": 0.2, "max_delay": 2},
}


def together(seed: int) -> tuple[SimWorld, list[ClientNode]]:
    world = SimWorld(seed)
    slowly = {2: Handles.ASKED}
    clients = [
        world.client(user, handles=slowly.get(user, Handles.AT_ONCE), **QUICK)  # type: ignore[call-overload]
        for user in (1, 2, "bravo")
    ]
    for client in clients:
        client.connect()
    assert world.run(5, lambda: all(c.status is Status.AUTHENTICATED for c in clients))
    return world, clients


def contents(client: ClientNode) -> list[str]:
    return [message.content for message in client.received]


def test_an_application_that_is_slow_gets_everything_once() -> None:
    world, (one, two, _) = together(1)
    said = [str(n) for n in range(100)]
    for content in said:
        one.send(2, content)
    for n in range(60):
        world.run(0.3)
        for message in two.received[3 * n : 3 * n + 3]:
            two.handle(message)
        if n % 7 == 3 and two.end is not None:
            world.network.cut(two.end)
    two.app.catch_up()
    world.settle()
    assert contents(two) == said
    assert two.engine is not None
    assert two.engine.counters.resumed > 3


def test_an_hour_of_silence_costs_heartbeats_and_no_link() -> None:
    world = SimWorld()
    world.network.cutting = 0.0
    client = world.client(1, sleep_watch=None)
    client.connect()
    world.run(3600)
    assert client.status is Status.AUTHENTICATED
    sent = [e for e in client.events if isinstance(e, ev.HeartbeatSent)]
    assert 119 <= len(sent) <= 120
    assert len([e for e in client.events if isinstance(e, ev.HeartbeatReceived)]) == len(sent)
    assert client.engine is not None
    assert client.engine.counters.reconnects == 0
    # nor a step for anything else: each beat is a timer here, and bytes there and back
    assert world.steps < 800


def test_a_mute_link_is_found_and_replaced() -> None:
    world, (one, _, _) = together(2)
    assert one.end is not None
    world.network.cut(one.end, tell=False, tell_other=False)
    began = world.now
    assert world.run(60, lambda: one.status is Status.RECONNECTING)
    assert world.now - began <= 3 + 3 * 1 + 0.1
    assert world.run(10, lambda: one.status is Status.AUTHENTICATED)


def test_two_clients_of_one_user_get_the_same_messages() -> None:
    world = SimWorld(4)
    writer = world.client(1, **QUICK)  # type: ignore[arg-type]
    readers = [world.client(2, **QUICK) for _ in range(2)]  # type: ignore[arg-type]
    for client in (writer, *readers):
        client.connect()
    world.run(2)
    said = [str(n) for n in range(20)]
    for n, content in enumerate(said):
        writer.send(2, content)
        end = readers[n % 2].end
        if n % 5 == 0 and end is not None:
            world.network.cut(end)
        world.run(0.5)
    world.settle()
    for reader in readers:
        assert contents(reader) == said


def test_a_server_that_dies_and_comes_back_loses_nothing() -> None:
    world, (one, two, _) = together(5)
    for n in range(50):
        one.send(2, f"to {n}")
        two.send(1, f"fro {n}")
        if n % 10 == 5:
            world.server.kill(silent=n % 20 == 5)
            world.run(0.5)
            world.server.start()
        world.run(0.05)
    assert world.run(60, lambda: len(two.received) == 50 == len(one.received))
    two.app.catch_up()
    world.settle()
    assert contents(two) == [f"to {n}" for n in range(50)]
    assert contents(one) == [f"fro {n}" for n in range(50)]
    assert len(one.accepted) == len(two.accepted) == 50
