"""Attacks with the upgrade request, before there is a WebSocket."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from .attack import Group
from .peer import DROPPED, TEXT, Aim, Peer, envelope, frame, upgrade

HANDSHAKE: Final = Group("handshake")
attack = HANDSHAKE.attack
_KEY: Final = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
_LINES: Final = "".join(f"X-{n}: {n}\r\n" for n in range(1_200))


async def _ask(request: bytes, aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.send(request)
        await peer.end()


def _asks(name: str, does: str, request: bytes, *answers: str) -> None:
    HANDSHAKE.add(name, does, partial(_ask, request), *answers)


_asks("no Host", "leaves the Host header out", upgrade(Host=""), "HTTP 400")
_asks("long Host", "names a host of 300 bytes", upgrade(Host="h" * 300), "HTTP 400")
_asks(
    "foreign Origin",
    "is a page of another site",
    upgrade(Origin="https://evil.example"),
    "HTTP 403",
)
_asks("null Origin", "is a page in a sandbox", upgrade(Origin="null"), "HTTP 403")
_asks(
    "Origin that begins like ours",
    "is a page of localhost.evil.example",
    upgrade(Origin="http://localhost.evil.example"),
    "HTTP 403",
)
_asks(
    "two Origins",
    "sends one that is good and one that is not",
    upgrade("Origin: http://localhost", "Origin: https://evil.example"),
    "HTTP 400",
)
_asks("wrong path", "asks for a WebSocket elsewhere", upgrade(target="/admin"), "HTTP 404")
_asks("wrong version", "speaks version 8", upgrade(Sec_WebSocket_Version="8"), "HTTP 426")
_asks("HTTP/1.0", "asks in HTTP/1.0", upgrade(version="HTTP/1.0"), "HTTP 400")
_asks("HTTP/2.0", "claims to speak HTTP/2.0", upgrade(version="HTTP/2.0"), "HTTP 400")
_asks("POST", "asks with POST", upgrade(method="POST"), "HTTP 405")
_asks("huge key", "sends a key of 4,000 bytes", upgrade(Sec_WebSocket_Key="k" * 4_000), "HTTP 400")
_asks("two keys", "sends two keys", upgrade(_KEY), "HTTP 400")
_asks(
    "smuggling",
    "sends Content-Length and Transfer-Encoding, and a request in the body",
    upgrade("Content-Length: 4", "Transfer-Encoding: chunked")
    + b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HTTP 400",
)
_asks(
    "body",
    "announces a body that a proxy would not take for frames",
    upgrade("Content-Length: 64"),
    "HTTP 413",
)
_asks(
    "frames with the request",
    "sends a log-in before the upgrade was answered",
    upgrade() + frame(TEXT, envelope("AUTH_REQUEST", {"accessToken": "x"})),
    "HTTP 400",
)
_asks(
    "bare LF in a header",
    "hides a header behind a bare line feed",
    upgrade("X-A: b\nOrigin: http://localhost"),
    "HTTP 400",
)
_asks("NUL in a header", "sends NUL in a header", upgrade("X-A: b\x00c"), "HTTP 400")
_asks("CR in a header", "sends a bare CR in a header", upgrade("X-A: b\rX-B: c"), "HTTP 400")
_asks(
    "folded subprotocol",
    "hides a header in a folded line",
    upgrade("Sec-WebSocket-Protocol: a\r\n X-Injected: 1"),
    "HTTP 400",
)
_asks(
    "CR LF in the path",
    "breaks the request line",
    upgrade(target="/ws\r\nX-Injected: 1"),
    "HTTP 400",
)
_asks(
    "control characters in the path",
    "sends an escape sequence for whoever reads the log",
    upgrade(target="/ws\x1b[2J"),
    "HTTP 400",
)
_asks(
    "TLS", "speaks TLS to a port without", b"\x16\x03\x01\x02\x00\x01\x00" + bytes(512), "HTTP 400"
)
_asks("huge header", "sends one header of 20 kB", upgrade("X-A: " + "a" * 20_000), "HTTP 431")
_asks("1,200 headers", "sends 1,200 short headers", upgrade(_LINES[:-2]), "HTTP 431")
_asks("huge URL", "asks for a URL of 60 kB", upgrade(target="/ws?" + "a" * 60_000), "HTTP 431")
_asks(
    "spaces in a list",
    "names a subprotocol with 4,000 spaces",
    upgrade("Sec-WebSocket-Protocol: a" + " " * 4_000 + "b"),
    "HTTP 400",
)


@attack("IDNA bomb", "names a host that is slow to decode: nobody decodes it", "HTTP 101")
async def _idna(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open(Host="xn--" + "a" * 251)
        aim.saw("HTTP 101")


@attack("foreign subprotocol", "asks for a subprotocol of another kind", "HTTP 101, none chosen")
async def _subprotocol(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open("Sec-WebSocket-Protocol: mqtt")
        chosen = "sec-websocket-protocol" in peer.headers
        aim.saw("a subprotocol was chosen" if chosen else "HTTP 101, none chosen")


@attack("deflate", "offers permessage-deflate, and sends a compressed frame", "close 1002")
async def _deflate(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9999")
        if "sec-websocket-extensions" in peer.headers:
            aim.saw("deflate was agreed to")
        await peer.send(frame(TEXT, b"\xaaV*\x01\x00", rsv=4), frames=1)
        await peer.end()


@attack("endless head", "sends headers without end", "HTTP 431")
async def _endless(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.send(upgrade()[:-2])
        await peer.flood(b"X-A: b\r\n", 65_536, frames=0)
        await peer.end()


@attack("silence", "connects and says nothing", DROPPED, waits=True)
async def _silence(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.end()


@attack("half a request", "never ends its request", DROPPED, waits=True)
async def _half(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.send(upgrade()[:-2])
        await peer.end()


@attack("slow request", "sends its request a byte now and then", DROPPED, waits=True)
async def _slow(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.send(upgrade()[:-2])
        await peer.dribble(b"X-A: b\r\n")


@attack("refused, and stays", "keeps the connection of a refused upgrade", "HTTP 404, then the end")
async def _stays(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.send(upgrade(target="/admin"))
        status = await peer.head()
        await peer.gone()
        aim.saw(f"HTTP {status}, then the end")


@attack("connection flood", "opens connections and keeps them", also=("kept", DROPPED), waits=True)
async def _flood(aim: Aim) -> None:
    """How many are kept is the business of `connections_per_address`."""
    ended = 0

    async def one() -> None:
        nonlocal ended
        async with Peer(aim) as peer:
            await peer.gone()
            ended += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(min(aim.many, 200)):
            group.create_task(one())
    aim.saw(DROPPED if ended else "kept")
