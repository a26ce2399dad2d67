"""What must follow from what a server says: the half of `ClientModel` that reads along.

The other half compares: whatever the client does has to be the next thing that follows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from ..config import ClientConfig
from ..wire import (
    AuthRequest,
    AuthResponse,
    BadFrame,
    ChatError,
    ChatRedirectToUser,
    ChatSendResponse,
    Incoming,
    Invocation,
    Outcome,
    ReadSync,
    ReceiptPush,
    SessionResponse,
    SyncResponse,
    Unknown,
    UserId,
    outcome,
)

#: What may stand in a mailbox.
Push = ChatRedirectToUser | ReceiptPush | ReadSync | Unknown
#: What a server that grants `batch` may send in one array.
MAX_BATCH: Final = 1024


@dataclass(slots=True)
class Sent:
    """A message of the application that has no end yet."""

    ref: int
    to_user: UserId
    content: str
    msg_id: int | None = None
    #: how often it was handed to a transport
    sends: int = 0
    #: it has a new msgId after a conflict; None: perhaps
    renumbered: bool | None = False
    #: it may expire while no transport ever had it
    expires: bool = False

    @property
    def size(self) -> int:
        """UTF-8 bytes of its content."""
        return len(self.content.encode())


@dataclass(frozen=True, slots=True)
class Due:
    """What must follow, or (`must` False) may follow, from something that the server said."""

    what: str
    ref: int = 0
    push: Push | None = None
    oldest: int = 0
    epoch: str | None = None
    must: bool = True


class Heard:
    """What the server has said on this link, and what it knows of the client's messages.

    Attributes:
        logged_in: the application was told so, and the link has not ended.
        pending: by ref, in the order they were sent: messages without an end.
        flying: by msgId, the refs that were handed over on this link and are unanswered.
        unhandled: by delivery, what the application is not done with, and its seq.
        received: the mailbox is here up to this seq; None until a log-in says where it begins.
        syncing: the repair of a hole is awaited.
        numbered, batch: the server grants `seq`, `batch`.
        granted: all that it grants.
        renewing: the new token that went over this link has no answer.
        questions: the ids of calls about sessions that went over this link, without an answer.
        idempotent: it knows the identity of a send.
        window: how many sends may be unanswered.
        asked: AUTH_REQUEST of this link, while it is unanswered.
    """

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self.logged_in = False
        self.pending: dict[int, Sent] = {}
        self.flying: dict[int, int] = {}
        self.unhandled: dict[int, int | None] = {}
        self.epoch: str | None = None
        self.received: int | None = None
        self.syncing = False
        self.numbered = self.batch = self.idempotent = False
        self.granted: frozenset[str] = frozenset()
        self.renewing = False
        self.questions: set[str] = set()
        #: up to here it is in the mailbox, if what a link said last was read before it ended
        self.perhaps = 0
        self.window = config.in_flight
        self.asked: AuthRequest | None = None
        self._dialect = Invocation("client")
        self._known: dict[tuple[UserId, int], str] = {}
        #: what the server said in this step: texts and the code of its close; and of the text
        #: that is being read, the rest
        self._heard: deque[str | int] = deque()
        self._frame: deque[Incoming] = deque()
        self._reset: Due | None = None
        self._asked_early = False
        self._must_end = ""
        #: the engine's name at the server
        self.device_id = ""

    def heard(self, said: str | int) -> None:
        """A whole text of the server came in, or (an int) its close with that code."""
        self._heard.append(said)

    def must_end(self, why: str) -> None:
        """The link may not outlive this step."""
        self._must_end = why

    def link_gone(self) -> None:
        """The client has said goodbye, or its transport is gone."""
        self._look_for_conflicts()
        self._asked_early = False
        self.logged_in = self.syncing = self.numbered = self.batch = self.renewing = False
        self.asked, self.granted = None, frozenset()
        self.questions.clear()
        self.flying.clear()

    def _look_for_conflicts(self) -> None:
        """Some of what the server said last was read before the link ended, nobody saw what: a
        conflict, or a copy of what this device has sent, of which nobody is told."""
        rest = list(self._frame)
        for said in self._heard:
            try:
                if isinstance(said, str):
                    rest += self._dialect.decode(said, batch=MAX_BATCH if self.batch else 0)
            except BadFrame:
                break
        if any(
            isinstance(said, ChatSendResponse | ChatError)
            and outcome(said.code) is Outcome.CONFLICT
            for said in rest
        ):
            for ref in self.flying.values():
                self.pending[ref].renumbered = self.pending[ref].renumbered or None
        for push in rest:
            own = isinstance(push, ChatRedirectToUser) and push.device_id == self.device_id
            if own and self.numbered:
                self.perhaps = max(self.perhaps, getattr(push, "seq", None) or 0)

    def _new_epoch(self, epoch: str | None) -> None:
        self.epoch = epoch
        self.perhaps = 0
        self.unhandled = dict.fromkeys(self.unhandled)

    # ------------------------------------------------------------ what follows from what

    def _advance(self, *whats: str, ref: int | None = None) -> Due:
        """Read on in what the server said, up to what this follows from."""
        while (due := self._next()) is not None:
            if due.what in whats and (ref is None or due.ref in (0, ref)):
                return due
            assert not due.must, f"{due} should have come before {whats[0]!r}"
            self._pass_over(due)
        raise AssertionError(f"{whats[0]!r} follows from nothing that the server said")

    def _skip(self) -> bool:
        """Read on by one message from which nothing has to follow; False: there is none."""
        if not self._frame and not self._heard:
            return False
        due = self._next(one=True)
        assert due is None or not due.must, f"{due}, and nothing came of it"
        if due is not None:
            self._pass_over(due)
        return True

    def _pass_over(self, due: Due) -> None:
        """A hole is asked about at the end of the text that shows it."""
        if due.what == "hole":
            self.syncing = self._asked_early = True

    def _next(self, *, one: bool = False) -> Due | None:
        while self._frame or self._heard:
            if not self._frame:
                said = self._heard.popleft()
                if isinstance(said, int):
                    self.must_end(f"the server closed with {said}")
                    return Due("closed", must=False)
                try:
                    batch = MAX_BATCH if self.batch else 0
                    self._frame.extend(self._dialect.decode(said, batch=batch))
                except BadFrame as bad:
                    self.must_end(f"the server sent a bad frame: {bad}")
                    self._heard.clear()
                    return None
            due = self._due(self._frame.popleft())
            if due is not None or one:
                return due
        return None

    def _due(self, message: Incoming) -> Due | None:
        if isinstance(message, Push):
            return self._pushed(message)
        if isinstance(message, AuthResponse):
            return self._auth(message)
        if isinstance(message, ChatSendResponse):
            ref = self.flying.get(message.msg_id)
            return None if ref is None else self._answered(ref, message.code)
        if isinstance(message, ChatError):
            code = 400 if outcome(message.code) is Outcome.SUCCESS else message.code
            ref = self.flying.get(message.msg_id) if message.msg_id is not None else None
            if message.msg_id is None and len(self.flying) == 1:
                (ref,) = self.flying.values()
            if ref is not None:
                return self._answered(ref, code)
            if outcome(code) is Outcome.AUTH:
                self.must_end("the log-in is gone")
        elif isinstance(message, SessionResponse):
            self.questions.discard(message.id)
        elif isinstance(message, SyncResponse) and self.syncing:
            self.syncing = False
            if message.status == "reset":
                return Due("reset", oldest=message.oldest, epoch=message.epoch or self.epoch)
        return None

    def _answered(self, ref: int, code: int | None) -> Due | None:
        kind, sent = outcome(code), self.pending[ref]
        if kind is Outcome.AUTH:
            self.must_end("the log-in is gone")
            return None
        assert sent.msg_id is not None
        del self.flying[sent.msg_id]
        if kind is Outcome.SUCCESS:
            return Due("accepted", ref=ref)
        if kind is Outcome.CONFLICT and sent.renumbered is not True:
            before, sent.renumbered = sent.renumbered, True
            return None if before is False else Due("failed", ref=ref, must=False)
        # whether a server error is the last one, or the link's end, is the engine's to count
        return Due("failed", ref=ref, must=kind is not Outcome.SERVER_ERROR)

    def own_copy(self, push: Push) -> bool:
        """Has a device of this user sent it, to somebody else?"""
        me = self._config.user_id
        if not isinstance(push, ChatRedirectToUser) or push.seq is None:
            return False
        return push.from_user == me and push.to_user not in (None, me)

    def _pushed(self, push: Push) -> Due | None:
        if self.numbered and push.seq is not None:
            if self.received is not None:
                if push.seq <= self.received:
                    return Due("repeat", push=push)
                if push.seq > self.received + 1:
                    if self.syncing:
                        return None
                    return Due("hole", push=push, oldest=push.seq, must=False)
            self.received = push.seq
        if not isinstance(push, ChatRedirectToUser):
            return Due("told", push=push)
        if self.own_copy(push):
            return None if push.device_id == self.device_id else Due("told", push=push)
        if push.from_user is not None and push.msg_id is not None:
            pair = (push.from_user, push.msg_id)
            if self._known.get(pair) == push.content:
                return Due("repeat", push=push)
            self._known[pair] = push.content
            if len(self._known) > self._config.known_pairs:
                del self._known[next(iter(self._known))]
        return Due("message", push=push)

    def _auth(self, response: AuthResponse) -> Due | None:
        asked, self.asked = self.asked, None
        if asked is None:
            renewing, self.renewing = self.renewing, False
            good = outcome(response.code) is Outcome.SUCCESS
            return Due("renewed") if renewing and good else None
        if outcome(response.code) is not Outcome.SUCCESS:
            self.must_end("the log-in was refused")
            return None
        # what was not asked for is not granted
        data = response.data if asked.capabilities is not None else None
        granted = set((data and data.capabilities) or ())
        self.idempotent = data is not None and data.device_id == asked.device_id
        self.granted = frozenset(granted)
        self.batch = "batch" in granted
        told = data.limits.in_flight if data is not None and data.limits is not None else None
        self.window = min(self._config.in_flight, told or self._config.in_flight)
        self.numbered = "seq" in granted and data is not None and data.epoch is not None
        if self.numbered and data is not None:
            if data.resume == "reset":
                self._reset = Due("reset", oldest=data.oldest or 1, epoch=data.epoch)
            elif data.epoch != self.epoch or self.received is None:
                self.received = data.seq
                self._new_epoch(data.epoch)
        return Due("welcome")
