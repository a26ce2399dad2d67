"""A message on its way out, as an application sees it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from im_proto.client.events import Event, MessageAccepted, MessageFailed, MessageHandedOver
from im_proto.client.turns import Priority
from im_proto.errors import IMError, IMErrorCode
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
    #: it may or may not have arrived, and nobody can tell any more
    IN_DOUBT = "in_doubt"


_ENDS: Final = {
    IMErrorCode.MESSAGE_CANCELLED: SentStatus.CANCELLED,
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
    """

    __slots__ = (
        "__weakref__",
        "_cancel",
        "_status",
        "content",
        "error",
        "message_type",
        "msg_id",
        "priority",
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
        *,
        cancel: Callable[[Any], bool],
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
        self._cancel = cancel
        self._status = SentStatus.QUEUED

    @property
    def status(self) -> SentStatus:
        """What is known of it now."""
        return self._status

    @property
    def done(self) -> bool:
        """It has its end, whichever."""
        return self._status not in (SentStatus.QUEUED, SentStatus.IN_FLIGHT)

    def cancel(self) -> bool:
        """Withdraw it; True if it will not be sent.

        Works while no transport ever had it (`status` is "queued"); False otherwise.
        """
        return self._cancel(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self.to_user_id!r} msg_id={self.msg_id} {self._status}>"

    def apply(self, event: Event) -> bool:
        """Take in what the engine tells of it; True if it has its end now. Not for applications."""
        match event:
            case MessageHandedOver():
                self.msg_id, self.sends = event.msg_id, event.sends
                self._status = SentStatus.IN_FLIGHT
            case MessageAccepted():
                self.msg_id, self.sends = event.msg_id, event.sends
                self.timestamp = event.timestamp
                if event.session_id is not None:
                    self.session_id = event.session_id
                self._status = SentStatus.ACCEPTED
            case MessageFailed():
                self.msg_id = event.msg_id if event.msg_id is not None else self.msg_id
                self.error = MessageError.of(event.error, self)
                self._status = _ENDS.get(event.error.code, SentStatus.FAILED)
        return self.done

    def give_up(self, error: IMError) -> None:
        """The client has given up; the message stays queued. Not for applications."""
        raise NotImplementedError


def unanswered(sent: SentMessage, timeout: float) -> MessageError:
    """send_message() has waited so many seconds."""
    error = IMError(
        IMErrorCode.MESSAGE_TIMEOUT,
        f"no answer within {timeout:g} s; the message is not withdrawn, it is still "
        f"{'queued' if sent.status == 'queued' else 'in flight'} (see error.sent)",
    )
    return MessageError.of(error, sent)
