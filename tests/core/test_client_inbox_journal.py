"""The inbox with a journal: shown when that is on disk, acknowledged when it was handled on disk,
and the next process goes on from there."""

from __future__ import annotations

import copy
import pickle

import pytest

from core.client_kit import Driver
from core.inbox_kit import Journalled, acks, resume
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.incoming import digest_of, pair_known
from im_proto.client.journal import Cursor, Handled, JournalState, Offered, PairKnown
from im_proto.client.receiving import ACK_PACE


def test_without_a_journal_nothing_is_ever_written() -> None:
    d = Driver().login_ours().push(1).push(2).push(3).handle(2, 1, 3)
    d.lose().login_ours(resume="reset", epoch="e2", oldest=1)
    assert not d.of(act.WriteJournal)
    assert acks(d) == [3]


# ---------------------------------------------------------------- shown when it is on disk


def test_a_message_is_shown_only_when_it_is_on_disk_that_it_may_have_been_seen() -> None:
    d = Journalled(slow=True).login_ours()
    d.settle().push(1, "a")
    assert d.received() == []
    assert d.asked is not None
    assert d.asked.changes == (Offered(seq=1),)
    d.write()
    assert d.received() == ["a"]


def test_what_one_text_brings_is_one_write_and_what_comes_meanwhile_the_next() -> None:
    d = Journalled(slow=True).login_ours()
    d.settle()
    push = '{"type":"CHAT_REDIRECT_TO_USER_REQUEST","message":{"content":"%d","seq":%d}}'
    d.text("[" + ",".join(push % (n, n) for n in (1, 2, 3)) + "]")
    assert d.asked is not None
    assert d.asked.changes == (Offered(seq=3),)
    d.push(4, "4").push(5, "5")
    d.write()
    assert d.received() == ["1", "2", "3"]
    d.write()
    assert d.received() == ["1", "2", "3", "4", "5"]
    assert d.noted(Offered)[-1] == Offered(seq=5)


def test_what_came_behind_a_message_is_shown_behind_it() -> None:
    d = Journalled(slow=True).login_ours()
    d.settle().push(1, "a")
    d.frame("RECEIPT_PUSH", msgIds=[7], user=2, status="read", seq=2)
    d.frame("NEW", seq=3)
    d.push(4, "mine", fromUser=1, toUser=2, deviceId="tablet")
    d.push(None, "unnumbered", msgId=50)
    assert not d.of(ev.ReceiptReceived)
    assert not d.of(ev.UnknownMessage)
    d.settle()
    kinds = [type(event) for event in d.events()]
    order = [ev.MessageReceived, ev.ReceiptReceived, ev.UnknownMessage, ev.OwnMessage]
    assert [kind for kind in kinds if kind in order] == [*order, ev.MessageReceived]


def test_what_waits_for_the_journal_is_shown_also_when_the_link_is_gone() -> None:
    d = Journalled(slow=True).login_ours().push(1, "a").lose()
    d.settle()
    assert d.received() == ["a"]


def test_messages_of_a_plain_server_wait_for_nothing() -> None:
    d = Journalled(slow=True).login()
    d.settle().push(None, "a", msgId=5)
    assert d.received() == ["a"]
    assert d.asked is None
    d.handle(1).write()
    assert d.noted(PairKnown) == [PairKnown(from_user=2, msg_id=5, digest=digest_of("a"))]
    again = d.crash().login().push(None, "a", msgId=5).push(None, "b", msgId=5)
    assert again.received() == ["b"]


def test_a_journal_that_fails_shows_nothing_and_acknowledges_nothing_until_it_is_written() -> None:
    d = Journalled(slow=True).login_ours()
    d.settle().push(1, "a").fail()
    assert d.received() == []
    assert d.errors() == ["JOURNAL_FAILED"]
    d.push(2, "b").pass_time(0.9)
    assert d.asked is None
    d.pass_time(0.2).settle()
    assert d.received() == ["a", "b"]
    d.handle(1, 2).fail()
    d.pass_time(0.5)
    assert acks(d) == []
    d.pass_time(0.6).settle()
    assert acks(d) == [2]
    assert d.disk.cursor == Cursor(epoch="e1", seq=2, from_user=2, msg_id=2)


def test_reading_stops_also_for_what_waits_for_the_journal() -> None:
    d = Journalled(slow=True, max_unhandled=2).login_ours().push(1).push(2)
    assert d.core.paused
    d.settle()
    assert d.core.paused
    d.handle(1)
    assert not d.core.paused


def test_what_is_dropped_before_it_was_shown_is_never_shown() -> None:
    d = Journalled(slow=True, max_unhandled=1, when_full="drop_oldest").login_ours()
    d.push(1, "a").push(2, "b")
    assert [event.delivery for event in d.of(ev.MessageDropped)] == [1]
    d.settle()
    assert d.received() == ["b"]


def test_nor_behind_one_that_is_being_handled() -> None:
    d = Journalled(slow=True, max_unhandled=1, when_full="drop_oldest").login_ours().push(1, "a")
    d.settle()
    d.do(inp.MessageTaken(delivery=1))
    d.push(2, "b").settle()
    assert [event.delivery for event in d.of(ev.MessageDropped)] == [2]
    assert d.received() == ["a"]


def test_what_was_not_shown_yet_can_not_be_handled() -> None:
    d = Journalled(slow=True).login_ours().push(1, "a")
    d.handle(1)
    d.do(inp.MessageHandled(delivery=1, ok=False))
    d.do(inp.MessageTaken(delivery=1))
    d.settle()
    assert d.shown() == [(1, False)]
    assert acks(d) == []


# ---------------------------------------------------------------- acknowledged when it is on disk


def test_nothing_is_acknowledged_that_is_not_on_disk() -> None:
    d = Journalled(slow=True).login_ours().push(1).push(2)
    d.settle().handle(1, 2)
    d.pass_time(5)
    assert acks(d) == []
    d.write()  # of the first
    assert acks(d) == [] or acks(d) == [1]
    d.write().pass_time(ACK_PACE)
    assert acks(d)[-1] == 2
    assert d.disk.cursor == Cursor(epoch="e1", seq=2, from_user=2, msg_id=2)


def test_leaving_acknowledges_no_more_than_is_on_disk() -> None:
    d = Journalled(slow=True).login_ours().push(1).push(2).push(3)
    d.settle().handle(1).write()
    d.handle(2).disconnect()
    assert acks(d) == [1]


def test_a_log_in_resumes_behind_what_is_on_disk() -> None:
    d = Journalled(slow=True).login_ours().push(1).push(2)
    d.settle().handle(1).write()
    d.handle(2).lose().link()
    assert resume(d) == {"epoch": "e1", "seq": 1, "fromUser": 2, "msgId": 1}
    d.login_ours(resume="recovered", seq=1).push(2)
    assert len(d.received()) == 2
    d.write()
    assert acks(d)[-1] == 2


def test_out_of_order_it_is_noted_one_by_one_and_the_cursor_is_the_contiguous_one() -> None:
    d = Journalled().login_ours().push(1).push(2).push(3).push(4)
    d.handle(3).handle(2)
    assert d.disk.handled == {2, 3}
    assert d.disk.cursor == Cursor(epoch="e1", seq=0)
    assert acks(d) == []
    d.handle(1)
    assert d.disk.cursor == Cursor(epoch="e1", seq=3, from_user=2, msg_id=3)
    assert d.disk.handled == set()
    d.pass_time(1)
    assert acks(d) == [3]


# ---------------------------------------------------------------- the next process


def test_the_next_process_goes_on_behind_the_cursor() -> None:
    d = Journalled().login_ours().push(1).push(2).handle(1).crash().link()
    assert resume(d) == {"epoch": "e1", "seq": 1, "fromUser": 2, "msgId": 1}
    d.login_ours(resume="recovered", seq=1).push(2).push(3)
    assert d.shown() == [(2, True), (3, False)]
    assert d.of(ev.MessageReceived)[0].attempt == 1
    assert not d.said("SYNC_REQUEST")
    d.handle(*(event.delivery for event in d.of(ev.MessageReceived)))
    assert acks(d.pass_time(ACK_PACE))[-1] == 3


def test_the_first_log_in_notes_where_it_began() -> None:
    d = Journalled().login_ours(seq=41).crash().link()
    assert resume(d) == {"epoch": "e1", "seq": 41}


def test_what_was_not_on_disk_is_not_flagged_as_it_was_never_shown() -> None:
    d = Journalled(slow=True).login_ours()
    d.settle().push(1)
    d = d.crash()
    d.login_ours(resume="recovered", seq=0).push(1)
    d.settle()
    assert d.shown() == [(1, False)]


def test_what_was_handled_out_of_order_is_not_offered_again() -> None:
    d = Journalled().login_ours().push(1).push(2).push(3).handle(2).crash()
    d.login_ours(resume="recovered", seq=0).push(1).push(2).push(3)
    assert d.shown() == [(1, True), (3, True)]
    first, third = d.of(ev.MessageReceived)
    d.handle(third.delivery)
    assert d.disk.handled == {2, 3}
    d.handle(first.delivery)
    assert acks(d)[-1] == 3
    assert d.disk.handled == set()


def test_what_the_application_has_written_itself_is_not_offered_again() -> None:
    d = Journalled().login_ours().push(1, "a").push(2, "b")
    (first, _) = d.of(ev.MessageReceived)
    known = pair_known(first)
    assert known is not None
    d.disk.apply([Handled(seq=1), known])  # with its own work, in one transaction
    d = d.crash().login_ours(resume="recovered", seq=0)
    d.push(1, "a").push(2, "b")
    assert d.received() == ["b"]
    assert d.disk.cursor == Cursor(epoch="e1", seq=1, from_user=2, msg_id=1)
    again = d.crash().login_ours(resume="reset", epoch="e2", oldest=1, seq=0)
    again.push(1, "a").push(2, "b")
    assert again.received() == ["b"]


def test_receipts_handled_behind_a_message_are_not_told_again() -> None:
    d = Journalled().login_ours().push(1)
    d.frame("RECEIPT_PUSH", msgIds=[7], user=2, status="read", seq=2)
    assert len(d.of(ev.ReceiptReceived)) == 1
    d = d.crash().login_ours(resume="recovered", seq=0).push(1)
    d.frame("RECEIPT_PUSH", msgIds=[7], user=2, status="read", seq=2)
    assert not d.of(ev.ReceiptReceived)


def test_a_copy_midway_goes_on_alone() -> None:
    d = Journalled(slow=True).login_ours().push(1, "a").push(2, "b")
    assert d.asked is not None
    for core in (copy.deepcopy(d.core), pickle.loads(pickle.dumps(d.core))):
        first = core.step(inp.JournalWritten(request=d.asked.request), d.now)
        more = [a for a in first if isinstance(a, act.WriteJournal)]
        rest = core.step(inp.JournalWritten(request=more[0].request), d.now)
        told = [a.event for a in first + rest if isinstance(a, act.Notify)]
        assert [e.content for e in told if isinstance(e, ev.MessageReceived)] == ["a", "b"]
    assert d.received() == []


def test_no_more_pairs_are_known_than_configured_the_newest() -> None:
    state = JournalState()
    state.apply(PairKnown(from_user=2, msg_id=n, digest=digest_of("x")) for n in (1, 2, 3))
    d = Journalled(state, known_pairs=2).login()
    for n in (3, 2, 1):
        d.push(None, "x", msgId=n)
    assert [event.msg_id for event in d.of(ev.MessageReceived)] == [1]
    none = Journalled(state, known_pairs=0).login().push(None, "x", msgId=3).handle(1)
    assert len(none.received()) == 1
    assert not none.noted(PairKnown)


# ---------------------------------------------------------------- resets


@pytest.mark.parametrize("epoch", ["e1", "e2"])
def test_a_reset_voids_what_the_journal_knows_of_numbers(epoch: str) -> None:
    d = Journalled().login_ours().push(1).push(2, msgId=72).push(3, msgId=73).handle(1, 3).lose()
    assert d.disk.handled == {3}
    d.login_ours(resume="reset", epoch=epoch, oldest=1, seq=0)
    assert d.disk.handled == set()
    assert d.disk.cursor == Cursor(epoch=epoch, seq=0)
    d = d.crash().login_ours(resume="recovered", epoch=epoch, seq=0)
    for seq in (1, 2, 3):
        d.push(seq, "another", msgId=80 + seq)
    assert d.received() == ["another"] * 3


def test_what_an_earlier_process_handled_is_no_number_of_the_next_mailbox() -> None:
    d = Journalled().login_ours().push(1).push(2).handle(2).crash()
    d.login_ours(resume="reset", epoch="e2", oldest=1, seq=0)
    d.push(1, "one", msgId=81).push(2, "two", msgId=82)
    assert d.received() == ["one", "two"]


def test_a_cursor_that_is_written_late_is_none_of_the_next_mailbox() -> None:
    d = Journalled(slow=True).login_ours().push(1)
    d.settle().handle(1).lose()
    d.login_ours(resume="reset", epoch="e2", oldest=1, seq=0).write().lose().link()
    assert resume(d) == {"epoch": "e2", "seq": 0}


def test_after_a_reset_what_was_handled_is_known_by_its_pair() -> None:
    d = Journalled().login_ours().push(1, "a", msgId=71).push(2, "b", msgId=72).handle(2).crash()
    d.login_ours(resume="reset", epoch="e2", oldest=1, seq=0)
    d.push(1, "a", msgId=71).push(2, "b", msgId=72).push(3, "c", msgId=73)
    assert d.received() == ["a", "c"]


def test_what_was_seen_and_not_handled_is_flagged_over_a_reset() -> None:
    d = Journalled().login_ours().push(1, "a").push(2, "b").handle(1).crash()
    d.login_ours(resume="reset", epoch="e2", oldest=2, seq=1)
    d.push(2, "b")
    assert d.shown() == [(2, True)]
    # a crash at once after the reset: what stands in the journal is enough
    late = d.crash().login_ours(resume="recovered", epoch="e2", seq=1).push(2, "b").push(3, "c")
    assert late.shown() == [(2, True), (3, False)]


def test_when_all_was_handled_a_reset_flags_nothing() -> None:
    d = Journalled().login_ours().push(1, "a").push(2, "b").handle(1, 2).crash()
    d.login_ours(resume="reset", epoch="e2", oldest=1, seq=0).push(1, "new", msgId=90)
    d = d.crash().login_ours(resume="recovered", epoch="e2", seq=0)
    d.push(1, "new", msgId=90).push(2, "newer", msgId=91)
    assert d.shown() == [(1, True), (2, False)]


def test_a_repeat_under_another_number_is_flagged_when_the_process_ends_meanwhile() -> None:
    d = Journalled().login_ours(seq=4).push(5, "a", msgId=71).lose()
    d.login_ours(resume="reset", epoch="e2", oldest=9, seq=8)
    d.push(9, "a", msgId=71)  # it is being handled, so it is not shown again
    assert d.received() == ["a"]
    d = d.crash().login_ours(resume="recovered", epoch="e2", seq=8).push(9, "a", msgId=71)
    assert d.shown() == [(9, True)]


def test_a_message_that_waits_for_the_journal_over_a_reset_is_shown_and_flagged_later() -> None:
    d = Journalled(slow=True).login_ours()
    d.settle().push(1).push(3)
    d.frame("SYNC_RESPONSE", status="reset", epoch="e2", oldest=1)
    assert d.received() == []
    d.settle()
    assert len(d.received()) == 1
    again = d.crash()
    again.login_ours(resume="recovered", epoch="e2", seq=0).push(1)
    again.write()
    assert again.shown() == [(1, True)]


def test_the_number_of_a_mailbox_that_is_no_more_is_not_told() -> None:
    """An application that writes down itself what it has handled would name another message."""
    d = Journalled(slow=True, handler_attempts=2).login_ours()
    d.settle().push(1, "shown").settle().push(2, "waits").lose()
    d.login_ours(resume="reset", epoch="e2", oldest=1, seq=0).settle()
    assert d.shown() == [(1, False), (None, False)]
    d.do(inp.MessageHandled(delivery=1, ok=False))
    assert d.shown()[-1] == (None, True)
    d.do(inp.MessageHandled(delivery=1, ok=False))
    assert [event.seq for event in d.of(ev.MessageUndeliverable)] == [None]


def test_a_pair_alone_keeps_a_message_from_being_shown_again() -> None:
    d = Journalled().login_ours().push(1, "a").push(2, "b")
    known = pair_known(d.of(ev.MessageReceived)[1])
    assert known is not None
    d.disk.apply([known])
    d = d.crash().login_ours(resume="recovered", seq=0).push(1, "a").push(2, "b").push(3, "c")
    assert d.received() == ["a", "c"]
    d.handle(*(event.delivery for event in d.of(ev.MessageReceived)))
    assert d.disk.cursor is not None
    assert d.disk.cursor.seq == 3


def test_without_writer_or_id_there_is_no_pair() -> None:
    d = Driver().login().push(None, "a").push(None, "b", msgId=5, fromUser=None)
    assert [pair_known(event) for event in d.of(ev.MessageReceived)] == [None, None]


def test_a_hole_that_is_given_up_moves_the_cursor_on_disk() -> None:
    d = Journalled().login_ours().push(1).handle(1).push(3)
    d.frame("SYNC_RESPONSE", status="recovered", oldest=1)
    d.push(3).login_ours(resume="recovered", seq=1).push(3, "three")
    assert d.of(ev.MessagesMayBeMissing) == [ev.MessagesMayBeMissing(oldest=3)]
    assert d.disk.cursor is not None
    assert d.disk.cursor.seq == 2


def test_explain_says_what_is_not_told_before_the_journal_has_it() -> None:
    d = Journalled(slow=True).login_ours()
    d.settle().push(1, "a")
    assert "It is not told of 1 events before the journal is written." in d.core.explain()
    d.settle()
    assert "not told" not in d.core.explain()


def test_a_full_disk_does_not_let_pairs_pile_up() -> None:
    d = Journalled(slow=True, known_pairs=5).login()
    d.settle()
    for n in range(1, 30):
        d.push(None, f"m{n}", msgId=n).handle(n)
        if d.asked is not None:
            d.fail()
        d.pass_time(1.0)
    d.fail()
    d.pass_time(1.0)
    assert d.asked is not None
    assert [c.msg_id for c in d.asked.changes if isinstance(c, PairKnown)] == [25, 26, 27, 28, 29]
