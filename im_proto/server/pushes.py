"""The hub's half that goes out: which mailbox has gone how far to whom.

Pushes are read from the mailbox; what comes into it is pushed at once to who is that far already,
and else is only a wake-up.
"""

from __future__ import annotations

from typing import Final

from ..wire import UserId
from . import talk
from .actions import StoreRead
from .desk import HubTimer
from .inputs import ReadDone
from .parts import Parts
from .records import CursorMove
from .session import Session

#: Entries of a mailbox in one read.
READ_LIMIT: Final = 128
#: Cursors that no message carries along are written after so many seconds.
CURSOR_DELAY: Final = 0.5
#: What a client is asked to wait at the least, in seconds, when the store can't write or read: all
#: who are logged in may be asked it at once, and each comes back at another time.
STORE_RETRY_AFTER: Final = 1.0
STORE_GONE: Final = "the store is unavailable"


class Pushes(Parts):
    """Reads mailboxes for those who are logged in, as far as their acks allow."""

    def _pump(self, session: Session) -> None:
        """Read what the mailbox holds beyond what was pushed, as far as the acks allow."""
        room = session.room(self.config.unacked)
        if room > 0:
            session.reading = self.desk.request()
            self._reads[session.reading] = session.connection
            self.desk.do(
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
        entries = session.read(done.entries, done.head)
        if entries:
            self._tell(session.connection, talk.Push(entries=entries))
        self._pump(session)

    def _read_failed(self, request: int) -> bool:
        """Was it a read that failed?"""
        reader = self._reads.pop(request, None)
        if reader is None:
            return False
        session = self._roster.get(reader)
        if session is not None and session.reading == request:
            self._end(session, self._later(STORE_GONE))
        return True

    def _later(self, why: str, retry_after: float | None = None) -> talk.End:
        """It can't go on now: come back then, or each at a time of its own."""
        if retry_after is None:
            retry_after = self.desk.slot(STORE_RETRY_AFTER)
        return talk.End(code=1013, reason=why, retry_after=retry_after)

    def _on_ack(self, ack: talk.Acknowledged) -> None:
        session = self._roster.get(ack.connection)
        if session is None or ack.seq == session.acked:
            return
        wrong = session.acknowledge(ack.seq)
        if wrong is not None:
            self._end(session, talk.End(code=1008, reason=wrong))
            return
        self._move(session.user, session.device, session.generation, ack.seq)
        self._pump(session)

    def _on_sync(self, asked: talk.SyncAsked) -> None:
        session = self._roster.get(asked.connection)
        if session is None:
            return
        recovered = session.rewind(asked.after)
        if recovered is None:
            reason = "a sync of what was never pushed, or was acknowledged"
            self._end(session, talk.End(code=1008, reason=reason))
            return
        self._tell(
            session.connection,
            talk.Synced(recovered=recovered, oldest=session.oldest, epoch=session.epoch),
        )
        self._pump(session)

    def _move(
        self, user: UserId, device: str, generation: int, seq: int, base: int | None = None
    ) -> None:
        self._commits.move(
            CursorMove(user=user, device=device, generation=generation, seq=seq, base=base)
        )
        if self._timers.get(HubTimer.CURSORS) is None:
            self._timers.set(HubTimer.CURSORS, self.desk.now + CURSOR_DELAY)

    def _on_blocked(self, changed: talk.WritingBlocked) -> None:
        session = self._roster.get(changed.connection)
        if session is not None:  # pragma: no branch - a gateway ends connection and session at once
            session.blocked = changed.blocked
            self._pump(session)
            self._questions.go_on(session)
