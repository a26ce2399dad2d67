"""im-proto: an instant-messaging protocol engine without I/O.

Bytes and time in, actions out. `ClientEngine` and `Gateway` are the two doors; `im_asyncio`,
`im_threads` and `im_server` are adapters that carry their actions out.

What stands here is loaded when it is first asked for, so `im_proto.testing.plugin` costs nothing
where it isn't used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import ClientCore, ClientEngine, ConnectionState, Guarantee, Status
    from .config import (
        ClientConfig,
        HeartbeatConfig,
        HttpConfig,
        ReconnectConfig,
        ServerConfig,
        Timeouts,
    )
    from .errors import IMError, IMErrorCode, LocalProtocolError
    from .server import Gateway, Hub, ServerCore, ServerEngine
    from .validation import RULES, validate

__version__ = "0.1.0"

__all__ = [
    "RULES",
    "ClientConfig",
    "ClientCore",
    "ClientEngine",
    "ConnectionState",
    "Gateway",
    "Guarantee",
    "HeartbeatConfig",
    "HttpConfig",
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
    "validate",
]

if not TYPE_CHECKING:  # else a misspelt name would pass the type checker

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import client, config, errors, server, validation

        homes = (errors, config, client, validation, server)
        value = next(getattr(home, name) for home in homes if hasattr(home, name))
        globals()[name] = value
        return value
