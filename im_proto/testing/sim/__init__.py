"""The simulated world: see `SimWorld` and `simulate`."""

from __future__ import annotations

from .application import Handles
from .faults import FAULTS, describe
from .history import SimulationFailure
from .simulation import Outcome, simulate
from .world import SimWorld

__all__ = [
    "FAULTS",
    "Handles",
    "Outcome",
    "SimWorld",
    "SimulationFailure",
    "describe",
    "simulate",
]
