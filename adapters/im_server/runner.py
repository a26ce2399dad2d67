"""Carries out what a `Gateway` wants: bytes, store, authenticator, one timer.

Decides nothing. Everything here happens in the thread of the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable
from typing import Final, Protocol

from im_proto.config import ServerConfig
from im_proto.server import Gateway
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.wire import codes

from .store import Store
from .tokens import Authenticator, Identity, TokenRefusedError
from .writer import StoreWorker

logger = logging.getLogger(__name__)
#: Seconds that the wall clock may have moved against the loop's before the gateway is told.
_CLOCK_SLACK: Final = 0.05


class Connection(Protocol):
    """A transport, as the runner sees it."""

    def write(self, data: bytes) -> None:
        """Send bytes, after those before."""

    def close(self) -> None:
        """Send what is buffered, then close."""

    def abort(self) -> None:
        """Drop it at once."""

    def pause_reading(self) -> None:
        """Read nothing more for now."""

    def resume_reading(self) -> None:
        """Read again."""


class Runner:
    """One gateway on one event loop.

    Args:
        config: of the engine.
        store: opened and closed here.
        authenticator: who checks tokens.
    """

    def __init__(self, config: ServerConfig, store: Store, authenticator: Authenticator) -> None:
        self._config = config
        self._store = store
        self._authenticator = authenticator
        self._store_open = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gateway: Gateway | None = None
        self._worker: StoreWorker | None = None
        self._connections: dict[int, Connection] = {}
        self._names = 0
        self._addresses: Counter[str] = Counter()
        self._inputs: deque[inp.Input] = deque()
        self._stepping = False
        self._wall_offset = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._drained: asyncio.Event | None = None
        self._shutting_down = False

    def open_store(self) -> None:
        """Open the database now, so that what is wrong with it is told before anything starts.

        Raises:
            StoreError: the database can't be used; says why and what helps.
        """
        if not self._store_open:
            self._store.open()
            self._store_open = True

    async def start(self) -> None:
        """Open the store, if it isn't yet, and begin.

        Raises:
            StoreError: the database can't be used; says why and what helps.
        """
        loop = self._loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self.open_store)
        self._drained = asyncio.Event()
        wall = time.time()
        self._wall_offset = wall - loop.time()
        self._gateway = Gateway(self._config, now=loop.time(), wall=wall)
        self._worker = StoreWorker(self._store, self._from_worker)

    async def stop(self) -> None:
        """Finish what is queued for the store and close it."""
        self.begin_shutdown()
        if self._drained is not None:
            await self._drained.wait()
        for task in list(self._asking):
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        worker, self._worker = self._worker, None
        if worker is not None:
            loop = asyncio.get_running_loop()
            done = await loop.run_in_executor(None, worker.close, self._config.drain_timeout)
            if done:
                self._store.close()
                self._store_open = False
        self._gateway = None

    def begin_shutdown(self) -> None:
        """Go down in good order: everything accepted is answered, then 1012 to everyone."""
        if not self._shutting_down:
            self._shutting_down = True
            self.feed(inp.Shutdown())

    @property
    def online(self) -> int:
        """How many connections are logged in."""
        return sum(self._gateway.online().values()) if self._gateway is not None else 0

    def admit(self, address: str) -> bool:
        """May one more connection from this address be accepted? Then `leave` it at its end."""
        if self._addresses[address] >= self._config.connections_per_address:
            return False
        self._addresses[address] += 1
        return True

    def leave(self, address: str) -> None:
        """A connection from this address is gone."""
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    # ------------------------------------------------------------ inputs

    def connected(self, connection: Connection, peer: str) -> int:
        """A transport is there; returns the name to use for it."""
        self._names += 1
        self._connections[self._names] = connection
        self.feed(inp.ConnectionMade(connection=self._names, peer=peer))
        return self._names

    def disconnected(self, name: int, reason: str) -> None:
        """A transport is gone."""
        self._connections.pop(name, None)
        self.feed(inp.ConnectionLost(connection=name, reason=reason))

    def feed(self, event: inp.Input) -> None:
        """Give the gateway an input. One that comes up while another is carried out waits."""
        self._inputs.append(event)
        if self._stepping or self._gateway is None or self._loop is None:
            return
        self._stepping = True
        try:
            self._look_at_the_clock(self._loop)
            while self._inputs:
                for action in self._gateway.step(self._inputs.popleft(), self._loop.time()):
                    self._carry_out(action)
        finally:
            self._stepping = False
            self._arm()

    def _look_at_the_clock(self, loop: asyncio.AbstractEventLoop) -> None:
        """The wall clock is set now and then, and goes on while the machine sleeps."""
        wall = time.time()
        offset = wall - loop.time()
        if abs(offset - self._wall_offset) > _CLOCK_SLACK:
            self._wall_offset = offset
            self._inputs.appendleft(inp.WallClock(wall=wall))

    def _from_worker(self, answer: inp.StoreInput) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.feed, answer)

    # ------------------------------------------------------------ actions

    def _carry_out(self, action: act.Action) -> None:
        if isinstance(action, act.StoreCommit | act.StoreLogin | act.StoreRead):
            assert self._worker is not None
            self._worker.submit(action)
        elif isinstance(action, act.Drained):
            assert self._drained is not None
            self._drained.set()
        elif isinstance(action, act.EngineFailed):
            logger.error("a bug: connection %d ends", action.connection, exc_info=action.error)
        else:
            connection = self._connections.get(action.connection)
            if connection is not None:
                self._on_connection(connection, action)

    def _on_connection(self, connection: Connection, action: act.ConnectionAction) -> None:
        if isinstance(action, act.SendBytes):
            connection.write(action.data)
        elif isinstance(action, act.CloseTransport):
            connection.close()
        elif isinstance(action, act.AbortTransport):
            self._connections.pop(action.connection, None)
            connection.abort()
        elif isinstance(action, act.PauseReading):
            connection.pause_reading()
        elif isinstance(action, act.ResumeReading):
            connection.resume_reading()
        else:
            self._authenticate(action)

    def _authenticate(self, action: act.Authenticate) -> None:
        """Ask the authenticator: at once if it is plain, in a task if it is async."""
        try:
            found = self._authenticator.authenticate(action.token)
        except Exception as error:
            self._answer(action.connection, error)
            return
        if isinstance(found, Identity):
            self._answer(action.connection, found)
            return
        task = asyncio.ensure_future(self._answer_later(action.connection, found))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _answer_later(self, connection: int, found: Awaitable[Identity]) -> None:
        try:
            answer: Identity | Exception = await found
        except Exception as error:
            answer = error
        self._answer(connection, answer)

    def _answer(self, connection: int, answer: Identity | Exception) -> None:
        if isinstance(answer, Identity):
            event: inp.Input = inp.TokenVerified(
                connection=connection,
                user=answer.user,
                username=answer.username,
                roles=answer.roles,
                expires_in=answer.expires_in,
            )
        elif isinstance(answer, TokenRefusedError):
            event = inp.TokenRefused(connection=connection, code=answer.code, reason=answer.reason)
        else:
            logger.error("the authenticator failed: %s", type(answer).__name__)
            reason = "the authenticator failed"
            event = inp.TokenRefused(connection=connection, code=codes.SERVER_ERROR, reason=reason)
        self.feed(event)

    # ------------------------------------------------------------ time

    def _arm(self) -> None:
        assert self._loop is not None
        deadline = self._gateway.next_deadline() if self._gateway is not None else None
        if self._timer is not None:
            if self._timer.when() == deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.feed(inp.TimePassed())
