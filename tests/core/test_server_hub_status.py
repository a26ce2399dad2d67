"""MESSAGE_STATUS_REQUEST: the answer is final (protocol.md section 2, `status`)."""

from __future__ import annotations

from typing import Any

import pytest

from core.server_kit import ALL, Kit, Peer
from im_proto.server import actions as act
from im_proto.server.inputs import Shutdown
from im_proto.server.questions import AT_ONCE


def asks(peer: Peer, *msg_ids: int) -> None:
    peer.send("MESSAGE_STATUS_REQUEST", msgIds=list(msg_ids))


def told(peer: Peer) -> list[list[tuple[int, str]]]:
    return [
        [(item["msgId"], item["status"]) for item in response["items"]]
        for response in peer.of("MESSAGE_STATUS_RESPONSE")
    ]


def statuses(kit: Kit) -> list[act.StoreStatus]:
    return [action for action in kit.said if isinstance(action, act.StoreStatus)]


def test_it_says_what_became_of_each_in_order() -> None:
    kit = Kit()
    one, two = kit.user(1, **ALL), kit.user(2)
    young = 1_700_000_000_000_000
    for n in range(3):
        one.chat(young + n, 2, f"m{n}")
    two.ack(1)
    kit.wait(1)
    asks(one, young + 1, young, young + 9, 5)
    assert told(one) == [
        [(young + 1, "accepted"), (young, "delivered"), (young + 9, "never"), (5, "forgotten")]
    ]
    at = one.of("MESSAGE_STATUS_RESPONSE")[0]["items"][0]["timestamp"]
    assert at == 1_700_000_000_000


def test_what_is_older_than_dedupe_seconds_may_be_forgotten() -> None:
    kit = Kit(dedupe_seconds=100.0)
    one = kit.user(1, **ALL)
    asks(one, 1)
    (asked,) = statuses(kit)
    assert asked.forgotten_before == 1_700_000_000_000 - 100_000
    assert (asked.user, asked.device, asked.msg_ids) == (1, "phone", (1,))


def test_it_stands_behind_what_was_sent_before_it() -> None:
    kit = Kit(commit_batch=2)
    one = kit.user(1, **ALL)
    kit.holding = True
    for n in (1, 2, 3):  # the first is under way, the others wait
        one.chat(n, 2, f"m{n}")
    asks(one, 1, 2, 3)
    assert statuses(kit) == []
    kit.release()
    assert told(one) == [[(1, "accepted"), (2, "accepted"), (3, "accepted")]]


def test_what_an_older_login_had_under_way_is_never_accepted_after_never_was_said() -> None:
    """The older login's message is fenced; the newer one has sent it again, and asks."""
    kit = Kit()
    old = kit.user(1)
    kit.holding = True
    new = kit.peer()
    new.login(1, **ALL)  # the store writes the login before the commit
    old.chat(1, 2, "m1")
    kit.answer()
    new.chat(1, 2, "m1")  # joins what is under way
    asks(new, 1)
    kit.release()
    assert told(new) == [[(1, "accepted")]]
    assert [answer["msgId"] for answer in new.answers] == [1]


def test_without_the_capability_it_is_not_answered() -> None:
    kit = Kit()
    peers = [kit.user(1), kit.plain(1), kit.user(1, deviceId=None, capabilities=["status"])]
    for peer in peers:
        asks(peer, 1)
        assert told(peer) == [] and peer.close is None
    assert statuses(kit) == []


def test_a_store_that_fails_ends_the_connection_that_asked() -> None:
    kit = Kit()
    one, other = kit.user(1, **ALL), kit.user(2, **ALL)
    kit.holding = True
    asks(one, 1)
    one.chat(2, 2, "queued behind it")
    kit.fail()
    assert one.code == 1013 and told(one) == [] and other.close is None
    kit.release()
    assert not kit.gateway.hub._commits._waiters


def test_a_few_are_with_the_store_at_a_time_and_many_stop_the_reading() -> None:
    kit = Kit(in_flight=8)
    one = kit.user(1, **ALL)
    kit.holding = True
    for n in range(8):
        asks(one, n + 1)
    assert len(kit.held) == AT_ONCE and one.paused
    kit.answer()
    assert len(kit.held) == AT_ONCE and len(statuses(kit)) == AT_ONCE + 1
    while kit.held:
        kit.answer()
    assert [items[0][0] for items in told(one)] == list(range(1, 9)) and not one.paused


def test_while_the_client_takes_no_bytes_the_store_is_not_asked() -> None:
    kit = Kit()
    one = kit.user(1, **ALL)
    one.block()
    asks(one, 1)
    assert statuses(kit) == []
    one.unblock()
    assert len(told(one)) == 1


def test_who_has_gone_is_not_answered() -> None:
    kit = Kit()
    one = kit.user(1, **ALL)
    kit.holding = True
    asks(one, 1)
    one.lose()
    kit.release()
    assert told(one) == [] and not kit.gateway.hub._questions._of_clients


@pytest.mark.parametrize("fails", [False, True])
def test_it_is_answered_before_the_server_goes_down(fails: bool) -> None:
    kit = Kit()
    one = kit.user(1, **ALL)
    kit.wait(1)
    kit.holding = True
    asks(one, 1)
    kit.do(Shutdown())
    assert one.close is None
    if fails:
        kit.fail()
        assert one.code == 1013
    else:
        kit.release()
        assert len(told(one)) == 1 and one.code == 1012


def test_one_whose_asker_has_gone_holds_nobody_up_who_goes_down() -> None:
    kit = Kit()
    one = kit.user(1, **ALL)
    kit.wait(1)
    kit.holding = True
    asks(one, 1)
    one.lose()
    kit.do(Shutdown())
    assert any(isinstance(action, act.Drained) for action in kit.said)


@pytest.mark.parametrize("ids", [[], list(range(1, 1001))], ids=len)
def test_any_number_up_to_a_thousand_may_be_asked_for(ids: list[int]) -> None:
    kit = Kit()
    one = kit.user(1, **ALL)
    asks(one, *ids)
    assert len(told(one)[0]) == len(ids)
    bad: Any = [*range(1, 1002)]
    asks(one, *bad)
    assert one.of("CHAT_ERROR_RESPONSE")[0]["code"] == 400 and one.close is None
