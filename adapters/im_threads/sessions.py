"""The calls about sessions (protocol.md section 3)."""

from __future__ import annotations

from typing import Any

from im_proto.wire import UserId
from im_proto.wire.session import SessionOp, SessionVO


class SessionMethods:
    """What `IMClient` has for sessions.

    They go over HTTP, with or without a connection, and need httpx: pip install "im-proto[http]".
    Each takes at most `config.http.timeout` seconds and uses the token of the log-in; where none is
    held yet, the token function is asked. `disconnect()` ends them. What is asked twice at the same
    time is asked once: both get the one answer.
    """

    def _ask(self, op: SessionOp, **params: Any) -> tuple[SessionVO, ...]:
        """Make a call and wait for its end."""
        raise NotImplementedError

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
            ModuleNotFoundError: httpx is not installed.
        """
        found = self._ask(
            SessionOp.GET,
            session_id=session_id,
            book_id=book_id,
            buyer_id=buyer_id,
            seller_id=seller_id,
        )
        return found[0] if found else None

    def add_session(self, book_id: int, buyer_id: UserId, seller_id: UserId) -> SessionVO:
        """Make a new session. It is never tried twice.

        Args:
            book_id: 0 for a chat without a book.
            buyer_id: who buys.
            seller_id: who sells.

        Raises:
            IMError: SESSION_CREATE_FAILED, and as for `get_session`. After NETWORK_ERROR nobody
                knows whether the session was made.
            LocalProtocolError: an id is out of range.
            ModuleNotFoundError: httpx is not installed.
        """
        (made,) = self._ask(
            SessionOp.CREATE, book_id=book_id, buyer_id=buyer_id, seller_id=seller_id
        )
        return made

    def get_or_create_session(self, book_id: int, buyer_id: UserId, seller_id: UserId) -> SessionVO:
        """Get the open session of book, buyer and seller, or a new one.

        Args, Raises: as for `add_session`.
        """
        (found,) = self._ask(
            SessionOp.START_CHAT, book_id=book_id, buyer_id=buyer_id, seller_id=seller_id
        )
        return found

    def get_current_sessions(self) -> list[SessionVO]:
        """Get all sessions of the user who logs in, with what is unread in each.

        Raises:
            IMError: as for `get_session`.
            ModuleNotFoundError: httpx is not installed.
        """
        return list(self._ask(SessionOp.GET_CURRENT))
