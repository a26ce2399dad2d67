"""From the first byte to the log-in, and the ways in which a connection ends."""

from __future__ import annotations

import json
import random

import pytest

from core.server_kit import ALL, FULL, START, Kit
from im_proto.framing import Framing
from im_proto.limits import FrameLimits
from im_proto.server import ServerCore, ServerEngine, talk
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.server.login import OF_DEVICES
from im_proto.server.records import MailboxEntry


def status(http: bytes) -> int:
    return int(http.split(b" ", 2)[1])


# ------------------------------------------------------------ the upgrade


def test_the_right_path_is_upgraded_whatever_the_query() -> None:
    kit = Kit(path="/im/ws")
    for target, expected in (("/im/ws", 101), ("/im/ws?token=x", 101), ("/im/ws?", 101)):
        peer = kit.peer(upgrade=False)
        peer.raw(request(target))
        assert status(peer.http) == expected


def request(target: str) -> bytes:
    framing = Framing.client(
        host="server", target=target, rng=random.Random(1), limits=FrameLimits()
    )
    return framing.request()


@pytest.mark.parametrize("target", ["/", "/ws/", "/WS", "/ws2", "/%77s", "/?/ws"])
def test_another_path_is_404_and_the_connection_closed(target: str) -> None:
    kit = Kit()
    peer = kit.peer(upgrade=False)
    peer.raw(request(target))
    assert status(peer.http) == 404
    assert peer.ended == "closed"
    assert not kit.gateway.engines


@pytest.mark.parametrize(
    "junk",
    [b"\x16\x03\x01\x02\x00" + bytes(50) + b"\r\n\r\n", b"GET /ws HTTP/1.1\r\n\r\n",
     b"\xff" * 20_000, b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\nGET", b"POST /ws HTTP/1.1\r\n\r\n"],
)  # fmt: skip
def test_junk_instead_of_an_upgrade_gets_an_http_error(junk: bytes) -> None:
    kit = Kit()
    peer = kit.peer(upgrade=False)
    peer.raw(junk)
    assert 400 <= status(peer.http) < 500
    assert peer.ended == "closed"
    peer.raw(junk)  # what comes of a connection that is gone changes nothing
    assert not kit.gateway.engines and not kit.waits


def test_a_slow_request_is_408_at_an_absolute_deadline() -> None:
    kit = Kit(handshake_timeout=10)
    peer = kit.peer(upgrade=False)
    for byte in request("/ws")[:9]:
        peer.raw(bytes([byte]))
        kit.wait(1)  # a trickle doesn't extend it
    kit.wait(0.99)
    assert not peer.http
    kit.wait(0.01)
    assert status(peer.http) == 408
    assert peer.ended == "closed"


def test_frames_before_the_answer_are_refused() -> None:
    kit = Kit()
    peer = kit.peer(upgrade=False)
    peer.raw(request("/ws") + b"\x81\x80\x00\x00\x00\x00")
    assert status(peer.http) == 400
    assert peer.ended == "closed"


# ------------------------------------------------------------ the log-in


def test_no_login_in_time_is_4002_however_lively_the_peer_is() -> None:
    kit = Kit(auth_timeout=10)
    peer = kit.peer()
    for _ in range(9):
        kit.wait(1)
        peer.send("HEARTBEAT_REQUEST")
    assert peer.close is None and len(peer.of("HEARTBEAT_RESPONSE")) == 9
    kit.wait(1)
    assert peer.code == 4002


def test_the_login_deadline_covers_the_authenticator_and_the_store() -> None:
    for slow in ("verifying", "holding"):
        kit = Kit(auth_timeout=10)
        setattr(kit, slow, slow == "holding")
        peer = kit.peer()
        kit.wait(5)
        peer.login(1)
        kit.wait(5)
        assert peer.code == 4002
        peer.lose()
        kit.verifying = True
        kit.verify(act.Authenticate(connection=peer.connection, token="1"))  # too late
        kit.release()
        assert not kit.gateway.online() and not kit.gateway.engines


def test_a_wrong_user_is_4001_after_an_answer_that_says_why() -> None:
    kit = Kit()
    peer = kit.peer()
    peer.login(1, token="2")
    assert [message["code"] for message in peer.of("AUTH_RESPONSE")] == [40101]
    assert peer.code == 4001
    assert not kit.gateway.online()


@pytest.mark.parametrize(
    "code, close", [(40101, 4001), (40100, 4001), (403, 4001), (50000, 1013), (500, 1013)]
)
def test_a_refused_token_is_answered_and_then_closed(code: int, close: int) -> None:
    kit = Kit()
    peer = kit.peer()
    peer.login(1, token=f"refuse:{code}")
    (answer,) = peer.of("AUTH_RESPONSE")
    assert (answer["code"], answer["message"]) == (code, "no, never")
    assert "data" not in answer
    assert peer.code == close


@pytest.mark.parametrize("user_id", [1, "1", None])
def test_the_user_may_be_a_number_a_string_or_left_out(user_id: object) -> None:
    kit = Kit()
    peer = kit.peer()
    peer.send("AUTH_REQUEST", accessToken="1", userId=user_id)
    assert peer.data == {"userId": 1, "username": "1"}
    assert kit.gateway.online() == {1: 1}


def test_a_login_that_cannot_be_read_is_answered_400_and_closed() -> None:
    kit = Kit()
    peer = kit.peer()
    peer.send("AUTH_REQUEST", accessToken="")
    assert peer.of("AUTH_RESPONSE")[0]["code"] == 400
    assert peer.code == 1008


def test_chat_before_the_login_is_40100_and_is_not_stored() -> None:
    kit = Kit()
    kit.verifying = False
    peer = kit.peer()
    for _ in range(2):  # before AUTH_REQUEST, and before its answer
        peer.forget()
        peer.chat(7, 2, "x")
        peer.ack(1)
        peer.send("CHAT_READ_RECEIPT_REQUEST", msgId=8, fromUser=2)
        assert peer.messages == [
            ("CHAT_ERROR_RESPONSE", {"code": 40100, "message": "log in first"} | more)
            for more in ({"msgId": 7}, {}, {"msgId": 8})
        ]
        peer.login(1)
    assert peer.close is None and not kit.commits


def test_a_second_login_is_refused_and_the_first_one_stands() -> None:
    kit = Kit()
    peer = kit.user(1)
    peer.login(2)
    assert [message["code"] for message in peer.of("AUTH_RESPONSE")] == [0, 400]
    assert peer.close is None
    assert kit.gateway.online() == {1: 1}


@pytest.mark.parametrize("expires_in", [-5.0, 0.0, 3600.0, 86_400.0 * 3650, float("inf")])
def test_whatever_the_authenticator_says_of_expiry_the_login_is_answered(expires_in: float) -> None:
    kit = Kit()
    kit.expires_in = expires_in
    peer = kit.user(1)
    assert 0 <= peer.data["expiresIn"] <= 86_400 * 366


def test_a_login_is_granted_only_what_was_asked_for_and_can_be_had() -> None:
    kit = Kit()
    peer = kit.user(1, capabilities=["seq", "typing", "magic"])
    assert peer.data["capabilities"] == ["seq", "typing"]
    assert kit.user(1, **ALL).data["capabilities"] == sorted(ALL["capabilities"])
    nothing = kit.user(1, device="tablet", capabilities=[])
    assert nothing.data["capabilities"] == [] and "epoch" not in nothing.data
    unnumbered = kit.user(1, device="watch", capabilities=["receipts", "status"])
    assert unnumbered.data["capabilities"] == ["status"]  # receipts are numbered
    no_device = kit.peer()
    no_device.login(2, capabilities=ALL["capabilities"])
    # no device, no cursor to count from, and no messages of its own
    assert no_device.data["capabilities"] == sorted(set(ALL["capabilities"]) - OF_DEVICES)
    assert "seq" not in no_device.data


def test_unknown_and_malformed_messages_leave_the_connection_open() -> None:
    kit = Kit()
    peer = kit.plain(1)
    peer.forget()
    peer.send("GROUP_JOIN", a=1)
    peer.text('{"type":5}')
    peer.chat(0, 2, "x")
    peer.send("CHAT_SEND_TO_ONE_REQUEST", msgId=9, toUser="", content="x")
    assert peer.kinds == ["CHAT_ERROR_RESPONSE"] * 3
    assert [message.get("msgId") for _, message in peer.messages] == [None, None, 9]
    assert all(message["code"] == 400 for _, message in peer.messages)
    assert peer.close is None


@pytest.mark.parametrize("text, code", [("{", 1007), ("[]", 1002), ("5", 1002), ("[{}]", 1002)])
def test_a_bad_frame_is_closed_with_its_code(text: str, code: int) -> None:
    kit = Kit()
    peer = kit.plain(1)
    peer.text(text)
    assert peer.code == code
    assert not kit.gateway.online()


# ------------------------------------------------------------ the close handshake


def test_our_close_waits_for_the_peers_but_not_for_ever() -> None:
    kit = Kit(close_timeout=5)
    polite, rude = kit.plain(1), kit.plain(2)
    beat = rude.bytes_of('{"type":"HEARTBEAT_REQUEST"}')
    polite.text("{")
    rude.text("{")
    assert polite.ended is rude.ended is None
    polite.say_close()
    assert polite.ended == "closed"
    kit.wait(2)
    rude.raw(beat)  # life doesn't extend it
    kit.wait(2.9)
    assert rude.ended is None
    kit.wait(0.1)
    assert rude.ended == "aborted"
    assert not kit.gateway.engines


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1011, 3000, 4999])
def test_the_peers_close_is_echoed(code: int) -> None:
    kit = Kit()
    peer = kit.plain(1)
    peer.say_close(code)
    assert peer.code == code and peer.ended == "closed"
    assert not kit.gateway.online() and not kit.gateway.engines


def test_no_close_code_of_a_peer_can_upset_the_server() -> None:
    kit = Kit()
    for code in [*range(990, 1020), 0, 1, 255, 256, 2999, 3000, 4999, 5000, 32768, 65535]:
        peer = kit.plain(1)
        payload = code.to_bytes(2, "big")
        peer.raw(bytes([0x88, 0x82, 0, 0, 0, 0]) + payload)
        assert peer.code is not None and peer.code not in (1004, 1005, 1006, 1015)
    bare = kit.plain(1)
    bare.raw(b"\x88\x80\x00\x00\x00\x00")
    assert bare.code == 1000


@pytest.mark.parametrize("state", ["unauthenticated", "verifying", "logging_in", "online"])
@pytest.mark.parametrize("last", ["close", "violation"])
def test_words_and_a_close_or_a_violation_in_one_read_do_no_harm(state: str, last: str) -> None:
    kit = Kit()
    kit.verifying, kit.holding = state != "verifying", state == "logging_in"
    peer = kit.peer()
    if state != "unauthenticated":
        peer.login(1)
    words = peer.bytes_of('{"type":"HEARTBEAT_REQUEST"}') + peer.ping()
    words += peer.bytes_of(
        peer.envelope("CHAT_SEND_TO_ONE_REQUEST", msgId=1, toUser=2, content="x")
    )
    peer.raw(words + (peer.bytes_of_close() if last == "close" else b"\x82\x80\x00\x00\x00\x00"))
    assert peer.code == (1000 if last == "close" else 1003)
    assert peer.ended == "closed"
    kit.release()
    assert kit.stored == ([(1, "x")] if state == "online" else [])


def test_after_its_close_nothing_of_a_peer_counts() -> None:
    kit = Kit()
    peer = kit.plain(1)
    late = peer.bytes_of(peer.envelope("CHAT_SEND_TO_ONE_REQUEST", msgId=1, toUser=2, content="x"))
    peer.text("{")
    peer.raw(late)
    assert not kit.stored
    peer.raw(b"\xff\xff")  # a violation while closing: no second close frame, no waiting
    assert peer.ended == "aborted"


def test_an_upgrade_is_answered_by_the_core_alone_too() -> None:
    """Embedders whose transport already gives messages use `ServerCore`."""
    core = ServerCore(1, Kit().config, now=START, wall_offset=0)
    asked = core.step(inp.UpgradeAsked(connection=1, target="/ws"), now=START)
    assert asked == [act.TellHub(talk=talk.Arrived(connection=1, address=""))]
    assert core.step(WELCOME, now=START) == [act.AcceptUpgrade(connection=1)]
    assert core.step(WELCOME, now=START) == []  # nobody has asked for that
    beat = inp.TextReceived(connection=1, text=json.dumps({"type": "HEARTBEAT_REQUEST"}))
    (said,) = core.step(beat, now=START)
    assert isinstance(said, act.SendText) and "HEARTBEAT_RESPONSE" in said.text
    ended = core.step(inp.ConnectionLost(connection=1), now=START)
    assert ended == [act.TellHub(talk=talk.Gone(connection=1))]
    assert core.state == "closed" and core.next_deadline() is None
    assert core.step(beat, now=START) == []


def test_the_core_alone_says_nothing_after_its_close_whatever_is_due_at_once() -> None:
    """A peer's stall and the next ping are due at the same moment by default."""
    core = online_core(Kit())
    core.step(inp.WriteBlocked(connection=1), now=START)
    actions = core.step(inp.TimePassed(), now=START + 30)
    kinds = [type(action) for action in actions]
    assert kinds.count(act.SendClose) == 1 and act.SendPing not in kinds
    assert core.next_deadline() == START + 35  # the close's, and no other


def test_the_answer_to_the_login_stands_alone_whatever_is_said_with_it() -> None:
    core = online_core(Kit(), step=False)
    entry = MailboxEntry(seq=1, from_user=2, to_user=1, msg_id=1, content="x", timestamp=1,
                         message_type="text", session_id=None)  # fmt: skip
    beat = inp.TextReceived(connection=1, text='{"type":"HEARTBEAT_REQUEST"}')
    push = talk.SendTo(1, [talk.Push(entries=(entry, entry))])
    said = core.step(beat, LOGGED_IN, push, now=START)
    frames = [json.loads(action.text) for action in said if isinstance(action, act.SendText)]
    assert [type(frame) for frame in frames] == [dict, dict, list]
    assert frames[1]["type"] == "AUTH_RESPONSE"


WELCOME = talk.SendTo(1, [talk.Welcome()])
LOGGED_IN = talk.SendTo(1, [talk.LoggedIn(last_msg_id=0, epoch="e", resume=None, base=0, oldest=1)])


def online_core(kit: Kit, *, step: bool = True) -> ServerCore:
    core = ServerCore(1, kit.config, now=START, wall_offset=0)
    auth = {"type": "AUTH_REQUEST", "message": {"accessToken": "1", **FULL}}
    core.step(
        inp.UpgradeAsked(connection=1, target="/ws"),
        WELCOME,
        inp.TextReceived(connection=1, text=json.dumps(auth)),
        inp.TokenVerified(connection=1, user=1),
        *([LOGGED_IN] if step else []),
        now=START,
    )
    return core


def test_what_is_said_at_once_is_one_write() -> None:
    engine = ServerEngine(1, Kit().config, now=START, wall_offset=0)
    upgrade = inp.BytesReceived(connection=1, data=request("/ws"))
    engine.step(upgrade, now=START)
    assert len(engine.step(WELCOME, now=START)) == 1
    beats = b"\x81\x9c\0\0\0\0" + b'{"type":"HEARTBEAT_REQUEST"}'
    (written,) = engine.step(
        inp.BytesReceived(connection=1, data=beats + b"\x89\x80\0\0\0\0" + beats), now=START
    )
    assert isinstance(written, act.SendBytes)
    assert written.data.count(b"HEARTBEAT_RESPONSE") == 2 and b"\x8a\x00" in written.data
