"""The options of the TypeScript module's `IMClientConfig`, through `ClientConfig.from_web`."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.adapter_kit import Connection, Peer, Recorder, closed_port, mute_after_login, plain
from im_asyncio import ClientConfig, ConnectionState, IMClient, IMError
from im_proto.wire import HeartbeatRequest, HeartbeatResponse
from parity.parity_kit import ANN, TOKEN, Notes, Top, from_web, run, web


@run
async def test_ws_url_says_where_the_server_is() -> None:
    notes = Notes()
    async with Peer(notes) as peer:
        async with IMClient(from_web(f"{peer.url}?room=7")):
            assert notes.targets == ["/ws?room=7"]
        await peer.idle()


@pytest.mark.parametrize("option", ["token", "userId"])
@run
async def test_the_client_logs_in_with(option: str) -> None:
    notes = Notes()
    async with Peer(notes) as peer:
        async with IMClient(from_web(peer.url)):
            (login,) = notes.logins
            said = {"token": login.access_token, "userId": login.user_id}
            assert said[option] == {"token": TOKEN, "userId": ANN}[option]
        await peer.idle()


def test_what_is_left_out_is_what_the_originals_readme_shows() -> None:
    config = ClientConfig.from_web(web("ws://localhost:8080/ws"))
    reconnect, heartbeat = config.reconnect, config.heartbeat
    assert (reconnect.max_retries, reconnect.initial_delay, reconnect.max_delay) == (5, 1, 30)
    assert (reconnect.strategy, heartbeat.interval, heartbeat.timeout) == ("exponential", 30, 5)


async def give_up(**reconnect: Any) -> list[float]:
    """The delays before each attempt at a place where nobody listens, until it is given up."""
    states: list[ConnectionState] = []
    client = IMClient(
        from_web(f"ws://127.0.0.1:{closed_port()}/ws", reconnect=reconnect), rng=Top()
    )
    client.on("state_changed", states.append)
    recorder = Recorder("error")
    client.set_callbacks(recorder.callbacks())
    with pytest.raises(IMError, match="gave up"):
        await client.connect(retry=True)
    await client.disconnect()
    assert recorder.calls[-1][1][0].code == "RECONNECT_FAILED"
    return [state.retry_in for state in states if state.retry_in is not None]


@run
async def test_the_reconnect_block_makes_a_client_try_again() -> None:
    delays = await give_up(maxRetries=4, initialDelay=10, maxDelay=20)
    assert delays == pytest.approx([0.01, 0.02, 0.02])


@run
async def test_max_retries_is_how_often_a_client_fails_before_it_gives_up() -> None:
    assert len(await give_up(maxRetries=3, initialDelay=1, maxDelay=2)) == 2


@run
async def test_initial_delay_is_what_the_first_retry_waits() -> None:
    delays = await give_up(maxRetries=2, initialDelay=30, maxDelay=1000)
    assert delays == pytest.approx([0.03])


@run
async def test_max_delay_bounds_what_a_retry_waits() -> None:
    delays = await give_up(maxRetries=4, initialDelay=10, maxDelay=15)
    assert delays == pytest.approx([0.01, 0.015, 0.015])


async def beats(connection: Connection) -> None:
    """Answer two probes, and say nothing more."""
    await connection.login()
    for _ in range(2):
        assert isinstance(await connection.receive(), HeartbeatRequest)
        connection.send(HeartbeatResponse())
    await connection.mute()


async def until_the_link_is_dead(client: IMClient) -> int:
    """How many probes were sent until then."""
    recorder = Recorder("heartbeat_sent", "heartbeat_received", "disconnected")
    client.set_callbacks(recorder.callbacks())
    await client.connect()
    await recorder.until("disconnected")
    await client.disconnect()
    assert recorder.names().count("heartbeat_received") == 2
    return recorder.names().count("heartbeat_sent")


@run
async def test_the_heartbeat_block_finds_a_dead_link() -> None:
    async with Peer(beats) as peer:
        client = IMClient(from_web(peer.url, heartbeat={"interval": 20, "timeout": 600}))
        assert await until_the_link_is_dead(client) == 2 + 3  # max_missed


@run
async def test_interval_is_the_pace_of_the_probes() -> None:
    async with Peer(plain) as peer:
        client = IMClient(from_web(peer.url, heartbeat={"interval": 20, "timeout": 5000}))
        recorder = Recorder("heartbeat_sent", "heartbeat_received")
        client.set_callbacks(recorder.callbacks())
        async with client:
            await recorder.until("heartbeat_received", times=2)
        assert recorder.names()[:4] == ["heartbeat_sent", "heartbeat_received"] * 2
        await peer.idle()


@run
async def test_timeout_is_how_long_an_answer_is_waited_for() -> None:
    async with Peer(mute_after_login) as peer:
        client = IMClient(from_web(peer.url, heartbeat={"interval": 20, "timeout": 10}))
        recorder = Recorder("disconnected", "heartbeat_sent")
        client.set_callbacks(recorder.callbacks())
        await client.connect()
        await recorder.until("disconnected")
        assert recorder.names().count("heartbeat_sent") == 3
        await client.disconnect()
