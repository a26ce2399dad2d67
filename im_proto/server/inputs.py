"""Everything that can happen to a server: to one of its connections, its store, its clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..wire import UserId
from .records import CommitResult, CursorMove, Entry, Login, Marked, StatusItem
from .talk import SendTo

# --- of a connection


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionMade:
    """A peer has connected. `connection` is the adapter's name for it, never used again."""

    connection: int
    #: the address that it comes from, "" for a local socket
    peer: str = ""
    #: its transport gives and takes whole messages (an ASGI server), not bytes: it gets the inputs
    #: and wants the actions of ServerCore
    messages: bool = False


@dataclass(slots=True, kw_only=True)
class BytesReceived:
    """Bytes came in, in any chunking."""

    connection: int
    data: bytes = field(repr=False)  # a token may be in it


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLost:
    """The transport has ended: end of file, a reset, an error, or our own close."""

    connection: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBlocked:
    """The connection's write buffer is over its high-water mark."""

    connection: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReady:
    """The connection's write buffer is under its low-water mark again."""

    connection: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVerified:
    """The authenticator knows who this is. `expires_in` is in seconds, None for never.

    `issued_at`: when the token was made, in milliseconds since 1970; None: it does not say, so
    that any revocation meets it. `show_last_seen`: others may learn when this user was here last.
    """

    connection: int
    user: UserId
    username: str | None = None
    roles: frozenset[str] = frozenset()
    expires_in: float | None = None
    issued_at: int | None = None
    show_last_seen: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefused:
    """The authenticator refuses, with a code of protocol.md section 1 and words for the user."""

    connection: int
    code: int
    reason: str


# --- of the store


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A StoreCommit is on disk; one result per submission and per read mark, in order.

    Attributes:
        heads: the newest seq of every mailbox that grew.
        entries: what came into mailboxes, in order, in those that grew.
        acquainted: who shares an active session from now on.
        fenced: the cursors that were not moved, as there is a newer login of their device.
    """

    request: int
    results: tuple[CommitResult, ...]
    marks: tuple[Marked, ...] = ()
    heads: tuple[tuple[UserId, int], ...] = ()
    entries: tuple[tuple[UserId, tuple[Entry, ...]], ...] = ()
    acquainted: tuple[tuple[UserId, UserId], ...] = ()
    fenced: tuple[CursorMove, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginStored:
    """A StoreLogin is on disk. `peers`: as of PeersFound; None: they are still to be asked for."""

    request: int
    login: Login
    peers: tuple[tuple[UserId, int | None], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDone:
    """A StoreRead is done. `head` is the mailbox's newest seq at that moment."""

    request: int
    entries: tuple[Entry, ...]
    head: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusFound:
    """A StoreStatus is done: one item per msgId, in order."""

    request: int
    items: tuple[StatusItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDone:
    """A StoreCall is done: what section 3 of protocol.md answers.

    `acquainted` are those who share an active session by it, from now on.
    """

    request: int
    code: int
    data: Any
    text: str = ""
    acquainted: tuple[tuple[UserId, UserId], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PeersFound:
    """A StorePeers is done; each with when it was last seen, in milliseconds since 1970."""

    request: int
    peers: tuple[tuple[UserId, int | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """A StoreRetain is done: the mailboxes that lost entries, with the oldest seq still held.

    `more`: there is more to let go.
    """

    request: int
    oldest: tuple[tuple[UserId, int], ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationStored:
    """A StoreRevoke is on disk."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFailed:
    """The store could not do it (disk full, locked, gone); nothing of the request was kept."""

    request: int
    reason: str


# --- of the site


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorized:
    """What Authorize asked for; `allowed` None: it could not be found out."""

    request: int
    allowed: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendAsked:
    """The site sends a message, as any user; answered by `Answered`.

    `msg_id`: the same one with the same content is stored once; None draws one.
    """

    request: int
    from_user: UserId
    to_user: UserId
    content: str
    message_type: str = "text"
    session_id: int | None = None
    msg_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAsked:
    """A call about sessions, by HTTP or from the site; answered by `Answered`.

    `params` are the fields of its query or body. `trusted`: it is the site's own, which need not be
    asked whether the user may begin a session with the other.
    """

    request: int
    user: UserId
    op: str
    params: Mapping[str, Any]
    trusted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KickAsked:
    """End the connections of a user, or of one of its devices. `retry_after` is in seconds."""

    user: UserId
    device: str | None = None
    reason: str = "kicked"
    reconnect: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeAsked:
    """The tokens of a user that were made by now are good no longer; answered by `Answered`, whose
    data is {"before": milliseconds since 1970, "ended": how many connections}."""

    request: int
    user: UserId
    reason: str = "the token was revoked"


# --- of everything


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """`next_deadline()` has come. Early or twice does no harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WallClock:
    """The wall clock was looked at again: seconds since 1970 at the `now` of this input."""

    wall: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    """Go down in good order: 1012 to everyone, nothing accepted is lost. Ends with Drained."""

    reason: str = "the server restarts"
    #: seconds after which clients should come back; None lets them choose
    retry_after: float | None = None


ConnectionInput = (
    ConnectionMade
    | BytesReceived
    | ConnectionLost
    | WriteBlocked
    | WriteReady
    | TokenVerified
    | TokenRefused
)
StoreInput = (
    Committed
    | LoginStored
    | ReadDone
    | StatusFound
    | CallDone
    | PeersFound
    | Retained
    | RevocationStored
    | StoreFailed
)
SiteInput = Authorized | SendAsked | CallAsked | KickAsked | RevokeAsked
Input = ConnectionInput | StoreInput | SiteInput | TimePassed | WallClock | Shutdown


# ---- what the framing, or an ASGI server, has seen


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeAsked:
    """The upgrade request is complete and good.

    `host` and `origin` are those headers, None for none; `forwarded` are the addresses of
    X-Forwarded-For, in the order in which they stand there.
    """

    connection: int
    target: str = field(repr=False)  # a token may be in it
    host: str | None = None
    origin: str | None = None
    forwarded: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class TextReceived:
    """A whole text message came in."""

    connection: int
    text: str = field(repr=False)  # a token may be in it


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryReceived:
    """A binary message came in, over a transport of whole messages; nobody may send one."""

    connection: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlReceived:
    """A whole ping or pong came in; `pong` is a pong's payload."""

    connection: int
    pong: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialChanged:
    """A message has begun to come in and is not complete (True), or nothing is half here."""

    connection: int
    partial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerClosed:
    """The peer's close frame came in; 1005 stands for one without a code."""

    connection: int
    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FramingViolated:
    """The peer broke RFC 6455 or a limit; with `handshake`, `code` is an HTTP status."""

    connection: int
    code: int
    reason: str
    handshake: bool = False


CoreInput = (
    ConnectionLost
    | WriteBlocked
    | WriteReady
    | TokenVerified
    | TokenRefused
    | TimePassed
    | UpgradeAsked
    | TextReceived
    | ControlReceived
    | PartialChanged
    | PeerClosed
    | FramingViolated
    | SendTo
)

#: Of a connection whose transport gives whole messages, beside those of `ConnectionInput`.
MessageInput = (
    UpgradeAsked | TextReceived | BinaryReceived | ControlReceived | PeerClosed | FramingViolated
)
