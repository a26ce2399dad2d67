"""Who is told that somebody types (protocol.md section 2, `typing`).

At most once a second from one user to another; what is said meanwhile waits, and the newest word
of it counts, so that a last "no more" is never lost. Nothing of this is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..wire import UserId
from . import talk
from .desk import Desk, HubTimer
from .peers import Peers

#: Seconds from one word to the next, of one user to another.
PACE: Final = 1.0


@dataclass(slots=True)
class _Said:
    """What was told, when more may be, and the newest word since then."""

    told: bool
    next_at: float
    newest: bool


class Typists:
    """See the module.

    Args:
        desk: of the hub.
        peers: only they are told.
    """

    def __init__(self, desk: Desk, peers: Peers) -> None:
        self._desk = desk
        self._peers = peers
        #: by (sender, recipient), who was told first stands first; all of the last second
        self._said: dict[tuple[UserId, UserId], _Said] = {}

    def asked(self, asked: talk.TypingAsked) -> None:
        """Somebody has begun, or stopped, to write."""
        session = self._desk.roster.get(asked.connection)
        if session is None or not self._peers.are(session.user, asked.to_user):
            return
        pair = (session.user, asked.to_user)
        said = self._said.get(pair)
        if said is not None:
            said.newest = asked.active
        else:
            self._tell(pair, asked.active)
            self._arm()

    def tell_rest(self) -> None:
        """A second has passed for some."""
        for pair, said in list(self._said.items()):
            if said.next_at > self._desk.now:
                break
            del self._said[pair]
            if said.newest != said.told:
                self._tell(pair, said.newest)
        self._arm()

    def _tell(self, pair: tuple[UserId, UserId], active: bool) -> None:
        self._said[pair] = _Said(told=active, next_at=self._desk.now + PACE, newest=active)
        for session in self._desk.roster.of_user(pair[1]):
            if "typing" in session.granted and not session.blocked:
                told = talk.TypingTold(from_user=pair[0], active=active)
                self._desk.tell(session.connection, told)

    def _arm(self) -> None:
        first = next(iter(self._said.values()), None)
        if first is None:
            self._desk.timers.cancel(HubTimer.TYPING)
        else:
            self._desk.timers.set(HubTimer.TYPING, first.next_at)
