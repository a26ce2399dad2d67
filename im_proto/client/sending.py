"""What becomes of the messages that the application sends: window, answers, timeouts, doubt.

Against a server that knows the identity of a send (it echoes our deviceId), messages are
pipelined and sent again, in order, on the next connection: exactly once. Against a plain server
there is at most one unanswered message per recipient, and what the end of a link left unanswered
is sent again (at least once) or ends IN_DOUBT (at most once), as configured.
"""

from __future__ import annotations

import math
from typing import Final

from ..errors import IMError, IMErrorCode, LocalProtocolError
from ..wire import (
    Blame,
    ChatAnswer,
    ChatError,
    ChatSendResponse,
    ChatSendToOne,
    MessageStatusResponse,
    Outcome,
    ServerLimits,
    StatusItem,
    UserId,
    outcome,
)
from . import events as ev
from .backoff import base_delay
from .effects import Trouble
from .ends import Ends
from .inputs import Send
from .journal import OutgoingRecord
from .made import message_accepted, message_handed_over
from .message import Outgoing
from .timers import Timer

_send_to_one: Final = ChatSendToOne.whole
_SUCCESS: Final = Outcome.SUCCESS
_ACK: Final = Timer.ACK
_RETRY: Final = Timer.RETRY


class Sending(Ends):
    """The outgoing half of a client."""

    __slots__ = ()

    # ------------------------------------------------------------ the application's wishes

    def add(self, send: Send) -> None:
        """Queue a message.

        Raises:
            IMError: QUEUE_FULL, or MESSAGE_FORMAT_ERROR for a content, recipient or type that no
                server takes.
            LocalProtocolError: the ref is in use, or the key for another message.
        """
        if self._last_ref is not None and send.ref <= self._last_ref:
            raise LocalProtocolError(
                f"Send: refs rise where there is a journal; after {self._last_ref} came {send.ref}"
            )
        message = self.admission.look_at(send)
        if message is None:
            return
        dropped = self.admission.make_room(message)
        if dropped is None and not send.wait:
            raise self.admission.full()
        if self._last_ref is not None:
            self._last_ref = send.ref
        if message.key is not None:
            self.recording.forget_old_keys()
            self.keys.take(message.key, message.ref)
        if message.expires_at is not None:
            self.expiry.add(message.expires_at / 1000 - self._fx.wall_offset, message.ref)
        if dropped is None:
            self.admission.wait(message)
            return
        for other in dropped:
            self._fail(
                other,
                "refused",
                IMErrorCode.QUEUE_FULL,
                f"the outbox is full, and another message took its place "
                f"(when_queue_full={self._config.when_queue_full!r})",
            )
        self._admit(message)

    def _admit(self, message: Outgoing) -> None:
        message.msg_id = self._draw_id()
        self.outbox.add(message)
        self.recording.added(message)

    def cancel(self, ref: int) -> None:
        """Withdraw a message.

        Raises:
            LocalProtocolError: it has an end, or a transport had it.
        """
        text = "withdrawn before it was sent"
        if ref in self.admission.line:
            self._fail_in_line(ref, "cancel", IMErrorCode.MESSAGE_CANCELLED, text)
            return
        message = self.outbox.get(ref)
        if message is None:
            raise LocalProtocolError(f"Cancel: message {ref} is not pending")
        if message.state != "queued" or message.sends:
            raise LocalProtocolError(f"Cancel: message {ref} was given to a transport already")
        self._fail(message, "cancel", IMErrorCode.MESSAGE_CANCELLED, text)

    def ref_of_key(self, key: str) -> int | None:
        """The message that was sent with that key."""
        return self.keys.ref_of(key, self._fx.wall_us // 1000)

    def restored(self) -> list[OutgoingRecord]:
        """What an earlier process has left, in the order of refs; [] after the first step."""
        return list(self._left)

    # ------------------------------------------------------------ the link

    def online(
        self,
        *,
        idempotent: bool,
        status: bool,
        last_id: int,
        limits: ServerLimits | None,
    ) -> None:
        """Logged in to a server that is like this: it knows the identity of a send, it can be asked
        what became of one, it has these limits if it tells any."""
        self._online = True
        self.idempotent = idempotent
        self._window = min(self._most, limits.in_flight) if limits else self._most
        units = limits.content_units if limits else self._config.content_units
        self.admission.content_units = units
        self.recording.highest_id = max(self.recording.highest_id, last_id)
        self.outbox.per_conversation = None if idempotent else 1
        self.outbox.moved = True
        self._settle_unsure(limits, status=status and idempotent)
        self.outbox.wake(self._fx.now)  # rests that have ended meanwhile
        self.outbox.relist()

    def _settle_unsure(self, limits: ServerLimits | None, *, status: bool) -> None:
        """What of the messages that may have arrived is asked for, and what can't be known."""
        self._end_in_doubt(self._strange)
        self._strange = []
        unsure = self.outbox.all_unsure()
        remembered = limits.dedupe_seconds if limits else math.inf
        config = self._config
        if status:
            # asked early, as what is not asked for may have to wait for its turn
            asked = [m for m in unsure if m.of_before or self._age(m) > remembered / 2]
            frame_bytes = (limits or ServerLimits()).frame_bytes
            self.status.begin(asked, frame_bytes=frame_bytes)
            self.outbox.hold(self.status.users)
        elif self.idempotent:
            self._end_in_doubt([m for m in unsure if self._age(m) > remembered])
        else:
            enough = config.max_sends if config.resend_when_unsure else 0
            self._end_in_doubt([m for m in unsure if m.unsure_sends >= enough])

    def _age(self, message: Outgoing) -> float:
        """Seconds since it was first handed over, by the clock that says more."""
        fx, first_at = self._fx, message.first_at
        by_wall = fx.wall_us / 1_000_000 - (message.handed_at or 0) / 1000
        return by_wall if first_at is None else max(by_wall, fx.now - first_at)

    def offline(self, blame: Blame) -> None:
        """The link is gone. What was unanswered goes out again, or ends."""
        if not self._online:
            return
        self._online = False
        self._watched = None
        self._timers.cancel(Timer.ACK, Timer.RETRY)
        self.status.stop()
        self.outbox.hold(set())
        self._blame(blame)
        if not self.idempotent:
            self._doubt()
        self.outbox.link_lost()

    def pump(self) -> None:
        """At the end of each step: let messages expire, come in, be written down and go out as far
        as they may, and keep the deadlines of all that."""
        outbox, admission, expiry = self.outbox, self.admission, self.expiry
        if self._left:
            self._left = []
        expiring = bool(expiry.heap)
        if expiring:
            for ref in expiry.due(self._fx.now):
                self._expire(ref)
        while admission.line and (message := admission.next_in_line()):
            self._admit(message)
        going = self._online and not self.blocked
        if going:
            if self.status.open:
                self.status.pump()
            going = bool(outbox.turns.waiting or outbox.turn_has_come)
        if going:
            taken = outbox.take(window=self._window)
            self.recording.turns_have_come(taken, unsure=not self.idempotent)
        if self._journaled:
            self.recording.pump()
        if going and (ready := outbox.to_hand_over()):
            self._hand_over(ready)
        if self._online and outbox.moved:
            outbox.moved = False
            self._watch()
        if outbox.touched:
            outbox.touched = False
            admission.tell()
        if expiring or expiry.heap:
            expiry.watch(self._expires)

    def _hand_over(self, ready: list[Outgoing]) -> None:
        """Whose turn has come goes, if the journal has what it has to have first; nobody overtakes
        another of the same conversation."""
        fx, outbox, written = self._fx, self.outbox, self.recording.written
        idempotent = self.idempotent
        waits: set[UserId] = set()
        said = []
        for message in ready:
            if (message.ticket or 0) > written or message.to_user in waits:
                waits.add(message.to_user)
                continue
            outbox.hand_over(message, fx.now)
            msg_id, sends = message.msg_id, message.sends
            if sends > 1:
                fx.counters.retransmitted += 1
            if not idempotent:
                message.unsure_sends += 1
            said.append(
                _send_to_one(
                    {
                        "msg_id": msg_id,
                        "to_user": message.to_user,
                        "content": message.content,
                        "session_id": message.session_id,
                        "message_type": message.message_type,
                    }
                )
            )
            fx.notify(message_handed_over(message.ref, msg_id, sends))
        fx.say(*said)

    def ack_overdue(self, probe_timeout: float, *, late: bool) -> Trouble:
        """The oldest message is unanswered for too long: probe first, then drop the link.

        Never sent again on the same connection (protocol.md section 2, "Order").
        """
        if late or not self._probed:
            self._probed = True
            self._timers.set(Timer.ACK, self._fx.now + probe_timeout)
            return Trouble.PROBE
        return Trouble.UNANSWERED

    def status_overdue(self, probe_timeout: float, *, late: bool) -> Trouble:
        """The server has not said what became of messages: as with the answer to one."""
        return self.status.overdue(probe_timeout, late=late)

    def retry_due(self) -> None:
        """A conversation that rested after a server error may go on."""
        self.outbox.wake(self._fx.now)

    # ------------------------------------------------------------ the server's answers

    def answered(self, response: ChatSendResponse | ChatAnswer) -> Trouble | None:
        """CHAT_SEND_RESPONSE came, or the answer of a dialect without msgId."""
        if not isinstance(response, ChatSendResponse):
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

    def told_status(self, response: MessageStatusResponse) -> None:
        """MESSAGE_STATUS_RESPONSE came: what was unsure is settled, and its conversations go on."""
        for message, item in self.status.answered(response):
            if item is None or item.status == "forgotten":
                self._end_in_doubt([message])
            elif item.status == "never":
                message.unsure = message.of_before = False
            else:
                self._accept(message, item)
        self.outbox.hold(self.status.users)

    def _settle(
        self,
        message: Outgoing,
        code: int | None,
        words: str | None,
        response: ChatSendResponse | None,
    ) -> Trouble | None:
        kind = outcome(code)
        if kind is _SUCCESS:
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

    def _accept(self, message: Outgoing, response: ChatSendResponse | StatusItem | None) -> None:
        self.outbox.finish(message, "acked" if message.state == "in_flight" else "found")
        self._fx.counters.accepted += 1
        session = response.session_id if isinstance(response, ChatSendResponse) else None
        timestamp = response.timestamp if response is not None else None
        if self._journaled or message.key is not None:
            self.recording.accepted(message, timestamp)
        self._fx.notify(
            message_accepted(
                message.ref,
                message.msg_id,
                message.to_user,
                message.content,
                message.session_id if session is None else session,
                timestamp,
                message.sends,
            )
        )

    # ------------------------------------------------------------ small things

    def _draw_id(self) -> int:
        """Microseconds of wall clock, but always above the last (section 2, "Identity")."""
        fx, recording = self._fx, self.recording
        wall_us = int((fx.now + fx.wall_offset) * 1_000_000)
        highest = recording.highest_id
        recording.highest_id = msg_id = wall_us if wall_us > highest else highest + 1
        return msg_id

    def _watch(self) -> None:
        oldest = self.outbox.oldest
        watched = self._watched
        if oldest is None:
            if watched is not None:
                self._watched = None
                self._timers.cancel(_ACK)
        elif watched is None or watched[0] != oldest.ref or watched[1] != oldest.sends:
            self._watched = (oldest.ref, oldest.sends)
            self._probed = False
            due = oldest.sent_at + self._config.timeouts.ack
            self._timers.set(_ACK, max(due, self._fx.now))
        wake = self.outbox.wake_at
        if wake == self._timers.get(_RETRY):
            return
        if wake is None:
            self._timers.cancel(Timer.RETRY)
        else:
            self._timers.set(Timer.RETRY, wake)
