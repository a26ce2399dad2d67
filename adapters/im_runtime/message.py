"""A received message, as an application sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from im_proto.client.events import MessageReceived, MessageUndeliverable
from im_proto.errors import LocalProtocolError
from im_proto.wire import UserId

from .transaction import Transaction


@dataclass(frozen=True, slots=True)
class Message:
    """A message that came in (protocol.md section 1, CHAT_REDIRECT_TO_USER_REQUEST).

    Attributes:
        content: the text, as its sender wrote it.
        from_user: who sent it; None if a plain server did not say.
        session_id: the session that it belongs to, if any.
        msg_id: the sender's number of it, if the server passed it on.
        message_type: "text", "image" …
        timestamp: when the server accepted it, in milliseconds since 1970, if it says so.
        seq: its place in this user's mailbox; None from a plain server.
        delivery: the engine's name for it, by which it is acknowledged. Not for applications.
        redelivered: the application may have seen it before: its handler has failed, or the
            process has ended while it was being handled.
        attempt: how often this client has offered it, from 1.
    """

    content: str
    from_user: UserId | None = None
    session_id: int | None = None
    msg_id: int | None = None
    message_type: str = "text"
    timestamp: int | None = None
    seq: int | None = None
    delivery: int = field(default=0, repr=False, compare=False)
    redelivered: bool = False
    attempt: int = 1
    #: as the journal had it when this came: what `seq` means. Not for applications.
    resets: int = field(default=0, repr=False, compare=False)
    _desk: Desk | None = field(default=None, repr=False, compare=False)

    def ack(self) -> None:
        """It is handled: it will not come again. In any order, from anywhere, and twice is no
        error.

        With `config.ack="manual"` this is the only way to say so; with "auto" it says so early.

        Raises:
            LocalProtocolError: no client has given it, or the client is closed.
        """
        self._of_a_client().settle(self, True)

    def _of_a_client(self) -> Desk:
        if self._desk is None:
            raise LocalProtocolError("this message is of no client")
        return self._desk

    @classmethod
    def of(cls, event: MessageReceived | MessageUndeliverable, desk: Desk | None = None) -> Self:
        """The message of an engine's event; `desk` takes its end. Not for applications."""
        if isinstance(event, MessageReceived):
            redelivered, attempt = event.redelivered, event.attempt
        else:
            redelivered, attempt = True, event.attempts
        # A field of a frozen class takes 0.1 us to set, so it is frozen when they all are.
        made: Any = _Open()
        made.content = event.content
        made.from_user = event.from_user
        made.session_id = event.session_id
        made.msg_id = event.msg_id
        made.message_type = event.message_type
        made.timestamp = event.timestamp
        made.seq = event.seq
        made.delivery = event.delivery
        made.redelivered = redelivered
        made.attempt = attempt
        made.resets = 0 if desk is None else desk.resets()
        made._desk = desk
        made.__class__ = cls
        message: Self = made
        return message


class _Open:
    """A message whose fields are being set: it lies in memory as `Message` does."""

    __slots__ = Message.__slots__


class Desk:
    """Where a client's messages go when the application is done with them.

    Args:
        settle: takes a message, and whether it was handled (True) or has failed; in any thread.
        begin: makes a transaction for a message.
        resets: how often the numbers of the mailbox have got another meaning, as the journal has it
            now.
    """

    __slots__ = ("begin", "resets", "settle")

    def __init__(
        self,
        settle: Callable[[Any, bool], None],
        begin: Callable[[Any], Transaction],
        resets: Callable[[], int],
    ) -> None:
        self.settle = settle
        self.begin = begin
        self.resets = resets
