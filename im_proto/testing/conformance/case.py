"""A case: what an adapter must do, why, and where to look when it doesn't."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from .bench import Bench
from .subject import Feature

Script: TypeAlias = Callable[[Bench], None]


class Level(StrEnum):
    """How much an adapter can do."""

    #: what every adapter must do
    CORE = "core"
    #: TLS, IPv6, Unix sockets, proxies, callbacks, a journal: each if the adapter says that it
    #: has it
    EXTRAS = "extras"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case of the kit.

    Attributes:
        name: what it is called on the command line.
        must: what the adapter must do, and why, in a sentence.
        look: where to look when it fails.
        needs: the feature without which it is skipped.
        script: runs it; raises Failed.
    """

    name: str
    level: Level
    must: str
    look: str
    script: Script
    needs: Feature | None = None


class Chapter:
    """The cases of one file."""

    def __init__(self, level: Level = Level.CORE) -> None:
        self._level = level
        self.cases: list[Case] = []

    def case(
        self, *, must: str, look: str, needs: Feature | None = None
    ) -> Callable[[Script], Script]:
        """Make a function a case, named after it."""

        def register(script: Script) -> Script:
            name = script.__name__.replace("_", "-")
            self.cases.append(
                Case(name=name, level=self._level, must=must, look=look, script=script, needs=needs)
            )
            return script

        return register
