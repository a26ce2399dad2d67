"""A ready-made life: who lives in the world, what they say, and what goes wrong."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ...config import ServerConfig
from .application import Handles
from .chaos import Chaos
from .faults import FAULTS
from .history import SimulationFailure
from .world import SimWorld

if TYPE_CHECKING:
    from .client import ClientNode

#: Faults begin after so many seconds.
_PEACE: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one seed.

    Attributes:
        steps: of engines.
        seconds: of processor time.
        simulated: seconds of virtual time.
        faults: how often each was injected.
        submitted, accepted, delivered: messages.
        failure: what went wrong, in words; None if nothing did.
        tail: the last lines of the history, if something did.
    """

    seed: int
    steps: int
    seconds: float
    simulated: float
    faults: dict[str, int] = field(default_factory=dict)
    submitted: int = 0
    accepted: int = 0
    delivered: int = 0
    failure: str | None = None
    tail: tuple[str, ...] = ()


def chosen(faults: str | Iterable[str]) -> list[str]:
    """The names that are meant: "all", or some of `FAULTS`.

    Raises:
        ValueError: there is no such fault.
    """
    names = list(FAULTS) if faults == "all" else [faults] if isinstance(faults, str) else [*faults]
    for name in names:
        if name not in FAULTS:
            raise ValueError(f"there is no fault {name!r}; there are {', '.join(FAULTS)}")
    return names


def simulate(
    seed: int,
    *,
    clients: int = 5,
    minutes: float = 10.0,
    faults: str | Iterable[str] = "all",
    trace: Callable[[str], object] | None = None,
) -> Outcome:
    """Live through one seed: peace, faults, healing, rest; then every promise is checked.

    Args:
        seed: of everything.
        clients: how many.
        minutes: of virtual time, before the healing.
        faults: "all", or names out of `FAULTS`.
        trace: takes the history, one line at a time.

    Raises:
        ValueError: there is no such fault.
    """
    life = _Life(seed, clients, chosen(faults), trace)
    began = time.process_time()
    failure, tail = None, []
    try:
        life.live(minutes * 60.0)
    except SimulationFailure as broken:
        failure, tail = broken.text, broken.tail
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        where = ", ".join(f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in frames)
        failure = f"{type(error).__name__}: {error} ({where})"
        tail = life.world.history.tail()
    world = life.world
    return Outcome(
        seed=seed,
        steps=world.steps,
        seconds=time.process_time() - began,
        simulated=world.now,
        faults=life.chaos.counts,
        submitted=world.ledger.submissions,
        accepted=world.ledger.acceptances,
        delivered=world.ledger.deliveries,
        failure=failure,
        tail=tuple(tail),
    )


class _Life:
    def __init__(
        self, seed: int, clients: int, faults: list[str], trace: Callable[[str], object] | None
    ) -> None:
        world = self.world = SimWorld(seed, trace=trace, recording=False)
        self.rng = world.rng
        has_site = self.rng.random() < 0.7
        world.server.reconfigure(self._server(), has_site=has_site)
        world.tokens.broadcasters.append(1)
        for number in range(clients):
            self._settler(number)
        self.chaos = Chaos(world, faults, gap=self.rng.choice((0.5, 2.0, 10.0)))
        self._over = False

    def live(self, seconds: float) -> None:
        world = self.world
        for client in world.clients:
            client.connect()
            pace = self.rng.choice((2.0, 8.0, 30.0))
            world.later(self.rng.uniform(0.0, pace), self._talk, client, pace)
        world.run(_PEACE)
        if self.chaos.counts:
            self.chaos.begin()
        world.later(3.0, self._help)
        world.run(seconds)
        self._over = True
        self.chaos.heal()
        world.settle()

    def _server(self) -> ServerConfig:
        """Small limits now and then: they must be met to be tested."""
        choice = self.rng.choice
        return ServerConfig(
            unacked=choice((4, 32, 512)),
            in_flight=choice((2, 16, 256)),
            batch=choice((1, 3, 64)),
            commit_batch=choice((2, 512)),
            stall_timeout=choice((3.0, 30.0)),
            drain_timeout=choice((0.5, 10.0)),
            heartbeat_interval=choice((5.0, 30.0)),
            partial_timeout=choice((3.0, 30.0)),
            auth_timeout=choice((3.0, 10.0)),
            first_login=choice(("oldest", "oldest", "latest")),
            retention_age=choice((None, 60.0)),
            retention_count=choice((None, 50)),
            retention_interval=choice((5.0, 600.0)),
            offline_after=choice((1.0, 30.0)),
            messages_per_second=choice((5.0, 100.0, 100.0)),
            message_burst=choice((20, 1000)),
            envelopes_per_second=choice((5.0, 500.0, 500.0)),
            envelope_burst=choice((20, 1000)),
            admissions=choice((1, 3, 50)),
            admission_window=choice((0.1, 1.0)),
            blocked_bytes=choice((1024, 65_536)),
            connections_per_user=choice((2, 32)),
        )

    def _settler(self, number: int) -> None:
        """The first two are devices of one user; every fifth is a plain client."""
        choice, world = self.rng.choice, self.world
        plain = number % 5 == 4
        user: int | str = "bravo" if number == 3 else max(1, number)
        more: dict[str, Any] = {}
        if not plain and number != 2:
            more["device_id"] = f"device-{number}"
        if choice((True, False)):
            more["heartbeat"] = {"interval": 3.0, "timeout": 1.0}
        client = world.client(
            user,
            handles=choice((Handles.AT_ONCE, Handles.SLOWLY, Handles.SHUFFLED)),
            machine=world.machine(f"m{number + 1}", stops=choice((True, False))),
            fetches_token=choice((True, False)),
            journal=not plain and choice((True, False)),
            extensions=not plain,
            reconnect={
                "initial_delay": choice((0.1, 1.0)),
                "max_delay": choice((2.0, 30.0)),
                "max_retries": choice((None, None, 3)),
                "strategy": choice(("fixed", "linear", "exponential")),
                "jitter": choice(("full", "none")),
            },
            timeouts={
                "connect": choice((3.0, 10.0)),
                "ack": choice((3.0, 10.0)),
                "partial": choice((3.0, 30.0)),
                "auth": choice((3.0, 10.0)),
                "token": choice((3.0, 30.0)),
            },
            max_sends=choice((2, 5)),
            in_flight=choice((1, 4, 64)),
            max_queue=choice((20, 10_000)),
            max_queue_bytes=choice((4096, 16_777_216)),
            when_queue_full=choice(("reject", "drop_oldest", "drop_lowest_priority")),
            handler_attempts=choice((1, 3)),
            max_unhandled=choice((3, 50, 1000)),
            when_full=choice(("block", "block", "drop_oldest")),
            sleep_watch=choice((1.0, 10.0, None)),
            resend_when_unsure=choice((True, True, False)),
            **more,
        )
        client.tells_wall = choice((True, True, False))
        client.app.exactly_once = choice((True, False))

    def _talk(self, client: ClientNode, pace: float) -> None:
        if self._over:
            return
        if client.alive and not client.frozen:
            for _ in range(self.rng.choice((1, 1, 1, 2, 3, 20))):
                self.world.say_something(client)
            self.world.live_on(client)
        self.world.later(self.rng.uniform(0.0, 2.0 * pace), self._talk, client, pace)

    def _help(self) -> None:
        if not self._over:
            self.chaos.help()
            self.world.later(3.0, self._help)
