"""messages() and the message_received callback: order, acknowledging, what comes again."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from adapters.adapter_kit import Connection, Peer, collect, config, left_behind, plain, run, until
from im_asyncio import IMClient, IMError, LocalProtocolError, Message
from im_proto.wire import AuthRequest, AuthResponse, ChatAck


class Pusher:
    """A server with `seq`: pushes what it is told to, and notes what is acknowledged."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.acked = 0
        self._changed = asyncio.Event()
        self.go_on = asyncio.Event()
        self.resumed: list[int] = []

    async def __call__(self, connection: Connection) -> None:
        request = await connection.login_with_seq(seq=self.acked, resume=None)
        if request.resume is not None:
            self.resumed.append(request.resume.seq)
        for seq in range(self.acked + 1, self._count + 1):
            connection.push(f"m{seq}", msg_id=1000 + seq, seq=seq)
        while True:
            message = await connection.receive()
            if isinstance(message, ChatAck):
                assert message.seq > self.acked
                self.acked = message.seq
                self._changed.set()

    async def until(self, seq: int) -> None:
        while self.acked < seq:
            self._changed.clear()
            await self._changed.wait()


def push_plain(*contents: str) -> Any:
    """A plain server that pushes something after the log-in."""

    async def script(connection: Connection) -> None:
        await connection.login()
        for number, content in enumerate(contents, 1):
            connection.push(content, msg_id=number)
        await connection.answer_all()

    return script


async def received(client: IMClient, count: int) -> None:
    """Wait until the engine has delivered so many."""
    await until(lambda: client.counters.received >= count)


# ------------------------------------------------------------ the iterator


@run
async def test_messages_come_in_order_with_their_fields() -> None:
    async with Peer(push_plain("a", "b")) as peer, IMClient(config(peer.url)) as client:
        messages = client.messages()
        first = await anext(messages)
        assert first == Message(content="a", from_user=2, msg_id=1)
        assert (first.session_id, first.message_type, first.timestamp) == (None, "text", None)
        assert (await anext(messages)).content == "b"


@run
async def test_asking_for_the_next_acknowledges_the_one_before() -> None:
    pusher = Pusher(3)
    async with Peer(pusher) as peer, IMClient(config(peer.url)) as client:
        await received(client, 3)
        contents = []
        async for message in client.messages():
            contents.append(message.content)
            if len(contents) == 3:
                break
        assert contents == ["m1", "m2", "m3"]
    assert pusher.acked == 2  # not the third: it was left by break


@run
async def test_what_was_left_by_break_comes_again() -> None:
    pusher = Pusher(2)
    async with Peer(pusher) as peer, IMClient(config(peer.url)) as client:
        async for message in client.messages():
            assert message.content == "m1"
            break
        assert await collect(client, 2) == ["m1", "m2"]
        await pusher.until(2)


@run
async def test_what_was_left_by_aclose_comes_again() -> None:
    async with Peer(push_plain("a")) as peer, IMClient(config(peer.url)) as client:
        messages = client.messages()
        await anext(messages)
        await messages.aclose()
        assert await collect(client, 1) == ["a"]


@run
async def test_what_was_left_by_an_exception_comes_again() -> None:
    async with Peer(push_plain("a")) as peer, IMClient(config(peer.url)) as client:
        with pytest.raises(ZeroDivisionError):
            async for _ in client.messages():
                raise ZeroDivisionError
        assert await collect(client, 1) == ["a"]


@run
async def test_what_is_not_acknowledged_comes_again_after_a_reconnect() -> None:
    pusher = Pusher(3)
    async with Peer(pusher) as peer:
        client = IMClient(config(peer.url))
        await client.connect()
        async for message in client.messages():
            if message.content == "m2":
                break
        await client.disconnect()
        assert pusher.acked == 1
        await client.connect()
        assert await collect(client, 2) == ["m2", "m3"]
        await pusher.until(3)
        assert pusher.resumed == [1]
        assert client.counters.received == 3  # the engine knew them; each came once
        await client.disconnect()


@run
async def test_acknowledge_says_it_before() -> None:
    pusher = Pusher(1)
    async with Peer(pusher) as peer, IMClient(config(peer.url)) as client:
        messages = client.messages()
        await anext(messages)
        messages.acknowledge()
        await pusher.until(1)
        messages.acknowledge()  # twice is nothing
        await messages.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(messages)


@run
async def test_it_ends_after_disconnect() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        await client.connect()

        async def consume() -> int:
            return len([message async for message in client.messages()])

        consuming = asyncio.create_task(consume())
        await asyncio.sleep(0)
        await client.disconnect()
        assert await consuming == 0
        assert [m async for m in client.messages()] == []  # and after it, at once
        assert left_behind(peer) == []


@run
async def test_after_disconnect_only_what_nobody_would_send_again() -> None:
    async with Peer(push_plain("a", "b")) as peer:
        client = IMClient(config(peer.url))
        await client.connect()
        await received(client, 2)
        await client.disconnect()
        assert [m.content async for m in client.messages()] == ["a", "b"]
    pusher = Pusher(2)
    async with Peer(pusher) as peer:
        client = IMClient(config(peer.url))
        await client.connect()
        await received(client, 2)
        await client.disconnect()
        assert [m.content async for m in client.messages()] == []
        await client.connect()
        assert await collect(client, 2) == ["m1", "m2"]
        await client.disconnect()


@run
async def test_it_may_begin_before_connect_and_goes_on_over_lost_links() -> None:
    async def lose(connection: Connection) -> None:
        await connection.login()
        connection.push("before", msg_id=1)
        await connection.receive()  # the acknowledgement of a plain server's push: a heartbeat

    async def after(connection: Connection) -> None:
        await connection.login()
        connection.push("after", msg_id=2)
        await connection.until_gone()

    async with Peer(lose, after) as peer:
        client = IMClient(config(peer.url))
        contents: list[str] = []

        async def consume() -> None:
            async for message in client.messages():
                contents.append(message.content)
                if message.content == "before":
                    for task in peer.tasks:
                        task.cancel()
                else:
                    return

        consuming = asyncio.create_task(consume())
        await asyncio.sleep(0)
        async with client:
            await consuming
        assert contents == ["before", "after"]


@run
async def test_a_terminal_error_is_raised_out_of_it() -> None:
    refused = asyncio.Event()

    async def refuse(connection: Connection) -> None:
        await connection.accept()
        await connection.next(AuthRequest)
        connection.send(AuthResponse(code=403))
        refused.set()
        await connection.until_gone()

    async def lose(connection: Connection) -> None:
        await connection.login()

    async with Peer(lose, refuse) as peer, IMClient(config(peer.url)) as client:
        messages = client.messages()
        with pytest.raises(IMError) as caught:
            await anext(messages)
        assert caught.value.terminal
        with pytest.raises(StopAsyncIteration):
            await anext(messages)
        with pytest.raises(IMError):  # as long as the client has given up
            await anext(client.messages())


@run
async def test_a_failed_connect_is_raised_out_of_it() -> None:
    client = IMClient(config("ws://127.0.0.1:1/"))

    async def consume() -> None:
        async for _ in client.messages():
            pass

    consuming = asyncio.create_task(consume())
    await asyncio.sleep(0)
    with pytest.raises(IMError):
        await client.connect()
    with pytest.raises(IMError):
        await consuming
    assert left_behind() == []


@run
async def test_a_cancelled_wait_loses_nothing() -> None:
    go = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.login()
        await go.wait()
        connection.push("a", msg_id=1)
        connection.push("b", msg_id=2)
        await connection.answer_all()

    async with Peer(script) as peer, IMClient(config(peer.url)) as client:
        messages = client.messages()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005):
                    await anext(messages)
        waiting = asyncio.ensure_future(anext(messages))
        go.set()
        await received(client, 1)
        waiting.cancel()  # the message is there already
        await asyncio.wait({waiting})
        assert (await anext(messages)).content == "a"
        assert (await anext(messages)).content == "b"


@run
async def test_only_one_at_a_time() -> None:
    async with Peer(push_plain("a")) as peer, IMClient(config(peer.url)) as client:
        first = client.messages()
        assert (await anext(first)).content == "a"
        waiting = asyncio.ensure_future(anext(first))
        await asyncio.sleep(0)
        with pytest.raises(LocalProtocolError, match="another one"):
            await anext(first)
        with pytest.raises(LocalProtocolError, match="another one"):
            client.messages()
        waiting.cancel()
        await asyncio.wait({waiting})
        second = client.messages()
        with pytest.raises(LocalProtocolError, match="taken over"):
            await anext(first)
        await second.aclose()


# ------------------------------------------------------------ the callback


@run
async def test_iterator_and_callback_together_are_refused() -> None:
    client = IMClient(config("ws://127.0.0.1:1/"))
    client.on("message_received", print)
    with pytest.raises(LocalProtocolError, match="message_received"):
        client.messages()
    client.off("message_received", print)
    messages = client.messages()
    for register in (
        lambda: client.on("message_received", print),
        lambda: client.once("message_received", print),
        lambda: client.set_callbacks(message_received=print, error=print),
    ):
        with pytest.raises(LocalProtocolError, match=r"messages\(\)"):
            register()
    assert "error" not in client._callbacks  # nothing was set
    await messages.aclose()
    client.on("message_received", print)


@run
async def test_an_iterator_left_by_break_does_not_stand_in_the_way() -> None:
    async with Peer(push_plain("a")) as peer, IMClient(config(peer.url)) as client:
        async for _ in client.messages():
            break
        gc.collect()
        got = asyncio.get_running_loop().create_future()
        client.on("message_received", lambda m: loop.call_soon_threadsafe(got.set_result, m))
        loop = asyncio.get_running_loop()
        assert (await got).content == "a"


@run
async def test_a_message_is_acknowledged_when_its_callback_has_returned() -> None:
    pusher = Pusher(2)
    inside, go = asyncio.Event(), asyncio.Event()

    async def callback(message: Message) -> None:
        inside.set()
        await go.wait()

    async with Peer(pusher) as peer:
        client = IMClient(config(peer.url))
        client.on("message_received", callback)
        await client.connect()
        await inside.wait()
        assert pusher.acked == 0
        go.set()
        await pusher.until(2)
        await client.disconnect()


@run
async def test_a_message_whose_callback_raised_is_offered_again_before_those_behind_it() -> None:
    pusher = Pusher(3)
    calls: list[tuple[str, int, bool]] = []

    async def callback(message: Message) -> None:
        calls.append((message.content, message.attempt, message.redelivered))
        if message.content == "m1" and message.attempt == 1:
            await received(client, 3)  # all are here by then
            raise ValueError("boom")

    async with Peer(pusher) as peer:
        client = IMClient(config(peer.url))
        client.on("message_received", callback)
        await client.connect()
        await pusher.until(3)
        assert calls == [("m1", 1, False), ("m1", 2, True), ("m2", 1, False), ("m3", 1, False)]
        await client.disconnect()


@run
async def test_a_message_that_fails_too_often_is_given_up_and_told() -> None:
    pusher = Pusher(2)
    attempts: list[int] = []
    told: list[Message] = []

    async def callback(message: Message) -> None:
        if message.content == "m1":
            attempts.append(message.attempt)
            raise ValueError("boom")

    async with Peer(pusher) as peer:
        client = IMClient(config(peer.url, handler_attempts=2))
        client.set_callbacks(message_received=callback, undeliverable=told.append)
        await client.connect()
        await pusher.until(2)
        await until(lambda: told)
        await client.disconnect()
    assert attempts == [1, 2]
    assert [(m.content, m.attempt) for m in told] == [("m1", 2)]


@run
async def test_what_came_before_the_callback_goes_to_it() -> None:
    async with Peer(push_plain("a", "b", "c")) as peer, IMClient(config(peer.url)) as client:
        await received(client, 3)
        got: list[str] = []
        done = asyncio.Event()

        async def callback(message: Message) -> None:
            got.append(message.content)
            if len(got) == 3:
                done.set()

        client.once("message_received", callback)
        await until(lambda: not client._dispatcher.busy)
        assert got == ["a"]  # once is once; the others wait
        client.on("message_received")(callback)
        await done.wait()
        assert got == ["a", "b", "c"]


@run
async def test_with_neither_they_are_kept_for_a_later_iterator() -> None:
    async with Peer(push_plain("a", "b")) as peer, IMClient(config(peer.url)) as client:
        await received(client, 2)
        assert await collect(client, 2) == ["a", "b"]


@run
async def test_after_disconnect_no_callback_for_what_comes_again() -> None:
    pusher = Pusher(3)
    calls: list[str] = []
    inside, go = asyncio.Event(), asyncio.Event()

    async def callback(message: Message) -> None:
        calls.append(message.content)
        inside.set()
        await go.wait()

    async with Peer(pusher) as peer:
        client = IMClient(config(peer.url))
        client.on("message_received", callback)
        await client.connect()
        await inside.wait()
        ending = asyncio.create_task(client.disconnect())
        await peer.idle()
        go.set()
        await ending
        assert calls == ["m1"]
        await client.connect()
        await pusher.until(3)
        assert calls == ["m1", "m2", "m3"]
        await client.disconnect()
