"""What goes wrong in the demo, and when: a plan drawn from a seed, and its execution."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from .demo_chat import UNANSWERED, Person
from .demo_server import ServerProcess
from .fault_proxy import Cut, FaultProxy

#: A cut that lacked the traffic it takes is tried again so often.
_TRIES: Final = 5
#: How long a fault waits for its conditions, in seconds.
_PATIENCE: Final = 15.0
_TICK: Final = 0.002
#: Turns of the loop until what is to be said is handed over.
_TURNS: Final = 3
#: So many messages at a time are said on top, if there is nothing in flight that could be hit.
_PORTION: Final = 16
_KINDS: Final = (
    Cut.ZOMBIE,
    Cut.LOST_ANSWERS,
    Cut.MID_FRAME_UP,
    Cut.RESET,
    Cut.MID_FRAME_DOWN,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        at: when so many messages were accepted, of both together.
        cut: how a link is cut; None kills the server.
        target: whose link.
        pause: how long the network, or the server, is gone, in seconds.
    """

    at: int
    cut: Cut | None
    target: int
    pause: float


def make_plan(messages: int, kills: int, cuts: int, seed: int) -> list[Fault]:
    """Spread kills and cuts of all kinds over a chat of so many messages each way."""
    rng = random.Random(f"plan {seed}")  # noqa: S311 - a plan that can be repeated
    kinds: list[Cut | None] = [_KINDS[i % len(_KINDS)] for i in range(cuts)]
    rng.shuffle(kinds)
    for kill in range(kills):
        # evenly between the cuts, neither first nor last if there are any
        kinds.insert(round((kill + 1) * (cuts + kills) / (kills + 1)), None)
    share = 2 * messages * 0.9 / (len(kinds) + 1)
    first = rng.randrange(2)
    return [
        Fault(
            at=int(share * (i + 1 + rng.uniform(-0.3, 0.3))),
            cut=kind,
            target=(first + i) % 2,
            pause=rng.uniform(0.02, 0.15),
        )
        for i, kind in enumerate(kinds)
    ]


class Faults:
    """Carries out a plan.

    Args:
        plan: in order.
        people: the two applications.
        proxies: before each of them.
        server: what is killed.
        tell: is told of each fault, in words.
    """

    def __init__(
        self,
        plan: Sequence[Fault],
        people: Sequence[Person],
        proxies: Sequence[FaultProxy],
        server: ServerProcess,
        tell: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._people = people
        self._proxies = proxies
        self._server = server
        self._tell = tell
        #: how often each one must have come back before its link can be cut again
        self._due = [0] * len(people)
        #: for the fault at hand nobody says more than this
        self._limit = 0
        self._ahead = 1
        #: messages handed over and unanswered at each kill
        self.in_flight: list[int] = []

    async def run(self) -> None:
        """Inject everything; what can't be injected is left out."""
        messages = max(person.to_say for person in self._people)
        # said beyond a fault's time, so that something is in flight when it happens
        self._ahead = min(UNANSWERED // 2, messages // (2 * len(self._plan) + 2))
        # kept for each of the faults that follow
        kept = messages // (3 * len(self._plan) + 1)
        for number, fault in enumerate(self._plan, 1):
            self._limit = messages - kept * (len(self._plan) - number)
            for person in self._people:
                person.cap = min(max(fault.at // 2, person.said) + 2 * self._ahead, self._limit)
            await self._until(lambda at=fault.at: self._accepted >= at)  # type: ignore[misc]
            if fault.cut is None:
                await self._kill(fault)
            else:
                await self._cut(fault, fault.cut)
        for person in self._people:
            person.cap = messages
        # the last one counts as well: who was hit by it comes back, though all may be said
        await self._until(
            lambda: all(p.returns >= due for p, due in zip(self._people, self._due, strict=True)),
            even_if_done=True,
        )

    @property
    def _accepted(self) -> int:
        return sum(person.accepted + person.failed for person in self._people)

    async def _kill(self, fault: Fault) -> None:
        def ready() -> bool:
            waits = any(proxy.zombie_waits for proxy in self._proxies)
            return not waits and any(person.online for person in self._people)

        await self._until(ready)
        await self._provoke(self._people, self._ahead)
        in_flight = sum(person.in_flight for person in self._people)
        self._server.kill_now()
        self.in_flight.append(in_flight)
        self._tell(
            f"kill {len(self.in_flight)}: SIGKILL to the server, {in_flight} messages in flight"
        )
        for index, person in enumerate(self._people):
            if person.online:
                self._due[index] = person.returns + 1
        await self._server.kill()
        await asyncio.sleep(fault.pause)
        await self._server.start()

    async def _cut(self, fault: Fault, kind: Cut) -> None:
        person, proxy = self._people[fault.target], self._proxies[fault.target]

        def ready() -> bool:
            back = person.returns >= self._due[fault.target] and person.online
            return back and not proxy.zombie_waits

        for _ in range(_TRIES):
            await self._until(ready)
            await self._provoke([person])
            returns = person.returns
            cut = asyncio.create_task(proxy.cut(kind, outage=fault.pause))
            while not (await asyncio.wait((cut,), timeout=_TICK))[0]:
                await self._provoke([person])
            if cut.result() or not proxy.linked:
                self._due[fault.target] = returns + 1
            if cut.result():
                self._tell(f"{person.name}'s connection cut: {kind}")
                break
        if kind is Cut.ZOMBIE:
            await self._until(lambda: not proxy.zombie_waits)

    async def _provoke(self, people: Sequence[Person], wanted: int = 1) -> None:
        """Have that much in flight, if it is left to say."""
        if sum(person.in_flight for person in people) >= wanted:
            return
        for person in people:
            person.cap = min(person.said + max(_PORTION, wanted), self._limit)
        # who says it is woken, says it, and at the end of that turn of the loop it is handed over
        # on a live link; the answer takes longer than this
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def _until(self, condition: Callable[[], bool], *, even_if_done: bool = False) -> None:
        """Wait for it, unless it can't come any more: nothing is left to be sent, or nothing moves.

        What follows then fails to hit anything, and says so.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + _PATIENCE
        accepted = self._accepted
        while not condition() and (even_if_done or not all(person.done for person in self._people)):
            self._server.check()
            if self._accepted != accepted:
                accepted, give_up = self._accepted, loop.time() + _PATIENCE
            elif loop.time() > give_up:
                return
            await asyncio.sleep(_TICK)
