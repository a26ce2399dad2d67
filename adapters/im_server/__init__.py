"""The server: messages in SQLite, a WebSocket at `/ws`, HTTP calls under `/im`; by itself, or
mounted in an ASGI application.

Needs the extra: `pip install "im-proto[server]"`.
"""

from __future__ import annotations

from .answers import RefusedError
from .app import IMServer, Sent
from .keys import TokenKey
from .signing import SIGNATURE_HEADER, SignatureError, verify_webhook
from .store import Store, StoreError
from .stored import StoredMessage
from .tokens import (
    Authenticate,
    Authenticator,
    DevAuthenticator,
    Identity,
    JWTAuthenticator,
    TokenRefusedError,
    make_token,
)
from .webhooks import Webhook

__all__ = [
    "SIGNATURE_HEADER",
    "Authenticate",
    "Authenticator",
    "DevAuthenticator",
    "IMServer",
    "Identity",
    "JWTAuthenticator",
    "RefusedError",
    "Sent",
    "SignatureError",
    "Store",
    "StoreError",
    "StoredMessage",
    "TokenKey",
    "TokenRefusedError",
    "Webhook",
    "make_token",
    "verify_webhook",
]
