"""Honest clients at full speed are slowed down, and lose nothing."""

from __future__ import annotations

import pytest

from core.rates_kit import chat
from core.server_kit import FULL, Kit
from im_proto.client import Status
from im_proto.client import events as ev
from im_proto.config import ServerConfig
from im_proto.testing import SimWorld


def flood(world: SimWorld, devices: int, messages: int, in_flight: int) -> None:
    """Clients of one user send as fast as they can; all is accepted, in order, on one link."""
    clients = [world.client(1, in_flight=in_flight, max_queue=messages) for _ in range(devices)]
    for client in clients:
        client.connect()
    assert world.run(5, lambda: all(c.status is Status.AUTHENTICATED for c in clients))
    begun = world.now
    for client in clients:
        for n in range(messages):
            assert client.send(2, f"{client.name}: {n}") is not None
        world.run(0.01)  # msgIds are microseconds: theirs must not be the same
    total = devices * messages
    done = world.run(300, lambda: all(len(c.accepted) == messages for c in clients))
    assert done, [len(client.accepted) for client in clients]
    config = world.server.config
    rate = min(config.messages_per_second, config.envelopes_per_second)
    assert world.now - begun <= total / rate
    for client in clients:
        assert client.engine is not None and client.engine.counters.reconnects == 0
        assert client.engine.counters.retransmitted == 0
        assert not any(isinstance(event, ev.Disconnected) for event in client.events)
        contents = [event.content for event in client.accepted]
        assert contents == [f"{client.name}: {n}" for n in range(messages)]
    stored = [message.content for message in world.server.store.messages]
    for client in clients:
        own = [content for content in stored if content.startswith(f"{client.name}:")]
        assert own == [f"{client.name}: {n}" for n in range(messages)]


@pytest.mark.parametrize(("devices", "in_flight"), [(1, 64), (1, 256), (3, 64), (3, 256)])
def test_a_client_that_floods_is_slowed_down_and_keeps_its_link(
    devices: int, in_flight: int
) -> None:
    flood(SimWorld(3), devices, 5000 // devices, in_flight)


def test_even_where_little_is_allowed_an_honest_client_is_never_sent_away() -> None:
    """It is told to have no more under way than it may say at once."""
    world = SimWorld(1, ServerConfig(messages_per_second=20, message_burst=20))
    flood(world, 1, 200, 256)
    world = SimWorld(1, ServerConfig(envelopes_per_second=20, envelope_burst=20))
    flood(world, 1, 200, 256)


@pytest.mark.parametrize("seed", range(3))
def test_devices_that_are_sent_away_together_all_get_on_and_lose_nothing(seed: int) -> None:
    """What was taken is answered before the end. If it were not, each would send the same first
    messages again and again, as repeats that use up what is allowed."""
    world = SimWorld(seed, ServerConfig(messages_per_second=50, message_burst=30))
    devices = [world.client(1) for _ in range(6)]
    other = world.client(2)
    for client in world.clients:
        client.connect()
        world.run(2)
    for client in devices:
        for n in range(50):
            client.send(2, f"{client.name}: {n}")
        world.run(0.01)
    world.settle()
    ends = [event for client in devices for event in client.events]
    codes = {event.error.server_code for event in ends if isinstance(event, ev.Disconnected)}
    assert codes == {4009}
    for client in devices:
        own = [e.content for e in other.received if e.content.startswith(f"{client.name}:")]
        assert own == [f"{client.name}: {n}" for n in range(50)]


def test_full_speed_in_all_directions_is_no_offence_against_the_other_limits() -> None:
    """What `FULL` clients may do at once by the limits they were told: a window of batches."""
    kit = Kit()
    one = kit.user(1, **FULL)
    for n in range(4):
        chat(one, n * 64 + 1, n * 64 + 64)
    assert len(one.answers) == 256 and not one.paused and one.close is None
