"""A new token on the live connection, before the old one expires (protocol.md section 2,
`refresh`).

Everything here is a decision; the core fetches, sends and tells.
"""

from __future__ import annotations

import random
from typing import Final

from ..config import ClientConfig
from ..errors import IMError, IMErrorCode
from ..timers import Timers
from ..wire import AuthData, AuthResponse, Outcome, outcome
from . import events as ev
from .backoff import Backoff
from .effects import Effects, Trouble
from .login import Login
from .timers import Timer

#: A token is renewed when so much of its time is left …
MARGIN: Final = 0.1
#: … but not below so many seconds, where that is not more than half of it.
LEAST_MARGIN: Final = 30.0
#: Seconds between one renewal and the next, whatever the server says.
PACE: Final = 1.0


class Refresh:
    """The token that the present link is logged in with, and the one that shall take its place.

    Args:
        config: how long to wait.
        login: holds the token of the next log-in.
        fx: takes what is to be told.
        timers: gets the deadlines.
        rng: where delays are drawn from.

    Attributes:
        out: the token whose AUTH_REQUEST is unanswered.
        wanted: the token function is to be asked, or is being asked, for a new one.
        offering: the token that is held is to be sent.
    """

    __slots__ = (
        "_backoff", "_config", "_expires_at", "_fx", "_granted", "_login", "_not_before", "_probed",
        "_rng", "_timers", "_told", "offering", "out", "wanted",
    )  # fmt: skip

    def __init__(
        self,
        config: ClientConfig,
        login: Login,
        fx: Effects,
        timers: Timers[Timer],
        rng: random.Random,
    ) -> None:
        self._config = config
        self._login = login
        self._fx = fx
        self._timers = timers
        self._rng = rng
        self._backoff = Backoff(config.reconnect)
        #: the server takes a new token on this link
        self._granted = False
        self._expires_at: float | None = None
        #: nobody is asked or told again before
        self._not_before = 0.0
        #: the peer was asked whether it lives, as it does not answer
        self._probed = False
        #: it was told that this one can't be renewed
        self._told: str | None = None
        self.out: str | None = None
        self.wanted = False
        self.offering = False

    # ------------------------------------------------------------ the link

    def online(self, data: AuthData | None, *, granted: bool) -> None:
        """Logged in. What was given meanwhile goes out at once."""
        self._granted = granted
        self._expires_at = None
        self._backoff.start_over()
        if granted and data is not None:
            self._plan(data.expires_in)
        self.token_held()

    def offline(self) -> None:
        """The link is gone, and its deadlines with it. The next log-in takes what is held."""
        self._granted = self.offering = self.wanted = False
        self.out = None

    # ------------------------------------------------------------ when

    def _plan(self, expires_in: float | None) -> None:
        """The server says how long its token lasts, or nothing of it."""
        if expires_in is None:
            self._expires_at = None
            return
        now, before = self._fx.now, self._expires_at
        self._expires_at = now + expires_in
        margin = min(max(expires_in * MARGIN, LEAST_MARGIN), expires_in / 2)
        wait = max(expires_in - margin, PACE)
        if before is not None and self._expires_at < before + PACE:
            # no better than the one before: the function has no newer one yet
            wait = max(wait, self._backoff.next_delay(self._fx.now, self._rng, None))
        else:
            self._backoff.start_over()
        self._timers.set(Timer.REFRESH, now + wait)

    def expiring(self, expires_in: float) -> None:
        """AUTH_EXPIRING came."""
        if not self._granted:
            return
        self._expires_at = self._fx.now + expires_in
        if self._busy:
            return
        if self._fx.now < self._not_before:
            self._timers.set(Timer.REFRESH, self._not_before)
        else:
            self.due()

    def due(self) -> None:
        """It is time for a new token."""
        self._timers.cancel(Timer.REFRESH)
        if self._busy:
            return
        self._not_before = self._fx.now + PACE
        if self._login.token != self._login.used:
            self.offering = True
        elif self._login.fetches:
            self.wanted = True
        elif self._told != self._login.used:
            self._told = self._login.used
            self._fx.notify(ev.ErrorOccurred(error=self._cannot()))

    @property
    def awaited(self) -> bool:
        """A new token is on its way to the server, or about to be."""
        return self.offering or self.out is not None

    @property
    def _busy(self) -> bool:
        return self.wanted or self.awaited

    def _cannot(self) -> IMError:
        when = ""
        if self._expires_at is not None:
            when = f" in {max(0.0, self._expires_at - self._fx.now):.0f} s"
        return IMError(
            IMErrorCode.TOKEN_INVALID,
            f"the token expires{when}, and nothing can get another: give the "
            "client one, or configure a function as `token`",
            terminal=False,
        )

    def slept(self, seconds: float) -> None:
        """The machine has slept so long, and the token went on to grow old."""
        at = self._timers.get(Timer.REFRESH)
        if at is not None:
            self._timers.set(Timer.REFRESH, max(self._fx.now, at - seconds))
        if self._expires_at is not None:
            self._expires_at -= seconds

    # ------------------------------------------------------------ the new token

    def token_held(self) -> None:
        """A token came: of the token function, or of the application."""
        if self._granted and (self.wanted or self._login.token != self._login.used):
            self.offering = True
        self.wanted = False

    def fetch_failed(self) -> bool:
        """The token function has failed. Was it asked for this? Then it will be again."""
        wanted, self.wanted = self.wanted, False
        if wanted:
            self._rest()
        return wanted

    def _rest(self) -> None:
        wait = max(self._backoff.next_delay(self._fx.now, self._rng, None), PACE)
        self._timers.set(Timer.REFRESH, self._fx.now + wait)

    def offer(self) -> str | None:
        """The token to be sent now, if there is one."""
        if not self.offering or self.out is not None:
            return None
        self.offering = self._probed = False
        self.out = self._login.token
        self._timers.cancel(Timer.REFRESH)
        self._timers.set(Timer.AUTH, self._fx.now + self._config.timeouts.auth)
        return self.out

    # ------------------------------------------------------------ the answer

    def answered(self, response: AuthResponse) -> None:
        """AUTH_RESPONSE came for the token that is out."""
        token, self.out = self.out, None
        self._timers.cancel(Timer.AUTH)
        assert token is not None
        kind = outcome(response.code)
        if kind is Outcome.SUCCESS:
            self._login.renewed(token)
            expires_in = response.data.expires_in if response.data is not None else None
            self._plan(expires_in)
            self._fx.notify(ev.TokenRefreshed(expires_in=expires_in))
        else:
            if kind is not Outcome.SERVER_ERROR and self._login.token == token:
                self._login.token = self._login.used
            self._fx.notify(ev.AuthFailed(error=_refused(response, kind)))
            if self._login.fetches or self._login.token != self._login.used:
                self._rest()
        # a newer one may have come meanwhile
        self.offering = self._login.token not in (token, self._login.used)

    def overdue(self, probe_timeout: float, *, late: bool) -> Trouble:
        """There is no answer: probe first, then drop the link."""
        if late or not self._probed:
            self._probed = True
            self._timers.set(Timer.AUTH, self._fx.now + probe_timeout)
            return Trouble.PROBE
        return Trouble.NO_REFRESH


def _refused(response: AuthResponse, kind: Outcome) -> IMError:
    code = IMErrorCode.AUTH_FAILED
    if kind is Outcome.SERVER_ERROR:
        code = IMErrorCode.SERVER_ERROR
    elif kind is Outcome.AUTH:
        code = IMErrorCode.TOKEN_INVALID
    return IMError(
        code,
        "the server did not take the new token; the old one serves until it expires",
        server_code=response.code,
        server_text=response.message,
        retryable=True,
        terminal=False,
    )
