"""The examples for other loops, against the real server; and the guide that quotes one of them."""

from __future__ import annotations

import ast
import asyncio
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trio

from adapters.adapter_kit import run
from conformance.subjects import EXAMPLES, trio_adapter
from im_asyncio import ClientConfig, IMClient
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.errors import IMError
from im_proto.testing.conformance.peer import Peer
from im_proto.wire import ChatSendToOne
from script_kit import load
from server.server_kit import Running, running_server, token

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "another-loop.md"
selectors_client: Any = load(EXAMPLES / "selectors_client.py")


async def beside(
    program: Callable[[ClientConfig], object], act: Callable[[Running, IMClient], Any]
) -> None:
    """Run a blocking program as user 1 in a thread, and `act` with a client of user 2."""
    async with running_server() as server:
        config = ClientConfig(
            ws_url=server.url,
            token=token(1),
            user_id=1,
            reconnect={"initial_delay": 0.02, "max_delay": 0.05},
        )
        other = ClientConfig(ws_url=server.url, token=token(2), user_id=2)
        async with IMClient(other) as client:
            talking = asyncio.create_task(asyncio.to_thread(program, config))
            await act(server, client)
            await talking


# ------------------------------------------------------------ selectors


def selectors_program(config: ClientConfig) -> list[Any]:
    """Send "hello", take two messages, say goodbye; all events."""
    told: list[Any] = []

    def on_event(loop: Any, event: ev.Event) -> None:
        told.append(event)
        selectors_client.show(loop, event)

    def count(kind: type) -> int:
        return sum(isinstance(event, kind) for event in told)

    end = time.monotonic() + 4.0

    def in_time() -> bool:
        if time.monotonic() > end:
            raise TimeoutError(f"told so far: {told}")
        return True

    loop = selectors_client.Loop(config, on_event)
    loop.step(inp.Connect())
    loop.step(inp.Send(ref=1, to_user=2, content="hello"))
    loop.run(until=lambda: in_time() and count(ev.MessageReceived) == 2)
    gone = count(ev.Disconnected)
    loop.step(inp.Disconnect())
    loop.run(until=lambda: in_time() and count(ev.Disconnected) > gone and loop._socket is None)
    loop.close()
    return told


@run
async def test_the_selectors_loop_talks_to_the_real_server(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def act(_: Running, client: IMClient) -> None:
        messages = aiter(client.messages())
        assert (await anext(messages)).content == "hello"
        await client.send_message(1, "and back")
        await client.send_message(1, "again")

    await beside(selectors_program, act)
    shown = capsys.readouterr().out.splitlines()
    assert "accepted" in shown
    assert "2: and back" in shown
    assert "2: again" in shown
    assert "(AUTHENTICATED: logged in)" in shown


def test_the_selectors_loop_comes_back_after_a_lost_link() -> None:
    peer = Peer()
    config = ClientConfig(
        ws_url=peer.url(),
        token="t",
        user_id=1,
        reconnect={"initial_delay": 0.02, "max_delay": 0.05},
    )
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(selectors_program, config)
        first = peer.accept()
        first.log_in()
        assert first.take(1) == ["hello"]
        first.reset()
        second = peer.accept()
        second.log_in()
        second.write(second.push("one", 1) + second.push("two", 2))
        second.goodbye()
        told = running.result()
    peer.close()
    assert sum(isinstance(event, ev.Reconnected) for event in told) == 1


def test_the_selectors_loop_says_when_there_is_nothing_to_wait_for() -> None:
    loop = selectors_client.Loop(
        ClientConfig(ws_url="ws://127.0.0.1:1/", token="t", user_id=1), lambda *_: None
    )
    loop.step(inp.TimePassed())
    with pytest.raises(RuntimeError, match="nothing to wait for"):
        loop.run()
    loop.close()


# ------------------------------------------------------------ trio


def trio_program(config: ClientConfig) -> None:
    """Send, take two messages, acknowledge them."""

    async def talk() -> None:
        async with trio_adapter.open_client(config) as client:
            await client.send(2, "hello")
            messages = aiter(client.messages())
            assert (await anext(messages)).content == "and back"
            assert (await anext(messages)).content == "again"
            await messages.aclose()

    async def in_time() -> None:
        with trio.fail_after(4):
            await talk()

    trio.run(in_time)


@run
async def test_the_trio_client_talks_to_the_real_server() -> None:
    async def act(_: Running, client: IMClient) -> None:
        messages = aiter(client.messages())
        assert (await anext(messages)).content == "hello"
        await client.send_message(1, "and back")
        await client.send_message(1, "again")

    await beside(trio_program, act)


def test_the_trio_client_raises_what_the_engine_tells() -> None:
    async def talk() -> None:
        config = ClientConfig(ws_url="ws://127.0.0.1:1/", token="t", user_id=1)
        async with trio_adapter.open_client(config):
            pass

    with pytest.raises(ExceptionGroup) as caught:
        trio.run(talk)
    (error,) = caught.value.exceptions
    assert isinstance(error, IMError)
    assert "(refused)" in error.text


def test_the_trio_clients_send_raises_when_the_client_gives_up() -> None:
    peer = Peer()

    async def talk() -> None:
        config = ClientConfig(ws_url=peer.url(), token="t", user_id=1)
        with trio.fail_after(4):
            async with trio.open_nursery() as nursery:
                client = trio_adapter.Client(config)
                await nursery.start(client.driver.run)
                await client.connect()
                with pytest.raises(IMError) as caught:
                    await client.send(2, "hello")
                assert caught.value.terminal
                with pytest.raises(IMError):
                    await anext(aiter(client.messages()))
                await client.aclose()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(trio.run, talk)
        connection = peer.accept()
        connection.log_in()
        connection.next(ChatSendToOne)
        connection.close_frame(4004)  # another one has taken this place: don't come back
        connection.finish()
        running.result()
    peer.close()


def test_the_io_loop_of_the_trio_adapter_is_short() -> None:
    tree = ast.parse((EXAMPLES / "trio_adapter.py").read_text("utf-8"))
    (driver,) = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Driver"]
    assert driver.end_lineno is not None
    assert driver.end_lineno - driver.lineno + 1 < 200


# ------------------------------------------------------------ the guide


def test_what_the_guide_quotes_stands_in_the_tested_code() -> None:
    tested = {
        name: (EXAMPLES / name).read_text("utf-8")
        for name in ("trio_adapter.py", "selectors_client.py")
    }
    tested["subjects.py"] = (Path(__file__).parent / "subjects.py").read_text("utf-8")
    quotes = re.findall(
        r"<!-- from (\S+) -->\n```python\n(.*?)^```", GUIDE.read_text("utf-8"), re.M | re.S
    )
    assert len(quotes) >= 6
    for name, quote in quotes:
        for part in quote.split("…\n"):
            assert _bare(part) in _bare(tested[name]), part


def _bare(code: str) -> str:
    """Without indentation, which differs when a method is quoted by itself."""
    return "\n".join(line.strip() for line in code.strip().splitlines())
