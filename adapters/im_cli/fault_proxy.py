"""A TCP proxy that cuts WebSocket connections the way networks do, when it is told to.

One proxy stands before one client. It knows as much of WebSocket as it needs to find the borders
of frames, and nothing of the protocol inside. What it can do to a link:

    reset            RST to both sides
    mid-frame-up     half a frame reaches the server, then RST to both sides
    mid-frame-down   half a frame reaches the client, then RST to both sides
    lost-answers     the server's answers never arrive, then RST to both sides: what the server has
                     taken looks unanswered, and the client has to send it again
    zombie           the client's bytes are held back, then only the client sees a RST; they arrive
                     at the server on the old connection all the same, half of the frames together
                     with the client's next log-in, the others when that was answered
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from .demo_frames import Splitter, payload

#: How long a half-sent frame may lie at the receiver before the RST, in seconds.
_SETTLE: Final = 0.02
#: How long a zombie's old connection is watched after the release, in seconds.
_ZOMBIE_WATCH: Final = 0.3
#: A zombie holds back this many messages if they come before `_HOLD`, in seconds, is over.
_ZOMBIE_MESSAGES: Final = 16
_HOLD: Final = 0.15
#: How long a cut waits for the traffic it needs, in seconds.
_PATIENCE: Final = 1.0
_CHAT: Final = b"CHAT_SEND_TO_ONE_REQUEST"
_ANSWER: Final = b"CHAT_SEND_RESPONSE"
_CLOSE: Final = 8
_LINGER: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Cut(StrEnum):
    """The ways to cut a link; see the module."""

    RESET = "reset"
    MID_FRAME_UP = "mid-frame-up"
    MID_FRAME_DOWN = "mid-frame-down"
    LOST_ANSWERS = "lost-answers"
    ZOMBIE = "zombie"


def abort(writer: asyncio.StreamWriter) -> None:
    """End a connection with a RST."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
    writer.transport.abort()


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.is_closing():  # asyncio logs a warning for each write to what is gone
        writer.write(data)


def _end(writer: asyncio.StreamWriter) -> bool:
    """Pass on an end of file; False if there is nobody to pass it on to."""
    if writer.is_closing():
        return False
    try:
        writer.write_eof()
    except OSError:
        return False
    return True


@dataclass(slots=True)
class Injected:
    """What a proxy has done."""

    cuts: Counter[str] = field(default_factory=Counter)
    links: int = 0
    #: links whose held bytes were sent on after a newer log-in was answered
    zombies_released: int = 0
    #: the frames of these
    stale_frames: int = 0
    #: chat messages in those frames
    stale_messages: int = 0


class _Link:
    """One connection of the client, with its own to the server."""

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        zombie: _Link | None,
        released: Callable[[int, int], None],
    ) -> None:
        self.client_reader, self.client = client
        self.server_reader, self.server = server
        self.ended = asyncio.Event()
        #: the server has ended it, or said that it will
        self.server_closed = asyncio.Event()
        #: client's units that are held back; None: they pass
        self.held: list[bytes] | None = None
        self.held_messages = 0
        self._moved = asyncio.Event()
        self._cut_up: asyncio.Future[None] | None = None
        self._cut_down: asyncio.Future[None] | None = None
        self._lose: asyncio.Future[None] | None = None
        self._is_zombie = False
        self._zombie = zombie
        self._released = released
        self._ups = self._downs = 0
        self._gate: deque[bytes] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------ moving bytes

    async def run(self) -> None:
        """Carry bytes both ways until both sides have ended."""
        try:
            await asyncio.gather(
                self._pump(self.client_reader, self._up, self._client_ended),
                self._pump(self.server_reader, self._down, self._server_ended),
            )
        finally:
            for task in self._tasks:
                task.cancel()
            self.kill()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        handle: Callable[[bytes], Awaitable[None]],
        ended: Callable[[bool], None],
    ) -> None:
        splitter = Splitter()
        clean = False
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                for unit in splitter.feed(data):
                    await handle(unit)
            clean = True
        ended(clean)

    async def _up(self, unit: bytes) -> None:
        self._ups += 1
        if self._zombie is not None and self._ups > 2:
            self._gate.append(unit)
        elif self.held is not None:
            self.held.append(unit)
            self.held_messages += payload(unit).count(_CHAT)
            self._moved.set()
        elif self._cut_up is not None and len(unit) >= 8:
            await self._half(unit, self.server, self._cut_up)
        else:
            _write(self.server, unit)
            if self._zombie is not None and self._ups == 2:
                self._zombie.let_go_early()
            await self.server.drain()

    async def _down(self, unit: bytes) -> None:
        self._downs += 1
        if self._downs > 1 and unit[0] & 0x0F == _CLOSE:
            self.server_closed.set()
        if self._is_zombie:
            return
        if self._lose is not None:
            if _ANSWER in unit and not self._lose.done():
                self._lose.set_result(None)
        elif self._cut_down is not None and len(unit) >= 8:
            await self._half(unit, self.client, self._cut_down)
        else:
            if self._zombie is not None and self._downs == 2:
                task = asyncio.create_task(self._release(self._zombie))
                self._tasks.add(task)
            _write(self.client, unit)
            await self.client.drain()

    async def _half(
        self, unit: bytes, to: asyncio.StreamWriter, done: asyncio.Future[None]
    ) -> None:
        _write(to, unit[: len(unit) // 2])
        await asyncio.sleep(_SETTLE)
        self.kill()
        if not done.done():
            done.set_result(None)

    def _client_ended(self, clean: bool) -> None:
        if self._is_zombie:
            return
        if not (clean and _end(self.server)):
            self.kill()

    def _server_ended(self, clean: bool) -> None:
        self.server_closed.set()
        if self._is_zombie or not (clean and _end(self.client)):
            self.kill()

    def kill(self) -> None:
        """RST to both sides."""
        abort(self.client)
        abort(self.server)
        self.ended.set()

    # ------------------------------------------------------------ cuts

    async def half_a_frame(self, *, up: bool) -> bool:
        """Cut in the middle of the next frame that goes that way; False: none came."""
        done = asyncio.get_running_loop().create_future()
        if up:
            self._cut_up = done
        else:
            self._cut_down = done
        if await self._within(done):
            return True
        self._cut_up = self._cut_down = None
        return False

    async def lose_answers(self) -> bool:
        """Swallow what the server says until it has answered a message, then cut."""
        self._lose = asyncio.get_running_loop().create_future()
        answered = await self._within(self._lose)
        await asyncio.sleep(_SETTLE)  # some more
        # without an answer it is cut all the same: what was swallowed can't be given back
        self.kill()
        return answered

    async def become_zombie(self) -> bool:
        """Hold the client's bytes back, then cut off the client only; False: it sent nothing."""
        loop = asyncio.get_running_loop()
        self.held = []
        started = loop.time()
        while not self.ended.is_set() and self.held_messages < _ZOMBIE_MESSAGES:
            left = started + (_HOLD if self.held_messages else _PATIENCE) - loop.time()
            if left <= 0:
                break
            self._moved.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), left)
        if self.held_messages and not self.ended.is_set() and not self.server_closed.is_set():
            self._is_zombie = True
            abort(self.client)
            return True
        self.let_go(len(self.held))
        self.held = None
        return False

    def let_go_early(self) -> None:
        """Half of the units, but never the last message."""
        units = self.held or []
        last = max((i for i, unit in enumerate(units) if _CHAT in payload(unit)), default=0)
        self.let_go(min(len(units) // 2, last))

    def let_go(self, count: int) -> None:
        """Give the server so many of the units that are held back."""
        assert self.held is not None
        for unit in self.held[:count]:
            _write(self.server, unit)
            self.held_messages -= payload(unit).count(_CHAT)
        del self.held[:count]

    async def _within(self, done: asyncio.Future[None]) -> bool:
        ended = asyncio.create_task(self.ended.wait())
        await asyncio.wait((done, ended), timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        return done.done()

    # ------------------------------------------------------------ a zombie and its successor

    async def _release(self, zombie: _Link) -> None:
        """The newer log-in was answered: let the old bytes go, and wait for what they do."""
        frames, messages = len(zombie.held or ()), zombie.held_messages
        zombie.let_go(frames)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(zombie.server_closed.wait(), _ZOMBIE_WATCH)
        zombie.kill()
        self._released(frames, messages)
        while self._gate:
            _write(self.server, self._gate.popleft())
        self._zombie = None
        with contextlib.suppress(OSError):
            await self.server.drain()


class FaultProxy:
    """See the module. `start()` it, connect one client to `port`, and call `cut()`."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._link: _Link | None = None
        self._zombie: _Link | None = None
        self._outage_ends = 0.0
        self.injected = Injected()
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End every link and stop listening."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    @property
    def linked(self) -> bool:
        """The client has a link through here, and it is whole."""
        return self._link is not None and not self._link.ended.is_set()

    @property
    def zombie_waits(self) -> bool:
        """Bytes of an old link wait for the client's next log-in, or have just been let go."""
        return self._zombie is not None

    async def cut(self, kind: Cut, *, outage: float = 0.0) -> bool:
        """Cut the client's link.

        Args:
            kind: how.
            outage: for so many seconds the client's next connection gets nowhere.

        Returns:
            Whether it came to that. False if there is no link, or not the traffic that it takes;
            the link may be gone all the same.
        """
        link = self._link
        if link is None or link.ended.is_set() or self.zombie_waits:
            return False
        match kind:
            case Cut.RESET:
                link.kill()
                done = True
            case Cut.MID_FRAME_UP | Cut.MID_FRAME_DOWN:
                done = await link.half_a_frame(up=kind is Cut.MID_FRAME_UP)
            case Cut.LOST_ANSWERS:
                done = await link.lose_answers()
            case Cut.ZOMBIE:
                done = await link.become_zombie()
                self._zombie = link if done else None
        if done:
            self._outage_ends = asyncio.get_running_loop().time() + outage
            self.injected.cuts[kind] += 1
        return done

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(max(0.0, self._outage_ends - asyncio.get_running_loop().time()))
            server = await asyncio.open_connection(*self._upstream)
        except OSError:
            abort(writer)
            return
        except asyncio.CancelledError:
            abort(writer)
            raise
        zombie = self._zombie
        if zombie is not None and zombie.ended.is_set():
            zombie = self._zombie = None  # the server went down meanwhile
        self._link = link = _Link((reader, writer), server, zombie, self._released)
        self.injected.links += 1
        await link.run()

    def _released(self, frames: int, messages: int) -> None:
        self._zombie = None
        self.injected.zombies_released += 1
        self.injected.stale_frames += frames
        self.injected.stale_messages += messages
