"""Whose tokens are good no longer: all that were made before a moment, of one user each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import printable
from ..wire import UserId, codes, user_id
from . import talk
from .actions import Answered, StoreRevoke
from .desk import Desk
from .inputs import RevokeAsked
from .questions import UNAVAILABLE

#: What whoever comes with such a token is told.
REASON = "the token was revoked"


class Revocations:
    """See the module.

    It counts from the moment that it is asked for. Answered it is when it is on disk; if the store
    fails it counts all the same, until the server starts again.

    Args:
        desk: of the hub.
        known: those of the store, in milliseconds since 1970.
    """

    def __init__(self, desk: Desk, known: Mapping[UserId, int]) -> None:
        self._desk = desk
        self._before = dict(known)
        #: by our request: what the site asked, when, and how many connections were ended
        self._asked: dict[int, tuple[int, int, int]] = {}

    @property
    def idle(self) -> bool:
        """Nobody waits for an answer."""
        return not self._asked

    def revoked(self, user: UserId, issued_at: int | None) -> bool:
        """Is a token of a user, made at that time, good no longer?"""
        try:
            before = self._before.get(user_id(user))
        except ValueError:  # nobody's, which others say
            return False
        return before is not None and (issued_at is None or issued_at < before)

    def revoke(self, asked: RevokeAsked, end: Callable[[UserId, None, talk.End], int]) -> None:
        """Revoke what was made by now, and `end` the user's connections: with a new token they may
        come back at once."""
        try:
            user = user_id(asked.user)
        except ValueError as error:
            self._answer(asked.request, codes.BAD_REQUEST, None, str(error))
            return
        ended = end(user, None, talk.End(code=4003, reason=printable(asked.reason)))
        # Those of this millisecond too, and never fewer than before: the clock may have gone back.
        before = max(self._desk.wall_ms + 1, self._before.get(user, 0))
        self._before[user] = before
        request = self._desk.request()
        self._asked[request] = (asked.request, before, ended)
        self._desk.do(StoreRevoke(request=request, user=user, before=before))

    def stored(self, request: int) -> None:
        """It is on disk."""
        asked = self._asked.pop(request, None)
        if asked is not None:
            site, before, ended = asked
            self._answer(site, codes.OK, {"before": before, "ended": ended}, "")

    def failed(self, request: int) -> bool:
        """The store could not keep it; was it asked this?"""
        asked = self._asked.pop(request, None)
        if asked is None:
            return False
        self._answer(asked[0], codes.SERVER_ERROR, None, UNAVAILABLE)
        return True

    def _answer(self, request: int, code: int, data: Any, text: str) -> None:
        self._desk.do(Answered(request=request, code=code, data=data, text=text))
