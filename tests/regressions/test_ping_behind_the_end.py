"""A Ping in the same read as what ends the connection, behind it, is not answered.

It raised `LocalProtocolError` out of the engine: a Pong can't follow our Close. Found by
`im simulate` (a forged AUTH_REQUEST and a Ping in one write).
"""

from __future__ import annotations

import random

import pytest

from im_proto.config import ServerConfig
from im_proto.server import Gateway
from im_proto.server.actions import SendBytes
from im_proto.server.inputs import BytesReceived, ConnectionMade
from im_proto.testing.sim.forged import PING, TEXT, frame

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: server\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
LAST_WORDS = b'{"type":"AUTH_REQUEST","message":"{\\"accessToken\\":7}"}'


@pytest.mark.parametrize("pings", [1, 3])
def test_a_ping_behind_what_ends_the_connection_is_not_answered(pings: int) -> None:
    rng = random.Random(1)
    gateway = Gateway(ServerConfig(), now=0.0, wall=0.0, strict=True)
    gateway.step(ConnectionMade(connection=1), 0.0)
    gateway.step(BytesReceived(connection=1, data=UPGRADE), 0.0)
    data = frame(rng, TEXT, LAST_WORDS, masked=True)
    for _ in range(pings):
        data += frame(rng, PING, b"still there?", masked=True)
    out = gateway.step(BytesReceived(connection=1, data=data), 0.0)
    written = b"".join(action.data for action in out if isinstance(action, SendBytes))
    assert b"\x03\xf0AUTH_REQUEST can't be read" in written  # our Close, 1008
    assert b"still there?" not in written
