"""The life of one transport, as the client sees it (RFC 6455 sections 4 and 7)."""

from __future__ import annotations

from statemachine import State, StateMachine


class ConnectionMachine(StateMachine):
    """From the wish for a transport to its end. One transport at a time."""

    disconnected = State(initial=True)
    """There is no transport, and nobody is asked for one."""
    opening = State()
    """A transport was asked for: name look-up, TCP, TLS are under way."""
    handshaking = State()
    """Bytes flow; the WebSocket upgrade was sent and is not yet answered."""
    open = State()
    """Upgraded: frames may be sent and received."""
    closing = State()
    """A close frame was sent; the peer's end, or the close timer, ends it."""

    open_requested = disconnected.to(opening)
    transport_opened = opening.to(handshaking)
    handshake_accepted = handshaking.to(open)
    close_started = open.to(closing)
    transport_ended = (
        opening.to(disconnected)
        | handshaking.to(disconnected)
        | open.to(disconnected)
        | closing.to(disconnected)
    )
