"""Who is told that somebody came, or left (protocol.md section 2, `presence`).

A user is gone only some time after its last device, so that a change of the network tells nobody.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from ..wire import UserId
from . import talk
from .actions import StoreSeen
from .desk import Desk, HubTimer
from .inputs import PeersFound
from .peers import Peers
from .session import Session


class Presence:
    """See the module.

    Args:
        desk: of the hub.
        peers: who is told of whom.
    """

    def __init__(self, desk: Desk, peers: Peers) -> None:
        self._desk = desk
        self._peers = peers
        #: whose last device has left: when they count as gone, and when they were last seen, in
        #: milliseconds (None: nobody may know); who left first stands first
        self._leaving: OrderedDict[UserId, tuple[float, int | None]] = OrderedDict()

    def online(self, user: UserId) -> bool:
        """Is the user here, or was a moment ago?"""
        return bool(self._desk.roster.of_user(user)) or user in self._leaving

    def came(self, session: Session) -> None:
        """Somebody has logged in."""
        user = session.user
        returns = self._leaving.pop(user, None) is not None
        if not returns and len(self._desk.roster.of_user(user)) == 1:
            self._tell_watchers(user, online=True, last_seen=None)
        self._arm()
        if self._peers.complete(user):
            self._tell_all([session])

    def left(self, session: Session) -> None:
        """A session is over, and out of the roster."""
        user, desk = session.user, self._desk
        if not desk.roster.of_user(user):
            seen = desk.wall_ms if session.show_last_seen else None
            self._leaving[user] = (desk.now + desk.config.offline_after, seen)
            self._arm()

    def tell_offline(self) -> None:
        """It is time for some who have left."""
        while self._leaving:
            user, (at, seen) = next(iter(self._leaving.items()))
            if at > self._desk.now:
                break
            del self._leaving[user]
            self._peers.saw(user, seen)
            self._tell_watchers(user, online=False, last_seen=seen)
            self._desk.do(StoreSeen(request=self._desk.request(), user=user, at=seen))
        self._arm()

    def found(self, found: PeersFound) -> None:
        """The store has said who somebody's peers are."""
        user = self._peers.found(found)
        if user is not None:
            self._tell_all(self._desk.roster.of_user(user))

    def met(self, pairs: Iterable[tuple[UserId, UserId]]) -> None:
        """These share an active session from now on."""
        for user, peer in self._peers.met(pairs):
            if self.online(peer):
                for session in self._desk.roster.of_user(user):
                    self._tell(session, peer, online=True, last_seen=None)

    def _tell_all(self, sessions: Iterable[Session]) -> None:
        """Who of its peers is online, and when the others were last seen, if that is known."""
        for session in sessions:
            for peer, seen in self._peers.of(session.user):
                online = self.online(peer)
                if online or seen is not None:
                    self._tell(session, peer, online=online, last_seen=None if online else seen)

    def _tell_watchers(self, user: UserId, *, online: bool, last_seen: int | None) -> None:
        for watcher in self._peers.watchers(user):
            for session in self._desk.roster.of_user(watcher):
                self._tell(session, user, online=online, last_seen=last_seen)

    def _tell(self, session: Session, user: UserId, *, online: bool, last_seen: int | None) -> None:
        if "presence" in session.granted:
            told = talk.PresenceTold(user=user, online=online, last_seen=last_seen)
            self._desk.tell(session.connection, told)

    def _arm(self) -> None:
        first = next(iter(self._leaving.values()), None)
        if first is None:
            self._desk.timers.cancel(HubTimer.OFFLINE)
        else:
            self._desk.timers.set(HubTimer.OFFLINE, first[0])
