"""Which lives are worth keeping: those that show most that is new, for the fewest bytes."""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Final

from .lives import Life
from .plain import Plain

_KIND: Final = re.compile(r'"type": ?"(\w+)"')
_CODE: Final = re.compile(r'"code\\?": ?(-?\d+)')
#: What else of an input makes it another one.
_TELLING: Final = ("code", "status", "kind", "op", "ok", "partial", "active", "priority", "wait")
#: A life that shows less than this is not worth a line.
_LEAST: Final = 1
#: The bytes of one line: a flood shows little for its length.
_LONGEST: Final = 50_000


def features(step: Plain, states: tuple[str, ...]) -> Iterator[str]:
    """What a step shows: an input in a state, an input and each of its effects."""
    event = _input(step["input"])
    yield f"{states} {event}"
    effects = [step["raises"]] if "raises" in step else [_effect(one) for one in step["actions"]]
    yield f"{event} -> {effects}"
    for effect in effects:
        yield f"{states} -> {effect}"


def _input(told: Plain) -> str:
    parts = [told["type"], *(f"{name}={told[name]}" for name in _TELLING if name in told)]
    if told["type"] == "TextReceived":
        text = told["text"]
        parts += _KIND.findall(text)[:3] + _CODE.findall(text)[:2]
    return " ".join(parts)


def _effect(action: Plain) -> str:
    if action["type"] == "SendText":
        return "say " + " ".join(_KIND.findall(action["text"])[:3])
    if action["type"] == "WriteJournal":
        return "write " + " ".join(sorted({change["type"] for change in action["changes"]}))
    if action["type"] != "Notify":
        return str(action["type"])
    event: dict[str, Any] = action["event"]
    error = event.get("error") or {}
    told = event["current"]["status"] if event["type"] == "StateChanged" else ""
    return f"{event['type']} {error.get('code', '')}{told}"


def as_line(vector: Plain) -> str:
    """A vector as a line of a file."""
    return json.dumps(vector, separators=(",", ":"))


def choose(
    lives: Iterable[tuple[str, Life]],
    *,
    steps: int,
    budget: int,
    good: Callable[[Plain], bool],
) -> list[Plain]:
    """The most telling lives, in the order in which they came: first those that go new ways
    through the engine, then those that show what is new from outside.

    Args:
        lives: with their names.
        steps: the most of one vector.
        budget: bytes of all lines together, about.
        good: a last look at a vector; those that are not are left out.
    """
    choice = _Choice([(name, life) for name, life in lives if life.steps], steps, budget, good)
    choice.take(lambda life, at: life.ways[at])
    choice.take(lambda life, at: frozenset(features(life.steps[at], life.states[at])))
    return [choice.taken[at] for at in sorted(choice.taken)]


class _Choice:
    def __init__(
        self,
        candidates: list[tuple[str, Life]],
        steps: int,
        budget: int,
        good: Callable[[Plain], bool],
    ) -> None:
        self._candidates = candidates
        self._steps = steps
        self._left = budget
        self._good = good
        self._sizes = [len(as_line(self._vector(at, steps))) for at in range(len(candidates))]
        self.taken: dict[int, Plain] = {}

    def _vector(self, at: int, steps: int) -> Plain:
        name, life = self._candidates[at]
        return life.vector(name, min(steps, len(life.steps)))

    def take(self, shows: Callable[[Life, int], frozenset[Hashable]]) -> None:
        """Take lives that show what none before them does, as long as there is room."""
        all_shown = [
            [shows(life, at) for at in range(min(self._steps, len(life.steps)))]
            for _, life in self._candidates
        ]
        unions = [frozenset().union(*shown) for shown in all_shown]
        seen: set[Hashable] = set()
        for at, vector in self.taken.items():
            seen.update(*all_shown[at][: len(vector["steps"])])
        # what a life has to give can only become less, so who is still the best is the best
        heap = [(-float("inf"), at) for at in range(len(all_shown)) if at not in self.taken]
        while heap and self._left > 0:
            _, at = heapq.heappop(heap)
            shown, new = all_shown[at], unions[at] - seen
            gain = -len(new) / self._sizes[at]
            if heap and gain > heap[0][0]:
                heapq.heappush(heap, (gain, at))
            elif len(new) >= _LEAST:
                last = max(number for number, step in enumerate(shown) if step & new)
                vector = self._vector(at, last + 1)
                length = len(as_line(vector))
                if length <= _LONGEST and self._good(vector):
                    seen.update(*shown[: last + 1])
                    self.taken[at] = vector
                    self._left -= length + 1
