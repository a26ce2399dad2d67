"""One client of ours in a process of its own, for who is away and catches up.

    python -m benchmarks.away

Its line of input says what it does; it answers with lines, the last of which has "done".

    {"do": "log in", …}      be known to the server, and go
    {"do": "send", "to": …}  send `messages` of them, and go
    {"do": "receive", …}     receive `messages`, and say {"received": N} after each `each` of them

"done" is the seconds that it took.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from im_asyncio import IMClient, Message
from im_cli.bench_load import LENGTH, say

#: Messages in flight of who sends; who receives has what is usual.
_WINDOW: Final = 1_024
_MAX_QUEUE: Final = 100_000


def _client(order: Mapping[str, Any], **more: Any) -> IMClient:
    fields = {
        "ws_url": order["url"],
        "user_id": order["user"],
        "token": order["token"],
        "device_id": order["device"],
    }
    return IMClient({**fields, **more}, callbacks="inline")


async def _log_in(order: Mapping[str, Any]) -> float:
    client = _client(order)
    await client.connect()
    await client.close()
    return 0.0


async def _send(order: Mapping[str, Any]) -> float:
    client = _client(order, in_flight=_WINDOW, max_queue=_MAX_QUEUE)
    await client.connect()
    began, text = time.perf_counter(), "x" * LENGTH
    numbers = iter(range(order["messages"]))

    async def one_after_the_other() -> None:
        for _ in numbers:
            await client.send_message(order["to"], text)

    await asyncio.gather(*(one_after_the_other() for _ in range(_WINDOW)))
    took = time.perf_counter() - began
    await client.close()
    return took


async def _receive(order: Mapping[str, Any]) -> float:
    """From the log-in to the last message."""
    client = _client(order)
    wanted, each, received = order["messages"], order["each"], 0
    complete = asyncio.Event()

    def take(_: Message) -> None:
        nonlocal received
        received += 1
        if received % each == 0:
            say({"received": received})
        if received == wanted:
            complete.set()

    client.set_callbacks(message_received=take)
    began = time.perf_counter()
    await client.connect()
    await complete.wait()
    took = time.perf_counter() - began
    await client.close()
    return took


_DO: Final = {"log in": _log_in, "send": _send, "receive": _receive}


async def _live(order: Mapping[str, Any]) -> None:
    began = time.process_time()
    took = await _DO[order["do"]](order)
    say({"done": took, "cpu": time.process_time() - began})


def _watch() -> None:
    while sys.stdin.readline():
        pass
    os._exit(0)  # nobody is left to measure for


if __name__ == "__main__":
    first = json.loads(sys.stdin.readline())
    threading.Thread(target=_watch, daemon=True).start()
    asyncio.run(_live(first))
