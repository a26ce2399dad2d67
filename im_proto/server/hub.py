"""The hub: who is logged in, and everything that one of them does to the others.

One per process. It knows no bytes and no frames: connections tell it what they want (`ToHub`),
and it answers them (`SendTo`), asks the store and the site, and is told what they have done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..config import ServerConfig
from ..errors import LocalProtocolError, printable
from ..wire import UserId, codes
from . import talk
from .actions import Drained, StoreLogin
from .desk import HubOutput, HubTimer
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
    SendAsked,
    SiteInput,
    StatusFound,
    StoreFailed,
    StoreInput,
)
from .mail import Mail
from .parts import DrainAsked
from .pushes import STORE_GONE
from .records import PLAIN, Login
from .resume import start_of
from .session import Session

__all__ = ["DrainAsked", "Hub", "HubInput", "HubOutput", "HubTimer", "TimePassed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """The hub's `next_deadline()` has come."""


HubInput = talk.ToHub | StoreInput | SiteInput | TimePassed | DrainAsked


@dataclass(slots=True)
class _Asked:
    """A login that is with the store, and a connection that still wants it."""

    request: talk.LoginAsked
    wanted: bool = field(default=True)


class Hub(Mail):
    """See the module.

    Args:
        config: limits and timeouts.
        now: seconds on a monotonic clock; the same clock as in every later call.
        wall: seconds since 1970 at `now`.
        authorizes: the site is asked who may write to whom (`Authorize`).
        tells: the site is told of every new message (`MessageStored`).
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        now: float,
        wall: float,
        authorizes: bool = False,
        tells: bool = False,
    ) -> None:
        super().__init__(config, now=now, wall=wall, authorizes=authorizes, tells=tells)
        self._logins: dict[int, _Asked] = {}
        self._drained = False

    def step(self, event: HubInput, now: float) -> list[HubOutput]:
        """Take one input; return what is to be done about it, in order."""
        self.desk.now = max(now, self.desk.now)
        handler = _HANDLERS.get(type(event))
        if handler is None:
            raise LocalProtocolError(f"{type(event).__name__} is not an input of a hub")
        handler(self, event)
        self._commit()
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

    # ------------------------------------------------------------ log-in

    def _on_login(self, asked: talk.LoginAsked) -> None:
        if self._draining is not None:
            self._tell(asked.connection, self._going_down())
            return
        request = self.desk.request()
        self._logins[request] = _Asked(asked)
        resume_seq = asked.resume.seq if asked.resume is not None else None
        self.desk.do(
            StoreLogin(request=request, user=asked.user, device=asked.device, resume_seq=resume_seq)
        )

    def _on_login_stored(self, stored: LoginStored) -> None:
        pending = self._logins.pop(stored.request, None)
        if pending is None:
            return
        asked, login = pending.request, stored.login
        if asked.device != PLAIN:
            self._commits.outdate(asked.user, asked.device, login.generation)
            self._replace(asked, login)
        if not pending.wanted:
            return
        if self._draining is not None:
            self._tell(asked.connection, self._going_down())
            return
        newer = self._roster.of_device(asked.user, asked.device)
        if newer is not None:  # what is left after `_replace`: the store's answers crossed
            self._tell(asked.connection, self._lost_to(newer.generation, login.generation))
            return
        session = self._begin(asked, login)
        self._peers.came(session)
        self._presence.came(session)
        self._pump(session)

    def _begin(self, asked: talk.LoginAsked, login: Login) -> Session:
        """Say where the pushes go on, and answer."""
        moved = self._commits.cursor(asked.user, asked.device)
        if moved is not None and (login.cursor is None or moved[0] > login.cursor):
            # acknowledged here, and not written when the store looked; as the older login's it
            # may be fenced by now
            seq, base = moved
            login = replace(login, cursor=seq)
            self._move(asked.user, asked.device, login.generation, seq, base)
        start = start_of(
            login, asked.resume if "seq" in asked.granted else None, self.config.first_login
        )
        if login.cursor is None:
            # a device that was here is no new one at its next login, which must neither pass
            # over more nor less
            self._move(asked.user, asked.device, login.generation, start.base, start.base)
        elif start.base >= login.oldest and start.base > login.cursor:
            # what a resuming client has handled is as good as acknowledged
            self._move(asked.user, asked.device, login.generation, start.base)
        session = Session(
            connection=asked.connection,
            user=asked.user,
            roles=asked.roles,
            device=asked.device,
            granted=asked.granted,
            generation=login.generation,
            epoch=login.epoch,
            oldest=login.oldest,
            head=login.head,
            sent=start.base,
            acked=start.base,
            show_last_seen=asked.show_last_seen,
        )
        self._roster.add(session)
        self._tell(
            asked.connection,
            talk.LoggedIn(
                last_msg_id=login.last_msg_id,
                epoch=login.epoch,
                resume=start.resume,
                base=start.base,
                oldest=login.oldest,
            ),
        )
        return session

    def _replace(self, asked: talk.LoginAsked, login: Login) -> None:
        """The same device was logged in: the newer login wins (section 2, "Fencing")."""
        old = self._roster.of_device(asked.user, asked.device)
        if old is None or old.generation >= login.generation:
            return
        self._end(old, self._lost_to(login.generation, old.generation))

    def _lost_to(self, winner: int, loser: int) -> talk.End:
        at = self.desk.wall_ms
        reason = f"login {winner} of this device replaced login {loser} at {at} ms since 1970"
        return talk.End(code=4004, reason=reason, reconnect=False)

    def _on_left(self, left: talk.Left) -> None:
        session = self._roster.get(left.connection)
        if session is not None:
            self._forget(session)
        for pending in self._logins.values():
            if pending.request.connection == left.connection:
                pending.wanted = False

    def _on_kick(self, asked: KickAsked) -> None:
        """The close says to a plain client, as far as it can, what KICK says to ours."""
        end = talk.End(
            code=1001 if asked.reconnect else 4001,
            reason=printable(asked.reason),
            reconnect=asked.reconnect,
            retry_after=asked.retry_after,
        )
        for session in list(self._roster.of_user(asked.user)):
            if asked.device in (None, session.device):
                self._end(session, end)
        for pending in self._logins.values():
            login = pending.request
            meant = login.user == asked.user and asked.device in (None, login.device)
            if pending.wanted and meant:
                pending.wanted = False
                self._tell(login.connection, end)

    # ------------------------------------------------------------ the store, and the site

    def _on_called(self, done: CallDone) -> None:
        if self._questions.done(done):
            self._presence.met(done.acquainted)

    def _on_retained(self, retained: Retained) -> None:
        for session in self._retain.done(retained):
            self._pump(session)

    def _on_send_asked(self, asked: SendAsked) -> None:
        if self._draining is not None:
            self._site.refuse(asked.request, codes.SERVER_ERROR, self._draining.reason)
            return
        self._site.send(asked)

    def _on_call_asked(self, asked: CallAsked) -> None:
        if self._draining is not None:
            self._site.refuse(asked.request, codes.SERVER_ERROR, self._draining.reason)
            return
        self._questions.called(asked)

    def _on_store_failed(self, failed: StoreFailed) -> None:
        """Whoever waits for it is told, or ended: nobody waits for ever."""
        request = failed.request
        pending = self._logins.pop(request, None)
        if pending is not None:
            if pending.wanted:
                self._tell(pending.request.connection, STORE_GONE)
            return
        if self._read_failed(request) or self._peers.failed(request):
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
        idle = idle and self._gate.idle and self._questions.idle
        if self._draining is not None and not self._drained and idle:
            self._finish_drain()

    def _finish_drain(self) -> None:
        self._drained = True
        self._timers.cancel(*HubTimer)
        for session in self._roster.all():
            self._roster.remove(session)
            self._gate.left(session)
            self._tell(session.connection, self._going_down())
        self.desk.do(Drained())

    def _going_down(self) -> talk.End:
        assert self._draining is not None
        return talk.End(
            code=1012, reason=self._draining.reason, retry_after=self._draining.retry_after
        )


_HANDLERS: Final[dict[type, Any]] = {
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
    Committed: Hub._on_committed,
    LoginStored: Hub._on_login_stored,
    ReadDone: Hub._on_read,
    StatusFound: lambda hub, found: hub._questions.found(found),
    CallDone: Hub._on_called,
    PeersFound: lambda hub, found: hub._presence.found(found),
    Retained: Hub._on_retained,
    StoreFailed: Hub._on_store_failed,
    Authorized: Hub._on_authorized,
    SendAsked: Hub._on_send_asked,
    CallAsked: Hub._on_call_asked,
    KickAsked: Hub._on_kick,
    TimePassed: Hub._on_time,
    DrainAsked: Hub._on_drain,
}
_DUE: Final[dict[HubTimer, Callable[[Hub], None]]] = {
    HubTimer.OFFLINE: lambda hub: hub._presence.tell_offline(),
    HubTimer.TYPING: lambda hub: hub._typists.tell_rest(),
    HubTimer.PEERS: lambda hub: hub._peers.ask_again(),
    HubTimer.RETAIN: lambda hub: hub._retain.look(),
}
