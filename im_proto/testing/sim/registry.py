"""The faults by name. A fault takes the `Chaos` that injects it and says whether it hit anything.

Its docstring is what `im simulate --help` and the table of faults show.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .chaos import Chaos

Fault = Callable[["Chaos"], bool]
#: In the order in which they are written down.
FAULTS: Final[dict[str, Fault]] = {}


def fault(function: Fault) -> Fault:
    """Note a fault under the name of its function."""
    FAULTS[function.__name__] = function
    return function


def describe(name: str) -> str:
    """What a fault does, in one line."""
    return (FAULTS[name].__doc__ or "").strip()
