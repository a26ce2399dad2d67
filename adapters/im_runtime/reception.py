"""Where received messages go: to the message_received callback, or to the iteration."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import Final, Generic, TypeVar

from im_proto.client.inputs import Input, MessageHandled, MessageTaken
from im_proto.errors import IMError, LocalProtocolError

from .callbacks import Callbacks
from .calls import Call, Calls, Outcome
from .inbox import Inbox
from .iteration import Iteration
from .message import Message
from .standing import Supply

RECEIVED: Final = "message_received"

_I = TypeVar("_I", bound=Iteration)


class Reception(Generic[_I]):
    """Keeps received messages until somebody has handled them.

    Args:
        callbacks: may have a message_received.
        calls: calls it.
        iteration: makes what `messages()` gives, of this as its `Source`.
        supply: can messages still come?
        feed: tells the engine which messages are taken, and which are handled.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        calls: Calls,
        *,
        iteration: Callable[[Reception[_I]], _I],
        supply: Callable[[], Supply | IMError],
        feed: Callable[[Input], None],
    ) -> None:
        self._callbacks = callbacks
        self._calls = calls
        self._make = iteration
        self._feed = feed
        self.supply = supply
        self.inbox = Inbox()
        #: what waits for the callback, by delivery
        self._offered: dict[int, Call] = {}
        # Weak, so that an iteration that was left by `break` is no iteration any more.
        self._iteration: weakref.ref[_I] | None = None

    # -- what the engine tells

    def received(self, message: Message) -> None:
        """A message came in."""
        self.inbox.put(message)
        self.offer()
        self.wake()

    def dropped(self, delivery: int) -> None:
        """The engine has dropped it: nobody gets it any more."""
        self.inbox.remove(delivery)
        call = self._offered.pop(delivery, None)
        if call is not None:
            self._calls.withdraw(call)

    def logged_in(self) -> None:
        """What a callback has failed on is offered again."""
        self.inbox.forgive()
        self.offer()

    # -- what the application does

    def taken(self, delivery: int) -> None:
        """It has begun to handle this message."""
        self._feed(MessageTaken(delivery=delivery))

    def handled(self, delivery: int) -> None:
        """It is done with this message."""
        if self.inbox.remove(delivery):
            self._feed(MessageHandled(delivery=delivery))

    # -- the callback

    def offer(self) -> None:
        """Give the callback, if there is one, what nobody has."""
        if RECEIVED not in self._callbacks or self.supply() is not Supply.FLOWING:
            return
        for message in self.inbox.offer():
            self._offered[message.delivery] = self._calls.put(
                RECEIVED,
                message,
                wanted=partial(self._begin, message),
                then=partial(self._called, message),
            )

    def _begin(self, message: Message) -> bool:
        """Its turn has come. Without a connection only what the server would not send again."""
        if message.seq is not None and self.supply() is not Supply.FLOWING:
            return False
        self.taken(message.delivery)
        return True

    def _called(self, message: Message, outcome: Outcome) -> None:
        self._offered.pop(message.delivery, None)
        if outcome is Outcome.RETURNED:
            self.handled(message.delivery)
        else:
            self.inbox.take_back(message.delivery, failed=outcome is Outcome.RAISED)
            self.wake()

    # -- the iteration

    def messages(self) -> _I:
        """A new iteration.

        Raises:
            LocalProtocolError: there is a `message_received` callback, or somebody waits in
                another iteration.
        """
        if RECEIVED in self._callbacks:
            raise LocalProtocolError(
                "messages() beside a message_received callback: only one of them can acknowledge"
            )
        before = self._present()
        if before is not None and before.waiting:
            raise LocalProtocolError("messages(): another one is waiting in one already")
        iteration = self._make(self)
        self._iteration = weakref.ref(iteration)
        return iteration

    def is_present(self, iteration: Iteration) -> bool:
        """Has no later iteration taken over?"""
        return self._present() is iteration

    def check_no_iteration(self) -> None:
        """May there be a callback?

        Raises:
            LocalProtocolError: an iteration is in use.
        """
        if self._present() is not None:
            raise LocalProtocolError(
                "a message_received callback beside messages(): end that one first"
            )

    def wake(self) -> None:
        """The iteration is to look again."""
        iteration = self._present()
        if iteration is not None:
            iteration.wake()

    def _present(self) -> _I | None:
        iteration = None if self._iteration is None else self._iteration()
        return None if iteration is None or iteration.finished else iteration
