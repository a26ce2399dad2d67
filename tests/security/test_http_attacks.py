"""Hostile HTTP on real sockets, how it comes: too often, too long, too slowly. Nobody notices."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from adapters.adapter_kit import run, until
from im_proto.wire import codes
from im_server.guarded import GuardedHTTP
from security.http_kit import CURRENT, HEALTH, UPGRADE, call, peer, undisturbed
from server.server_kit import running_server

# ------------------------------------------------------------ how fast they come


@run
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
@run
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


@run
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


@run
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
