"""Everything that a client's engine may want done. An adapter carries a list out, in order."""

from __future__ import annotations

from dataclasses import dataclass

from .events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTransport:
    """Open a byte stream; answer with TransportOpened or TransportFailed."""

    transport: int
    host: str
    port: int
    secure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SendBytes:
    """Write these bytes, after those before them. Of ClientEngine only."""

    transport: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseTransport:
    """Write what is still buffered, then close. Answer with TransportLost when it is gone."""

    transport: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortTransport:
    """Drop it at once, also while it is being opened. No answer is needed."""

    transport: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchToken:
    """Call the application's token function; answer with TokenReady or TokenFailed."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelToken:
    """Nobody waits for this token any more."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Hand an event to the application."""

    event: Event


# --- of ClientCore only: for the framing, or a transport that takes whole messages


@dataclass(frozen=True, slots=True, kw_only=True)
class StartLink:
    """Send the WebSocket upgrade request."""

    transport: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendText:
    """Send one text message."""

    transport: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendClose:
    """Send a close frame (RFC 6455 section 5.5.1)."""

    transport: int
    code: int
    reason: str = ""


CoreAction = (
    OpenTransport
    | CloseTransport
    | AbortTransport
    | FetchToken
    | CancelToken
    | Notify
    | StartLink
    | SendText
    | SendClose
)

Action = (
    OpenTransport | SendBytes | CloseTransport | AbortTransport | FetchToken | CancelToken | Notify
)
