"""TLS in memory: what the socket gave goes in, what it is to get comes out."""

from __future__ import annotations

import contextlib
import ssl
from typing import Final

#: No TLS record holds more (RFC 8446 section 5.1).
_RECORD: Final = 16_384


class Tls:
    """The client's side of TLS on one connection.

    After each call there may be something to `take`.

    Args:
        context: which certificates are trusted …
        host: the name that the server's certificate must have.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._in, self._out, server_hostname=host)
        self._plain = bytearray()

    def give(self, data: bytes) -> None:
        """The socket had this; nothing is its end."""
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    def take(self) -> bytes:
        """What is to be written to the socket."""
        return self._out.read()

    def handshake(self) -> bool:
        """Go on with the handshake; True when it is done.

        Raises:
            ssl.SSLError: it has failed.
        """
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def read(self) -> tuple[bytes, bool]:
        """All that the peer has said so far, and whether that was all that it will say.

        What is left in here would be lost: a selector knows nothing of it.

        Raises:
            ssl.SSLError: the peer, or somebody between, broke the protocol.
        """
        chunks = []
        ended = False
        try:
            while chunk := self._object.read(_RECORD):
                chunks.append(chunk)
            ended = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            ended = True
        self._encrypt()
        return b"".join(chunks), ended

    def write(self, data: bytes) -> None:
        """Say something to the peer."""
        self._plain += data
        self._encrypt()

    def _encrypt(self) -> None:
        # A peer that renegotiates (TLS 1.2) makes it wait for what comes in.
        with contextlib.suppress(ssl.SSLWantReadError):
            while self._plain:
                del self._plain[: self._object.write(self._plain)]

    def close(self) -> None:
        """Say that this was all. The peer's own end need not be waited for (RFC 8446, 6.1)."""
        with contextlib.suppress(ssl.SSLError):
            self._object.unwrap()
