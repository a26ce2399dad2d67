"""Messages on their way into the store: group commit, and who waits for which answer.

One commit is under way at a time; what comes meanwhile makes the next one. A repeat that arrives
while the first is uncommitted joins it, and both are answered by the one commit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from ..wire import ChatSendToOne, UserId
from .actions import StoreCommit
from .records import CursorMove, Submission

_Identity = tuple[UserId, str, int]


class Commits:
    """The queue before the store.

    Args:
        batch: the most messages of one transaction.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._queue: deque[Submission] = deque()
        self._committing: tuple[int, tuple[Submission, ...], tuple[CursorMove, ...]] | None = None
        self._keys = 0
        self._pending: dict[_Identity, Submission] = {}
        #: by the key of a submission: the connections to answer
        self._waiters: dict[int, list[int]] = {}
        self._cursors: dict[tuple[UserId, str], CursorMove] = {}

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being written."""
        return not self._queue and self._committing is None and not self._cursors

    @property
    def moved(self) -> bool:
        """Cursors wait to be written."""
        return bool(self._cursors)

    def submit(
        self, connection: int, user: UserId, device: str, generation: int, message: ChatSendToOne
    ) -> None:
        """Queue a message, or join the same one that is not committed yet."""
        identity = (user, device, message.msg_id)
        pending = self._pending.get(identity)
        submission = Submission(
            key=self._keys + 1,
            sender=user,
            device=device,
            generation=generation,
            msg_id=message.msg_id,
            to_user=message.to_user,
            content=message.content,
            message_type=message.message_type or "text",
            session_id=message.session_id,
        )
        if pending is not None and _same(pending, submission):
            self._waiters[pending.key].append(connection)
            return
        self._keys += 1
        self._pending.setdefault(identity, submission)
        self._waiters[submission.key] = [connection]
        self._queue.append(submission)

    def move(self, move: CursorMove) -> None:
        """Remember a cursor for the next commit.

        Plain logins share one: the furthest counts. Else the newest login's, since an older one
        is fenced.
        """
        waiting = self._cursors.get((move.user, move.device))
        if waiting is None or (move.generation, move.seq) > (waiting.generation, waiting.seq):
            self._cursors[move.user, move.device] = move

    def forget_cursors(self) -> None:
        """Write none of those that wait."""
        self._cursors.clear()

    def cursor(self, user: UserId, device: str) -> int | None:
        """How far a device is known to be by moves that are not written yet."""
        under_way = self._committing[2] if self._committing is not None else ()
        return max(
            (
                m.seq
                for m in (*under_way, *self._cursors.values())
                if (m.user, m.device) == (user, device)
            ),
            default=None,
        )

    def next(self, request: int, at: int, *, cursors: bool) -> StoreCommit | None:
        """The next transaction, if none is under way and there is something to write.

        Cursors ride along with messages; alone they are written only if `cursors`.
        """
        if self._committing is not None or not (self._queue or (cursors and self._cursors)):
            return None
        count = min(len(self._queue), self._batch)
        submissions = tuple(self._queue.popleft() for _ in range(count))
        moves = tuple(self._cursors.values())
        self._cursors.clear()
        self._committing = (request, submissions, moves)
        return StoreCommit(request=request, submissions=submissions, cursors=moves, at=at)

    def committed(self, request: int, *, failed: bool = False) -> tuple[Submission, ...] | None:
        """The transaction has ended, well or `failed`; None if it isn't the one under way."""
        if self._committing is None or self._committing[0] != request:
            return None
        _, submissions, moves = self._committing
        self._committing = None
        if failed:
            for move in moves:
                self.move(move)
        for submission in submissions:
            self._unpend(submission)
        return submissions

    def waiters(self, key: int) -> list[int]:
        """Who is to be answered; each submission is asked about once."""
        return self._waiters.pop(key, [])

    def resubmit(self, stale: list[tuple[Submission, int, list[int]]]) -> None:
        """Fenced submissions that a newer login had joined: back to the front, in order, under
        the generation of that login."""
        for submission, generation, connections in reversed(stale):
            fresh = replace(submission, generation=generation)
            self._waiters[fresh.key] = connections
            self._pending.setdefault((fresh.sender, fresh.device, fresh.msg_id), fresh)
            self._queue.appendleft(fresh)

    def drop(self, gone: Callable[[int], bool]) -> None:
        """Forget what is queued and awaited only by connections that are `gone`.

        After a failed commit nothing of these connections may follow: it would overtake what
        failed (protocol.md section 2, "Order").
        """
        kept: deque[Submission] = deque()
        for submission in self._queue:
            waiters = [c for c in self._waiters[submission.key] if not gone(c)]
            if waiters:
                self._waiters[submission.key] = waiters
                kept.append(submission)
            else:
                del self._waiters[submission.key]
                self._unpend(submission)
        self._queue = kept

    def outdate(self, user: UserId, device: str, generation: int) -> None:
        """Forget what older logins of a device have queued: it can only be fenced.

        Left in the queue, a re-send of the newer login would join it and be overtaken by what
        follows (protocol.md section 2, "Order").
        """
        kept: deque[Submission] = deque()
        for submission in self._queue:
            same = (submission.sender, submission.device) == (user, device)
            if same and submission.generation < generation:
                del self._waiters[submission.key]
                self._unpend(submission)
            else:
                kept.append(submission)
        self._queue = kept

    def _unpend(self, submission: Submission) -> None:
        identity = (submission.sender, submission.device, submission.msg_id)
        pending = self._pending.get(identity)
        if pending is not None and pending.key == submission.key:
            del self._pending[identity]


def _same(a: Submission, b: Submission) -> bool:
    return (a.to_user, a.content, a.message_type, a.session_id) == (
        b.to_user,
        b.content,
        b.message_type,
        b.session_id,
    )
