"""`storage=` of the asyncio client: what outlives it, and what it promises of that."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.adapter_kit import Connection, Peer, closed_port, config, run, until
from adapters.storage_kit import Memory
from im_asyncio import (
    IMClient,
    IMError,
    IMErrorCode,
    LocalProtocolError,
    Message,
    SentMessage,
    SentStatus,
)
from im_proto.wire import AuthRequest
from im_runtime import Journal


def serving(memory: Memory) -> Callable[[Connection], Any]:
    """The server of that memory."""

    async def script(connection: Connection) -> None:
        await connection.accept()
        connection.send(*memory.welcome(await connection.next(AuthRequest)))
        while True:
            connection.send(*memory.answer(await connection.receive()))

    return script


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


def client_of(peer: Peer | str, path: Path | None, **more: Any) -> IMClient:
    url = peer if isinstance(peer, str) else peer.url
    return IMClient(config(url, **more), storage=path, durability="process")


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


# ------------------------------------------------------------ messages that come in


@run
async def test_what_was_handled_does_not_come_again_and_the_rest_is_flagged(path: Path) -> None:
    memory = Memory("m1", "m2", "m3")
    async with Peer(serving(memory)) as peer:
        async with client_of(peer, path, ack="manual") as client:
            got = []
            async for message in client.messages():
                got.append(message)
                if len(got) == 3:
                    break
            assert [m.redelivered for m in got] == [False] * 3
            got[2].ack()
            got[2].ack()
            await asyncio.to_thread(got[0].ack)
            await until(lambda: memory.acked == 1)
        assert memory.acked == 1
        async with client_of(peer, path) as again:
            message = await anext(aiter(again.messages()))
            assert (message.content, message.redelivered) == ("m2", True)
            message.ack()
            await until(lambda: memory.acked == 3)


@run
async def test_a_callback_acknowledges_by_hand(path: Path) -> None:
    memory = Memory("m1", "m2")
    seen: list[Message] = []
    async with Peer(serving(memory)) as peer, client_of(peer, path, ack="manual") as client:
        client.on("message_received", seen.append)
        await until(lambda: len(seen) == 2 and not client._dispatcher.busy)
        seen[1].ack()
        seen[0].ack()
        await until(lambda: memory.acked == 2)


def orders(path: Path) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT seq FROM orders ORDER BY rowid").fetchall()


def new_table(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE orders (seq INTEGER)")


@pytest.mark.parametrize("how", ["callback", "iteration"])
@run
async def test_what_is_written_with_a_message_is_written_once(how: str, path: Path) -> None:
    memory = Memory("m1", "m2")
    attempts: list[tuple[int | None, int]] = []

    async def handle(message: Message) -> None:
        async with message.transaction() as db:
            db.execute("INSERT INTO orders VALUES (?)", (message.seq,))
            attempts.append((message.seq, message.attempt))
            if len(attempts) == 1:
                raise ValueError("boom")

    async with Peer(serving(memory)) as peer, client_of(peer, path) as client:
        new_table(path)
        if how == "callback":
            client.on("message_received", handle)
        else:
            async for message in client.messages():
                with contextlib.suppress(ValueError):
                    await handle(message)
                if len(attempts) == 3:
                    break
        await until(lambda: memory.acked == 2)
    assert orders(path) == [(1,), (2,)]
    assert attempts == [(1, 1), (1, 2), (2, 1)]


@run
async def test_a_transaction_that_the_application_ended_itself_is_refused(path: Path) -> None:
    memory = Memory("m1")
    async with Peer(serving(memory)) as peer, client_of(peer, path) as client:
        new_table(path)
        message = await anext(aiter(client.messages()))
        with pytest.raises(LocalProtocolError, match=r"commit\(\) or rollback\(\) inside"):
            async with message.transaction() as db:
                db.execute("INSERT INTO orders VALUES (1)")
                db.commit()
        again = await anext(aiter(client.messages()))
        assert (again.content, again.attempt) == ("m1", 2)


@run
async def test_a_message_in_two_transactions_at_once_is_written_once(path: Path) -> None:
    memory = Memory("m1")
    async with Peer(serving(memory)) as peer, client_of(peer, path) as client:
        new_table(path)
        message = await anext(aiter(client.messages()))

        async def handle() -> None:
            async with message.transaction() as db:
                db.execute("INSERT INTO orders VALUES (1)")

        results = await asyncio.gather(handle(), handle(), return_exceptions=True)
        assert sorted(map(type, results), key=str) == [type(None), LocalProtocolError]
        await until(lambda: memory.acked == 1)
    assert orders(path) == [(1,)]


@run
async def test_a_cancelled_transaction_is_rolled_back_and_is_no_failure(path: Path) -> None:
    memory = Memory("m1")
    async with Peer(serving(memory)) as peer, client_of(peer, path) as client:
        new_table(path)
        message = await anext(aiter(client.messages()))
        inside = asyncio.Event()

        async def handle() -> None:
            async with message.transaction() as db:
                db.execute("INSERT INTO orders VALUES (1)")
                inside.set()
                await asyncio.sleep(3600)

        task = asyncio.create_task(handle())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert orders(path) == []
        again = await anext(aiter(client.messages()))
        assert again is message
        async with again.transaction() as db:
            db.execute("INSERT INTO orders VALUES (1)")
        await until(lambda: memory.acked == 1)
    assert orders(path) == [(1,)]


@run
async def test_no_transaction_without_storage() -> None:
    memory = Memory("m1")
    async with Peer(serving(memory)) as peer, client_of(peer, None) as client:
        message = await anext(aiter(client.messages()))
        with pytest.raises(LocalProtocolError, match="needs a client with storage"):
            async with message.transaction():
                pass
    with pytest.raises(LocalProtocolError, match="of no client"):
        Message("x").ack()


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
