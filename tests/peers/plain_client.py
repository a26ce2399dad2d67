"""A plain client, as a page in a browser is: no capabilities, string ids, pongs by itself."""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from peers.wire import (
    ID_KEYS,
    Message,
    PongSwitch,
    UserId,
    Watch,
    as_id,
    dump_json,
    id_offence,
    parse_json,
    read_message,
)

T = TypeVar("T")

PUSH = "CHAT_REDIRECT_TO_USER_REQUEST"
# Per type of a server: the keys that its message must hold, and those that it may hold.
SERVER_KEYS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "AUTH_RESPONSE": (frozenset({"code", "message"}), frozenset({"data"})),
    "HEARTBEAT_RESPONSE": (frozenset(), frozenset({"timestamp", "serverTime"})),
    "CHAT_SEND_RESPONSE": (frozenset({"msgId"}), frozenset({"code", "message", "sessionId"})),
    PUSH: (
        frozenset({"content"}),
        frozenset({"msgId", "fromUser", "sessionId", "messageType", "timestamp"}),
    ),
    "CHAT_READ_RECEIPT_RESPONSE": (frozenset({"msgId", "code", "message"}), frozenset()),
    "CHAT_ERROR_RESPONSE": (
        frozenset(),
        frozenset({"code", "message", "errorMsg", "msgId", "data"}),
    ),
}
AUTH_DATA_KEYS = frozenset({"userId", "username"})


class _Browser(PongSwitch, ClientConnection):
    """The connection of a page, whose pongs can be muted."""


class PlainClient:
    """One tab; two of the same user are two tabs. Keys in `tolerate` are never offences."""

    def __init__(
        self,
        url: str,
        token: str,
        user_id: UserId | None = None,
        *,
        answer_pings: bool = True,
        origin: str | None = None,
        tolerate: Collection[str] = (),
    ) -> None:
        self.url = url
        self.token = token
        self.user_id = user_id
        self.answer_pings = answer_pings  # may be changed at any time
        self.origin = origin
        self.tolerate = frozenset(tolerate)
        self.received: list[Message] = []  # pushes, in order
        self.frames: list[str | bytes] = []
        self.offences: list[str] = []
        self.pings = 0
        self.closed = False
        self._inbox: list[tuple[str, Message]] = []  # what nobody took yet
        self._watch = Watch()
        self._ws: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        connection = partial(_Browser, may_pong=lambda: self.answer_pings, on_ping=self._pinged)
        self._ws = await connect(
            self.url,
            origin=Origin(self.origin) if self.origin else None,
            proxy=None,
            ping_interval=None,
            close_timeout=0.5,
            create_connection=cast("type[ClientConnection]", connection),
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def ws(self) -> ClientConnection:
        """The connection of `websockets`."""
        assert self._ws is not None
        return self._ws

    @property
    def close_code(self) -> int | None:
        """The close code, None while open, 1006 when there was no close frame."""
        return self.ws.close_code

    async def login(self) -> Message:
        """Send AUTH_REQUEST, with userId when it is known, and return the AUTH_RESPONSE."""
        message: Message = {"accessToken": self.token}
        if self.user_id is not None:
            message["userId"] = str(self.user_id)
        await self.write("AUTH_REQUEST", message)
        return await self.receive("AUTH_RESPONSE")

    async def send(self, to: UserId, content: str, msg_id: int, **fields: object) -> Message:
        """Send to one user and return the answer, be it the usual one or the error one."""
        await self.post(to, content, msg_id, **fields)
        return await self.answer(msg_id)

    async def post(self, to: UserId, content: str, msg_id: int, **fields: object) -> None:
        """Send to one user without waiting for the answer."""
        message = {"msgId": str(msg_id), "toUser": str(to), "content": content} | fields
        await self.write("CHAT_SEND_TO_ONE_REQUEST", message)

    async def answer(self, msg_id: int) -> Message:
        """Wait for the answer of a posted message; an error without a msgId counts."""

        def fits(kind: str, message: Message) -> bool:
            if kind == "CHAT_ERROR_RESPONSE" and "msgId" not in message:
                return True
            kinds = ("CHAT_SEND_RESPONSE", "CHAT_ERROR_RESPONSE")
            return kind in kinds and as_id(message.get("msgId")) == msg_id

        return await self._take(fits)

    async def heartbeat(self) -> Message:
        """Send HEARTBEAT_REQUEST and return its answer."""
        await self.write("HEARTBEAT_REQUEST", {})
        return await self.receive("HEARTBEAT_RESPONSE")

    async def receive(self, kind: str = PUSH) -> Message:
        """Take the next message of a type, pushes by default; ConnectionError at the end."""
        return await self._take(lambda other, _: other == kind)

    async def read_receipt(self, msg_id: int, from_user: UserId) -> Message:
        """Say that a message was read, and return the answer."""
        message = {"msgId": str(msg_id), "fromUser": str(from_user)}
        await self.write("CHAT_READ_RECEIPT_REQUEST", message)
        return await self.receive("CHAT_READ_RECEIPT_RESPONSE")

    async def write(self, kind: str, message: Message) -> None:
        """Send one envelope in the string form."""
        await self.send_raw(dump_json({"type": kind, "message": dump_json(message)}))

    async def send_raw(self, raw: str | bytes) -> None:
        """Send a frame as it is, text or binary."""
        await self.ws.send(raw)

    async def wait_for(self, predicate: Callable[[], T], timeout: float = 5.0) -> T:
        """Wait for a fact about this client."""
        try:
            return await self._watch.wait_for(predicate, timeout)
        except TimeoutError:
            frames = [f"{frame!r:.160}" for frame in self.frames[-5:]]
            raise TimeoutError(f"never so; {frames=}, {self.offences=}") from None

    async def wait_closed(self) -> int | None:
        """Wait until the connection is gone, and return its close code."""
        await self.wait_for(lambda: self.closed)
        return self.close_code

    async def close(self, code: int = 1000) -> None:
        """Close with a close frame, as a page that is left."""
        await self.ws.close(code)
        await self._ended()

    async def drop(self) -> None:
        """Drop the TCP connection, without a close frame."""
        self.ws.transport.abort()
        await self._ended()

    async def _ended(self) -> None:
        assert self._reader is not None
        await self._reader

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for raw in self.ws:
                self.frames.append(raw)
                self._see(raw)
                self._watch.changed()
        self.closed = True
        self._watch.changed()

    def _pinged(self) -> None:
        self.pings += 1
        self._watch.changed()

    async def _take(self, fits: Callable[[str, Message], bool]) -> Message:
        def found() -> list[Message]:
            for index, (kind, message) in enumerate(self._inbox):
                if fits(kind, message):
                    del self._inbox[index]
                    return [message]
            if self.closed:
                raise ConnectionError(f"closed with {self.close_code}")
            return []

        return (await self.wait_for(found))[0]

    # --- what section 1 forbids a server to send to a plain client

    def _see(self, raw: str | bytes) -> None:
        if isinstance(raw, bytes):
            self.offences.append("binary frame")
            return
        try:
            envelope: Any = parse_json(raw)
        except ValueError:
            self.offences.append(f"not JSON: {raw[:80]!r}")
            return
        if not isinstance(envelope, dict):
            self.offences.append(f"not one JSON object: {raw[:80]!r}")
            return
        kind = envelope.get("type")
        if not isinstance(kind, str) or kind not in SERVER_KEYS:
            self.offences.append(f"type that is not of section 1: {kind!r}")
            return
        for key in sorted(envelope.keys() - {"type", "message"} - self.tolerate):
            self.offences.append(f"{kind}: envelope key {key}")
        if not isinstance(envelope.get("message"), str):
            self.offences.append(f"{kind}: message is not a string")
        message = read_message(envelope)
        if message is None or envelope.get("message") in ("", "null"):
            self.offences.append(f"{kind}: message holds no JSON object")
        message = message or {}
        self._fields(kind, message)
        if kind == PUSH:
            self.received.append(message)
        self._inbox.append((kind, message))

    def _fields(self, kind: str, message: Message) -> None:
        required, optional = SERVER_KEYS[kind]
        wrong = [f"no {key}" for key in sorted(required - message.keys())]
        extra = message.keys() - required - optional
        data = message.get("data")
        if kind == "AUTH_RESPONSE" and isinstance(data, dict):
            extra |= data.keys() - AUTH_DATA_KEYS
        else:
            data = {}
        wrong += [f"key {key} is not of section 1" for key in sorted(extra - self.tolerate)]
        for fields in (message, data):
            checks = [id_offence(key, fields[key]) for key in sorted(fields.keys() & ID_KEYS)]
            wrong += [check for check in checks if check]
        if not isinstance(message.get("content", ""), str):
            wrong.append("content is not a string")
        self.offences += [f"{kind}: {text}" for text in wrong]
