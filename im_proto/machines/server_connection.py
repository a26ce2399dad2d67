"""The life of one connection at the server (RFC 6455 section 4.2, protocol.md sections 1 and 2)."""

from __future__ import annotations

from statemachine import State, StateMachine


class ServerConnectionMachine(StateMachine):
    """From the first byte of the upgrade to the end of the transport."""

    handshaking = State(initial=True)
    """The upgrade has not been read, or not been answered."""
    unauthenticated = State()
    """Upgraded; AUTH_REQUEST is awaited."""
    verifying = State()
    """The token is with the authenticator."""
    logging_in = State()
    """The token is good; the store is asked for the login's generation and cursor."""
    online = State()
    """Logged in: messages go both ways."""
    draining = State()
    """The server goes down: nothing more is read, what was accepted is still answered."""
    closing = State()
    """A close frame, or the refusal of the upgrade, was sent."""
    closed = State(final=True)
    """The transport is gone."""

    upgraded = handshaking.to(unauthenticated)
    auth_received = unauthenticated.to(verifying)
    token_verified = verifying.to(logging_in)
    logged_in = logging_in.to(online)
    drain = online.to(draining)
    close_started = (
        handshaking.to(closing)
        | unauthenticated.to(closing)
        | verifying.to(closing)
        | logging_in.to(closing)
        | online.to(closing)
        | draining.to(closing)
    )
    transport_ended = (
        handshaking.to(closed)
        | unauthenticated.to(closed)
        | verifying.to(closed)
        | logging_in.to(closed)
        | online.to(closed)
        | draining.to(closed)
        | closing.to(closed)
    )
