"""Injects faults at random moments, undoes what lasts, and heals everything at the end."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from ...client import ClientCore, ClientEngine, Status
from ...client import inputs as inp
from .application import Handles
from .faults import FAULTS
from .network import End

if TYPE_CHECKING:
    from .client import ClientNode
    from .world import SimWorld

#: A server that was asked to drain must have done so by then, in seconds, if it could run.
_DRAINED_BY: Final = 60.0


class Chaos:
    """See the module.

    Args:
        world: where.
        faults: names out of `FAULTS`.
        gap: the mean time between two faults, in seconds.

    Attributes:
        counts: how often each fault was injected.
        draining: the server was asked to go down.
        epochs: how many new epochs there were.
    """

    def __init__(self, world: SimWorld, faults: Iterable[str], gap: float) -> None:
        self.world = world
        self.rng: random.Random = world.rng
        self.counts: dict[str, int] = dict.fromkeys(faults, 0)
        self.draining = False
        self.epochs = 0
        self._names = list(self.counts)
        self._gap = gap
        self._clients = list(world.clients)
        self._twins: list[ClientNode] = []
        self._undoes: dict[int, Callable[[], object]] = {}
        self._numbers = itertools.count()
        #: several faults hit the same client
        self._victim: ClientNode | None = None
        self._over = False

    def begin(self) -> None:
        """Inject the first fault soon, and so on until `heal`."""
        self.world.network.slow_lines = 0.05
        self._schedule()

    def _schedule(self) -> None:
        self.world.later(self.rng.uniform(0.0, 2.0 * self._gap), self._next)

    def _next(self) -> None:
        if self._over:
            return
        name = self.rng.choice(self._names)
        self.world.note_world(name)
        self.counts[name] += FAULTS[name](self)
        if self.rng.random() < 0.3:  # a misfortune seldom comes alone
            self._victim = self._victim or self.rng.choice(self._clients)
            self.world.later(self.rng.uniform(0.0, 2.0), self._next)
        else:
            self._victim = None
            self._schedule()

    def heal(self) -> None:
        """End every fault: from now on the world is a good one."""
        self._over = True
        for number in list(self._undoes):
            self._undo(number)
        for twin in self._twins:
            twin.crash()
        for machine in self.world.machines:
            machine.island = 0
        network = self.world.network
        network.slow_lines = 0.0
        for end in network.ends:
            end.trickle = None
        network.heal()
        self.world.later(0.0, self._revive)

    def _revive(self) -> None:
        """Who sleeps or has given up is helped, until all are well."""
        for client in self._clients:
            if not client.frozen:
                client.start()
                client.app.catch_up()
                self._help(client)
        self.world.later(5.0, self._revive)

    # ------------------------------------------------------------ what faults need

    def client(self) -> ClientNode:
        """A client that runs."""
        if self._victim is not None and self._victim.alive:
            return self._victim
        alive = [client for client in self._clients if client.alive]
        if not alive:
            self._clients[0].start()
            alive = self._clients[:1]
        return self.rng.choice(alive)

    def link(self) -> End | None:
        """The client's end of a stream that is open; None if there is none."""
        if self._victim is not None and self._victim.end is not None:
            return self._victim.end
        ends = [end for client in self._clients if (end := client.end) is not None]
        return self.rng.choice(ends) if ends else None

    def logged_in(self) -> End | None:
        """The same, of a client that is logged in."""
        ends = [
            end
            for client in self._clients
            if (end := client.end) is not None and client.status is Status.AUTHENTICATED
        ]
        if self._victim is not None and self._victim.end in ends:
            return self._victim.end
        return self.rng.choice(ends) if ends else None

    @staticmethod
    def core(end: End) -> ClientCore:
        """What the client at this end knows: forgers aim."""
        engine = getattr(end.node, "engine", None)
        assert isinstance(engine, ClientEngine)
        return engine.core

    def undo(self, delay: float, what: Callable[[], object]) -> None:
        """Undo a fault after so many seconds, or when everything heals."""
        number = next(self._numbers)
        self._undoes[number] = what
        self.world.later(delay, self._undo, number)

    def _undo(self, number: int) -> None:
        what = self._undoes.pop(number, None)
        if what is not None:
            what()

    # ------------------------------------------------------------ clients

    def restart(self, client: ClientNode) -> None:
        """Start a killed client again, soon."""

        def start() -> None:
            client.start()
            client.connect()

        self.undo(self.rng.uniform(0.0, 10.0), start)

    def stop_handling(self, client: ClientNode, seconds: float) -> None:
        """Its application handles nothing for so long, then everything."""
        app, before = client.app, client.app.handles
        if before is Handles.NEVER:
            return
        app.handles = Handles.NEVER

        def go_on() -> None:
            app.handles = before
            app.catch_up()

        self.undo(seconds, go_on)

    def twin(self, client: ClientNode) -> bool:
        """Another process of the same device, for a while."""
        if client.config.device_id is None or client.engine is None:
            return False
        if client.disk is not None:
            return False  # a journal is one process's; who copies its device id has no promise
        twin = self.world.another(client)
        self._twins.append(twin)
        if self.rng.random() < 0.5 and not client.frozen:  # both log in at the same moment
            server = self.world.server
            server.commit_time = 0.5
            self.undo(5.0, lambda: setattr(server, "commit_time", 0.005))
            for delay in (0.0, 0.5, 2.0):
                self.world.later(delay, self._both_again, client, twin)
        twin.connect()

        def end() -> None:
            twin.crash()
            self._twins.remove(twin)
            self.world.clients.remove(twin)
            self.world.machines.remove(twin.machine)

        self.undo(self.rng.uniform(1.0, 30.0), end)
        return True

    def _both_again(self, *clients: ClientNode) -> None:
        for client in clients:
            if client.alive and not client.frozen:
                client.disconnect()
                client.connect()

    def chatter(self, end: End, *, to_it: bool = False) -> None:
        """The client at this end says something, now and in a while, or (`to_it`) all others."""
        for client in self._clients:
            if (client.end is end) is not to_it:
                for delay in (0.0, 0.0, 0.0, 1.0, 3.0):
                    self.world.later(delay, self.world.say_something, client)

    def burst(self, user: int | str) -> bool:
        """All clients of a user send some messages now."""
        clients = [c for c in self._clients if c.config.user_id == user and c.alive]
        if len(clients) < 2:
            return False
        for client in clients:
            for _ in range(5):
                self.world.say_something(client)
        return True

    def help(self) -> None:
        """Applications whose clients have given up connect them again, now and then."""
        for client in self._clients:
            if self.rng.random() < 0.3:
                self._help(client)
            if client.engine is not None:  # and look at what it says
                pending = self.world.ledger.any_pending(client)
                client.engine.explain(client.now, self.rng.choice(pending) if pending else None)
                client.engine.state(client.now)

    def _help(self, client: ClientNode) -> None:
        engine = client.engine
        if engine is None or client.frozen or client.status is not Status.DISCONNECTED:
            return
        refused = engine.core.login.state == "refused"
        if refused and isinstance(client.config.token, str):
            client.feed(inp.UpdateToken(token=self.world.tokens.make(client.config.user_id)))
        client.connect()

    # ------------------------------------------------------------ the server

    def drain(self, retry_after: float | None) -> None:
        """Shut it down, and start it again when it has drained."""
        if self._over:
            return
        self.world.server.shut_down(retry_after)
        self._wait_for_drain(self.world.server.lives, self.world.now)

    def _wait_for_drain(self, life: int, since: float) -> None:
        world, server = self.world, self.world.server
        if server.lives != life or server.gateway is None:
            self.draining = False  # killed meanwhile
        elif server.drained:
            server.kill()
            self.undo(self.rng.uniform(0.0, 3.0), server.start)
            self.draining = False
        else:
            if server.frozen:
                since = world.now
            elif world.now - since > _DRAINED_BY:
                world.fail(f"the server did not drain within {_DRAINED_BY:g} s")
            world.later(0.1, self._wait_for_drain, life, since)
