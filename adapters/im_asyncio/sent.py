"""A message on its way out that can be awaited and withdrawn."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any, Final

from im_proto.client.events import Event
from im_proto.errors import IMError
from im_runtime import MessageError, Reached
from im_runtime import SentMessage as _SentMessage

#: Named, as to look a member of an Enum up takes 0.05 us, and this is needed for each message.
_END: Final = Reached.END


class SentMessage(_SentMessage):
    """What `queue_message` and `send_message` give.

    `await sent` returns it when the server has accepted the message, and raises its `error` when
    it failed. Any number of tasks may await it, at any time; cancelling an await withdraws nothing.
    """

    __slots__ = ("_callers", "_closed", "_waiters")

    def __init__(self, *message: Any, **more: Any) -> None:
        super().__init__(*message, **more)
        self._waiters: tuple[asyncio.Future[None], ...] = ()
        #: those in send_message(), who do not wait for a client that has given up
        self._callers: tuple[asyncio.Future[None], ...] = ()
        self._closed: IMError | None = None

    def __await__(self) -> Generator[Any, None, SentMessage]:
        if not self.done:
            yield from self._until(_END).__await__()
        return self.outcome(_END)

    async def queued(self) -> SentMessage:
        """Wait until it is in the outbox: with `storage`, on disk. It will have an end.

        Raises:
            IMError: its `error`, if it never got there (JOURNAL_FAILED, MESSAGE_CANCELLED …).
        """
        return await self._until(Reached.QUEUED)

    async def delivered(self) -> SentMessage:
        """Wait until a first device of the recipient has it, as long as that takes.

        Raises:
            IMError: its `error` when it has failed.
            LocalProtocolError: the server tells no receipts; or this would keep the receipt from
                coming: it is awaited where a received message is handled.
        """
        self.check_receipts()
        return await self._until(Reached.DELIVERED)

    async def read(self) -> SentMessage:
        """Wait until the recipient has read it, as long as that takes.

        Raises: as for `delivered`.
        """
        self.check_receipts()
        return await self._until(Reached.READ)

    async def _until(self, wanted: Reached) -> SentMessage:
        while not self.is_over(wanted):
            if self._closed is not None:
                raise MessageError.of(self._closed, self)
            waiter = asyncio.get_running_loop().create_future()
            self._waiters = (*self._waiters, waiter)
            try:
                await waiter
            finally:
                self._waiters = _without(waiter, self._waiters)
        return self.outcome(wanted)

    def apply(self, event: Event) -> bool:
        """Take in what the engine tells of it. Not for applications."""
        done = _SentMessage.apply(self, event)
        if self._waiters:
            self._wake(self._waiters)
        if done and self._callers:
            self._wake(self._callers)
        return done

    async def accepted(self) -> SentMessage:
        """As `await sent`, but it ends as well when the client gives up. Not for applications."""
        if not self.done:
            caller = asyncio.get_running_loop().create_future()
            self._callers = (*self._callers, caller)
            try:
                await caller
            finally:
                self._callers = _without(caller, self._callers)
        return self.outcome(_END) if self.done else await self

    def give_up(self, error: IMError) -> None:
        """The client has given up; the message stays queued. Not for applications."""
        for caller in self._callers:
            if not caller.done():
                caller.set_exception(MessageError.of(error, self))

    def close(self, error: IMError) -> None:
        """The client is closed, for good: nobody waits any more. Not for applications."""
        self._closed = error
        self.give_up(error)
        self._wake(self._waiters)

    @staticmethod
    def _wake(waiters: tuple[asyncio.Future[None], ...]) -> None:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def _without(
    waiter: asyncio.Future[None], waiters: tuple[asyncio.Future[None], ...]
) -> tuple[asyncio.Future[None], ...]:
    return tuple(other for other in waiters if other is not waiter) if len(waiters) > 1 else ()
