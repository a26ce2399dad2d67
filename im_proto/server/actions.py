"""Everything that the server's engines may want done. Whoever runs them carries a list out, in
order, and answers what asks for an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..wire import UserId
from .records import CursorMove, Submission
from .talk import ToHub

# --- of a connection


@dataclass(frozen=True, slots=True, kw_only=True)
class SendBytes:
    """Write these bytes to the connection."""

    connection: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseTransport:
    """Write what is still buffered, then close the connection; answer with ConnectionLost."""

    connection: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortTransport:
    """Drop the connection at once. No answer is needed."""

    connection: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseReading:
    """Stop reading from the connection: the peer sends faster than we commit."""

    connection: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeReading:
    """Read from the connection again."""

    connection: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticate:
    """Ask the authenticator; answer with TokenVerified or TokenRefused. Never log the token."""

    connection: int
    token: str

    def __repr__(self) -> str:
        return f"Authenticate(connection={self.connection}, token=…)"


# --- of the hub


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCommit:
    """Write all this in one transaction; answer with Committed or StoreFailed.

    `at` is the time of acceptance in milliseconds since 1970.
    """

    request: int
    submissions: tuple[Submission, ...]
    cursors: tuple[CursorMove, ...]
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLogin:
    """Start a new generation of the device and look up where it was; answer with LoginStored or
    StoreFailed. It is written in turn with the commits: those asked for earlier come first.

    `resume_seq` is the seq that the client resumes from, None if it doesn't.
    """

    request: int
    user: UserId
    device: str
    resume_seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRead:
    """Read at most `limit` entries of a mailbox behind `after`; answer with ReadDone or
    StoreFailed. Only what was committed before may be seen."""

    request: int
    user: UserId
    after: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """The shutdown is complete: all that was accepted is answered, every connection is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFailed:
    """A bug of ours was met at this connection, which ends by it: log it. No answer is needed."""

    connection: int
    error: Exception


ConnectionAction = (
    SendBytes | CloseTransport | AbortTransport | PauseReading | ResumeReading | Authenticate
)
HubAction = StoreCommit | StoreLogin | StoreRead | Drained
Action = ConnectionAction | HubAction | EngineFailed


# ---- actions of ServerCore only


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptUpgrade:
    """Answer the upgrade request with 101."""

    connection: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseUpgrade:
    """Answer the upgrade request with an HTTP error; `retry_after` is in seconds."""

    connection: int
    status: int
    reason: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendText:
    """Send one text message."""

    connection: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendPing:
    """Send a ping."""

    connection: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendClose:
    """Send a close frame."""

    connection: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TellHub:
    """Give this to the hub."""

    talk: ToHub


CoreAction = (
    CloseTransport
    | AbortTransport
    | PauseReading
    | ResumeReading
    | Authenticate
    | AcceptUpgrade
    | RefuseUpgrade
    | SendText
    | SendPing
    | SendClose
    | TellHub
)
