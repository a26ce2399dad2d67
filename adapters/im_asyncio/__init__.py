"""The asyncio client of im-proto.

Its log is the logger "im_asyncio": a line for all that comes in (`<`), goes out (`>`), for states
(`=`), timers (`%`) and errors (`!`). Errors are warnings, changes of state info, the rest debug. It
says nothing unless the application sets logging up, or the environment does, when the first client
is made:

    IM_LOG=debug | info | warning   print the log to stderr from that level on, with the time,
                                    unless the application has handlers of its own
    IM_LOG_CONTENT=1                with the text of messages, clipped and escaped;
                                    `IMClient(log_content=…)` says it for one client

Tokens, headers and a proxy's password are never in it. The traceback of a callback that raised is
logged as it is, with its causes.
"""

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
