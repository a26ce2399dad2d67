"""python-socketio: `AsyncServer` as an ASGI application on uvicorn, `AsyncClient` over WebSocket.

Each user has a room; a message is emitted to B's and A's callback is called when it was. Nothing is
kept, and nobody hears whether B has it.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import socketio
import uvicorn

from im_cli.bench_load import Lane, Setup


def _application() -> Any:
    server = socketio.AsyncServer(async_mode="asgi")

    async def connected(sid: str, environ: Any, auth: Any) -> None:
        await server.save_session(sid, {"user": auth["user"]})
        await server.enter_room(sid, f"user {auth['user']}")

    async def send(sid: str, message: Any) -> Any:
        session = await server.get_session(sid)
        push = {"from": session["user"], "id": message["id"], "content": message["content"]}
        await server.emit("message", push, room=f"user {message['to']}")
        return {"id": message["id"]}

    server.on("connect", connected)
    server.on("send", send)
    return socketio.ASGIApp(server)


class _Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)


class _Pair:
    def __init__(self, a: Any, b: Any, to: int) -> None:
        self._a = a
        self._to = to
        self._number = 0
        self._lane: Lane | None = None
        b.on("message", self._received)

    def _received(self, message: Any) -> None:
        if self._lane is not None:
            self._lane.received(message["content"])

    async def run(self, lane: Lane, window: int) -> None:
        self._lane = lane
        room = asyncio.Semaphore(window)

        def acked(answer: Any) -> None:
            lane.acked()
            room.release()

        while True:
            await room.acquire()
            if not lane.next():
                break
            self._number += 1
            message = {"id": self._number, "to": self._to, "content": lane.text}
            await self._a.emit("send", message, callback=acked)
        for _ in range(window - 1):  # with the one that is taken, all are back
            await room.acquire()


async def _log_in(url: str, user: int) -> Any:
    client = socketio.AsyncClient()
    await client.connect(url, transports=["websocket"], auth={"user": user}, wait_timeout=30)
    return client


async def connect(setup: Setup, number: int) -> _Pair:
    """A and B, logged in."""
    a, b = 2 * number + 1, 2 * number + 2
    return _Pair(await _log_in(setup.url, a), await _log_in(setup.url, b), b)


if __name__ == "__main__":
    config = uvicorn.Config(
        _application(), host="127.0.0.1", port=0, log_level="warning", lifespan="off", backlog=2048
    )
    _Server(config).run()
