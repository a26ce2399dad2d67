"""Liveness and deadlines of a connection, in virtual time (protocol.md section 1, "Liveness")."""

from __future__ import annotations

import pytest

from core.server_kit import FULL, START, Kit


def test_a_silent_peer_is_pinged_and_gone_after_three_intervals() -> None:
    kit = Kit(heartbeat_interval=30)
    peer = kit.plain(1)
    peer.ponging = False
    kit.wait(29.9)
    assert peer.pings == []
    kit.wait(60)
    assert peer.pings == [b""] * 2 and peer.ended is None
    kit.wait(0.2)
    assert peer.ended == "aborted"
    assert not kit.gateway.engines and not kit.gateway.online()


def test_a_peer_that_only_answers_pings_lives_for_ever() -> None:
    kit = Kit()
    peer = kit.plain(1)
    kit.wait(3600)
    assert peer.ended is None and peer.close is None
    assert 110 <= len(peer.pings) <= 120


def test_a_peer_that_talks_is_not_pinged() -> None:
    kit = Kit()
    peer = kit.user(1)
    for _ in range(100):
        kit.wait(29)
        peer.send("HEARTBEAT_REQUEST")
    assert peer.pings == [] and peer.ended is None
    assert len(peer.of("HEARTBEAT_RESPONSE")) == 100


@pytest.mark.parametrize("interval", [30.0, 0.1])
def test_no_deadline_comes_back_at_the_time_it_fired(interval: float) -> None:
    """0.1 is not 1000.1 - 1000: a rest that is too small to move the clock would spin for ever."""
    for step in range(60):
        kit = Kit(heartbeat_interval=interval)
        kit.now = START + step * 0.0137
        peer = kit.plain(1)
        peer.ponging = False
        kit.wait(interval * 2.5)  # asserts that it is not woken in vain
        assert len(peer.pings) == 2
        kit.wait(interval)
        assert peer.ended == "aborted"


def test_what_we_overslept_is_not_held_against_the_peer() -> None:
    kit = Kit()
    peer = kit.plain(1)
    peer.ponging = False
    kit.oversleep(500)
    assert peer.ended is None
    assert peer.pings == [b""]  # probed
    peer.pong(b"")
    kit.wait(80)
    assert peer.ended is None


def test_a_peer_that_is_silent_after_we_overslept_is_gone_soon() -> None:
    kit = Kit()
    peer = kit.plain(1)
    peer.ponging = False
    kit.oversleep(500)
    kit.wait(0.9)
    assert peer.ended is None
    kit.wait(0.2)
    assert peer.ended == "aborted"


@pytest.mark.parametrize("what", ["handshake", "auth", "partial", "stall"])
def test_no_deadline_is_judged_before_the_socket_was_read_once(what: str) -> None:
    kit = Kit()
    peer = kit.peer(upgrade=what != "handshake")
    if what in ("partial", "stall"):
        peer.login(1)
    if what == "partial":
        peer.raw(b"\x81")
    if what == "stall":
        peer.block()
    kit.oversleep(60)
    assert not peer.http.startswith(b"HTTP/1.1 408") and peer.close is None
    kit.wait(1)
    if what == "handshake":
        assert peer.http.startswith(b"HTTP/1.1 408")
    else:
        assert peer.code == {"auth": 4002, "partial": 1008, "stall": 4008}[what]


def test_half_a_message_has_a_deadline_that_no_trickle_extends() -> None:
    kit = Kit(partial_timeout=30)
    peer = kit.plain(1)
    data = peer.bytes_of(peer.envelope("HEARTBEAT_REQUEST", pad="x" * 100))
    for byte in data[:29]:
        peer.raw(bytes([byte]))
        kit.wait(1)
    assert peer.close is None
    peer.raw(data[29:30] + b"")
    kit.wait(1)
    assert peer.code == 1008


def test_pings_between_the_fragments_do_not_extend_the_deadline_either() -> None:
    kit = Kit(partial_timeout=30)
    peer = kit.plain(1)
    peer.raw(b"\x01\x81\0\0\0\0{")  # the first fragment of a text
    for _ in range(30):
        assert peer.close is None
        peer.raw(peer.ping())
        kit.wait(1)
    assert peer.code == 1008


def test_a_stream_of_whole_messages_is_never_taken_for_half_a_one() -> None:
    """However the network cuts it: here each read ends in the middle of the next message."""
    kit = Kit(partial_timeout=30)
    peer = kit.plain(1)
    data = peer.bytes_of('{"type":"HEARTBEAT_REQUEST"}')
    peer.raw(data[:5])
    for count in range(120):
        kit.wait(1)
        peer.raw(data[5:] + data[:5])
        assert peer.close is None, f"after {count} whole messages"
    peer.raw(data[5:])
    kit.wait(60)
    assert peer.close is None
    assert len(peer.of("HEARTBEAT_RESPONSE")) == 121


def test_nor_is_a_stream_of_whole_pings() -> None:
    kit = Kit(partial_timeout=30)
    peer = kit.plain(1)
    ping = peer.ping()
    peer.raw(ping[:3])
    for count in range(40):
        kit.wait(1)
        peer.raw(ping[3:] + ping[:3])
        assert peer.close is None, f"after {count} whole pings"


# ------------------------------------------------------------ slow readers


def test_a_peer_that_neither_acks_nor_takes_bytes_is_4008() -> None:
    kit = Kit(stall_timeout=30)
    peer = kit.user(1)
    peer.block()
    kit.wait(29.9)
    assert peer.close is None
    kit.wait(0.1)
    assert peer.code == 4008
    assert peer.of("KICK") == []  # it could not read it anyway
    assert not kit.gateway.online()


def test_room_to_write_is_progress() -> None:
    kit = Kit(stall_timeout=30)
    peer = kit.user(1)
    for _ in range(5):
        peer.block()
        kit.wait(29)
        peer.unblock()
    kit.wait(100)
    assert peer.close is None


def test_an_ack_is_progress_as_long_as_it_moves() -> None:
    kit = Kit(stall_timeout=30)
    sender, peer = kit.user(1), kit.user(2)
    for n in range(1, 6):
        sender.chat(n, 2, f"m{n}")
    peer.block()
    for n in range(1, 6):
        kit.wait(29)
        peer.ack(n)
        sender.send("HEARTBEAT_REQUEST")
    assert peer.close is None
    for _ in range(2):  # the same ack again is no progress
        kit.wait(10)
        peer.ack(5)
    kit.wait(10)
    assert peer.code == 4008


def test_an_app_that_handles_slowly_while_bytes_flow_is_left_alone() -> None:
    kit = Kit(unacked=2)
    sender, peer = kit.user(1), kit.user(2)
    for n in range(1, 6):
        sender.chat(n, 2, f"m{n}")
    kit.wait(600)
    assert peer.close is None and peer.contents == ["m1", "m2"]


def test_nothing_is_pushed_while_writing_is_blocked() -> None:
    kit = Kit()
    sender, peer = kit.user(1), kit.user(2)
    peer.block()
    sender.chat(1, 2, "m1")
    assert peer.contents == []
    peer.unblock()
    assert peer.contents == ["m1"]


def test_a_peer_that_was_blocked_before_its_login_is_blocked_after_it() -> None:
    kit = Kit(stall_timeout=30)
    kit.user(1).chat(1, 2, "m1")
    slow, better = kit.peer(), kit.peer()
    for peer in (slow, better):
        peer.block()
    slow.login(2, **FULL)
    better.unblock()
    better.login(2, **FULL | {"deviceId": "tablet"})
    kit.user(1).chat(2, 2, "m2")
    assert slow.contents == ["m1"]  # what was being read already
    assert better.contents == ["m1", "m2"]
    kit.wait(30)
    assert slow.code == 4008 and better.close is None


def test_a_peer_that_we_do_not_read_is_not_blamed_for_its_silence() -> None:
    """A store that hangs pauses reading; half a message and the answers to pings wait unread."""
    kit = Kit(in_flight=2, partial_timeout=30)
    peer = kit.plain(1)
    peer.ponging = False
    data = peer.bytes_of('{"type":"HEARTBEAT_REQUEST"}')
    kit.holding = True
    peer.chat(1, 2, "m1")
    half = peer.bytes_of(peer.envelope("CHAT_SEND_TO_ONE_REQUEST", msgId=2, toUser=2, content="b"))
    peer.raw(half + data[:5])
    assert peer.paused
    kit.wait(300)
    assert peer.close is None and peer.ended is None
    kit.release()
    assert not peer.paused
    kit.wait(29)
    assert peer.close is None
    kit.wait(1)
    assert peer.code == 1008  # now it has had its time
