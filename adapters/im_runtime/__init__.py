"""What every client needs besides the engine: no event loop, no thread, no socket in here."""

from __future__ import annotations

from .callbacks import NAMES, Callback, Callbacks, translate
from .inbox import Inbox
from .log import LOGGER, line, log
from .message import Message
from .sent import MessageError, SentMessage, SentStatus

__all__ = [
    "LOGGER",
    "NAMES",
    "Callback",
    "Callbacks",
    "Inbox",
    "Message",
    "MessageError",
    "SentMessage",
    "SentStatus",
    "line",
    "log",
    "translate",
]
