"""Who may open a WebSocket now, and begin to log in on it: the hub's answers to `Arrived` and
`AdmissionAsked`.
"""

from __future__ import annotations

from typing import Final

from ..forgetting import Forgetting
from . import talk
from .admission import Admission
from .desk import Desk
from .doors import Doors

#: `admissions_per_address` is for so many seconds.
SECOND: Final = 1.0
#: Seconds for which somebody who found no room is sent away at least.
RETRY_AFTER: Final = 5.0


class Doorkeeper:
    """Counts the WebSockets, and those among them that nobody has logged in on yet.

    A connection counts until its transport is gone, also while it closes: until then it holds a
    socket.

    Args:
        desk: of the hub.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        config = desk.config
        proxies = config.trusted_proxies
        self._doors = Doors(config.connections, config.connections_per_address, proxies)
        #: from where each one has come
        self._addresses: dict[int, str] = {}
        self._hall = Doors(config.unauthenticated, config.unauthenticated_per_address, proxies)
        self._strangers: set[int] = set()
        #: by place
        self._admissions: Forgetting[str, Admission] = Forgetting(
            lambda _: Admission(config.admissions_per_address, SECOND), Admission.unused
        )

    @property
    def inside(self) -> int:
        """How many WebSockets there are."""
        return len(self._addresses)

    @property
    def strangers(self) -> int:
        """… on which nobody has logged in."""
        return len(self._strangers)

    def arrived(self, arrived: talk.Arrived) -> None:
        """Let it in, or say when to come back: to each another time if there is no room for
        anybody. Those of one address that has too many take up no such times of others."""
        if self._doors.full or self._hall.full:
            retry_after = self._desk.slot(RETRY_AFTER)
            self._send_away(arrived, "there are too many connections now", retry_after)
        elif not self._hall.enter(arrived.address):
            self._send_away(arrived, "too many without a log-in from this address", RETRY_AFTER)
        elif not self._doors.enter(arrived.address):
            self._hall.leave(arrived.address)
            self._send_away(arrived, "too many connections from this address", RETRY_AFTER)
        else:
            self._addresses[arrived.connection] = arrived.address
            self._strangers.add(arrived.connection)
            self._desk.tell(arrived.connection, talk.Welcome())

    def _send_away(self, arrived: talk.Arrived, reason: str, retry_after: float) -> None:
        end = talk.End(code=1013, reason=reason, retry_after=retry_after)
        self._desk.tell(arrived.connection, end)

    def admit(self, connection: int) -> talk.End | None:
        """A log-in wants to begin. Returns how that ends, if it may not now."""
        desk = self._desk
        place = self._hall.counted(self._addresses[connection])
        own = None if place is None else self._admissions.of(place, desk.now)
        if own is not None and not own.admit(desk.now):
            reason, wait = "too many log in at once from this address", own.slot(desk.now)
        elif not desk.admission.admit(desk.now):
            reason, wait = "too many log in at once", desk.slot()
        else:
            return None
        return talk.End(code=1013, reason=reason, retry_after=wait)

    def logged_in(self, connection: int) -> None:
        """It is no stranger any more."""
        if connection in self._strangers:
            self._strangers.remove(connection)
            self._hall.leave(self._addresses[connection])

    def gone(self, gone: talk.Gone) -> None:
        """Its transport is gone; nothing is left of it."""
        self.logged_in(gone.connection)
        address = self._addresses.pop(gone.connection, None)
        if address is not None:
            self._doors.leave(address)
