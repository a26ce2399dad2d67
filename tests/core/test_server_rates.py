"""Who wants too much of the store is slowed down, then sent away; nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from core.rates_kit import chat
from core.server_kit import ALL, Kit
from im_proto.server import actions as act
from im_proto.server.calls import Call
from im_proto.server.costs import COSTS, IN_STORE, weight
from im_proto.server.hub import HubTimer
from im_proto.server.inputs import CallAsked, SendAsked
from im_proto.wire import codes
from im_proto.wire.session import SessionOp

#: ten messages at once, two a second
SLOW: dict[str, Any] = {"messages_per_second": 2.0, "message_burst": 10}


def call(kit: Kit, request: int, user: int = 1, **more: Any) -> act.Answered:
    """A call by HTTP that costs no more than a message, and finds nothing."""
    params = {"sessionId": 1}
    kit.do(CallAsked(request=request, user=user, op="get", params=params, **more))
    (answered,) = [action for action in kit.answered if action.request == request]
    return answered


def test_a_user_in_debt_is_read_again_when_it_is_paid_and_nothing_is_lost() -> None:
    kit = Kit(**SLOW)
    one = kit.user(1)  # which costs 5
    chat(one, 1, 5)
    assert not one.paused
    chat(one, 6, 9)
    assert one.paused and len(one.answers) == 9
    kit.wait(1.99)
    assert one.paused
    kit.wait(0.02)
    assert not one.paused and one.close is None
    one.chat(10, 2, "m10")
    assert [content for _, content in kit.stored] == [f"m{n}" for n in range(1, 11)]
    assert [answer["msgId"] for answer in one.answers] == list(range(1, 11))


def test_with_as_much_again_taken_the_connection_ends_and_what_is_behind_comes_again() -> None:
    kit = Kit(**SLOW)
    one = kit.user(1)
    chat(one, 1, 20)
    assert one.code == 4009
    (kick,) = one.of("KICK")
    assert kick["retryAfter"] == pytest.approx(5.0) and kick["reconnect"]
    taken = [content for _, content in kit.stored]
    assert taken == [f"m{n}" for n in range(1, 16)], "taken before, and not thrown away"
    kit.wait(20.0)
    again = kit.user(1)
    chat(again, 11, 20)  # the client heard no answer to some, and sends them again, in order
    assert [content for _, content in kit.stored] == [f"m{n}" for n in range(1, 21)]
    assert [answer["msgId"] for answer in again.answers] == list(range(11, 21))
    assert all(answer["code"] == codes.OK for answer in again.answers)


def test_what_was_taken_is_answered_before_the_end_and_nothing_else_is_taken_meanwhile() -> None:
    kit = Kit(**SLOW)
    one = kit.user(1)
    kit.holding = True
    chat(one, 1, 20)
    assert one.code is None and one.paused
    kit.wait(3)
    one.chat(16, 2, "m16")  # it is read again, but what is behind the first that was refused …
    kit.release()
    assert [answer["msgId"] for answer in one.answers] == list(range(1, 16))
    assert one.code == 4009 and one.kinds[-1] == "KICK"
    assert [content for _, content in kit.stored] == [f"m{n}" for n in range(1, 16)]


def test_who_wants_too_much_and_is_answered_all_ends_at_once() -> None:
    kit = Kit(**SLOW | {"message_burst": 6})
    one = kit.user(1)
    one.batch(*[one.envelope("SYNC_REQUEST", after=0)] * 20)
    assert one.code == 4009 and len(one.of("SYNC_RESPONSE")) == 7


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("CHAT_SEND_TO_ONE_REQUEST", {"msgId": 7, "toUser": 2, "content": "x"}),
        ("CHAT_SEND_TO_ALL_REQUEST", {"msgId": 7, "content": "x"}),
        ("CHAT_READ_RECEIPT_REQUEST", {"msgId": 7, "fromUser": 2}),
        ("MESSAGE_STATUS_REQUEST", {"msgIds": [7]}),
        ("SESSION_REQUEST", {"id": "a", "op": "get", "params": {"sessionId": 1}}),
        ("SYNC_REQUEST", {"after": 0}),
        ("TYPING", {"toUser": 2, "active": True}),
    ],
)
def test_all_that_costs_the_store_something_counts(kind: str, body: dict[str, Any]) -> None:
    kit = Kit(**SLOW | {"message_burst": 6})
    one = kit.user(1, **ALL)
    one.send(kind, **body)
    assert not one.paused
    one.send(kind, **body)
    assert one.paused


@pytest.mark.parametrize(
    ("kind", "body", "times"),
    [
        ("MESSAGE_STATUS_REQUEST", {"msgIds": list(range(1, 106))}, 6),
        ("SESSION_REQUEST", {"id": "a", "op": "history", "params": {"peerId": 2}}, 3),
        ("SESSION_REQUEST", {"id": "a", "op": "getCurrent", "params": {"userId": 1}}, 2),
        (
            "SESSION_REQUEST",
            {"id": "a", "op": "create", "params": {"bookId": 7, "buyerId": 1, "sellerId": 2}},
            9,
        ),
        ("SESSION_REQUEST", {"id": "a", "op": "get", "params": {"sessionId": 1}}, 42),
        ("SESSION_REQUEST", {"id": "a", "op": "nonsense", "params": {}}, 42),
    ],
)
def test_a_question_with_a_large_answer_costs_more(
    kind: str, body: dict[str, Any], times: int
) -> None:
    kit = Kit(**SLOW | {"message_burst": 46})
    one = kit.user(1, **ALL)
    for _ in range(times - 1):  # 41 are left behind the log-in
        one.send(kind, **body)
        assert not one.paused
    one.send(kind, **body)
    assert one.paused


def test_who_wants_everything_pushed_again_pays_for_each_entry() -> None:
    kit = Kit(messages_per_second=2.0, message_burst=46)
    one, two = kit.user(1), kit.user(2)
    for n in range(1, 41):
        one.chat(n, 2, f"m{n}")
    pushed = len(two.of("CHAT_REDIRECT_TO_USER"))
    for _ in range(8):  # 41 are left behind the log-in, and 40 entries cost 4
        two.send("SYNC_REQUEST", after=0)
        assert not two.paused
    two.send("SYNC_REQUEST", after=0)
    assert two.paused
    assert len(two.of("CHAT_REDIRECT_TO_USER")) == 10 * pushed


def test_a_question_to_the_store_weighs_what_its_user_pays_for_it() -> None:
    def of(op: Any) -> float:
        call = Call(op=op)
        return weight(act.StoreCall(request=1, user=1, call=call, at=0)) / IN_STORE

    def of_ids(count: int) -> float:
        ids = (1,) * count
        return (
            weight(act.StoreStatus(request=1, user=1, device="", msg_ids=ids, forgotten_before=0))
            / IN_STORE
        )

    assert {op: of(op) for op in [*SessionOp, "close"]} == {
        "get": 1.0,
        "create": 5.0,
        "startChat": 5.0,
        "getCurrent": 30.0,
        "history": 20.0,
        "close": 5.0,
    }
    assert [of_ids(count) for count in (1, 14, 15, 1000)] == [1.0, 1.0, 2.0, 67.0]
    assert min(COSTS.values()) >= 1.0, "a client may call a call as it likes"


def test_heartbeats_and_acks_cost_the_store_nothing() -> None:
    kit = Kit(**SLOW | {"message_burst": 6})
    one, two = kit.user(1), kit.user(2)
    two.chat(1, 1, "m")
    for _ in range(20):
        one.send("HEARTBEAT_REQUEST")
        one.ack(1)
    assert not one.paused and one.close is None


def test_one_user_has_one_budget_on_all_devices_and_others_have_theirs() -> None:
    kit = Kit(**SLOW | {"message_burst": 20})
    phone, web, other = kit.user(1), kit.user(1, "web"), kit.user(2)
    chat(phone, 1, 10)
    web.chat(11, 2, "m11")
    assert web.paused and not phone.paused, "who says nothing needs no pause"
    phone.chat(12, 2, "m12")
    assert phone.paused
    chat(other, 1, 10, to=1)
    assert not other.paused
    kit.wait(1.0)
    assert not phone.paused and not web.paused


def test_a_flooder_does_not_get_a_full_budget_by_coming_back() -> None:
    kit = Kit(**SLOW)
    one = kit.user(1)
    chat(one, 1, 15)
    one.lose()
    again = kit.user(1)
    assert again.code == 4009 and again.kinds == ["KICK"], "not even logged in"
    kit.wait(5.01)
    third = kit.user(1)  # into debt for this
    third.chat(16, 2, "m16")
    assert third.code is None and third.paused


def test_what_a_log_in_brings_is_paid_for_and_keeps_nobody_out() -> None:
    kit = Kit(messages_per_second=1, message_burst=100, unacked=200)
    writer = kit.user(2)
    for n in range(1, 21):
        kit.wait(60)
        for m in range(20):
            writer.chat(20 * n + m, 1, "hello")
    kit.wait(200)
    levels = []
    for _ in range(3):
        one = kit.user(1)
        assert len(one.pushes) == 200
        levels.append(kit.gateway.hub._rates._bucket(1).level(kit.now))
        one.lose()
    assert levels == [75, 50, 25]  # 5 for the log-in, and one for ten entries


def test_a_full_mailbox_keeps_its_user_out_of_nothing() -> None:
    kit = Kit(messages_per_second=1, message_burst=10, unacked=200)
    writer = kit.user(2)
    for n in range(1, 301):
        kit.wait(1)
        writer.chat(n, 1, "hello")
    one = kit.user(1)
    assert len(one.pushes) == 200
    one.chat(1, 2, "hello yourself")
    assert one.answers and one.code is None


def test_a_next_token_costs_more_than_an_envelope() -> None:
    kit = Kit(envelopes_per_second=1, envelope_burst=21)
    one = kit.user(1, **ALL)
    for _ in range(4):
        one.login(1)
    assert [answer["code"] for answer in one.of("AUTH_RESPONSE")] == [0] * 5
    assert not one.paused
    one.send("HEARTBEAT_REQUEST")
    assert one.paused


def test_a_log_in_where_there_is_one_costs_ten_envelopes() -> None:
    kit = Kit(envelopes_per_second=1, envelope_burst=21)
    one = kit.user(1)
    one.login(2)
    one.login(2)
    assert [answer["code"] for answer in one.of("AUTH_RESPONSE")] == [0, 400, 400]
    assert not one.paused
    one.send("HEARTBEAT_REQUEST")
    assert one.paused


def test_who_logs_in_on_and_on_before_the_answer_is_not_read_meanwhile() -> None:
    kit = Kit()
    kit.verifying = False
    one = kit.peer()
    for _ in range(6):
        one.login(1)
    assert not one.paused
    one.login(1)
    assert one.paused
    for _ in range(5):
        one.login(1)
    assert one.close is not None and one.close[0] == 4009


def test_a_budget_is_forgotten_when_it_is_full_again() -> None:
    kit = Kit(**SLOW)
    for user in range(1, 41):
        kit.user(user).lose()
    rates = kit.gateway.hub._rates
    assert len(rates._buckets) == 40
    kit.wait(3)  # 5 for each log-in, at 2 a second
    kit.user(41)
    assert len(rates._buckets) == 1


def test_who_left_while_paused_is_waited_for_by_nobody() -> None:
    kit = Kit(**SLOW)
    one = kit.user(1)
    chat(one, 1, 9)
    assert one.paused
    one.lose()
    hub = kit.gateway.hub
    assert HubTimer.RATES not in dict(hub.deadlines()) and not hub._rates._paused


def test_many_who_pause_leave_and_come_back_are_waited_for_once_each() -> None:
    kit = Kit(messages_per_second=1.0, message_burst=100)
    rates = kit.gateway.hub._rates
    chat(kit.user(1, "a"), 1, 64)
    chat(kit.user(1, "b"), 65, 128)
    for n in range(3):
        tab = kit.user(1, f"tab{n}")
        tab.chat(200 + n, 2, f"m{n}")
        assert tab.paused
        tab.lose()
    assert len(rates._due) == 1


def test_a_user_that_goes_on_taking_is_waited_for_longer() -> None:
    kit = Kit(**SLOW | {"message_burst": 20})
    phone, web = kit.user(1), kit.user(1, "web")
    chat(phone, 1, 12)  # 2 in debt: a second
    kit.wait(0.5)
    chat(web, 13, 14)  # 3 now
    kit.wait(0.6)
    assert phone.paused and web.paused
    kit.wait(1.0)
    assert not phone.paused and not web.paused


def test_by_http_one_is_told_when_to_ask_again() -> None:
    kit = Kit(**SLOW | {"message_burst": 3})
    assert [call(kit, n).code for n in range(1, 4)] == [codes.NOT_FOUND] * 3
    refused = call(kit, 4)
    assert refused.code == codes.TOO_MANY and refused.data["retryAfter"] == pytest.approx(0.5)
    kit.wait(0.51)
    assert call(kit, 5).code == codes.NOT_FOUND
    assert call(kit, 6, user=2).code == codes.NOT_FOUND, "somebody else"


def test_http_and_websocket_share_the_budget_of_a_user() -> None:
    kit = Kit(**SLOW)
    one = kit.user(1)
    for n in range(5):
        assert call(kit, n).code == codes.NOT_FOUND
    one.chat(1, 2, "m")
    assert one.paused


def test_the_site_itself_is_free() -> None:
    kit = Kit(**SLOW | {"message_burst": 1})
    for n in range(1, 30):
        assert call(kit, n, trusted=True).code in (codes.OK, codes.NOT_FOUND)
        kit.do(SendAsked(request=100 + n, from_user=1, to_user=2, content=f"m{n}"))
    assert len(kit.stored) == 29
