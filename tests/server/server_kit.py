"""Our server for tests: in this loop, or as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp
from typer.testing import CliRunner
from uvicorn.server import ServerState

import im_proto
from im_cli.app import app
from im_proto.config import ServerConfig
from im_proto.wire import UserId
from im_server import IMServer, JWTAuthenticator, make_token
from im_server.app import listen, url_of
from im_server.websocket import STATE_KEY

SECRET: Final = "a secret of tests that has more than 32 bytes"
_ROOT: Final = Path(im_proto.__file__).parent.parent
_START: Final = 30.0
_END: Final = 20.0

#: How `running_server` serves: "native" as `im serve` does, "asgi" mounted in another application
#: on uvicorn's own protocols.
Served = Literal["native", "asgi"]
serving: ContextVar[Served] = ContextVar("serving", default="native")
#: uvicorn pings so often here, and waits so long, in seconds …
ASGI_PING: Final = 0.1
#: … so that who is still there so much later has answered.
ASGI_DEAD_AFTER: Final = 0.3


@pytest.fixture(params=["native", "asgi"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """For tests that hold for both; each conftest.py that has such tests imports it."""
    before = serving.set(request.param)
    yield request.param
    serving.reset(before)


def token(user: UserId, roles: Iterable[str] = ()) -> str:
    """A token that the servers here take."""
    return make_token(user, SECRET, roles=roles)


@dataclass
class Running:
    """A server in this loop."""

    server: IMServer
    state: ServerState
    http: str

    @property
    def url(self) -> str:
        """Where its WebSocket is."""
        return self.http.replace("http", "ws", 1) + "/ws"

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self.http.rpartition(":")[2])


async def acknowledged(server: Running, user: UserId, seq: int) -> None:
    """Wait until the server knows that a plain client of the user has all up to `seq`."""
    gateway = server.server.runner._gateway
    assert gateway is not None
    roster = gateway.hub.desk.roster
    # nothing tells of a cursor that has moved
    while not any(  # noqa: ASYNC110
        s.acked >= seq for s in roster.of_user(user) if s.device == ""
    ):
        await asyncio.sleep(0)


@contextlib.contextmanager
def database(path: Path | None = None) -> Iterator[Path]:
    """A file for a database; one that goes away if none is given."""
    if path is not None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="im-", ignore_cleanup_errors=True) as directory:
        yield Path(directory) / "im.db"


@contextlib.asynccontextmanager
async def running_server(
    *,
    path: Path | None = None,
    durability: Literal["power", "process"] = "process",
    site: Mapping[str, Any] | None = None,
    app: ASGIApp | None = None,
    tls: ssl.SSLContext | None = None,
    **config: Any,
) -> AsyncIterator[Running]:
    """Our server on a free port, served as `serving` says.

    Args:
        path: of the database.
        durability: as of `im serve`.
        site: more arguments of IMServer.
        app: served beside it, as `run(app)` does; native only.
        tls: of the server; native only.
        config: fields of ServerConfig.
    """
    with database(path) as file:
        server = IMServer(
            **{
                "store": f"sqlite:///{file.as_posix()}",
                "authenticate": JWTAuthenticator(SECRET),
                "durability": durability,
                "config": ServerConfig(**config),
                **(site or {}),
            }
        )
        if serving.get() == "asgi":
            mounted = Starlette(routes=[Mount("/", server.asgi(dead_after=ASGI_DEAD_AFTER))])
            async with server.lifespan(), serve_asgi(mounted) as (state, http):
                yield Running(server, state, http)
        else:
            async with _native(server, app, tls) as running:
                yield running


@contextlib.asynccontextmanager
async def _native(
    server: IMServer, app: ASGIApp | None, tls: ssl.SSLContext | None
) -> AsyncIterator[Running]:
    """Joined to uvicorn's HTTP as `im serve` joins it.

    uvicorn's own `Server` is left out, which only turns round every 0.1 s;
    test_http_uvicorn.py has it.
    """
    config = server._uvicorn_config(app, tls)
    config.load()
    async with server.lifespan():
        app_state = {STATE_KEY: server.runner}
        async with _listening(config, config.http_protocol_class, app_state) as (state, http):
            yield Running(server, state, http if tls is None else http.replace(":", "s:", 1))


@contextlib.asynccontextmanager
async def serve_asgi(
    app: ASGIApp, *, ping: float = ASGI_PING
) -> AsyncIterator[tuple[ServerState, str]]:
    """An ASGI application on uvicorn's own protocols, without its lifespan; gives its URL."""
    config = uvicorn.Config(
        app, log_config=None, lifespan="off", ws_ping_interval=ping, ws_ping_timeout=ping
    )
    config.load()
    async with _listening(config, config.http_protocol_class, {}) as found:
        yield found


@contextlib.asynccontextmanager
async def _listening(
    config: uvicorn.Config, protocol: Any, app_state: dict[str, Any]
) -> AsyncIterator[tuple[ServerState, str]]:
    state = ServerState()
    with listen("127.0.0.1", 0) as sock:
        listener = await asyncio.get_running_loop().create_server(
            lambda: protocol(config=config, server_state=state, app_state=app_state), sock=sock
        )
        try:
            yield state, url_of(sock)
        finally:
            listener.close()
            for connection in list(state.connections):
                connection.shutdown()
            if state.tasks:
                await asyncio.wait(state.tasks, timeout=_END)
            await listener.wait_closed()


def environment(**more: str) -> dict[str, str]:
    """Ours without IM_ variables, so that a process finds this source and nothing else."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("IM_")}
    path = os.pathsep.join([str(_ROOT), str(_ROOT / "adapters")])
    # wide, so that no line of an error is broken
    return {**kept, "PYTHONPATH": path, "PYTHONWARNINGS": "default", "COLUMNS": "400", **more}


@dataclass
class Ended:
    """A process that has ended."""

    code: int | None
    out: str
    err: str

    @property
    def said(self) -> str:
        """All that it said."""
        return self.out + self.err


async def spawn(*arguments: str, **env: str) -> asyncio.subprocess.Process:
    """`python -m im_cli …`, with pipes."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "im_cli", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(**env),
    )


async def finish(process: asyncio.subprocess.Process, said: str = "", input: str = "") -> Ended:  # noqa: A002
    """Wait for its end; `said` is what was read of its output before."""
    try:
        async with asyncio.timeout(_END):
            out, err = await process.communicate(input.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ended(process.returncode, said + out.decode(), err.decode())


async def im(*arguments: str, input: str = "", **env: str) -> Ended:  # noqa: A002
    """Run `im …` to its end."""
    return await finish(await spawn(*arguments, **env), input=input)


def im_here(*arguments: str, input: str = "", **env: str) -> Ended:  # noqa: A002
    """Run `im …` in this process, which is fast; no variable of the outside counts."""
    blank: dict[str, str | None] = {name: None for name in os.environ if name.startswith("IM_")}
    wide = {"COLUMNS": "400", "TERMINAL_WIDTH": "400"}
    done = CliRunner().invoke(app, arguments, input=input, env={**blank, **wide, **env})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)


@dataclass
class ServeProcess:
    """`im serve` in a process of its own.

    `async with` starts it, and kills it at the end if it still runs.
    """

    path: Path
    arguments: tuple[str, ...] = ()
    port: int = 0
    line: str = ""
    process: asyncio.subprocess.Process | None = None
    ended: Ended | None = field(default=None)

    async def __aenter__(self) -> Self:
        self.process = await spawn(
            *("serve", "--port", str(self.port), "--database", f"sqlite:///{self.path.as_posix()}"),
            *self.arguments,
            IM_SECRET=SECRET,
        )
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(_START):
                self.line = (await self.process.stdout.readline()).decode()
        except BaseException:  # nobody else would end it
            self.kill()
            raise
        if not self.line:
            raise AssertionError(f"im serve did not start: {await self.wait()}")
        self.port = int(self.line.rpartition(":")[2])
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.ended is None:
            self.kill()
            await self.wait()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self.process is not None
        return self.process.pid

    @property
    def url(self) -> str:
        """Where its WebSocket is."""
        return f"ws://127.0.0.1:{self.port}/ws"

    def terminate(self) -> None:
        """SIGTERM."""
        assert self.process is not None
        self.process.terminate()

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def wait(self) -> Ended:
        """Wait for its end."""
        assert self.process is not None
        self.ended = await finish(self.process, self.line)
        return self.ended


def stored(path: Path) -> list[str]:
    """The contents of all messages in a database that nobody uses, in the order of acceptance."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT content FROM messages ORDER BY id")]
