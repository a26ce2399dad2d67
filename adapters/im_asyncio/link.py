"""One transport: opening it, TCP and TLS, and why that failed."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Final, Protocol

from im_proto.client.inputs import (
    BytesReceived,
    Input,
    TransportFailure,
    TransportLost,
    TransportOpened,
    WriteBlocked,
    WriteReady,
)
from im_proto.errors import printable

from .sockets import connect

#: The engine's own deadline for connecting is the one that counts; TLS gets no shorter one.
_TLS_HANDSHAKE: Final = 86_400.0


class Owner(Protocol):
    """Who hears of a link."""

    def feed(self, item: Input) -> None:
        """Something happened to it."""

    def forget(self, link: Link) -> None:
        """Its socket is gone."""


class Link(asyncio.Protocol):
    """One transport, from the wish for it until its socket is gone.

    Args:
        owner: who hears of it.
        name: the engine's number of it.
    """

    def __init__(self, owner: Owner, name: int) -> None:
        self._owner = owner
        self.name = name
        self.task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport | None = None
        #: nobody wants to hear of it any more
        self.dropped = False

    async def open(
        self, host: str, port: int, *, tls: ssl.SSLContext | None, shutdown_timeout: float
    ) -> None:
        """Open it; `connection_made` says when it is there.

        Args:
            host: a name or an address.
            port: of the server.
            tls: for wss.
            shutdown_timeout: seconds for the peer's end of TLS when closing.

        Raises:
            OSError: and all that `failure` knows.
        """
        loop = asyncio.get_running_loop()
        raw = await connect(host, port)
        if tls is None:
            await loop.create_connection(lambda: self, sock=raw)
            return
        await loop.create_connection(
            lambda: self,
            sock=raw,
            ssl=tls,
            server_hostname=host,
            ssl_handshake_timeout=_TLS_HANDSHAKE,
            ssl_shutdown_timeout=shutdown_timeout,
        )

    def write(self, data: bytes) -> None:
        """Write, unless it is closing: then its end is told soon."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def close(self) -> None:
        """Write what is buffered, then close."""
        if self.transport is not None:
            self.transport.close()

    def drop(self, *, tell: bool = False) -> None:
        """End it at once; the owner hears of it only with `tell`, but for `forget`."""
        if not tell or self.transport is None:
            self.dropped = True
        if self.transport is not None:
            self.transport.abort()
        elif self.task is not None:
            self.task.cancel()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is there."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.dropped:
            transport.abort()
        else:
            self._owner.feed(TransportOpened(transport=self.name))

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        if not self.dropped:
            self._owner.feed(BytesReceived(transport=self.name, data=data))

    def pause_writing(self) -> None:
        """The write buffer is over its high-water mark."""
        if not self.dropped:
            self._owner.feed(WriteBlocked(transport=self.name))

    def resume_writing(self) -> None:
        """The write buffer is under its low-water mark."""
        if not self.dropped:
            self._owner.feed(WriteReady(transport=self.name))

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport has ended."""
        if not self.dropped:
            reason = "" if exc is None else words(exc)
            self._owner.feed(TransportLost(transport=self.name, reason=reason))
        self._owner.forget(self)


def default_tls() -> ssl.SSLContext:
    """The system's certificates, TLS 1.2 at least."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def words(exc: BaseException) -> str:
    """An exception in one printable line."""
    text = printable(str(exc))
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def failure(exc: Exception) -> tuple[TransportFailure, str]:
    """Why a transport could not be opened, as the engine wants to know it, and in words."""
    reason = words(exc)
    if isinstance(exc, socket.gaierror | UnicodeError):
        return TransportFailure.DNS, reason
    if isinstance(exc, ssl.SSLError):
        return TransportFailure.TLS, reason
    if isinstance(exc, ConnectionRefusedError):
        return TransportFailure.REFUSED, reason
    if isinstance(exc, TimeoutError):
        return TransportFailure.TIMEOUT, reason
    return TransportFailure.OTHER, reason
