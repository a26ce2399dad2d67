"""A received message, as an application sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

from im_proto.client.events import MessageReceived
from im_proto.wire import UserId


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
    """

    content: str
    from_user: UserId | None = None
    session_id: int | None = None
    msg_id: int | None = None
    message_type: str = "text"
    timestamp: int | None = None
    seq: int | None = None
    delivery: int = field(default=0, repr=False, compare=False)

    @classmethod
    def of(cls, event: MessageReceived) -> Message:
        """The message of an engine's event."""
        return cls(
            event.content,
            event.from_user,
            event.session_id,
            event.msg_id,
            event.message_type,
            event.timestamp,
            event.seq,
            event.delivery,
        )
