"""A canary: what we rely on in uvicorn is still there, and still does what we rely on."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import socket
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState

from adapters.adapter_kit import run
from im_server import IMServer, JWTAuthenticator
from im_server.app import _Server, listen, url_of
from im_server.guarded import GuardedHTTP
from im_server.runner import Runner
from im_server.websocket import STATE_KEY, IMProtocol
from peers.plain_client import PlainClient
from server.server_kit import SECRET, running_server, token


@contextlib.asynccontextmanager
async def serving(tmp_path: Path) -> AsyncIterator[tuple[Server, str]]:
    """uvicorn itself, with ours in it, in this loop."""
    server = IMServer(
        store=f"sqlite:///{tmp_path.as_posix()}/im.db", authenticate=JWTAuthenticator(SECRET)
    )
    with listen("127.0.0.1", 0) as sock:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        joined = _Server(server._uvicorn_config(), server.runner, url_of(sock), ready.set_result)
        task = asyncio.create_task(joined.serve(sockets=[sock]))
        try:
            yield joined, (await ready).replace("http", "ws", 1) + "/ws"
        finally:
            joined.should_exit = True
            await task


@run
async def test_a_websocket_joins_its_connections_leaves_them_and_is_told_to_shut_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    shutdown, begin = IMProtocol.shutdown, Runner.begin_shutdown

    def count(protocol: IMProtocol) -> None:
        told.append("shutdown")
        shutdown(protocol)

    def note(runner: Runner) -> None:
        told.append("begin")
        begin(runner)

    monkeypatch.setattr(IMProtocol, "shutdown", count)
    monkeypatch.setattr(Runner, "begin_shutdown", note)
    async with serving(tmp_path) as (server, url):
        connections = server.server_state.connections
        assert connections == set()
        async with PlainClient(url, token(1), 1) as first, PlainClient(url, token(2), 2) as second:
            await first.login()
            await second.login()
            assert {type(c).__name__ for c in connections} == {IMProtocol.__name__}
            assert len(connections) == 2
            await first.close()
            assert len(connections) == 1
            server.should_exit = True
            assert await second.wait_closed() == 1012
        assert told[:2] == ["shutdown", "begin"] and told.count("shutdown") == 1
    assert connections == set()


@run
async def test_no_message_waits_for_the_acknowledgement_of_the_one_before(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, url), PlainClient(url, token(1), 1) as client:
        await client.login()
        (joined,) = server.server_state.connections
        sock = joined._transport.get_extra_info("socket")  # type: ignore[union-attr]
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@run
async def test_a_request_joins_too_and_is_told_to_shut_down(tmp_path: Path) -> None:
    async with serving(tmp_path) as (server, url):
        port = int(url.split(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n") and b"server:" not in head.lower()
        assert [type(c) for c in server.server_state.connections] == [GuardedHTTP]
        server.should_exit = True
        await reader.read()  # until it is closed
        writer.close()


def test_a_server_runs_in_another_thread_too(tmp_path: Path) -> None:
    """Where no signal can be caught: uvicorn's own would raise."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[str] = loop.create_future()
        server = IMServer(
            store=f"sqlite:///{tmp_path.as_posix()}/im.db",
            authenticate=JWTAuthenticator(SECRET),
        )
        running: list[Server] = []

        def say(url: str) -> None:
            loop.call_soon_threadsafe(ready.set_result, url)

        original = _Server.startup

        async def startup(self: _Server, sockets: object = None) -> None:
            running.append(self)
            await original(self, sockets)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_Server, "startup", startup)
            ended = loop.run_in_executor(None, lambda: server.run(port=0, ready=say))
            assert (await ready).startswith("http://127.0.0.1:")
            running[0].should_exit = True
            await ended

    asyncio.run(main())


@pytest.mark.parametrize(
    "name",
    [
        "connection_made",
        "connection_lost",
        "data_received",
        "handle_websocket_upgrade",
        "on_message_begin",
        "on_header",
        "on_headers_complete",
        "on_body",
        "on_message_complete",
        "pause_writing",
        "resume_writing",
        "_should_upgrade",
        "_unset_keepalive_if_required",
        "shutdown",
    ],
)
def test_what_we_override_or_call_of_its_http_protocol_is_there(name: str) -> None:
    assert callable(getattr(HttpToolsProtocol, name))


def test_what_we_read_of_it_is_there(tmp_path: Path) -> None:
    def parameters(function: object) -> set[str]:
        return set(inspect.signature(function).parameters)  # type: ignore[arg-type]

    assert {"config", "server_state", "app_state", "_loop"} <= parameters(HttpToolsProtocol)
    assert parameters(IMProtocol) == {"config", "server_state", "app_state"}
    state = ServerState()
    assert state.connections == set() and state.tasks == set()
    config = uvicorn.Config(
        lambda: None, http=GuardedHTTP, ws=IMProtocol, lifespan="on", log_config=None
    )
    config.load()
    assert config.http_protocol_class is GuardedHTTP
    assert config.ws_protocol_class is IMProtocol
    server = uvicorn.Server(config)
    assert (server.started, server.should_exit) == (False, False)
    assert isinstance(server.server_state, ServerState)
    assert {"sockets"} <= parameters(Server.startup) and {"sockets"} <= parameters(Server.run)
    for name in ("capture_signals", "handle_exit"):
        assert callable(getattr(Server, name))
    assert "response_complete" in inspect.getsource(RequestResponseCycle.__init__)


class _Transport:
    """What uvloop has: all that a transport has, but not asyncio's class."""

    def get_extra_info(self, name: str) -> object:
        return ("192.0.2.1", 1) if name == "peername" else None

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high


@run
async def test_its_transports_need_not_be_those_of_asyncio() -> None:
    async with running_server() as server:
        runner = server.server.runner
        assert runner.doors.enter("192.0.2.1")
        protocol = IMProtocol(uvicorn.Config(lambda: None), server.state, {STATE_KEY: runner})
        protocol.connection_made(_Transport())  # type: ignore[arg-type]
        protocol.connection_lost(None)
        assert runner.doors.inside == 0


@run
async def test_what_its_http_protocol_holds_of_a_connection(tmp_path: Path) -> None:
    config = uvicorn.Config(lambda: None, log_config=None)
    config.load()
    server = IMServer(
        store=f"sqlite:///{tmp_path.as_posix()}/im.db", authenticate=JWTAuthenticator(SECRET)
    )
    protocol = GuardedHTTP(
        config=config,
        server_state=ServerState(),
        app_state={STATE_KEY: server.runner},
        _loop=asyncio.get_running_loop(),
    )
    assert protocol.loop is asyncio.get_running_loop()
    assert len(protocol.pipeline) == 0 and protocol.parser is not None
    # and not an error, though there is no request yet
    assert not protocol._answered and not protocol._busy
    said = inspect.getsource(HttpToolsProtocol.connection_made)
    assert "self.flow = FlowControl(" in said and "self.connections.add(self)" in said
    assert {"read_paused", "write_paused"} <= set(vars(FlowControl(asyncio.Transport())))


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 9,
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    ],
    ids=["answered", "in line", "upgraded"],
)
@run
async def test_nothing_of_a_connection_waits_for_the_collector(
    monkeypatch: pytest.MonkeyPatch, request_: bytes
) -> None:
    made: list[weakref.ref[GuardedHTTP]] = []
    lost = asyncio.Event()
    begin, end = GuardedHTTP.connection_made, GuardedHTTP.connection_lost

    def note(protocol: GuardedHTTP, transport: asyncio.Transport) -> None:
        made.append(weakref.ref(protocol))
        begin(protocol, transport)

    def notice(protocol: GuardedHTTP | IMProtocol, exc: Exception | None) -> None:
        (end if isinstance(protocol, GuardedHTTP) else end_ws)(protocol, exc)  # type: ignore[arg-type]
        asyncio.get_running_loop().call_soon(lost.set)

    end_ws = IMProtocol.connection_lost
    monkeypatch.setattr(GuardedHTTP, "connection_made", note)
    monkeypatch.setattr(GuardedHTTP, "connection_lost", notice)
    monkeypatch.setattr(IMProtocol, "connection_lost", notice)
    async with running_server() as server:
        gc.collect()
        gc.disable()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request_)
            await reader.readuntil(b"\r\n\r\n")
            writer.close()
            await lost.wait()
            for _ in range(10):  # the answers that were cut short
                await asyncio.sleep(0)
            assert [ref() for ref in made] == [None]
        finally:
            gc.enable()
