"""When the store is asked to let go what is too old, and what those learn who are reading it."""

from __future__ import annotations

from typing import Final

from .actions import StoreRetain
from .desk import Desk, HubTimer
from .inputs import Retained
from .session import Session

#: Seconds from the start to the first look, if the interval isn't shorter: a server that is
#: started again and again must get to it too.
FIRST: Final = 60.0
#: Seconds to the next look when there is more: commits come in between.
SOON: Final = 0.1
#: The most rows in one transaction.
ROWS: Final = 1000


class Retain:
    """See the module.

    Args:
        desk: of the hub.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._request: int | None = None
        self._look_in(min(desk.config.retention_interval, FIRST))

    def look(self) -> None:
        """It is time."""
        config, now_ms = self._desk.config, self._desk.wall_ms
        age = config.retention_age
        # As long as its messages may be repeated, a device is known.
        away = None if age is None else max(age, config.dedupe_seconds)
        self._request = self._desk.request()
        self._desk.do(
            StoreRetain(
                request=self._request,
                entries_before=None if age is None else now_ms - int(age * 1000),
                keep=config.retention_count,
                messages_before=now_ms - int(config.dedupe_seconds * 1000),
                limit=ROWS,
                devices_before=None if away is None else now_ms - int(away * 1000),
                present=self._desk.roster.devices(),
            )
        )

    def done(self, retained: Retained) -> list[Session]:
        """The store has let go of some; returns the sessions that it may concern."""
        if retained.request != self._request:
            return []
        self._request = None
        self._look_in(SOON if retained.more else self._desk.config.retention_interval)
        concerned = []
        for user, oldest in retained.oldest:
            for session in self._desk.roster.of_user(user):
                session.lost(oldest)
                concerned.append(session)
        return concerned

    def failed(self, request: int) -> bool:
        """The store could not; was it asked this? It is asked again next time."""
        if request != self._request:
            return False
        self._request = None
        self._look_in(self._desk.config.retention_interval)
        return True

    def _look_in(self, seconds: float) -> None:
        self._desk.timers.set(HubTimer.RETAIN, self._desk.now + seconds)
