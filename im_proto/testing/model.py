"""What a client promises, as simply as it can be said: the reference of `ClientEngineMachine`.

A model decides nothing. It is told what went in, is shown what came out, and says in words, as an
AssertionError, what does not follow. It knows messages and events; transports, bytes and time are
the machine's part. What follows from what the server says stands in `heard`; the server's model
is in `server_model`.
"""

from __future__ import annotations

from ..client import events as ev
from ..client import inputs as inp
from ..config import ClientConfig
from ..errors import IMErrorCode
from ..wire import (
    AuthRequest,
    ChatAck,
    ChatReadReceipt,
    ChatRedirectToUser,
    ChatSendToOne,
    Message,
    ReadSync,
    ReceiptPush,
    SessionRequest,
    SyncRequest,
    Unknown,
    UserId,
    user_id,
)
from .heard import Heard, Push, Sent


class ClientModel(Heard):
    """A client's promises.

    Attributes:
        wants_link: it has a link or is trying to get one.
        ended: the refs of messages that have an end. None has two.
        calls: calls about sessions that have no answer yet.
        behind: the application was told that it is behind, and not that it is no more.
        paused: the socket is not read.
    """

    def __init__(self, config: ClientConfig) -> None:
        super().__init__(config)
        self.wants_link = False
        self.ended: set[int] = set()
        self.calls: set[int] = set()
        self.behind = self.paused = False
        self._taken: set[int] = set()
        self._deliveries = 0
        #: by delivery, how often it was offered; and what the application has just failed on
        self._offers: dict[int, int] = {}
        self._failed_on: int | None = None
        #: what the user has read: by who wrote, up to which message
        self._read: dict[UserId, int] = {}
        self._cancelled: int | None = None
        self._new_token = False
        #: by ref, messages that wait for room in the outbox
        self.line: dict[int, Sent] = {}
        self._filling = False
        #: the Send of this step, until it is clear what became of it; and every key that was used
        self._sent: inp.Send | None = None
        self._keys: set[str] = set()

    @property
    def may_connect(self) -> bool:
        """It wants a link, or has just got a token, which leaves a refused log-in behind."""
        return self.wants_link or self._new_token

    def link_gone(self) -> None:
        """The client has said goodbye, or its transport is gone: there is nothing to read from."""
        super().link_gone()
        self.paused = False

    # ------------------------------------------------------------ what goes in

    def took(self, event: inp.Input) -> None:
        """The engine took an input and did not refuse it."""
        self._cancelled = None
        if isinstance(event, inp.Connect):
            self.wants_link = True
        elif isinstance(event, inp.Disconnect):
            self.wants_link = False
        elif isinstance(event, inp.UpdateToken):
            self._new_token = True
        elif isinstance(event, inp.Send):
            self._sent = event
            self.ended.discard(event.ref)
        elif isinstance(event, inp.Cancel):
            message = self.pending.get(event.ref) or self.line.get(event.ref)
            assert message is not None, f"withdrew message {event.ref}, which is not pending"
            assert not message.sends, f"withdrew message {event.ref}, which a transport had"
            self._cancelled = event.ref
        elif isinstance(event, inp.SessionCall):
            self.calls.add(event.ref)
        elif isinstance(event, inp.MessageHandled) and event.ok:
            self.unhandled.pop(event.delivery, None)
        elif isinstance(event, inp.MessageHandled) and event.delivery in self.unhandled:
            self._failed_on = event.delivery
        elif isinstance(event, inp.MarkRead):
            user = user_id(event.from_user)
            self._read[user] = max(self._read.get(user, 0), event.msg_id)
        elif isinstance(event, inp.MessageTaken) and event.delivery in self.unhandled:
            self._taken.add(event.delivery)

    def may_refuse(self, event: inp.Input) -> bool:
        """May the engine refuse this, in this state?"""
        if isinstance(event, inp.Cancel):
            message = self.pending.get(event.ref) or self.line.get(event.ref)
            return message is None or message.sends > 0
        return isinstance(
            event,
            inp.Send
            | inp.UpdateToken
            | inp.SessionCall
            | inp.MarkRead
            | inp.SetTyping
            | inp.TransportOpened
            | inp.TransportFailed,
        )

    # ------------------------------------------------------------ what the server is owed

    def wrote(self, message: Message) -> None:
        """The client has said this to the server."""
        if isinstance(message, AuthRequest) and self.logged_in:
            while self._skip():  # what came in before was read before
                pass
            assert "refresh" in self.granted, "a new token, which nobody takes on a live link"
            assert not self.renewing, "a new token, and the one before has no answer"
            self.renewing = True
            return
        if isinstance(message, AuthRequest):
            assert not self.logged_in and self.asked is None, "a second log-in on one link"
            self.asked = message
            if message.resume is not None:
                assert message.resume.epoch == self.epoch, "resumes in a mailbox that is no more"
                self._check_cursor(message.resume.seq, "resumes")
            return
        assert self.logged_in, f"{message.kind} before the log-in"
        if isinstance(message, ChatSendToOne):
            sent = self.pending[self.flying[message.msg_id]]
            assert (message.to_user, message.content) == (sent.to_user, sent.content), "altered"
        elif isinstance(message, ChatAck):
            assert self.numbered, "an ack that was not granted"
            self._check_cursor(message.seq, "acknowledges")
        elif isinstance(message, ChatReadReceipt):
            read = self._read.get(message.from_user, 0)
            assert message.msg_id <= read, f"marks {message.msg_id} as read, the user has not"
        elif isinstance(message, SessionRequest):
            assert "sessions" in self.granted, "a call over a link that takes none"
            assert self.calls, "a call about sessions that nobody made"
            assert message.id not in self.questions, "the id of a call is in use"
            self.questions.add(message.id)
        elif isinstance(message, SyncRequest):
            if self._asked_early:
                self._asked_early = False
                return
            self._advance("hole")
            assert message.after == self.received, "asks for what it has, or leaves a hole"
            self.syncing = True

    def _check_cursor(self, seq: int, verb: str) -> None:
        while seq > (self.received or 0) and self._skip():
            pass  # what this device sent itself is heard of by nobody
        waiting = [held for held in self.unhandled.values() if held is not None]
        if self.received is not None and self.received < seq <= self.perhaps:
            self.received = seq
        assert seq <= (self.received or 0), f"{verb} {seq}, which never came"
        assert all(seq < held for held in waiting), f"{verb} {seq}, which is not handled"

    # ------------------------------------------------------------ what the application hears

    def saw(self, event: ev.Event) -> None:
        """The application was told this."""
        if isinstance(event, ev.Authenticated):
            self._advance("welcome")
            self.logged_in = True
        elif isinstance(event, ev.MessageReceived | ev.MessageUndeliverable):
            self._received(event)
        elif isinstance(
            event, ev.OwnMessage | ev.ReceiptReceived | ev.ReadElsewhere | ev.UnknownMessage
        ):
            self._told(event, self._advance("told").push)
        elif isinstance(event, ev.DuplicateSuppressed):
            push = self._advance("repeat").push
            assert push is not None and push.seq == event.seq, "another message was a repeat"
        elif isinstance(event, ev.MessagesMayBeMissing):
            self._begin_again(event.oldest)
        elif isinstance(event, ev.MessageDropped):
            assert event.delivery in self.unhandled, "dropped what was handled"
            assert event.delivery not in self._taken, "dropped what the application had begun with"
            del self.unhandled[event.delivery]
        elif isinstance(event, ev.ReadingPaused):
            assert not self.behind, "told twice that it is behind"
            assert event.unhandled == len(self.unhandled), "counts what is unhandled wrongly"
            self.behind = True
        elif isinstance(event, ev.ReadingResumed):
            assert self.behind, "is no more behind, and never was"
            self.behind = False
        elif isinstance(event, ev.MessageQueued):
            self._queued(event.ref)
        elif isinstance(event, ev.OutboxFilling | ev.OutboxDrained):
            assert event.messages == len(self.pending), "counts the outbox wrongly"
            assert event.bytes == self._bytes, "counts the outbox's bytes wrongly"
            filling = isinstance(event, ev.OutboxFilling)
            assert filling != self._filling, f"{event} twice"
            self._filling = filling
        elif isinstance(event, ev.MessageHandedOver):
            self._handed_over(event)
        elif isinstance(event, ev.MessageAccepted):
            assert self._advance("accepted").ref == event.ref, "another message was accepted"
            sent = self._end(event.ref)
            assert (event.to_user, event.content) == (sent.to_user, sent.content)
        elif isinstance(event, ev.MessageFailed):
            self._failed(event)
        elif isinstance(event, ev.ErrorOccurred) and event.error.terminal:
            self.wants_link = False
        elif isinstance(event, ev.TokenRefreshed):
            self._advance("renewed")
        elif isinstance(event, ev.SessionFetched | ev.HistoryFetched | ev.SessionFailed):
            assert event.ref in self.calls, f"call {event.ref} ended twice, or was never made"
            self.calls.discard(event.ref)

    def _received(self, event: ev.MessageReceived | ev.MessageUndeliverable) -> None:
        delivery, failed_on = event.delivery, self._failed_on
        most = self._config.handler_attempts
        if isinstance(event, ev.MessageUndeliverable):
            assert delivery == failed_on, "given up, and nobody has failed on it"
            assert event.attempts == self._offers[delivery] == most, "given up too early, or late"
            self._failed_on = None
            del self.unhandled[delivery]
        elif failed_on is not None:
            self._offers[delivery] = self._offers.get(delivery, 0) + 1
            assert delivery == failed_on, "failed on another message than what is offered again"
            assert event.redelivered and event.attempt == self._offers[delivery] <= most
            self._failed_on = None
            self._taken.discard(delivery)
        else:
            push = self._advance("message").push
            assert isinstance(push, ChatRedirectToUser)
            seq = push.seq if self.numbered else None
            said = (push.content, push.from_user, push.msg_id, seq)
            told = (event.content, event.from_user, event.msg_id, event.seq)
            assert said == told, f"delivered {told}, the server sent {said}"
            assert delivery > self._deliveries, "a delivery's name was used again"
            assert event.attempt == 1 and not event.redelivered, "nobody has seen it before"
            self._offers[delivery] = 1
            self._deliveries = delivery
            self.unhandled[delivery] = seq

    def _told(
        self,
        event: ev.OwnMessage | ev.ReceiptReceived | ev.ReadElsewhere | ev.UnknownMessage,
        push: Push | None,
    ) -> None:
        """What is no message for the application: as the server said it."""
        if isinstance(event, ev.OwnMessage):
            assert isinstance(push, ChatRedirectToUser) and self.own_copy(push), "not of this user"
            said: tuple[object, ...] = (push.content, push.to_user, push.msg_id, push.seq)
            told: tuple[object, ...] = (event.content, event.to_user, event.msg_id, event.seq)
        elif isinstance(event, ev.ReceiptReceived):
            assert isinstance(push, ReceiptPush), "a receipt that nobody sent"
            said, told = (
                (tuple(push.msg_ids), push.user, push.status),
                (event.msg_ids, event.user, event.status),
            )
        elif isinstance(event, ev.ReadElsewhere):
            assert isinstance(push, ReadSync), "read elsewhere, and nobody said so"
            said, told = (push.from_user, push.msg_id), (event.from_user, event.msg_id)
        else:
            assert isinstance(push, Unknown), "an unknown type that nobody sent"
            said, told = (push.kind,), (event.kind,)
        assert said == told, f"told {told}, the server sent {said}"

    @property
    def _bytes(self) -> int:
        return sum(sent.size for sent in self.pending.values())

    def _queued(self, ref: int) -> None:
        send = self._sent
        if send is not None and send.ref == ref:
            assert not self.line, f"message {ref} got in ahead of those that wait"
            self.pending[ref] = self._message(send)
            self._sent = None
        else:
            assert next(iter(self.line), None) == ref, f"message {ref} is not the first in line"
            self.pending[ref] = self.line.pop(ref)

    def _message(self, send: inp.Send) -> Sent:
        if send.key is not None:
            self._keys.add(send.key)
        expires = send.ttl is not None or self._config.time_to_live is not None
        return Sent(send.ref, user_id(send.to_user), send.content, expires=expires)

    def _handed_over(self, event: ev.MessageHandedOver) -> None:
        message = self.pending[event.ref]
        while (why := self._why_not(message)) and self._skip():
            pass
        assert not why, f"handed over message {event.ref}: {why}"
        while self._frame:  # what one text says was read before anything was handed over
            self._skip()
        message.sends += 1
        assert event.sends == message.sends, "counts its sends wrongly"
        known = message.renumbered is False and message.msg_id is not None
        assert not known or message.msg_id == event.msg_id, "a new msgId unasked"
        message.msg_id = event.msg_id
        self.flying[event.msg_id] = event.ref

    def _why_not(self, message: Sent) -> str:
        """Why a message may not be handed over now; "" if it may."""
        if not self.logged_in:
            return "nobody is logged in"
        refs = self.flying.values()
        if message.ref in refs:
            return "it is unanswered on this link"
        if len(refs) >= self.window:
            return f"{len(refs)} are unanswered, the window is {self.window}"
        if not self.idempotent and any(
            self.pending[ref].to_user == message.to_user for ref in refs
        ):
            return "another one to the same recipient is unanswered at a plain server"
        for earlier in self.pending.values():
            if earlier.ref == message.ref:
                return ""
            if earlier.to_user == message.to_user and earlier.ref not in refs:
                return f"it overtakes message {earlier.ref} to the same recipient"
        return "it is not pending"

    def _failed(self, event: ev.MessageFailed) -> None:
        code, ref = event.error.code, event.ref
        sent = self.pending.get(ref) or self.line.get(ref)
        if code is IMErrorCode.MESSAGE_CANCELLED:
            assert self._cancelled == ref, f"message {ref} was withdrawn by nobody"
        elif code is IMErrorCode.MESSAGE_EXPIRED:
            assert sent is not None and sent.expires, f"message {ref} had time"
            assert not sent.sends, f"message {ref} expired, which a transport had"
        elif code is IMErrorCode.QUEUE_FULL:
            assert self._config.when_queue_full != "reject", f"message {ref} was dropped"
            assert self._sent is not None, f"message {ref} was dropped for nobody"
            assert sent is not None and not sent.sends, f"dropped {ref}, which a transport had"
        elif code is IMErrorCode.IN_DOUBT:
            assert sent is not None and sent.sends, f"message {ref} in doubt, but never sent"
            config = self._config
            enough = not config.resend_when_unsure or sent.sends >= config.max_sends
            # the server may remember sends for less time than has gone by
            enough |= self.asked is not None and self.asked.capabilities is not None
            assert enough, f"message {ref} given up after {sent.sends} of {config.max_sends} sends"
        else:
            due = self._advance("failed", "closed", ref=ref)
            if due.what == "closed":  # a close may be a message's fault
                assert ref in self.flying.values(), f"message {ref} failed for nothing"
        self._end(ref)

    def _end(self, ref: int) -> Sent:
        assert ref not in self.ended, f"message {ref} ended twice"
        sent = self.pending.pop(ref, None) or self.line.pop(ref, None)
        assert sent is not None, f"message {ref} ended, which nobody sent"
        self.ended.add(ref)
        self.flying = {msg_id: other for msg_id, other in self.flying.items() if other != ref}
        return sent

    def _begin_again(self, oldest: int) -> None:
        """The mailbox was reset, or a hole is given up: it goes on with `oldest`."""
        due, self._reset = self._reset, None
        if due is None:
            due = self._advance("reset", "hole")
            if due.what == "hole" and due.oldest != oldest:  # asked for, and answered at once
                self.syncing = self._asked_early = True
                due = self._advance("reset")
        assert due.oldest == oldest, f"told of {oldest}, the server said {due.oldest}"
        self.received = max(oldest, 1) - 1
        if due.push is not None:
            self._frame.appendleft(due.push)
        else:
            self._new_epoch(due.epoch)

    # ------------------------------------------------------------ after a step

    def _settle_sent(self) -> None:
        """What was sent is in the outbox, in line for it, or known by its key; the outbox keeps its
        bounds."""
        send, self._sent = self._sent, None
        if send is not None and (send.key is None or send.key not in self._keys):
            assert send.wait, f"message {send.ref} was taken, and nobody was told that it is safe"
            self.line[send.ref] = self._message(send)
        config, messages, size = self._config, len(self.pending), self._bytes
        assert messages <= config.max_queue, "more messages wait than max_queue"
        assert size <= config.max_queue_bytes, "more bytes wait than max_queue_bytes"
        for first in list(self.line.values())[:1]:
            fits = messages < config.max_queue and size + first.size <= config.max_queue_bytes
            assert not fits, "there is room, and somebody waits"
        most, most_bytes = config.max_queue, config.max_queue_bytes
        if self._filling:
            assert messages >= most * 0.5 or size >= most_bytes * 0.5, "nobody said: drained"
        else:
            assert messages < most * 0.8 and size < most_bytes * 0.8, "nobody said: filling"

    def settled(self, status: ev.Status, *, link_up: bool) -> None:
        """The step is over, and the engine says that it is in this state."""
        if link_up:
            while self._skip():
                pass
            assert not self._must_end, f"the link is still up: {self._must_end}"
            assert not self._asked_early, "there is a hole, and nobody asks for what is missing"
            assert self._reset is None, "nobody was told that messages may be missing"
        assert self._failed_on is None, "the application has failed, and nothing came of it"
        self._heard.clear()
        self._frame.clear()
        self._reset, self._must_end = None, ""
        connected = status is not ev.Status.DISCONNECTED
        if self._new_token:  # it may leave the terminal state of a refused log-in
            self.wants_link |= connected
            self._new_token = False
        assert connected == self.wants_link, f"{status}, wants a link: {self.wants_link}"
        assert (status is ev.Status.AUTHENTICATED) >= self.logged_in, "logged in unknowingly"
        config, waiting = self._config, len(self.unhandled)
        self._settle_sent()
        if config.when_full == "drop_oldest":
            over = waiting > config.max_unhandled
            assert not over or self.unhandled.keys() <= self._taken, "more wait than max_unhandled"
            assert not self.behind, "is behind, and may drop"
        elif self.logged_in:
            over = waiting > (
                config.max_unhandled // 2 if self.behind else config.max_unhandled - 1
            )
            assert over == self.behind, f"{waiting} are unhandled, told of it: {self.behind}"
        awaiting = bool(self.pending) or self.syncing
        may_pause = self.logged_in and self.behind and not awaiting
        assert may_pause or not self.paused, "reading is paused for nothing"
        # an answer to these may be awaited, too, or be given up by now
        may_read = not may_pause or self.renewing or bool(self.questions)
        assert self.paused or may_read, "goes on reading although much is unhandled"
