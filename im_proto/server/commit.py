"""What is decided inside a transaction: new, repeat, conflict, refused or fenced; which session and
which seq; which cursor, and who is told of it.

A store asks `wanted()` what to look up, puts it into a `Snapshot`, gives that to `plan_commit()`
and writes what the `Plan` says, all in one transaction. SQLite in `im_server` does so, and so
does a dictionary in a simulator; none of them decides anything itself. Cursors and read marks are
in `receipts.py`.

Source: protocol.md section 2 ("Identity of a send", "Fencing", "Order", "Own copies"), section 1
("Plain clients at our server") and section 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..wire import MAX_ID, UserId, codes
from ..wire.session import ACTIVE
from ..wire.types import in_order
from .planning import (
    Draft,
    DraftDevice,
    DraftMailbox,
    Plan,
    Snapshot,
    Wanted,
    new_tuple,
)
from .receipts import Receipts
from .records import (
    PLAIN,
    CommitResult,
    Conflicting,
    CursorMove,
    Fenced,
    Held,
    ReadMark,
    Refused,
    Stored,
    Submission,
    Unstorable,
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
from .session_rules import NO_BOOK, as_of, begun, lived_on, other_of
from .sound import sound_cursor, sound_mark, unstorable

__all__ = [
    "Awaiting",
    "BookSession",
    "Device",
    "DeviceKey",
    "Identity",
    "Mailbox",
    "Message",
    "NewEntry",
    "Pair",
    "Plan",
    "Snapshot",
    "Wanted",
    "plan_commit",
    "unstorable",
    "wanted",
]


def wanted(
    submissions: Iterable[Submission],
    cursors: Iterable[CursorMove],
    reads: Iterable[ReadMark] = (),
) -> Wanted:
    """Tell a store what `plan_commit` will need to know; what is unstorable is left out."""
    devices: set[DeviceKey] = set()
    identities: set[Identity] = set()
    plain: set[Identity] = set()
    mailboxes: set[UserId] = set()
    session_ids: set[int] = set()
    chats: set[Pair] = set()
    read: set[tuple[UserId, UserId, int]] = set()
    for mark in reads:
        if sound_mark(mark):
            devices.add((mark.reader, mark.device))
            identities.add((mark.from_user, mark.msg_id))
            mailboxes.update((mark.reader, mark.from_user))
            read.add((mark.reader, mark.from_user, mark.msg_id))
    ways: set[object] = set()
    for new in submissions:
        if unstorable(new) is not None:
            continue
        sender, device, to_user, session_id = new.sender, new.device, new.to_user, new.session_id
        identities.add((sender, new.msg_id))
        if device == PLAIN:
            plain.add((sender, new.msg_id))
        way = (sender, device, to_user, session_id)
        if way in ways:
            continue
        ways.add(way)
        devices.add((sender, device))
        mailboxes.add(sender)
        mailboxes.add(to_user)
        if session_id is None:
            chats.add(in_order(sender, to_user))
        else:
            session_ids.add(session_id)
    others = frozenset(devices)
    acked: dict[UserId, int] = {}
    for move in cursors:
        if sound_cursor(move):
            devices.add((move.user, move.device))
            acked[move.user] = max(move.seq, acked.get(move.user, 0))
    return Wanted(
        devices=frozenset(devices),
        others=others,
        identities=frozenset(identities),
        plain=frozenset(plain),
        mailboxes=frozenset(mailboxes.union(acked)),
        session_ids=frozenset(session_ids),
        chats=frozenset(chats),
        acked=acked,
        read=frozenset(read),
    )


def plan_commit(
    submissions: Sequence[Submission],
    cursors: Iterable[CursorMove],
    snapshot: Snapshot,
    at: int,
    *,
    reads: Iterable[ReadMark] = (),
    held: Iterable[DeviceKey] = (),
    session_lifetime: int | None = None,
) -> Plan:
    """Decide about a batch, in order: what comes later sees what came earlier in the batch.

    Cursors and read marks come first: nobody can have got a message that isn't written yet.

    Args:
        submissions: messages on their way in.
        cursors: acknowledgements; those that go back or make no sense are dropped, those that are
            fenced are told of.
        snapshot: what `wanted(submissions, cursors, reads)` asked for.
        at: the time of acceptance, in milliseconds since 1970.
        reads: what was read.
        held: devices of which a message was Conflicting earlier in this transaction.
        session_lifetime: milliseconds that a session lives after its last message; None: for ever.

    Raises:
        KeyError: the snapshot lacks a mailbox or a session.
    """
    draft = Draft(snapshot, at)
    desk = _Desk(draft, snapshot, held, session_lifetime)
    receipts = Receipts(draft, snapshot)
    for move in cursors:
        receipts.move(move)
    marks = tuple(receipts.mark(read) for read in reads)
    results = tuple([desk.decide(submission) for submission in submissions])
    return Plan(
        results=results,
        marks=marks,
        messages=tuple(draft.messages),
        entries=tuple(draft.entries),
        mailboxes=draft.mailboxes(),
        devices=draft.devices(),
        sessions=draft.sessions,
        heads=draft.heads(),
        acquainted=tuple(draft.acquainted),
        fenced=tuple(receipts.fenced),
    )


class _Way:
    """What is the same for all messages of a batch from one login to one user in one session."""

    __slots__ = ("copies", "device", "fenced", "into", "session_id")

    def __init__(self, *, fenced: bool) -> None:
        self.fenced = fenced
        #: found when the first of them is accepted: it may begin the session
        self.session_id: int | None = None
        self.device: DraftDevice
        self.into: DraftMailbox
        #: the sender's own mailbox, where another device waits for a copy
        self.copies: DraftMailbox | None = None


class _Desk:
    """Takes messages in, one after the other."""

    def __init__(
        self,
        draft: Draft,
        snapshot: Snapshot,
        held: Iterable[DeviceKey],
        session_lifetime: int | None,
    ) -> None:
        self._draft = draft
        self._snapshot = snapshot
        self._held = set(held)
        self._lifetime = session_lifetime
        self._ways: dict[tuple[UserId, str, int, UserId, int | None], _Way] = {}
        self._plain: dict[Identity, list[Message]] = {}
        self._made_sessions = 0
        for message in snapshot.earlier:
            self._remember(message)

    def decide(self, new: Submission) -> CommitResult:
        reason = unstorable(new)
        if reason is not None:
            return Unstorable(key=new.key, reason=reason)
        # Fencing comes first: even a repeat from an older connection is nobody's to answer.
        if self._way(new).fenced:
            return Fenced(key=new.key)
        if new.device == PLAIN:
            return self._decide_plain(new)
        first = self._draft.message((new.sender, new.msg_id))
        if first is None:
            if self._held and (new.sender, new.device) in self._held:
                return Held(key=new.key)
            return self._accept(new, new.msg_id)
        if first.device == new.device and _same_message(first, new):
            return _repeat(new, first)
        self._held.add((new.sender, new.device))
        return Conflicting(key=new.key)

    def _way(self, new: Submission) -> _Way:
        key = (new.sender, new.device, new.generation, new.to_user, new.session_id)
        way = self._ways.get(key)
        if way is None:
            fenced = self._draft.is_fenced(new.sender, new.device, new.generation)
            way = self._ways[key] = _Way(fenced=fenced)
        return way

    def _decide_plain(self, new: Submission) -> CommitResult:
        identity = (new.sender, new.msg_id)
        for earlier in self._plain.get(identity, ()):
            if _same_message(earlier, new):
                return _repeat(new, earlier)
        if self._draft.message(identity) is None:
            return self._accept(new, new.msg_id)
        # Another content under the same id is another message (two tabs, a counter that began
        # anew): it needs an id that no message of this sender has. Microseconds, like the ids
        # that our own clients draw, so that JavaScript peers keep it exact.
        made = 1 + max(
            self._draft.at * 1000 - 1,
            self._snapshot.highest_msg_id(new.sender),
            max((m.msg_id for m in self._draft.messages if m.sender == new.sender), default=0),
        )
        if made > MAX_ID:
            return Unstorable(key=new.key, reason="no msgId is left above those of this sender")
        return self._accept(new, made)

    def _accept(self, new: Submission, msg_id: int) -> Stored | Refused:
        if new.forbidden:
            return Refused(key=new.key, code=codes.FORBIDDEN, reason="you may not write to them")
        draft, way = self._draft, self._way(new)
        sender, to_user, session_id = new.sender, new.to_user, way.session_id
        if session_id is None:
            session = self._session_for(new)
            if isinstance(session, Refused):
                return session
            session_id = way.session_id = session.id
            way.device = draft.device((sender, new.device))
            way.into = draft.mailbox(to_user)
            if to_user != sender and draft.has_others((sender, new.device)):
                way.copies = draft.mailbox(sender)
        seq = way.into.head + 1
        message = new_tuple(
            Message,
            (
                sender,
                new.device,
                0 if new.device == PLAIN else new.generation,
                new.msg_id,
                msg_id,
                to_user,
                new.content,
                new.message_type,
                session_id,
                seq,
                draft.at,
                new.wants_receipt,
            ),
        )
        draft.messages.append(message)
        draft.enter_into(way.into, to_user, message)
        if way.copies is not None:
            draft.enter_into(way.copies, sender, message)
        self._remember(message)
        device = way.device
        if new.msg_id > device.last_msg_id:
            device.last_msg_id = new.msg_id
            draft.moved[sender, new.device] = device
        return Stored(new.key, to_user, seq, draft.at, False, session_id, msg_id)

    def _session_for(self, new: Submission) -> BookSession | Refused:
        """The session that a new message goes into, or why it may not (section 4)."""
        draft = self._draft
        if new.session_id is None:
            pair = in_order(new.sender, new.to_user)
            return draft.chat(pair) or self._begin_chat(pair)
        session = draft.session(new.session_id)
        if session is None or other_of(session, new.sender) != new.to_user:
            return Refused(key=new.key, code=codes.NOT_FOUND, reason="no such session")
        now = as_of(session, draft.at)
        if now.status == ACTIVE:
            now = lived_on(now, draft.at, self._lifetime)
        if now != session:
            draft.put_session(now)
        if now.status != ACTIVE:
            return Refused(key=new.key, code=codes.SESSION_CLOSED, reason="the session is over")
        return now

    def _begin_chat(self, pair: Pair) -> BookSession:
        self._made_sessions += 1
        number = self._snapshot.highest_session_id() + self._made_sessions
        session = begun(number, NO_BOOK, *pair, self._draft.at, self._lifetime)
        self._draft.put_session(session)
        if pair[0] != pair[1]:
            self._draft.acquainted.append(pair)
        return session

    def _remember(self, message: Message) -> None:
        self._draft.remember(message)
        if message.device == PLAIN:
            self._plain.setdefault((message.sender, message.client_msg_id), []).append(message)


def _same_message(first: Message, new: Submission) -> bool:
    return first.to_user == new.to_user and first.content == new.content


def _repeat(new: Submission, first: Message) -> Stored:
    return Stored(
        key=new.key,
        to_user=first.to_user,
        seq=first.seq,
        timestamp=first.timestamp,
        repeat=True,
        session_id=first.session_id,
        msg_id=first.msg_id,
    )
