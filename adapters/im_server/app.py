"""`IMServer`: the server as one object, and how it runs as a process."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from im_proto.config import ServerConfig

from .runner import Runner
from .store import Durability, Store
from .tokens import Authenticator
from .websocket import STATE_KEY, GuardedHTTP, IMProtocol


class IMServer:
    """One server process: a store, an authenticator, and an HTTP port with the WebSocket.

    Args:
        database: `sqlite:///PATH`; one server at a time uses a file.
        authenticator: who checks tokens, e.g. `JWTAuthenticator(secret)`.
        durability: "power": an acknowledged message survives a power cut; "process": it survives
            a killed process, the last moments may be lost at a power cut.
        config: limits and timeouts of the engine.
    """

    def __init__(
        self,
        *,
        database: str,
        authenticator: Authenticator,
        durability: Durability = "power",
        config: ServerConfig | None = None,
    ) -> None:
        self.config = config or ServerConfig()
        self.runner = Runner(self.config, Store(database, durability), authenticator)

    def app(self) -> Starlette:
        """The HTTP side: `/healthz`. Its lifespan starts and stops the server."""

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
            await self.runner.start()
            try:
                yield {STATE_KEY: self.runner}
            finally:
                await self.runner.stop()

        async def healthz(_: Request) -> JSONResponse:
            return JSONResponse({"status": "ok", "online": self.runner.online})

        return Starlette(routes=[Route("/healthz", healthz)], lifespan=lifespan)

    def run(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        ready: Callable[[str], None] = lambda url: None,
    ) -> None:
        """Serve until SIGTERM or SIGINT, then go down in good order.

        Args:
            host: the address to listen on.
            port: 0 takes a free one.
            ready: called with `http://host:port` once connections are accepted.

        Raises:
            OSError: the address can't be listened on.
            StoreError: the database can't be used.
        """
        with listen(host, port) as sock:
            self.runner.open_store()
            server = _Server(self._uvicorn_config(), url_of(sock), ready)
            server.run(sockets=[sock])

    def _uvicorn_config(self) -> uvicorn.Config:
        app = self.app()
        return uvicorn.Config(
            app,
            http=GuardedHTTP,
            ws=IMProtocol,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=int(
                self.config.drain_timeout + self.config.close_timeout + 1
            ),
        )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        OSError: the address is in use, not ours, or not known.
    """
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address[:2], family=family, backlog=2048)


def url_of(sock: socket.socket) -> str:
    """The http:// address that a listening socket is reached at."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn, that says when it is ready, and ends with 0 after a signal."""

    def __init__(self, config: uvicorn.Config, url: str, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._url = url
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready(self._url)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn raises the signal once more when it is done, so a graceful end would not be 0
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGBREAK"):
            signals.append(signal.SIGBREAK)
        before = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
