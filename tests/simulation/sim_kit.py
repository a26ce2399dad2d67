"""Two clients in a world, a short life, and how a broken promise shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from im_proto.client import Status
from im_proto.testing import SimulationFailure, SimWorld
from im_proto.testing.sim.client import ClientNode


def two(seed: int = 1, **config: Any) -> tuple[SimWorld, ClientNode, ClientNode]:
    """User 1 and user 2, logged in."""
    world = SimWorld(seed)
    one, other = (world.client(user, **config) for user in (1, 2))
    log_in(world)
    return world, one, other


def log_in(world: SimWorld) -> None:
    """Connect whoever is not connected."""
    for client in world.clients:
        client.connect()
    assert world.run(5, lambda: all(c.status is Status.AUTHENTICATED for c in world.clients))


def live(seed: int = 1, **config: Any) -> None:
    """Messages, lost links, a server that dies; then everything settles."""
    world, one, other = two(seed, **config)
    for n in range(40):
        one.send(2, str(n))
        if n % 10 == 3 and other.end is not None:
            world.network.cut(other.end)
        if n % 10 == 7 and one.end is not None:
            world.network.cut(one.end, tell=False)
        if n == 20:
            world.server.kill()
            world.run(0.5)
            world.server.start()
        world.run(0.01)
    world.settle(300)


def broken(match: str, what: Callable[[], object] = live) -> SimulationFailure:
    """The world says so."""
    with pytest.raises(SimulationFailure, match=match) as caught:
        what()
    return caught.value
