"""What the tests of parity share: the TypeScript module's configuration, and peers that note all.

Each test stands behind one row of docs/parity.md, and fails when that feature is stubbed
(stubs.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

from adapters import adapter_kit
from adapters.adapter_kit import Connection, Gone
from im_asyncio import ClientConfig, IMClient
from im_proto.wire import AuthRequest, ChatSendResponse, ChatSendToOne
from peers.session_server import SessionServer

#: Seconds for what a healthy machine does in a blink; a stubbed test has less.
PATIENCE: float = 60.0
TOKEN: Final = "token-of-ann"  # one that a SessionServer takes
ANN: Final = 1
BOB: Final = 2


def run(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """As adapter_kit.run, with the patience of now."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        adapter_kit.run(test, seconds=PATIENCE)(*args, **kwargs)

    return wrapper


class Top(random.Random):
    """Draws the whole delay, so that one can name it."""

    def uniform(self, a: float, b: float) -> float:
        return b


def web(url: str, **more: Any) -> dict[str, Any]:
    """The original's configuration, in its own words."""
    return {"wsUrl": url, "token": TOKEN, "userId": ANN} | more


def from_web(url: str, **more: Any) -> ClientConfig:
    """The same, taken over; a close takes no longer than a test may."""
    return ClientConfig.from_web(web(url, **more), timeouts={"close": 0.2})


class Notes:
    """A plain server's script that notes the log-ins and messages, and accepts all."""

    def __init__(self) -> None:
        self.logins: list[AuthRequest] = []
        self.sent: list[ChatSendToOne] = []
        self.targets: list[str] = []
        #: the close code of each connection
        self.closed: list[int | None] = []

    @property
    def contents(self) -> list[str]:
        """What was sent, in order."""
        return [message.content for message in self.sent]

    async def __call__(self, connection: Connection) -> None:
        """Be that server."""
        self.logins.append(await connection.login())
        self.targets.append(connection.target)
        try:
            while True:
                message = await connection.next(ChatSendToOne)
                self.sent.append(message)
                connection.send(ChatSendResponse(msg_id=message.msg_id, code=0, timestamp=1234))
        except Gone:
            self.closed.append(connection.closed)
            raise


async def hangs_up(connection: Connection) -> None:
    """A server that resets the connection after the log-in."""
    await connection.login()
    connection.reset()
    raise Gone


@contextlib.asynccontextmanager
async def sessions(server: SessionServer, **more: Any) -> AsyncIterator[IMClient]:
    """Ann's client, for calls about sessions; it is not connected, and nothing of it is left."""
    client = IMClient(from_web(server.ws_url), **more)
    try:
        yield client
    finally:
        await client.disconnect()
    for thread in threading.enumerate():
        if thread.name == "im_http":
            await asyncio.to_thread(thread.join, PATIENCE)
            assert not thread.is_alive()
