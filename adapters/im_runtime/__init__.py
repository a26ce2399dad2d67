"""What every client needs besides the engine: no event loop, no socket, and but for HTTP no thread.

Nothing has a lock either: a client with threads calls all of it in the one thread, or under the one
lock, in which it steps its engine.
"""

from __future__ import annotations

from .callbacks import NAMES, Callback, Callbacks, translate
from .calls import Call, CallbacksDropped, Calls, Outcome, SlowCallback, check_slow
from .client import Client
from .driving import Driver
from .filelock import FileLock, LockHeldError
from .functions import call, is_async, qualified
from .inbox import Inbox
from .iteration import Iteration, Source
from .journal import Durability, Journal
from .log import LOGGERS, Log, line
from .message import Desk, Message
from .net import (
    STAGGER,
    Address,
    failure,
    in_turn,
    joined,
    known_address,
    lookup_flags,
    words,
)
from .pending import Pending
from .reception import RECEIVED, Reception
from .sent import MessageError, Reached, SentMessage, SentStatus, unanswered
from .sessions import Answer, Asked, Asking
from .standing import Login, Phase, Standing, Supply, not_in_time
from .telling import Telling
from .transaction import Transaction

__all__ = [
    "LOGGERS",
    "NAMES",
    "RECEIVED",
    "STAGGER",
    "Address",
    "Answer",
    "Asked",
    "Asking",
    "Call",
    "Callback",
    "Callbacks",
    "CallbacksDropped",
    "Calls",
    "Client",
    "Desk",
    "Driver",
    "Durability",
    "FileLock",
    "Inbox",
    "Iteration",
    "Journal",
    "LockHeldError",
    "Log",
    "Login",
    "Message",
    "MessageError",
    "Outcome",
    "Pending",
    "Phase",
    "Reached",
    "Reception",
    "SentMessage",
    "SentStatus",
    "SlowCallback",
    "Source",
    "Standing",
    "Supply",
    "Telling",
    "Transaction",
    "call",
    "check_slow",
    "failure",
    "in_turn",
    "is_async",
    "joined",
    "known_address",
    "line",
    "lookup_flags",
    "not_in_time",
    "qualified",
    "translate",
    "unanswered",
    "words",
]
