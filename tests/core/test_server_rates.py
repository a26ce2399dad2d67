"""Who says, asks or leaves unread too much is slowed down, then sent away; nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from core.server_kit import ALL, FULL, START, Kit, Peer
from im_proto.client import Status
from im_proto.client import events as ev
from im_proto.config import ServerConfig
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.server import talk
from im_proto.server.calls import Call
from im_proto.server.core import ServerCore
from im_proto.server.costs import COSTS, IN_STORE, weight
from im_proto.server.hub import HubTimer
from im_proto.server.inputs import CallAsked, SendAsked
from im_proto.testing import SimWorld
from im_proto.wire import codes
from im_proto.wire.session import SessionOp

#: ten messages at once, two a second
SLOW: dict[str, Any] = {"messages_per_second": 2.0, "message_burst": 10}
#: ten envelopes at once, two a second
QUIET: dict[str, Any] = {"envelopes_per_second": 2.0, "envelope_burst": 10}


def chat(peer: Peer, first: int, last: int, to: int = 2) -> None:
    """Messages in one frame."""
    envelopes = [
        peer.envelope("CHAT_SEND_TO_ONE_REQUEST", msgId=n, toUser=to, content=f"m{n}")
        for n in range(first, last + 1)
    ]
    peer.batch(*envelopes)


def call(kit: Kit, request: int, user: int = 1, **more: Any) -> act.Answered:
    """A call by HTTP that costs no more than a message, and finds nothing."""
    params = {"sessionId": 1}
    kit.do(CallAsked(request=request, user=user, op="get", params=params, **more))
    (answered,) = [action for action in kit.answered if action.request == request]
    return answered


# ---------------------------------------------------------------- what a user wants of the store


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


# ---------------------------------------------------------------- honest clients at full speed


def flood(world: SimWorld, devices: int, messages: int, in_flight: int) -> None:
    """Clients of one user send as fast as they can; all is accepted, in order, on one link."""
    clients = [world.client(1, in_flight=in_flight, max_queue=messages) for _ in range(devices)]
    for client in clients:
        client.connect()
    assert world.run(5, lambda: all(c.status is Status.AUTHENTICATED for c in clients))
    begun = world.now
    for client in clients:
        for n in range(messages):
            assert client.send(2, f"{client.name}: {n}") is not None
        world.run(0.01)  # msgIds are microseconds: theirs must not be the same
    total = devices * messages
    done = world.run(300, lambda: all(len(c.accepted) == messages for c in clients))
    assert done, [len(client.accepted) for client in clients]
    config = world.server.config
    rate = min(config.messages_per_second, config.envelopes_per_second)
    assert world.now - begun <= total / rate
    for client in clients:
        assert client.engine is not None and client.engine.counters.reconnects == 0
        assert client.engine.counters.retransmitted == 0
        assert not any(isinstance(event, ev.Disconnected) for event in client.events)
        contents = [event.content for event in client.accepted]
        assert contents == [f"{client.name}: {n}" for n in range(messages)]
    stored = [message.content for message in world.server.store.messages]
    for client in clients:
        own = [content for content in stored if content.startswith(f"{client.name}:")]
        assert own == [f"{client.name}: {n}" for n in range(messages)]


@pytest.mark.parametrize(("devices", "in_flight"), [(1, 64), (1, 256), (3, 64), (3, 256)])
def test_a_client_that_floods_is_slowed_down_and_keeps_its_link(
    devices: int, in_flight: int
) -> None:
    flood(SimWorld(3), devices, 5000 // devices, in_flight)


def test_even_where_little_is_allowed_an_honest_client_is_never_sent_away() -> None:
    """It is told to have no more under way than it may say at once."""
    world = SimWorld(1, ServerConfig(messages_per_second=20, message_burst=20))
    flood(world, 1, 200, 256)
    world = SimWorld(1, ServerConfig(envelopes_per_second=20, envelope_burst=20))
    flood(world, 1, 200, 256)


@pytest.mark.parametrize("seed", range(3))
def test_devices_that_are_sent_away_together_all_get_on_and_lose_nothing(seed: int) -> None:
    """What was taken is answered before the end. If it were not, each would send the same first
    messages again and again, as repeats that use up what is allowed."""
    world = SimWorld(seed, ServerConfig(messages_per_second=50, message_burst=30))
    devices = [world.client(1) for _ in range(6)]
    other = world.client(2)
    for client in world.clients:
        client.connect()
        world.run(2)
    for client in devices:
        for n in range(50):
            client.send(2, f"{client.name}: {n}")
        world.run(0.01)
    world.settle()
    ends = [event for client in devices for event in client.events]
    codes = {event.error.server_code for event in ends if isinstance(event, ev.Disconnected)}
    assert codes == {4009}
    for client in devices:
        own = [e.content for e in other.received if e.content.startswith(f"{client.name}:")]
        assert own == [f"{client.name}: {n}" for n in range(50)]


def test_full_speed_in_all_directions_is_no_offence_against_the_other_limits() -> None:
    """What `FULL` clients may do at once by the limits they were told: a window of batches."""
    kit = Kit()
    one = kit.user(1, **FULL)
    for n in range(4):
        chat(one, n * 64 + 1, n * 64 + 64)
    assert len(one.answers) == 256 and not one.paused and one.close is None
