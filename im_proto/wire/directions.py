"""Who sends which messages."""

from __future__ import annotations

from typing import Final

from .extensions import (
    AuthExpiring,
    MessageStatusRequest,
    MessageStatusResponse,
    Presence,
    ReadSync,
    ReceiptPush,
    SessionRequest,
    SessionResponse,
    Typing,
    TypingPush,
)
from .messages import (
    AuthRequest,
    AuthResponse,
    ChatAck,
    ChatError,
    ChatReadReceipt,
    ChatReadReceiptResponse,
    ChatRedirectToUser,
    ChatSendResponse,
    ChatSendToAll,
    ChatSendToOne,
    HeartbeatRequest,
    HeartbeatResponse,
    Kick,
    Message,
    SyncRequest,
    SyncResponse,
)

#: What clients send.
CLIENT_MESSAGES: Final[tuple[type[Message], ...]] = (
    AuthRequest,
    HeartbeatRequest,
    ChatSendToOne,
    ChatSendToAll,
    ChatReadReceipt,
    ChatAck,
    SyncRequest,
    MessageStatusRequest,
    Typing,
    SessionRequest,
)
#: What servers send.
SERVER_MESSAGES: Final[tuple[type[Message], ...]] = (
    AuthResponse,
    HeartbeatResponse,
    ChatSendResponse,
    ChatRedirectToUser,
    ChatReadReceiptResponse,
    ChatError,
    SyncResponse,
    Kick,
    MessageStatusResponse,
    ReceiptPush,
    ReadSync,
    TypingPush,
    Presence,
    AuthExpiring,
    SessionResponse,
)
