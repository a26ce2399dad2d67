"""Everything that can happen to a client's engine.

One class each, and nobody changes one: those of each message are not frozen, as a frozen field
takes 0.1 us to make. Whatever answers a question carries the question's id, and an answer with
a stale id changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from ..wire import UserId
from ..wire.session import SessionOp
from .turns import Priority


class TransportFailure(StrEnum):
    """Why a transport could not be opened."""

    DNS = "dns"
    REFUSED = "refused"
    TLS = "tls"
    PROXY = "proxy"
    TIMEOUT = "timeout"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """The application wants to be connected, or to be connected again after a terminal error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    """The application wants no connection. What is queued stays queued."""


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Send:
    """The application wants a message sent.

    `ref` is the application's name for it in this engine, drawn by the adapter: any int that was
    not used before, above all that a journal has. It comes back in every event about the message.

    Attributes:
        priority: orders conversations, never the messages inside one.
        key: makes it unique, also across restarts if there is a journal: see `ref_of_key`.
        ttl: seconds until it expires, unless a transport had it before; None: as configured.
        wait: where the outbox is full, wait for room instead of raising. Until MessageQueued it
            is not in the outbox, nor in the journal.
    """

    ref: int
    to_user: UserId
    content: str
    message_type: str = "text"
    session_id: int | None = None
    priority: Priority = "normal"
    key: str | None = None
    ttl: float | None = None
    wait: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """The application withdraws a message; it works while no transport ever had it."""

    ref: int


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class MessageHandled:
    """The application has handled a received message; `delivery` is that of MessageReceived.

    Not `ok`: it has failed on it. It is offered again, at most `handler_attempts` times in all.
    """

    delivery: int
    ok: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkRead:
    """The user has read what `from_user` wrote, up to this message."""

    from_user: UserId
    msg_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTyping:
    """The user has begun (`active`), or stopped, to write to somebody. Told where the server takes
    it, and not too often; else it is nothing."""

    to_user: UserId
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalWritten:
    """What WriteJournal asked for is on disk."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFailed:
    """What WriteJournal asked for could not be written, and nothing of it was; `reason` is for
    people."""

    request: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateToken:
    """The application has a new token. It also leaves the terminal state of a refused log-in."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReady:
    """The token function that FetchToken asked for has answered."""

    request: int
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFailed:
    """The token function that FetchToken asked for has raised; `reason` is for people."""

    request: int
    reason: str


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class MessageTaken:
    """The application has begun to handle a received message, so it is not dropped any more."""

    delivery: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCall:
    """The application wants something of sessions; SessionFetched or SessionFailed answers.

    `ref` is the application's name for the call, drawn by the adapter. GET takes a `session_id`, or
    book, buyer and seller; CREATE and START_CHAT take book, buyer and seller. HISTORY takes a
    `session_id` or a `peer_id`, and is answered by HistoryFetched.

    Attributes:
        start_msg_id: of HISTORY: go on behind this message, in `direction`, without it.
        page_size: of HISTORY.
    """

    ref: int
    op: SessionOp
    session_id: int | None = None
    book_id: int | None = None
    buyer_id: UserId | None = None
    seller_id: UserId | None = None
    peer_id: UserId | None = None
    start_msg_id: int | None = None
    direction: Literal["before", "after"] = "before"
    page_size: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswered:
    """What CallHttp asked for was answered, with any status.

    `body` was read as far as CallHttp allows, and one byte more if there was more; `retry_after` is
    the Retry-After header, in seconds.
    """

    request: int
    status: int
    body: bytes
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFailed:
    """What CallHttp asked for was not answered, or not to the end; `reason` is for people."""

    request: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOpened:
    """The transport that OpenTransport asked for is there: TCP, and TLS if it was `secure`."""

    transport: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsStarted:
    """The TLS that StartTls asked for is there. If it failed: TransportFailed. Of ClientEngine
    only."""

    transport: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportFailed:
    """The transport that OpenTransport, or the TLS that StartTls, asked for could not be had."""

    transport: int
    kind: TransportFailure = TransportFailure.OTHER
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLost:
    """An open transport has ended: end of file, a reset, or an error."""

    transport: int
    reason: str = ""


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class BytesReceived:
    """Bytes came in, in any chunking. Of ClientEngine only."""

    transport: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBlocked:
    """The transport's write buffer is over its high-water mark."""

    transport: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReady:
    """The transport's write buffer is under its low-water mark again."""

    transport: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkChanged:
    """The machine has a network again, or another one: a waiting client tries at once, one that
    is logged in probes at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WallClock:
    """The wall clock was looked at again: seconds since 1970 at the `now` of this input."""

    wall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """`next_deadline()` has come, or the adapter just woke up. Early or twice does no harm.

    `wall` is what the wall clock says, in seconds since 1970: where it has run on and `now` has
    not, the machine has slept. None: nobody looked.
    """

    wall: float | None = None


# --- of an engine that is told of turns (`turns`)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded:
    """A turn of the adapter's loop is over: time for what the inputs of this turn have left to do.

    It is wanted where the engine says so after a step (`unsettled`).
    """


# --- of ClientCore only: what the framing, or a transport that gives whole messages, has seen


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOpened:
    """The WebSocket upgrade succeeded; `capable`: the server says that it knows section 2."""

    transport: int
    capable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRefused:
    """The WebSocket upgrade was answered with an HTTP status other than 101.

    `retry_after` is the Retry-After header, in seconds.
    """

    transport: int
    status: int
    retry_after: float | None = None
    reason: str = ""


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class TextReceived:
    """A whole text message came in."""

    transport: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlReceived:
    """A whole ping or pong came in: a sign of life."""

    transport: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialChanged:
    """A message has begun to come in and is not complete, or (False) nothing is half here."""

    transport: int
    partial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerClosed:
    """The peer's close frame came in; 1005 stands for one without a code."""

    transport: int
    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FramingViolated:
    """The peer broke RFC 6455, or a limit of ours. `code` is what to close with."""

    transport: int
    code: int
    reason: str


CoreInput = (
    Connect
    | Disconnect
    | Send
    | Cancel
    | MessageHandled
    | MessageTaken
    | MarkRead
    | SetTyping
    | JournalWritten
    | JournalFailed
    | UpdateToken
    | TokenReady
    | TokenFailed
    | SessionCall
    | HttpAnswered
    | HttpFailed
    | TransportOpened
    | TransportFailed
    | TransportLost
    | WriteBlocked
    | WriteReady
    | NetworkChanged
    | WallClock
    | TimePassed
    | LinkOpened
    | LinkRefused
    | TextReceived
    | ControlReceived
    | PartialChanged
    | PeerClosed
    | FramingViolated
)

Input = (
    Connect
    | Disconnect
    | Send
    | Cancel
    | MessageHandled
    | MessageTaken
    | MarkRead
    | SetTyping
    | JournalWritten
    | JournalFailed
    | UpdateToken
    | TokenReady
    | TokenFailed
    | SessionCall
    | HttpAnswered
    | HttpFailed
    | TransportOpened
    | TlsStarted
    | TransportFailed
    | TransportLost
    | BytesReceived
    | WriteBlocked
    | WriteReady
    | NetworkChanged
    | WallClock
    | TimePassed
)
