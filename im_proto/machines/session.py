"""The life of one session (protocol.md sections 3 and 4)."""

from __future__ import annotations

from statemachine import State, StateMachine


class SessionMachine(StateMachine):
    """A session can be written in while it is active, and read for ever."""

    active = State(initial=True)
    """Its buyer and its seller may write to each other in it."""
    expired = State()
    """Its time is over. Who wants to go on gets a new one."""
    closed = State(final=True)
    """Somebody has ended it."""

    expire = active.to(expired)
    close = active.to(closed) | expired.to(closed)
