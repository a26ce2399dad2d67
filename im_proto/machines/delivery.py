"""The life of one outgoing message (protocol.md, "Order and certainty", "Identity of a send")."""

from __future__ import annotations

from statemachine import State, StateMachine


class DeliveryMachine(StateMachine):
    """From the application's hand to an end that is known, or honestly unknown."""

    queued = State(initial=True)
    """Held here; no byte of it was ever given to a transport."""
    in_flight = State()
    """Given to the transport of the present link; the answer is awaited."""
    unconfirmed = State()
    """The link it went out on is gone, the answer with it. It goes out again on the next."""
    accepted = State(final=True)
    """The server has it, for good."""
    rejected = State(final=True)
    """The server, or we, will not take it; the reason is told."""
    cancelled = State(final=True)
    """Withdrawn by the application before it was ever given to a transport."""
    expired = State(final=True)
    """Its time to live was over before it was ever given to a transport."""
    in_doubt = State(final=True)
    """It may or may not have arrived, and nobody can tell any more."""

    handed_over = queued.to(in_flight) | unconfirmed.to(in_flight)
    link_lost = in_flight.to(unconfirmed)
    acked = in_flight.to(accepted)
    found = unconfirmed.to(accepted)
    retry_asked = in_flight.to(unconfirmed)
    renumbered = in_flight.to(queued)
    refused = queued.to(rejected) | in_flight.to(rejected) | unconfirmed.to(rejected)
    cancel = queued.to(cancelled)
    expire = queued.to(expired)
    certainty_lost = in_flight.to(in_doubt) | unconfirmed.to(in_doubt)
