"""`Forgetting`: something for each who comes, as long as it differs from a new one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Forgetting(Generic[K, V]):
    """See the module.

    They are looked at in turn: for each that is made those that are like new go, up to the first
    that isn't, which goes to the end. So one that is needed for long holds none of the others, and
    there are hardly more than twice as many as are needed.

    Args:
        make: a new one; called with the time.
        like_new: need it not be kept at that time?
    """

    __slots__ = ("_kept", "_like_new", "_make")

    def __init__(self, make: Callable[[float], V], like_new: Callable[[V, float], bool]) -> None:
        self._make = make
        self._like_new = like_new
        #: who is looked at next stands first; a dict would look for its first through all gaps
        self._kept: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, who: K, now: float) -> V:
        """That of one; made, if there is none. `now` is in seconds."""
        kept = self._kept.get(who)
        if kept is None:
            self._look(now)
            kept = self._kept[who] = self._make(now)
        return kept

    def forget(self, who: K) -> None:
        """One will not come again."""
        self._kept.pop(who, None)

    def _look(self, now: float) -> None:
        while self._kept:
            first = next(iter(self._kept))
            if not self._like_new(self._kept[first], now):
                self._kept.move_to_end(first)
                return
            del self._kept[first]
