"""What the connections and the hub say to each other, inside one process.

`ToHub` are the hub's inputs that come from a connection; `FromHub` what a connection is told.

What is made for each message, or for each frame, is not frozen: that would cost more than what is
done with it. Nobody changes one that was passed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from ..wire import ChatReadReceipt, ChatSendToAll, ChatSendToOne, ResumeFrom, UserId
from .records import Entry, StatusItem

# ---- from a connection to the hub


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A WebSocket wants to be opened; `address` is that of the peer itself, behind all proxies that
    are trusted."""

    connection: int
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionAsked:
    """AUTH_REQUEST came: may the log-in begin?"""

    connection: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAsked:
    """A token was verified: log this connection in.

    `device` is PLAIN for one that names none; `granted` is what it asked for and may have.
    """

    connection: int
    user: UserId
    roles: frozenset[str]
    device: str
    granted: frozenset[str]
    resume: ResumeFrom | None
    show_last_seen: bool = True


@dataclass(slots=True)
class Submitted:
    """A logged-in connection sends messages whose form is good: all that it says in a row."""

    connection: int
    messages: list[ChatSendToOne]


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastAsked:
    """A logged-in connection wants to write to everybody who is online."""

    connection: int
    message: ChatSendToAll


@dataclass(slots=True)
class Acknowledged:
    """Everything up to `seq` has arrived: by CHAT_ACK_REQUEST, or by a plain peer's Pong."""

    connection: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncAsked:
    """The client has a hole behind `after`."""

    connection: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAsked:
    """The user has read up to a message of somebody."""

    connection: int
    message: ChatReadReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusAsked:
    """The client asks what became of messages that it has sent."""

    connection: int
    msg_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TypingAsked:
    """The user has begun, or stopped, to write to somebody."""

    connection: int
    to_user: UserId
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequested:
    """A call about sessions; `id` is the client's name for it."""

    connection: int
    id: str
    op: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingBlocked:
    """The connection takes no more bytes for now (`blocked`), or takes them again."""

    connection: int
    blocked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """The connection is gone, or on its way out: nothing may be sent to it."""

    connection: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The transport of a connection that had Arrived is gone: it takes up no room any more."""

    connection: int


ToHub = (
    Arrived
    | AdmissionAsked
    | LoginAsked
    | Submitted
    | BroadcastAsked
    | Acknowledged
    | SyncAsked
    | ReadAsked
    | StatusAsked
    | TypingAsked
    | CallRequested
    | WritingBlocked
    | Left
    | Gone
)

# ---- from the hub to a connection


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """The login is stored: answer AUTH_REQUEST.

    Attributes:
        resume: "recovered" or "reset" if the client wanted to resume.
        base: pushes go on behind this seq.
        oldest: the oldest seq still held.
    """

    last_msg_id: int
    epoch: str
    resume: Literal["recovered", "reset"] | None
    base: int
    oldest: int


@dataclass(slots=True)
class Answer:
    """Answer a CHAT_SEND_…_REQUEST. `timestamp` is in milliseconds since 1970."""

    msg_id: int
    code: int
    text: str | None = None
    timestamp: int | None = None
    session_id: int | None = None


@dataclass(slots=True, kw_only=True)
class Push:
    """Push these entries of the user's mailbox, in order."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAnswer:
    """Answer CHAT_READ_RECEIPT_REQUEST."""

    msg_id: int
    code: int
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusTold:
    """Answer MESSAGE_STATUS_REQUEST."""

    items: tuple[StatusItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TypingTold:
    """Push TYPING."""

    from_user: UserId
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceTold:
    """Push PRESENCE; `last_seen` is in milliseconds since 1970."""

    user: UserId
    online: bool
    last_seen: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswered:
    """Answer SESSION_REQUEST."""

    id: str
    code: int
    data: Any
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PushUnstored:
    """Push a broadcast: it is in no mailbox."""

    from_user: UserId
    msg_id: int
    content: str
    timestamp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """Answer SYNC_REQUEST."""

    recovered: bool
    oldest: int
    epoch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The WebSocket may be opened: answers Arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The log-in may begin: answers AdmissionAsked."""


class Why(StrEnum):
    """Why a peer is not read for a while. It is read again when none of them holds."""

    UNANSWERED = "too much of what it wants has no answer yet"
    USER_RATE = "its user wants more of the store than it may"
    RATE = "it says more than it may"
    BLOCKED = "it takes none of our answers"
    DRAINING = "the server goes down"
    TURN = "it says much, and others are looked at first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Stop reading from the peer for a reason (`paused`), or no longer for it."""

    why: Why
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Close the connection. `retry_after` is in seconds."""

    code: int
    reason: str
    reconnect: bool = True
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """The server goes down: take nothing more from the peer, answers still go out."""


FromHub = (
    Welcome
    | Admitted
    | LoggedIn
    | Answer
    | Push
    | PushUnstored
    | Synced
    | ReadAnswer
    | StatusTold
    | TypingTold
    | PresenceTold
    | CallAnswered
    | Pause
    | End
    | Drain
)


@dataclass(slots=True)
class SendTo:
    """Of the hub: tell a connection this, in order: all that one step of the hub brings it."""

    connection: int
    said: list[FromHub]
