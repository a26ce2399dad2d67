"""Where received messages go: to the message_received callback, or to the iterator."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial

from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_runtime import Callbacks, Inbox, Message

from .dispatcher import Dispatcher, Outcome
from .messages import Messages, Supply

RECEIVED = "message_received"


class Reception:
    """Keeps received messages until somebody has handled them.

    Args:
        callbacks: may have a message_received.
        dispatcher: calls it.
        supply: can messages still come?
        handled: takes the delivery of a message that is to be acknowledged.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        dispatcher: Dispatcher,
        *,
        supply: Callable[[], Supply | IMError],
        handled: Callable[[int], None],
    ) -> None:
        self._callbacks = callbacks
        self._dispatcher = dispatcher
        self._supply = supply
        self._tell_handled = handled
        self._inbox = Inbox()
        self._overflowing = False
        # Weak, so that an iterator that was left by `break` is no iterator any more.
        self._iterator: weakref.ref[Messages] | None = None

    def received(self, message: Message) -> None:
        """A message came in."""
        dropped = self._inbox.put(message)
        if dropped is not None:
            self._tell_handled(dropped.delivery)
            if not self._overflowing and "error" in self._callbacks:
                self._dispatcher.put("error", self._overflow())
        self._overflowing = dropped is not None
        self.offer()
        self.wake()

    def _overflow(self) -> IMError:
        return IMError(
            IMErrorCode.QUEUE_FULL,
            f"{len(self._inbox)} received messages wait and nobody takes them; from now on the "
            "oldest are dropped",
        )

    def logged_in(self) -> None:
        """What a callback has failed on is offered again."""
        self._inbox.forgive()
        self.offer()

    # -- the callback

    def offer(self) -> None:
        """Give the callback, if there is one, what nobody has."""
        if RECEIVED not in self._callbacks or self._supply() is not Supply.FLOWING:
            return
        for message in self._inbox.offer():
            self._dispatcher.put(
                RECEIVED,
                message,
                wanted=partial(self._still_wanted, message),
                then=partial(self._called, message),
            )

    def _still_wanted(self, message: Message) -> bool:
        """Without a connection only what the server would not send again."""
        return message.seq is None or self._supply() is Supply.FLOWING

    def _called(self, message: Message, outcome: Outcome) -> None:
        if outcome is Outcome.RETURNED:
            self._handled(message.delivery)
        else:
            self._inbox.take_back(message.delivery, failed=outcome is Outcome.RAISED)
            self.wake()

    def _handled(self, delivery: int) -> None:
        if self._inbox.handled(delivery):
            self._tell_handled(delivery)

    # -- the iterator

    def messages(self) -> Messages:
        """See `IMClient.messages`."""
        if RECEIVED in self._callbacks:
            raise LocalProtocolError(
                "messages() beside a message_received callback: only one of them can acknowledge"
            )
        before = self._present()
        if before is not None and before.waiting:
            raise LocalProtocolError("messages(): another task is waiting in one already")
        iterator = Messages(
            self._inbox,
            supply=self._supply,
            handled=self._handled,
            superseded=lambda iterator: self._present() is not iterator,
        )
        self._iterator = weakref.ref(iterator)
        return iterator

    def check_no_iterator(self) -> None:
        """May there be a callback?

        Raises:
            LocalProtocolError: an iterator is in use.
        """
        if self._present() is not None:
            raise LocalProtocolError(
                "a message_received callback beside messages(): end that with aclose() first"
            )

    def wake(self) -> None:
        """The iterator is to look again."""
        iterator = self._present()
        if iterator is not None:
            iterator.wake()

    def _present(self) -> Messages | None:
        iterator = None if self._iterator is None else self._iterator()
        return None if iterator is None or iterator.finished else iterator
