"""`storage=` of the asyncio client: messages that come in are handled once."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from adapters.adapter_kit import Peer, run, until
from adapters.asyncio_storage_kit import client_of, path, serving
from adapters.storage_kit import Memory
from im_asyncio import LocalProtocolError, Message

__all__ = ["path"]


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
