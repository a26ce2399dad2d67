"""Who is killed at which point, round by round."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from .soak_points import CLIENT, NOT_IN_AUTO, SERVER

#: The applications of a soak: name, user, and how it handles what comes in.
PEOPLE: Final = (("ann", 1, "transactional"), ("bob", 2, "auto"))
SERVER_NAME: Final = "server"
KINDS: Final = ("client", "server", "both")
#: A kill strikes one of so many passages of its point; every third one of the first few, where a
#: process has only just come back.
_PASSAGES: Final = 40
_FIRST: Final = 3
#: A log-in is rare: the first one counts. There is one in each round, by who died in the last.
_RARE: Final = "login-after"

#: A point, and at which of its passages.
Death = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Round:
    """What is killed; then all of it is started again."""

    kind: str
    deaths: dict[str, Death]
    #: dies while the other one is dead, at the first passage
    then: dict[str, Death] = field(default_factory=dict)


class Plan:
    """Makes rounds, each point in its turn.

    Args:
        seed: the same one makes the same rounds.
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311
        self._decks: dict[str, Iterator[str]] = {}
        for name, _, mode in PEOPLE:
            # what only one of them has is in its deck twice
            both = [point for point in CLIENT if point not in NOT_IN_AUTO]
            self._decks[name] = self._deck(both if mode == "auto" else [*CLIENT, *NOT_IN_AUTO])
        self._server = self._deck(list(SERVER))
        # between two deaths of one round nobody logs in
        self._server_then = self._deck([point for point in SERVER if point != _RARE])
        self._clients = self._deck([name for name, *_ in PEOPLE])

    def round(self, kind: str) -> Round:
        """The next round of that kind: "client", "server" or "both"."""
        if kind == "server":
            return Round(kind, {SERVER_NAME: self._death(next(self._server))})
        name = next(self._clients)
        made = Round(kind, {name: self._death(next(self._decks[name]))})
        if kind == "both":
            made.then[SERVER_NAME] = next(self._server_then), 1
        return made

    def _deck(self, cards: list[str]) -> Iterator[str]:
        while True:
            yield from self._rng.sample(cards, len(cards))

    def _death(self, point: str) -> Death:
        if point == _RARE:
            return point, 1
        return point, self._rng.randint(1, _FIRST if self._rng.randrange(3) == 0 else _PASSAGES)


def floor(count: int, points: int) -> int:
    """So often at least each of the points is hit by so many kills; more than 3 is not asked."""
    return min(3, count // points)
