"""What is decided inside a transaction: new, repeat, conflict or fenced; which seq; which cursor.

A store asks `wanted()` what to look up, puts it into a `Snapshot`, gives that to `plan_commit()`
and writes what the `Plan` says, all in one transaction. SQLite in `im_server` does so, and so
does a dictionary in a simulator; none of them decides anything itself.

Source: protocol.md section 2 ("Identity of a send", "Fencing", "Order") and section 1 ("Plain
clients at our server").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from im_proto.wire import MAX_ID, UserId, user_id

from .records import (
    PLAIN,
    CommitResult,
    Conflicting,
    CursorMove,
    Fenced,
    Held,
    Stored,
    Submission,
    Unstorable,
)

__all__ = [
    "Device",
    "DeviceKey",
    "Identity",
    "Mailbox",
    "Message",
    "Plan",
    "Snapshot",
    "Wanted",
    "plan_commit",
    "unstorable",
    "wanted",
]

#: (user, device); all plain logins of a user share the device PLAIN.
DeviceKey = tuple[UserId, str]
#: (sender, message id)
Identity = tuple[UserId, int]


class Device(NamedTuple):
    """What a store keeps of a device.

    `generation` is that of its newest login (0 for PLAIN), `cursor` the highest seq that it has
    acknowledged (None: none yet), `last_msg_id` the highest msgId accepted from it, as the device
    itself counts (0: none yet).
    """

    generation: int
    cursor: int | None
    last_msg_id: int


class Mailbox(NamedTuple):
    """A mailbox: its epoch and its newest seq, 0 while it is empty."""

    epoch: str
    head: int


class Message(NamedTuple):
    """A message that is, or is about to be, in the store.

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
    session_id: int | None
    seq: int
    timestamp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What has to be looked up for a batch. Nothing in it can upset a database.

    Attributes:
        devices: whose `Device` is needed.
        identities: messages with such a (sender, msg_id) are needed ...
        plain: ... and those of plain senders with such a (sender, client_msg_id).
        recipients: whose `Mailbox` is needed.
    """

    devices: frozenset[DeviceKey]
    identities: frozenset[Identity]
    plain: frozenset[Identity]
    recipients: frozenset[UserId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a store holds, as far as a batch is concerned, read inside the same transaction.

    Attributes:
        devices: those of `Wanted.devices` that exist.
        earlier: the messages asked for by `Wanted.identities` and `Wanted.plain`, in any order,
            once or twice.
        mailboxes: every one of `Wanted.recipients`; one that doesn't exist yet comes with the
            epoch that it will have, drawn by the store, and head 0.
        highest_msg_id: the highest msg_id of any message of this sender, 0 if there is none. It
            is asked for only when a plain sender uses an id twice, so that a store need not look
            it up for everybody.
    """

    devices: Mapping[DeviceKey, Device]
    earlier: Iterable[Message]
    mailboxes: Mapping[UserId, Mailbox]
    highest_msg_id: Callable[[UserId], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to write, and what to answer once it is on disk.

    Attributes:
        results: one per submission, in order.
        messages: new messages; each one also makes the entry (to_user, seq) of a mailbox.
        mailboxes: those that grew or came into being, as they are afterwards.
        devices: those whose cursor or last_msg_id moved, as they are afterwards.
    """

    results: tuple[CommitResult, ...]
    messages: tuple[Message, ...]
    mailboxes: Mapping[UserId, Mailbox]
    devices: Mapping[DeviceKey, Device]


def wanted(submissions: Iterable[Submission], cursors: Iterable[CursorMove]) -> Wanted:
    """Tell a store what `plan_commit` will need to know; what is unstorable is left out."""
    good = [s for s in submissions if unstorable(s) is None]
    devices = {(s.sender, s.device) for s in good}
    devices.update((c.user, c.device) for c in cursors if _sound_cursor(c))
    return Wanted(
        devices=frozenset(devices),
        identities=frozenset((s.sender, s.msg_id) for s in good),
        plain=frozenset((s.sender, s.msg_id) for s in good if s.device == PLAIN),
        recipients=frozenset(s.to_user for s in good),
    )


def plan_commit(
    submissions: Sequence[Submission],
    cursors: Iterable[CursorMove],
    snapshot: Snapshot,
    at: int,
    *,
    held: Iterable[DeviceKey] = (),
) -> Plan:
    """Decide about a batch, in order: what comes later sees what came earlier in the batch.

    Args:
        submissions: messages on their way in.
        cursors: acknowledgements; those that are fenced, go back or make no sense are dropped.
        snapshot: what `wanted(submissions, cursors)` asked for.
        at: the time of acceptance, in milliseconds since 1970.
        held: devices of which a message was Conflicting earlier in this transaction.

    Raises:
        KeyError: the snapshot lacks the mailbox of a recipient.
    """
    desk = _Desk(snapshot, at, held)
    results = tuple(desk.decide(submission) for submission in submissions)
    for move in cursors:
        desk.move(move)
    return Plan(
        results=results,
        messages=tuple(desk.messages),
        mailboxes=desk.mailboxes,
        devices=desk.devices,
    )


def unstorable(submission: Submission) -> str | None:
    """Why no store could hold this message, in words for its sender; None if there is no reason.

    A database refuses a whole batch for one such message, so it is kept away from it. The checks
    of the wire (im_proto/wire/types.py) let none of these in: this is the second line.
    """
    if not (_sound_user(submission.sender) and _sound_user(submission.to_user)):
        return "a user id is not canonical"
    if not _sound_text(submission.device):
        return "the device id is not text"
    if not _sound_int(submission.msg_id, 1):
        return "the msgId is not an int64 above zero"
    if submission.session_id is not None and not _sound_int(submission.session_id, 0):
        return "the sessionId is not an int64"
    if not (_sound_text(submission.content) and _sound_text(submission.message_type)):
        return "a text holds a NUL character or a lone surrogate"
    return None


class _Desk:
    """The state of one `plan_commit`: the snapshot, and on top of it what the batch has done."""

    def __init__(self, snapshot: Snapshot, at: int, held: Iterable[DeviceKey]) -> None:
        self._snapshot = snapshot
        self._at = at
        self._held = set(held)
        self._by_msg_id: dict[Identity, Message] = {}
        self._plain: dict[Identity, list[Message]] = {}
        self._highest: dict[UserId, int] = {}  # msg_id of this batch's messages, per sender
        self.messages: list[Message] = []
        self.mailboxes: dict[UserId, Mailbox] = {}
        self.devices: dict[DeviceKey, Device] = {}
        for message in snapshot.earlier:
            self._remember(message)

    def decide(self, new: Submission) -> CommitResult:
        reason = unstorable(new)
        if reason is not None:
            return Unstorable(key=new.key, reason=reason)
        # Fencing comes first: even a repeat from an older connection is nobody's to answer.
        if new.device != PLAIN and self._is_fenced(new.sender, new.device, new.generation):
            return Fenced(key=new.key)
        if new.device == PLAIN:
            return self._decide_plain(new)
        first = self._by_msg_id.get((new.sender, new.msg_id))
        if first is None:
            if (new.sender, new.device) in self._held:
                return Held(key=new.key)
            return self._accept(new, new.msg_id)
        if (
            first.device == new.device
            and _same_message(first, new)
            and first.message_type == new.message_type
            and first.session_id == new.session_id
        ):
            return _repeat(new, first)
        self._held.add((new.sender, new.device))
        return Conflicting(key=new.key)

    def move(self, move: CursorMove) -> None:
        if not _sound_cursor(move):
            return
        if move.device != PLAIN and self._is_fenced(move.user, move.device, move.generation):
            return
        device = self._device(move.user, move.device)
        if device.cursor is None or move.seq > device.cursor:
            self.devices[move.user, move.device] = Device(
                device.generation, move.seq, device.last_msg_id
            )

    def _decide_plain(self, new: Submission) -> CommitResult:
        identity = (new.sender, new.msg_id)
        for earlier in self._plain.get(identity, ()):
            if _same_message(earlier, new):
                return _repeat(new, earlier)
        if identity not in self._by_msg_id:
            return self._accept(new, new.msg_id)
        # Another content under the same id is another message (two tabs, a counter that began
        # anew): it needs an id that no message of this sender has. Microseconds, like the ids
        # that our own clients draw, so that JavaScript peers keep it exact.
        made = 1 + max(
            self._at * 1000 - 1,
            self._snapshot.highest_msg_id(new.sender),
            self._highest.get(new.sender, 0),
        )
        if made > MAX_ID:
            return Unstorable(key=new.key, reason="no msgId is left above those of this sender")
        return self._accept(new, made)

    def _accept(self, new: Submission, msg_id: int) -> Stored:
        mailbox = self.mailboxes.get(new.to_user) or self._snapshot.mailboxes[new.to_user]
        seq = mailbox.head + 1
        self.mailboxes[new.to_user] = Mailbox(mailbox.epoch, seq)
        message = Message(
            sender=new.sender,
            device=new.device,
            generation=0 if new.device == PLAIN else new.generation,
            client_msg_id=new.msg_id,
            msg_id=msg_id,
            to_user=new.to_user,
            content=new.content,
            message_type=new.message_type,
            session_id=new.session_id,
            seq=seq,
            timestamp=self._at,
        )
        self.messages.append(message)
        self._remember(message)
        self._highest[new.sender] = max(msg_id, self._highest.get(new.sender, 0))
        device = self._device(new.sender, new.device)
        if new.msg_id > device.last_msg_id:
            self.devices[new.sender, new.device] = Device(
                device.generation, device.cursor, new.msg_id
            )
        return Stored(key=new.key, to_user=new.to_user, seq=seq, timestamp=self._at, repeat=False)

    def _remember(self, message: Message) -> None:
        self._by_msg_id[message.sender, message.msg_id] = message
        if message.device == PLAIN:
            self._plain.setdefault((message.sender, message.client_msg_id), []).append(message)

    def _device(self, user: UserId, device: str) -> Device:
        key = (user, device)
        return (
            self.devices.get(key)
            or self._snapshot.devices.get(key)
            or Device(generation=0, cursor=None, last_msg_id=0)
        )

    def _is_fenced(self, user: UserId, device: str, generation: int) -> bool:
        # A device that the store has never seen log in has no generation that could be right.
        stored = self._snapshot.devices.get((user, device))
        return stored is None or stored.generation != generation


def _same_message(first: Message, new: Submission) -> bool:
    return first.to_user == new.to_user and first.content == new.content


def _repeat(new: Submission, first: Message) -> Stored:
    return Stored(
        key=new.key,
        to_user=first.to_user,
        seq=first.seq,
        timestamp=first.timestamp,
        repeat=True,
    )


def _sound_cursor(move: CursorMove) -> bool:
    return _sound_int(move.seq, 0) and _sound_user(move.user) and _sound_text(move.device)


def _sound_int(value: object, low: int) -> bool:
    return type(value) is int and low <= value <= MAX_ID


def _sound_user(value: object) -> bool:
    # Stores key users by text, so "7" would be the int 7 there and somebody else here.
    if type(value) is int:
        return 1 <= value <= MAX_ID
    try:
        return type(value) is str and user_id(value) == value
    except ValueError:
        return False


def _sound_text(value: object) -> bool:
    if not isinstance(value, str) or "\x00" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
