"""The HTTP side on real sockets: heads that are slow, too big or no heads at all, and bodies."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from adapters.adapter_kit import run
from peers.plain_client import PlainClient
from security.http_kit import HEALTH, UPGRADE
from security.http_kit import peer as raw
from server.server_kit import Running, running_server, token

#: Seconds for a head, and for a body.
HASTY = 0.3
SHORT: dict[str, Any] = {"handshake_timeout": HASTY, "partial_timeout": HASTY}


async def works(server: Running) -> None:
    """The server serves others, and holds nothing of those before."""
    async with PlainClient(server.url, token(1), 1) as client:
        assert (await client.login())["code"] == 0
        assert len(server.state.connections) == 1


@pytest.mark.parametrize(
    "start", [b"", b"GET /", HEALTH, UPGRADE], ids=["mute", "path", "get", "ws"]
)
@run
async def test_a_head_that_comes_a_byte_at_a_time_is_dropped_at_the_deadline(
    start: bytes,
) -> None:
    async with running_server(**SHORT) as server, raw(server) as peer:
        began = time.monotonic()
        await peer.say(start)

        async def trickle() -> None:
            while True:
                await peer.say(b"X" if start else b"")
                await asyncio.sleep(HASTY / 10)

        dripping = asyncio.create_task(trickle())
        assert await peer.end() == b""
        dripping.cancel()
        assert HASTY * 0.9 <= time.monotonic() - began < HASTY + 2
        await works(server)


@run
async def test_the_second_head_on_a_connection_has_a_deadline_too() -> None:
    async with running_server(**SHORT) as server, raw(server) as peer:
        await peer.say(HEALTH + b"\r\n")
        assert (await peer.head()).startswith("HTTP/1.1 200 ")
        began = time.monotonic()
        await peer.say(HEALTH)
        await peer.end()
        assert HASTY * 0.9 <= time.monotonic() - began < HASTY + 2
        await works(server)


@pytest.mark.parametrize(
    ("request_", "more"),
    [
        (b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", b"x"),
        (b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", b"x"),
        (HEALTH + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"x"),
        (HEALTH + b"\r\n", b"\r"),
    ],
    ids=["body", "late body", "other upgrade", "no head"],
)
@run
async def test_a_byte_after_the_answer_holds_no_connection_for_ever(
    request_: bytes, more: bytes
) -> None:
    """uvicorn's clock for idle connections stops at any byte, and does not start again."""
    async with running_server(**SHORT) as server, raw(server) as peer:
        await peer.say(request_)
        assert (await peer.head()).startswith("HTTP/1.1 ")
        await peer.say(more)
        await peer.end()
        await works(server)


@run
async def test_a_finished_request_has_no_deadline() -> None:
    async with running_server(**SHORT) as server, raw(server) as peer:
        for _ in range(3):
            await peer.say(HEALTH + b"\r\n")
            assert (await peer.head()).startswith("HTTP/1.1 200 ")
            await peer.reader.readexactly(len('{"status":"ok"}'))
            await asyncio.sleep(HASTY / 2)  # more than a deadline in all


@pytest.mark.parametrize("start", [HEALTH, UPGRADE], ids=["get", "ws"])
@pytest.mark.parametrize("piece", [1000, 100_000])
@run
async def test_a_head_that_is_too_big_is_dropped(piece: int, start: bytes) -> None:
    async with running_server() as server, raw(server) as peer:
        await peer.say(start + b"X-Big: ")
        for _ in range(0, 100_000, piece):
            await peer.say(b"x" * piece)
        await peer.say(b"\r\n\r\n")
        assert b"101" not in await peer.end()
        await works(server)


@run
async def test_a_head_of_a_usual_size_in_many_pieces_is_fine() -> None:
    request = UPGRADE + b"Cookie: " + b"x" * 4000 + b"\r\n\r\n"
    async with running_server() as server, raw(server) as peer:
        for at in range(0, len(request), 100):
            await peer.say(request[at : at + 100])
        assert (await peer.head()).startswith("HTTP/1.1 101 ")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"Origin: https://elsewhere.example\r\n",
        b"Sec-WebSocket-Version: 8\r\n",
        b"Content-Length: 1\r\n",
        b"X: " + b"x" * 9_000 + b"\r\n",
        b"No colon\r\n",
    ],
    ids=["as usual", "origin", "version", "body", "long", "no header"],
)
@run
async def test_an_upgrade_is_answered_the_same_on_a_new_connection_and_on_a_used_one(
    line: bytes,
) -> None:
    """The first one goes past the parser, if nothing is odd about it."""
    async with running_server() as server, raw(server) as new, raw(server) as used:
        await used.say(HEALTH + b"\r\n")
        await used.head()
        await used.reader.readexactly(len('{"status":"ok"}'))
        answers = []
        for peer in (new, used):
            await peer.say(UPGRADE + line + b"\r\n")
            answers.append(await peer.head())
        assert answers[0] == answers[1]
        assert line or answers[0].startswith("HTTP/1.1 101 ")


@pytest.mark.parametrize("path", ["/", "/wsx", "/ws/", "/healthz", "/%2e/ws", "//ws"])
@run
async def test_a_websocket_at_another_path_is_404_and_says_where_it_is(path: str) -> None:
    async with running_server() as server, raw(server) as peer:
        await peer.say(UPGRADE.replace(b"/ws", path.encode(), 1) + b"\r\n")
        answer = (await peer.end()).decode()
        assert answer.startswith("HTTP/1.1 404 ") and "/ws" in answer
        await works(server)


@run
async def test_no_websocket_at_its_path_is_no_success() -> None:
    async with running_server() as server, raw(server) as peer:
        await peer.say(b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await peer.end()).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # TLS
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        UPGRADE.replace(b"13", b"7") + b"\r\n",
        UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short") + b"\r\n",
        UPGRADE.replace(b"GET", b"POST") + b"\r\n",
        UPGRADE + b"Content-Length: 5\r\n\r\nhello",
    ],
)
@run
async def test_junk_is_refused_and_harms_nobody(junk: bytes) -> None:
    async with running_server(**SHORT) as server, raw(server) as peer:
        await peer.say(junk)
        answer = await peer.end()
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer
        await works(server)


@run
async def test_a_peer_that_leaves_in_the_middle_leaves_nothing() -> None:
    async with running_server() as server:
        for data in (b"", b"GET /he", UPGRADE, UPGRADE + b"\r\n"):
            async with raw(server) as peer:
                await peer.say(data)
                if data.endswith(b"\r\n\r\n"):
                    await peer.head()
                peer.writer.transport.abort()
        await works(server)


@run
async def test_one_address_may_have_so_many_connections_and_no_more() -> None:
    async with running_server(connections_per_address=2) as server:
        async with raw(server) as http, PlainClient(server.url, token(1), 1) as client:
            await http.say(HEALTH + b"\r\n")
            assert (await http.head()).startswith("HTTP/1.1 200")
            assert (await client.login())["code"] == 0
            async with raw(server) as third:
                await third.say(HEALTH + b"\r\n")
                assert await third.end() == b""
        for _ in range(3):
            await works(server)  # each that left has made room
