"""Visits: connect, log in, get the answer, leave; by bytes that are ready beforehand.

A real client would cost as much as the server, and be what is measured. What it writes is made
before: for our server by a real `ClientEngine`, for the others by hand.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from im_proto.client import ClientEngine
from im_proto.client import actions as act
from im_proto.client import inputs as inp
from im_proto.config import ClientConfig

#: What the accept key is made with (RFC 6455, section 1.3).
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE: Final = 0x8
_TEXT: Final = 0x1
#: Seconds that a visit may take.
_PATIENCE: Final = 30.0

#: What to write after a text of the server; b"" for nothing yet, None when logged in.
Reply = Callable[[bytes], bytes | None]


class VisitError(Exception):
    """The server did not let somebody in. Says what it said."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who comes.

    Args:
        upgrade: the request.
        first: what is written after the upgrade.
        reply: what is written after each text of the server.
    """

    upgrade: bytes
    first: bytes
    reply: Reply


def frame(payload: bytes, opcode: int = _TEXT) -> bytes:
    """A frame of a client, of less than 64 KiB."""
    size = len(payload)
    head = bytes([0x80 | opcode])
    head += bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def upgrade(url: str, path: str) -> bytes:
    """A request as small as ours."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def ours(url: str, user: int, token: str) -> Visitor:
    """What a client of ours writes."""
    config = ClientConfig(ws_url=url, token=token, user_id=user, device_id=f"device-{user}")
    engine = ClientEngine(config, now=0.0, wall=0.0, rng=random.SystemRandom())
    engine.step(inp.Connect(), 0.0)
    request = _bytes(engine.step(inp.TransportOpened(transport=1), 0.0))
    key = next(
        line.partition(b": ")[2]
        for line in request.split(b"\r\n")
        if line.startswith(b"Sec-WebSocket-Key")
    )
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    answer += b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    first = _bytes(engine.step(inp.BytesReceived(transport=1, data=answer), 0.0))
    return Visitor(request, first, _admitted)


def _admitted(text: bytes) -> None:
    answer = json.loads(text)
    if answer["type"] != "AUTH_RESPONSE" or json.loads(answer["message"])["code"] != 0:
        raise VisitError(f"the server said {text[:200]!r}")


def _bytes(actions: Sequence[act.Action]) -> bytes:
    return b"".join(action.data for action in actions if isinstance(action, act.SendBytes))


def _expect(what: bytes, text: bytes) -> None:
    if what not in text:
        raise VisitError(f"the server said {text[:200]!r}")


def relay(url: str, user: int, token: str) -> Visitor:
    """The relay's log-in: {"token": …}, answered by {"user": …}."""
    login = frame(b'{"token":"%s"}' % token.encode())
    return Visitor(upgrade(url, "/"), login, lambda text: _expect(b'"user"', text))


def socketio(url: str, user: int, token: str) -> Visitor:
    """Engine.IO 4 over WebSocket: its open packet, then Socket.IO's connect packet and answer."""
    login = frame(b'40{"token":"%s"}' % token.encode())

    def reply(text: bytes) -> bytes | None:
        if text.startswith(b"0{"):
            return login
        _expect(b'40{"sid"', text)
        return None

    return Visitor(upgrade(url, "/socket.io/?transport=websocket&EIO=4"), b"", reply)


class _Visit(asyncio.Protocol):
    """One visitor's connection."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._buffer = b""
        self._upgraded = self._inside = False
        self._transport: asyncio.Transport | None = None
        #: None at the end of a visit, an exception if it was none
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._visitor.upgrade)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            if self._upgraded or self._upgrade():
                self._frames()
        except VisitError as error:
            self._end(error)

    def _upgrade(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 101"):
            raise VisitError(f"the server said {head[:80]!r}")
        self._buffer, self._upgraded = rest, True
        self._write(self._visitor.first)
        return True

    def _frames(self) -> None:
        while len(self._buffer) >= 2:
            at, size = 2, self._buffer[1]
            if size == 126:
                at, size = 4, int.from_bytes(self._buffer[2:4], "big")
            if len(self._buffer) < at + size:
                return
            opcode, payload = self._buffer[0] & 0xF, self._buffer[at : at + size]
            self._buffer = self._buffer[at + size :]
            self._frame(opcode, payload)

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == _CLOSE and not self._inside:
            raise VisitError(f"the server closed with {payload!r}")
        if opcode != _TEXT or self._inside:
            return
        reply = self._visitor.reply(payload)
        if reply is None:
            self._inside = True
            reply = frame((1000).to_bytes(2, "big"), _CLOSE)
        self._write(reply)

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        if data:
            self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(None if self._inside else VisitError(f"the connection was lost: {exc}"))

    def _end(self, error: VisitError | None) -> None:
        assert self._transport is not None
        self._transport.abort()
        if not self.over.done():
            if error is None:
                self.over.set_result(None)
            else:
                self.over.set_exception(error)


async def visit(url: str, visitors: Sequence[Visitor], count: int, at_once: int) -> None:
    """So many visits, by the visitors in turn.

    Raises:
        VisitError: one was not let in.
        OSError: one could not connect.
        TimeoutError: one took too long.
    """
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    assert parts.hostname is not None and parts.port is not None
    host, port = parts.hostname, parts.port
    numbers = iter(range(count))

    async def one_after_the_other() -> None:
        for number in numbers:
            made = partial(_Visit, visitors[number % len(visitors)])
            _, protocol = await loop.create_connection(made, host, port)
            async with asyncio.timeout(_PATIENCE):
                await protocol.over

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_the_other())
