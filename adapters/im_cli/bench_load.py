"""The load of a benchmark: pairs of clients that keep some messages in flight, whoever's they are.

A module of clients has `connect`:

    async def connect(setup: Setup, number: int) -> Pair: ...

and `python -m im_cli.bench_load MODULE` is the process in which all of its pairs live, A and B. Its
first line of input is the `Setup`; it answers {"ready": N} when all are connected, and each further
line {"seconds": …, "messages": …} with what the run found (`Found`), until its input ends.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import importlib
import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

#: Characters of a message.
LENGTH: Final = 80
#: Log-ins at a time.
_LOGINS: Final = 50
#: Seconds that the last messages may take.
_PATIENCE: Final = 30.0


@dataclasses.dataclass(frozen=True, slots=True)
class Setup:
    """What a module of clients is told.

    Args:
        url: of the server, or whatever leads to it.
        pairs: how many.
        window: messages that each pair keeps in flight.
        users: for each pair: [A, A's token, B, B's token]; () where the module names them itself.
    """

    url: str
    pairs: int
    window: int
    users: Sequence[Sequence[Any]] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What a run found.

    Args:
        messages: sent, acknowledged to A and received by B, each once.
        seconds: from the first to the last of these.
        cpu: seconds of this process, meanwhile.
        strays: messages that came to a B and were not of this run.
        ack: seconds from a message's sending to its acknowledgement: quantiles by name.
        delivery: seconds until B has it.
    """

    messages: int
    seconds: float
    cpu: float
    strays: int
    ack: Mapping[str, float]
    delivery: Mapping[str, float]


class Load:
    """What all lanes of a run have in common.

    Args:
        seconds: after which no further message is sent; None: no such end.
        messages: the most that are sent; None: any number.
    """

    __slots__ = ("_complete", "_deadline", "_open", "acks", "deliveries", "left", "sent", "strays")

    def __init__(self, seconds: float | None, messages: int | None) -> None:
        self._deadline = time.perf_counter() + seconds if seconds is not None else float("inf")
        self.left = -1 if messages is None else messages
        self.sent = 0
        self.strays = 0
        self.acks: list[float] = []
        self.deliveries: list[float] = []
        self._open = True
        self._complete = asyncio.Event()

    def take(self, now: float) -> bool:
        """Whether one more is to be sent."""
        if self.left == 0 or now >= self._deadline:
            return False
        self.left -= 1
        self.sent += 1
        return True

    async def finish(self) -> None:
        """All was sent: wait until all has arrived.

        Raises:
            TimeoutError: it does not.
        """
        self._open = False
        self.look()
        async with asyncio.timeout(_PATIENCE):
            await self._complete.wait()

    def look(self) -> None:
        """Was that the last one?"""
        if not self._open and len(self.acks) >= self.sent and len(self.deliveries) >= self.sent:
            self._complete.set()

    def missing(self) -> str:
        """What there was of each."""
        return f"{self.sent} sent, {len(self.acks)} acknowledged, {len(self.deliveries)} received"


class Lane:
    """A pair's side of a run. Acknowledgements and messages come in the order of sending."""

    __slots__ = ("_load", "_unacked", "_undelivered", "text")

    def __init__(self, load: Load, text: str) -> None:
        self._load = load
        self._unacked: deque[float] = deque()
        self._undelivered: deque[float] = deque()
        self.text = text

    def next(self) -> bool:
        """Whether to send `text` once more; if so, now."""
        now = time.perf_counter()
        if not self._load.take(now):
            return False
        self._unacked.append(now)
        self._undelivered.append(now)
        return True

    def acked(self) -> None:
        """A's oldest message without one has its acknowledgement."""
        load = self._load
        load.acks.append(time.perf_counter() - self._unacked.popleft())
        load.look()

    def received(self, content: object) -> None:
        """B has a message."""
        load = self._load
        if content != self.text or not self._undelivered:
            load.strays += 1
            return
        load.deliveries.append(time.perf_counter() - self._undelivered.popleft())
        load.look()


class Pair(Protocol):
    """A and B, connected, as somebody's clients."""

    async def run(self, lane: Lane, window: int) -> None:
        """Keep `window` messages in flight while `lane.next()`; return when all are acknowledged.

        What B receives meanwhile, and afterwards, goes to `lane.received`.
        """


def quantiles(samples: Sequence[float]) -> dict[str, float]:
    """The middle one, and those that 90 and 99 of 100 don't exceed, and the greatest."""
    ordered = sorted(samples)
    if not ordered:
        return {}
    last = len(ordered) - 1
    return {
        name: ordered[min(last, int(part * len(ordered)))]
        for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    }


async def run(
    pairs: Sequence[Pair], window: int, seconds: float | None, messages: int | None
) -> Found:
    """Load the server once.

    Raises:
        TimeoutError: not all arrived. Says what did.
    """
    gc.collect()
    load = Load(seconds, messages)
    mark = os.urandom(8).hex()  # no message of another run looks like one of this
    lanes = [Lane(load, f"{number} {mark} ".ljust(LENGTH, "x")) for number in range(len(pairs))]
    start, cpu = time.perf_counter(), time.process_time()
    try:
        await asyncio.gather(
            *(pair.run(lane, window) for pair, lane in zip(pairs, lanes, strict=True))
        )
        await load.finish()
    except TimeoutError:
        raise TimeoutError(f"messages are missing: {load.missing()}") from None
    return Found(
        messages=load.sent,
        seconds=time.perf_counter() - start,
        cpu=time.process_time() - cpu,
        strays=load.strays,
        ack=quantiles(load.acks),
        delivery=quantiles(load.deliveries),
    )


# ---------------------------------------------------------------- the process


def main() -> None:
    """Be the clients, until the standard input ends."""
    allow_files()
    module = importlib.import_module(sys.argv[1])
    asyncio.run(_clients(module))


async def _clients(module: Any) -> None:
    orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    _read_orders(asyncio.get_running_loop(), orders)
    setup = Setup(**await orders.get())
    logins = asyncio.Semaphore(_LOGINS)

    async def connect(number: int) -> Pair:
        async with logins:
            pair: Pair = await module.connect(setup, number)
            return pair

    try:
        pairs = await asyncio.gather(*map(connect, range(setup.pairs)))
    except Exception as error:  # whatever it is, the parent has to know
        say({"error": f"can't connect: {type(error).__name__}: {error}"})
        return
    say({"ready": len(pairs)})
    while True:
        order = await orders.get()
        try:
            found = await run(pairs, setup.window, order.get("seconds"), order.get("messages"))
        except Exception as error:  # as above
            say({"error": f"{type(error).__name__}: {error}"})
            return
        say(dataclasses.asdict(found))


def say(answer: Mapping[str, Any]) -> None:
    """Tell whoever started this process."""
    print(json.dumps(answer), flush=True)  # noqa: T201 - the parent reads it


def _read_orders(loop: asyncio.AbstractEventLoop, orders: asyncio.Queue[dict[str, Any]]) -> None:
    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(orders.put_nowait, json.loads(line))
        os._exit(0)  # nobody is left to measure for

    threading.Thread(target=read, daemon=True).start()


def allow_files() -> None:
    """A shell gives 1024 open files, and lets a process ask for more."""
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    main()
