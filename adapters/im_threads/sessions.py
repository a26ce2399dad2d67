"""The calls about sessions (protocol.md section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from im_proto.config import ClientConfig
from im_proto.wire import UserId
from im_proto.wire.session import HistoryPage, HistoryRecord, SessionOp, SessionVO
from im_runtime.sessions import Answer, Walk, chat_with


class SessionMethods:
    """What `IMClient` has for sessions.

    On a connection to a server that takes them there they go over that, and wait for it while it is
    lost. Else they go over HTTP, with or without a connection, and need httpx:
    pip install "im-proto[http]". They use the token of the log-in then; where none is held yet, the
    token function is asked.

    Each takes at most `config.http.timeout` seconds. `disconnect()` ends them. What is asked twice
    at the same time is asked once: both get the one answer.

    What is unread (`SessionVO.unread_of(user_id)`) is as old as the answer that it came in; one's
    own messages never count.
    """

    config: ClientConfig

    def _ask(self, op: SessionOp, **params: Any) -> Answer:
        """Make a call and wait for its end."""
        raise NotImplementedError

    def _sessions(self, op: SessionOp, **params: Any) -> tuple[SessionVO, ...]:
        answer = self._ask(op, **params)
        assert isinstance(answer, tuple)
        return answer

    def get_session(
        self,
        session_id: int | None = None,
        *,
        book_id: int | None = None,
        buyer_id: UserId | None = None,
        seller_id: UserId | None = None,
    ) -> SessionVO | None:
        """Get a session by its id, or by book, buyer and seller; None if there is none.

        Raises:
            IMError: TOKEN_INVALID, AUTH_FAILED (the token function), NETWORK_ERROR,
                SERVER_ERROR, QUEUE_FULL.
            LocalProtocolError: not enough is given, or too much.
            ModuleNotFoundError: it goes over HTTP, and httpx is not installed.
        """
        found = self._sessions(
            SessionOp.GET,
            session_id=session_id,
            book_id=book_id,
            buyer_id=buyer_id,
            seller_id=seller_id,
        )
        return found[0] if found else None

    def add_session(self, book_id: int, buyer_id: UserId, seller_id: UserId) -> SessionVO:
        """Make a new session. Over HTTP it is never tried twice; over a connection it is, as that
        makes no second one.

        Args:
            book_id: 0 for a chat without a book.
            buyer_id: who buys.
            seller_id: who sells.

        Raises:
            IMError: SESSION_CREATE_FAILED, and as for `get_session`. After NETWORK_ERROR nobody
                knows whether the session was made.
            LocalProtocolError: an id is out of range.
            ModuleNotFoundError: it goes over HTTP, and httpx is not installed.
        """
        (made,) = self._sessions(
            SessionOp.CREATE, book_id=book_id, buyer_id=buyer_id, seller_id=seller_id
        )
        return made

    def get_or_create_session(self, book_id: int, buyer_id: UserId, seller_id: UserId) -> SessionVO:
        """Get the open session of book, buyer and seller, or a new one.

        Args, Raises: as for `add_session`.
        """
        (found,) = self._sessions(
            SessionOp.START_CHAT, book_id=book_id, buyer_id=buyer_id, seller_id=seller_id
        )
        return found

    def open_chat(self, peer_id: UserId) -> SessionVO:
        """Get the chat that one has with somebody without a book (book 0), or a new one.

        Messages that name no session stand in it, so nobody has to ask for it before writing.

        Raises: as for `add_session`.
        """
        (found,) = self._sessions(SessionOp.START_CHAT, **chat_with(self.config.user_id, peer_id))
        return found

    def get_current_sessions(self) -> list[SessionVO]:
        """Get all sessions of the user who logs in, with what is unread in each.

        Raises:
            IMError: as for `get_session`.
            ModuleNotFoundError: it goes over HTTP, and httpx is not installed.
        """
        return list(self._sessions(SessionOp.GET_CURRENT))

    def history(
        self,
        *,
        session_id: int | None = None,
        peer_id: UserId | None = None,
        direction: Literal["before", "after"] = "before",
        start_msg_id: int | None = None,
        page_size: int = 50,
    ) -> Iterator[HistoryRecord]:
        """All messages of a session, or with somebody in all sessions, one after the other.

        A page is asked for when the one before was used up: who stops early asks for no more.

        Args:
            session_id: of this session …
            peer_id: … or with this user, where the server can.
            direction: "before" goes back from the newest, "after" forward from the oldest.
            start_msg_id: begin behind this message, in that direction, without it.
            page_size: messages for each call, 1 to 1000; a server may give fewer.

        Raises:
            IMError: SESSION_NOT_FOUND, and as for `get_session`. What was given before it stands.
            LocalProtocolError: neither or both of session and user, or an id out of range.
            ModuleNotFoundError: it goes over HTTP, and httpx is not installed.
        """
        walk = Walk(
            session_id=session_id,
            peer_id=peer_id,
            direction=direction,
            start_msg_id=start_msg_id,
            page_size=page_size,
        )
        while not walk.done:
            page = self._ask(SessionOp.HISTORY, **walk.params)
            assert isinstance(page, HistoryPage)
            yield from walk.take(page)
