"""What a client is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictInt,
    model_validator,
)

from ..errors import LocalProtocolError
from ..handshake import check_own
from ..wire import user_id
from ..wire.types import DeviceId, is_token
from .base import Frozen, NotNegative, Positive

#: A path in a URL: no query, no fragment, no slash at its end.
HttpPath = Annotated[str, Field(pattern=r"^(/[!$-.0->@-~]+)+$")]
#: What `token` may be: the token, or a function (plain or async) that gets one.
TokenSource = str | Callable[[], str | Awaitable[str]]


class ReconnectConfig(Frozen):
    """When to try again after a failed attempt or a lost link."""

    #: consecutive failed attempts after which the client gives up; None never does
    max_retries: Annotated[int, Field(ge=0)] | None = None
    #: seconds before the first retry
    initial_delay: Positive = 1.0
    #: no delay is longer, in seconds
    max_delay: Positive = 30.0
    #: how the delay grows with the number of consecutive failures
    strategy: Literal["fixed", "linear", "exponential"] = "exponential"
    #: "full": a random part of the delay, so that a thousand clients don't come back at once
    jitter: Literal["full", "none"] = "full"
    #: a link that stayed good this long, in seconds, starts the delays afresh
    stable_after: NotNegative = 10.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_delay < self.initial_delay:
            raise ValueError("max_delay is smaller than initial_delay")
        return self


class HeartbeatConfig(Frozen):
    """How a dead link is found: within interval + max_missed x timeout seconds."""

    #: seconds between probes; None takes the server's hint, else 30
    interval: Positive | None = None
    #: seconds to wait for an answer; None takes the server's hint, else 5
    timeout: Positive | None = None
    #: unanswered probes in a row after which the link is dead; None is 3
    max_missed: Annotated[int, Field(ge=1, le=100)] | None = None


class Timeouts(Frozen):
    """How long the client waits, in seconds. All are absolute: a trickle doesn't extend them."""

    #: from the wish for a transport to the WebSocket upgrade
    connect: Positive = 10.0
    #: from AUTH_REQUEST to its answer
    auth: Positive = 10.0
    #: for the application's token function
    token: Positive = 30.0
    #: from handing a message to the transport to its answer
    ack: Positive = 10.0
    #: from the first byte of a frame or message to its last
    partial: Positive = 30.0
    #: from our close frame to the peer's
    close: Positive = 3.0


def _split(url: str, name: str) -> SplitResult:
    """Take a URL apart. What is wrong is told without quoting it: it may hold a password."""
    if not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        raise ValueError(f"{name} holds spaces, control or non-ASCII characters; encode them")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError when it is none
    except ValueError:
        raise ValueError(f"{name} is no URL: its host or port can't be read") from None
    return parts


def _check_base_url(url: str | None) -> str | None:
    if url is None:
        return None
    parts = _split(url, "base_url")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("base_url is http://host[:port] or https://…")
    if parts.username is not None or parts.password is not None:
        raise ValueError("base_url holds a user or password; the token goes into `token`")
    if "?" in url or "#" in url:
        raise ValueError("base_url has no query and no fragment")
    return url.rstrip("/")


class HttpConfig(Frozen):
    """Where and how sessions are asked for over HTTP (protocol.md section 3)."""

    #: "https://host[:port]"; None: the host and port of ws_url, https if that is wss
    base_url: Annotated[str | None, AfterValidator(_check_base_url)] = None
    #: before each path; "" on servers without it
    prefix: HttpPath | Literal[""] = "/im"
    #: where sessions are created; "/session/add" on some servers
    create_path: HttpPath = "/session/create"
    #: seconds for a call, whatever it takes inside: a token, repeats
    timeout: Positive = 10.0


def _check_url(url: str) -> str:
    parts = _split(url, "ws_url")
    if parts.scheme not in ("ws", "wss"):
        raise ValueError("ws_url starts with ws:// or wss://")
    if not parts.hostname:
        raise ValueError("ws_url has no host name")
    if parts.username is not None or parts.password is not None:
        raise ValueError("ws_url holds a user or password; the token goes into `token`")
    if parts.fragment:
        raise ValueError("ws_url has a fragment (#…), which a WebSocket URL can't have")
    return url


def _check_proxy(url: str | None) -> str | None:
    if url is None:
        return None
    parts = _split(url, "proxy")
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("proxy is http://[user:password@]host[:port]")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("proxy has no path")
    return url


def _check_token(token: TokenSource) -> TokenSource:
    if isinstance(token, str) and not is_token(token):
        raise ValueError("token has 1 to 8192 characters, and is text")
    return token


def _as_pairs(headers: object) -> object:
    return tuple(headers.items()) if isinstance(headers, Mapping) else headers


def _check_headers(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    try:
        check_own(headers)
    except LocalProtocolError as error:
        raise ValueError(str(error)) from None
    return headers


class ClientConfig(Frozen):
    """Everything that a client is told.

    Raises:
        pydantic.ValidationError: at construction, naming the field; never showing the token.
    """

    #: ws://host[:port]/path or wss://…
    ws_url: Annotated[str, AfterValidator(_check_url)]
    #: the access token, or a function that gets one
    token: Annotated[TokenSource, AfterValidator(_check_token), Field(repr=False)]
    #: who logs in
    user_id: Annotated[StrictInt | str, Field(union_mode="left_to_right"), BeforeValidator(user_id)]
    reconnect: ReconnectConfig = ReconnectConfig()
    heartbeat: HeartbeatConfig = HeartbeatConfig()
    timeouts: Timeouts = Timeouts()
    http: HttpConfig = HttpConfig()
    #: connect through this HTTP proxy (CONNECT): "http://[user:password@]host[:port]"; never
    #: taken from the environment
    proxy: Annotated[str | None, AfterValidator(_check_proxy), Field(repr=False)] = None
    #: connect to this Unix socket instead of ws_url's host and port
    unix_path: str | None = None
    #: how messages are written down
    dialect: Literal["invocation", "typed"] = "invocation"
    #: ask for what protocol.md section 2 adds; False sends nothing of it
    extensions: bool = True
    #: this installation's name at the server, which keeps its place in the mailbox; two clients
    #: with one name put each other out. None draws a new one for each client object, and the
    #: server starts at the oldest message it holds
    device_id: DeviceId | None = None
    #: extra headers of the upgrade request; values never show in a repr
    headers: Annotated[
        tuple[tuple[str, str], ...],
        BeforeValidator(_as_pairs),
        AfterValidator(_check_headers),
        Field(repr=False),
    ] = ()
    #: unanswered messages at a time, all conversations together; the server may want fewer
    in_flight: Annotated[int, Field(ge=1, le=65_536)] = 64
    #: messages that may wait for their end …
    max_queue: Annotated[int, Field(ge=1)] = 10_000
    #: … and bytes of their content (UTF-8)
    max_queue_bytes: Annotated[int, Field(ge=1024)] = 16_777_216
    #: one more: "reject" raises QUEUE_FULL; "drop_oldest" and "drop_lowest_priority" let the oldest
    #: (of the lowest priority) go that no transport ever had, and say so; where there is none,
    #: they reject
    when_queue_full: Literal["reject", "drop_oldest", "drop_lowest_priority"] = "reject"
    #: seconds until a message expires that no transport ever had; None: never. `ttl` of a send
    #: goes before
    time_to_live: Positive | None = None
    #: seconds for which a send with a `key` is remembered after its end
    keys_kept: Positive = 7 * 86_400.0
    #: the most UTF-16 units of a message (the server's own limit wins when it tells one)
    content_units: Annotated[int, Field(ge=1, le=2**31)] = 1000
    #: the most bytes of a message that the server may send
    message_bytes: Annotated[int, Field(ge=1024, le=2**30)] = 1_048_576
    #: received messages that may wait for the application …
    max_unhandled: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    #: … beyond them: "block" stops reading from the socket, but for answers that are awaited;
    #: "drop_oldest" drops the oldest that the application has not begun to handle, and says so
    when_full: Literal["block", "drop_oldest"] = "block"
    #: "auto": a message is acknowledged when its handler has returned; "manual": when the
    #: application says so, in any order
    ack: Literal["auto", "manual"] = "auto"
    #: how often a handler that raises is given the same message, before it is acknowledged all the
    #: same and told as MessageUndeliverable
    handler_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    #: seconds between looks at the clocks by which a sleep of the machine is noticed; None: never
    sleep_watch: Positive | None = 1.0
    #: (from_user, msg_id) pairs remembered to recognise a repeat
    known_pairs: Annotated[int, Field(ge=0, le=1_000_000)] = 4096
    #: against a plain server: send again after a lost link (True: at least once) or give up
    #: with IN_DOUBT (False: at most once)
    resend_when_unsure: bool = True
    #: how often a message is handed to a plain server before it ends as IN_DOUBT, or is
    #: answered with a server error before it fails
    max_sends: Annotated[int, Field(ge=1, le=100)] = 5

    @model_validator(mode="after")
    def _ways(self) -> Self:
        if self.proxy is not None and self.unix_path is not None:
            raise ValueError("proxy and unix_path are two ways to the server; choose one")
        if self.secure and (self.http.base_url or "").startswith("http://"):
            raise ValueError("base_url is http:// beside wss://: the token would go in clear text")
        return self

    @property
    def secure(self) -> bool:
        """Is it wss?"""
        return urlsplit(self.ws_url).scheme == "wss"

    @property
    def host(self) -> str:
        """The host to connect to, without brackets."""
        return urlsplit(self.ws_url).hostname or ""

    @property
    def port(self) -> int:
        """The port to connect to."""
        return urlsplit(self.ws_url).port or (443 if self.secure else 80)

    @property
    def proxy_host(self) -> str:
        """The proxy's host, without brackets; "" without a proxy."""
        return urlsplit(self.proxy or "").hostname or ""

    @property
    def proxy_port(self) -> int:
        """The proxy's port."""
        return urlsplit(self.proxy or "").port or 80

    @property
    def host_header(self) -> str:
        """The Host header: the port is left out when it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    @property
    def http_url(self) -> str:
        """What the path of every HTTP call follows."""
        scheme = "https" if self.secure else "http"
        return (self.http.base_url or f"{scheme}://{self.host_header}") + self.http.prefix

    @property
    def target(self) -> str:
        """The request target: path and query."""
        parts = urlsplit(self.ws_url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @classmethod
    def from_web(cls, web: Mapping[str, Any], **more: Any) -> Self:
        """Take the TypeScript client's configuration: camelCase, milliseconds, and for what is left
        out the values of its README's examples.

        Args:
            web: {wsUrl, token, userId, reconnect?: {maxRetries, initialDelay, maxDelay,
                strategy?}, heartbeat?: {interval, timeout}}.
            more: fields of this class, on top.

        Raises:
            ValueError: a key that the original doesn't know, or (pydantic.ValidationError) a
                value out of range.
        """
        _only(web, "config", "wsUrl", "token", "userId", "reconnect", "heartbeat")
        reconnect = dict(web.get("reconnect") or {})
        heartbeat = dict(web.get("heartbeat") or {})
        _only(reconnect, "reconnect", "maxRetries", "initialDelay", "maxDelay", "strategy")
        _only(heartbeat, "heartbeat", "interval", "timeout")
        fields: dict[str, Any] = {
            "ws_url": web.get("wsUrl"),
            "token": web.get("token"),
            "user_id": web.get("userId"),
            "reconnect": {
                "max_retries": reconnect.get("maxRetries", 5),
                "initial_delay": _seconds(reconnect, "initialDelay", 1_000),
                "max_delay": _seconds(reconnect, "maxDelay", 30_000),
                "strategy": reconnect.get("strategy", "exponential"),
            },
            "heartbeat": {
                "interval": _seconds(heartbeat, "interval", 30_000),
                "timeout": _seconds(heartbeat, "timeout", 5_000),
            },
        }
        return cls(**(fields | more))


def _only(given: Mapping[str, Any], where: str, *known: str) -> None:
    for key in given:
        if key not in known:
            raise ValueError(f"{where} has no {key!r}; it has {', '.join(known)}")


def _seconds(given: Mapping[str, Any], key: str, default_ms: float) -> float:
    value = given.get(key, default_ms)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key} is a number of milliseconds")
    return value / 1000
