"""Does the client want a link, and what it does to get one: a token, a transport, an upgrade.

With `ending` the part of `ClientCore` that knows transports, tokens and delays, and nothing of
messages. State first, effect after.
"""

from __future__ import annotations

from typing import Final

from ..errors import IMError, IMErrorCode, LocalProtocolError, printable
from ..wire import (
    Blame,
    verdict_of_http,
)
from ..wire.closes import AUTH_REFUSALS
from ..wire.types import is_token
from . import actions as act
from . import events as ev
from . import inputs as inp
from .ending import Ending
from .timers import Timer

_BEHIND_THE_PROXY: Final = (inp.TransportFailure.PROXY, inp.TransportFailure.TLS)
#: Seconds between attempts that come early because the network has changed.
HURRY_PACE: Final = 1.0


class Lifecycle(Ending):
    """From the wish for a connection to an upgraded link."""

    __slots__ = ()

    # ------------------------------------------------------------ the application's wishes

    def _on_connect(self, _: inp.Connect) -> None:
        if self.reconnect in ("idle", "exhausted", "halted"):
            if self.login.state == "refused":
                self.login.start_over()
            self._reconnect_to("connect_requested")
            self.backoff.start_over()
            self._attempt()
        elif self.reconnect == "waiting":
            self._try_now()

    def _on_disconnect(self, _: inp.Disconnect) -> None:
        self.sessions.end(IMError(IMErrorCode.NETWORK_ERROR, "disconnect() was called meanwhile"))
        self._stop_fetching()
        if self.reconnect == "idle":
            return
        was_open = self.connection == "open"
        self.login.excused()
        self.timers.cancel(Timer.RECONNECT, Timer.WATCH)
        self._link_ends(Blame.NOBODY, last_words=True)
        self._reconnect_to("disconnect_requested")
        if self.login.state == "refused":
            self.login.start_over()
        if was_open:
            self._close(1000, "")
        elif self.connection != "closing":
            self._drop()
        self.reason = "disconnected by the application"
        self._was_authenticated = False
        self._tell_disconnected(None)

    def _on_update_token(self, update: inp.UpdateToken) -> None:
        if not is_token(update.token):
            raise LocalProtocolError("UpdateToken: a token has 1 to 8192 characters, and is text")
        self.login.replace(update.token)
        self._cancel_fetch()
        self.refresh.token_held()
        if self.login.state == "fetching_token":
            self.login.to("token_ready")
            self._open()
        elif self.login.state == "refused":
            self.login.to("reset")
            self._reconnect_to("connect_requested")
            self.backoff.start_over()
            self._attempt()

    # ------------------------------------------------------------ an attempt

    def _attempt(self) -> None:
        """Start one attempt: a token first, then a transport."""
        if self.connection != "disconnected":
            self._drop()
        self.reason = "connecting" if not self.backoff.retries else "trying again"
        if self.login.needs_fetch:
            self.login.to("fetch_started")
            self._fetch_token()
            return
        self.login.to("token_ready")
        self._open()

    def _open(self) -> None:
        self.transport += 1
        self._kick = None
        self.sending.blocked = self._half = False
        self.capabilities = frozenset()  # nothing is granted on this link yet
        self._batch = 1
        self.fx.inline = False
        self._connection_to("open_requested")
        self.timers.set(Timer.CONNECT, self.fx.now + self.config.timeouts.connect)
        self.fx.do(
            act.OpenTransport(
                transport=self.transport,
                host=self.config.host,
                port=self.config.port,
                secure=self.config.secure,
                unix_path=self.config.unix_path,
            )
        )

    def _hurry(self) -> None:
        """There is a network: try soon, unless the server said when. At a pace, as a system may
        tell of it many times."""
        retry_at = self.timers.get(Timer.RECONNECT)
        soon = max(self.fx.now, self._hurried_at + HURRY_PACE)
        if self.backoff.asked or retry_at is None or soon >= retry_at:
            return
        self.backoff.early = True
        self._hurried_at = soon
        if soon > self.fx.now:
            self.timers.set(Timer.RECONNECT, soon)
        else:
            self._try_now()

    def _try_now(self) -> None:
        self.timers.cancel(Timer.RECONNECT)
        self._reconnect_to("retry_due")
        self._attempt()

    def _fetch_token(self) -> None:
        """Ask the token function, unless it is being asked: whoever needs a token gets that one."""
        if not self.login.asking:
            self.login.asking = True
            self.login.request += 1
            self.timers.set(Timer.TOKEN, self.fx.now + self.config.timeouts.token)
            self.fx.do(act.FetchToken(request=self.login.request))

    def _on_token_ready(self, ready: inp.TokenReady) -> None:
        if not self._fetching(ready.request):
            return
        if not is_token(ready.token):
            self._token_failed("it returned no token of 1 to 8192 characters of text")
            return
        self.timers.cancel(Timer.TOKEN)
        self.login.take(ready.token)
        self.refresh.token_held()
        self.sessions.token_ready()
        if self.login.state == "fetching_token":
            self.login.to("token_ready")
            self._open()

    def _on_token_failed(self, failed: inp.TokenFailed) -> None:
        if self._fetching(failed.request):
            self._token_failed(printable(failed.reason))

    def _fetching(self, request: int) -> bool:
        return self.login.asking and request == self.login.request

    def _token_failed(self, why: str) -> None:
        error = IMError(
            IMErrorCode.AUTH_FAILED,
            f"the token function failed: {why}",
            retryable=True,
            terminal=False,
        )
        self.timers.cancel(Timer.TOKEN)
        self.login.asking = False
        self.sessions.token_failed(error)
        if self.refresh.fetch_failed():
            self.fx.notify(ev.AuthFailed(error=error))
        if self.login.state == "fetching_token":
            self.login.to("fetch_failed")
            self.fx.notify(ev.AuthFailed(error=error))
            self._come_back(error, "the token function failed")

    def _stop_fetching(self) -> None:
        self._cancel_fetch()
        if self.login.state == "fetching_token":
            self.login.to("reset")

    def _cancel_fetch(self) -> None:
        if self.login.asking:
            self.login.asking = False
            self.timers.cancel(Timer.TOKEN)
            self.fx.do(act.CancelToken(request=self.login.request))

    def _on_transport_opened(self, opened: inp.TransportOpened) -> None:
        if self.connection != "opening":
            raise LocalProtocolError(f"TransportOpened: the connection is {self.connection}")
        self._connection_to("transport_opened")
        self.fx.do(act.StartLink(transport=opened.transport))

    def _on_transport_failed(self, failed: inp.TransportFailed) -> None:
        if self.connection != "opening":
            raise LocalProtocolError(f"TransportFailed: the connection is {self.connection}")
        where = f"{self.config.host}:{self.config.port}"
        if self.config.proxy is not None and failed.kind not in _BEHIND_THE_PROXY:
            where = f"the proxy {self.config.proxy_host}:{self.config.proxy_port}"
        error = IMError(
            IMErrorCode.CONNECTION_FAILED,
            f"could not reach {where}: {printable(failed.reason) or failed.kind.value}"
            f" ({failed.kind.value})",
        )
        self._gone()
        self._come_back(error, f"could not reach {where} ({failed.kind.value})")

    def _on_link_refused(self, refused: inp.LinkRefused) -> None:
        if self.connection != "handshaking":
            raise LocalProtocolError(f"LinkRefused: the connection is {self.connection}")
        verdict = verdict_of_http(refused.status)
        code = (
            IMErrorCode.AUTH_FAILED
            if refused.status in AUTH_REFUSALS
            else IMErrorCode.CONNECTION_FAILED
        )
        error = IMError(
            code,
            verdict.reason,
            server_code=refused.status,
            server_text=refused.reason or None,
            retryable=verdict.reconnect,
            terminal=not verdict.reconnect,
        )
        self._drop()
        if refused.status in AUTH_REFUSALS:
            self.fx.notify(ev.AuthFailed(error=error))
            self.login.to("login_refused")
        self._come_back(error, verdict.reason, verdict, refused.retry_after)
