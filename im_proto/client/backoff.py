"""How long to wait before trying again, and when to stop trying."""

from __future__ import annotations

import random
from typing import Final

from ..config import ReconnectConfig

#: A server can't send a client away for longer than this, in seconds.
MAX_RETRY_AFTER: Final = 86_400.0


def base_delay(config: ReconnectConfig, failures: int) -> float:
    """The delay before jitter after that many failures in a row (at least one), in seconds."""
    n = max(1, failures)
    if config.strategy == "fixed":
        delay = config.initial_delay
    elif config.strategy == "linear":
        delay = config.initial_delay * n
    else:
        # 2^62 is far above any max_delay; the cap keeps the float finite after years of trying
        delay = config.initial_delay * float(2 ** min(n - 1, 62))
    return min(delay, config.max_delay)


class Backoff:
    """Counts failures and draws delays.

    Two counts, because they end differently: `failed` is what `max_retries` limits and falls back
    to zero at a log-in; `level` is what the delay grows by and falls back only after a link that
    stayed good, so that a server which accepts log-ins and drops them is not hammered. A wait that
    the server asked for is no sign of trouble: the next delay is no longer for it.

    Of random delays several may be short. So that a client is not away long after a short outage
    for that, none is longer than it would be if those before had been as long as they could be.
    """

    __slots__ = (
        "_began",
        "_config",
        "_good_since",
        "_level",
        "_violations",
        "asked",
        "early",
        "failed",
        "retries",
    )

    def __init__(self, config: ReconnectConfig) -> None:
        self._config = config
        self._level = 0
        #: when the first of the delays was drawn that `level` counts
        self._began = 0.0
        #: links in a row that ended over a violation
        self._violations = 0
        self._good_since: float | None = None
        #: consecutive failed attempts
        self.failed = 0
        #: attempts scheduled since the last log-in
        self.retries = 0
        #: the present delay is what the server asked for
        self.asked = False
        #: the present attempt came before its time; that it fails proves nothing
        self.early = False

    def start_over(self) -> None:
        """The application asked for a connection: nothing of before counts."""
        self.failed = self.retries = self._level = self._violations = 0
        self.early = False

    def authenticated(self, now: float) -> None:
        """A log-in succeeded."""
        self.failed = self.retries = 0
        self._good_since = now

    def attempt_failed(self) -> None:
        """An attempt ended before its log-in, and it counts, unless it came early."""
        self.failed += not self.early

    def link_lost(self, now: float, *, as_failed: bool) -> None:
        """A logged-in link ended; `as_failed`: over a violation, whose delays grow from one such
        end to the next however good the links between them were."""
        since, self._good_since = self._good_since, None
        if since is not None and now - since >= self._config.stable_after:
            self._level = self._violations if as_failed else 0
        self._violations = self._violations + 1 if as_failed else 0

    @property
    def exhausted(self) -> bool:
        """Has the client failed as often as it may?"""
        limit = self._config.max_retries
        return limit is not None and self.failed >= limit

    def next_delay(self, now: float, rng: random.Random, retry_after: float | None) -> float:
        """Draw the delay of the next attempt, in seconds; a server's own wish is obeyed, but for
        one of no delay at all."""
        self.retries += 1
        self.early = False
        self.asked = bool(retry_after)
        if retry_after:
            return min(retry_after, MAX_RETRY_AFTER)
        if not self._level:
            self._began = now
        self._level += 1
        delay = base_delay(self._config, self._level)
        if self._config.jitter == "none":
            return delay
        return rng.uniform(0, min(delay, self._config.initial_delay + now - self._began))
