"""`storage=` of the asyncio client: whose file it is, and what closing it promises."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from adapters.adapter_kit import Peer, closed_port, config, run, until
from adapters.asyncio_storage_kit import client_of, path, serving
from adapters.storage_kit import Memory
from im_asyncio import IMClient, IMError, IMErrorCode, LocalProtocolError, SentMessage
from im_runtime import Journal

__all__ = ["path"]

# ------------------------------------------------------------ the file


@run
async def test_the_installation_keeps_its_name(path: Path) -> None:
    memory = Memory()
    async with Peer(serving(memory)) as peer:
        for _ in range(2):
            async with client_of(peer, path) as client:
                assert client.device_id == memory.devices[-1]
    assert len(memory.devices) == 2
    assert len(set(memory.devices)) == 1


@run
async def test_a_second_client_is_refused_and_says_what_to_do(path: Path) -> None:
    client = client_of("ws://h/", path)
    with pytest.raises(IMError, match="in use by another client") as raised:
        client_of("ws://h/", path)
    assert raised.value.code is IMErrorCode.JOURNAL_FAILED
    await client.close()
    again = client_of("ws://h/", path)
    await again.close()


@run
async def test_what_one_user_has_queued_does_not_go_out_as_another(path: Path) -> None:
    client = client_of("ws://h/", path, user_id=1)
    await client.queue_message(2, "a").queued()
    await client.close()
    with pytest.raises(IMError, match="belongs to user 1"):
        client_of("ws://h/", path, user_id=3)
    await client_of("ws://h/", path, user_id=1).close()


@run
async def test_what_is_wrong_with_the_call_takes_no_file(path: Path) -> None:
    with pytest.raises(LocalProtocolError, match="slow_callback"):
        IMClient(config("ws://h/"), storage=path, slow_callback=0)
    await asyncio.to_thread(path.write_bytes, b"no database" * 100)
    with pytest.raises(IMError, match="not a SQLite database"):
        client_of("ws://h/", path)
    await asyncio.to_thread(path.unlink)
    await client_of("ws://h/", path).close()


@run
async def test_a_with_that_fails_lets_go_of_the_file(path: Path) -> None:
    for _ in range(2):
        with pytest.raises(IMError, match="CONNECTION_FAILED"):
            async with client_of(f"ws://127.0.0.1:{closed_port()}/", path):
                pass


@run
async def test_a_closed_client_says_so(path: Path) -> None:
    memory = Memory("m1", takes=0)
    async with Peer(serving(memory)) as peer:
        async with client_of(peer, path) as client:
            message = await anext(client.messages())
            sent = client.queue_message(2, "x")
            waiting = [asyncio.ensure_future(w) for w in (sent.accepted(), sent.read())]
            await sent.queued()
        for wait in waiting:
            with pytest.raises(IMError, match="stays in the storage"):
                await wait
        await client.close()
        with pytest.raises(LocalProtocolError, match="closed, for good"):
            client.queue_message(2, "y")
        with pytest.raises(LocalProtocolError, match="closed, for good"):
            await client.connect()
        with pytest.raises(LocalProtocolError, match="comes again"):
            message.ack()
        with pytest.raises(LocalProtocolError, match="before it is closed"):
            async with message.transaction():
                pass


@run
async def test_without_storage_close_is_disconnect() -> None:
    memory = Memory()
    async with Peer(serving(memory)) as peer:
        client = client_of(peer, None)
        for _ in range(2):
            async with client:
                await client.send_message(2, "x")
    assert len(memory.accepted) == 2


def test_before_there_is_a_loop_it_is_written_at_once(path: Path) -> None:
    client = client_of("ws://h/", path)
    sent = client.queue_message(2, "early")
    asyncio.run(sent.queued())
    later = client.queue_message(2, "later")  # the loop is gone
    asyncio.run(later.queued())
    asyncio.run(client.close())
    assert not [t for t in threading.enumerate() if t.name == "im-journal"]
    journal = Journal(path)
    journal.open()
    assert [r.content for r in journal.load().outgoing.values()] == ["early", "later"]
    journal.close()


@run
async def test_an_answer_of_the_disk_is_not_lost_with_the_loop(path: Path) -> None:
    """What the thread has written while no loop ran is known at the next call."""
    client = client_of("ws://h/", path)
    entered, go = threading.Event(), threading.Event()
    write = Journal.write

    def slow(self: Journal, changes: Any) -> None:
        entered.set()
        go.wait()
        write(self, changes)

    def program() -> None:
        async def queue() -> SentMessage:
            client._clock.bind(asyncio.get_running_loop())
            return client.queue_message(2, "x")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Journal, "write", slow)
            sent = asyncio.run(queue())
            entered.wait()
            go.set()
        while not client._driver._writer._answers:  # type: ignore[union-attr]
            time.sleep(0.001)

        async def look() -> None:
            client._clock.bind(asyncio.get_running_loop())
            client.network_changed()
            await asyncio.wait_for(sent.queued(), 60)
            await client.close()

        asyncio.run(look())

    await asyncio.to_thread(program)


# ------------------------------------------------------------ the end, where others are not done


def test_what_the_loop_left_behind_is_written_by_close(path: Path) -> None:
    client = client_of("ws://h/", path)
    assert client._journal is not None
    write, go = client._journal.write, threading.Event()

    def slow(changes: Any) -> None:
        go.wait(60)
        write(changes)

    async def queue() -> None:
        client._clock.bind(asyncio.get_running_loop())
        client._journal.write = slow  # type: ignore[union-attr, method-assign]
        client.queue_message(2, "a")

    asyncio.run(queue())
    client.queue_message(2, "b")  # the disk has not answered, and there is no loop to hear of it
    go.set()
    writer = client._driver._writer
    assert writer is not None
    while not writer._answers:
        time.sleep(0.01)
    asyncio.run(client.close())
    again = client_of("ws://h/", path)
    assert [s.content for s in again.outbox] == ["a", "b"]
    asyncio.run(again.close())


@run
async def test_a_close_that_is_cancelled_closes_and_lets_nobody_wait(path: Path) -> None:
    client = client_of("ws://h/", path)
    sent = await client.queue_message(2, "a").queued()
    waiting = asyncio.ensure_future(sent.delivered())
    await asyncio.sleep(0)
    close, closing = client._driver.close_journal, threading.Event()
    go = threading.Event()

    def slow(timeout: float) -> None:
        closing.set()
        go.wait(60)
        close(timeout)

    client._driver.close_journal = slow  # type: ignore[method-assign]
    task = asyncio.create_task(client.close())
    await asyncio.to_thread(closing.wait, 10)
    with pytest.raises(LocalProtocolError, match="closed, for good"):
        client.queue_message(2, "b")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(IMError, match="closed"):
        await asyncio.wait_for(waiting, 60)
    go.set()
    await until(lambda: client._journal is not None and not client._journal.is_open)
    await client_of("ws://h/", path).close()
