"""Many clients in one process: real engines on bare sockets, which do what the adapters do.

    python -m benchmarks.crowd

Its first line of input is {"url": …, "users": [[user, token], …]}; it answers {"ready": N} when all
are logged in, and each time that all have lost the server and are all back again a line with what
happened (`Crowd.story`), until its input ends. At the line {"cut": true} it loses all links itself.

`IMClient` would take as much of the machine for a log-in as the server does.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from im_cli.bench_load import allow_files, say
from im_proto.client import ClientEngine
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.config import ClientConfig

#: Log-ins at a time, at the beginning.
_AT_ONCE: Final = 32
_RNG: Final = random.SystemRandom()


class Crowd:
    """All clients, and what they have been through since all were logged in."""

    def __init__(self) -> None:
        self.inside = 0
        self.full = asyncio.Event()
        self.lost: list[float] = []
        self.back: list[float] = []
        self.refused = 0
        self.busy = 0

    def story(self) -> dict[str, Any]:
        """Times are of the machine's monotonic clock, in seconds."""
        back = sorted(self.back)
        middle = back[len(back) // 2] if back else None
        return {
            "first_lost": min(self.lost, default=None),
            "first_back": min(back, default=None),
            "half_back": middle,
            "last_back": max(back, default=None),
            "back": len(back),
            "refused": self.refused,
            "busy": self.busy,
        }

    def begin(self) -> None:
        """Forget what was."""
        self.lost.clear()
        self.back.clear()
        self.full.clear()
        self.refused = self.busy = 0


class Client(asyncio.Protocol):
    """An engine and its socket."""

    def __init__(self, crowd: Crowd, url: str, user: int, token: str) -> None:
        self._crowd = crowd
        self._loop = asyncio.get_running_loop()
        config = ClientConfig(
            ws_url=url, token=token, user_id=user, device_id=f"device-{user}", sleep_watch=None
        )
        self._engine = ClientEngine(config, now=self._loop.time(), wall=time.time(), rng=_RNG)
        self._number = 0
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None
        self.inside = asyncio.Event()

    def connect(self) -> None:
        """Begin."""
        self._step(inp.Connect())

    def _step(self, event: inp.Input) -> None:
        for action in self._engine.step(event, self._loop.time()):
            self._carry_out(action)
        self._arm()

    def _carry_out(self, action: act.Action) -> None:
        if isinstance(action, act.Notify):
            self._hear(action.event)
        elif isinstance(action, act.OpenTransport):
            self._number = action.transport
            self._opening = self._loop.create_task(self._open(action))
        elif self._transport is None:
            pass
        elif isinstance(action, act.SendBytes):
            self._transport.write(action.data)
        elif isinstance(action, act.CloseTransport):
            self._transport.close()
        elif isinstance(action, act.AbortTransport):
            self._transport.abort()

    async def _open(self, action: act.OpenTransport) -> None:
        try:
            await self._loop.create_connection(lambda: self, action.host, action.port)
        except OSError as error:
            self._crowd.refused += 1
            kind = inp.TransportFailure.REFUSED
            self._step(inp.TransportFailed(transport=self._number, kind=kind, reason=str(error)))

    def _hear(self, event: ev.Event) -> None:
        crowd = self._crowd
        if isinstance(event, ev.Authenticated):
            crowd.inside += 1
            crowd.back.append(time.monotonic())
            self.inside.set()
        elif isinstance(event, ev.Disconnected) and self.inside.is_set():
            self.inside.clear()
            crowd.inside -= 1
            crowd.lost.append(time.monotonic())
        elif isinstance(event, ev.ErrorOccurred) and event.error.server_code == 1013:
            crowd.busy += 1

    def _arm(self) -> None:
        deadline = self._engine.next_deadline()
        if self._timer is not None:
            if deadline is not None and deadline >= self._timer.when():
                return  # it looks again then
            self._timer.cancel()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._wake)

    def _wake(self) -> None:
        self._timer = None
        deadline = self._engine.next_deadline()
        if deadline is not None and deadline <= self._loop.time():
            self._step(inp.TimePassed())
        else:
            self._arm()

    def cut(self) -> None:
        """The network drops the link."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._step(inp.TransportOpened(transport=self._number))

    def data_received(self, data: bytes) -> None:
        self._step(inp.BytesReceived(transport=self._number, data=data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._step(inp.TransportLost(transport=self._number, reason=str(exc or "")))


async def _gather(crowd: Crowd, clients: list[Client]) -> None:
    logins = asyncio.Semaphore(_AT_ONCE)

    async def one(client: Client) -> None:
        async with logins:
            client.connect()
            await client.inside.wait()

    await asyncio.gather(*map(one, clients))


async def _live() -> None:
    loop = asyncio.get_running_loop()
    setup = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    crowd = Crowd()
    clients = [Client(crowd, setup["url"], user, token) for user, token in setup["users"]]

    def cut() -> None:
        for client in clients:
            client.cut()

    threading.Thread(target=_read_orders, args=(loop, cut), daemon=True).start()
    await _gather(crowd, clients)
    crowd.begin()
    say({"ready": len(clients)})
    while True:
        await asyncio.sleep(0.02)
        if len(crowd.lost) >= len(clients) and crowd.inside == len(clients):
            say(crowd.story())
            crowd.begin()


def _read_orders(loop: asyncio.AbstractEventLoop, cut: Callable[[], None]) -> None:
    while sys.stdin.readline():
        loop.call_soon_threadsafe(cut)
    os._exit(0)  # nobody is left to measure for


if __name__ == "__main__":
    allow_files()
    asyncio.run(_live())
