"""The asyncio client's I/O loop with an engine that does what a test says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from im_asyncio.clock import Clock
from im_asyncio.driver import Driver
from im_proto.client import actions as ac
from im_proto.client import inputs as inp
from im_runtime import Log


class FakeEngine:
    """Answers each input with what the test has put there, and has the deadline it is given."""

    def __init__(self) -> None:
        #: a list of actions, or a function that makes it of the input
        self.answers: dict[type, list[Any] | Callable[[Any], list[Any]]] = {}
        self.deadline: float | None = None
        self.unsettled = False
        self.inputs: list[Any] = []
        self.times: list[float] = []
        self._changed = asyncio.Event()

    def step(self, item: Any, now: float) -> list[Any]:
        self.inputs.append(item)
        self.times.append(now)
        self._changed.set()
        answer = self.answers.get(type(item), [])
        return answer(item) if callable(answer) else answer

    def next_deadline(self) -> float | None:
        return self.deadline

    def kinds(self) -> list[type]:
        """What came in, but for the wall clock."""
        return [type(item) for item in self.inputs if not isinstance(item, inp.WallClock)]

    async def until(self, kind: type, times: int = 1) -> Any:
        """Wait for an input of that kind; it."""
        while self.kinds().count(kind) < times:
            self._changed.clear()
            await self._changed.wait()
        return [item for item in self.inputs if type(item) is kind][times - 1]


def driver(
    engine: FakeEngine, told: list[Any] | None = None, *, tls: ssl.SSLContext | None = None
) -> Driver:
    """The I/O loop of that engine; `told` gets events and bugs."""
    told = [] if told is None else told
    clock = Clock()
    clock.bind(asyncio.get_running_loop(), fresh=True)
    it: Any = Driver(
        engine,  # type: ignore[arg-type]
        clock,
        log=Log("im_asyncio"),
        token="t",
        deliver=told.append,
        failed=told.append,
        ssl_context=tls,
        wall=lambda: 1_700_000_000.0,
        close_timeout=1.0,
    )
    return it


def opening(**more: Any) -> list[Any]:
    """Open transport 1."""
    wanted = {"transport": 1, "host": "127.0.0.1", "port": 1, "secure": False} | more
    return [ac.OpenTransport(**wanted)]
