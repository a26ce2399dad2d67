"""Attacks on the HTTP calls."""

from __future__ import annotations

import asyncio
import contextlib
import json
from functools import partial
from typing import Final

from .attack import Group
from .peer import DROPPED, Aim, Gone, Peer, junk

HTTP: Final = Group("HTTP")
attack = HTTP.attack


def _request(
    aim: Aim,
    body: bytes = b"",
    *lines: str,
    method: str = "POST",
    target: str = "/im/session/getCurrent",
    user: int | None = None,
    size: int | None = None,
) -> bytes:
    user = next(aim.users) if user is None else user
    head = [
        f"{method} {target} HTTP/1.1",
        "Host: localhost",
        f"satoken: {aim.token(user)}",
        *(
            []
            if any("encoding" in line for line in lines)
            else [f"Content-Length: {len(body) if size is None else size}"]
        ),
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


async def _call(body: bytes, aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.send(_request(aim, body))
        status = await peer.head()
        aim.saw(f"HTTP {status}")


def _calls(name: str, does: str, body: bytes, *answers: str) -> None:
    HTTP.add(name, does, partial(_call, body), *answers)


_calls("deep body", "nests 8,000 arrays in a body", b"[" * 8_000 + b"]" * 8_000, "HTTP 400")
_calls("body of a number", "sends a number for an object", b"1", "HTTP 400")
_calls("body with NaN", "sends NaN", b'{"userId": NaN}', "HTTP 200")
_calls(
    "body with 4,000 digits",
    "sends a huge integer",
    b'{"userId": ' + b"9" * 4_000 + b"}",
    "HTTP 200",
)
_calls(
    "body of 16,000 digits",
    "sends a huger integer",
    b'{"userId": ' + b"9" * 16_000 + b"}",
    "HTTP 400",
)
_calls("huge body", "sends a body of 10 MB", b" " * 10_000_000, "HTTP 413")


async def _raw(data: bytes, aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.send(data)
        await peer.end()


HTTP.add(
    "smuggled request",
    "sends Content-Length and Transfer-Encoding",
    partial(
        _raw,
        b"POST /im/session/getCurrent HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "HTTP 400",
)
HTTP.add(
    "two lengths",
    "sends two lengths",
    partial(
        _raw,
        b"POST /im/session/getCurrent HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
        b"Content-Length: 5\r\n\r\n12345",
    ),
    "HTTP 400",
)
HTTP.add(
    "unknown method",
    "makes up a method",
    partial(_raw, b"EVIL / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "HTTP 400",
)


@attack("announced body", "announces 10^18 bytes, and sends some", "HTTP 413", waits=True)
async def _announced(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.send(_request(aim, size=10**18))
        await peer.flood(b" " * 1_000, 100, frames=0)
        await peer.end()


@attack("endless chunks", "sends chunks of one byte without end", "HTTP 413")
async def _chunks(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.send(_request(aim, b"", "Transfer-encoding: chunked"))
        await peer.flood(b"1\r\n \r\n", 100_000, frames=0)
        await peer.end()


@attack("huge query", "sends a query of 60 kB", "HTTP 431")
async def _query(aim: Aim) -> None:
    async with Peer(aim) as peer:
        target = "/im/session/get?" + "&".join(f"k{n}=v" for n in range(8_000))
        await peer.send(_request(aim, method="GET", target=target))
        await peer.end()


@attack(
    "no token",
    "asks without a token, and with a bad one",
    "code 40100",
    "code 40101",
    also=("code 429",),
)
async def _tokens(aim: Aim) -> None:
    for token in ("", junk(aim.rng, 4_000)):
        async with Peer(aim) as peer:
            await peer.send(
                b"GET /im/session/get?sessionId=1 HTTP/1.1\r\nHost: x\r\n"
                + (f"satoken: {token}\r\n\r\n" if token else "\r\n").encode()
            )
            aim.saw(f"code {(await peer.answer()).code}")


@attack("foreign session by HTTP", "reads sessions of others", "code 40400", "code 403")
async def _foreign(aim: Aim) -> None:
    for target, body in (
        ("/im/message/history", {"sessionId": aim.foreign}),
        ("/im/session/getCurrent", {"userId": aim.victim}),
        ("/im/session/startChat", {"bookId": 1, "buyerId": aim.victim, "sellerId": aim.victim + 1}),
    ):
        async with Peer(aim) as peer:
            await peer.send(_request(aim, json.dumps(body).encode(), target=target))
            aim.saw(f"code {(await peer.answer()).code}")


@attack("admin calls", "asks for what only admins may", "refused")
async def _admin(aim: Aim) -> None:
    for target in ("/im/admin/online", "/im/admin/kick", "/im/admin/../../etc/passwd"):
        for method in ("GET", "POST"):
            async with Peer(aim) as peer:
                await peer.send(_request(aim, b"{}", method=method, target=target))
                answer = await peer.answer()
                aim.saw("refused" if answer.status != 200 or answer.code else f"served: {target}")


@attack("slow body", "sends a body a byte now and then", DROPPED, waits=True)
async def _slow(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.send(_request(aim, size=16_000))
        await peer.dribble(b" ")


@attack("slow head", "sends a head a byte now and then", DROPPED, waits=True)
async def _slow_head(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.send(b"GET /healthz HTTP/1.1\r\n")
        await peer.dribble(b"X-A: b\r\n")


@attack(
    "pipelining flood",
    "asks a thousand times in one breath",
    DROPPED,
    also=("HTTP 200", "HTTP 429"),
)
async def _pipelined(aim: Aim) -> None:
    user = next(aim.users)
    one = _request(aim, b'{"userId": %d}' % user, user=user)
    async with Peer(aim) as peer:
        sending = asyncio.create_task(peer.send(one * min(aim.many, 1_000)))
        try:
            for _ in range(min(aim.many, 1_000)):
                aim.saw(f"HTTP {(await peer.answer()).status}")
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, Gone):
                await sending


@attack("call flood", "asks as fast as it can on 8 connections", "HTTP 200", also=("HTTP 429",))
async def _flood(aim: Aim) -> None:
    user = next(aim.users)
    one = _request(aim, b'{"userId": %d}' % user, user=user)

    async def ask() -> None:
        async with Peer(aim) as peer:
            for _ in range(aim.many // 8):
                await peer.send(one)
                aim.saw(f"HTTP {(await peer.answer()).status}")

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(ask())


@attack("slow response reader", "asks for much, and reads nothing", DROPPED, waits=True)
async def _deaf(aim: Aim) -> None:
    user, other = next(aim.users), next(aim.users)
    async with Peer(aim) as writer:
        await writer.login(user)
        for number in range(1, 51):
            message = {"msgId": number, "toUser": other, "content": "x" * 1_000}
            await writer.say("CHAT_SEND_TO_ONE_REQUEST", message)
            await writer.heard("CHAT_SEND_RESPONSE")
    body = json.dumps({"peerId": other, "pageSize": 50}).encode()
    one = _request(aim, body, target="/im/message/history", user=user)
    async with Peer(aim, receive_buffer=4_096) as peer:
        with contextlib.suppress(Gone):
            while True:  # until the server has enough of it
                await peer.send(one)
                await asyncio.sleep(aim.pause / 10)
        aim.saw(DROPPED)
