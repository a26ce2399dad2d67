"""What the TypeScript module has in its folders: queue, heartbeat, reconnecting, sessions …"""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from adapters.adapter_kit import Connection, Peer, Recorder, config
from core.client_kit import Driver
from im_asyncio import IMClient, Status
from im_proto.client import actions as act
from im_proto.client import inputs as inp
from im_proto.client.turns import Priority
from im_proto.wire import ChatSendResponse, ChatSendToOne
from parity.parity_kit import ANN, BOB, Notes, from_web, hangs_up, run, sessions
from peers.session_server import SessionServer

# ------------------------------------------------------------ MessageQueue


@run
async def test_the_queue_sends_a_failed_message_again() -> None:
    contents: list[str] = []

    async def serve(connection: Connection) -> None:
        await connection.login()
        for code in (50000, 50000, 0):
            message = await connection.next(ChatSendToOne)
            contents.append(message.content)
            connection.send(ChatSendResponse(msg_id=message.msg_id, code=code))
        await connection.until_gone()

    async with Peer(serve) as peer:
        async with IMClient(config(peer.url)) as client:
            sent = await client.send_message(BOB, "hi")
        await peer.idle()
    assert contents == ["hi"] * 3
    assert (sent.status, sent.sends) == ("accepted", 3)


@run
async def test_the_queue_knows_priorities() -> None:
    notes = Notes()
    async with Peer(notes) as peer:
        client = IMClient(config(peer.url, in_flight=1))
        wanted: list[Priority] = ["low", "normal", "high"]
        queued = [
            client.queue_message(user, priority, priority=priority)
            for user, priority in enumerate(wanted, start=BOB)
        ]
        async with client:
            for sent in queued:
                await sent
        await peer.idle()
    assert notes.contents == ["high", "normal", "low"]


@run
async def test_the_queue_is_sent_in_order_when_the_connection_is_back() -> None:
    notes = Notes()
    async with Peer(hangs_up, notes) as peer:
        client = IMClient(config(peer.url))
        recorder = Recorder("reconnecting")
        client.set_callbacks(recorder.callbacks())
        await client.connect()
        await recorder.until("reconnecting")
        queued = [client.queue_message(BOB, f"meanwhile {number}") for number in range(3)]
        for sent in queued:
            await sent
        await client.disconnect()
        await peer.idle()
    assert notes.contents == ["meanwhile 0", "meanwhile 1", "meanwhile 2"]


# ------------------------------------------------------------ HeartbeatManager, ReconnectManager


def test_probes_go_out_at_their_pace_while_logged_in() -> None:
    d = Driver(heartbeat={"interval": 30, "timeout": 5}).link()
    d.pass_time(9)
    assert d.probes() == 0  # not before the log-in
    d.frame("AUTH_RESPONSE", code=0)
    for count in (1, 2, 3):
        d.pass_time(29.999)
        assert d.probes() == count - 1
        d.pass_time(0.001)
        assert d.probes() == count
        d.frame("HEARTBEAT_RESPONSE")
    d.disconnect().lose().pass_time(1000)
    assert d.probes() == 3


def test_a_link_that_answers_no_probe_is_given_up() -> None:
    d = Driver(heartbeat={"interval": 30, "timeout": 5, "max_missed": 3}).login()
    d.pass_time(30 + 3 * 5 - 0.001)
    assert d.status == "AUTHENTICATED"
    d.pass_time(0.001)
    assert d.status == "RECONNECTING"
    assert d.errors() == ["CONNECTION_LOST"]


DELAYS: Final[dict[str, list[float]]] = {
    "fixed": [2, 2, 2, 2, 2],
    "linear": [2, 4, 6, 8, 9],
    "exponential": [2, 4, 8, 9, 9],
}


@pytest.mark.parametrize("strategy", DELAYS)
def test_the_delays_between_attempts_are(strategy: str) -> None:
    taken = from_web(
        "ws://localhost:8080/ws",
        reconnect={"initialDelay": 2000, "maxDelay": 9000, "maxRetries": 9, "strategy": strategy},
    ).reconnect
    d = Driver(reconnect=taken.model_dump() | {"jitter": "none"}).connect()
    seen = []
    for _ in DELAYS[strategy]:
        d.do(inp.TransportFailed(transport=d.transport, kind=inp.TransportFailure.REFUSED))
        seen.append(d.delay())
        d.forget().pass_time(d.until(d.core.state().retry_at) - 0.001)
        assert not d.of(act.OpenTransport)
        d.pass_time(0.001)
        assert d.of(act.OpenTransport)
    assert seen == DELAYS[strategy]


@run
async def test_a_lost_connection_is_made_again() -> None:
    notes = Notes()
    async with Peer(hangs_up, notes) as peer:
        client = IMClient(config(peer.url))
        recorder = Recorder("disconnected", "reconnecting", "reconnected")
        client.set_callbacks(recorder.callbacks())
        await client.connect()
        await recorder.until("reconnected")
        assert recorder.names() == ["disconnected", "reconnecting", "reconnected"]
        assert client.connection_state.status is Status.AUTHENTICATED
        await client.disconnect()
        await peer.idle()


# ------------------------------------------------------------ SessionManager, ConnectionManager


@run
async def test_the_cache_of_sessions_has_what_the_server_told_last() -> None:
    with SessionServer() as server:
        record = server.add(5, ANN, BOB)
        async with sessions(server) as client:
            await client.get_session(record["id"])
            record["sessionStatus"] = 3
            known = client.get_cached_session(record["id"])
            assert known is not None
            assert known.session_status == 1
            await client.get_session(record["id"])
            (known,) = client.get_all_cached_sessions()
            assert known.session_status == 3


@run
async def test_there_is_one_connection_however_often_it_is_wanted() -> None:
    notes = Notes()
    async with Peer(notes) as peer:
        client = IMClient(config(peer.url))
        await asyncio.gather(client.connect(), client.connect())
        await client.connect()
        assert peer.count == 1
        await client.disconnect()
        await client.disconnect()
        await peer.idle()
        assert notes.closed == [1000]
