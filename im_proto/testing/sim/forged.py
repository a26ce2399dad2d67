"""Frames that are well formed and that no honest peer sends at that moment."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, Final

from .ledger import BROADCAST
from .network import End

if TYPE_CHECKING:
    from .chaos import Chaos

#: Opcodes of RFC 6455 section 5.2.
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10


def frame(rng: random.Random, kind: int, payload: bytes, *, masked: bool) -> bytes:
    """A whole frame (RFC 6455 section 5.2) of at most 65,535 bytes."""
    size = len(payload)
    mask_bit = 0x80 if masked else 0
    head = bytes([0x80 | kind, mask_bit | (size if size < 126 else 126)])
    if size >= 126:
        head += size.to_bytes(2, "big")
    if masked:
        key = rng.randbytes(4)
        payload = key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
    return head + payload


def write(chaos: Chaos, writer: End, what: tuple[int, bytes], *, masked: bool) -> bool:
    """Put a frame into a stream, behind a write of an engine."""
    if not writer.open or not writer.other.open or writer.dead or writer.closing:
        return False
    writer.tampered = True
    kind, payload = what
    chaos.world.network.write(writer, frame(chaos.rng, kind, payload, masked=masked))
    return True


def to_server(chaos: Chaos, end: End) -> tuple[int, bytes]:
    """One for the server."""
    rng = chaos.rng
    number = rng.choice((0, 1, 5, 10**6, 2**63 - 1))
    return rng.choice(
        (
            _message("SYNC_REQUEST", after=number),
            _message("SYNC_REQUEST", after=chaos.received(end)),
            _message("CHAT_ACK_REQUEST", seq=number),
            _message("CHAT_SEND_TO_ONE_REQUEST", msgId=number + 1, toUser=1, content="x" * 5000),
            _message("CHAT_SEND_TO_ONE_REQUEST", msgId="one", toUser=1, content=""),
            _message("CHAT_SEND_TO_ALL_REQUEST", msgId=number + 1, content=f"{BROADCAST}{number}"),
            _message("CHAT_READ_RECEIPT_REQUEST", msgId=number + 1, fromUser=1),
            _message("AUTH_REQUEST", accessToken="1/1"),
            _message("AUTH_REQUEST", accessToken=7),
            _message("HEARTBEAT_REQUEST"),
            _message("NOBODY_KNOWS_THIS"),
            (TEXT, b"[]"),
            (TEXT, b"{"),
            (TEXT, b"\xff"),
            (PONG, str(number).encode()),
            (PONG, b"never asked"),
            (PING, b"are you there"),
            (CLOSE, rng.choice((1000, 1008, 1011, 3000)).to_bytes(2, "big")),
            (CLOSE, b""),
        )
    )


def to_client(chaos: Chaos) -> tuple[int, bytes]:
    """One for a client. None says that a message was accepted: that would be a lie, not a fault."""
    rng = chaos.rng
    number = rng.choice((1, 5, 10**6, 2**53))
    code = rng.choice((1000, 1001, 1002, 1008, 1009, 1011, 1012, 1013, 4003, 4008, 4009, 4999))
    return rng.choice(
        (
            _message("SYNC_RESPONSE", status="recovered", oldest=1),
            _message("AUTH_RESPONSE", code=0, message=""),
            _message("CHAT_SEND_RESPONSE", msgId=number, code=0),
            _message("CHAT_ERROR_RESPONSE", code=rng.choice((400, 500)), message="oh"),
            _message("CHAT_ERROR_RESPONSE", code=40100, message="who are you", msgId=number),
            _message(
                "CHAT_REDIRECT_TO_USER_REQUEST", content=f"{BROADCAST}hole", seq=10**9 + number
            ),
            _message("KICK", reason="go", reconnect=True, retryAfter=rng.choice((None, 1))),
            _message("KICK", reason="for good", reconnect=False),
            _message("HEARTBEAT_RESPONSE"),
            _message("NOBODY_KNOWS_THIS"),
            _message("CHAT_SEND_RESPONSE", msgId="one"),
            (TEXT, b"[]"),
            (TEXT, b"nonsense"),
            (PING, b"still there?"),
            (PONG, b"never asked"),
            (CLOSE, code.to_bytes(2, "big")),
            (CLOSE, b""),
        )
    )


def _message(kind: str, **message: Any) -> tuple[int, bytes]:
    return TEXT, json.dumps({"type": kind, "message": json.dumps(message)}).encode()
