"""What an attack is, and how it is run: once, or again and again until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from .peer import DROPPED, NOTHING, Aim, Gone

Round = Callable[[Aim], Awaitable[None]]

#: What a server under load may answer to anybody: come again later, or no connection at all.
BUSY: Final = frozenset({"HTTP 503", "close 1013", "close 4009", DROPPED})


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack.

    Attributes:
        name: a few words.
        group: what it is about.
        does: in a sentence.
        answers: what the server answers, all of it, as `Aim.saw` notes it.
        also: what it may answer besides, or instead where there are no `answers`.
        round: does it once, to the server's answer.
        waits: the answer is that a deadline passes, so that a round takes as long as that.
    """

    name: str
    group: str
    does: str
    answers: frozenset[str]
    also: frozenset[str]
    round: Round
    waits: bool


class Group:
    """Collects the attacks of a module: `@group.attack("name", "does", "answer", …)`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.attacks: list[Attack] = []

    def attack(
        self,
        name: str,
        does: str,
        *answers: str,
        also: Iterable[str] = (),
        waits: bool = False,
    ) -> Callable[[Round], Round]:
        """A decorator of a round."""

        def add(round: Round) -> Round:  # noqa: A002
            self.add(name, does, round, *answers, also=also, waits=waits)
            return round

        return add

    def add(
        self,
        name: str,
        does: str,
        round: Round,  # noqa: A002
        *answers: str,
        also: Iterable[str] = (),
        waits: bool = False,
    ) -> None:
        """One attack more."""
        self.attacks.append(
            Attack(name, self.name, does, frozenset(answers), frozenset(also), round, waits)
        )


async def once(attack: Attack, aim: Aim) -> None:
    """Do it once; all that comes of it is noted in `aim.tally`."""
    try:
        async with asyncio.timeout(aim.patience):
            await attack.round(aim)
    except TimeoutError:
        aim.saw(NOTHING)
    except (Gone, OSError):  # not even a connection
        aim.saw(DROPPED)


async def rage(attack: Attack, aim: Aim, *, pace: float = 0.0) -> None:
    """Do it again and again until cancelled; `pace` are seconds from one round to the next."""
    while True:
        await asyncio.gather(once(attack, aim), asyncio.sleep(pace))
