"""Attacks with too much of what is allowed: after a log-in, by connections and by log-ins."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, Final

from .attack import Group
from .peer import DROPPED, SLOWED, TEXT, Aim, Gone, Peer, device, envelope, frame, junk

FLOODS: Final = Group("floods")
attack = FLOODS.attack
_SEND: Final = "CHAT_SEND_TO_ONE_REQUEST"
#: How a flood after the log-in may end: the rest is taken more slowly, or the connection ends. Who
#: floods on behind that is dropped, and may not get to read why.
SLOW: Final = ("still served", SLOWED, "close 4009", DROPPED)


async def _pour(peer: Peer, make: Callable[[int], bytes], *, beats: int = 1, part: int = 1) -> None:
    """Say `many` things as fast as it goes; the answers are read meanwhile. A heartbeat follows:
    is it answered, in time?

    Args:
        peer: is logged in.
        make: what is said, by number.
        beats: how many heartbeats are to be answered.
        part: say only so many of `many`.
    """
    aim = peer.aim

    async def read() -> None:
        left = beats
        async for kind, _ in peer.messages():
            left -= kind == "HEARTBEAT_RESPONSE"
            if not left:
                return

    async def write() -> None:
        pieces = [frame(TEXT, make(number)) for number in range(1, aim.many // part + 2)]
        for start in range(0, len(pieces), 100):
            piece = pieces[start : start + 100]
            await peer.send(b"".join(piece), frames=len(piece))
        await peer.say("HEARTBEAT_REQUEST", {})

    reader = asyncio.create_task(read())
    writer = asyncio.create_task(write())
    try:
        # a good part of its patience: who isn't served by then is slowed down
        await asyncio.wait([reader], timeout=min(5.0, aim.patience / 3))
        if not reader.done():
            aim.saw(SLOWED)
        elif reader.exception() is None:
            aim.saw("still served")
        else:
            await peer.end()
    finally:
        for task in (reader, writer):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Gone):
                await task


def _message(to: int) -> Callable[[int], bytes]:
    return lambda n: envelope(_SEND, {"msgId": n, "toUser": to, "content": f"buy {n}"})


@attack("message flood", "writes as fast as it can", also=SLOW)
async def _messages(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.login(next(aim.users), device=device(aim.rng))
        await _pour(peer, _message(next(aim.users)))


@attack("message flood on 8 connections", "… with all its devices", also=SLOW)
async def _eight(aim: Aim) -> None:
    user, other = next(aim.users), next(aim.users)

    async def one(index: int) -> None:
        make = _message(other)
        async with Peer(aim) as peer:
            await peer.login(user, device=device(aim.rng))
            # each under msgIds of its own: a conflict would end it early
            await _pour(peer, lambda number: make(number * 8 + index))

    async with asyncio.TaskGroup() as group:
        for index in range(8):
            group.create_task(one(index))


@attack("batched message flood", "… 64 in a frame", also=SLOW)
async def _batched(aim: Aim) -> None:
    other = next(aim.users)
    make = _message(other)

    def batch(number: int) -> bytes:
        return b"[" + b",".join(make(number * 64 + n) for n in range(64)) + b"]"

    async with Peer(aim) as peer:
        await peer.login(next(aim.users), device=device(aim.rng))
        await _pour(peer, batch, part=16)


def _floods(name: str, does: str, make: Callable[[int, Aim], bytes]) -> None:
    async def flood(aim: Aim) -> None:
        async with Peer(aim) as peer:
            await peer.login(next(aim.users), device=device(aim.rng))
            await _pour(peer, lambda number: make(number, aim))

    FLOODS.add(name, does, flood, also=SLOW)


def _call(number: int, op: str, **params: Any) -> bytes:
    return envelope("SESSION_REQUEST", {"id": str(number), "op": op, "params": params})


@attack("heartbeat flood", "asks for heartbeats", also=SLOW)
async def _heartbeats(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.login(next(aim.users), device=device(aim.rng))
        beat = envelope("HEARTBEAT_REQUEST", {})
        await _pour(peer, lambda _: beat, beats=aim.many + 2)


_floods("unknown flood", "says what nobody knows", lambda n, aim: envelope(f"T{n}", {}))
_floods("error flood", "says what can't be read", lambda n, aim: envelope(_SEND, {"msgId": n}))
_floods("session flood", "asks for a session", lambda n, aim: _call(n, "get", sessionId=n))
_floods(
    "history flood",
    "asks for histories",
    lambda n, aim: _call(n, "history", sessionId=n, pageSize=100),
)
_floods(
    "session making",
    "begins a session for each book",
    lambda n, aim: _call(n, "startChat", bookId=n, buyerId=aim.victim, sellerId=aim.victim),
)
_floods(
    "status flood",
    "asks what became of its messages",
    lambda n, aim: envelope("MESSAGE_STATUS_REQUEST", {"msgIds": list(range(n, n + 500))}),
)
_floods(
    "read mark flood",
    "marks as read",
    lambda n, aim: envelope("CHAT_READ_RECEIPT_REQUEST", {"msgId": n, "fromUser": aim.victim}),
)
_floods(
    "typing flood",
    "types to everybody",
    lambda n, aim: envelope("TYPING", {"toUser": n, "active": n % 2 == 0}),
)
_floods(
    "ack flood", "acknowledges the same", lambda n, aim: envelope("CHAT_ACK_REQUEST", {"seq": 0})
)
_floods(
    "sync flood", "asks for everything again", lambda n, aim: envelope("SYNC_REQUEST", {"after": 0})
)


@attack(
    "log-ins on one connection",
    "logs in again and again",
    "close 4001",
    also=("code 400", "code 40101"),
)
async def _logins(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open()
        login = frame(TEXT, envelope("AUTH_REQUEST", {"accessToken": junk(aim.rng, 8_000)}))
        await peer.flood(login, 100)
        aim.saw(f"code {(await peer.heard('AUTH_RESPONSE')).get('code')}")
        await peer.end()


@attack("good log-ins on one connection", "refreshes its token again and again", also=SLOW)
async def _refreshes(aim: Aim) -> None:
    user = next(aim.users)
    again = envelope("AUTH_REQUEST", {"accessToken": aim.token(user)})
    async with Peer(aim) as peer:
        await peer.login(user, device=device(aim.rng))
        await _pour(peer, lambda _: again)


@attack(
    "new devices",
    "logs in as a new device each time",
    "logged in",
    also=("close 4009", "close 1013"),
)
async def _devices(aim: Aim) -> None:
    user = next(aim.users)
    for _ in range(min(aim.many, 50)):
        async with Peer(aim) as peer:
            await peer.login(user, device=device(aim.rng))
            aim.saw("logged in")


@attack(
    "one device on many connections",
    "logs in as the same device at once",
    "logged in",
    also=("close 4004", "close 4009", "close 1013"),
)
async def _same(aim: Aim) -> None:
    user, name = next(aim.users), device(aim.rng)

    async def one() -> None:
        async with Peer(aim) as peer:
            await peer.login(user, device=name)
            aim.saw("logged in")

    async with asyncio.TaskGroup() as group:
        for _ in range(min(aim.many, 20)):
            group.create_task(one())


@attack(
    "many tabs",
    "logs in on more connections than a user may",
    "logged in",
    "close 4009",
    also=("close 1013",),
)
async def _tabs(aim: Aim) -> None:
    user = next(aim.users)
    held = asyncio.Event()
    left = 40

    async def one() -> None:
        nonlocal left
        async with Peer(aim) as peer:
            try:
                await peer.login(user)
                aim.saw("logged in")
            finally:
                left -= 1
                if not left:
                    held.set()
            await held.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(left):
            group.create_task(one())


@attack(
    "reconnect storm",
    "50 accounts connect, log in and drop, all at once",
    "logged in",
    also=("close 1013", "HTTP 503"),
)
async def _storm(aim: Aim) -> None:
    async def one(user: int) -> None:
        async with Peer(aim) as peer:
            await peer.login(user, device=device(aim.rng))
            aim.saw("logged in")

    async with asyncio.TaskGroup() as group:
        for _ in range(min(aim.many, 50)):
            group.create_task(one(next(aim.users)))


@attack(
    "slow reader",
    "is written to, asks for histories, and reads nothing",
    also=(DROPPED, "close 4008"),
    waits=True,
)
async def _deaf(aim: Aim) -> None:
    user, writer = next(aim.users), next(aim.users)
    async with Peer(aim, receive_buffer=4_096) as peer, Peer(aim) as sender:
        await peer.login(user, device=device(aim.rng))
        await sender.login(writer, device=device(aim.rng))
        feeding = asyncio.create_task(_feed(sender, _message(user)))
        ask = frame(TEXT, _call(1, "history", peerId=writer, pageSize=100))
        try:
            while True:  # until the server drops it; it isn't read any more long before
                await peer.send(ask, frames=1)
                await asyncio.sleep(aim.pause / 10)
        finally:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError, Gone):
                await feeding


async def _feed(sender: Peer, make: Callable[[int], bytes]) -> None:
    """Write to somebody, a little slower than a user may."""
    number = 0
    while True:
        for _ in range(10):
            number += 1
            body = json.loads(make(number))
            body["message"] = json.loads(body["message"]) | {"content": "x" * 900}
            await sender.text(json.dumps(body).encode())
        for _ in range(10):
            await sender.heard("CHAT_SEND_RESPONSE")
        await asyncio.sleep(0.2)


@attack(
    "never acknowledges",
    "gets messages, and acknowledges none",
    "pushed no more than `unacked`",
    "still served",
)
async def _unacked(aim: Aim) -> None:
    user = next(aim.users)
    async with Peer(aim) as peer, Peer(aim) as sender:
        said = await peer.login(user, device=device(aim.rng))
        unacked = said["data"]["limits"]["unacked"]
        await sender.login(next(aim.users), device=device(aim.rng))
        make = _message(user)
        for number in range(1, unacked + 50):
            await sender.text(make(number))
            await sender.heard("CHAT_SEND_RESPONSE")
        # what was pushed was written before the answer to this
        await peer.say("HEARTBEAT_REQUEST", {})
        pushed = 0
        async for kind, _ in peer.messages():
            pushed += kind == "CHAT_REDIRECT_TO_USER_REQUEST"
            if kind == "HEARTBEAT_RESPONSE":
                break
        held = 0 < pushed <= unacked
        aim.saw("pushed no more than `unacked`" if held else f"pushed {pushed}")
        await peer.alive()
