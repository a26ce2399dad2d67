"""One message on its way out, from the application's hand to its end."""

from __future__ import annotations

from typing import Final

from ..machines import DELIVERY
from ..wire import UserId
from .journal import OutgoingRecord
from .turns import Priority

_next: Final = DELIVERY.next


class Outgoing:
    """One message that has no end yet."""

    __slots__ = (
        "content",
        "dirty",
        "errors",
        "expires_at",
        "first_at",
        "handed_at",
        "key",
        "message_type",
        "msg_id",
        "not_before",
        "of_before",
        "place",
        "priority",
        "ref",
        "renumbered",
        "sends",
        "sent_at",
        "session_id",
        "size",
        "state",
        "ticket",
        "to_user",
        "unsure",
        "unsure_sends",
    )

    def __init__(
        self,
        *,
        ref: int,
        msg_id: int,
        to_user: UserId,
        content: str,
        message_type: str,
        session_id: int | None,
        priority: Priority = "normal",
        key: str | None = None,
        expires_at: int | None = None,
    ) -> None:
        self.ref = ref
        self.msg_id = msg_id
        self.to_user = to_user
        self.content = content
        self.message_type = message_type
        self.session_id = session_id
        self.priority = priority
        self.key = key
        #: milliseconds since 1970, for the journal
        self.expires_at = expires_at
        self.state = DELIVERY.initial
        #: UTF-8 bytes of the content
        self.size = len(content) if content.isascii() else len(content.encode())
        #: among all messages of this outbox, in the order they were given
        self.place = 0
        #: how often it was handed to a transport, at least
        self.sends = 0
        #: how often to a server that might take it twice
        self.unsure_sends = 0
        #: how often a server failed on it, and said so
        self.errors = 0
        #: a link was lost while it was unanswered: it may have arrived
        self.unsure = False
        #: … and that was in an earlier process
        self.of_before = False
        self.sent_at = 0.0
        #: when it was first handed over by this process; None: never
        self.first_at: float | None = None
        #: the same, or a little earlier, in milliseconds since 1970, and by any process: from here
        #: on it is not withdrawn by us, as it may have been sent
        self.handed_at: int | None = None
        #: a plain server asked for patience until then
        self.not_before: float | None = None
        #: it has a new msgId after a 40900; that happens once
        self.renumbered = False
        #: the last thing noted of it in the journal; None: nothing is
        self.ticket: int | None = None
        #: the journal has it otherwise, so it has to be written before it is handed over
        self.dirty = False

    def to(self, event: str) -> None:
        """Move on in its machine.

        Raises:
            LocalProtocolError: the machine doesn't allow it.
        """
        self.state = _next(self.state, event)

    @property
    def ended(self) -> bool:
        """It has its end."""
        return self.state in DELIVERY.final

    def record(self, *, unsure: bool = False) -> OutgoingRecord:
        """What the journal keeps of it; `unsure`: as one that a plain server gets once more."""
        return OutgoingRecord(
            ref=self.ref,
            msg_id=self.msg_id,
            to_user=self.to_user,
            content=self.content,
            message_type=self.message_type,
            session_id=self.session_id,
            priority=self.priority,
            key=self.key,
            expires_at=self.expires_at,
            handed_at=self.handed_at,
            renumbered=self.renumbered,
            unsure_sends=self.unsure_sends + unsure,
        )

    @classmethod
    def restored(cls, record: OutgoingRecord) -> Outgoing:
        """A message of an earlier process. What was, or was about to be, handed to a transport
        there may have arrived; what was not certainly has not."""
        message = cls(
            ref=record.ref,
            msg_id=record.msg_id,
            to_user=record.to_user,
            content=record.content,
            message_type=record.message_type,
            session_id=record.session_id,
            priority=record.priority,
            key=record.key,
            expires_at=record.expires_at,
        )
        message.renumbered = record.renumbered
        message.unsure_sends = record.unsure_sends
        message.ticket = 0
        if record.handed_at is not None:
            message.handed_at = record.handed_at
            message.state = "unconfirmed"
            message.unsure = message.of_before = True
            message.sends = max(1, record.unsure_sends)
        return message
