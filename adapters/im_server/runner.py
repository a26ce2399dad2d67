"""Carries out what a `Gateway` wants: bytes, store, site, one timer.

Decides nothing. Everything here happens in the thread of the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, get_args

from im_proto.config import ServerConfig
from im_proto.errors import printable
from im_proto.server import Gateway
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.server.doors import Arrivals, BadTokens, Doors
from im_proto.server.engine import frame_limits
from im_proto.wire import UserId, codes

from .held import Held
from .messagelog import StoreLog
from .site import Site
from .store import Store
from .tokens import Identity, TokenRefusedError
from .writer import StoreWorker, where

logger = logging.getLogger(__name__)
#: Seconds that the wall clock may have moved against the loop's before the gateway is told.
_CLOCK_SLACK: Final = 0.05
#: Where most actions go.
_TO_STORE: Final = frozenset(get_args(act.StoreAction))
_TO_TRANSPORT: Final = frozenset(get_args(act.ConnectionAction) + get_args(act.MessageAction)) - {
    act.Authenticate
}
_NOT_STARTED: Final = (
    "the server isn't started: give its lifespan to your application, "
    "FastAPI(lifespan=server.lifespan)"
)
#: What an operator can do about it.
_TOO_FAST: Final = (
    "connections from %s are dropped: they come faster than arrivals_per_address and arrivals_burst"
    " allow, each that breaks the rules for fault_arrivals more. If it is a proxy of yours, name it"
    " in trusted_proxies; if many users have this address, raise the two"
)


class Connection(Protocol):
    """A transport, as the runner sees it."""

    def carry_out(self, action: act.Action, /) -> None:
        """Do what the gateway wants of this connection."""


class Runner:
    """One gateway on one event loop.

    Args:
        config: of the engine.
        store: opened and closed here.
        site: what is asked of the site, and told.
    """

    def __init__(self, config: ServerConfig, store: Store, site: Site) -> None:
        self.config = config
        self.site = site
        #: counts sockets, before they are anything else; WebSockets the gateway counts once more,
        #: by the address that a trusted proxy tells
        self.doors = Doors(
            config.connections, config.connections_per_address, config.trusted_proxies
        )
        self._arrivals = Arrivals(config)
        #: what an upgrade request may be
        self.opening = frame_limits(config, config.auth_bytes)
        self.held = Held()
        self.bad_tokens = BadTokens(config)
        self._store = store
        self._store_open = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gateway: Gateway | None = None
        self._worker: StoreWorker | None = None
        self._connections: dict[int, Connection] = {}
        self._names = 0
        self._inputs: deque[inp.Input | inp.MessageInput] = deque()
        self._stepping = False
        self._wall_offset = 0.0
        #: what wakes us, and when; uvloop's own can't tell
        self._timer: asyncio.Handle | None = None
        self._armed_for = 0.0
        self._users = 0
        self._requests = 0
        self._asked: dict[int, asyncio.Future[act.Answered]] = {}
        #: what the store's thread has said, and whether the loop was woken for it
        self._answers: deque[inp.StoreInput] = deque()
        self._woken = False
        #: what is read here and not by the gateway, whose names of requests are above zero
        self._looking: dict[int, asyncio.Future[inp.StoreInput]] = {}
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
        """Open the store, if it isn't yet, and begin. Who starts a running one joins in.

        Raises:
            StoreError: the database can't be used; says why and what helps.
            RuntimeError: it runs in another event loop.
        """
        loop = asyncio.get_running_loop()
        if self._users:
            self._check_loop()
            self._users += 1
            return
        self._users = 1
        try:
            revoked = await loop.run_in_executor(None, self._load)
        except BaseException:
            self._users = 0
            raise
        self._loop = loop
        self._drained = asyncio.Event()
        self._shutting_down = False
        self._inputs.clear()
        self._answers.clear()
        self._woken = False
        wall = time.time()
        self._wall_offset = wall - loop.time()
        self._gateway = Gateway(
            self.config,
            now=loop.time(),
            wall=wall,
            authorizes=self.site.authorizes,
            tells=self.site.listens,
            revoked=revoked,
        )
        self._worker = StoreWorker(self._store, self._from_worker)
        self.site.start(StoreLog(self._store, self._worker))

    def _load(self) -> dict[UserId, int]:
        self.open_store()
        return self._store.revoked()

    async def stop(self) -> None:
        """The last of those who started it: finish what is queued for the store and close it."""
        self._users -= 1
        if self._users:
            return
        self.begin_shutdown()
        if self._drained is not None:
            await self._drained.wait()
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(RuntimeError("the server goes down"))
        await self.site.stop(self.config.drain_timeout)
        if self._timer is not None:
            self._timer.cancel()
        worker, self._worker = self._worker, None
        if worker is not None:
            loop = asyncio.get_running_loop()
            done = await loop.run_in_executor(None, worker.close, self.config.drain_timeout)
            if done:
                self._store.close()
                self._store_open = False
        self._gateway = None

    def begin_shutdown(self) -> None:
        """Go down in good order: everything accepted is answered, then 1012 to everyone."""
        if not self._shutting_down:
            self._shutting_down = True
            self.held.drop_all()
            self.feed(inp.Shutdown())

    @property
    def going_down(self) -> bool:
        """Has it begun to go down, or is it down already?"""
        return self._shutting_down or self._gateway is None

    def online(self) -> dict[UserId, int]:
        """Who is logged in, with how many connections."""
        return self._gateway.online() if self._gateway is not None else {}

    async def identify(self, token: str) -> Identity:
        """Say whose token it is, outside of a connection.

        Raises:
            TokenRefusedError: it is not good, was revoked, or (with a code of 50000) it can't be
                known.
        """
        identity = await self.site.identify(token)
        if self._gateway is not None and self._gateway.revoked(identity.user, identity.issued_at):
            raise TokenRefusedError("the token was revoked", codes.TOKEN_INVALID)
        return identity

    async def ask(
        self, make: Callable[[int], inp.SendAsked | inp.CallAsked | inp.RevokeAsked]
    ) -> act.Answered:
        """Ask the gateway something, under the name that `make` is given.

        Raises:
            RuntimeError: it doesn't run in this event loop, or goes down.
        """
        self._check_loop()
        self._requests += 1
        request = self._requests
        answer: asyncio.Future[act.Answered] = asyncio.get_running_loop().create_future()
        self._asked[request] = answer
        try:
            self.feed(make(request))
            return await answer
        finally:
            del self._asked[request]

    async def read(self, user: UserId, *, after: int, limit: int) -> inp.ReadDone:
        """Look into a mailbox.

        Raises:
            RuntimeError: it doesn't run in this event loop, or the store can't be read now.
        """
        self._check_loop()
        assert self._worker is not None
        self._requests += 1
        request = -self._requests
        looked: asyncio.Future[inp.StoreInput] = asyncio.get_running_loop().create_future()
        self._looking[request] = looked
        self._worker.submit(act.StoreRead(request=request, user=user, after=after, limit=limit))
        done = await looked
        if not isinstance(done, inp.ReadDone):
            raise RuntimeError("the store can't be read now")
        return done

    def kick(self, asked: inp.KickAsked) -> int:
        """End connections; returns how many.

        Raises:
            RuntimeError: it doesn't run in this event loop.
        """
        self._check_loop()
        before = self.online().get(asked.user, 0)
        self.feed(asked)
        return before - self.online().get(asked.user, 0)

    async def revoke(self, user: UserId) -> act.Answered:
        """Revoke a user's tokens.

        Raises:
            RuntimeError: it doesn't run in this event loop, or goes down.
        """
        self._check_loop()
        # By the very clock that tokens are signed with: the gateway's may lag behind a little.
        self.feed(inp.WallClock(wall=time.time()))
        return await self.ask(lambda request: inp.RevokeAsked(request=request, user=user))

    def _check_loop(self) -> None:
        if self._gateway is None:
            raise RuntimeError(_NOT_STARTED)
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("the server runs in another event loop: call it from there")

    def enter(self, address: str) -> bool:
        """May a socket from there be served? Who may is counted, and has to leave `doors`; who
        may not is `held`."""
        assert self._loop is not None
        now = self._loop.time()
        if self._arrivals.come(address, now):
            return self.doors.enter(address)
        if self._arrivals.news(address, now):
            logger.warning(_TOO_FAST, address)
        return False

    def fault(self, address: str) -> None:
        """A socket from there broke the rules: whoever comes from there pays for it."""
        assert self._loop is not None
        self._arrivals.fault(address, self._loop.time())

    # ------------------------------------------------------------ inputs

    def connected(self, connection: Connection, peer: str, *, messages: bool = False) -> int:
        """A transport is there; returns the name to use for it. `messages`: it gives and takes
        whole messages, not bytes.

        Raises:
            RuntimeError: the server isn't started.
        """
        if self._gateway is None:
            raise RuntimeError(_NOT_STARTED)
        self._names += 1
        self._connections[self._names] = connection
        self.feed(inp.ConnectionMade(connection=self._names, peer=peer, messages=messages))
        return self._names

    def disconnected(self, name: int, reason: str) -> None:
        """A transport is gone."""
        self._connections.pop(name, None)
        self.feed(inp.ConnectionLost(connection=name, reason=reason))

    def feed(self, event: inp.Input | inp.MessageInput, *, now: float = 0.0) -> None:
        """Give the gateway an input. One that comes up while another is carried out waits.

        Args:
            event: what has happened.
            now: when, if that is later than the loop's clock says.
        """
        inputs, gateway, loop = self._inputs, self._gateway, self._loop
        inputs.append(event)
        if self._stepping or gateway is None or loop is None:
            return
        self._stepping = True
        try:
            at = loop.time()
            self._look_at_the_clock(at)
            while inputs:
                if now > at:
                    at = now
                for action in gateway.step(inputs.popleft(), at):
                    self._carry_out(action)
                if inputs:
                    at = loop.time()
        finally:
            self._stepping = False
            self._arm()

    def _look_at_the_clock(self, now: float) -> None:
        """The wall clock is set now and then, and goes on while the machine sleeps."""
        wall = time.time()
        offset = wall - now
        if abs(offset - self._wall_offset) > _CLOCK_SLACK:
            self._wall_offset = offset
            self._inputs.appendleft(inp.WallClock(wall=wall))

    def _from_worker(self, answer: inp.StoreInput) -> None:
        """In the store's thread. The loop is woken once for all that has come when it looks."""
        self._answers.append(answer)
        if not self._woken:
            self._woken = True
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._take_answers)

    def _take_answers(self) -> None:
        # first: for what comes from now on the loop is woken again
        self._woken = False
        answers = self._answers
        try:
            for _ in range(len(answers)):
                self._on_store(answers.popleft())
        finally:
            if answers and not self._woken:  # a bug was met at one: the others are not lost by it
                self._woken = True
                assert self._loop is not None
                self._loop.call_soon(self._take_answers)

    def _on_store(self, answer: inp.StoreInput) -> None:
        if answer.request >= 0:
            self.feed(answer)
            return
        looked = self._looking.pop(answer.request, None)
        if looked is not None and not looked.done():
            looked.set_result(answer)

    # ------------------------------------------------------------ actions

    def _carry_out(self, action: act.Action) -> None:
        kind = type(action)
        if kind in _TO_TRANSPORT:
            self._to_transport(action)  # type: ignore[arg-type]  # the set says so
        elif kind in _TO_STORE:
            assert self._worker is not None
            self._worker.submit(action)  # type: ignore[arg-type]
        elif isinstance(action, act.Authenticate):
            self.site.authenticate(action, self.feed, self.config.auth_timeout)
        elif isinstance(action, act.Authorize):
            self.site.authorize(action, self.feed, self.config.auth_timeout)
        elif isinstance(action, act.MessageStored):
            self.site.stored(action.entry, action.offline)
        elif isinstance(action, act.Answered):
            asked = self._asked.get(action.request)
            if asked is not None and not asked.done():
                asked.set_result(action)
        elif isinstance(action, act.Drained):
            assert self._drained is not None
            self._drained.set()
        elif isinstance(action, act.RulesBroken):
            self.fault(action.peer)
        elif isinstance(action, act.EngineFailed):
            # not its text: it may quote what a peer wrote
            logger.error("a bug: connection %d ends: %s", action.connection, where(action.error))
        else:
            raise TypeError(f"{kind.__name__} is no action of a gateway")

    def _to_transport(self, action: act.ConnectionAction | act.MessageAction) -> None:
        """One that raises ends alone: what the step brings others is still to be done."""
        name = action.connection
        connection = self._connections.get(name)
        if isinstance(action, act.AbortTransport):
            self._connections.pop(name, None)
        if connection is None:
            return
        try:
            connection.carry_out(action)
        except Exception as error:
            reason = f"{type(error).__name__}: {printable(str(error))}"
            logger.error("the transport of connection %d failed: %s", name, reason)
            if self._connections.pop(name, None) is not None:
                with contextlib.suppress(Exception):  # it is lost, whatever it says
                    connection.carry_out(act.AbortTransport(connection=name))
            self._inputs.append(inp.ConnectionLost(connection=name, reason=reason))

    # ------------------------------------------------------------ time

    def _arm(self) -> None:
        assert self._loop is not None
        deadline = self._gateway.next_deadline() if self._gateway is not None else None
        if self._timer is not None:
            # One that goes off too early is armed again: cheaper than to move it with each message.
            if deadline is not None and self._armed_for <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._armed_for = deadline
            self._timer = self._loop.call_at(deadline, self._wake)

    def _wake(self) -> None:
        self._timer = None
        assert self._loop is not None
        # A loop may be early by its clock's resolution, a millisecond with uvloop: that is on time.
        now = max(self._loop.time(), self._armed_for)
        deadline = self._gateway.next_deadline() if self._gateway is not None else None
        if deadline is not None and deadline <= now:
            self.feed(inp.TimePassed(), now=now)
        else:
            self._arm()
