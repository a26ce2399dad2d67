"""What a server promises, as simply as it can be said: the reference of `ServerEngineMachine`.

Like `ClientModel` it decides nothing: it is told what came in, is shown what went out, and says in
words, as an AssertionError, what does not follow.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import Final

from ..config import ServerConfig
from ..server.actions import StoreCommit, StoreLogin
from ..server.inputs import Committed, LoginStored, Retained
from ..server.records import PLAIN, Conflicting, Fenced, Stored, Submission
from ..wire import (
    AuthRequest,
    AuthResponse,
    ChatAck,
    ChatReadReceipt,
    ChatReadReceiptResponse,
    ChatRedirectToUser,
    ChatSendResponse,
    ChatSendToAll,
    ChatSendToOne,
    Message,
    MessageStatusRequest,
    MessageStatusResponse,
    Outcome,
    Presence,
    ReadSync,
    ReceiptPush,
    SessionRequest,
    SessionResponse,
    SyncRequest,
    SyncResponse,
    TypingPush,
    UserId,
    outcome,
)

#: As many messages at once no run has.
MANY: Final = 1000

#: sender, device, msgId, recipient, content
_Sent = tuple[UserId | None, str, int, UserId, str]


@dataclass(slots=True)
class Session:
    """One connection, as the model sees it.

    Attributes:
        user: who logs in, once the authenticator has said so.
        asked: its AUTH_REQUEST.
        online: it was told that it is logged in, and its link has not ended.
        granted: the capabilities that it may use.
        owed: by msgId, how many answers it waits for.
        reads, questions: the same of its read marks, and of its calls by their ids.
        statuses: what it has asked about, and was not told, the first first.
        sent: pushed up to this seq; None: a plain peer that was not pushed anything yet.
        acked: acknowledged up to this seq.
    """

    connection: int
    user: UserId | None = None
    asked: AuthRequest | None = None
    online: bool = False
    blocked: bool = False
    granted: frozenset[str] = frozenset()
    owed: Counter[int] = field(default_factory=Counter)
    reads: Counter[int] = field(default_factory=Counter)
    questions: Counter[str] = field(default_factory=Counter)
    statuses: list[tuple[int, ...]] = field(default_factory=list)
    #: AUTH_REQUESTs on the live connection that are not answered
    refreshes: int = 0
    sent: int | None = None
    acked: int = 0
    #: SYNC_REQUESTs that are not answered
    syncs: list[int] = field(default_factory=list)

    @property
    def numbered(self) -> bool:
        """It sees the numbers of its mailbox."""
        return "seq" in self.granted

    @property
    def batch(self) -> bool:
        """It takes several messages in one frame."""
        return "batch" in self.granted

    @property
    def device(self) -> str:
        """Its device; plain logins share one."""
        asked = self.asked
        return (asked and asked.capabilities is not None and asked.device_id) or PLAIN


class ServerModel:
    """A server's promises: what is answered was committed, what was committed is pushed, in order.

    Attributes:
        sessions: by connection.
        mailboxes: by user and seq, every message that was committed to it. What stands between is
            receipts, read marks and copies of what the user has sent.
        heads: by user, the newest seq of its mailbox.
        oldest: by user, the oldest seq that is certainly still held.
        committing: the one commit that is under way.
        cursors: by (user, device), what is known to have been handled.
        draining: the server goes down.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self.sessions: dict[int, Session] = {}
        self.mailboxes: dict[UserId, dict[int, Submission]] = {}
        self.heads: dict[UserId, int] = {}
        self.oldest: dict[UserId, int] = {}
        self.committing: StoreCommit | None = None
        self.cursors: dict[tuple[UserId, str], int] = {}
        self.draining = False
        #: (user, msgId) of what is in a mailbox; and (user, device, msgId)
        self._accepted: set[tuple[UserId, int]] = set()
        self._stored: set[tuple[UserId, str, int]] = set()
        #: (sender, recipient, content)
        self._contents: set[tuple[UserId, UserId, str]] = set()
        self._broadcasts: set[tuple[UserId, int, str]] = set()
        #: by user: what came in and is in no commit yet, in order
        self._queues: defaultdict[UserId | None, deque[_Sent]] = defaultdict(deque)
        #: by request: whose log-in is with the store
        self._logins: dict[int, tuple[UserId, str]] = {}
        #: the newest log-in of each device that the server was told of
        self._generations: dict[tuple[UserId, str], int] = {}
        #: connections of which a message was in conflict, or whose log-in is fenced
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
            if session.online and not self.draining:
                session.refreshes += 1
        elif not session.online or self.draining:
            return
        elif isinstance(message, ChatSendToOne):
            session.owed[message.msg_id] += 1
            self._queues[session.user].append(
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
        elif isinstance(message, ChatReadReceipt):
            session.reads[message.msg_id] += 1
        elif isinstance(message, MessageStatusRequest) and "status" in session.granted:
            session.statuses.append(tuple(message.msg_ids))
        elif isinstance(message, SessionRequest) and "sessions" in session.granted:
            session.questions[message.id] += 1

    def _move(self, session: Session, seq: int) -> None:
        if session.user is not None:
            key = (session.user, session.device)
            self.cursors[key] = max(seq, self.cursors.get(key, 0))

    def gone(self, connection: int) -> None:
        """The link has ended, from whichever side."""
        self.session(connection).online = False

    # ------------------------------------------------------------ the store

    def asked_to_log_in(self, action: StoreLogin) -> None:
        """The server wants a log-in written."""
        self._logins[action.request] = (action.user, action.device)

    def logged_in(self, done: LoginStored) -> None:
        """The store has written it."""
        device = self._logins.pop(done.request)
        known = self._generations.get(device, 0)
        self._generations[device] = max(known, done.login.generation)

    def asked_to_commit(self, action: StoreCommit) -> None:
        """The server wants this written."""
        assert self.committing is None, "two commits at once"
        assert len(action.submissions) <= self._config.commit_batch, "more than commit_batch"
        self.committing = action
        for submission in action.submissions:
            sent = _as_sent(submission)
            queue = self._queues[submission.sender]
            while queue and queue[0] != sent:
                queue.popleft()
            assert queue, f"writes {submission}, which came earlier, or never"
            queue.popleft()

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
        for sent in reversed(fenced):  # a newer login may wait for them
            self._queues[sent[0]].appendleft(sent)
        conflicts: set[tuple[UserId, str]] = set()
        for submission, result in zip(action.submissions, done.results, strict=True):
            device = (submission.sender, submission.device)
            if isinstance(result, Stored):
                assert device not in conflicts, f"the store let {submission} overtake a conflict"
                self._accepted.add((submission.sender, submission.msg_id))
                mailbox = self.mailboxes.setdefault(submission.to_user, {})
                if not result.repeat:
                    known = max(self.heads.get(submission.to_user, 0), *mailbox, 0)
                    assert result.seq > known, "the mailbox has a number twice"
                    mailbox[result.seq] = submission
                    self._contents.add((submission.sender, submission.to_user, submission.content))
                    identity = (submission.sender, submission.device, submission.msg_id)
                    again = submission.device != PLAIN and identity in self._stored
                    assert not again, f"the store took {identity} twice"
                    self._stored.add(identity)
            elif isinstance(result, Conflicting):
                conflicts.add(device)
        for user, head in done.heads:
            assert head > self.heads.get(user, 0), f"the mailbox of {user} did not grow"
            self.heads[user] = head
        for user, mailbox in self.mailboxes.items():
            assert max(mailbox, default=0) <= self.heads.get(user, 0), "the mailbox has a hole"
        # what is behind a conflict is sent again after the next log-in
        for sender, queue in self._queues.items():
            self._queues[sender] = deque(sent for sent in queue if sent[:2] not in conflicts)
        outdated = _fenced(action, done)
        for session in self.sessions.values():
            if session.online and session.user is not None:
                device = (session.user, session.device)
                login = (*device, self._generations.get(device, 0))
                if device in conflicts or login in outdated:
                    self._to_end.append(session.connection)

    def retained(self, done: Retained) -> None:
        """The store has let go of some."""
        self.oldest.update(done.oldest)

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
        elif isinstance(message, ChatRedirectToUser | ReceiptPush | ReadSync):
            assert session.online, "pushed to a connection that is not logged in"
            if isinstance(message, ChatRedirectToUser) and message.to_user is None:
                self._pushed(session, message)
            else:
                self._told_of_the_rest(session, message)
        elif isinstance(message, ChatReadReceiptResponse):
            assert session.reads[message.msg_id], f"a read of {message.msg_id} answered too often"
            session.reads[message.msg_id] -= 1
        elif isinstance(message, MessageStatusResponse):
            self._told_status(session, message)
        elif isinstance(message, SessionResponse):
            assert session.questions[message.id], f"a call {message.id} that nobody made"
            session.questions[message.id] -= 1
        elif isinstance(message, TypingPush | Presence):
            assert message.kind.lower() in session.granted, f"{message.kind} was not granted"
        elif isinstance(message, SyncResponse):
            assert session.syncs, "a SYNC_RESPONSE that nobody asked for"
            after = session.syncs.pop(0)
            session.sent = after if message.status == "recovered" else message.oldest - 1
            session.acked = min(session.acked, session.sent)

    def _answered_login(self, session: Session, response: AuthResponse) -> None:
        if session.online and session.refreshes:
            session.refreshes -= 1
            return
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
        session.granted = frozenset(granted)
        if not session.numbered:
            return
        assert data.seq is not None
        session.sent = session.acked = data.seq
        known = self.cursors.get((session.user, session.device))
        before_oldest = self.oldest.get(session.user, 1) - 1
        if data.resume == "recovered":
            assert asked.resume is not None and data.seq == asked.resume.seq, "resumed elsewhere"
        elif known is not None:
            assert data.seq <= max(known, before_oldest), (
                f"passes over {known + 1} to {data.seq}, never acknowledged"
            )
        elif self._config.first_login == "oldest":
            assert data.seq == before_oldest, "a new device does not begin with the oldest message"
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
        mailbox = self.mailboxes.get(session.user, {})
        if push.seq is None and (push.from_user, push.msg_id, push.content) in self._broadcasts:
            return
        if push.seq is not None:
            self._moves_on(session, push.seq)
        else:
            assert not session.numbered, "no number, though they were granted"
            session.sent = self._place(session, mailbox, push)
        entry = mailbox.get(session.sent or 0)
        assert entry is not None, f"pushed {push}, which was not committed"
        same = (entry.sender, entry.content) == (push.from_user, push.content)
        assert same, f"pushed {push}, the mailbox has {entry}"

    def _told_of_the_rest(
        self, session: Session, push: ChatRedirectToUser | ReceiptPush | ReadSync
    ) -> None:
        """A copy of the user's own message, a receipt, a read mark."""
        assert push.seq is not None, f"{push.kind} without a number"
        self._moves_on(session, push.seq)
        user = session.user
        assert user is not None
        assert push.seq not in self.mailboxes.get(user, {}), f"pushed {push} instead of a message"
        assert push.seq <= self.heads.get(user, 0), f"pushed {push}, which was not committed"
        if isinstance(push, ChatRedirectToUser):
            sent = (push.from_user, push.to_user, push.content)
            assert push.from_user == user and sent in self._contents, f"{push} is no copy"
        elif isinstance(push, ReceiptPush):
            for msg_id in push.msg_ids:
                assert (user, msg_id) in self._accepted, f"{push} is about what nobody sent"

    def _moves_on(self, session: Session, seq: int) -> None:
        assert session.numbered, "a number that was not granted"
        assert session.sent is not None and session.user is not None
        oldest = self.oldest.get(session.user, 1)
        lost = session.sent + 1 < seq <= oldest
        assert lost or seq == session.sent + 1, f"pushed {seq} after {session.sent}"
        session.sent = seq
        unacked = seq - max(session.acked, oldest - 1)
        assert unacked <= self._config.unacked, f"{unacked} pushes beyond the ack"

    def _told_status(self, session: Session, told: MessageStatusResponse) -> None:
        assert session.statuses, "a status that nobody asked for"
        asked = session.statuses.pop(0)
        assert tuple(item.msg_id for item in told.items) == asked, "a status of other messages"
        assert session.user is not None
        for item in told.items:
            stored = (session.user, session.device, item.msg_id) in self._stored
            if item.status in ("never", "accepted"):
                assert stored == (item.status == "accepted"), f"{item}, which is not so"

    def _place(
        self, session: Session, mailbox: dict[int, Submission], push: ChatRedirectToUser
    ) -> int:
        """Where a push without a number stands: behind the last, or (the first) anywhere."""
        if session.sent is not None:
            held = self.oldest.get(session.user or 0, 1)
            return min((seq for seq in mailbox if seq > session.sent and seq >= held), default=0)
        places = [
            # the server may have made another id for the push of a plain client's message
            (entry.msg_id != push.msg_id, entry.device != PLAIN, seq)
            for seq, entry in mailbox.items()
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
            owed: list[object] = [*+session.owed, *+session.reads]
            if session.blocked:
                # one that wants too much is not answered, and leaves when it is told the rest
                owed = owed if self._config.message_burst >= MANY else []
            else:  # these answers are large
                owed += [*+session.questions, *session.statuses]
            assert not owed, f"connection {session.connection} is not answered: {owed}"
            if session.numbered and not session.blocked and session.user is not None:
                assert session.sent is not None
                head = self.heads.get(session.user, 0)
                gone = self.oldest.get(session.user, 1) - 1
                full = session.sent - max(session.acked, gone) >= self._config.unacked
                assert full or max(session.sent, gone) >= head, (
                    f"connection {session.connection} was pushed {session.sent} of {head}, "
                    "and nothing is under way"
                )


def _fenced(action: StoreCommit, done: Committed) -> set[tuple[UserId, str, int]]:
    """The log-ins that are older than one that the store knows of, with their generations."""
    found = {(move.user, move.device, move.generation) for move in done.fenced}
    for submission, result in zip(action.submissions, done.results, strict=True):
        if isinstance(result, Fenced):
            found.add((submission.sender, submission.device, submission.generation))
    for mark, marked in zip(action.reads, done.marks, strict=True):
        if marked.found is None:
            found.add((mark.reader, mark.device, mark.generation))
    return found


def _as_sent(submission: Submission) -> _Sent:
    return (
        submission.sender,
        submission.device,
        submission.msg_id,
        submission.to_user,
        submission.content,
    )
