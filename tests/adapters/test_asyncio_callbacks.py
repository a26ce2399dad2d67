"""Callbacks: which are called, in which order and thread, and what they may do themselves."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import logging
import threading
import time
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
from im_asyncio import ConnectionState, IMClient, IMError, LocalProtocolError, Message, SentMessage
from im_proto.client.events import GuaranteeChanged, UnknownMessage
from im_runtime import NAMES


async def push_one(connection: Connection) -> None:
    await connection.login()
    connection.push("hello", msg_id=1)
    await connection.answer_all()


@run
async def test_the_thirteen_and_notice_in_the_order_of_events() -> None:
    beats = asyncio.Event()

    async def first(connection: Connection) -> None:
        await connection.login()
        connection.push("hello", msg_id=1)
        connection.write(connection._framing.send_text('{"type": "NEW_THING"}'))
        answering = asyncio.create_task(connection.answer_all())
        await beats.wait()
        answering.cancel()
        await asyncio.wait({answering})

    async with Peer(first, plain) as peer:
        client = IMClient(config(peer.url, heartbeat={"interval": 0.02, "timeout": 1}))
        recorder = Recorder(*NAMES)
        client.set_callbacks(recorder.callbacks())
        await client.connect()
        sent = await client.send_message(2, "hi")
        await recorder.until("heartbeat_received")
        beats.set()
        await recorder.until("reconnected")
        with pytest.raises(IMError):
            client.queue_message(2, "")
        await client.disconnect()

    names = [name for name in recorder.names() if not name.startswith("heartbeat")]
    without_state = [name for name in names if name != "state_changed"]
    assert without_state == [
        "connected",
        "authenticated",
        "notice",  # GuaranteeChanged
        "message_received",
        "notice",  # UnknownMessage
        "message_sent",
        "disconnected",
        "error",
        "reconnecting",
        "connected",
        "authenticated",
        "reconnected",
        "disconnected",
    ]
    by_name = dict(reversed(recorder.calls))
    assert isinstance(by_name["message_received"][0], Message)
    assert by_name["message_sent"] == (sent,)
    assert isinstance(by_name["message_sent"][0], SentMessage)
    assert by_name["reconnecting"] == (1,)
    assert isinstance(by_name["error"][0], IMError)
    assert isinstance(by_name["state_changed"][0], ConnectionState)
    for name in ("connected", "disconnected", "authenticated", "heartbeat_sent"):
        assert by_name[name] == ()
    notices = [type(args[0]) for name, args in recorder.calls if name == "notice"]
    assert notices == [GuaranteeChanged, UnknownMessage]


@run
async def test_plain_ones_run_in_one_thread_and_async_ones_on_the_loop() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        threads: dict[str, int] = {}
        order: list[str] = []
        done = asyncio.Event()

        def note(name: str) -> None:
            threads[name] = threading.get_ident()
            order.append(name)

        @client.on("connected")
        def slow() -> None:
            time.sleep(0.02)
            note("slow")

        @client.on("connected")
        async def coroutine() -> None:
            await asyncio.sleep(0)
            note("async")

        class Object:
            async def __call__(self) -> None:
                note("object")

        client.on("authenticated", Object())
        client.on("authenticated", lambda: note("lambda"))

        async def last() -> None:
            note("last")
            done.set()

        client.on("authenticated", lambda: last())  # a plain one that gives a coroutine
        await client.connect()
        await done.wait()
        assert order == ["slow", "async", "object", "lambda", "last"]
        here = threading.get_ident()
        assert threads["slow"] == threads["lambda"] != here
        assert threads["async"] == threads["object"] == threads["last"] == here
        await client.disconnect()
        assert left_behind(peer) == []


@run
async def test_inline_runs_plain_ones_on_the_loop() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url), callbacks="inline")
        got: list[int] = []
        client.on("authenticated", lambda: got.append(threading.get_ident()))
        await client.connect()
        await client.disconnect()
        assert got == [threading.get_ident()]


@run
async def test_on_once_off_and_set() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url), callbacks="inline")
        calls: list[str] = []
        client.once("connected", lambda: calls.append("once"))
        client.on("connected", kept := functools.partial(calls.append, "kept"))
        client.on("connected", gone := functools.partial(calls.append, "gone"))
        client.off("connected", gone)
        client.set_callbacks({"connected": lambda: calls.append("set 1")})
        client.set_callbacks(connected=lambda: calls.append("set 2"))
        for _ in range(2):
            await client.connect()
            await client.disconnect()
        assert calls == ["once", "kept", "set 2", "kept", "set 2"]
        client.set_callbacks(connected=None)
        client.off("connected", kept)
        assert "connected" not in client._callbacks


@run
async def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    client = IMClient(config("ws://h/"))
    for wrong, near in (("messageReceived", "message_received"), ("conected", "connected")):
        with pytest.raises(LocalProtocolError, match=f"did you mean '{near}'") as caught:
            client.on(wrong, print)
        assert all(name in str(caught.value) for name in NAMES)
    with pytest.raises(LocalProtocolError):
        client.set_callbacks({"connected": print, "nonsense": print})
    with pytest.raises(LocalProtocolError):
        client.off("nonsense")
    with pytest.raises(LocalProtocolError, match="no function"):
        client.on("connected", 3)
    assert "connected" not in client._callbacks


@pytest.mark.parametrize("mode", ["thread", "inline", "async"])
@run
async def test_a_callback_that_raises_is_told_and_the_client_goes_on(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Peer(push_one) as peer:
        client = IMClient(
            config(peer.url, handler_attempts=1),
            callbacks="inline" if mode == "inline" else "thread",
        )
        boom = ValueError("boom")
        errors: list[IMError] = []

        def broken(_: Message) -> None:
            raise boom

        async def broken_async(_: Message) -> None:
            raise boom

        client.on("message_received", broken_async if mode == "async" else broken)
        client.on("error", errors.append)
        await client.connect()
        await client.send_message(2, "still there")
        await until(lambda: errors)
        await client.disconnect()
    assert [(e.code, e.__cause__) for e in errors] == [("UNKNOWN_ERROR", boom)]
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "message_received raised ValueError" in record.getMessage()
    assert record.exc_info is not None


@pytest.mark.parametrize("failure", [StopIteration, asyncio.CancelledError])
@run
async def test_callbacks_that_raise_what_others_swallow(failure: type[BaseException]) -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        recorder = Recorder("error", "authenticated")
        client.set_callbacks(recorder.callbacks())

        def broken() -> None:
            raise failure

        client.on("connected", broken)
        await client.connect()
        await recorder.until("error")
        await recorder.until("authenticated")
        await client.disconnect()


@run
async def test_an_error_callback_that_raises_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        calls: list[Any] = []

        def broken(*args: Any) -> None:
            calls.append(args)
            raise ValueError

        client.set_callbacks(connected=broken, error=broken)
        await client.connect()
        await client.disconnect()
    assert len(calls) == 2
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 2


# ------------------------------------------------------------ what a callback may do


@run
async def test_sending_and_waiting_in_an_async_callback() -> None:
    async with Peer(push_one) as peer:
        client = IMClient(config(peer.url))
        answered: asyncio.Future[SentMessage] = asyncio.get_running_loop().create_future()

        async def reply(message: Message) -> None:
            assert message.from_user is not None
            answered.set_result(await client.send_message(message.from_user, "echo"))

        client.on("message_received", reply)
        await client.connect()
        assert (await answered).status == "accepted"
        await client.disconnect()


@run
async def test_sending_in_a_plain_callback() -> None:
    async with Peer(push_one) as peer:
        client = IMClient(config(peer.url))
        answers: list[SentMessage] = []
        recorder = Recorder("message_sent")
        client.set_callbacks(recorder.callbacks())

        def reply(message: Message) -> None:
            assert message.from_user is not None
            answers.append(client.queue_message(message.from_user, "echo"))
            client.on("error", print)  # everything that isn't async is allowed
            assert client.connection_state.status == "AUTHENTICATED"

        client.on("message_received", reply)
        await client.connect()
        await recorder.until("message_sent")
        assert answers[0].status == "accepted"
        await client.disconnect()


@pytest.mark.parametrize("how", ["await", "task", "wait_for", "thread"])
@run
async def test_disconnect_in_a_callback(how: str) -> None:
    async with Peer(push_one) as peer:
        client = IMClient(config(peer.url, timeouts={"close": 60}))
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def stop(_: Message) -> None:
            if how == "await":
                await client.disconnect()
            elif how == "task":
                await asyncio.create_task(client.disconnect())
            else:
                await asyncio.wait_for(client.disconnect(), 60)
            done.set()

        def stop_from_thread(_: Message) -> None:
            asyncio.run_coroutine_threadsafe(client.disconnect(), loop).result()
            loop.call_soon_threadsafe(done.set)

        recorder = Recorder("disconnected")
        client.set_callbacks(recorder.callbacks())
        client.on("message_received", stop_from_thread if how == "thread" else stop)
        await client.connect()
        await done.wait()
        await client.disconnect()  # waits for the callbacks that were still to come
        assert recorder.names() == ["disconnected"]
        assert left_behind(peer) == []


@run
async def test_a_task_that_outlives_its_callback_waits_like_any_other() -> None:
    async with Peer(push_one) as peer:
        client = IMClient(config(peer.url))
        tasks: list[asyncio.Task[None]] = []
        go = asyncio.Event()
        calls: list[str] = []

        async def later() -> None:
            await go.wait()
            await client.disconnect()
            calls.append("after disconnect()")

        async def start(_: Message) -> None:
            tasks.append(asyncio.create_task(later()))

        async def slow() -> None:
            await asyncio.sleep(0.02)
            calls.append("disconnected")

        client.set_callbacks(message_received=start, disconnected=slow)
        await client.connect()
        await until(lambda: tasks)
        go.set()
        await tasks[0]
        assert calls == ["disconnected", "after disconnect()"]


@run
async def test_disconnect_waits_for_the_callbacks_that_wait() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url, timeouts={"close": 30}))
        calls: list[str] = []
        client.on("authenticated", lambda: time.sleep(0.05))
        client.on("disconnected", lambda: calls.append("disconnected"))
        await client.connect()
        await client.disconnect()
        assert calls == ["disconnected"]


@run
async def test_a_callback_that_never_ends_is_cancelled_by_disconnect(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("im_asyncio.life._MARGIN", 0.05)
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        cancelled = asyncio.Event()

        async def endless() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        client.on("authenticated", endless)
        await client.connect()
        await client.disconnect()
        assert cancelled.is_set()
        assert left_behind(peer) == []
        assert "still runs" in caplog.text


@run
async def test_a_disconnect_cancelled_half_way_cancels_the_callback_too() -> None:
    async with Peer(mute_after_login) as peer:
        client = IMClient(config(peer.url, timeouts={"close": 60}))
        running = asyncio.Event()

        async def endless() -> None:
            running.set()
            await asyncio.Event().wait()

        client.on("authenticated", endless)
        await client.connect()
        await running.wait()
        ending = asyncio.create_task(client.disconnect())
        await asyncio.sleep(0)
        ending.cancel()
        await asyncio.wait({ending})
        assert ending.cancelled()
        assert left_behind(peer) == []
        await peer.idle()


@run
async def test_a_plain_callback_that_hangs_does_not_hold_up_disconnect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("im_asyncio.life._MARGIN", 0.05)
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        release = threading.Event()
        client.on("authenticated", release.wait)
        await client.connect()
        await client.disconnect()
        assert len(left_behind(peer)) == 1  # the application's own thread, which nobody can end
        release.set()
        await until(lambda: not left_behind(peer))


@run
async def test_connect_in_a_callback_that_disconnect_waits_for_is_refused() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        refused: list[BaseException] = []

        async def again() -> None:
            try:
                await client.connect()
            except LocalProtocolError as exc:
                refused.append(exc)

        client.on("disconnected", again)
        await client.connect()
        await client.disconnect()
        assert "disconnect()" in str(refused[0])


@run
async def test_many_events_do_not_starve_the_loop() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url), callbacks="inline")
        loop = asyncio.get_running_loop()
        turns = 0

        def work(_: object) -> None:
            end = loop.time() + 0.0005
            while loop.time() < end:
                pass

        def turn() -> None:
            nonlocal turns
            turns += 1
            loop.call_soon(turn) if client._dispatcher.busy else None

        client.on("message_failed", work)
        for _ in range(100):
            client.queue_message(2, "x").cancel()
        loop.call_soon(turn)
        await until(lambda: not client._dispatcher.busy)
        assert turns > 10


@run
async def test_one_timer_looks_at_all_callbacks_until_the_client_is_closed() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url), callbacks="inline")
        timers: list[asyncio.TimerHandle | None] = []
        for name in ("connected", "disconnected"):
            client.on(name, lambda: timers.append(client._dispatcher._timer))
        await client.connect()
        await until(lambda: not client._dispatcher.busy)
        await client.disconnect()
        first, second = timers
        assert first is not None
        assert first is second
        assert first.cancelled()
        assert client._dispatcher._timer is None


@run
async def test_callbacks_see_the_context_of_their_event() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: concurrent.futures.Future[str] = concurrent.futures.Future()
    client = IMClient(config("ws://127.0.0.1:1/"))
    client.on("message_failed", lambda _: seen.set_result(variable.get()))
    variable.set("set")
    client.queue_message(2, "x").cancel()
    assert await asyncio.wrap_future(seen) == "set"
    await client.disconnect()
