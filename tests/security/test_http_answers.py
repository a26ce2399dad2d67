"""Answers by HTTP that nobody takes, and requests that don't wait for the answer before them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.adapter_kit import run, until
from im_proto.server.inputs import WriteBlocked, WriteReady
from im_server.guarded import GuardedHTTP
from security.http_kit import CURRENT, HEALTH, UPGRADE, call, peer, undisturbed
from server.server_kit import Running, running_server

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


@run
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


@run
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
