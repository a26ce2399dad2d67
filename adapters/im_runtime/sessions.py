"""Calls about sessions, while somebody waits for them, and walks through the past."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from im_proto.client.events import HistoryFetched, SessionFailed, SessionFetched
from im_proto.client.inputs import Input, SessionCall
from im_proto.errors import IMError, LocalProtocolError
from im_proto.wire import UserId, user_id
from im_proto.wire.session import HistoryPage, HistoryRecord, SessionOp, SessionVO
from im_proto.wire.types import in_order

from .http import check_httpx

#: What a call gives: a page if it was one for HISTORY.
Answer: TypeAlias = tuple[SessionVO, ...] | HistoryPage


class Asked:
    """Somebody who waits for an answer.

    Args:
        ref: the engine's name for the call.
        wake: called once, when it has its end.
    """

    __slots__ = ("_answer", "_error", "_wake", "done", "ref")

    def __init__(self, ref: int, wake: Callable[[], None]) -> None:
        self.ref = ref
        self._wake = wake
        self._answer: Answer = ()
        self._error: IMError | None = None
        self.done = False

    def end(self, answer: Answer, error: IMError | None) -> None:
        """It has its end."""
        self.done, self._answer, self._error = True, answer, error
        self._wake()

    def result(self) -> Answer:
        """The answer.

        Raises:
            IMError: there is none.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._answer


class Asking:
    """Everybody who waits for an answer about sessions.

    Args:
        over_http: would a call go over HTTP now?
    """

    def __init__(self, over_http: Callable[[], bool]) -> None:
        self._over_http = over_http
        self._refs = itertools.count(1)
        self._asked: dict[int, Asked] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def ask(
        self,
        op: SessionOp,
        params: dict[str, Any],
        *,
        step: Callable[[Input], None],
        wake: Callable[[], None],
    ) -> Asked:
        """Have the engine make a call.

        Args:
            op: which one.
            params: what SessionCall takes.
            step: steps the engine.
            wake: called once, when there is an end, maybe before this returns.

        Raises:
            ModuleNotFoundError: it would go over HTTP, and httpx is not installed.
            LocalProtocolError, IMError: the engine refuses it.
        """
        if self._over_http():
            check_httpx()
        asked = Asked(next(self._refs), wake)
        self._asked[asked.ref] = asked
        try:
            step(SessionCall(ref=asked.ref, op=op, **params))
        except BaseException:
            del self._asked[asked.ref]
            raise
        return asked

    def apply(self, event: SessionFetched | HistoryFetched | SessionFailed) -> None:
        """Take in what the engine tells of a call."""
        asked = self._asked.pop(event.ref, None)
        if asked is None:
            return
        match event:
            case SessionFetched():
                asked.end(event.sessions, None)
            case HistoryFetched():
                asked.end(event.page, None)
            case SessionFailed():
                asked.end((), event.error)

    def forget(self, asked: Asked) -> None:
        """Nobody waits for it any more."""
        self._asked.pop(asked.ref, None)

    def give_up(self, error: IMError) -> None:
        """No answer will come to anybody."""
        waiting, self._asked = list(self._asked.values()), {}
        for asked in waiting:
            asked.end((), error)


def chat_with(me: UserId, peer: UserId) -> dict[str, Any]:
    """Book, buyer and seller of the chat that two users have without a book.

    Raises:
        LocalProtocolError: the other is no user id.
    """
    try:
        buyer, seller = in_order(me, user_id(peer))
    except ValueError as error:
        raise LocalProtocolError(f"peer_id: {error}") from None
    return {"book_id": 0, "buyer_id": buyer, "seller_id": seller}


class Walk:
    """Where a walk through the past is: page after page, each message once.

    Args: as `history` of a client.
    """

    def __init__(
        self,
        *,
        session_id: int | None,
        peer_id: UserId | None,
        direction: Literal["before", "after"],
        start_msg_id: int | None,
        page_size: int,
    ) -> None:
        #: what the next call takes
        self.params: dict[str, Any] = {
            "session_id": session_id,
            "peer_id": peer_id,
            "direction": direction,
            "start_msg_id": start_msg_id,
            "page_size": page_size,
        }
        #: there is nothing more
        self.done = False
        self._last: set[tuple[UserId, int]] = set()

    def take(self, page: HistoryPage) -> list[HistoryRecord]:
        """What is new on a page, in the order of the walk.

        A server that gives the same page again and again, as it can't go on from a message, has
        nothing more to give.
        """
        records = list(page.records)
        if self.params["direction"] == "before":
            records.reverse()
        new = [record for record in records if _name(record) not in self._last]
        self._last = {_name(record) for record in records}
        self.done = not (new and page.has_next)
        if new:
            self.params["start_msg_id"] = new[-1].msg_id
        return new


def _name(record: HistoryRecord) -> tuple[UserId, int]:
    """The msgIds of two senders may be equal."""
    return record.sender_id, record.msg_id
