"""send_message and queue_message: acceptance, failure, timeouts, cancellation."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
from typing import Any

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
    until,
)
from im_asyncio import IMClient, IMError, IMErrorCode, MessageError, SentMessage, SentStatus
from im_proto.wire import ChatSendResponse, ChatSendToOne


async def refuse(connection: Connection) -> None:
    """Refuses every message."""
    await connection.login()
    while True:
        message = await connection.next(ChatSendToOne)
        connection.send(ChatSendResponse(msg_id=message.msg_id, code=40400, message="nobody"))


@run
async def test_send_returns_when_accepted() -> None:
    async with Peer(plain) as peer, IMClient(config(peer.url)) as client:
        sent = await client.send_message(2, "hello")
        assert isinstance(sent, SentMessage)
        assert sent.status is SentStatus.ACCEPTED
        assert sent.done
        assert sent.error is None
        assert sent.timestamp == 1234
        assert sent.msg_id is not None
        assert sent.sends == 1
        assert (sent.to_user_id, sent.content, sent.message_type) == (2, "hello", "text")
        assert "hello" not in repr(sent)
        assert client.counters.accepted == 1


@run
async def test_what_goes_out() -> None:
    seen: list[ChatSendToOne] = []

    async def script(connection: Connection) -> None:
        await connection.login()
        message = await connection.next(ChatSendToOne)
        seen.append(message)
        connection.send(ChatSendResponse(msg_id=message.msg_id, session_id=77))
        await connection.until_gone()

    async with Peer(script) as peer, IMClient(config(peer.url)) as client:
        sent = await client.send_message("bravo", " x ", "image", session_id=9)
        assert sent.session_id == 77  # the server's word counts
    assert (seen[0].to_user, seen[0].content) == ("bravo", " x ")
    assert (seen[0].message_type, seen[0].session_id) == ("image", 9)


@run
async def test_who_matters_more_goes_first() -> None:
    seen: list[str] = []

    async def script(connection: Connection) -> None:
        await connection.login()
        while True:
            message = await connection.next(ChatSendToOne)
            seen.append(message.content)
            connection.send(ChatSendResponse(msg_id=message.msg_id))

    async with Peer(script) as peer:
        client = IMClient(config(peer.url))
        low = client.queue_message(2, "low", priority="low")
        normal = client.queue_message(3, "normal")
        sending = asyncio.create_task(client.send_message(4, "high", priority="high"))
        await until(lambda: len(client._pending) == 3)
        with pytest.raises(IMError, match="priority is one of high, normal, low"):
            client.queue_message(5, "x", priority="urgent")  # type: ignore[arg-type]
        await client.connect()
        high = await sending
        assert [(await sent).priority for sent in (low, normal, high)] == ["low", "normal", "high"]
        assert seen == ["high", "normal", "low"]
        await client.disconnect()


@run
async def test_send_raises_when_refused() -> None:
    async with Peer(refuse) as peer, IMClient(config(peer.url)) as client:
        recorder = Recorder("message_failed", "message_sent")
        client.set_callbacks(recorder.callbacks())
        with pytest.raises(IMError) as caught:
            await client.send_message(2, "hello")
        error = caught.value
        assert isinstance(error, MessageError)
        assert error.code is IMErrorCode.MESSAGE_SEND_FAILED
        assert (error.server_code, error.server_text) == (40400, "nobody")
        assert error.sent.status is SentStatus.FAILED
        assert error.sent.error is error
        assert (await recorder.until("message_failed")) == (error,)
        assert recorder.names() == ["message_failed"]


@run
async def test_nothing_is_queued_when_it_can_not_be() -> None:
    client = IMClient(config("ws://127.0.0.1:1/", max_queue=1))
    for content in ("", "   ", "x" * 1001):
        with pytest.raises(IMError) as caught:
            client.queue_message(2, content)
        assert caught.value.code is IMErrorCode.MESSAGE_FORMAT_ERROR
    with pytest.raises(IMError):
        await client.send_message(0, "to nobody")
    client.queue_message(2, "fills it")
    with pytest.raises(IMError) as caught:
        await client.send_message(2, "one more")
    assert caught.value.code is IMErrorCode.QUEUE_FULL
    assert len(client._pending) == 1


@run
async def test_queued_before_connect_and_awaited_later() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        sent = [client.queue_message(2, f"{n}") for n in range(3)]
        assert [s.status for s in sent] == ["queued"] * 3
        assert sent[0].msg_id is None
        waiting = asyncio.gather(*sent)
        async with client:
            assert await waiting == sent
            assert await sent[0] is sent[0]  # any number of times
        assert len({s.msg_id for s in sent}) == 3


@run
async def test_a_message_survives_a_lost_link() -> None:
    first: list[int] = []

    async def lose(connection: Connection) -> None:
        await connection.login()
        first.append((await connection.next(ChatSendToOne)).msg_id)
        connection.reset()

    async with Peer(lose, plain) as peer, IMClient(config(peer.url)) as client:
        sent = await client.send_message(2, "hello")
        assert sent.sends == 2
        assert sent.msg_id == first[0]
        assert client.counters.retransmitted == 1


@run
async def test_timeout_says_that_it_is_still_on_its_way() -> None:
    go = asyncio.Event()

    async def slow(connection: Connection) -> None:
        await connection.login()
        message = await connection.next(ChatSendToOne)
        await go.wait()
        connection.send(ChatSendResponse(msg_id=message.msg_id))
        await connection.until_gone()

    async with Peer(slow) as peer, IMClient(config(peer.url)) as client:
        with pytest.raises(MessageError, match="still in flight") as caught:
            await client.send_message(2, "hello", timeout=0.05)
        assert caught.value.code is IMErrorCode.MESSAGE_TIMEOUT
        assert caught.value.sent.status is SentStatus.IN_FLIGHT
        assert caught.value.sent.error is None
        go.set()
        await caught.value.sent
        assert caught.value.sent.status is SentStatus.ACCEPTED


@run
async def test_timeout_while_offline() -> None:
    client = IMClient(config("ws://127.0.0.1:1/"))
    with pytest.raises(MessageError, match="still queued") as caught:
        await client.send_message(2, "hello", timeout=0.01)
    assert caught.value.sent.cancel()


@run
async def test_cancelling_the_wait_withdraws_nothing() -> None:
    go = asyncio.Event()
    got = asyncio.Event()

    async def slow(connection: Connection) -> None:
        await connection.login()
        message = await connection.next(ChatSendToOne)
        got.set()
        await go.wait()
        connection.send(ChatSendResponse(msg_id=message.msg_id))
        await connection.until_gone()

    async with Peer(slow) as peer, IMClient(config(peer.url)) as client:
        recorder = Recorder("message_sent")
        client.set_callbacks(recorder.callbacks())
        sending = asyncio.create_task(client.send_message(2, "hello"))
        await got.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        go.set()
        (sent,) = await recorder.until("message_sent")
        assert sent.content == "hello"


@run
async def test_cancelling_one_wait_leaves_the_others() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        sent = client.queue_message(2, "hello")

        async def wait() -> SentMessage:
            return await sent

        first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
        await asyncio.sleep(0)
        first.cancel()
        async with client:
            assert await second is sent
        assert first.cancelled()


@run
async def test_withdrawn_while_it_waits() -> None:
    client = IMClient(config("ws://127.0.0.1:1/"))
    recorder = Recorder("message_failed")
    client.set_callbacks(recorder.callbacks())
    sent = client.queue_message(2, "never mind")
    assert sent.cancel() is True
    assert sent.status is SentStatus.CANCELLED
    assert sent.cancel() is False
    with pytest.raises(IMError) as caught:
        await sent
    assert caught.value.code is IMErrorCode.MESSAGE_CANCELLED
    await recorder.until("message_failed")  # told without a connection too
    await client.disconnect()
    assert left_behind() == []


@run
async def test_what_is_sent_in_one_turn_goes_out_in_one_write() -> None:
    async def counting(connection: Connection) -> None:
        await connection.login()
        for _ in range(64):
            message = await connection.next(ChatSendToOne)
            connection.send(ChatSendResponse(msg_id=message.msg_id))
        await connection.until_gone()

    async with Peer(counting) as peer, IMClient(config(peer.url)) as client:
        (link,) = client._driver._links.values()
        writes: list[bytes] = []
        write = link.write
        link.write = lambda data: (writes.append(data), write(data))[1]  # type: ignore[method-assign]
        await asyncio.gather(*(client.send_message(1000 + n, "x") for n in range(64)))
        assert len(writes) == 1


@run
async def test_what_was_queued_in_a_turn_goes_out_before_a_disconnect() -> None:
    got: list[str] = []

    async def taking(connection: Connection) -> None:
        await connection.login()
        for _ in range(3):
            got.append((await connection.next(ChatSendToOne)).content)
        await connection.until_gone()

    async with Peer(taking) as peer:
        client = IMClient(config(peer.url))
        await client.connect()
        for n in range(3):
            client.queue_message(1000 + n, f"{n}")
        await client.disconnect()
        await until(lambda: len(got) == 3)
        assert got == ["0", "1", "2"]


@run
async def test_not_withdrawn_once_it_is_out() -> None:
    async with Peer(mute_after_login) as peer, IMClient(config(peer.url)) as client:
        sent = client.queue_message(2, "too late")
        await asyncio.sleep(0)  # the end of the turn
        assert sent.status is SentStatus.IN_FLIGHT
        assert sent.cancel() is False
        assert "in flight" in client.explain(sent)


@run
async def test_a_message_that_was_out_before_a_lost_link_is_not_withdrawn() -> None:
    async def lose(connection: Connection) -> None:
        await connection.login()
        await connection.next(ChatSendToOne)
        connection.reset()

    reconnect = {"initial_delay": 60, "max_delay": 60, "jitter": "none"}
    async with Peer(lose) as peer, IMClient(config(peer.url, reconnect=reconnect)) as client:
        recorder = Recorder("reconnecting")
        client.set_callbacks(recorder.callbacks())
        sent = client.queue_message(2, "hello")
        await recorder.until("reconnecting")
        assert sent.cancel() is False


@run
async def test_an_unwatched_failure_makes_no_noise() -> None:
    async with Peer(refuse) as peer, IMClient(config(peer.url)) as client:
        recorder = Recorder("message_failed")
        client.set_callbacks(recorder.callbacks())
        client.queue_message(2, "hello")
        await recorder.until("message_failed")
        recorder.calls.clear()
        gc.collect()  # `run` fails on anything that reaches the loop's exception handler


@run
async def test_in_doubt_is_said_as_such() -> None:
    async def lose(connection: Connection) -> None:
        await connection.login()
        await connection.next(ChatSendToOne)
        connection.reset()

    async with (
        Peer(lose, plain) as peer,
        IMClient(config(peer.url, resend_when_unsure=False)) as client,
    ):
        assert client.guarantee == "at-most-once"
        with pytest.raises(MessageError) as caught:
            await client.send_message(2, "hello")
        assert caught.value.code is IMErrorCode.IN_DOUBT
        assert caught.value.sent.status is SentStatus.IN_DOUBT


@run
async def test_a_message_error_can_be_pickled() -> None:
    client = IMClient(config("ws://127.0.0.1:1/"))
    sent = client.queue_message(2, "x")
    sent.cancel()
    copy = pickle.loads(pickle.dumps(sent.error))
    assert isinstance(copy, IMError)
    assert copy.code is IMErrorCode.MESSAGE_CANCELLED
    assert str(copy) == str(sent.error)


@run
async def test_from_another_thread() -> None:
    async with Peer(plain) as peer, IMClient(config(peer.url)) as client:
        results: dict[str, Any] = {}
        step = client._engine.step

        def watched(item: Any, now: float) -> Any:
            assert threading.current_thread() is threading.main_thread()
            return step(item, now)

        client._engine.step = watched

        def work() -> None:
            results["sent"] = client.queue_message(2, "from a thread")
            results["state"] = client.connection_state.status
            results["explain"] = client.explain(results["sent"])
            with pytest.raises(IMError):
                client.queue_message(2, "")
            results["thread"] = threading.get_ident()

        await asyncio.to_thread(work)
        assert results["thread"] != threading.get_ident()
        await results["sent"]
        assert results["state"] == "AUTHENTICATED"


@run
async def test_many_at_once_in_order() -> None:
    order: list[str] = []

    async def script(connection: Connection) -> None:
        await connection.login()
        while True:
            message = await connection.next(ChatSendToOne)
            order.append(message.content)
            connection.send(ChatSendResponse(msg_id=message.msg_id))

    async with Peer(script) as peer, IMClient(config(peer.url)) as client:
        await asyncio.gather(*(client.send_message(2, f"{n}") for n in range(200)))
        assert len(client._pending) == 0  # an application that runs for months
    assert order == [f"{n}" for n in range(200)]
