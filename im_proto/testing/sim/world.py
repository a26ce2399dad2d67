"""`SimWorld`: real engines, a real gateway, simulated machines, streams, clocks and store.

Time jumps to the next thing that happens, so an hour costs as much as what happens in it. One
`random.Random(seed)` draws everything: one seed gives one history, byte for byte.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Any, Final, NoReturn

from ...client import ClientEngine, Status
from ...client import inputs as inp
from ...config import ClientConfig, ServerConfig
from ...wire import UserId
from .application import Handles
from .client import ClientNode
from .hearsay import Hearsay
from .history import History, SimulationFailure
from .invariants import Invariants
from .ledger import Ledger
from .machine import Machine
from .network import Network
from .node import Node
from .server import ServerNode
from .tokens import Tokens

#: Things that may happen at one moment of virtual time; more is a livelock.
CROWD: Final = 20_000


class SimWorld:
    """See the module.

    Args:
        seed: of everything that is drawn.
        config: the server's.
        trace: takes the history, one line at a time.
        recording: clients keep what their applications were told, in `events` and the like.
        make_engine: makes the clients' engines, as `ClientEngine` does.

    Attributes:
        now: virtual time, in seconds.
        steps: steps of engines so far.
    """

    def __init__(
        self,
        seed: int = 0,
        config: ServerConfig | None = None,
        *,
        trace: Callable[[str], object] | None = None,
        recording: bool = True,
        make_engine: Callable[..., ClientEngine] = ClientEngine,
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.now = 0.0
        self.steps = 0
        self.recording = recording
        self.make_engine = make_engine
        self.history = History(trace)
        self._note = self.history.note
        self._heap: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._order = 0
        self._crowd = 0
        self._said = 0
        self.tokens = Tokens(self)
        self.network = Network(self)
        self.invariants = Invariants(self)
        self.ledger = Ledger(self)
        self.hearsay = Hearsay(self)
        self.clients: list[ClientNode] = []
        self.machines: list[Machine] = []
        self.server = ServerNode(self, self.machine("server"), config or ServerConfig())

    # ------------------------------------------------------------ who lives here

    def machine(self, name: str, *, offset: float | None = None, stops: bool = True) -> Machine:
        """A new machine; its monotonic clock reads anything at the start, unless told."""
        offset = self.rng.uniform(10.0, 100_000.0) if offset is None else offset
        machine = Machine(name, offset=offset, stops=stops)
        self.machines.append(machine)
        return machine

    def client(
        self,
        user: UserId,
        *,
        handles: Handles = Handles.AT_ONCE,
        machine: Machine | None = None,
        fetches_token: bool = False,
        journal: bool = False,
        **config: object,
    ) -> ClientNode:
        """A new client of `user`; it is not connected yet.

        Args:
            user: who logs in.
            handles: how its application handles messages.
            machine: where it runs; None: on one of its own.
            fetches_token: it has a token function, which the world answers; else a fixed token.
            journal: it has a journal, which outlives its process.
            config: of ClientConfig.
        """
        name = f"c{len(self.clients) + 1}"
        token: object = _no_function if fetches_token else self.tokens.make(user)
        fields = {"ws_url": "ws://server/ws", "token": token, "user_id": user} | config
        client = ClientNode(
            self,
            name,
            machine or self.machine(name),
            ClientConfig.model_validate(fields),
            handles,
            journal=journal,
        )
        self.clients.append(client)
        return client

    def another(self, client: ClientNode) -> ClientNode:
        """A second process with a client's configuration: the same device, on another machine."""
        name = f"{client.name}b"
        twin = ClientNode(self, name, self.machine(name), client.config, client.app.handles)
        self.clients.append(twin)
        return twin

    def say_something(self, client: ClientNode) -> int | None:
        """A client sends a message that was never sent before, to anybody; returns its ref."""
        self._said += 1
        to_user = self.rng.choice(self.clients).config.user_id
        content = f"{client.name}.{client.lives}#{self._said} "
        if self.rng.random() < 0.1:
            content += "\U0001f600 " * self.rng.randrange(1, 300)
        return client.send(to_user, content, **self._how())

    def site_says_something(self, from_user: UserId, to_user: UserId) -> None:
        """The site writes as a user what was never sent before."""
        self._said += 1
        self.server.site.send(from_user, to_user, f"site#{self._said}")

    def stranger_writes(
        self, from_user: UserId, to_user: UserId, count: int
    ) -> list[tuple[int, str]]:
        """Somebody without an engine writes so much that was never sent before; returns, in order,
        a msgId and the content of each."""
        written = [
            (number, f"stranger#{number}")
            for number in range(self._said + 1, self._said + 1 + count)
        ]
        self._said += count
        self.ledger.submitted_unheard(from_user, to_user, [content for _, content in written])
        return written

    def live_on(self, client: ClientNode) -> None:
        """A user reads, and begins to write, now and then."""
        rng = self.rng
        if rng.random() < 0.3 and client.last is not None:
            user, msg_id = client.last
            client.mark_read(user, msg_id)
        if rng.random() < 0.3:
            to_user = rng.choice(self.clients).config.user_id
            client.feed(inp.SetTyping(to_user=to_user, active=rng.random() < 0.7))

    def _how(self) -> dict[str, Any]:
        """As applications send: most messages have nothing special about them."""
        rng = self.rng
        how: dict[str, Any] = {}
        if rng.random() < 0.1:
            how["ttl"] = rng.choice((0.05, 1.0, 30.0))
        if rng.random() < 0.2:
            how["priority"] = rng.choice(("high", "low"))
        if rng.random() < 0.2:
            how["wait"] = True
        if rng.random() < 0.2:
            how["key"] = f"key {self._said}"
        return how

    # ------------------------------------------------------------ time

    def at(self, when: float, what: Callable[..., object], *args: Any) -> None:
        """Do something at a virtual time."""
        self._order += 1
        heapq.heappush(self._heap, (when, self._order, what, args))

    def later(self, delay: float, what: Callable[..., object], *args: Any) -> None:
        """Do something after `delay` seconds."""
        self._order += 1
        heapq.heappush(self._heap, (self.now + delay, self._order, what, args))

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Let time pass, at most so long, or until something is true (which is returned).

        Raises:
            SimulationFailure: a promise was broken, or time stands still.
        """
        end = self.now + seconds
        heap, pop = self._heap, heapq.heappop
        if until is not None and until():
            return True
        while heap and heap[0][0] <= end:
            when, _, what, args = pop(heap)
            if when > self.now:
                self.now = when
                self._crowd = 0
            else:
                self._crowd += 1
                if self._crowd > CROWD:
                    self.fail(f"more than {CROWD} things happen at one moment: a livelock")
            what(*args)
            if until is not None and until():
                return True
        self.now = max(self.now, end)
        return False

    # ------------------------------------------------------------ machines and processes

    def sleep(self, machine: Machine, seconds: float) -> None:
        """A machine sleeps for so long."""
        if machine.asleep is None:
            self.note_world(f"{machine.name} falls asleep for {seconds:.3f} s")
            machine.sleep(self.now)
            self.later(seconds, self._wake, machine)

    def _wake(self, machine: Machine) -> None:
        self.note_world(f"{machine.name} wakes up")
        machine.wake(self.now)
        self.network.heal()  # who knocked meanwhile
        for node in machine.nodes:
            node.thaw(timer_first=self.rng.random() < 0.5)

    def stall(self, node: Node[Any], seconds: float) -> None:
        """A process gets no processor time for so long."""
        if not node.stalled:
            self.note_world(f"{node.name} stalls for {seconds:.3f} s")
            node.stalled = True
            self.later(seconds, self._go_on, node)

    def _go_on(self, node: Node[Any]) -> None:
        self.note_world(f"{node.name} goes on")
        node.stalled = False
        node.thaw(timer_first=self.rng.random() < 0.5)

    # ------------------------------------------------------------ the end

    def at_rest(self) -> bool:
        """Everybody is logged in, nothing waits, and every mailbox has been read to its end."""
        gateway = self.server.gateway
        if gateway is None or not gateway.hub._commits.idle:
            return False
        for client in self.clients:
            engine = client.engine
            if engine is None:
                continue
            waits = self.ledger.pending(client) or client.app.waiting or client.asked
            if client.frozen or waits:
                return False
            if engine.state().status is not Status.AUTHENTICATED:
                return False
        return not self.ledger.missing() and not self.hearsay.unaware()

    def settle(self, seconds: float = 900.0) -> None:
        """Wait until all is at rest, and check that every promise was kept.

        Call it when the faults are over and everybody wants to be connected.

        Args:
            seconds: the most of virtual time.

        Raises:
            SimulationFailure: it did not come to rest; says who waits for what.
        """
        end = self.now + seconds
        while not self.at_rest():
            if self.now >= end:
                self.fail("\n".join([f"no rest within {seconds:g} s", *self._why()]))
            self.run(1.0)
        # what comes twice comes now
        self.run(2.0)
        missing = self.ledger.missing() + self.hearsay.unaware()
        if missing:
            self.fail("\n".join(missing[:5]))
        self.ledger.check_counters()
        assert self.server.gateway is not None
        self.invariants.at_rest(self.server, self.server.gateway)

    def _why(self) -> list[str]:
        lines = self.ledger.missing()[:5]
        if self.server.gateway is not None:
            lines += self.hearsay.unaware()[:5]
        for client in self.clients:
            if client.engine is not None:
                pending = self.ledger.any_pending(client)
                ref = pending[0] if pending else None
                lines.append(
                    f"{client.name}: {len(pending)} pending, {len(client.app.waiting)} unhandled, "
                    f"{len(client.asked)} asked; "
                    + client.engine.explain(client.now, ref).replace("\n", " ")
                )
        return lines

    def fail(self, text: str) -> NoReturn:
        """End the run.

        Raises:
            SimulationFailure: always.
        """
        raise SimulationFailure(
            text, seed=self.seed, at=self.now, step=self.steps, tail=self.history.tail()
        )

    # ------------------------------------------------------------ the history

    def note(self, node: Node[Any], direction: str, what: object) -> None:
        """Note what happens at a node."""
        self._note(self.now, node.name, direction, what)

    def note_world(self, what: str) -> None:
        """Note what the world does to its inhabitants."""
        self.history.note(self.now, "world", "!", what)


def _no_function() -> str:
    raise AssertionError("the world answers FetchToken itself")
