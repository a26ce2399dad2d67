"""A real `im serve` process: it starts, ends, and is killed while messages flow."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
from pathlib import Path
from typing import Literal

import pytest
from websockets.exceptions import ConnectionClosed

from adapters.adapter_kit import run
from peers.plain_client import PlainClient
from peers.wire import as_id
from server.server_kit import SECRET, ServeProcess, im, stored, token

ANN, BOB = 1, 2
NOW = 1_700_000_000_000


async def get(port: int, path: str) -> tuple[str, str]:
    """Status line and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return head.split("\r\n")[0], body


def answered(client: PlainClient) -> set[int]:
    """The msgIds that the server has acknowledged so far."""
    return {
        msg_id
        for kind, message in client._inbox
        if kind == "CHAT_SEND_RESPONSE" and message["code"] == 0
        if (msg_id := as_id(message["msgId"])) is not None
    }


async def flood(client: PlainClient) -> None:
    """Messages to Bob, some hundred unanswered, until the server is gone; NOW + n says n."""
    for n in itertools.count():
        try:
            await client.post(BOB, str(n), NOW + n)
        except ConnectionClosed:
            return
        if n % 64 == 0:  # what came since is a plain list: counting it is cheap
            await some_answers(client, n - 256)


async def some_answers(client: PlainClient, count: int) -> None:
    """Wait until so many messages, or a few more, were answered."""
    await client.wait_for(lambda: client.closed or len(client._inbox) >= count, timeout=20)


@run
async def test_it_says_where_it_listens_is_healthy_and_has_its_file_for_itself(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a file.db"
    async with ServeProcess(file) as server:
        assert server.line == f"listening on http://127.0.0.1:{server.port}\n"
        async with PlainClient(server.url, token(ANN), ANN) as ann:
            await ann.login()
            status, body = await get(server.port, "/healthz")
            assert status == "HTTP/1.1 200 OK" and body == '{"status":"ok"}'
            assert (await get(server.port, "/nothing"))[0] == "HTTP/1.1 404 Not Found"
        second = await im(
            *("serve", "--port", "0", "--database", f"sqlite:///{file}"), IM_SECRET=SECRET
        )
        assert (second.code, second.out) == (1, "")
        assert str(file) in second.err and f"pid {server.pid}" in second.err
        assert (await get(server.port, "/healthz"))[0] == "HTTP/1.1 200 OK"  # not disturbed
        server.terminate()
        ended = await server.wait()
        page = f"the page is at http://127.0.0.1:{server.port}/\n"
        assert (ended.code, ended.said) == (0, server.line + page)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM")
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
@run
async def test_a_signal_while_messages_flow_ends_it_in_good_order(
    number: signal.Signals, tmp_path: Path
) -> None:
    file = tmp_path / "im.db"
    async with ServeProcess(file) as server:
        async with (
            PlainClient(server.url, token(ANN), ANN) as ann,
            PlainClient(server.url, token(BOB), BOB) as bob,
        ):
            await ann.login()
            await bob.login()
            flow = asyncio.create_task(flood(ann))
            await some_answers(ann, 50)
            assert server.process is not None
            server.process.send_signal(number)
            assert await ann.wait_closed() == await bob.wait_closed() == 1012
            await flow
            ended = await server.wait()
            assert (ended.code, ended.err) == (0, "")
            answers = answered(ann)
            pushed = [push["content"] for push in bob.received]
        in_file = stored(file)
        # all that was accepted is there, and all that is there was accepted: no one is in doubt
        assert sorted(answers) == [NOW + int(content) for content in in_file]
        assert in_file == [str(n) for n in range(len(in_file))]
        assert pushed == in_file[: len(pushed)]
        assert ann.offences == bob.offences == []


@pytest.mark.parametrize("durability", ["power", "process"])
@run
async def test_a_kill_while_messages_flow_loses_nothing_that_was_acknowledged(
    durability: Literal["power", "process"], tmp_path: Path
) -> None:
    file = tmp_path / "im.db"
    async with ServeProcess(file, ("--durability", durability)) as server:
        async with PlainClient(server.url, token(ANN), ANN) as ann:
            await ann.login()
            flow = asyncio.create_task(flood(ann))
            await some_answers(ann, 200)
            server.kill()
            assert await ann.wait_closed() == 1006
            await flow
        await server.wait()
        answers = answered(ann)
        port = server.port
    async with ServeProcess(file, port=port) as server:  # at once, on the same port and file
        async with PlainClient(server.url, token(BOB), BOB, answer_pings=False) as bob:
            await bob.login()
            await bob.wait_for(lambda: len(bob.received) >= min(512, len(answers)))
            got = [as_id(push["msgId"]) for push in bob.received]
            assert got == [NOW + n for n in range(len(got))]
        server.terminate()
        assert (await server.wait()).code == 0
    in_file = {NOW + int(content) for content in stored(file)}
    assert len(answers) >= 200 and answers <= in_file
