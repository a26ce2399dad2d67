"""ClientEngine: the core and its framing joined, on bytes."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

import pytest

from core.client_kit import START, WALL, make_config, states
from im_proto.client import ClientEngine
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.framing import CloseFrame, Framing, HandshakeRequested, TextFrame
from im_proto.limits import FrameLimits
from im_proto.machines.product import illegal
from im_proto.wire import AuthResponse, Invocation

SERVER = FrameLimits(message_bytes=2**20)


class Engine:
    """A ClientEngine, and a server's framing to talk to it."""

    def __init__(self, **config: Any) -> None:
        self.config = make_config(**config)
        self.engine = ClientEngine(self.config, now=START, wall=WALL, rng=random.Random(0))
        self.now = START
        self.actions: list[act.Action] = []
        self.server = Framing.server(limits=SERVER)
        self.seen: list[object] = []

    def do(self, event: inp.Input) -> Engine:
        for action in self.engine.step(event, self.now):
            self.actions.append(action)
            if isinstance(action, act.SendBytes):
                assert action.transport == self.engine.core.transport
                self.seen += self.server.receive(action.data, self.now)
        assert illegal(*states(self.engine.core)) is None
        return self

    def feed(self, data: bytes, *, size: int = 65_536) -> Engine:
        for at in range(0, len(data), size):
            chunk = data[at : at + size]
            self.do(inp.BytesReceived(transport=self.engine.core.transport, data=chunk))
        return self

    def open(self) -> Engine:
        self.server = Framing.server(limits=SERVER)
        self.do(inp.Connect())
        self.do(inp.TransportOpened(transport=self.engine.core.transport))
        assert isinstance(self.seen[-1], HandshakeRequested)
        return self

    def login(self, *, size: int = 65_536) -> Engine:
        self.open().feed(self.server.accept(), size=size)
        data = {"deviceId": self.engine.device_id, "capabilities": ["seq", "batch"]}
        data |= {"epoch": "e1", "seq": 0}
        return self.say("AUTH_RESPONSE", code=0, data=data)

    def say(self, kind: str, **message: Any) -> Engine:
        return self.feed(self.server.send_text(json.dumps({"type": kind, "message": message})))

    def texts(self) -> list[str]:
        return [event.text for event in self.seen if isinstance(event, TextFrame)]

    def events(self) -> list[ev.Event]:
        return [a.event for a in self.actions if isinstance(a, act.Notify)]

    def kinds(self) -> list[type]:
        return [type(a) for a in self.actions if not isinstance(a, act.Notify)]


def close_frame(payload: bytes) -> bytes:
    return bytes([0x88, len(payload)]) + payload


def test_the_request_has_path_host_and_headers() -> None:
    e = Engine(ws_url="ws://[::1]:8080/a/b?c=1", headers=(("X-Tenant", "7"),)).open()
    asked = e.seen[0]
    assert isinstance(asked, HandshakeRequested)
    assert asked.target == "/a/b?c=1"
    headers = {name.lower(): value for name, value in asked.headers}
    assert headers["host"] == "[::1]:8080"
    assert headers["x-tenant"] == "7"
    assert all("t0" not in value for value in headers.values())


@pytest.mark.parametrize("size", [1, 3, 65_536])
def test_a_log_in_works_however_the_bytes_are_cut(size: int) -> None:
    e = Engine().login(size=size)
    assert e.engine.state().status == "AUTHENTICATED"
    assert "t0" in e.texts()[0]


def test_what_is_written_at_once_is_one_write() -> None:
    e = Engine().login()
    e.actions = []
    for ref in range(5):
        e.do(inp.Send(ref=ref, to_user=2, content="x"))
    assert e.kinds() == [act.SendBytes] * 5
    e.do(inp.TransportLost(transport=1))
    e.actions = []
    e.do(inp.Connect())
    e.server = Framing.server(limits=SERVER)
    e.do(inp.TransportOpened(transport=2)).feed(e.server.accept())
    e.actions = []
    e.say("AUTH_RESPONSE", code=0, data={"deviceId": e.engine.device_id})
    assert e.kinds() == [act.SendBytes]
    assert len(e.texts()) == 1 + 5 + 1 + 5


def test_a_ping_is_answered_and_is_life() -> None:
    e = Engine(heartbeat={"interval": 10, "timeout": 5, "max_missed": 1}).login()
    e.now += 10
    e.do(inp.TimePassed())
    e.feed(e.server.send_ping(b"abc"))
    assert any(getattr(event, "payload", None) == b"abc" for event in e.seen)
    e.now += 5
    e.do(inp.TimePassed())
    assert e.engine.state().status == "AUTHENTICATED"


def test_bytes_of_a_frame_that_is_not_complete_are_not_life() -> None:
    e = Engine(heartbeat={"interval": 10, "timeout": 5, "max_missed": 1}).login()
    frame = e.server.send_text(json.dumps({"type": "HEARTBEAT_RESPONSE", "message": "x" * 50}))
    e.now += 10
    e.do(inp.TimePassed())
    for n in range(len(frame) - 1):
        e.feed(frame[n : n + 1])
    e.now += 5
    e.do(inp.TimePassed())
    assert e.engine.state().status == "RECONNECTING"


def test_a_trickle_of_a_message_meets_its_absolute_deadline() -> None:
    e = Engine(timeouts={"partial": 30}, heartbeat={"interval": 1000}).login()
    frame = e.server.send_text(json.dumps({"type": "X", "message": "y" * 100}))
    for n in range(30):
        e.feed(frame[n : n + 1])
        e.now += 1
        e.do(inp.TimePassed())
    assert e.engine.state().status == "RECONNECTING"
    assert "half a message" in e.engine.explain()


def test_whole_messages_with_a_half_one_behind_each_never_meet_it() -> None:
    e = Engine(timeouts={"partial": 30}, heartbeat={"interval": 1000}).login()
    frames = [e.server.send_text(json.dumps({"type": "X", "message": "y" * 9})) for _ in range(9)]
    stream = b"".join(frames)
    at = 5
    e.feed(stream[:at])
    for _ in range(8):
        e.now += 20
        e.do(inp.TimePassed())
        e.feed(stream[at : at + len(frames[0])])
        at += len(frames[0])
    assert e.engine.state().status == "AUTHENTICATED"


def test_a_half_message_behind_a_whole_one_has_a_deadline_of_its_own() -> None:
    e = Engine(timeouts={"partial": 30}, heartbeat={"interval": 1000}).login()
    frame = e.server.send_text(json.dumps({"type": "X", "message": "y" * 9}))
    e.feed(frame[:5])
    e.now += 20
    e.do(inp.TimePassed()).feed(frame[5:] + frame[:5])
    e.now += 29
    e.do(inp.TimePassed())
    assert e.engine.state().status == "AUTHENTICATED"
    e.now += 1
    e.do(inp.TimePassed())
    assert e.engine.state().status == "RECONNECTING"


# ---------------------------------------------------------------- ends


@pytest.mark.parametrize("payload", [b"", *(struct.pack("!H", c) for c in (1000, 1012, 4004))])
def test_a_close_is_echoed_and_the_transport_closed(payload: bytes) -> None:
    e = Engine().login()
    e.actions = []
    e.feed(close_frame(payload))
    assert e.kinds() == [act.SendBytes, act.CloseTransport]
    (echo,) = [event for event in e.seen if isinstance(event, CloseFrame)]
    assert echo.code == (struct.unpack("!H", payload)[0] if payload else 1000)


def test_no_close_code_of_a_peer_raises() -> None:
    for code in [0, 1, 999, *range(1000, 1020), 1100, 2999, 3000, 4999, 5000, 65_535]:
        e = Engine(token=str)
        e.do(inp.Connect()).do(inp.TokenReady(request=1, token="t"))
        e.server = Framing.server(limits=SERVER)
        e.do(inp.TransportOpened(transport=1)).feed(e.server.accept())
        e.feed(close_frame(struct.pack("!H", code)))
        assert e.engine.core.connection in ("closing", "disconnected")


@pytest.mark.parametrize("end", ["close", "violation", "garbage", "lost"])
def test_an_end_while_acks_are_pending_raises_nothing(end: str) -> None:
    e = Engine().login()
    for seq in (1, 2, 3):
        push = {"content": "x", "seq": seq, "msgId": seq, "fromUser": 2}
        e.say("CHAT_REDIRECT_TO_USER_REQUEST", **push)
    e.do(inp.MessageHandled(delivery=1))
    if end == "close":
        e.feed(close_frame(struct.pack("!H", 1001)))
    elif end == "violation":
        e.feed(b"\xff\xff\xff\xff")
    elif end == "garbage":
        e.feed(e.server.send_text("["))
    else:
        e.do(inp.TransportLost(transport=1))
    assert e.engine.state().status == "RECONNECTING"
    e.now = e.engine.next_deadline() or e.now
    e.do(inp.TimePassed())


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (b"\xc1\x01x", 1002),  # RSV1, not negotiated
        (b"\x81\x81\x00\x00\x00\x00x", 1002),  # masked by a server
        (b"\x81\x01\xff", 1007),  # not UTF-8
        (b"\x81\x7f\x00\x00\x00\x00\x7f\x00\x00\x00", 1009),  # two gigabytes announced
        (b"\x82\x01x", 1003),  # binary
    ],
)
def test_broken_frames_end_the_link_with_the_right_code(wire: bytes, code: int) -> None:
    e = Engine().login()
    e.feed(wire)
    (closed,) = [event for event in e.seen if isinstance(event, CloseFrame)]
    assert closed.code == code
    assert [event for event in e.events() if isinstance(event, ev.ProtocolViolation)]
    assert e.engine.state().status == "RECONNECTING"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"\xff" * 9000,
    ],
)
def test_any_answer_that_is_no_upgrade_is_a_failed_attempt(head: bytes) -> None:
    e = Engine(reconnect={"jitter": "full"}).open().feed(head)
    assert e.engine.state().status == "RECONNECTING"
    assert act.AbortTransport in e.kinds()
    if b"503" in head:
        assert e.engine.state(e.now).retry_in == 7


def test_the_next_transport_starts_with_a_clean_slate() -> None:
    e = Engine().login()
    e.feed(e.server.send_text('{"type":"X"}')[:4])  # half a frame
    e.do(inp.TransportLost(transport=1))
    e.login()
    assert e.engine.state().status == "AUTHENTICATED"
    assert "rest of a message" not in e.engine.explain()


@pytest.mark.parametrize("after", ["lost", "next"])
def test_bytes_of_an_old_transport_change_nothing(after: str) -> None:
    e = Engine().login()
    late = e.server.send_ping(b"?") + e.server.send_text('{"type":"KICK","message":{}}')
    e.do(inp.TransportLost(transport=1))
    if after == "next":
        e.login()
    e.actions = []
    before = e.engine.explain()
    e.do(inp.BytesReceived(transport=1, data=late))
    assert e.actions == []
    assert e.engine.explain() == before


def test_bytes_after_our_close_are_read_to_the_peers_close_and_nothing_is_said() -> None:
    e = Engine().login()
    late = e.server.send_ping(b"?") + e.server.send_text('{"type":"KICK","message":{}}')
    e.do(inp.Disconnect())
    e.actions = []
    e.feed(late)
    assert e.actions == []
    e.feed(e.server.send_close(1000))
    assert e.kinds() == [act.CloseTransport]


def test_keys_and_masks_come_from_the_random_numbers_given() -> None:
    one, two = Engine().login(), Engine().login()
    assert repr(one.actions) == repr(two.actions)


def test_a_welcome_and_a_close_in_one_read_raise_nothing() -> None:
    """A server that restarts says both at once while a message waits to go out."""
    e = ClientEngine(make_config(), now=0.0, wall=1.7e9, rng=random.Random(1))
    server, dialect = Framing.server(limits=FrameLimits()), Invocation("server")
    e.step(inp.Connect(), 0.0)
    (asked,) = [
        a for a in e.step(inp.TransportOpened(transport=1), 0.0) if isinstance(a, act.SendBytes)
    ]
    server.receive(asked.data, 0.0)
    e.step(inp.BytesReceived(transport=1, data=server.accept()), 0.0)
    e.step(inp.Send(ref=1, to_user=2, content="hi"), 0.0)
    welcome = server.send_text(dialect.encode(AuthResponse(code=0)))
    both = welcome + server.send_close(1012, "restart")
    actions = e.step(inp.BytesReceived(transport=1, data=both), 0.1)
    assert any(isinstance(a, act.CloseTransport) for a in actions)
    assert e.state().status == "RECONNECTING"
    assert e.core.sending.outbox.get(1) is not None


def test_a_stream_of_whole_pings_is_never_taken_for_half_a_message() -> None:
    e = Engine(timeouts={"partial": 30}, heartbeat={"interval": 1000}).login()
    ping = e.server.send_ping(b"x")
    e.feed(ping[:2])
    for _ in range(40):
        e.now += 1
        e.do(inp.TimePassed())
        e.feed(ping[2:] + ping[:2])
    assert e.engine.state().status == "AUTHENTICATED"
