"""The hub: who is logged in, what is committed, and which mailbox has gone how far to whom.

One per process. It knows no bytes and no frames: connections tell it what they want (`ToHub`),
and it answers them (`SendTo`), asks the store, and is told what the store has done.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from ..config import ServerConfig
from ..errors import LocalProtocolError
from ..timers import Timers
from ..wire import UserId, codes
from . import talk
from .actions import Drained, HubAction, StoreLogin, StoreRead
from .commits import Commits
from .inputs import Committed, LoginStored, ReadDone, StoreFailed
from .records import (
    PLAIN,
    CommitResult,
    Conflicting,
    CursorMove,
    Fenced,
    Held,
    Login,
    Stored,
    Submission,
    Unstorable,
)
from .resume import start_of
from .roster import Roster
from .session import Session

#: Entries of a mailbox in one read.
READ_LIMIT: Final = 128
#: Cursors that no message carries along are written after so many seconds.
CURSOR_DELAY: Final = 0.5
#: What a client is asked to wait, in seconds, when the store can't write.
STORE_RETRY_AFTER: Final = 1.0
#: … and when a msgId of its was taken: only as long as to make a loop visible. Each return settles
#: some, and hundreds may be taken.
CONFLICT_RETRY_AFTER: Final = 0.05


class HubTimer(StrEnum):
    """The hub's deadlines."""

    CURSORS = "cursors to be written"
    """Acknowledged cursors wait for a commit to ride along with."""
    DRAIN = "the end of the drain"
    """The server goes down and does not wait for the store any longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """The hub's `next_deadline()` has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainAsked:
    """Go down: answer what was taken, then end every session with 1012."""

    reason: str
    retry_after: float | None


HubInput = talk.ToHub | Committed | LoginStored | ReadDone | StoreFailed | TimePassed | DrainAsked
HubOutput = HubAction | talk.SendTo


@dataclass(slots=True)
class _Asked:
    """A login that is with the store, and a connection that still wants it."""

    request: talk.LoginAsked
    wanted: bool = field(default=True)


class Hub:
    """See the module.

    Args:
        config: limits and timeouts.
        now: seconds on a monotonic clock; the same clock as in every later call.
        wall: seconds since 1970 at `now`.
    """

    def __init__(self, config: ServerConfig, *, now: float, wall: float) -> None:
        self.config = config
        self._now = now
        self.wall_offset = wall - now
        self._out: list[HubOutput] = []
        self._requests = 0
        self._commits = Commits(config.commit_batch)
        self._roster = Roster()
        self._logins: dict[int, _Asked] = {}
        self._reads: dict[int, int] = {}
        self._timers: Timers[HubTimer] = Timers(frozenset())
        self._draining: DrainAsked | None = None
        self._drained = False

    def step(self, event: HubInput, now: float) -> list[HubOutput]:
        """Take one input; return what is to be done about it, in order."""
        self._now = max(now, self._now)
        handler = _HANDLERS.get(type(event))
        if handler is None:
            raise LocalProtocolError(f"{type(event).__name__} is not an input of a hub")
        handler(self, event)
        self._commit()
        self._check_drained()
        out, self._out = self._out, []
        return out

    def next_deadline(self) -> float | None:
        """When to call `step(TimePassed())` at the latest."""
        return self._timers.next()

    def online(self) -> dict[UserId, int]:
        """Who is logged in, with how many connections."""
        return self._roster.online()

    @property
    def wall_ms(self) -> int:
        """Milliseconds since 1970."""
        return int((self._now + self.wall_offset) * 1000)

    # ------------------------------------------------------------ log-in

    def _on_login(self, asked: talk.LoginAsked) -> None:
        if self._draining is not None:
            self._tell(asked.connection, self._going_down())
            return
        request = self._request()
        self._logins[request] = _Asked(asked)
        resume_seq = asked.resume.seq if asked.resume is not None else None
        self._out.append(
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
        moved = self._commits.cursor(asked.user, asked.device)
        if moved is not None and (login.cursor is None or moved > login.cursor):
            # acknowledged here, and not written when the store looked; as the older login's it
            # may be fenced by now
            login = replace(login, cursor=moved)
            self._move(asked.user, asked.device, login.generation, moved)
        start = start_of(login, asked.resume if asked.numbered else None, self.config.first_login)
        if login.cursor is None or (start.base >= login.oldest and start.base > login.cursor):
            # a device that was here is no new one at its next login, which must neither pass
            # over more nor less; and what a resuming client has handled is as good as acknowledged
            self._move(asked.user, asked.device, login.generation, start.base)
        session = Session(
            connection=asked.connection,
            user=asked.user,
            roles=asked.roles,
            device=asked.device,
            generation=login.generation,
            epoch=login.epoch,
            oldest=login.oldest,
            head=login.head,
            sent=start.base,
            acked=start.base,
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
        self._pump(session)

    def _replace(self, asked: talk.LoginAsked, login: Login) -> None:
        """The same device was logged in: the newer login wins (section 2, "Fencing")."""
        old = self._roster.of_device(asked.user, asked.device)
        if old is None or old.generation >= login.generation:
            return
        self._roster.remove(old)
        self._tell(old.connection, self._lost_to(login.generation, old.generation))

    def _lost_to(self, winner: int, loser: int) -> talk.End:
        reason = f"login {winner} of this device replaced login {loser} at {self.wall_ms} ms"
        return talk.End(code=4004, reason=f"{reason} since 1970", reconnect=False)

    def _on_left(self, left: talk.Left) -> None:
        session = self._roster.get(left.connection)
        if session is not None:
            self._roster.remove(session)
        for pending in self._logins.values():
            if pending.request.connection == left.connection:
                pending.wanted = False

    # ------------------------------------------------------------ messages in

    def _on_submitted(self, submitted: talk.Submitted) -> None:
        session = self._roster.get(submitted.connection)
        if session is None:
            return
        self._commits.submit(
            session.connection,
            session.user,
            session.device,
            session.generation,
            submitted.message,
        )
        session.unanswered += 1
        if session.unanswered >= self.config.in_flight and not session.paused:
            session.paused = True
            self._tell(session.connection, talk.Pause(paused=True))

    def _on_broadcast(self, asked: talk.BroadcastAsked) -> None:
        session = self._roster.get(asked.connection)
        if session is None:
            return
        message = asked.message
        if "broadcast" not in session.roles:
            self._tell(
                session.connection,
                talk.Answer(
                    msg_id=message.msg_id,
                    code=codes.FORBIDDEN,
                    text="writing to everybody needs the role 'broadcast' in the token",
                ),
            )
            return
        at = self.wall_ms
        push = talk.PushUnstored(
            from_user=session.user, msg_id=message.msg_id, content=message.content, timestamp=at
        )
        for other in self._roster.all():
            if other.user != session.user:
                self._tell(other.connection, push)
        self._tell(
            session.connection,
            talk.Answer(msg_id=message.msg_id, code=codes.OK, timestamp=at),
        )

    def _commit(self) -> None:
        due = self._timers.get(HubTimer.CURSORS) is None or self._draining is not None
        commit = self._commits.next(self._requests + 1, self.wall_ms, cursors=due)
        if commit is not None:
            self._request()
            self._timers.cancel(HubTimer.CURSORS)
            self._out.append(commit)

    def _on_committed(self, done: Committed) -> None:
        submissions = self._commits.committed(done.request)
        if submissions is None:
            return
        stale: list[tuple[Submission, int, list[int]]] = []
        woken: dict[UserId, int] = {}
        held: dict[int, None] = {}
        given_up: set[int] = set()
        for submission, result in zip(submissions, done.results, strict=True):
            waiters = self._commits.waiters(submission.key)
            if isinstance(result, Fenced):
                if not self._on_fenced(submission, waiters, stale):
                    given_up.update(waiters)
                continue
            if isinstance(result, Conflicting | Held):
                held.update(dict.fromkeys(waiters))
            if isinstance(result, Held):
                continue
            answer = _answer(submission, result)
            for connection in waiters:
                self._answer(connection, answer)
            if isinstance(result, Stored) and not result.repeat:
                woken[result.to_user] = result.seq
        if given_up:  # what they queued behind a message that is dropped may not go ahead of it
            self._commits.drop(lambda connection: connection in given_up)
        self._commits.resubmit(stale)
        # what follows a conflict would overtake it: it is all sent again, in order
        again = "a msgId was taken: send what is unanswered again"
        end = talk.End(code=1013, reason=again, retry_after=CONFLICT_RETRY_AFTER)
        self._end_senders(held, end)
        for user, head in woken.items():
            for session in self._roster.of_user(user):
                session.head = max(session.head, head)
                self._pump(session)

    def _on_fenced(
        self,
        submission: Submission,
        waiters: list[int],
        stale: list[tuple[Submission, int, list[int]]],
    ) -> bool:
        """A newer login of the device exists. If it is here and waits for the same message, it
        goes again under that login (True); nobody else is answered."""
        newer = [
            session
            for connection in dict.fromkeys(waiters)
            if (session := self._roster.get(connection)) is not None
        ]
        if not newer:
            return False
        generation = max(session.generation for session in newer)
        if generation > submission.generation:
            stale.append((submission, generation, waiters))
            return True
        for session in newer:  # the newer login is at another gateway
            self._roster.remove(session)
            self._tell(
                session.connection,
                talk.End(code=4004, reason="this device logged in elsewhere", reconnect=False),
            )
        return False

    def _answer(self, connection: int, answer: talk.Answer) -> None:
        session = self._roster.get(connection)
        if session is None:
            return
        session.unanswered -= 1
        self._tell(connection, answer)
        if session.paused and session.unanswered <= self.config.in_flight // 2:
            session.paused = False
            self._tell(connection, talk.Pause(paused=False))

    def _on_store_failed(self, failed: StoreFailed) -> None:
        """Acknowledge nothing and close: the client sends everything again, in order."""
        end = talk.End(code=1013, reason="the store is unavailable", retry_after=STORE_RETRY_AFTER)
        pending = self._logins.pop(failed.request, None)
        if pending is not None:
            if pending.wanted:
                self._tell(pending.request.connection, end)
            return
        reader = self._reads.pop(failed.request, None)
        if reader is not None:
            session = self._roster.get(reader)
            if session is not None and session.reading == failed.request:
                self._roster.remove(session)
                self._tell(reader, end)
            return
        submissions = self._commits.committed(failed.request, failed=True)
        if submissions is None:
            return
        if self._draining is not None:
            # they are retold at the next log-in; trying again and again would be all that we do
            self._commits.forget_cursors()
        if self._commits.moved:
            self._timers.set(HubTimer.CURSORS, self._now + CURSOR_DELAY)
        hit = (c for submission in submissions for c in self._commits.waiters(submission.key))
        self._end_senders(dict.fromkeys(hit), end)

    def _end_senders(self, connections: Collection[int], end: talk.End) -> None:
        """End connections, and forget what they have queued: nothing of it may go ahead."""
        if not connections:
            return
        self._commits.drop(lambda connection: connection in connections)
        for connection in connections:
            session = self._roster.get(connection)
            if session is not None:
                self._roster.remove(session)
                self._tell(connection, end)

    # ------------------------------------------------------------ messages out

    def _pump(self, session: Session) -> None:
        """Read what the mailbox holds beyond what was pushed, as far as the acks allow."""
        room = session.room(self.config.unacked)
        if room > 0:
            session.reading = self._request()
            self._reads[session.reading] = session.connection
            self._out.append(
                StoreRead(
                    request=session.reading,
                    user=session.user,
                    after=session.sent,
                    limit=min(room, READ_LIMIT),
                )
            )

    def _on_read(self, done: ReadDone) -> None:
        session = self._roster.get(self._reads.pop(done.request, -1))
        if session is None or session.reading != done.request:
            return
        session.read(done.entries, done.head)
        if done.entries:
            self._tell(session.connection, talk.Push(entries=done.entries))
        self._pump(session)

    def _on_ack(self, ack: talk.Acknowledged) -> None:
        session = self._roster.get(ack.connection)
        if session is None or ack.seq == session.acked:
            return
        wrong = session.acknowledge(ack.seq)
        if wrong is not None:
            self._violated(session, wrong)
            return
        self._move(session.user, session.device, session.generation, ack.seq)
        self._pump(session)

    def _on_sync(self, asked: talk.SyncAsked) -> None:
        session = self._roster.get(asked.connection)
        if session is None:
            return
        recovered = session.rewind(asked.after)
        if recovered is None:
            self._violated(session, "a sync of what was never pushed, or was acknowledged")
            return
        self._tell(
            session.connection,
            talk.Synced(recovered=recovered, oldest=session.oldest, epoch=session.epoch),
        )
        self._pump(session)

    def _violated(self, session: Session, reason: str) -> None:
        self._roster.remove(session)
        self._tell(session.connection, talk.End(code=1008, reason=reason))

    def _move(self, user: UserId, device: str, generation: int, seq: int) -> None:
        self._commits.move(CursorMove(user=user, device=device, generation=generation, seq=seq))
        if self._timers.get(HubTimer.CURSORS) is None:
            self._timers.set(HubTimer.CURSORS, self._now + CURSOR_DELAY)

    def _on_blocked(self, changed: talk.WritingBlocked) -> None:
        session = self._roster.get(changed.connection)
        if session is not None:  # pragma: no branch - a gateway ends connection and session at once
            session.blocked = changed.blocked
            self._pump(session)

    # ------------------------------------------------------------ time and the end

    def _on_time(self, _: TimePassed) -> None:
        for timer, _late in self._timers.pop_due(self._now):
            if timer is HubTimer.DRAIN:
                self._finish_drain()

    def _on_drain(self, asked: DrainAsked) -> None:
        self._draining = asked
        self._timers.set(HubTimer.DRAIN, self._now + self.config.drain_timeout)
        for session in self._roster.all():
            self._tell(session.connection, talk.Drain())

    def _check_drained(self) -> None:
        idle = self._commits.idle and not self._logins
        if self._draining is not None and not self._drained and idle:
            self._finish_drain()

    def _finish_drain(self) -> None:
        self._drained = True
        self._timers.cancel(HubTimer.DRAIN, HubTimer.CURSORS)
        for session in self._roster.all():
            self._roster.remove(session)
            self._tell(session.connection, self._going_down())
        self._out.append(Drained())

    def _going_down(self) -> talk.End:
        assert self._draining is not None
        return talk.End(
            code=1012, reason=self._draining.reason, retry_after=self._draining.retry_after
        )

    # ------------------------------------------------------------ small things

    def _tell(self, connection: int, what: talk.FromHub) -> None:
        self._out.append(talk.SendTo(connection=connection, talk=what))

    def _request(self) -> int:
        self._requests += 1
        return self._requests


def _answer(submission: Submission, result: CommitResult) -> talk.Answer:
    if isinstance(result, Stored):
        return talk.Answer(
            msg_id=submission.msg_id,
            code=codes.OK,
            timestamp=result.timestamp,
            session_id=submission.session_id,
        )
    if isinstance(result, Conflicting):
        return talk.Answer(
            msg_id=submission.msg_id,
            code=codes.CONFLICT,
            text="this msgId stands for another message",
        )
    assert isinstance(result, Unstorable)
    return talk.Answer(msg_id=submission.msg_id, code=codes.BAD_REQUEST, text=result.reason)


_HANDLERS: Final[dict[type, Any]] = {
    talk.LoginAsked: Hub._on_login,
    talk.Submitted: Hub._on_submitted,
    talk.BroadcastAsked: Hub._on_broadcast,
    talk.Acknowledged: Hub._on_ack,
    talk.SyncAsked: Hub._on_sync,
    talk.WritingBlocked: Hub._on_blocked,
    talk.Left: Hub._on_left,
    Committed: Hub._on_committed,
    LoginStored: Hub._on_login_stored,
    ReadDone: Hub._on_read,
    StoreFailed: Hub._on_store_failed,
    TimePassed: Hub._on_time,
    DrainAsked: Hub._on_drain,
}
