"""disconnect(), and a connect() that is cancelled: both end in time and leave nothing behind."""

from __future__ import annotations

import asyncio

import pytest

from adapters.adapter_kit import (
    Connection,
    Peer,
    Recorder,
    config,
    left_behind,
    mute,
    mute_after_login,
    mute_after_upgrade,
    plain,
    run,
    until,
)
from im_asyncio import IMClient, Status


@run
async def test_disconnect_says_goodbye() -> None:
    seen: list[int | None] = []

    async def script(connection: Connection) -> None:
        await connection.login()
        try:
            await connection.until_gone()
        finally:
            seen.append(connection.closed)

    async with Peer(script) as peer:
        async with IMClient(config(peer.url)):
            pass
        await peer.idle()
    assert seen == [1000]


@run
async def test_disconnect_twice_and_without_a_connection() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        await client.disconnect()
        await client.connect()
        await asyncio.gather(client.disconnect(), client.disconnect())
        await client.disconnect()
        assert left_behind(peer) == []


@run
async def test_disconnect_is_bounded_when_the_peer_is_mute() -> None:
    async with Peer(mute_after_login) as peer:
        client = IMClient(config(peer.url))
        await client.connect()
        loop = asyncio.get_running_loop()
        start = loop.time()
        await client.disconnect()
        assert 0.1 < loop.time() - start < 20.0  # timeouts.close is 0.2
        assert left_behind(peer) == []
        await peer.idle()


@pytest.mark.parametrize("script", [mute, mute_after_upgrade])
@run
async def test_a_connect_cancelled_half_way_leaves_nothing(script: object) -> None:
    async with Peer(script) as peer:
        client = IMClient(config(peer.url))
        states = Recorder("state_changed")
        client.set_callbacks(states.callbacks())
        connecting = asyncio.create_task(client.connect())
        await until(lambda: peer.count)
        if script is mute_after_upgrade:
            await until(lambda: client.connection_state.status is Status.CONNECTED)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert left_behind(peer) == []
        await peer.idle()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("turns", [*range(8), 50, 100])
@run
async def test_a_connect_cancelled_after_any_turn_leaves_nothing(turns: int, host: str) -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url.replace("127.0.0.1", host)))
        connecting = asyncio.create_task(client.connect())
        for _ in range(turns):
            await asyncio.sleep(0)
        connecting.cancel()
        await asyncio.wait({connecting})
        if not connecting.cancelled():
            await client.disconnect()
        assert left_behind(peer) == []
        await peer.idle()


@run
async def test_a_disconnect_cancelled_half_way_aborts() -> None:
    async with Peer(mute_after_login) as peer:
        client = IMClient(config(peer.url, timeouts={"close": 60}))
        await client.connect()
        ending = asyncio.create_task(client.disconnect())
        await asyncio.sleep(0)
        assert not ending.done()
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        assert left_behind(peer) == []
        await peer.idle()
        assert "Waiting for" not in client.explain()  # the engine knows it, too
        await client.disconnect()  # and there is nothing more to do


@run
async def test_the_second_of_two_disconnects_cancelled_aborts_too() -> None:
    async with Peer(mute_after_login) as peer:
        client = IMClient(config(peer.url, timeouts={"close": 60}))
        await client.connect()
        first, second = (asyncio.create_task(client.disconnect()) for _ in range(2))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait({first, second})
        assert second.cancelled()
        assert first.exception() is None
        assert left_behind(peer) == []


@run
async def test_disconnect_while_waiting_for_the_next_attempt() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url, reconnect={"initial_delay": 60, "max_delay": 60}))
        recorder = Recorder("reconnecting", "disconnected")
        client.set_callbacks(recorder.callbacks())
        await client.connect()
        for task in peer.tasks:
            task.cancel()
        await recorder.until("reconnecting")
        assert client.connection_state.status is Status.RECONNECTING
        await client.disconnect()
        assert left_behind(peer) == []
        assert recorder.names() == ["disconnected", "reconnecting"]


@run
async def test_disconnect_after_the_peer_went_on_its_own() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        recorder = Recorder("reconnected")
        client.set_callbacks(recorder.callbacks())
        await client.connect()
        for task in peer.tasks:
            task.cancel()
        await recorder.until("reconnected")
        assert client.counters.reconnects == 1
        await client.disconnect()
