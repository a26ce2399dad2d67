"""Either client, as tests of its calls about sessions need it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

import im_asyncio
import im_threads
from im_proto.errors import IMError
from im_proto.wire.session import HistoryRecord, SessionVO
from peers.session_server import PATIENCE, SessionServer

KINDS = ["im_asyncio", "im_threads"]
TOKEN = "token-of-ann"

#: For a test that each of the two has to pass.
both = pytest.mark.parametrize("kind", KINDS)


class Ours:
    """One of our clients; the calls of the one that blocks are made in a thread."""

    def __init__(self, kind: str, config: dict[str, Any], **more: Any) -> None:
        package = im_asyncio if kind == "im_asyncio" else im_threads
        self.client: Any = package.IMClient(config, **more)
        self._blocking = kind == "im_threads"

    async def do(self, name: str, *args: Any, **more: Any) -> Any:
        """Call that method."""
        method = getattr(self.client, name)
        if self._blocking:
            return await asyncio.to_thread(method, *args, **more)
        return await method(*args, **more)

    async def get_or_create(self) -> SessionVO:
        """The session of users 1 and 2 about book 5."""
        session = await self.do("get_or_create_session", 5, 1, 2)
        assert isinstance(session, SessionVO)
        return session

    async def history(self, count: int | None = None, **more: Any) -> list[HistoryRecord]:
        """The messages of the past, or so many of them."""
        if self._blocking:
            return await asyncio.to_thread(
                lambda: list(itertools.islice(self.client.history(**more), count))
            )
        found = []
        async for record in self.client.history(**more):
            found.append(record)
            if len(found) == count:
                break
        return found

    async def error(self, name: str, *args: Any, **more: Any) -> IMError:
        """What that method raises."""
        with pytest.raises(IMError) as caught:
            await self.do(name, *args, **more)
        return caught.value


@contextlib.asynccontextmanager
async def ours(
    kind: str, server: SessionServer, *, ssl_context: ssl.SSLContext | None = None, **config: Any
) -> AsyncIterator[Ours]:
    """A client that is not connected; nothing of it is left at the end."""
    fields: dict[str, Any] = {
        "ws_url": server.ws_url,
        "token": TOKEN,
        "user_id": 1,
        "reconnect": {"initial_delay": 0.01, "max_delay": 0.05, "jitter": "none"},
        "timeouts": {"close": 0.5},
    }
    made = Ours(kind, fields | config, ssl_context=ssl_context)
    try:
        yield made
    finally:
        await made.do("close" if kind == "im_threads" else "disconnect")
    for thread in threading.enumerate():
        if thread.name == "im_http":
            await asyncio.to_thread(thread.join, PATIENCE)
            assert not thread.is_alive()


def past(count: int) -> list[dict[str, Any]]:
    """Messages of Ann and Bob, the oldest first."""
    return [
        {
            "msgId": 100 + n,
            "senderId": 1 + n % 2,
            "receiverId": 2 - n % 2,
            "messageType": "text",
            "content": f"m{n}",
            "messageStatus": 1 + n % 3,
            "sendTime": f"2026-01-02 03:04:{n:02}",
        }
        for n in range(count)
    ]
