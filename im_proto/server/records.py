"""What the hub and a store say to each other: plain records, no behaviour.

A store is whatever keeps them: SQLite in `im_server`, a dictionary in a simulator. What is
decided inside a transaction stands in `commit.py`, so that every store decides the same.

What is made for each message (Submission, Stored, MailboxEntry) is not frozen, and can be made
without naming its fields: both cost more than the rest of what is decided about it. Nor is
CursorMove. Nobody changes one all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..wire import UserId
from ..wire.extensions import SentState

#: The device of those who name none (plain logins, which never replace one another).
PLAIN: str = ""


@dataclass(slots=True)
class Submission:
    """A message on its way into the store.

    Attributes:
        key: the hub's name for it; it comes back with the result.
        sender, device, generation: the login that it came in on. A plain login has device PLAIN
            and generation 0, and is never fenced.
        msg_id: the sender's.
        session_id: the session it goes into; None: the one without a book that the two share,
            which is made if need be.
        wants_receipt: the login takes receipts.
        forbidden: the site says that the sender may not write to that user. A repeat of what was
            stored before is answered as ever; else it is Refused with 403.
    """

    key: int
    sender: UserId
    device: str
    generation: int
    msg_id: int
    to_user: UserId
    content: str
    message_type: str
    session_id: int | None
    wants_receipt: bool = False
    forbidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMark:
    """A user has read what `from_user` wrote, up to that message and in its session.

    Attributes:
        key: the hub's name for it; it comes back with the result.
        reader, device, generation: the login that it came in on.
    """

    key: int
    reader: UserId
    device: str
    generation: int
    from_user: UserId
    msg_id: int


@dataclass(slots=True, kw_only=True)
class CursorMove:
    """A device has acknowledged everything up to `seq`. Cursors never go back.

    `base`: at the first login of a device, where its pushes began: what is not above it has not
    come by this device. A device that was here needs none.
    """

    user: UserId
    device: str
    generation: int
    seq: int
    base: int | None = None


# ---- results, one per Submission, in order


@dataclass(slots=True)
class Stored:
    """The message is in the mailbox of `to_user`, now (`repeat` False) or since before (True).

    `session_id` is the session that it is in, `msg_id` the one that it is pushed under.
    """

    key: int
    to_user: UserId
    seq: int
    timestamp: int
    repeat: bool
    session_id: int | None = None
    msg_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflicting:
    """The same (user, msgId) stands for another message: code 40900, nothing was stored."""

    key: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A message of this device before it was Conflicting: this new one was not stored, and nobody
    is answered. What was stored before is answered as ever, and so are further conflicts.

    The sender gives those another msgId and sends the rest again, so they keep their order.
    """

    key: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fenced:
    """A newer login of the device exists: nothing was stored, nobody is answered."""

    key: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unstorable:
    """The store can't hold this one message, today or ever; its neighbours are in."""

    key: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The sender may not write there (protocol.md section 4): 40400, no such session for it, 40300,
    expired or closed, or 403, forbidden by the site. Nothing was stored."""

    key: int
    code: int
    reason: str


CommitResult = Stored | Conflicting | Held | Fenced | Unstorable | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """The result of a ReadMark; `found`: there is such a message for this reader (of a fenced
    login nothing is marked, and nobody is answered: None)."""

    key: int
    found: bool | None


@dataclass(slots=True)
class MailboxEntry:
    """A message in a mailbox, as it is pushed. `timestamp`: accepted at, in milliseconds.

    In the mailbox of `from_user`, where that isn't `to_user` too, it is a copy of what the user's
    device `device` has sent.
    """

    seq: int
    from_user: UserId
    to_user: UserId
    msg_id: int
    content: str
    message_type: str
    session_id: int | None
    timestamp: int
    device: str = PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptEntry:
    """In the mailbox of a sender: these messages reached `user`, or were read."""

    seq: int
    msg_ids: tuple[int, ...]
    user: UserId
    status: Literal["delivered", "read"]
    session_id: int | None
    timestamp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSyncEntry:
    """In the mailbox of a reader, for its other devices."""

    seq: int
    from_user: UserId
    msg_id: int


Entry = MailboxEntry | ReceiptEntry | ReadSyncEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusItem:
    """What became of a message that a device had sent; `timestamp`: accepted at, in ms."""

    msg_id: int
    status: SentState
    timestamp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a store knows after a login.

    Attributes:
        generation: of this login of the device; 0 for a plain one.
        last_msg_id: the highest msgId that was accepted from this device; 0 if none.
        cursor: the device's acknowledged seq; None if the device was never here.
        epoch: of the user's mailbox.
        head: the newest seq of the mailbox; 0 if it is empty.
        oldest: the oldest seq still held; head + 1 if none is.
        resume_entry: (from_user, msg_id) at the seq the client resumes from; None if not held.
    """

    generation: int
    last_msg_id: int
    cursor: int | None
    epoch: str
    head: int
    oldest: int
    resume_entry: tuple[UserId, int] | None
