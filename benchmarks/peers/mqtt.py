"""MQTT through mosquitto: A publishes with QoS 1, B has a session that outlives its connection."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import aiomqtt

from im_cli.bench_load import Lane, Setup

_TOPIC = "chat/2"


class _Pair:
    def __init__(self, a: aiomqtt.Client, b: aiomqtt.Client) -> None:
        self._a = a
        self._b = b
        self._lane: Lane | None = None
        self._receiving = asyncio.create_task(self._receive())

    async def _receive(self) -> None:
        async for message in self._b.messages:
            payload: Any = message.payload
            if self._lane is not None:
                self._lane.received(payload.decode())

    async def run(self, lane: Lane, window: int) -> None:
        self._lane = lane
        await asyncio.gather(*(self._send(lane) for _ in range(window)))

    async def _send(self, lane: Lane) -> None:
        publish, text = self._a.publish, lane.text
        while lane.next():
            await publish(_TOPIC, text, qos=1, timeout=30)
            lane.acked()


async def connect(setup: Setup, number: int) -> _Pair:
    """A and B, each with a connection of its own. There is one pair."""
    logger = logging.getLogger("mqtt")
    logger.setLevel(logging.ERROR)  # it warns of more than ten messages in flight
    host, port = setup.url.split(":")
    common: dict[str, Any] = {"port": int(port), "clean_session": False, "logger": logger}
    common |= {"max_inflight_messages": 65_535, "max_queued_outgoing_messages": 0}
    a = aiomqtt.Client(host, identifier="a", **common)
    b = aiomqtt.Client(host, identifier="b", **common)
    await a.__aenter__()
    await b.__aenter__()
    await b.subscribe(_TOPIC, qos=1)
    return _Pair(a, b)
