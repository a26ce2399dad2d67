"""What is decided when a cursor moves or something was read: how far a mailbox is delivered, how
far a session is read, and which senders are told (protocol.md section 2, `receipts`).

Delivered is what the first device of the recipient has acknowledged. What a device has passed over
– at its first login, or because the store had let it go – has not come by it, and nobody is told
that it has; nor that what was read was delivered, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ..wire import UserId
from ..wire.extensions import MAX_IDS
from .planning import Draft, Snapshot
from .records import CursorMove, Marked, ReadMark, ReadSyncEntry, ReceiptEntry
from .rows import Awaiting, BookSession, Identity
from .session_rules import read_by, with_read
from .sound import sound_cursor, sound_mark


class Receipts:
    """Takes cursors and read marks in, one after the other, before any message.

    Raises:
        KeyError: the snapshot lacks a mailbox or a session.
    """

    def __init__(self, draft: Draft, snapshot: Snapshot) -> None:
        self._draft = draft
        #: moves that were not made, as there is a newer login of their device
        self.fenced: list[CursorMove] = []
        self._undelivered = _by_recipient(snapshot.undelivered)
        self._unread = _by_recipient(snapshot.unread)

    def move(self, move: CursorMove) -> None:
        """Move the cursor of a device, unless that is fenced, goes back or makes no sense."""
        draft, user, key = self._draft, move.user, (move.user, move.device)
        if not sound_cursor(move):
            return
        if draft.is_fenced(user, move.device, move.generation):
            self.fenced.append(move)
            return
        device = draft.device(key)
        began = device.cursor
        if began is None:
            began = move.base or 0
        elif move.seq <= began:
            return
        device.cursor = move.seq
        draft.moved[key] = device
        mailbox = draft.mailbox(user)
        upto = min(move.seq, mailbox.head)
        above = max(mailbox.delivered, began)
        if upto <= above:
            return
        mailbox.delivered = upto
        draft.grown[user] = mailbox
        read: dict[int, int] = {}  # of each session, up to which seq
        told = []
        for message in self._undelivered.get(user, {}).values():
            if not above < message.seq <= upto:
                continue
            session_id = message.session_id
            if session_id not in read:
                read[session_id] = read_by(self._session(session_id), user)
            if message.seq > read[session_id]:
                told.append(message)
        if told:
            self._tell(user, "delivered", told)

    def mark(self, mark: ReadMark) -> Marked:
        """Note that a user has read everything from somebody in a session, up to a message."""
        draft, reader = self._draft, mark.reader
        if not sound_mark(mark):
            return Marked(key=mark.key, found=False)
        if draft.is_fenced(reader, mark.device, mark.generation):
            return Marked(key=mark.key, found=None)
        upto = draft.message((mark.from_user, mark.msg_id))
        if upto is None or upto.to_user != reader:
            return Marked(key=mark.key, found=False)
        session = self._session(upto.session_id)
        above = read_by(session, reader)
        if upto.seq > above:
            draft.put_session(with_read(session, reader, upto.seq))
            self._tell(
                reader,
                "read",
                [
                    message
                    for message in self._unread.get(reader, {}).values()
                    if message.session_id == session.id and above < message.seq <= upto.seq
                ],
            )
            if draft.has_others((reader, mark.device)):
                sync = ReadSyncEntry(
                    seq=draft.next_seq(reader), from_user=mark.from_user, msg_id=mark.msg_id
                )
                draft.enter(reader, sync)
        return Marked(key=mark.key, found=True)

    def _session(self, session_id: int) -> BookSession:
        session = self._draft.session(session_id)
        if session is None:
            raise KeyError("the snapshot lacks a session")
        return session

    def _tell(
        self, user: UserId, status: Literal["delivered", "read"], messages: list[Awaiting]
    ) -> None:
        """Put receipts into the mailboxes of the senders: for each of their sessions one, or more,
        as a receipt has so much room only."""
        draft = self._draft
        told: dict[tuple[UserId, int], list[int]] = {}
        for message in sorted(messages, key=lambda message: message.seq):
            told.setdefault((message.sender, message.session_id), []).append(message.msg_id)
        for (sender, session_id), msg_ids in told.items():
            for first in range(0, len(msg_ids), MAX_IDS):
                receipt = ReceiptEntry(
                    seq=draft.next_seq(sender),
                    msg_ids=tuple(msg_ids[first : first + MAX_IDS]),
                    user=user,
                    status=status,
                    session_id=session_id,
                    timestamp=draft.at,
                )
                draft.enter(sender, receipt)


def _by_recipient(found: Iterable[Awaiting]) -> dict[UserId, dict[Identity, Awaiting]]:
    sorted_out: dict[UserId, dict[Identity, Awaiting]] = {}
    for message in found:
        sorted_out.setdefault(message.to_user, {})[message.sender, message.msg_id] = message
    return sorted_out
