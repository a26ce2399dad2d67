"""Letting go what is too old, a little at a time (`im_proto/server/retention.py`)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    select,
    update,
)

from im_proto.server.actions import StoreRetain
from im_proto.server.inputs import Retained
from im_proto.server.records import PLAIN
from im_proto.server.retention import Held, plan_release
from im_proto.wire import user_id

from .logins import drop_devices
from .lookups import user_text
from .rownumbers import pass_over
from .tables import devices, entries, mailboxes, messages

__all__ = ["Retention"]

#: How many mailboxes are looked at in one transaction.
_PAGE = 1000
#: How many devices go in one transaction: each may have `FENCES` rows.
_DEVICES = 100

_of_mailbox = entries.c.user == mailboxes.c.user
#: The next mailboxes that hold something: how much, and since when.
_MAILBOXES = (
    select(
        mailboxes.c.user,
        mailboxes.c.head,
        select(func.min(entries.c.seq)).where(_of_mailbox).scalar_subquery().label("oldest"),
        select(entries.c.at)
        .where(_of_mailbox)
        .order_by(entries.c.seq)
        .limit(1)
        .scalar_subquery()
        .label("since"),
    )
    .where(mailboxes.c.user > bindparam("behind"))
    .order_by(mailboxes.c.user)
    .limit(bindparam("limit", type_=Integer))
)
#: The first entries of a mailbox.
_FIRST = (
    select(entries.c.seq, entries.c.at)
    .where(entries.c.user == bindparam("user"))
    .order_by(entries.c.seq)
    .limit(bindparam("limit", type_=Integer))
)
_GOING = (entries.c.user == bindparam("name"), entries.c.seq < bindparam("oldest"))
_LET_MESSAGES_GO = (
    update(messages)
    .where(messages.c.id.in_(select(entries.c.message_id).where(*_GOING)))
    .values(held=messages.c.held - 1)
)
_DROP_ENTRIES = delete(entries).where(*_GOING)
_FREE = (
    select(
        messages.c.id,
        messages.c.sender,
        messages.c.device,
        func.coalesce(messages.c.client_msg_id, messages.c.msg_id),
    )
    # as a literal: only then SQLite knows that the partial index will do
    .where(messages.c.held == literal_column("0"), messages.c.accepted_at < bindparam("before"))
    .order_by(messages.c.accepted_at, messages.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_DROP_MESSAGE = delete(messages).where(messages.c.id == bindparam("row"))
_FORGET = (
    update(devices)
    .where(
        devices.c.user == bindparam("name"),
        devices.c.device == bindparam("of"),
        devices.c.forgotten < bindparam("msg_id"),
    )
    .values(forgotten=bindparam("msg_id"))
)

#: Devices of a page of mailboxes that were not here for long, and whose cursors say nothing.
_AWAY = (
    select(devices.c.user, devices.c.device)
    .where(
        devices.c.user > bindparam("behind"),
        devices.c.user <= bindparam("last"),
        devices.c.device > PLAIN,
        devices.c.last_login_at < bindparam("before"),
        ~exists().where(entries.c.user == devices.c.user, entries.c.seq <= devices.c.cursor),
    )
    .order_by(devices.c.user, devices.c.device)
)

#: all of them, for a test that none scans a table
STATEMENTS: dict[str, Any] = {
    "mailboxes": _MAILBOXES,
    "first entries": _FIRST,
    "let messages go": _LET_MESSAGES_GO,
    "drop entries": _DROP_ENTRIES,
    "free messages": _FREE,
    "drop a message": _DROP_MESSAGE,
    "forget": _FORGET,
    "devices away": _AWAY,
}


class Retention:
    """Goes round the mailboxes, a page of them in each transaction.

    Where it is on its round is known here alone: a server that starts again begins anew.
    """

    def __init__(self) -> None:
        self._behind = ""

    def retain(self, connection: Connection, request: StoreRetain) -> Retained:
        """Carry out a request, inside a transaction."""
        page = connection.execute(_MAILBOXES, {"behind": self._behind, "limit": _PAGE}).all()
        release = plan_release(
            # one after the other: no more of them are looked into than there is room for
            (_held(connection, row, request) for row in page if _holds_too_much(row, request)),
            request.keep,
            request.limit,
        )
        for user, oldest in release.oldest.items():
            going = {"name": user_text(user), "oldest": oldest}
            connection.execute(_LET_MESSAGES_GO, going)
            connection.execute(_DROP_ENTRIES, going)
        left = _drop_messages(connection, request.messages_before, release.room)
        more = release.more
        if page and not more and request.devices_before is not None:
            more = self._drop_devices(connection, page[-1].user, request)
        # If the commit fails now, a page is passed over until the next round: no harm.
        if not more:
            self._behind = page[-1].user if len(page) == _PAGE else ""
        return Retained(
            request=request.request,
            oldest=tuple(release.oldest.items()),
            more=more or left or self._behind != "",
        )

    def _drop_devices(self, connection: Connection, last: str, request: StoreRetain) -> bool:
        """Let those go of this page's users that are away. Are there more?"""
        page = {"behind": self._behind, "last": last, "before": request.devices_before}
        going: list[tuple[str, str]] = []
        for user, device in connection.execute(_AWAY, page).all():
            if (user_id(user), device) in request.present:
                continue
            if len(going) == _DEVICES:
                drop_devices(connection, going)
                return True
            going.append((user, device))
        drop_devices(connection, going)
        return False


def _holds_too_much(row: Any, request: StoreRetain) -> bool:
    if row.oldest is None:
        return False
    if request.keep is not None and row.head - row.oldest >= request.keep:
        return True
    return request.entries_before is not None and row.since < request.entries_before


def _held(connection: Connection, row: Any, request: StoreRetain) -> Held:
    young = row.oldest
    if request.entries_before is not None:
        # No more can go in one transaction, so whoever is younger behind these does not matter.
        few = {"user": row.user, "limit": request.limit + 1}
        for seq, at in connection.execute(_FIRST, few):
            if at >= request.entries_before:
                break
            young = seq + 1
    return Held(user_id(row.user), row.oldest, row.head, young)


def _drop_messages(connection: Connection, before: int, room: int) -> bool:
    """Let at most `room` messages go that are in no mailbox. Are there more?"""
    free = connection.execute(_FREE, {"before": before, "limit": room + 1}).all()
    going = free[:room]
    if going:
        pass_over(connection)
        connection.execute(_DROP_MESSAGE, [{"row": row.id} for row in going])
        forgotten: dict[tuple[str, str], int] = {}
        for _, sender, device, msg_id in going:
            forgotten[sender, device] = max(msg_id, forgotten.get((sender, device), 0))
        connection.execute(
            _FORGET,
            [
                {"name": user, "of": device, "msg_id": msg_id}
                for (user, device), msg_id in forgotten.items()
            ],
        )
    return len(free) > room
