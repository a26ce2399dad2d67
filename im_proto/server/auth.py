"""A connection's token: the log-in with it, its end, and the next one before that."""

from __future__ import annotations

from typing import Final

from ..errors import printable
from ..wire import AuthData, AuthExpiring, AuthRequest, AuthResponse, codes
from . import actions as act
from . import inputs as inp
from . import talk
from .connection import Connection
from .login import wire_seconds
from .timers import Timer

#: Envelopes that a next token costs as much as: a signature is 0.1 ms.
REFRESH: Final = 4.0
#: … and a log-in where there is one: no client has a reason for it.
AGAIN: Final = 9.0


class Authenticated(Connection):
    """The log-in and refreshes of `ServerCore`."""

    #: when the token that serves now, or will serve after the log-in, expires; None: never
    _expires_at: float | None = None
    #: the request whose token is with the authenticator while an older one serves
    _refreshing: AuthRequest | None = None

    def _on_auth(self, request: AuthRequest) -> None:
        if self.state == "online" and "refresh" in self._login.granted:
            self._refresh(request)
        elif self.state != "unauthenticated":
            self._budget.take(self._now, AGAIN)
            self._say(AuthResponse(code=codes.BAD_REQUEST, message="logged in already"))
        else:
            self._to("auth_received")
            self._login.asked(request)
            self._tell(talk.AdmissionAsked(connection=self.connection))

    def _on_admitted(self) -> None:
        if self.state == "verifying":  # pragma: no branch - what a hub answers
            token = self._login.token
            self._do(act.Authenticate(connection=self.connection, token=token))

    def _on_verified(self, verified: inp.TokenVerified) -> None:
        if self._refreshing is not None:
            self._on_refreshed(self._refreshing, verified)
            return
        if self.state != "verifying":
            return
        login = self._login
        refusal = login.verified(verified)
        if refusal is not None:
            self._refuse_login(codes.TOKEN_INVALID, refusal)
            return
        self._to("token_verified")
        self._expires_in(verified.expires_in)
        self._tell(login.to_hub(self.connection))

    def _on_refused(self, refused: inp.TokenRefused) -> None:
        if self._refreshing is not None:
            self._end_refresh()
            self._say(_refusal(refused.code, refused.reason))
        elif self.state == "verifying":
            self._refuse_login(refused.code, refused.reason)

    def _refuse_login(self, code: int, reason: str) -> None:
        response = _refusal(code, reason)
        self._say(response)
        if codes.outcome(response.code) is codes.Outcome.SERVER_ERROR:
            self._end(1013, "the authenticator is unavailable")
        else:
            self._end(4001, response.message or "")

    def _on_logged_in(self, login: talk.LoggedIn) -> None:
        if self.state != "logging_in":  # pragma: no cover - a hub answers no login that has left
            return
        self._to("logged_in")
        self.largest = self.config.message_bytes
        self._budget = self._fresh_budget()
        self._budget.take(self._now)  # AUTH_REQUEST is the first of it
        self._timers.cancel(Timer.AUTH)
        self._pushed = self._acked = login.base
        self._say(self._login.response(login, self._wall_ms, self._left))
        self._flush(alone=True)
        self._inline = "inline" in self._login.granted
        self._watch_expiry()
        if self.blocked:
            self._stall()

    # ------------------------------------------------------------ the next token

    def _refresh(self, request: AuthRequest) -> None:
        """On a live connection; until the new token is good the old one serves."""
        if self._refreshing is not None:
            self._say(AuthResponse(code=codes.BAD_REQUEST, message="one token at a time"))
            return
        self._refreshing = request
        self._budget.take(self._now, REFRESH)
        self._timers.set(Timer.AUTH, self._now + self.config.auth_timeout)
        self._do(act.Authenticate(connection=self.connection, token=request.access_token))

    def _on_refreshed(self, request: AuthRequest, verified: inp.TokenVerified) -> None:
        self._end_refresh()
        if not self._login.same_user(request, verified):
            self._say(AuthResponse(code=codes.TOKEN_INVALID, message="the token is another user's"))
            self._end(4001, "the token is another user's")
            return
        self._expires_in(verified.expires_in)
        data = AuthData(
            user_id=self._login.user, username=self._login.username, expires_in=self._left
        )
        self._say(AuthResponse(code=codes.OK, message="", data=data))
        self._watch_expiry()

    def _end_refresh(self) -> None:
        self._refreshing = None
        self._timers.cancel(Timer.AUTH)

    # ------------------------------------------------------------ its end

    def _expires_in(self, seconds: float | None) -> None:
        left = wire_seconds(seconds)
        self._expires_at = None if left is None else self._now + left

    @property
    def _left(self) -> float | None:
        """Seconds until the token expires; None: it never does."""
        return None if self._expires_at is None else max(0.0, self._expires_at - self._now)

    def _watch_expiry(self) -> None:
        self._timers.cancel(Timer.EXPIRING, Timer.EXPIRY)
        left = self._left
        if left is None or self.state != "online":
            return
        self._timers.set(Timer.EXPIRY, self._now + left)
        if "refresh" in self._login.granted:
            # one that is short-lived altogether is not asked for again at once
            notice = min(self.config.expiry_notice, left / 2)
            self._timers.set(Timer.EXPIRING, self._now + left - notice)

    def _on_deadline(self, timer: Timer) -> None:
        if timer is Timer.EXPIRING:
            self._say(AuthExpiring(expires_in=self._left or 0.0))
        elif timer is Timer.EXPIRY:
            self._end(4003, "the token has expired")
        elif timer is Timer.AUTH and self._refreshing is not None:
            self._end_refresh()
            self._say(_refusal(codes.SERVER_ERROR, "the authenticator does not answer"))
        else:
            super()._on_deadline(timer)


def _refusal(code: int, reason: str) -> AuthResponse:
    if not -(2**31) <= code < 2**31:  # an authenticator's own number, not of the wire
        code = codes.SERVER_ERROR
    return AuthResponse(code=code, message=printable(str(reason)))
