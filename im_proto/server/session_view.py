"""What a call about sessions has to know of a store, and what it comes down to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from ..wire import UserId, codes
from .rows import BookSession, Identity, Message, Pair

#: Nobody counts further what somebody has not read: a call must not take longer for it.
MOST_UNREAD: Final = 1_000
#: Active sessions, the newest as buyer and as seller, that are looked through for whom one knows.
MOST_MET: Final = 10_000


class Stretch(NamedTuple):
    """The messages between these two that a store holds, of that session or, if it is None, of all
    they have; with a place above `above`, and below `below` if that isn't None. Places count up in
    the order of acceptance, from 1."""

    two: Pair
    session_id: int | None
    above: int = 0
    below: int | None = None


class Counted(NamedTuple):
    """How many messages of a session its two have not read."""

    buyer: int
    seller: int


class SessionView(Protocol):
    """What a store holds, inside the transaction of a call."""

    def session(self, session_id: int) -> BookSession | None:
        """That session."""

    def sessions(self, ids: Iterable[int]) -> Mapping[int, BookSession]:
        """By its id, each of these that there is."""

    def newest_session(self, book_id: int, buyer: UserId, seller: UserId) -> BookSession | None:
        """The one with the highest id of this book, this buyer and this seller, whatever its
        status. (Those of book 0 are asked for in the order of `in_order`.)"""

    def active_sessions(self, user: UserId, limit: int) -> Sequence[BookSession]:
        """Those with status 1 whose buyer or seller is `user`, the highest ids first, at most
        `limit`."""

    def highest_session_id(self) -> int:
        """The highest id of any session; 0 if there is none."""

    def unread(self, sessions: Sequence[BookSession]) -> Mapping[int, Counted]:
        """By the id of each session: how many messages of it are held, to its buyer with a seq
        above `buyer_read`, and to its seller with one above `seller_read`; never from the same
        user who would read them. Of each at most MOST_UNREAD are counted."""

    def delivered(self, user: UserId) -> int:
        """`delivered` of a mailbox; 0 if there is none."""

    def place(self, message: Identity) -> tuple[int, int] | None:
        """The id of the session that the message (sender, msg_id) is in, and its place; None if it
        isn't held."""

    def history(
        self, stretch: Stretch, *, newest_first: bool, offset: int, limit: int
    ) -> Sequence[Message]:
        """`limit` messages of a stretch, after `offset` of them, by their places."""

    def count(self, stretch: Stretch, most: int) -> int:
        """How many messages there are in a stretch; `most`, if there are more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call comes down to.

    Attributes:
        code, data, text: the answer; `data` is JSON as in protocol.md section 3.
        sessions: those that are new or have changed, to be written in this order.
        acquainted: who shares an active session from now on.
    """

    code: int
    data: Any = None
    text: str = ""
    sessions: tuple[BookSession, ...] = ()
    acquainted: tuple[Pair, ...] = ()


#: For what isn't there and what isn't one's own alike (section 4).
NO_SESSION: Final = Outcome(code=codes.NOT_FOUND, text="no such user or session")
