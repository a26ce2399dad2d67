"""Every deadline that a connection at the server may be waiting for, in one table."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Timer(StrEnum):
    """A connection's deadlines."""

    HANDSHAKE = "the upgrade request"
    """From the first byte to the end of the upgrade request; absolute."""
    AUTH = "the log-in"
    """From the upgrade to the log-in's end; absolute. Or for a later token's answer."""
    EXPIRING = "the word that the token expires"
    """The client is told, in time to bring a new token."""
    EXPIRY = "the token's end"
    """The token expires; absolute."""
    PING = "the next ping"
    """A peer that was silent for an interval is pinged."""
    IDLE = "a sign of life"
    """A peer that is silent for several intervals is gone."""
    PROOF = "the next proof of arrival"
    """More was pushed to a plain peer since the last ping; see `PROOF_PACE`."""
    PARTIAL = "the rest of a message"
    """A frame or message has begun to come in; absolute."""
    RATE = "the peer to be read again"
    """It has said more than it may, and is not read until this."""
    STALL = "an ack, or room to write"
    """Writing is blocked; neither an ack nor a byte of room so far."""
    CLOSE = "the peer's close"
    """Our close frame is out; absolute."""


#: Seconds between the pings that prove to us what has arrived at a plain peer. One is out at a
#: time: a pong proves all that went before its ping, and a busy page must not look like a flood.
PROOF_PACE: Final = 0.1

#: Deadlines that condemn the peer; see `im_proto.timers.LATE`.
JUDGES: Final = frozenset(
    {Timer.HANDSHAKE, Timer.AUTH, Timer.IDLE, Timer.PARTIAL, Timer.STALL, Timer.EXPIRY}
)
