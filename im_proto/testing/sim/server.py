"""The server in the world: a real `Gateway`, its authenticator, and a store that survives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ...config import ServerConfig
from ...server import Gateway
from ...server import actions as act
from ...server import inputs as inp
from ...server.records import CommitResult, Submission, Unstorable
from ...wire import UserId
from ..memory import MemoryStore
from .imposter import Imposter
from .machine import Machine
from .network import End
from .node import Node
from .site import Site

if TYPE_CHECKING:
    from .world import SimWorld

#: What waits for no writer.
_Reading = act.StoreRead | act.StorePeers


class ServerNode(Node[inp.Input]):
    """A process with a gateway; the store is its disk.

    Args:
        world: where it lives.
        machine: where it runs.
        config: of the gateway.

    Attributes:
        gateway: None while the process is not running.
        has_site: it was started with a site behind it.
        site: that site.
        store: what is on disk.
        refuses: the port is closed.
        imposter: somebody else is at the port; None: nobody.
        commit_time: how long the store takes to write, in seconds.
        failing: how often the store fails, 0 to 1.
        unstorable: the next message that comes is one that the store can't hold.
        auth_time: how long the authenticator takes, in seconds; None: for ever.
    """

    def __init__(self, world: SimWorld, machine: Machine, config: ServerConfig) -> None:
        super().__init__(world, "server", machine)
        self.config = config
        self.gateway: Gateway | None = None
        self.has_site = False
        self.site = Site(self)
        self.store = MemoryStore()
        self.refuses = False
        self.imposter: Imposter | None = None
        self.commit_time = 0.005
        self.failing = 0.0
        self.unstorable = False
        self._cursed: dict[tuple[UserId, int], None] = {}
        self.auth_time: float | None = 0.005
        self.drained = False
        self._names = 0
        self._store_free = 0.0
        self._wall_offset = 0.0
        #: the life whose last writes were not in time
        self._died_in = 0
        self.start()

    # ------------------------------------------------------------ life

    def start(self) -> None:
        """Start the process, with what the store has kept."""
        if self.gateway is not None:
            return
        self.lives += 1
        self.drained = False
        self._store_free = self.world.now
        wall = self.machine.wall(self.world.now)
        self._wall_offset = wall - self.now
        self.site.asked.clear()
        self.gateway = Gateway(
            self.config,
            now=self.now,
            wall=wall,
            authorizes=self.has_site,
            tells=self.has_site,
            revoked=self.store.revoked,
            strict=True,
        )
        self.world.note(self, "=", "started")

    def reconfigure(self, config: ServerConfig, *, has_site: bool = False) -> None:
        """Start anew with another configuration, and with a site or without."""
        self.kill()
        self.config, self.has_site = config, has_site
        self.start()

    def kill(self, *, silent: bool = False) -> None:
        """SIGKILL, or (`silent`) a power cut: commits under way are in or not, as it comes."""
        if self.gateway is None:
            return
        self.world.note(self, "=", "killed")
        self.gateway = None
        self._die(silent=silent)

    def shut_down(self, retry_after: float | None = None) -> None:
        """Ask it to go down in good order; `drained` says when it has."""
        if self.gateway is not None:
            self.feed(inp.Shutdown(retry_after=retry_after))

    @property
    def alive(self) -> bool:
        """It runs."""
        return self.gateway is not None

    @property
    def listening(self) -> bool:
        """Somebody accepts at its port."""
        return self.gateway is not None and not self.refuses and not self.drained

    def new_name(self) -> int:
        """A name for a connection, never used again."""
        self._names += 1
        return self._names

    # ------------------------------------------------------------ the engine

    def next_deadline(self) -> float | None:
        """When it wants to be woken."""
        return None if self.gateway is None else self.gateway.next_deadline()

    def time_passed(self) -> inp.Input:
        """What it is told when it is woken."""
        return inp.TimePassed()

    def _take(self, event: inp.Input) -> None:
        gateway = self.gateway
        if gateway is None:
            return
        offset = self.machine.wall_offset - self.machine.offset
        if abs(offset - self._wall_offset) > 0.05:  # as `im_server` does, before each input
            self._wall_offset = offset
            self._step(gateway, inp.WallClock(wall=self.machine.wall(self.world.now)))
        self._step(gateway, event)

    def _step(self, gateway: Gateway, event: inp.Input) -> None:
        world = self.world
        world.steps += 1
        world.note(self, "<", event)
        now = self.now
        actions = gateway.step(event, now)
        for action in actions:
            world.note(self, ">", action)
            _CARRY_OUT[type(action)](self, action)
        world.invariants.server(self, gateway, event, now)

    # ------------------------------------------------------------ connections

    def made(self, end: End) -> None:
        """A client has connected."""
        self.ends[end.name] = end
        self.feed(inp.ConnectionMade(connection=end.name))

    def bytes_in(self, end: End, data: bytes) -> None:
        """Bytes came in."""
        self.feed(inp.BytesReceived(connection=end.name, data=data))

    def lost(self, end: End, reason: str) -> None:
        """A connection has ended."""
        if self.ends.pop(end.name, None) is not None:
            self.feed(inp.ConnectionLost(connection=end.name, reason=reason))

    def write_blocked(self, end: End) -> None:
        """The write buffer is over its high-water mark."""
        self.feed(inp.WriteBlocked(connection=end.name))

    def write_ready(self, end: End) -> None:
        """The write buffer is under its low-water mark."""
        self.feed(inp.WriteReady(connection=end.name))

    def _send_bytes(self, action: act.SendBytes) -> None:
        end = self.ends.get(action.connection)
        if end is not None:
            self.world.network.write(end, action.data)

    def _close(self, action: act.CloseTransport) -> None:
        end = self.ends.get(action.connection)
        if end is not None:
            self.world.network.close(end)

    def _abort(self, action: act.AbortTransport) -> None:
        end = self.ends.pop(action.connection, None)
        if end is not None:
            self.world.network.abort(end)

    def _pause(self, action: act.PauseReading) -> None:
        end = self.ends.get(action.connection)
        if end is not None:
            end.reading = False

    def _resume(self, action: act.ResumeReading) -> None:
        end = self.ends.get(action.connection)
        if end is not None and not end.closing:
            end.reading = True
            self.world.later(0.0, self.world.network.read, end)

    # ------------------------------------------------------------ the authenticator

    def _authenticate(self, action: act.Authenticate) -> None:
        if self.auth_time is not None:
            delay = self.world.rng.uniform(0.0, 2.0) * self.auth_time
            self.world.later(delay, self._verify, self.lives, action.connection, action.token)

    def _verify(self, life: int, connection: int, token: str) -> None:
        if life != self.lives or self.gateway is None:
            return
        found = self.world.tokens.check(token)
        if found.user is not None:
            event: inp.Input = inp.TokenVerified(
                connection=connection,
                user=found.user,
                roles=found.roles,
                expires_in=found.expires_in,
            )
        else:
            event = inp.TokenRefused(connection=connection, code=found.code, reason="refused")
        self.feed(event)

    # ------------------------------------------------------------ the store

    def _store(self, action: act.StoreAction) -> None:
        world = self.world
        rng, life = world.rng, self.lives
        if isinstance(action, _Reading):
            # readers wait for nobody, so their answers may cross those of the writers
            self._read_later(life, action)
            return
        # one writer, in turn
        takes = rng.uniform(0.5, 1.5) * self.commit_time
        self._store_free = max(self._store_free, world.now) + takes
        world.at(self._store_free, self._write, life, action)

    def _read_later(self, life: int, action: _Reading) -> None:
        rng = self.world.rng
        self.world.later(rng.uniform(0.0, 2.0) * self.commit_time, self._read, life, action)

    def _read(self, life: int, action: _Reading) -> None:
        if life != self.lives or self.gateway is None:
            return
        answer = self.store.carry_out(action)
        assert answer is not None
        if self._fails():
            answer = inp.StoreFailed(request=action.request, reason="disk I/O error")
        self.world.later(self.world.rng.uniform(0.0, 0.002), self._answer, life, answer)

    def _write(self, life: int, action: act.StoreAction) -> None:
        """The moment of the commit: a process that died before it may still have been in time."""
        if life != self.lives or life == self._died_in:
            return
        if self.gateway is None:
            if self.world.rng.random() < 0.5:
                self._died_in = life  # nor is anything that stood behind it
                return
        elif self._fails():
            if not isinstance(action, act.StoreSeen):
                failed = inp.StoreFailed(request=action.request, reason="disk full")
                self._answer(life, failed)
            return
        if isinstance(action, act.StoreCommit):
            before = len(self.store.messages)
            answer: inp.StoreInput | None = self._commit(action)
            for message in self.store.messages[before:]:
                self.world.ledger.stored(message)
                self.world.hearsay.stored(message)
        else:
            answer = self.store.carry_out(action)
            if isinstance(action, act.StoreLogin) and isinstance(answer, inp.LoginStored):
                self._logged_in(action, answer)
                if action.request % 2:  # a store may leave it to be asked for
                    answer = replace(answer, peers=None)
            elif isinstance(answer, inp.Retained):
                for user, oldest in answer.oldest:
                    self.world.ledger.trimmed(user, oldest)
            if answer is None:
                return
        # written in turn, but the answers may cross
        slow = self.world.rng.random() < 0.3
        delay = self.world.rng.uniform(0.0, 2.0 * self.commit_time if slow else 0.002)
        self.world.later(delay, self._answer, life, answer)

    def _commit(self, action: act.StoreCommit) -> inp.Committed:
        if self.unstorable and action.submissions:
            self.unstorable = False
            self._cursed[_name(action.submissions[0])] = None
        if not self._cursed:
            return self.store.commit(action)
        # what can't be stored can't be stored ever, also when it is sent again
        good = tuple(s for s in action.submissions if _name(s) not in self._cursed)
        done = self.store.commit(replace(action, submissions=good))
        results: dict[int, CommitResult] = {result.key: result for result in done.results}
        for submission in action.submissions:
            reason = "the store can't hold it"
            results.setdefault(submission.key, Unstorable(key=submission.key, reason=reason))
        return replace(done, results=tuple(results[s.key] for s in action.submissions))

    def _logged_in(self, action: act.StoreLogin, stored: inp.LoginStored) -> None:
        self.world.hearsay.logged_in(action.user, action.device)
        if self.config.first_login == "latest" and stored.login.cursor is None:
            self.world.ledger.begins_at(action.user, action.device, stored.login.head + 1)

    def _fails(self) -> bool:
        return bool(self.failing) and self.world.rng.random() < self.failing

    def _answer(self, life: int, answer: inp.Input) -> None:
        if life == self.lives and self.gateway is not None:
            self.feed(answer)

    def _authorize(self, action: act.Authorize) -> None:
        self.site.authorize(action)

    def _tell_site(self, action: act.MessageStored) -> None:
        self.site.stored(action)

    def _answer_site(self, action: act.Answered) -> None:
        self.site.answered(action)

    def _on_drained(self, _: act.Drained) -> None:
        self.drained = True

    def _on_broken(self, _: act.RulesBroken) -> None:
        """Nobody has an address here."""

    def _on_failed(self, action: act.EngineFailed) -> None:
        raise action.error


def _name(submission: Submission) -> tuple[UserId, int]:
    return submission.sender, submission.msg_id


_CARRY_OUT: Final[dict[type, Callable[[ServerNode, Any], None]]] = {
    act.SendBytes: ServerNode._send_bytes,
    act.CloseTransport: ServerNode._close,
    act.AbortTransport: ServerNode._abort,
    act.PauseReading: ServerNode._pause,
    act.ResumeReading: ServerNode._resume,
    act.Authenticate: ServerNode._authenticate,
    act.StoreCommit: ServerNode._store,
    act.StoreLogin: ServerNode._store,
    act.StoreRead: ServerNode._store,
    act.StoreStatus: ServerNode._store,
    act.StoreCall: ServerNode._store,
    act.StorePeers: ServerNode._store,
    act.StoreSeen: ServerNode._store,
    act.StoreRetain: ServerNode._store,
    act.StoreRevoke: ServerNode._store,
    act.Authorize: ServerNode._authorize,
    act.MessageStored: ServerNode._tell_site,
    act.Answered: ServerNode._answer_site,
    act.Drained: ServerNode._on_drained,
    act.EngineFailed: ServerNode._on_failed,
    act.RulesBroken: ServerNode._on_broken,
}
