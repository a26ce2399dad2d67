"""May the one write to the other? The site says so; what it said is known for a while.

The messages of a connection stay in order: what comes behind one that waits for the site waits too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..wire import ChatSendToOne, UserId
from .actions import Authorize
from .desk import Desk
from .inputs import Authorized
from .session import Session

#: The most answers of the site that are kept; the oldest go first.
KEPT: Final = 10_000

_Pair = tuple[UserId, UserId]
#: A message whose turn it is: of which connection, and whether it may be written.
Passed = tuple[int, ChatSendToOne, bool]


@dataclass(slots=True)
class _Waiting:
    """A message in the line of its connection; `allowed` None: the site has not answered."""

    message: ChatSendToOne
    allowed: bool | None


@dataclass(slots=True)
class _Asked:
    """A question to the site, and the messages that wait for it; also the calls that would begin a
    session, by their requests."""

    pair: _Pair
    waiting: list[_Waiting] = field(default_factory=list)
    connections: dict[int, None] = field(default_factory=dict)
    calls: list[int] = field(default_factory=list)


class Gate:
    """See the module.

    Args:
        desk: of the hub.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._kept_for = desk.config.authorization_kept
        self._lines: dict[int, deque[_Waiting]] = {}
        self._asked: dict[int, _Asked] = {}
        #: whose answer is awaited, and will be good for more than one message
        self._asking: dict[_Pair, int] = {}
        #: (allowed, until when that is known)
        self._known: dict[_Pair, tuple[bool, float]] = {}

    @property
    def idle(self) -> bool:
        """No message waits."""
        return not self._lines

    def holds(self, session: Session) -> bool:
        """Do messages of this connection wait?"""
        return session.connection in self._lines

    def arrived(self, session: Session, message: ChatSendToOne) -> list[Passed]:
        """A message came; returns it if it need not wait."""
        pair = (session.user, message.to_user)
        allowed = self._said(pair)
        line = self._lines.get(session.connection)
        if allowed is not None and line is None:
            return [(session.connection, message, allowed)]
        waiting = _Waiting(message, allowed)
        if line is None:
            line = self._lines[session.connection] = deque()
        line.append(waiting)
        if allowed is None:
            asked = self._ask(pair)
            asked.waiting.append(waiting)
            asked.connections[session.connection] = None
        return []

    def called(self, pair: _Pair, request: int) -> bool | None:
        """The one would begin a session with the other; None: this call waits for the site."""
        allowed = self._said(pair)
        if allowed is None:
            self._ask(pair).calls.append(request)
        return allowed

    def _said(self, pair: _Pair) -> bool | None:
        known = self._known.get(pair)
        return known[0] if known is not None and known[1] > self._desk.now else None

    def _ask(self, pair: _Pair) -> _Asked:
        request = self._asking.get(pair)
        if request is not None:
            return self._asked[request]
        request = self._desk.request()
        asked = self._asked[request] = _Asked(pair)
        if self._kept_for is not None:
            self._asking[pair] = request
        self._desk.do(Authorize(request=request, sender=pair[0], recipient=pair[1]))
        return asked

    def authorized(self, answer: Authorized) -> tuple[list[Passed], Collection[int], Sequence[int]]:
        """The site has answered; returns whose turn it is now, the connections that can't go on
        because nobody knows whether they may, and the calls that have waited for it."""
        asked = self._asked.pop(answer.request, None)
        if asked is None:
            return [], (), ()
        self._asking.pop(asked.pair, None)
        here = [connection for connection in asked.connections if connection in self._lines]
        if answer.allowed is None:
            return [], here, asked.calls
        if self._kept_for is not None:
            self._keep(asked.pair, answer.allowed, self._desk.now + self._kept_for)
        for waiting in asked.waiting:
            waiting.allowed = answer.allowed
        passed = [passed for connection in here for passed in self._advance(connection)]
        return passed, (), asked.calls

    def _keep(self, pair: _Pair, allowed: bool, until: float) -> None:
        self._known.pop(pair, None)  # the newest answer stands last
        self._known[pair] = (allowed, until)
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]

    def _advance(self, connection: int) -> list[Passed]:
        line, passed = self._lines[connection], []
        while line and line[0].allowed is not None:
            passed.append((connection, line[0].message, line[0].allowed))
            line.popleft()
        if not line:
            del self._lines[connection]
        return passed

    def left(self, session: Session) -> None:
        """The session is over; what waited was acknowledged to nobody."""
        self._lines.pop(session.connection, None)
