"""What time brings to a client: deadlines that come, clocks that jump, and what trouble leads to.

The part of `ClientCore` between the life of its links and what comes in on them.
"""

from __future__ import annotations

from ..errors import IMError, IMErrorCode
from ..timers import GRACE, LATE
from ..wire import HeartbeatRequest
from . import actions as act
from . import events as ev
from . import inputs as inp
from .effects import Trouble
from .lifecycle import Lifecycle
from .liveness import Beat
from .timers import OF_THE_LINK, Timer


class Deadlines(Lifecycle):
    """A lifecycle that knows what each deadline means."""

    __slots__ = ()

    def _on_time(self, passed: inp.TimePassed) -> None:
        self._look_at_clocks(passed.wall)
        transport = self.transport
        for timer, late in self.timers.pop_due(self.fx.now):
            # an earlier one of this round may have ended the link that this one was about, or
            # have opened another
            same = self.transport == transport
            if timer is Timer.CLOSE:
                wanted = same and self.connection == "closing"
            elif timer in OF_THE_LINK:
                wanted = same and self.connection not in ("disconnected", "closing")
            else:
                wanted = True
            if wanted:
                self._on_deadline(timer, late=late)

    def _on_deadline(self, timer: Timer, *, late: bool) -> None:
        now = self.fx.now
        if timer is Timer.RECONNECT:
            self._reconnect_to("retry_due")
            self._attempt()
        elif timer is Timer.HEARTBEAT_DUE:
            self._beat(self.liveness.due(now))
        elif timer is Timer.HEARTBEAT_ANSWER:
            self._beat(self.liveness.unanswered(late=late))
        elif timer is Timer.WATCH:
            self._watch()
        elif timer is Timer.ACK:
            self._in_trouble(self.sending.ack_overdue(self.liveness.timeout, late=late))
        elif timer is Timer.ACK_OUT:
            if not self.sending.blocked:  # else when it reads
                self.receiving.acknowledge(at_once=True)
        elif timer is Timer.TYPING:
            self.life.typing_due()
        elif timer is Timer.STATUS:
            self._in_trouble(self.sending.status_overdue(self.liveness.timeout, late=late))
        elif timer is Timer.RETRY:
            self.sending.retry_due()
        elif timer is Timer.SESSION:
            self.sessions.overdue(late=late)
        elif timer is Timer.SESSION_RETRY:
            self.sessions.retry_due()
        elif timer is Timer.REFRESH:
            self.refresh.due()
        elif timer is Timer.AUTH and self.login.state == "authenticated":
            self._in_trouble(self.refresh.overdue(self.liveness.timeout, late=late))
        elif timer in (Timer.JOURNAL, Timer.EXPIRY):
            pass  # every step ends with a look at both
        elif timer is Timer.CLOSE:
            self._drop()
        elif timer is Timer.TOKEN:
            self.fx.do(act.CancelToken(request=self.login.request))
            self._token_failed(f"no answer within {self.config.timeouts.token:g} s")
        elif late:
            # CONNECT, AUTH, PARTIAL, SYNC: read the socket once before anybody is judged
            self.timers.set(timer, now + GRACE)
            if self.liveness.state == "resting":
                self._probe()
        elif timer is Timer.CONNECT:
            self._connect_overdue()
        elif timer is Timer.AUTH:
            error = IMError(
                IMErrorCode.AUTH_TIMEOUT,
                f"no answer to the log-in within {self.config.timeouts.auth:g} s",
            )
            self._end_link(1000, "no answer to the log-in")
            self._come_back(error, error.text)
        elif timer is Timer.PARTIAL:
            self._lost("half a message, and then nothing", abort=True)
        elif timer is Timer.SYNC:
            self._in_trouble(self.receiving.sync_overdue())

    def _connect_overdue(self) -> None:
        error = IMError(
            IMErrorCode.CONNECTION_TIMEOUT,
            f"no WebSocket at {self.config.host}:{self.config.port} within "
            f"{self.config.timeouts.connect:g} s (stuck {self.connection})",
        )
        self._drop()
        self._come_back(error, error.text)

    def _on_wall_clock(self, clock: inp.WallClock) -> None:
        self._look_at_clocks(clock.wall)

    def _look_at_clocks(self, wall: float | None) -> None:
        """Was the machine asleep, or this process stalled? Then the link is in doubt.

        Some monotonic clocks stop while a machine sleeps: the wall clock runs ahead of them.
        Others go on: the look comes late, as after a stall.
        """
        now = self.fx.now
        slept = 0.0
        if wall is not None:
            slept = wall - now - self.fx.wall_offset
            self.fx.wall_offset = wall - now
        watch = self.timers.get(Timer.WATCH)
        if self.config.sleep_watch is None:
            return
        if slept > LATE:
            self.sending.slept(slept)
        if slept > LATE or (watch is not None and now - watch > LATE):
            retry_at = self.timers.get(Timer.RECONNECT)
            if retry_at is not None and slept > LATE:
                self.timers.set(Timer.RECONNECT, max(now, retry_at - slept))
            if slept > LATE:
                self.refresh.slept(slept)
            self._doubt_link()

    def _beat(self, beat: Beat) -> None:
        if beat is Beat.PROBE:
            self._probe()
        elif beat is Beat.DEAD:
            missed = self.liveness.missed
            self._lost(f"the server is silent: {missed} heartbeats unanswered", abort=True)

    def _probe(self) -> None:
        self.liveness.probed(self.fx.now)
        self.fx.say(HeartbeatRequest())
        self.fx.notify(ev.HeartbeatSent())

    def _on_network_changed(self, _: inp.NetworkChanged) -> None:
        if self.reconnect == "waiting":
            self._hurry()
        self._doubt_link()

    def _doubt_link(self) -> None:
        """The link may be dead without a sign of it: one probe decides, soon."""
        if self.login.state != "authenticated" or self.liveness.in_doubt:
            return
        self.liveness.in_doubt = True
        if not self.paused:  # else when reading goes on
            self._probe()

    # ------------------------------------------------------------ what a part can't settle itself

    def _in_trouble(self, trouble: Trouble | None) -> None:
        if trouble is None or self.connection != "open":
            return
        if trouble is Trouble.PROBE:
            if self.liveness.state == "resting":
                self._probe()
        elif trouble is Trouble.LOGIN_GONE:
            self._login_is_gone()
        else:
            self._lost(trouble.value, abort=True)

    def _login_is_gone(self) -> None:
        """A message was answered with an auth code: log in again, once per token."""
        error = IMError(
            IMErrorCode.TOKEN_INVALID,
            "the server no longer accepts the log-in",
            retryable=True,
            terminal=False,
        )
        self.fx.notify(ev.AuthFailed(error=error))
        self._end_link(1000, "", last_words=True)
        if self.login.login_is_gone():
            if self.login.token is None:
                self.login.to("token_rejected")
            self._come_back(error, "the server no longer accepts the log-in")
        else:
            self.login.to("login_refused")
            self._halt(error, "the server no longer accepts the token")
