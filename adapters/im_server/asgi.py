"""The WebSocket as an ASGI application, for a server that isn't ours: whole messages in and out.

An ASGI server answers pings itself and tells nobody of pongs. So what a pong proves, that a plain
peer has what was pushed before (docs/protocol.md section 1), is concluded from the server's own
keep-alive: it pings, and drops who doesn't answer. Who is still here `dead_after` seconds later
has answered a ping that was sent after the push.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from im_proto.handshake import CAPABILITIES_HEADER
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.server.login import CAPABILITIES
from im_proto.server.origins import forwarded

from .runner import Runner

#: uvicorn pings every 20 s, and waits 20 s for the answer.
DEAD_AFTER: Final = 45.0
#: Characters that may wait for a slow reader before the engine is told, and when it is told again.
HIGH_WATER: Final = 65_536
LOW_WATER: Final = 16_384

#: What is written, or SendPing: all before it is written.
_Outgoing = Message | act.SendPing


class WebSocketApp:
    """The endpoint of a route.

    Args:
        runner: of the server.
        dead_after: seconds after which the ASGI server has dropped a peer that answers no ping;
            None: it doesn't ping.
    """

    def __init__(self, runner: Runner, dead_after: float | None = DEAD_AFTER) -> None:
        self._runner = runner
        self._dead_after = dead_after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from its first event to its last."""
        await _WebSocket(self._runner, self._dead_after, scope, receive, send).serve()


class _WebSocket:
    """One connection: moves messages between the ASGI server and the gateway."""

    def __init__(
        self, runner: Runner, dead_after: float | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._runner = runner
        self._dead_after = dead_after
        self._scope = scope
        self._receive = receive
        self._send = send
        self._name = 0
        self._outgoing: deque[_Outgoing | None] = deque()
        self._something = asyncio.Event()
        self._waiting = 0
        self._blocked = False
        self._readable = asyncio.Event()
        self._readable.set()
        self._aborted = asyncio.Event()
        #: in the order in which they are due
        self._alive: deque[asyncio.TimerHandle] = deque()

    async def serve(self) -> None:
        """Until one of the two sides has ended it."""
        await self._receive()  # websocket.connect
        client = self._scope.get("client")
        self._name = self._runner.connected(self, client[0] if client else "", messages=True)
        works = [
            asyncio.ensure_future(work)
            for work in (self._read(), self._write(), self._aborted.wait())
        ]
        try:
            self._runner.feed(self._asked())
            await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for handle in self._alive:
                handle.cancel()
            for work in works:
                work.cancel()
            ended = await asyncio.gather(*works, return_exceptions=True)
            self._runner.disconnected(self._name, "the WebSocket has ended")
        for error in ended:
            if isinstance(error, Exception):
                raise error

    # ------------------------------------------------------------ in

    def _asked(self) -> inp.UpgradeAsked:
        """What the engine wants to know of the request."""

        def values(name: bytes) -> list[str]:
            headers = self._scope.get("headers", ())
            return [value.decode("latin-1") for key, value in headers if key.lower() == name]

        return inp.UpgradeAsked(
            connection=self._name,
            target=self._runner.config.path,  # the route was found by the application
            host=", ".join(values(b"host")) or None,
            origin=", ".join(found) if (found := values(b"origin")) else None,
            forwarded=forwarded(values(b"x-forwarded-for")),
        )

    async def _read(self) -> None:
        while True:
            await self._readable.wait()
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None:
                self._runner.feed(inp.BinaryReceived(connection=self._name))
            else:
                self._runner.feed(inp.TextReceived(connection=self._name, text=text))

    def _is_alive(self, payload: bytes) -> None:
        self._alive.popleft()
        self._runner.feed(inp.ControlReceived(connection=self._name, pong=payload))

    # ------------------------------------------------------------ out

    def carry_out(self, action: act.Action) -> None:
        """See `runner.Connection`."""
        if isinstance(action, act.SendText):
            self._put({"type": "websocket.send", "text": action.text}, len(action.text))
        elif isinstance(action, act.SendPing):
            self._put(action)
        elif isinstance(action, act.SendClose):
            self._put(
                {"type": "websocket.close", "code": action.code, "reason": _short(action.reason)}
            )
            self._put(None)
        elif isinstance(action, act.AcceptUpgrade):
            capable = (CAPABILITIES_HEADER.lower().encode(), ", ".join(CAPABILITIES).encode())
            self._put({"type": "websocket.accept", "headers": [capable]})
        elif isinstance(action, act.RefuseUpgrade):
            for message in self._refusal(action):
                self._put(message)
        elif isinstance(action, act.CloseTransport):
            self._put(None)
        elif isinstance(action, act.AbortTransport):
            self._aborted.set()
        elif isinstance(action, act.PauseReading):
            self._readable.clear()
        elif isinstance(action, act.ResumeReading):
            self._readable.set()
        else:
            raise TypeError(f"{type(action).__name__} is not for a transport of messages")

    def _refusal(self, refused: act.RefuseUpgrade) -> list[Message]:
        if "websocket.http.response" not in self._scope.get("extensions", {}):
            return [{"type": "websocket.close"}]  # which is a 403
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        if refused.retry_after is not None:
            headers.append((b"retry-after", str(math.ceil(refused.retry_after)).encode()))
        prefix = "websocket.http.response"
        return [
            {"type": f"{prefix}.start", "status": refused.status, "headers": headers},
            {"type": f"{prefix}.body", "body": refused.reason.encode()},
        ]

    def _put(self, outgoing: _Outgoing | None, size: int = 0) -> None:
        self._outgoing.append(outgoing)
        self._something.set()
        self._waiting += size
        if self._waiting > HIGH_WATER and not self._blocked:
            self._blocked = True
            self._runner.feed(inp.WriteBlocked(connection=self._name))

    async def _write(self) -> None:
        while True:
            while not self._outgoing:
                self._something.clear()
                await self._something.wait()
            outgoing = self._outgoing.popleft()
            if outgoing is None:
                return
            if isinstance(outgoing, act.SendPing):
                self._prove(outgoing.payload)
                continue
            try:
                await self._send(outgoing)
            except (OSError, RuntimeError):
                return  # the peer has gone; some servers say so by the one, some by the other
            self._written(len(outgoing.get("text", "")))

    def _written(self, size: int) -> None:
        self._waiting -= size
        if self._blocked and self._waiting <= LOW_WATER:
            self._blocked = False
            self._runner.feed(inp.WriteReady(connection=self._name))

    def _prove(self, payload: bytes) -> None:
        """All before is written: see the module."""
        if self._dead_after is not None:
            loop = asyncio.get_running_loop()
            self._alive.append(loop.call_later(self._dead_after, self._is_alive, payload))


def _short(reason: str) -> str:
    """A close frame has room for 123 bytes of it."""
    return reason.encode()[:123].decode(errors="ignore")
