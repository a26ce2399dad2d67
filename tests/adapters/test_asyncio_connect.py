"""connect(): what it promises, from which loop, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import socket

import pytest

from adapters.adapter_kit import (
    Connection,
    Peer,
    closed_port,
    config,
    left_behind,
    mute,
    mute_after_login,
    mute_after_upgrade,
    plain,
    run,
    until,
)
from im_asyncio import IMClient, IMError, IMErrorCode, LocalProtocolError, Status
from im_proto.wire import AuthRequest, AuthResponse, ChatSendToOne


async def refuse_login(connection: Connection) -> None:
    await connection.accept()
    await connection.next(AuthRequest)
    connection.send(AuthResponse(code=40101, message="expired"))
    await connection.until_gone()


async def not_found(connection: Connection) -> None:
    await connection.reject(404)


async def drop(connection: Connection) -> None:
    await connection.requested()
    connection.reset()


# ------------------------------------------------------------ connect


@run
async def test_connect_returns_when_logged_in() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        assert client.connection_state.status is Status.DISCONNECTED
        await client.connect()
        assert client.connection_state.status is Status.AUTHENTICATED
        await client.connect()  # at once: it is
        assert peer.count == 1
        await client.disconnect()
        assert client.connection_state.status is Status.DISCONNECTED
        await peer.idle()


@run
async def test_async_with_connects_and_disconnects() -> None:
    async with Peer(plain) as peer:
        async with IMClient(config(peer.url)) as client:
            assert client.connection_state.status is Status.AUTHENTICATED
        assert client.connection_state.status is Status.DISCONNECTED
        assert left_behind(peer) == []
        await peer.idle()


@run
async def test_a_mapping_is_a_configuration() -> None:
    async with Peer(plain) as peer:
        fields = {"ws_url": peer.url, "token": "t", "user_id": "7"}
        async with IMClient(fields) as client:
            assert client.user_id == 7
            assert len(client.device_id) == 16


@run
async def test_the_first_failure_raises_and_nothing_is_left() -> None:
    client = IMClient(config(f"ws://127.0.0.1:{closed_port()}/"))
    with pytest.raises(IMError) as caught:
        await client.connect()
    assert caught.value.code is IMErrorCode.CONNECTION_FAILED
    assert "(refused)" in caught.value.text
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert left_behind() == []
    assert client.connection_state.status is Status.DISCONNECTED


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (refuse_login, IMErrorCode.TOKEN_INVALID),
        (not_found, IMErrorCode.CONNECTION_FAILED),
        (drop, IMErrorCode.CONNECTION_FAILED),
    ],
)
@run
async def test_each_failure_has_its_code(script: object, code: IMErrorCode) -> None:
    async with Peer(script) as peer:
        client = IMClient(config(peer.url))
        with pytest.raises(IMError) as caught:
            await client.connect()
        assert caught.value.code is code
        assert left_behind(peer) == []
        await peer.idle()
        assert peer.count == 1


@pytest.mark.parametrize("retry", [False, True])
@pytest.mark.parametrize("script", [mute, mute_after_upgrade])
@run
async def test_timeout_raises_and_nothing_is_left(script: object, retry: bool) -> None:
    async with Peer(script) as peer:
        client = IMClient(config(peer.url))
        with pytest.raises(IMError) as caught:
            await client.connect(timeout=0.05, retry=retry)
        assert caught.value.code is IMErrorCode.CONNECTION_TIMEOUT
        assert "0.05 s" in caught.value.text
        assert left_behind(peer) == []
        await peer.idle()


@run
async def test_retry_goes_on_after_failures() -> None:
    async with Peer(drop, drop, plain) as peer:
        client = IMClient(config(peer.url))
        await client.connect(retry=True)
        assert peer.count == 3
        await client.disconnect()


@run
async def test_retry_until_the_timeout() -> None:
    async with Peer(drop) as peer:
        client = IMClient(config(peer.url))
        with pytest.raises(IMError) as caught:
            await client.connect(timeout=1.0, retry=True)
        assert caught.value.code is IMErrorCode.CONNECTION_TIMEOUT
        assert isinstance(caught.value.__cause__, IMError)  # the last failure
        assert peer.count >= 2
        assert left_behind(peer) == []


@run
async def test_retry_does_not_repeat_what_cannot_change() -> None:
    async with Peer(refuse_login) as peer:
        client = IMClient(config(peer.url))
        with pytest.raises(IMError) as caught:
            await client.connect(retry=True)
        assert caught.value.terminal
        assert peer.count == 1


@run
async def test_retry_ends_when_the_tries_are_used_up() -> None:
    async with Peer(drop) as peer:
        reconnect = {"initial_delay": 0.01, "jitter": "none", "max_retries": 2}
        client = IMClient(config(peer.url, reconnect=reconnect))
        with pytest.raises(IMError) as caught:
            await client.connect(retry=True)
        assert caught.value.code is IMErrorCode.RECONNECT_FAILED


@run
async def test_two_connects_share_one_connection() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        await asyncio.gather(client.connect(), client.connect())
        assert peer.count == 1
        await client.disconnect()


@run
async def test_a_connect_that_is_cancelled_leaves_the_other_alone() -> None:
    upgraded, go = asyncio.Event(), asyncio.Event()

    async def slow(connection: Connection) -> None:
        await connection.accept()
        upgraded.set()
        await go.wait()
        await connection.next(AuthRequest)
        connection.send(AuthResponse(code=0))
        await connection.answer_all()

    async with Peer(slow) as peer:
        client = IMClient(config(peer.url))
        first, second = asyncio.create_task(client.connect()), asyncio.create_task(client.connect())
        await upgraded.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go.set()
        await second
        assert client.connection_state.status is Status.AUTHENTICATED
        await client.disconnect()


@run
async def test_disconnect_ends_a_connect() -> None:
    async with Peer(mute) as peer:
        client = IMClient(config(peer.url))
        connecting = asyncio.create_task(client.connect())
        await until(lambda: peer.count)
        await client.disconnect()
        with pytest.raises(IMError, match="disconnect"):
            await connecting
        assert left_behind(peer) == []


@run
async def test_a_disconnect_right_after_connect_takes_no_time() -> None:
    async with Peer(mute) as peer:
        client = IMClient(config(peer.url, timeouts={"close": 60}))
        connecting = asyncio.create_task(client.connect())
        await asyncio.sleep(0)  # the transport was asked for, and nobody has begun to open it
        async with asyncio.timeout(30):
            await client.disconnect()
        with pytest.raises(IMError, match="disconnect"):
            await connecting
        assert left_behind(peer) == []


@run
async def test_connect_after_disconnect() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        for _ in range(3):
            await client.connect()
            await client.disconnect()
        assert peer.count == 3


@run
async def test_connect_waits_for_a_disconnect_that_is_under_way() -> None:
    async with Peer(mute_after_login, plain) as peer:
        client = IMClient(config(peer.url))
        await client.connect()
        ending = asyncio.create_task(client.disconnect())
        await asyncio.sleep(0)
        await client.connect()
        assert ending.done()
        assert peer.count == 2
        assert client.connection_state.status is Status.AUTHENTICATED
        await client.disconnect()


# ------------------------------------------------------------ loops


def test_a_client_made_without_a_loop_and_used_on_two() -> None:
    port = closed_port()
    client = IMClient(config(f"ws://127.0.0.1:{port}/"))
    sent = client.queue_message(2, "before any loop")

    @run
    async def once() -> None:
        async with Peer(plain, port=port), client:
            await client.send_message(2, "hello")

    once()
    assert sent.status == "accepted"
    once()
    assert client.counters.accepted == 3


@run
async def test_a_client_in_use_is_refused_on_another_loop() -> None:
    async with Peer(plain) as peer, IMClient(config(peer.url)) as client:

        def elsewhere() -> None:
            with pytest.raises(LocalProtocolError, match="another event loop"):
                asyncio.run(client.connect())
            with pytest.raises(LocalProtocolError, match="another event loop"):
                asyncio.run(client.disconnect())

        await asyncio.to_thread(elsewhere)


@run
async def test_a_loop_whose_clock_is_behind() -> None:
    client = None

    def make() -> None:
        nonlocal client
        client = IMClient(config("ws://127.0.0.1:1/"))
        client.queue_message(2, "x")

    await asyncio.to_thread(make)  # no loop in there: the engine was told time.monotonic()
    assert client is not None
    loop = asyncio.get_running_loop()
    earlier = loop.time() - 1000.0
    real, loop.time = loop.time, lambda: real() - 1000.0
    try:
        client._clock.bind(loop)
        assert client._clock.now() >= earlier + 1000.0
        assert client._clock.ahead >= 999.0
    finally:
        loop.time = real


@run
async def test_wrong_arguments() -> None:
    with pytest.raises(LocalProtocolError, match="callbacks"):
        IMClient(config("ws://h/"), callbacks="threads")


# ------------------------------------------------------------ names that cannot be reached


@run
async def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    client = IMClient(config("ws://nowhere.invalid/"))
    with pytest.raises(IMError, match=r"\(dns\)"):
        await client.connect()
    assert left_behind() == []


@run
async def test_a_message_stays_queued_over_a_failed_connect() -> None:
    port = closed_port()
    client = IMClient(config(f"ws://127.0.0.1:{port}/"))
    sent = client.queue_message(2, "patience")
    with pytest.raises(IMError):
        await client.connect()
    assert sent.status == "queued"
    async with Peer(plain, port=port), client:
        assert (await sent).status == "accepted"


@run
async def test_the_target_is_that_of_the_url() -> None:
    targets: list[str] = []

    async def script(connection: Connection) -> None:
        await connection.login()
        targets.append(connection.target)
        await connection.next(ChatSendToOne)

    async with Peer(script) as peer, IMClient(config(f"{peer.url}?a=b")):
        assert targets == ["/ws?a=b"]
