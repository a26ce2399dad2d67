"""A bad network between one window of the lab and the server: a TCP proxy on real sockets.

It knows nothing of WebSocket. A segment is what one side has written when the proxy reads it, at
most 16 KiB; a message of a chat is one. `MEANINGS` says what each fault does.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from .fault_proxy import abort

_SEGMENT: Final = 16_384
#: Segments that may be on their way; then the proxy reads no more.
_ON_THEIR_WAY: Final = 256
#: Seconds until a segment that was lost is sent again, the first time; the least that Linux waits.
#: Each further time is twice as long.
RETRANSMIT: Final = 0.2
#: A segment that was sent so often and always lost ends the connection.
ATTEMPTS: Final = 6

MEANINGS: Final = {
    "latency": "Seconds that each segment takes, each way.",
    "jitter": "Up to so many seconds more, another number for each segment. Their order stays, as "
    "TCP sees to it.",
    "loss": "The part of all segments that are lost. TCP never loses one silently: it is sent "
    f"again after {RETRANSMIT:g} s, {2 * RETRANSMIT:g} s, {4 * RETRANSMIT:g} s …, and all that is "
    f"behind it waits meanwhile. Lost {ATTEMPTS} times in a row, the connection is reset.",
    "blackhole": "Nothing gets through, not even the end of a connection, and nobody is told. "
    "What is on its way arrives when the hole is closed.",
    "reset": "The connection is gone at once (RST), with all that was on its way.",
    "fin": "The connection is ended (FIN) without a word of WebSocket. What was on its way is "
    "lost.",
    "half": "This connection carries nothing any more, and neither side is told, as when a router "
    "forgets it. A new one gets through.",
}


class Cut(StrEnum):
    """The ways to cut a connection; see `MEANINGS`."""

    RESET = "reset"
    FIN = "fin"
    HALF = "half"


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What is wrong with a network; see `MEANINGS`. Times in seconds."""

    latency: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    blackhole: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(slots=True)
class Links:
    """What a proxy has seen: connections that are open, that ever were; segments that were lost
    (each time counts), connections that were cut."""

    open: int = 0
    opened: int = 0
    lost: int = 0
    cuts: int = 0


#: Is told what happens to connections: what, and for "lost" how many seconds it stalls.
Tell = Callable[[str, float | None], None]


class _BrokenError(Exception):
    """A segment was lost too often."""


class _Way:
    """One direction of a connection: segments that wait until they are due."""

    def __init__(
        self, proxy: LabProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        #: when it is due, and what: bytes, none for a FIN, an exception for the end of it all
        self._line: asyncio.Queue[tuple[float, bytes | Exception]] = asyncio.Queue(_ON_THEIR_WAY)
        #: nothing comes out any more
        self.dead = False

    async def take(self) -> None:
        """Read, until that side has ended it."""
        segment: bytes | Exception = b"?"
        while segment and not isinstance(segment, Exception):
            try:
                segment = await self._reader.read(_SEGMENT)
            except OSError as error:
                segment = error
            await self._line.put(self._sent(segment))

    async def give(self) -> None:
        """Write what is due, in the order in which it came; returns behind a FIN.

        Raises:
            OSError: the connection is gone, on either side.
            _BrokenError: … by a loss.
        """
        loop = asyncio.get_running_loop()
        while True:
            due, segment = await self._line.get()
            await asyncio.sleep(due - loop.time())
            await self._proxy.passable.wait()
            if isinstance(segment, Exception):
                if self.dead:
                    return
                raise segment
            if not self.dead:
                if segment:
                    self._writer.write(segment)
                    await self._writer.drain()
                else:
                    self._writer.write_eof()
            if not segment:
                return

    def _sent(self, segment: bytes | Exception) -> tuple[float, bytes | Exception]:
        """When it arrives, or what becomes of it."""
        proxy, faults = self._proxy, self._proxy.faults
        now = asyncio.get_running_loop().time()
        due = now + faults.latency + proxy.rng.uniform(0.0, faults.jitter)
        stall, wait, attempts = 0.0, RETRANSMIT, 0
        while isinstance(segment, bytes) and segment and proxy.rng.random() < faults.loss:
            stall += wait
            wait *= 2
            attempts += 1
            if attempts == ATTEMPTS:
                segment = _BrokenError()
        if attempts:
            proxy.lost(attempts, stall)
        return due + stall, segment


class _Link:
    """A connection of the window, with its own to the server."""

    def __init__(
        self,
        proxy: LabProxy,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._writers = (client[1], server[1])
        self._ways = (_Way(proxy, client[0], server[1]), _Way(proxy, server[0], client[1]))
        self._clean = False

    async def run(self) -> str:
        """Carry segments until both sides have ended; returns how it ended."""
        how = "closed"
        try:
            async with asyncio.TaskGroup() as tasks:
                for way in self._ways:
                    tasks.create_task(way.take())
                    tasks.create_task(way.give())
            self._clean = True
        except* OSError:
            pass
        except* _BrokenError:
            how = "broken"
        finally:
            for writer in self._writers:
                if self._clean:
                    writer.close()
                else:
                    abort(writer)
        return how

    def end(self) -> None:
        """FIN to both sides, when it is cancelled."""
        self._clean = True

    def die(self) -> None:
        """Carry nothing any more."""
        for way in self._ways:
            way.dead = True


class LabProxy:
    """See the module. `start()` it, and have one window connect to `port`.

    Args:
        port: of the server, on this machine.
        tell: is told what happens.
        rng: decides what is lost, and for how long each segment is on its way.
    """

    def __init__(self, port: int, tell: Tell, rng: random.Random) -> None:
        self._upstream = port
        self._tell = tell
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], _Link | None] = {}
        self.rng = rng
        self.faults = Faults()
        self.links = Links()
        #: no black hole
        self.passable = asyncio.Event()
        self.passable.set()
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End every connection and stop listening."""
        if self._server is not None:
            self._server.close()
        await self._cancel(list(self._tasks))
        if self._server is not None:
            await self._server.wait_closed()

    def set(self, faults: Faults) -> None:
        """From now on the network is like this; what is on its way arrives when it was to."""
        self.faults = faults
        if faults.blackhole:
            self.passable.clear()
        else:
            self.passable.set()

    async def cut(self, how: Cut) -> int:
        """Cut the connections that there are; returns how many."""
        # of one that waits in front of a black hole nothing is known that could be half open
        cut = {t: link for t, link in self._tasks.items() if link or how is not Cut.HALF}
        for link in filter(None, cut.values()):
            if how is Cut.HALF:
                link.die()
            elif how is Cut.FIN:
                link.end()
        if how is not Cut.HALF:
            await self._cancel(list(cut))
        self.links.cuts += len(cut)
        if cut:
            self._tell(how, None)
        return len(cut)

    def lost(self, times: int, seconds: float) -> None:
        """A segment was lost, and stalls its connection."""
        self.links.lost += times
        self._tell("lost", seconds)

    async def _cancel(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.passable.wait()
            server = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            abort(writer)
            self._tell("refused", None)
            return
        except asyncio.CancelledError:
            abort(writer)
            raise
        link = _Link(self, (reader, writer), server)
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = link
        self.links.open += 1
        self.links.opened += 1
        self._tell("opened", None)
        how = "closed"
        try:
            how = await link.run()
        finally:
            self.links.open -= 1
            self._tell(how, None)
