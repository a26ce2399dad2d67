"""What became of messages that may have arrived: asked for, or judged without an answer."""

from __future__ import annotations

import pytest

from core.client_kit import WALL
from core.outbox_kit import Process
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.timers import Timer

PLAIN_OURS = ["seq", "batch"]


def sent(*contents: str, **config: object) -> tuple[Process, list[int]]:
    """A process that has sent these over a link, heard no answer, and ended; the next one."""
    d = Process(**config).login_ours()  # type: ignore[arg-type]
    refs = [d.send(content) for content in contents]
    assert len(d.chats()) == len(contents)
    return d.crash(), refs


def ids(d: Process) -> list[int]:
    """The msgIds that are on disk, in order."""
    return [d.disk.outgoing[ref].msg_id for ref in sorted(d.disk.outgoing)]


def test_never_is_sent_again_and_found_is_accepted() -> None:
    d, refs = sent("a", "b", "c", "d")
    known = ids(d)
    d.login_ours()
    assert d.asked_for() == [known]
    assert d.chats() == []
    d.told_status(
        (known[0], "accepted"),
        (known[1], "never"),
        (known[2], "delivered"),
        (known[3], "read"),
        timestamp=77,
    )
    assert d.accepted() == [refs[0], refs[2], refs[3]]
    assert {event.timestamp for event in d.of(ev.MessageAccepted)} == {77}
    assert d.chats() == ["b"]
    assert d._ids[refs[1]] == known[1]
    d.answer(refs[1])
    assert d.disk.outgoing == {}


def test_nothing_of_a_conversation_goes_before_the_answer_and_others_do_not_wait() -> None:
    d, _ = sent("a")
    d.send("behind")
    d.send("other", to=3)
    d.login_ours()
    assert d.chats() == ["other"]
    new = d.send("new")
    assert d.chats() == ["other"]
    d.told_status((ids(d)[0], "never"))
    assert d.chats() == ["other", "a", "behind", "new"]
    assert new in d._ids


def test_what_was_forgotten_is_in_doubt_and_what_is_behind_it_goes() -> None:
    d, (ref,) = sent("a")
    d.send("behind")
    d.login_ours()
    d.told_status((ids(d)[0], "forgotten"))
    assert d.failed() == {ref: "IN_DOUBT"}
    assert d.chats() == ["behind"]


def test_what_the_answer_leaves_out_is_in_doubt_and_what_it_makes_up_is_nothing() -> None:
    d, (first, second) = sent("a", "b")
    known = ids(d)
    d.send("queued", to=3)
    d.login_ours()
    d.told_status((known[1], "accepted"), (known[1] + 10**6, "accepted"), (ids(d)[2], "read"))
    assert d.failed() == {first: "IN_DOUBT"}
    assert d.accepted() == [second]
    d.told_status((known[0], "accepted"))  # asked by nobody
    assert d.accepted() == [second]


def test_what_was_certainly_never_sent_is_not_asked_for() -> None:
    d = Process(in_flight=1).login_ours()
    d.send("a")
    d.send("b")
    again = d.crash().login_ours()
    assert again.asked_for() == [[ids(again)[0]]]


def test_at_most_a_thousand_are_asked_for_at_a_time() -> None:
    d = Process(in_flight=2500).login_ours(limits={"inFlight": 2500})
    refs = [d.send(str(n), to=2 + n % 2) for n in range(2100)]
    again = d.crash().login_ours()
    known = ids(again)
    for question in range(3):
        assert len(again.asked_for()) == question + 1
        assert again.chats() == []
        again.told_status(*((msg_id, "accepted") for msg_id in again.asked_for()[-1]))
    assert [msg_id for question in again.asked_for() for msg_id in question] == known
    assert [len(question) for question in again.asked_for()] == [1000, 1000, 100]
    assert again.accepted() == refs


def test_a_question_fits_into_the_servers_frames() -> None:
    d = Process(in_flight=200).login_ours(limits={"inFlight": 200})
    for n in range(150):
        d.send(str(n))
    again = d.crash().login_ours(limits={"frameBytes": 1024})
    while again.disk.outgoing:
        again.told_status(*((msg_id, "accepted") for msg_id in again.asked_for()[-1]))
    frames = [a.text for a in again.of(act.SendText) if "STATUS" in a.text]
    assert len(frames) == 5
    assert max(map(len, frames)) <= 1024


def test_a_link_that_is_lost_before_the_answer_asks_again() -> None:
    d, refs = sent("a")
    d.login_ours().lose().forget().login_ours()
    assert len(d.asked_for()) == 1
    assert d.chats() == []
    d.told_status((ids(d)[0], "never"))
    assert d.chats() == ["a"]
    d.answer(refs[0])
    assert d.accepted() == refs


def test_what_never_came_and_then_lost_its_link_is_sent_again_without_another_question() -> None:
    d, refs = sent("a")
    d.login_ours().told_status((ids(d)[0], "never"))
    d.lose().forget().login_ours()
    assert d.asked_for() == []
    assert d.chats() == ["a"]
    assert refs[0] in d._ids


def test_no_answer_probes_then_drops_the_link() -> None:
    quick = {"timeouts": {"ack": 10}, "heartbeat": {"interval": 1000, "timeout": 5}}
    d, _ = sent("a", **quick)
    d.login_ours()
    d.pass_time(9.9)
    assert d.probes() == 0
    d.pass_time(0.1)
    assert d.probes() == 1
    d.frame("HEARTBEAT_RESPONSE")
    d.pass_time(4.9)
    assert d.status == "AUTHENTICATED"
    d.pass_time(0.1)
    assert d.core.reconnect == "waiting"
    assert d.of(act.AbortTransport)
    assert d.chats() == []


def test_an_answer_after_the_probe_saves_the_link() -> None:
    quick = {"timeouts": {"ack": 10}, "heartbeat": {"interval": 1000, "timeout": 5}}
    d, refs = sent("a", **quick)
    d.login_ours().pass_time(12)
    d.told_status((ids(d)[0], "accepted"))
    d.pass_time(100)
    assert d.status == "AUTHENTICATED"
    assert d.accepted() == refs


def test_a_question_that_is_overdue_because_we_slept_is_not_judged_at_once() -> None:
    d, refs = sent("a", timeouts={"ack": 10}, heartbeat={"interval": 1000, "timeout": 5})
    d.login_ours().stall(60)
    assert d.status == "AUTHENTICATED"
    d.told_status((ids(d)[0], "accepted"))
    assert d.accepted() == refs


def test_nor_after_the_probe() -> None:
    d, _ = sent("a", timeouts={"ack": 10}, heartbeat={"interval": 1000, "timeout": 5})
    d.login_ours().pass_time(10)
    d.frame("HEARTBEAT_RESPONSE")
    d.stall(60)
    assert d.status == "AUTHENTICATED"


def test_a_question_ends_with_its_link_also_when_both_are_overdue() -> None:
    beat = {"interval": 5, "timeout": 5, "max_missed": 1}
    d, _ = sent("a", timeouts={"ack": 10}, heartbeat=beat, reconnect={"initial_delay": 30})
    d.login_ours().pass_time(10)
    assert d.core.reconnect == "waiting"
    assert d.core.timers.get(Timer.STATUS) is None


# ---------------------------------------------------------------- without a restart


def test_a_link_that_was_lost_just_now_is_no_reason_to_ask() -> None:
    d = Process().login_ours()
    d.send("a")
    d.lose().login_ours()
    assert d.asked_for() == []
    assert d.chats() == ["a", "a"]


@pytest.mark.parametrize("status", [True, False])
def test_what_the_server_may_have_forgotten_is_not_just_sent_again(status: bool) -> None:
    d = Process(heartbeat={"interval": 10_000}, timeouts={"ack": 10_000}).login_ours()
    ref = d.send("a")
    d.lose()
    d.now += 100.1
    d.forget()
    capabilities = [*PLAIN_OURS, "status"] if status else PLAIN_OURS
    d.login_ours(limits={"dedupeSeconds": 100}, capabilities=capabilities)
    assert d.chats() == []
    if status:
        assert d.asked_for() == [[d._ids[ref]]]
    else:
        assert d.failed() == {ref: "IN_DOUBT"}


def test_a_wall_clock_that_ran_on_makes_it_as_old() -> None:
    d = Process().login_ours()
    d.send("a")
    d.lose().forget()
    d.link()
    d.now += 1
    # the machine slept, and the monotonic clock did not see it
    d.do(inp.WallClock(wall=WALL + 10_000))
    d.login_ours(limits={"dedupeSeconds": 5000})
    assert len(d.asked_for()) == 1
    assert d.chats() == []


# ---------------------------------------------------------------- without `status`


def test_a_server_that_dedupes_and_can_not_be_asked_gets_it_again() -> None:
    d, refs = sent("a", "b")
    d.login_ours(capabilities=PLAIN_OURS, limits={"dedupeSeconds": 1000})
    assert d.asked_for() == []
    assert d.chats() == ["a", "b"]
    assert list(d._ids) == refs


def test_but_not_what_it_may_have_forgotten() -> None:
    d = Process().login_ours()
    ref = d.send("a")
    again = d.crash(after=2000)
    again.login_ours(capabilities=PLAIN_OURS, limits={"dedupeSeconds": 1000})
    assert again.failed() == {ref: "IN_DOUBT"}
    assert again.chats() == []


@pytest.mark.parametrize("again", [True, False])
def test_at_a_plain_server_the_configuration_decides(again: bool) -> None:
    d = Process(resend_when_unsure=again).login()
    ref = d.send("a")
    unsent = d.send("b")
    d = d.crash().login()  # type: ignore[assignment]
    if again:
        assert d.chats() == ["a"]
        d.answer(ref)
        assert d.chats() == ["a", "b"]
    else:
        assert d.failed() == {ref: "IN_DOUBT"}
        assert d.chats() == ["b"]
    assert unsent in d._ids


def test_tries_at_a_plain_server_are_counted_over_restarts() -> None:
    d = Process(max_sends=3)
    ref = d.send("a")
    for _ in range(3):
        d.login()
        assert d.chats() == ["a"]
        assert not d.failed()
        d = d.crash()
    assert d.disk.outgoing[ref].unsure_sends == 3
    d.login()
    assert d.failed() == {ref: "IN_DOUBT"}
    assert d.chats() == []


def test_status_is_not_asked_where_it_was_not_granted_or_the_device_is_not_known() -> None:
    d, _ = sent("a")
    d.login(capabilities=["status"])  # it does not say whose device this is
    assert d.asked_for() == []
    assert d.chats() == ["a"]
