"""All cases, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Sequence

from .case import Case, Level
from .cases.callbacks import CALLBACKS
from .cases.ending import ENDING
from .cases.journal import JOURNAL
from .cases.opening import OPENING
from .cases.paths import PATHS
from .cases.reading import READING
from .cases.timing import TIMING
from .cases.tls import TLS
from .cases.tokens import TOKENS
from .cases.writing import WRITING

_CHAPTERS = (READING, OPENING, TIMING, WRITING, ENDING, TOKENS, TLS, PATHS, CALLBACKS, JOURNAL)


def cases(level: Level | str = Level.CORE) -> Sequence[Case]:
    """The cases of a level; `extras` holds those of `core` too.

    Raises:
        ValueError: there is no such level.
    """
    wanted = Level(level)
    found = [case for chapter in _CHAPTERS for case in chapter.cases]
    return [case for case in found if wanted is Level.EXTRAS or case.level is Level.CORE]


def case_named(name: str) -> Case:
    """The case of that name, of whatever level.

    Raises:
        KeyError: there is none; the text gives the names.
    """
    everything = {case.name: case for case in cases(Level.EXTRAS)}
    if name not in everything:
        raise KeyError(f"no case {name!r}; there are: {', '.join(everything)}")
    return everything[name]
