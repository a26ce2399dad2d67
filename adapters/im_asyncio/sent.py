"""A message on its way out that can be awaited and withdrawn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from im_proto.client.events import Event
from im_proto.errors import IMError
from im_runtime import MessageError
from im_runtime import SentMessage as _SentMessage


class SentMessage(_SentMessage):
    """What `queue_message` and `send_message` give.

    `await sent` returns it when the server has accepted the message, and raises its `error` when
    it failed. Any number of tasks may await it, at any time; cancelling an await withdraws nothing.
    """

    __slots__ = ("_callers", "_waiters")

    def __init__(self, *message: Any, cancel: Callable[[SentMessage], bool]) -> None:
        super().__init__(*message, cancel=cancel)
        self._waiters: set[asyncio.Future[None]] = set()
        #: those in send_message(), who do not wait for a client that has given up
        self._callers: set[asyncio.Future[None]] = set()

    def __await__(self) -> Generator[Any, None, SentMessage]:
        if not self.done:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                yield from waiter
            finally:
                self._waiters.discard(waiter)
        if self.error is not None:
            raise self.error.with_traceback(None)
        return self

    def apply(self, event: Event) -> bool:
        """Take in what the engine tells of it. Not for applications."""
        done = super().apply(event)
        if done:
            for waiter in self._waiters | self._callers:
                if not waiter.done():
                    waiter.set_result(None)
        return done

    async def accepted(self) -> SentMessage:
        """As `await sent`, but it ends as well when the client gives up. Not for applications."""
        if not self.done:
            caller = asyncio.get_running_loop().create_future()
            self._callers.add(caller)
            try:
                await caller
            finally:
                self._callers.discard(caller)
        return await self

    def give_up(self, error: IMError) -> None:
        """The client has given up; the message stays queued. Not for applications."""
        for caller in self._callers:
            if not caller.done():
                caller.set_exception(MessageError.of(error, self))
