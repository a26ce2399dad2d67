"""Received messages as an asynchronous iterator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Self

from im_runtime import Iteration, Source, Supply

from .message import Message


class Messages(Iteration, AsyncIterator[Message]):
    """What `IMClient.messages()` gives: the messages that came in, in order.

    A message is acknowledged when the next one is asked for, so one whose handling failed, or
    was left by `break`, is not. It is offered again by the next `messages()`, and by the server to
    this user's next connection. `acknowledge()` says earlier that it is done. With
    `config.ack="manual"` only `message.ack()` does, and what was given is given again only to the
    next process.

    Keep the iterator: `anext(client.messages())` twice gives the same message twice, as each new
    iterator starts at what is not acknowledged.

    After `disconnect()` it ends; only what a plain server has sent before, and would not send
    again, still comes. It goes on over lost links. When the client has given up, it raises that
    IMError.
    """

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._waiter: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> bool:
        """Somebody is waiting for the next message right now."""
        return self._waiter is not None

    def wake(self) -> None:
        """Look again: a message came, or none can come any more. Not for applications."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        """Acknowledge the message before, and wait for the next.

        Raises:
            StopAsyncIteration: after disconnect(), or aclose().
            IMError: the client has given up; `connect()` and a new `messages()` go on.
            LocalProtocolError: two tasks ask the same iterator, or a later `messages()` took over.
        """
        self.ask()
        while True:
            found = self.look()
            if isinstance(found, Message):
                self._holder = asyncio.current_task()
                return found
            if found is Supply.DRY:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    async def aclose(self) -> None:
        """End it. The current message is not acknowledged."""
        self.finish()
