"""SESSION_REQUEST, and the calls of the site: the same calls (protocol.md sections 2 and 3)."""

from __future__ import annotations

from typing import Any

import pytest

from core.server_kit import ALL, Kit, Peer
from im_proto.server import actions as act
from im_proto.server.inputs import CallAsked, Shutdown
from im_proto.server.questions import AT_ONCE

BOOK: dict[str, Any] = {"bookId": 7, "buyerId": 1, "sellerId": 2}


def call(peer: Peer, op: str, name: str = "a", **params: Any) -> None:
    peer.send("SESSION_REQUEST", id=name, op=op, params=params)


def answers(peer: Peer) -> list[tuple[str, int]]:
    return [(a["id"], a["code"]) for a in peer.of("SESSION_RESPONSE")]


def calls(kit: Kit) -> list[act.StoreCall]:
    return [action for action in kit.said if isinstance(action, act.StoreCall)]


def test_a_call_is_carried_out_as_the_user_who_is_logged_in() -> None:
    kit = Kit(session_lifetime=60.0)
    one, three = kit.user(1, **ALL), kit.user(3, **ALL)
    call(one, "startChat", "x", **BOOK)
    (answer,) = one.of("SESSION_RESPONSE")
    assert (answer["id"], answer["code"]) == ("x", 0)
    session = answer["data"]
    assert (session["id"], session["bookId"], session["sessionStatus"]) == (1, 7, 1)
    call(three, "get", sessionId=1)
    assert answers(three) == [("a", 40400)]  # it is not theirs
    (asked, _) = calls(kit)
    assert (asked.user, asked.at, asked.session_lifetime) == (1, 1_700_000_000_000, 60_000)


def test_a_call_that_is_none_is_answered_400_and_never_reaches_the_store() -> None:
    kit = Kit()
    one = kit.user(1, **ALL)
    call(one, "nonsense", "a")
    call(one, "get", "b", sessionId="one")
    call(one, "close", "c", sessionId=1)  # of the site alone
    assert answers(one) == [("a", 400), ("b", 400), ("c", 400)]
    assert calls(kit) == [] and one.close is None
    assert not kit.gateway.hub._roster.all()[0].unanswered


def test_without_the_capability_it_is_not_answered() -> None:
    kit = Kit()
    for peer in (kit.user(1), kit.plain(1)):
        call(peer, "getCurrent", userId=1)
        assert peer.of("SESSION_RESPONSE") == [] and peer.close is None


def test_a_call_sees_what_was_sent_before_it() -> None:
    kit = Kit()
    one = kit.user(1, **ALL)
    kit.holding = True
    one.chat(1, 2, "m1")
    one.chat(2, 2, "m2")
    call(one, "history", peerId=2)
    while kit.held:
        kit.answer()
    (answer,) = one.of("SESSION_RESPONSE")
    assert [record["content"] for record in answer["data"]["records"]] == ["m1", "m2"]


def test_a_store_that_fails_is_told_and_the_connection_goes_on() -> None:
    kit = Kit()
    one = kit.user(1, **ALL)
    kit.wait(1)
    kit.holding = True
    call(one, "getCurrent", userId=1)
    kit.fail()
    assert answers(one) == [("a", 50000)] and one.close is None


def test_a_few_calls_of_a_connection_are_with_the_store_at_a_time() -> None:
    kit = Kit(in_flight=8, commit_batch=512)
    one = kit.user(1, **ALL)
    kit.wait(1)
    kit.holding = True
    for n in range(8):
        call(one, "getCurrent", f"c{n}", userId=1)
    assert len(kit.held) == AT_ONCE and one.paused
    kit.fail()  # a place is free
    assert len(calls(kit)) == AT_ONCE + 1
    while kit.held:
        kit.answer()
    assert [code for _, code in answers(one)] == [50000] + [0] * 7 and not one.paused


def test_while_the_client_takes_no_bytes_it_gets_no_more_answers() -> None:
    kit = Kit()
    one = kit.user(1, **ALL)
    one.block()
    for n in range(20):
        call(one, "getCurrent", f"c{n}", userId=1)
    assert answers(one) == [] and calls(kit) == []
    one.unblock()
    assert len(answers(one)) == 20


def test_an_answer_that_is_too_large_for_the_client_says_so() -> None:
    kit = Kit()
    one = kit.user(1, **(ALL | {"limits": {"batch": 64, "frameBytes": 2048}}))
    for n in range(10):
        one.chat(n + 1, 2, "x" * 400)
    call(one, "history", "large", peerId=2, pageSize=10)
    call(one, "history", "small", peerId=2, pageSize=2)
    assert answers(one) == [("large", 400), ("small", 0)]
    assert "pageSize" in one.of("SESSION_RESPONSE")[0]["message"]
    assert all(len(frame) <= 2048 for frame in one.frames)


def test_who_has_gone_is_not_answered() -> None:
    kit = Kit()
    one = kit.user(1, **ALL)
    kit.wait(1)
    kit.holding = True
    call(one, "startChat", **BOOK)
    one.lose()
    kit.release()
    assert answers(one) == [] and len(kit.store.sessions) == 1


# ---------------------------------------------------------------- of the site


def ask(kit: Kit, op: str, user: Any = 1, request: int = 5, **params: Any) -> None:
    kit.do(CallAsked(request=request, user=user, op=op, params=params))


def test_the_site_is_answered_by_its_own_request() -> None:
    kit = Kit()
    ask(kit, "startChat", **BOOK)
    ask(kit, "get", request=6, sessionId=9)
    (first, second) = kit.answered
    assert (first.request, first.code, first.data["id"]) == (5, 0, 1)
    assert (second.request, second.code, second.data) == (6, 40400, None)


def test_the_site_alone_may_end_a_session() -> None:
    kit = Kit()
    ask(kit, "startChat", **BOOK)
    ask(kit, "close", request=6, sessionId=1)
    assert [a.code for a in kit.answered] == [0, 0]
    assert kit.store.sessions[1].status == 3


def test_who_becomes_acquainted_by_the_site_is_told() -> None:
    kit = Kit()
    one = kit.user(1, **ALL)
    kit.plain(2)
    ask(kit, "startChat", **BOOK)
    assert [(p["user"], p["online"]) for p in one.of("PRESENCE")] == [(2, True)]


@pytest.mark.parametrize("user, op", [(1, "nonsense"), (-1, "getCurrent"), ("", "getCurrent")])
def test_a_call_of_the_site_that_is_none_is_answered_400(user: Any, op: str) -> None:
    kit = Kit()
    ask(kit, op, user, userId=1)
    assert [a.code for a in kit.answered] == [400] and calls(kit) == []


def test_a_store_that_fails_is_told_to_the_site() -> None:
    kit = Kit()
    kit.holding = True
    ask(kit, "getCurrent", userId=1)
    kit.fail()
    assert [(a.request, a.code) for a in kit.answered] == [(5, 50000)]
    assert kit.gateway.hub._questions.idle


def test_the_site_is_answered_before_the_server_goes_down_and_refused_then() -> None:
    kit = Kit()
    kit.holding = True
    ask(kit, "getCurrent", userId=1)
    kit.do(Shutdown())
    assert not [a for a in kit.said if isinstance(a, act.Drained)]
    ask(kit, "getCurrent", request=6, userId=1)
    assert [(a.request, a.code) for a in kit.answered] == [(6, 50000)]
    kit.release()
    assert [(a.request, a.code) for a in kit.answered] == [(6, 50000), (5, 0)]
    assert [a for a in kit.said if isinstance(a, act.Drained)]


# ---------------------------------------------------------------- who may begin a session


@pytest.mark.parametrize("op", ["create", "startChat"])
def test_who_may_not_write_to_somebody_begins_no_session_with_them(op: str) -> None:
    kit = Kit(authorizes=True)
    one, two = kit.user(1, **ALL), kit.user(2, **ALL)
    call(one, op, **BOOK)
    assert answers(one) == [] and not kit.store.sessions
    kit.authorize(False)
    assert answers(one) == [("a", 403)] and not kit.store.sessions
    call(two, op, **BOOK)  # it is asked for each of the two
    kit.authorize(True)
    assert answers(two)[-1] == ("a", 0) and len(kit.store.sessions) == 1
    call(one, op, **BOOK)  # what there is, it finds
    assert answers(one)[-1] == ("a", 0) and len(kit.store.sessions) == 1
    assert not kit.authorizing


def test_where_nobody_knows_no_session_is_begun() -> None:
    kit = Kit(authorizes=True)
    one = kit.user(1, **ALL)
    call(one, "startChat", **BOOK)
    kit.authorize(None)
    assert answers(one) == [("a", 50000)] and one.close is None
    assert not kit.store.sessions
    call(one, "startChat", **BOOK)
    one.lose()
    kit.authorize(None)  # nobody is there to be told


def test_the_site_asks_nobody_about_its_own_sessions() -> None:
    kit = Kit(authorizes=True)
    ask(kit, "startChat", **BOOK)
    assert kit.answered == []  # by HTTP: as a user
    kit.do(CallAsked(request=6, user=1, op="startChat", params=BOOK, trusted=True))
    assert [(a.request, a.code) for a in kit.answered] == [(6, 0)]
    ask(kit, "startChat", request=7, user=9, **BOOK)  # refused whatever the site says
    kit.authorize(False)
    assert (kit.answered[-1].request, kit.answered[-1].code) == (5, 0)
    kit.authorize(True)
    assert (kit.answered[-1].request, kit.answered[-1].code) == (7, 403)
