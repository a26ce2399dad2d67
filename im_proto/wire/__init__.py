"""What goes over the wire: messages, codes, closes and dialects (docs/protocol.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from . import codes
from .closes import Blame, Verdict, verdict_of_close, verdict_of_http
from .codes import Outcome, outcome
from .dialect import BadFrame, Dialect, Incoming, Malformed, Unknown
from .directions import CLIENT_MESSAGES, SERVER_MESSAGES
from .extensions import (
    AuthExpiring,
    MessageStatusRequest,
    MessageStatusResponse,
    Presence,
    ReadSync,
    ReceiptPush,
    SessionRequest,
    SessionResponse,
    StatusItem,
    Typing,
    TypingPush,
)
from .invocation import Invocation
from .messages import (
    AuthData,
    AuthRequest,
    AuthResponse,
    ChatAck,
    ChatAnswer,
    ChatError,
    ChatReadReceipt,
    ChatReadReceiptResponse,
    ChatRedirectToUser,
    ChatSendResponse,
    ChatSendToAll,
    ChatSendToOne,
    ClientLimits,
    HeartbeatHint,
    HeartbeatRequest,
    HeartbeatResponse,
    Kick,
    Message,
    ResumeFrom,
    ServerLimits,
    SyncRequest,
    SyncResponse,
)
from .typed import Typed
from .types import MAX_ID, UserId, check_content, content_units, id_on_wire, user_id

#: Every dialect by the name that a configuration calls it (`ClientConfig.dialect`). One more is a
#: file beside theirs, and a line here.
DIALECTS: Final[Mapping[str, type[Dialect]]] = {
    dialect.name: dialect for dialect in (Invocation, Typed)
}

__all__ = [
    "CLIENT_MESSAGES",
    "DIALECTS",
    "MAX_ID",
    "SERVER_MESSAGES",
    "AuthData",
    "AuthExpiring",
    "AuthRequest",
    "AuthResponse",
    "BadFrame",
    "Blame",
    "ChatAck",
    "ChatAnswer",
    "ChatError",
    "ChatReadReceipt",
    "ChatReadReceiptResponse",
    "ChatRedirectToUser",
    "ChatSendResponse",
    "ChatSendToAll",
    "ChatSendToOne",
    "ClientLimits",
    "Dialect",
    "HeartbeatHint",
    "HeartbeatRequest",
    "HeartbeatResponse",
    "Incoming",
    "Invocation",
    "Kick",
    "Malformed",
    "Message",
    "MessageStatusRequest",
    "MessageStatusResponse",
    "Outcome",
    "Presence",
    "ReadSync",
    "ReceiptPush",
    "ResumeFrom",
    "ServerLimits",
    "SessionRequest",
    "SessionResponse",
    "StatusItem",
    "SyncRequest",
    "SyncResponse",
    "Typed",
    "Typing",
    "TypingPush",
    "Unknown",
    "UserId",
    "Verdict",
    "check_content",
    "codes",
    "content_units",
    "id_on_wire",
    "outcome",
    "user_id",
    "verdict_of_close",
    "verdict_of_http",
]
