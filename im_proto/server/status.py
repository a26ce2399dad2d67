"""What became of a message (protocol.md section 2, `status`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..wire import UserId
from .actions import StoreStatus
from .records import StatusItem
from .rows import BookSession, Device, Message
from .session_rules import state_of


def status_items(
    asked: StoreStatus,
    device: Device | None,
    messages: Iterable[Message],
    delivered: Mapping[UserId, int],
    sessions: Mapping[int, BookSession],
) -> tuple[StatusItem, ...]:
    """One item per msgId that was asked for, in order.

    What isn't held was never accepted, unless it may have been let go: a message of this device
    with a msgId as high was, or the msgId, which counts microseconds, is from before
    `forgotten_before`. A msgId of another device of the user is not held.

    Args:
        device: the one that asks; None if it never logged in.
        messages: those with (user, msgId).
        delivered: of the mailboxes of their recipients.
        sessions: those that they are in.
    """
    held = {m.client_msg_id: m for m in messages if m.device == asked.device}
    forgotten = max(device.forgotten if device else 0, asked.forgotten_before * 1000 - 1)

    def item(msg_id: int) -> StatusItem:
        message = held.get(msg_id)
        if message is None:
            return StatusItem(msg_id=msg_id, status="forgotten" if msg_id <= forgotten else "never")
        return StatusItem(
            msg_id=msg_id,
            status=state_of(
                message, delivered.get(message.to_user, 0), sessions[message.session_id]
            ),
            timestamp=message.timestamp,
        )

    return tuple(item(msg_id) for msg_id in asked.msg_ids)
