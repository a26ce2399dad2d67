"""Everything that the server's engines may want done. Whoever runs them carries a list out, in
order, and answers what asks for an answer.

What is made for each frame or message is not frozen: that costs more than the rest of it. Nobody
changes one all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..wire import UserId
from .records import CursorMove, MailboxEntry, ReadMark, Submission
from .sessions import Call
from .talk import ToHub

# --- of a connection


@dataclass(slots=True, kw_only=True)
class SendBytes:
    """Write these bytes to the connection."""

    connection: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseTransport:
    """Write what is still buffered, then close the connection; answer with ConnectionLost.

    `linger`: the peer may still be sending. End our half alone and read on until it ends its own,
    or AbortTransport comes: closed with bytes unread, a socket is reset, and what we said last, why
    the connection ends, might never be read. A transport that can't do that closes.
    """

    connection: int
    linger: bool = False


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
    token: str = field(repr=False)


# --- of the hub


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCommit:
    """Write all this in one transaction; answer with Committed or StoreFailed.

    `at` is the time of acceptance in milliseconds since 1970; `session_lifetime` is how long a
    session lives after its last message, in milliseconds, None for ever.
    """

    request: int
    submissions: tuple[Submission, ...]
    cursors: tuple[CursorMove, ...]
    at: int
    reads: tuple[ReadMark, ...] = ()
    session_lifetime: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLogin:
    """Start a new generation of the device and look up where it was; answer with LoginStored or
    StoreFailed. It is written in turn with the commits: those asked for earlier come first.

    Attributes:
        resume_seq: the seq that the client resumes from, None if it doesn't.
        at: now, in milliseconds since 1970.
        keep: the most devices with a name that a user may have; a new one makes those go that have
            logged in longest ago (`retention.devices_that_go`). None: any number.
        present: those of the user's devices that are logged in, or about to be.
        meets: say with whom the user shares a session as well, as for a StorePeers.
    """

    request: int
    user: UserId
    device: str
    resume_seq: int | None
    at: int = 0
    keep: int | None = None
    present: frozenset[str] = frozenset()
    meets: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRead:
    """Read at most `limit` entries of a mailbox behind `after`; answer with ReadDone or
    StoreFailed. Only what was committed before may be seen."""

    request: int
    user: UserId
    after: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """Look up what became of messages of a device; answer with StatusFound or StoreFailed. In turn
    with the commits, so that it is final.

    Attributes:
        forgotten_before: of an older time, in milliseconds since 1970, nothing need be known.
    """

    request: int
    user: UserId
    device: str
    msg_ids: tuple[int, ...]
    forgotten_before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCall:
    """Carry out a call about sessions (protocol.md section 3) as `im_proto.server.sessions` says;
    answer with CallDone or StoreFailed. In turn with the commits.

    `at` is now and `session_lifetime` how long a new session lives, in milliseconds.
    """

    request: int
    user: UserId
    call: Call
    at: int
    session_lifetime: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePeers:
    """Look up with whom a user shares an active session, and when who of them was last seen;
    answer with PeersFound or StoreFailed."""

    request: int
    user: UserId
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSeen:
    """Note when a user was here last, in milliseconds since 1970; None: it is nobody's business.
    No answer is needed."""

    request: int
    user: UserId
    at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRetain:
    """Let go what is too old; answer with Retained or StoreFailed. In turn with the commits.

    Attributes:
        entries_before: entries of mailboxes accepted before go; None: none for their age.
        keep: the most entries of a mailbox; None: any number.
        messages_before: messages in no mailbox, accepted before, go: nothing repeats them now.
        devices_before: devices whose last log-in was before go, if their mailbox holds nothing any
            more that they have acknowledged: what is kept of them says nothing then. None: none go.
            Not the plain ones of a user, and none of `present`.
        present: the devices that are logged in.
        limit: the most rows in one transaction.
    """

    request: int
    entries_before: int | None
    keep: int | None
    messages_before: int
    limit: int
    devices_before: int | None = None
    present: frozenset[tuple[UserId, str]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRevoke:
    """Keep that the tokens of a user made before are good no longer; answer with RevocationStored
    or StoreFailed. `before` is in milliseconds since 1970; an earlier one of the user is replaced.
    """

    request: int
    user: UserId
    before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorize:
    """Ask the site whether the one may write to the other; answer with Authorized."""

    request: int
    sender: UserId
    recipient: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStored:
    """A new message is on disk: tell the site. `offline`: no device of its recipient is logged in
    here. No answer is needed."""

    entry: MailboxEntry
    offline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the site asked for with SendAsked, CallAsked or RevokeAsked. `code`, `data` and `text`
    are those of protocol.md section 3; of a send `data` is {"msgId", "timestamp", "sessionId"}, of
    a revocation {"before", "ended"}."""

    request: int
    code: int
    data: Any
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """The shutdown is complete: all that was accepted is answered, every connection is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFailed:
    """A bug of ours was met at this connection, which ends by it: log it. No answer is needed."""

    connection: int
    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesBroken:
    """The peer of a connection that has ended had broken the rules: its address pays for that
    (`doors.Arrivals.fault`). No answer is needed."""

    connection: int
    #: see ConnectionMade
    peer: str


ConnectionAction = (
    SendBytes | CloseTransport | AbortTransport | PauseReading | ResumeReading | Authenticate
)
StoreAction = (
    StoreCommit
    | StoreLogin
    | StoreRead
    | StoreStatus
    | StoreCall
    | StorePeers
    | StoreSeen
    | StoreRetain
    | StoreRevoke
)
SiteAction = Authorize | MessageStored | Answered
HubAction = StoreAction | SiteAction | Drained


# ---- what the framing, or an ASGI server, does


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


@dataclass(slots=True, kw_only=True)
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


@dataclass(slots=True, kw_only=True)
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

#: for a connection whose transport takes whole messages
MessageAction = AcceptUpgrade | RefuseUpgrade | SendText | SendPing | SendClose
Action = ConnectionAction | MessageAction | HubAction | EngineFailed | RulesBroken
