"""Received messages as an iterator that waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Self

from im_runtime import Iteration, Source, Supply

from .loop import Loop
from .message import Message


class Messages(Iteration, Iterator[Message]):
    """What `IMClient.messages()` gives: the messages that came in, in order.

    A message is acknowledged when the next one is asked for, so one whose handling failed, or
    was left by `break`, is not. It is offered again by the next `messages()`, and by the server to
    this user's next connection. `acknowledge()` says earlier that it is done. With
    `config.ack="manual"` only `message.ack()` does, and what was given is given again only to the
    next process.

    Keep the iterator: `next(client.messages())` twice gives the same message twice, as each new
    iterator starts at what is not acknowledged.

    After `disconnect()` it ends; only what a plain server has sent before, and would not send
    again, still comes. It ends too when nothing has come for `timeout` seconds; another
    `messages()` goes on then. It goes on over lost links. When the client has given up, it raises
    that IMError.

    Any thread may ask it, one at a time.
    """

    def __init__(self, source: Source, *, loop: Loop) -> None:
        super().__init__(source)
        self._loop = loop
        #: seconds without a message after which it ends
        self.timeout: float | None = None
        self._look_again: threading.Event | None = None

    @property
    def waiting(self) -> bool:
        """Somebody is waiting for the next message right now."""
        return self._look_again is not None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        """Acknowledge the message before, and wait for the next.

        Raises:
            StopIteration: after disconnect(), close(), or the timeout.
            IMError: the client has given up; `connect()` and a new `messages()` go on.
            LocalProtocolError: two threads ask the same iterator, or a later `messages()` took
                over.
        """
        try:
            return self._next()
        except Exception:
            raise
        except BaseException:  # Ctrl-C: nobody has the message that may have come this moment
            self._loop.post(self._undo)
            raise

    def acknowledge(self) -> None:
        """The current message is handled: it will not come again."""
        self._loop.ask(super().acknowledge)

    def close(self) -> None:
        """End it, also for the thread that waits. The current message is not acknowledged."""
        self._loop.ask(self.finish)

    def wake(self) -> None:
        """Look again: a message came, or none can come any more. Not for applications."""
        if self._look_again is not None:
            self._look_again.set()

    def _next(self) -> Message:
        end = None if self.timeout is None else time.monotonic() + self.timeout
        found = self._loop.ask(self._first)
        while isinstance(found, threading.Event):
            left = None if end is None else end - time.monotonic()
            too_late = not self._loop.wait(found, left)
            found = self._loop.ask(self._found, too_late)
        if not isinstance(found, Message):
            raise StopIteration
        self._holder = threading.get_ident()
        return found

    def _first(self) -> Message | Supply | threading.Event:
        self.ask()
        return self._found(False)

    def _found(self, too_late: bool) -> Message | Supply | threading.Event:
        """A message, or what to wait for, or DRY: there is none any more."""
        self._look_again = None
        found = self.look()
        if found is not Supply.FLOWING:
            assert isinstance(found, Message | Supply)
            return found
        if too_late:
            self.finish()
            return Supply.DRY
        self._look_again = threading.Event()
        return self._look_again

    def _undo(self) -> None:
        self._look_again = None
        current, self._current = self._current, None
        if current is not None:
            self._source.take_back(current)
