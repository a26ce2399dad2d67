"""An application that is behind: slow callbacks, too many messages, and what goes on meanwhile."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from adapters.adapter_kit import (
    Connection,
    Peer,
    Recorder,
    collect,
    config,
    left_behind,
    plain,
    run,
    until,
)
from im_asyncio import CallbacksDropped, IMClient, Message, SentMessage, SlowCallback
from im_proto.client import events as ev
from im_proto.wire import ChatSendResponse, ChatSendToOne, HeartbeatRequest, HeartbeatResponse

FAST = {"heartbeat": {"interval": 0.02, "timeout": 5}}


class Pushing:
    """A plain server that pushes after the log-in, answers everything, and counts heartbeats."""

    def __init__(self, *contents: str) -> None:
        self._contents = contents
        self.beats = 0

    async def __call__(self, connection: Connection) -> None:
        await connection.login()
        for number, content in enumerate(self._contents, 1):
            connection.push(content, msg_id=number)
        while True:
            message = await connection.receive()
            if isinstance(message, HeartbeatRequest):
                self.beats += 1
                connection.send(HeartbeatResponse())
            elif isinstance(message, ChatSendToOne):
                connection.send(ChatSendResponse(msg_id=message.msg_id, code=0))


class Held:
    """A callback that holds on until it is let go."""

    def __init__(self, *, plain: bool) -> None:
        self.got: list[Message] = []
        self._plain = plain
        self._go = threading.Event()
        self._async_go = asyncio.Event()

    def callback(self) -> Any:
        return self.in_thread if self._plain else self.on_loop

    def in_thread(self, message: Message) -> None:
        self.got.append(message)
        self._go.wait(60)  # a test that fails is to end

    async def on_loop(self, message: Message) -> None:
        self.got.append(message)
        await self._async_go.wait()

    def go(self) -> None:
        self._go.set()
        self._async_go.set()

    def contents(self) -> list[str]:
        return [message.content for message in self.got]


# ------------------------------------------------------------ slow callbacks


@pytest.mark.parametrize("mode", ["plain", "async"])
@run
async def test_a_slow_callback_is_reported_by_name_and_heartbeats_go_on(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = Pushing("a")
    held = Held(plain=mode == "plain")
    async with Peer(server) as peer:
        client = IMClient(config(peer.url, **FAST), slow_callback=0.05)
        recorder = Recorder("notice")
        client.set_callbacks(recorder.callbacks())
        client.on("message_received", held.callback())
        await client.connect()
        function = f"{__name__}.Held.{'in_thread' if mode == 'plain' else 'on_loop'}"
        line = f"! the callback message_received ({function}) has been running for"
        await until(lambda: line in caplog.text)
        assert f"The callback message_received ({function}) has been" in client.explain()
        beats = server.beats
        await until(lambda: server.beats >= beats + 3)
        assert (await client.send_message(2, "still here")).status == "accepted"
        assert client.connection_state.status == "AUTHENTICATED"
        assert caplog.text.count(line) == 1
        held.go()

        def told() -> list[SlowCallback]:
            """Of this callback: on a busy machine another may be slow as well."""
            notices = [args[0] for _, args in recorder.calls if isinstance(args[0], SlowCallback)]
            return [notice for notice in notices if notice.function == function]

        await until(lambda: len(told()) == 2)
        begun, over = told()
        assert (begun.name, begun.ended) == ("message_received", False)
        assert (over.name, over.ended) == ("message_received", True)
        assert 0.05 <= begun.seconds <= over.seconds
        assert f"({function}) was running for" in caplog.text
        assert f"({function}) has been running" not in client.explain()
        await client.disconnect()
        assert left_behind(peer) == []


@run
async def test_a_callback_that_blocks_the_loop_is_reported_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url), callbacks="inline", slow_callback=0.001)

        def slow() -> None:
            end = loop.time() + 0.002
            while loop.time() < end:
                pass

        loop = asyncio.get_running_loop()
        client.on("connected", slow)
        await client.connect()
        await client.disconnect()
    assert "has been running for" not in caplog.text
    assert caplog.text.count("was running for") == 1


@run
async def test_a_slow_one_behind_a_fast_one_is_found_too(caplog: pytest.LogCaptureFixture) -> None:
    """The timer goes off early for it, and is armed again."""
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url), slow_callback=1.0)
        go = asyncio.Event()

        async def fast() -> None:
            await asyncio.sleep(0.05)

        client.on("connected", fast)
        client.on("connected", go.wait)
        await client.connect()
        await until(lambda: "Event.wait) has been running for" in caplog.text)
        go.set()
        await client.disconnect()
        assert "fast" not in caplog.text


@run
async def test_fast_callbacks_are_watched_by_one_timer_and_afterwards_by_none() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        loop: Any = asyncio.get_running_loop()
        timers: list[int] = []

        async def count(_: object) -> None:
            await asyncio.sleep(0)
            handles = [h for h in loop._scheduled if "Dispatcher" in repr(h)]
            timers.append(len(handles))

        client.on("message_failed", count)
        for _ in range(10):
            client.queue_message(2, "x").cancel()
        await until(lambda: not client._dispatcher.busy)
        assert timers == [1] * 10
        assert left_behind(peer) == []
        assert client._dispatcher._timer is None


# ------------------------------------------------------------ too many messages


@pytest.mark.parametrize("mode", ["plain", "async"])
@run
async def test_a_full_queue_blocks_the_socket_and_loses_nothing(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    contents = [f"m{n}" for n in range(40)]
    server = Pushing(*contents)
    held = Held(plain=mode == "plain")
    async with Peer(server) as peer:
        client = IMClient(config(peer.url, max_unhandled=4, **FAST))
        recorder = Recorder("notice")
        client.set_callbacks(recorder.callbacks())
        client.on("message_received", held.callback())
        await client.connect()
        await until(lambda: "nothing more is read for now" in caplog.text)
        (link,) = client._driver._links.values()
        assert link.transport is not None
        assert not link.transport.is_reading()
        beats = server.beats
        await until(lambda: server.beats >= beats + 3)  # they go on, and nobody is taken for dead
        held.go()
        await until(lambda: len(held.got) == len(contents))
        assert held.contents() == contents
        await until(link.transport.is_reading)
        assert client.counters.reconnects == 0
        await client.disconnect()
        kinds = [type(args[0]) for _, args in recorder.calls]
        assert kinds.count(ev.ReadingPaused) == kinds.count(ev.ReadingResumed) >= 1
        assert left_behind(peer) == []


@run
async def test_an_iterator_that_goes_on_makes_room() -> None:
    contents = [f"m{n}" for n in range(40)]
    async with Peer(Pushing(*contents)) as peer:
        client = IMClient(config(peer.url, max_unhandled=4))
        await client.connect()
        await until(lambda: client._engine.core.paused or client.counters.received >= 40)
        assert await collect(client, 40) == contents
        await client.disconnect()


@pytest.mark.parametrize("mode", ["plain", "async"])
@run
async def test_a_full_queue_drops_the_oldest_but_what_a_callback_has(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    contents = [f"m{n}" for n in range(20)]
    held = Held(plain=mode == "plain")
    async with Peer(Pushing(*contents)) as peer:
        client = IMClient(config(peer.url, max_unhandled=5, when_full="drop_oldest"))
        recorder = Recorder("notice")
        client.set_callbacks(recorder.callbacks())
        client.on("message_received", held.callback())
        await client.connect()
        await until(lambda: held.got)
        first = held.got[0].content  # with the loop in between, not always m0
        await until(lambda: client.counters.received >= 20)
        assert len(client._reception.inbox) == 5
        held.go()
        await until(lambda: not client._dispatcher.busy)
        assert held.contents() == [first, *contents[-4:]]
        await client.disconnect()
        dropped = [a[0] for _, a in recorder.calls if isinstance(a[0], ev.MessageDropped)]
        assert len(dropped) == 15
        assert caplog.text.count("dropped: message") == 15


@run
async def test_what_nobody_takes_is_bounded() -> None:
    contents = [f"{n}" for n in range(20)]
    async with Peer(Pushing(*contents)) as peer:
        client = IMClient(config(peer.url, max_unhandled=5, when_full="drop_oldest"))
        await client.connect()
        await until(lambda: client.counters.received >= 20)
        assert await collect(client, 5) == contents[-5:]
        await client.disconnect()


@run
async def test_what_an_iterator_has_handed_out_is_not_dropped() -> None:
    go = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.login()
        connection.push("first", msg_id=1)
        await go.wait()
        for n in range(2, 12):
            connection.push(f"m{n}", msg_id=n)
        await connection.answer_all()

    async with Peer(script) as peer:
        client = IMClient(config(peer.url, max_unhandled=3, when_full="drop_oldest"))
        await client.connect()
        messages = client.messages()
        assert (await anext(messages)).content == "first"
        go.set()
        await until(lambda: client.counters.received >= 11)
        await messages.aclose()  # it failed: the message comes again
        assert await collect(client, 3) == ["first", "m10", "m11"]
        await client.disconnect()


@run
async def test_other_callbacks_behind_a_slow_one_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("im_runtime.calls.MINOR_KEPT", 4)
    server = Pushing("a", "b")
    held = Held(plain=True)
    async with Peer(server) as peer:
        client = IMClient(config(peer.url, heartbeat={"interval": 0.001, "timeout": 5}))
        recorder = Recorder("heartbeat_sent", "notice")
        client.on("message_received", held.callback())
        await client.connect()
        await until(lambda: held.got)
        client.set_callbacks(recorder.callbacks())
        before = server.beats  # those nobody was told of
        await until(lambda: server.beats >= before + 20)
        assert len(client._calls) <= 6  # four, the second message, and that some were dropped
        held.go()
        (notice,) = await recorder.until("notice")
        assert isinstance(notice, CallbacksDropped)
        assert notice.count >= 15
        await until(lambda: held.contents() == ["a", "b"])
        await client.disconnect()


# ------------------------------------------------------------ what a callback may do


@run
async def test_a_plain_callback_sends_and_waits_for_the_answer() -> None:
    async with Peer(Pushing("a")) as peer:
        client = IMClient(config(peer.url))
        loop = asyncio.get_running_loop()
        answers: list[SentMessage] = []
        done = asyncio.Event()

        async def accepted(sent: SentMessage) -> SentMessage:
            return await sent

        def reply(_: Message) -> None:
            sending = client.send_message(2, "one")
            answers.append(asyncio.run_coroutine_threadsafe(sending, loop).result())
            queued = client.queue_message(2, "two")
            answers.append(asyncio.run_coroutine_threadsafe(accepted(queued), loop).result())
            loop.call_soon_threadsafe(done.set)

        client.on("message_received", reply)
        await client.connect()
        await done.wait()
        assert [sent.status for sent in answers] == ["accepted", "accepted"]
        await client.disconnect()


@pytest.mark.parametrize("how", ["await", "thread"])
@run
async def test_disconnect_in_a_callback_that_disconnect_waits_for_goes_on(how: str) -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url, timeouts={"close": 60}))
        loop = asyncio.get_running_loop()
        calls: list[str] = []

        async def again() -> None:
            await client.disconnect()
            calls.append("again")

        def again_from_thread() -> None:
            asyncio.run_coroutine_threadsafe(client.disconnect(), loop).result()
            calls.append("again")

        client.on("disconnected", again if how == "await" else again_from_thread)
        await client.connect()
        await client.disconnect()
        assert calls == ["again"]
        assert left_behind(peer) == []


@run
async def test_sending_and_disconnecting_while_another_callback_is_slow() -> None:
    """Who waits outside of callbacks is not held up by one."""
    held = Held(plain=True)
    async with Peer(Pushing("a")) as peer:
        client = IMClient(config(peer.url))
        client.on("message_received", held.callback())
        await client.connect()
        await until(lambda: held.got)
        assert (await client.send_message(2, "x")).status == "accepted"
        ending = asyncio.create_task(client.disconnect())
        await peer.idle()  # the link has ended, in order, before the callback has
        held.go()
        await ending
        assert left_behind(peer) == []


@pytest.mark.parametrize("mode", ["plain", "async"])
@run
async def test_a_bot_behind_a_full_queue_does_not_lock_itself_out(mode: str) -> None:
    """Nothing is read while it is behind, but for the answers that it waits for."""
    contents = [f"m{n}" for n in range(30)]
    async with Peer(Pushing(*contents)) as peer:
        client = IMClient(config(peer.url, max_unhandled=4))
        loop = asyncio.get_running_loop()
        echoed: list[str] = []

        async def echo(message: Message) -> None:
            await client.send_message(2, message.content)
            echoed.append(message.content)

        def echo_from_thread(message: Message) -> None:
            asyncio.run_coroutine_threadsafe(echo(message), loop).result()

        client.on("message_received", echo_from_thread if mode == "plain" else echo)
        await client.connect()
        await until(lambda: len(echoed) == len(contents))
        assert echoed == contents
        await client.disconnect()
