"""What stands in a mailbox, as rows and read again.

A piece of a mailbox is read with one statement of one row, as lookups.py says why.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Integer, bindparam, func, literal_column, select

from im_proto.server.records import Entry, MailboxEntry, ReadSyncEntry, ReceiptEntry
from im_proto.wire import MAX_ID, UserId, user_id

from .driver import AnyConnection, driver, text_of
from .lookups import user_text
from .tables import READ_SYNC, RECEIPT, entries, mailboxes, messages

__all__ = ["OLDEST", "of_note", "read_entries"]

_ENTRIES = (
    select(
        entries.c.seq,
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
    .offset(literal_column("0"))
)
_piece = _ENTRIES.subquery()
_PIECE = select(
    select(func.json_group_array(func.json_array(*_piece.c))).scalar_subquery(),
    select(mailboxes.c.head).where(mailboxes.c.user == bindparam("of")).scalar_subquery(),
)
#: the oldest seq that a mailbox holds; NULL if it holds nothing
OLDEST = select(func.min(entries.c.seq)).where(entries.c.user == bindparam("user"))

#: all of them, for a test that none scans a table
STATEMENTS = {"entries": _ENTRIES, "piece": _PIECE, "oldest": OLDEST}
_PIECE_TEXT = text_of(_PIECE, "user", "after", "limit", "of")


#: `json.dumps` makes an encoder for each call, unless it is told nothing.
_compact = json.JSONEncoder(separators=(",", ":")).encode


def of_note(what: ReceiptEntry | ReadSyncEntry) -> tuple[int, str]:
    """The columns `kind` and `data` of what is no message."""
    if isinstance(what, ReceiptEntry):
        data = [what.user, what.status, what.session_id, what.timestamp, what.msg_ids]
        return RECEIPT, _compact(data)
    return READ_SYNC, _compact([what.from_user, what.msg_id])


def _an_entry(row: list[Any], users: dict[str, UserId]) -> Entry:
    seq, kind, data, sender, recipient, *rest = row
    if kind == RECEIPT:
        user, status, session_id, timestamp, msg_ids = json.loads(data)
        return ReceiptEntry(
            seq=seq,
            msg_ids=tuple(msg_ids),
            user=user,
            status=status,
            session_id=session_id,
            timestamp=timestamp,
        )
    if kind == READ_SYNC:
        from_user, msg_id = json.loads(data)
        return ReadSyncEntry(seq=seq, from_user=from_user, msg_id=msg_id)
    for text in (sender, recipient):
        if text not in users:
            users[text] = user_id(text)
    return MailboxEntry(seq, users[sender], users[recipient], *rest)


def read_entries(
    connection: AnyConnection, user: UserId, after: int, limit: int
) -> tuple[tuple[Entry, ...], int]:
    """At most `limit` entries behind `after`, and the newest seq of the mailbox."""
    name = user_text(user)
    # A negative LIMIT would be none at all.
    span = (name, min(max(after, 0), MAX_ID), max(limit, 0), name)
    ((rows, head),) = driver(connection).execute(_PIECE_TEXT, span).fetchall()
    users: dict[str, UserId] = {}
    # by seq; SQLite gathers them in that order, but doesn't promise it
    found = [_an_entry(row, users) for row in sorted(json.loads(rows))]
    return tuple(found), head or 0
