"""The hub's half that comes in: what is committed, who is answered, and who is woken by it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from ..wire import ChatSendToOne, codes
from . import talk
from .commits import FromSite, Waiter
from .desk import HubTimer
from .inputs import Authorized, Committed
from .pushes import CURSOR_DELAY, STORE_GONE, Pushes
from .questions import UNSAID
from .records import (
    CommitResult,
    Conflicting,
    CursorMove,
    Fenced,
    Held,
    Marked,
    ReadMark,
    Refused,
    Stored,
    Submission,
    Unstorable,
)
from .session import Session

#: What a client is asked to wait, in seconds, when a msgId of its was taken: only as long as
#: to make a loop visible. Each return settles some, and hundreds may be taken.
CONFLICT_RETRY_AFTER: Final = 0.05


class Mail(Pushes):
    """Takes messages and read marks, commits them, and answers."""

    def _take(self, session: Session, messages: Sequence[ChatSendToOne]) -> None:
        """Messages that a session may send; it is owed an answer to each."""
        self.desk.owes(session, len(messages))
        for message in messages:
            if not self.authorizes:
                self._submit(session, message)
                continue
            for _, passed, allowed in self._gate.arrived(session, message):
                self._submit(session, passed, allowed=allowed)

    def _on_authorized(self, answer: Authorized) -> None:
        passed, lost, calls = self._gate.authorized(answer)
        for connection, message, allowed in passed:
            session = self._roster.get(connection)
            assert session is not None  # the gate forgets who has left
            self._submit(session, message, allowed=allowed)
            self._questions.go_on(session)
        for request in calls:
            self._questions.permitted(request, answer.allowed)
        self._end_senders(lost, UNSAID)

    def _submit(self, session: Session, message: ChatSendToOne, *, allowed: bool = True) -> None:
        commits = self._commits
        commits.submit(
            session.connection,
            Submission(
                commits.key(),
                session.user,
                session.device,
                session.generation,
                message.msg_id,
                message.to_user,
                message.content,
                message.message_type or "text",
                message.session_id,
                "receipts" in session.granted,
                not allowed,
            ),
        )

    def _on_read_asked(self, asked: talk.ReadAsked) -> None:
        session = self._roster.get(asked.connection)
        if session is None:
            return
        self.desk.owes(session)
        self._commits.mark(
            session.connection,
            ReadMark(
                key=self._commits.key(),
                reader=session.user,
                device=session.device,
                generation=session.generation,
                from_user=asked.message.from_user,
                msg_id=asked.message.msg_id,
            ),
        )

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
        at = self.desk.wall_ms
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

    # ------------------------------------------------------------ commits

    def _commit(self) -> None:
        """Give the store what waits for it."""
        due = self._timers.get(HubTimer.CURSORS) is None or self._draining is not None
        if not self._commits.due(cursors=due):
            return
        at = self.desk.wall_ms
        while actions := self._commits.next(self.desk.request, at, self.desk.now, cursors=due):
            for action in actions:
                self.desk.do(action)
        if not self._commits.moved:
            self._timers.cancel(HubTimer.CURSORS)

    def _on_committed(self, done: Committed) -> None:
        commit = self._commits.committed(done.request, self.desk.now)
        if commit is None:
            return
        stale: list[tuple[Submission, int, list[Waiter]]] = []
        held: dict[int, None] = {}
        given_up: set[Waiter] = set()
        waiters_of = self._commits.waiters
        for submission, result in zip(commit.submissions, done.results, strict=True):
            waiters = waiters_of(submission.key)
            if not isinstance(result, Stored):  # which nearly all are
                if isinstance(result, Fenced):
                    if not self._on_fenced(submission, waiters, stale):
                        given_up.update(waiters)
                    continue
                if isinstance(result, Conflicting | Held):
                    held.update({waiter: None for waiter in waiters if isinstance(waiter, int)})
                if isinstance(result, Held):
                    continue
            answer = _answer(submission, result)
            for waiter in waiters:
                self._answer(waiter, answer)
            if self.tells and isinstance(result, Stored) and not result.repeat:
                self._site.stored(submission, result)
        for mark, marked in zip(commit.reads, done.marks, strict=True):
            self._on_marked(mark, marked)
        for move in done.fenced:
            self._on_fenced_cursor(move)
        if given_up:  # what they queued behind a message that is dropped may not go ahead of it
            self._commits.drop(lambda waiter: waiter in given_up)
        self._commits.resubmit(stale)
        # what follows a conflict would overtake it: it is all sent again, in order
        again = "a msgId was taken: send what is unanswered again"
        self._end_senders(held, again, retry_after=CONFLICT_RETRY_AFTER)
        entries = dict(done.entries)
        for user, head in done.heads:
            for session in self._roster.of_user(user):
                session.head = max(session.head, head)
                pushed = session.follow(entries.get(user, ()), self.config.unacked)
                if pushed:
                    self._tell(session.connection, talk.Push(entries=pushed))
                self._pump(session)
        self._presence.met(done.acquainted)

    def _on_fenced(
        self,
        submission: Submission,
        waiters: list[Waiter],
        stale: list[tuple[Submission, int, list[Waiter]]],
    ) -> bool:
        """A newer login of the device exists. If it is here and waits for the same message, it
        goes again under that login (True); nobody else is answered."""
        newer = self._still_here(waiters)
        generation = max((session.generation for session in newer), default=0)
        if generation > submission.generation:
            stale.append((submission, generation, waiters))
            return True
        self._lost_elsewhere(newer)
        return False

    def _on_fenced_cursor(self, move: CursorMove) -> None:
        """A newer login of the device exists; who only acknowledges learns of it by this alone."""
        session = self._roster.of_device(move.user, move.device)
        if session is not None and session.generation <= move.generation:
            self._lost_elsewhere([session])

    def _still_here(self, waiters: Collection[Waiter]) -> list[Session]:
        sessions = (self._roster.get(w) for w in dict.fromkeys(waiters) if isinstance(w, int))
        return [session for session in sessions if session is not None]

    def _lost_elsewhere(self, sessions: list[Session]) -> None:
        """Their device has logged in at another gateway."""
        for session in sessions:
            reason = "this device logged in elsewhere"
            self._end(session, talk.End(code=4004, reason=reason, reconnect=False))

    def _on_marked(self, mark: ReadMark, marked: Marked) -> None:
        sessions = self._still_here(self._commits.waiters(mark.key))
        if marked.found is None:
            self._lost_elsewhere(sessions)
            return
        for session in sessions:
            answer = talk.ReadAnswer(msg_id=mark.msg_id, code=codes.OK)
            if not marked.found:
                text = "you have received no such message"
                answer = talk.ReadAnswer(msg_id=mark.msg_id, code=codes.NOT_FOUND, text=text)
            self.desk.answer(session, answer)

    def _answer(self, waiter: Waiter, answer: talk.Answer) -> None:
        if isinstance(waiter, FromSite):
            self._site.answer(waiter.request, answer)
            return
        session = self._roster.get(waiter)
        if session is not None:
            self.desk.answer(session, answer)

    def _commit_failed(self, request: int) -> None:
        """Acknowledge nothing and close: the client sends everything again, in order."""
        commit = self._commits.committed(request, self.desk.now, failed=True)
        if commit is None:
            return
        if self._draining is not None:
            # they are retold at the next log-in; trying again and again would be all that we do
            self._commits.forget_cursors()
        if self._commits.moved:
            self._timers.set(HubTimer.CURSORS, self.desk.now + CURSOR_DELAY)
        else:
            self._timers.cancel(HubTimer.CURSORS)
        hit: dict[int, None] = {}
        keys = [*(s.key for s in commit.submissions), *(mark.key for mark in commit.reads)]
        for key in keys:
            for waiter in self._commits.waiters(key):
                if isinstance(waiter, FromSite):
                    self._site.refuse(waiter.request, codes.SERVER_ERROR, STORE_GONE)
                else:
                    hit[waiter] = None
        self._end_senders(hit, STORE_GONE)

    def _end_senders(
        self, connections: Collection[int], why: str, retry_after: float | None = None
    ) -> None:
        """End connections, and forget what they have queued: nothing of it may go ahead. Without a
        `retry_after` for all, each comes back at a time of its own."""
        if not connections:
            return
        self._commits.drop(lambda waiter: waiter in connections)
        for connection in connections:
            session = self._roster.get(connection)
            if session is not None:
                self._end(session, self._later(why, retry_after))


def _answer(submission: Submission, result: CommitResult) -> talk.Answer:
    if isinstance(result, Stored):
        return talk.Answer(submission.msg_id, codes.OK, None, result.timestamp, result.session_id)
    if isinstance(result, Conflicting):
        return talk.Answer(
            msg_id=submission.msg_id,
            code=codes.CONFLICT,
            text="this msgId stands for another message",
        )
    if isinstance(result, Refused):
        return talk.Answer(msg_id=submission.msg_id, code=result.code, text=result.reason)
    assert isinstance(result, Unstorable)
    return talk.Answer(msg_id=submission.msg_id, code=codes.BAD_REQUEST, text=result.reason)
