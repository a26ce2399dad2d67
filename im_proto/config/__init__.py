"""Configuration: frozen, checked at construction, durations in seconds.

A mistake is told here, by name, and not later by a connection that fails.
"""

from __future__ import annotations

from .client import (
    ClientConfig,
    HeartbeatConfig,
    HttpConfig,
    ReconnectConfig,
    Timeouts,
    TokenSource,
)
from .server import ServerConfig

__all__ = [
    "ClientConfig",
    "HeartbeatConfig",
    "HttpConfig",
    "ReconnectConfig",
    "ServerConfig",
    "Timeouts",
    "TokenSource",
]
