"""Where received messages go: to the message_received callback, or to the iteration."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from im_proto.client.events import MessageReceived, MessageUndeliverable
from im_proto.client.inputs import Input, MessageHandled, MessageTaken
from im_proto.errors import IMError, LocalProtocolError

from .callbacks import Callbacks
from .calls import Call, Calls, Outcome
from .inbox import Inbox
from .iteration import Iteration
from .message import Desk, Message
from .standing import Supply

RECEIVED: Final = "message_received"
#: Named, as to look a member of an Enum up takes 0.05 us, and these are needed for each message.
_FLOWING: Final = Supply.FLOWING
_RETURNED: Final = Outcome.RETURNED

_I = TypeVar("_I", bound=Iteration)


class _Offered(Call):
    """A message on its way to the callback."""

    __slots__ = ("reception",)

    reception: Reception[Any]

    def wanted(self) -> bool:
        return self.reception.begin(self.args[0])

    def end(self, outcome: Outcome) -> None:
        self.reception.called(self, self.args[0], outcome)


class Reception(Generic[_I]):
    """Keeps received messages until somebody has handled them.

    Args:
        callbacks: may have a message_received.
        calls: calls it.
        iteration: makes what `messages()` gives, of this as its `Source`.
        supply: can messages still come?
        feed: tells the engine which messages are taken, and which are handled.
        message: the class of the messages.
        desk: goes with each of them.
        manual: a message is acknowledged only when the application says so.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        calls: Calls,
        *,
        iteration: Callable[[Reception[_I]], _I],
        supply: Callable[[], Supply | IMError],
        feed: Callable[[Input], None],
        message: type[Message] = Message,
        desk: Desk | None = None,
        manual: bool = False,
    ) -> None:
        self._callbacks = callbacks
        self._calls = calls
        self._make = iteration
        self._feed = feed
        self._message = message
        self._desk = desk
        self.manual = manual
        self.supply = supply
        self.inbox = Inbox()
        #: what waits for the callback, by delivery
        self._offered: dict[int, _Offered] = {}
        # Weak, so that an iteration that was left by `break` is no iteration any more.
        self._iteration: weakref.ref[_I] | None = None

    # -- what the engine tells

    def message(self, event: MessageReceived | MessageUndeliverable) -> Message:
        """The message of an event."""
        return self._message.of(event, self._desk)

    def received(self, message: Message) -> None:
        """A message came in, or comes again because the application has failed on it."""
        self.inbox.put(message)
        self.offer()
        self.wake()

    def dropped(self, delivery: int) -> None:
        """The engine has dropped it, or given it up: nobody gets it any more."""
        self.inbox.remove(delivery)
        offered = self._offered.pop(delivery, None)
        if offered is not None:
            self._calls.withdraw(offered)

    def logged_in(self) -> None:
        """What waited for a connection is offered."""
        self.offer()

    # -- what the application does

    def settle(self, message: Message, ok: bool) -> None:
        """It is done with this message, or has failed on it; what it did before counts."""
        if self.inbox.handle(message) if ok else self.inbox.fail(message):
            self._feed(MessageHandled(delivery=message.delivery, ok=ok))

    # -- the callback

    def listen(self) -> None:
        """There may be a callback from now on."""
        if RECEIVED in self._callbacks and not self.manual:
            self.inbox.release()
        self.offer()

    def offer(self) -> None:
        """Give the callback, if there is one, what nobody has."""
        if RECEIVED not in self._callbacks or self.supply() is not _FLOWING:
            return
        again = []
        for message in self.inbox.offer():
            call = self._offered[message.delivery] = _Offered(RECEIVED, (message,))
            call.reception = self
            if message.attempt == 1:
                self._calls.add(call)
            else:
                again.append(call)
        # What it has failed on comes before what came later: order is kept as far as it can be.
        for call in reversed(again):
            self._calls.add(call, first=True)

    def begin(self, message: Message) -> bool:
        """Its turn has come. Without a connection only what the server would not send again."""
        if message.seq is not None and self.supply() is not _FLOWING:
            return False
        self._feed(MessageTaken(delivery=message.delivery))
        return True

    def called(self, call: Call, message: Message, outcome: Outcome) -> None:
        """The callback was called, or was not."""
        if self._offered.get(message.delivery) is call:  # it may be offered again by now
            del self._offered[message.delivery]
        if outcome is _RETURNED:
            if not self.manual:
                self.settle(message, True)
        elif outcome is Outcome.RAISED:
            self.settle(message, False)
        else:
            self.inbox.take_back(message)
            self.wake()

    # -- the iteration

    def take(self, *, plain_only: bool) -> Message | None:
        """The first message that nobody has; the application has it now."""
        message = self.inbox.take(plain_only=plain_only)
        if message is not None:
            self._feed(MessageTaken(delivery=message.delivery))
        return message

    def take_back(self, message: Message) -> None:
        """The application did not get it after all."""
        self.inbox.take_back(message)

    def holds(self, somebody: object) -> bool:
        """Is it this task, or thread, that handles a message of the iteration?"""
        iteration = self._present()
        return iteration is not None and iteration.holds(somebody)

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
        if not self.manual:
            self.inbox.release()
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
        if self._iteration is not None and (iteration := self._present()) is not None:
            iteration.wake()

    def _present(self) -> _I | None:
        iteration = None if self._iteration is None else self._iteration()
        return None if iteration is None or iteration.finished else iteration
