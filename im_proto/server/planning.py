"""A commit on paper: what has to be looked up (`Wanted`), what was found (`Snapshot`), what is to
be written (`Plan`), and the `Draft` in which a plan comes about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Final

from ..wire import UserId
from ..wire.session import ACTIVE
from .records import (
    PLAIN,
    CommitResult,
    CursorMove,
    Entry,
    Marked,
    ReadSyncEntry,
    ReceiptEntry,
)
from .rows import (
    Awaiting,
    BookSession,
    Device,
    DeviceKey,
    Identity,
    Mailbox,
    Message,
    NewEntry,
    Pair,
)
from .session_rules import NO_BOOK


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What has to be looked up for a batch. Nothing in it can upset a database.

    Attributes:
        devices: whose `Device` is needed.
        others: of these it is needed whether their user has yet another device with a name.
        identities: messages with such a (sender, msg_id) are needed ...
        plain: ... and those of plain senders with such a (sender, client_msg_id).
        mailboxes: whose `Mailbox` is needed.
        session_ids: sessions that are needed ...
        chats: ... and of these pairs the newest session with book 0, whatever its status.
        acked: up to which seq the mailbox of a user may have been delivered now.
        read: (reader, sender, msg_id): up to which message what was read.
    """

    devices: frozenset[DeviceKey]
    others: frozenset[DeviceKey]
    identities: frozenset[Identity]
    plain: frozenset[Identity]
    mailboxes: frozenset[UserId]
    session_ids: frozenset[int]
    chats: frozenset[Pair]
    acked: Mapping[UserId, int]
    read: frozenset[tuple[UserId, UserId, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a store holds, as far as a batch is concerned, read inside the same transaction.

    More than was asked for does no harm; order and repetitions mean nothing.

    Attributes:
        devices: those of `Wanted.devices` that exist.
        others: those of `Wanted.others` whose user has another device, neither this one nor PLAIN.
        earlier: the messages asked for by `Wanted.identities` and `Wanted.plain`.
        undelivered: for each (user, seq) of `Wanted.acked`: the messages with `wants_receipt` of
            which the mailbox of `user` still holds the entry, with `to_user` = `user`, above the
            mailbox's `delivered` and not above `seq`.
        unread: for each (reader, sender, msg_id) of `Wanted.read` where (sender, msg_id) is a
            message to `reader`: the messages with `wants_receipt` in its session, from `sender`
            to `reader`, not above its seq and above what the reader has read of the session.
        mailboxes: every one of `Wanted.mailboxes`, and of the senders of `undelivered`; one that
            doesn't exist yet comes with the epoch that it will have, drawn by the store, and head
            0.
        sessions: those of `Wanted.session_ids` and `Wanted.chats` that exist, and the sessions of
            all messages in `earlier` and `undelivered`.
        highest_msg_id: the highest msg_id of any message of this sender, 0 if there is none. It
            is asked for only when a plain sender uses an id twice, so that a store need not look
            it up for everybody.
        highest_session_id: the highest id of any session, 0 if there is none; asked for only when
            a session is made.
    """

    devices: Mapping[DeviceKey, Device]
    others: Set[DeviceKey]
    earlier: Iterable[Message]
    undelivered: Iterable[Awaiting]
    unread: Iterable[Awaiting]
    mailboxes: Mapping[UserId, Mailbox]
    sessions: Iterable[BookSession]
    highest_msg_id: Callable[[UserId], int]
    highest_session_id: Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to write, and what to answer once it is on disk.

    Attributes:
        results: one per submission, in order.
        marks: one per read mark, in order.
        messages: new messages, in the order in which they were accepted.
        entries: new entries of mailboxes. A message in one of them is in `messages`, and has at
            most two: its recipient's, and its sender's copy.
        mailboxes: those that grew, came into being or were delivered further, as they are
            afterwards.
        devices: those whose cursor or last_msg_id moved, as they are afterwards.
        sessions: those that are new or have changed, as they are afterwards.
        heads: the newest seq of every mailbox that grew.
        acquainted: who shares an active session from now on.
        fenced: the cursors that were not moved, as there is a newer login of their device.
    """

    results: tuple[CommitResult, ...]
    marks: tuple[Marked, ...]
    messages: tuple[Message, ...]
    entries: tuple[NewEntry, ...]
    mailboxes: Mapping[UserId, Mailbox]
    devices: Mapping[DeviceKey, Device]
    sessions: Mapping[int, BookSession]
    heads: tuple[tuple[UserId, int], ...]
    acquainted: tuple[Pair, ...]
    fenced: tuple[CursorMove, ...]

    def by_mailbox(self) -> tuple[tuple[UserId, tuple[Entry, ...]], ...]:
        """What comes into each mailbox, as it will be read from there."""
        found: dict[UserId, list[Entry]] = {}
        for new in self.entries:
            listed = found.get(new.user)
            if listed is None:
                listed = found[new.user] = []
            listed.append(new.entry())
        return tuple((user, tuple(entries)) for user, entries in found.items())


class DraftMailbox:
    """A mailbox, as it is by now. What comes into it comes by `Draft.enter`."""

    __slots__ = ("delivered", "epoch", "had", "head")

    def __init__(self, mailbox: Mailbox) -> None:
        self.epoch, self.head, self.delivered = mailbox
        #: its head before the batch
        self.had = self.head


class DraftDevice:
    """A device, as it is by now."""

    __slots__ = ("cursor", "forgotten", "generation", "last_msg_id")

    def __init__(self, device: Device) -> None:
        self.generation, self.cursor, self.last_msg_id, self.forgotten = device


#: Of a device that the store does not know.
_NO_DEVICE: Final = Device(generation=0, cursor=None, last_msg_id=0)
#: Makes a NamedTuple in half the time that its own `__new__` takes.
new_tuple: Final = tuple.__new__


class Draft:
    """A plan that comes about: the snapshot, and on top of it what the batch has done so far.

    Mailboxes and devices are changed in place; those that were are in `grown` and `moved`.
    """

    def __init__(self, snapshot: Snapshot, at: int) -> None:
        self._snapshot = snapshot
        self.at = at
        self.messages: list[Message] = []
        self.entries: list[NewEntry] = []
        self.grown: dict[UserId, DraftMailbox] = {}
        self.moved: dict[DeviceKey, DraftDevice] = {}
        self.sessions: dict[int, BookSession] = {}
        self.acquainted: list[Pair] = []
        self._mailboxes: dict[UserId, DraftMailbox] = {}
        self._devices: dict[DeviceKey, DraftDevice] = {}
        self._messages: dict[Identity, Message] = {}
        self._sessions: dict[int, BookSession] = {}
        self._chats: dict[Pair, BookSession] = {}
        for session in snapshot.sessions:
            self._know(session)

    # ---- messages

    def message(self, identity: Identity) -> Message | None:
        """The message with this (sender, msg_id), of the snapshot or of this batch."""
        return self._messages.get(identity)

    def remember(self, message: Message) -> None:
        """`message()` knows it from now on."""
        self._messages[message.sender, message.msg_id] = message

    # ---- devices

    def device(self, key: DeviceKey) -> DraftDevice:
        """What is known of a device by now. Who changes it puts it into `moved`."""
        device = self._devices.get(key)
        if device is None:
            device = DraftDevice(self._snapshot.devices.get(key, _NO_DEVICE))
            self._devices[key] = device
        return device

    def is_fenced(self, user: UserId, device: str, generation: int) -> bool:
        """Is there a newer login of this device? Plain logins never replace one another."""
        if device == PLAIN:
            return False
        # A device that the store has never seen log in has no generation that could be right.
        stored = self._snapshot.devices.get((user, device))
        return stored is None or stored.generation != generation

    def has_others(self, key: DeviceKey) -> bool:
        """Does the user have another device with a name?"""
        return key in self._snapshot.others

    # ---- mailboxes

    def mailbox(self, user: UserId) -> DraftMailbox:
        """A mailbox, as it is by now. Who changes `delivered` puts it into `grown`.

        Raises:
            KeyError: the snapshot lacks it.
        """
        mailbox = self._mailboxes.get(user)
        if mailbox is None:
            mailbox = self._mailboxes[user] = DraftMailbox(self._snapshot.mailboxes[user])
        return mailbox

    def next_seq(self, user: UserId) -> int:
        """The seq of the next entry of a mailbox."""
        return self.mailbox(user).head + 1

    def enter(self, user: UserId, what: Message | ReceiptEntry | ReadSyncEntry) -> None:
        """Put an entry into a mailbox, at `next_seq`."""
        self.enter_into(self.mailbox(user), user, what)

    def enter_into(
        self, mailbox: DraftMailbox, user: UserId, what: Message | ReceiptEntry | ReadSyncEntry
    ) -> None:
        """The same, for whoever has the mailbox of the user at hand."""
        seq = mailbox.head + 1
        if seq == mailbox.had + 1:
            self.grown[user] = mailbox
        mailbox.head = seq
        self.entries.append(new_tuple(NewEntry, (user, seq, self.at, what)))

    # ---- what came of it

    def mailboxes(self) -> dict[UserId, Mailbox]:
        """Those that grew or were delivered further."""
        return {u: Mailbox(box.epoch, box.head, box.delivered) for u, box in self.grown.items()}

    def heads(self) -> tuple[tuple[UserId, int], ...]:
        """The newest seq of every mailbox that grew."""
        return tuple((user, box.head) for user, box in self.grown.items() if box.head != box.had)

    def devices(self) -> dict[DeviceKey, Device]:
        """Those that did something."""
        return {
            key: Device(device.generation, device.cursor, device.last_msg_id, device.forgotten)
            for key, device in self.moved.items()
        }

    # ---- sessions

    def session(self, session_id: int) -> BookSession | None:
        """A session, as it is by now; None if the snapshot has none such."""
        return self._sessions.get(session_id)

    def chat(self, pair: Pair) -> BookSession | None:
        """The active session of these two without a book; None if there is none."""
        newest = self._chats.get(pair)
        return newest if newest is not None and newest.status == ACTIVE else None

    def put_session(self, session: BookSession) -> None:
        """A new session, or a changed one."""
        self.sessions[session.id] = session
        self._know(session)

    def _know(self, session: BookSession) -> None:
        self._sessions[session.id] = session
        if session.book_id == NO_BOOK:
            pair = (session.buyer, session.seller)
            newest = self._chats.get(pair)
            if newest is None or newest.id <= session.id:
                self._chats[pair] = session
