"""A hostile server and the numbers of its mailbox: they jump, go back, end, or begin anew.

The order is the server's to break; the client never loses its place silently, never asks twice
without a delay, and never holds more than it may.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.client_kit import WALL
from im_proto.client import ClientCore
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.journal import JournalState
from im_proto.client.receiving import HARD_LIMIT
from security.hostile_kit import Victim, envelope, held, text_frame

MOST = 2**63 - 1


def received(v: Victim) -> list[str]:
    """What the application got."""
    return [event.content for event in v.of(ev.MessageReceived)]


def handle_all(v: Victim) -> None:
    """The application is done with all that it got."""
    for event in v.of(ev.MessageReceived):
        v.do(inp.MessageHandled(delivery=event.delivery))


@pytest.mark.parametrize("far", [3, 1000, MOST])
def test_a_number_that_jumps_is_asked_for_once_then_costs_the_link_then_is_told(far: int) -> None:
    v = Victim().login().push(1, "one")
    handle_all(v)
    v.forget()
    for _ in range(100):
        v.push(far, "far")
    assert v.said("SYNC_REQUEST") == [{"after": 1}]
    assert v.status == "AUTHENTICATED"
    v.say("SYNC_RESPONSE", status="recovered", oldest=1)
    v.push(far, "far")
    assert v.of(act.AbortTransport)
    assert "left out messages" in v.error.text
    v.login(resume="recovered", seq=1)
    v.forget().push(far, "far")
    assert [event.oldest for event in v.of(ev.MessagesMayBeMissing)] == [far]
    assert received(v) == ["far"]
    for seq in (1, 2, far):
        v.push(seq, "back")
    assert received(v) == ["far"]
    handle_all(v)
    v.pass_time(1.0)  # an acknowledgement may wait a little for the next
    assert v.said("CHAT_ACK_REQUEST")[-1] == {"seq": str(far) if far == MOST else far}
    assert v.status == "AUTHENTICATED"


def test_a_number_that_goes_back_is_a_repeat_however_often() -> None:
    v = Victim().login().push(1, "one").push(2, "two")
    v.forget()
    for _ in range(100):
        v.push(1, "another one").push(2, "another two")
    assert len(v.of(ev.DuplicateSuppressed)) == 200
    assert not received(v)
    assert v.engine.counters.duplicates_suppressed == 200


def test_who_always_leaves_a_hole_is_tried_again_with_growing_delays() -> None:
    v = Victim(reconnect={"initial_delay": 1.0, "max_delay": 30.0}).login()
    delays = []
    for number in range(12):
        v.forget()
        seq = 10 * (number + 1)
        while not v.of(ev.Reconnecting):
            v.push(seq, "x")
            v.say("SYNC_RESPONSE", status="recovered", oldest=1)
        delays.append(v.of(ev.Reconnecting)[0].delay)
        v.login(resume="recovered", seq=v.engine.core.receiving.inbox.received or 0)
        v.push(seq, "x")
    assert delays[:5] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert delays[-1] == 30.0


@pytest.mark.parametrize("resume", ["recovered", None])
def test_another_epoch_is_a_reset_whatever_the_server_calls_it(resume: str | None) -> None:
    v = Victim().login().push(1, "one")
    handle_all(v)
    v.do(inp.TransportLost(transport=v.transport))
    v.forget().login(epoch="e2", seq=41, resume=resume)
    assert [event.oldest for event in v.of(ev.MessagesMayBeMissing)] == [42]
    assert v.engine.counters.resumed == 0
    v.forget().push(42, "two")
    handle_all(v)
    assert v.said("CHAT_ACK_REQUEST") == [{"seq": 42}]


def test_the_epoch_can_not_change_on_a_link() -> None:
    v = Victim().login().push(1, "one")
    handle_all(v)
    v.forget().say("SYNC_RESPONSE", status="reset", oldest=5, epoch="e2")
    v.say("AUTH_RESPONSE", code=0, data={"epoch": "e3", "seq": 7})
    assert not v.of(ev.MessagesMayBeMissing)
    v.push(2, "two")
    assert received(v) == ["two"]


@pytest.mark.parametrize("oldest", [0, 1, 2**62, MOST])
def test_a_reset_to_anywhere_is_told_and_the_numbers_go_on_from_there(oldest: int) -> None:
    v = Victim().login().push(5, "far")
    v.forget().say("SYNC_RESPONSE", status="reset", oldest=oldest, epoch="e2")
    assert [event.oldest for event in v.of(ev.MessagesMayBeMissing)] == [oldest]
    v.push(max(oldest, 1), "first")
    assert received(v) == ["first"]
    handle_all(v)
    assert int(v.said("CHAT_ACK_REQUEST")[-1]["seq"]) == max(oldest, 1)


def test_a_hole_that_is_answered_with_a_reset_again_and_again_asks_no_more_than_it_is_told() -> (
    None
):
    v = Victim().login()
    v.forget()
    for number in range(100):
        v.push(2**40 + 10 * number, "x")
        v.say("SYNC_RESPONSE", status="reset", oldest=number + 2)
    assert len(v.said("SYNC_REQUEST")) == 100
    assert len(v.of(ev.MessagesMayBeMissing)) == 100
    assert v.status == "AUTHENTICATED"


@pytest.mark.parametrize("seq", [0, 5, MOST])
def test_where_a_mailbox_begins_is_the_servers_to_say(seq: int) -> None:
    v = Victim().login(seq=seq, oldest=MOST, resume="recovered")
    v.push(min(seq + 1, MOST), "x").push(1, "back")
    assert received(v) == (["x"] if seq < MOST else [])
    assert v.status == "AUTHENTICATED"


# ---------------------------------------------------------------- floods


def _receipts(first: int, count: int, ids: int = 1) -> bytes:
    batch = [
        json.loads(
            envelope("RECEIPT_PUSH", msgIds=[1] * ids, user=2, status="read", seq=first + number)
        )
        for number in range(count)
    ]
    return text_frame(json.dumps(batch))


def test_pushes_behind_a_message_that_is_not_handled_end_the_link_before_they_fill_memory() -> None:
    v = Victim().login().push(1, "the application is slow")
    (slow,) = v.of(ev.MessageReceived)
    v.do(inp.MessageTaken(delivery=slow.delivery))
    most = 2 * HARD_LIMIT
    told = 0
    for first in range(2, 2 * most, 500):
        v.forget().bytes(_receipts(first, 500))
        told += len(v.of(ev.ReceiptReceived))
        if v.status != "AUTHENTICATED":
            break
    assert told == most - 1
    assert v.of(act.AbortTransport)
    assert "more than it may" in v.error.text
    v.login(resume="recovered", seq=0).forget().bytes(_receipts(told + 2, 1))
    assert v.of(act.AbortTransport)  # nothing has changed, so this is no better …
    v.do(inp.MessageHandled(delivery=slow.delivery))
    v.login(resume="recovered", seq=0).forget().bytes(_receipts(told + 2, 1))
    assert v.of(ev.ReceiptReceived)  # … until the application goes on


def test_receipts_that_are_handled_as_they_come_leave_nothing() -> None:
    v = Victim().login()
    frames = [_receipts(1 + 20 * number, 20, ids=500) for number in range(40)]

    def flood() -> None:
        for data in frames:
            v.bytes(data)
            v.forget()

    flood_first, rest = frames[:5], frames[5:]
    frames = flood_first
    flood()
    frames = rest
    behind, _ = held(flood)
    assert behind < 150_000
    assert v.status == "AUTHENTICATED"


def _messages(first: int, count: int, **more: Any) -> bytes:
    batch = [
        json.loads(
            envelope(
                "CHAT_REDIRECT_TO_USER_REQUEST",
                content="x" * 100,
                fromUser=2,
                msgId=first + number,
                **({"seq": first + number} | more),
            )
        )
        for number in range(count)
    ]
    return text_frame(json.dumps(batch))


@pytest.mark.parametrize("numbered", [True, False])
def test_messages_that_nobody_handles_stop_the_reading_or_push_the_oldest_out(
    numbered: bool,
) -> None:
    more = {} if numbered else {"seq": None}
    v = Victim(max_unhandled=100).login()
    v.bytes(_messages(1, 500, **more))
    assert v.of(act.PauseReading)
    assert v.of(ev.ReadingPaused)
    v = Victim(max_unhandled=100, when_full="drop_oldest").login()
    for first in range(1, 5_000, 500):
        v.bytes(_messages(first, 500, **more))
    assert len(v.of(ev.MessageDropped)) == 4_900
    assert v.engine.core.receiving.inbox.waiting == 100
    assert not v.of(act.PauseReading)


def test_known_messages_are_a_bounded_number() -> None:
    v = Victim(known_pairs=50).login()
    for first in range(1, 2_001, 500):
        v.bytes(_messages(first, 500))
        handle_all(v)
        v.forget()
    assert len(v.engine.core.receiving.inbox._known) == 50
    assert v.engine.core.receiving.inbox.unhandled == {}


def test_while_the_journal_does_not_answer_no_more_is_held_than_else() -> None:
    v = Victim()
    v.engine.core = ClientCore(
        v.config, now=v.now, wall=WALL, rng=v.engine._rng, journal=JournalState()
    )
    v.login().push(1, "it waits for the disk")
    for first in range(2, 4 * HARD_LIMIT, 500):
        v.bytes(_receipts(first, 500))
        if v.status != "AUTHENTICATED":
            break
    assert not v.of(ev.ReceiptReceived)
    assert v.engine.core.receiving.held == 2 * HARD_LIMIT
    assert "more than it may" in v.error.text
    assert len(v.of(act.WriteJournal)) == 1
