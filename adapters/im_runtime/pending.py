"""Messages on their way out, until they have their end."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Generic, TypeVar

from im_proto.client.events import MessageAccepted, MessageFailed, MessageHandedOver
from im_proto.client.inputs import Input, Send
from im_proto.errors import IMError

from .sent import SentMessage

_S = TypeVar("_S", bound=SentMessage)


class Pending(Generic[_S]):
    """The messages that have no end yet, by `ref`."""

    def __init__(self) -> None:
        self._refs = itertools.count(1)
        self._sent: dict[int, _S] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def queue(self, make: Callable[[int], _S], step: Callable[[Input], None]) -> _S:
        """Have the engine queue a new message.

        Args:
            make: makes it, of its `ref`.
            step: steps the engine.

        Raises:
            IMError: the engine refuses it; nothing was queued.
        """
        sent = make(next(self._refs))
        self._sent[sent.ref] = sent
        try:
            step(
                Send(
                    ref=sent.ref,
                    to_user=sent.to_user_id,
                    content=sent.content,
                    message_type=sent.message_type,
                    session_id=sent.session_id,
                    priority=sent.priority,
                )
            )
        except BaseException:
            del self._sent[sent.ref]
            raise
        return sent

    def apply(self, event: MessageHandedOver | MessageAccepted | MessageFailed) -> _S | None:
        """Take in what the engine tells of a message; returns which one it is."""
        sent = self._sent.get(event.ref)
        if sent is not None and sent.apply(event):
            del self._sent[event.ref]
        return sent

    def give_up(self, error: IMError) -> None:
        """The client has given up: nobody waits any more in send_message(); all stay queued."""
        for sent in list(self._sent.values()):
            sent.give_up(error)
