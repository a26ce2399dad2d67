"""Is the peer alive? When to probe it, and when to give it up (protocol.md, "Liveness").

After a sleep of the machine, or a change of the network, the link is in doubt: one probe, with
little time for its answer, decides. While the application is so far behind that nothing is read,
nothing can be heard either: probes go out, for the server to see us alive, and nobody is judged.
"""

from __future__ import annotations

from enum import StrEnum

from ..config import HeartbeatConfig
from ..machines import HEARTBEAT
from ..timers import Timers
from ..wire import HeartbeatHint
from .timers import Timer

DEFAULT_INTERVAL = 30.0
DEFAULT_TIMEOUT = 5.0
DEFAULT_MAX_MISSED = 3
#: A server can't ask for probes faster than this, in seconds.
LEAST_HINT = 0.1
#: A link in doubt has so many seconds to answer, or so many round trips if that is more.
DOUBT_TIMEOUT = 0.8
DOUBT_ROUND_TRIPS = 4


class Beat(StrEnum):
    """What a heartbeat's deadline asks for."""

    NOTHING = "nothing"
    PROBE = "probe"
    DEAD = "dead"


class Liveness:
    """Probes at a steady pace. Any complete frame is life; a byte is not."""

    __slots__ = (
        "_config", "_probed_at", "_probes_out", "_rtt", "_timers", "deaf", "in_doubt", "interval",
        "max_missed", "missed", "state", "timeout",
    )  # fmt: skip

    def __init__(self, config: HeartbeatConfig, timers: Timers[Timer]) -> None:
        self._config = config
        self._timers = timers
        self.state = HEARTBEAT.initial
        self.missed = 0
        self.interval = DEFAULT_INTERVAL
        self.timeout = DEFAULT_TIMEOUT
        self.max_missed = config.max_missed or DEFAULT_MAX_MISSED
        #: the next probe that is unanswered is the last
        self.in_doubt = False
        #: nothing is read from the transport
        self.deaf = False
        self._probes_out = 0
        self._probed_at = 0.0
        self._rtt = 0.0

    def start(self, hint: HeartbeatHint | None, now: float, *, rtt: float) -> None:
        """Logged in: the configuration wins over the server's hint, the hint over the default.

        `rtt`: what the log-in took, in seconds, until a probe shows better.
        """
        self.interval = self._config.interval or (
            max(hint.interval, LEAST_HINT) if hint else DEFAULT_INTERVAL
        )
        self.timeout = self._config.timeout or (
            max(hint.timeout, LEAST_HINT) if hint else DEFAULT_TIMEOUT
        )
        self._to("started")
        self.missed = self._probes_out = 0
        self.in_doubt = self.deaf = False
        self._rtt = rtt
        self._timers.set(Timer.HEARTBEAT_DUE, now + self.interval)

    def stop(self) -> None:
        """The link is gone, or going."""
        if self.state != "stopped":
            self._to("stopped_probing")
        self._timers.cancel(Timer.HEARTBEAT_DUE, Timer.HEARTBEAT_ANSWER)

    def due(self, now: float) -> Beat:
        """HEARTBEAT_DUE came."""
        self._timers.set(Timer.HEARTBEAT_DUE, now + self.interval)
        return Beat.PROBE if self.state == "resting" else Beat.NOTHING

    def unanswered(self, *, late: bool) -> Beat:
        """HEARTBEAT_ANSWER came. If we were late ourselves, the peer gets another chance."""
        if not late:
            self.missed += 1
            if self.in_doubt or self.missed >= self.max_missed:
                return Beat.DEAD
        return Beat.PROBE

    def probed(self, now: float) -> None:
        """A probe goes out now."""
        if self.deaf:
            return
        self._to("probe_sent" if self.state == "resting" else "missed")
        self._probes_out += 1
        self._probed_at = now
        timeout = self.timeout
        if self.in_doubt:
            timeout = min(timeout, max(DOUBT_TIMEOUT, self._rtt * DOUBT_ROUND_TRIPS))
        self._timers.set(Timer.HEARTBEAT_ANSWER, now + timeout)

    def deafen(self) -> None:
        """Nothing is read from now on, so nothing can be missed."""
        self.life()
        self._probes_out = 0  # when its answer is read says nothing
        self.deaf = True

    def life(self) -> None:
        """A complete frame came in."""
        if self.state == "awaiting":
            self._to("life_seen")
            self.missed = 0
            self.in_doubt = False
            self._timers.cancel(Timer.HEARTBEAT_ANSWER)

    def answered(self, now: float) -> float | None:
        """A probe's own answer: the round-trip time in seconds, if only one was out."""
        out, self._probes_out = self._probes_out, 0
        if out != 1:
            return None
        self._rtt = now - self._probed_at
        return self._rtt

    def _to(self, event: str) -> None:
        self.state = HEARTBEAT.next(self.state, event)
