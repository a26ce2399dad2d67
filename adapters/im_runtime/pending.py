"""Messages on their way out, until they have their end; and who hears what follows.

What a key stands for is the engine's to know; here are the objects that an application holds.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from im_proto.client.events import (
    Authenticated,
    MessageAccepted,
    MessageFailed,
    MessageHandedOver,
    MessageQueued,
    ReceiptReceived,
)
from im_proto.client.inputs import Input, Send
from im_proto.client.journal import OutgoingRecord
from im_proto.errors import IMError

from .sent import SentMessage

_S = TypeVar("_S", bound=SentMessage)
#: So many keys are looked through when there are more, to forget those that the engine has
#: forgotten; then twice as many as are left.
_SWEEP: Final = 1024


class Outbox(Protocol):
    """What an engine knows of keys and of earlier lives."""

    def restored(self) -> list[OutgoingRecord]:
        """What an earlier process has left: messages without an end, those whose end nobody was
        told, and those that are remembered for their key. Nothing after the first step."""

    def ref_of_key(self, key: str) -> int | None:
        """Which message was sent under this key; None: none, or it was long ago."""


class Pending(Generic[_S]):
    """The messages that have no end yet, by `ref`.

    Args:
        outbox: of the engine.
        restore: makes the message of a record.
    """

    def __init__(self, outbox: Outbox, restore: Callable[[OutgoingRecord], _S]) -> None:
        self._outbox = outbox
        self._sent: dict[int, _S] = {}
        #: those that have their end and a key, by ref, while the engine knows that
        self._keyed: dict[int, _S] = {}
        self._sweep_at = _SWEEP
        #: all that a transport had, by msgId, for their receipts: while the application holds them
        self._numbered: weakref.WeakValueDictionary[int, _S] = weakref.WeakValueDictionary()
        #: the server tells of receipts
        self._receipts: bool | None = None
        last = 0
        for record in outbox.restored():
            last = max(last, record.ref)
            sent = restore(record)
            kept = self._sent if record.key is None or record.end is None else self._keyed
            kept[record.ref] = sent
            self._number(sent)
        self._refs = itertools.count(last + 1)

    def __len__(self) -> int:
        return len(self._sent)

    def all(self) -> list[_S]:
        """Those without an end, in the order they were given."""
        return [sent for _, sent in sorted(self._sent.items()) if not sent.done]

    def new_ref(self) -> int:
        """For a new message."""
        return next(self._refs)

    def queue(
        self,
        sent: _S,
        step: Callable[[Input], None],
        *,
        ttl: float | None = None,
        wait: bool = False,
    ) -> _S:
        """Have the engine queue a new message, unless its key has one already: then that one.

        Args:
            sent: the message, of a `new_ref`.
            step: steps the engine.
            ttl: as for `Send`.
            wait: as for `Send`.

        Raises:
            IMError: the engine refuses it; nothing was queued.
            LocalProtocolError: its key stands for another message.
        """
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
                    key=sent.key,
                    ttl=ttl,
                    wait=wait,
                )
            )
        except BaseException:
            del self._sent[sent.ref]
            raise
        ref = None if sent.key is None else self._outbox.ref_of_key(sent.key)
        if ref is None or ref == sent.ref:
            return sent
        del self._sent[sent.ref]
        return self._sent.get(ref) or self._keyed[ref]

    # -- what the engine tells

    def logged_in(self, event: Authenticated) -> None:
        """Logged in."""
        self._receipts = "receipts" in event.capabilities

    def apply(
        self, event: MessageQueued | MessageHandedOver | MessageAccepted | MessageFailed
    ) -> _S | None:
        """Take in what the engine tells of a message; returns which one it is."""
        sent = self._sent.get(event.ref)
        if sent is None:
            return None
        if isinstance(event, MessageAccepted):
            sent.receipts = self._receipts
        number = sent.msg_id
        ended = sent.apply(event)
        if sent.msg_id != number:
            self._number(sent)
        if ended:
            del self._sent[event.ref]
            if sent.key is not None:
                self._keep(sent)
        return sent

    def _keep(self, sent: _S) -> None:
        self._keyed[sent.ref] = sent
        if len(self._keyed) > self._sweep_at:
            self._keyed = {
                ref: one
                for ref, one in self._keyed.items()
                if one.key is not None and self._outbox.ref_of_key(one.key) == ref
            }
            self._sweep_at = max(_SWEEP, 2 * len(self._keyed))

    def receipt(self, event: ReceiptReceived) -> None:
        """Messages were delivered, or read."""
        for msg_id in event.msg_ids:
            sent = self._numbered.get(msg_id)
            # Another device of this user may have drawn the same number for another recipient.
            if sent is not None and str(sent.to_user_id) == str(event.user):
                sent.apply(event)

    def _number(self, sent: _S) -> None:
        if sent.msg_id is not None:
            self._numbered[sent.msg_id] = sent

    def give_up(self, error: IMError) -> None:
        """The client has given up: nobody waits any more in send_message(); all stay queued."""
        for sent in list(self._sent.values()):
            sent.give_up(error)

    def close(self, error: IMError) -> None:
        """The client is closed, for good: nobody waits for anything any more."""
        for sent in {*self._sent.values(), *self._numbered.values()}:
            sent.close(error)
