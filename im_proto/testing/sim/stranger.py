"""Peers of the server that have no engine: scanners, half-written clients, attackers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .forged import BINARY, CLOSE, PING, PONG, TEXT, envelope, frame
from .network import End
from .node import Node

if TYPE_CHECKING:
    from .world import SimWorld

_UPGRADE: Final = (
    b"GET %s HTTP/1.1\r\nHost: server\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
#: A request for an upgrade that any server takes.
GOOD: Final = _UPGRADE % b"/ws"


class Stranger(Node[Any]):
    """Connects, writes what it was given piece by piece, and never answers.

    Args:
        world: where it lives.
        pieces: what it writes.
        pace: seconds between two pieces.
        reads: it reads what it is sent.
    """

    def __init__(self, world: SimWorld, pieces: list[bytes], pace: float, *, reads: bool) -> None:
        super().__init__(world, "stranger", world.machine("stranger"))
        self._pieces = pieces[::-1]
        self._pace = pace
        self.gone = False
        # its machine is nobody's whose clock or lid may be touched
        world.machines.remove(self.machine)
        end = world.network.meet(self)
        if end is None:
            self.gone = True
            return
        end.reading = reads
        if not reads:  # what is written to it soon heaps up
            end.other.window, end.other.high = 64, 50
        self._end = end
        self.ends[end.name] = end
        world.later(0.0, self._say)

    def _say(self) -> None:
        if self.gone:
            return
        if not self._pieces:
            self.world.later(60.0, self.leave)
            return
        self.world.network.write(self._end, self._pieces.pop())
        self.world.later(self._pace, self._say)

    def leave(self) -> None:
        """It goes away."""
        if not self.gone:
            self.gone = True
            self._die(silent=False)

    # ------------------------------------------------------------ it has no engine

    @property
    def alive(self) -> bool:
        """It is still connected."""
        return not self.gone

    def next_deadline(self) -> float | None:
        """It waits for nothing."""
        return None

    def time_passed(self) -> Any:
        """Nothing to it."""

    def _take(self, event: Any) -> None:
        """Nor is anything else."""

    def bytes_in(self, end: End, data: bytes) -> None:
        """It doesn't care."""

    def lost(self, end: End, reason: str) -> None:
        """It was thrown out."""
        self.gone = True

    def write_blocked(self, end: End) -> None:
        """It doesn't care."""

    def write_ready(self, end: End) -> None:
        """It doesn't care."""


def script(world: SimWorld) -> list[bytes]:
    """What one of them writes."""
    rng = world.rng
    token = world.tokens.make(1)

    def say(kind: str, **message: Any) -> bytes:
        return frame(rng, TEXT, envelope(kind, **message).encode(), masked=True)

    def raw(kind: int, payload: bytes) -> bytes:
        return frame(rng, kind, payload, masked=True)

    login = say("AUTH_REQUEST", accessToken=token)
    talk = [
        say("CHAT_SEND_TO_ONE_REQUEST", msgId=1, toUser=1, content=""),
        say("CHAT_ACK_REQUEST", seq=1),
        say("SYNC_REQUEST", after=0),
        say("CHAT_READ_RECEIPT_REQUEST", msgId=1, fromUser=1),
        say("CHAT_SEND_TO_ALL_REQUEST", msgId=1, content="to all: hello"),
        say("HEARTBEAT_REQUEST"),
        raw(TEXT, b"[]"),
    ]
    half = say("HEARTBEAT_REQUEST")[:-3]
    huge = bytes([0x81, 0xFF]) + (2**40).to_bytes(8, "big") + b"mask"
    return rng.choice(
        (
            [],
            [bytes([byte]) for byte in GOOD[:80]],
            [GOOD[:40], GOOD[40:]],
            [_UPGRADE % b"/elsewhere"],
            [_UPGRADE % b"/ws?with=query"],
            [b"\x16\x03\x01 this is TLS", b"more"],
            [b"GET /ws HTTP/1.1\r\nHost: server\r\n\r\n"],
            [b"X" * 20_000],
            [GOOD],
            [GOOD, *talk],
            [GOOD, say("AUTH_REQUEST", accessToken=7)],
            [GOOD, say("AUTH_REQUEST", accessToken=token, userId=2)],
            [GOOD, say("AUTH_REQUEST", accessToken="nobody")],
            [GOOD, login + login, *talk],
            [GOOD + login, *talk, raw(PONG, b"1"), raw(PONG, b"999"), raw(PING, b"?")],
            [GOOD, say("AUTH_REQUEST", accessToken=token, capabilities=["seq", "batch"]), *talk],
            [GOOD, login, half],
            [GOOD, half],
            [GOOD, huge],
            [GOOD, raw(BINARY, b"bytes")],
            [GOOD, raw(CLOSE, b"\x03\xe8"), login],
            [GOOD, login, raw(CLOSE, b"")],
            [GOOD, login + raw(CLOSE, b"") + talk[0]],
        )
    )
