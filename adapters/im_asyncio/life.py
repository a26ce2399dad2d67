"""connect() and disconnect(): a client's way from new to open, to closed, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from im_proto.client.engine import ClientEngine
from im_proto.client.events import Status
from im_proto.client.inputs import Connect, Disconnect
from im_proto.errors import IMError, LocalProtocolError
from im_runtime import Log, Login, Phase, Standing, not_in_time

from .dispatcher import Dispatcher
from .driver import Driver, wake
from .worker import in_thread

#: How much longer than the engine's own deadlines an end may take, in seconds.
_MARGIN: Final = 1.0
#: After a transport is gone, asyncio closes its socket and TLS within so many turns of the loop.
_LAST_TURNS: Final = 3


class _Login(Login):
    """Somebody who waits in connect()."""

    def __init__(self, *, retry: bool) -> None:
        # Only to wake up: whoever cancels the wait cancels it too, and the answer is kept.
        self._waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        super().__init__(retry=retry, wake=partial(wake, self._waiter))

    async def wait(self) -> None:
        if not self.ended:
            await self._waiter
        if self.error is not None:
            raise self.error


class Life(Standing):
    """Opens and closes a client; nothing is left running when it is closed.

    Args:
        engine: asked for its state.
        driver: does the I/O.
        dispatcher: calls the callbacks.
        log: of the client.
        close_timeout: seconds that an end may take.
        changed: called when the phase, or `gave_up`, is another one.
    """

    def __init__(
        self,
        engine: ClientEngine,
        driver: Driver,
        dispatcher: Dispatcher,
        *,
        log: Log,
        close_timeout: float,
        changed: Callable[[], None],
    ) -> None:
        super().__init__(changed=changed)
        self._engine = engine
        self._driver = driver
        self._dispatcher = dispatcher
        self._log = log
        self._limit = close_timeout + _MARGIN
        self._ends: set[asyncio.Future[None]] = set()

    def _is(self, phase: Phase) -> bool:
        """Is it now, whatever it was before an await?"""
        return self.phase is phase

    async def connect(self, timeout: float | None, *, retry: bool) -> None:
        """See `IMClient.connect`."""
        if self.phase is Phase.CLOSING and self._dispatcher.inside:
            raise LocalProtocolError("connect() in a callback that disconnect() is waiting for")
        login = _Login(retry=retry)
        try:
            async with asyncio.timeout(timeout):
                while self.phase is Phase.CLOSING:
                    await self._until_closed()
                if self.phase is Phase.OPEN and not self._driver.active:
                    await self._close(abort=True)  # a bug has ended it without the engine
                self._open()
                if self._engine.state().status is Status.AUTHENTICATED:
                    return
                self.logins.add(login)
                await login.wait()
        except TimeoutError:
            error = (
                login.error if login.ended else not_in_time(self._engine.state(), timeout or 0.0)
            )
            if error is None:
                return  # logged in, in the same turn of the loop
            await self._give_up(login, error, abort=True)
            raise error from error.__cause__
        except IMError as error:
            await self._give_up(login, error, abort=False)
            raise
        except asyncio.CancelledError:
            await self._give_up(login, None, abort=True)
            raise
        finally:
            self.logins.discard(login)

    def _open(self) -> None:
        if self.phase is not Phase.OPEN:
            self.phase = Phase.OPEN
            self._driver.active = self._dispatcher.open = True
            self._dispatcher.start()
        self.gave_up = None
        self._driver.step(Connect())

    async def _give_up(self, login: _Login, error: IMError | None, *, abort: bool) -> None:
        """connect() has failed: end everything, unless another connect() still waits."""
        if not self.leave(login, error):
            return
        if self.phase is Phase.OPEN:
            await self._close(abort=abort)
        elif self.phase is Phase.CLOSING and not self._dispatcher.inside:
            await self._until_closed()

    async def disconnect(self) -> None:
        """See `IMClient.disconnect`."""
        self.gave_up = None
        if self.phase is Phase.OPEN:
            await self._close(abort=False)
            return
        inside = self._dispatcher.inside
        try:
            if self._driver.awaited():
                self._driver.step(Disconnect())  # ends what needs no connection
            if inside:  # whoever is closing it waits for this callback
                await self._driver.until_quiet(self._limit)
                return
            if self.phase is Phase.CLOSING:
                await self._until_closed()
            await self._drain()
        except asyncio.CancelledError:
            if self.phase is Phase.CLOSING:
                self._driver.abort()
            if not self._is(Phase.OPEN) and not inside:  # unless connect() came in between
                self._dispatcher.cancel()
                await self._dispatcher.drained(_MARGIN)
            raise

    async def close_storage(self) -> None:
        """What the engine wanted kept is kept, in bounded time; then the journal is closed, also
        when this is cancelled."""
        try:
            await self._driver.until_written(self._limit)
        finally:
            self._driver.shut()  # here, so that nothing is queued while the thread begins
            await in_thread("im_asyncio-storage", self._driver.close_journal, _MARGIN)

    async def _close(self, *, abort: bool) -> None:
        """From OPEN to CLOSED, whatever happens; a cancellation comes out at the end."""
        self.phase = Phase.CLOSING
        inside = self._dispatcher.inside
        try:
            self._driver.step(Disconnect())
            self.turn_away()
            if not abort:
                await self._driver.until_quiet(self._limit)
            self._driver.abort()
            await self._driver.until_quiet(_MARGIN)
            if not inside:
                await self._drain()
        except asyncio.CancelledError:
            self._driver.abort()
            if not inside:
                self._dispatcher.cancel()
                await self._dispatcher.drained(_MARGIN)
            await self._driver.until_quiet(_MARGIN)
            raise
        finally:
            try:
                for _ in range(_LAST_TURNS):
                    await asyncio.sleep(0)
            finally:
                self._driver.abort()
                self._driver.stop()
                self._dispatcher.close()
                self.phase = Phase.CLOSED
                for end in self._ends:
                    wake(end)

    async def _drain(self) -> None:
        """Let the callbacks that wait be called; cancel what takes too long."""
        if not await self._dispatcher.drained(self._limit) and self.phase is not Phase.OPEN:
            self._log.warning("! a callback still runs after disconnect(); it is cancelled")
            self._dispatcher.cancel()
            await self._dispatcher.drained(_MARGIN)

    async def _until_closed(self) -> None:
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ends.add(end)
        try:
            await end
        finally:
            self._ends.discard(end)
