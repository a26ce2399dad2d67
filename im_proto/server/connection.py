"""The life of one connection at the server: its upgrade, its deadlines, its end.

The part of `ServerCore` that knows transports and time, and nothing of what messages mean.
"""

from __future__ import annotations

from typing import Final

from ..bucket import Bucket
from ..config import ServerConfig
from ..machines import SERVER_CONNECTION
from ..timers import GRACE, Timers
from ..wire import Dialect, Invocation, Message
from ..wire.packing import pack
from . import actions as act
from . import inputs as inp
from . import origins, talk
from .login import Login
from .timers import JUDGES, PROOF_PACE, Timer

#: So many times `blocked_bytes` are waiting for a peer that takes nothing: it is not worth it.
UNREADABLE: Final = 4


class Connection:
    """From the first byte to the last.

    Args:
        connection: its name.
        config: limits and timeouts.
        now: seconds on a monotonic clock; the same clock as in every later call.
        wall_offset: wall clock minus `now`, in seconds.
        peer: the address of the transport's other end, "" for a local socket.
    """

    def __init__(
        self,
        connection: int,
        config: ServerConfig,
        *,
        now: float,
        wall_offset: float,
        peer: str = "",
    ) -> None:
        self.connection = connection
        self.config = config
        self.state = SERVER_CONNECTION.initial
        self.wall_offset = wall_offset
        self.peer = peer
        #: by the peer, in its request, its frames or messages, or by saying far too much
        self.rules_broken = False
        #: the hub was asked for room
        self._arrived = False
        self._now = now
        self._out: list[act.CoreAction] = []
        self._envelopes: list[str] = []
        self._dialect: Dialect = Invocation("server")
        #: bytes that a message of the peer may have now: as long as nobody knows who it is, no
        #: more than a log-in needs
        self.largest = min(config.message_bytes, config.auth_bytes)
        self._timers: Timers[Timer] = Timers(JUDGES)
        self._timers.set(Timer.HANDSHAKE, now + config.handshake_timeout)
        self._heard = now
        self._login = Login(config)
        self._pushed = 0
        #: the seq that the ping which is out will prove; 0: none is out
        self._proving = 0
        self._proved_at = now - PROOF_PACE
        self._acked = 0
        #: why the peer is not read
        self._paused: set[talk.Why] = set()
        #: … since when, if it isn't
        self._paused_at = now
        self._budget = self._fresh_budget()
        #: it takes no more bytes for now …
        self.blocked = False
        #: … and so many are said to it since then, but for pushes: those wait in the mailbox
        self._behind = 0
        #: the peer was told that `inline` is granted
        self._inline = False

    def next_deadline(self) -> float | None:
        """When to call `step(TimePassed())` at the latest."""
        return self._timers.next()

    def _fresh_budget(self) -> Bucket:
        """Envelopes that the peer may say: before the log-in that and some heartbeats, as many as
        Pings and Pongs."""
        config = self.config
        rate, burst = config.envelopes_per_second, config.envelope_burst
        if not self._known:
            rate, burst = min(rate, config.control_rate), min(burst, config.control_burst)
        return Bucket(rate, float(burst), self._now)

    @property
    def _known(self) -> bool:
        return self.state in ("online", "draining")

    # ------------------------------------------------------------ the upgrade

    def _on_upgrade(self, asked: inp.UpgradeAsked) -> None:
        refused = origins.upgrade_refusal(self.config, asked.target, asked.host, asked.origin)
        if refused is not None:
            self.rules_broken = True
            self._refuse(*refused)
            return
        proxies = origins.networks(self.config.trusted_proxies)
        address = origins.real_address(self.peer, asked.forwarded, proxies)
        self._arrived = True
        self._tell(talk.Arrived(connection=self.connection, address=address))

    def _on_welcome(self) -> None:
        if self.state != "handshaking" or not self._arrived:
            return  # to somebody who has not asked, or has left
        self._to("upgraded")
        self._timers.cancel(Timer.HANDSHAKE)
        self._timers.set(Timer.AUTH, self._now + self.config.auth_timeout)
        self._life()
        self._timers.set(Timer.IDLE, self._now + self._idle_after)
        self._timers.set(Timer.PING, self._now + self.config.heartbeat_interval)
        self._do(act.AcceptUpgrade(connection=self.connection))

    def _refuse(self, status: int, reason: str, retry_after: float | None = None) -> None:
        self._to("close_started")
        self._timers.cancel(Timer.HANDSHAKE)
        self._timers.set(Timer.CLOSE, self._now + self.config.close_timeout)
        self._do(
            act.RefuseUpgrade(
                connection=self.connection, status=status, reason=reason, retry_after=retry_after
            )
        )
        self._do(act.CloseTransport(connection=self.connection))

    # ------------------------------------------------------------ signs of life, proofs of arrival

    def _life(self) -> None:
        self._heard = self._now

    @property
    def _idle_after(self) -> float:
        return self.config.heartbeat_interval * self.config.idle_intervals

    def _on_partial(self, changed: inp.PartialChanged) -> None:
        if not changed.partial:
            self._timers.cancel(Timer.PARTIAL)
        elif self._timers.get(Timer.PARTIAL) is None:  # pragma: no branch - False came first
            self._timers.set(Timer.PARTIAL, self._now + self.config.partial_timeout)

    def _pause(self, why: talk.Why) -> None:
        """Don't read. Meanwhile the peer can't be blamed for what doesn't come."""
        if not self._paused:
            self._paused_at = self._now
            self._do(act.PauseReading(connection=self.connection))
        self._paused.add(why)

    def _unpause(self, why: talk.Why) -> None:
        """This is no reason any more; read if there is no other. Half a message has as long as it
        had left: turns come again and again, and whoever waits for one is not to be forgiven."""
        if why not in self._paused:
            return
        self._paused.remove(why)
        if self._paused:
            return
        self._do(act.ResumeReading(connection=self.connection))
        self._life()
        partial = self._timers.get(Timer.PARTIAL)
        if partial is not None:
            self._timers.set(Timer.PARTIAL, partial + self._now - self._paused_at)

    def _prove(self) -> None:
        """Ask a plain peer for a pong: it proves that what was pushed before has arrived."""
        if self._proving:
            return
        if self._now < self._proved_at + PROOF_PACE:
            self._timers.set(Timer.PROOF, self._proved_at + PROOF_PACE)
            return
        self._ping()

    def _ping(self) -> None:
        """Any ping to a plain peer asks for proof: of several it may answer the newest only
        (RFC 6455 section 5.5.3)."""
        payload = b""
        plain = self.state == "online" and "seq" not in self._login.granted
        if plain and self._pushed > self._acked:
            self._flush()
            self._proving = self._pushed
            self._proved_at = self._now
            payload = str(self._pushed).encode()
        self._do(act.SendPing(connection=self.connection, payload=payload))

    # ------------------------------------------------------------ the end

    def _on_peer_closed(self, closed: inp.PeerClosed) -> None:
        if self.state == "closing":
            self._do(act.CloseTransport(connection=self.connection))
            return
        self._end(1000 if closed.code == 1005 else closed.code, "")
        self._do(act.CloseTransport(connection=self.connection))

    def _on_violation(self, violated: inp.FramingViolated) -> None:
        self.rules_broken = True
        if violated.handshake and self.state == "handshaking":
            self._refuse(violated.code, violated.reason)
        elif self.state == "closing":
            self._do(act.AbortTransport(connection=self.connection))
            self._gone()
        else:
            self._end(violated.code, violated.reason)
            self._do(act.CloseTransport(connection=self.connection, linger=True))

    def _end(self, code: int, reason: str, *, tell_hub: bool = True) -> None:
        """Send a close frame; the peer's close, or the timer, ends the transport."""
        if self.state in ("closing", "closed"):
            return
        self._flush()
        if tell_hub:
            self._leave()
        self._budget = self._fresh_budget()  # for what is on its way
        self._to("close_started")
        self._timers.cancel(*Timer)
        self._timers.set(Timer.CLOSE, self._now + self.config.close_timeout)
        self._do(act.SendClose(connection=self.connection, code=code, reason=reason))
        if self._paused:  # its close frame would never be read
            self._paused.clear()
            self._do(act.ResumeReading(connection=self.connection))

    def _on_lost(self, _: inp.ConnectionLost) -> None:
        self._leave()
        self._gone()

    def _abort(self) -> None:
        self._leave()
        self._do(act.AbortTransport(connection=self.connection))
        self._gone()

    def _leave(self) -> None:
        if self.state in ("logging_in", "online", "draining"):
            self._tell(talk.Left(connection=self.connection))

    def _gone(self) -> None:
        self._to("transport_ended")
        if self._arrived:
            self._tell(talk.Gone(connection=self.connection))
        self._timers.cancel(*Timer)
        self._envelopes.clear()

    # ------------------------------------------------------------ time

    def _on_time(self, _: inp.TimePassed) -> None:
        for timer, late in self._timers.pop_due(self._now):
            if self.state == "closed":
                return
            if self.state == "closing" and timer is not Timer.CLOSE:
                continue  # due together with the one that closed
            if late:
                # it was us who slept: read the socket once before the peer is judged
                self._timers.set(timer, self._now + GRACE)
            else:
                self._on_deadline(timer)

    def _on_deadline(self, timer: Timer) -> None:
        config = self.config
        if timer is Timer.PING:
            due = self._heard + config.heartbeat_interval
            if due <= self._now:
                if not self._paused:  # its pongs would only heap up
                    self._ping()
                due = self._now + config.heartbeat_interval
            self._timers.set(Timer.PING, due)
        elif timer is Timer.PROOF:
            self._prove()
        elif timer is Timer.IDLE:
            if self._paused:
                self._life()
            if self._heard + self._idle_after > self._now:
                self._timers.set(Timer.IDLE, self._heard + self._idle_after)
            else:
                self._abort()
        elif timer is Timer.HANDSHAKE:
            self._refuse(408, "the upgrade request took too long")
        elif timer is Timer.AUTH:
            self._end(4002, "no log-in in time")
        elif timer is Timer.PARTIAL and self._paused:
            self._timers.set(Timer.PARTIAL, self._now + config.partial_timeout)
            self._paused_at = self._now
        elif timer is Timer.PARTIAL:
            self._end(1008, "half a message, and then nothing")
        elif timer is Timer.STALL:
            self._end(4008, "neither an ack nor room to write")
        elif timer is Timer.RATE:
            self._unpause(talk.Why.RATE)
        else:  # CLOSE
            self._abort()

    # ------------------------------------------------------------ writing

    def _on_write_blocked(self, _: inp.WriteBlocked) -> None:
        self.blocked = True
        if self.state in ("online", "draining"):
            self._stall()

    def _stall(self) -> None:
        self._timers.set(Timer.STALL, self._now + self.config.stall_timeout)
        self._tell(talk.WritingBlocked(connection=self.connection, blocked=True))

    def _on_write_ready(self, _: inp.WriteReady) -> None:
        self.blocked = False
        self._behind = 0
        if self.state == "closing":
            return
        self._unpause(talk.Why.BLOCKED)
        if self.state in ("online", "draining"):
            self._timers.cancel(Timer.STALL)
            self._tell(talk.WritingBlocked(connection=self.connection, blocked=False))

    def _say(self, message: Message) -> None:
        self._put(self._written(message))

    def _put(self, envelope: str) -> None:
        if self.blocked:
            self._behind += len(envelope.encode())
        self._envelopes.append(envelope)

    def _look_behind(self) -> None:
        """Does a peer that takes no answers go on asking?"""
        if self._behind <= self.config.blocked_bytes or self.state in ("closing", "closed"):
            return
        self._pause(talk.Why.BLOCKED)
        if self._behind > UNREADABLE * self.config.blocked_bytes:
            self._envelopes.clear()
            self._end(4008, "it takes none of the answers that it asks for")

    def _written(self, message: Message) -> str:
        return self._dialect.encode(message, inline=self._inline)

    def _flush(self, *, alone: bool = False) -> None:
        if not self._envelopes:
            return
        envelopes, self._envelopes = self._envelopes, []
        batch = self._login.peer_batch if self.state in ("online", "draining") and not alone else 1
        for frame in pack(envelopes, batch=batch, frame_bytes=self._login.peer_frame_bytes):
            self._do(act.SendText(connection=self.connection, text=self._dialect.join(frame)))

    def _tell(self, what: talk.ToHub) -> None:
        self._out.append(act.TellHub(talk=what))

    def _do(self, action: act.CoreAction) -> None:
        self._out.append(action)

    def _to(self, event: str) -> None:
        self.state = SERVER_CONNECTION.next(self.state, event)

    @property
    def _wall_ms(self) -> int:
        return int((self._now + self.wall_offset) * 1000)
