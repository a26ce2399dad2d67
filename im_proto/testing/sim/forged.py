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
Frame = tuple[int, bytes]

_CLOSES: Final = (
    *(1000, 1001, 1002, 1008, 1009, 1011, 1012, 1013),
    *(4001, 4002, 4003, 4004, 4008, 4009, 4999),
)


def envelope(kind: str, **message: Any) -> str:
    """One envelope, as the family writes it."""
    return json.dumps({"type": kind, "message": json.dumps(message)})


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


def write(chaos: Chaos, writer: End, what: list[Frame], *, masked: bool) -> bool:
    """Put frames into a stream, together, behind a write of an engine."""
    if not writer.open or not writer.other.open or writer.dead or writer.closing:
        return False
    writer.tampered = True
    data = b"".join(frame(chaos.rng, kind, payload, masked=masked) for kind, payload in what)
    half = chaos.rng.random() < 0.15
    if half:  # the last one is never complete, and now and then nothing follows
        data = data[: chaos.rng.randrange(1, len(data))]
    chaos.world.network.write(writer, data)
    if half and chaos.rng.random() < 0.5:
        chaos.world.later(0.2, setattr, writer, "dead", True)
    return True


def to_server(chaos: Chaos, end: End) -> list[Frame]:
    """Some for the server. No honest-looking ack of what has arrived: that would be a lie."""
    rng = chaos.rng
    number = rng.choice((0, 1, 5, 10**6, 2**63 - 1))
    inbox = chaos.core(end).receiving.inbox
    msg_id = rng.randrange(1, 2**53)
    online = chaos.core(end).capabilities >= {"seq", "batch"}
    kind = rng.randrange(6)
    if kind == 0 and online:  # it ends the session; nothing that follows may have an effect
        return [
            _message("CHAT_ACK_REQUEST", seq=2**62),
            _message("CHAT_SEND_TO_ONE_REQUEST", msgId=msg_id, toUser=1, content="too late"),
            _message("CHAT_SEND_TO_ALL_REQUEST", msgId=msg_id, content=f"{BROADCAST}too late"),
            _message("SYNC_REQUEST", after=0),
            _message("CHAT_ACK_REQUEST", seq=2**62),
        ]
    if kind == 1:  # it hangs up on the answer
        broadcast = f"{BROADCAST}goodbye"
        return [
            _message("CHAT_SEND_TO_ALL_REQUEST", msgId=msg_id, content=broadcast),
            (CLOSE, b""),
        ]
    if kind == 2:  # nonsense, and more of it
        return [_message("AUTH_REQUEST", accessToken=7), (BINARY, b"bytes"), (PING, b"x")]
    frames = (
        _message("SYNC_REQUEST", after=number),
        _message("SYNC_REQUEST", after=inbox.received or 0),
        _message("SYNC_REQUEST", after=max(0, inbox.acked)),
        _message("CHAT_ACK_REQUEST", seq=rng.choice((0, 10**6, max(0, inbox.acked)))),
        _message("CHAT_SEND_TO_ONE_REQUEST", msgId=msg_id, toUser=1, content="x" * 5000),
        _message("CHAT_SEND_TO_ONE_REQUEST", msgId="one", toUser=1, content=""),
        _message("CHAT_SEND_TO_ALL_REQUEST", msgId=msg_id, content=f"{BROADCAST}{number}"),
        _message("CHAT_SEND_TO_ALL_REQUEST", msgId=msg_id, content=f"{BROADCAST}all"),
        _message("CHAT_READ_RECEIPT_REQUEST", msgId=msg_id, fromUser=1),
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
    return rng.choices(frames, k=rng.choice((1, 1, 3, 6)))


def to_client(chaos: Chaos, end: End) -> list[Frame]:
    """Some for a client. None says that a message was accepted: that would be a lie, not a fault;
    nor that its number was taken, upon which it is rightly sent again as another."""
    rng = chaos.rng
    number = rng.choice((1, 5, 10**6, 2**53))
    oldest = chaos.core(end).sending.outbox.oldest
    about = number if oldest is None else oldest.msg_id
    code = rng.choice(_CLOSES)
    bad = rng.choice((400, 500, 40100, 40100, 50000))
    hole = {"content": f"{BROADCAST}hole", "seq": 10**9 + number}
    kind = rng.randrange(10)
    if kind == 0:  # what a client in trouble is answered
        told = _message("CHAT_SEND_RESPONSE", msgId=about, code=bad, message="no")
        return [told, _message("HEARTBEAT_RESPONSE")]
    if kind == 1:
        return [_message("CHAT_ERROR_RESPONSE", code=bad, message="no", msgId=about)]
    if kind == 2:
        return [_batch(_message("CHAT_ERROR_RESPONSE", code=bad), _message("HEARTBEAT_RESPONSE"))]
    if kind in (3, 6):
        end.dead |= rng.random() < 0.5  # its question is never heard, so never answered
        if rng.random() < 0.3:  # and it looks at the clock late
            chaos.world.later(0.5, chaos.world.stall, end.node, 12.0)
        return [_message("CHAT_REDIRECT_TO_USER_REQUEST", **hole)]
    if kind == 4:  # an end that says why
        return [(CLOSE, rng.choice((4001, 4002, 4003)).to_bytes(2, "big"))]
    if kind == 5:  # a server's last words
        words = {"reason": "go", "reconnect": rng.choice((True, True, False))}
        kick = _message("KICK", **words, retryAfter=rng.choice((None, 1)))
        return [kick, (CLOSE, code.to_bytes(2, "big"))]
    frames = (
        _message("SYNC_RESPONSE", status="recovered", oldest=1),
        _message("AUTH_RESPONSE", code=0, message=""),
        _message("AUTH_RESPONSE", code=40101, message="no"),
        _message("CHAT_SEND_RESPONSE", msgId=number, code=0),
        _message("CHAT_SEND_RESPONSE", msgId="one"),
        _message("CHAT_READ_RECEIPT_RESPONSE", msgId=1, code=0, message=""),
        _message("HEARTBEAT_RESPONSE"),
        _message("NOBODY_KNOWS_THIS"),
        (TEXT, b"[]"),
        (TEXT, b"nonsense"),
        (BINARY, b"bytes"),
        (PING, b"still there?"),
        (PONG, b"never asked"),
        (CLOSE, code.to_bytes(2, "big")),
        (CLOSE, b""),
    )
    return rng.choices(frames, k=rng.choice((1, 1, 3)))


def _batch(*frames: Frame) -> Frame:
    return TEXT, b"[" + b",".join(payload for _, payload in frames) + b"]"


def _message(kind: str, **message: Any) -> Frame:
    return TEXT, envelope(kind, **message).encode()
