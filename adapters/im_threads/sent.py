"""A message on its way out that can be waited for and withdrawn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

from im_proto.client.events import Event
from im_proto.errors import IMError
from im_runtime import MessageError, unanswered
from im_runtime import SentMessage as _SentMessage

from .loop import Loop


class SentMessage(_SentMessage):
    """What `queue_message` and `send_message` give. Any number of threads may wait for it."""

    __slots__ = ("_answered", "_ended", "_gave_up", "_loop")

    def __init__(self, *message: Any, loop: Loop, cancel: Callable[[SentMessage], bool]) -> None:
        super().__init__(*message, cancel=cancel)
        self._loop = loop
        self._ended = threading.Event()
        #: for send_message(), which does not wait for a client that has given up
        self._answered = threading.Event()
        self._gave_up: IMError | None = None

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

    def apply(self, event: Event) -> bool:
        """Take in what the engine tells of it. Not for applications."""
        done = super().apply(event)
        if done:
            self._ended.set()
            self._answered.set()
        return done

    def accepted(self, timeout: float | None) -> Self:
        """As `result`, but it ends as well when the client gives up. Not for applications."""
        self._loop.wait(self._answered, timeout)
        return self._result(timeout, self._answered)

    def give_up(self, error: IMError) -> None:
        """The client has given up, or is closed; the message stays queued. Not for applications."""
        self._gave_up = error
        self._answered.set()
        if self._loop.ended:
            self._ended.set()

    def _result(self, timeout: float | None, over: threading.Event) -> Self:
        if self.error is not None:
            raise self.error.with_traceback(None)
        if self.done:
            return self
        if self._gave_up is not None and over.is_set():
            raise MessageError.of(self._gave_up, self)
        raise unanswered(self, timeout or 0.0)
