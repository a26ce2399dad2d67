"""What can go wrong, in the words that users of this system know.

Two kinds never mix. `LocalProtocolError` is a mistake of the calling program: it is raised, names
the state and the input, and has changed nothing. Everything that a peer or a network does wrong
is an `IMError`: it carries an `IMErrorCode`, and says whether trying again can help.
"""

from __future__ import annotations

from enum import StrEnum


class IMErrorCode(StrEnum):
    """The names that an application switches on."""

    CONNECTION_FAILED = "CONNECTION_FAILED"
    CONNECTION_TIMEOUT = "CONNECTION_TIMEOUT"
    CONNECTION_LOST = "CONNECTION_LOST"
    RECONNECT_FAILED = "RECONNECT_FAILED"
    AUTH_FAILED = "AUTH_FAILED"
    AUTH_TIMEOUT = "AUTH_TIMEOUT"
    TOKEN_INVALID = "TOKEN_INVALID"  # noqa: S105 - the name of an error, no secret
    MESSAGE_SEND_FAILED = "MESSAGE_SEND_FAILED"
    MESSAGE_TIMEOUT = "MESSAGE_TIMEOUT"
    MESSAGE_FORMAT_ERROR = "MESSAGE_FORMAT_ERROR"
    SESSION_CREATE_FAILED = "SESSION_CREATE_FAILED"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    NETWORK_ERROR = "NETWORK_ERROR"
    SERVER_ERROR = "SERVER_ERROR"
    UNKNOWN_ERROR = "UNKNOWN_ERROR"
    QUEUE_FULL = "QUEUE_FULL"
    MESSAGE_EXPIRED = "MESSAGE_EXPIRED"
    MESSAGE_CANCELLED = "MESSAGE_CANCELLED"
    IN_DOUBT = "IN_DOUBT"
    JOURNAL_FAILED = "JOURNAL_FAILED"


#: Trying the same thing again, later or on another connection, can succeed.
RETRYABLE = frozenset(
    {
        IMErrorCode.CONNECTION_FAILED,
        IMErrorCode.CONNECTION_TIMEOUT,
        IMErrorCode.CONNECTION_LOST,
        IMErrorCode.RECONNECT_FAILED,
        IMErrorCode.AUTH_TIMEOUT,
        IMErrorCode.MESSAGE_TIMEOUT,
        IMErrorCode.NETWORK_ERROR,
        IMErrorCode.SERVER_ERROR,
        IMErrorCode.QUEUE_FULL,
        IMErrorCode.JOURNAL_FAILED,
    }
)

#: The client has stopped trying; only `connect()` or a new token goes on.
TERMINAL = frozenset(
    {IMErrorCode.RECONNECT_FAILED, IMErrorCode.AUTH_FAILED, IMErrorCode.TOKEN_INVALID}
)


class IMError(Exception):
    """A failure that is nobody's bug here: the network, the server, a refused login or message.

    Raised by a call of a client and given to its `error` callback.

    Attributes:
        code: what kind of failure, one of `IMErrorCode`.
        server_code: the peer's own number, as it stood on the wire (protocol.md section 1,
            "Codes"), a close code (RFC 6455 section 7.4) or an HTTP status; None if there is none.
        server_text: the peer's own words, printable and cut to 200 characters; None if none.
        retryable: trying again can help.
        terminal: the client has given up and waits for `connect()` or a new token.
    """

    def __init__(
        self,
        code: IMErrorCode,
        text: str,
        *,
        server_code: int | None = None,
        server_text: str | None = None,
        retryable: bool | None = None,
        terminal: bool | None = None,
    ) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.server_code = server_code
        self.server_text = None if server_text is None else printable(server_text)
        self.retryable = code in RETRYABLE if retryable is None else retryable
        self.terminal = code in TERMINAL if terminal is None else terminal

    def __str__(self) -> str:
        parts = [f"{self.code}: {self.text}"]
        if self.server_code is not None:
            parts.append(f"(server code {self.server_code})")
        if self.server_text:
            parts.append(f"(server says {self.server_text!r})")
        return " ".join(parts)

    def __repr__(self) -> str:
        return f"<IMError {self}>"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.code, self.text, self.__dict__.copy()))


def _rebuild(code: IMErrorCode, text: str, attributes: dict[str, object]) -> IMError:
    error = IMError(code, text)
    error.__dict__.update(attributes)
    return error


class LocalProtocolError(Exception):
    """The calling program did what the state does not allow. Nothing has changed.

    The text names the state and the input, or the argument that is out of range.
    """


def printable(text: str, limit: int = 200) -> str:
    """Words of a peer, safe to log: no control characters, at most `limit` characters."""
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii")
        for c in text[:limit]
    )
    cut = len(text) > limit or len(shown) > limit
    return shown[: limit - 1] + "…" if cut else shown
