"""Strategies of bytes: whole WebSocket streams, cut anywhere, and streams that are broken.

A stream is written by hand here, without the framing that reads it, so each can check the other.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import random
import struct
from dataclasses import dataclass
from typing import Final, Literal

from hypothesis import strategies as st

from ...framing import (
    CloseFrame,
    FrameEvent,
    HandshakeAccepted,
    HandshakeRequested,
    PingFrame,
    PongFrame,
    TextFrame,
)
from .wire import client_messages, frames, garbage_frames, server_messages

__all__ = [
    "SAMPLE_KEY",
    "ByteStream",
    "Role",
    "SampleKey",
    "byte_streams",
    "chunks",
    "encode_frame",
    "garbage_bytes",
    "garbage_streams",
    "upgrade_answer",
    "upgrade_request",
]

#: Who writes a stream.
Role = Literal["client", "server"]

#: The key of RFC 6455 section 1.3, as it stands in the request.
SAMPLE_KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONT, _TEXT, _CLOSE, _PING, _PONG = 0, 1, 8, 9, 10


class SampleKey(random.Random):
    """An `rng` for a client whose upgrade request shall hold SAMPLE_KEY."""

    def randbytes(self, n: int) -> bytes:
        """The sample nonce for a key; anything else is as random as ever."""
        return base64.b64decode(SAMPLE_KEY) if n == 16 else super().randbytes(n)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteStream:
    """What one side of a WebSocket writes, from the first byte on.

    Attributes:
        role: who writes.
        chunks: the bytes, in the pieces that a socket happens to give.
        events: what the framing of the other side must see, in order.
    """

    role: Role
    chunks: tuple[bytes, ...]
    events: tuple[FrameEvent, ...]

    @property
    def data(self) -> bytes:
        """All of it in one piece."""
        return b"".join(self.chunks)


def encode_frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes | None = None
) -> bytes:
    """One frame by the book (RFC 6455 section 5.2); `mask` is four bytes for a client's frame."""
    size = len(payload)
    flag = 0x80 if mask is not None else 0
    head = bytes([(fin << 7) | opcode])
    if size < 126:
        head += bytes([flag | size])
    elif size < 2**16:
        head += bytes([flag | 126]) + struct.pack("!H", size)
    else:
        head += bytes([flag | 127]) + struct.pack("!Q", size)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def upgrade_request(*, host: str = "server", target: str = "/ws", key: str = SAMPLE_KEY) -> bytes:
    """A correct opening request (RFC 6455 section 4.1)."""
    return (
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode("ascii")


def upgrade_answer(*, key: str = SAMPLE_KEY, capable: bool = False) -> bytes:
    """A correct 101 to a request with that key; `capable`: of a server like ours."""
    digest = hashlib.sha1((key + _GUID).encode("ascii"), usedforsecurity=False).digest()
    accept = base64.b64encode(digest).decode("ascii")
    ours = "IM-Capabilities: seq, batch\r\n" if capable else ""
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n{ours}\r\n"
    ).encode("ascii")


@st.composite
def chunks(draw: st.DrawFn, data: bytes, *, most: int = 12) -> list[bytes]:
    """`data` as a socket may give it: cut at any place, into at most `most` pieces.

    Now and then a byte at a time. No piece is empty, since an empty read is the end of a stream.
    """
    if len(data) <= 200 and draw(st.integers(0, 9)) == 9:
        return [data[i : i + 1] for i in range(len(data))]
    if not data:
        return []
    places = draw(st.sets(st.integers(1, len(data)), max_size=most - 1)) - {len(data)}
    edges = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def _masks(role: Role) -> st.SearchStrategy[bytes | None]:
    return st.binary(min_size=4, max_size=4) if role == "client" else st.none()


_controls: Final = st.tuples(st.sampled_from([_PING, _PONG]), st.binary(max_size=125))


@st.composite
def _data_frames(draw: st.DrawFn, role: Role, text: str) -> tuple[bytes, list[FrameEvent]]:
    """A text message in one frame or in fragments, control frames between them (section 5.4)."""
    masks = _masks(role)
    payload = text.encode("utf-8")
    # a fragment may be empty, and may end inside of a character
    places = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    edges = [0, *places, len(payload)]
    out, events = b"", []
    for n, (a, b) in enumerate(itertools.pairwise(edges)):
        last = n == len(edges) - 2
        opcode = _CONT if n else _TEXT
        out += encode_frame(opcode, payload[a:b], fin=last, mask=draw(masks))
        if not last and draw(st.booleans()):
            control, event = draw(_control_frames(role))
            out += control
            events.append(event)
    return out, [*events, TextFrame(text=text)]


@st.composite
def _control_frames(draw: st.DrawFn, role: Role) -> tuple[bytes, FrameEvent]:
    opcode, payload = draw(_controls)
    kind = PingFrame if opcode == _PING else PongFrame
    return encode_frame(opcode, payload, mask=draw(_masks(role))), kind(payload=payload)


@st.composite
def byte_streams(
    draw: st.DrawFn,
    *,
    role: Role,
    key: str = SAMPLE_KEY,
    target: str = "/ws",
    texts: st.SearchStrategy[str] | None = None,
) -> ByteStream:
    """Whole streams that are correct to the last byte: the upgrade, then text and control frames
    (masked if `role` says so, fragmented, with controls between fragments), then maybe a close.

    Args:
        role: who writes; a server's stream is what a client reads.
        key: of the upgrade request that a server's stream answers; give the client that shall
            read it `rng=SampleKey()`, or the key that it has drawn.
        target: what a client's stream asks for.
        texts: the text messages; by default frames of this role's wire messages.
    """
    if texts is None:
        texts = frames(client_messages if role == "client" else server_messages)
    events: list[FrameEvent] = []
    if role == "client":
        data = upgrade_request(target=target, key=key)
        headers = (
            ("host", "server"),
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-key", key),
            ("sec-websocket-version", "13"),
        )
        events.append(
            HandshakeRequested(
                target=target, host="server", origin=None, headers=headers, subprotocols=()
            )
        )
    else:
        capable = draw(st.booleans())
        data = upgrade_answer(key=key, capable=capable)
        events.append(HandshakeAccepted(subprotocol=None, capable=capable))
    for _ in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            frame, heard = draw(_data_frames(role, draw(texts)))
            events += heard
        else:
            frame, control = draw(_control_frames(role))
            events.append(control)
        data += frame
    if draw(st.booleans()):
        code = draw(st.sampled_from([1000, 1001, 1002, 1009, 1012, 1013, 4001, 4009]))
        reason = draw(st.text(st.characters(codec="utf-8"), max_size=30))
        body = code.to_bytes(2, "big") + reason.encode("utf-8")
        data += encode_frame(_CLOSE, body, mask=draw(_masks(role)))
        events.append(CloseFrame(code=code, reason=reason))
    return ByteStream(role=role, chunks=tuple(draw(chunks(data))), events=tuple(events))


#: Bytes that are wrong at the level of HTTP or of frames, and now and then right by accident.
garbage_bytes: Final[st.SearchStrategy[bytes]] = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.sampled_from(
        [
            b"\r\n\r\n",
            b"GET / HTTP/1.0\r\n\r\n",
            b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS, to a port without
            b"\x82\x01x",  # binary, unmasked
            b"\x82\x81abcdx",  # binary, masked
            b"\xc1\x01x",  # a reserved bit
            b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff",  # 2^63 bytes and more are announced
            b"\x89\x7e\x00\x7e",  # a ping that is too long
            b"\x88\x01x",  # a close with half a code
            b"\x81\x02\xc3\x28",  # no UTF-8
            b"\x80\x00",  # a continuation of nothing
        ]
    ),
    st.builds(
        lambda text, mask: encode_frame(_TEXT, text.encode("utf-8", "surrogatepass"), mask=mask),
        garbage_frames,
        st.none() | st.just(b"\x01\x02\x03\x04"),
    ),
)


@st.composite
def garbage_streams(draw: st.DrawFn, *, role: Role, key: str = SAMPLE_KEY) -> list[bytes]:
    """Streams that go wrong somewhere: good as far as a place, then cut, changed or followed by
    what was never allowed there; or nothing but garbage. In chunks, as a socket gives them."""
    data = draw(byte_streams(role=role, key=key)).data
    at = draw(st.integers(0, len(data)))
    how = draw(st.sampled_from(["cut", "flip", "insert", "repeat", "alone"]))
    if how == "cut":
        data = data[:at]
    elif how == "flip":
        flipped = bytes([data[at % len(data)] ^ (1 << draw(st.integers(0, 7)))])
        data = data[: at % len(data)] + flipped + data[at % len(data) + 1 :]
    elif how == "insert":
        data = data[:at] + draw(garbage_bytes) + data[at:]
    elif how == "repeat":
        data = data + data
    else:
        data = draw(garbage_bytes)
    return draw(chunks(data))
