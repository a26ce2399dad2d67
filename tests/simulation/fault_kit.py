"""Three clients in a world and who can hit them, and what they were told."""

from __future__ import annotations

from im_proto.client import Status
from im_proto.client import events as ev
from im_proto.testing import FAULTS, SimWorld
from im_proto.testing.sim.chaos import Chaos
from im_proto.testing.sim.client import ClientNode


def three(seed: int = 1) -> tuple[SimWorld, list[ClientNode], Chaos]:
    """Two devices of user 1 and one of user 2, logged in, and who can hit them."""
    lines: list[str] = []
    world = SimWorld(seed, trace=lines.append)
    clients = [
        world.client(1, device_id="a", fetches_token=True),
        world.client(1, device_id="b", fetches_token=True),
        world.client(2, device_id="c", fetches_token=True),
    ]
    for client in clients:
        client.connect()
    assert world.run(5, lambda: all(c.status is Status.AUTHENTICATED for c in clients))
    return world, clients, Chaos(world, FAULTS, gap=1.0)


def told(clients: list[ClientNode], kind: type) -> list[ev.Event]:
    """The events of this class, of all of them."""
    return [event for client in clients for event in client.events if isinstance(event, kind)]


def errors(clients: list[ClientNode]) -> list[str]:
    """What went wrong, in words."""
    found = [
        e for c in clients for e in c.events if isinstance(e, ev.ErrorOccurred | ev.AuthFailed)
    ]
    return [str(e.error) for e in found]
