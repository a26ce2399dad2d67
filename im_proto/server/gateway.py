"""`Gateway`: one process of the server, its connections and its hub joined.

The one door an adapter or a simulator needs: every input of a connection, the store or the clock
goes through `step`, and all that follows from it, also at other connections, is in the list that
this call returns.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, get_args

from ..config import ServerConfig
from ..wire import UserId, codes
from . import actions as act
from . import hub as h
from . import inputs as inp
from . import talk
from .engine import MessageEngine, ServerEngine
from .revocations import REASON
from .turns import Turns

_HUB_INPUTS: Final = frozenset(get_args(inp.StoreInput) + get_args(inp.SiteInput))
_CONNECTION_INPUTS: Final = get_args(inp.ConnectionInput) + get_args(inp.MessageInput)
_Event = inp.BytesReceived | inp.CoreInput
#: For a connection, or, as a list, for the hub.
_Work = tuple[int, Sequence[_Event]] | list[h.HubInput]
#: Deadlines that are no longer true may be as many as those that are, and so many more.
_STALE: Final = 64


class Gateway:
    """See the module.

    Args:
        config: limits and timeouts.
        now: seconds on a monotonic clock; the same clock as in every later call.
        wall: seconds since 1970 at `now`.
        authorizes: the site is asked who may write to whom (`Authorize`).
        tells: the site is told of every new message (`MessageStored`).
        revoked: of whom the tokens that were made before are good no longer, in milliseconds since
            1970, as the store has it.
        strict: let an exception in a connection's engine out, for tests; else it ends that
            connection alone, and is told by EngineFailed.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        now: float,
        wall: float,
        authorizes: bool = False,
        tells: bool = False,
        revoked: Mapping[UserId, int] | None = None,
        strict: bool = False,
    ) -> None:
        self._strict = strict
        self.config = config
        self.hub = h.Hub(
            config, now=now, wall=wall, authorizes=authorizes, tells=tells, revoked=revoked
        )
        self.engines: dict[int, ServerEngine | MessageEngine] = {}
        #: (deadline, connection), with entries that are no longer true
        self._heap: list[tuple[float, int]] = []
        self._armed: dict[int, float] = {}
        self._turns = Turns()
        #: of the last step
        self._now = now
        #: what is still to be passed on in this step
        self._work: deque[_Work] = deque()
        self._drain: h.DrainAsked | None = None
        self._hub_drained = False
        self._said_drained = False

    def step(self, event: inp.Input | inp.MessageInput, now: float) -> list[act.Action]:
        """Take one input; return what is to be done about it, in order.

        What comes of a connection that is gone changes nothing.
        """
        self._now = now
        work = self._work
        if isinstance(event, inp.BytesReceived):
            work.append((event.connection, self._read(event, event.connection, len(event.data))))
        elif type(event) in _HUB_INPUTS:
            work.append([event])  # type: ignore[list-item]  # the set says so
        elif isinstance(event, inp.TimePassed):
            self._on_time(now)
        elif isinstance(event, inp.WallClock):
            self._set_wall(event.wall - now)
        elif isinstance(event, inp.Shutdown):
            self._on_shutdown(event)
        elif isinstance(event, inp.ConnectionMade):
            self._on_made(event, now)
        elif isinstance(event, inp.TextReceived):
            work.append((event.connection, self._read(event, event.connection, len(event.text))))
        else:
            assert isinstance(event, _CONNECTION_INPUTS)
            if isinstance(event, inp.TokenVerified) and self.revoked(event.user, event.issued_at):
                event = inp.TokenRefused(
                    connection=event.connection, code=codes.TOKEN_INVALID, reason=REASON
                )
            work.append((event.connection, [event]))
        out: list[act.Action] = []
        while work:
            todo = work.popleft()
            if isinstance(todo, list):
                self._hub(out, todo, now)
            else:
                self._engine(out, *todo, now)
        if self._hub_drained and not self.engines and not self._said_drained:
            self._said_drained = True
            out.append(act.Drained())
        return out

    def next_deadline(self) -> float | None:
        """When to call `step(TimePassed())` at the latest; None: not before another input.

        It is the time of the last step while `turns_wait`: what has come meanwhile is given first.
        """
        if self._turns:
            return self._now
        while self._heap and self._armed.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        hub = self.hub.next_deadline()
        if not self._heap:
            return hub
        first = self._heap[0][0]
        return first if hub is None or first < hub else hub

    @property
    def turns_wait(self) -> bool:
        """Do connections wait for their turn to be read? Each TimePassed gives it to the next."""
        return bool(self._turns)

    def online(self) -> dict[UserId, int]:
        """Who is logged in, with how many connections."""
        return self.hub.online()

    def revoked(self, user: UserId, issued_at: int | None) -> bool:
        """Was the token of a user revoked that was made at that time, in milliseconds since 1970?
        Of None it is not known when, so any revocation means it."""
        return self.hub.revocations.revoked(user, issued_at)

    # ------------------------------------------------------------ inputs

    def _on_made(self, made: inp.ConnectionMade, now: float) -> None:
        kind = MessageEngine if made.messages else ServerEngine
        offset = self.hub.desk.wall_offset
        engine = kind(made.connection, self.config, now=now, wall_offset=offset, peer=made.peer)
        self.engines[made.connection] = engine
        self._arm(made.connection, engine)
        if self._drain is not None:
            self._work.append((made.connection, [self._going_down(made.connection, now)]))

    def _on_time(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            at, connection = heapq.heappop(self._heap)
            if self._armed.get(connection) == at:
                del self._armed[connection]
                self._work.append((connection, [inp.TimePassed()]))
        if self._turns:
            turn = talk.Pause(why=talk.Why.TURN, paused=False)
            connection = self._turns.next()
            self._work.append((connection, [talk.SendTo(connection, [turn])]))
        hub = self.hub.next_deadline()
        if hub is not None and hub <= now:
            self._work.append([h.TimePassed()])

    def _read(self, event: _Event, connection: int, size: int) -> list[_Event]:
        """Something was said. Whoever says much waits until it is read again."""
        if connection in self.engines and self._turns.said(connection, size, self._now):
            turn = talk.Pause(why=talk.Why.TURN, paused=True)
            return [event, talk.SendTo(connection, [turn])]
        return [event]

    def _on_shutdown(self, event: inp.Shutdown) -> None:
        if self._drain is None:
            self._drain = h.DrainAsked(reason=event.reason, retry_after=event.retry_after)
            self._work.append([self._drain])

    def _set_wall(self, offset: float) -> None:
        self.hub.desk.wall_offset = offset
        for engine in self.engines.values():
            engine.core.wall_offset = offset

    # ------------------------------------------------------------ passing on, first come first

    def _engine(
        self, out: list[act.Action], connection: int, events: Sequence[_Event], now: float
    ) -> None:
        engine = self.engines.get(connection)
        if engine is None:
            return
        try:
            actions = engine.step(*events, now=now)
        except Exception as error:
            if self._strict:
                raise
            # a bug of ours ends the one connection that it is met at, and is told
            self._forget(out, connection)
            left, gone = talk.Left(connection=connection), talk.Gone(connection=connection)
            self._work.append([left, gone])
            out.append(act.EngineFailed(connection=connection, error=error))
            out.append(act.AbortTransport(connection=connection))
            return
        told: list[h.HubInput] = []
        for action in actions:
            if isinstance(action, act.TellHub):
                told.append(action.talk)
            else:
                out.append(action)
        if told:  # all that one step of a connection says goes to the store together
            self._work.append(told)
        if engine.closed:
            self._forget(out, connection)
        elif engine.next_deadline() != self._armed.get(connection):
            self._arm(connection, engine)

    def _hub(self, out: list[act.Action], events: Sequence[h.HubInput], now: float) -> None:
        drained, told = False, set[int]()
        for action in self.hub.step(*events, now=now):
            if isinstance(action, talk.SendTo):
                # all that one step brings a connection goes out together
                self._work.append((action.connection, [action]))
                if self._drain is not None and _ends(action):
                    told.add(action.connection)
            elif isinstance(action, act.Drained):
                drained = True
            else:
                out.append(action)
        if drained:
            self._hub_drained = True
            for connection in self.engines:
                if connection not in told:  # a session was told already
                    self._work.append((connection, [self._going_down(connection, now)]))

    def _going_down(self, connection: int, now: float) -> talk.SendTo:
        assert self._drain is not None
        return talk.SendTo(connection, [self.hub.end_of_all(self._drain, now)])

    def _forget(self, out: list[act.Action], connection: int) -> None:
        core = self.engines.pop(connection).core
        if core.rules_broken:
            out.append(act.RulesBroken(connection=connection, peer=core.peer))
        self._armed.pop(connection, None)
        self._turns.gone(connection)

    def _arm(self, connection: int, engine: ServerEngine | MessageEngine) -> None:
        at = engine.next_deadline()
        if at is None:
            self._armed.pop(connection, None)
        else:
            self._armed[connection] = at
            heapq.heappush(self._heap, (at, connection))
            if len(self._heap) > 2 * len(self._armed) + _STALE:
                # who comes and goes leaves one behind each time, until its time has come
                self._heap = [(at, connection) for connection, at in self._armed.items()]
                heapq.heapify(self._heap)


def _ends(told: talk.SendTo) -> bool:
    return any(isinstance(what, talk.End) for what in told.said)
