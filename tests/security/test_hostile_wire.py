"""A hostile server below the messages: upgrades, frames, floods and bytes that never end.

Each has one answer: the link ends, with the right close code where there was a WebSocket; the
application hears why; the client comes back after a delay, as after any failure.
"""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.test_framing_kit import ACCEPT, BINARY, CLOSE, CONT, PING, PONG, TEXT, answer, frame
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.framing import PongFrame
from security.hostile_kit import TOKEN, Victim, envelope, held, ping, text_frame

# ---------------------------------------------------------------- the upgrade

_101 = "HTTP/1.1 101 Switching Protocols\r\n"
_OK = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n"
_ASKED = "a subprotocol that was not asked for"
_WRONG = "Sec-WebSocket-Accept: " + "A" * 27 + "="
#: What a server may answer, and what the application hears of it.
UPGRADES: dict[str, tuple[bytes, str]] = {
    "wrong accept": (answer(_WRONG, drop=["Sec-WebSocket-Accept"]), "sec-websocket-accept"),
    "two accepts": (answer(f"Sec-WebSocket-Accept: {ACCEPT}"), "sec-websocket-accept"),
    "no accept": (answer(drop=["Sec-WebSocket-Accept"]), "sec-websocket-accept"),
    "no upgrade": (answer(drop=["Upgrade"]), "without Upgrade"),
    "no connection": (answer(drop=["Connection"]), "without Upgrade"),
    "another upgrade": (answer("Upgrade: h2c"), "without Upgrade"),
    "a subprotocol": (answer("Sec-WebSocket-Protocol: chat"), _ASKED),
    "two subprotocols": (
        answer("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b"),
        "bad sec-websocket-protocol",
    ),
    "a subprotocol that is no ASCII": (answer("Sec-WebSocket-Protocol: \xff"), "bad sec-websocket"),
    "compression": (answer("Sec-WebSocket-Extensions: permessage-deflate"), "an extension"),
    "window bits": (
        answer("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99"),
        "an extension",
    ),
    "an extension that is no ASCII": (answer("Sec-WebSocket-Extensions: \xe4"), "bad sec-web"),
    "a header of 9 kB": (answer("X: " + "y" * 9000), "handshake too long"),
    "1200 headers": (answer(*["X: y"] * 1200), "handshake"),
    "100 headers": (answer(*["X: y"] * 100), "too many headers"),
    "a folded header": (answer("X: y\r\n  z\x00"), "control characters"),
    "bare line feeds": (answer().replace(b"\r\n", b"\n") + b"\r\n\r\n", "control characters"),
    "spaces before NUL": (answer("X:" + " " * 7000 + "\x00"), "control characters"),
    "an escape": (answer("X: \x1b[31m"), "control characters"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP"),
    "a request": (b"GET / HTTP/1.1\r\nHost: me\r\n\r\n", "HTTP"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n\r\n", "HTTP"),
    "interim answers without end": (b"HTTP/1.1 103 Early\r\nX: y\r\n\r\n" * 400, "handshake"),
}


@pytest.mark.parametrize("name", UPGRADES)
@pytest.mark.parametrize("size", [1, 100_000], ids=["byte by byte", "at once"])
def test_an_upgrade_that_is_none_is_a_failed_attempt_and_the_token_stays_here(
    name: str, size: int
) -> None:
    data, words = UPGRADES[name]
    v = Victim().connect()
    for at in range(0, len(data), size):
        v.bytes(data[at : at + size])
    assert words in " ".join(v.violations())
    assert v.of(act.AbortTransport)
    assert v.status == "CONNECTING" or v.status == "RECONNECTING"
    assert v.error.code == "CONNECTION_FAILED"
    assert v.of(ev.Reconnecting)
    _nothing_but_the_request_went_out(v)


def _nothing_but_the_request_went_out(v: Victim) -> None:
    sent = v.of(act.SendBytes)
    assert all(each.data.startswith(b"GET ") for each in sent)
    assert TOKEN.encode() not in b"".join(each.data for each in sent)


@pytest.mark.parametrize("status", [200, 204, 300, 301, 302, 303, 307, 308, 400, 401, 404, 500])
def test_no_other_status_is_an_upgrade_and_no_redirect_is_ever_followed(status: int) -> None:
    v = Victim().connect()
    opened = v.of(act.OpenTransport)[0]
    where = "Location: ws://evil.example/ws\r\nRefresh: 0; url=ws://evil.example\r\n"
    v.bytes(f"HTTP/1.1 {status} So\r\n{where}{_OK}\r\n".encode())
    v.pass_time(100.0)
    for again in v.of(act.OpenTransport):
        assert (again.host, again.port, again.secure) == (opened.host, opened.port, opened.secure)
    assert "evil" not in v.engine.explain(v.now)
    assert v.error.server_code == status or v.status == "RECONNECTING"
    _nothing_but_the_request_went_out(v)


def test_what_comes_before_the_101_is_passed_over_and_the_first_final_answer_counts() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    assert Victim().connect().bytes(early + answer()).status == "CONNECTED"
    v = Victim().connect().bytes(b"HTTP/1.1 404 No\r\n\r\n" + answer())
    assert v.status == "DISCONNECTED"
    assert v.error.server_code == 404
    _nothing_but_the_request_went_out(v)


@pytest.mark.parametrize("junk", [b"x" * 50, b"\x81\x05hello", text_frame("[" * 100_000)])
def test_a_101_with_junk_behind_it_in_the_same_read_ends_the_link(junk: bytes) -> None:
    v = Victim().link(behind=junk)
    assert v.violations()
    assert v.closed() in (1002, 1007)
    assert not v.of(ev.Authenticated)


def test_an_endless_answer_meets_one_absolute_deadline_and_holds_8_kb_at_most() -> None:
    v = Victim(timeouts={"connect": 10.0}).connect()
    v.bytes(_101.encode())
    began = v.now

    def dribble() -> None:
        for _ in range(99):  # a byte each tenth of a second never moves the deadline
            v.bytes(b"X")
            v.pass_time(0.1)

    assert v.status == "CONNECTING"
    dribble()
    assert v.status == "CONNECTING"
    v.pass_time(0.2)
    assert v.of(act.AbortTransport)
    assert v.now - began <= 10.2
    assert v.error.code == "CONNECTION_TIMEOUT"
    v = Victim().connect()
    behind, most = held(lambda: [v.bytes(b"X: " + b"y" * 8_000) for _ in range(100)])
    assert "handshake too long" in v.violations()
    assert most < 400_000  # what the events and the harness hold is in it
    assert behind < 200_000


# ---------------------------------------------------------------- frames

_NO_UTF8 = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe4\xb8"]
#: What a server may send in place of a frame, and with which code the client closes.
FRAMES: dict[str, tuple[bytes, int]] = {
    "masked": (frame(TEXT, b"{}"), 1002),
    "masked ping": (frame(PING, b"x"), 1002),
    "RSV1": (frame(TEXT, b"{}", mask=None, rsv=4), 1002),
    "RSV2": (frame(TEXT, b"{}", mask=None, rsv=2), 1002),
    "RSV3 in a ping": (frame(PING, b"", mask=None, rsv=1), 1002),
    "RSV1 in a continuation": (
        frame(TEXT, b"{", mask=None, fin=False) + frame(CONT, b"}", mask=None, rsv=4),
        1002,
    ),
    **{f"opcode {code}": (frame(code, b"", mask=None), 1002) for code in (3, 7, 11, 15)},
    "length in two bytes": (frame(TEXT, b"{}", mask=None, form=2), 1002),
    "length in eight bytes": (frame(TEXT, b"{}", mask=None, form=8), 1002),
    "length above 2^63": (frame(TEXT, b"", mask=None, announced=2**63, form=8), 1002),
    "length of 2^62": (frame(TEXT, b"", mask=None, announced=2**62, form=8), 1009),
    "one byte too much": (frame(TEXT, b"", mask=None, announced=2**20 + 1, form=8), 1009),
    "binary": (frame(BINARY, b"{}", mask=None), 1003),
    "ping of 126": (frame(PING, b"x" * 126, mask=None), 1002),
    "fragmented ping": (frame(PING, b"", mask=None, fin=False), 1002),
    "continuation of nothing": (frame(CONT, b"", mask=None), 1002),
    "text within text": (
        frame(TEXT, b"{", mask=None, fin=False) + frame(TEXT, b"}", mask=None),
        1002,
    ),
    "65 fragments": (
        frame(TEXT, b"", mask=None, fin=False) + frame(CONT, b"", mask=None, fin=False) * 64,
        1008,
    ),
    "fragments of 2 MB": (
        frame(TEXT, b" " * 65_536, mask=None, fin=False)
        + frame(CONT, b" " * 65_536, mask=None, fin=False) * 31,
        1009,
    ),
    "close of one byte": (frame(CLOSE, b"\x03", mask=None), 1002),
    "close 1005": (frame(CLOSE, struct.pack("!H", 1005), mask=None), 1002),
    "close 99": (frame(CLOSE, struct.pack("!H", 99), mask=None), 1002),
    "close with words that are no text": (frame(CLOSE, b"\x03\xe8\xff", mask=None), 1007),
    "51 pings": (ping() * 51, 1008),
    "51 pongs": (frame(PONG, b"", mask=None) * 51, 1008),
    **{f"no UTF-8 {data!r}": (frame(TEXT, data, mask=None), 1007) for data in _NO_UTF8},
}


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("logged_in", [True, False], ids=["logged in", "before the log-in"])
@pytest.mark.parametrize("size", [1, 1 << 22], ids=["byte by byte", "at once"])
def test_a_broken_frame_ends_the_link_with_its_code_and_is_told(
    name: str, logged_in: bool, size: int
) -> None:
    data, code = FRAMES[name]
    if size == 1 and len(data) > 10_000:
        size = 1000
    v = Victim().login() if logged_in else Victim().link()
    ref = v.send()
    v.forget()
    for at in range(0, len(data), size):
        v.bytes(data[at : at + size])
    (told,) = v.of(ev.ProtocolViolation)
    assert told.close_code == v.closed() == code
    assert told.reason.isascii() and told.reason.isprintable()
    assert v.of(ev.Disconnected)
    assert v.error.server_code == code
    v.forget().bytes(envelope("AUTH_RESPONSE", code=0).encode() * 100)
    assert not v.actions  # it is deaf from here on
    v.pass_time(3.0, until=act.AbortTransport)
    assert v.of(act.AbortTransport)  # and waits no longer than that for the server's close
    assert "Message 1 to 2 waits" in v.engine.explain(v.now, ref)
    v.login()
    assert v.status == "AUTHENTICATED"


def test_a_message_that_never_ends_has_an_absolute_deadline_and_bounded_memory() -> None:
    v = Victim().login()
    v.forget()
    part = frame(CONT, b" " * 16_000, mask=None, fin=False)

    def dribble() -> None:
        v.bytes(frame(TEXT, b" ", mask=None, fin=False))
        for _ in range(60):
            v.bytes(part)

    behind, most = held(dribble)
    assert behind < 4 << 20  # a message is one MiB at most
    assert most < 6 << 20
    assert v.status == "AUTHENTICATED"
    began = v.now
    while not v.of(act.AbortTransport) and v.now - began < 100:
        v.bytes(ping()).pass_time(0.5)  # life, and yet no end of the message
    assert "half a message" in v.error.text
    assert v.now - began <= 30.5


@pytest.mark.parametrize(("at_once", "pongs"), [(1, 50), (10, 50), (100_000, 0)])
def test_a_flood_of_pings_costs_fifty_pongs_at_most(at_once: int, pongs: int) -> None:
    v = Victim().login()
    v.forget()
    while v.closed() is None:
        v.bytes(ping(b"x" * 125) * at_once)
    assert sum(isinstance(event, PongFrame) for event in v.heard) == pongs
    assert v.closed() == 1008
    assert len(v.actions) < 70
    assert v.forget().bytes(ping() * 100).actions == []


def test_pings_at_the_allowed_pace_are_no_flood_and_find_one_pong_when_nothing_is_read() -> None:
    v = Victim().login()
    v.forget().do(inp.WriteBlocked(transport=v.transport))
    for number in range(5_000):  # it pings, and reads nothing
        v.bytes(ping(str(number).encode()))
        v.now += 0.06
    assert not v.of(act.SendBytes)
    v.do(inp.WriteReady(transport=v.transport))
    assert [event.payload for event in v.heard if isinstance(event, PongFrame)] == [b"4999"]
    assert v.status == "AUTHENTICATED"
    v.forget().bytes(ping(b"and on"))
    assert [event.payload for event in v.heard if isinstance(event, PongFrame)] == [b"and on"]


def test_a_pong_that_is_owed_goes_to_nobody_else() -> None:
    v = Victim().login()
    v.do(inp.WriteBlocked(transport=v.transport))
    v.bytes(ping(b"of the first"))
    v.do(inp.TransportLost(transport=v.transport))
    v.login().forget()
    v.do(inp.WriteBlocked(transport=v.transport))
    v.do(inp.WriteReady(transport=v.transport))
    assert not v.heard


def test_a_pong_that_is_owed_waits_for_its_own_transport() -> None:
    v = Victim().login()
    v.do(inp.TransportLost(transport=v.transport))
    gone = v.transport
    v.login().forget()
    v.do(inp.WriteBlocked(transport=v.transport))
    v.bytes(ping(b"of the second"))
    v.do(inp.WriteReady(transport=gone))
    assert not v.heard
    v.do(inp.WriteReady(transport=v.transport))
    assert [event.payload for event in v.heard if isinstance(event, PongFrame)] == [
        b"of the second"
    ]


def test_who_pushes_and_does_not_read_gets_no_heap_of_acks() -> None:
    v = Victim().login().push(1).push(2)
    first, _ = v.of(ev.MessageReceived)
    v.do(inp.MessageHandled(delivery=first.delivery))  # to be acknowledged, but not at once
    v.do(inp.WriteBlocked(transport=v.transport))
    v.forget().push(3).pass_time(1.0)
    assert not v.of(act.SendBytes)
    v.do(inp.MessageHandled(delivery=first.delivery + 1))
    v.do(inp.MessageHandled(delivery=first.delivery + 2))
    for seq in range(4, 501):
        v.push(seq)
        v.do(inp.MessageHandled(delivery=v.of(ev.MessageReceived)[-1].delivery))
        v.pass_time(0.01)
    assert not v.of(act.SendBytes)
    v.do(inp.WriteReady(transport=v.transport))
    assert v.said("CHAT_ACK_REQUEST") == [{"seq": 500}]


def test_after_our_close_the_server_may_talk_for_three_seconds_and_nothing_is_held() -> None:
    v = Victim().login()
    v.do(inp.Disconnect())
    v.forget()
    flood = text_frame(envelope("PRESENCE", user=2, online=True)) * 1000

    def talk() -> None:
        for _ in range(10):
            v.bytes(flood)

    behind, _ = held(talk)
    assert not v.events()
    assert not v.of(act.SendBytes)
    assert behind < 300_000
    v.pass_time(3.0)
    assert v.of(act.AbortTransport)
    assert v.engine.next_deadline() is None


# ---------------------------------------------------------------- anything

_CHUNKS = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([data for data, _ in FRAMES.values() if len(data) < 5_000]),
    st.sampled_from([answer(), text_frame(envelope("AUTH_RESPONSE", code=0)), ping(b"p")]),
    st.sampled_from([data for data, _ in UPGRADES.values()]),
    st.sampled_from([text_frame("[]"), text_frame("{}"), text_frame('{"type":"KICK"}')]),
)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(_CHUNKS, st.floats(0, 5)), max_size=25))
def test_no_bytes_at_no_time_raise_or_leave_a_state_that_can_not_be_read(
    life: list[tuple[bytes, float]],
) -> None:
    v = Victim()
    v.send()
    v.connect().bytes(answer())
    for data, seconds in life:
        if v.engine.core.connection == "disconnected" and v.status != "DISCONNECTED":
            v.connect()
        if v.engine.core.connection != "disconnected":
            v.bytes(data)
        v.pass_time(seconds)
