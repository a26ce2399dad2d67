"""Calls about sessions, while somebody waits for them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from im_proto.client.events import SessionFailed, SessionFetched
from im_proto.client.inputs import Input, SessionCall
from im_proto.errors import IMError
from im_proto.wire.session import SessionOp, SessionVO

from .http import check_httpx


class Asked:
    """Somebody who waits for an answer.

    Args:
        ref: the engine's name for the call.
        wake: called once, when it has its end.
    """

    __slots__ = ("_error", "_sessions", "_wake", "done", "ref")

    def __init__(self, ref: int, wake: Callable[[], None]) -> None:
        self.ref = ref
        self._wake = wake
        self._sessions: tuple[SessionVO, ...] = ()
        self._error: IMError | None = None
        self.done = False

    def end(self, sessions: tuple[SessionVO, ...], error: IMError | None) -> None:
        """It has its end."""
        self.done, self._sessions, self._error = True, sessions, error
        self._wake()

    def result(self) -> tuple[SessionVO, ...]:
        """The answer.

        Raises:
            IMError: there is none.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._sessions


class Asking:
    """Everybody who waits for an answer about sessions."""

    def __init__(self) -> None:
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
            ModuleNotFoundError: httpx is not installed.
            LocalProtocolError, IMError: the engine refuses it.
        """
        check_httpx()
        asked = Asked(next(self._refs), wake)
        self._asked[asked.ref] = asked
        try:
            step(SessionCall(ref=asked.ref, op=op, **params))
        except BaseException:
            del self._asked[asked.ref]
            raise
        return asked

    def apply(self, event: SessionFetched | SessionFailed) -> None:
        """Take in what the engine tells of a call."""
        asked = self._asked.pop(event.ref, None)
        if asked is not None:
            if isinstance(event, SessionFetched):
                asked.end(event.sessions, None)
            else:
                asked.end((), event.error)

    def forget(self, asked: Asked) -> None:
        """Nobody waits for it any more."""
        self._asked.pop(asked.ref, None)

    def give_up(self, error: IMError) -> None:
        """No answer will come to anybody."""
        waiting, self._asked = list(self._asked.values()), {}
        for asked in waiting:
            asked.end((), error)
