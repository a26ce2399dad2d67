"""A scripted peer on a real socket, and a frame around tests that looks for what is left behind."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import gc
import itertools
import re
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

from im_asyncio import ClientConfig, IMClient
from im_asyncio.link import Link
from im_proto.framing import CloseFrame, Framing, HandshakeRequested, TextFrame
from im_proto.limits import FrameLimits
from im_proto.wire import (
    AuthData,
    AuthRequest,
    AuthResponse,
    ChatAck,
    ChatRedirectToUser,
    ChatSendResponse,
    ChatSendToOne,
    HeartbeatRequest,
    HeartbeatResponse,
    Invocation,
    Message,
)

_M = TypeVar("_M", bound=Message)
Script = Callable[["Connection"], Awaitable[None]]


class Gone(Exception):
    """The client ended the connection."""


class Connection:
    """One client, as the scripted peer sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._framing = Framing.server(limits=FrameLimits(message_bytes=1 << 20))
        self._dialect = Invocation("server")
        self._waiting: list[Message] = []
        self.target = ""
        #: the close code of the client, once it came
        self.closed: int | None = None
        self._epoch = "e1"

    # -- the opening

    async def requested(self) -> HandshakeRequested:
        """Wait for the opening request."""
        while True:
            for event in await self._read():
                assert isinstance(event, HandshakeRequested), event
                self.target = event.target
                return event

    async def accept(self) -> None:
        """Wait for the opening request and take it."""
        await self.requested()
        self.write(self._framing.accept())

    async def reject(self, status: int) -> None:
        """Wait for the opening request and refuse it."""
        await self.requested()
        self.write(self._framing.reject(status))

    async def login(self, **data: Any) -> AuthRequest:
        """Accept, and log in; `data` is what a server with extensions says."""
        await self.accept()
        request = await self.next(AuthRequest)
        self.send(AuthResponse(code=0, data=AuthData(**data) if data else None))
        return request

    async def login_with_seq(self, *, seq: int = 0, resume: str | None = None) -> AuthRequest:
        """Log in as a server with `seq`, whose next push has the number `seq` + 1."""
        await self.accept()
        request = await self.next(AuthRequest)
        self.send(
            AuthResponse(
                code=0,
                data=AuthData(
                    device_id=request.device_id,
                    capabilities=["seq", "batch"],
                    epoch=self._epoch,
                    seq=seq,
                    resume=resume,
                ),
            )
        )
        return request

    # -- messages

    async def _read(self) -> list[Any]:
        data = await self._reader.read(65536)
        if not data:
            raise Gone
        return list(self._framing.receive(data, 0.0))

    async def receive(self) -> Message:
        """The next message of the client."""
        while not self._waiting:
            if self.closed is not None:
                raise Gone
            for event in await self._read():
                if isinstance(event, TextFrame):
                    for message in self._dialect.decode(event.text, batch=64):
                        assert isinstance(message, Message), message
                        self._waiting.append(message)
                elif isinstance(event, CloseFrame):
                    self.closed = event.code
                    self.write(self._framing.send_close(1000))
        return self._waiting.pop(0)

    async def next(self, kind: type[_M]) -> _M:
        """The next message of that kind; heartbeats before it are answered."""
        while True:
            message = await self.receive()
            if isinstance(message, kind):
                return message
            assert isinstance(message, HeartbeatRequest | ChatAck), message
            if isinstance(message, HeartbeatRequest):
                self.send(HeartbeatResponse())

    def send(self, *messages: Message) -> None:
        """Say something to the client."""
        for message in messages if self.closed is None else ():
            self.write(self._framing.send_text(self._dialect.encode(message)))

    def push(self, content: str, *, msg_id: int, seq: int | None = None) -> None:
        """A message from user 2."""
        self.send(ChatRedirectToUser(content=content, from_user=2, msg_id=msg_id, seq=seq))

    async def answer_all(self) -> None:
        """Accept every message, until the client goes."""
        while True:
            message = await self.receive()
            if isinstance(message, ChatSendToOne):
                self.send(ChatSendResponse(msg_id=message.msg_id, code=0, timestamp=1234))
            elif isinstance(message, HeartbeatRequest):
                self.send(HeartbeatResponse())

    async def until_gone(self) -> None:
        """Read, and answer nothing but a close, until the client goes."""
        while True:
            await self.receive()

    async def mute(self) -> None:
        """Read, and answer not even a close, until the client goes."""
        while await self._reader.read(65536):
            pass
        raise Gone

    # -- the end

    def write(self, data: bytes) -> None:
        """Any bytes."""
        self._writer.write(data)

    def close(self, code: int, reason: str = "") -> None:
        """Our close frame."""
        self.write(self._framing.send_close(code, reason))

    def reset(self) -> None:
        """End it with a TCP reset."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class Peer:
    """A server on 127.0.0.1 that follows a script for each connection.

    Args:
        scripts: for the first connection, the second …; the last one for all others.
        tls: for wss.
        port: where it listens; 0 for any.
        unix: the path of a Unix socket to listen on instead.
    """

    def __init__(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
        unix: Path | None = None,
    ) -> None:
        self._scripts = scripts
        self._port = port
        self._unix = unix
        self._tls = tls
        self._server: asyncio.Server | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        #: what went wrong in a script
        self.errors: list[BaseException] = []
        #: connections so far
        self.count = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> Self:
        if self._unix is not None:
            self._server = await asyncio.start_unix_server(self._serve, self._unix, ssl=self._tls)
        else:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self._port, ssl=self._tls
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self.tasks:
            task.cancel()
        await self._idle.wait()
        await self._server.wait_closed()
        if self.errors:
            raise self.errors[0]

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """Where it listens, for a client."""
        return f"{'wss' if self._tls else 'ws'}://127.0.0.1:{self.port}/ws"

    async def idle(self) -> None:
        """Wait until no client is connected."""
        await self._idle.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.count, len(self._scripts) - 1)]
        self.count += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self._idle.clear()
        try:
            await script(Connection(reader, writer))
        except (Gone, OSError, asyncio.CancelledError):
            pass
        except BaseException as exc:
            self.errors.append(exc)
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            self.tasks.discard(task)
            if not self.tasks:
                self._idle.set()


async def plain(connection: Connection) -> None:
    """A plain server that takes everything."""
    await connection.login()
    await connection.answer_all()


async def with_seq(connection: Connection) -> None:
    """A server with `seq` that takes everything."""
    await connection.login_with_seq()
    await connection.answer_all()


async def mute(connection: Connection) -> None:
    """A peer that takes the connection and never says a word."""
    await connection.mute()


async def mute_after_upgrade(connection: Connection) -> None:
    """A peer that never answers the log-in."""
    await connection.accept()
    await connection.mute()


async def mute_after_login(connection: Connection) -> None:
    """A peer that logs in, and never says a word again."""
    await connection.login()
    await connection.mute()


def config(url: str, **more: Any) -> ClientConfig:
    """A configuration for a peer: small delays, nothing left to luck."""
    fields: dict[str, Any] = {
        "ws_url": url,
        "token": "secret-token",
        "user_id": 1,
        "reconnect": {"initial_delay": 0.01, "max_delay": 0.05, "jitter": "none"},
        "timeouts": {"close": 0.2},
    }
    return ClientConfig(**(fields | more))


#: Has a port, and does not listen: so nobody else gets that port meanwhile.
_HOLDER = socket.socket()
_HOLDER.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
_HOLDER.bind(("127.0.0.1", 0))
atexit.register(_HOLDER.close)


def closed_port() -> int:
    """A port where nobody listens, until the test does (with SO_REUSEADDR)."""
    return int(_HOLDER.getsockname()[1])


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until it holds; `run` is the limit."""
    for _ in itertools.count():
        if condition():
            return
        await asyncio.sleep(0)


class Recorder:
    """Callbacks for all names, each noting what it was called with."""

    def __init__(self, *names: str) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self._names = names
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """For set_callbacks."""
        return {name: functools.partial(self._note, name) for name in self._names}

    def _note(self, name: str, *args: Any) -> None:
        self.calls.append((name, args))
        self._loop.call_soon_threadsafe(self._changed.set)  # plain callbacks run in a thread

    def names(self) -> list[str]:
        """What was called, in order."""
        return [name for name, _ in self.calls]

    async def until(self, name: str, times: int = 1) -> Any:
        """Wait until `name` was called so often; its last arguments."""
        while self.names().count(name) < times:
            self._changed.clear()
            await self._changed.wait()
        return [args for called, args in self.calls if called == name][times - 1]


def left_behind(*peers: Peer) -> list[object]:
    """Tasks, timers, transports and threads that are not the test's own."""
    loop: Any = asyncio.get_running_loop()
    own = {asyncio.current_task()}.union(*(peer.tasks for peer in peers))
    tasks = [task for task in asyncio.all_tasks() if task not in own]
    ours = re.compile("Driver|Dispatcher")
    timers = [h for h in loop._scheduled if not h.cancelled() and ours.search(repr(h))]
    transports = [
        transport
        for transport in list(getattr(loop, "_transports", {}).values())
        if transport._sock is not None and _belongs_to_a_client(transport.get_protocol())
    ]
    return [*tasks, *timers, *transports, *_threads()]


def _threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith(("im_asyncio", "im-journal"))]


def _belongs_to_a_client(protocol: Any) -> bool:
    return isinstance(getattr(protocol, "_app_protocol", protocol), Link)


def run(
    test: Callable[..., Coroutine[Any, Any, None]], *, seconds: float = 60.0
) -> Callable[..., None]:
    """Run an async test; fail when it hangs or leaves a task, a thread or a socket behind."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        errors: list[dict[str, Any]] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: errors.append(context))
            async with asyncio.timeout(seconds):
                await test(*args, **kwargs)
            assert (left := left_behind()) == [], left
            gc.collect()  # a socket that was not closed warns, and a warning is an error here

        asyncio.run(main())
        assert errors == [], errors
        assert _threads() == []

    return wrapper


async def collect(client: IMClient, count: int) -> list[str]:
    """The contents of so many messages, the last one acknowledged too."""
    messages = client.messages()
    contents = [(await anext(messages)).content for _ in range(count)]
    messages.acknowledge()
    await messages.aclose()
    return contents
