"""A login of a device, which devices go for it, when a user was here last, and revocations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select
from sqlalchemy.dialects import sqlite

from im_proto.server.actions import StoreLogin
from im_proto.server.records import PLAIN, Login
from im_proto.server.retention import FENCES, devices_that_go
from im_proto.wire import MAX_ID, UserId, user_id

from .lookups import devices_of, mailboxes_of, user_text
from .mailbox import oldest_of, resume_entry
from .rownumbers import last_row
from .schema import draw_epoch
from .tables import devices, fences, mailboxes, revocations, users

__all__ = ["drop_devices", "log_in", "note_revoked", "note_seen", "revoked"]

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
_revocation = sqlite.insert(revocations)
_UPSERT_REVOCATION = _revocation.on_conflict_do_update(
    index_elements=["user"], set_={"before": _revocation.excluded.before}
)
_REVOCATIONS = select(revocations.c.user, revocations.c.before)
_OF_USER = select(devices.c.device, devices.c.last_login_at).where(
    devices.c.user == bindparam("user"), devices.c.device > PLAIN
)
_DROP_DEVICE = delete(devices).where(
    devices.c.user == bindparam("of"), devices.c.device == bindparam("name")
)
_DROP_FENCES = delete(fences).where(
    fences.c.user == bindparam("of"),
    fences.c.device == bindparam("name"),
    fences.c.generation < bindparam("below"),
)

#: all of them, for a test that none scans a table
STATEMENTS: dict[str, Any] = {
    "devices of a user": _OF_USER,
    "drop a device": _DROP_DEVICE,
    "drop fences": _DROP_FENCES,
}


def log_in(connection: Connection, request: StoreLogin) -> Login:
    """Start a new generation of a device, inside a transaction that may write."""
    user, key = request.user, (request.user, request.device)
    name = user_text(user)
    device = devices_of(connection, [key]).get(key)
    generation = 0
    if request.device != PLAIN:
        generation = 1 + (device.generation if device else 0)
        if device is None:
            _make_room(connection, request)
    mailbox = mailboxes_of(connection, [user]).get(user)
    if mailbox is None:
        epoch, head = draw_epoch(), 0
        connection.execute(_INSERT_MAILBOX, {"user": name, "epoch": epoch, "head": 0})
    else:
        epoch, head = mailbox.epoch, mailbox.head
    login = {"user": name, "device": request.device, "generation": generation}
    connection.execute(_UPSERT_LOGIN, login | {"last_msg_id": 0, "last_login_at": request.at})
    if request.device != PLAIN:
        fence = {"logged_in_at": request.at, "last_message_id": last_row(connection)}
        connection.execute(_INSERT_FENCE, login | fence)
        if generation > FENCES:
            old = {"of": name, "name": request.device, "below": generation - FENCES + 1}
            connection.execute(_DROP_FENCES, old)
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


def _make_room(connection: Connection, request: StoreLogin) -> None:
    known = connection.execute(_OF_USER, {"user": user_text(request.user)}).all()
    going = devices_that_go(
        [(device, at or 0) for device, at in known], request.keep, request.present
    )
    drop_devices(connection, [(user_text(request.user), device) for device in going])


def drop_devices(connection: Connection, going: Sequence[tuple[str, str]]) -> None:
    """Forget devices, each with the text of its user, and all that is kept of their log-ins."""
    if going:
        rows = [{"of": user, "name": device, "below": MAX_ID} for user, device in going]
        connection.execute(_DROP_DEVICE, rows)
        connection.execute(_DROP_FENCES, rows)


def note_revoked(connection: Connection, user: UserId, before: int) -> None:
    """Keep that the tokens of a user made before are good no longer."""
    connection.execute(_UPSERT_REVOCATION, {"user": user_text(user), "before": before})


def revoked(connection: Connection) -> dict[UserId, int]:
    """Of whom the tokens made before are good no longer."""
    return {user_id(user): before for user, before in connection.execute(_REVOCATIONS)}


def note_seen(connection: Connection, user: UserId, at: int | None) -> None:
    """Note when a user was here last, in milliseconds since 1970; None: it is nobody's business."""
    connection.execute(_UPSERT_SEEN, {"user": user_text(user), "last_seen": at})
