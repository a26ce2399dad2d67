"""Joined to uvicorn: its HTTP parser with a deadline, and our WebSocket in place of its own.

uvicorn has no deadline and no cap of its own for the head of a request; `GuardedHTTP` adds both,
and hands the upgrade at our path to `IMProtocol`. The WebSocket goes past ASGI middleware
(docs/architecture.md). An upgrade at another path goes where uvicorn's `ws=` says: to the site's
own WebSockets, or to `IMProtocol` too, whose engine answers a wrong path.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from im_proto.server import actions as act
from im_proto.server import inputs as inp

if TYPE_CHECKING:
    from .runner import Runner

#: Bytes of a request's head.
MAX_HEAD = 16_384
#: Seconds for a request, from the start of the connection or its first byte to its last.
HEAD_TIMEOUT = 10.0
#: Bytes that may wait for a slow reader before the engine is told.
HIGH_WATER = 65_536

#: The key under which the runner stands in uvicorn's lifespan state.
STATE_KEY = "im_runner"


class GuardedHTTP(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with an absolute deadline for each request, a cap for its head,
    and a cap on the connections from one address."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True
    #: counted by the runner, and to be given back here; None once the engine has the connection
    _address: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A peer has connected: the clock runs from here."""
        super().connection_made(transport)
        address = host_of(transport)
        if self._runner.admit(address):
            self._address = address
            self._expect_head()
        else:
            transport.abort()

    @property
    def _runner(self) -> Runner:
        runner: Runner = self.app_state[STATE_KEY]
        return runner

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a head before they are parsed."""
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD and b"\r\n\r\n" not in data[: MAX_HEAD + 1]:
                self._refuse()
                return
        if self._deadline is None and self._answered:
            self._start_clock()  # uvicorn's own, for idle connections, stops at any byte
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins; on a kept connection the clock starts anew."""
        super().on_message_begin()
        if not self._in_head:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._in_head = False
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is complete; if its answer was before, nobody else watches the clock."""
        super().on_message_complete()
        if not self._answered:
            self._stop_clock()

    @property
    def _answered(self) -> bool:
        """The answer to the last request went out whole; there is no `cycle` before the first."""
        return bool(getattr(self.cycle, "response_complete", False))

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone."""
        self._stop_clock()
        if self._address is not None:
            self._runner.leave(self._address)
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Give the connection to the engine, which counts it from here, or to the site."""
        self._stop_clock()
        if self.url.partition(b"?")[0] == self._runner.config.path.encode():
            self.ws_protocol_class = IMProtocol
        if self.ws_protocol_class is not IMProtocol and self._address is not None:
            self._runner.leave(self._address)  # the site's own WebSockets are its own to count
        self._address = None
        super().handle_websocket_upgrade()

    def _expect_head(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._start_clock()

    def _start_clock(self) -> None:
        self._stop_clock()
        self._deadline = self.loop.call_later(HEAD_TIMEOUT, self._refuse)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self) -> None:
        self._stop_clock()
        self.transport.abort()


class IMProtocol(asyncio.Protocol):
    """One WebSocket connection: moves bytes between its transport and the gateway.

    The arguments are those that uvicorn gives to its own WebSocket protocols.
    """

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        self._runner: Runner = app_state[STATE_KEY]
        self._peers = server_state.connections
        self._transport: asyncio.Transport | None = None
        self._name = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The upgrade request follows as data."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER)
        self._peers.add(self)  # type: ignore[arg-type]  # as uvicorn's own protocols do
        self._name = self._runner.connected(self, host_of(transport))

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        self._runner.feed(inp.BytesReceived(connection=self._name, data=data))

    def eof_received(self) -> bool:
        """The peer sends nothing more: it is of no use half closed (RFC 6455 section 7.1.1)."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._peers.discard(self)
        assert self._transport is not None
        self._runner.leave(host_of(self._transport))
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
            transport.write(action.data)
        elif isinstance(action, act.CloseTransport):
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


def host_of(transport: asyncio.BaseTransport) -> str:
    """The peer's address without its port; empty for a local socket."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""
