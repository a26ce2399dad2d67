"""Plain clients of the family at our server (protocol.md section 1): no capabilities, two tabs."""

from __future__ import annotations

import json

import pytest

from core.server_kit import Kit
from im_proto.server.inputs import Shutdown

SECTION_2 = {"capabilities", "deviceId", "serverTime", "lastMsgId", "epoch", "seq", "oldest"}
SECTION_2 |= {"resume", "heartbeat", "limits", "expiresIn", "retryAfter", "reconnect"}


def test_a_plain_peer_gets_nothing_of_section_2() -> None:
    kit = Kit()
    kit.expires_in = 60.0
    peer, other = kit.plain("bravo"), kit.user(2)
    peer.chat(1700000000000, 2, "hi")
    for n in range(5):
        other.chat(n + 1, "bravo", f"m{n}")
    peer.chat(0, 2, "bad")
    peer.send("HEARTBEAT_REQUEST", timestamp=5)
    peer.send("CHAT_READ_RECEIPT_REQUEST", msgId=1, fromUser=2)
    peer.chat(9, 2, "")
    kit.do(Shutdown(retry_after=5))
    assert peer.code == 1012
    assert peer.data == {"userId": "bravo", "username": "bravo"}
    assert peer.answers[0] == {"msgId": 1700000000000, "code": 0, "sessionId": 1}
    assert len(peer.pushes) == 5
    assert set(peer.kinds) == {
        "AUTH_RESPONSE", "CHAT_SEND_RESPONSE", "CHAT_REDIRECT_TO_USER_REQUEST",
        "CHAT_ERROR_RESPONSE", "HEARTBEAT_RESPONSE", "CHAT_READ_RECEIPT_RESPONSE",
    }  # fmt: skip
    for frame in peer.frames:
        assert isinstance(json.loads(frame), dict), "an array"
    for kind, message in peer.messages:
        assert not SECTION_2 & message.keys(), kind
        if kind != "CHAT_REDIRECT_TO_USER_REQUEST":
            assert "timestamp" not in message


def test_ids_come_as_strings_and_leave_as_javascript_can_hold_them() -> None:
    kit = Kit()
    peer, other = kit.plain(1), kit.user(2)
    peer.chat("1700000000000", "2", "hi")  # type: ignore[arg-type]
    assert peer.answers == [{"msgId": 1700000000000, "code": 0, "sessionId": 1}]
    assert other.pushes[0]["fromUser"] == 1
    other.chat(2**53, 1, "big")
    assert peer.pushes[0]["msgId"] == str(2**53)
    kit.plain(2**60)
    kit.plain(str(2**60)).chat(5, 1, "from afar")
    assert kit.gateway.online()[2**60] == 2
    assert peer.pushes[1]["fromUser"] == str(2**60)


def test_two_tabs_of_a_plain_user_are_both_served() -> None:
    kit = Kit()
    tabs = [kit.plain(1), kit.plain(1)]
    other = kit.user(2)
    other.chat(1, 1, "to both")
    assert [tab.contents for tab in tabs] == [["to both"]] * 2
    assert all(tab.close is None for tab in tabs)
    tabs[0].say_close()
    other.chat(2, 1, "to one")
    assert tabs[1].contents == ["to both", "to one"]
    assert kit.gateway.online() == {1: 1, 2: 1}


def test_offline_messages_reach_a_plain_user_once() -> None:
    kit = Kit()
    other = kit.user(2)
    for n in range(1, 4):
        other.chat(n, 1, f"m{n}")
    peer = kit.plain(1)
    assert peer.contents == ["m1", "m2", "m3"]
    kit.wait(1)
    peer.lose()
    other.chat(4, 1, "m4")
    again = kit.plain(1)
    assert again.contents == ["m4"]


def test_the_cursor_advances_only_at_the_pong_to_a_ping_that_followed_the_push() -> None:
    kit = Kit()
    other, peer = kit.user(2), kit.plain(1)
    peer.ponging = False
    other.chat(1, 1, "m1")
    other.chat(2, 1, "m2")
    assert len(peer.pings) == 1  # one is out at a time; it was sent before m2
    peer.send("HEARTBEAT_REQUEST")
    peer.pong(b"")  # of a keepalive
    kit.wait(1)
    assert kit.cursor(1, device="") == 0 and len(peer.pings) == 1
    peer.pong(peer.pings[0])
    kit.wait(1)
    assert kit.cursor(1, device="") == 1 and len(peer.pings) == 2  # the next proves m2
    peer.pong(peer.pings[1])
    other.chat(3, 1, "m3")
    kit.wait(1)
    assert kit.cursor(1, device="") == 2 and len(peer.pings) == 3
    peer.lose()
    assert kit.plain(1).contents == ["m3"]


def test_a_busy_plain_peer_is_asked_for_proof_at_a_pace_that_is_no_flood() -> None:
    kit = Kit()
    other, peer = kit.user(2), kit.plain(1)
    for n in range(200):
        other.chat(n + 1, 1, f"m{n}")
        kit.wait(0.01)
    kit.wait(1)
    assert len(peer.contents) == 200
    assert 10 <= len(peer.pings) <= 22  # two seconds of traffic, ten a second
    assert kit.cursor(1, device="") == 200 and peer.close is None


@pytest.mark.parametrize("payload", [b"999", b"-1", b"x", b"1.0", b"9" * 19, b"9" * 125, b"\xb2",
                                     b"0", b"00", b" 2", b"1700000000000"])  # fmt: skip
def test_a_pong_that_nobody_asked_for_moves_nothing_and_is_no_crime(payload: bytes) -> None:
    """RFC 6455 section 5.5.3: a Pong may be sent unsolicited."""
    kit = Kit()
    other, peer = kit.user(2), kit.plain(1)
    other.chat(1, 1, "m1")
    other.chat(2, 1, "m2")
    kit.wait(1)
    assert kit.cursor(1, device="") == 2
    peer.pong(payload)
    peer.pong(b"1")  # of before
    kit.wait(1)
    assert peer.close is None and kit.cursor(1, device="") == 2


def test_a_plain_users_cursor_is_that_of_its_furthest_tab() -> None:
    kit = Kit()
    other = kit.user(2)
    slow = kit.plain(1)
    slow.ponging = False
    for n in range(1, 4):
        other.chat(n, 1, f"m{n}")
    fast = kit.plain(1)  # answers its ping: all three have arrived
    assert fast.contents == ["m1", "m2", "m3"]
    slow.pong(slow.pings[0])  # and only then the other tab says that it has the first
    kit.wait(1)
    assert kit.cursor(1, device="") == 3


def test_a_failed_commit_does_not_lose_a_cursor_to_an_older_one() -> None:
    kit = Kit()
    other = kit.user(2)
    slow = kit.plain(1)
    slow.ponging = False
    for n in range(1, 4):
        other.chat(n, 1, f"m{n}")
    kit.plain(1)
    kit.holding = True
    kit.wait(0.6)
    assert kit.commits[-1].cursors[0].seq == 3
    slow.pong(slow.pings[0])
    kit.fail()
    kit.wait(0.6)
    kit.release()
    kit.wait(0.6)
    assert kit.cursor(1, device="") == 3


def test_a_page_that_is_reloaded_right_after_a_push_does_not_get_it_again() -> None:
    for busy in (False, True):
        kit = Kit()
        other, page = kit.user(2), kit.plain(1)
        other.chat(1, 1, "m1")
        kit.holding = busy
        if busy:
            kit.wait(0.6)  # the cursor is with the store
        page.lose()
        again = kit.plain(1)
        if busy:
            kit.held.rotate(1)  # the login is read first
        kit.release()
        assert again.contents == []


def test_the_same_id_with_the_same_content_is_a_repeat() -> None:
    kit = Kit()
    other = kit.user(2)
    for _ in range(3):
        peer = kit.plain(1)
        peer.chat(5, 2, "once")
        assert peer.answers == [{"msgId": 5, "code": 0, "sessionId": 1}]
    assert other.contents == ["once"] and len(kit.stored) == 1


def test_the_same_id_with_other_content_is_a_new_message_answered_under_its_own_id() -> None:
    kit = Kit()
    other, peer = kit.user(2), kit.plain(1)
    peer.chat(5, 2, "first")
    peer.chat(5, 2, "second")
    peer.chat(5, 3, "second")
    peer.chat(5, 2, "second")  # a repeat of the second
    assert [answer["msgId"] for answer in peer.answers] == [5] * 4
    assert [answer["sessionId"] for answer in peer.answers] == [1, 1, 2, 1]
    assert other.contents == ["first", "second"]
    assert kit.stored == [(1, "first"), (1, "second"), (1, "second")]
    ids = [int(push["msgId"]) for push in other.pushes]
    assert ids[0] == 5 and len(set(ids)) == 2


def test_the_same_id_from_two_tabs_at_once_is_sorted_out_in_one_commit() -> None:
    kit = Kit()
    other, one, two = kit.user(2), kit.plain(1), kit.plain(1)
    kit.holding = True
    other.chat(1, 9, "keeps the store busy")
    for tab, content in ((one, "a"), (two, "b"), (two, "a"), (one, "b")):
        tab.chat(5, 2, content)
    kit.release()
    assert sorted(other.contents) == ["a", "b"]
    assert one.answers == two.answers == [{"msgId": 5, "code": 0, "sessionId": 2}] * 2
    assert kit.stored == [(2, "keeps the store busy"), (1, "a"), (1, "b")]
    assert len(kit.submissions) == 4  # the two repeats had nothing to join: the commit saw them


def test_a_plain_user_and_our_client_of_the_same_user_both_get_everything() -> None:
    kit = Kit()
    plain, phone, other = kit.plain(1), kit.user(1), kit.user(2)
    other.chat(1, 1, "m1")
    assert plain.contents == phone.contents == ["m1"]
    assert "seq" in phone.pushes[0] and "seq" not in plain.pushes[0]
    assert phone.pings == []


def test_extensions_without_a_device_are_served_as_a_tab() -> None:
    kit = Kit()
    peer = kit.peer()
    peer.login(1, capabilities=["batch"], limits={"batch": 8})
    kit.plain(1)
    kit.user(2).chat(1, 1, "m1")
    assert peer.close is None and peer.contents == ["m1"] and len(peer.pings) == 1


def test_a_peer_that_answers_only_the_newest_ping_is_not_forgotten() -> None:
    """RFC 6455 section 5.5.3 allows it: a keep-alive ping may hide the one that asks for proof."""
    kit = Kit()
    other, peer = kit.user(2), kit.plain(1)
    peer.ponging = False
    other.chat(1, 1, "m1")
    kit.wait(35)
    assert len(peer.pings) == 2
    peer.pong(peer.pings[-1])
    peer.ponging = True
    for n in range(2, 700):
        other.chat(n, 1, f"m{n}")
        kit.wait(0.2)
    assert len(peer.pushes) == 699 and kit.cursor(1, device="") is not None
    kit.wait(1)
    assert kit.cursor(1, device="") == 699


def test_what_a_plain_peer_proves_during_a_drain_counts() -> None:
    kit = Kit()
    other, peer = kit.user(2), kit.plain(1)
    peer.ponging = False
    other.chat(1, 1, "m1")
    kit.holding = True
    other.chat(2, 1, "m2")
    kit.do(Shutdown())
    peer.pong(peer.pings[-1])
    kit.release()
    assert kit.cursor(1, device="") == 1
