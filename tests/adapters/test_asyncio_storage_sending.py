"""`storage=` of the asyncio client: messages go out once, in this life or the next."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from adapters.adapter_kit import Connection, Peer, config, run, until
from adapters.asyncio_storage_kit import client_of, path, serving
from adapters.storage_kit import Memory
from im_asyncio import IMClient, IMError, IMErrorCode, LocalProtocolError, Message, SentStatus
from im_runtime import Journal

__all__ = ["path"]

# ------------------------------------------------------------ messages on their way out


@run
async def test_what_was_queued_goes_out_in_the_next_life(path: Path) -> None:
    memory = Memory()
    client = client_of("ws://127.0.0.1:1/", path)
    for content in "abc":
        await client.queue_message(2, content).queued()
    assert [s.content for s in client.outbox] == ["a", "b", "c"]
    await client.close()
    async with Peer(serving(memory)) as peer, client_of(peer, path) as again:
        (one, *_) = outbox = again.outbox or [None]
        for sent in outbox:
            if sent is not None:
                await sent
        assert list(memory.accepted.values()) == ["a", "b", "c"]
        assert again.outbox == []
        assert one is None or one.status is SentStatus.ACCEPTED


@run
async def test_close_writes_what_is_not_written_yet(path: Path) -> None:
    client = client_of("ws://h/", path)
    for content in "abc":  # the first is being written when the others come
        client.queue_message(2, content)
    await client.close()
    again = client_of("ws://h/", path)
    assert [s.content for s in again.outbox] == ["a", "b", "c"]
    await again.close()


@run
async def test_what_was_in_flight_is_asked_for_and_not_sent_twice(path: Path) -> None:
    memory = Memory(takes=1)
    async with Peer(serving(memory)) as peer:
        async with client_of(peer, path) as client:
            await client.send_message(2, "a")
            lost = client.queue_message(2, "b")
            await until(lambda: lost.status is SentStatus.IN_FLIGHT)
            assert lost.msg_id is not None
            memory.accepted[lost.msg_id] = "b"  # taken, but its answer is lost
            never = client.queue_message(2, "c")
            await until(lambda: never.status is SentStatus.IN_FLIGHT)
        memory.takes = 100
        again = client_of(peer, path)
        restored = again.outbox
        assert [(s.content, s.status) for s in restored] == [("b", "in_flight"), ("c", "in_flight")]
        assert [s.msg_id for s in restored] == [lost.msg_id, never.msg_id]
        assert not restored[0].cancel()
        async with again:
            for sent in restored:
                await sent
    assert list(memory.accepted.values()) == ["a", "b", "c"]
    assert memory.repeats == 0


@run
async def test_one_key_is_one_message_in_this_life_and_the_next(path: Path) -> None:
    memory = Memory()
    async with Peer(serving(memory)) as peer:
        async with client_of(peer, path) as client:
            sent = await client.send_message(2, "a", key="k")
            assert await client.send_message(2, "a", key="k") is sent
            with pytest.raises(LocalProtocolError, match="key"):
                client.queue_message(3, "a", key="k")
            number = sent.msg_id
        async with client_of(peer, path) as client:
            again = await client.send_message(2, "a", key="k")
            assert (again.msg_id, again.timestamp) == (number, 1234)
            assert await client.send_message(2, "a", key="k") is again
    assert list(memory.accepted.values()) == ["a"]


@run
async def test_what_failed_under_a_key_has_failed_in_the_next_life_too(path: Path) -> None:
    client = client_of("ws://h/", path)
    sent = client.queue_message(2, "a", key="k")
    await sent.queued()
    assert sent.cancel()
    await client.close()
    again = client_of("ws://h/", path)
    with pytest.raises(IMError) as raised:
        await again.send_message(2, "a", key="k")
    assert raised.value.code is IMErrorCode.MESSAGE_CANCELLED
    assert again.queue_message(2, "a", key="k").status is SentStatus.CANCELLED
    await again.close()


@run
async def test_one_that_expires_says_so(path: Path) -> None:
    memory = Memory()
    client = client_of("ws://h/", path)
    client.queue_message(2, "a", ttl=50.0)
    await client.close()
    async with Peer(serving(memory)) as peer:
        again = IMClient(config(peer.url), storage=path, wall=lambda: time.time() + 100)
        (sent,) = again.outbox
        async with again:
            with pytest.raises(IMError) as raised:
                await sent
    assert raised.value.code is IMErrorCode.MESSAGE_EXPIRED
    assert sent.status is SentStatus.EXPIRED
    assert memory.accepted == {}


@run
async def test_who_waits_for_room_gets_it(path: Path) -> None:
    client = client_of("ws://h/", path, max_queue=1)
    first = client.queue_message(2, "a")
    with pytest.raises(IMError, match="QUEUE_FULL"):
        client.queue_message(2, "b")
    second = client.queue_message(2, "b", wait=True)
    room = asyncio.ensure_future(second.queued())
    await first.queued()
    assert not room.done()
    first.cancel()
    assert await room is second
    await client.close()


@run
async def test_a_disk_that_can_not_write_fails_the_message_and_is_told(path: Path) -> None:
    client = client_of("ws://h/", path)
    errors: list[IMError] = []
    client.on("error", errors.append)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert client._journal is not None
    assert client._journal._db is not None
    client._journal._db.execute("PRAGMA busy_timeout = 1")
    with pytest.raises(IMError, match="locked by another program") as raised:
        await client.queue_message(2, "a").queued()
    assert raised.value.code is IMErrorCode.JOURNAL_FAILED
    other.execute("ROLLBACK")
    other.close()
    await until(lambda: errors)
    assert not errors[0].terminal
    await client.queue_message(2, "b").queued()
    await client.close()


@run
async def test_a_disk_that_hangs_does_not_hang_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("im_asyncio.life._MARGIN", 0.05)
    client = client_of("ws://h/", path)
    client._life._limit = 0.05
    entered, go = threading.Event(), threading.Event()
    monkeypatch.setattr(Journal, "write", lambda *_: (entered.set(), go.wait()))
    client.queue_message(2, "a")
    await asyncio.to_thread(entered.wait)
    await client.close()
    assert "the storage does not answer" in caplog.text
    with pytest.raises(IMError, match="in use"):
        client_of("ws://h/", path)
    go.set()
    thread = client._driver._writer._thread  # type: ignore[union-attr]
    assert thread is not None
    await asyncio.to_thread(thread.join)
    await client_of("ws://h/", path).close()


# ------------------------------------------------------------ receipts


@run
async def test_delivered_and_read_are_told_and_can_be_awaited(path: Path) -> None:
    memory = Memory()
    async with Peer(serving(memory)) as peer, client_of(peer, path) as client:
        told: list[Any] = []
        client.on("receipt", told.append)
        sent = await client.send_message(2, "a")
        other = await client.send_message(3, "b")
        assert sent.msg_id is not None
        assert other.msg_id is not None
        waiting = asyncio.ensure_future(sent.read())
        memory.receipt("delivered", sent.msg_id, other.msg_id)
        await client.send_message(2, "poke")
        assert await asyncio.wait_for(sent.delivered(), 60) is sent
        assert (sent.delivered_at, sent.read_at, other.delivered_at) == (5000, None, None)
        assert not waiting.done()
        memory.receipt("read", sent.msg_id)
        await client.send_message(2, "poke")
        assert await waiting is sent
        assert sent.read_at == 6000
        await until(lambda: len(told) == 2)


@run
async def test_a_receipt_is_not_awaited_where_a_message_is_handled() -> None:
    memory = Memory("m1")
    refused: list[LocalProtocolError] = []
    allowed = asyncio.Event()
    async with Peer(serving(memory)) as peer, client_of(peer, None) as client:
        sent = await client.send_message(2, "a")

        async def elsewhere() -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.001):
                    await sent.delivered()
            allowed.set()

        async def callback(_: Message) -> None:
            try:
                await sent.delivered()
            except LocalProtocolError as exc:
                refused.append(exc)
            await asyncio.create_task(elsewhere())

        client.on("message_received", callback)
        await allowed.wait()
        client.off("message_received")
        memory.post("m2")
        await client.send_message(2, "poke")
        messages = client.messages()
        async for message in messages:
            if message.content == "m2":
                break
        with pytest.raises(LocalProtocolError, match="task or thread of its own"):
            await sent.read()
        messages.acknowledge()
        await elsewhere()
    assert len(refused) == 1


@run
async def test_a_server_that_tells_no_receipts_lets_nobody_wait() -> None:
    async def script(connection: Connection) -> None:
        await connection.login_with_seq()
        await connection.answer_all()

    async with Peer(script) as peer, client_of(peer, None) as client:
        waiting = client.queue_message(2, "a")
        with pytest.raises(LocalProtocolError, match="tells no receipts"):
            await waiting.delivered()
        with pytest.raises(LocalProtocolError, match="tells no receipts"):
            await (await client.send_message(2, "b")).read()


# ------------------------------------------------------------ a process that is killed

PROGRAM = textwrap.dedent(
    """
    import asyncio, sys
    from im_asyncio import ClientConfig, IMClient

    async def main():
        url, path, *contents = sys.argv[1:]
        client = IMClient(ClientConfig(ws_url=url, token="t", user_id=1), storage=path)
        for content in contents:
            await client.queue_message(2, content, key=content).queued()
        print("queued", flush=True)
        await asyncio.sleep(3600)

    asyncio.run(main())
    """
)


@run
async def test_what_was_on_disk_when_the_process_was_killed_goes_out(path: Path) -> None:
    memory = Memory()
    async with Peer(serving(memory)) as peer:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, peer.url, str(path), "a", "b", stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        assert await child.stdout.readline() == b"queued\n"
        child.kill()
        await child.wait()
        async with client_of(peer, path) as client:
            for content in "abc":
                await client.send_message(2, content, key=content)
    assert list(memory.accepted.values()) == ["a", "b", "c"]
    assert memory.repeats == 0
