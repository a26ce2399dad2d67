"""The life of a session (protocol.md sections 3 and 4): when it begins, lives on and ends, and whom
it belongs to. A commit and a call about sessions go by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from ..machines import SESSION
from ..wire import UserId
from ..wire.session import ACTIVE, STATES
from .rows import BookSession, Message

#: The book of a chat without one.
NO_BOOK: Final = 0
State = Literal["accepted", "delivered", "read"]
#: `messageStatus` of a history (protocol.md section 3).
STATE_NUMBERS: Final[Mapping[State, int]] = {"accepted": 1, "delivered": 2, "read": 3}
_NUMBERS: Final = {state: number for number, state in STATES.items()}


def begun(
    session_id: int, book_id: int, buyer: UserId, seller: UserId, at: int, lifetime: int | None
) -> BookSession:
    """A new session; the two of a chat without a book come in the order of `in_order`.

    Args:
        at: now, in milliseconds since 1970.
        lifetime: milliseconds that it lives after its last message; None: for ever.
    """
    return BookSession(
        id=session_id,
        book_id=book_id,
        buyer=buyer,
        seller=seller,
        status=_NUMBERS[SESSION.initial],
        created_at=at,
        expires_at=None if lifetime is None or book_id == NO_BOOK else at + lifetime,
    )


def as_of(session: BookSession, at: int) -> BookSession:
    """The session at this time: expired, if its time is over."""
    over = session.expires_at is not None and session.expires_at <= at
    return _moved(session, "expire") if over and session.status == ACTIVE else session


def closed(session: BookSession) -> BookSession:
    """The session, ended for good. One that was ended before stays as it is."""
    return _moved(session, "close") if SESSION.knows(STATES[session.status], "close") else session


def lived_on(session: BookSession, at: int, lifetime: int | None) -> BookSession:
    """The session after a message. To spare the store, its end is put off only when less than half
    of its life is left: a session ends between a half and a whole `lifetime` after its last
    message.
    """
    if session.expires_at is None or lifetime is None:
        return session
    if 2 * (session.expires_at - at) >= lifetime:
        return session
    return session._replace(expires_at=at + lifetime)


def other_of(session: BookSession, user: UserId) -> UserId | None:
    """To whom a user writes in it; None if it is neither its buyer nor its seller."""
    if user == session.buyer:
        return session.seller
    return session.buyer if user == session.seller else None


def read_by(session: BookSession, user: UserId) -> int:
    """Up to which seq of its own mailbox its buyer, or else its seller, has read it."""
    return session.buyer_read if user == session.buyer else session.seller_read


def with_read(session: BookSession, user: UserId, seq: int) -> BookSession:
    """The session, read up to `seq` by its buyer, or else its seller."""
    if user == session.buyer:
        return session._replace(buyer_read=seq)
    return session._replace(seller_read=seq)


def state_of(message: Message, delivered: int, session: BookSession) -> State:
    """How far a message has come.

    Args:
        delivered: of the mailbox of its recipient.
        session: the one that it is in.
    """
    if message.seq <= read_by(session, message.to_user):
        return "read"
    return "delivered" if message.seq <= delivered else "accepted"


def _moved(session: BookSession, event: str) -> BookSession:
    return session._replace(status=_NUMBERS[SESSION.next(STATES[session.status], event)])
