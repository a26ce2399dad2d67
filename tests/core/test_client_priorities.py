"""Priorities order conversations, keep the order inside one, and starve nobody."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.client_kit import Driver
from im_proto.client import inputs as inp
from im_proto.client.turns import PRIORITIES, SHARES, Priority, Turns
from im_proto.errors import IMError

_refs = itertools.count(1000)


def send(d: Driver, to: int, content: str, priority: Priority) -> int:
    ref = next(_refs)
    d.do(inp.Send(ref=ref, to_user=to, content=content, priority=priority))
    return ref


def test_the_higher_goes_first() -> None:
    d = Driver()
    send(d, 2, "low", "low")
    send(d, 3, "normal", "normal")
    send(d, 4, "high", "high")
    d.login_ours()
    assert d.chats() == ["high", "normal", "low"]


def test_inside_a_conversation_the_order_stays_and_all_hurry_with_the_highest() -> None:
    d = Driver()
    send(d, 3, "somebody else's", "normal")
    send(d, 2, "one", "low")
    send(d, 2, "two", "high")
    send(d, 2, "three", "low")
    d.login_ours()
    assert d.chats() == ["one", "two", "somebody else's", "three"]


def test_a_cancelled_message_hurries_nobody() -> None:
    d = Driver()
    send(d, 2, "one", "low")
    hurry = send(d, 2, "two", "high")
    send(d, 3, "else", "normal")
    d.do(inp.Cancel(ref=hurry))
    d.login_ours()
    assert d.chats() == ["else", "one"]


def test_a_flood_of_high_ones_lets_the_low_through_in_its_turn() -> None:
    d = Driver(in_flight=13, max_queue=1000)
    for n in range(200):
        send(d, 100 + n % 20, f"high {n}", "high")
    send(d, 2, "low", "low")
    send(d, 3, "normal", "normal")
    d.login_ours()
    assert {"low", "normal"} <= set(d.chats()[:13])


def test_one_conversation_with_a_flood_takes_turns_with_the_others() -> None:
    d = Driver(in_flight=4, max_queue=1000)
    for n in range(100):
        send(d, 2, f"flood {n}", "normal")
    send(d, 3, "other", "normal")
    d.login_ours()
    assert "other" in d.chats()


def test_what_was_in_flight_comes_back_with_its_priority() -> None:
    d = Driver(in_flight=1)
    send(d, 2, "low", "low")
    d.login_ours()
    send(d, 3, "high", "high")
    d.lose().forget().login_ours(resume="recovered", limits={"inFlight": 2})
    assert d.chats() == ["high"]


@pytest.mark.parametrize("wrong", ["urgent", "", None, 1])
def test_a_priority_that_is_none_is_told_and_nothing_is_queued(wrong: object) -> None:
    d = Driver()
    with pytest.raises(IMError, match="priority is one of high, normal, low"):
        d.do(inp.Send(ref=1, to_user=2, content="x", priority=wrong))  # type: ignore[arg-type]
    assert not len(d.core.sending.outbox)


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(PRIORITIES)), min_size=1, max_size=30))
def test_everybody_who_waits_gets_a_turn_within_a_round(
    waiting: list[tuple[int, Priority]],
) -> None:
    turns = Turns()
    for place, (_, priority) in enumerate(waiting):
        turns.join(place, priority)
    seen: Counter[Priority] = Counter()
    since = dict.fromkeys(PRIORITIES, 0)
    for _ in range(100):  # each joins again after its turn: nobody ever runs dry
        place = turns.next()
        assert isinstance(place, int)
        priority = waiting[place][1]
        turns.join(place, priority)
        seen[priority] += 1
        for name in since:
            since[name] = 0 if name == priority else since[name] + 1
        assert all(
            since[name] <= sum(SHARES.values())
            for name in PRIORITIES
            if any(p == name for _, p in waiting)
        )
    assert len(turns) == len(waiting)
