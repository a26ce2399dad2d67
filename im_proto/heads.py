"""Heads of HTTP, cut out of a stream within the caps, and read: by h11, or without it where nothing
is odd.

h11 counts only incomplete heads and lets other exceptions through than its own: what comes is
measured first, and whatever goes wrong is a `Refused`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

import h11

from im_proto.errors import printable
from im_proto.limits import FrameLimits

__all__ = [
    "TOKEN",
    "Headers",
    "Heads",
    "Refused",
    "Request",
    "by_name",
    "listed",
    "odd_request",
    "only",
    "ordinary_request",
    "parse",
    "plain",
    "tokens",
]


class Refused(Exception):
    """Inside only: what the peer sent can't be taken; ends up as a `Violation`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


#: By name, in lower case.
Headers: TypeAlias = dict[bytes, list[bytes]]

_END: Final = b"\r\n\r\n"
_TEXT_BYTES: Final = bytes(c for c in range(256) if c == 9 or (c >= 32 and c != 127))
TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VISIBLE: Final = re.compile(rb"[!-~]+")
#: What a request says with these needs judging: h11 does that.
_OF_BODIES: Final = frozenset({b"content-length", b"transfer-encoding"})


def plain(text: str) -> str:
    """One line of printable ASCII, at most 100 characters: safe to log and to send."""
    text = text[:100]
    if text.isascii() and text.isprintable():  # nearly all are
        return text
    return printable(text).encode("ascii", "backslashreplace").decode("ascii")[:100]


class Heads:
    """Cuts HTTP heads out of a stream, within the caps, before h11 sees a byte of them.

    h11 counts only what is incomplete, so in one read it takes 20 kB or 1,200 headers.
    """

    def __init__(self, limits: FrameLimits) -> None:
        self.buffer = bytearray()
        self._bytes_left = limits.handshake_bytes
        self._headers_left = limits.handshake_headers
        self._searched = 0  # where the end can't begin; so a byte at a time stays linear

    def next(self) -> bytes | None:
        """One complete head; None: not all of it is there yet."""
        end = self.buffer.find(_END, self._searched, self._bytes_left)
        if end < 0:
            if len(self.buffer) > self._bytes_left:
                raise Refused(431, "handshake too long")
            self._searched = max(0, len(self.buffer) - len(_END) + 1)
            return None
        head = bytes(self.buffer[: end + len(_END)])
        del self.buffer[: len(head)]
        self._searched = 0
        self._bytes_left -= len(head)
        self._headers_left -= head.count(b"\r\n") - 2  # the start line and the empty line
        if self._headers_left < 0:
            raise Refused(431, "too many headers in the handshake")
        # Control characters and bare CR or LF: h11 would end the head at LF LF, and needs 0.2 s
        # to refuse 8 kB of spaces that end in NUL (its pattern for a header is quadratic there).
        if head.replace(b"\r\n", b"").translate(None, _TEXT_BYTES):
            raise Refused(400, "control characters in the handshake")
        return head


def parse(http: h11.Connection, head: bytes) -> object:
    """What h11 makes of a head. With `Frames.read` the only door to foreign parsers."""
    try:
        http.receive_data(head)
        return http.next_event()
    except h11.RemoteProtocolError:
        raise Refused(400, "malformed HTTP") from None
    except Exception as exc:  # whatever else: a peer's bytes never raise
        raise Refused(400, f"HTTP parser failed: {type(exc).__name__}") from None


def by_name(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    found: Headers = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    return found


def only(headers: Headers, name: str) -> str | None:
    """The value of a header that may come once, in printable ASCII."""
    values = headers.get(name.encode())
    if values is None:
        return None
    text = values[0].decode("latin-1")
    if len(values) > 1 or not text.isascii() or not text.isprintable():
        raise Refused(400, f"bad {name}")
    return text


def listed(headers: Headers, name: str) -> str:
    """The values of a header that is a list, joined (RFC 9110 section 5.3), in ASCII."""
    joined = b", ".join(headers.get(name.encode(), ()))
    if not joined.isascii():
        raise Refused(400, f"bad {name}")
    return joined.decode("ascii")


def tokens(headers: Headers, name: str) -> tuple[str, ...]:
    """The elements of such a list, each of them a token."""
    # Cut with split and strip: one regular expression for it all has been a ReDoS.
    tokens = tuple(item for part in listed(headers, name).split(",") if (item := part.strip(" \t")))
    if not all(map(TOKEN.fullmatch, tokens)):
        raise Refused(400, f"bad {name}")
    return tokens


class Request(NamedTuple):
    """A request; `headers`: names in lower case."""

    method: bytes
    target: bytes
    http_version: bytes
    headers: list[tuple[bytes, bytes]]


def ordinary_request(head: bytes) -> Request | None:
    """A request as nearly all are, out of `Heads`: a GET without a word of a body. None: h11 has to
    look, which takes it four times as long."""
    start, *lines = head[: -len(_END)].split(b"\r\n")
    target = start[4:-9]
    if start != b"GET %b HTTP/1.1" % target or not _VISIBLE.fullmatch(target):
        return None
    headers = []
    hosts = 0
    for line in lines:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or not _NAME.fullmatch(name) or name in _OF_BODIES:
            return None
        hosts += name == b"host"
        headers.append((name, value.strip(b" \t")))
    return Request(b"GET", target, b"1.1", headers) if hosts == 1 else None


def odd_request(head: bytes) -> Request:
    """Any other one, as far as it is one."""
    request = parse(h11.Connection(h11.SERVER), head)
    if not isinstance(request, h11.Request):
        raise Refused(400, "not a request")
    return Request(request.method, request.target, request.http_version, list(request.headers))
