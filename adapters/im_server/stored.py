"""Messages as the site is told of them."""

from __future__ import annotations

from dataclasses import dataclass

from im_proto.wire import UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message that is on disk. `timestamp`: accepted at, in milliseconds since 1970."""

    from_user: UserId
    to_user: UserId
    msg_id: int
    content: str
    message_type: str
    session_id: int | None
    timestamp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedMessage:
    """A message and its row number."""

    row: int
    message: StoredMessage
