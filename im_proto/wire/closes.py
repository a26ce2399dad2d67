"""What an end of a connection means: one table (protocol.md section 2, "Closes").

A total function from a close code or an HTTP status to: reconnect or not, with a new token or
not, after which delay, and whose fault it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Blame(StrEnum):
    """What an end says about the messages that were not answered by then."""

    NOBODY = "nobody"
    #: the oldest unanswered message may be what the peer choked on
    OLDEST = "oldest"
    #: the largest unanswered message was too large
    LARGEST = "largest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do after an end.

    Attributes:
        reconnect: trying again makes sense.
        refresh_token: only with a new token.
        counts: the end counts as a failed attempt and uses up `max_retries`.
        failed_delay: even after a good link, wait as after a failed attempt.
        blame: which unanswered message may have caused it.
        reason: in plain words.
    """

    reconnect: bool
    reason: str
    refresh_token: bool = False
    counts: bool = True
    failed_delay: bool = False
    blame: Blame = Blame.NOBODY


def _again(reason: str) -> Verdict:
    return Verdict(reconnect=True, reason=reason)


def _violation(reason: str) -> Verdict:
    return Verdict(reconnect=True, reason=reason, failed_delay=True, blame=Blame.OLDEST)


def _never(reason: str) -> Verdict:
    return Verdict(reconnect=False, reason=reason)


CLOSES: Final[dict[int, Verdict]] = {
    1000: _again("the peer closed normally"),
    1001: _again("the peer is going away"),
    1002: _violation("protocol error"),
    1003: _violation("unsupported data"),
    1005: _again("the peer closed without a code"),
    1006: _again("the connection was lost"),
    1007: _violation("invalid payload data"),
    1008: _violation("policy violation"),
    1009: Verdict(reconnect=True, reason="message too big", failed_delay=True, blame=Blame.LARGEST),
    1010: _violation("a missing extension"),
    1011: _again("the server met an internal error"),
    1012: _again("the server restarts"),
    1013: Verdict(reconnect=True, reason="the server is overloaded", counts=False),
    4001: _never("the log-in was refused"),
    4002: _again("the log-in timed out"),
    4003: Verdict(reconnect=True, reason="the token has expired", refresh_token=True),
    4004: _never("the same device logged in elsewhere"),
    4008: _again("this client read too slowly"),
    4009: _again("this client sent too fast"),
}

HTTP_STATUSES: Final[dict[int, Verdict]] = {
    400: _never("HTTP 400: not a WebSocket here, or a bad request"),
    401: _never("HTTP 401: the log-in was refused"),
    403: _never("HTTP 403: forbidden"),
    404: _never("HTTP 404: no such path"),
    426: _never("HTTP 426: another version of WebSocket is wanted"),
    429: Verdict(reconnect=True, reason="HTTP 429: too many requests", counts=False),
    503: Verdict(reconnect=True, reason="HTTP 503: the server is unavailable", counts=False),
}

#: Ends that say that the log-in itself was refused.
AUTH_REFUSALS: Final = frozenset({4001, 401, 403})


def verdict_of_close(code: int) -> Verdict:
    """What to do after a WebSocket close with `code` (RFC 6455 section 7.4)."""
    return CLOSES.get(code) or _again(f"closed with the unknown code {code}")


def verdict_of_http(status: int) -> Verdict:
    """What to do when the upgrade was answered with an HTTP `status` other than 101."""
    return HTTP_STATUSES.get(status) or _again(f"HTTP {status} instead of an upgrade")
