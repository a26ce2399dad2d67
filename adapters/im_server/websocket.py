"""Our WebSocket in place of uvicorn's: moves bytes between its transport and the gateway.

`GuardedHTTP` hands it the upgrade at our path. It goes past ASGI middleware (docs/architecture.md).
An upgrade at another path goes where uvicorn's `ws=` says: to the site's own WebSockets, or here
too, where the engine answers a wrong path.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from im_proto.server import actions as act
from im_proto.server import inputs as inp

if TYPE_CHECKING:
    from .runner import Runner

#: Bytes that may wait for a slow reader before the engine is told.
HIGH_WATER = 65_536
#: The most bytes of one connection that are worked on before it is another one's turn: some hundred
#: short messages are 3 ms of work, and asyncio would read 256 KiB at once.
READ_BYTES = 16_384
#: … and of what a connection still says that was told why it ends: nobody looks at it.
UNREAD_BYTES = 65_536
_NOTHING = memoryview(b"")

#: The key under which the runner stands in uvicorn's lifespan state.
STATE_KEY = "im_runner"


class SmallReads(asyncio.BufferedProtocol, asyncio.Protocol):
    """A protocol that is given at most `read_bytes` at a time: asyncio would read 256 KiB, and
    nobody else has a turn until they are worked on."""

    read_bytes = READ_BYTES
    _buffer = _NOTHING

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go, for this read alone: no connection ever sees the bytes of
        another. As a view, since asyncio's TLS writes to slices of it, which of a bytearray are
        copies."""
        self._buffer = memoryview(bytearray(self.read_bytes))
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came in."""
        data, self._buffer = bytes(self._buffer[:nbytes]), _NOTHING
        self.data_received(data)


class IMProtocol(SmallReads):
    """One WebSocket connection.

    The arguments are those that uvicorn gives to its own WebSocket protocols.
    """

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        self._runner: Runner = app_state[STATE_KEY]
        self._peers = server_state.connections
        self._transport: asyncio.Transport | None = None
        #: counted by whom the connection comes from, and to be given back here
        self._address = ""
        self._name = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The upgrade request follows as data."""
        # uvloop's have all of it, but not the class
        self._transport = cast("asyncio.Transport", transport)
        self._address = host_of(transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        self._peers.add(self)  # type: ignore[arg-type]  # as uvicorn's own protocols do
        self._name = self._runner.connected(self, self._address)

    def data_received(self, data: bytes) -> None:
        """Bytes came in: the upgrade request, which uvicorn has read, or what `buffer_updated`
        has."""
        self._runner.feed(inp.BytesReceived(connection=self._name, data=data))

    def eof_received(self) -> bool:
        """The peer sends nothing more: it is of no use half closed (RFC 6455 section 7.1.1)."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._peers.discard(self)
        self._runner.doors.leave(self._address)
        self._runner.disconnected(self._name, type(exc).__name__ if exc else "end of file")

    def pause_writing(self) -> None:
        """The peer reads too slowly."""
        self._runner.feed(inp.WriteBlocked(connection=self._name))

    def resume_writing(self) -> None:
        """There is room again."""
        self._runner.feed(inp.WriteReady(connection=self._name))

    def shutdown(self) -> None:
        """uvicorn goes down: the gateway takes leave of everybody."""
        self._runner.begin_shutdown()

    def carry_out(self, action: act.Action) -> None:
        """See `runner.Connection`."""
        transport = self._transport
        assert transport is not None
        if isinstance(action, act.SendBytes):
            if not transport.is_closing():  # asyncio would log a line for each
                transport.write(action.data)
        elif isinstance(action, act.CloseTransport):
            if action.linger and transport.can_write_eof() and not transport.is_closing():
                transport.write_eof()
                self.read_bytes = UNREAD_BYTES
            else:
                transport.close()
        elif isinstance(action, act.AbortTransport):
            transport.abort()
        elif isinstance(action, act.PauseReading):
            if transport.is_reading():
                transport.pause_reading()
        elif isinstance(action, act.ResumeReading):
            if not transport.is_reading() and not transport.is_closing():
                transport.resume_reading()
        else:
            raise TypeError(f"{type(action).__name__} is not for a transport of bytes")


def no_delay(transport: asyncio.BaseTransport) -> None:
    """Send what is written at once, also while something before it is not acknowledged: else a
    second message waits up to 40 ms for the peer's TCP. asyncio does so by itself, but not for a
    listening socket that was made without the number of its protocol, as Python makes them."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def host_of(transport: asyncio.BaseTransport) -> str:
    """The peer's address without its port; empty for a local socket."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""
