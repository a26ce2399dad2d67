"""A call about sessions that is under way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..errors import IMError, IMErrorCode
from ..wire.session import SessionOp
from . import inputs as inp
from .backoff import Backoff

#: What is tried again over HTTP (protocol.md section 3). Over the WebSocket everything is: a server
#: that takes calls there makes no second session of a repeat.
REPEATABLE: Final = frozenset({SessionOp.GET, SessionOp.START_CHAT})


@dataclass(slots=True)
class Call:
    """One call, from the application's wish to its end, over any number of requests."""

    wish: inp.SessionCall
    #: who waits for it
    refs: list[int]
    deadline: float
    backoff: Backoff
    #: what is asked at present, on the way to what is wished
    doing: SessionOp
    session_id: int | None
    #: of the CallHttp, or SESSION_REQUEST, that is out; 0: none is
    request: int = 0
    #: it is, or was last, out over the WebSocket
    linked: bool = False
    #: it went out over the WebSocket, which was lost before the answer
    unsure: bool = False
    #: it can't go on without a token
    wants_token: bool = False
    #: when to try again
    retry_at: float | None = None
    #: why the last try has failed, in words
    trouble: str = ""
    #: of the last request
    token: str | None = field(default=None, repr=False)
    #: the server has refused `token`, and another is awaited
    refused: bool = False
    #: that was done once, and is not done again
    renewed: bool = False

    @property
    def ready(self) -> bool:
        """Nothing is out, and nothing is to be waited for."""
        return not self.request and self.retry_at is None

    @property
    def repeatable(self) -> bool:
        """May it be asked again, the way it goes at present?"""
        return self.linked or self.doing in REPEATABLE

    def lost(self, why: str) -> IMError:
        """The error of one that has no answer."""
        if not self.repeatable:
            why = f"nobody knows whether the server has done it: {why}"
        return IMError(IMErrorCode.NETWORK_ERROR, why)
