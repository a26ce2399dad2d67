"""A plain server of the Invocation family, scripted: what it does wrong, it does on purpose."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from peers.behaviour import Accepted, Auth, Behaviour, Link, Seen
from peers.judge import AUTH_EXTENSIONS, EVERYONE, SENDS, Judge
from peers.wire import (
    ID_KEYS,
    Message,
    PongSwitch,
    UserId,
    Watch,
    as_id,
    as_user,
    dump_json,
    parse_json,
    read_message,
)

__all__ = ["Accepted", "Auth", "Behaviour", "Link", "PlainServer", "Seen"]

T = TypeVar("T")
SEND_TO_ALL = "CHAT_SEND_TO_ALL_REQUEST"
PUSHED_KEYS = ("msgId", "content", "sessionId", "messageType")


class _PlainConnection(PongSwitch, ServerConnection):
    """A connection of the server, whose pongs Behaviour.mute_heartbeat stops."""


class PlainServer:
    """The server; knows users by their token, and keeps all that it sees."""

    def __init__(
        self,
        tokens: Mapping[str, UserId],
        behaviour: Behaviour | None = None,
        *,
        extensions_allowed: bool = False,
        string_ids_allowed: bool = False,
        content_limit: int = 1000,
    ) -> None:
        self.tokens = dict(tokens)
        self.behaviour = behaviour or Behaviour()
        self.frames: list[Seen] = []
        self.accepted: list[Accepted] = []
        self.receipts: list[tuple[int, UserId | None, Message]] = []
        self.connections: list[Link] = []
        self.auths: list[Auth] = []
        self.offences: list[str] = []
        self.failures: list[Exception] = []  # of this script itself
        self.url = ""
        self.sends = 0
        self._judge = partial(
            Judge,
            offences=self.offences,
            extensions_allowed=extensions_allowed,
            string_ids_allowed=string_ids_allowed,
            content_limit=content_limit,
        )
        self._watch = Watch()
        self._held: list[tuple[Link, Message]] = []
        self._refused: dict[str, int] = {}
        self._served: dict[str, int] = {}  # stored sends by token
        self._expired: set[str] = set()
        self._bare: set[UserId] = set()  # had to log in without extensions, and did
        self._strict_refusals: set[UserId] = set()
        self._closed_links = 0
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        connection = partial(
            _PlainConnection,
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
            seen = [f"#{frame.conn} {frame.raw!r:.160}" for frame in self.frames[-5:]]
            raise TimeoutError(f"never so; last frames {seen}, {self.offences=}") from None

    def sent(self, kind: str, conn: int | None = None) -> list[Message]:
        """Return the messages of a type that clients sent, in order."""
        found = []
        for frame in self.frames:
            if conn in (None, frame.conn):
                seen_kind, message = self._read(frame.raw)
                found += [message] if seen_kind == kind else []
        return found

    async def push(self, user: UserId, content: str, **fields: object) -> int:
        """Push to every connection of a user, with just these fields, verbatim; count them."""
        links = self._links(user)
        raw = self._render("CHAT_REDIRECT_TO_USER_REQUEST", {"content": content, **fields}, None)
        for link in links:
            await self._write(link, raw)
        return len(links)

    async def send_raw(self, raw: str | bytes, user: UserId | None = None) -> None:
        """Send a frame as it is to all connections, or to those of a user."""
        for link in self._links(user):
            await self._write(link, raw)

    async def release(self, count: int | None = None) -> None:
        """Answer the sends that hold_sends held back, oldest first: all of them or so many."""
        due = self._held[:count]
        del self._held[: len(due)]
        for link, message in due:
            await self._answer_ok(link, message)

    async def close_all(self, code: int = 1001, reason: str = "") -> None:
        """Close every connection with a close frame."""
        for link in self._links(None):
            await link.ws.close(code, reason)

    async def drop_all(self) -> None:
        """Drop every TCP connection, without a close frame."""
        for link in self._links(None):
            await self._drop(link)

    # --- one connection: a reader that records at once, an actor that acts in order

    async def _serve(self, ws: ServerConnection) -> None:
        number = len(self.connections)
        link = Link(number, ws, self._judge(number))
        self.connections.append(link)
        self._watch.changed()
        actor = asyncio.create_task(self._act(link))
        with contextlib.suppress(ConnectionClosed):
            async for raw in ws:
                self.frames.append(Seen(number, raw))
                link.judge.see(raw)
                link.inbox.put_nowait(raw)
                self._watch.changed()
        link.open = False
        link.inbox.put_nowait(None)
        self._watch.changed()
        await actor

    async def _act(self, link: Link) -> None:
        while (raw := await link.inbox.get()) is not None:
            if link.dropped:
                continue
            link.frames += 1
            try:
                if not await self._closes(link):
                    await self._handle(link, *self._read(raw))
            except ConnectionClosed:
                pass
            except Exception as error:
                self.failures.append(error)
            self._watch.changed()

    async def _closes(self, link: Link) -> bool:
        does = self.behaviour
        if does.close_after_frames is None or link.frames < does.close_after_frames:
            return False
        if does.close_connections is not None and self._closed_links >= does.close_connections:
            return False
        self._closed_links += 1
        await self._close(link, does.close_code)
        return True

    async def _handle(self, link: Link, kind: object, message: Message) -> None:
        if kind == "AUTH_REQUEST":
            await self._login(link, message)
        elif kind == "HEARTBEAT_REQUEST" and not self.behaviour.mute_heartbeat:
            await self._reply(link, "HEARTBEAT_RESPONSE", {})
        elif kind in SENDS:
            everyone = kind == "CHAT_SEND_TO_ALL_REQUEST"
            await self._chat(
                link, message, EVERYONE if everyone else as_user(message.get("toUser"))
            )
        elif kind == "CHAT_READ_RECEIPT_REQUEST":
            self.receipts.append((link.number, link.user, message))
            answer = {"code": self.behaviour.ok_code, "message": "ok"}
            msg_id = {"msgId": message.get("msgId")}
            await self._reply(link, "CHAT_READ_RECEIPT_RESPONSE", msg_id | answer)

    async def _login(self, link: Link, message: Message) -> None:
        does, token = self.behaviour, message.get("accessToken")
        user = self.tokens.get(token) if isinstance(token, str) else None
        if user in self._bare and message.keys() & AUTH_EXTENSIONS:
            link.judge.note("extensions in AUTH_REQUEST after a login that had to be bare")
        known = {"accessToken"} if does.strict_user_id else {"accessToken", "userId"}
        code = does.ok_code
        if does.strict_keys and message.keys() - known:
            if user is not None:
                self._strict_refusals.add(user)
            code = 400
        elif does.refuse_auth is not None:
            code = does.refuse_auth
        elif user is None or token in self._expired:
            code = 40101
        silent = code == 400 and does.strict_keys in ("mute", "close")
        self.auths.append(Auth(link.number, token, message, None if silent else code))
        if silent:
            if does.strict_keys == "close":
                await self._close(link, 1011)
            return
        answer: Message = {"code": code, "message": "ok" if code == does.ok_code else "refused"}
        if code == does.ok_code and user is not None:
            link.user, link.token, link.judge.logged_in = user, str(token), True
            if user in self._strict_refusals:
                self._bare.add(user)
            if does.auth_data:
                answer["data"] = {"userId": user, "username": f"user {user}"}
        await self._reply(link, "AUTH_RESPONSE", answer)

    async def _chat(self, link: Link, message: Message, to_user: UserId | None) -> None:
        does, content = self.behaviour, str(message.get("content"))
        self.sends += 1
        if content in does.close_on:
            await self._close(link, does.close_on[content])
        elif _at(self.sends, does.drop_before_store):
            await self._drop(link)
        elif link.user is None:
            await self._answer(link, message, 40100, "not logged in")
        elif self._expires(link.token):
            await self._answer(link, message, 40101, "token expired")
        elif to_user is None:
            await self._answer(link, message, 400, "no toUser")
        elif self._refuses(content):
            await self._refuse(link, message, *does.refuse[content])
        else:
            number = self.sends
            await self._store(link, link.user, to_user, message)
            if _at(number, does.drop_after_sends):
                await self._drop(link)
            elif does.hold_sends:
                self._held.append((link, message))
            elif not does.mute_sends:
                await self._answer_ok(link, message)

    async def _store(self, link: Link, sender: UserId, to_user: UserId, message: Message) -> None:
        self._served[link.token] = self._served.get(link.token, 0) + 1
        msg_id, content = as_id(message.get("msgId")), str(message.get("content"))
        self.accepted.append(Accepted(link.number, sender, to_user, msg_id, content))
        push = {key: message[key] for key in PUSHED_KEYS if key in message} | {"fromUser": sender}
        for other in self._links(None):
            in_all = to_user == EVERYONE and other.user not in (None, sender)
            if in_all or other.user == to_user:
                await self._reply(other, "CHAT_REDIRECT_TO_USER_REQUEST", push)

    # --- answers

    def _refuses(self, content: str) -> bool:
        done = self._refused.get(content, 0)
        limit = self.behaviour.refuse_times
        if content not in self.behaviour.refuse or (limit is not None and done >= limit):
            return False
        self._refused[content] = done + 1
        return True

    async def _refuse(self, link: Link, message: Message, code: int, text: str) -> None:
        text_key = self.behaviour.refuse_with_error_type
        if text_key is None:
            await self._answer(link, message, code, text)
            return
        answer: Message = {"code": code, text_key: text}
        if self.behaviour.error_msg_id:
            answer["msgId"] = message.get("msgId")
        link.judge.answered(message, code)
        await self._reply(link, "CHAT_ERROR_RESPONSE", answer)

    async def _answer_ok(self, link: Link, message: Message) -> None:
        if self.behaviour.probe_sends:
            with contextlib.suppress(ConnectionClosed):
                await (await link.ws.ping())
        await self._answer(link, message, self.behaviour.ok_code, "ok")

    async def _answer(self, link: Link, message: Message, code: int, text: str) -> None:
        answer: Message = {}
        for key in message.keys() & {"msgId", "sessionId"}:
            answer[key] = message[key]
        accepted = code == self.behaviour.ok_code
        if not (accepted and self.behaviour.answer_no_code):
            answer |= {"code": code, "message": text}
        link.judge.answered(message, None if accepted else code)
        await self._reply(link, "CHAT_SEND_RESPONSE", answer)

    async def _reply(self, link: Link, kind: str, message: Message) -> None:
        await self._write(link, self._render(kind, message, self.behaviour.ids))

    def _render(self, kind: str, message: Message, ids: str | None) -> str:
        does = self.behaviour
        envelope: Message = {"type": kind}
        body = message if ids is None else _with_ids(message, ids)
        if body or does.null_style == "braces":
            envelope["message"] = body if does.message_as == "object" else dump_json(body)
        elif does.null_style != "missing":
            empty = {"null": None, "empty": "", "word": "null"}
            envelope["message"] = empty[does.null_style]
        return dump_json(envelope)

    async def _write(self, link: Link, raw: str | bytes) -> None:
        with contextlib.suppress(ConnectionClosed):
            await link.ws.send(raw)

    # --- small things

    def _links(self, user: UserId | None) -> list[Link]:
        return [link for link in self.connections if link.open and user in (None, link.user)]

    def _expires(self, token: str) -> bool:
        limit = self.behaviour.token_expired_after
        if limit is None or token in self.behaviour.lasting_tokens:
            return False
        if self._served.get(token, 0) >= limit:
            self._expired.add(token)
        return token in self._expired

    async def _close(self, link: Link, code: int) -> None:
        link.dropped, link.open = True, False  # what is still in the inbox is not handled
        await link.ws.close(code)

    async def _drop(self, link: Link) -> None:
        link.dropped, link.open = True, False
        link.ws.transport.abort()
        await link.ws.wait_closed()

    @staticmethod
    def _read(raw: str | bytes) -> tuple[object, Message]:
        try:
            envelope = parse_json(raw) if isinstance(raw, str) else None
        except ValueError:
            envelope = None
        if not isinstance(envelope, dict):
            return None, {}
        return envelope.get("type"), read_message(envelope) or {}


def _at(number: int, wanted: int | Collection[int]) -> bool:
    return number == wanted if isinstance(wanted, int) else number in wanted


def _with_ids(message: Message, style: str) -> Message:
    out: Message = {}
    for key, value in message.items():
        if isinstance(value, dict):
            out[key] = _with_ids(value, style)
        elif key in ID_KEYS and value is not None:
            read: Any = as_user(value)
            out[key] = str(value) if style == "string" else (read or value)
        else:
            out[key] = value
    return out
