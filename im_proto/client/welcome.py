"""What follows when a link is up: the log-in, its answer, and a new token on the way.

The part of `ClientCore` in which a link becomes a log-in: state first, effect after.
"""

from __future__ import annotations

from typing import Final

from ..errors import IMError
from ..wire import AuthData, AuthRequest, AuthResponse, ServerLimits
from ..wire.types import MAX_SAFE_INTEGER
from . import events as ev
from . import inputs as inp
from .deadlines import Deadlines
from .login import CAPABILITIES, Answer
from .timers import Timer

#: A device's lastMsgId above this is no time (in microseconds it is the year 2112). The client
#: draws on from there, and would soon have no number that JavaScript keeps exact, or none at all.
LAST_PLAUSIBLE_ID: Final = MAX_SAFE_INTEGER // 2


#: What nearly all servers of ours grant: one set for all clients.
_ALL: Final = frozenset(CAPABILITIES)
_NO_LIMITS: Final = ServerLimits()


class Welcome(Deadlines):
    """From an upgraded link to a log-in, or to none."""

    __slots__ = ()

    def _on_link_opened(self, opened: inp.LinkOpened) -> None:
        self._connection_to("handshake_accepted")
        self.timers.cancel(Timer.CONNECT)
        self._told_connected = True
        self.fx.notify(ev.Connected())
        self.login.link_opened(capable=opened.capable)
        self._asked_at = self.fx.now
        self.timers.set(Timer.AUTH, self.fx.now + self.config.timeouts.auth)
        self.fx.say(self.login.request_message(self.receiving.inbox.resume()))
        # alone, and never in a batch
        self.fx.flush(opened.transport, batch=1, frame_bytes=0)
        self.reason = "connected, logging in"

    def _on_auth_response(self, response: AuthResponse) -> None:
        if self.refresh.out is None and self.login.state != "authenticating":
            self._violated("AUTH_RESPONSE without a log-in")
            return
        stranger = self.login.other_user(response)
        if stranger is not None:
            self._refused(stranger)
            return
        if self.refresh.out is not None:
            self.refresh.answered(response)
            return
        self.timers.cancel(Timer.AUTH)
        self.login.excused()
        judgement = self.login.judge(response)
        error = judgement.error
        if error is None:
            self._welcome(response)
            return
        if judgement.answer is Answer.REFUSED:
            self._refused(error, "the server refused the log-in")
            return
        self.fx.notify(ev.AuthFailed(error=error))
        self._end_link(1000, "")
        if judgement.answer is Answer.NEW_TOKEN:
            self.login.to("token_rejected")
        self._come_back(error, error.text)

    def _refused(self, error: IMError, reason: str | None = None) -> None:
        """This log-in can't be, and trying again won't help."""
        self.login.excused()
        self.fx.notify(ev.AuthFailed(error=error))
        self._end_link(1000, "")
        self.login.to("login_refused")
        self._halt(error, reason or error.text)

    def _welcome(self, response: AuthResponse) -> None:
        fx, login, now = self.fx, self.login, self.fx.now
        asked = login.asked_for_extensions
        data = response.data if response.data is not None and asked else None
        granted = frozenset(data.capabilities or ()) if data else frozenset()
        self.capabilities = _ALL if granted >= _ALL else granted & _ALL
        fx.inline = "inline" in self.capabilities
        limits = (data and data.limits) or _NO_LIMITS
        self._batch = limits.batch if "batch" in self.capabilities else 1
        self._frame_bytes = limits.frame_bytes
        login.to("accepted")
        self._reconnect_to("succeeded")
        self.backoff.authenticated(now)
        self.last_error = None
        self.reason = "logged in"
        if login.welcomed():
            fx.notify(ev.ExtensionsRefused(ws_url=self.config.ws_url))
        self.liveness.start(data.heartbeat if data else None, now, rtt=now - self._asked_at)
        self._watch()
        idempotent = data is not None and data.device_id == self.device_id
        self.sending.online(
            idempotent=idempotent,
            status="status" in self.capabilities,
            last_id=self._last_id(data),
            limits=data.limits if data else None,
        )
        fx.notify(
            ev.Authenticated(
                user_id=self.config.user_id,
                username=response.data.username if response.data else None,
                capabilities=self.capabilities,
            )
        )
        self.refresh.online(data, granted="refresh" in self.capabilities)
        self.sessions.online(granted="sessions" in self.capabilities)
        self.life.online(typing="typing" in self.capabilities)
        resumed = data is not None and self.receiving.online(
            data, numbered="seq" in self.capabilities
        )
        if self._was_authenticated:
            fx.counters.reconnects += 1
            fx.notify(ev.Reconnected(resumed=resumed))
        self._was_authenticated = True
        self._tell_guarantee(idempotent)

    def _last_id(self, data: AuthData | None) -> int:
        """The highest msgId that the server knows of this device; 0: none, or none that can be."""
        last_id = (data.last_msg_id or 0) if data else 0
        if last_id <= LAST_PLAUSIBLE_ID:
            return last_id
        self._violated("lastMsgId is too far ahead to be one of this device; it is ignored")
        return 0

    def _tell_guarantee(self, idempotent: bool) -> None:
        if idempotent:
            guarantee = ev.Guarantee.EXACTLY_ONCE
        elif self.config.resend_when_unsure:
            guarantee = ev.Guarantee.AT_LEAST_ONCE
        else:
            guarantee = ev.Guarantee.AT_MOST_ONCE
        if guarantee is not self.guarantee:
            self.guarantee = guarantee
            self.fx.notify(ev.GuaranteeChanged(guarantee=guarantee))

    def _offer_token(self) -> None:
        """Send a new token, if there is one for this link: alone, and never in a batch."""
        token = self.refresh.offer()
        if token is not None:
            self.fx.say(AuthRequest(access_token=token))
            self.fx.flush(self.transport, batch=1, frame_bytes=0)
