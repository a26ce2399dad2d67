"""What the site may do, and is asked and told: authorize, send, kick, stored."""

from __future__ import annotations

from typing import Any

import pytest

from core.server_kit import ALL, Kit, Peer
from im_proto.server import actions as act
from im_proto.server.gate import KEPT
from im_proto.server.inputs import Authorized, KickAsked, SendAsked, Shutdown


def codes(peer: Peer) -> list[tuple[int, int]]:
    return [(answer["msgId"], answer["code"]) for answer in peer.answers]


def asked(kit: Kit) -> list[tuple[Any, Any]]:
    return [(a.sender, a.recipient) for a in kit.said if isinstance(a, act.Authorize)]


# ---------------------------------------------------------------- who may write to whom


def test_nobody_is_asked_unless_the_site_wants_it() -> None:
    kit = Kit()
    kit.user(1).chat(1, 2, "m1")
    assert asked(kit) == [] and kit.stored == [(1, "m1")]


def test_a_message_waits_for_the_site() -> None:
    kit = Kit(authorizes=True)
    one = kit.user(1)
    one.chat(1, 2, "m1")
    assert asked(kit) == [(1, 2)] and kit.stored == [] and one.answers == []
    kit.authorize(True)
    assert kit.stored == [(1, "m1")] and codes(one) == [(1, 0)]


def test_a_refusal_is_403_and_the_connection_goes_on() -> None:
    kit = Kit(authorizes=True)
    one = kit.user(1)
    one.chat(1, 2, "m1")
    one.chat(2, 3, "m2")
    kit.authorize(False)
    kit.authorize(True)
    assert codes(one) == [(1, 403), (2, 0)] and one.close is None
    assert kit.stored == [(1, "m2")]


def test_the_messages_of_a_connection_stay_in_order() -> None:
    kit = Kit(authorizes=True)
    one, two = kit.user(1), kit.user(4)
    for n, to in enumerate((2, 3, 2, 3), 1):
        one.chat(n, to, f"m{n}")
    two.chat(9, 5, "mine")
    assert asked(kit) == [(1, 2), (1, 3), (4, 5)]  # each pair once
    kit.authorizing.rotate(-1)
    kit.authorize(True)  # for 1 to 3: behind a message that waits
    assert kit.stored == []
    one.chat(5, 3, "m5")  # the site's answer is known, but it is not its turn
    assert kit.stored == []
    kit.authorize(True)  # nobody else waits
    assert kit.stored == [(4, "mine")]
    kit.authorize(True)
    assert [content for _, content in kit.stored[1:]] == ["m1", "m2", "m3", "m4", "m5"]
    assert codes(one) == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)]


def test_what_the_site_said_is_known_for_a_while() -> None:
    kit = Kit(authorizes=True, authorization_kept=60.0)
    one = kit.user(1)
    one.chat(1, 2, "m1")
    one.chat(2, 3, "m2")
    kit.authorize(True)
    kit.authorize(False)
    one.chat(3, 2, "m3")
    one.chat(4, 3, "m4")
    assert len(asked(kit)) == 2 and codes(one) == [(1, 0), (2, 403), (3, 0), (4, 403)]
    kit.wait(59)
    one.send("HEARTBEAT_REQUEST")
    one.chat(5, 2, "m5")
    assert len(asked(kit)) == 2
    kit.wait(1.1)
    one.chat(6, 2, "m6")
    assert asked(kit)[2:] == [(1, 2)] and len(one.answers) == 5


def test_without_keeping_the_site_is_asked_about_each_message() -> None:
    kit = Kit(authorizes=True, authorization_kept=None)
    one = kit.user(1)
    one.chat(1, 2, "m1")
    one.chat(2, 2, "m2")
    assert asked(kit) == [(1, 2)] * 2
    kit.authorizing.rotate(1)
    kit.authorize(False)  # the second
    kit.authorize(True)
    assert codes(one) == [(1, 0), (2, 403)]
    one.chat(3, 2, "m3")
    assert len(asked(kit)) == 3


def test_two_connections_of_a_user_wait_for_one_answer() -> None:
    kit = Kit(authorizes=True)
    one, tab = kit.user(1), kit.plain(1)
    one.chat(1, 2, "m1")
    tab.chat(2, 2, "m2")
    assert len(asked(kit)) == 1
    kit.authorize(True)
    assert codes(one) == [(1, 0)] and codes(tab) == [(2, 0)]


def test_when_it_can_not_be_found_out_nothing_is_acknowledged() -> None:
    kit = Kit(authorizes=True)
    one, other = kit.user(1), kit.user(4)
    one.chat(1, 2, "m1")
    one.chat(2, 3, "m2")
    other.chat(3, 5, "m3")
    kit.authorize(None)
    assert one.code == 1013 and one.answers == [] and kit.stored == []
    assert one.of("KICK")[0]["retryAfter"] == 1.0
    kit.authorize(True)  # for a connection that is gone
    kit.authorize(True)
    assert codes(other) == [(3, 0)] and kit.stored == [(4, "m3")]
    again = kit.user(1)
    again.chat(1, 2, "m1")
    assert asked(kit)[-1] == (1, 2)  # that it was not known is not remembered
    kit.authorize(True)
    assert codes(again) == [(1, 0)]


def test_a_repeat_of_what_was_stored_gets_its_answer_whatever_the_site_says_now() -> None:
    kit = Kit(authorizes=True, authorization_kept=None)
    one, tab = kit.user(1), kit.plain(1)
    one.chat(1, 2, "m1")
    tab.chat(2, 2, "m2")
    kit.authorize(True)
    kit.authorize(True)
    one.chat(1, 2, "m1")
    tab.chat(2, 2, "m2")
    one.chat(3, 2, "m3")
    for _ in range(3):
        kit.authorize(False)
    assert codes(one) == [(1, 0), (1, 0), (3, 403)] and codes(tab) == [(2, 0), (2, 0)]
    assert len(kit.stored) == 2


def test_a_status_waits_for_the_messages_before_it() -> None:
    kit = Kit(authorizes=True)
    one = kit.user(1, **ALL)
    one.chat(1, 2, "m1")
    one.send("MESSAGE_STATUS_REQUEST", msgIds=[1])
    assert one.of("MESSAGE_STATUS_RESPONSE") == []
    kit.authorize(True)
    assert one.of("MESSAGE_STATUS_RESPONSE")[0]["items"][0]["status"] == "accepted"


def test_messages_that_wait_count_as_unanswered() -> None:
    kit = Kit(authorizes=True, in_flight=4)
    one = kit.user(1)
    for n in range(4):
        one.chat(n + 1, 2, f"m{n}")
    assert one.paused
    kit.authorize(True)
    assert not one.paused and len(one.answers) == 4


def test_what_a_newer_log_in_sends_is_not_overtaken_by_what_waits_for_the_older() -> None:
    kit = Kit(authorizes=True)
    old = kit.user(1)
    for n in (1, 2):
        old.chat(n, 2, f"m{n}")
    new = kit.user(1)
    for n in (1, 2, 3):
        new.chat(n, 2, f"m{n}")
    assert len(asked(kit)) == 1
    kit.authorize(True)
    assert codes(new) == [(1, 0), (2, 0), (3, 0)] and old.answers == []
    assert [s.generation for s in kit.submissions] == [2, 2, 2]


def test_what_is_kept_of_the_sites_answers_has_an_end() -> None:
    kit = Kit(authorizes=True)
    gate = kit.gateway.hub._gate
    one = kit.user(1)
    for n in range(KEPT + 5):
        gate._keep((1, n + 10), True, kit.now + 60)
        if n in (0, 100):  # asked about again
            gate._keep((1, 9), True, kit.now + 60)
    assert len(gate._known) == KEPT
    one.chat(3, 9, "known")
    assert asked(kit) == []
    one.chat(1, 10, "the oldest are forgotten")
    assert asked(kit) == [(1, 10)]
    one.lose()
    one = kit.user(1)
    one.chat(2, KEPT + 14, "the newest is not")
    assert codes(one) == [(2, 0)]


def test_going_down_waits_for_the_site_and_not_for_ever() -> None:
    kit = Kit(authorizes=True, drain_timeout=10.0)
    one = kit.user(1)
    one.chat(1, 2, "m1")
    one.chat(2, 3, "m2")
    kit.do(Shutdown())
    assert one.close is None
    kit.authorize(True)
    assert codes(one) == [(1, 0)] and one.close is None
    kit.wait(10.1)
    assert one.code == 1012 and codes(one) == [(1, 0)]
    kit.authorize(True)
    assert kit.stored == [(1, "m1")]


def test_an_answer_that_nobody_asked_for_changes_nothing() -> None:
    kit = Kit(authorizes=True)
    one = kit.user(1)
    one.chat(1, 2, "m1")
    before = len(kit.said)
    kit.do(Authorized(request=999, allowed=True))
    assert len(kit.said) == before


# ---------------------------------------------------------------- what the site sends


def send(kit: Kit, request: int = 5, sender: Any = 1, to: Any = 2, **more: Any) -> None:
    asked = {"content": "from the site"} | more
    kit.do(SendAsked(request=request, from_user=sender, to_user=to, **asked))


def test_a_message_of_the_site_is_stored_and_pushed_like_any_other() -> None:
    kit = Kit(authorizes=True)  # the site asks nobody
    one, two = kit.user(1), kit.user(2)
    kit.holding = True
    send(kit)
    assert kit.answered == []
    kit.release()
    (answer,) = kit.answered
    assert (answer.request, answer.code, answer.text) == (5, 0, "")
    drawn = 1_700_000_000_000_000
    assert answer.data == {"msgId": drawn, "timestamp": drawn // 1000, "sessionId": 1}
    (push,) = two.pushes
    assert (push["fromUser"], push["content"], push["msgId"]) == (1, "from the site", drawn)
    assert one.pushes[0]["toUser"] == 2  # a copy for the devices of who it is said to be from


def test_msg_ids_that_are_drawn_differ() -> None:
    kit = Kit()
    for n in range(3):
        send(kit, n)
    assert len({answer.data["msgId"] for answer in kit.answered}) == 3 == len(kit.stored)


def test_the_same_id_with_the_same_content_is_stored_once() -> None:
    kit = Kit()
    kit.holding = True
    send(kit, 1, msg_id=7)
    send(kit, 2, msg_id=7)  # joins the first
    kit.release()
    send(kit, 3, msg_id=7)
    send(kit, 4, msg_id=7, content="another")
    first, second, third, fourth = kit.answered
    assert first.data == second.data == third.data and len(kit.stored) == 2
    assert fourth.data["msgId"] == 7 and fourth.code == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"content": ""},
        {"content": "x" * 1001},
        {"content": "\x00"},
        {"sender": -1},
        {"to": ""},
        {"msg_id": 0},
        {"message_type": ""},
        {"session_id": -3},
        {"content": 5},
    ],
    ids=str,
)
def test_a_message_that_can_not_be_sent_is_answered_400(bad: dict[str, Any]) -> None:
    kit = Kit()
    send(kit, **bad)
    assert [a.code for a in kit.answered] == [400] and kit.answered[0].data is None
    assert kit.stored == [] and kit.commits == []


def test_a_session_that_is_none_is_answered_40400() -> None:
    kit = Kit()
    send(kit, session_id=9)
    assert [(a.code, a.text) for a in kit.answered] == [(40400, "no such session")]


def test_a_store_that_fails_is_told_to_the_site_and_keeps_what_is_queued() -> None:
    kit = Kit()
    kit.holding = True
    send(kit, 1)
    send(kit, 2, content="queued behind it")
    kit.fail()
    kit.release()
    assert [(a.request, a.code) for a in kit.answered] == [(1, 50000), (2, 0)]


def test_one_that_joins_a_client_s_is_answered_with_it() -> None:
    kit = Kit()
    tab = kit.plain(1)
    kit.holding = True
    tab.chat(7, 2, "from the site")
    send(kit, msg_id=7)
    tab.lose()
    kit.release()
    assert [a.code for a in kit.answered] == [0] and len(kit.stored) == 1


def test_what_the_site_sent_is_answered_before_the_server_goes_down_and_refused_then() -> None:
    kit = Kit()
    kit.holding = True
    send(kit, 1)
    kit.do(Shutdown())
    send(kit, 2)
    kit.release()
    send(kit, 3)
    assert sorted((a.request, a.code) for a in kit.answered) == [(1, 0), (2, 50000), (3, 50000)]
    assert len(kit.stored) == 1 and isinstance(kit.said[-2], act.Drained)


# ---------------------------------------------------------------- kicks


def test_a_kick_ends_every_connection_of_a_user() -> None:
    kit = Kit()
    phone, web, tab, other = kit.user(1), kit.user(1, "web"), kit.plain(1), kit.user(2)
    kit.do(KickAsked(user=1, reason="banned"))
    for peer in (phone, web):
        assert peer.of("KICK") == [{"reason": "banned", "reconnect": False}]
        assert peer.close == (4001, "banned")
    assert tab.of("KICK") == [] and tab.code == 4001  # by which it knows not to come back
    assert other.close is None and kit.gateway.online() == {2: 1}


def test_a_kick_may_end_one_device_and_let_it_come_back() -> None:
    kit = Kit()
    phone, web, tab = kit.user(1), kit.user(1, "web"), kit.plain(1)
    kit.do(KickAsked(user=1, device="web", reason="later", reconnect=True, retry_after=30.0))
    assert web.of("KICK") == [{"reason": "later", "reconnect": True, "retryAfter": 30.0}]
    assert web.code == 1001 and phone.close is tab.close is None
    kit.do(KickAsked(user=1, device=""))
    assert tab.code == 4001 and phone.close is None


def test_a_kick_reaches_who_is_just_logging_in() -> None:
    kit = Kit()
    kit.holding = True
    one, other = kit.user(1), kit.user(1, "web")
    kit.do(KickAsked(user=1, device="phone"))
    assert one.code == 4001
    kit.do(KickAsked(user=1, device="phone"))  # once is enough
    kit.release()
    assert one.messages == [("KICK", {"reason": "kicked", "reconnect": False})]
    assert other.of("AUTH_RESPONSE")[0]["code"] == 0
    assert kit.gateway.online() == {1: 1}


def test_what_a_kicked_device_had_sent_is_committed_and_not_answered() -> None:
    kit = Kit()
    one = kit.user(1)
    kit.holding = True
    one.chat(1, 2, "m1")
    kit.do(KickAsked(user=1))
    kit.release()
    assert one.answers == [] and kit.stored == [(1, "m1")]


def test_a_reason_that_no_text_frame_can_hold_does_no_harm() -> None:
    kit = Kit()
    peer = kit.user(1)
    kit.do(KickAsked(user=1, reason="\ud800"))
    assert peer.code == 4001 and peer.of("KICK")[0]["reason"] == "\\ud800"


def test_a_kick_of_nobody_changes_nothing() -> None:
    kit = Kit()
    kit.user(1)
    before = len(kit.said)
    kit.do(KickAsked(user=9))
    assert len(kit.said) == before


# ---------------------------------------------------------------- what the site is told


def stored(kit: Kit) -> list[act.MessageStored]:
    return [action for action in kit.said if isinstance(action, act.MessageStored)]


def test_the_site_is_told_of_each_new_message_once() -> None:
    kit = Kit(tells=True)
    one, tab = kit.user(1), kit.plain(1)
    one.chat(1, 2, "m1")
    one.chat(1, 2, "m1")
    kit.user(2)
    one.chat(2, 2, "m2", messageType="image")
    tab.chat(7, 2, "a")
    tab.chat(7, 2, "b")  # gets another id
    one.chat(2, 2, "conflict")
    told = stored(kit)
    assert [(t.entry.content, t.offline) for t in told] == [
        ("m1", True), ("m2", False), ("a", False), ("b", False),
    ]  # fmt: skip
    entry = told[1].entry
    assert (entry.from_user, entry.to_user, entry.msg_id, entry.seq) == (1, 2, 2, 2)
    assert (entry.message_type, entry.session_id, entry.device) == ("image", 1, "phone")
    assert entry.timestamp == 1_700_000_000_000
    assert told[2].entry.msg_id == 7 != told[3].entry.msg_id


def test_the_site_is_told_after_the_commit_and_not_of_what_failed() -> None:
    kit = Kit(tells=True)
    one = kit.user(1)
    kit.holding = True
    one.chat(1, 2, "m1")
    assert stored(kit) == []
    kit.fail()
    kit.release()
    assert stored(kit) == []


def test_a_site_that_does_not_listen_is_told_nothing() -> None:
    kit = Kit()
    kit.user(1).chat(1, 2, "m1")
    assert stored(kit) == []
