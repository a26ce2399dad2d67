"""The client of im-proto for programs with threads."""

from __future__ import annotations

from im_proto.client.events import ConnectionState, Guarantee, Status
from im_proto.config import ClientConfig
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_proto.wire.session import HistoryRecord, SessionVO
from im_runtime import CallbacksDropped, MessageError, SentStatus, SlowCallback

from .client import IMClient
from .message import Message
from .messages import Messages
from .sent import SentMessage

__all__ = [
    "CallbacksDropped",
    "ClientConfig",
    "ConnectionState",
    "Guarantee",
    "HistoryRecord",
    "IMClient",
    "IMError",
    "IMErrorCode",
    "LocalProtocolError",
    "Message",
    "MessageError",
    "Messages",
    "SentMessage",
    "SentStatus",
    "SessionVO",
    "SlowCallback",
    "Status",
]
