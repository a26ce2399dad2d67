"""Help for tests of what is built on im-proto; alone in `im_proto`, it may import more.

`SimWorld` and what belongs to it are imported when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sim import FAULTS, Handles, Outcome, SimulationFailure, SimWorld, simulate

__all__ = ["FAULTS", "Handles", "Outcome", "SimWorld", "SimulationFailure", "simulate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import sim

        return getattr(sim, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
