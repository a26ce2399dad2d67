"""`Admission`: how many log-ins may begin, and when those who are sent away come back.

After an outage all clients come at once. So many are let in as the server can take; each of the
others gets a time of its own at which to come back, so that those who wait make no new crowd.
"""

from __future__ import annotations

from collections import deque
from typing import Final

#: Of what may be admitted so much is promised to those who were sent away: it is what they use that
#: come for the first time, and it takes up that some come a little early or late.
PROMISED: Final = 0.9
#: No client is sent away for longer than this, in seconds: to be refused needs no token, so those
#: who only want to be refused must not fill an hour. Of more who wait (135,000, by default) several
#: are given the same time; who finds no room then gets another.
LONGEST: Final = 300.0


class Admission:
    """See the module. Whoever comes while there is room is admitted, sent away before or not.

    Args:
        most: log-ins in any `window`.
        window: in seconds.
    """

    __slots__ = ("_admitted", "_apart", "_latest", "_next", "_window")

    def __init__(self, most: int, window: float) -> None:
        self._window = window
        self._apart = window / (most * PROMISED)
        #: when the last `most` were admitted, the oldest first
        self._admitted: deque[float] = deque(maxlen=most)
        self._latest = float("-inf")
        #: the next time that is promised to nobody
        self._next = float("-inf")

    def admit(self, now: float) -> bool:
        """May a log-in begin? `now` is in seconds; a clock that goes back is taken to stand still.

        Of any `window`, one of its two ends included, at most `most` are admitted.
        """
        self._latest = now = max(now, self._latest)
        admitted = self._admitted
        if len(admitted) == admitted.maxlen and now - admitted[0] < self._window:
            return False
        admitted.append(now)
        return True

    def slot(self, now: float, after: float = 0.0) -> float:
        """Seconds until one who is sent away now should come back: for each another time, and none
        sooner than `after`, or than there can be room again."""
        self._latest = now = max(now, self._latest)
        first = now + max(after, self._window)
        if not first <= self._next <= now + LONGEST:
            self._next = first
        at, self._next = self._next, self._next + self._apart
        return at - now

    def unused(self, now: float) -> bool:
        """Is it like a new one: nobody was admitted of late, or is promised a time to come?"""
        last = self._admitted[-1] if self._admitted else float("-inf")
        return max(last + self._window, self._next) <= now
