"""Lives in a SimWorld with all its faults: real servers, real networks, real bad luck."""

from __future__ import annotations

import random
from typing import Any, Final

from ...config import ServerConfig
from ..sim.application import Handles
from ..sim.chaos import Chaos
from ..sim.client import ClientNode
from ..sim.faults import FAULTS
from ..sim.history import SimulationFailure
from ..sim.world import SimWorld
from .lives import Life, Recorder

#: Seconds that each world goes on.
_SECONDS: Final = 90.0


def lives_in_a_world(seed: int, steps: int) -> list[Life]:
    """What the clients of one world have lived through.

    Args:
        seed: of everything.
        steps: the most that is told of each life.

    Raises:
        SimulationFailure: a promise was broken.
    """
    recorder = Recorder(steps)
    world = SimWorld(seed, _server(seed), recording=False, make_engine=recorder.engine)
    rng = world.rng
    for number in range(3):
        _settle(world, number)
    for client in world.clients:
        client.connect()
        world.later(rng.uniform(0.0, 2.0), _talk, world, client)
    world.run(rng.uniform(0.0, 3.0))
    Chaos(world, list(FAULTS), gap=rng.choice((0.5, 2.0, 5.0))).begin()
    world.run(_SECONDS)
    return recorder.lives


def _server(seed: int) -> ServerConfig:
    choice = random.Random(seed).choice  # noqa: S311 - repeatable on purpose
    return ServerConfig(
        unacked=choice((4, 512)),
        in_flight=choice((2, 256)),
        batch=choice((1, 3, 64)),
        heartbeat_interval=choice((5.0, 30.0)),
        retention_count=choice((None, 20)),
        expiry_notice=choice((2.0, 60.0)),
        admissions=choice((1, 50)),
    )


def _settle(world: SimWorld, number: int) -> None:
    """The first two are devices of one user; the third has a name, and no extensions now and
    then."""
    choice = world.rng.choice
    plain = number == 2 and choice((True, False))
    more: dict[str, Any] = {} if plain else {"device_id": f"device-{number}"}
    client = world.client(
        "bravo" if number == 2 else 1,
        handles=choice((Handles.AT_ONCE, Handles.SLOWLY, Handles.SHUFFLED)),
        machine=world.machine(f"m{number + 1}", offset=10.0, stops=choice((True, False))),
        fetches_token=choice((True, False)),
        journal=not plain and choice((True, True, False)),
        extensions=not plain,
        reconnect={
            "initial_delay": choice((0.25, 1.0)),
            "max_delay": choice((2.0, 30.0)),
            "max_retries": choice((None, 3)),
            "strategy": choice(("fixed", "linear", "exponential")),
            "jitter": choice(("full", "none")),
        },
        heartbeat=choice(({}, {"interval": 3.0, "timeout": 1.0})),
        in_flight=choice((1, 4, 64)),
        max_queue=choice((5, 10_000)),
        when_queue_full=choice(("reject", "drop_oldest", "drop_lowest_priority")),
        max_unhandled=choice((2, 1000)),
        when_full=choice(("block", "drop_oldest")),
        sleep_watch=choice((1.0, 10.0, None)),
        **more,
    )
    client.tells_wall = choice((True, True, False))
    client.app.exactly_once = choice((True, False))


def _talk(world: SimWorld, client: ClientNode) -> None:
    if client.alive and not client.frozen:
        for _ in range(world.rng.choice((1, 1, 2, 4))):
            world.say_something(client)
        world.live_on(client)
    world.later(world.rng.uniform(0.0, 6.0), _talk, world, client)


__all__ = ["SimulationFailure", "lives_in_a_world"]
