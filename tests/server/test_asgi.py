"""The WebSocket over ASGI: mounted in an application, on somebody else's server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from starlette.types import Message, Scope
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from adapters.adapter_kit import collect, run, until
from im_asyncio import ClientConfig, IMClient
from im_proto.config import ServerConfig
from im_server import IMServer, JWTAuthenticator
from im_server.app import _Server, listen, url_of
from im_server.asgi import HIGH_WATER, WebSocketApp
from peers.plain_client import PlainClient
from server.server_kit import SECRET, Running, database, running_server, serve_asgi, token

ANN, BOB = 1, 2
NOW = 1_700_000_000_000


@contextlib.asynccontextmanager
async def mounted(
    *, at: str = "/", dead_after: float | None = 0.3, ping: float = 0.1, **config: Any
) -> AsyncIterator[Running]:
    """Our server in a FastAPI application on uvicorn's own protocols."""
    with database() as file:
        server = IMServer(
            store=f"sqlite:///{file.as_posix()}",
            authenticate=JWTAuthenticator(SECRET),
            durability="process",
            config=ServerConfig(**config),
        )
        app = FastAPI()
        app.mount(at, server.asgi(dead_after=dead_after))
        async with server.lifespan(app), serve_asgi(app, ping=ping) as (state, url):
            yield Running(server, state, url + at.rstrip("/"))


def ours(server: Running, user: int) -> IMClient:
    """A client of ours."""
    return IMClient(ClientConfig(ws_url=server.url, token=token(user), user_id=user))


@run
async def test_clients_of_ours_talk_over_it_with_all_that_we_add() -> None:
    async with mounted(at="/chat/here") as server:
        assert server.url.endswith("/chat/here/ws")
        async with ours(server, ANN) as ann, ours(server, BOB) as bob:
            for n in range(100):
                ann.queue_message(BOB, f"{n} hé😀")
            assert await collect(bob, 100) == [f"{n} hé😀" for n in range(100)]
            assert server.server.online() == {ANN: 1, BOB: 1}
        await until(lambda: server.server.online() == {})


@run
async def test_its_capabilities_are_told_at_the_upgrade() -> None:
    async with running_server() as native, mounted() as over_asgi:
        told = []
        for server in (native, over_asgi):
            async with connect(server.url, proxy=None) as ws:
                assert ws.response is not None
                told.append(ws.response.headers["Im-Capabilities"])
        assert told[0] == told[1] and "seq" in told[0]


# ------------------------------------------------------------ plain clients without a pong


@run
async def test_what_a_plain_client_has_is_known_once_it_has_outlived_a_ping() -> None:
    async with mounted() as server:
        await server.server.send(BOB, "x", from_user=ANN)
        async with PlainClient(server.url, token(BOB), BOB) as bob:
            await bob.login()
            await bob.receive()
            await bob.drop()  # too early to know
        async with PlainClient(server.url, token(BOB), BOB) as bob:
            await bob.login()
            assert (await bob.receive())["content"] == "x"
            row = await server.server.runner.read(BOB, after=0, limit=1)
            assert row.head == 1
            await bob.wait_for(lambda: bob.pings >= 3)  # 0.1 s each
            await asyncio.sleep(0.2)
        await server.server.send(BOB, "y", from_user=ANN)
        async with PlainClient(server.url, token(BOB), BOB) as bob:
            await bob.login()
            assert (await bob.receive())["content"] == "y"


@run
async def test_one_that_answers_no_ping_is_gone_before_and_gets_it_again() -> None:
    async with mounted(dead_after=1.0) as server:
        await server.server.send(BOB, "x", from_user=ANN)
        for _ in range(2):
            async with PlainClient(server.url, token(BOB), BOB, answer_pings=False) as bob:
                await bob.login()
                assert (await bob.receive())["content"] == "x"
                assert await bob.wait_closed() == 1011


@run
async def test_on_a_server_without_pings_nothing_is_known() -> None:
    async with mounted(dead_after=None) as server:
        await server.server.send(BOB, "x", from_user=ANN)
        for _ in range(2):
            async with PlainClient(server.url, token(BOB), BOB) as bob:
                await bob.login()
                assert (await bob.receive())["content"] == "x"
                await asyncio.sleep(0.4)
                assert not bob.closed


# ------------------------------------------------------------ limits and ends


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("x" * 1025, 1009),
        ("é" * 513, 1009),
        (b"x", 1003),
        ("{", 1007),
    ],
    ids=["long", "wide", "binary", "not JSON"],
)
@run
async def test_what_breaks_the_rules_ends_the_connection(frame: str | bytes, code: int) -> None:
    async with mounted(message_bytes=1024) as server, running_server(message_bytes=1024) as native:
        ends = []
        for running in (server, native):
            async with PlainClient(running.url, token(ANN), ANN) as ann:
                await ann.login()
                await ann.send_raw(frame)
                ends.append(await ann.wait_closed())
        assert ends == [code, code]


@run
async def test_a_message_of_just_the_size_is_fine() -> None:
    async with (
        mounted(message_bytes=1024) as server,
        PlainClient(server.url, token(ANN), ANN) as ann,
    ):
        await ann.login()
        await ann.send_raw('{"type":"HEARTBEAT_REQUEST","message":"{}"}'.ljust(1024))
        await ann.receive("HEARTBEAT_RESPONSE")


@run
async def test_a_server_that_goes_down_says_so_to_everybody() -> None:
    async with mounted() as server:
        async with PlainClient(server.url, token(ANN), ANN) as ann:
            await ann.login()
            server.server.runner.begin_shutdown()
            assert await ann.wait_closed() == 1012
        with pytest.raises(InvalidStatus) as caught:
            await connect(server.url, proxy=None)
        assert caught.value.response.status_code == 503


@run
async def test_without_the_lifespan_it_says_what_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with database() as file:
        server = IMServer(
            store=f"sqlite:///{file.as_posix()}", authenticate=JWTAuthenticator(SECRET)
        )
        async with serve_asgi(server.asgi()) as (_, url):
            with contextlib.suppress(Exception):
                async with connect(url.replace("http", "ws") + "/ws", proxy=None):
                    raise AssertionError("it must not open")
    assert "FastAPI(lifespan=server.lifespan)" in caplog.text


# ------------------------------------------------------------ a peer that reads nothing


class Stuck:
    """The ASGI side of a connection, by hand: a peer that takes nothing more once it is told."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self.room = asyncio.Event()
        self.room.set()
        self.scope: Scope = {"type": "websocket", "client": ("192.0.2.1", 1), "extensions": {}}

    async def send(self, message: Message) -> None:
        """To the peer."""
        await self.room.wait()
        self.sent.append(message)

    async def log_in(self, user: int) -> None:
        """Connect and log in as a plain client."""
        await self.incoming.put({"type": "websocket.connect"})
        request = {"type": "AUTH_REQUEST", "message": {"accessToken": token(user)}}
        await self.incoming.put({"type": "websocket.receive", "text": json.dumps(request)})
        await until(lambda: any("AUTH_RESPONSE" in m.get("text", "") for m in self.sent))


@run
async def test_to_a_peer_that_takes_nothing_no_more_is_pushed() -> None:
    async with running_server(unacked=4096, stall_timeout=0.2, close_timeout=0.1) as server:
        stuck = Stuck()
        serving = asyncio.ensure_future(
            WebSocketApp(server.server.runner)(stuck.scope, stuck.incoming.get, stuck.send)
        )
        await stuck.log_in(BOB)
        stuck.room.clear()
        roster = server.server.runner._gateway.hub._roster  # type: ignore[union-attr]
        pushed = 0
        for n in range(400):
            await server.server.send(BOB, "x" * 1000, from_user=ANN, msg_id=NOW + n)
            pushed = max([pushed, *(session.sent for session in roster.of_user(BOB))])
        await serving  # 4008, a close that nobody takes, and then the end
        assert 0 < pushed <= HIGH_WATER // 1000 + 128
        assert server.server.online() == {}


@run
async def test_a_peer_that_reads_again_gets_the_rest() -> None:
    async with running_server(unacked=4096) as server:
        stuck = Stuck()
        serving = asyncio.ensure_future(
            WebSocketApp(server.server.runner)(stuck.scope, stuck.incoming.get, stuck.send)
        )
        await stuck.log_in(BOB)
        stuck.room.clear()
        for n in range(400):
            await server.server.send(BOB, f"{n} ".ljust(1000, "x"), from_user=ANN)
        stuck.room.set()
        await until(lambda: sum("CHAT_REDIRECT" in m.get("text", "") for m in stuck.sent) == 400)
        await stuck.incoming.put({"type": "websocket.disconnect", "code": 1001})
        await serving


# ------------------------------------------------------------ a site's own WebSockets, on run(app)


@run
async def test_a_site_keeps_its_own_websockets_when_our_server_runs_it() -> None:
    with database() as file, listen("127.0.0.1", 0) as sock:
        chat = IMServer(store=f"sqlite:///{file.as_posix()}", authenticate=JWTAuthenticator(SECRET))
        life: list[str] = []

        @contextlib.asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            life.append("up")
            async with chat.lifespan(app):
                yield
            life.append("down")

        app = FastAPI(lifespan=lifespan)

        @app.websocket("/own")
        async def own(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text(f"own {await websocket.receive_text()}")
            await websocket.close()

        @app.get("/page")
        async def page() -> dict[str, int]:
            return {"online": chat.online(ANN)}

        app.mount("/", chat.asgi())
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        joined = _Server(chat._uvicorn_config(app), chat.runner, url_of(sock), ready.set_result)
        task = asyncio.create_task(joined.serve(sockets=[sock]))
        ws = (await ready).replace("http", "ws", 1)
        async with connect(f"{ws}/own", proxy=None) as websocket:
            await websocket.send("x")
            assert await websocket.recv() == "own x"
        async with PlainClient(f"{ws}/ws", token(ANN), ANN) as ann:
            await ann.login()
            names = {type(one).__name__ for one in joined.server_state.connections}
            assert "IMProtocol" in names  # past the ASGI layer
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(b"GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b'{"online":1}')
            writer.close()
            joined.should_exit = True
            assert await ann.wait_closed() == 1012
        await task
        assert life == ["up", "down"]
        assert chat.runner.doors.inside == 0  # every connection was counted out


# ------------------------------------------------------------ who may open one


async def upgrade(server: Running, **headers: str) -> tuple[int, str | None]:
    """The status of the answer, and its Retry-After."""
    more = [(name.replace("_", "-"), value) for name, value in headers.items() if name != "host"]
    lines = [f"Host: {headers.get('host', 'chat.example')}", *(f"{a}: {b}" for a, b in more)]
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    path = server.url.removeprefix(f"ws://127.0.0.1:{server.port}")
    request = [
        f"GET {path} HTTP/1.1",
        *lines,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    writer.write("\r\n".join([*request, "", ""]).encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    writer.transport.abort()
    after = [line for line in head.split("\r\n") if line.startswith("retry-after: ")]
    return int(head.split()[1]), after[0].partition(": ")[2] if after else None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 101),
        ({"Origin": "https://chat.example"}, 101),
        ({"Origin": "https://shop.example"}, 101),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://shop.example, https://evil.example"}, 403),
        ({"Origin": "https://evil.example", "host": "evil.example"}, 403),
    ],
)
@pytest.mark.usefixtures("served")
@run
async def test_pages_of_other_sites_may_not_open_one(headers: dict[str, str], status: int) -> None:
    config: dict[str, Any] = {"origins": ("https://shop.example",), "hosts": ("chat.example",)}
    async with running_server(**config) as server:
        assert (await upgrade(server, **headers))[0] == status


@run
async def test_two_origins_in_two_headers_are_none_that_may() -> None:
    async with running_server(origins=("https://a.example",)) as server:
        sent: list[Message] = []
        incoming: asyncio.Queue[Message] = asyncio.Queue()
        await incoming.put({"type": "websocket.connect"})

        async def send(message: Message) -> None:
            sent.append(message)

        origin = (b"origin", b"https://a.example")
        scope: Scope = {"type": "websocket", "headers": [origin, origin]}
        await WebSocketApp(server.server.runner)(scope, incoming.get, send)
        assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.usefixtures("served")
@run
async def test_who_is_behind_a_proxy_is_counted_by_its_own_address() -> None:
    config: dict[str, Any] = {"connections_per_address": 1, "trusted_proxies": ("127.0.0.1",)}
    async with running_server(**config) as server:
        forwarded = {"X-Forwarded-For": "198.51.100.1, 192.0.2.7"}
        async with connect(server.url, proxy=None, additional_headers=forwarded):
            # what a peer puts before is not believed
            other = {"X_Forwarded_For": "198.51.100.2, 192.0.2.7"}
            status, retry_after = await upgrade(server, **other)
            assert status == 503 and retry_after is not None and int(retry_after) >= 1
            assert (await upgrade(server, X_Forwarded_For="192.0.2.8"))[0] == 101
        await until(lambda: not server.server.runner._connections)
        assert (await upgrade(server, X_Forwarded_For="192.0.2.7"))[0] == 101


@pytest.mark.parametrize(
    ("peer", "refused"), [("10.0.0.1", True), ("192.0.2.250", False)], ids=["proxy", "stranger"]
)
@run
async def test_over_asgi_too_a_proxy_of_ours_says_who_asks(peer: str, refused: bool) -> None:
    """Where the server has not done so itself, as uvicorn does for its own list."""
    config: dict[str, Any] = {"connections_per_address": 1, "trusted_proxies": ("10.0.0.1",)}
    async with running_server(**config) as server:
        first, second = Stuck(), Stuck()
        serving = []
        for one, port in ((first, 1), (second, 2)):
            # a stranger has another address each time, whatever it says
            host = peer if refused else f"192.0.2.{port}"
            one.scope["client"] = (host, port)
            one.scope["headers"] = [(b"X-Forwarded-For", b"198.51.100.1"), (b"host", b"x")]
            await one.incoming.put({"type": "websocket.connect"})
            app = WebSocketApp(server.server.runner)
            serving.append(asyncio.ensure_future(app(one.scope, one.incoming.get, one.send)))
            await until(lambda one=one: bool(one.sent))
        assert first.sent[0]["type"] == "websocket.accept"
        assert second.sent[0]["type"] == ("websocket.close" if refused else "websocket.accept")
        for one in (first, second):
            await one.incoming.put({"type": "websocket.disconnect", "code": 1001})
        await asyncio.gather(*serving)


@pytest.mark.usefixtures("served")
@run
async def test_before_the_log_in_a_message_is_small() -> None:
    async with running_server(auth_bytes=2048, message_bytes=65_536) as server:
        async with PlainClient(server.url, token(ANN), ANN) as ann:
            await ann.send_raw('{"type":"HEARTBEAT_REQUEST","message":"{}"}'.ljust(2049))
            assert await ann.wait_closed() == 1009
        async with PlainClient(server.url, token(ANN), ANN) as ann:
            await ann.login()
            await ann.send_raw('{"type":"HEARTBEAT_REQUEST","message":"{}"}'.ljust(60_000))
            await ann.receive("HEARTBEAT_RESPONSE")
