"""`Doors`: how many are inside, in all and from one address; `Arrivals`: how fast they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ..bucket import Buckets
from ..config import ServerConfig
from .origins import Network, is_proxy, networks, place


class Doors:
    """Counts connections; times nothing and closes nothing.

    Nobody is counted by address who has none, as behind a local socket, or whose address stands
    for many: a trusted proxy. They count among all.

    Args:
        most: of all.
        most_of_one: from one address.
        trusted_proxies: see `ServerConfig`.
    """

    def __init__(self, most: int, most_of_one: int, trusted_proxies: Iterable[str] = ()) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._proxies = networks(trusted_proxies)
        self._inside = 0
        self._places: Counter[str] = Counter()

    @property
    def inside(self) -> int:
        """How many have entered and not left."""
        return self._inside

    @property
    def full(self) -> bool:
        """Nobody may come in, from wherever."""
        return self._inside >= self._most

    @property
    def places(self) -> int:
        """… and from how many addresses that are counted."""
        return len(self._places)

    def enter(self, address: str) -> bool:
        """May one more from there come in? Who may has to `leave`, with the same address."""
        if self.full:
            return False
        counted = self.counted(address)
        if counted is not None:
            if self._places[counted] >= self._most_of_one:
                return False
            self._places[counted] += 1
        self._inside += 1
        return True

    def leave(self, address: str) -> None:
        """One who had entered from there is gone."""
        counted = self.counted(address)
        if counted is not None:
            self._places[counted] -= 1
            if not self._places[counted]:
                del self._places[counted]
        self._inside -= 1

    def counted(self, address: str) -> str | None:
        """As what an address counts; None: as none."""
        return _counted(address, self._proxies)


class Arrivals:
    """How fast sockets come from one address, before a byte of them is read.

    As many at once as may be connected and some more, then `arrivals_per_address` each second; a
    trusted proxy and a local socket are many in one.

    Args:
        config: those limits.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._proxies = networks(config.trusted_proxies)
        self._buckets: Buckets[str] = Buckets(
            config.arrivals_per_address,
            config.connections_per_address + config.arrivals_per_address,
        )

    def come(self, address: str, now: float) -> bool:
        """May another one come from there now? `now` is in seconds."""
        counted = _counted(address, self._proxies)
        if counted is None:
            return True
        bucket = self._buckets.of(counted, now)
        if bucket.level(now) < 1:
            return False
        bucket.take(now)
        return True


def _counted(address: str, proxies: Sequence[Network]) -> str | None:
    if not address or is_proxy(address, proxies):
        return None
    return place(address)
