"""What a store keeps: devices, mailboxes, messages, sessions, and what stands in a mailbox."""

from __future__ import annotations

from typing import NamedTuple

from ..wire import UserId
from .records import Entry, MailboxEntry, ReadSyncEntry, ReceiptEntry

#: (user, device); all plain logins of a user share the device PLAIN.
DeviceKey = tuple[UserId, str]
#: (sender, message id)
Identity = tuple[UserId, int]
#: The two of a chat without a book, as `im_proto.wire.types.in_order` has them.
Pair = tuple[UserId, UserId]


class Device(NamedTuple):
    """What a store keeps of a device.

    `generation` is that of its newest login (0 for PLAIN), `cursor` the highest seq that it has
    acknowledged (None: none yet), `last_msg_id` the highest msgId accepted from it, as the device
    itself counts (0: none yet), `forgotten` the highest msgId of a message of it that retention
    has let go (0: none).
    """

    generation: int
    cursor: int | None
    last_msg_id: int
    forgotten: int = 0


class Mailbox(NamedTuple):
    """A mailbox: its epoch, its newest seq (0 while it is empty), and the highest seq that any
    device of its user has acknowledged."""

    epoch: str
    head: int
    delivered: int = 0


class Message(NamedTuple):
    """A message that is, or is about to be, in the store. It is kept once; mailboxes refer to it.

    `client_msg_id` is the sender's own id and `msg_id` the one that is pushed: the same, but for
    a plain sender that used an id twice. `seq` counts in the mailbox of `to_user`; `timestamp`
    is when it was accepted, in milliseconds since 1970.
    """

    sender: UserId
    device: str
    generation: int
    client_msg_id: int
    msg_id: int
    to_user: UserId
    content: str
    message_type: str
    session_id: int
    seq: int
    timestamp: int
    wants_receipt: bool = False


class Awaiting(NamedTuple):
    """What a receipt tells of a message: see `Message`."""

    sender: UserId
    msg_id: int
    to_user: UserId
    session_id: int
    seq: int


class BookSession(NamedTuple):
    """A session: a book, its buyer, its seller (protocol.md section 3).

    A book has at most one active session of the same two. Book 0 is a chat without a book: its two
    stand in the order of `in_order`, who writes to himself as both, and it has no end.

    `status` is 1 active, 2 expired, 3 closed; times are in milliseconds since 1970, `expires_at`
    None for never. `buyer_read` is the seq, in the mailbox of the buyer, of the newest message of
    this session that the buyer has read, 0 for none: what is above is unread. `seller_read` is the
    seller's; in a session with oneself it stays 0.
    """

    id: int
    book_id: int
    buyer: UserId
    seller: UserId
    status: int
    created_at: int
    expires_at: int | None
    buyer_read: int = 0
    seller_read: int = 0


class NewEntry(NamedTuple):
    """What comes into a mailbox, at `seq`, in milliseconds since 1970: a message (in the mailbox of
    its sender it is a copy), a receipt, or what another device has read."""

    user: UserId
    seq: int
    at: int
    what: Message | ReceiptEntry | ReadSyncEntry

    def entry(self) -> Entry:
        """As it will be read from the mailbox."""
        what = self.what
        if not isinstance(what, Message):
            return what
        return MailboxEntry(
            self.seq,
            what.sender,
            what.to_user,
            what.msg_id,
            what.content,
            what.message_type,
            what.session_id,
            what.timestamp,
            what.device,
        )
