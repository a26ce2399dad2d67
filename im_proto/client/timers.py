"""Every deadline that a client's engine may be waiting for, in one table."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from ..timers import Timers


class Timer(StrEnum):
    """The names of the deadlines. The value is what `explain()` calls it."""

    TOKEN = "the token function's answer"  # noqa: S105 - no secret
    """The application's token function was asked and has not answered."""
    CONNECT = "the transport and the WebSocket upgrade"
    """From the wish for a transport to the upgrade; absolute."""
    AUTH = "the answer to the log-in"
    """AUTH_REQUEST is out: of the log-in, or with a new token for the live connection."""
    REFRESH = "the renewal of the token"
    """The token of the link is to be replaced: it grows old, or the last try has failed."""
    HEARTBEAT_DUE = "the next heartbeat"
    """Time to probe; goes on at a steady pace while logged in."""
    WATCH = "the next look at the clocks"
    """Logged in, or waiting for an attempt: a look by which a sleep of the machine is noticed."""
    HEARTBEAT_ANSWER = "a sign of life"
    """A probe is out; nothing complete was heard since."""
    PARTIAL = "the rest of a message"
    """A frame or message has begun to come in; absolute."""
    ACK = "the answer to the oldest message"
    """The oldest message in flight is unanswered."""
    STATUS = "what became of messages that may have arrived"
    """The server was asked, and has not answered."""
    EXPIRY = "the end of a message's time to live"
    """The first message that may still expire does so."""
    RETRY = "the next try of a message"
    """A plain server answered a message with a server error."""
    ACK_OUT = "handled messages to be acknowledged"
    """The application has handled messages that the server is not told of yet."""
    SYNC = "the repair of a hole"
    """SYNC_REQUEST is out."""
    RECONNECT = "the next attempt"
    """The delay before the next attempt to connect."""
    TYPING = "typing to be told"
    """It was told less than a second ago, and has changed."""
    SESSION = "the answer to a session call"
    """A session call is under way; absolute, whatever it takes inside."""
    SESSION_RETRY = "the next try of a session call"
    """The HTTP server failed, and the call may be repeated."""
    JOURNAL = "the next try to write the journal"
    """The journal could not be written."""
    CLOSE = "the peer's close"
    """Our close frame is out; absolute."""


#: Deadlines that condemn somebody; see `im_proto.timers.LATE`.
JUDGES: Final = frozenset(
    {
        Timer.CONNECT,
        Timer.AUTH,
        Timer.HEARTBEAT_ANSWER,
        Timer.PARTIAL,
        Timer.ACK,
        Timer.STATUS,
        Timer.SYNC,
        Timer.SESSION,
    }
)
#: Deadlines that mean nothing once the link is gone.
OF_THE_LINK: Final = (
    Timer.CONNECT,
    Timer.AUTH,
    Timer.REFRESH,
    Timer.HEARTBEAT_DUE,
    Timer.HEARTBEAT_ANSWER,
    Timer.PARTIAL,
    Timer.ACK,
    Timer.STATUS,
    Timer.ACK_OUT,
    Timer.TYPING,
    Timer.SYNC,
)


def client_timers() -> Timers[Timer]:
    """An empty table."""
    return Timers(JUDGES)
