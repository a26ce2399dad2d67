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
from .planning import Draft, Plan, Snapshot, Wanted
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
    good = [s for s in submissions if unstorable(s) is None]
    moves = [move for move in cursors if sound_cursor(move)]
    marks = [mark for mark in reads if sound_mark(mark)]
    senders = {(s.sender, s.device) for s in good}
    readers = {(mark.reader, mark.device) for mark in marks}
    acked: dict[UserId, int] = {}
    for move in moves:
        acked[move.user] = max(move.seq, acked.get(move.user, 0))
    identities = {(s.sender, s.msg_id) for s in good}
    identities.update((mark.from_user, mark.msg_id) for mark in marks)
    mailboxes = {user for user, _ in senders | readers}
    mailboxes.update(s.to_user for s in good)
    mailboxes.update(mark.from_user for mark in marks)
    return Wanted(
        devices=frozenset(senders | readers | {(move.user, move.device) for move in moves}),
        others=frozenset(senders | readers),
        identities=frozenset(identities),
        plain=frozenset((s.sender, s.msg_id) for s in good if s.device == PLAIN),
        mailboxes=frozenset(mailboxes | acked.keys()),
        session_ids=frozenset(s.session_id for s in good if s.session_id is not None),
        chats=frozenset(in_order(s.sender, s.to_user) for s in good if s.session_id is None),
        acked=acked,
        read=frozenset((mark.reader, mark.from_user, mark.msg_id) for mark in marks),
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
        cursors: acknowledgements; those that are fenced, go back or make no sense are dropped.
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
    results = tuple(desk.decide(submission) for submission in submissions)
    return Plan(
        results=results,
        marks=marks,
        messages=tuple(draft.messages),
        entries=tuple(draft.entries),
        mailboxes=draft.mailboxes,
        devices=draft.devices,
        sessions=draft.sessions,
        heads=draft.heads(),
        acquainted=tuple(draft.acquainted),
    )


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
        self._plain: dict[Identity, list[Message]] = {}
        self._highest: dict[UserId, int] = {}  # msg_id of this batch's messages, per sender
        self._made_sessions = 0
        for message in snapshot.earlier:
            self._remember(message)

    def decide(self, new: Submission) -> CommitResult:
        reason = unstorable(new)
        if reason is not None:
            return Unstorable(key=new.key, reason=reason)
        # Fencing comes first: even a repeat from an older connection is nobody's to answer.
        if self._draft.is_fenced(new.sender, new.device, new.generation):
            return Fenced(key=new.key)
        if new.device == PLAIN:
            return self._decide_plain(new)
        first = self._draft.message((new.sender, new.msg_id))
        if first is None:
            if (new.sender, new.device) in self._held:
                return Held(key=new.key)
            return self._accept(new, new.msg_id)
        if first.device == new.device and _same_message(first, new):
            return _repeat(new, first)
        self._held.add((new.sender, new.device))
        return Conflicting(key=new.key)

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
            self._highest.get(new.sender, 0),
        )
        if made > MAX_ID:
            return Unstorable(key=new.key, reason="no msgId is left above those of this sender")
        return self._accept(new, made)

    def _accept(self, new: Submission, msg_id: int) -> Stored | Refused:
        if new.forbidden:
            return Refused(key=new.key, code=codes.FORBIDDEN, reason="you may not write to them")
        session = self._session_for(new)
        if isinstance(session, Refused):
            return session
        draft = self._draft
        message = Message(
            sender=new.sender,
            device=new.device,
            generation=0 if new.device == PLAIN else new.generation,
            client_msg_id=new.msg_id,
            msg_id=msg_id,
            to_user=new.to_user,
            content=new.content,
            message_type=new.message_type,
            session_id=session.id,
            seq=draft.next_seq(new.to_user),
            timestamp=draft.at,
            wants_receipt=new.wants_receipt,
        )
        draft.messages.append(message)
        draft.enter(new.to_user, message)
        key = (new.sender, new.device)
        if new.to_user != new.sender and draft.has_others(key):
            draft.enter(new.sender, message)
        self._remember(message)
        self._highest[new.sender] = max(msg_id, self._highest.get(new.sender, 0))
        device = draft.device(key)
        if new.msg_id > device.last_msg_id:
            draft.devices[key] = Device(
                device.generation, device.cursor, new.msg_id, device.forgotten
            )
        return _stored(new, message, repeat=False)

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
    return _stored(new, first, repeat=True)


def _stored(new: Submission, message: Message, *, repeat: bool) -> Stored:
    return Stored(
        key=new.key,
        to_user=message.to_user,
        seq=message.seq,
        timestamp=message.timestamp,
        repeat=repeat,
        session_id=message.session_id,
        msg_id=message.msg_id,
    )
