"""One message on its way out, from the application's hand to its end."""

from __future__ import annotations

from typing import Final

from ..machines import DELIVERY
from ..wire import UserId
from .inputs import Send
from .journal import OutgoingRecord
from .turns import Priority

_next: Final = DELIVERY.next
_INITIAL: Final = DELIVERY.initial


class Outgoing:
    """One message that has no end yet.

    Args:
        what: is to be sent, or was by an earlier process.
        to_user: to whom, normalised.
        expires_at: in milliseconds since 1970; None: never.
    """

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
        self, what: Send | OutgoingRecord, to_user: UserId, expires_at: int | None
    ) -> None:
        self.ref = what.ref
        #: 0 until it is in the outbox
        self.msg_id = 0
        self.to_user = to_user
        self.content = content = what.content
        self.message_type = what.message_type
        self.session_id = what.session_id
        self.priority: Priority = what.priority
        self.key = what.key
        #: milliseconds since 1970, for the journal
        self.expires_at = expires_at
        self.state = _INITIAL
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
        message = cls(record, record.to_user, record.expires_at)
        message.msg_id = record.msg_id
        message.renumbered = record.renumbered
        message.unsure_sends = record.unsure_sends
        message.ticket = 0
        if record.handed_at is not None:
            message.handed_at = record.handed_at
            message.state = "unconfirmed"
            message.unsure = message.of_before = True
            message.sends = max(1, record.unsure_sends)
        return message
