"""Attacks with frames, before the log-in where that is not said."""

from __future__ import annotations

from functools import partial
from typing import Final

from .attack import Group
from .peer import (
    BINARY,
    CLOSE,
    DROPPED,
    PING,
    PONG,
    TEXT,
    Aim,
    Peer,
    device,
    envelope,
    frame,
)

FRAMES: Final = Group("frames")
attack = FRAMES.attack


async def _send(data: bytes, aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open()
        await peer.send(data, frames=1)
        await peer.end()


def _sends(name: str, does: str, data: bytes, *answers: str) -> None:
    FRAMES.add(name, does, partial(_send, data), *answers)


_HELLO: Final = envelope("HEARTBEAT_REQUEST", {})
_sends("unmasked", "sends a frame without a mask", frame(TEXT, _HELLO, masked=False), "close 1002")
for _bit in (4, 2, 1):
    _sends(
        f"reserved bit {_bit}",
        "sets a reserved bit",
        frame(TEXT, _HELLO, rsv=_bit),
        "close 1002",
    )
_sends("bad opcode", "sends a frame of an unknown kind", frame(5, b"x"), "close 1002")
_sends("bad control opcode", "… of an unknown kind of control", frame(12, b"x"), "close 1002")
_sends("fragmented ping", "cuts a ping into pieces", frame(PING, b"x", fin=False), "close 1002")
_sends("long ping", "sends a ping of 126 bytes", frame(PING, bytes(126)), "close 1002")
_sends("orphan", "goes on with a message that never began", frame(0, b"x"), "close 1002")
_sends(
    "message in a message",
    "begins one inside of another",
    frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
    "close 1002",
)
_sends(
    "long form of a short length",
    "writes the length 5 in eight bytes",
    bytes((0x81, 0xFF)) + (5).to_bytes(8, "big") + bytes(4) + b"hello",
    "close 1002",
)
_sends(
    "negative length",
    "sets the first bit of a length of 64 bits",
    bytes((0x81, 0xFF)) + (1 << 63).to_bytes(8, "big") + bytes(4),
    "close 1002",
)
_sends("half a close code", "closes with one byte", frame(CLOSE, b"\x03"), "close 1002")
_sends("bad close code", "closes with 1005", frame(CLOSE, b"\x03\xed"), "close 1002")
_sends("binary", "sends a binary message", frame(BINARY, _HELLO), "close 1003")
_sends("bad UTF-8", "sends text that is no UTF-8", frame(TEXT, b"\xff\xfe"), "close 1007")
_sends(
    "surrogate in UTF-8", "encodes a lone surrogate", frame(TEXT, b'"\xed\xa0\x80"'), "close 1007"
)
_sends(
    "bad UTF-8 in a close",
    "gives a reason that is no UTF-8",
    frame(CLOSE, b"\x03\xe8\xff"),
    "close 1007",
)
_sends("large log-in", "sends 60 kB before the log-in", frame(TEXT, b" " * 60_000), "close 1009")


@attack("2^62 bytes", "announces a frame of 2^62 bytes, and sends a few", "close 1009")
async def _huge(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open()
        await peer.send(bytes((0x81, 0xFF)) + (1 << 62).to_bytes(8, "big") + bytes(4), frames=1)
        await peer.dribble(b"x")


@attack("message too big", "sends 10 MB after the log-in", "close 1009")
async def _big(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.login(next(aim.users))
        await peer.send(frame(TEXT, b"x" * 10_000_000), frames=1)
        await peer.end()


@attack("fragments", "cuts 2 kB into 1,000 pieces", "close 1008")
async def _fragments(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open()
        await peer.send(frame(TEXT, b"x", fin=False), frames=1)
        await peer.flood(frame(0, b"xx", fin=False), 1_000)
        await peer.end()


@attack("empty fragments", "goes on with a message for ever, with nothing", "close 1008")
async def _empty(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open()
        await peer.send(frame(TEXT, b"", fin=False), frames=1)
        await peer.flood(frame(0, b"", fin=False), 100_000)
        await peer.end()


async def _control(opcode: int, reads: bool, aim: Aim) -> None:
    async with Peer(aim, receive_buffer=None if reads else 4_096) as peer:
        await peer.login(next(aim.users))
        await peer.flood(frame(opcode, b"x" * 125), 20_000)
        if reads:
            await peer.end()
        else:
            await peer.gone()
            aim.saw(DROPPED)


FRAMES.add("ping flood", "pings as fast as it can", partial(_control, PING, True), "close 1008")
FRAMES.add(
    "ping flood, deaf",
    "… and reads none of the answers",
    partial(_control, PING, False),
    DROPPED,
)
FRAMES.add(
    "pong flood",
    "sends pongs that nobody asked for",
    partial(_control, PONG, True),
    "close 1008",
)


@attack("data after the close", "goes on after its close frame", "close 1000")
async def _after(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.login(next(aim.users))
        await peer.send(frame(CLOSE, b"\x03\xe8"), frames=1)
        await peer.flood(frame(TEXT, _HELLO), 1_000)
        await peer.end()


@attack("answers no close", "keeps the connection after the server's close", DROPPED, waits=True)
async def _unclosed(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.login(next(aim.users))
        await peer.send(frame(TEXT, b"not JSON"), frames=1)
        await peer.gone()
        aim.saw(DROPPED)


@attack("slow frame", "sends a frame a byte now and then", "close 1008", waits=True)
async def _slow(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.login(next(aim.users))
        await peer.send(bytes((0x81, 0xFE, 0x40, 0, 0, 0, 0, 0)))
        await peer.dribble(b"x")


@attack("half a message", "sends a first fragment, and pings for ever", "close 1008", waits=True)
async def _half(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.login(next(aim.users))
        await peer.send(frame(TEXT, b"x", fin=False), frames=1)
        await peer.dribble(frame(PING))


@attack("silent after the upgrade", "never logs in", "close 4002", waits=True)
async def _silent(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open()
        await peer.end()


@attack("slow log-in", "sends its log-in a byte now and then", "close 4002", waits=True)
async def _slow_login(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open()
        await peer.send(bytes((0x81, 0xFE, 0x40, 0, 0, 0, 0, 0)))
        await peer.dribble(b"x")


@attack(
    "heartbeats instead of a log-in",
    "is alive, and never logs in",
    "close 4002",
    waits=True,
)
async def _never(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.open()
        await peer.dribble(frame(TEXT, _HELLO))


@attack(
    "garbage",
    "sends random bytes for frames",
    also=[f"close {n}" for n in (1002, 1003, 1007, 1008, 1009)],
)
async def _garbage(aim: Aim) -> None:
    async with Peer(aim) as peer:
        await peer.login(next(aim.users), device=device(aim.rng))
        await peer.send(aim.rng.randbytes(4_096), frames=1)
        await peer.end()
