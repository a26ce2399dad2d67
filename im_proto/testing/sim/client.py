"""A client in the world: a real `ClientEngine`, an application, and its token function."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ...client import ClientEngine
from ...client import actions as act
from ...client import events as ev
from ...client import inputs as inp
from ...client.journal import JournalState
from ...config import ClientConfig
from ...errors import IMError, IMErrorCode, LocalProtocolError
from ...wire import UserId
from ...wire.session import SessionOp
from . import http
from .application import Application, Handles
from .machine import Machine
from .network import End
from .node import Node

if TYPE_CHECKING:
    from .world import SimWorld


class ClientNode(Node[inp.Input | inp.TurnEnded]):
    """A process with a client engine.

    Args:
        world: where it lives.
        name: for the history.
        machine: where it runs.
        config: of the engine; a `token` that is a function is answered by the world.
        handles: how its application handles what it receives.
        journal: it has a journal, which outlives the process.

    Attributes:
        disk: the journal; None: it has none.
        journal_time: how long the disk takes to write, in seconds.
        journal_failing: how often it fails, 0 to 1.
        engine: None while the process is not running.
        events: all that the application was told, if the world records.
        received, accepted, failed: the same, by kind.
        tells_wall: its adapter looks at the wall clock at every wake-up.
        turns: its adapter tells the engine of turns: every second one's does, unless the world
            makes its engines in a way of its own.
        no_names: names can't be resolved here.
        token_trouble: None, "fails", "slow", "never", "expired" or "nonsense": what the token
            function does.
    """

    def __init__(
        self,
        world: SimWorld,
        name: str,
        machine: Machine,
        config: ClientConfig,
        handles: Handles,
        *,
        journal: bool = False,
    ) -> None:
        super().__init__(world, name, machine)
        self.config = config
        self.disk = JournalState(known_pairs=config.known_pairs) if journal else None
        self.journal_time = 0.002
        self.journal_failing = 0.0
        #: the life whose last write was not in time
        self._died_in = 0
        self.engine: ClientEngine | None = None
        self.app = Application(self, handles)
        self.events: list[ev.Event] = []
        self.received: list[ev.MessageReceived] = []
        self.accepted: list[ev.MessageAccepted] = []
        self.failed: list[ev.MessageFailed] = []
        self.tells_wall = True
        self.turns = world.make_engine is ClientEngine and len(world.clients) % 2 == 1
        #: the end of this turn is to come
        self._turn_ends = False
        self.no_names = False
        self.token_trouble: str | None = None
        #: the stream that it opened last
        self.stream: End | None = None
        #: the session calls that have no answer yet
        self.asked: dict[int, None] = {}
        #: the session service answers, and rightly
        self.http_well = True
        #: from whom, and which, the message that came last is
        self.last: tuple[int | str, int] | None = None
        #: what the application has sent under a key, without an end that it has heard of
        self.keyed: dict[int, tuple[UserId, str, str]] = {}
        self._refs = itertools.count(1)
        self._token_request = 0
        self.start()

    # ------------------------------------------------------------ life

    def start(self) -> None:
        """Start the process: a new engine with the same configuration, and what the journal has
        kept. It is not connected."""
        if self.engine is not None:
            return
        self.lives += 1
        machine = self.machine
        more = {"turns": True} if self.turns else {}
        self._turn_ends = False
        self.engine = self.world.make_engine(
            self.config,
            now=self.now,
            wall=machine.wall(self.world.now),
            rng=self.world.rng,
            journal=copy.deepcopy(self.disk),
            **more,
        )
        self.world.ledger.born(self)
        self.world.note(self, "=", "started")
        if not self.frozen:
            self._send_again()

    def crash(self, *, silent: bool = False) -> None:
        """The process is killed; `silent`: its machine with it, so that nobody is told."""
        if self.engine is None:
            return
        self.world.note(self, "=", "killed")
        self.world.ledger.died(self)
        self.engine = None
        self.app.forget()
        self.asked.clear()
        self._die(silent=silent)

    @property
    def alive(self) -> bool:
        """It runs."""
        return self.engine is not None

    # ------------------------------------------------------------ what an application does

    def connect(self) -> None:
        """Want a connection."""
        self.feed(inp.Connect())

    def disconnect(self) -> None:
        """Want none."""
        self.feed(inp.Disconnect())

    def send(self, to_user: int | str, content: str, **more: Any) -> int | None:
        """Queue a message; its ref, or None if the engine takes no more.

        The world tells messages apart by their contents: each conversation needs its own ones.

        Args:
            to_user: the recipient.
            content: one that was never sent before.
            more: of `Send`: `key`, `ttl`, `priority`, `wait`.
        """
        if self.engine is None or self.frozen:
            return None
        ref = next(self._refs)
        self.world.ledger.submitted(self, ref, to_user, content)
        try:
            self.feed(inp.Send(ref=ref, to_user=to_user, content=content, **more))
        except IMError as error:
            if error.code is not IMErrorCode.QUEUE_FULL:
                raise
            self.world.ledger.refused(self, ref)
            return None
        if self.disk is not None and more.get("key") is not None:
            self.keyed[ref] = (to_user, content, more["key"])
        return ref

    def _send_again(self) -> None:
        """A process that has begun anew sends what it knows no end of, if its client does not know
        the key."""
        assert self.engine is not None
        for ref, (to_user, content, key) in list(self.keyed.items()):
            if self.engine.ref_of_key(key) is None:
                del self.keyed[ref]
                self.send(to_user, content, key=key)

    def mark_read(self, from_user: UserId, msg_id: int) -> None:
        """The user has read what somebody wrote, up to that message."""
        self.world.hearsay.marked(self, from_user, msg_id)
        self.feed(inp.MarkRead(from_user=from_user, msg_id=msg_id))

    def cancel(self, ref: int) -> bool:
        """Withdraw a message; False if it is too late."""
        try:
            self.feed(inp.Cancel(ref=ref))
        except LocalProtocolError:
            return False
        return True

    def ask(self, op: SessionOp, **about: Any) -> int:
        """Ask for sessions; the ref of the call."""
        ref = next(self._refs)
        if self.engine is None:
            return ref
        self.asked[ref] = None
        self.feed(inp.SessionCall(ref=ref, op=op, **about))
        return ref

    def handle(self, message: ev.MessageReceived) -> None:
        """Say that the application is done with a message."""
        self.app.handle(message.delivery)

    @property
    def status(self) -> ev.Status:
        """The client's state in one word."""
        return ev.Status.DISCONNECTED if self.engine is None else self.engine.state().status

    @property
    def end(self) -> End | None:
        """Its end of its stream, if that is open."""
        end = self.stream
        return end if end is not None and end.open and end.connected else None

    # ------------------------------------------------------------ the engine

    def next_deadline(self) -> float | None:
        """When it wants to be woken."""
        return None if self.engine is None else self.engine.next_deadline()

    def time_passed(self) -> inp.Input:
        """With what the wall clock says: adapters look at it at every wake-up."""
        return inp.TimePassed(wall=self.machine.wall(self.world.now) if self.tells_wall else None)

    def _take(self, event: inp.Input | inp.TurnEnded) -> None:
        engine = self.engine
        if engine is None:
            return
        world = self.world
        world.steps += 1
        world.note(self, "<", event)
        now = self.now
        actions = engine.step(event, now)
        for action in actions:
            _CARRY_OUT[type(action)](self, action)
        world.invariants.client(self, engine, event, now)
        if engine.unsettled and not self._turn_ends:
            self._turn_ends = True
            world.later(0.0, self._end_turn, self.lives)

    def _end_turn(self, life: int) -> None:
        if life != self.lives or self.engine is None:
            return
        self._turn_ends = False
        if self.engine.unsettled:  # nothing else came in, which would have done the same
            self.feed(inp.TurnEnded())

    def _notify(self, action: act.Notify) -> None:
        event = action.event
        self.world.note(self, "*", event)
        if self.world.recording:
            self.events.append(event)
        self.world.invariants.event(self, event)
        self.world.hearsay.heard(self, event)
        if isinstance(event, ev.MessageAccepted | ev.MessageFailed):
            self.keyed.pop(event.ref, None)
        if isinstance(event, ev.MessageReceived):
            if self.world.recording:
                self.received.append(event)
            self.world.ledger.delivered(self, event)
            if event.from_user is not None and event.msg_id is not None:
                self.last = (event.from_user, event.msg_id)
            self.app.take(event)
        elif isinstance(event, ev.MessageAccepted):
            if self.world.recording:
                self.accepted.append(event)
            self.world.ledger.accepted(self, event)
        elif isinstance(event, ev.MessageFailed):
            if self.world.recording:
                self.failed.append(event)
            self.world.ledger.failed(self, event)
        elif isinstance(event, ev.MessagesMayBeMissing):
            self.world.ledger.reported(self, event.oldest)
        elif isinstance(event, ev.MessageDropped):
            self.world.ledger.dropped(self, event)
            self.app.drop(event.delivery)
        elif isinstance(event, ev.MessageUndeliverable):
            self.world.ledger.undeliverable(self, event)
            self.app.drop(event.delivery)
        elif isinstance(event, ev.SessionFetched | ev.HistoryFetched | ev.SessionFailed):
            if event.ref not in self.asked:
                self.world.fail(f"{self.name}: session call {event.ref} was answered twice")
            del self.asked[event.ref]

    def _write_journal(self, action: act.WriteJournal) -> None:
        self.world.note(self, ">", action)
        takes = self.world.rng.uniform(0.5, 1.5) * self.journal_time
        self.world.later(takes, self._journal, self.lives, action)

    def _journal(self, life: int, action: act.WriteJournal) -> None:
        """The moment of the write: a process that died before it may still have been in time."""
        if life != self.lives or life == self._died_in or self.disk is None:
            return
        rng = self.world.rng
        if self.engine is None:
            if rng.random() < 0.5:
                self._died_in = life
            else:
                self.disk.apply(action.changes)
            return
        answer: inp.Input
        if self.journal_failing and rng.random() < self.journal_failing:
            answer = inp.JournalFailed(request=action.request, reason="disk full")
        else:
            self.disk.apply(action.changes)
            answer = inp.JournalWritten(request=action.request)
        delay = rng.uniform(0.0, 2.0 * self.journal_time) if rng.random() < 0.3 else 0.0
        self.world.later(delay, self._journaled, life, answer)

    def _journaled(self, life: int, answer: inp.Input) -> None:
        if life == self.lives and self.engine is not None:
            self.feed(answer)

    def _call_http(self, action: act.CallHttp) -> None:
        self.world.note(self, ">", f"CallHttp {action.method} {action.url}")
        found = http.answer(self.world.rng, action, well=self.http_well)
        if found is not None:
            delay = self.world.rng.choice((0.0, 0.05, 0.05, 20.0 if not self.http_well else 0.1))
            self.world.later(delay, self._http, self.lives, found)

    def _http(self, life: int, answer: inp.HttpAnswered | inp.HttpFailed) -> None:
        if life == self.lives and self.engine is not None:
            self.feed(answer)

    def _open(self, action: act.OpenTransport) -> None:
        self.world.note(self, ">", action)
        self.stream = self.world.network.open(self, action.transport, self.world.server)
        self.ends[action.transport] = self.stream
        # as the adapters do: a wall clock goes on while a machine sleeps
        self._later.append(inp.WallClock(wall=self.machine.wall(self.world.now)))

    def _send_bytes(self, action: act.SendBytes) -> None:
        self.world.note(self, ">", action)
        end = self.ends.get(action.transport)
        if end is not None:
            self.world.network.write(end, action.data)

    def _close(self, action: act.CloseTransport) -> None:
        self.world.note(self, ">", action)
        end = self.ends.get(action.transport)
        if end is not None:
            self.world.network.close(end)

    def _abort(self, action: act.AbortTransport) -> None:
        self.world.note(self, ">", action)
        end = self.ends.pop(action.transport, None)
        if end is not None:
            self.world.network.abort(end)

    def _pause(self, action: act.PauseReading) -> None:
        self.world.note(self, ">", action)
        end = self.ends.get(action.transport)
        if end is not None:
            end.reading = False

    def _resume(self, action: act.ResumeReading) -> None:
        self.world.note(self, ">", action)
        end = self.ends.get(action.transport)
        if end is not None and not end.closing:
            end.reading = True
            self.world.later(0.0, self.world.network.read, end)

    def _fetch(self, action: act.FetchToken) -> None:
        self.world.note(self, ">", action)
        self._token_request = action.request
        trouble, rng = self.token_trouble, self.world.rng
        if trouble == "never":
            return
        delay = rng.uniform(5.0, 45.0) if trouble == "slow" else rng.uniform(0.0, 0.1)
        self.world.later(delay, self._token, self.lives, action.request, trouble)

    def _token(self, life: int, request: int, trouble: str | None) -> None:
        if life != self.lives or self.engine is None:
            return
        if trouble == "fails":
            self.feed(inp.TokenFailed(request=request, reason="the token server is down"))
            return
        token = self.world.tokens.make(self.config.user_id, expired=trouble == "expired")
        if trouble == "nonsense":
            token = ""
        self.feed(inp.TokenReady(request=request, token=token))

    def _cancel(self, action: act.CancelToken | act.CancelHttp) -> None:
        # an answer that is under way still comes: it must change nothing
        self.world.note(self, ">", action)

    def _start_tls(self, action: act.StartTls) -> None:
        self.world.note(self, ">", action)
        self._later.append(inp.TlsStarted(transport=action.transport))

    # ------------------------------------------------------------ what the network says

    def opened(self, end: End) -> None:
        """The stream that it wanted is there."""
        self.feed(inp.TransportOpened(transport=end.name))

    def failed_to_open(self, end: End, kind: str) -> None:
        """The stream that it wanted could not be had."""
        self.ends.pop(end.name, None)
        self.feed(
            inp.TransportFailed(transport=end.name, kind=inp.TransportFailure(kind), reason=kind)
        )

    def bytes_in(self, end: End, data: bytes) -> None:
        """Bytes came in."""
        self.feed(inp.BytesReceived(transport=end.name, data=data))

    def lost(self, end: End, reason: str) -> None:
        """The stream has ended."""
        if self.ends.pop(end.name, None) is not None:
            self.feed(inp.TransportLost(transport=end.name, reason=reason))

    def write_blocked(self, end: End) -> None:
        """The write buffer is over its high-water mark."""
        self.feed(inp.WriteBlocked(transport=end.name))

    def write_ready(self, end: End) -> None:
        """The write buffer is under its low-water mark."""
        self.feed(inp.WriteReady(transport=end.name))


_CARRY_OUT: Final[dict[type, Callable[[ClientNode, Any], None]]] = {
    act.Notify: ClientNode._notify,
    act.OpenTransport: ClientNode._open,
    act.SendBytes: ClientNode._send_bytes,
    act.CloseTransport: ClientNode._close,
    act.AbortTransport: ClientNode._abort,
    act.PauseReading: ClientNode._pause,
    act.ResumeReading: ClientNode._resume,
    act.FetchToken: ClientNode._fetch,
    act.CancelToken: ClientNode._cancel,
    act.CallHttp: ClientNode._call_http,
    act.CancelHttp: ClientNode._cancel,
    act.StartTls: ClientNode._start_tls,
    act.WriteJournal: ClientNode._write_journal,
}
