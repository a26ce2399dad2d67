"""The calls about sessions (protocol.md section 3): who may (section 4), and what is answered.

A store gives a view of what it holds, inside one transaction, and writes what the outcome says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from ..wire import UserId, codes, id_on_wire
from ..wire.session import ACTIVE, SessionOp
from .calls import BadCall, Call, read_call
from .history import history
from .rows import BookSession, Pair
from .session_rules import as_of, begun, closed, other_of
from .session_view import NO_SESSION, Counted, Outcome, SessionView, Stretch

__all__ = [
    "MAX_SESSIONS",
    "BadCall",
    "Call",
    "Counted",
    "Outcome",
    "SessionView",
    "Stretch",
    "answer",
    "peers",
    "read_call",
]

#: The most sessions in one answer: those that are the newest.
MAX_SESSIONS: Final = 500


def answer(
    call: Call, user: UserId, view: SessionView, *, at: int, lifetime: int | None
) -> Outcome:
    """Carry out a call, for this user (section 4).

    What isn't the user's is answered like what isn't there. "close" asks nobody: only the site can
    say it.

    Args:
        at: now, in milliseconds since 1970.
        lifetime: how long a new session lives, in milliseconds; None: for ever.
    """
    match call.op:
        case SessionOp.GET:
            return _get(call, user, view, at)
        case SessionOp.CREATE | SessionOp.START_CHAT:
            return _open(call, user, view, at, lifetime)
        case SessionOp.GET_CURRENT:
            return _current(call, user, view, at)
        case SessionOp.HISTORY:
            return history(call, user, view)
        case "close":
            return _close(call, view)


def peers(user: UserId, sessions: Iterable[BookSession], at: int) -> tuple[UserId, ...]:
    """With whom a user shares an active session at this time, each once, never itself.

    Args:
        sessions: those of the user with status 1.
    """
    others = (other_of(s, user) for s in sessions if as_of(s, at).status == ACTIVE)
    return tuple(dict.fromkeys(o for o in others if o is not None and o != user))


def _get(call: Call, user: UserId, view: SessionView, at: int) -> Outcome:
    found = _found(call, view)
    if found is None or other_of(found, user) is None:
        return NO_SESSION
    now = as_of(found, at)
    (vo,) = _vos([now], view)
    return Outcome(code=codes.OK, data=vo, sessions=(now,) if now != found else ())


def _open(call: Call, user: UserId, view: SessionView, at: int, lifetime: int | None) -> Outcome:
    """The active session of a book and two users, or a new one: never two."""
    book_id, buyer, seller = _three(call)
    if user not in (buyer, seller):
        text = "a session is opened by its buyer or its seller"
        return Outcome(code=codes.FORBIDDEN, text=text)
    found = _found(call, view)
    now = None if found is None else as_of(found, at)
    changed = () if now is None or now == found else (now,)
    acquainted: tuple[Pair, ...] = ()
    if now is None or now.status != ACTIVE:
        if call.forbidden:
            text = "you may not write to them"
            return Outcome(code=codes.FORBIDDEN, text=text, sessions=changed)
        now = begun(view.highest_session_id() + 1, book_id, buyer, seller, at, lifetime)
        changed = (*changed, now)
        acquainted = ((buyer, seller),) if buyer != seller else ()
    if call.op == SessionOp.CREATE:
        data: object = id_on_wire(now.id)
    else:
        (data,) = _vos([now], view)
    return Outcome(code=codes.OK, data=data, sessions=changed, acquainted=acquainted)


def _current(call: Call, user: UserId, view: SessionView, at: int) -> Outcome:
    if call.user_id not in (None, user):
        return NO_SESSION
    found = view.active_sessions(user, MAX_SESSIONS)
    now = [as_of(session, at) for session in found]
    active = [session for session in now if session.status == ACTIVE]
    expired = tuple(session for session in now if session.status != ACTIVE)
    return Outcome(code=codes.OK, data=_vos(active, view), sessions=expired)


def _close(call: Call, view: SessionView) -> Outcome:
    found = _found(call, view)
    if found is None:
        return NO_SESSION
    now = closed(found)
    (vo,) = _vos([now], view)
    return Outcome(code=codes.OK, data=vo, sessions=(now,) if now != found else ())


def _found(call: Call, view: SessionView) -> BookSession | None:
    if call.session_id is not None:
        return view.session(call.session_id)
    return view.newest_session(*_three(call))


def _three(call: Call) -> tuple[int, UserId, UserId]:
    assert call.book_id is not None and call.buyer_id is not None and call.seller_id is not None
    return call.book_id, call.buyer_id, call.seller_id


def _vos(sessions: Sequence[BookSession], view: SessionView) -> list[dict[str, Any]]:
    unread = view.unread(sessions) if sessions else {}
    return [
        {
            "id": id_on_wire(session.id),
            "bookId": id_on_wire(session.book_id),
            "buyerId": id_on_wire(session.buyer),
            "sellerId": id_on_wire(session.seller),
            "sessionStatus": session.status,
            "createTime": session.created_at,
            "expireTime": session.expires_at,
            "buyerReaded": unread[session.id].buyer,
            "sellerReaded": unread[session.id].seller,
        }
        for session in sessions
    ]
