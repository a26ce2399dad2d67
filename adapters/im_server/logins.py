"""A login of a device, which devices go for it, when a user was here last, and revocations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import bindparam, delete, literal_column, select

from im_proto.server.actions import StoreLogin
from im_proto.server.records import PLAIN, Login
from im_proto.server.retention import FENCES, devices_that_go
from im_proto.wire import MAX_ID, UserId, user_id

from .driver import AnyConnection, driver, one_row, text_of, upsert
from .lookups import devices_of, mailboxes_of, user_text
from .mailbox import oldest_of, resume_entry
from .rownumbers import last_row
from .schema import draw_epoch
from .tables import devices, fences, mailboxes, revocations, users

__all__ = ["drop_devices", "log_in", "note_revoked", "note_seen", "revoked"]

_LOGIN: Final = ("user", "device", "generation", "last_msg_id", "last_login_at")
#: What a login moves.
_UPSERT_LOGIN = upsert(devices, _LOGIN, ["user", "device"], ["generation", "last_login_at"])
_MAILBOX: Final = ("user", "epoch", "head", "delivered")
_INSERT_MAILBOX = text_of(one_row(mailboxes, *_MAILBOX), *_MAILBOX)
_FENCE: Final = ("user", "device", "generation", "logged_in_at", "last_message_id")
_INSERT_FENCE = text_of(one_row(fences, *_FENCE), *_FENCE)
_UPSERT_SEEN = upsert(users, ("user", "last_seen"), ["user"], ["last_seen"])
_UPSERT_REVOCATION = upsert(revocations, ("user", "before"), ["user"], ["before"])
_REVOCATIONS = text_of(select(revocations.c.user, revocations.c.before))
_OF_USER = select(devices.c.device, devices.c.last_login_at).where(
    devices.c.user == bindparam("user"), devices.c.device > literal_column("''")
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
_OF_USER_TEXT: Final = text_of(_OF_USER, "user")
_DROP_DEVICE_TEXT: Final = text_of(_DROP_DEVICE, "of", "name")
_DROP_FENCES_TEXT: Final = text_of(_DROP_FENCES, "of", "name", "below")


def log_in(connection: AnyConnection, request: StoreLogin) -> Login:
    """Start a new generation of a device, inside a transaction that may write."""
    user, key = request.user, (request.user, request.device)
    name = user_text(user)
    write = driver(connection).execute
    device = devices_of(connection, [key]).get(key)
    generation = 0
    if request.device != PLAIN:
        generation = 1 + (device.generation if device else 0)
        if device is None:
            _make_room(connection, request)
    mailbox = mailboxes_of(connection, [user]).get(user)
    if mailbox is None:
        epoch, head = draw_epoch(), 0
        write(_INSERT_MAILBOX, (name, epoch, head, 0))
    else:
        epoch, head = mailbox.epoch, mailbox.head
    login = (name, request.device, generation)
    write(_UPSERT_LOGIN, (*login, 0, request.at))
    if request.device != PLAIN:
        write(_INSERT_FENCE, (*login, request.at, last_row(connection)))
        if generation > FENCES:
            write(_DROP_FENCES_TEXT, (name, request.device, generation - FENCES + 1))
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


def _make_room(connection: AnyConnection, request: StoreLogin) -> None:
    known = driver(connection).execute(_OF_USER_TEXT, (user_text(request.user),)).fetchall()
    going = devices_that_go(
        [(device, at or 0) for device, at in known], request.keep, request.present
    )
    drop_devices(connection, [(user_text(request.user), device) for device in going])


def drop_devices(connection: AnyConnection, going: Sequence[tuple[str, str]]) -> None:
    """Forget devices, each with the text of its user, and all that is kept of their log-ins."""
    driver(connection).executemany(_DROP_DEVICE_TEXT, going)
    fences_of = [(user, device, MAX_ID) for user, device in going]
    driver(connection).executemany(_DROP_FENCES_TEXT, fences_of)


def note_revoked(connection: AnyConnection, user: UserId, before: int) -> None:
    """Keep that the tokens of a user made before are good no longer."""
    driver(connection).execute(_UPSERT_REVOCATION, (user_text(user), before))


def revoked(connection: AnyConnection) -> dict[UserId, int]:
    """Of whom the tokens made before are good no longer."""
    return {user_id(user): before for user, before in driver(connection).execute(_REVOCATIONS)}


def note_seen(connection: AnyConnection, user: UserId, at: int | None) -> None:
    """Note when a user was here last, in milliseconds since 1970; None: it is nobody's business."""
    driver(connection).execute(_UPSERT_SEEN, (user_text(user), at))
