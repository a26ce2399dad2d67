"""What becomes of a message that is sent (protocol.md section 2, "Identity", "Order")."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.server_kit import Kit


def ok(msg_id: int, session_id: int = 1) -> dict[str, Any]:
    at = 1_700_000_000_000
    return {"msgId": msg_id, "code": 0, "timestamp": at, "sessionId": session_id}


def test_a_message_is_answered_only_after_its_commit_and_pushed_then() -> None:
    kit = Kit()
    one, two = kit.user(1), kit.user(2)
    kit.holding = True
    one.chat(5, 2, "hi", messageType="image")
    assert one.answers == [] and two.pushes == []
    kit.now += 3
    kit.answer()
    assert one.answers == [ok(5)]  # accepted when it was handed to the store
    (push,) = two.pushes
    assert push == {"content": "hi", "msgId": 5, "fromUser": 1, "sessionId": 1, "seq": 1,
                    "messageType": "image", "timestamp": 1_700_000_000_000}  # fmt: skip


def test_a_repeat_gets_the_first_answer_and_is_pushed_once() -> None:
    kit = Kit()
    one, two = kit.user(1), kit.user(2)
    one.chat(5, 2, "hi")
    kit.wait(10)
    one.chat(5, 2, "hi")
    again = kit.user(1)
    again.chat(5, 2, "hi")
    assert one.answers == [ok(5), ok(5)] and again.answers == [ok(5)]
    assert two.contents == ["hi"] and kit.stored == [(1, "hi")]


@pytest.mark.parametrize("to, content, device", [(2, "other", "phone"), (3, "hi", "phone"),
                                                 (2, "hi", "tablet")])  # fmt: skip
def test_the_same_id_for_anything_else_is_40900_and_never_stored(
    to: int, content: str, device: str
) -> None:
    kit = Kit()
    two = kit.user(2)
    kit.user(1).chat(5, 2, "hi")
    other = kit.user(1, device)
    other.chat(5, to, content)
    assert [answer["code"] for answer in other.answers] == [40900]
    assert two.contents == ["hi"]


def test_what_follows_a_40900_is_not_stored_before_it_is_sent_again() -> None:
    kit = Kit()
    two = kit.user(2)
    kit.user(1).chat(5, 2, "hi")
    other = kit.user(1, "tablet")
    kit.holding = True
    other.chat(5, 2, "one")  # under way alone
    other.chat(6, 2, "two")
    other.chat(7, 3, "to somebody else")
    kit.answer()
    kit.release()
    assert [answer["code"] for answer in other.answers] == [40900]
    assert other.code == 1013
    again = kit.user(1, "tablet")
    for msg_id, text in ((8, "one"), (6, "two")):
        again.chat(msg_id, 2, text)
    assert two.contents == ["hi", "one", "two"]


def test_what_shares_a_transaction_with_a_40900_is_held_too() -> None:
    kit = Kit()
    two = kit.user(2)
    kit.user(1).chat(5, 2, "hi")
    other, third = kit.user(1, "tablet"), kit.user(3)
    kit.holding = True
    third.chat(1, 2, "first")  # under way, while the next transaction forms
    for msg_id, text in ((5, "one"), (6, "two")):
        other.chat(msg_id, 2, text)
    third.chat(2, 2, "not concerned")
    kit.answer(2)
    kit.release()
    assert two.contents == ["hi", "first", "not concerned"]
    assert other.code == 1013 and third.code is None
    assert [answer["code"] for answer in other.answers] == [40900]


def test_a_repeat_while_the_first_is_uncommitted_joins_it() -> None:
    kit = Kit()
    one, two = kit.user(1), kit.user(2)
    kit.holding = True
    for _ in range(2):  # under way
        one.chat(5, 2, "hi")
    for _ in range(2):  # queued
        one.chat(6, 2, "ho")
    kit.answer()
    kit.release()
    assert one.answers == [ok(5), ok(5), ok(6), ok(6)]
    assert two.contents == ["hi", "ho"]
    assert [s.msg_id for s in kit.submissions] == [5, 6]  # one row each


def test_other_content_under_an_id_that_is_uncommitted_does_not_join() -> None:
    kit = Kit()
    one, two = kit.user(1), kit.user(2)
    kit.holding = True
    one.chat(5, 2, "hi")
    one.chat(5, 2, "ho")
    kit.answer()
    kit.release()
    assert [answer["code"] for answer in one.answers] == [0, 40900]
    assert two.contents == ["hi"]


@pytest.mark.parametrize("content, code", [
    ("", 400), (" \n", 400), ("x" * 1001, 400), ("😀" * 501, 400), ("a\x00", 400), ("x" * 1000, 0),
    (" " * 100 + "x" * 1000, 0), ("😀" * 500, 0),
])  # fmt: skip
def test_content_is_judged_before_it_is_stored(content: str, code: int) -> None:
    kit = Kit()
    one, two = kit.user(1), kit.user(2)
    one.chat(5, 2, content)
    assert one.answers[0]["code"] == code
    assert two.contents == ([content] if code == 0 else [])  # untrimmed


def test_the_sender_is_who_logged_in_whatever_the_message_says() -> None:
    kit = Kit()
    two = kit.user(2)
    kit.user(1).chat(5, 2, "hi", fromUser=3, userId=3, sender=3, timestamp=1, seq=77)
    (push,) = two.pushes
    assert (push["fromUser"], push["seq"]) == (1, 1)


def test_messages_are_committed_in_the_order_in_which_they_came() -> None:
    kit = Kit(commit_batch=3)
    one, two = kit.user(1), kit.user(2)
    kit.holding = True
    for n in range(1, 9):
        one.chat(n, 2, f"m{n}")
    while kit.held:
        kit.answer()
    assert [len(commit.submissions) for commit in kit.commits] == [1, 3, 3, 1]
    assert two.contents == [f"m{n}" for n in range(1, 9)]
    assert [answer["msgId"] for answer in one.answers] == list(range(1, 9))
    assert [push["seq"] for push in two.pushes] == list(range(1, 9))


def test_one_commit_is_under_way_at_a_time() -> None:
    kit = Kit()
    one = kit.user(1)
    kit.holding = True
    for n in range(1, 5):
        one.chat(n, 2, "x")
        assert len(kit.held) == 1


# ------------------------------------------------------------ batches


def test_the_answers_of_one_commit_go_out_in_one_frame() -> None:
    kit = Kit()
    one = kit.user(1)
    one.forget()
    kit.holding = True
    one.chat(1, 2, "busy")
    one.batch(
        *(
            one.envelope("CHAT_SEND_TO_ONE_REQUEST", msgId=n, toUser=2, content="x")
            for n in range(2, 12)
        ),
        one.envelope("HEARTBEAT_REQUEST"),
    )
    assert one.kinds == ["HEARTBEAT_RESPONSE"]
    kit.release()
    assert [len(list(frame)) for frame in map(_envelopes, one.frames)] == [1, 1, 10]


def _envelopes(frame: str) -> list[Any]:
    read = json.loads(frame)
    return read if isinstance(read, list) else [read]


@pytest.mark.parametrize("limits", [{"batch": 3, "frameBytes": 65_536},
                                    {"batch": 64, "frameBytes": 1024}])  # fmt: skip
def test_batches_obey_what_the_client_can_take(limits: dict[str, int]) -> None:
    kit = Kit()
    sender = kit.user(1)
    for n in range(1, 21):
        sender.chat(n, 2, f"{n}" + "ü" * 100)
    peer = kit.user(2, limits=limits)
    assert len(peer.pushes) == 20
    assert any(len(_envelopes(frame)) > 1 for frame in peer.frames)
    for frame in peer.frames:
        assert len(_envelopes(frame)) <= limits["batch"]
        assert len(frame.encode()) <= limits["frameBytes"]


@pytest.mark.parametrize("auth", [{"capabilities": ["seq"]}, {"limits": None}, {"limits": {}}])
def test_who_did_not_ask_for_batches_gets_none(auth: dict[str, Any]) -> None:
    kit = Kit()
    sender = kit.user(1)
    for n in range(1, 5):
        sender.chat(n, 2, "x")
    peer = kit.user(2, **auth)
    assert len(peer.pushes) == 4
    assert all(len(_envelopes(frame)) == 1 for frame in peer.frames)


def test_the_answer_to_the_login_stands_alone() -> None:
    kit = Kit()
    kit.user(1).chat(1, 2, "x")
    peer = kit.user(2)
    assert isinstance(json.loads(peer.frames[0]), dict)


def test_a_batch_above_the_limit_or_without_the_capability_is_1002() -> None:
    kit = Kit(batch=4)
    beat = '{"type":"HEARTBEAT_REQUEST"}'
    many, plain = kit.user(1), kit.plain(2)
    many.batch(*[beat] * 4)
    assert many.close is None
    many.batch(*[beat] * 5)
    plain.batch(beat, beat)
    assert many.code == plain.code == 1002


def test_a_frame_above_the_limit_is_1009() -> None:
    kit = Kit(message_bytes=2048)
    peer = kit.user(1)
    peer.text(json.dumps({"type": "HEARTBEAT_REQUEST", "pad": "x" * 2048}))
    assert peer.code == 1009


# ------------------------------------------------------------ room


def test_reading_pauses_at_the_limit_and_goes_on_at_half_of_it() -> None:
    kit = Kit(in_flight=8, commit_batch=1)
    one = kit.user(1)
    kit.holding = True
    for n in range(1, 8):
        one.chat(n, 2, "x")
        assert not one.paused
    one.chat(8, 2, "x")
    assert one.paused
    for left in range(7, 4, -1):
        kit.answer()
        assert one.paused, left
    kit.answer()
    assert not one.paused and len(one.answers) == 4


def test_a_slow_store_pauses_only_who_sends() -> None:
    kit = Kit(in_flight=2)
    one, two = kit.user(1), kit.user(2)
    kit.holding = True
    one.chat(1, 2, "x")
    one.chat(2, 2, "x")
    assert one.paused and not two.paused


# ------------------------------------------------------------ when the store fails


def test_a_failed_commit_acknowledges_nothing_and_closes_1013() -> None:
    kit = Kit()
    one, two, idle = kit.user(1), kit.user(2), kit.user(3)
    kit.holding = True
    one.chat(1, 2, "m1")
    one.chat(2, 2, "m2")  # queued behind it: it must not overtake
    two.chat(7, 1, "other")
    kit.fail()
    assert one.answers == [] and one.code == 1013
    assert one.of("KICK") == [
        {"reason": "the store is unavailable", "reconnect": True, "retryAfter": 1.0}
    ]
    late = one.kit.submissions
    assert [(s.sender, s.msg_id) for s in late] == [(1, 1), (2, 7)]
    kit.release()
    assert two.answers == [ok(7)] and two.close is None and idle.close is None
    assert kit.stored == [(2, "other")]
    again = kit.user(1)
    again.chat(1, 2, "m1")
    again.chat(2, 2, "m2")
    assert [answer["code"] for answer in again.answers] == [0, 0]
    assert two.contents == ["m1", "m2"]


def test_everyone_who_waited_for_a_failed_commit_is_told_once() -> None:
    kit = Kit()
    peers = [kit.plain(1), kit.plain(1), kit.user(2)]
    kit.holding = True
    peers[0].chat(1, 3, "busy")
    for peer in peers:
        peer.chat(5, 3, "same")
        peer.chat(6, 3, "also")
    peers[1].chat(1, 3, "busy")  # joins what is under way
    kit.fail()
    assert [peer.code for peer in peers] == [1013, 1013, None]
    kit.release()
    assert kit.stored == [(2, "same"), (2, "also")]
    assert [answer["msgId"] for answer in peers[2].answers] == [5, 6]


def test_a_paused_peer_reads_the_close_of_a_failed_commit() -> None:
    kit = Kit(in_flight=1)
    peer = kit.plain(1)
    kit.holding = True
    peer.chat(1, 2, "x")
    assert peer.paused
    kit.fail()
    assert peer.code == 1013 and not peer.paused


def test_a_failed_login_or_read_closes_1013_and_only_its_own_connection() -> None:
    kit = Kit()
    two = kit.user(2)
    kit.holding = True
    one = kit.user(1)
    kit.fail()
    assert one.code == 1013 and one.kinds == ["KICK"]
    kit.release()
    two.block()
    two.chat(1, 2, "to myself")
    kit.holding = True
    two.unblock()
    kit.fail()
    assert two.code == 1013
    assert kit.gateway.online() == {} and not kit.gateway.hub._reads


def test_a_sender_that_has_left_is_not_answered_but_its_message_is_in() -> None:
    kit = Kit()
    one, two = kit.user(1), kit.user(2)
    kit.holding = True
    one.chat(1, 2, "m1")
    one.chat(2, 2, "m2")
    one.lose()
    kit.release()
    assert two.contents == ["m1", "m2"]


# ------------------------------------------------------------ to all


def test_writing_to_all_needs_the_role_and_reaches_who_is_online() -> None:
    kit = Kit()
    admin = kit.peer()
    admin.login(1, token="1:broadcast")
    own, two, tabs = kit.user(1), kit.user(2), [kit.plain(3), kit.plain(3)]
    admin.send("CHAT_SEND_TO_ALL_REQUEST", msgId=5, content="hear")
    assert admin.answers == [{"msgId": 5, "code": 0}]
    assert [peer.contents for peer in (two, *tabs)] == [["hear"]] * 3
    assert own.contents == admin.contents == []
    assert "seq" not in two.pushes[0] and two.pushes[0]["fromUser"] == 1
    two.send("CHAT_SEND_TO_ALL_REQUEST", msgId=6, content="no")
    assert two.answers[0]["code"] == 403
    assert kit.user(4).contents == [] and kit.stored == []
