"""Does this client want a link, and what does it do to get one?"""

from __future__ import annotations

from statemachine import State, StateMachine


class ReconnectMachine(StateMachine):
    """The will to be connected; `connect()` and `disconnect()` move it from outside."""

    idle = State(initial=True)
    """The application wants no connection."""
    attempting = State()
    """One attempt is under way: token, transport, handshake, log-in."""
    established = State()
    """Logged in."""
    waiting = State()
    """The last attempt or link failed; the next attempt has a time."""
    exhausted = State()
    """`max_retries` attempts in a row failed. The queue is kept; connect() goes on."""
    halted = State()
    """The server said something that trying again can't change. connect() goes on."""

    connect_requested = idle.to(attempting) | exhausted.to(attempting) | halted.to(attempting)
    succeeded = attempting.to(established)
    retry_scheduled = attempting.to(waiting) | established.to(waiting)
    retry_due = waiting.to(attempting)
    retries_exhausted = attempting.to(exhausted) | established.to(exhausted)
    halt = attempting.to(halted) | established.to(halted)
    disconnect_requested = (
        attempting.to(idle)
        | established.to(idle)
        | waiting.to(idle)
        | exhausted.to(idle)
        | halted.to(idle)
    )
