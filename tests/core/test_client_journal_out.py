"""The outbox with a journal: sent when it is on disk, told when it is on disk, and what the next
process finds."""

from __future__ import annotations

import copy
import pickle
from typing import get_args

import pytest

from core.client_kit import WALL, Driver
from core.outbox_kit import Process
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.journal import End, Identity, JournalState, OutgoingGone, OutgoingRecord
from im_proto.errors import LocalProtocolError
from im_proto.machines import DELIVERY

WALL_MS = int(WALL * 1000)


def kinds(d: Driver) -> list[str]:
    """What the application heard of its messages, in order."""
    about = (ev.MessageQueued, ev.MessageHandedOver, ev.MessageAccepted, ev.MessageFailed)
    return [f"{type(e).__name__[7:]} {e.ref}" for e in d.events() if isinstance(e, about)]


def test_without_a_journal_nothing_is_ever_written_and_nothing_waits() -> None:
    d = Driver().login_ours()
    first = d.send("a")
    d.answer(first).answer(d.send("b"), 403)
    assert not d.of(act.WriteJournal)
    assert kinds(d) == [
        "Queued 1",
        "HandedOver 1",
        "Accepted 1",
        "Queued 2",
        "HandedOver 2",
        "Failed 2",
    ]


# ---------------------------------------------------------------- first on disk, then away


def test_sent_while_logged_in_it_goes_when_its_record_is_on_disk_one_write() -> None:
    d = Process(slow=True).login_ours()
    d.write().write().forget()
    ref = d.send("a", session_id=7, priority="high")
    (record,) = d.changes()
    assert record == OutgoingRecord(
        ref=ref,
        msg_id=WALL_MS * 1000,
        to_user=2,
        content="a",
        message_type="text",
        session_id=7,
        priority="high",
        handed_at=WALL_MS,
    )
    assert not d.chats()
    assert kinds(d) == []
    d.write()
    assert d.chats() == ["a"]
    assert kinds(d) == ["Queued 1", "HandedOver 1"]
    assert d.asked is None


def test_queued_offline_it_is_marked_in_its_turn_before_it_goes() -> None:
    d = Process(slow=True)
    refs = [d.send(c) for c in "ab"]
    assert d.record_or_none(refs[0]) is None
    d.write()
    d.write()
    assert kinds(d) == ["Queued 1", "Queued 2"]
    assert [r.handed_at for r in d.disk.outgoing.values()] == [None, None]
    d.login_ours()
    assert [(c.ref, c.handed_at) for c in d.changes() if isinstance(c, OutgoingRecord)] == [
        (1, WALL_MS),
        (2, WALL_MS),
    ]
    assert not d.chats()
    d.write()
    d.write()
    assert d.chats() == ["a", "b"]


def test_what_is_sent_during_a_write_is_in_the_next_one_and_only_in_that() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    d.send("a")
    for n in range(5):
        d.send(f"b{n}", to=3)
    assert len(d.changes()) == 1
    d.write()
    assert len(d.changes()) == 5
    assert d.chats() == ["a"]
    d.write()
    assert d.chats() == ["a", *(f"b{n}" for n in range(5))]


def test_nobody_overtakes_another_of_the_same_conversation_that_waits_for_the_disk() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    first, _, _ = d.send("a"), d.send("b"), d.send("other", to=3)
    d.write().write()
    d.answer(first, 40900)  # it has to be written again; the others don't
    d.lose().forget().login_ours()
    assert d.chats() == ["other"]
    d.write()
    assert d.chats() == ["other", "a", "b"]


def test_what_the_disk_knows_of_goes_again_without_a_write() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    d.send("a")
    d.write()
    d.lose().forget().login_ours()
    assert d.chats() == ["a"]
    assert not d.changes()


def test_the_window_counts_what_waits_for_the_disk() -> None:
    d = Process(slow=True, in_flight=2).login_ours()
    d.write().write()
    refs = [d.send(str(n), to=2 + n) for n in range(5)]
    d.write().write()
    assert d.chats() == ["0", "1"]
    d.answer(refs[0])
    assert d.chats() == ["0", "1"]
    d.write().write()
    assert d.chats() == ["0", "1", "2"]


def test_at_a_plain_server_one_that_waits_for_the_disk_takes_its_recipients_place() -> None:
    d = Process(slow=True).login()
    d.write().write()
    first, _ = d.send("a"), d.send("b")
    d.write().write().write()
    assert d.chats() == ["a"]
    d.answer(first).write().write()
    assert d.chats() == ["a", "b"]


def test_a_link_that_is_lost_while_it_waits_leaves_it_unsent_and_in_its_place() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    d.send("a")
    d.send("b")
    d.lose()
    d.write().write()
    assert kinds(d) == ["Queued 1", "Queued 2"]
    d.login_ours()
    d.write().write()
    assert d.chats() == ["a", "b"]
    assert [event.sends for event in d.of(ev.MessageHandedOver)] == [1, 1]


def test_a_transport_that_takes_no_more_gets_nothing_when_the_disk_has_it() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    d.send("a")
    d.do(inp.WriteBlocked(transport=d.transport))
    d.write()
    assert not d.chats()
    d.do(inp.WriteReady(transport=d.transport))
    assert d.chats() == ["a"]


def test_an_answer_to_a_write_that_is_none_lets_nothing_go() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    d.send("a")
    assert d.asked is not None
    d.do(inp.JournalWritten(request=d.asked.request - 1))
    d.do(inp.JournalWritten(request=d.asked.request + 1))
    assert not d.chats()


def test_a_message_that_is_numbered_anew_is_on_disk_under_its_new_id_before_it_goes() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    ref = d.send("a")
    d.write()
    old = d._ids[ref]
    d.answer(ref, 40900)
    assert d.chats() == ["a"]
    (record,) = d.changes()
    assert isinstance(record, OutgoingRecord)
    assert record.renumbered and record.msg_id > old
    d.write()
    assert d.chats() == ["a", "a"]
    assert d._ids[ref] == record.msg_id
    again = d.crash().login_ours()
    assert again.asked_for() == [[record.msg_id]]
    again.told_status((record.msg_id, "never")).write()
    again.answer(ref, 40900)
    again.write().write()
    assert again.failed() == {ref: "MESSAGE_SEND_FAILED"}


# ---------------------------------------------------------------- ends


def test_a_failure_is_told_when_it_is_on_disk_an_acceptance_at_once() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    good, bad = d.send("a"), d.send("b")
    d.write().write().answer(good)
    assert d.accepted() == [good]
    d.answer(bad, 403)
    assert not d.failed()
    d.write()
    d.write()
    assert d.failed() == {bad: "MESSAGE_SEND_FAILED"}
    d.write()
    assert d.disk.outgoing == {}
    assert OutgoingGone(ref=good) in [c for w in d.writes for c in w]


def test_a_failure_that_may_not_have_been_told_is_told_by_the_next_process() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    ref = d.send("a", session_id=4)
    d.write().write().answer(ref, 403, message="not you")
    assert d.asked is not None
    d.disk.apply(d.asked.changes)  # and there the process ends
    again = d.crash(slow=False)
    assert [record.ref for record in again.core.restored()] == [ref]
    again.connect()
    (failed,) = again.of(ev.MessageFailed)
    assert (failed.ref, failed.to_user, failed.content) == (ref, 2, "a")
    assert (failed.error.code, failed.error.server_code) == ("MESSAGE_SEND_FAILED", 403)
    assert failed.error.server_text == "not you"
    assert again.core.restored() == []
    assert again.disk.outgoing == {}
    assert not again.crash().connect().of(ev.MessageFailed)


def test_withdrawn_before_it_was_on_disk_it_never_gets_there() -> None:
    d = Process(slow=True)
    d.connect()
    d.write()
    first, second = d.send("a"), d.send("b")
    d.do(inp.Cancel(ref=first))
    d.do(inp.Cancel(ref=second))
    assert not d.failed()
    d.write().write()
    assert d.failed() == {first: "MESSAGE_CANCELLED", second: "MESSAGE_CANCELLED"}
    d.write()
    assert d.disk.outgoing == {}
    assert kinds(d) == ["Failed 1", "Failed 2"]


def test_withdrawn_while_its_turn_is_being_written_it_does_not_go() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    ref = d.send("a")
    d.do(inp.Cancel(ref=ref))
    after = d.send("b")
    d.write().write()
    assert d.chats() == ["b"]
    assert d.failed() == {ref: "MESSAGE_CANCELLED"}
    d.answer(after)
    assert d.core.sending.outbox._conversations == {}


# ---------------------------------------------------------------- the next process


def test_what_has_no_end_comes_back_in_order_under_the_same_ids() -> None:
    d = Process()
    refs = [d.send(c, to=2 + n % 2, priority="low") for n, c in enumerate("abcd")]
    ids = {record.ref: record.msg_id for record in d.disk.outgoing.values()}
    again = d.crash()
    assert [r.ref for r in again.core.restored()] == refs
    again.login_ours()
    assert again.asked_for() == []  # it was certainly never sent
    assert sorted(again.chats()) == ["a", "b", "c", "d"]
    assert again.chats().index("a") < again.chats().index("c")
    assert again.chats().index("b") < again.chats().index("d")
    assert again._ids == ids
    assert not again.of(ev.MessageQueued)


def test_a_restored_message_is_as_it_was() -> None:
    d = Process()
    d.send(" a ", to="bravo", message_type="image", session_id=9, priority="high", key="k")
    before = d.record(1)
    again = d.crash()
    assert again.core.restored() == [before]
    again.login_ours()
    (sent,) = again.said("CHAT_SEND_TO_ONE_REQUEST")
    assert sent == {
        "msgId": before.msg_id,
        "toUser": "bravo",
        "content": " a ",
        "messageType": "image",
        "sessionId": 9,
    }


def test_the_device_and_its_ids_go_on_whatever_the_clock_says() -> None:
    d = Process().login_ours()
    d.answer(d.send())
    assert d.disk.outgoing == {}
    highest = d._ids[1]
    assert d.disk.identity == Identity(device_id=d.core.device_id, highest_msg_id=highest)
    again = d.crash(after=-86_400)
    assert again.core.device_id == d.core.device_id
    again.login_ours()
    again.send()
    assert again._ids[2] == highest + 1


def test_the_highest_id_is_written_when_the_record_that_held_it_goes_and_not_otherwise() -> None:
    d = Process()
    refs = [d.send(str(n)) for n in range(50)]
    d.login_ours()
    for ref in refs:
        d.answer(ref)
    identities = [c for w in d.writes for c in w if isinstance(c, Identity)]
    assert [i.highest_msg_id for i in identities] == [0, d._ids[refs[-1]]]


def test_an_id_of_a_message_without_an_end_is_not_drawn_again() -> None:
    d = Process()
    d.send()
    d.send()
    ids = [r.msg_id for r in d.disk.outgoing.values()]
    again = d.crash(after=-100)
    again.login_ours()
    again.send()
    assert again._ids[3] == ids[-1] + 1


def test_refs_rise_where_there_is_a_journal() -> None:
    d = Process()
    d.send()
    again = d.crash()
    for ref in (1, 0):
        with pytest.raises(LocalProtocolError, match="refs rise"):
            again.do(inp.Send(ref=ref, to_user=2, content="x"))
    again.do(inp.Send(ref=5, to_user=2, content="x"))
    with pytest.raises(LocalProtocolError, match="refs rise"):
        again.do(inp.Send(ref=4, to_user=2, content="x"))


def test_refs_go_on_behind_those_that_the_application_was_shown() -> None:
    d = Process(keys_kept=10.0).login_ours()
    d.answer(d.send("a", key="k"))
    again = d.crash(after=60)
    assert again.core.restored() == []
    again.do(inp.Send(ref=1, to_user=2, content="b"))
    again.login_ours()
    assert again.chats() == ["b"]
    assert [record.content for record in again.disk.outgoing.values()] == ["b"]


def test_another_device_id_leaves_in_doubt_what_the_old_one_may_have_sent() -> None:
    d = Process(device_id="phone", in_flight=1).login_ours()
    sent, unsent = d.send("a"), d.send("b")
    again = d.crash(device_id="tablet").login_ours()
    assert again.failed() == {sent: "IN_DOUBT"}
    assert again.chats() == ["b"]
    assert again.asked_for() == []
    assert again.disk.identity is not None
    assert again.disk.identity.device_id == "tablet"
    assert unsent in again.core.sending.outbox


def test_the_ends_of_the_machine_are_those_of_the_journal() -> None:
    assert set(get_args(End)) == DELIVERY.final


def test_a_core_with_a_journal_can_be_copied_and_pickled_midway() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    d.send("a", key="k", ttl=5.0)
    d.send("b", to=3)
    copies = [copy.deepcopy(d.core), pickle.loads(pickle.dumps(d.core))]
    assert d.asked is not None
    written = inp.JournalWritten(request=d.asked.request)
    wanted = d.core.step(written, d.now)
    assert [core.step(written, d.now) for core in copies] == [wanted, wanted]


# ---------------------------------------------------------------- a journal that fails


def test_what_the_journal_can_not_take_is_refused_and_leaves_nothing_behind() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    first, second = d.send("a", key="k"), d.send("b")
    d.fail()
    assert d.failed() == {first: "JOURNAL_FAILED"}
    assert d.errors() == ["JOURNAL_FAILED"]
    assert "disk full" in d.of(ev.MessageFailed)[0].error.text
    assert d.core.ref_of_key("k") is None
    assert d.of(ev.MessageFailed)[0].error is not d.of(ev.ErrorOccurred)[0].error
    d.pass_time(1)
    d.write()
    assert d.chats() == ["b"]
    assert list(d.disk.outgoing) == [second]
    assert kinds(d) == ["Failed 1", "Queued 2", "HandedOver 2"]


def test_a_message_that_was_refused_is_not_brought_back_by_what_was_noted_of_it_later() -> None:
    d = Process(slow=True)
    d.connect()
    d.write()
    ref = d.send("a")  # being written without a mark
    d.login_ours()  # and the mark waits for the next write
    d.fail()
    assert d.failed() == {ref: "JOURNAL_FAILED"}
    d.pass_time(1)
    d.write()
    d.write()
    assert d.disk.outgoing == {}
    assert d.chats() == []


def test_marks_and_ends_are_written_again_until_they_are_on_disk() -> None:
    d = Process(slow=True)
    d.connect()
    d.write()
    first, second = d.send("a"), d.send("b", to=3)
    d.write().write().login_ours()
    d.fail()
    assert not d.failed()
    assert not d.chats()
    d.pass_time(1).fail()
    d.pass_time(1)
    d.write().write()
    assert d.chats() == ["a", "b"]
    d.answer(first, 403).fail()
    assert not d.failed()
    d.answer(second).pass_time(1)
    d.write().write()
    assert d.failed() == {first: "MESSAGE_SEND_FAILED"}
    assert d.disk.outgoing == {}


def test_what_ended_before_it_was_on_disk_is_told_also_when_the_journal_fails() -> None:
    d = Process(slow=True)
    d.connect()
    d.write()
    plain, keyed = d.send("a"), d.send("b", key="k")
    d.do(inp.Cancel(ref=plain))
    d.do(inp.Cancel(ref=keyed))
    while d.asked is not None:
        d.fail()
        assert not any(code == "MESSAGE_CANCELLED" for code in d.failed().values())
        d.slow = False
        d.pass_time(1)
        d.slow = True
    assert d.failed() == {plain: "MESSAGE_CANCELLED", keyed: "MESSAGE_CANCELLED"}
    assert list(d.disk.outgoing) == [keyed]
    assert d.record(keyed).end == "cancelled"


def test_a_send_and_its_end_in_one_write_that_fails() -> None:
    d = Process(slow=True)
    d.connect()
    keyed, plain = d.send("a", key="k"), d.send("b")
    d.do(inp.Cancel(ref=keyed))
    d.do(inp.Cancel(ref=plain))
    d.write()
    assert len(d.changes()) == 4
    d.fail()
    assert not d.failed()
    d.pass_time(1)
    assert len(d.changes()) == 2
    d.write()
    assert d.failed() == {keyed: "MESSAGE_CANCELLED", plain: "MESSAGE_CANCELLED"}
    d.write()
    assert [record.end for record in d.disk.outgoing.values()] == ["cancelled"]


def test_a_disk_that_stays_full_costs_no_more_and_more_memory() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    for _ in range(20):
        for _ in range(5):
            d.send()
        if d.asked is not None:
            d.fail()
        d.pass_time(1)
    assert len(d.core.journaling._pending) <= 10
    assert not any(isinstance(c, OutgoingGone) for c in d.core.journaling._pending + d.changes())
    assert len(d.core.sending.outbox) <= 10


# ---------------------------------------------------------------- explain


def test_explain_says_that_it_waits_for_the_journal_and_why() -> None:
    d = Process(slow=True).login_ours()
    d.write().write()
    ref = d.send("a")
    assert "waits, for the journal." in d.core.explain(ref=ref)
    d.write()
    d.lose()
    queued = d.send("b")
    d.write()
    d.login_ours()
    d.fail()
    assert "for the journal, which can't be written and is tried again in 1.0 s" in d.core.explain(
        ref=queued
    )
    assert "Waiting for:" in d.core.explain()


def test_explain_of_a_restored_message_says_so() -> None:
    d = Process().login_ours()
    ref = d.send("a")
    behind = d.send("b")
    again = d.crash()
    text = again.core.explain(ref=ref)
    assert "to be sent again: an earlier process may have sent it" in text
    again.login_ours()
    assert "for the server to say what became of it" in again.core.explain(ref=ref)
    assert "for the server to say what became of it" in again.core.explain(ref=behind)
    new = again.send("c")
    assert "for the server to say what became of others" in again.core.explain(ref=new)


def test_an_empty_journal_is_a_new_installation_and_is_named_at_once() -> None:
    d = Process(JournalState())
    d.connect()
    assert d.writes == [(Identity(device_id=d.core.device_id, highest_msg_id=0),)]
    again = d.crash()
    again.connect()
    assert again.writes == []
