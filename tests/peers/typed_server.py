"""A server of the second dialect, scripted: what it does wrong, it does on purpose.

It judges its clients as it goes: whatever they may not send stands in `offences`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeVar, cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from peers.wire import (
    Message,
    PongSwitch,
    UserId,
    Watch,
    as_user,
    content_units,
    dump_json,
    parse_json,
)

__all__ = ["TypedBehaviour", "TypedLink", "TypedServer"]

T = TypeVar("T")
#: What a client may say, and the keys of its `data`.
SAYS = {
    "auth": {"token", "userId"},
    "heartbeat": {"timestamp"},
    "chat_message": {"toUserId", "content", "messageType"},
}
MAX_SAFE = 2**53 - 1


@dataclass
class TypedBehaviour:
    """What the server does; may be changed while it runs. Counts of sends are server-wide."""

    #: the id of an answer: that of the request, one of the server's own, or none
    answer_id: Literal["echo", "own", "none"] = "echo"
    ids: Literal["number", "string"] = "number"
    #: `data` as an object, as JSON in a string, or its fields beside where `data` would be
    data_as: Literal["object", "string", "beside"] = "object"
    ok_code: int = 200
    #: answers to a log-in: what to say instead of what the token deserves
    refuse_auth: Message | None = None
    mute_auth: bool = False
    mute_heartbeat: bool = False  # answers neither heartbeats nor pings
    mute_sends: bool = False  # stores and pushes, never answers
    hold_sends: bool = False  # stores and pushes, answers at release()
    #: by content: (code, words) instead of storing it, the first refuse_times times
    refuse: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    refuse_times: int | None = None
    # the sends, counted from 1, at which the TCP connection is dropped
    drop_after_sends: Collection[int] = ()
    drop_before_store: Collection[int] = ()


class Stored(NamedTuple):
    """A message that was stored; repeats repeat."""

    conn: int
    from_user: UserId
    to_user: UserId
    content: str
    message_type: str


@dataclass
class TypedLink:
    """One connection; numbers start at 0."""

    number: int
    ws: ServerConnection
    user: UserId | None = None
    open: bool = True
    #: sends that have no answer yet
    unanswered: int = 0
    seen_ids: set[str] = field(default_factory=set)


class _Connection(PongSwitch, ServerConnection):
    """A connection whose pongs TypedBehaviour.mute_heartbeat stops."""


class TypedServer:
    """The server; knows users by their token, and keeps all that it sees."""

    def __init__(self, tokens: Mapping[str, UserId], **does: Any) -> None:
        self.tokens = dict(tokens)
        self.behaviour = TypedBehaviour(**does)
        self.connections: list[TypedLink] = []
        self.frames: list[tuple[int, Message]] = []
        self.auths: list[str] = []
        self.stored: list[Stored] = []
        self.offences: list[str] = []
        self.failures: list[Exception] = []  # of this script itself
        self.sends = 0
        self.held: list[tuple[TypedLink, Message]] = []  # what hold_sends held back
        self.url = ""
        self._refused: dict[str, int] = {}
        self._own_ids = 0
        self._watch = Watch()
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        connection = partial(
            _Connection,
            may_pong=lambda: not self.behaviour.mute_heartbeat,
            on_ping=self._watch.changed,
        )
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            compression=None,
            ping_interval=None,
            close_timeout=0.5,
            create_connection=cast("type[ServerConnection]", connection),
        )
        port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}/ws"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
        if exc is None and self.failures:
            raise self.failures[0]

    async def wait_for(self, predicate: Callable[[], T], timeout: float = 5.0) -> T:
        """Wait for a fact about this server; whatever it records is looked at as it comes."""
        try:
            return await self._watch.wait_for(predicate, timeout)
        except TimeoutError:
            raise TimeoutError(
                f"never so; last frames {self.frames[-5:]}, {self.offences=}"
            ) from None

    def said(self, kind: str, conn: int | None = None) -> list[Message]:
        """The envelopes of a type that clients sent, in order."""
        return [m for n, m in self.frames if m.get("type") == kind and conn in (None, n)]

    @property
    def contents(self) -> list[str]:
        """What was stored, in order."""
        return [stored.content for stored in self.stored]

    async def push(self, user: UserId, content: str, **more: object) -> None:
        """Push a message to every connection of a user; `more` are fields of its data."""
        for link in self.connections:
            if link.open and link.user == user:
                await self._say(link, "chat_message", {"content": content, **more}, None)

    async def send_raw(self, raw: str | bytes) -> None:
        """Send a frame as it is to all connections."""
        for link in self.connections:
            await self._write(link, raw)

    async def release(
        self, count: int | None = None, *, code: int | None = None, to_newest: bool = False
    ) -> None:
        """Answer what hold_sends held back, oldest first: all of them or so many; `to_newest`:
        over the newest connection there is."""
        due = self.held[:count]
        del self.held[: len(due)]
        for link, envelope in due:
            code = self.behaviour.ok_code if code is None else code
            over = self.connections[-1] if to_newest else link
            await self._answer(link, envelope, code, "late", over=over)

    # ------------------------------------------------------------ one connection

    async def _serve(self, ws: ServerConnection) -> None:
        link = TypedLink(len(self.connections), ws)
        self.connections.append(link)
        self._watch.changed()
        with contextlib.suppress(ConnectionClosed):
            async for raw in ws:
                try:
                    envelope = self._read(link, raw)
                    self.frames.append((link.number, envelope))
                    self._watch.changed()
                    await self._handle(link, envelope)
                except ConnectionClosed:
                    break
                except Exception as error:
                    self.failures.append(error)
                self._watch.changed()
        link.open = False
        self._watch.changed()

    async def _handle(self, link: TypedLink, envelope: Message) -> None:
        kind, data = envelope["type"], envelope["data"]
        if kind == "auth":
            await self._login(link, envelope, data)
        elif kind == "heartbeat" and not self.behaviour.mute_heartbeat:
            answer = {"timestamp": data["timestamp"], "serverTime": data["timestamp"] + 1}
            await self._say(link, "heartbeat_response", answer, envelope)
        elif kind == "chat_message":
            await self._chat(link, envelope, data)

    async def _login(self, link: TypedLink, envelope: Message, data: Message) -> None:
        does, token = self.behaviour, data["token"]
        self.auths.append(token)
        user = self.tokens.get(token)
        if does.mute_auth:
            return
        if does.refuse_auth is not None:
            await self._say(link, "auth_response", does.refuse_auth, envelope)
        elif user is None or user != as_user(data["userId"]):
            refusal = {"success": False, "message": "unknown token", "userId": None}
            await self._say(link, "auth_response", refusal, envelope)
        else:
            link.user = user
            welcome = {"success": True, "message": "ok", "userId": self._id(user)}
            await self._say(link, "auth_response", welcome, envelope)

    async def _chat(self, link: TypedLink, envelope: Message, data: Message) -> None:
        does, content = self.behaviour, data["content"]
        self.sends += 1
        number, to_user = self.sends, as_user(data["toUserId"])
        if number in does.drop_before_store:
            self._drop(link)
        elif link.user is None or to_user is None:
            await self._answer(link, envelope, 40100 if link.user is None else 400, "no")
        elif content in does.refuse and self._refuses(content):
            await self._answer(link, envelope, *does.refuse[content])
        else:
            self.stored.append(
                Stored(link.number, link.user, to_user, content, data["messageType"])
            )
            sender, kind = self._id(link.user), data["messageType"]
            await self.push(
                to_user,
                content,
                fromUserId=sender,
                toUserId=data["toUserId"],
                messageType=kind,
                timestamp=envelope["timestamp"],
            )
            if number in does.drop_after_sends:
                self._drop(link)
            elif does.hold_sends:
                self.held.append((link, envelope))
            elif not does.mute_sends:
                await self._answer(link, envelope, does.ok_code, "ok")

    def _refuses(self, content: str) -> bool:
        done = self._refused.get(content, 0)
        self._refused[content] = done + 1
        limit = self.behaviour.refuse_times
        return limit is None or done < limit

    # ------------------------------------------------------------ what it says

    async def _answer(
        self,
        link: TypedLink,
        envelope: Message,
        code: int,
        text: str,
        *,
        over: TypedLink | None = None,
    ) -> None:
        link.unanswered -= 1
        answer = {"code": code, "message": text, "data": None}
        await self._say(over or link, "chat_response", answer, envelope)

    async def _say(
        self, link: TypedLink, kind: str, data: Message, request: Message | None
    ) -> None:
        does = self.behaviour
        envelope: Message = {"type": kind, "timestamp": 1_700_000_000_000}
        if request is not None and does.answer_id == "echo":
            envelope["id"] = request["id"]
        elif does.answer_id == "own":
            self._own_ids += 1
            envelope["id"] = str(self._own_ids)
        if does.data_as == "beside":
            envelope |= data
        else:
            envelope["data"] = dump_json(data) if does.data_as == "string" else data
        await self._write(link, dump_json(envelope))

    async def _write(self, link: TypedLink, raw: str | bytes) -> None:
        with contextlib.suppress(ConnectionClosed):
            await link.ws.send(raw)

    def _drop(self, link: TypedLink) -> None:
        link.open = False
        link.ws.transport.abort()

    def _id(self, user: UserId) -> UserId:
        return str(user) if self.behaviour.ids == "string" else user

    # ------------------------------------------------------------ the judge

    def _read(self, link: TypedLink, raw: str | bytes) -> Message:
        envelope: Message = parse_json(raw) if isinstance(raw, str) else {}
        for offence in self._offences(link, envelope):
            self.offences.append(f"#{link.number} {offence}: {raw!r:.200}")
        return envelope

    def _offences(self, link: TypedLink, envelope: Message) -> list[str]:
        kind, name, data = (envelope.get(key) for key in ("type", "id", "data"))
        if envelope.keys() != {"type", "id", "timestamp", "data"}:
            return ["not an envelope"]
        if kind not in SAYS or not isinstance(data, dict) or data.keys() != SAYS[kind]:
            return ["not what a client says"]
        found = []
        if not isinstance(name, str) or not name:
            found.append("an id that is no string")
        elif kind == "chat_message" and name in link.seen_ids and not self._refused:
            found.append("an id that was used already")
        link.seen_ids.add(str(name))
        stamps = [envelope["timestamp"], *(data[key] for key in data if key == "timestamp")]
        if not all(type(stamp) is int and 10**12 < stamp < 10**14 for stamp in stamps):
            found.append("a timestamp that is not in milliseconds")
        if (kind == "auth") != (not self.said("auth", link.number)):
            found.append("auth is the first thing that is said, and said once")
        if kind == "chat_message":
            found += self._chat_offences(link, data)
        return found

    @staticmethod
    def _chat_offences(link: TypedLink, data: Message) -> list[str]:
        found = []
        link.unanswered += 1
        if link.unanswered > 1:
            found.append("sent before the last message was answered")
        to_user, content = data["toUserId"], data["content"]
        if as_user(to_user) is None or (type(to_user) is int and to_user > MAX_SAFE):
            found.append("a toUserId that is none")
        if not isinstance(content, str) or not 1 <= content_units(content) <= 1000:
            found.append("a content that is none")
        if not isinstance(data["messageType"], str) or not data["messageType"]:
            found.append("a messageType that is none")
        return found
