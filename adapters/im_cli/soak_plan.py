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
#: A log-in is rare: the first one counts.
_RARE: Final = "login-after"

#: A point, and at which of its passages.
Death = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Round:
    """What is killed together; then all of it is started again."""

    kind: str
    deaths: dict[str, Death] = field(default_factory=dict)


class Plan:
    """Makes rounds, each point in its turn.

    Args:
        seed: the same one makes the same rounds.
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311
        self._decks: dict[str, Iterator[str]] = {
            name: self._deck([p for p in CLIENT if mode != "auto" or p not in NOT_IN_AUTO])
            for name, _, mode in PEOPLE
        }
        self._decks[SERVER_NAME] = self._deck(list(SERVER))
        self._clients = self._deck([name for name, *_ in PEOPLE])
        #: the server was killed in the last round, so log-ins are to come
        self._server_returns = True

    def round(self, kind: str) -> Round:
        """The next round of that kind: "client", "server" or "both"."""
        names = [] if kind == "server" else [next(self._clients)]
        if kind != "client":
            names.append(SERVER_NAME)
        made = Round(kind, {name: self._death(name) for name in names})
        self._server_returns = SERVER_NAME in names
        return made

    def _deck(self, cards: list[str]) -> Iterator[str]:
        while True:
            yield from self._rng.sample(cards, len(cards))

    def _death(self, name: str) -> Death:
        point = next(self._decks[name])
        if point == _RARE:
            if self._server_returns:
                return point, 1
            # nobody logs in now: another one first
            later, point = point, next(self._decks[name])
            self._decks[name] = _before(later, self._decks[name])
        few = self._rng.randrange(3) == 0
        return point, self._rng.randint(1, _FIRST if few else _PASSAGES)


def _before(card: str, deck: Iterator[str]) -> Iterator[str]:
    yield card
    yield from deck


def floor(count: int, points: int) -> int:
    """So often at least each of the points is hit by so many kills; more than 3 is not asked."""
    return min(3, count // points)
