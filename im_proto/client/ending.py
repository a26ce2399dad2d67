"""The state of a client's link, how the link ends, and what follows: a delay, or giving up.

State first, effect after.
"""

from __future__ import annotations

import random
from typing import Final

from ..config import ClientConfig
from ..errors import IMError, IMErrorCode, LocalProtocolError, printable
from ..machines import CONNECTION, RECONNECT
from ..wire import (
    DIALECTS,
    Blame,
    Kick,
    ServerLimits,
    Verdict,
    verdict_of_close,
)
from ..wire.closes import AUTH_REFUSALS
from . import actions as act
from . import events as ev
from . import inputs as inp
from .backoff import Backoff
from .effects import Effects
from .journal import JournalState
from .journaling import Journaling
from .life import Life
from .liveness import Liveness
from .login import Login
from .receiving import Receiving
from .refresh import Refresh
from .sending import Sending
from .sessions import Sessions
from .timers import OF_THE_LINK, Timer, client_timers

#: Close codes that stand for something seen and never go over the wire (RFC 6455 section 7.4.1).
NEVER_SENT: Final = frozenset({1005, 1006, 1015})
#: A KICK decides over the close that it announces; one that comes later is not it. In seconds.
KICK_LASTS: Final = 60.0
#: Closes that say why, so that a log-in without an answer is no sign of a strict server.
UNSUSPICIOUS: Final = frozenset({1012, 1013, 4001, 4003, 4004, 4008, 4009})


_FRAME_BYTES: Final = ServerLimits().frame_bytes
#: One for all clients: it holds nothing of any of them.
_DIALECTS: Final = {name: kind() for name, kind in DIALECTS.items()}


class Ending:
    """What is known of the link, and every way out of it.

    Args:
        config: what to do.
        now: seconds on any monotonic clock; the same clock as in every later call.
        wall: seconds since 1970 at `now`.
        rng: where delays and the device id are drawn from.
        journal: what an earlier process has kept; None: nothing is kept.
    """

    __slots__ = (
        "_asked_at", "_batch", "_frame_bytes", "_half", "_hurried_at", "_kick", "_kicked_at",
        "_told_connected", "_was_authenticated", "backoff", "capabilities", "config", "connection",
        "device_id", "fx", "guarantee", "journaling", "last_error", "life", "liveness", "login",
        "paused", "reason", "receiving", "reconnect", "refresh", "rng", "sending", "sessions",
        "timers", "transport",
    )  # fmt: skip

    def __init__(
        self,
        config: ClientConfig,
        *,
        now: float,
        wall: float,
        rng: random.Random,
        journal: JournalState | None = None,
    ) -> None:
        self.config = config
        self.rng = rng
        known = journal.identity if journal is not None else None
        kept = known.device_id if known is not None else None
        self.device_id = config.device_id or kept or f"{rng.getrandbits(64):016x}"
        self.connection = CONNECTION.initial
        self.reconnect = RECONNECT.initial
        #: the present transport, or the last one
        self.transport = 0
        self.timers = client_timers()
        self.backoff = Backoff(config.reconnect)
        self.liveness = Liveness(config.heartbeat, self.timers)
        dialect = _DIALECTS[config.dialect]
        extensions = config.extensions and dialect.extensions
        self.login = Login(config, self.device_id, extensions=extensions)
        self.fx = Effects(dialect, now, wall - now)
        self.journaling = Journaling(
            self.fx, on=journal is not None, known_pairs=config.known_pairs
        )
        self.sending = Sending(
            config,
            self.fx,
            self.timers,
            self.journaling,
            device_id=self.device_id,
            journal=journal,
        )
        self.receiving = Receiving(
            config, self.device_id, self.fx, self.timers, self.journaling, journal
        )
        self.life = Life(self.fx, self.timers)
        self.sessions = Sessions(config, self.login, self.fx, self.timers, rng)
        self.refresh = Refresh(config, self.login, self.fx, self.timers, rng)
        self.capabilities: frozenset[str] = frozenset()
        self.guarantee: ev.Guarantee | None = None
        self.reason = "connect() was not called yet"
        self.last_error: IMError | None = None
        #: what the server takes in one frame: envelopes, and bytes
        self._batch, self._frame_bytes = 1, _FRAME_BYTES
        self._kick: Kick | None = None
        self._was_authenticated = False
        self._told_connected = False
        #: when the last attempt came before its time
        self._hurried_at = float("-inf")
        #: when AUTH_REQUEST went out
        self._asked_at = 0.0
        #: when KICK came
        self._kicked_at = 0.0
        #: nothing is read from the transport: the application is behind
        self.paused = False
        #: a message has begun to come in and is not complete
        self._half = False

    # ------------------------------------------------------------ how a link ends

    def _violated(self, reason: str, close_code: int | None = None) -> None:
        """The peer broke the protocol; with a close code the link ends over it."""
        self.fx.notify(ev.ProtocolViolation(reason=reason, close_code=close_code))
        if close_code is None:
            return
        error = IMError(
            IMErrorCode.NETWORK_ERROR,
            f"the server broke the protocol: {reason}",
            server_code=close_code,
        )
        self._end_link(close_code, reason[:100])
        verdict = Verdict(reconnect=True, reason=reason, failed_delay=True)
        self._come_back(error, f"the server broke the protocol: {reason}", verdict)

    def _on_peer_closed(self, closed: inp.PeerClosed) -> None:
        if self.connection == "closing":
            self.fx.do(act.CloseTransport(transport=self.transport))
            return
        if self.connection != "open":
            raise LocalProtocolError(f"PeerClosed: the connection is {self.connection}")
        verdict = verdict_of_close(closed.code)
        words = printable(closed.reason)
        if closed.code in UNSUSPICIOUS:
            self.login.excused()
        self._end_link(1000 if closed.code in NEVER_SENT else closed.code, "", verdict.blame)
        self._after_close(verdict, closed.code, words)

    def _on_transport_lost(self, lost: inp.TransportLost) -> None:
        if self.connection == "closing":
            self._gone()
        elif self.connection == "open":
            self._lost(printable(lost.reason) or "the connection was lost")
        else:
            error = IMError(
                IMErrorCode.CONNECTION_FAILED,
                "the connection was lost before the WebSocket upgrade was answered",
            )
            self._gone()
            self._come_back(error, error.text)

    def _on_framing_violated(self, violated: inp.FramingViolated) -> None:
        if self.connection == "closing":
            self._drop()
        elif self.connection == "open":
            self._violated(violated.reason, violated.code)
        else:
            self.fx.notify(ev.ProtocolViolation(reason=violated.reason, close_code=None))
            error = IMError(
                IMErrorCode.CONNECTION_FAILED,
                f"the WebSocket upgrade failed: {violated.reason}",
            )
            self._drop()
            self._come_back(error, error.text)

    def _lost(self, why: str, *, abort: bool = False) -> None:
        """The link went without a close frame: 1006."""
        self._link_ends(Blame.NOBODY)
        if abort:
            self._drop()
        else:
            self._gone()
        self._after_close(verdict_of_close(1006), 1006, why)

    def _after_close(self, verdict: Verdict, code: int, words: str) -> None:
        """Tell about the end of a link that was up, and decide what follows."""
        kick, self._kick = self._kick, None
        reason = f"{verdict.reason} ({code})" if code != 1006 else words or verdict.reason
        retry_after = None
        if kick is not None and self.fx.now - self._kicked_at <= KICK_LASTS:
            reason = printable(kick.reason or "") or reason
            retry_after = kick.retry_after
            verdict = Verdict(
                reconnect=kick.reconnect and (verdict.reconnect or code != 4004),
                reason=reason,
                refresh_token=verdict.refresh_token,
                counts=verdict.counts,
                failed_delay=verdict.failed_delay,
            )
        kind = IMErrorCode.CONNECTION_LOST
        if code == 4001:
            kind = IMErrorCode.AUTH_FAILED
        elif code == 4003:
            kind = IMErrorCode.TOKEN_INVALID
        elif code == 4002:
            kind = IMErrorCode.AUTH_TIMEOUT
        error = IMError(
            kind,
            reason,
            server_code=None if code == 1006 else code,
            server_text=words or None if code != 1006 else None,
            retryable=verdict.reconnect,
            terminal=not verdict.reconnect,
        )
        if code in AUTH_REFUSALS and not verdict.reconnect:
            self.fx.notify(ev.AuthFailed(error=error))
            self.login.to("login_refused")
        elif verdict.refresh_token:
            if not self.login.doubt():
                self.fx.notify(ev.AuthFailed(error=error))
                self.login.to("login_refused")
                self._halt(error, "the token has expired; give a new one")
                return
            self.login.to("token_rejected")
        self._come_back(error, reason, verdict, retry_after)

    def _end_link(
        self,
        code: int,
        reason: str,
        blame: Blame = Blame.NOBODY,
        *,
        last_words: bool = False,
    ) -> None:
        """End an open link with a close frame."""
        self._link_ends(blame, last_words=last_words)
        self._close(code, reason)
        self.fx.do(act.CloseTransport(transport=self.transport))

    def _link_ends(self, blame: Blame, *, last_words: bool = False) -> None:
        """Whatever lived on the link ends; the transport may still be closing.

        `last_words`: the peer still reads; nothing may follow its own close, or a broken frame.
        """
        if last_words:
            self.receiving.acknowledge(at_once=True)
            self._flush()
        self.fx.envelopes.clear()
        self.timers.cancel(*OF_THE_LINK)
        self.liveness.stop()
        self.sending.offline(blame)
        self.receiving.offline()
        self.life.offline()
        self.refresh.offline()
        self.sessions.offline()
        if self.login.state in ("authenticating", "authenticated"):
            if self.login.state == "authenticating":
                self.login.ended()
            self.login.to("link_lost")

    def _resume_reading(self) -> None:
        """Read again, if we don't."""
        if self.paused:
            self.paused = self.liveness.deaf = False
            self.fx.do(act.ResumeReading(transport=self.transport))

    def _close(self, code: int, reason: str) -> None:
        """Send a close frame and wait, not for ever, for the peer's."""
        self._connection_to("close_started")
        self._resume_reading()  # for the peer's close
        self.timers.set(Timer.CLOSE, self.fx.now + self.config.timeouts.close)
        self.fx.do(act.SendClose(transport=self.transport, code=code, reason=reason))

    def _drop(self) -> None:
        """Let the transport go without another word."""
        if self.connection != "disconnected":
            self.fx.do(act.AbortTransport(transport=self.transport))
            self._gone()

    def _gone(self) -> None:
        """The transport is no more."""
        self._connection_to("transport_ended")
        self.paused = self.liveness.deaf = False
        self.timers.cancel(Timer.CONNECT, Timer.PARTIAL, Timer.CLOSE)

    # ------------------------------------------------------------ what follows

    def _come_back(
        self,
        error: IMError,
        reason: str,
        verdict: Verdict | None = None,
        retry_after: float | None = None,
    ) -> None:
        """An attempt or a link has ended: schedule the next attempt, or give up."""
        self.reason = reason
        self.last_error = error
        if verdict is not None and not verdict.reconnect:
            self._halt(error, reason)
            return
        if self.reconnect == "established":
            as_failed = verdict is not None and verdict.failed_delay
            self.backoff.link_lost(self.fx.now, as_failed=as_failed)
        elif verdict is None or verdict.counts:
            self.backoff.attempt_failed()
        self._tell_disconnected(error)
        self.fx.notify(ev.ErrorOccurred(error=error, another_way=self.login.another_way))
        if self.backoff.exhausted:
            self._reconnect_to("retries_exhausted")
            self.reason = f"gave up after {self.backoff.failed} failed attempts: {reason}"
            self.last_error = IMError(
                IMErrorCode.RECONNECT_FAILED,
                f"{self.reason}; what is queued is kept, connect() goes on",
            )
            self.fx.notify(ev.ErrorOccurred(error=self.last_error))
            return
        delay = self.backoff.next_delay(self.fx.now, self.rng, retry_after)
        self._reconnect_to("retry_scheduled")
        self.timers.set(Timer.RECONNECT, self.fx.now + delay)
        self._watch()
        self.fx.notify(ev.Reconnecting(attempt=self.backoff.retries, delay=delay))

    def _halt(self, error: IMError, reason: str) -> None:
        """Trying again can't help. Only connect() or a new token goes on."""
        error.terminal = True
        error.retryable = False
        self.reason = reason
        self.last_error = error
        self._tell_disconnected(error)
        self._reconnect_to("halt")
        self.fx.notify(ev.ErrorOccurred(error=error))

    # ------------------------------------------------------------ small things

    def _watch(self) -> None:
        """Look at the clocks now and then, while logged in or waiting for an attempt."""
        if self.config.sleep_watch is not None and self.reconnect in ("waiting", "established"):
            self.timers.set(Timer.WATCH, self.fx.now + self.config.sleep_watch)

    def _tell_disconnected(self, error: IMError | None) -> None:
        """Every Connected is followed by one Disconnected."""
        if self._told_connected:
            self._told_connected = False
            self.fx.notify(ev.Disconnected(error=error))

    def _flush(self) -> None:
        self.fx.flush(self.transport, batch=self._batch, frame_bytes=self._frame_bytes)

    def _connection_to(self, event: str) -> None:
        self.connection = CONNECTION.next(self.connection, event)

    def _reconnect_to(self, event: str) -> None:
        self.reconnect = RECONNECT.next(self.reconnect, event)
