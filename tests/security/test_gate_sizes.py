"""How much a peer may say before and after its log-in, and how slowly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.server_kit import FULL, START
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from security.gate_kit import Gate, status

# ------------------------------------------------------------ how large, and how slow


def auth(size: int) -> str:
    """An AUTH_REQUEST of so many bytes."""
    text = json.dumps({"type": "AUTH_REQUEST", "message": {"accessToken": "1", "pad": ""}})
    return text[:-3] + "x" * (size - len(text)) + text[-3:]


def test_before_the_log_in_a_message_is_no_larger_than_that_needs() -> None:
    kit = Gate()
    most = kit.config.auth_bytes
    peer = kit.come()
    peer.text(auth(most))
    assert kit.gateway.online() == {1: 1}
    loud = kit.come()
    loud.raw(loud.bytes_of(auth(most + 1))[:8])  # its header is enough
    assert loud.code == 1009
    assert kit.gateway.online() == {1: 1}


def test_after_it_messages_may_be_as_large_as_the_server_says() -> None:
    kit = Gate()
    peer = kit.user(1)
    peer.text("[" + " " * (kit.config.message_bytes - 2) + "]")
    assert peer.code == 1002  # an empty batch: it was read
    other = kit.user(2)
    other.raw(other.bytes_of(" " * (kit.config.message_bytes + 1))[:14])
    assert other.code == 1009


def test_a_message_that_is_half_here_at_the_log_in_gets_its_new_limit() -> None:
    kit = Gate()
    kit.holding = True
    peer = kit.come()
    peer.login(1, **FULL)
    start, rest = '{"type":"CHAT_SEND_TO_ONE_REQUEST","pad":"', '"}'
    first = start + "x" * (kit.config.auth_bytes - len(start))
    mask = b"\0\0\0\0"
    peer.raw(b"\x01\xfe" + len(first).to_bytes(2, "big") + mask + first.encode())
    kit.release()
    peer.raw(b"\x80\xfe" + (60_000 - len(first)).to_bytes(2, "big") + mask
             + b"x" * (60_000 - len(first) - len(rest)) + rest.encode())  # fmt: skip
    assert peer.close is None and "CHAT_ERROR_RESPONSE" in peer.kinds


def test_a_server_of_small_messages_wants_small_log_ins_too() -> None:
    kit = Gate(message_bytes=1024)
    peer = kit.come()
    peer.raw(peer.bytes_of(auth(1025))[:8])
    assert peer.code == 1009


def test_a_head_is_no_larger_than_the_configuration_says() -> None:
    kit = Gate(handshake_bytes=1024, handshake_headers=8)
    assert status(kit.come(headers=(("X-A", "a" * 700),))) == 101
    assert status(kit.come(headers=(("X-A", "a" * 1024),))) == 431
    few = tuple((f"X-{n}", "1") for n in range(3))
    assert status(kit.come(headers=few)) == 101
    assert status(kit.come(headers=(*few, ("X-9", "1")))) == 431
    assert not kit.come(headers=(("X-A", "a" * 2000),)).messages


def test_nobody_is_promised_a_subprotocol_or_an_extension() -> None:
    kit = Gate()
    peer = kit.come(asks=False)
    head = peer._framing.request().replace(
        b"\r\n\r\n",
        b"\r\nSec-WebSocket-Protocol: mqtt, im.v9\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    )
    kit.do(inp.BytesReceived(connection=peer.connection, data=head))
    assert status(peer) == 101
    assert b"Sec-WebSocket-Protocol" not in peer.http
    assert b"Sec-WebSocket-Extensions" not in peer.http
    peer.raw(b"\xc1\x81\0\0\0\0x")  # compressed all the same
    assert peer.code == 1002


def test_frames_of_a_message_and_pings_are_counted_as_the_configuration_says() -> None:
    kit = Gate(message_frames=3, control_burst=2, control_rate=1.0)
    cut = kit.plain(1)
    cut.raw(b"\x01\x80\0\0\0\0" + b"\x00\x80\0\0\0\0" * 2)
    assert cut.close is None
    cut.raw(b"\x00\x80\0\0\0\0")
    assert cut.code == 1008
    loud = kit.plain(2)
    loud.raw(loud.ping() * 2)
    kit.wait(1)
    loud.raw(loud.ping())
    assert loud.close is None
    loud.raw(loud.ping())
    assert loud.code == 1008


def test_a_byte_a_minute_is_no_message() -> None:
    kit = Gate(partial_timeout=30, heartbeat_interval=300)
    peer = kit.plain(1)
    data = peer.bytes_of('{"type":"HEARTBEAT_REQUEST"}')
    for n in range(3):
        peer.raw(data[n : n + 1])
        kit.wait(15)
    assert peer.code == 1008
    kit.wait(5)
    assert peer.ended == "aborted"
    kit.assert_empty()


# ------------------------------------------------------------ transports of whole messages


class Messages:
    """A connection whose transport gives and takes whole messages."""

    def __init__(self, kit: Gate, address: str = "", **asked: Any) -> None:
        self.kit = kit
        self.said: list[act.Action] = []
        self.connection = len(kit.peers) + 1
        kit.peers[self.connection] = self  # type: ignore[assignment]
        kit.do(inp.ConnectionMade(connection=self.connection, peer=address, messages=True))
        kit.do(inp.UpgradeAsked(connection=self.connection, target="/ws", **asked))

    def carry_out(self, action: act.Action) -> None:
        self.said.append(action)

    def text(self, text: str) -> None:
        self.kit.do(inp.TextReceived(connection=self.connection, text=text))

    @property
    def code(self) -> int | None:
        closes = [action.code for action in self.said if isinstance(action, act.SendClose)]
        assert len(closes) <= 1
        return closes[0] if closes else None


def test_what_comes_by_an_asgi_server_goes_through_the_same_gate() -> None:
    kit = Gate(
        connections_per_address=1, trusted_proxies=["10.0.0.1"], origins=["https://shop.example"]
    )
    good = Messages(kit, "10.0.0.1", origin="https://shop.example", forwarded=("192.0.2.1",))
    assert good.said == [act.AcceptUpgrade(connection=good.connection)]
    assert kit.addresses == ["192.0.2.1"]
    (evil,) = Messages(kit, origin="https://evil.example", host="server").said[:1]
    assert isinstance(evil, act.RefuseUpgrade) and evil.status == 403
    (crowd,) = Messages(kit, "192.0.2.1").said[:1]
    assert isinstance(crowd, act.RefuseUpgrade) and crowd.status == 503
    assert crowd.retry_after == 5
    kit.do(inp.ConnectionLost(connection=good.connection))
    assert kit.inside == 0


@pytest.mark.parametrize("sign", ["x", "é", "漢", "\U0001f600"])
def test_its_messages_are_measured_in_bytes(sign: str) -> None:
    kit = Gate()
    most, width = kit.config.auth_bytes, len(sign.encode())
    peer = Messages(kit)
    peer.text('"' + sign * ((most - 2) // width) + '"')
    assert peer.code == 1002  # no envelope: it was read
    peer = Messages(kit)
    peer.text('"' + sign * (most // width + 1) + '"')
    assert peer.code == 1009
    said = list(peer.said)
    peer.text("x" * most * 2)  # nothing more counts
    kit.do(inp.BinaryReceived(connection=peer.connection))
    assert peer.said == said


def test_its_limit_grows_with_the_log_in() -> None:
    kit = Gate()
    peer = Messages(kit)
    peer.text(auth(kit.config.auth_bytes))
    assert kit.gateway.online() == {1: 1}
    peer.text("[" + " " * (kit.config.message_bytes - 2) + "]")
    assert peer.code == 1002
    peer = Messages(kit)
    peer.text(auth(1000))
    peer.text(" " * (kit.config.message_bytes + 1))
    assert peer.code == 1009


def test_a_binary_message_is_1003() -> None:
    kit = Gate()
    peer = Messages(kit)
    peer.text(auth(1000))
    kit.do(inp.BinaryReceived(connection=peer.connection))
    assert peer.code == 1003 and not kit.gateway.online()


def test_half_a_character_is_no_json() -> None:
    kit = Gate()
    peer = Messages(kit)
    peer.text('"' + "\ud800" * 10_000 + '"')  # more than half of what is allowed, so it is counted
    assert peer.code in (1007, 1009)


def test_time_is_what_the_core_was_given() -> None:
    """A server that was never told of the peer's end forgets it by its own clock."""
    kit = Gate(heartbeat_interval=30, idle_intervals=3)
    peer = Messages(kit)
    peer.text(auth(1000))
    kit.wait(89)
    assert kit.inside == 1
    kit.wait(1)
    assert kit.inside == 0 and kit.now == START + 90
