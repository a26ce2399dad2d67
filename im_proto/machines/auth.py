"""The log-in of one client (protocol.md sections 1 and 2)."""

from __future__ import annotations

from statemachine import State, StateMachine


class AuthMachine(StateMachine):
    """From no token to logged in, and what ends it."""

    logged_out = State(initial=True)
    """No token is held for the next log-in."""
    fetching_token = State()
    """The application's token function was asked and has not answered."""
    token_held = State()
    """A token is at hand; the link is not ready for it yet."""
    authenticating = State()
    """AUTH_REQUEST was sent and is not yet answered."""
    authenticated = State()
    """The server has accepted the log-in on this link."""
    refused = State()
    """The server refuses this user or token. Only a new token or connect() goes on."""

    fetch_started = logged_out.to(fetching_token)
    fetch_failed = fetching_token.to(logged_out)
    token_ready = (
        logged_out.to(token_held) | fetching_token.to(token_held) | token_held.to(token_held)
    )
    request_sent = token_held.to(authenticating)
    accepted = authenticating.to(authenticated)
    link_lost = authenticating.to(token_held) | authenticated.to(token_held)
    token_rejected = (
        token_held.to(logged_out) | authenticating.to(logged_out) | authenticated.to(logged_out)
    )
    login_refused = token_held.to(refused) | authenticating.to(refused) | authenticated.to(refused)
    reset = refused.to(logged_out) | token_held.to(logged_out) | fetching_token.to(logged_out)
