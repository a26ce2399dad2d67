"""What a commit looks up: what isn't known (`known.py`), with one statement of one row, however
large the batch. SQLite gives Python's lock away at each row, and beside a busy event loop it takes
long to get it back.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, literal_column, select

from im_proto.server.planning import Snapshot, Wanted
from im_proto.server.rows import Awaiting, Device, Mailbox, Message
from im_proto.wire import UserId, user_id

from .driver import text_of
from .known import Known, KnownUser
from .lookups import (
    BY_MSG_ID,
    DEVICES,
    HIGHEST_SESSION_ID,
    MAILBOXES,
    MESSAGE_COLUMNS,
    SESSION_COLUMNS,
    SESSIONS,
    a_message,
    a_session,
    array,
    asked,
    asked_text,
    mailboxes_of,
    part,
    sessions_of,
    user_text,
)
from .schema import draw_epoch
from .tables import devices, entries, mailboxes, messages, sessions

__all__ = ["STATEMENTS", "all_of_a_commit", "look_up"]

_AWAITING = (
    messages.c.sender,
    messages.c.msg_id,
    messages.c.recipient,
    messages.c.session_id,
    messages.c.seq,
)


#: asked: [[user, device], ...]; those whose user has another device with a name
_OTHERS = select(part(0), part(1)).where(
    select(devices.c.user)
    .where(devices.c.user == part(0), devices.c.device.not_in([part(1), literal_column("''")]))
    .correlate(asked)
    .exists()
)

#: asked: [[sender, client_msg_id], ...]; finds only messages whose msg_id the server made
_BY_CLIENT_MSG_ID = select(*MESSAGE_COLUMNS).join_from(
    asked, messages, and_(messages.c.sender == part(0), messages.c.client_msg_id == part(1))
)

_other = sessions.alias("other")
#: asked: [[buyer, seller], ...]; of each pair the newest chat without a book
_CHATS = select(*SESSION_COLUMNS).join_from(
    asked,
    sessions,
    sessions.c.id
    == select(func.max(_other.c.id))
    .where(
        _other.c.buyer == part(0),
        _other.c.seller == part(1),
        _other.c.book_id == literal_column("0"),
    )
    .correlate(asked)
    .scalar_subquery(),
)

#: asked: [[user, seq], ...]
_UNDELIVERED = (
    select(*_AWAITING)
    .select_from(asked)
    .join(mailboxes, mailboxes.c.user == part(0))
    .join(
        entries,
        and_(
            entries.c.user == mailboxes.c.user,
            entries.c.seq > mailboxes.c.delivered,
            entries.c.seq <= part(1),
        ),
    )
    .join(messages, messages.c.id == entries.c.message_id)
    .where(messages.c.recipient == entries.c.user, messages.c.wants_receipt)
)

_read = messages.alias("read")
#: asked: [[reader, sender, msg_id], ...]
_UNREAD = (
    select(*_AWAITING)
    .select_from(asked)
    .join(
        _read,
        and_(
            _read.c.sender == part(1),
            _read.c.msg_id == part(2),
            _read.c.recipient == part(0),
        ),
    )
    .join(sessions, sessions.c.id == _read.c.session_id)
    .join(
        messages,
        and_(
            messages.c.session_id == _read.c.session_id,
            messages.c.recipient == _read.c.recipient,
            messages.c.seq <= _read.c.seq,
            messages.c.seq
            > func.iif(
                sessions.c.buyer == _read.c.recipient,
                sessions.c.buyer_read,
                sessions.c.seller_read,
            ),
        ),
    )
    .where(messages.c.sender == _read.c.sender, messages.c.wants_receipt)
)

#: asked: [user, ...]; of each, 0 if there is none
_HIGHEST = select(
    asked.c.value,
    func.coalesce(
        select(func.max(messages.c.msg_id))
        .where(messages.c.sender == asked.c.value)
        .correlate(asked)
        .scalar_subquery(),
        literal_column("0"),
    ),
)

#: what a commit asks, each about an array of its own, in the order in which `look_up` asks
_OF_A_COMMIT = (
    *(DEVICES, _OTHERS, BY_MSG_ID, _BY_CLIENT_MSG_ID, MAILBOXES),
    *(SESSIONS, _CHATS, _UNDELIVERED, _UNREAD, _HIGHEST),
)

_HIGHEST_MSG_ID = select(func.max(messages.c.msg_id)).where(
    messages.c.sender == bindparam("sender")
)

_HIGHEST_MSG_ID_TEXT = text_of(_HIGHEST_MSG_ID, "sender")
_HIGHEST_SESSION_ID_TEXT = text_of(HIGHEST_SESSION_ID)

#: those that only a commit asks, for a test that none scans a table
STATEMENTS: dict[str, Select[Any]] = {
    "others": _OTHERS,
    "by the client's msgId": _BY_CLIENT_MSG_ID,
    "chats": _CHATS,
    "undelivered": _UNDELIVERED,
    "unread": _UNREAD,
    "highest of many": _HIGHEST,
    "highest msgId": _HIGHEST_MSG_ID,
}


def _awaiting(row: Any) -> Awaiting:
    sender, msg_id, recipient, *rest = row
    return Awaiting(user_id(sender), msg_id, user_id(recipient), *rest)


def _ask_all(raw: sqlite3.Connection, asks: Sequence[Sequence[Any]]) -> list[list[list[Any]]]:
    """Carry out all of `_OF_A_COMMIT` as one statement; returns the rows of each. What is asked
    about nothing is left out; something is asked."""
    found: list[list[list[Any]]] = [[] for _ in asks]
    places = tuple(place for place, items in enumerate(asks) if items)
    arrays = [array(asks[place]) for place in places]
    (row,) = raw.execute(all_of_a_commit(places), arrays).fetchall()
    for place, text in zip(places, row, strict=True):
        found[place] = json.loads(text)
    return found


@cache
def all_of_a_commit(places: tuple[int, ...] = tuple(range(len(_OF_A_COMMIT)))) -> str:
    """The text of that statement, with these of its parts."""
    gathered = []
    for place in places:
        rows = _OF_A_COMMIT[place].subquery()
        gathered.append(asked_text(select(func.json_group_array(func.json_array(*rows.c)))))
    return f"SELECT {', '.join(f'({text})' for text in gathered)}"


def look_up(raw: sqlite3.Connection, wanted: Wanted, known: Known) -> Snapshot:
    """Find what `plan_commit` needs to know: in a few statements however large the batch, and in
    none where it is known.

    Args:
        raw: inside the transaction that will write the plan.
        wanted: the questions; mailboxes that don't exist yet come with a fresh epoch.
        known: what is found is added to it.
    """

    def highest_msg_id(sender: UserId) -> int:
        ((found,),) = raw.execute(_HIGHEST_MSG_ID_TEXT, (user_text(sender),)).fetchall()
        return found or 0

    highest_of_all: list[int] = []

    def highest_session_id() -> int:
        if not highest_of_all:  # it is asked for each session that is made
            ((found,),) = raw.execute(_HIGHEST_SESSION_ID_TEXT).fetchall()
            highest_of_all.append(found or 0)
        return highest_of_all[0]

    known.make_room()
    of = {user: known.user(user) for user in wanted.mailboxes}  # of all who are asked about
    undelivered, acked = _waiting(wanted, of)
    asks = _unknown(wanted, known, of, acked)
    earlier: list[Message] = []
    unread: list[Awaiting] = []
    if any(asks):
        texts = {user_text(user): user for user in of}
        earlier, pushed, unread = _learn(_ask_all(raw, asks), wanted, known, texts)
        undelivered += pushed
    # What the answers themselves speak of is asked for where it is not known yet.
    users = wanted.mailboxes.union([m.sender for m in undelivered])
    unmet = [user for user in users if user not in of and known.user(user).mailbox is None]
    if unmet:
        for user, mailbox in mailboxes_of(raw, unmet).items():
            known.found_mailbox(user, mailbox)
    ids = {m.session_id for m in earlier}.union([m.session_id for m in undelivered])
    unmet_sessions = [number for number in ids if number not in known.sessions]
    if unmet_sessions:
        for session in sessions_of(raw, unmet_sessions):
            known.found_session(session)
    ids |= wanted.session_ids
    return Snapshot(
        devices={
            (user, name): of[user].devices[name]
            for user, name in wanted.devices
            if name in of[user].devices
        },
        others={(user, name) for user, name in wanted.others if of[user].others[name]},
        earlier=earlier,
        undelivered=undelivered,
        unread=unread,
        mailboxes={user: known.users[user].mailbox or Mailbox(draw_epoch(), 0) for user in users},
        sessions=[
            *(known.sessions[number] for number in ids if number in known.sessions),
            *(known.chats[pair] for pair in wanted.chats if pair in known.chats),
        ],
        highest_msg_id=highest_msg_id,
        highest_session_id=highest_session_id,
    )


def _waiting(
    wanted: Wanted, of: dict[UserId, KnownUser]
) -> tuple[list[Awaiting], list[tuple[str, int]]]:
    """What is known to be undelivered, and of whom it has to be asked up to which seq."""
    undelivered: list[Awaiting] = []
    unknown = []
    for user, upto in wanted.acked.items():
        mailbox = of[user].mailbox
        if mailbox is None or mailbox.delivered < of[user].since:
            unknown.append((user_text(user), upto))
        else:
            undelivered += of[user].waiting[: of[user].upto(upto)]
    return undelivered, unknown


def _unknown(
    wanted: Wanted,
    known: Known,
    of: dict[UserId, KnownUser],
    acked: list[tuple[str, int]],
) -> tuple[Sequence[Any], ...]:
    """What is asked about, for each of `_OF_A_COMMIT`."""
    highest = {user: kept.highest for user, kept in of.items()}
    return (
        [(user_text(u), device) for u, device in wanted.devices if device not in of[u].devices],
        [(user_text(u), device) for u, device in wanted.others if device not in of[u].others],
        [
            (user_text(sender), msg_id)
            for sender, msg_id in wanted.identities
            # there is nothing above the highest
            if (most := highest[sender]) is None or msg_id <= most
        ],
        [(user_text(sender), msg_id) for sender, msg_id in wanted.plain],
        [user_text(user) for user, kept in of.items() if kept.mailbox is None],
        [number for number in wanted.session_ids if number not in known.sessions],
        [
            (user_text(buyer), user_text(seller))
            for buyer, seller in wanted.chats
            if (buyer, seller) not in known.chats
        ],
        acked,
        [(user_text(reader), user_text(sender), i) for reader, sender, i in wanted.read],
        [user_text(user) for user, most in highest.items() if most is None],
    )


def _learn(
    found: list[list[list[Any]]], wanted: Wanted, known: Known, texts: dict[str, UserId]
) -> tuple[list[Message], list[Awaiting], list[Awaiting]]:
    """Keep what will be asked again; returns the earlier messages, those that are undelivered and
    those that are unread."""
    devices, others, by_id, by_client, boxes, open_, chats, pushed, seen, highest = found
    for user, name, *kept in devices:
        known.user(texts[user]).devices[name] = Device(*kept)
    having = {(texts[user], name) for user, name in others}
    for user_, name in wanted.others:
        known.user(user_).others.setdefault(name, (user_, name) in having)
    for user, *kept in boxes:
        known.found_mailbox(texts[user], Mailbox(*kept))
    for row in open_:
        known.found_session(a_session(row))
    for row in chats:
        known.found_chat(a_session(row))
    for user, msg_id in highest:
        known.user(texts[user]).highest = msg_id
    earlier = [a_message(row) for row in (*by_id, *by_client)]
    return earlier, [_awaiting(row) for row in pushed], [_awaiting(row) for row in seen]
