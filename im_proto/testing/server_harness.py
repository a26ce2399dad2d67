"""What stands around a `Gateway` in its machine: hooks, and one step with its checks."""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from ..config import ServerConfig
from ..framing import CloseFrame, HandshakeAccepted, PingFrame, TextFrame, Violation
from ..machines import SERVER_CONNECTION
from ..server import Gateway
from ..server import actions as act
from ..server import inputs as inp
from ..server.hub import HubTimer
from ..wire import BadFrame, Invocation, Message
from .harness import START, WALL, Harness
from .memory import MemoryStore
from .peers import FarClient
from .server_model import ServerModel, Session
from .strategies import server_configs

#: The most envelopes that any peer of ours takes at once.
PEER_BATCH: Final = 3
DEDUPE_SECONDS: Final = 7 * 86_400.0


class Store(Protocol):
    """What `ServerEngineMachine` needs of a store."""

    def carry_out(self, action: act.StoreAction) -> inp.StoreInput | None:
        """Do what the hub wants; None where no answer is needed."""


class ServerHarness(Harness[inp.Input]):
    """`ServerEngineMachine` without its rules."""

    def __init__(self) -> None:
        super().__init__()
        self.config: ServerConfig
        self.gateway: Gateway
        self.model: ServerModel
        self.store: Store
        #: every connection there was, by the gateway's name for it
        self.peers: dict[int, FarClient] = {}
        #: tokens that wait for the authenticator
        self.tokens: deque[act.Authenticate] = deque()
        #: what the store was asked and has not answered
        self.requests: deque[act.StoreAction] = deque()
        self.drained = False

    # ------------------------------------------------------------ hooks

    def make_config(self) -> ServerConfig:
        """The configuration of this run; by default any, but that no message is forgotten while
        the run lasts. `self.draw(strategy)` works here."""
        return self.draw(server_configs(dedupe_seconds=DEDUPE_SECONDS))

    def make_store(self) -> Store:
        """The store of this run, empty; `self.draw(strategy)` works here."""
        return MemoryStore()

    def on_action(self, action: act.Action) -> None:
        """The gateway wants this done; called for each action, in order."""

    def on_message(self, connection: int, message: Message) -> None:
        """The server has said this to a client."""

    # ------------------------------------------------------------ for rules of a subclass

    def say(self, peer: FarClient, *messages: Message, under_way: int = 0) -> None:
        """A client says this in one frame (several only if `batch` was granted); nothing happens
        when it has no WebSocket. The last bytes may stay `under_way` for now."""
        if peer.framing.open and not peer.ended:
            self._arrive(peer, peer.text(*messages), under_way)

    def some(self, which: int) -> FarClient | None:
        """One of the connections that are there, those that are logged in first."""
        here = [peer for peer in self.peers.values() if not peer.ended]
        here.sort(key=lambda peer: not self.model.session(peer.connection).online)
        return here[which % len(here)] if here else None

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """A new server."""
        self._data = data
        self.config = self.make_config()
        self.store = self.make_store()
        self._data = None
        self.model = ServerModel(self.config)
        self.gateway = Gateway(self.config, now=START, wall=WALL, strict=True)

    def the_authenticator_answers_well(self) -> None:
        """It knows every token that is a number."""
        asked = self.tokens.popleft()
        if not asked.token.isdecimal():
            self.do(inp.TokenRefused(connection=asked.connection, code=40101, reason="no"))
            return
        user = int(asked.token)
        roles = frozenset({"broadcast"}) if user == 3 else frozenset[str]()
        self.do(inp.TokenVerified(connection=asked.connection, user=user, roles=roles))

    def _answer_store(self, count: int) -> None:
        for _ in range(count):
            if self.requests:
                answer = self.store.carry_out(self.requests.popleft())
                if answer is not None:
                    self.do(answer)

    # ------------------------------------------------------------ one step

    def _arrive(self, peer: FarClient, data: bytes, under_way: int = 0) -> None:
        peer.unread += data
        count = max(0, len(peer.unread) - under_way)
        data, peer.unread = peer.unread[:count], peer.unread[count:]
        if data and not peer.ended:
            self.do(inp.BytesReceived(connection=peer.connection, data=data))

    def _step(self, event: inp.Input) -> None:
        gateway = self.gateway
        before = gateway.next_deadline()
        nothing = self._means_nothing(event, before)
        if not nothing:
            self._take_note(event)
        self._latest = max(self._latest, self.now)
        actions = gateway.step(event, self.now)
        if nothing:
            assert actions == [], f"{event} is {nothing}, and brought about {actions}"
            assert gateway.next_deadline() == before, f"{event} is {nothing}, and moved a deadline"
        for action in actions:
            self._check(action)
            self.on_action(action)
        self._check_state(event)

    def _means_nothing(self, event: inp.Input, deadline: float | None) -> str:
        """Why an input must change nothing; "" if it may."""
        if isinstance(event, inp.TimePassed):
            return "" if deadline is not None and deadline <= self._now_there else "too early"
        connection: int | None = getattr(event, "connection", None)
        if connection is not None and (
            connection not in self.peers or connection not in self.gateway.engines
        ):
            return "" if isinstance(event, inp.ConnectionMade) else "of a connection that is gone"
        stale = getattr(event, "request", 0) >= 10**9
        return "not what the store was asked" if stale else ""

    def _take_note(self, event: inp.Input) -> None:
        model = self.model
        if isinstance(event, inp.BytesReceived):
            self._read_along(self.peers[event.connection], event.data)
        elif isinstance(event, inp.ConnectionLost):
            self.peers[event.connection].ended = True
            model.gone(event.connection)
        elif isinstance(event, inp.TokenVerified):
            session = model.session(event.connection)
            if not session.online:  # a refresh, late or not, changes no user
                session.user = event.user
        elif isinstance(event, inp.WriteBlocked | inp.WriteReady):
            model.session(event.connection).blocked = isinstance(event, inp.WriteBlocked)
        elif isinstance(event, inp.Committed):
            model.committed(event)
        elif isinstance(event, inp.LoginStored):
            model.logged_in(event)
        elif isinstance(event, inp.Retained):
            model.retained(event)
        elif isinstance(event, inp.StoreFailed):
            if model.committing is not None and model.committing.request == event.request:
                model.failed()
        elif isinstance(event, inp.Shutdown):
            model.draining = True

    def _read_along(self, peer: FarClient, data: bytes) -> None:
        session = self.model.session(peer.connection)
        dialect = Invocation("server")
        largest = self.config.message_bytes
        if not session.online:
            largest = min(largest, self.config.auth_bytes)
        for frame in peer.read_along(data, self.now, largest):
            if isinstance(frame, TextFrame):
                try:
                    batch = self.config.batch if session.batch else 0
                    messages = dialect.decode(frame.text, batch=batch)
                except BadFrame:
                    return
                for message in messages:
                    if isinstance(message, Message):
                        self.model.heard(peer.connection, message)

    def _check(self, action: act.Action) -> None:
        model = self.model
        if isinstance(action, act.StoreCommit):
            model.asked_to_commit(action)
            self.requests.append(action)
        elif isinstance(action, act.StoreAction):
            if isinstance(action, act.StoreLogin):
                model.asked_to_log_in(action)
            self.requests.append(action)
        elif isinstance(action, act.RulesBroken):
            assert self.peers[action.connection].ended
        elif isinstance(action, act.Drained):
            assert model.draining and not self.drained and not self.gateway.engines
            self.drained = True
        else:
            assert not isinstance(action, act.EngineFailed | act.SiteAction), action
            peer = self.peers[action.connection]
            # its own close, and then the end, may still follow
            assert not peer.ended or isinstance(action, act.AbortTransport), f"{action}: it is gone"
            if isinstance(action, act.SendBytes):
                self._read(peer, action.data)
            elif isinstance(action, act.Authenticate):
                self.tokens.append(action)
            elif isinstance(action, act.AbortTransport):
                peer.ended = True
                model.gone(peer.connection)
            elif isinstance(action, act.CloseTransport):
                peer.ended = True
                model.gone(peer.connection)
                self.do(inp.ConnectionLost(connection=peer.connection))

    def _read(self, peer: FarClient, data: bytes) -> None:
        if not peer.asked:
            assert data.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")), data
            return
        for frame in peer.framing.receive(data, self.now):
            assert not isinstance(frame, Violation), f"the server broke RFC 6455: {frame}"
            if isinstance(frame, TextFrame):
                session = self.model.session(peer.connection)
                for message in peer.messages(frame.text, batch=self._batch(session)):
                    self.model.said(peer.connection, message)
                    self.on_message(peer.connection, message)
            elif isinstance(frame, PingFrame):
                peer.pings.append(frame.payload)
            elif isinstance(frame, HandshakeAccepted):
                peer.upgraded = True
            elif isinstance(frame, CloseFrame):
                self.model.gone(peer.connection)

    def _batch(self, session: Session) -> int:
        return min(PEER_BATCH, self.config.batch) if session.batch else 0

    def _check_state(self, event: inp.Input) -> None:
        gateway, at = self.gateway, self.gateway.next_deadline()
        for connection, engine in gateway.engines.items():
            assert engine.core.state in SERVER_CONNECTION.states
            assert not engine.closed, f"connection {connection} is kept after its end"
            assert engine.next_deadline() is not None, f"connection {connection} waits for nothing"
        # an answer that is on its way to the store's side of this machine counts as asked
        idle = not self.requests and not self._inputs
        self.model.settled(gateway.online(), idle=idle)
        if (
            isinstance(event, inp.TimePassed)
            and self.now == self._latest
            and not gateway.turns_wait
        ):
            assert at is None or at > self.now, "no time would pass: a livelock"

    def teardown(self) -> None:
        """Everybody leaves, the store does its work, and time goes on: nothing is kept."""
        if self._broken or not hasattr(self, "gateway"):
            return
        for peer in self.peers.values():
            self.do(inp.ConnectionLost(connection=peer.connection))
        for _ in range(100):
            if not self._waits():
                break
            self._answer_store(len(self.requests))
            # not from one look at what is too old to the next, which may be a moment
            self.now = max(self._latest + 60.0, self.gateway.next_deadline() or 0.0)
            self.do(inp.TimePassed())
        self._answer_store(len(self.requests))
        assert not self.gateway.engines, "a connection is kept after its end"
        assert self.gateway.online() == {}, "somebody is online who has left"
        assert not self._waits(), (
            f"still waits for something: {self.gateway.hub.deadlines()}, {self.requests}"
        )

    def _waits(self) -> bool:
        """Is anything awaited but the next look at what is too old, which goes on for ever?"""
        hub = any(timer is not HubTimer.RETAIN for timer, _ in self.gateway.hub.deadlines())
        return hub or bool(self.gateway.engines or self.requests)
