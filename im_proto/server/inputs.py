"""Everything that can happen to a server: to one of its connections, its store, its clock."""

from __future__ import annotations

from dataclasses import dataclass

from ..wire import UserId
from .records import CommitResult, Login, MailboxEntry

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
