"""What must hold after every step, of the node that has stepped."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from ...client import ClientEngine
from ...client import events as ev
from ...client import inputs as ci
from ...machines.product import illegal
from ...server import Gateway
from ...server import inputs as si
from ...server.session import Session
from .network import HIGH_WATER, End

if TYPE_CHECKING:
    from .client import ClientNode
    from .server import ServerNode
    from .world import SimWorld

_illegal = cache(illegal)
#: What a writer may still write once it was told WriteBlocked: one read of a mailbox, or what was
#: said before in the same step.
_OVERRUN: Final = 262_144
#: Close codes that say that the peer broke RFC 6455, or a limit.
_BLAMES: Final = frozenset({1002, 1003, 1007, 1009, 1010})


class Invariants:
    """See the module. A broken one ends the run."""

    def __init__(self, world: SimWorld) -> None:
        self._world = world

    def client(
        self, node: ClientNode, engine: ClientEngine, event: ci.Input | ci.TurnEnded, now: float
    ) -> None:
        """A client has stepped."""
        core = engine.core
        rule = _illegal(core.connection, core.login.state, core.liveness.state, core.reconnect)
        if rule is not None:
            self._world.fail(f"{node.name}: {rule}")
        if isinstance(event, ci.TimePassed):
            self._ahead(node.name, engine.next_deadline(), now)
            return
        outbox = core.sending.outbox
        if outbox.in_flight > core.config.in_flight:
            self._world.fail(f"{node.name}: {outbox.in_flight} messages are unanswered")
        if len(outbox) > core.config.max_queue:
            self._world.fail(f"{node.name}: {len(outbox)} messages wait")
        if isinstance(event, ci.WriteBlocked):
            self._buffer(node.ends.get(event.transport))

    def event(self, node: ClientNode, event: ev.Event) -> None:
        """A client tells its application something."""
        if isinstance(event, ev.ProtocolViolation):
            self._honest(node, f"{node.name} blames the server: {event.reason}")
        elif isinstance(event, ev.Disconnected) and event.error is not None:
            if event.error.server_code in _BLAMES:
                self._honest(node, f"the server blames {node.name}: {event.error}")
        elif isinstance(event, ev.ExtensionsRefused):
            self._world.fail(f"{node.name} takes a capable server for a plain one")

    def server(self, node: ServerNode, gateway: Gateway, event: si.Input, now: float) -> None:
        """The server has stepped."""
        if isinstance(event, si.TimePassed) and not gateway.turns_wait:
            self._ahead(node.name, gateway.next_deadline(), now)
        elif isinstance(event, si.BytesReceived):
            session = gateway.hub._roster.get(event.connection)
            if session is None:
                return
            self._unacked(node, session)
        elif isinstance(event, si.WriteBlocked):
            self._buffer(node.ends.get(event.connection))

    def _unacked(self, node: ServerNode, session: Session) -> None:
        limit = node.config.unacked
        if session.sent - session.acked <= limit:
            return
        # more numbers than that: then some of them stand for what the store has dropped
        held = [
            entry
            for entry in node.store.entries(session.user, session.acked)
            if entry.seq <= session.sent
        ]
        if len(held) > limit:
            self._world.fail(f"{len(held)} pushes without an ack")

    def at_rest(self, node: ServerNode, gateway: Gateway) -> None:
        """Everybody is logged in and nothing is under way: nothing is left of what was."""
        hub = gateway.hub
        if sum(gateway.online().values()) != len(hub._roster.all()):
            self._world.fail("the server does not know how many are logged in")
        left = {
            "log-ins": len(hub._logins),
            "reads": len(hub._reads),
            "waiters": len(hub._commits._waiters),
            "pending messages": len(hub._commits._pending),
            "unanswered questions": len(hub._commits._asked),
            "connections without a stream": len(gateway.engines.keys() - node.ends.keys()),
            "sessions without a connection": sum(
                session.connection not in gateway.engines for session in hub._roster.all()
            ),
            "unanswered messages": sum(session.unanswered for session in hub._roster.all()),
            "paused sessions": sum(session.paused for session in hub._roster.all()),
        }
        for what, count in left.items():
            if count:
                self._world.fail(f"the server is at rest, and there are {count} {what}")
        if hub._commits.idle:
            for session in hub._roster.all():
                self._written(node, session)

    def _written(self, node: ServerNode, session: Session) -> None:
        """What a log-in has acknowledged is in the store; one that is fenced is not here."""
        device = node.store._devices.get((session.user, session.device))
        cursor = (device.cursor if device is not None else None) or 0
        # below the oldest no number stands for anything
        if session.acked > cursor and session.acked >= node.store.oldest(session.user):
            self._world.fail(
                f"user {session.user} has acknowledged {session.acked} on device "
                f"{session.device!r}, and the store has {cursor}"
            )

    def _ahead(self, name: str, deadline: float | None, now: float) -> None:
        if deadline is not None and deadline <= now:
            self._world.fail(f"{name}: woken at {now!r}, it wants to be woken at {deadline!r}")

    def _buffer(self, end: End | None) -> None:
        if end is not None and end.buffered > HIGH_WATER + _OVERRUN:
            self._world.fail(f"{end.node.name} has written {end.buffered} bytes too many")

    def _honest(self, node: ClientNode, text: str) -> None:
        """On a stream that nobody has tampered with, nobody is to blame."""
        if node.stream is None or not node.stream.tampered_with:
            self._world.fail(text)
