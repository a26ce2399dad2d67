"""im-proto: an instant-messaging protocol engine without I/O.

Bytes and time in, actions out. `ClientEngine` and `Gateway` are the two doors; `im_asyncio` and
`im_server` are adapters that carry their actions out.
"""

from __future__ import annotations

from .client import ClientCore, ClientEngine, ConnectionState, Guarantee, Status
from .config import ClientConfig, HeartbeatConfig, ReconnectConfig, ServerConfig, Timeouts
from .errors import IMError, IMErrorCode, LocalProtocolError
from .server import Gateway, Hub, ServerCore, ServerEngine

__version__ = "0.1.0"

__all__ = [
    "ClientConfig",
    "ClientCore",
    "ClientEngine",
    "ConnectionState",
    "Gateway",
    "Guarantee",
    "HeartbeatConfig",
    "Hub",
    "IMError",
    "IMErrorCode",
    "LocalProtocolError",
    "ReconnectConfig",
    "ServerConfig",
    "ServerCore",
    "ServerEngine",
    "Status",
    "Timeouts",
    "__version__",
]
