"""A peer that says what it likes by HTTP, on a real socket, beside somebody who notices nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator

from adapters.adapter_kit import until
from peers.plain_client import PlainClient
from server.server_kit import Running, token

ANN, BOB = 1, 2
#: The heads of two requests, but for the empty line that ends them.
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


class Peer:
    """A connection that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        """Send it; a server that is gone already is no matter."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def head(self) -> str:
        """The first line and the headers of an answer."""
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body."""
        head = (await self.head()).split("\r\n")
        lines = (line.partition(": ") for line in head[1:] if line)
        headers = {name.lower(): value for name, _, value in lines}
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body

    async def end(self) -> bytes:
        """All until the server has ended it."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""


@contextlib.asynccontextmanager
async def peer(server: Running, *, window: int | None = None) -> AsyncIterator[Peer]:
    """Connect; `window`: bytes that its socket takes without being read."""
    sock = socket.socket()
    if window is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", server.port))
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def undisturbed(server: Running) -> AsyncIterator[None]:
    """Somebody who is there all the time, talks, and notices nothing; and nothing is left of
    those who were there meanwhile."""
    async with PlainClient(server.url, token(BOB), BOB) as bob:
        await bob.login()
        yield
        assert not bob.closed
        assert (await bob.send(BOB, "still here", 1_700_000_000_000))["code"] == 0
        assert (await bob.receive())["content"] == "still here"
        await until(lambda: len(server.state.connections) == 1)
        doors = server.server.runner.doors
        assert (doors.inside, doors.places) == (1, 1)


def call(
    path: str = "/im/session/getCurrent",
    *lines: str,
    body: bytes = b"",
    user: int = ANN,
    method: str = "POST",
    given: str | None = None,
) -> bytes:
    """A call of ours."""
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: x",
        f"satoken: {token(user) if given is None else given}",
        f"Content-Length: {len(body)}",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


#: A body for `call`.
CURRENT = json.dumps({"userId": ANN}).encode()
