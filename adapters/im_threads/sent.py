"""A message on its way out that can be waited for and withdrawn."""

from __future__ import annotations

import threading
from typing import Any, Self

from im_proto.client.events import Event
from im_proto.client.journal import OutgoingRecord
from im_proto.errors import IMError, IMErrorCode
from im_runtime import MessageError, Reached, unanswered
from im_runtime import SentMessage as _SentMessage

from .loop import Loop


class SentMessage(_SentMessage):
    """What `queue_message` and `send_message` give. Any number of threads may wait for it."""

    __slots__ = ("_answered", "_ended", "_gave_up", "_loop", "_watched")

    def __init__(self, *message: Any, loop: Loop, **more: Any) -> None:
        super().__init__(*message, **more)
        self._loop = loop
        self._ended = threading.Event()
        #: for send_message(), which does not wait for a client that has given up
        self._answered = threading.Event()
        self._gave_up: IMError | None = None
        #: what somebody waits for besides
        self._watched: list[tuple[Reached, threading.Event]] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for its end, at most so many seconds; returns `done`.

        It waits as long as it takes, over lost links, also while there is no connection. After
        `close()` of the client nobody waits any more.
        """
        self._loop.wait(self._ended, timeout)
        return self.done

    def result(self, timeout: float | None = None) -> Self:
        """Wait for its end; returns it when the server has accepted it.

        Raises:
            IMError: its `error` when it has failed; MESSAGE_TIMEOUT after so many seconds;
                MESSAGE_SEND_FAILED when the client was closed before.
        """
        self._loop.wait(self._ended, timeout)
        return self._result(timeout, self._ended)

    def queued(self, timeout: float | None = None) -> Self:
        """Wait until it is in the outbox: with `storage`, on disk. It will have an end.

        Raises:
            IMError: its `error`, if it never got there (JOURNAL_FAILED, MESSAGE_CANCELLED …);
                MESSAGE_TIMEOUT after so many seconds.
        """
        return self._until(Reached.QUEUED, timeout)

    def delivered(self, timeout: float | None = None) -> Self:
        """Wait until a first device of the recipient has it, as long as that takes.

        Raises:
            IMError: its `error` when it has failed; MESSAGE_TIMEOUT after so many seconds;
                MESSAGE_SEND_FAILED when the client was closed before.
            LocalProtocolError: the server tells no receipts; or, without a timeout, this would
                keep the receipt from coming: it is awaited where a received message is handled.
        """
        return self._receipt(Reached.DELIVERED, timeout)

    def read(self, timeout: float | None = None) -> Self:
        """Wait until the recipient has read it, as long as that takes.

        Raises: as for `delivered`.
        """
        return self._receipt(Reached.READ, timeout)

    def _receipt(self, wanted: Reached, timeout: float | None) -> Self:
        if timeout is None:
            self.check_receipts()
        return self._until(wanted, timeout)

    def _until(self, wanted: Reached, timeout: float | None) -> Self:
        over = self._loop.ask(self._watch, wanted)
        try:
            self._loop.wait(over, timeout)
        finally:
            self._loop.post(self._unwatch, wanted, over)
        if self.is_over(wanted):
            return self.outcome(wanted)
        if over.is_set() and self._gave_up is not None:
            raise MessageError.of(self._gave_up, self)
        what = {Reached.QUEUED: "in the outbox", Reached.DELIVERED: "delivered"}.get(wanted, "read")
        text = f"not {what} within {timeout or 0.0:g} s, as far as it was told"
        raise MessageError.of(IMError(IMErrorCode.MESSAGE_TIMEOUT, text), self)

    def apply(self, event: Event) -> bool:
        """Take in what the engine tells of it. Not for applications."""
        done = super().apply(event)
        if done:
            self._ended.set()
            self._answered.set()
        for wanted, over in self._watched:
            if self.is_over(wanted):
                over.set()
        return done

    def restore(self, record: OutgoingRecord) -> Self:
        """Be what an earlier life has left. Not for applications."""
        super().restore(record)
        if self.done:
            self._ended.set()
            self._answered.set()
        return self

    def accepted(self, timeout: float | None) -> Self:
        """As `result`, but it ends as well when the client gives up. Not for applications."""
        self._loop.wait(self._answered, timeout)
        return self._result(timeout, self._answered)

    def give_up(self, error: IMError) -> None:
        """The client has given up; the message stays queued. Not for applications."""
        self._gave_up = error
        self._answered.set()

    def close(self, error: IMError) -> None:
        """The client is closed, for good: nobody waits any more. Not for applications."""
        self.give_up(error)
        self._ended.set()
        for _, over in self._watched:
            over.set()

    # -- in the loop's thread

    def _watch(self, wanted: Reached) -> threading.Event:
        over = threading.Event()
        if self.is_over(wanted) or self._loop.ended:
            over.set()
        else:
            self._watched.append((wanted, over))
        return over

    def _unwatch(self, wanted: Reached, over: threading.Event) -> None:
        if (wanted, over) in self._watched:
            self._watched.remove((wanted, over))

    # -- in any

    def _result(self, timeout: float | None, over: threading.Event) -> Self:
        if self.error is not None:
            raise self.error.with_traceback(None)
        if self.done:
            return self
        if self._gave_up is not None and over.is_set():
            raise MessageError.of(self._gave_up, self)
        raise unanswered(self, timeout or 0.0)
