"""The server: `Gateway` joins the `Hub` with one `ServerEngine` for each connection."""

from __future__ import annotations

from .core import ServerCore
from .engine import ServerEngine
from .gateway import Gateway
from .hub import Hub

__all__ = ["Gateway", "Hub", "ServerCore", "ServerEngine"]
