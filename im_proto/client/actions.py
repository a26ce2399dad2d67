"""Everything that a client's engine may want done. An adapter carries a list out, in order.

Nobody changes one: those of each message are not frozen, as a frozen field takes 0.1 us to make.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .events import Event
from .journal import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTransport:
    """Open a byte stream; answer with TransportOpened or TransportFailed.

    Attributes:
        host: a name or an address, to connect to and, with `secure`, to verify.
        port: of TCP.
        secure: with TLS.
        unix_path: connect to this Unix socket instead of host and port.
    """

    transport: int
    host: str
    port: int
    secure: bool
    unix_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTls:
    """Begin TLS on the open byte stream, with that host to verify (through a proxy's tunnel);
    answer with TlsStarted or TransportFailed. Of ClientEngine only."""

    transport: int
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseReading:
    """Read no more from the transport for now: the application is behind."""

    transport: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeReading:
    """Read from the transport again."""

    transport: int


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class SendBytes:
    """Write these bytes, after those before them. Of ClientEngine only.

    Tokens, headers and a proxy's password are among them, so they show in no repr.
    """

    transport: int
    data: bytes = field(repr=False)


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
class CallHttp:
    """Make an HTTP call; answer with HttpAnswered, whatever the status, or with HttpFailed.

    Follow no redirect: a token goes to nobody else.

    Attributes:
        headers: with the token, so they show in no repr.
        limit: the most bytes of the answer's body that are worth reading.
        timeout: seconds after which nobody waits any more.
        unix_path: connect to this Unix socket instead of the URL's host and port.
        proxy: an HTTP proxy, as in the configuration.
    """

    request: int
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    limit: int
    timeout: float
    unix_path: str | None = None
    proxy: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelHttp:
    """Nobody waits for this HTTP call any more. No answer is needed."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteJournal:
    """Write these changes to the journal, in order and in one transaction; answer with
    JournalWritten or JournalFailed. There is never a second one before the answer.

    Only of an engine that was given a journal.
    """

    request: int
    changes: tuple[Change, ...]


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Notify:
    """Hand an event to the application."""

    event: Event


# --- of ClientCore only: for the framing, or a transport that takes whole messages


@dataclass(frozen=True, slots=True, kw_only=True)
class StartLink:
    """Send the WebSocket upgrade request."""

    transport: int


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class SendText:
    """Send one text message. A token may be in it, so it shows in no repr."""

    transport: int
    text: str = field(repr=False)


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
    | PauseReading
    | ResumeReading
    | FetchToken
    | CancelToken
    | CallHttp
    | CancelHttp
    | WriteJournal
    | Notify
    | StartLink
    | SendText
    | SendClose
)

Action = (
    OpenTransport
    | StartTls
    | SendBytes
    | CloseTransport
    | AbortTransport
    | PauseReading
    | ResumeReading
    | FetchToken
    | CancelToken
    | CallHttp
    | CancelHttp
    | WriteJournal
    | Notify
)
