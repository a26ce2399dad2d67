"""With whom a user shares an active session, while a device of it is here that cares.

Only those are looked up who log in with `typing` or `presence`. Who became acquainted meanwhile is
added; whose last session ended stays until the user leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ..wire import UserId
from .actions import StorePeers
from .desk import Desk, HubTimer
from .inputs import PeersFound
from .session import Session

#: Peers, each with when it was last seen.
Found: TypeAlias = Sequence[tuple[UserId, int | None]]
#: The capabilities that need to know it.
CARE: Final = frozenset({"typing", "presence"})
#: Seconds after which the store is asked again, if it could not say.
AGAIN: Final = 1.0


@dataclass(slots=True)
class _Circle:
    """A user's peers, each with when it was last seen, as far as that is known.

    `request`: the store is being asked. `complete`: it has answered.
    """

    sessions: int = 0
    request: int | None = None
    complete: bool = False
    seen: dict[UserId, int | None] = field(default_factory=dict)


class Peers:
    """See the module.

    Args:
        desk: of the hub.

    Attributes:
        meetings: how often somebody became acquainted who has no circle (yet).
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._circles: dict[UserId, _Circle] = {}
        #: by user: in whose circle it is
        self._watched_by: dict[UserId, dict[UserId, None]] = {}
        self._asked: dict[int, UserId] = {}
        self.meetings = 0

    def wanted(self, user: UserId, granted: frozenset[str]) -> bool:
        """Does it have to be known for a log-in with these capabilities, and isn't?"""
        return bool(CARE & granted) and user not in self._circles

    def came(self, session: Session, found: Found | None = None) -> None:
        """Somebody has logged in; `found`: what the store said with that."""
        if not CARE & session.granted:
            return
        circle = self._circles.setdefault(session.user, _Circle())
        circle.sessions += 1
        if circle.request is not None or circle.complete:
            return
        if found is None:
            self._ask(session.user, circle)
        else:
            self._fill(session.user, circle, found)

    def left(self, session: Session) -> None:
        """A session is over."""
        if not CARE & session.granted:
            return
        circle = self._circles[session.user]
        circle.sessions -= 1
        if circle.sessions:
            return
        del self._circles[session.user]
        if circle.request is not None:
            del self._asked[circle.request]
        for peer in circle.seen:
            watchers = self._watched_by[peer]
            del watchers[session.user]
            if not watchers:
                del self._watched_by[peer]

    def are(self, user: UserId, other: UserId) -> bool:
        """Do they share an active session, as far as the circle of `user` is known?"""
        circle = self._circles.get(user)
        return circle is not None and other in circle.seen

    def complete(self, user: UserId) -> bool:
        """Has the store said who they are?"""
        circle = self._circles.get(user)
        return circle is not None and circle.complete

    def of(self, user: UserId) -> Iterable[tuple[UserId, int | None]]:
        """The peers of a user, each with when it was last seen."""
        circle = self._circles.get(user)
        return circle.seen.items() if circle is not None else ()

    def watchers(self, user: UserId) -> Sequence[UserId]:
        """In whose circles a user is."""
        return list(self._watched_by.get(user, ()))

    def saw(self, user: UserId, at: int | None) -> None:
        """A user went offline, and was last seen then, in milliseconds since 1970."""
        for watcher in self._watched_by.get(user, ()):
            self._circles[watcher].seen[user] = at

    # ------------------------------------------------------------ how they become known

    def _ask(self, user: UserId, circle: _Circle) -> None:
        circle.request = self._desk.request()
        self._asked[circle.request] = user
        at = self._desk.wall_ms
        self._desk.do(StorePeers(request=circle.request, user=user, at=at))

    def found(self, found: PeersFound) -> UserId | None:
        """The store has said who they are; returns of whom, if that still matters."""
        user = self._asked.pop(found.request, None)
        if user is None:
            return None
        self._fill(user, self._circles[user], found.peers)
        return user

    def _fill(self, user: UserId, circle: _Circle, found: Found) -> None:
        circle.request, circle.complete = None, True
        for peer, seen in found:
            self._add(user, circle, peer)
            circle.seen[peer] = seen

    def failed(self, request: int) -> bool:
        """The store could not say; was it asked this? It is asked again in a moment."""
        user = self._asked.pop(request, None)
        if user is None:
            return False
        self._circles[user].request = None
        self._desk.timers.set(HubTimer.PEERS, self._desk.now + AGAIN)
        return True

    def ask_again(self) -> None:
        """Ask for all that the store could not say."""
        for user, circle in self._circles.items():
            if circle.request is None and not circle.complete:
                self._ask(user, circle)

    def met(self, pairs: Iterable[tuple[UserId, UserId]]) -> list[tuple[UserId, UserId]]:
        """These share an active session from now on; returns (user, peer) where that is news to
        the circle of `user`."""
        news = []
        for one, other in pairs:
            for user, peer in ((one, other), (other, one)):
                circle = self._circles.get(user)
                if circle is None:
                    self.meetings += 1
                elif user != peer and self._add(user, circle, peer):
                    news.append((user, peer))
        return news

    def _add(self, user: UserId, circle: _Circle, peer: UserId) -> bool:
        if peer in circle.seen:
            return False
        circle.seen[peer] = None
        self._watched_by.setdefault(peer, {})[user] = None
        return True
