"""Hostile HTTP on real sockets: each attack is bounded, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from adapters.adapter_kit import run, until
from im_proto.server.inputs import WriteBlocked, WriteReady
from im_proto.wire import codes
from im_server import make_token
from im_server.answers import RefusedError, answer
from im_server.guarded import GuardedHTTP
from im_server.http import identify
from im_server.tokens import Identity, TokenRefusedError
from peers.plain_client import PlainClient
from server.server_kit import SECRET, Running, running_server, token

patient = functools.partial(run, seconds=60.0)
ANN, BOB = 1, 2
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class Peer:
    """A connection that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        """Send it; a server that is gone already is no matter."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        lines = (line.partition(": ") for line in head[1:] if line)
        headers = {name.lower(): value for name, _, value in lines}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body

    async def end(self) -> bytes:
        """All until the server has ended it."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""


@contextlib.asynccontextmanager
async def peer(server: Running, *, window: int | None = None) -> AsyncIterator[Peer]:
    """Connect; `window`: bytes that its socket takes without being read."""
    sock = socket.socket()
    if window is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", server.port))
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def undisturbed(server: Running) -> AsyncIterator[None]:
    """Somebody who is there all the time, talks, and notices nothing; and nothing is left of
    those who were there meanwhile."""
    async with PlainClient(server.url, token(BOB), BOB) as bob:
        await bob.login()
        yield
        assert not bob.closed
        assert (await bob.send(BOB, "still here", 1_700_000_000_000))["code"] == 0
        assert (await bob.receive())["content"] == "still here"
        await until(lambda: len(server.state.connections) == 1)
        doors = server.server.runner.doors
        assert (doors.inside, doors.places) == (1, 1)


def call(
    path: str = "/im/session/getCurrent",
    *lines: str,
    body: bytes = b"",
    user: int = ANN,
    method: str = "POST",
    given: str | None = None,
) -> bytes:
    """A call of ours."""
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: x",
        f"satoken: {token(user) if given is None else given}",
        f"Content-Length: {len(body)}",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


CURRENT = json.dumps({"userId": ANN}).encode()


# ------------------------------------------------------------ how fast they come


@patient
async def test_who_connects_without_pause_is_dropped_before_a_byte_is_read() -> None:
    limits = {"arrivals_burst": 4, "arrivals_per_address": 0.001}
    async with running_server(**limits) as server, undisturbed(server):
        for _ in range(3):  # BOB was the first
            async with peer(server) as one:
                await one.say(HEALTH + b"\r\n")
                assert (await one.answer())[0] == 200
        async with peer(server) as one:
            await one.say(HEALTH + b"\r\n")
            assert await one.end() == b""


@pytest.mark.parametrize(
    "broken",
    [
        b"GET\r\n\r\n",
        HEALTH + b"Content-Length: 200000\r\n\r\n" + b"x" * 150_000,
        UPGRADE.replace(b"/ws", b"/nope") + b"\r\n",
        UPGRADE.replace(b": x", b": a, b") + b"\r\n",
        UPGRADE + b"\r\n\x81\x00",
    ],
    ids=["request", "body", "path", "host", "early frame"],
)
@patient
async def test_who_breaks_the_rules_is_heard_less_often(broken: bytes) -> None:
    limits = {"arrivals_burst": 10, "arrivals_per_address": 0.001, "fault_arrivals": 8}
    async with running_server(**limits) as server, undisturbed(server):
        async with peer(server) as one:  # BOB was the first
            await one.say(broken)
            assert await one.end() != b""
        async with peer(server) as one:
            assert await one.end() == b""


@run
async def test_an_operator_is_told_once_that_sockets_are_dropped_and_what_helps(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_server(arrivals_burst=1, arrivals_per_address=0.001) as server:
        async with peer(server) as one:
            await one.say(HEALTH + b"\r\n")
            await one.answer()
        for _ in range(3):
            async with peer(server) as one:
                assert await one.end() == b""
    (told,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert told.startswith("connections from 127.0.0.1 are dropped")
    assert all(name in told for name in ("arrivals_per_address", "trusted_proxies"))


@pytest.mark.parametrize(
    ("path", "line", "status"),
    [(b"/nope", b"", 404), (b"/ws", b"Origin: https://evil.example\r\n", 403)],
)
@run
async def test_of_an_upgrade_that_is_refused_by_its_head_nothing_is_made(
    path: bytes, line: bytes, status: int
) -> None:
    async with running_server() as server, undisturbed(server), peer(server) as one:
        runner = server.server.runner
        connected, made = runner.connected, []

        def note(*args: Any, **more: Any) -> int:
            made.append(args)
            return connected(*args, **more)

        runner.connected = note  # type: ignore[method-assign]
        await one.say(UPGRADE.replace(b"/ws", path) + line + b"\r\n")
        assert (await one.answer())[0] == status
        assert await one.end() == b"" and made == []


# ------------------------------------------------------------ heads


@pytest.mark.parametrize("start", [HEALTH, UPGRADE], ids=["get", "ws"])
@pytest.mark.parametrize(
    ("lines", "refused"),
    [(b"a: b\r\n" * 50, False), (b"a: b\r\n" * 65, True), (b"a: b\r\n" * 2_000, True)],
    ids=["50", "65", "2000"],
)
@run
async def test_so_many_header_lines_and_no_more(start: bytes, lines: bytes, refused: bool) -> None:
    async with running_server() as server, undisturbed(server), peer(server) as one:
        await one.say(start + lines + b"\r\n")
        status, _, _ = await one.answer()
        assert (status == 431) == refused


@run
async def test_the_longest_token_fits_into_a_head_and_a_longer_one_is_431() -> None:
    longest = "x" * 8192
    async with running_server() as server, undisturbed(server):
        async with peer(server) as one:
            await one.say(call(given=longest, body=CURRENT))
            status, _, body = await one.answer()
            assert status == 200 and json.loads(body)["code"] == codes.TOKEN_INVALID
        async with peer(server) as one:
            await one.say(call(given=longest * 2, body=CURRENT))
            assert (await one.answer())[0] == 431


@run
async def test_a_head_without_an_end_is_431_after_so_many_bytes() -> None:
    limits = {"handshake_bytes": 1024}
    async with running_server(**limits) as server, undisturbed(server), peer(server) as one:
        await one.say(HEALTH + b"X-Big: ")
        for _ in range(9):
            await one.say(b"x" * 1024)
        assert (await one.answer())[0] == 431
        assert await one.end() == b""


@pytest.mark.parametrize(
    "flood",
    [b"x" * 1024, b"a: b\r\n", b"a: " + b"x" * 512 + b"\r\n"],
    ids=["one line", "lines", "long lines"],
)
@run
async def test_what_comes_behind_a_body_has_the_limits_of_a_head(flood: bytes) -> None:
    async with running_server() as server, undisturbed(server), peer(server) as one:
        head = call().replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        await one.say(head + b"0\r\nx: ")
        for _ in range(100):
            await one.say(flood)
        await one.end()


@run
async def test_an_extension_of_a_chunk_without_an_end_is_bounded() -> None:
    async with running_server() as server, undisturbed(server), peer(server) as one:
        head = call().replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        await one.say(head + b"1;x=")
        for _ in range(100):
            await one.say(b"x" * 1024)
        await one.end()


# ------------------------------------------------------------ bodies


@pytest.mark.parametrize("piece", [b"", b" "], ids=["nothing", "a byte now and then"])
@run
async def test_a_body_that_is_slow_is_dropped_at_its_deadline(piece: bytes) -> None:
    limits = {"partial_timeout": 0.3}
    async with running_server(**limits) as server, undisturbed(server), peer(server) as one:
        began = time.monotonic()
        await one.say(call(body=b" " * 16_000)[:-15_990])

        async def drip() -> None:
            while True:
                await one.say(piece)
                await asyncio.sleep(0.03)

        dripping = asyncio.create_task(drip())
        assert await one.end() == b""
        dripping.cancel()
        assert time.monotonic() - began > 0.25


@run
async def test_a_body_that_is_too_big_is_413_and_the_rest_of_it_has_the_same_deadline() -> None:
    limits = {"partial_timeout": 0.3, "message_bytes": 1024}
    async with running_server(**limits) as server, undisturbed(server), peer(server) as one:
        await one.say(call(body=b" " * 10**7)[:20_000])
        assert (await one.answer())[0] == 413

        async def go_on() -> None:
            while True:
                await one.say(b" " * 10_000)
                await asyncio.sleep(0.01)

        going = asyncio.create_task(go_on())
        assert await one.end() == b""
        going.cancel()


CHUNKED = call().replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
CHUNK = b"1\r\n \r\n"


@run
async def test_of_a_body_that_goes_on_behind_its_answer_little_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = reads = 0
    on_body, data_received = GuardedHTTP.on_body, GuardedHTTP.data_received

    def count(http: GuardedHTTP, body: bytes) -> None:
        nonlocal looked
        looked += 1
        on_body(http, body)

    def measure(http: GuardedHTTP, data: bytes) -> None:
        nonlocal reads
        reads += 1
        assert len(data) <= 16_384
        data_received(http, data)

    monkeypatch.setattr(GuardedHTTP, "on_body", count)
    monkeypatch.setattr(GuardedHTTP, "data_received", measure)
    async with running_server() as server, undisturbed(server), peer(server) as one:
        await one.say(CHUNKED + CHUNK * 400_000)
        assert (await one.answer())[0] == 413
        assert await one.end() == b""
        await until(lambda: reads > 100)
        assert 16_384 < looked < 40_000


@run
async def test_who_goes_on_behind_an_answer_is_gone_in_time() -> None:
    async with (
        running_server(close_timeout=0.3) as server,
        undisturbed(server),
        peer(server) as one,
    ):
        await one.say(CHUNKED + CHUNK * 40_000)
        assert (await one.answer())[0] == 413
        assert await one.end() == b""
        await until(lambda: len(server.state.connections) == 1)


@run
async def test_who_goes_on_without_end_behind_an_answer_is_gone_when_it_was_too_much() -> None:
    async def go_on() -> None:
        await one.say(CHUNKED)
        while True:
            await one.say(CHUNK * 40_000)
            await asyncio.sleep(0)

    async with running_server() as server, undisturbed(server), peer(server) as one:
        going = asyncio.create_task(go_on())
        assert (await one.answer())[0] == 413
        assert await one.end() == b""
        await until(lambda: len(server.state.connections) == 1)
        going.cancel()


@run
async def test_a_body_that_is_not_much_too_big_costs_no_connection() -> None:
    async with running_server() as server, undisturbed(server), peer(server) as one:
        await one.say(call(body=b" " * 60_000))
        assert (await one.answer())[0] == 413
        await one.say(HEALTH + b"\r\n")
        assert (await one.answer())[0] == 200


async def _upload(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@patient
async def test_an_upload_to_the_site_may_take_long_if_it_goes_on() -> None:
    app = Starlette(routes=[Route("/upload", _upload, methods=["POST"])])
    limits: dict[str, Any] = {"app": app, "partial_timeout": 1.5, "message_bytes": 1024}
    async with running_server(**limits) as server, undisturbed(server), peer(server) as one:
        await one.say(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 20480\r\n\r\n")
        for _ in range(20):
            await asyncio.sleep(0.1)
            await one.say(b"x" * 1024)
        status, _, body = await one.answer()
        assert (status, body) == (200, b"20480")


@patient
async def test_a_site_that_takes_its_time_to_read_an_upload_is_not_the_fault_of_its_sender() -> (
    None
):
    async def late(request: Request) -> Response:
        await asyncio.sleep(1.5)
        return await _upload(request)

    app = Starlette(routes=[Route("/upload", late, methods=["POST"])])
    size = 8_000_000  # more than anything on the way takes unread
    async with running_server(app=app, partial_timeout=1.0) as server, peer(server) as one:
        head = f"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
        sending = asyncio.create_task(one.say(head.encode() + b"x" * size))
        assert (await one.answer())[2] == str(size).encode()
        await sending


# ------------------------------------------------------------ answers that nobody takes


def _lots(size: int) -> Starlette:
    async def lots(_: Request) -> Response:
        return Response(b"x" * size)

    return Starlette(routes=[Route("/lots", lots)])


@pytest.mark.parametrize("end", [b"", b"Connection: close\r\n"], ids=["kept", "closing"])
@run
async def test_who_does_not_read_an_answer_is_gone(end: bytes) -> None:
    # so much that the kernel does not take all of it, and less remains than uvicorn lets wait
    for size in (20_000_000, 4_000_000):
        limits: dict[str, Any] = {"app": _lots(size), "stall_timeout": 0.3}
        async with (
            running_server(**limits) as server,
            undisturbed(server),
            peer(server, window=4096) as deaf,
        ):
            deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await deaf.say(b"GET /lots HTTP/1.1\r\nHost: x\r\n" + end + b"\r\n")
            await until(lambda: len(server.state.connections) == 2)
            await until(lambda: len(server.state.connections) == 1)


@run
async def test_what_is_left_in_the_buffer_at_a_close_has_a_deadline_too() -> None:
    """asyncio's `close` waits until all is taken, and uvicorn's flow control sees nothing below
    64 KiB."""
    async with (
        running_server(stall_timeout=0.3) as server,
        undisturbed(server),
        peer(server, window=4096) as deaf,
    ):
        deaf.writer.transport.pause_reading()  # type: ignore[attr-defined]
        http = await _http_of(server)
        fill(http.transport, 50_000)
        assert 0 < http.transport.get_write_buffer_size() < 65_536
        http.transport.close()
        await until(lambda: http not in server.state.connections)


async def _http_of(server: Running) -> GuardedHTTP:
    def found() -> list[GuardedHTTP]:
        return [one for one in server.state.connections if isinstance(one, GuardedHTTP)]

    await until(lambda: bool(found()))
    return found()[0]


def fill(transport: asyncio.Transport, rest: int) -> None:
    """Write until the kernel takes no more, and `rest` bytes wait here."""
    while not transport.get_write_buffer_size():
        transport.write(b"x" * 10_000)
    transport.write(b"x" * max(0, rest - transport.get_write_buffer_size()))


@patient
async def test_who_reads_slowly_gets_all_of_it() -> None:
    async with (
        running_server(app=_lots(6_000_000), stall_timeout=1.0) as server,
        undisturbed(server),
        peer(server, window=65_536) as slow,
    ):
        await slow.say(b"GET /lots HTTP/1.1\r\nHost: x\r\n\r\n")
        began = time.monotonic()
        left = 6_000_000
        await slow.reader.readuntil(b"\r\n\r\n")
        while left:
            some = await slow.reader.read(30_000)
            assert some
            left -= len(some)
            await asyncio.sleep(0.01)
        assert time.monotonic() - began > 2.0  # two deadlines


@run
async def test_a_server_that_was_asleep_does_not_blame_who_reads() -> None:
    async with (
        running_server(app=_lots(4_000_000), stall_timeout=0.3) as server,
        undisturbed(server),
        peer(server, window=4096) as slow,
    ):
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        http = await _http_of(server)
        await slow.say(b"GET /lots HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: http.transport.get_write_buffer_size() > 0)
        time.sleep(0.6)  # noqa: ASYNC251 - that is it
        for _ in range(3):
            await asyncio.sleep(0)  # now its deadline is over
        slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len((await slow.answer())[2]) == 4_000_000


# ------------------------------------------------------------ many requests


@run
async def test_requests_in_line_are_answered_in_order() -> None:
    async with running_server() as server, undisturbed(server), peer(server) as one:
        await one.say((HEALTH + b"\r\n" + call(body=CURRENT)) * 8)
        told = [(await one.answer())[2][:9] for _ in range(16)]
        assert told == [b'{"status"', b'{"code":0'] * 8


@run
async def test_too_many_requests_in_line_end_the_connection() -> None:
    async with running_server() as server, undisturbed(server), peer(server) as one:
        await one.say((HEALTH + b"\r\n") * 1_000)
        assert (await one.end()).count(b"HTTP/1.1 200") <= 17


@pytest.mark.parametrize("early", [b"\x81\x80abcd", b"x"])
@run
async def test_what_is_said_before_the_websocket_is_open_is_400(early: bytes) -> None:
    async with running_server() as server, undisturbed(server), peer(server) as one:
        await one.say(UPGRADE + b"\r\n" + early)
        assert (await one.answer())[0] == 400


@run
async def test_no_websocket_opens_behind_a_request_without_an_answer() -> None:
    async with running_server() as server, undisturbed(server), peer(server) as one:
        await one.say(call(body=CURRENT) + UPGRADE + b"\r\n")
        assert b"101" not in await one.end()


@patient
async def test_a_websocket_may_open_behind_an_answer_that_still_waits() -> None:
    async with (
        running_server(stall_timeout=1.0) as server,
        undisturbed(server),
        peer(server, window=4096) as one,
    ):
        await one.say(HEALTH + b"\r\n")
        await one.answer()
        http = await _http_of(server)
        one.writer.transport.pause_reading()  # type: ignore[attr-defined]
        fill(http.transport, 50_000)
        told: list[object] = []
        runner = server.server.runner
        feed = runner.feed

        def note(event: Any, **more: Any) -> None:
            told.append(type(event))
            feed(event, **more)

        runner.feed = note  # type: ignore[method-assign]
        await one.say(UPGRADE + b"\r\n")
        await until(lambda: WriteBlocked in told)
        one.writer.transport.resume_reading()  # type: ignore[attr-defined]
        said = b""
        while b"HTTP/1.1 101" not in said:
            said = said[-100:] + await one.reader.read(65_536)
        await until(lambda: WriteReady in told)
        await asyncio.sleep(1.2)  # the clock of the answer has stopped
        assert len(server.state.connections) == 2


@run
async def test_a_websocket_may_open_on_a_connection_that_was_used_before() -> None:
    async with running_server() as server, undisturbed(server), peer(server) as one:
        await one.say(HEALTH + b"\r\n")
        assert (await one.answer())[0] == 200
        await one.say(UPGRADE + b"\r\n")
        assert (await one.answer())[0] == 101


# ------------------------------------------------------------ connections


@run
async def test_so_many_connections_in_all_and_no_more() -> None:
    async with running_server(connections=3) as server, undisturbed(server):
        async with peer(server) as first, peer(server) as second:
            for one in (first, second):
                await one.say(HEALTH + b"\r\n")
                assert (await one.answer())[0] == 200
            async with peer(server) as third:
                await third.say(HEALTH + b"\r\n")
                assert await third.end() == b""
        await until(lambda: server.server.runner.doors.inside == 1)
        async with peer(server) as again:
            await again.say(HEALTH + b"\r\n")
            assert (await again.answer())[0] == 200


# ------------------------------------------------------------ who asks, and for whom


@pytest.mark.parametrize(
    ("trusted", "said", "seen"),
    [
        ((), "192.0.2.7", "127.0.0.1 http"),
        (("127.0.0.1",), "192.0.2.7", "192.0.2.7 https"),
        (("127.0.0.0/8",), "203.0.113.5, 192.0.2.7, 127.0.0.9", "192.0.2.7 https"),
        (("10.0.0.1",), "192.0.2.7", "127.0.0.1 http"),
    ],
)
@run
async def test_only_proxies_of_ours_say_where_a_request_of_a_site_comes_from(
    trusted: tuple[str, ...], said: str, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # uvicorn's own setting does not count

    async def who(request: Request) -> Response:
        assert request.client is not None
        return PlainTextResponse(f"{request.client.host} {request.url.scheme}")

    app = Starlette(routes=[Route("/who", who)])
    async with running_server(app=app, trusted_proxies=trusted) as server, peer(server) as one:
        lines = f"X-Forwarded-For: {said}\r\nX-Forwarded-Proto: https\r\n\r\n"
        await one.say(b"GET /who HTTP/1.1\r\nHost: x\r\n" + lines.encode())
        assert (await one.answer())[2].decode() == seen


@pytest.mark.parametrize(
    ("host", "code"), [("localhost:8080", 0), ("evil.example", 403), ("localhost.evil", 403)]
)
@run
async def test_calls_under_a_name_that_is_not_ours_are_refused(host: str, code: int) -> None:
    """A page whose name was made to lead here (DNS rebinding) may set any header but this."""
    admin = make_token(ANN, SECRET, roles=("admin",))
    async with running_server(hosts=("localhost",)) as server:
        for method, path in (("POST", "/im/session/getCurrent"), ("GET", "/im/admin/online")):
            async with peer(server) as one:
                asked = call(path, body=CURRENT, method=method, given=admin)
                await one.say(asked.replace(b"Host: x", f"Host: {host}".encode()))
                assert json.loads((await one.answer())[2])["code"] == code


@run
async def test_a_token_that_was_revoked_is_no_longer_good_for_calls() -> None:
    async with running_server() as server, undisturbed(server):
        given = make_token(ANN, SECRET, roles=("admin",))
        asked = (
            call(given=given, body=CURRENT),
            call("/im/admin/online", given=given, method="GET"),
        )
        told = []
        for revoked in (False, True):
            if revoked:
                await server.server.revoke(ANN)
            for one in asked:
                async with peer(server) as client:
                    await client.say(one)
                    told.append(json.loads((await client.answer())[2])["code"])
        assert told == [0, 0, codes.TOKEN_INVALID, codes.TOKEN_INVALID]


@run
async def test_who_guesses_tokens_is_429_before_they_are_looked_at_and_others_are_not() -> None:
    looked: list[str] = []

    async def authenticate(given: str) -> Identity:
        looked.append(given)
        if given == "down":
            raise RuntimeError
        if given != "good":
            raise TokenRefusedError("no")
        return Identity(user=ANN)

    limits: dict[str, Any] = {
        "site": {"authenticate": authenticate},
        "trusted_proxies": ("127.0.0.1",),
        "bad_tokens_per_address": 0.5,
        "bad_tokens_burst": 3,
    }

    async def ask(one: Peer, given: str, address: str, path: str = "/im/session/getCurrent") -> int:
        looked.clear()
        method = "GET" if "admin" in path else "POST"
        told = f"X-Forwarded-For: {address}"
        await one.say(call(path, told, body=CURRENT, given=given, method=method))
        status, headers, body = await one.answer()
        if status == 429:
            assert headers["retry-after"] == "2" and json.loads(body)["code"] == 429
            assert looked == []
            return 429
        assert looked == [given]
        return int(json.loads(body)["code"])

    async with running_server(**limits) as server, peer(server) as one:
        for given, code in [("good", 0), ("down", codes.SERVER_ERROR)] * 5:
            assert await ask(one, given, "192.0.2.1") == code
        told = [await ask(one, "bad", "192.0.2.1") for _ in range(4)]
        assert told == [codes.TOKEN_INVALID] * 3 + [429]
        assert await one.end() == b"", "who doesn't wait has to connect again"
        async with peer(server) as again:
            assert await ask(again, "good", "192.0.2.1", "/im/admin/online") == 429
        async with peer(server) as other:
            assert await ask(other, "bad", "192.0.2.2") == codes.TOKEN_INVALID
            assert await ask(other, "good", "192.0.2.2") == 0


@run
async def test_where_no_asgi_server_reads_what_a_proxy_says_the_calls_do() -> None:
    async def ask(address: bytes) -> int:
        headers = [(b"satoken", b"bad"), (b"x-forwarded-for", address)]
        scope = {"type": "http", "headers": headers, "client": ("127.0.0.1", 1)}
        with pytest.raises(RefusedError) as refused:
            await identify(server.server.runner, Request(scope))
        return refused.value.code

    limits: dict[str, Any] = {"trusted_proxies": ("127.0.0.1",), "bad_tokens_burst": 1}
    async with running_server(**limits) as server:
        told = [await ask(address) for address in [b"192.0.2.1", b"192.0.2.1", b"192.0.2.2"]]
    assert told == [codes.TOKEN_INVALID, codes.TOO_MANY, codes.TOKEN_INVALID]


# ------------------------------------------------------------ what is told


def test_who_asks_too_much_is_told_when_to_come_again() -> None:
    told = answer(codes.TOO_MANY, {"retryAfter": 1.2}, "too many")
    assert told.status_code == 429 and told.headers["retry-after"] == "2"
    assert json.loads(bytes(told.body)) == {
        "code": 429,
        "data": {"retryAfter": 1.2},
        "message": "too many",
    }


@run
async def test_a_user_who_calls_too_often_is_429_and_others_are_not() -> None:
    limits: dict[str, Any] = {"messages_per_second": 0.5, "message_burst": 6}
    async with running_server(**limits) as server, undisturbed(server):
        told: list[tuple[int, str | None]] = []
        async with peer(server) as one:
            while not told or told[-1][0] == 200:
                await one.say(call(body=CURRENT))
                status, headers, _ = await one.answer()
                told.append((status, headers.get("retry-after")))
            assert await one.end() == b"", "who doesn't wait has to connect again"
        assert told[0] == (200, None) and told[-1][0] == 429 and len(told) < 10
        assert 1 <= int(told[-1][1] or 0) <= 60
        async with peer(server) as other:
            await other.say(call(body=b'{"userId": 77}', user=77))
            assert (await other.answer())[0] == 200


@run
async def test_health_tells_strangers_nothing_but_that() -> None:
    async with running_server() as server, undisturbed(server), peer(server) as one:
        await one.say(HEALTH + b"\r\n")
        status, headers, body = await one.answer()
        assert (status, body) == (200, b'{"status":"ok"}')
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


@run
async def test_health_is_503_while_the_server_goes_down() -> None:
    async with running_server() as server, peer(server) as one:
        server.server.runner.begin_shutdown()
        await one.say(HEALTH + b"\r\n")
        assert (await one.answer())[0] == 503


@pytest.mark.parametrize(
    "junk",
    [
        b"GET /\x1b[31m\x07 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: \x1b]0;owned\x07\r\n\r\n",
        b"\x1b[31m\r\n\r\nERROR forged line\r\n",
        UPGRADE.replace(b"13", b"1\x1b[31m3") + b"\r\n",
        UPGRADE.replace(b"/ws", b"/w\x7fs") + b"\r\n",
        call(given="\x1b[31mtoken", body=CURRENT),
        call(body=b'{"userId": "\x1b[31m"}'),
    ],
)
@run
async def test_no_byte_of_a_peer_reaches_the_log(
    junk: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with running_server(handshake_timeout=0.3) as server, peer(server) as one:
            await one.say(junk)
            one.writer.write_eof()
            await one.end()
    ours = [r for r in caplog.records if r.name.startswith(("im_", "uvicorn"))]
    for record in ours:
        text = record.getMessage()
        assert text.isprintable() and "forged" not in text and len(text) < 300
        assert record.levelno < logging.WARNING  # a stranger can't fill a log
