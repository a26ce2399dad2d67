"""Who says too much, or leaves too much unread, is slowed down, then sent away."""

from __future__ import annotations

from typing import Any

import pytest

from core.rates_kit import chat
from core.server_kit import ALL, START, Kit, Peer
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.server import talk
from im_proto.server.core import ServerCore

#: ten envelopes at once, two a second
QUIET: dict[str, Any] = {"envelopes_per_second": 2.0, "envelope_burst": 10}


# ---------------------------------------------------------------- what a connection says


def test_a_connection_that_says_too_much_is_read_again_when_that_is_paid() -> None:
    kit = Kit(**QUIET)
    one = kit.user(1)  # AUTH_REQUEST is the first
    for _ in range(9):
        one.send("HEARTBEAT_REQUEST")
    assert not one.paused
    one.send("HEARTBEAT_REQUEST")
    assert one.paused and len(one.of("HEARTBEAT_RESPONSE")) == 10
    kit.wait(0.49)
    assert one.paused
    kit.wait(0.02)
    assert not one.paused


def test_with_as_much_again_said_it_ends_and_the_rest_is_not_looked_at() -> None:
    kit = Kit(**QUIET)
    one = kit.user(1)
    one.batch(*[one.envelope("HEARTBEAT_REQUEST")] * 30)
    assert one.code == 4009 and len(one.of("HEARTBEAT_RESPONSE")) == 19
    assert one.kinds[-1] == "KICK"
    assert one.of("KICK")[0]["retryAfter"] == pytest.approx(5.0)
    assert kit.gateway.online() == {}


def test_a_transport_of_whole_messages_is_told_nothing_behind_the_close_either() -> None:
    kit = Kit(**QUIET)
    core = ServerCore(1, kit.config, now=START, wall_offset=0)
    beat = inp.TextReceived(connection=1, text='{"type":"HEARTBEAT_REQUEST"}')
    upgrade = inp.UpgradeAsked(connection=1, target="/ws")
    core.step(upgrade, talk.SendTo(1, [talk.Welcome()]), now=START)
    said = core.step(*[beat] * 30, now=START)
    assert isinstance(said[0], act.PauseReading) and isinstance(said[-2], act.SendClose)
    assert isinstance(said[-1], act.ResumeReading), "for the peer's close"
    malformed = '{"type":"AUTH_REQUEST","message":{}}'
    core = ServerCore(1, kit.config, now=START, wall_offset=0)
    core.step(upgrade, talk.SendTo(1, [talk.Welcome()]), now=START)
    said = core.step(inp.TextReceived(connection=1, text=malformed), beat, now=START)
    assert isinstance(said[-1], act.SendClose)


def test_messages_before_the_end_are_taken_and_none_behind_it() -> None:
    kit = Kit(**QUIET)
    one = kit.user(1)
    chat(one, 1, 30)
    assert one.code == 4009
    assert [content for _, content in kit.stored] == [f"m{n}" for n in range(1, 20)]


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"HEARTBEAT_REQUEST"}',
        '{"type":"NOBODY_KNOWS"}',
        '{"type":"CHAT_SEND_TO_ONE_REQUEST","message":"{}"}',
        '{"type":"CHAT_ACK_REQUEST","message":{"seq":1}}',
    ],
)
def test_before_the_log_in_everything_costs_too(text: str) -> None:
    kit = Kit(**QUIET)
    peer = kit.peer()
    for n in range(20):
        assert peer.paused == (n > 10)
        peer.text(text)
    assert peer.code is None
    peer.text(text)
    assert peer.code == 4009 and "KICK" not in peer.kinds


def test_an_ack_that_moves_is_free_and_any_other_is_not() -> None:
    kit = Kit(**QUIET)
    two = kit.user(2)
    for n in range(1, 5):
        one = kit.user(n + 10)
        chat(one, 1, 9)
    assert len(two.pushes) == 36
    for seq in range(1, 37):
        two.ack(seq)
    assert not two.paused
    for _ in range(10):
        two.ack(36)
    assert two.paused


def test_a_peer_is_read_again_when_no_reason_is_left() -> None:
    kit = Kit(**QUIET, in_flight=2)
    one = kit.user(1)
    kit.holding = True
    chat(one, 1, 10)
    assert one.paused
    kit.wait(2)
    assert one.paused, "its messages have no answer"
    kit.release()
    assert not one.paused
    kit.holding = True
    kit.wait(0.5)
    chat(one, 11, 16)
    kit.release()
    assert one.paused, "it has said too much"
    kit.wait(5)
    assert not one.paused


def test_who_is_not_read_is_neither_pinged_nor_blamed_for_silence() -> None:
    kit = Kit(envelopes_per_second=0.01, envelope_burst=5)
    tab = kit.plain(1)
    for _ in range(5):
        tab.send("HEARTBEAT_REQUEST")
    tab.raw(b"\x81")  # and half a frame
    assert tab.paused
    tab.forget()
    kit.wait(99)
    assert tab.paused and tab.pings == [] and tab.ended is None and tab.close is None
    kit.wait(1.01)
    assert not tab.paused
    kit.wait(29)
    assert tab.pings == [] and tab.close is None
    kit.wait(1.1)
    assert tab.code == 1008, "from now on it may be blamed"


# ---------------------------------------------------------------- who takes no answers


def blocked(**config: Any) -> tuple[Kit, Peer]:
    kit = Kit(blocked_bytes=1024, **config)
    one = kit.user(1, **ALL)
    one.block()
    return kit, one


def test_who_takes_no_answers_is_not_read_until_it_does() -> None:
    kit, one = blocked()
    while not one.paused:
        one.send("HEARTBEAT_REQUEST")
        assert len(one.of("HEARTBEAT_RESPONSE")) < 50
    assert 1024 <= len("".join(one.frames[1:])) < 1300
    kit.wait(10)
    assert one.paused
    one.unblock()
    assert not one.paused and one.close is None
    one.send("HEARTBEAT_REQUEST")
    one.block()
    one.send("HEARTBEAT_REQUEST")
    assert not one.paused, "what was before does not count again"


def test_answers_of_the_store_count_too() -> None:
    kit = Kit(blocked_bytes=1024)
    one = kit.user(1, **ALL)
    for n in range(1, 11):
        one.chat(n, 2, f"m{n}")
    kit.holding = True
    one.send("SESSION_REQUEST", id="a", op="history", params={"peerId": 2})
    one.block()
    kit.release()
    (answer,) = one.of("SESSION_RESPONSE")
    assert len(answer["data"]["records"]) == 10 and one.paused and one.code is None


def test_who_takes_none_of_four_times_as_much_ends() -> None:
    _, one = blocked()
    said = 0
    while one.code is None:
        one.send("HEARTBEAT_REQUEST")
        said += 1
        assert said < 200
    assert one.code == 4008
    assert 4000 < len("".join(one.frames[1:])) < 4400


def test_one_frame_that_asks_for_far_too_much_ends_it_too_and_nothing_more_is_written() -> None:
    _, one = blocked()
    one.forget()
    one.batch(*[one.envelope("CHAT_SEND_TO_ONE_REQUEST", msgId=1)] * 64)
    assert one.code == 4008 and one.messages == []


def test_pushes_to_who_takes_nothing_wait_in_the_mailbox_and_are_held_against_nobody() -> None:
    kit = Kit(blocked_bytes=1024)
    two, one = kit.user(2), kit.user(1)
    two.block()
    chat(one, 1, 60)
    kit.holding = True
    two.unblock()
    assert two.contents == []  # they are stored, and being read …
    two.block()
    kit.release()  # … and come when nothing can be written any more
    assert len(two.contents) == 60 and not two.paused and two.code is None
    chat(one, 61, 124)
    assert len(two.contents) == 60
    two.unblock()
    assert len(two.contents) == 124


def test_what_others_make_us_say_to_who_takes_nothing_counts_too() -> None:
    kit = Kit(blocked_bytes=1024)
    tab, one = kit.plain(2), kit.user(1, token="1:broadcast")
    tab.block()
    for n in range(1, 30):
        one.send("CHAT_SEND_TO_ALL_REQUEST", msgId=n, content="x" * 200)
        if tab.paused:
            break
    assert tab.paused and tab.code is None
    for n in range(30, 60):
        one.send("CHAT_SEND_TO_ALL_REQUEST", msgId=n, content="x" * 200)
    assert tab.code == 4008
    assert one.code is None and not one.paused


def test_of_the_pings_of_who_takes_nothing_the_newest_alone_is_answered() -> None:
    kit = Kit()
    one = kit.user(1)
    one.block()
    before = len(kit.said)
    for n in range(9):
        one.raw(one._framing.send_ping(str(n).encode()))
    assert len(kit.said) == before, "nothing was written"
    one.unblock()
    (written,) = [action for action in kit.said[before:] if isinstance(action, act.SendBytes)]
    assert written.data == b"\x8a\x018"
    one.raw(one._framing.send_ping(b"now"))
    assert kit.said[-1] == act.SendBytes(connection=one.connection, data=b"\x8a\x03now")


def test_a_ping_is_not_answered_behind_our_close() -> None:
    kit = Kit()
    one = kit.user(1)
    one.block()
    one.raw(one._framing.send_ping(b"x"))
    one.say_close()
    one_said = [action for action in kit.said if isinstance(action, act.SendBytes)]
    assert b"\x8a" not in one_said[-1].data and one.ended == "closed"
