"""`Doors`: how many are inside, in all and from one address; `Arrivals`: how fast they come;
`BadTokens`: how fast they guess.

Nobody is counted by address who has none, as behind a local socket, or whose address stands for
many: a trusted proxy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from ..bucket import Bucket, Buckets
from ..config import ServerConfig
from .origins import networks, place, real_address

#: A server tells its operator once in so many seconds that sockets of an address are dropped …
TOLD_EVERY: Final = 60.0
#: … and of so many addresses in that time: no stranger may fill a log.
TOLD: Final = 10.0
#: Seconds for which a socket that is not served is left alone, …
HELD_FOR: Final = 1.0
#: … and how many are: each is an open file and 5 KB.
MOST_HELD: Final = 256


class Doors:
    """Counts connections; times nothing and closes nothing.

    Who isn't counted by address counts among all.

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
        return place(address, self._proxies)


class Arrivals:
    """How fast sockets come from one address, before a byte of them is read.

    `arrivals_burst` at once, then `arrivals_per_address` each second. A connection that broke the
    rules counts as `fault_arrivals` more: whoever attacks comes that much more seldom.

    Args:
        config: those limits.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._proxies = networks(config.trusted_proxies)
        self._burst = float(config.arrivals_burst)
        self._fault = float(config.fault_arrivals)
        self._buckets: Buckets[str] = Buckets(config.arrivals_per_address, self._burst)
        #: what may be told of each, and of all
        self._news: Buckets[str] = Buckets(1 / TOLD_EVERY, 1.0)
        self._all_news = Bucket(TOLD / TOLD_EVERY, TOLD, 0.0)  # full, whatever the clock says

    def come(self, address: str, now: float) -> bool:
        """May another one come from there now? `now` is in seconds."""
        counted = place(address, self._proxies)
        return counted is None or _taken(self._buckets.of(counted, now), now)

    def fault(self, address: str, now: float) -> None:
        """One from there broke the rules. The debt is never more than a burst, so that the users
        with whom an attacker shares an address wait for seconds, not for hours."""
        counted = place(address, self._proxies)
        if counted is not None:
            bucket = self._buckets.of(counted, now)
            bucket.take(now, min(self._fault, self._burst + bucket.level(now)))

    def news(self, address: str, now: float) -> bool:
        """One from there was dropped: is it time to tell the operator?"""
        own = self._news.of(place(address, self._proxies) or "", now)
        return own.level(now) >= 1 and _taken(self._all_news, now) and _taken(own, now)


def hold(held: int) -> float:
    """Seconds for which a socket that is not served is left alone before it is dropped: whoever
    comes again at once comes once in that time, and costs that much less.

    Args:
        held: so many are left alone now, each an open file.
    """
    return HELD_FOR if held < MOST_HELD else 0.0


class BadTokens:
    """How fast one address may be wrong about tokens, each of which costs a look at a signature.

    `bad_tokens_burst` at once, then `bad_tokens_per_address` each second; good ones cost nothing
    here.

    Args:
        config: those limits.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._proxies = networks(config.trusted_proxies)
        self._buckets: Buckets[str] = Buckets(
            config.bad_tokens_per_address, float(config.bad_tokens_burst)
        )

    def counted(self, peer: str, chain: Sequence[str]) -> str | None:
        """As what a request counts; None: as none. See `origins.real_address`."""
        return place(real_address(peer, chain, self._proxies), self._proxies)

    def wait(self, counted: str | None, now: float) -> float:
        """Seconds until a token from there is looked at; 0: at once."""
        if counted is None:
            return 0.0
        bucket = self._buckets.of(counted, now)
        return max(0.0, (1 - bucket.level(now)) / bucket.rate)

    def add(self, counted: str | None, now: float) -> None:
        """One from there was bad."""
        if counted is not None:
            self._buckets.of(counted, now).take(now)


def _taken(bucket: Bucket, now: float) -> bool:
    """Take one, if there is one."""
    if bucket.level(now) < 1:
        return False
    bucket.take(now)
    return True
