"""The hub's door: who comes in and logs in, on whose place, and how one is sent away again."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ..wire import UserId
from . import talk
from .actions import StoreLogin
from .inputs import LoginStored
from .mail import Mail
from .parts import DrainAsked, LoginUnderWay
from .records import PLAIN, Login
from .resume import start_of
from .session import Session

#: Seconds for which a client is sent away at the least when the server goes down …
DRAIN_RETRY_AFTER: Final = 1.0
#: … and one whose user has too many connections.
CROWDED_RETRY_AFTER: Final = 30.0


class Entrance(Mail):
    """Lets connections in, and logs them in."""

    def _on_arrived(self, arrived: talk.Arrived) -> None:
        if self._draining is not None:
            self._tell(arrived.connection, self._going_down())
        else:
            self._doorkeeper.arrived(arrived)

    def _on_admission(self, asked: talk.AdmissionAsked) -> None:
        """Before a token is looked at."""
        if self._draining is not None:
            self._tell(asked.connection, self._going_down())
        else:
            refusal = self._doorkeeper.admit(asked.connection)
            self._tell(asked.connection, refusal or talk.Admitted())

    def _on_login(self, asked: talk.LoginAsked) -> None:
        if self._draining is not None:
            self._tell(asked.connection, self._going_down())
            return
        devices = self._devices_of(asked.user)
        refusal = self._rates.login(asked.user) or self._crowded(asked, devices)
        if refusal is not None:
            self._tell(asked.connection, refusal)
            return
        request = self.desk.request()
        self._logins[request] = LoginUnderWay(asked, self._peers.meetings)
        resume_seq = asked.resume.seq if asked.resume is not None else None
        self.desk.do(
            StoreLogin(
                request=request,
                user=asked.user,
                device=asked.device,
                resume_seq=resume_seq,
                at=self.desk.wall_ms,
                keep=self.config.devices_per_user,
                present=frozenset(devices),
                meets=self._peers.wanted(asked.user, asked.granted),
            )
        )

    def _crowded(self, asked: talk.LoginAsked, devices: list[str]) -> talk.End | None:
        """Has the user too many connections? The one that this one replaces does not count."""
        others = sum(device == PLAIN or device != asked.device for device in devices)
        if others < self.config.connections_per_user:
            return None
        reason = "this user has too many connections"
        return talk.End(code=4009, reason=reason, retry_after=CROWDED_RETRY_AFTER)

    def _devices_of(self, user: UserId) -> list[str]:
        """Of the connections of a user that are logged in, and of those that are about to be."""
        devices = [session.device for session in self._roster.of_user(user)]
        devices += [
            pending.request.device
            for pending in self._logins.values()
            if pending.wanted and pending.request.user == user
        ]
        return devices

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
        self._rates.logged_in(session)
        # Who has met somebody meanwhile may be missing in what the store has said.
        known = stored.peers if pending.meetings == self._peers.meetings else None
        self._peers.came(session, known)
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
        self._doorkeeper.logged_in(asked.connection)
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

    def _end_all(self, user: UserId, device: str | None, end: talk.End) -> int:
        """End the connections of a user, or of one of its devices, and those that are about to log
        in; returns how many."""
        ended = 0
        for session in list(self._roster.of_user(user)):
            if device in (None, session.device):
                self._end(session, end)
                ended += 1
        for pending in self._logins.values():
            login = pending.request
            if pending.wanted and login.user == user and device in (None, login.device):
                pending.wanted = False
                self._tell(login.connection, end)
                ended += 1
        return ended

    def _going_down(self) -> talk.End:
        assert self._draining is not None
        return self.end_of_all(self._draining, self.desk.now)

    def end_of_all(self, asked: DrainAsked, now: float) -> talk.End:
        """How a connection ends when the server goes down: each may come back at a time of its own,
        unless one was said for all."""
        self.desk.now = max(now, self.desk.now)
        retry_after = asked.retry_after
        if retry_after is None:
            retry_after = self.desk.slot(DRAIN_RETRY_AFTER)
        return talk.End(code=1012, reason=asked.reason, retry_after=retry_after)
