"""The outbox: its bounds, who goes when it is full, who waits outside, times to live, and keys."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from core.client_kit import START, WALL, Driver
from core.outbox_kit import Process
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.expiry import CLEAN_FROM
from im_proto.client.journal import OutgoingRecord
from im_proto.client.keys import Keys
from im_proto.client.timers import Timer
from im_proto.errors import IMError, LocalProtocolError


def put(d: Driver, ref: int, content: str = "x", to: int = 2, **more: Any) -> int:
    """Send, with all that a Send can say."""
    d.do(inp.Send(ref=ref, to_user=to, content=content, **more))
    return ref


def refused(d: Driver, ref: int = 99, content: str = "x", **more: Any) -> IMError:
    """It is not taken, and changes nothing."""
    before = pickle.dumps(d.core)
    with pytest.raises(IMError) as caught:
        put(d, ref, content, **more)
    assert pickle.dumps(d.core) == before
    return caught.value


def queued(d: Driver) -> list[int]:
    """What the application was told to be safe."""
    return [event.ref for event in d.of(ev.MessageQueued)]


# ---------------------------------------------------------------- bounds


def test_bytes_are_counted_as_utf8_and_given_back_at_the_end() -> None:
    d = Driver(max_queue_bytes=1024, when_queue_full="reject")
    put(d, 1, "汉" * 300)
    put(d, 2, "x" * 124)
    error = refused(d)
    assert (error.code, error.retryable) == ("QUEUE_FULL", True)
    assert "1024 bytes" in error.text
    d.login_ours().answer(2)
    put(d, 3, "y" * 124)
    assert refused(d).code == "QUEUE_FULL"
    d.answer(1).answer(3)
    assert d.core.sending.outbox.bytes == 0


def test_a_message_that_can_never_get_in_is_refused_also_if_it_would_wait() -> None:
    d = Driver(max_queue_bytes=1024, content_units=5000)
    for wait in (True, False):
        error = refused(d, content="x" * 1025, wait=wait)
        assert (error.code, error.retryable) == ("QUEUE_FULL", False)
    put(d, 1, "x" * 1024)


def test_the_oldest_goes_that_no_transport_ever_had_and_that_is_told() -> None:
    d = Driver(max_queue=3, in_flight=1, when_queue_full="drop_oldest").login_ours()
    put(d, 1)
    put(d, 2, priority="low", to=3)
    put(d, 3, priority="high")
    put(d, 4)
    (failed,) = d.of(ev.MessageFailed)
    assert failed.ref == 2
    assert failed.error.code == "QUEUE_FULL"
    assert "another message took its place (when_queue_full='drop_oldest')" in failed.error.text
    put(d, 5)
    assert d.failed() == {2: "QUEUE_FULL", 3: "QUEUE_FULL"}
    assert queued(d) == [1, 2, 3, 4, 5]


def test_the_oldest_of_the_lowest_priority_goes_but_nothing_that_hurries_more() -> None:
    d = Driver(max_queue=5, when_queue_full="drop_lowest_priority")
    for ref, priority in enumerate(["high", "normal", "low", "low", "high"], 1):
        put(d, ref, priority=priority)
    put(d, 6, priority="high")
    put(d, 7, priority="low")
    put(d, 8, priority="normal")
    assert list(d.failed()) == [3, 4, 7]
    put(d, 9, priority="normal")
    assert list(d.failed()) == [3, 4, 7, 2]
    assert refused(d, priority="low").code == "QUEUE_FULL"


def test_as_many_go_as_it_takes_and_none_if_that_is_not_enough() -> None:
    d = Driver(
        max_queue_bytes=1024, in_flight=1, content_units=2000, when_queue_full="drop_oldest"
    ).login_ours()
    put(d, 1, "x" * 200)
    for ref in (2, 3, 4):
        put(d, ref, "x" * 250)
    assert refused(d, content="x" * 900).code == "QUEUE_FULL"
    put(d, 5, "x" * 500)
    assert list(d.failed()) == [2, 3]


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_lowest_priority"])
@pytest.mark.parametrize("had", ["in flight", "link lost", "answered with an error", "restored"])
def test_what_a_transport_had_is_never_dropped(policy: str, had: str) -> None:
    d = Process(max_queue=2, when_queue_full=policy)
    if had == "answered with an error":
        d.login()
    else:
        d.login_ours()
    first, _ = d.send("a"), d.send("b", to=3)
    if had == "link lost":
        d.lose()
    elif had == "answered with an error":
        d.answer(first, 50000)
    elif had == "restored":
        d = d.crash()
    with pytest.raises(IMError, match="QUEUE_FULL"):
        d.send("c")
    assert not d.failed()


def test_what_may_be_on_its_way_to_the_disk_with_a_mark_is_not_dropped_either() -> None:
    d = Process(slow=True, max_queue=1, when_queue_full="drop_oldest").login_ours()
    d.write().write()
    d.send("a")
    with pytest.raises(IMError, match="QUEUE_FULL"):
        d.send("b")


def test_filling_is_told_at_four_fifths_drained_below_half_each_once() -> None:
    d = Driver(max_queue=10, in_flight=64).login_ours()
    for ref in range(1, 8):
        put(d, ref)
    assert not d.of(ev.OutboxFilling)
    put(d, 8)
    put(d, 9)
    assert d.of(ev.OutboxFilling) == [ev.OutboxFilling(messages=8, bytes=8)]
    for ref in (1, 2, 3, 4):
        d.answer(ref)
    assert not d.of(ev.OutboxDrained)
    d.answer(5)
    assert d.of(ev.OutboxDrained) == [ev.OutboxDrained(messages=4, bytes=4)]
    for ref in range(10, 14):
        put(d, ref)
    assert len(d.of(ev.OutboxFilling)) == 2


def test_filling_and_drained_count_bytes_too() -> None:
    d = Driver(max_queue_bytes=1024, in_flight=1).login_ours()
    put(d, 1, "x" * 300)
    put(d, 2, "x" * 520)
    assert d.of(ev.OutboxFilling) == [ev.OutboxFilling(messages=2, bytes=820)]
    d.answer(1)
    assert not d.of(ev.OutboxDrained)
    d.answer(2)
    assert d.of(ev.OutboxDrained) == [ev.OutboxDrained(messages=0, bytes=0)]


def test_an_outbox_that_comes_back_full_says_so() -> None:
    d = Process(max_queue=4)
    for _ in range(4):
        d.send()
    again = d.crash().connect()
    assert again.of(ev.OutboxFilling) == [ev.OutboxFilling(messages=4, bytes=20)]


# ---------------------------------------------------------------- the line


def test_who_waits_gets_in_in_order_as_room_is_made() -> None:
    d = Driver(max_queue=2, in_flight=1).login_ours()
    put(d, 1)
    put(d, 2)
    put(d, 3, "c", wait=True)
    put(d, 4, "d", wait=True)
    assert queued(d) == [1, 2]
    assert "2 more wait for room in the outbox." in d.core.explain()
    assert "waits, for room in the outbox." in d.core.explain(ref=3)
    assert "waits, for room in the outbox, behind 1 others." in d.core.explain(ref=4)
    d.answer(1)
    assert queued(d) == [1, 2, 3]
    d.answer(2).answer(3)
    assert queued(d) == [1, 2, 3, 4]
    assert d.chats() == ["x", "x", "c", "d"]
    assert d._ids[3] < d._ids[4]


def test_nobody_gets_in_ahead_of_the_line_however_small() -> None:
    d = Driver(max_queue_bytes=1024, in_flight=1, when_queue_full="drop_oldest").login_ours()
    put(d, 1, "x" * 600)
    put(d, 2, "x" * 500, wait=True)
    assert refused(d, content="s").code == "QUEUE_FULL"
    put(d, 3, "s", wait=True)
    assert queued(d) == [1]
    d.answer(1)
    assert queued(d) == [1, 2, 3]


def test_who_waits_where_others_may_be_dropped_does_not_wait() -> None:
    d = Driver(max_queue=1, when_queue_full="drop_oldest")
    put(d, 1)
    put(d, 2, wait=True)
    assert d.failed() == {1: "QUEUE_FULL"}
    assert queued(d) == [1, 2]


def test_who_waits_can_be_withdrawn_and_can_expire() -> None:
    d = Process(max_queue=1, in_flight=1).login_ours()
    first = d.send("a")
    gone = d.send("b", wait=True, key="k")
    short = d.send("c", wait=True, ttl=5.0)
    last = d.send("d", wait=True)
    d.do(inp.Cancel(ref=gone))
    assert d.failed() == {gone: "MESSAGE_CANCELLED"}
    assert d.core.ref_of_key("k") is None
    assert "It expires in 5.0 s." in d.core.explain(ref=short)
    d.pass_time(5)
    assert d.failed()[short] == "MESSAGE_EXPIRED"
    assert [event.msg_id for event in d.of(ev.MessageFailed)] == [None, None]
    d.answer(first)
    assert d.chats() == ["a", "d"]
    assert last in d.core.sending.outbox


def test_who_waits_is_not_in_the_journal() -> None:
    d = Process(max_queue=1)
    first = d.send("a")
    d.send("b", wait=True)
    assert list(d.disk.outgoing) == [first]
    assert [r.ref for r in d.crash().core.restored()] == [first]


def test_a_ref_that_waits_is_in_use() -> None:
    d = Driver(max_queue=1)
    put(d, 1)
    put(d, 2, wait=True)
    with pytest.raises(LocalProtocolError, match="ref 2 is in use"):
        put(d, 2, wait=True)


# ---------------------------------------------------------------- times to live


def test_it_expires_while_no_transport_ever_had_it() -> None:
    d = Driver(in_flight=1).login_ours()
    put(d, 1, ttl=10)
    put(d, 2, ttl=10)
    put(d, 3, ttl=5.5)
    put(d, 4)
    assert d.core.timers.get(Timer.EXPIRY) == START + 5.5
    assert "It expires in 5.5 s." in d.core.explain(ref=3)
    assert "expires" not in d.core.explain(ref=1)
    assert "expires" not in d.core.explain(ref=4)
    d.pass_time(5.4)
    assert not d.failed()
    d.pass_time(0.1)
    assert d.failed() == {3: "MESSAGE_EXPIRED"}
    d.pass_time(5)
    assert d.failed() == {3: "MESSAGE_EXPIRED", 2: "MESSAGE_EXPIRED"}
    assert d.core.timers.get(Timer.EXPIRY) is None
    d.answer(1)
    assert d.chats() == ["x", "x"]


def test_the_configured_time_holds_where_the_send_says_nothing() -> None:
    d = Driver(time_to_live=3.0)
    put(d, 1)
    put(d, 2, ttl=6.0)
    d.pass_time(3)
    assert list(d.failed()) == [1]
    d.pass_time(3)
    assert list(d.failed()) == [1, 2]


def test_what_a_transport_had_does_not_expire_on_its_way_back() -> None:
    d = Driver()
    d.login_ours()
    put(d, 1, ttl=1.0)
    d.lose()
    d.pass_time(0.5)
    d.do(inp.Disconnect())
    d.pass_time(100)
    assert not d.failed()
    d.forget().login_ours()
    assert d.chats() == ["x"]


def test_what_was_marked_on_disk_does_not_expire_though_it_was_not_sent() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    ref = d.send("a", ttl=5.0)
    d.do(inp.WriteBlocked(transport=d.transport))
    d.write()
    d.pass_time(4)
    d.lose()
    d.do(inp.Disconnect())
    d.pass_time(10)
    assert not d.failed()
    d.login_ours()
    assert d.chats() == ["a"]
    assert ref in d._ids


def test_what_has_expired_is_not_sent_by_a_step_that_comes_late() -> None:
    d = Driver()
    put(d, 1, ttl=1.0)
    d.link()
    d.now += 1.0
    d.login_ours()
    assert d.chats() == []
    assert d.failed() == {1: "MESSAGE_EXPIRED"}


def test_a_time_to_live_goes_on_over_a_restart_by_the_wall_clock() -> None:
    d = Process()
    d.pass_time(4)
    short, long = d.send("a", ttl=10.0), d.send("b", ttl=100.0)
    assert d.disk.outgoing[short].expires_at == int((WALL + 14) * 1000)
    d.pass_time(3)
    again = d.crash(after=3.0)
    again.connect()
    again.pass_time(3.9)
    assert not again.failed()
    again.pass_time(0.2)
    assert again.failed() == {short: "MESSAGE_EXPIRED"}
    assert list(again.disk.outgoing) == [long]


def test_what_expired_between_two_processes_is_told_by_the_second() -> None:
    d = Process()
    ref = d.send("a", ttl=10.0)
    again = d.crash(after=60)
    again.login_ours()
    assert again.failed() == {ref: "MESSAGE_EXPIRED"}
    assert again.chats() == []


def test_what_may_have_been_sent_before_a_restart_does_not_expire() -> None:
    d = Process().login_ours()
    ref = d.send("a", ttl=10.0)
    again = d.crash(after=60).login_ours()
    assert not again.failed()
    again.told_status((again.record(ref).msg_id, "never"))
    assert again.chats() == ["a"]


def test_a_sleep_that_the_clock_did_not_see_counts() -> None:
    d = Driver(sleep_watch=1.0, reconnect={"initial_delay": 30, "max_delay": 30})
    d.login_ours().lose()
    put(d, 1, ttl=100.0)
    d.pass_time(1)
    d.now += 1
    d.do(inp.TimePassed(wall=WALL + (d.now - START) + 500))
    assert d.failed() == {1: "MESSAGE_EXPIRED"}


@pytest.mark.parametrize("ttl", [0, -1, 0.0, float("nan"), float("inf"), True, "5", 1e10])
def test_a_ttl_that_is_none_is_refused(ttl: object) -> None:
    assert refused(Driver(), ttl=ttl).code == "MESSAGE_FORMAT_ERROR"


def test_times_that_mean_nothing_any_more_do_not_pile_up() -> None:
    d = Driver()
    put(d, 1, ttl=100)
    for ref in range(2, 5 * CLEAN_FROM):
        put(d, ref, ttl=1e6)
        d.do(inp.Cancel(ref=ref))
    assert len(d.core.sending.expiry.heap) <= CLEAN_FROM
    assert d.core.timers.get(Timer.EXPIRY) == START + 100
    d.do(inp.Cancel(ref=1))
    assert d.core.timers.get(Timer.EXPIRY) is None


# ---------------------------------------------------------------- keys


def test_the_same_key_and_content_is_the_same_message() -> None:
    d = Driver()
    put(d, 1, "a", key="k")
    before = pickle.dumps(d.core)
    assert d.core.step(inp.Send(ref=2, to_user=2, content="a", key="k"), d.now) == []
    assert pickle.dumps(d.core) == before
    assert d.core.ref_of_key("k") == 1
    assert d.core.ref_of_key("other") is None
    d.login_ours()
    assert d.chats() == ["a"]


@pytest.mark.parametrize(
    "other", [{"content": "b"}, {"to": 3}, {"message_type": "image"}], ids=lambda o: next(iter(o))
)
@pytest.mark.parametrize("when", ["queued", "in line", "in flight", "ended", "restored", "kept"])
def test_a_key_is_for_one_message_only(other: dict[str, Any], when: str) -> None:
    d = Process(max_queue=2, in_flight=1)
    if when == "in line":
        d.send("1")
        d.send("2")
    ref = d.send("a", key="k", wait=when == "in line")
    if when in ("in flight", "ended", "kept"):
        d.login_ours()
    if when in ("ended", "kept"):
        d.answer(ref)
    if when in ("restored", "kept"):
        d = d.crash()
    with pytest.raises(LocalProtocolError, match=f"key of message {ref}"):
        d.send(**({"content": "a", "key": "k", "wait": True} | other))
    assert d.core.ref_of_key("k") == ref
    before = len(d.core.sending.outbox)
    d.send("a", key="k")
    assert len(d.core.sending.outbox) == before


def test_a_key_is_remembered_after_the_end_with_all_that_came_of_it() -> None:
    d = Process().login_ours()
    good, bad, queued = d.send("a", key="g"), d.send("b", key="b"), d.send("c", to=3)
    d.answer(good, timestamp=5).answer(bad, 403, message="not you").answer(queued)
    again = d.crash()
    first, second = again.core.restored()
    assert (first.ref, first.end, first.timestamp, first.content) == (good, "accepted", 5, "a")
    assert first.ended_at == int(WALL * 1000)
    assert (second.ref, second.end, second.error_code) == (bad, "rejected", "MESSAGE_SEND_FAILED")
    assert (second.error_text, second.server_code, second.server_text) == (
        "the server refused it",
        403,
        "not you",
    )
    assert again.core.ref_of_key("g") == good
    again.login_ours()
    assert again.chats() == [] and again.asked_for() == []


@pytest.mark.parametrize("restart", [True, False])
def test_but_not_for_ever(restart: bool) -> None:
    d = Process(keys_kept=100.0, heartbeat={"interval": 1000}).login_ours()
    ref = d.send("a", key="k")
    d.answer(ref)
    d.pass_time(60)
    assert d.core.ref_of_key("k") == ref
    if restart:
        d = d.crash(after=41)
        d.connect()
        assert d.disk.outgoing == {}
        assert d.core.restored() == []
        d.login_ours()
    else:
        d.stall(41)
    assert d.core.ref_of_key("k") is None
    d.forget()
    again = d.send("another", key="k")
    assert d.chats() == ["another"]
    assert d.core.ref_of_key("k") == again
    assert list(d.disk.outgoing) == [again]


def test_a_key_that_is_forgotten_takes_its_id_along_and_it_is_not_drawn_again() -> None:
    d = Process(keys_kept=100.0).login_ours()
    d.answer(d.send("a", key="k"))
    again = d.crash(after=200)
    again.connect()
    assert again.disk.identity is not None
    assert again.disk.identity.highest_msg_id == d._ids[1]


def test_without_a_journal_keys_are_remembered_in_memory() -> None:
    d = Driver(keys_kept=100.0, heartbeat={"interval": 1000}).login_ours()
    put(d, 1, "a", key="k")
    d.answer(1)
    assert d.core.ref_of_key("k") == 1
    put(d, 2, "a", key="k")
    assert d.chats() == ["a"]
    with pytest.raises(LocalProtocolError, match="ref 1 is in use"):
        put(d, 1, "b")
    d.stall(101)
    assert d.core.ref_of_key("k") is None
    put(d, 3, "a", key="k")
    assert d.chats() == ["a", "a"]
    assert len(d.core.sending.keys._ended) == 0


def test_a_key_that_was_taken_anew_is_not_forgotten_with_the_old_message() -> None:
    def ended(ref: int, key: str, at: int) -> OutgoingRecord:
        return OutgoingRecord(
            ref=ref, msg_id=ref, to_user=2, content="x", message_type="text", key=key,
            end="accepted", ended_at=at,
        )  # fmt: skip

    keys = Keys(1.0)
    keys.keep(ended(1, "a", 5000))
    keys.keep(ended(2, "b", 0))  # the clock was set back
    assert keys.ref_of("b", 5500) is None
    keys.take("b", 3)
    assert [record.ref for record in keys.forget_old(9000)] == [1, 2]
    assert keys.ref_of("b", 9000) == 3


@pytest.mark.parametrize("key", ["", "x" * 257, "a\nb", "\ud800", 5, b"k"])
def test_a_key_that_is_none_is_refused(key: object) -> None:
    assert refused(Driver(), key=key).code == "MESSAGE_FORMAT_ERROR"
