"""A message on its way out, as an application sees it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, StrEnum, auto
from typing import Any, Final, Self

from im_proto.client.events import (
    Event,
    MessageAccepted,
    MessageFailed,
    MessageHandedOver,
    MessageQueued,
    ReceiptReceived,
)
from im_proto.client.journal import OutgoingRecord
from im_proto.client.turns import Priority
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_proto.wire import UserId


class SentStatus(StrEnum):
    """What is known of a message."""

    #: it waits here; no transport ever had it
    QUEUED = "queued"
    #: it was handed to a transport, and its answer is awaited
    IN_FLIGHT = "in_flight"
    #: the server has it, for good
    ACCEPTED = "accepted"
    #: the server, or this client, will not take it; `error` says why
    FAILED = "failed"
    #: `cancel()` withdrew it
    CANCELLED = "cancelled"
    #: its time to live ended before a transport had it
    EXPIRED = "expired"
    #: it may or may not have arrived, and nobody can tell any more
    IN_DOUBT = "in_doubt"


class Reached(Enum):
    """What one can wait for."""

    #: it is in the outbox, and with a journal on disk
    QUEUED = auto()
    #: it has its end
    END = auto()
    DELIVERED = auto()
    READ = auto()


#: Named, as to look a member of an Enum up takes 0.05 us, and these are needed for each message.
_QUEUED: Final = SentStatus.QUEUED
_IN_FLIGHT: Final = SentStatus.IN_FLIGHT
_ACCEPTED: Final = SentStatus.ACCEPTED
_END: Final = Reached.END
_ENDS: Final = {
    IMErrorCode.MESSAGE_CANCELLED: SentStatus.CANCELLED,
    IMErrorCode.MESSAGE_EXPIRED: SentStatus.EXPIRED,
    IMErrorCode.IN_DOUBT: SentStatus.IN_DOUBT,
}


class MessageError(IMError):
    """A message that was not accepted, or not in time.

    Attributes:
        sent: the `SentMessage` that it is about. It is left out when the error is pickled.
    """

    __slots__ = ("sent",)

    sent: Any

    @classmethod
    def of(cls, error: IMError, sent: object) -> MessageError:
        """The engine's error, with the message that it is about."""
        new = cls(
            error.code,
            error.text,
            server_code=error.server_code,
            server_text=error.server_text,
            retryable=error.retryable,
            terminal=error.terminal,
        )
        new.sent = sent
        return new


class SentMessage:
    """One message that was queued. An adapter adds how to wait for its end.

    Attributes:
        to_user_id: whom it is for.
        content: the text, unchanged.
        message_type: "text", "image" …
        session_id: the session asked for; once accepted, the server's.
        priority: of its conversation, as far as it waits for this message.
        msg_id: its number; None until it was handed to a transport. It may change once
            (protocol.md section 2, code 40900).
        timestamp: when the server accepted it, in milliseconds since 1970, if it says so.
        sends: how often it was handed to a transport.
        error: why it failed; None unless it did.
        key: the application's own name for it, if it has one.
        delivered_at: when a first device of the recipient had it, in milliseconds since 1970; None
            until that was told. A message that was read was delivered by then.
        read_at: when the recipient had read it; None until that was told.
        receipts: does the server that accepted it tell of these two? None: nobody knows.
    """

    __slots__ = (
        "__weakref__",
        "_cancel",
        "_delivered",
        "_handling",
        "_queued",
        "_read",
        "_status",
        "content",
        "delivered_at",
        "error",
        "key",
        "message_type",
        "msg_id",
        "priority",
        "read_at",
        "receipts",
        "ref",
        "sends",
        "session_id",
        "timestamp",
        "to_user_id",
    )

    def __init__(
        self,
        ref: int,
        to_user_id: UserId,
        content: str,
        message_type: str = "text",
        session_id: int | None = None,
        priority: Priority = "normal",
        key: str | None = None,
        cancel: Callable[[Any], bool] = lambda _: False,
        handling: Callable[[], bool] = lambda: False,
    ) -> None:
        #: the engine's name for it
        self.ref = ref
        self.to_user_id = to_user_id
        self.content = content
        self.message_type = message_type
        self.session_id = session_id
        self.priority: Priority = priority
        self.msg_id: int | None = None
        self.timestamp: int | None = None
        self.sends = 0
        self.error: MessageError | None = None
        self.key = key
        self.delivered_at: int | None = None
        self.read_at: int | None = None
        self.receipts: bool | None = None
        self._cancel = cancel
        #: is the code that asks just handling a received message?
        self._handling = handling
        self._status: SentStatus = _QUEUED
        #: what was reached; of END `done` tells
        self._queued = self._delivered = self._read = False

    @property
    def status(self) -> SentStatus:
        """What is known of it now."""
        return self._status

    @property
    def done(self) -> bool:
        """It has its end, whichever."""
        return self._status is not _QUEUED and self._status is not _IN_FLIGHT

    def cancel(self) -> bool:
        """Withdraw it; True if it will not be sent.

        Works while no transport ever had it (`status` is "queued"); False otherwise.
        """
        return self._cancel(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self.to_user_id!r} msg_id={self.msg_id} {self._status}>"

    def apply(self, event: Event) -> bool:
        """Take in what the engine tells of it; True if this is its end. Not for applications."""
        if isinstance(event, MessageQueued):
            self._queued = True
        elif isinstance(event, MessageHandedOver):
            self.msg_id, self.sends = event.msg_id, event.sends
            self._queued = True
            self._status = _IN_FLIGHT
        elif isinstance(event, MessageAccepted):
            self.msg_id, self.sends = event.msg_id, event.sends
            self.timestamp = event.timestamp
            if event.session_id is not None:
                self.session_id = event.session_id
            self._queued = True
            self._status = _ACCEPTED
            return True
        elif isinstance(event, MessageFailed):
            self.msg_id = event.msg_id if event.msg_id is not None else self.msg_id
            self._fail(event.error)
            return True
        elif isinstance(event, ReceiptReceived):
            self._delivered = True
            if self.delivered_at is None:
                self.delivered_at = event.timestamp
            if event.status == "read":
                self._read = True
                if self.read_at is None:
                    self.read_at = event.timestamp
        return False

    def restore(self, record: OutgoingRecord) -> Self:
        """Be what an earlier life has left. Not for applications."""
        self._queued = True
        if record.handed_at is not None:
            self.msg_id, self.sends = record.msg_id, max(1, record.unsure_sends)
            self._status = _IN_FLIGHT
        if record.end is None:
            return self
        self.timestamp = record.timestamp
        if record.end == "accepted":
            self.msg_id = record.msg_id
            self._status = _ACCEPTED
            return self
        known = record.error_code in IMErrorCode.__members__
        error = IMError(
            IMErrorCode[record.error_code or ""] if known else IMErrorCode.UNKNOWN_ERROR,
            record.error_text or "",
            server_code=record.server_code,
            server_text=record.server_text,
        )
        self._fail(error)
        return self

    def _fail(self, error: IMError) -> None:
        self.error = MessageError.of(error, self)
        self._status = _ENDS.get(error.code, SentStatus.FAILED)

    def _has(self, wanted: Reached) -> bool:
        if wanted is _END:
            return self.done
        if wanted is Reached.QUEUED:
            return self._queued
        return self._delivered if wanted is Reached.DELIVERED else self._read

    def check_receipts(self) -> None:
        """May this code wait for a receipt? Not for applications.

        Raises:
            LocalProtocolError: it would keep the receipt from coming, or none is told.
        """
        if self._handling():
            raise LocalProtocolError(
                "a receipt can't be awaited where a received message is handled: it may lie behind "
                "messages that wait for this one. Await it in a task or thread of its own"
            )
        if self.done and self.receipts is False:
            raise LocalProtocolError("the server that accepted the message tells no receipts")

    def is_over(self, wanted: Reached) -> bool:
        """Is that reached, or can't it be any more? Not for applications."""
        if self._has(wanted) or self.error is not None:
            return True
        return self.done and self.receipts is False

    def outcome(self, wanted: Reached) -> Self:
        """This, if that is reached. Not for applications.

        Raises:
            IMError: its `error`, for one that has failed before.
            LocalProtocolError: the server tells no receipts.
        """
        if self._has(wanted) and (wanted is not _END or self.error is None):
            return self
        if self.error is not None:
            raise self.error.with_traceback(None)
        raise LocalProtocolError("the server that accepted the message tells no receipts")

    def give_up(self, error: IMError) -> None:
        """The client has given up; the message stays queued. Not for applications."""
        raise NotImplementedError

    def close(self, error: IMError) -> None:
        """The client is closed, for good: nobody waits any more. Not for applications."""
        raise NotImplementedError


def unanswered(sent: SentMessage, timeout: float) -> MessageError:
    """send_message() has waited so many seconds."""
    error = IMError(
        IMErrorCode.MESSAGE_TIMEOUT,
        f"no answer within {timeout:g} s; the message is not withdrawn, it is still "
        f"{'queued' if sent.status == 'queued' else 'in flight'} (see error.sent)",
    )
    return MessageError.of(error, sent)
