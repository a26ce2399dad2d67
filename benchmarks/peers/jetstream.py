"""NATS JetStream: a stream on disk, a consumer that B acks to, `publish_async` with its
acknowledgements, which is a quarter faster than to await `publish` in as many tasks.

B acknowledges up to a message (AckPolicy.ALL), each fiftieth and whatever is the last for now, as
our own client does: with one acknowledgement for each message JetStream would be slower.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import nats
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType

from im_cli.bench_load import Lane, Setup

_STREAM = "chat"
#: Messages that B acknowledges at once, and the seconds after which it does so anyway.
_ACK_EACH = 50
_ACK_AFTER = 0.05
_SUBJECT = "chat.2"


class _Pair:
    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._lane: Lane | None = None
        self._last: Any = None
        self._unacked = 0
        self._timer: asyncio.TimerHandle | None = None

    async def received(self, message: Any) -> None:
        if self._lane is not None:
            self._lane.received(message.data.decode())
        self._last = message
        self._unacked += 1
        if self._unacked >= _ACK_EACH:
            await self._ack()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_ACK_AFTER, lambda: loop.create_task(self._ack()))

    async def _ack(self) -> None:
        message, self._last, self._unacked = self._last, None, 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if message is not None:
            await message.ack()

    async def run(self, lane: Lane, window: int) -> None:
        self._lane = lane
        publish, text = self._stream.publish_async, lane.text
        under_way: deque[asyncio.Future[Any]] = deque()
        while True:
            while len(under_way) < window and lane.next():
                under_way.append(await publish(_SUBJECT, text.encode()))
            if not under_way:
                return
            await under_way.popleft()
            lane.acked()


async def connect(setup: Setup, number: int) -> _Pair:
    """A and B, each with a connection of its own. There is one pair."""
    a, b = await nats.connect(setup.url), await nats.connect(setup.url)
    await a.jetstream().add_stream(
        name=_STREAM,
        subjects=["chat.*"],
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
    )
    pair = _Pair(a.jetstream())
    await b.jetstream().subscribe(
        _SUBJECT,
        durable="b",
        cb=pair.received,
        manual_ack=True,
        config=ConsumerConfig(ack_policy=AckPolicy.ALL, max_ack_pending=100_000),
        pending_msgs_limit=-1,
        pending_bytes_limit=-1,
    )
    return pair
