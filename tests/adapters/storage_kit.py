"""A server with section 2, that remembers over connections, for both kits' scripted peers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from im_proto.wire import (
    AuthData,
    AuthRequest,
    AuthResponse,
    ChatAck,
    ChatRedirectToUser,
    ChatSendResponse,
    ChatSendToOne,
    HeartbeatRequest,
    HeartbeatResponse,
    Message,
)
from im_proto.wire.extensions import (
    MessageStatusRequest,
    MessageStatusResponse,
    ReceiptPush,
    StatusItem,
)

CAPABILITIES = ["seq", "batch", "status", "receipts"]


class Memory:
    """What the server knows: of one user, with one device.

    Args:
        contents: messages from user 2 that lie in the mailbox.
        takes: how many messages it takes before it falls silent.
    """

    def __init__(self, *contents: str, takes: int = 1_000_000) -> None:
        self.mailbox: list[Message] = []
        for content in contents:
            self.post(content)
        self.takes = takes
        self.acked = 0
        #: by msgId, in the order in which they were taken
        self.accepted: dict[int, str] = {}
        self.devices: list[str | None] = []
        self.repeats = 0

    def post(self, content: str) -> None:
        seq = len(self.mailbox) + 1
        push = ChatRedirectToUser(content=content, from_user=2, msg_id=1000 + seq, seq=seq)
        self.mailbox.append(push)

    def receipt(self, status: Any, *msg_ids: int, user: int = 2) -> None:
        self.mailbox.append(
            ReceiptPush(
                msg_ids=list(msg_ids),
                user=user,
                status=status,
                timestamp=5000 if status == "delivered" else 6000,
                seq=len(self.mailbox) + 1,
            )
        )

    def welcome(self, request: AuthRequest) -> Iterator[Message]:
        """Log in; then all that is not acknowledged."""
        self.devices.append(request.device_id)
        data = AuthData(
            device_id=request.device_id,
            capabilities=CAPABILITIES,
            epoch="e1",
            seq=self.acked,
            resume="recovered" if request.resume is not None else None,
            last_msg_id=max(self.accepted, default=0),
        )
        yield AuthResponse(code=0, data=data)
        self.pushed = len(self.mailbox)
        yield from self.mailbox[self.acked :]

    def answer(self, message: Message) -> Iterator[Message]:
        """What is said to that, and what has come into the mailbox since."""
        if isinstance(message, HeartbeatRequest):
            yield HeartbeatResponse()
        elif isinstance(message, ChatAck):
            assert message.seq > self.acked
            self.acked = message.seq
        elif isinstance(message, ChatSendToOne) and self.takes:
            self.takes -= 1
            self.repeats += message.msg_id in self.accepted
            self.accepted[message.msg_id] = message.content
            yield ChatSendResponse(msg_id=message.msg_id, code=0, timestamp=1234)
        elif isinstance(message, MessageStatusRequest):
            yield MessageStatusResponse(
                items=[
                    StatusItem(
                        msg_id=msg_id,
                        status="accepted" if msg_id in self.accepted else "never",
                        timestamp=1234 if msg_id in self.accepted else None,
                    )
                    for msg_id in message.msg_ids
                ]
            )
        yield from self.mailbox[self.pushed :]
        self.pushed = len(self.mailbox)
