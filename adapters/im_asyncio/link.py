"""One transport: TCP or a Unix socket, and TLS, from the beginning or later."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final, cast

from im_proto.client.actions import OpenTransport
from im_proto.client.inputs import (
    BytesReceived,
    TlsStarted,
    TransportFailed,
    TransportLost,
    TransportOpened,
    WriteBlocked,
    WriteReady,
)
from im_runtime import Driver, failure, words

from .sockets import connect

#: The engine's own deadline for connecting is the one that counts; TLS gets no shorter one.
_TLS_HANDSHAKE: Final = 86_400.0


class Link(asyncio.Protocol):
    """One transport, from the wish for it until its socket is gone.

    Args:
        owner: who hears of it.
        name: the engine's number of it.
        close_timeout: seconds for the peer's end of TLS when closing.
    """

    def __init__(self, owner: Driver[Link], name: int, *, close_timeout: float) -> None:
        self._owner = owner
        self.name = name
        self._close_timeout = close_timeout
        #: opens it, or begins TLS on it
        self.task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport | None = None
        #: nobody wants to hear of it any more
        self.dropped = False
        #: what came in before the engine knows that TLS has begun
        self._early: list[bytes] | None = None

    # -- opening

    async def open(self, wanted: OpenTransport, tls: Callable[[], ssl.SSLContext]) -> None:
        """Open it; the owner hears that it is there, or why not.

        Args:
            wanted: what the engine wants.
            tls: gives the settings of TLS.
        """
        try:
            await self._open(wanted, tls)
        except Exception as exc:
            if self.transport is None:
                self._failed(exc)

    async def _open(self, wanted: OpenTransport, tls: Callable[[], ssl.SSLContext]) -> None:
        loop = asyncio.get_running_loop()
        secure = self._secure(wanted.host, tls) if wanted.secure else {}
        if wanted.unix_path is not None:
            await loop.create_unix_connection(lambda: self, wanted.unix_path, **secure)
        else:
            raw = await connect(wanted.host, wanted.port)
            await loop.create_connection(lambda: self, sock=raw, **secure)

    def _secure(self, host: str, tls: Callable[[], ssl.SSLContext]) -> dict[str, Any]:
        return {
            "ssl": tls(),
            "server_hostname": host,
            "ssl_handshake_timeout": _TLS_HANDSHAKE,
            "ssl_shutdown_timeout": self._close_timeout,
        }

    async def start_tls(self, host: str, tls: Callable[[], ssl.SSLContext]) -> None:
        """Begin TLS on it; the owner hears that it is there, or why not. Reading is paused before.

        Args:
            host: to verify.
            tls: gives the settings of TLS.
        """
        raw = self.transport
        assert raw is not None
        self._early = []
        transport = None
        try:
            transport = await self._start_tls(raw, host, tls)
        except Exception as exc:
            self._failed(exc)
        finally:
            if transport is None:  # asyncio may say nothing more of it
                self.dropped = True
                raw.abort()
                self._owner.forget(self)
        if transport is None:
            return
        self.transport = transport
        early, self._early = self._early, None
        if not self.dropped:
            self._owner.feed(TlsStarted(transport=self.name))
        for data in early:
            self.data_received(data)

    async def _start_tls(
        self, raw: asyncio.Transport, host: str, tls: Callable[[], ssl.SSLContext]
    ) -> asyncio.Transport:
        if raw.is_closing():
            raise ConnectionError("the connection has ended before TLS")
        secure = self._secure(host, tls)
        context = secure.pop("ssl")
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(raw, self, context, **secure)
        if transport is None:  # it was lost, or aborted, meanwhile
            raise ConnectionError("the connection has ended within the TLS handshake")
        return transport

    def _failed(self, exc: Exception) -> None:
        if not self.dropped:
            kind, reason = failure(exc)
            failed = TransportFailed(transport=self.name, kind=kind, reason=reason)
            self._owner.feed(failed, cause=exc)

    # -- using it

    def write(self, data: bytes) -> None:
        """Write, unless it is closing: then its end is told soon."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def pause(self) -> None:
        """Read no more for now, unless it is closing."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again, unless it is closing."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

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
        # uvloop's have all of it, but not the class
        transport = cast("asyncio.Transport", transport)
        self.transport = transport
        if self.dropped:
            transport.abort()
        else:
            self._owner.feed(TransportOpened(transport=self.name))

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        if self._early is not None:
            self._early.append(data)
        elif not self.dropped:
            self._owner.feed(BytesReceived(transport=self.name, data=data))

    def pause_writing(self) -> None:
        """The write buffer is over its high-water mark."""
        if not self.dropped:
            self._owner.feed(WriteBlocked(transport=self.name))

    def resume_writing(self) -> None:
        """The write buffer is under its low-water mark."""
        if not self.dropped:
            self._owner.feed(WriteReady(transport=self.name))

    def eof_received(self) -> None:
        """The peer's end. What it will not read any more is not waited for."""
        if self.transport is not None and self.transport.get_write_buffer_size():
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport has ended."""
        if not self.dropped:
            reason = "" if exc is None else words(exc)
            self._owner.feed(TransportLost(transport=self.name, reason=reason))
        self._owner.forget(self)
