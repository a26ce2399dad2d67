"""Sockets that are not served are left alone for a moment: whoever comes again at once gains
nothing."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from adapters.adapter_kit import run
from im_proto.server import doors
from server.server_kit import running_server

ONE = {"arrivals_per_address": 0.001, "arrivals_burst": 1}


def test_so_many_are_held_and_no_more() -> None:
    assert doors.hold(0) == doors.hold(doors.MOST_HELD - 1) == doors.HELD_FOR
    assert doors.hold(doors.MOST_HELD) == 0


async def _end(reader: asyncio.StreamReader) -> None:
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)


@run
async def test_one_that_is_not_served_is_dropped_a_moment_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doors, "HELD_FOR", 0.2)
    loop = asyncio.get_running_loop()
    async with running_server(**ONE) as server:
        for served in (True, False, False):
            began = loop.time()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            if served:
                assert (await reader.read()).startswith(b"HTTP/1.1 200")
            else:
                await _end(reader)
                assert loop.time() - began >= 0.19
            writer.close()
        assert not server.server.runner.held._held


@run
async def test_those_above_the_most_are_dropped_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "HELD_FOR", 3_600.0)
    monkeypatch.setattr(doors, "MOST_HELD", 2)
    async with running_server(**ONE) as server, AsyncExitStack() as stack:
        readers = []
        for _ in range(4):  # the first is served
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            stack.callback(writer.close)
            readers.append(reader)
        await _end(readers[3])
        assert len(server.server.runner.held._held) == 2
        server.server.runner.begin_shutdown()  # nobody is waited for
        await _end(readers[1])
        await _end(readers[2])
