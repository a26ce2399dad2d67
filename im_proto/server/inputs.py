"""Everything that can happen to a server: to one of its connections, its store, its clock."""

from __future__ import annotations

from dataclasses import dataclass

from ..wire import UserId
from .records import CommitResult, Login, MailboxEntry
from .talk import SendTo

# --- of a connection


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionMade:
    """A peer has connected. `connection` is the adapter's name for it, never used again."""

    connection: int
    #: the peer's address, for logs
    peer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesReceived:
    """Bytes came in, in any chunking."""

    connection: int
    data: bytes


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
    """The authenticator knows who this is. `expires_in` is in seconds, None for never."""

    connection: int
    user: UserId
    username: str | None = None
    roles: frozenset[str] = frozenset()
    expires_in: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefused:
    """The authenticator refuses, with a code of protocol.md section 1 and words for the user."""

    connection: int
    code: int
    reason: str


# --- of the store


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A StoreCommit is on disk; one result per submission, in order."""

    request: int
    results: tuple[CommitResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginStored:
    """A StoreLogin is on disk."""

    request: int
    login: Login


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDone:
    """A StoreRead is done. `head` is the mailbox's newest seq at that moment."""

    request: int
    entries: tuple[MailboxEntry, ...]
    head: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFailed:
    """The store could not do it (disk full, locked, gone); nothing of the request was kept."""

    request: int
    reason: str


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
StoreInput = Committed | LoginStored | ReadDone | StoreFailed
Input = ConnectionInput | StoreInput | TimePassed | WallClock | Shutdown


# ---- inputs of ServerCore only: what the framing, or an ASGI server, has seen


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeAsked:
    """The upgrade request is complete and good."""

    connection: int
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReceived:
    """A whole text message came in."""

    connection: int
    text: str


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
