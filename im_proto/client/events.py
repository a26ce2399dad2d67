"""Everything that an application may hear of its client.

Nobody changes one: those of each message are not frozen, as a frozen field takes 0.1 us to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from ..errors import IMError
from ..wire import UserId
from ..wire.session import HistoryPage, SessionVO


class Status(StrEnum):
    """The state of a client in one word."""

    DISCONNECTED = "DISCONNECTED"
    CONNECTING = "CONNECTING"
    CONNECTED = "CONNECTED"
    AUTHENTICATED = "AUTHENTICATED"
    RECONNECTING = "RECONNECTING"


class Guarantee(StrEnum):
    """What a send means against the present server (protocol.md, "Order and certainty")."""

    EXACTLY_ONCE = "exactly-once"
    AT_LEAST_ONCE = "at-least-once"
    AT_MOST_ONCE = "at-most-once"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionState:
    """Where a client is, and why.

    Attributes:
        status: the state in one word.
        reason: why, in plain words.
        attempts: failed attempts in a row; 0 once authenticated.
        retry_at: when the next attempt starts, on the clock given to the engine; None if none is
            scheduled.
        retry_in: seconds until then, at the time of asking.
        last_error: the last failure, kept until the next log-in.
    """

    status: Status
    reason: str
    attempts: int = 0
    retry_at: float | None = None
    retry_in: float | None = None
    last_error: IMError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The WebSocket is up; the log-in follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """A link that was up is gone; `error` is None when the application asked for it."""

    error: IMError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnecting:
    """An attempt to come back is scheduled.

    `attempt` counts from 1, `delay` is in seconds.
    """

    attempt: int
    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnected:
    """Logged in again after a lost link."""

    resumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """The server accepted the log-in."""

    user_id: UserId
    username: str | None
    capabilities: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthFailed:
    """The server refused the log-in, or the token could not be had."""

    error: IMError


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class MessageReceived:
    """A message for this user. Say MessageHandled(delivery) when the application is done with it.

    Attributes:
        delivery: this engine's name for it.
        redelivered: the application may have seen it before: it has failed on it, or the process
            ended while it was being handled.
        attempt: how often this engine has offered it, from 1.
        timestamp: when the server accepted it, in milliseconds since 1970, if it says so.
        seq: its place in this user's mailbox; None from a plain server.
    """

    delivery: int
    content: str
    from_user: UserId | None = None
    session_id: int | None = None
    msg_id: int | None = None
    message_type: str = "text"
    timestamp: int | None = None
    seq: int | None = None
    redelivered: bool = False
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUndeliverable:
    """The application has failed on a message `attempts` times; it is acknowledged, and will not
    come again."""

    delivery: int
    content: str
    from_user: UserId | None
    session_id: int | None
    msg_id: int | None
    message_type: str
    timestamp: int | None
    seq: int | None
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMessage:
    """Another device of this user has sent a message."""

    to_user: UserId
    content: str
    session_id: int | None
    msg_id: int | None
    message_type: str
    timestamp: int | None
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptReceived:
    """Messages of this user were delivered to a first device of `user`, or were read.

    `timestamp` is in milliseconds since 1970. It may be told twice.
    """

    msg_ids: tuple[int, ...]
    user: UserId
    status: Literal["delivered", "read"]
    session_id: int | None
    timestamp: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadElsewhere:
    """Another device of this user has read what `from_user` wrote, up to this message."""

    from_user: UserId
    msg_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRefused:
    """The server did not take a MarkRead: it knows no such message for this user."""

    from_user: UserId
    msg_id: int
    error: IMError


@dataclass(frozen=True, slots=True, kw_only=True)
class TypingChanged:
    """Somebody has begun, or stopped, to write to this user."""

    from_user: UserId
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceChanged:
    """Somebody with whom this user shares a session came online, or left.

    `last_seen` is in milliseconds since 1970, None if its owner doesn't tell.
    """

    user: UserId
    online: bool
    last_seen: int | None


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class MessageQueued:
    """A message is in the outbox, and, with a journal, on disk: it will have an end."""

    ref: int
    msg_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxFilling:
    """The outbox is four fifths full: of messages, or of bytes."""

    messages: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxDrained:
    """The outbox, which was filling, is less than half full again."""

    messages: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefreshed:
    """The server has taken a new token on the live connection; `expires_in` is in seconds, None
    if it does not say."""

    expires_in: float | None


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class MessageHandedOver:
    """A queued message was given to a transport; `sends` counts how often by now."""

    ref: int
    msg_id: int
    sends: int


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class MessageAccepted:
    """The server has accepted a message, for good.

    `timestamp` is the server's, in milliseconds since 1970, if it says so.
    """

    ref: int
    msg_id: int
    to_user: UserId
    content: str
    session_id: int | None
    timestamp: int | None
    sends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFailed:
    """A message has ended without being accepted; `error.code` IN_DOUBT means: nobody knows."""

    ref: int
    msg_id: int | None
    to_user: UserId
    content: str
    error: IMError


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatSent:
    """A probe went out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatReceived:
    """A probe was answered; `rtt` is in seconds, None when several were out."""

    rtt: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorOccurred:
    """Something went wrong; `error.terminal` says whether the client has given up.

    `another_way`: the next attempt does something else about it (asks for another token, logs in
    without what a strict server can't read), so it is too early to report failure.
    """

    error: IMError
    another_way: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged:
    """The status, or the reason for it, is another one."""

    previous: ConnectionState
    current: ConnectionState


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolViolation:
    """The peer broke the protocol. `reason` is printable and holds none of its input."""

    reason: str
    close_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownMessage:
    """The peer sent a type that this client doesn't know."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionsRefused:
    """The server could not take `capabilities`; from now on it is spoken to plainly."""

    ws_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuaranteeChanged:
    """What a send means has changed: another server, or the first log-in."""

    guarantee: Guarantee


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesMayBeMissing:
    """The server could not resume: its mailbox was reset, or has dropped what is older."""

    oldest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateSuppressed:
    """A message came again and was not delivered again."""

    msg_id: int | None
    from_user: UserId | None
    seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPaused:
    """The application is behind, so nothing more is read from the socket (`when_full="block"`),
    but while an answer is awaited. Heartbeats go on.

    `unhandled` is how many received messages wait.
    """

    unhandled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingResumed:
    """The application has caught up: the socket is read as ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDropped:
    """A received message had to go: too many wait for the application. It will not come again.

    `delivery` is that of its MessageReceived.
    """

    delivery: int
    from_user: UserId | None
    msg_id: int | None
    seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFetched:
    """A SessionCall was answered; a GET that found nothing has none."""

    ref: int
    sessions: tuple[SessionVO, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFetched:
    """A SessionCall for HISTORY was answered."""

    ref: int
    page: HistoryPage


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFailed:
    """A SessionCall has failed."""

    ref: int
    error: IMError


Event = (
    Connected
    | Disconnected
    | Reconnecting
    | Reconnected
    | Authenticated
    | AuthFailed
    | MessageReceived
    | MessageUndeliverable
    | OwnMessage
    | ReceiptReceived
    | ReadElsewhere
    | ReadRefused
    | TypingChanged
    | PresenceChanged
    | MessageQueued
    | OutboxFilling
    | OutboxDrained
    | TokenRefreshed
    | MessageHandedOver
    | MessageAccepted
    | MessageFailed
    | HeartbeatSent
    | HeartbeatReceived
    | ErrorOccurred
    | StateChanged
    | ProtocolViolation
    | UnknownMessage
    | ExtensionsRefused
    | GuaranteeChanged
    | MessagesMayBeMissing
    | DuplicateSuppressed
    | ReadingPaused
    | ReadingResumed
    | MessageDropped
    | SessionFetched
    | HistoryFetched
    | SessionFailed
)
