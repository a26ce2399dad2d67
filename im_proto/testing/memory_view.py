"""What a store in dictionaries holds, for a call about sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..server.commit import BookSession, Identity, Mailbox, Message
from ..server.session_rules import read_by
from ..server.session_view import MOST_UNREAD, Counted, Stretch
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

    def sessions(self, ids: Iterable[int]) -> Mapping[int, BookSession]:
        return {number: self._sessions[number] for number in ids if number in self._sessions}

    def newest_session(self, book_id: int, buyer: UserId, seller: UserId) -> BookSession | None:
        asked = (book_id, buyer, seller)
        found = [s for s in self._all() if (s.book_id, s.buyer, s.seller) == asked]
        return max(found, key=lambda session: session.id, default=None)

    def active_sessions(self, user: UserId, limit: int) -> Sequence[BookSession]:
        found = [s for s in self._all() if s.status == ACTIVE and user in (s.buyer, s.seller)]
        return sorted(found, key=lambda session: -session.id)[:limit]

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

    def count(self, stretch: Stretch, most: int) -> int:
        return min(most, len(self._stretch(stretch)))

    def _all(self) -> Iterable[BookSession]:
        return self._sessions.values()

    def _unread(self, session: BookSession, reader: UserId) -> int:
        read = read_by(session, reader)
        unread = sum(
            m.session_id == session.id and m.to_user == reader != m.sender and m.seq > read
            for m in self._messages
        )
        return min(MOST_UNREAD, unread)

    def _stretch(self, stretch: Stretch) -> list[Message]:
        below = stretch.below or len(self._messages) + 1
        part = self._messages[stretch.above : below - 1]
        if stretch.session_id is not None:
            return [message for message in part if message.session_id == stretch.session_id]
        # by their sessions: a message is no proof of who belongs to one
        two = {s.id for s in self._all() if {s.buyer, s.seller} == set(stretch.two)}
        return [message for message in part if message.session_id in two]


def identity(message: Message) -> Identity:
    """What no two messages share."""
    return message.sender, message.msg_id
