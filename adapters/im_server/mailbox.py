"""What stands in a mailbox, as rows and read again."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, func, select

from im_proto.server.records import Entry, MailboxEntry, ReadSyncEntry, ReceiptEntry
from im_proto.server.rows import Message
from im_proto.wire import MAX_ID, UserId, user_id

from .lookups import user_text
from .tables import MESSAGE, READ_SYNC, RECEIPT, entries, mailboxes, messages

__all__ = ["of_entry", "oldest_of", "read_entries", "resume_entry"]

_ENTRIES = (
    select(
        entries.c.seq,
        entries.c.at,
        entries.c.kind,
        entries.c.data,
        messages.c.sender,
        messages.c.recipient,
        messages.c.msg_id,
        messages.c.content,
        messages.c.message_type,
        messages.c.session_id,
        messages.c.accepted_at,
        messages.c.device,
    )
    .join_from(entries, messages, messages.c.id == entries.c.message_id, isouter=True)
    .where(entries.c.user == bindparam("user"), entries.c.seq > bindparam("after"))
    .order_by(entries.c.seq)
    .limit(bindparam("limit", type_=Integer))
)
_HEAD = select(mailboxes.c.head).where(mailboxes.c.user == bindparam("user"))
_OLDEST = select(func.min(entries.c.seq)).where(entries.c.user == bindparam("user"))
_AT_SEQ = (
    select(messages.c.sender, messages.c.msg_id)
    .join_from(entries, messages, messages.c.id == entries.c.message_id)
    .where(entries.c.user == bindparam("user"), entries.c.seq == bindparam("seq"))
)

#: all of them, for a test that none scans a table
STATEMENTS = {"entries": _ENTRIES, "head": _HEAD, "oldest": _OLDEST, "at a seq": _AT_SEQ}


#: `json.dumps` makes an encoder for each call, unless it is told nothing.
_compact = json.JSONEncoder(separators=(",", ":")).encode


def of_entry(
    what: Message | ReceiptEntry | ReadSyncEntry, row: int | None
) -> tuple[int, int | None, str | None]:
    """The columns `kind`, `message_id` and `data`; `row` is that of a message."""
    if isinstance(what, ReceiptEntry):
        data = [what.user, what.status, what.session_id, what.timestamp, what.msg_ids]
        return RECEIPT, None, _compact(data)
    if isinstance(what, ReadSyncEntry):
        data = [what.from_user, what.msg_id]
        return READ_SYNC, None, _compact(data)
    return MESSAGE, row, None


def _an_entry(row: Any) -> Entry:
    if row.kind == RECEIPT:
        user, status, session_id, timestamp, msg_ids = json.loads(row.data)
        return ReceiptEntry(
            seq=row.seq,
            msg_ids=tuple(msg_ids),
            user=user,
            status=status,
            session_id=session_id,
            timestamp=timestamp,
        )
    if row.kind == READ_SYNC:
        from_user, msg_id = json.loads(row.data)
        return ReadSyncEntry(seq=row.seq, from_user=from_user, msg_id=msg_id)
    return MailboxEntry(
        seq=row.seq,
        from_user=user_id(row.sender),
        to_user=user_id(row.recipient),
        msg_id=row.msg_id,
        content=row.content,
        message_type=row.message_type,
        session_id=row.session_id,
        timestamp=row.accepted_at,
        device=row.device,
    )


def read_entries(
    connection: Connection, user: UserId, after: int, limit: int
) -> tuple[tuple[Entry, ...], int]:
    """At most `limit` entries behind `after`, and the newest seq of the mailbox."""
    name = user_text(user)
    # A negative LIMIT would be none at all.
    span = {"user": name, "after": min(max(after, 0), MAX_ID), "limit": max(limit, 0)}
    found = tuple(_an_entry(row) for row in connection.execute(_ENTRIES, span))
    return found, connection.scalar(_HEAD, {"user": name}) or 0


def oldest_of(connection: Connection, user: UserId) -> int | None:
    """The oldest seq that a mailbox holds; None if it holds nothing."""
    found: int | None = connection.scalar(_OLDEST, {"user": user_text(user)})
    return found


def resume_entry(connection: Connection, user: UserId, seq: int) -> tuple[UserId, int] | None:
    """(sender, msg_id) of the message at that seq; None if there is no such entry or it is no
    message."""
    if not 0 < seq <= MAX_ID:
        return None
    row = connection.execute(_AT_SEQ, {"user": user_text(user), "seq": seq}).one_or_none()
    return (user_id(row.sender), row.msg_id) if row else None
