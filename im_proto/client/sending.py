"""What becomes of the messages that the application sends: window, answers, timeouts, doubt.

Against a server that knows the identity of a send (it echoes our deviceId), messages are
pipelined and sent again, in order, on the next connection: exactly once. Against a plain server
there is at most one unanswered message per recipient, and what the end of a link left unanswered
is sent again (at least once) or ends IN_DOUBT (at most once), as configured.
"""

from __future__ import annotations

from .. import validation
from ..config import ClientConfig
from ..errors import IMError, IMErrorCode, LocalProtocolError
from ..timers import Timers
from ..wire import (
    Blame,
    ChatAnswer,
    ChatError,
    ChatSendResponse,
    ChatSendToOne,
    Outcome,
    outcome,
)
from . import events as ev
from .backoff import base_delay
from .effects import Effects, Trouble
from .inputs import Send
from .outgoing import Outbox, Outgoing
from .timers import Timer
from .turns import PRIORITIES

#: A message that was the oldest unanswered at so many closes in a row is what the peer chokes on.
POISON_AFTER = 3


class Sending:
    """The outgoing half of a client."""

    def __init__(self, config: ClientConfig, fx: Effects, timers: Timers[Timer]) -> None:
        self._config = config
        self._fx = fx
        self._timers = timers
        self._highest_id = 0
        self._online = False
        self._window = self._most = min(config.in_flight, fx.dialect.in_flight or config.in_flight)
        self._watched: tuple[int, int] | None = None
        self._probed = False
        self._poison: tuple[int, int] = (0, 0)
        self.outbox = Outbox()
        self.blocked = False
        self.content_units = config.content_units
        #: the server knows the identity of a send
        self.idempotent = False

    # ------------------------------------------------------------ the application's wishes

    def add(self, send: Send) -> None:
        """Queue a message.

        Raises:
            IMError: QUEUE_FULL, or MESSAGE_FORMAT_ERROR for a content, recipient or type that no
                server takes.
            LocalProtocolError: the ref is in use.
        """
        if send.ref in self.outbox:
            raise LocalProtocolError(f"Send: ref {send.ref} is in use")
        if len(self.outbox) >= self._config.max_queue:
            raise IMError(
                IMErrorCode.QUEUE_FULL,
                f"{len(self.outbox)} messages wait already (max_queue); wait for some to end",
            )
        try:
            to_user = validation.user_id(send.to_user)
            validation.message_type(send.message_type)
            if send.priority not in PRIORITIES:
                raise ValueError(f"priority is one of {', '.join(PRIORITIES)}")
            if send.session_id is not None:
                validation.session_id(send.session_id)
            validation.content(send.content, self.content_units)
        except ValueError as error:
            raise IMError(IMErrorCode.MESSAGE_FORMAT_ERROR, str(error)) from None
        self.outbox.add(
            Outgoing(
                ref=send.ref,
                msg_id=self._draw_id(),
                to_user=to_user,
                content=send.content,
                message_type=send.message_type,
                session_id=send.session_id,
                priority=send.priority,
            )
        )

    def cancel(self, ref: int) -> None:
        """Withdraw a message.

        Raises:
            LocalProtocolError: it has an end, or a transport had it.
        """
        message = self.outbox.get(ref)
        if message is None:
            raise LocalProtocolError(f"Cancel: message {ref} is not pending")
        if message.state != "queued" or message.sends:
            raise LocalProtocolError(f"Cancel: message {ref} was given to a transport already")
        self._fail(message, "cancel", IMErrorCode.MESSAGE_CANCELLED, "withdrawn before it was sent")

    # ------------------------------------------------------------ the link

    def online(
        self, *, idempotent: bool, in_flight: int | None, content_units: int | None, last_id: int
    ) -> None:
        """Logged in to a server that is like this."""
        self._online = True
        self.idempotent = idempotent
        self._window = min(self._most, in_flight or self._most)
        self.content_units = content_units or self._config.content_units
        self._highest_id = max(self._highest_id, last_id)
        self.outbox.per_conversation = None if idempotent else 1
        self.outbox.wake(self._fx.now)  # rests that have ended meanwhile
        self.outbox.relist()
        if not idempotent and not self._config.resend_when_unsure:
            # they went to a server that knows the identity of a send; this one doesn't
            self._end_in_doubt(self.outbox.all_unsure())

    def offline(self, blame: Blame) -> None:
        """The link is gone. What was unanswered goes out again, or ends."""
        if not self._online:
            return
        self._online = False
        self._watched = None
        self._timers.cancel(Timer.ACK, Timer.RETRY)
        self._blame(blame)
        if not self.idempotent:
            self._doubt()
        self.outbox.link_lost()

    def pump(self) -> None:
        """Hand over what may go, and keep the deadlines of what is out."""
        if not self._online:
            return
        fx = self._fx
        if not self.blocked:
            while message := self.outbox.take(fx.now, window=self._window):
                fx.counters.retransmitted += message.sends > 1
                message.unsure_sends += not self.idempotent
                fx.say(
                    ChatSendToOne.model_construct(
                        msg_id=message.msg_id,
                        to_user=message.to_user,
                        content=message.content,
                        session_id=message.session_id,
                        message_type=message.message_type,
                    )
                )
                fx.notify(
                    ev.MessageHandedOver(
                        ref=message.ref, msg_id=message.msg_id, sends=message.sends
                    )
                )
        self._watch()

    def ack_overdue(self, probe_timeout: float, *, late: bool) -> Trouble:
        """The oldest message is unanswered for too long: probe first, then drop the link.

        Never sent again on the same connection (protocol.md section 2, "Order").
        """
        if late or not self._probed:
            self._probed = True
            self._timers.set(Timer.ACK, self._fx.now + probe_timeout)
            return Trouble.PROBE
        return Trouble.UNANSWERED

    def retry_due(self) -> None:
        """A conversation that rested after a server error may go on."""
        self.outbox.wake(self._fx.now)

    # ------------------------------------------------------------ the server's answers

    def answered(self, response: ChatSendResponse | ChatAnswer) -> Trouble | None:
        """CHAT_SEND_RESPONSE came, or the answer of a dialect without msgId."""
        if isinstance(response, ChatAnswer):
            return self._answered_unnamed(response)
        message = self.outbox.unanswered(response.msg_id)
        if message is None:
            return None
        return self._settle(message, response.code, response.message, response)

    def _answered_unnamed(self, answer: ChatAnswer) -> Trouble | None:
        """It speaks of the only message in flight; if there isn't one, nothing is guessed."""
        if outcome(answer.code) is not Outcome.SUCCESS:
            return self.refused(ChatError(code=answer.code, message=answer.message))
        message = self.outbox.oldest
        if message is not None and self.outbox.in_flight == 1:
            self._accept(message, None)
        return None

    def refused(self, error: ChatError) -> Trouble | None:
        """CHAT_ERROR_RESPONSE came.

        Without a msgId it speaks of a message only if exactly one is unanswered; else it is told
        as an error, and nothing is guessed.
        """
        message = None
        if error.msg_id is not None:
            message = self.outbox.unanswered(error.msg_id)
        elif self.outbox.in_flight == 1:
            message = self.outbox.oldest
        code = 400 if outcome(error.code) is Outcome.SUCCESS else error.code
        if message is not None:
            return self._settle(message, code, error.text, None)
        if outcome(code) is Outcome.AUTH:
            return Trouble.LOGIN_GONE
        self._fx.notify(
            ev.ErrorOccurred(
                error=IMError(
                    IMErrorCode.SERVER_ERROR,
                    "the server reports an error that names no message",
                    server_code=code,
                    server_text=error.text,
                )
            )
        )
        return None

    def _settle(
        self,
        message: Outgoing,
        code: int | None,
        words: str | None,
        response: ChatSendResponse | None,
    ) -> Trouble | None:
        kind = outcome(code)
        if kind is Outcome.SUCCESS:
            self._accept(message, response)
        elif kind is Outcome.AUTH:
            if not self.idempotent:
                # it was answered, so it was not taken: no doubt about it
                self.outbox.retry(message, None)
            return Trouble.LOGIN_GONE
        elif kind is Outcome.CONFLICT and not message.renumbered:
            self.outbox.renumber(message, self._draw_id())
        elif kind is Outcome.SERVER_ERROR and message.errors + 1 < self._config.max_sends:
            message.errors += 1
            if self.idempotent:
                return Trouble.SERVER_FAILED
            rest = base_delay(self._config.reconnect, message.errors)
            self.outbox.retry(message, self._fx.now + rest)
        else:
            error = (
                IMErrorCode.SERVER_ERROR
                if kind is Outcome.SERVER_ERROR
                else IMErrorCode.MESSAGE_SEND_FAILED
            )
            self._fail(message, "refused", error, "the server refused it", code, words)
        return None

    def _accept(self, message: Outgoing, response: ChatSendResponse | None) -> None:
        self.outbox.finish(message, "acked")
        self._fx.counters.accepted += 1
        session = response.session_id if response else None
        self._fx.notify(
            ev.MessageAccepted(
                ref=message.ref,
                msg_id=message.msg_id,
                to_user=message.to_user,
                content=message.content,
                session_id=session if session is not None else message.session_id,
                timestamp=response.timestamp if response else None,
                sends=message.sends,
            )
        )

    # ------------------------------------------------------------ ends without an answer

    def _blame(self, blame: Blame) -> None:
        """An end of the link may be a message's fault (protocol.md section 2, "Closes")."""
        oldest = self.outbox.oldest
        if blame is not Blame.OLDEST or oldest is None:
            self._poison = (0, 0)
        if oldest is None:
            return
        if blame is Blame.LARGEST:
            largest = max(self.outbox.all_unanswered(), key=lambda m: len(m.content.encode()))
            self._fail(
                largest,
                "refused",
                IMErrorCode.MESSAGE_SEND_FAILED,
                "the server closed the connection because a message was too big; this was the "
                "largest",
                1009,
            )
        elif blame is Blame.OLDEST:
            ref, count = self._poison
            count = count + 1 if ref == oldest.ref else 1
            self._poison = (oldest.ref, count)
            if count >= POISON_AFTER:
                self._poison = (0, 0)
                self._fail(
                    oldest,
                    "refused",
                    IMErrorCode.MESSAGE_SEND_FAILED,
                    f"the server closed the connection {count} times in a row over it",
                )

    def _doubt(self) -> None:
        config = self._config
        self._end_in_doubt(
            [
                message
                for message in self.outbox.all_unanswered()
                if not config.resend_when_unsure or message.unsure_sends >= config.max_sends
            ]
        )

    def _end_in_doubt(self, messages: list[Outgoing]) -> None:
        for message in messages:
            self._fail(
                message,
                "certainty_lost",
                IMErrorCode.IN_DOUBT,
                "the link was lost before the server answered; it may or may not have arrived",
            )

    def _fail(
        self,
        message: Outgoing,
        event: str,
        code: IMErrorCode,
        text: str,
        server_code: int | None = None,
        words: str | None = None,
    ) -> None:
        self.outbox.finish(message, event)
        self._fx.notify(
            ev.MessageFailed(
                ref=message.ref,
                msg_id=message.msg_id,
                to_user=message.to_user,
                content=message.content,
                error=IMError(code, text, server_code=server_code, server_text=words),
            )
        )

    # ------------------------------------------------------------ small things

    def _draw_id(self) -> int:
        """Microseconds of wall clock, but always above the last (section 2, "Identity")."""
        self._highest_id = max(self._fx.wall_us, self._highest_id + 1)
        return self._highest_id

    def _watch(self) -> None:
        oldest = self.outbox.oldest
        if oldest is None:
            self._watched = None
            self._timers.cancel(Timer.ACK)
        elif self._watched != (oldest.ref, oldest.sends):
            self._watched = (oldest.ref, oldest.sends)
            self._probed = False
            due = oldest.sent_at + self._config.timeouts.ack
            self._timers.set(Timer.ACK, max(due, self._fx.now))
        wake = self.outbox.next_wake()
        if wake is None:
            self._timers.cancel(Timer.RETRY)
        else:
            self._timers.set(Timer.RETRY, wake)
