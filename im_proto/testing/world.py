"""A small world in virtual time: real client engines, a real gateway, and links that can be cut.

Time jumps to the next thing that happens, so an hour costs as much as what happens in it. One
`random.Random(seed)` draws everything: the same seed gives the same run.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from functools import partial
from typing import Final

from ..client import ClientEngine
from ..client import actions as ca
from ..client import events as ev
from ..client import inputs as ci
from ..config import ClientConfig, ServerConfig
from ..server import Gateway
from ..server import actions as sa
from ..server import inputs as si
from ..wire import UserId
from .memory import MemoryStore

START: Final = 1_000.0
WALL: Final = 1_700_000_000.0


class Link:
    """Two byte streams between a client's transport and a server's connection."""

    def __init__(self, client: Client, transport: int, connection: int) -> None:
        self.client = client
        self.transport = transport
        self.connection = connection
        #: both ends still take part
        self.up = True
        #: bytes are swallowed, nobody is told
        self.mute = False


class Client:
    """A client engine in the world, and what its application saw.

    `auto`: the application handles each message at once.
    """

    def __init__(self, world: World, config: ClientConfig, *, auto: bool = True) -> None:
        self.world = world
        self.config = config
        self.auto = auto
        self.engine = ClientEngine(config, now=world.now, wall=world.wall, rng=world.rng)
        self.link: Link | None = None
        self.events: list[ev.Event] = []
        self.received: list[ev.MessageReceived] = []
        self.accepted: list[ev.MessageAccepted] = []
        self.failed: list[ev.MessageFailed] = []
        self._refs = itertools.count(1)

    def do(self, event: ci.Input) -> None:
        """Give the engine an input now, and carry out what it wants."""
        actions = self.engine.step(event, self.world.now)
        for action in actions:
            self._carry_out(action)
        self.world.arm(self.engine.next_deadline(), lambda: self.do(ci.TimePassed()))

    def send(self, to_user: UserId, content: str) -> int:
        """Queue a message; returns its ref."""
        ref = next(self._refs)
        self.do(ci.Send(ref=ref, to_user=to_user, content=content))
        return ref

    def handle(self, message: ev.MessageReceived) -> None:
        """Say that the application is done with a message."""
        self.do(ci.MessageHandled(delivery=message.delivery))

    @property
    def status(self) -> ev.Status:
        """The client's state in one word."""
        return self.engine.state().status

    def _carry_out(self, action: ca.Action) -> None:
        world = self.world
        if isinstance(action, ca.Notify):
            self._hear(action.event)
        elif isinstance(action, ca.OpenTransport):
            world.later(lambda: world.connect(self, action.transport))
        elif isinstance(action, ca.SendBytes):
            link = self._link(action.transport)
            if link is not None:
                world.to_server(link, action.data)
        elif isinstance(action, ca.CloseTransport | ca.AbortTransport):
            link = self._link(action.transport)
            if link is not None:
                world.cut(link, tell_client=isinstance(action, ca.CloseTransport))
        elif isinstance(action, ca.FetchToken):
            request, token = action.request, world.token(self)
            world.later(lambda: self.do(ci.TokenReady(request=request, token=token)))

    def _link(self, transport: int) -> Link | None:
        link = self.link
        return link if link is not None and link.transport == transport else None

    def _hear(self, event: ev.Event) -> None:
        self.events.append(event)
        if isinstance(event, ev.MessageReceived):
            self.received.append(event)
            if self.auto:
                self.world.later(lambda: self.handle(event), delay=0.0)
        elif isinstance(event, ev.MessageAccepted):
            self.accepted.append(event)
        elif isinstance(event, ev.MessageFailed):
            self.failed.append(event)


class World:
    """See the module. The server knows every token; a token is `str(user_id)`.

    Args:
        seed: of everything that is drawn.
        config: the server's.
        latency: the longest time a chunk of bytes travels, in seconds.
    """

    def __init__(
        self, seed: int = 0, config: ServerConfig | None = None, *, latency: float = 0.02
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.now = START
        self.config = config or ServerConfig()
        self.latency = latency
        self.store = MemoryStore()
        self.clients: list[Client] = []
        self.links: dict[int, Link] = {}
        self.gateway: Gateway | None = None
        #: how long the store takes to commit, in seconds
        self.commit_time = 0.005
        self.store_fails = False
        self._store_done = START
        self.check: Callable[[World], None] = lambda _: None
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._connections = itertools.count(1)
        self._life = 0
        self.start_server()

    @property
    def wall(self) -> float:
        """Seconds since 1970, on the world's wall clock."""
        return self.now - START + WALL

    def client(self, user: UserId, *, auto: bool = True, **config: object) -> Client:
        """A new client of `user`, not connected yet."""
        fields = {"ws_url": "ws://server/ws", "token": str(user), "user_id": user} | config
        client = Client(self, ClientConfig.model_validate(fields), auto=auto)
        self.clients.append(client)
        return client

    def token(self, client: Client) -> str:
        """What a client's token function answers."""
        return str(client.config.user_id)

    # ------------------------------------------------------------ time

    def later(self, what: Callable[[], None], delay: float | None = None) -> None:
        """Do something after `delay` seconds, by default a random latency."""
        delay = self.rng.uniform(0, self.latency) if delay is None else delay
        heapq.heappush(self._events, (self.now + delay, next(self._order), what))

    def arm(self, deadline: float | None, wake: Callable[[], None]) -> None:
        """Wake an engine at its deadline; waking it early or twice does no harm."""
        if deadline is not None:
            at = max(deadline, self.now)
            heapq.heappush(self._events, (at, next(self._order), wake))

    def run(
        self, seconds: float, until: Callable[[], bool] = lambda: False, *, steps: int = 200_000
    ) -> None:
        """Let time pass, at most so long, or until something is true.

        Raises:
            AssertionError: it took more than `steps` things to happen: a livelock.
        """
        end = self.now + seconds
        for _ in range(steps):
            if until():
                return
            if not self._events or self._events[0][0] > end:
                self.now = end
                return
            at, _, what = heapq.heappop(self._events)
            self.now = max(self.now, at)
            what()
            self.check(self)
        raise AssertionError(f"no end after {steps} steps: a livelock")

    # ------------------------------------------------------------ the server

    def start_server(self) -> None:
        """Start, with what the store has kept."""
        self._life += 1
        self.gateway = Gateway(self.config, now=self.now, wall=self.wall, strict=True)

    def kill_server(self) -> None:
        """SIGKILL: connections are reset, what was not committed is lost."""
        self._life += 1
        self.gateway = None
        for link in list(self.links.values()):
            self.cut(link, tell_server=False)

    def server(self, event: si.Input) -> None:
        """Give the gateway an input now, and carry out what it wants."""
        gateway = self.gateway
        if gateway is None:
            return
        for action in gateway.step(event, self.now):
            self._carry_out(action)
        life = self._life
        self.arm(
            gateway.next_deadline(),
            lambda: self.server(si.TimePassed()) if self._life == life else None,
        )

    def _carry_out(self, action: sa.Action) -> None:
        if isinstance(action, sa.SendBytes):
            link = self.links.get(action.connection)
            if link is not None:
                self.to_client(link, action.data)
        elif isinstance(action, sa.CloseTransport | sa.AbortTransport):
            link = self.links.get(action.connection)
            if link is not None:
                # what was written before still arrives before the end does
                self.later(lambda: self.cut(link), delay=self.latency)
        elif isinstance(action, sa.Authenticate):
            connection, token = action.connection, action.token
            user: UserId = int(token) if token.isdigit() else token
            verified = si.TokenVerified(connection=connection, user=user)
            self.later(lambda: self.server(verified))
        elif isinstance(action, sa.StoreCommit | sa.StoreLogin | sa.StoreRead):
            life = self._life
            # one after the other, as every store that serialises its writers
            self._store_done = max(self._store_done, self.now + self.commit_time)
            self.later(lambda: self._store(action, life), delay=self._store_done - self.now)

    def _store(self, action: sa.StoreCommit | sa.StoreLogin | sa.StoreRead, life: int) -> None:
        if life != self._life:
            return
        if self.store_fails:
            self.server(si.StoreFailed(request=action.request, reason="the disk is full"))
        elif isinstance(action, sa.StoreCommit):
            self.server(self.store.commit(action))
        elif isinstance(action, sa.StoreLogin):
            self.server(self.store.login(action))
        else:
            self.server(self.store.read(action))

    # ------------------------------------------------------------ the network

    def connect(self, client: Client, transport: int) -> None:
        """A client's transport comes up, or is refused."""
        if self.gateway is None:
            client.do(ci.TransportFailed(transport=transport, kind=ci.TransportFailure.REFUSED))
            return
        link = Link(client, transport, next(self._connections))
        client.link = self.links[link.connection] = link
        self.server(si.ConnectionMade(connection=link.connection))
        client.do(ci.TransportOpened(transport=transport))

    def to_server(self, link: Link, data: bytes) -> None:
        """Bytes travel to the server, cut anywhere."""
        for chunk in self._chunks(data):
            event = si.BytesReceived(connection=link.connection, data=chunk)
            self._travel(link, partial(self.server, event))

    def to_client(self, link: Link, data: bytes) -> None:
        """Bytes travel to the client, cut anywhere."""
        for chunk in self._chunks(data):
            event = ci.BytesReceived(transport=link.transport, data=chunk)
            self._travel(link, partial(link.client.do, event))

    def cut(self, link: Link, *, tell_client: bool = True, tell_server: bool = True) -> None:
        """The link breaks; what was on its way is lost."""
        if not link.up:
            return
        link.up = False
        self.links.pop(link.connection, None)
        if tell_server:
            self.later(lambda: self.server(si.ConnectionLost(connection=link.connection)))
        if tell_client:
            lost = ci.TransportLost(transport=link.transport, reason="reset")
            self.later(lambda: link.client.do(lost))

    def _travel(self, link: Link, arrive: Callable[[], None]) -> None:
        if link.mute:
            return
        # one latency for all: bytes of a stream don't overtake one another
        self.later(lambda: arrive() if link.up else None, delay=self.latency / 2)

    def _chunks(self, data: bytes) -> list[bytes]:
        if len(data) < 2 or self.rng.random() < 0.5:
            return [data]
        at = self.rng.randrange(1, len(data))
        return [data[:at], data[at:]]
