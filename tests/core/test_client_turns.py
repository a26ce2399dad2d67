"""An engine that is told when a turn is over: fewer frames and acks, and the same messages."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.client_kit import START, WALL, Driver, make_config
from core.journal_kit import JournalDriver
from im_proto.client import ClientCore, ClientEngine
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.journal import JournalState
from im_proto.errors import IMError, LocalProtocolError

SMALL = settings(max_examples=60, deadline=None, derandomize=True)


def driver(*, turns: bool, journal: bool = False, **config: Any) -> Driver:
    """A client that is told of turns, or not."""
    d = JournalDriver(**config) if journal else Driver(**config)
    d.core = ClientCore(
        d.config,
        now=START,
        wall=WALL,
        rng=random.Random(0),
        journal=JournalState() if journal else None,
        turns=turns,
    )
    return d


def end_turn(d: Driver) -> list[act.CoreAction]:
    """The turn is over."""
    return d.do(inp.TurnEnded())


def test_what_is_sent_in_one_turn_goes_out_in_one_frame_when_the_turn_ends() -> None:
    d = driver(turns=True).login_ours().forget()
    for content in "abc":
        d.send(content)
    assert len(d.of(ev.MessageQueued)) == 3  # told at once
    assert d.chats() == [] and d.core.unsettled
    d.forget()
    end_turn(d)
    assert d.chats() == ["a", "b", "c"] and len(d.of(act.SendText)) == 1
    assert not d.core.unsettled


def test_messages_handled_in_one_turn_are_acknowledged_once() -> None:
    d = driver(turns=True).login_ours()
    for seq in (1, 2, 3):
        d.push(seq)
    d.forget()
    for message in (1, 2, 3):
        d.do(inp.MessageTaken(delivery=message))
        d.do(inp.MessageHandled(delivery=message))
    assert d.actions == []
    end_turn(d)
    assert [ack["seq"] for ack in d.said("CHAT_ACK_REQUEST")] == [3]


def test_another_input_settles_the_turn_first() -> None:
    d = driver(turns=True).login_ours().forget()
    d.send("a")
    d.do(inp.MarkRead(from_user=2, msg_id=7))
    with pytest.raises(LocalProtocolError, match="given to a transport"):
        d.do(inp.Cancel(ref=1))
    assert d.core.unsettled  # what it has brought about comes with the end of the turn
    end_turn(d)
    assert d.chats() == ["a"]
    d.forget().send("b")
    d.disconnect()
    assert d.chats() == ["b"] and not d.core.unsettled


@pytest.mark.parametrize(
    "other",
    [
        inp.TimePassed(),
        inp.WallClock(wall=WALL),
        inp.TokenReady(request=99, token="t"),
        inp.JournalWritten(request=99),
        inp.WriteBlocked(transport=1),
    ],
    ids=lambda other: type(other).__name__,
)
def test_what_was_wished_goes_before_any_other_input(other: inp.CoreInput) -> None:
    d = driver(turns=True).login_ours().forget()
    d.send("a")
    assert d.chats() == [] and d.core.unsettled
    d.do(other)
    assert d.chats() == ["a"] and not d.core.unsettled


def test_what_is_read_is_told_at_once_and_answered_with_what_the_application_says_to_it() -> None:
    d = driver(turns=True).login_ours().forget()
    d.push(1, "how are you?")
    d.frame("RECEIPT_PUSH", msgIds=[1], user=2, status="delivered", seq=2)
    assert len(d.of(ev.MessageReceived)) == len(d.of(ev.ReceiptReceived)) == 1
    assert d.of(act.SendText) == [] and d.core.unsettled
    d.do(inp.MessageTaken(delivery=1))
    d.send("fine")
    d.do(inp.MessageHandled(delivery=1))
    d.do(inp.ControlReceived(transport=1))
    assert d.of(act.SendText) == []
    end_turn(d)
    (frame,) = [json.loads(sent.text) for sent in d.of(act.SendText)]
    assert [said["type"] for said in frame] == ["CHAT_SEND_TO_ONE_REQUEST", "CHAT_ACK_REQUEST"]


@pytest.mark.parametrize("text", ["{", '{"type": "PONG"} {'])
def test_what_ends_the_link_is_not_left_until_the_turn_ends(text: str) -> None:
    d = driver(turns=True).login_ours()
    d.push(1)
    d.forget().do(inp.TextReceived(transport=1, text=text))
    assert d.of(act.SendClose) and d.of(ev.StateChanged) and not d.core.unsettled


def test_a_log_in_is_told_at_once() -> None:
    d = driver(turns=True)
    assert not d.login_ours().core.unsettled
    assert d.of(ev.StateChanged)[-1].current.status is ev.Status.AUTHENTICATED


@pytest.mark.parametrize("turns", [False, True])
def test_a_window_that_an_answer_has_made_room_in_is_filled_at_the_end_of_the_turn(
    turns: bool,
) -> None:
    d = driver(turns=turns, in_flight=1).login_ours()
    d.send("a")
    d.send("b")
    end_turn(d)
    d.frame("CHAT_SEND_RESPONSE", msgId=d.said("CHAT_SEND_TO_ONE_REQUEST")[0]["msgId"], code=0)
    assert d.chats() == (["a"] if turns else ["a", "b"])
    end_turn(d)
    assert d.chats() == ["a", "b"]


def test_a_wish_that_is_refused_is_refused_at_once_and_changes_nothing() -> None:
    d = driver(turns=True).login_ours()
    end_turn(d)
    d.forget()
    for unsettled in (False, True):
        with pytest.raises(IMError, match="MESSAGE_FORMAT_ERROR"):
            d.send("")
        with pytest.raises(LocalProtocolError, match="MarkRead"):
            d.do(inp.MarkRead(from_user=2, msg_id=0))
        assert d.core.unsettled is unsettled
        d.forget().send(f"good {unsettled}")
    assert len(d.core.sending.outbox) == 2
    end_turn(d)
    assert d.chats() == ["good False", "good True"]


def test_nothing_is_written_to_a_transport_that_is_lost() -> None:
    d = driver(turns=True).login_ours().forget()
    d.send("a")
    d.lose()
    assert d.of(act.SendText) == []
    d.login_ours()
    end_turn(d)
    assert d.chats() == ["a"]


@pytest.mark.parametrize(
    ("bound", "length"), [({"max_queue": 3}, 1), ({"max_queue_bytes": 1024}, 300)]
)
def test_what_is_on_its_way_is_not_dropped_for_what_comes_later_in_the_turn(
    bound: dict[str, Any], length: int
) -> None:
    contents = [letter * length for letter in "abc"]
    for turns in (False, True):
        d = driver(turns=turns, when_queue_full="drop_oldest", **bound).login_ours()
        for content in contents:
            d.send(content)
        with pytest.raises(IMError, match="QUEUE_FULL"):
            d.send("d" * length)
        end_turn(d)
        assert d.chats() == contents and d.failed() == {}


def test_without_turns_nothing_waits_for_the_end_of_one() -> None:
    d = driver(turns=False).login_ours().forget()
    d.send("a")
    assert d.chats() == ["a"] and not d.core.unsettled
    assert end_turn(d) == []


def test_an_engine_says_whether_the_end_of_the_turn_is_wanted() -> None:
    config = make_config()
    engine = ClientEngine(config, now=START, wall=WALL, rng=random.Random(0), turns=True)
    assert not engine.unsettled
    engine.step(inp.Send(ref=1, to_user=2, content="x"), START)
    assert engine.unsettled
    assert engine.step(inp.TurnEnded(), START) == []
    assert not engine.unsettled


# ---------------------------------------------------------------- the same with and without


class Talk:
    """A client, a server that is of the family or plain, and what everybody sees of it."""

    def __init__(self, *, turns: bool, ours: bool, journal: bool, **config: Any) -> None:
        self.d = driver(turns=turns, journal=journal, **config)
        self.turns, self.ours, self.journal = turns, ours, journal
        self.refs = 0
        self.seq = 0
        self.mailbox: list[str] = []
        self.acked = 0
        self.open: list[int] = []
        #: by msgId
        self.arrived: dict[int, dict[str, Any]] = {}
        self.unanswered: list[int] = []
        #: by who wrote: one that is replaced in the same turn is not said
        self.marks: dict[int, int] = {}
        #: by conversation
        self.seen: dict[object, list[tuple[str, object]]] = defaultdict(list)
        self.log_in()

    def log_in(self) -> None:
        if self.ours:
            self.d.login_ours(epoch="e1", seq=self.acked)
            for seq in range(self.acked + 1, self.seq + 1):
                self.d.push(seq, self.mailbox[seq - 1])
        else:
            self.d.login()
        self.look()

    def wish(self, wish: inp.CoreInput) -> None:
        try:
            self.d.do(wish)
        except (IMError, LocalProtocolError) as error:
            self.seen["refused"].append((type(wish).__name__, str(error)))
        self.look()

    def end_turn(self) -> None:
        if self.turns and self.d.core.unsettled:
            end_turn(self.d)
        self.look()

    def look(self) -> None:
        """Take in what has happened."""
        for message in self.d.said():
            kind = message.get("type")
            if kind == "CHAT_SEND_TO_ONE_REQUEST":
                msg_id = int(message["msgId"])
                if msg_id not in self.arrived:
                    self.arrived[msg_id] = message
                    self.seen[message["toUser"]].append(("arrived", message["content"]))
                self.unanswered.append(msg_id)
            elif kind == "CHAT_ACK_REQUEST":
                self.acked = message["seq"]
            elif kind == "CHAT_READ_RECEIPT_REQUEST":
                self.marks[message["fromUser"]] = message["msgId"]
        for event in self.d.events():
            if isinstance(event, ev.MessageAccepted):
                self.seen[event.to_user].append(("accepted", event.content))
            elif isinstance(event, ev.MessageFailed):
                self.seen[event.to_user].append((str(event.error.code), event.content))
            elif isinstance(event, ev.MessageReceived):
                self.open.append(event.delivery)
                self.seen["told"].append(("received", (event.content, event.attempt)))
            elif isinstance(event, ev.MessageUndeliverable):
                self.seen["told"].append(("undeliverable", event.content))
        self.d.forget()

    # ---- what happens

    def op(self, what: int, number: int) -> None:
        if what <= 3:
            self.refs += 1
            content = f"m{self.refs}"
            self.wish(inp.Send(ref=self.refs, to_user=2 + number % 3, content=content))
        elif what <= 5 and self.open:
            delivery = self.open.pop(number % len(self.open))
            self.wish(inp.MessageTaken(delivery=delivery))
            self.wish(inp.MessageHandled(delivery=delivery, ok=number % 4 > 0))
        elif what == 6:
            self.wish(inp.MarkRead(from_user=2 + number % 3, msg_id=1 + number))
        elif what == 7:
            self.end_turn()
        elif what == 8:
            self.end_turn()  # what comes in begins another turn
            self.answer()
        elif what == 9:
            self.end_turn()
            self.seq += 1
            self.mailbox.append(f"p{self.seq}")
            self.d.push(self.seq if self.ours else None, self.mailbox[-1], msgId=self.seq)
            self.look()
        elif what == 10 and self.refs:
            if self.journal:
                self.end_turn()  # what is being written meanwhile may still be withdrawn
            self.wish(inp.Cancel(ref=1 + number % self.refs))
        elif what == 11 and number % 4 == 0:
            self.end_turn()
            self.unanswered.clear()
            self.d.lose()
            self.log_in()
        elif what == 12:
            self.end_turn()
            self.d.pass_time(0.3)
            self.look()

    def answer(self) -> None:
        answered, self.unanswered = self.unanswered, []
        for msg_id in answered:
            self.d.frame("CHAT_SEND_RESPONSE", msgId=msg_id, code=0)
        self.look()

    def end(self) -> None:
        """Everything comes to its end."""
        for _ in range(200):
            self.end_turn()
            if not self.unanswered and not self.open:
                break
            while self.open:
                self.wish(inp.MessageHandled(delivery=self.open.pop(0)))
            self.end_turn()
            self.answer()
        self.seen["marks"] = [("read", dict(self.marks))]
        assert len(self.d.core.sending.outbox) == 0
        if self.ours:
            assert self.acked == self.seq

    def found(self) -> dict[object, list[tuple[str, object]]]:
        """Of each conversation what is alike, in its order: an answer may come in before the next
        message goes out, or behind it."""
        return {of: sorted(told, key=lambda one: one[0]) for of, told in self.seen.items()}


OPS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 63)), max_size=60)


@SMALL
@given(OPS, st.booleans(), st.booleans(), st.sampled_from([6, 1000]))
def test_the_same_wishes_lead_to_the_same_messages(
    ops: list[tuple[int, int]], ours: bool, journal: bool, max_queue: int
) -> None:
    seen = []
    for turns in (False, True):
        talk = Talk(turns=turns, ours=ours, journal=journal, max_queue=max_queue)
        for what, number in ops:
            talk.op(what, number)
        talk.end()
        seen.append(talk.found())
    assert seen[0] == seen[1]


@SMALL
@given(OPS, st.booleans())
def test_also_where_only_few_may_be_unanswered(ops: list[tuple[int, int]], ours: bool) -> None:
    """Which conversation goes first may differ, so nothing is withdrawn here."""
    seen = []
    for turns in (False, True):
        talk = Talk(turns=turns, ours=ours, journal=False, in_flight=2)
        for what, number in ops:
            if what != 10:
                talk.op(what, number)
        talk.end()
        seen.append(talk.found())
    assert seen[0] == seen[1]
