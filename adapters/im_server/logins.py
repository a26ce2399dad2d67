"""A login of a device, which devices go for it, when a user was here last, and revocations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import and_, bindparam, delete, literal_column, select

from im_proto.server.actions import StoreLogin
from im_proto.server.records import PLAIN, Login
from im_proto.server.retention import FENCES, devices_that_go
from im_proto.wire import MAX_ID, UserId, user_id

from .driver import AnyConnection, driver, one_row, text_of, upsert
from .lookups import user_text
from .mailbox import OLDEST
from .rownumbers import LAST_ROW
from .schema import draw_epoch
from .tables import devices, entries, fences, mailboxes, messages, revocations, users

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

_one = select(literal_column("1")).subquery()
_of_device = and_(devices.c.user == bindparam("user"), devices.c.device == bindparam("device"))
_entry, _message = entries.alias("resumed"), messages.alias("resumed_message")
_at_seq = and_(_entry.c.user == bindparam("user"), _entry.c.seq == bindparam("seq"))
#: All that a log-in has to know: each statement more gives Python's lock away once more.
_LOOK = select(
    devices.c.generation,
    devices.c.cursor,
    devices.c.last_msg_id,
    mailboxes.c.epoch,
    mailboxes.c.head,
    OLDEST.scalar_subquery(),
    _message.c.sender,
    _message.c.msg_id,
    LAST_ROW.scalar_subquery(),
).select_from(
    _one.outerjoin(devices, _of_device)
    .outerjoin(mailboxes, mailboxes.c.user == bindparam("user"))
    .outerjoin(_entry, _at_seq)
    .outerjoin(_message, _message.c.id == _entry.c.message_id)
)

#: all of them, for a test that none scans a table
STATEMENTS: dict[str, Any] = {
    "log-in": _LOOK,
    "devices of a user": _OF_USER,
    "drop a device": _DROP_DEVICE,
    "drop fences": _DROP_FENCES,
}
_LOOK_TEXT: Final = text_of(_LOOK, "user", "user", "device", "user", "user", "seq")
_OF_USER_TEXT: Final = text_of(_OF_USER, "user")
_DROP_DEVICE_TEXT: Final = text_of(_DROP_DEVICE, "of", "name")
_DROP_FENCES_TEXT: Final = text_of(_DROP_FENCES, "of", "name", "below")


def log_in(connection: AnyConnection, request: StoreLogin) -> Login:
    """Start a new generation of a device, inside a transaction that may write."""
    name, device, resume_seq = user_text(request.user), request.device, request.resume_seq
    write = driver(connection).execute
    at = resume_seq if resume_seq is not None and 0 < resume_seq <= MAX_ID else 0
    ((kept, cursor, last_msg_id, epoch, head, oldest, sender, msg_id, row),) = write(
        _LOOK_TEXT, (name, name, device, name, name, at)
    ).fetchall()
    generation = 0
    if device != PLAIN:
        generation = 1 + (kept or 0)
        if kept is None:
            _make_room(connection, request)
    if epoch is None:
        epoch, head = draw_epoch(), 0
        write(_INSERT_MAILBOX, (name, epoch, head, 0))
    login = (name, device, generation)
    write(_UPSERT_LOGIN, (*login, 0, request.at))
    if device != PLAIN:
        write(_INSERT_FENCE, (*login, request.at, row))
        if generation > FENCES:
            write(_DROP_FENCES_TEXT, (name, device, generation - FENCES + 1))
    return Login(
        generation=generation,
        last_msg_id=last_msg_id or 0,
        cursor=cursor,
        epoch=epoch,
        head=head,
        oldest=head + 1 if oldest is None else oldest,
        resume_entry=None if sender is None else (user_id(sender), msg_id),
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
