"""What is too old goes, and who is reading it is told (protocol.md section 2, "Resume")."""

from __future__ import annotations

import pytest

from core.server_kit import Kit
from im_proto.server import actions as act
from im_proto.server.inputs import Retained, Shutdown
from im_proto.server.retain import FIRST, SOON
from im_proto.server.retention import devices_that_go


def asked(kit: Kit) -> list[act.StoreRetain]:
    return [action for action in kit.said if isinstance(action, act.StoreRetain)]


def test_the_store_is_asked_soon_after_the_start_and_then_at_intervals() -> None:
    kit = Kit(retention_interval=600.0)
    kit.wait(FIRST - 1)
    assert asked(kit) == []
    kit.wait(2)
    assert len(asked(kit)) == 1
    kit.wait(598)
    assert len(asked(kit)) == 1
    kit.wait(600)
    assert len(asked(kit)) == 2


def test_it_is_told_what_is_too_old() -> None:
    kit = Kit(
        retention_interval=10.0, retention_age=100.0, retention_count=7, dedupe_seconds=1000.0
    )
    kit.wait(10)
    (ask,) = asked(kit)
    now = 1_700_000_010_000
    assert (ask.entries_before, ask.keep, ask.messages_before) == (now - 100_000, 7, now - 1000_000)
    forever = Kit(retention_interval=10.0, retention_age=None, retention_count=None)
    forever.wait(10)
    assert (asked(forever)[0].entries_before, asked(forever)[0].keep) == (None, None)


def test_when_there_is_more_the_store_is_asked_again_soon() -> None:
    kit = Kit(retention_interval=10.0)
    kit.holding = True
    kit.wait(10)
    kit.held.clear()
    kit.wait(100)  # one is under way
    assert len(asked(kit)) == 1
    kit.do(Retained(request=asked(kit)[0].request, oldest=(), more=True))
    kit.wait(SOON)
    assert len(asked(kit)) == 2
    kit.do(Retained(request=asked(kit)[1].request, oldest=(), more=False))
    kit.wait(9)
    assert len(asked(kit)) == 2


def test_a_store_that_fails_is_asked_again_at_the_next_interval() -> None:
    kit = Kit(retention_interval=10.0)
    kit.holding = True
    kit.wait(10)
    kit.fail()
    kit.wait(9)
    assert len(asked(kit)) == 1
    kit.wait(2)
    assert len(asked(kit)) == 2


def test_an_answer_of_another_life_is_not_taken() -> None:
    kit = Kit(retention_interval=10.0)
    one = kit.user(1)
    kit.do(Retained(request=99, oldest=((1, 50),), more=True))
    assert kit.gateway.hub._roster.all()[0].oldest == 1 and one.close is None
    kit.wait(1)
    assert asked(kit) == []


def test_who_is_behind_gets_a_hole_and_then_a_reset() -> None:
    """The client sees the hole by the numbers, and asks; it is told that something is missing."""
    kit = Kit(unacked=4, retention_count=3, retention_interval=10.0)
    one, two = kit.user(1), kit.user(2)
    for n in range(20):
        one.chat(n + 1, 2, f"m{n + 1}")
    assert [push["seq"] for push in two.pushes] == [1, 2, 3, 4]
    two.forget()
    kit.wait(11)  # 18 to 20 are left
    assert [push["seq"] for push in two.pushes] == [18, 19, 20]
    two.send("SYNC_REQUEST", after=4)
    assert two.of("SYNC_RESPONSE") == [{"status": "reset", "oldest": 18, "epoch": "e0"}]
    assert [push["seq"] for push in two.pushes[3:]] == [18, 19, 20]
    two.ack(20)
    one.chat(21, 2, "m21")
    assert two.pushes[-1]["seq"] == 21 and two.close is None


def test_who_is_far_behind_gets_no_more_at_once_than_anybody() -> None:
    kit = Kit(unacked=4, retention_count=6, retention_interval=10.0)
    one, two = kit.user(1), kit.user(2)
    for n in range(20):
        one.chat(n + 1, 2, f"m{n + 1}")
    two.forget()
    kit.wait(11)
    assert [push["seq"] for push in two.pushes] == [15, 16, 17, 18]


def test_one_that_had_acknowledged_all_notices_nothing() -> None:
    kit = Kit(unacked=4, retention_count=1, retention_interval=10.0)
    one, two = kit.user(1), kit.user(2)
    for n in range(8):
        one.chat(n + 1, 2, f"m{n + 1}")
        two.ack(n + 1)
    kit.wait(11)
    one.chat(9, 2, "m9")
    assert [push["seq"] for push in two.pushes] == list(range(1, 10))
    two.ack(9)
    assert two.close is None


def test_an_ack_of_what_has_gone_meanwhile_is_no_violation() -> None:
    kit = Kit(unacked=4, retention_count=1, retention_interval=10.0)
    one, two = kit.user(1), kit.user(2)
    for n in range(4):
        one.chat(n + 1, 2, f"m{n + 1}")
    kit.wait(11)  # only 4 is left
    two.ack(2)
    two.ack(4)
    assert two.close is None


def test_a_hole_shows_itself_when_the_store_has_not_said_so_yet() -> None:
    """Another process let go of it, or the answers crossed."""
    kit = Kit(unacked=4)
    one, two = kit.user(1), kit.user(2)
    for n in range(20):
        one.chat(n + 1, 2, f"m{n + 1}")
    kit.store.trim(2, 15)
    two.ack(4)
    assert [push["seq"] for push in two.pushes[4:]] == [15, 16, 17, 18]
    two.send("SYNC_REQUEST", after=4)
    assert two.of("SYNC_RESPONSE")[0]["status"] == "reset"
    two.ack(18)
    assert [push["seq"] for push in two.pushes][-2:] == [19, 20]


@pytest.mark.parametrize("drains", [False, True])
def test_going_down_ends_it(drains: bool) -> None:
    kit = Kit(retention_interval=10.0, drain_timeout=100.0)
    one = kit.user(1)
    kit.holding = drains
    one.chat(1, 2, "m1")
    kit.do(Shutdown())
    kit.wait(50)
    assert asked(kit) == []


# ---------------------------------------------------------------- devices


def devices(kit: Kit) -> list[str]:
    return sorted(device for _, device in kit.store.logged_in_at)


def test_the_store_is_told_which_devices_are_too_old_and_which_are_here() -> None:
    kit = Kit(retention_interval=10.0, retention_age=1000.0, dedupe_seconds=100.0)
    kit.user(1)
    kit.user(1, "web").lose()
    kit.plain(2)
    kit.wait(10)
    assert asked(kit)[0].devices_before == 1_700_000_010_000 - 1000_000
    assert asked(kit)[0].present == {(1, "phone")}
    # as long as its messages may be repeated, a device is known
    short = Kit(retention_interval=10.0, retention_age=10.0, dedupe_seconds=1000.0)
    short.wait(10)
    assert asked(short)[0].devices_before == 1_700_000_010_000 - 1000_000
    forever = Kit(retention_interval=10.0, retention_age=None)
    forever.wait(10)
    assert asked(forever)[0].devices_before is None


def test_a_device_that_stayed_away_is_a_new_one_and_gets_what_is_held() -> None:
    kit = Kit(retention_interval=10.0, retention_age=100.0, dedupe_seconds=100.0)
    one, two = kit.user(1), kit.user(2)
    one.chat(1, 2, "long ago")
    two.ack(1)
    two.lose()
    kit.wait(95)
    one.chat(2, 2, "new")
    assert devices(kit) == ["phone", "phone"]
    kit.wait(20)
    assert devices(kit) == ["phone"]  # of 1, which is here
    again = kit.user(2)
    assert [push["content"] for push in again.pushes] == ["new"]
    assert again.of("AUTH_RESPONSE")[0]["data"]["lastMsgId"] == 0


def test_a_device_that_was_here_all_the_time_is_known_when_it_comes_back() -> None:
    """Though its last log-in is too old: what it has acknowledged is still held, or there is
    nothing that it could get again."""
    kit = Kit(retention_interval=10.0, retention_age=100.0, dedupe_seconds=100.0)
    one, two = kit.user(1), kit.user(2)
    for n in range(50):
        kit.wait(10)
        one.send("HEARTBEAT_REQUEST")
        two.send("HEARTBEAT_REQUEST")
        one.chat(n + 1, 2, f"m{n + 1}")
        two.ack(n + 1)
    two.lose()
    kit.wait(15)
    again = kit.user(2)
    assert again.of("AUTH_RESPONSE")[0]["code"] == 0 and again.pushes == []


def test_a_user_has_so_many_devices_and_those_that_are_here_stay() -> None:
    kit = Kit(devices_per_user=3)
    kit.user(1, "here")
    for n in range(6):
        kit.wait(1)
        kit.user(1, f"d{n}").lose()
        kit.user(2, f"other{n % 2}").lose()
    assert devices(kit) == ["d4", "d5", "here", "other0", "other1"]
    kit.user(1, "d4")  # is known, so nobody goes
    assert devices(kit) == ["d4", "d5", "here", "other0", "other1"]
    kit.user(1, "new").lose()
    assert devices(kit) == ["d4", "here", "new", "other0", "other1"]


def test_one_that_is_just_logging_in_stays() -> None:
    kit = Kit(devices_per_user=1)
    kit.holding = True
    first, second = kit.user(1, "first"), kit.user(1, "second")
    kit.release()
    assert devices(kit) == ["first", "second"]
    first.chat(1, 1, "hello")
    assert first.answers and second.close is None


def test_which_devices_go() -> None:
    known = [("a", 5), ("b", 3), ("c", 3), ("d", 9)]
    assert devices_that_go(known, None, ()) == []
    assert devices_that_go(known, 5, ()) == []
    assert devices_that_go(known, 4, ()) == ["b"]
    assert devices_that_go(known, 1, ()) == ["b", "c", "a", "d"]
    assert devices_that_go(known, 3, {"b"}) == ["c", "a"]
    assert devices_that_go(known, 1, {"a", "b", "c", "d"}) == []
