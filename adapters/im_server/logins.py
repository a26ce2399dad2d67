"""A login of a device, and when a user was here last."""

from __future__ import annotations

from sqlalchemy import Connection, insert
from sqlalchemy.dialects import sqlite

from im_proto.server.actions import StoreLogin
from im_proto.server.records import PLAIN, Login
from im_proto.wire import UserId

from .lookups import devices_of, mailboxes_of, user_text
from .mailbox import oldest_of, resume_entry
from .rownumbers import last_row
from .schema import draw_epoch
from .tables import devices, fences, mailboxes, users

__all__ = ["log_in", "note_seen"]

_device = sqlite.insert(devices)
#: What a login moves.
_UPSERT_LOGIN = _device.on_conflict_do_update(
    index_elements=["user", "device"],
    set_={
        "generation": _device.excluded.generation,
        "last_login_at": _device.excluded.last_login_at,
    },
)
_INSERT_MAILBOX = insert(mailboxes)
_INSERT_FENCE = insert(fences)
_seen = sqlite.insert(users)
_UPSERT_SEEN = _seen.on_conflict_do_update(
    index_elements=["user"], set_={"last_seen": _seen.excluded.last_seen}
)


def log_in(connection: Connection, request: StoreLogin, at: int) -> Login:
    """Start a new generation of a device.

    Args:
        connection: inside a transaction that may write.
        at: now, in milliseconds since 1970.
    """
    user, key = request.user, (request.user, request.device)
    name = user_text(user)
    device = devices_of(connection, [key]).get(key)
    generation = 0
    if request.device != PLAIN:
        generation = 1 + (device.generation if device else 0)
    mailbox = mailboxes_of(connection, [user]).get(user)
    if mailbox is None:
        epoch, head = draw_epoch(), 0
        connection.execute(_INSERT_MAILBOX, {"user": name, "epoch": epoch, "head": 0})
    else:
        epoch, head = mailbox.epoch, mailbox.head
    login = {"user": name, "device": request.device, "generation": generation}
    connection.execute(_UPSERT_LOGIN, login | {"last_msg_id": 0, "last_login_at": at})
    if request.device != PLAIN:
        fence = {"logged_in_at": at, "last_message_id": last_row(connection)}
        connection.execute(_INSERT_FENCE, login | fence)
    oldest = oldest_of(connection, user)
    resume_seq = request.resume_seq
    return Login(
        generation=generation,
        last_msg_id=device.last_msg_id if device else 0,
        cursor=device.cursor if device else None,
        epoch=epoch,
        head=head,
        oldest=head + 1 if oldest is None else oldest,
        resume_entry=None if resume_seq is None else resume_entry(connection, user, resume_seq),
    )


def note_seen(connection: Connection, user: UserId, at: int | None) -> None:
    """Note when a user was here last, in milliseconds since 1970; None: it is nobody's business."""
    connection.execute(_UPSERT_SEEN, {"user": user_text(user), "last_seen": at})
