"""The server: messages in SQLite, one WebSocket at `/ws`, on uvicorn and Starlette.

Needs the extra: `pip install "im-proto[server]"`.
"""

from __future__ import annotations

from .app import IMServer
from .store import Store, StoreError
from .tokens import (
    Authenticator,
    DevAuthenticator,
    Identity,
    JWTAuthenticator,
    TokenRefusedError,
    make_token,
)

__all__ = [
    "Authenticator",
    "DevAuthenticator",
    "IMServer",
    "Identity",
    "JWTAuthenticator",
    "Store",
    "StoreError",
    "TokenRefusedError",
    "make_token",
]
