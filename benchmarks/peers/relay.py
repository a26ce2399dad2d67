"""The weekend version: a relay by hand, of `websockets` and json.

Nothing is kept, nobody has to log in, a message to somebody who is not there is lost without a
word. What it does do, it does well: no compression, no call that is not needed.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_connection
from websockets.asyncio.server import ServerConnection, serve

from im_cli.bench_load import Lane, Setup


async def _serve() -> None:
    users: dict[int, ServerConnection] = {}

    async def handle(connection: ServerConnection) -> None:
        me = json.loads(await connection.recv())["user"]
        users[me] = connection
        await connection.send("{}")
        async for raw in connection:
            message = json.loads(raw)
            if message["type"] == "send":
                to = users.get(message["to"])
                if to is not None:
                    push = {"type": "message", "from": me, "id": message["id"]}
                    push["content"] = message["content"]
                    await to.send(json.dumps(push))
                await connection.send(json.dumps({"type": "ack", "id": message["id"]}))

    async with serve(handle, "127.0.0.1", 0, compression=None, backlog=2048) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(json.dumps({"url": f"ws://127.0.0.1:{port}"}), flush=True)
        await asyncio.Future()


class _Pair:
    def __init__(self, a: ClientConnection, b: ClientConnection, to: int) -> None:
        self._a = a
        self._b = b
        self._to = to
        self._number = 0
        self._lane: Lane | None = None
        self._receiving = asyncio.create_task(self._receive())

    async def _receive(self) -> None:
        async for raw in self._b:
            message = json.loads(raw)
            if self._lane is not None:
                self._lane.received(message["content"])

    async def run(self, lane: Lane, window: int) -> None:
        self._lane = lane
        room = asyncio.Semaphore(window)
        sent = acked = 0
        ended = False

        async def acks() -> None:
            nonlocal acked
            while not (ended and acked == sent):
                json.loads(await self._a.recv())
                acked += 1
                lane.acked()
                room.release()

        reading = asyncio.create_task(acks())
        while True:
            await room.acquire()
            if not lane.next():
                break
            sent += 1
            self._number += 1
            message: dict[str, Any] = {"type": "send", "id": self._number, "to": self._to}
            message["content"] = lane.text
            await self._a.send(json.dumps(message))
        ended = True
        if acked == sent:
            reading.cancel()
        await asyncio.wait([reading])


async def _log_in(url: str, user: int) -> ClientConnection:
    connection = await open_connection(url, compression=None)
    await connection.send(json.dumps({"user": user}))
    await connection.recv()
    return connection


async def connect(setup: Setup, number: int) -> _Pair:
    """A and B, logged in."""
    a, b = 2 * number + 1, 2 * number + 2
    return _Pair(await _log_in(setup.url, a), await _log_in(setup.url, b), b)


if __name__ == "__main__":
    asyncio.run(_serve())
