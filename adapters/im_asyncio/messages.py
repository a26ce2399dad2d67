"""Received messages as an asynchronous iterator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from enum import Enum, auto
from typing import Self

from im_proto.errors import IMError, LocalProtocolError
from im_runtime import Inbox, Message


class Supply(Enum):
    """Can messages still come?"""

    #: yes, now or later
    FLOWING = auto()
    #: disconnect() was called
    DRY = auto()


class Messages(AsyncIterator[Message]):
    """What `IMClient.messages()` gives: the messages that came in, in order.

    A message is acknowledged when the next one is asked for, so one whose handling failed, or
    was left by `break`, is not. It is offered again by the next `messages()`, and by the server to
    this user's next connection. `acknowledge()` says earlier that it is done.

    Keep the iterator: `anext(client.messages())` twice gives the same message twice, as each new
    iterator starts at what is not acknowledged.

    After `disconnect()` it ends; only what a plain server has sent before, and would not send
    again, still comes. It goes on over lost links. When the client has given up, it raises that
    IMError.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        supply: Callable[[], Supply | IMError],
        handled: Callable[[int], None],
        superseded: Callable[[Messages], bool],
    ) -> None:
        self._inbox = inbox
        self._supply = supply
        self._handled = handled
        self._superseded = superseded
        self._last = 0
        self._current: Message | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._finished = False

    @property
    def waiting(self) -> bool:
        """Somebody is waiting for the next message right now."""
        return self._waiter is not None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        """Acknowledge the message before, and wait for the next.

        Raises:
            StopAsyncIteration: after disconnect(), or aclose().
            IMError: the client has given up; `connect()` and a new `messages()` go on.
            LocalProtocolError: two tasks ask the same iterator, or a later `messages()` took over.
        """
        if self._waiter is not None:
            raise LocalProtocolError("messages(): another task is waiting for the next already")
        self.acknowledge()
        while True:
            if self._finished:
                raise StopAsyncIteration
            if self._superseded(self):
                self._finished = True
                raise LocalProtocolError("messages(): a later messages() has taken over")
            supply = self._supply()
            flowing = supply is Supply.FLOWING
            message = self._inbox.next(self._last, plain_only=not flowing)
            if message is not None:
                self._last = message.delivery
                self._current = message
                return message
            if not flowing:
                self._finished = True
                if isinstance(supply, IMError):
                    raise supply.with_traceback(None)
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def acknowledge(self) -> None:
        """The current message is handled: it will not come again."""
        current, self._current = self._current, None
        if current is not None:
            self._handled(current.delivery)

    async def aclose(self) -> None:
        """End it. The current message is not acknowledged."""
        self._finished = True
        self._current = None
        self.wake()

    def wake(self) -> None:
        """Look again: a message came, or none can come any more. Not for applications."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    @property
    def finished(self) -> bool:
        """It has ended, for good."""
        return self._finished
