"""Is the peer alive? (protocol.md section 1, "Liveness")"""

from __future__ import annotations

from statemachine import State, StateMachine


class HeartbeatMachine(StateMachine):
    """Probes at a steady pace; any complete frame is an answer."""

    stopped = State(initial=True)
    """Nobody is logged in: there is nothing to probe."""
    resting = State()
    """The peer was heard since the last probe; the next one is scheduled."""
    awaiting = State()
    """A probe is out and nothing complete was heard since."""

    started = stopped.to(resting)
    probe_sent = resting.to(awaiting)
    life_seen = awaiting.to(resting)
    missed = awaiting.to(awaiting)
    stopped_probing = resting.to(stopped) | awaiting.to(stopped)
