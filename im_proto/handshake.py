"""The opening handshake (RFC 6455 section 4), both roles. `heads` reads what comes; whatever goes
wrong is a `Refused`.
"""

from __future__ import annotations

import base64
import binascii
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import h11
from wsproto.utilities import generate_accept_token

from im_proto.deflate import OFFER, BoundedDeflate
from im_proto.errors import LocalProtocolError
from im_proto.heads import (
    TOKEN,
    Headers,
    Heads,
    Refused,
    Request,
    by_name,
    listed,
    odd_request,
    only,
    ordinary_request,
    parse,
    plain,
    tokens,
)
from im_proto.limits import FrameLimits

__all__ = [
    "ClientOpening",
    "HandshakeAccepted",
    "HandshakeRejected",
    "HandshakeRequested",
    "Heads",
    "Refused",
    "ServerOpening",
    "check_own",
    "ordinary_upgrade",
    "parse",
    "plain",
    "refusal",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeRequested:
    """Server: a client's opening handshake is complete and correct (RFC 6455 section 4.2.1).

    `headers` holds all of them, names in lower case, values read as Latin-1. Tokens travel in
    it and in `target`, so neither is in the repr.
    """

    target: str = field(repr=False)
    host: str
    origin: str | None
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    subprotocols: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeAccepted:
    """Client: the server answered 101, and every check of RFC 6455 section 4.1 held.

    `capable`: it says in the header `IM-Capabilities` that it knows section 2 of the protocol.
    """

    subprotocol: str | None
    capable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeRejected:
    """Client: the server answered with another status; 3xx too, nothing is followed.

    `retry_after`: seconds, 0 to 86400, if the server gave whole seconds (RFC 9110 section
    10.2.3). `reason`: its reason phrase, printable ASCII, at most 100 characters.
    """

    status: int
    retry_after: float | None
    reason: str


_TARGET: Final = re.compile(r"/[!\"$-~]*")  # origin-form, without a fragment
#: In the 101 of a server that knows section 2 of the protocol: it is never taken for a strict one.
CAPABILITIES_HEADER: Final = "IM-Capabilities"
#: The handshake is written by us alone: what a caller may not add to it.
_RESERVED: Final = ("host", "connection", "upgrade", "content-length", "transfer-encoding")
_LONGEST_RETRY: Final = 86400
_PHRASES: Final = {400: "Bad Request", 405: "Method Not Allowed", 426: "Upgrade Required"}
#: What a client needs to hear with a status (RFC 9110 section 15.5.6, RFC 6455 section 4.4).
_ADDED: Final[dict[int, tuple[tuple[str, str], ...]]] = {
    405: (("Allow", "GET"),),
    426: (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")),
}


def check_own(headers: Iterable[tuple[str, str]]) -> None:
    """Headers that our caller adds: one line each, and none that are ours to write."""
    for name, value in headers:
        if not TOKEN.fullmatch(name):
            raise LocalProtocolError(f"header name {name!r} is no token")
        if name.lower() in _RESERVED or name.lower().startswith("sec-websocket-"):
            raise LocalProtocolError(f"header {name!r} belongs to the handshake")
        # The value may be a token: it stays out of the text.
        if not value.isascii() or not value.isprintable() or value != value.strip():
            raise LocalProtocolError(f"header {name!r} has a value that is not printable ASCII")


def _upgrades(headers: Headers) -> bool:
    """Both `Upgrade: websocket` and `Connection: Upgrade` are there."""
    upgrade = [token.lower() for token in listed(headers, "upgrade").split(",")]
    connection = [token.strip().lower() for token in listed(headers, "connection").split(",")]
    return upgrade == ["websocket"] and "upgrade" in connection


def ordinary_upgrade(data: bytes, limits: FrameLimits) -> tuple[str, str, str | None] | None:
    """Target, host and origin of an upgrade request, if it lies here whole with nothing behind it,
    and is as nearly all are. None: somebody else has to look. What is wrong with a key or a
    version, `ServerOpening` finds out."""
    heads = Heads(limits)
    heads.buffer += data
    try:
        head = heads.next()
    except Refused:
        return None
    if head is None or heads.buffer or not head.isascii():
        return None
    request = ordinary_request(head)
    if request is None:
        return None
    headers = by_name(request.headers)
    origins = headers.get(b"origin", [])
    if len(origins) > 1 or not _upgrades(headers):
        return None
    host = headers[b"host"][0].decode()
    return request.target.decode(), host, origins[0].decode() if origins else None


def _check_request(request: Request) -> tuple[HandshakeRequested, bytes, str]:
    """Server: the request, its key and its extension offers (RFC 6455 section 4.2.1)."""
    headers = by_name(request.headers)
    target = request.target.decode("ascii")
    if request.method != b"GET":
        raise Refused(405, "method is not GET")
    if request.http_version != b"1.1":
        raise Refused(400, "not HTTP/1.1")
    if not _TARGET.fullmatch(target):
        raise Refused(400, "target is not a path")
    # A body would be taken for frames by us and for something else by a proxy in between.
    if b"transfer-encoding" in headers or headers.get(b"content-length", [b"0"]) != [b"0"]:
        raise Refused(413, "a handshake has no body")
    if not _upgrades(headers):
        raise Refused(426, "not a WebSocket handshake")
    if listed(headers, "sec-websocket-version") != "13":
        raise Refused(426, "WebSocket version is not 13")
    key = only(headers, "sec-websocket-key") or ""
    try:
        if len(key) != 24 or len(base64.b64decode(key, validate=True)) != 16:
            raise Refused(400, "bad sec-websocket-key")
    except binascii.Error:
        raise Refused(400, "bad sec-websocket-key") from None
    host = only(headers, "host")
    # Longer than a name can be; and no IDNA here, whose decoder is slow on hostile names.
    if not host or len(host) > 255 or " " in host:
        raise Refused(400, "bad host")
    requested = HandshakeRequested(
        target=target,
        host=host,
        origin=only(headers, "origin"),
        headers=tuple(
            [(name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers]
        ),
        subprotocols=tokens(headers, "sec-websocket-protocol"),
    )
    return requested, key.encode("ascii"), listed(headers, "sec-websocket-extensions")


def _rejection(response: h11.Response) -> HandshakeRejected:
    """Client: an answer other than 101. Its body, if any, is of no interest."""
    given = next((value for name, value in response.headers if name == b"retry-after"), b"")
    seconds = None
    if given.isdigit():  # of bytes: ASCII only; int() of very many digits raises
        seconds = float(min(int(given[:20]), _LONGEST_RETRY))
    return HandshakeRejected(
        status=response.status_code,
        retry_after=seconds,
        reason=plain(response.reason.decode("latin-1")),
    )


class ServerOpening:
    """The server's side of the handshake; gone when it is done."""

    def __init__(self, limits: FrameLimits, compression: bool) -> None:
        self.heads = Heads(limits)
        self._max_message = limits.message_bytes
        self._compression = compression
        self._key = b""
        self._offers = ""
        self.requested: HandshakeRequested | None = None

    def receive(self, data: bytes) -> HandshakeRequested | None:
        """The request, once it is complete. Nothing may follow until it is answered."""
        if self.requested is None:
            self.heads.buffer += data
            head = self.heads.next()
            if head is None:
                return None
            # h11 would join the lines; a proxy before us may see another header in the second
            # (RFC 9112 section 5.2 lets a server refuse that)
            if b"\r\n " in head or b"\r\n\t" in head:
                raise Refused(400, "a folded header")
            request = ordinary_request(head) or odd_request(head)
            requested, self._key, self._offers = _check_request(request)
            if not self.heads.buffer:
                self.requested = requested
                return requested
        # wsproto would drop them; a client has to wait for the 101 (section 4.1).
        raise Refused(400, "bytes before the handshake was answered")

    def accept(
        self, subprotocol: str | None, headers: Iterable[tuple[str, str]]
    ) -> tuple[bytes, BoundedDeflate | None]:
        """The 101, and the compression that it agrees to (section 4.2.2)."""
        # Only values that were checked go in: no header can be smuggled through them.
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {generate_accept_token(self._key).decode('ascii')}",
        ]
        lines += [f"{name}: {value}" for name, value in headers]
        if subprotocol is not None:
            lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
        deflate = None
        if self._compression:
            agreed = BoundedDeflate.accepted(self._offers, max_message=self._max_message)
            if agreed is not None:
                deflate, answer = agreed
                lines.append(f"Sec-WebSocket-Extensions: {answer}")
        return "\r\n".join([*lines, "", ""]).encode("ascii"), deflate


def refusal(status: int, reason: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """An HTTP answer other than 101, after which the connection is closed; `headers` were checked
    (`check_own`)."""
    reason = reason or _PHRASES.get(status, "Rejected")
    body = reason.encode("utf-8", "backslashreplace")
    # Written here: h11 needs 50 us for it, and who is refused is who comes again and again.
    lines = [f"HTTP/1.1 {status} {plain(reason)}"]
    lines += [f"{name}: {value}" for name, value in (*headers, *_ADDED.get(status, ()))]
    lines += [
        f"Connection: {'close, upgrade' if status == 426 else 'close'}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


@dataclass(slots=True)
class ClientOpening:
    """The client's side of the handshake; gone when it is done."""

    host: str
    target: str = field(repr=False)  # tokens travel in it and in `headers`
    rng: random.Random
    limits: FrameLimits
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    subprotocols: tuple[str, ...]
    compression: bool
    heads: Heads = field(init=False)
    key: bytes = b""  # empty: nothing was asked yet
    http: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT))

    def __post_init__(self) -> None:
        self.heads = Heads(self.limits)

    def request(self) -> bytes:
        """The GET, after a look at all that the caller put into it."""
        if not _TARGET.fullmatch(self.target):
            raise LocalProtocolError("target must be a path with an optional query, in ASCII")
        check_own(self.headers)
        asked = self.subprotocols
        if not all(map(TOKEN.fullmatch, asked)) or len(set(asked)) < len(asked):
            raise LocalProtocolError("subprotocols must be different tokens")
        try:
            host = self.host if self.host.isascii() else self.host.encode("idna").decode("ascii")
        except UnicodeError:
            raise LocalProtocolError("host has no IDNA form") from None
        if not 0 < len(host) <= 255 or not host.isprintable() or " " in host:
            raise LocalProtocolError("host must be a name or address of 1 to 255 characters")
        self.key = base64.b64encode(self.rng.randbytes(16))
        headers = [
            ("Host", host),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", self.key.decode("ascii")),
            ("Sec-WebSocket-Version", "13"),
        ]
        if asked:
            headers.append(("Sec-WebSocket-Protocol", ", ".join(asked)))
        if self.compression:
            headers.append(("Sec-WebSocket-Extensions", OFFER))
        request = h11.Request(method="GET", target=self.target, headers=[*headers, *self.headers])
        return self.http.send(request) or b""

    def receive(
        self, data: bytes
    ) -> tuple[HandshakeAccepted | HandshakeRejected, BoundedDeflate | None] | None:
        """The server's answer, once it is complete; what is left in `heads.buffer` are frames."""
        if not self.key:
            raise Refused(1002, "bytes before our request")
        self.heads.buffer += data
        while (head := self.heads.next()) is not None:
            answer = parse(self.http, head)
            if isinstance(answer, h11.Response):
                return _rejection(answer), None
            if not isinstance(answer, h11.InformationalResponse):
                raise Refused(1002, "not an answer")
            if answer.status_code == 101:
                return self._switch(by_name(answer.headers))
            # 100, 102, 103: interim, another head follows (RFC 9110 section 15.2).
        return None

    def _switch(self, headers: Headers) -> tuple[HandshakeAccepted, BoundedDeflate | None]:
        """Is this 101 an answer to our request (section 4.1, what the client validates)?"""
        if not _upgrades(headers):
            raise Refused(1002, "101 without Upgrade: websocket")
        token = generate_accept_token(self.key).decode("ascii")
        if only(headers, "sec-websocket-accept") != token:
            raise Refused(1002, "bad sec-websocket-accept")
        subprotocol = only(headers, "sec-websocket-protocol")
        if subprotocol is None and self.subprotocols:
            raise Refused(1002, "no subprotocol chosen")
        if subprotocol is not None and subprotocol not in self.subprotocols:
            raise Refused(1002, "a subprotocol that was not asked for")
        extensions = listed(headers, "sec-websocket-extensions")
        deflate = None
        if extensions:
            if not self.compression:
                raise Refused(1002, "an extension that was not asked for")
            deflate = BoundedDeflate.confirmed(extensions, max_message=self.limits.message_bytes)
            if deflate is None:
                raise Refused(1002, "bad answer to permessage-deflate")
        capable = CAPABILITIES_HEADER.lower().encode() in headers
        return HandshakeAccepted(subprotocol=subprotocol, capable=capable), deflate
