"""One life of a client's core: recorded while it lives, and lived again."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ...client import ClientCore, ClientEngine
from ...client import actions as act
from ...client import inputs as inp
from ...client.journal import JournalState
from ...config import ClientConfig
from ...errors import IMError, LocalProtocolError
from ...wire.types import MAX_SAFE_INTEGER
from .following import Way, followed
from .plain import (
    Plain,
    Untellable,
    brief,
    read_config,
    read_input,
    read_journal,
    tell,
    told_config,
    told_input,
    told_journal,
)

#: Makes the core of a replay: `ClientCore`, or what is to be compared with it.
Cores = Callable[..., ClientCore]


class RecordingRandom(random.Random):
    """Draws from another source, and notes what a core has drawn."""

    def __init__(self, source: random.Random) -> None:
        super().__init__(0)
        self._source = source
        self.draws: list[float | str] = []

    def uniform(self, a: float, b: float) -> float:
        """As the source draws it."""
        drawn = self._source.uniform(a, b)
        self.draws.append(drawn)
        return drawn

    def getrandbits(self, k: int, /) -> int:
        """As the source draws it; noted as hexadecimal digits."""
        drawn = self._source.getrandbits(k)
        self.draws.append(f"{drawn:0{k // 4}x}")
        return drawn


class Replayed(random.Random):
    """Gives what was drawn, in order."""

    def __init__(self, draws: list[float | str]) -> None:
        super().__init__(0)
        self.draws = list(draws)

    def uniform(self, a: float, b: float) -> float:
        """The next number."""
        return float(self.draws.pop(0))

    def getrandbits(self, k: int, /) -> int:
        """The next hexadecimal digits."""
        drawn = self.draws.pop(0)
        assert isinstance(drawn, str), "a number was drawn here, not bits"
        return int(drawn, 16)


class Life:
    """What is noted of one core, until something can't be told.

    Attributes:
        states: the four machines' states before each step.
        ways: which lines of the engine followed on which for the first time, in each step.
        whole: nothing was left out.
        most: steps after which nothing more is noted.
    """

    def __init__(
        self, config: ClientConfig, now: float, wall: float, draws: list[Any], most: int
    ) -> None:
        self.most = most
        self.config = told_config(config)
        self.now, self.wall = now, wall
        self.draws = draws
        self.journal: Plain | None = None
        self.steps: list[Plain] = []
        self.states: list[tuple[str, ...]] = []
        self.ways: list[frozenset[Way]] = []
        self._known: set[Way] = set()
        self.drawn: list[int] = []
        self.whole = True

    def note(self, told: Plain, states: tuple[str, ...], ways: set[Way]) -> None:
        """Note a step."""
        self.steps.append(told)
        self.states.append(states)
        self.ways.append(frozenset(ways - self._known))
        self._known |= ways
        self.drawn.append(len(self.draws))

    def vector(self, name: str, steps: int) -> Plain:
        """The first `steps` of it."""
        return {
            "name": name,
            "config": self.config,
            "now": tell(self.now),
            "wall": tell(self.wall),
            "journal": self.journal,
            "draws": self.draws[: self.drawn[steps - 1]],
            "steps": self.steps[:steps],
        }


class RecordingCore(ClientCore):
    """A core that notes its life."""

    def __init__(
        self,
        config: ClientConfig,
        *,
        now: float,
        wall: float,
        rng: random.Random,
        journal: JournalState | None = None,
        most: int,
    ) -> None:
        source = RecordingRandom(rng)
        self.noted = Life(config, now, wall, source.draws, most)
        try:
            self.noted.journal = told_journal(journal)
        except Untellable:
            self.noted.whole = False
        super().__init__(config, now=now, wall=wall, rng=source, journal=journal)

    def step(self, event: inp.CoreInput | inp.TurnEnded, now: float) -> list[act.CoreAction]:
        """As ClientCore, and notes it."""
        if not self.noted.whole or len(self.noted.steps) >= self.noted.most:
            return super().step(event, now)
        states = (self.connection, self.login.state, self.liveness.state, self.reconnect)
        told: Plain = {"now": now}
        try:
            told["input"] = told_input(event)
            if isinstance(event, inp.TextReceived):
                _check_numbers(event.text)
        except Untellable:
            self.noted.whole &= not isinstance(event, inp.CoreInput)
        ways: set[Way] = set()
        try:
            with followed(ways):
                actions = super().step(event, now)
        except (IMError, LocalProtocolError) as error:
            told["raises"] = raised(error)
            self._note(told, states, ways)
            raise
        try:
            told["actions"] = brief(actions)
            told["deadline"] = tell(self.next_deadline())
        except Untellable:
            self.noted.whole = False
        self._note(told, states, ways)
        return actions

    def _note(self, told: Plain, states: tuple[str, ...], ways: set[Way]) -> None:
        if self.noted.whole and "input" in told:
            self.noted.note(told, states, ways)


#: Numbers of these names are numbers here and nothing else; any \\ is of JSON inside JSON.
_NUMBERS: Final = re.compile(
    r'"(?:seq|oldest|after|timestamp|serverTime|lastSeen|total)\\?":\s*\\?"?(\d{16,})'
)


def _check_numbers(text: str) -> None:
    """A number above 2^53-1 that is no id breaks the rules in JavaScript, and not here."""
    if any(int(number) > MAX_SAFE_INTEGER for number in _NUMBERS.findall(text)):
        raise Untellable("a number above 2^53-1")


def raised(error: IMError | LocalProtocolError) -> str:
    """How a vector names what was raised."""
    return error.code.value if isinstance(error, IMError) else "LocalProtocolError"


class Recorder:
    """Makes engines whose cores note their lives.

    Args:
        most: how many steps of each.

    Attributes:
        lives: of all of them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.lives: list[Life] = []

    def engine(
        self,
        config: ClientConfig,
        *,
        now: float,
        wall: float,
        rng: random.Random,
        journal: JournalState | None = None,
    ) -> ClientEngine:
        """An engine, as `ClientEngine` would be."""
        engine = ClientEngine(config, now=now, wall=wall, rng=rng, journal=copy.deepcopy(journal))
        engine.core = self.core(config, now=now, wall=wall, rng=rng, journal=journal)
        return engine

    def core(
        self,
        config: ClientConfig,
        *,
        now: float,
        wall: float,
        rng: random.Random,
        journal: JournalState | None = None,
    ) -> RecordingCore:
        """A core."""
        core = RecordingCore(config, now=now, wall=wall, rng=rng, journal=journal, most=self._most)
        self.lives.append(core.noted)
        return core


# ---------------------------------------------------------------- living it again


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first thing that is not as it was recorded.

    Attributes:
        place: which vector, which step, and where in it.
        event: the input.
        expected, found: what the vector has there, and what the core did.
    """

    place: str
    event: Plain | None
    expected: Any
    found: Any

    def __str__(self) -> str:
        return (
            f"{self.place}\n  input:    {self.event}\n"
            f"  expected: {self.expected}\n  found:    {self.found}"
        )


_NOTHING: Final = "(nothing)"


def replay(vector: Plain, cores: Cores = ClientCore) -> Difference | None:
    """Live it again; the first difference, or None."""
    name = vector["name"]
    rng = Replayed(vector["draws"])
    core = cores(
        read_config(vector["config"]),
        now=float(vector["now"]),
        wall=float(vector["wall"]),
        rng=rng,
        journal=read_journal(vector["journal"]),
    )
    for number, step in enumerate(vector["steps"]):
        try:
            found = _lived(core, step)
        except IndexError:
            return Difference(
                place=f"{name}, step {number}, draws",
                event=step["input"],
                expected=_NOTHING,
                found="more than were drawn",
            )
        expected = {key: value for key, value in step.items() if key not in ("now", "input")}
        if (differs := _first(expected, found, "")) is not None:
            where, was, now_is = differs
            return Difference(
                place=f"{name}, step {number}{where}",
                event=step["input"],
                expected=was,
                found=now_is,
            )
    if rng.draws:
        return Difference(place=f"{name}, draws", event=None, expected=_NOTHING, found=rng.draws)
    return None


def _lived(core: ClientCore, step: Plain) -> Plain:
    try:
        actions = core.step(read_input(step["input"]), float(step["now"]))
    except (IMError, LocalProtocolError) as error:
        return {"raises": raised(error)}
    return {"actions": brief(actions), "deadline": tell(core.next_deadline())}


def _first(expected: Any, found: Any, where: str) -> tuple[str, Any, Any] | None:
    """The first place where two differ, and what stands there."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in [*expected, *(key for key in found if key not in expected)]:
            pair = (expected.get(key, _NOTHING), found.get(key, _NOTHING))
            if (differs := _first(*pair, f"{where}.{key}")) is not None:
                return differs
        return None
    if isinstance(expected, list) and isinstance(found, list):
        for at in range(max(len(expected), len(found))):
            one = expected[at] if at < len(expected) else _NOTHING
            other = found[at] if at < len(found) else _NOTHING
            if (differs := _first(one, other, f"{where}[{at}]")) is not None:
                return differs
        return None
    return None if expected == found else (where, expected, found)
