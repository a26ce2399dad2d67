"""What the hub tells a connection, as messages of the wire."""

from __future__ import annotations

from ..wire import (
    ChatReadReceiptResponse,
    ChatRedirectToUser,
    Message,
    MessageStatusResponse,
    Presence,
    ReadSync,
    ReceiptPush,
    SessionResponse,
    StatusItem,
    SyncResponse,
    TypingPush,
    UserId,
)
from . import talk
from .records import Entry, MailboxEntry, ReceiptEntry

#: What is answered or pushed as it is, whoever it is for.
Simple = (
    talk.PushUnstored
    | talk.Synced
    | talk.ReadAnswer
    | talk.StatusTold
    | talk.TypingTold
    | talk.PresenceTold
    | talk.CallAnswered
)


def pushed(entry: Entry, user: UserId, *, numbered: bool) -> Message | None:
    """An entry of the user's mailbox; None: nothing that one without numbers is told."""
    if isinstance(entry, MailboxEntry):
        copy = entry.to_user != user
        if copy and not numbered:
            return None
        return ChatRedirectToUser.trusted(
            content=entry.content,
            msg_id=entry.msg_id,
            from_user=entry.from_user,
            session_id=entry.session_id,
            message_type=entry.message_type,
            timestamp=entry.timestamp,
            seq=entry.seq if numbered else None,
            to_user=entry.to_user if copy else None,
            device_id=(entry.device or None) if copy else None,
        )
    if not numbered:
        return None
    if isinstance(entry, ReceiptEntry):
        return ReceiptPush.trusted(
            msg_ids=list(entry.msg_ids),
            user=entry.user,
            status=entry.status,
            session_id=entry.session_id,
            timestamp=entry.timestamp,
            seq=entry.seq,
        )
    return ReadSync.trusted(from_user=entry.from_user, msg_id=entry.msg_id, seq=entry.seq)


def simple(what: Simple) -> Message:
    """The message that says it."""
    if isinstance(what, talk.PushUnstored):
        return ChatRedirectToUser.trusted(
            content=what.content,
            msg_id=what.msg_id,
            from_user=what.from_user,
            timestamp=what.timestamp,
            message_type="text",
        )
    if isinstance(what, talk.Synced):
        return SyncResponse(
            status="recovered" if what.recovered else "reset",
            oldest=what.oldest,
            epoch=what.epoch,
        )
    if isinstance(what, talk.ReadAnswer):
        return ChatReadReceiptResponse(msg_id=what.msg_id, code=what.code, message=what.text)
    if isinstance(what, talk.StatusTold):
        items = [
            StatusItem(msg_id=item.msg_id, status=item.status, timestamp=item.timestamp)
            for item in what.items
        ]
        return MessageStatusResponse(items=items)
    if isinstance(what, talk.TypingTold):
        return TypingPush(from_user=what.from_user, active=what.active)
    if isinstance(what, talk.PresenceTold):
        return Presence(user=what.user, online=what.online, last_seen=what.last_seen)
    return SessionResponse(id=what.id, code=what.code, data=what.data, message=what.text)
