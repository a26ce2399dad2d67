"""What a server promises, as simply as it can be said: the reference of `ServerEngineMachine`.

Like `ClientModel` it decides nothing: it is told what came in, is shown what went out, and says in
words, as an AssertionError, what does not follow.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from ..config import ServerConfig
from ..server.actions import StoreCommit
from ..server.inputs import Committed
from ..server.records import PLAIN, Conflicting, Fenced, Stored, Submission
from ..wire import (
    AuthRequest,
    AuthResponse,
    ChatAck,
    ChatRedirectToUser,
    ChatSendResponse,
    ChatSendToAll,
    ChatSendToOne,
    Message,
    Outcome,
    SyncRequest,
    SyncResponse,
    UserId,
    outcome,
)


@dataclass(slots=True)
class Session:
    """One connection, as the model sees it.

    Attributes:
        user: who logs in, once the authenticator has said so.
        asked: its AUTH_REQUEST.
        online: it was told that it is logged in, and its link has not ended.
        owed: by msgId, how many answers it waits for.
        sent: pushed up to this seq; None: a plain peer that was not pushed anything yet.
        acked: acknowledged up to this seq.
    """

    connection: int
    user: UserId | None = None
    asked: AuthRequest | None = None
    online: bool = False
    blocked: bool = False
    numbered: bool = False
    batch: bool = False
    owed: Counter[int] = field(default_factory=Counter)
    sent: int | None = None
    acked: int = 0
    #: SYNC_REQUESTs that are not answered
    syncs: list[int] = field(default_factory=list)

    @property
    def device(self) -> str:
        """Its device; plain logins share one."""
        asked = self.asked
        return (asked and asked.capabilities is not None and asked.device_id) or PLAIN


class ServerModel:
    """A server's promises: what is answered was committed, what was committed is pushed, in order.

    Attributes:
        sessions: by connection.
        mailboxes: by user, every message that was committed to it, in the order of their seq.
        committing: the one commit that is under way.
        cursors: by (user, device), what is known to have been handled.
        draining: the server goes down.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self.sessions: dict[int, Session] = {}
        self.mailboxes: dict[UserId, list[Submission]] = {}
        self.committing: StoreCommit | None = None
        self.cursors: dict[tuple[UserId, str], int] = {}
        self.draining = False
        #: (user, msgId) of what is in a mailbox; and (user, device, msgId)
        self._accepted: set[tuple[UserId, int]] = set()
        self._stored: set[tuple[UserId, str, int]] = set()
        self._broadcasts: set[tuple[UserId, int, str]] = set()
        #: what came in and is in no commit yet, in order
        self._queue: deque[tuple[UserId | None, str, int, UserId, str]] = deque()
        #: connections of which a message was in conflict
        self._to_end: list[int] = []

    def session(self, connection: int) -> Session:
        """That connection's."""
        return self.sessions.setdefault(connection, Session(connection))

    # ------------------------------------------------------------ what comes in

    def heard(self, connection: int, message: Message) -> None:
        """A whole, valid message came in from a connection that is not on its way out."""
        session = self.session(connection)
        if isinstance(message, AuthRequest):
            session.asked = session.asked or message
        elif not session.online or self.draining:
            return
        elif isinstance(message, ChatSendToOne):
            session.owed[message.msg_id] += 1
            self._queue.append(
                (session.user, session.device, message.msg_id, message.to_user, message.content)
            )
        elif isinstance(message, ChatSendToAll):
            session.owed[message.msg_id] += 1
            if session.user is not None:
                self._broadcasts.add((session.user, message.msg_id, message.content))
        elif isinstance(message, ChatAck) and session.numbered:
            if session.sent is not None and session.acked <= message.seq <= session.sent:
                session.acked = message.seq
                self._move(session, message.seq)
        elif isinstance(message, SyncRequest) and session.numbered:
            session.syncs.append(message.after)

    def _move(self, session: Session, seq: int) -> None:
        if session.user is not None:
            key = (session.user, session.device)
            self.cursors[key] = max(seq, self.cursors.get(key, 0))

    def gone(self, connection: int) -> None:
        """The link has ended, from whichever side."""
        self.session(connection).online = False

    # ------------------------------------------------------------ the store

    def asked_to_commit(self, action: StoreCommit) -> None:
        """The server wants this written."""
        assert self.committing is None, "two commits at once"
        assert len(action.submissions) <= self._config.commit_batch, "more than commit_batch"
        self.committing = action
        for submission in action.submissions:
            sent = _as_sent(submission)
            while self._queue and self._queue[0] != sent:
                self._queue.popleft()
            assert self._queue, f"writes {submission}, which came earlier, or never"
            self._queue.popleft()

    def committed(self, done: Committed) -> None:
        """The store has written it."""
        action, self.committing = self.committing, None
        assert action is not None and action.request == done.request
        assert len(action.submissions) == len(done.results), "the store left one out"
        fenced = [
            _as_sent(submission)
            for submission, result in zip(action.submissions, done.results, strict=True)
            if isinstance(result, Fenced)
        ]
        self._queue.extendleft(reversed(fenced))  # a newer login may wait for them
        conflicts: set[tuple[UserId, str]] = set()
        for submission, result in zip(action.submissions, done.results, strict=True):
            device = (submission.sender, submission.device)
            if isinstance(result, Stored):
                assert device not in conflicts, f"the store let {submission} overtake a conflict"
                self._accepted.add((submission.sender, submission.msg_id))
                mailbox = self.mailboxes.setdefault(submission.to_user, [])
                if not result.repeat:
                    assert result.seq == len(mailbox) + 1, "the mailbox has a hole"
                    mailbox.append(submission)
                    identity = (submission.sender, submission.device, submission.msg_id)
                    again = submission.device != PLAIN and identity in self._stored
                    assert not again, f"the store took {identity} twice"
                    self._stored.add(identity)
            elif isinstance(result, Conflicting):
                conflicts.add(device)
        # what is behind a conflict is sent again after the next log-in
        self._queue = deque(sent for sent in self._queue if sent[:2] not in conflicts)
        self._to_end = [
            session.connection
            for session in self.sessions.values()
            if session.online and (session.user, session.device) in conflicts
        ]

    def failed(self) -> None:
        """The store could not write it; nothing of it was kept."""
        self.committing = None

    # ------------------------------------------------------------ what goes out

    def said(self, connection: int, message: Message) -> None:
        """The server has said this to a connection."""
        session = self.session(connection)
        if isinstance(message, AuthResponse):
            self._answered_login(session, message)
        elif isinstance(message, ChatSendResponse):
            self._answered(session, message)
        elif isinstance(message, ChatRedirectToUser):
            assert session.online, "pushed to a connection that is not logged in"
            self._pushed(session, message)
        elif isinstance(message, SyncResponse):
            assert session.syncs, "a SYNC_RESPONSE that nobody asked for"
            after = session.syncs.pop(0)
            session.sent = after if message.status == "recovered" else message.oldest - 1
            session.acked = min(session.acked, session.sent)

    def _answered_login(self, session: Session, response: AuthResponse) -> None:
        if outcome(response.code) is not Outcome.SUCCESS:
            return
        assert session.user is not None, "logged in without the authenticator's word"
        assert not session.online, "logged in twice"
        assert not self.draining, "logged in while the server goes down"
        for other in self.sessions.values():
            same = (other.user, other.device) == (session.user, session.device)
            assert not (same and other.online and session.device != PLAIN), (
                "two connections of one device"
            )
        session.online = True
        data, asked = response.data, session.asked
        assert data is not None and asked is not None
        granted = set(data.capabilities or ())
        assert granted <= set(asked.capabilities or ()), "granted what was not asked for"
        session.numbered, session.batch = "seq" in granted, "batch" in granted
        if not session.numbered:
            return
        assert data.seq is not None
        session.sent = session.acked = data.seq
        known = self.cursors.get((session.user, session.device))
        if data.resume == "recovered":
            assert asked.resume is not None and data.seq == asked.resume.seq, "resumed elsewhere"
        elif known is not None:
            assert data.seq <= known, f"passes over {known + 1} to {data.seq}, never acknowledged"
        elif self._config.first_login == "oldest":
            assert data.seq == 0, "a new device does not begin with the oldest message"
        self._move(session, data.seq)

    def _answered(self, session: Session, answer: ChatSendResponse) -> None:
        assert session.owed[answer.msg_id], f"answered {answer.msg_id} oftener than it was sent"
        session.owed[answer.msg_id] -= 1
        if outcome(answer.code) is Outcome.SUCCESS:
            assert session.user is not None
            stored = (session.user, answer.msg_id) in self._accepted
            spread = any(key[:2] == (session.user, answer.msg_id) for key in self._broadcasts)
            assert stored or spread, f"accepted {answer.msg_id}, which was not committed"
        kind = outcome(answer.code)
        assert kind not in (Outcome.SERVER_ERROR, Outcome.AUTH), "a retryable code, and carries on"

    def _pushed(self, session: Session, push: ChatRedirectToUser) -> None:
        assert session.user is not None
        mailbox = self.mailboxes.get(session.user, [])
        if push.seq is None and (push.from_user, push.msg_id, push.content) in self._broadcasts:
            return
        if push.seq is not None:
            assert session.numbered, "a number that was not granted"
            assert session.sent is not None and push.seq == session.sent + 1, (
                f"pushed {push.seq} after {session.sent}"
            )
            session.sent = push.seq
            unacked = push.seq - session.acked
            assert unacked <= self._config.unacked, f"{unacked} pushes beyond the ack"
        else:
            assert not session.numbered, "no number, though they were granted"
            session.sent = self._place(session, mailbox, push)
        assert session.sent <= len(mailbox), "pushed what was not committed"
        entry = mailbox[session.sent - 1]
        same = (entry.sender, entry.content) == (push.from_user, push.content)
        assert same, f"pushed {push}, the mailbox has {entry}"

    def _place(self, session: Session, mailbox: list[Submission], push: ChatRedirectToUser) -> int:
        """Where a push without a number stands: behind the last, or (the first) anywhere."""
        if session.sent is not None:
            return session.sent + 1
        places = [
            # the server may have made another id for the push of a plain client's message
            (entry.msg_id != push.msg_id, entry.device != PLAIN, seq)
            for seq, entry in enumerate(mailbox, 1)
            if (entry.sender, entry.content) == (push.from_user, push.content)
        ]
        assert places, f"pushed {push}, which is in no mailbox"
        return min(places)[-1]

    # ------------------------------------------------------------ after a step

    def settled(self, online: dict[UserId, int], *, idle: bool) -> None:
        """The step is over; `idle`: the store was asked nothing that it has not answered."""
        for connection in self._to_end:
            assert not self.sessions[connection].online, f"connection {connection} goes on"
        self._to_end = []
        here = Counter(s.user for s in self.sessions.values() if s.online)
        assert online == here, f"says that {online} are online, it is {dict(here)}"
        if not idle or self.draining:
            return
        for session in self.sessions.values():
            if not session.online:
                continue
            owed = +session.owed
            assert not owed, f"connection {session.connection} is not answered: {dict(owed)}"
            if session.numbered and not session.blocked and session.user is not None:
                assert session.sent is not None
                head = len(self.mailboxes.get(session.user, ()))
                full = session.sent - session.acked >= self._config.unacked
                assert full or session.sent >= head, (
                    f"connection {session.connection} was pushed {session.sent} of {head}, "
                    "and nothing is under way"
                )


def _as_sent(submission: Submission) -> tuple[UserId | None, str, int, UserId, str]:
    return (
        submission.sender,
        submission.device,
        submission.msg_id,
        submission.to_user,
        submission.content,
    )
