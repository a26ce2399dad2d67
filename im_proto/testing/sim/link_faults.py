"""What goes wrong between machines, one function a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import forged
from .imposter import Imposter
from .network import HIGH_WATER, WINDOW
from .registry import fault
from .stranger import Stranger, script

if TYPE_CHECKING:
    from .chaos import Chaos

# ---------------------------------------------------------------- opening a stream


@fault
def refused(chaos: Chaos) -> bool:
    """The server's port is closed for a while: connections are refused."""
    server = chaos.world.server
    if server.refuses:
        return False
    server.refuses = True
    chaos.undo(chaos.rng.uniform(0.5, 10), lambda: setattr(server, "refuses", False))
    return True


@fault
def imposter(chaos: Chaos) -> bool:
    """Something else answers at the server's port for a while: a proxy, a poorer server, junk."""
    world = chaos.world
    if world.server.imposter is not None:
        return False
    found = world.server.imposter = Imposter(world)

    def leave() -> None:
        world.server.imposter = None
        found.leave()

    chaos.undo(chaos.rng.uniform(0.5, 40), leave)
    for end in list(world.network.ends):  # some come by at once
        if end.open and chaos.rng.random() < 0.3:
            world.network.cut(end)
    return True


@fault
def no_names(chaos: Chaos) -> bool:
    """A client can't resolve names for a while, and loses its link."""
    client = chaos.client()
    client.no_names = True
    chaos.undo(chaos.rng.uniform(0.5, 10), lambda: setattr(client, "no_names", False))
    end = client.end
    if end is not None:
        chaos.world.network.cut(end)
    return True


# ---------------------------------------------------------------- ends of streams


@fault
def reset(chaos: Chaos) -> bool:
    """A link is reset, in the middle of whatever was on its way."""
    end = chaos.link()
    if end is None:
        return False
    chaos.world.network.cut(end)
    return True


@fault
def half_open(chaos: Chaos) -> bool:
    """A link dies, and one side of it or both are not told."""
    end = chaos.link()
    if end is None:
        return False
    told = chaos.rng.choice((None, end, end.other))
    chaos.world.network.cut(end, tell=told is end, tell_other=told is end.other)
    return True


@fault
def one_way(chaos: Chaos) -> bool:
    """One direction of a link dies: who writes there is not told, the other goes on."""
    end = chaos.link()
    if end is None:
        return False
    chaos.rng.choice((end, end.other)).dead = True
    return True


@fault
def late_bytes(chaos: Chaos) -> bool:
    """A client loses its link and comes back; only then does what it wrote before arrive."""
    end, server = chaos.logged_in(), chaos.world.server
    if end is None:
        return False
    end.last_at = max(end.last_at, chaos.world.now + chaos.rng.uniform(0.5, 3.0))
    server.commit_time = 1.0
    chaos.undo(6.0, lambda: setattr(server, "commit_time", 0.005))
    chaos.chatter(end)
    chaos.world.later(0.1, chaos.world.network.drop, end)
    return True


@fault
def truncated(chaos: Chaos) -> bool:
    """A link ends as if closed, before all bytes were there."""
    end = chaos.link()
    if end is None:
        return False
    chaos.world.network.truncate(chaos.rng.choice((end, end.other)))
    return True


# ---------------------------------------------------------------- streams that are slow


@fault
def partition(chaos: Chaos) -> bool:
    """Some machines don't reach the others for a while; TCP goes on afterwards."""
    world = chaos.world
    machines = [m for m in world.machines if chaos.rng.random() < 0.5]
    for machine in machines:
        machine.island = 1

    def heal() -> None:
        for machine in machines:
            machine.island = 0
        world.network.heal()

    chaos.undo(chaos.rng.uniform(0.5, 120), heal)
    return bool(machines)


@fault
def lag(chaos: Chaos) -> bool:
    """Every byte takes up to seconds for a while."""
    network = chaos.world.network
    network.latency = chaos.rng.choice((0.2, 1.0, 4.0))
    chaos.undo(chaos.rng.uniform(1, 30), lambda: setattr(network, "latency", 0.01))
    return True


@fault
def one_byte(chaos: Chaos) -> bool:
    """A link brings one byte at a time for a while."""
    end = chaos.link()
    if end is None:
        return False
    end.piece = end.other.piece = 1

    def undo() -> None:
        end.piece = end.other.piece = 0

    chaos.undo(chaos.rng.uniform(0.5, 5), undo)
    return True


@fault
def slow_reader(chaos: Chaos) -> bool:
    """One side of a link reads in sips, so that the other is told WriteBlocked."""
    end = chaos.link()
    if end is None:
        return False
    reader = chaos.rng.choice((end, end.other))
    reader.trickle = (chaos.rng.choice((10, 100, 1000)), chaos.rng.choice((0.1, 1.0, 5.0)))
    writer = reader.other
    writer.window = chaos.rng.choice((64, 512))
    writer.high = chaos.rng.choice((50, 100, 1000))
    chaos.chatter(end, to_it=writer is not end)  # there must be something to write

    def undo() -> None:
        reader.trickle = None
        writer.window, writer.high = WINDOW, HIGH_WATER

    chaos.undo(chaos.rng.uniform(5, 60), undo)
    return True


# ---------------------------------------------------------------- bytes that nobody sent


@fault
def garbage(chaos: Chaos) -> bool:
    """Bytes that are no WebSocket get into a stream, anywhere in it."""
    end = chaos.link()
    if end is None:
        return False
    writer = chaos.rng.choice((end, end.other))
    writer.tampered = True
    writer.inject = chaos.rng.randbytes(chaos.rng.choice((1, 2, 20, 200)))
    return True


@fault
def forged_to_server(chaos: Chaos) -> bool:
    """A frame that is well formed and that no honest client sends reaches the server."""
    return _forge(chaos, _forge_to_server)


@fault
def forged_to_client(chaos: Chaos) -> bool:
    """A frame that is well formed and that no honest server sends reaches a client."""
    return _forge(chaos, _forge_to_client)


def _forge(chaos: Chaos, forge: Callable[[Chaos], bool]) -> bool:
    """More than once: one forgery in ten meets a peer that can be confused by it."""
    for _ in range(3):
        chaos.world.later(chaos.rng.uniform(0.0, 3.0), forge, chaos)
    return forge(chaos)


def _forge_to_server(chaos: Chaos) -> bool:
    end = chaos.logged_in()
    if end is None:
        return False
    return forged.write(chaos, end, forged.to_server(chaos, end), masked=True)


def _forge_to_client(chaos: Chaos) -> bool:
    end = chaos.logged_in()
    if end is None:
        return False
    return forged.write(chaos, end.other, forged.to_client(chaos, end), masked=False)


@fault
def stranger(chaos: Chaos) -> bool:
    """Some connect to the server who are no clients: scanners, attackers, beginners."""
    world, rng = chaos.world, chaos.rng
    visitors = []
    for _ in range(3):
        pace = rng.choice((0.0, 0.05, 1.0))
        visitor = Stranger(world, script(world), pace, reads=rng.random() < 0.7)
        chaos.undo(rng.uniform(1.0, 120.0), visitor.leave)
        visitors.append(visitor)
    return any(visitor.alive for visitor in visitors)
