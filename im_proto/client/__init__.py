"""The client: `ClientEngine` on bytes, `ClientCore` on whole text frames."""

from __future__ import annotations

from .core import ClientCore
from .effects import Counters
from .engine import ClientEngine
from .events import ConnectionState, Event, Guarantee, Status

__all__ = [
    "ClientCore",
    "ClientEngine",
    "ConnectionState",
    "Counters",
    "Event",
    "Guarantee",
    "Status",
]
