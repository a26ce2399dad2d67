"""What is on its way into the store: group commit, and who waits for which answer.

One commit is under way at a time; what comes meanwhile makes the next one, and the users take turns
in it, so that a flood of one holds up nobody else. A repeat that arrives while the first is
uncommitted joins it, and both are answered by the one commit. Questions to the store stand in the
same line: they see all that their user has said before them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ..wire import UserId
from .actions import StoreCall, StoreCommit, StoreStatus
from .batches import BatchSize
from .costs import weight
from .line import Line
from .records import CursorMove, ReadMark, Submission

_Identity = tuple[UserId, str, int]
Question = StoreStatus | StoreCall
_Written = Submission | ReadMark


@dataclass(frozen=True, slots=True)
class FromSite:
    """The site waits for an answer, by the name of what it asked."""

    request: int


#: Who waits for an answer: a connection, or the site.
Waiter = int | FromSite


class Commits:
    """The queue before the store.

    Args:
        size: how much one transaction takes, and of the questions behind it what costs as much.
        session_lifetime: of sessions that a message begins, in milliseconds; None: for ever.
    """

    def __init__(self, size: BatchSize, session_lifetime: int | None = None) -> None:
        self._size = size
        self._session_lifetime = session_lifetime
        self._line: Line[_Written | Question] = Line()
        self._committing: StoreCommit | None = None
        #: … since when, and when the one before it ended
        self._began = 0.0
        self._ended = -math.inf
        self._keys = 0
        self._pending: dict[_Identity, Submission] = {}
        #: by the key of a submission or a mark: who is to be answered
        self._waiters: dict[int, list[Waiter]] = {}
        self._cursors: dict[tuple[UserId, str], CursorMove] = {}
        #: what the questions cost that are with the store, by their requests, and in all
        self._asked: dict[int, float] = {}
        self._unanswered = 0.0

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being written."""
        return not self._line and self._committing is None and not self._cursors

    @property
    def moved(self) -> bool:
        """Cursors wait to be written."""
        return bool(self._cursors)

    def key(self) -> int:
        """A name for a submission or a mark."""
        self._keys += 1
        return self._keys

    def submit(self, waiter: Waiter, submission: Submission) -> None:
        """Queue a message, or join the same one that is not committed yet."""
        identity = (submission.sender, submission.device, submission.msg_id)
        pending = self._pending.get(identity)
        if pending is None:
            self._pending[identity] = submission
        elif _same(pending, submission):
            self._waiters[pending.key].append(waiter)
            return
        self._waiters[submission.key] = [waiter]
        self._line.append(submission.sender, submission)

    def mark(self, connection: int, mark: ReadMark) -> None:
        """Queue that something was read."""
        self._waiters[mark.key] = [connection]
        self._line.append(mark.reader, mark)

    def ask(self, question: Question) -> None:
        """Queue a question. Whoever waits for its answer is known by its request."""
        self._line.append(question.user, question)

    def move(self, move: CursorMove) -> None:
        """Remember a cursor for the next commit.

        Plain logins share one: the furthest counts. Else the newest login's, since an older one
        is fenced. Where a device has begun is kept.
        """
        key = (move.user, move.device)
        waiting = self._cursors.get(key)
        if waiting is not None:
            base = move.base if waiting.base is None else waiting.base
            if (move.generation, move.seq) <= (waiting.generation, waiting.seq):
                move = waiting
            if move.base != base:
                move = replace(move, base=base)
        self._cursors[key] = move

    def forget_cursors(self) -> None:
        """Write none of those that wait."""
        self._cursors.clear()

    def cursor(self, user: UserId, device: str) -> tuple[int, int | None] | None:
        """How far a device is known to be by moves that are not written yet, and where it has
        begun, if that isn't written yet either."""
        under_way = self._committing.cursors if self._committing is not None else ()
        waiting = self._cursors.get((user, device))
        moves = [m for m in under_way if (m.user, m.device) == (user, device)]
        if waiting is not None:
            moves.append(waiting)
        if not moves:
            return None
        bases = [m.base for m in moves if m.base is not None]
        return max(m.seq for m in moves), min(bases, default=None)

    def due(self, *, cursors: bool) -> bool:
        """Does `next` bring anything? Cursors alone count if `cursors`."""
        return self._committing is None and bool(self._line or (cursors and self._cursors))

    def next(
        self, draw: Callable[[], int], at: int, now: float, *, cursors: bool
    ) -> Sequence[StoreCommit | Question]:
        """The next transaction and what is asked behind it, if no other is under way.

        Cursors ride along with messages; alone they are written only if `cursors`. `draw` gives
        the transaction its name.
        """
        if not self.due(cursors=cursors):
            return ()
        taken = self._taken(rested=now > self._ended)
        submissions = tuple([item for item in taken if isinstance(item, Submission)])
        reads: tuple[ReadMark, ...] = ()
        questions: list[Question] = []
        if len(submissions) < len(taken):
            reads = tuple([item for item in taken if isinstance(item, ReadMark)])
            questions = [item for item in taken if isinstance(item, (StoreStatus, StoreCall))]
        if not (submissions or reads or (cursors and self._cursors)):
            return questions
        moved = list(islice(self._cursors, self._size.room))
        self._began = now
        self._committing = StoreCommit(
            request=draw(),
            submissions=submissions,
            cursors=tuple(self._cursors.pop(key) for key in moved),
            reads=reads,
            at=at,
            session_lifetime=self._session_lifetime,
        )
        return [self._committing, *questions]

    def _taken(self, *, rested: bool) -> list[_Written | Question]:
        """What is served now: with the questions that have no answer yet no more than a batch
        costs, so that who comes next waits no longer for questions than for messages."""
        taken: list[_Written | Question] = []
        line = self._line
        room = self._size.of(len(line), rested=rested) - self._unanswered
        while room > 0 and line:
            item = line.pop()
            taken.append(item)
            if isinstance(item, (StoreStatus, StoreCall)):
                price = self._asked[item.request] = weight(item)
                self._unanswered += price
                room -= price
            else:
                room -= 1
        return taken

    def answered(self, request: int) -> None:
        """A question has its answer, or will get none."""
        self._unanswered -= self._asked.pop(request, 0.0)

    def committed(self, request: int, now: float, *, failed: bool = False) -> StoreCommit | None:
        """The transaction has ended, well or `failed`; None if it isn't the one under way."""
        commit = self._committing
        if commit is None or commit.request != request:
            return None
        self._committing = None
        self._ended = now
        size = len(commit.submissions) + len(commit.reads) + len(commit.cursors)
        self._size.took(size, now - self._began)
        if failed:
            for move in commit.cursors:
                self.move(move)
        for submission in commit.submissions:
            self._unpend(submission)
        return commit

    def waiters(self, key: int) -> list[Waiter]:
        """Who is to be answered; each submission or mark is asked about once."""
        return self._waiters.pop(key, [])

    def resubmit(self, stale: list[tuple[Submission, int, list[Waiter]]]) -> None:
        """Fenced submissions that a newer login had joined: back to the front, in order, under
        the generation of that login."""
        for submission, generation, waiters in reversed(stale):
            fresh = replace(submission, generation=generation)
            self._waiters[fresh.key] = waiters
            self._pending.setdefault((fresh.sender, fresh.device, fresh.msg_id), fresh)
            self._line.prepend(fresh.sender, fresh)

    def drop(self, gone: Callable[[Waiter], bool]) -> None:
        """Forget what is queued and awaited only by those who are `gone`.

        After a failed commit nothing of these connections may follow: it would overtake what
        failed (protocol.md section 2, "Order").
        """

        def awaited(item: _Written | Question) -> bool:
            if isinstance(item, Submission | ReadMark):
                waiters = [waiter for waiter in self._waiters[item.key] if not gone(waiter)]
                if not waiters:
                    self._forget(item)
                    return False
                self._waiters[item.key] = waiters
            return True

        self._line.keep(awaited)

    def outdate(self, user: UserId, device: str, generation: int) -> None:
        """Forget what older logins of a device have queued: it can only be fenced.

        Left in the queue, a re-send of the newer login would join it and be overtaken by what
        follows (protocol.md section 2, "Order").
        """

        def good(item: _Written | Question) -> bool:
            if (
                isinstance(item, Submission | ReadMark)
                and _login(item) == (user, device)
                and item.generation < generation
            ):
                self._forget(item)
                return False
            return True

        self._line.keep(good)

    def _forget(self, item: _Written) -> None:
        del self._waiters[item.key]
        if isinstance(item, Submission):
            self._unpend(item)

    def _unpend(self, submission: Submission) -> None:
        identity = (submission.sender, submission.device, submission.msg_id)
        pending = self._pending.get(identity)
        if pending is not None and pending.key == submission.key:
            del self._pending[identity]


def _login(item: _Written) -> tuple[UserId, str]:
    return (item.sender if isinstance(item, Submission) else item.reader, item.device)


def _same(a: Submission, b: Submission) -> bool:
    return (a.to_user, a.content, a.message_type, a.session_id) == (
        b.to_user,
        b.content,
        b.message_type,
        b.session_id,
    )
