"""The I/O loop: TLS, flow control, timers, what a transport's failure is called, and bugs."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from typing import Any, Self

import pytest

from adapters.adapter_kit import (
    Connection,
    Peer,
    Recorder,
    config,
    left_behind,
    mute_after_login,
    plain,
    run,
)
from adapters.asyncio_engine import FakeEngine, driver
from adapters.tls_kit import server_tls, trusting
from im_asyncio import IMClient, IMError, IMErrorCode
from im_asyncio.link import Link
from im_proto.client import actions as ac
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.wire import ChatSendResponse, ChatSendToOne
from im_runtime import failure
from im_runtime.net import default_tls

# ------------------------------------------------------------ TLS


@run
async def test_wss() -> None:
    async with Peer(plain, tls=server_tls()) as peer:
        async with IMClient(config(peer.url), ssl_context=trusting()) as client:
            await client.send_message(2, "over TLS")
        assert left_behind(peer) == []
        await peer.idle()


@run
async def test_a_certificate_that_nobody_vouches_for() -> None:
    async with Peer(plain, tls=server_tls()) as peer:
        client = IMClient(config(peer.url))
        with pytest.raises(IMError, match=r"\(tls\)") as caught:
            await client.connect()
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        assert left_behind(peer) == []
        await peer.idle()


@run
async def test_a_certificate_for_another_name() -> None:
    async with Peer(plain, tls=server_tls()) as peer:
        client = IMClient(
            config(peer.url.replace("127.0.0.1", "127.0.0.2")), ssl_context=trusting()
        )
        with pytest.raises(IMError):
            await client.connect()


class Silent:
    """A TCP server that never answers; counts who came and who went."""

    def __init__(self) -> None:
        self.came, self.went = asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came.set()
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()
        self.went.set()


@run
async def test_a_connect_cancelled_during_tls_leaves_nothing() -> None:
    async with Silent() as server:
        client = IMClient(config(f"wss://127.0.0.1:{server.port}/"))
        connecting = asyncio.create_task(client.connect())
        await server.came.wait()
        connecting.cancel()
        await asyncio.wait({connecting})
        await server.went.wait()  # our socket is closed


@run
async def test_an_attempt_that_takes_too_long_is_dropped() -> None:
    async with Silent() as server:
        slow = {"initial_delay": 60, "max_delay": 60}
        client = IMClient(
            config(f"wss://127.0.0.1:{server.port}/", timeouts={"connect": 0.05}, reconnect=slow)
        )
        connecting = asyncio.create_task(client.connect(retry=True))
        await server.went.wait()
        assert client.connection_state.attempts == 1
        connecting.cancel()
        await asyncio.wait({connecting})


@run
async def test_disconnect_over_tls_is_bounded_when_the_peer_is_mute() -> None:
    async with Peer(mute_after_login, tls=server_tls()) as peer:
        client = IMClient(config(peer.url), ssl_context=trusting())
        await client.connect()
        await client.disconnect()
        assert left_behind(peer) == []
        await peer.idle()


def test_the_default_is_tls_1_2_with_verification() -> None:
    context = default_tls()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


# ------------------------------------------------------------ failures


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "dns"),
        (UnicodeError("label too long"), "dns"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "refused"),
        (ssl.SSLCertVerificationError(1, "self-signed"), "tls"),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), "timeout"),
        (OSError(errno.ENETUNREACH, "unreachable"), "other"),
    ],
)
def test_what_a_failure_is_called(exc: Exception, kind: str) -> None:
    found, reason = failure(exc)
    assert found == kind
    assert reason.startswith(type(exc).__name__)
    assert reason.isprintable()


@run
async def test_localhost_is_looked_up() -> None:
    async with Peer(plain) as peer:
        url = peer.url.replace("127.0.0.1", "localhost")
        async with IMClient(config(url)) as client:
            await client.send_message(2, "hello")
        assert left_behind(peer) == []


# ------------------------------------------------------------ flow control


BIG: dict[str, Any] = {"in_flight": 4096, "content_units": 60_000}


def link_of(client: IMClient) -> Any:
    """The one transport."""
    (link,) = client._driver._links.values()
    return link


def shrink_buffer(client: IMClient) -> None:
    """Leave the kernel little room, so that a megabyte is more than it takes."""
    raw = link_of(client).transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


@run
async def test_a_peer_that_does_not_read_stops_the_sending() -> None:
    go = asyncio.Event()
    count = 200

    async def lazy(connection: Connection) -> None:
        await connection.login()
        await go.wait()
        for _ in range(count):
            message = await connection.next(ChatSendToOne)
            connection.send(ChatSendResponse(msg_id=message.msg_id))
        await connection.until_gone()

    async with Peer(lazy) as peer, IMClient(config(peer.url, **BIG)) as client:
        shrink_buffer(client)
        sent = []
        for n in range(count):
            sent.append(client.queue_message(1000 + n, "x" * 5000))
            if n % 10 == 0:
                await asyncio.sleep(0)  # the end of a turn: what it has queued goes out at once
        queued = sum(s.status == "queued" for s in sent)
        assert queued > count / 2  # they wait here, and not in a buffer of the transport
        assert "writing is blocked" in client.explain()
        go.set()
        await asyncio.gather(*sent)
        assert "writing is blocked" not in client.explain()


@run
async def test_disconnect_drops_what_the_peer_does_not_take() -> None:
    async def lazy(connection: Connection) -> None:
        await connection.login()
        await asyncio.Event().wait()

    async with Peer(lazy) as peer:
        client = IMClient(config(peer.url, **BIG))
        await client.connect()
        shrink_buffer(client)
        for n in range(50):  # more than the buffers between the two take
            client.queue_message(1000 + n, "x" * 60_000)
        await asyncio.sleep(0)  # the end of the turn
        assert link_of(client).transport.get_write_buffer_size() > 0
        await client.disconnect()
        assert left_behind(peer) == []


@run
async def test_a_list_is_carried_out_before_the_next_step() -> None:
    """A transport may say within `write` that it is full; that has to wait for its turn."""
    engine, told = FakeEngine(), []
    it = driver(engine, told)

    class Full:
        def is_closing(self) -> bool:
            return False

        def write(self, _: bytes) -> None:
            link.pause_writing()

    link = Link(it, 1, close_timeout=1.0)
    link.transport = Full()
    it._links[1] = link
    first, second = ev.HeartbeatSent(), ev.Connected()
    engine.answers[inp.Connect] = [
        ac.SendBytes(transport=1, data=b"x"),
        ac.Notify(event=first),
    ]
    engine.answers[inp.WriteBlocked] = [ac.Notify(event=second)]
    it.step(inp.Connect())
    assert told == [first, second]


# ------------------------------------------------------------ timers


@run
async def test_the_timer_follows_the_deadline() -> None:
    engine = FakeEngine()
    it = driver(engine, [])
    it.active = True
    loop: Any = asyncio.get_running_loop()

    def armed() -> list[float]:
        handles = [h for h in loop._scheduled if not h.cancelled() and "Driver" in repr(h)]
        return [handle.when() for handle in handles]

    now = loop.time()
    engine.deadline = now + 20
    it.step(inp.Connect())
    assert armed() == [now + 20]
    engine.deadline = now + 10
    it.step(inp.Connect())
    assert armed() == [now + 10]
    engine.deadline = now + 30
    it.step(inp.Connect())
    assert armed() == [now + 10]  # it goes off early, and is armed again
    assert it._timer is not None
    _, cancel = it._timer
    cancel()
    it._time_passed()
    assert armed() == [now + 30]
    engine.deadline = None
    it.step(inp.Connect())
    assert armed() == []
    assert inp.TimePassed not in engine.kinds()
    engine.deadline = now + 0.01
    it.step(inp.Connect())
    passed = await engine.until(inp.TimePassed)
    assert passed.wall == 1_700_000_000.0  # a machine that slept is seen by it
    assert engine.times[-1] >= now + 0.01
    it.stop()


@run
async def test_a_dead_link_is_found_by_its_silence() -> None:
    async with Peer(mute_after_login, plain) as peer:
        heartbeat = {"interval": 0.02, "timeout": 0.02, "max_missed": 2}
        client = IMClient(config(peer.url, heartbeat=heartbeat))
        recorder = Recorder("reconnected", "heartbeat_sent", "error")
        client.set_callbacks(recorder.callbacks())
        await client.connect()
        await recorder.until("reconnected")
        assert recorder.names().count("heartbeat_sent") >= 2
        assert "heartbeats unanswered" in (await recorder.until("error"))[0].text
        await client.disconnect()


@pytest.mark.parametrize("why", ["sleep", "network"])
@run
async def test_a_link_that_died_in_a_sleep_or_with_its_network_is_found_soon(why: str) -> None:
    slept = 0.0
    async with Peer(mute_after_login, plain) as peer:
        loop = asyncio.get_running_loop()
        client = IMClient(
            config(peer.url, sleep_watch=0.02), wall=lambda: 1.7e9 + loop.time() + slept
        )
        recorder = Recorder("reconnected")
        client.set_callbacks(recorder.callbacks())
        await client.connect()  # heartbeats come every 30 s
        start = loop.time()
        if why == "sleep":
            slept = 3600.0
        else:
            await asyncio.to_thread(client.network_changed)
        await recorder.until("reconnected")
        assert loop.time() - start < 20.0
        await client.disconnect()


@run
async def test_a_link_that_lives_is_no_false_alarm() -> None:
    slept = 0.0
    async with Peer(plain) as peer:
        loop = asyncio.get_running_loop()
        client = IMClient(
            config(peer.url, sleep_watch=0.02), wall=lambda: 1.7e9 + loop.time() + slept
        )
        recorder = Recorder("heartbeat_received", "disconnected")
        client.set_callbacks(recorder.callbacks())
        await client.connect()
        slept = 3600.0
        await recorder.until("heartbeat_received")
        client.network_changed()
        await recorder.until("heartbeat_received", 2)
        assert recorder.names() == ["heartbeat_received"] * 2
        await client.disconnect()
        assert client.counters.reconnects == 0


@run
async def test_one_timer_at_a_time() -> None:
    async with Peer(plain) as peer, IMClient(config(peer.url)) as client:
        for n in range(50):
            await client.send_message(2, f"{n}")
        timers = [
            handle
            for handle in asyncio.get_running_loop()._scheduled
            if not handle.cancelled() and "Driver" in repr(handle)
        ]
        assert len(timers) == 1


@run
async def test_a_wall_clock_is_read_at_each_attempt() -> None:
    walls = iter(range(1_700_000_000, 1_800_000_000, 1000))
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url), wall=lambda: float(next(walls)))
        await client.connect()
        first = await client.send_message(2, "a")
        await client.disconnect()
        await client.connect()
        second = await client.send_message(2, "b")
        await client.disconnect()
        assert first.msg_id is not None
        assert second.msg_id is not None
        assert 999e6 < second.msg_id - first.msg_id < 1001e6  # a thousand seconds in between


# ------------------------------------------------------------ bugs of ours


@run
async def test_an_engine_that_raises_ends_in_order(caplog: pytest.LogCaptureFixture) -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        recorder = Recorder("error")
        client.set_callbacks(recorder.callbacks())
        await client.connect()
        consuming = asyncio.ensure_future(anext(client.messages()))
        await asyncio.sleep(0)
        bug = RuntimeError("a bug")
        step = client._engine.step

        def broken(item: inp.Input, now: float) -> Any:
            if isinstance(item, inp.BytesReceived):
                raise bug
            return step(item, now)

        client._engine.step = broken
        client.queue_message(2, "x")
        (error,) = await recorder.until("error")
        assert error.code is IMErrorCode.UNKNOWN_ERROR
        assert error.terminal
        assert error.__cause__ is bug
        with pytest.raises(IMError):
            await consuming
        await peer.idle()
        assert client._driver._timer is None
        client._engine.step = step
        await client.connect()
        await client.send_message(2, "back again")
        await client.disconnect()
        assert left_behind(peer) == []
    assert any(r.levelno == logging.ERROR for r in caplog.records)
