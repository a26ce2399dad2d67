"""What is on its way to the journal: collected, and written one list at a time.

Who notes something gets a ticket; it is on disk when `written` has reached that. Without a journal
nothing is collected, and everything counts as written.
"""

from __future__ import annotations

from itertools import islice

from ..errors import LocalProtocolError
from . import actions as act
from .effects import Effects
from .journal import Change, PairKnown

#: Seconds after which what could not be written is tried again.
RETRY_AFTER = 1.0


class Journaling:
    """The way to the journal.

    Args:
        fx: takes what is to be done.
        on: there is a journal.
        known_pairs: how many messages it knows by their pair.

    Attributes:
        written: the highest ticket that is on disk.
    """

    __slots__ = (
        "_fx", "_known_pairs", "_last", "_pending", "_request", "_writing", "on", "retry_at",
        "written",
    )  # fmt: skip

    def __init__(self, fx: Effects, *, on: bool, known_pairs: int) -> None:
        self._fx = fx
        self._known_pairs = known_pairs
        self.on = on
        self.written = 0
        self._last = 0
        self._pending: list[Change] = []
        self._request = 0
        #: what is being written, and the last ticket of it; None: nothing is
        self._writing: tuple[list[Change], int] | None = None
        #: nothing is tried before; None: the last write was good
        self.retry_at: float | None = None

    @property
    def busy(self) -> bool:
        """Something is not on disk yet."""
        return self._writing is not None or bool(self._pending)

    def note(self, *changes: Change) -> int:
        """Have these written, after those before; returns their ticket."""
        if not self.on:
            return 0
        self._last += 1
        self._pending.extend(changes)
        return self._last

    def pump(self) -> None:
        """Write what waits, if nothing is being written."""
        if self._writing is not None or not self._pending:
            return
        if self.retry_at is not None and self._fx.now < self.retry_at:
            return
        changes, self._pending = self._pending, []
        self._request += 1
        self._writing = (changes, self._last)
        self._fx.do(act.WriteJournal(request=self._request, changes=tuple(changes)))

    def done(self, request: int) -> None:
        """It is on disk; a stale answer changes nothing."""
        if self._writing is None or request != self._request:
            return
        _, self.written = self._writing
        self._writing = None
        self.retry_at = None

    def failed(self, request: int) -> tuple[list[Change], int] | None:
        """It is not: what was to be written, and the last ticket of it. What has to be written all
        the same is to be given to `again`. None: a stale answer."""
        if self._writing is None or request != self._request:
            return None
        failed, self._writing = self._writing, None
        self.retry_at = self._fx.now + RETRY_AFTER
        return failed

    def again(self, changes: list[Change]) -> None:
        """Write these first at the next try: they are older than what waits. Of pairs only as many
        as it would keep, as a plain server sends on for as long as the disk is full.

        Raises:
            LocalProtocolError: something is being written.
        """
        if self._writing is not None:
            raise LocalProtocolError("a write is under way")
        self._pending[:0] = changes
        too_many = sum(isinstance(c, PairKnown) for c in self._pending) - self._known_pairs
        if too_many > 0:
            pairs = (n for n, c in enumerate(self._pending) if isinstance(c, PairKnown))
            old = set(islice(pairs, too_many))
            self._pending = [c for n, c in enumerate(self._pending) if n not in old]
