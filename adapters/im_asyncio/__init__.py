"""The asyncio client of im-proto."""

from __future__ import annotations

from im_proto.client.events import ConnectionState, Guarantee, Status
from im_proto.config import ClientConfig
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_runtime import Message, MessageError, SentStatus

from .client import IMClient
from .messages import Messages
from .sent import SentMessage

__all__ = [
    "ClientConfig",
    "ConnectionState",
    "Guarantee",
    "IMClient",
    "IMError",
    "IMErrorCode",
    "LocalProtocolError",
    "Message",
    "MessageError",
    "Messages",
    "SentMessage",
    "SentStatus",
    "Status",
]
