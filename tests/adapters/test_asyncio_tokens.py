"""Tokens of the asyncio client: functions that give them, that raise or hang, and new ones."""

from __future__ import annotations

import asyncio

import pytest

from adapters.adapter_kit import Connection, Peer, Recorder, config, left_behind, plain, run
from im_asyncio import IMClient, IMError, IMErrorCode, LocalProtocolError, Status
from im_proto.wire import AuthRequest, AuthResponse


async def async_token() -> str:
    return "from-a-coroutine"


def sync_token() -> str:
    return "from-a-thread"


@pytest.mark.parametrize("source", [async_token, sync_token, lambda: async_token()])
@run
async def test_the_token_may_be_a_function(source: object) -> None:
    tokens: list[str] = []

    async def script(connection: Connection) -> None:
        tokens.append((await connection.login()).access_token)
        await connection.answer_all()

    async with Peer(script) as peer, IMClient(config(peer.url, token=source)):
        assert tokens == ["from-a-thread" if source is sync_token else "from-a-coroutine"]


@pytest.mark.parametrize("failure", [ValueError("no secret in the text"), StopIteration()])
@run
async def test_a_token_function_that_raises(failure: Exception) -> None:
    def source() -> str:
        raise failure

    client = IMClient(config("ws://127.0.0.1:1/", token=source))
    with pytest.raises(IMError) as caught:
        await client.connect()
    assert caught.value.code is IMErrorCode.AUTH_FAILED
    assert "no secret" not in str(caught.value)
    cause = caught.value.__cause__
    assert cause is failure or (cause is not None and cause.__cause__ is failure)
    assert left_behind() == []


@run
async def test_a_token_function_that_returns_no_token() -> None:
    client = IMClient(config("ws://127.0.0.1:1/", token=lambda: None))
    with pytest.raises(IMError) as caught:
        await client.connect()
    assert caught.value.code is IMErrorCode.AUTH_FAILED
    assert "NoneType" in str(caught.value.__cause__)


@run
async def test_a_connect_cancelled_while_it_waits_for_the_token() -> None:
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def source() -> str:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    client = IMClient(config("ws://127.0.0.1:1/", token=source))
    connecting = asyncio.create_task(client.connect())
    await asked.wait()
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert cancelled.is_set()
    assert left_behind() == []


@run
async def test_a_token_that_is_not_waited_for_any_more_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def source() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    slow = {"initial_delay": 60, "max_delay": 60}
    client = IMClient(
        config("ws://127.0.0.1:1/", token=source, timeouts={"token": 0.02}, reconnect=slow)
    )
    connecting = asyncio.create_task(client.connect(retry=True))
    await cancelled.wait()
    assert client.connection_state.attempts == 1
    await client.disconnect()
    await asyncio.wait({connecting})
    with pytest.raises(IMError):
        connecting.result()


@run
async def test_a_new_token_goes_on_after_a_refused_one() -> None:
    tokens: list[str] = []

    async def script(connection: Connection) -> None:
        await connection.accept()
        tokens.append((await connection.next(AuthRequest)).access_token)
        connection.send(AuthResponse(code=0 if tokens[-1] == "new" else 40101))
        await connection.answer_all()

    async with Peer(plain, script) as peer:
        client = IMClient(config(peer.url))
        recorder = Recorder("auth_failed", "authenticated", "error")
        client.set_callbacks(recorder.callbacks())
        await client.connect()
        for task in peer.tasks:
            task.cancel()
        (error,) = await recorder.until("auth_failed")
        assert error.code is IMErrorCode.TOKEN_INVALID
        assert client.connection_state.status is Status.DISCONNECTED
        client.update_access_token("new")
        waiting = asyncio.ensure_future(anext(client.messages()))
        await asyncio.sleep(0)
        assert not waiting.done()  # it has not given up any more
        waiting.cancel()
        await recorder.until("authenticated", 2)
        assert tokens == ["secret-token", "new"]
        await client.disconnect()


def test_a_wrong_token_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        IMClient(config("ws://127.0.0.1:1/")).update_access_token("")
