"""The peers' servers that visitors log in at: both check the same signed tokens as ours does.

    python -m benchmarks.visited relay|socketio

The secret is in IM_SECRET. Says {"url": …}.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import jwt

_SECRET = os.environ.get("IM_SECRET", "")


def _user(token: str) -> str:
    """Whose token it is.

    Raises:
        jwt.PyJWTError: it is no good one.
    """
    found: str = jwt.decode(token, _SECRET, algorithms=["HS256"])["sub"]
    return found


async def _relay() -> None:
    from websockets.asyncio.server import ServerConnection, serve

    users: dict[str, ServerConnection] = {}

    async def handle(connection: ServerConnection) -> None:
        try:
            me = _user(json.loads(await connection.recv())["token"])
        except jwt.PyJWTError:
            await connection.close(4001, "a bad token")
            return
        users[me] = connection
        try:
            await connection.send(json.dumps({"user": me}))
            async for _ in connection:
                pass
        finally:
            del users[me]

    async with serve(handle, "127.0.0.1", 0, compression=None, backlog=2048) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        _say(f"ws://127.0.0.1:{port}")
        await asyncio.Future()


def _socketio() -> None:
    import socketio
    import uvicorn

    server = socketio.AsyncServer(async_mode="asgi")

    async def connected(sid: str, environ: Any, auth: Any) -> None:
        try:
            user = _user(auth["token"])
        except jwt.PyJWTError:
            raise socketio.exceptions.ConnectionRefusedError("a bad token") from None
        await server.save_session(sid, {"user": user})
        await server.enter_room(sid, f"user {user}")

    server.on("connect", connected)

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            _say(f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}")

    application = socketio.ASGIApp(server)
    config = uvicorn.Config(
        application, host="127.0.0.1", port=0, log_level="warning", lifespan="off", backlog=2048
    )
    Server(config).run()


def _say(url: str) -> None:
    print(json.dumps({"url": url}), flush=True)


def main() -> None:
    """Be one of them."""
    if sys.argv[1] == "relay":
        asyncio.run(_relay())
    else:
        _socketio()


if __name__ == "__main__":
    main()
