"""Both clients against one listening socket that does what a test says, and no more than that."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import im_asyncio
import im_threads
from adapters.threads_kit import LONGEST, Connection, Peer, config
from im_proto.errors import IMError

#: The clients by their names.
ADAPTERS = ["asyncio", "threads"]


def attempt(
    adapter: str, url: str, *, ssl_context: Any = None, retry: bool = False, **more: Any
) -> IMError | None:
    """connect() and disconnect() with that client: what it raised, None if it was logged in."""
    settings = config(url, **more)
    try:
        if adapter == "asyncio":
            asyncio.run(_attempt(settings, ssl_context, retry))
            return None
        client = im_threads.IMClient(settings, ssl_context=ssl_context)
        try:
            client.connect(retry=retry)
        finally:
            client.close()
    except IMError as error:
        return error
    return None


async def _attempt(settings: Any, ssl_context: Any, retry: bool) -> None:
    client = im_asyncio.IMClient(settings, ssl_context=ssl_context)
    try:
        await client.connect(retry=retry)
    finally:
        await client.disconnect()


def against(
    adapter: str,
    script: Callable[[Connection], None],
    *,
    tls: Any = None,
    host: str = "127.0.0.1",
    scheme: str = "",
    **more: Any,
) -> IMError | None:
    """`attempt` at a server that follows a script, and is gone by the time this returns."""
    with Peer(script, tls=tls) as peer:
        url = peer.url.replace("127.0.0.1", host)
        error = attempt(adapter, url.replace("ws:", f"{scheme}:") if scheme else url, **more)
        peer.idle()
    return error


def attempt_at_first(
    adapter: str,
    hostile: Callable[[Connection], None],
    friendly: Callable[[Connection], None],
    **more: Any,
) -> str:
    """Log in at a hostile server, and at a friendly one when that link has ended: why it has."""
    with Peer(hostile, friendly) as peer:
        settings = config(peer.url, **more)
        if adapter == "asyncio":
            reason = asyncio.run(_two_links(settings))
        else:
            told: list[IMError] = []
            again = threading.Event()
            client = im_threads.IMClient(settings)
            client.set_callbacks(error=told.append, reconnected=lambda *_: again.set())
            try:
                client.connect()
                assert again.wait(LONGEST)
            finally:
                client.close()
            reason = told[0].text
        peer.idle()
    return reason


async def _two_links(settings: Any) -> str:
    told: list[IMError] = []
    again = asyncio.Event()
    loop = asyncio.get_running_loop()
    client = im_asyncio.IMClient(settings)
    client.set_callbacks(
        error=told.append, reconnected=lambda *_: loop.call_soon_threadsafe(again.set)
    )
    try:
        await client.connect()
        await asyncio.wait_for(again.wait(), LONGEST)
    finally:
        await client.disconnect()
    return told[0].text
