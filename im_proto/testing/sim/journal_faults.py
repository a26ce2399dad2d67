"""What goes wrong with journals, and with what applications do for a message: a function each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .registry import fault

if TYPE_CHECKING:
    from .chaos import Chaos
    from .client import ClientNode


def _journaled(chaos: Chaos) -> ClientNode | None:
    clients = [c for c in chaos.world.clients if c.disk is not None and c.alive]
    return chaos.rng.choice(clients) if clients else None


@fault
def journal_fails(chaos: Chaos) -> bool:
    """A client's disk is full for a while: some or all of what it writes fails."""
    client = _journaled(chaos)
    if client is None:
        return False
    client.journal_failing = chaos.rng.choice((0.3, 1.0))
    chaos.undo(chaos.rng.uniform(0.1, 8.0), lambda: setattr(client, "journal_failing", 0.0))
    for _ in range(3):
        chaos.world.later(chaos.rng.uniform(0.0, 1.0), chaos.world.say_something, client)
    return True


@fault
def journal_slow(chaos: Chaos) -> bool:
    """A client's disk takes up to seconds for each write, for a while."""
    client = _journaled(chaos)
    if client is None:
        return False
    client.journal_time = chaos.rng.choice((0.1, 1.0, 3.0))
    chaos.undo(chaos.rng.uniform(1.0, 15.0), lambda: setattr(client, "journal_time", 0.002))
    return True


@fault
def killed_while_writing(chaos: Chaos) -> bool:
    """A client with a journal is killed soon after it has sent, received or been answered."""
    client = _journaled(chaos)
    if client is None:
        return False
    world, rng = chaos.world, chaos.rng
    client.journal_time = rng.choice((0.002, 0.05))
    chaos.undo(5.0, lambda: setattr(client, "journal_time", 0.002))
    for other in rng.sample(world.clients, min(2, len(world.clients))):
        world.say_something(other)
    for _ in range(3):
        world.say_something(client)

    def kill() -> None:
        client.crash()
        chaos.restart(client)

    world.later(rng.uniform(0.0, 0.2), kill)
    return True


@fault
def handler_fails(chaos: Chaos) -> bool:
    """An application fails on what it is given, now and then or always, for a while."""
    app = chaos.client().app
    app.clumsy = chaos.rng.choice((0.3, 1.0))
    chaos.undo(chaos.rng.uniform(1.0, 10.0), lambda: setattr(app, "clumsy", 0.0))
    return True


@fault
def token_runs_out(chaos: Chaos) -> bool:
    """Tokens last for seconds from now on: a live connection needs another in time."""
    tokens, end = chaos.world.tokens, chaos.link()
    if end is None:
        return False
    tokens.lifetime = chaos.rng.choice((2.0, 10.0))
    chaos.undo(chaos.rng.uniform(10.0, 60.0), lambda: setattr(tokens, "lifetime", None))
    tokens.expire(chaos.core(end).config.user_id)
    chaos.world.network.cut(end)
    return True
