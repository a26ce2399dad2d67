"""Received messages one after the other, as far as waiting doesn't come into it."""

from __future__ import annotations

from typing import Any, Protocol

from im_proto.errors import IMError, LocalProtocolError

from .message import Message
from .standing import Supply


class Source(Protocol):
    """Where an iteration gets its messages, and whom it tells."""

    #: a message is acknowledged only when the application says so
    manual: bool

    def supply(self) -> Supply | IMError:
        """Can messages still come?"""

    def take(self, *, plain_only: bool) -> Message | None:
        """The first message that nobody has; the application has it now.

        Args:
            plain_only: leave out what the server would send again.
        """

    def take_back(self, message: Message) -> None:
        """The application did not get it after all."""

    def settle(self, message: Message, ok: bool) -> None:
        """The application is done with this message, or has failed on it."""

    def is_present(self, iteration: Any) -> bool:
        """Has no later one taken over?"""


class Iteration:
    """What `messages()` of a client gives; the client's own class adds how to wait.

    A message is acknowledged when the next one is asked for, unless `config.ack` is "manual".
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._current: Message | None = None
        #: who has it: a task, or a thread
        self._holder: object = None
        self._finished = False

    @property
    def waiting(self) -> bool:
        """Somebody is waiting for the next message right now."""
        raise NotImplementedError

    def wake(self) -> None:
        """Look again: a message came, or none can come any more. Not for applications."""
        raise NotImplementedError

    @property
    def finished(self) -> bool:
        """It has ended, for good."""
        return self._finished

    def ask(self) -> None:
        """The next message is wanted: the one before is acknowledged. Not for applications.

        Raises:
            LocalProtocolError: somebody is waiting for the next one already.
        """
        if self.waiting:
            raise LocalProtocolError("messages(): another one is waiting for the next already")
        if self._source.manual:
            self._current = None
        else:
            self.acknowledge()

    def look(self) -> Message | Supply:
        """The next message, if there is one. Not for applications.

        Otherwise FLOWING: wait until `wake()`, and look again; or DRY: it is the end.

        Raises:
            IMError: the client has given up.
            LocalProtocolError: a later iteration has taken over.
        """
        if self._finished:
            return Supply.DRY
        if not self._source.is_present(self):
            self._finished = True
            raise LocalProtocolError("messages(): a later messages() has taken over")
        supply = self._source.supply()
        # What the server would send again need not come any more when there is no link.
        plain_only = supply is not Supply.FLOWING
        message = self._source.take(plain_only=plain_only)
        if message is not None:
            self._current = message
            return message
        if isinstance(supply, Supply) and supply is Supply.FLOWING:
            return supply
        self._finished = True
        if isinstance(supply, IMError):
            raise supply.with_traceback(None)
        return supply

    def acknowledge(self) -> None:
        """The current message is handled: it will not come again."""
        current, self._current = self._current, None
        if current is not None:
            self._source.settle(current, True)

    def holds(self, somebody: object) -> bool:
        """Is it this task, or thread, that handles the current message?"""
        return self._current is not None and self._holder == somebody

    def finish(self) -> None:
        """End it. The current message is not acknowledged. Not for applications."""
        self._finished = True
        self._current = None
        self.wake()
