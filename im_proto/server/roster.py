"""Who is logged in: by connection, by user, and by device."""

from __future__ import annotations

from collections.abc import Collection

from ..wire import UserId
from .records import PLAIN
from .session import Session


class Roster:
    """All sessions of one hub. A device has at most one; plain logins are not told apart."""

    def __init__(self) -> None:
        self._sessions: dict[int, Session] = {}
        self._by_user: dict[UserId, dict[int, Session]] = {}
        self._devices: dict[tuple[UserId, str], Session] = {}

    def add(self, session: Session) -> None:
        """A connection has logged in."""
        self._sessions[session.connection] = session
        self._by_user.setdefault(session.user, {})[session.connection] = session
        if session.device != PLAIN:
            self._devices[session.user, session.device] = session

    def remove(self, session: Session) -> None:
        """It is logged in no more."""
        del self._sessions[session.connection]
        sessions = self._by_user[session.user]
        del sessions[session.connection]
        if not sessions:
            del self._by_user[session.user]
        if self._devices.get((session.user, session.device)) is session:
            del self._devices[session.user, session.device]

    def get(self, connection: int) -> Session | None:
        """The session of a connection."""
        return self._sessions.get(connection)

    def of_user(self, user: UserId) -> Collection[Session]:
        """All sessions of a user."""
        return self._by_user.get(user, {}).values()

    def of_device(self, user: UserId, device: str) -> Session | None:
        """The session of a device."""
        return self._devices.get((user, device))

    def devices(self) -> frozenset[tuple[UserId, str]]:
        """Every device with a name that is logged in."""
        return frozenset(self._devices)

    def all(self) -> list[Session]:
        """Every session, the oldest first."""
        return list(self._sessions.values())

    def online(self) -> dict[UserId, int]:
        """The users, with how many sessions each."""
        return {user: len(sessions) for user, sessions in self._by_user.items()}
