"""A hostile peer: a raw socket, frames made by hand, and a record of what the server answers.

Nothing of the engine is used here: an attack has to be able to say what the engine never would.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

_KEY: Final = base64.b64encode(b"sixteen bytes ok").decode()
_READ: Final = 262_144

#: What a connection's end looked like when the server said nothing before it.
DROPPED: Final = "dropped"
#: The server took no more bytes: it reads the peer more slowly, or not at all.
SLOWED: Final = "slowed down"
#: Nothing was said within the attacker's patience: the one answer that is never documented.
NOTHING: Final = "nothing"


class Gone(Exception):
    """The server has ended the connection of `peer`."""

    def __init__(self, peer: Peer) -> None:
        super().__init__()
        self.peer = peer


@dataclass
class Tally:
    """What an attacker did, and what it got for it."""

    answers: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    bytes: int = 0
    frames: int = 0


@dataclass
class Aim:
    """Where an attacker aims, and what it has.

    Attributes:
        host, port: of the server.
        token: makes a good token for a user; an attacker may well have an account, or many.
        rng: chooses what is random in an attack.
        users: ids of its own accounts, each given once.
        victim: a user who has nothing to do with it.
        foreign: a session of others.
        source: the address to come from; "": any.
        many: how much a flood sends in a round at the most.
        pause: seconds between two bytes of who is slow on purpose.
        patience: seconds to wait for whatever the server does.
    """

    host: str
    port: int
    token: Callable[[int], str]
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    users: Iterator[int] = field(default_factory=lambda: itertools.count(1_000_000))
    victim: int = 1
    foreign: int = 1
    source: str = ""
    many: int = 1000
    pause: float = 0.1
    patience: float = 15.0
    tally: Tally = field(default_factory=Tally)

    def saw(self, answer: str) -> None:
        """Note what the server answered."""
        self.tally.answers[answer] += 1


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `code` is that of the call, None if there was none."""

    status: int
    code: int | None


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """One frame, as a client sends it unless told otherwise."""
    size, mask = len(payload), 0x80 if masked else 0
    head = bytearray((opcode | (0x80 if fin else 0) | rsv << 4,))
    if size < 126:
        head.append(mask | size)
    elif size < 65_536:
        head += bytes((mask | 126,)) + size.to_bytes(2, "big")
    else:
        head += bytes((mask | 127,)) + size.to_bytes(8, "big")
    # a mask of zeros is a mask, and leaves the payload as it is
    return bytes(head) + (bytes(4) if masked else b"") + payload


def envelope(kind: str, message: object) -> bytes:
    """An envelope with its message as a string of JSON."""
    return json.dumps({"type": kind, "message": json.dumps(message)}).encode()


def upgrade(
    *more: str, target: str = "/ws", version: str = "HTTP/1.1", method: str = "GET", **headers: str
) -> bytes:
    """An upgrade request; `headers` replace good ones ("" leaves one out), `more` are lines."""
    lines = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec_WebSocket_Key": _KEY,
        "Sec_WebSocket_Version": "13",
    } | headers
    given = [f"{name.replace('_', '-')}: {value}" for name, value in lines.items() if value]
    head = "\r\n".join([f"{method} {target} {version}", *given, *more, "", ""])
    return head.encode("latin-1")


class Peer:
    """One connection of an attacker: `async with Peer(aim) as peer`."""

    def __init__(self, aim: Aim, *, receive_buffer: int | None = None) -> None:
        self.aim = aim
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._sock.setblocking(False)
        if receive_buffer is not None:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in = bytearray()
        self.headers = ""
        self._status: int | None = None
        self._close: int | None = None
        self._noted = False

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        try:
            if self.aim.source:
                # the port is chosen at connect(): bound before, ports would soon be used up
                if hasattr(socket, "IP_BIND_ADDRESS_NO_PORT"):
                    self._sock.setsockopt(socket.SOL_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
                else:  # not in the socket module before 3.12
                    self._sock.setsockopt(socket.IPPROTO_IP, 24, 1)
                self._sock.bind((self.aim.source, 0))
            async with asyncio.timeout(self.aim.patience):
                await loop.sock_connect(self._sock, (self.aim.host, self.aim.port))
        except BaseException:
            self._sock.close()
            raise
        self.aim.tally.connections += 1
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Where the server has ended it, note how."""
        mine = isinstance(exc, Gone) and exc.peer is self
        try:
            if mine:
                await self.end()
        finally:
            self._sock.close()
        return mine

    # ------------------------------------------------------------ out

    async def send(self, data: bytes, *, frames: int = 0) -> None:
        """Send bytes, as soon as the server takes them.

        Raises:
            Gone: it takes none any more.
        """
        self.aim.tally.bytes += len(data)
        self.aim.tally.frames += frames
        try:
            await asyncio.get_running_loop().sock_sendall(self._sock, data)
        except OSError:
            raise Gone(self) from None

    async def say(self, kind: str, message: object) -> None:
        """Send an envelope."""
        await self.text(envelope(kind, message))

    async def text(self, payload: bytes) -> None:
        """Send a text frame."""
        await self.send(frame(TEXT, payload), frames=1)

    async def dribble(self, data: bytes) -> None:
        """Send a byte now and then, until the server has enough of it.

        Raises:
            Gone: it has.
        """
        for byte in itertools.cycle(data):
            await self.send(bytes((byte,)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.aim.pause):
                    await self._receive()

    async def flood(self, data: bytes, count: int, *, frames: int = 1) -> bool:
        """Send the same again and again, as fast as it goes, and read nothing meanwhile; False:
        the server took no more of it in time, or for ever."""
        piece = data * max(1, min(count, 65_536 // len(data)))
        per_piece = len(piece) // len(data)
        try:
            async with asyncio.timeout(min(2.0, self.aim.patience)):
                for _ in range(0, count, per_piece):
                    await self.send(piece, frames=per_piece * frames)
        except (TimeoutError, Gone):
            return False
        return True

    # ------------------------------------------------------------ in

    async def _receive(self) -> None:
        try:
            data = await asyncio.get_running_loop().sock_recv(self._sock, _READ)
        except OSError:
            data = b""
        if not data:
            raise Gone(self)
        self._in += data

    async def head(self) -> int:
        """Wait for the head of an HTTP answer; returns the status.

        Raises:
            Gone: there is none.
        """
        while (end := self._in.find(b"\r\n\r\n")) < 0:
            await self._receive()
        self.headers = bytes(self._in[:end]).decode("latin-1").lower()
        del self._in[: end + 4]
        self._status = int(self.headers.split()[1])
        return self._status

    async def answer(self) -> Answer:
        """Wait for a whole HTTP answer.

        Raises:
            Gone: it is not whole.
        """
        status = await self.head()
        _, _, rest = self.headers.partition("content-length:")
        size = int(rest.split()[0]) if rest else 0
        while len(self._in) < size:
            await self._receive()
        body = bytes(self._in[:size])
        del self._in[:size]
        with contextlib.suppress(ValueError):
            found = json.loads(body)
            return Answer(status, found.get("code") if isinstance(found, dict) else None)
        return Answer(status, None)

    def _frame(self) -> tuple[int, bytes] | None:
        if len(self._in) < 2:
            return None
        size, start = self._in[1] & 0x7F, 2
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(self._in[2:start], "big")
        if len(self._in) < start + size:
            return None
        opcode, payload = self._in[0] & 0x0F, bytes(self._in[start : start + size])
        del self._in[: start + size]
        return opcode, payload

    async def next(self) -> tuple[int, bytes]:
        """Wait for the next frame.

        Raises:
            Gone: the connection ends.
        """
        while (found := self._frame()) is None:
            await self._receive()
        if found[0] == CLOSE:
            self._close = int.from_bytes(found[1][:2], "big") or 1005
            raise Gone(self)
        return found

    async def messages(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """What the server says, message by message.

        Raises:
            Gone: the connection ends.
        """
        while True:
            opcode, payload = await self.next()
            if opcode != TEXT:
                continue
            frame = json.loads(payload)
            for one in frame if isinstance(frame, list) else [frame]:
                message = one.get("message")
                yield one["type"], json.loads(message) if isinstance(message, str) else message

    async def heard(self, *kinds: str) -> dict[str, Any]:
        """Wait for a message of one of these types.

        Raises:
            Gone: the connection ends before.
        """
        async for kind, message in self.messages():
            if kind in kinds:
                return message
        raise Gone(self)

    # ------------------------------------------------------------ on good terms

    async def open(self, *more: str, **headers: str) -> None:
        """Upgrade.

        Raises:
            Gone: the server doesn't want it.
        """
        await self.send(upgrade(*more, **headers))
        if await self.head() != 101:
            raise Gone(self)

    async def login(self, user: int, *, device: str = "", **more: Any) -> dict[str, Any]:
        """Upgrade and log in; with a device, by all capabilities.

        Raises:
            Gone: the server doesn't want it.
        """
        await self.open()
        message: dict[str, Any] = {"accessToken": self.aim.token(user), **more}
        if device:
            message |= {"deviceId": device, "capabilities": CAPABILITIES}
        await self.say("AUTH_REQUEST", message)
        return await self.heard("AUTH_RESPONSE")

    async def alive(self) -> None:
        """Is this connection served as any other? Says so.

        Raises:
            Gone: it is no more.
        """
        await self.say("HEARTBEAT_REQUEST", {})
        await self.heard("HEARTBEAT_RESPONSE")
        self.aim.saw("still served")

    # ------------------------------------------------------------ the end

    async def end(self) -> None:
        """Wait for the end, and note how it looked."""
        with contextlib.suppress(Gone):
            if self._status is None:
                await self.head()
            while self._status == 101 and self._close is None:
                await self.next()
        if self._noted:
            return
        self._noted = True
        if self._close is not None:
            self.aim.saw(f"close {self._close}")
        elif self._status in (None, 101):
            self.aim.saw(DROPPED)
        else:
            self.aim.saw(f"HTTP {self._status}")

    async def gone(self) -> None:
        """Wait for the end of the TCP connection itself, saying nothing more."""
        with contextlib.suppress(Gone):
            while True:
                await self._receive()


CAPABILITIES: Final = [
    *("seq", "batch", "inline", "status", "receipts", "typing", "presence", "refresh", "sessions")
]


def device(rng: random.Random) -> str:
    """A new device id."""
    return f"{rng.getrandbits(128):032x}"


def junk(rng: random.Random, size: int) -> str:
    """Letters."""
    return base64.urlsafe_b64encode(rng.randbytes(size))[:size].decode()
