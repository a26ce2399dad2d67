"""The hub: who is logged in, and everything that one of them does to the others.

One per process. It knows no bytes and no frames: connections tell it what they want (`ToHub`),
and it answers them (`SendTo`), asks the store and the site, and is told what they have done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from ..config import ServerConfig
from ..errors import LocalProtocolError, printable
from ..wire import UserId, codes
from . import talk
from .actions import Drained
from .desk import HubOutput, HubTimer
from .entrance import Entrance
from .inputs import (
    Authorized,
    CallAsked,
    CallDone,
    Committed,
    KickAsked,
    LoginStored,
    PeersFound,
    ReadDone,
    Retained,
    RevocationStored,
    RevokeAsked,
    SendAsked,
    SiteInput,
    StatusFound,
    StoreFailed,
    StoreInput,
)
from .parts import DrainAsked
from .pushes import STORE_GONE
from .rates import Costly, cost
from .revocations import Revocations
from .session import Session

__all__ = ["DrainAsked", "Hub", "HubInput", "HubOutput", "HubTimer", "TimePassed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """The hub's `next_deadline()` has come."""


#: What the site wants, and is answered.
Wish = SendAsked | CallAsked | RevokeAsked
HubInput = talk.ToHub | StoreInput | SiteInput | TimePassed | DrainAsked


class Hub(Entrance):
    """See the module.

    Args:
        config: limits and timeouts.
        now: seconds on a monotonic clock; the same clock as in every later call.
        wall: seconds since 1970 at `now`.
        authorizes: the site is asked who may write to whom (`Authorize`).
        tells: the site is told of every new message (`MessageStored`).
        revoked: of whom the tokens that were made before are good no longer, in milliseconds since
            1970.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        now: float,
        wall: float,
        authorizes: bool = False,
        tells: bool = False,
        revoked: Mapping[UserId, int] | None = None,
    ) -> None:
        super().__init__(config, now=now, wall=wall, authorizes=authorizes, tells=tells)
        self.revocations = Revocations(self.desk, revoked or {})
        self._drained = False

    def step(self, *events: HubInput, now: float) -> list[HubOutput]:
        """Take inputs that belong together; return what is to be done about them, in order.

        What they bring the store goes to it together, and so does what they bring a connection.
        """
        self.desk.now = max(now, self.desk.now)
        for event in events:
            kind = type(event)
            handler = _HANDLERS.get(kind)
            if handler is None:
                raise LocalProtocolError(f"{kind.__name__} is not an input of a hub")
            if self._draining is not None and isinstance(event, Wish):
                self._site.refuse(event.request, codes.SERVER_ERROR, self._draining.reason)
            elif kind not in _COSTLY or self._affords(event):  # type: ignore[arg-type]
                handler(self, event)
            if self.desk.released:
                self._send_off()
        self._commit()
        if self._draining is not None:
            self._check_drained()
        return self.desk.take()

    def next_deadline(self) -> float | None:
        """When to call `step(TimePassed())` at the latest."""
        return self._timers.next()

    def deadlines(self) -> list[tuple[HubTimer, float]]:
        """What it waits for, the earliest first. To look at what is too old it waits always."""
        return self._timers.all()

    def online(self) -> dict[UserId, int]:
        """Who is logged in, with how many connections."""
        return self._roster.online()

    # ------------------------------------------------------------ the store, and the site

    def _on_kick(self, asked: KickAsked) -> None:
        """The close says to a plain client, as far as it can, what KICK says to ours."""
        end = talk.End(
            code=1001 if asked.reconnect else 4001,
            reason=printable(asked.reason),
            reconnect=asked.reconnect,
            retry_after=asked.retry_after,
        )
        self._end_all(asked.user, asked.device, end)

    def _on_called(self, done: CallDone) -> None:
        if self._questions.done(done):
            self._presence.met(done.acquainted)

    def _on_retained(self, retained: Retained) -> None:
        for session in self._retain.done(retained):
            self._pump(session)

    def _on_store_failed(self, failed: StoreFailed) -> None:
        """Whoever waits for it is told, or ended: nobody waits for ever."""
        request = failed.request
        pending = self._logins.pop(request, None)
        if pending is not None:
            if pending.wanted:
                self._tell(pending.request.connection, self._later(STORE_GONE))
            return
        if self._read_failed(request) or self._peers.failed(request):
            return
        if self.revocations.failed(request):
            return
        unanswered = self._questions.failed(request)
        if unanswered is None:
            if not self._retain.failed(request):
                self._commit_failed(request)
            return
        self._end_senders([session.connection for session in unanswered], STORE_GONE)

    # ------------------------------------------------------------ time and the end

    def _on_time(self, _: TimePassed) -> None:
        for timer, _late in self._timers.pop_due(self.desk.now):
            if timer is HubTimer.DRAIN:
                self._finish_drain()
            elif timer is not HubTimer.CURSORS:  # which go with the next commit
                _DUE[timer](self)

    def _on_drain(self, asked: DrainAsked) -> None:
        self._draining = asked
        self._timers.cancel(HubTimer.RETAIN)
        self._timers.set(HubTimer.DRAIN, self.desk.now + self.config.drain_timeout)
        for session in self._roster.all():
            self._tell(session.connection, talk.Drain())

    def _check_drained(self) -> None:
        idle = self._commits.idle and not self._logins
        idle = idle and self._gate.idle and self._questions.idle and self.revocations.idle
        if idle and not self._drained:
            self._finish_drain()

    def _finish_drain(self) -> None:
        self._drained = True
        self._timers.cancel(*HubTimer)
        for session in self._roster.all():
            self._roster.remove(session)
            self._gate.left(session)
            self._tell(session.connection, self._going_down())
        self.desk.do(Drained())

    # ------------------------------------------------------------ rates

    def _on_submitted(self, submitted: talk.Submitted) -> None:
        """Messages cost one each; the rate is asked once where it allows them all."""
        session = self._roster.get(submitted.connection)
        if session is None or session.leaving is not None:
            return
        if self._rates.afford(session, len(submitted.messages)):
            self._take(session, submitted.messages)
            return
        for message in submitted.messages:
            if not self._pays(session, 1.0):
                return
            self._take(session, [message])

    def _affords(self, wish: Costly) -> bool:
        """May a connection want more?"""
        session = self._roster.get(wish.connection)
        if session is None or session.leaving is not None:
            return False
        return self._pays(session, cost(session, wish))

    def _pays(self, session: Session, price: float) -> bool:
        """If not, that was not taken, and the connection ends when it has got answers to what was:
        if they were lost with it, it would send the same again, and get no further."""
        session.leaving = self._rates.spend(session, price)
        if session.leaving is None:
            return True
        if not session.unanswered:
            self._end(session, session.leaving)
        return False

    def _send_off(self) -> None:
        """Those who leave and have got their answers."""
        for session in self.desk.released:
            if session.leaving is not None and self._roster.get(session.connection) is session:
                self._end(session, session.leaving)
        self.desk.released.clear()


_HANDLERS: Final[dict[type, Any]] = {
    talk.Arrived: Hub._on_arrived,
    talk.AdmissionAsked: Hub._on_admission,
    talk.LoginAsked: Hub._on_login,
    talk.Submitted: Hub._on_submitted,
    talk.BroadcastAsked: Hub._on_broadcast,
    talk.Acknowledged: Hub._on_ack,
    talk.SyncAsked: Hub._on_sync,
    talk.ReadAsked: Hub._on_read_asked,
    talk.StatusAsked: lambda hub, asked: hub._questions.asked(asked),
    talk.CallRequested: lambda hub, asked: hub._questions.asked(asked),
    talk.TypingAsked: lambda hub, asked: hub._typists.asked(asked),
    talk.WritingBlocked: Hub._on_blocked,
    talk.Left: Hub._on_left,
    talk.Gone: lambda hub, gone: hub._doorkeeper.gone(gone),
    Committed: Hub._on_committed,
    LoginStored: Hub._on_login_stored,
    ReadDone: Hub._on_read,
    StatusFound: lambda hub, found: hub._questions.found(found),
    CallDone: Hub._on_called,
    PeersFound: lambda hub, found: hub._presence.found(found),
    Retained: Hub._on_retained,
    RevocationStored: lambda hub, stored: hub.revocations.stored(stored.request),
    StoreFailed: Hub._on_store_failed,
    Authorized: Hub._on_authorized,
    SendAsked: lambda hub, asked: hub._site.send(asked),
    CallAsked: lambda hub, asked: hub._questions.called(asked),
    KickAsked: Hub._on_kick,
    RevokeAsked: lambda hub, asked: hub.revocations.revoke(asked, hub._end_all),
    TimePassed: Hub._on_time,
    DrainAsked: Hub._on_drain,
}
_COSTLY: Final = frozenset(get_args(Costly))
_DUE: Final[dict[HubTimer, Callable[[Hub], None]]] = {
    HubTimer.OFFLINE: lambda hub: hub._presence.tell_offline(),
    HubTimer.TYPING: lambda hub: hub._typists.tell_rest(),
    HubTimer.PEERS: lambda hub: hub._peers.ask_again(),
    HubTimer.RETAIN: lambda hub: hub._retain.look(),
    HubTimer.RATES: lambda hub: hub._rates.read_on(),
}
