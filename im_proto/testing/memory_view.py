"""What a store in dictionaries holds, for a call about sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..server.commit import BookSession, Identity, Mailbox, Message
from ..server.session_rules import read_by
from ..server.sessions import Counted, Stretch
from ..wire import UserId
from ..wire.session import ACTIVE


class MemoryView:
    """See `im_proto.server.sessions.SessionView`."""

    def __init__(
        self,
        messages: Sequence[Message],
        sessions: Mapping[int, BookSession],
        mailboxes: Mapping[UserId, Mailbox],
    ) -> None:
        self._messages = messages
        self._sessions = sessions
        self._mailboxes = mailboxes

    def session(self, session_id: int) -> BookSession | None:
        return self._sessions.get(session_id)

    def newest_session(self, book_id: int, buyer: UserId, seller: UserId) -> BookSession | None:
        asked = (book_id, buyer, seller)
        found = [s for s in self._all() if (s.book_id, s.buyer, s.seller) == asked]
        return max(found, key=lambda session: session.id, default=None)

    def active_sessions(self, user: UserId, limit: int) -> Sequence[BookSession]:
        found = [s for s in self._all() if s.status == ACTIVE and user in (s.buyer, s.seller)]
        return sorted(found, key=lambda session: -session.id)[:limit]

    def sessions_between(self, one: UserId, other: UserId) -> Sequence[int]:
        two = ((one, other), (other, one))
        return [session.id for session in self._all() if (session.buyer, session.seller) in two]

    def highest_session_id(self) -> int:
        return max(self._sessions, default=0)

    def unread(self, sessions: Sequence[BookSession]) -> Mapping[int, Counted]:
        return {
            s.id: Counted(self._unread(s, s.buyer), self._unread(s, s.seller)) for s in sessions
        }

    def delivered(self, user: UserId) -> int:
        mailbox = self._mailboxes.get(user)
        return mailbox.delivered if mailbox is not None else 0

    def place(self, message: Identity) -> tuple[int, int] | None:
        for place, held in enumerate(self._messages, 1):
            if identity(held) == message:
                return held.session_id, place
        return None

    def history(
        self, stretch: Stretch, *, newest_first: bool, offset: int, limit: int
    ) -> Sequence[Message]:
        found = self._stretch(stretch)
        if newest_first:
            found.reverse()
        return found[offset : offset + limit]

    def count(self, stretch: Stretch) -> int:
        return len(self._stretch(stretch))

    def _all(self) -> Iterable[BookSession]:
        return self._sessions.values()

    def _unread(self, session: BookSession, reader: UserId) -> int:
        read = read_by(session, reader)
        return sum(
            m.session_id == session.id and m.to_user == reader != m.sender and m.seq > read
            for m in self._messages
        )

    def _stretch(self, stretch: Stretch) -> list[Message]:
        below = stretch.below or len(self._messages) + 1
        part = self._messages[stretch.above : below - 1]
        return [message for message in part if message.session_id in stretch.session_ids]


def identity(message: Message) -> Identity:
    """What no two messages share."""
    return message.sender, message.msg_id
