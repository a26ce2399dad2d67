"""An application that is behind: reading pauses, or the oldest messages go, and it is told."""

from __future__ import annotations

import pytest

from core.client_kit import Driver
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client import receiving


def pushes(d: Driver, first: int, last: int) -> None:
    for n in range(first, last + 1):
        d.push(None, f"m{n}", msgId=n)


def paused(d: Driver) -> bool:
    return d.core.paused


def test_reading_stops_at_the_limit_and_goes_on_at_half_of_it() -> None:
    d = Driver(max_unhandled=4).login().forget()
    pushes(d, 1, 3)
    assert not d.of(act.PauseReading)
    pushes(d, 4, 4)
    assert [a.transport for a in d.of(act.PauseReading)] == [1]
    assert [e.unhandled for e in d.of(ev.ReadingPaused)] == [4]
    assert "Nothing more is read" in d.core.explain()
    d.handle(1)
    assert paused(d)
    d.handle(2)
    assert not paused(d)
    assert len(d.of(act.ResumeReading)) == len(d.of(ev.ReadingResumed)) == 1


def test_a_spell_of_being_behind_is_told_once_however_often_answers_are_awaited() -> None:
    d = Driver(max_unhandled=4).login()
    pushes(d, 1, 4)
    for n in range(2):
        d.answer(d.send(f"an answer {n}"))
        assert paused(d)
        d.handle(n + 1)
    assert len(d.of(act.PauseReading)) == 3
    assert len(d.of(ev.ReadingPaused)) == len(d.of(ev.ReadingResumed)) == 1


def test_nobody_is_judged_while_nothing_is_read_and_heartbeats_go_on() -> None:
    d = Driver(max_unhandled=1, heartbeat={"interval": 10, "timeout": 2, "max_missed": 1})
    d.login()
    d.pass_time(11)  # a probe is out already
    d.push(None, "one")
    d.do(inp.PartialChanged(transport=1, partial=True))
    assert paused(d)
    d.forget()
    d.pass_time(120)
    assert d.status == "AUTHENTICATED"
    assert d.probes() == 12
    d.handle(1)
    assert not paused(d)
    d.pass_time(13)
    assert d.status != "AUTHENTICATED"


def test_the_rest_of_a_message_is_awaited_again_once_it_can_be_read() -> None:
    d = Driver(max_unhandled=1, timeouts={"partial": 5}).login()
    d.do(inp.PartialChanged(transport=1, partial=True))
    d.push(None, "one")
    d.do(inp.PartialChanged(transport=1, partial=True))
    d.pass_time(20)
    assert d.status == "AUTHENTICATED"
    d.handle(1)
    d.pass_time(4.9)
    assert d.status == "AUTHENTICATED"
    d.pass_time(0.2)
    assert d.status != "AUTHENTICATED"


def test_the_socket_is_read_while_an_answer_is_awaited() -> None:
    d = Driver(max_unhandled=2).login()
    pushes(d, 1, 2)
    assert paused(d)
    ref = d.send("from inside a callback")
    assert not paused(d)
    pushes(d, 3, 5)
    assert not paused(d)
    d.answer(ref)
    assert d.accepted() == [ref]
    assert paused(d)


def test_the_socket_is_read_for_the_end_of_a_link() -> None:
    d = Driver(max_unhandled=1).login().push(None, "one")
    assert paused(d)
    d.forget().disconnect()
    assert not paused(d)
    order = [type(a) for a in d.actions if not isinstance(a, act.Notify)]
    assert order == [act.ResumeReading, act.SendClose]


def test_a_new_link_is_read_although_the_application_is_behind_until_the_log_in() -> None:
    d = Driver(max_unhandled=1).login().push(None, "one").lose()
    assert not paused(d)
    assert not d.of(act.ResumeReading)  # there is nothing left to read from
    d.link()
    assert not paused(d)
    d.login()
    assert paused(d)


def test_with_drop_oldest_the_oldest_that_nobody_has_begun_with_goes_and_is_told() -> None:
    d = Driver(max_unhandled=2, when_full="drop_oldest").login_ours()
    d.push(1, "a").push(2, "b")
    d.do(inp.MessageTaken(delivery=1))
    d.push(3, "c")
    (dropped,) = d.of(ev.MessageDropped)
    assert (dropped.delivery, dropped.seq, dropped.msg_id, dropped.from_user) == (2, 2, 2, 2)
    assert not d.of(act.PauseReading)
    d.handle(2)  # too late, and no error
    d.handle(1).handle(3)
    assert d.said("CHAT_ACK_REQUEST")[-1] == {"seq": 3}


def test_what_every_handler_has_begun_with_is_never_dropped() -> None:
    d = Driver(max_unhandled=1, when_full="drop_oldest").login().push(None, "a")
    d.do(inp.MessageTaken(delivery=1))
    d.push(None, "b", msgId=7)
    assert [e.delivery for e in d.of(ev.MessageDropped)] == [2]


def test_even_blocking_has_a_hard_limit_while_answers_are_awaited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receiving, "HARD_LIMIT", 3)  # so ten times max_unhandled is more
    d = Driver(max_unhandled=2).login()
    d.send("never answered")
    pushes(d, 1, 20)
    assert not d.of(ev.MessageDropped)
    pushes(d, 21, 22)
    assert [e.delivery for e in d.of(ev.MessageDropped)] == [1, 2]
    assert d.core.receiving.inbox.waiting == 20


def test_one_burst_into_a_small_bound_drops_nothing() -> None:
    d = Driver(max_unhandled=1).login()
    d.send("never answered")
    pushes(d, 1, 500)
    assert not d.of(ev.MessageDropped)


def test_memory_is_bounded_behind_a_message_that_is_never_handled() -> None:
    d = Driver(max_unhandled=5, when_full="drop_oldest").login()
    d.push(None, "the first", msgId=10_000)
    d.do(inp.MessageTaken(delivery=1))
    pushes(d, 1, 500)
    assert len(d.core.receiving.inbox.unhandled) == 5


def test_a_hole_is_repaired_before_reading_stops() -> None:
    d = Driver(max_unhandled=1).login_ours().push(1, "a")
    assert paused(d)
    d.push(5, "what was read already")  # a hole: SYNC_REQUEST goes out, and is read for
    assert not paused(d)
    assert d.said("SYNC_REQUEST")
    d.frame("SYNC_RESPONSE", status="recovered", oldest=1)
    assert paused(d)


def test_the_end_of_a_spell_is_told_also_when_the_link_has_ended_meanwhile() -> None:
    d = Driver(max_unhandled=2).login()
    pushes(d, 1, 2)
    d.disconnect().handle(1).handle(2)
    assert len(d.of(ev.ReadingResumed)) == 1


def test_what_a_probe_takes_while_nothing_is_read_is_no_round_trip() -> None:
    d = Driver(max_unhandled=1, heartbeat={"interval": 10}).login()
    d.pass_time(10)
    d.push(None, "one")
    d.pass_time(3)
    d.handle(1)
    d.frame("HEARTBEAT_RESPONSE")
    assert [event.rtt for event in d.of(ev.HeartbeatReceived)] == [None]
