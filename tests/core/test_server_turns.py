"""Who says much is read in turns: nobody who says little waits for all that the others want."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.server_kit import START, WALL, Kit
from im_proto.bucket import Bucket
from im_proto.config import ServerConfig
from im_proto.framing import Framing
from im_proto.limits import FrameLimits
from im_proto.server import Gateway
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.server.turns import BURST, FREE, RATE, Turns


def said(turns: Turns, connection: int, size: float = 1_000, now: float = 0.0) -> bool:
    return turns.said(connection, int(size), now)


def crowd(turns: Turns) -> None:
    """So many say much that whoever else does has to wait."""
    for connection in range(100, 100 + FREE):
        said(turns, connection, 1e9)
    while turns:
        turns.next()


def test_who_says_little_never_waits() -> None:
    turns = Turns()
    for second in range(100):
        assert not any(said(turns, 1, RATE / 10, second + tenth / 10) for tenth in range(10))
    assert not turns


def test_who_has_said_much_waits_until_it_would_have_been_little() -> None:
    turns = Turns()
    crowd(turns)
    assert not said(turns, 1, BURST)
    assert said(turns, 1, RATE)
    assert turns.next() == 1
    assert not turns
    assert not said(turns, 1, RATE - 1, 2.0)
    crowd(turns)
    assert said(turns, 1, 2, 2.0)


def test_while_hardly_anybody_says_much_nobody_waits() -> None:
    turns = Turns()
    for _ in range(3):
        assert not any(said(turns, connection, BURST + 1) for connection in range(FREE))
    assert not turns
    assert said(turns, 7, BURST + 1)  # the next one does, and from now on all of them
    assert all(said(turns, connection) for connection in range(FREE))
    assert [turns.next() for _ in range(1 + FREE)] == [7, *range(FREE)]
    assert not any(said(turns, connection) for connection in range(FREE))
    turns.gone(0)
    assert not said(turns, 7)  # there is a place again


def test_turns_are_taken_in_the_order_in_which_they_were_needed() -> None:
    turns = Turns()
    crowd(turns)
    for connection in (3, 1, 2, 1, 3):
        assert said(turns, connection, BURST + 1)
    assert [turns.next(), turns.next(), turns.next()] == [3, 1, 2]
    assert not turns


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40_000), st.floats(0, 3))))
def test_nobody_is_passed_over_and_nobody_waits_twice(
    deeds: Sequence[tuple[int, int, float]],
) -> None:
    turns, now = Turns(), 0.0
    buckets = {name: Bucket(RATE, BURST, now) for name in range(4)}
    waiting: list[int] = []
    free: list[int] = []
    for name, size, passed in deeds:
        now += passed
        waits = buckets[name].take(now, size) < 0
        if waits and not waiting and (name in free or len(free) < FREE):
            waits = False
            free += [] if name in free else [name]
        assert turns.said(name, size, now) == waits
        if waits and name not in waiting:
            waiting.append(name)
        if size % 3 == 0 and waiting:
            turn = waiting.pop(0)
            assert turns.next() == turn
            free = [*(other for other in free if other != turn), turn][-FREE:]
        assert bool(turns) == bool(waiting)


# ---------------------------------------------------------------- in the gateway


class Raw:
    """A gateway whose turns are given by hand."""

    def __init__(self) -> None:
        self.now = START
        self.gateway = Gateway(ServerConfig(), now=START, wall=WALL, strict=True)
        self.reading: dict[int, bool] = {}
        self.framings: dict[int, Framing] = {}

    def do(self, event: inp.Input) -> None:
        for action in self.gateway.step(event, self.now):
            if isinstance(action, act.PauseReading):
                assert self.reading[action.connection]
                self.reading[action.connection] = False
            elif isinstance(action, act.ResumeReading):
                assert not self.reading[action.connection]
                self.reading[action.connection] = True
            elif isinstance(action, act.SendBytes):
                list(self.framings[action.connection].receive(action.data, self.now))

    def connect(self, name: int) -> None:
        self.reading[name] = True
        self.framings[name] = Framing.client(
            host="s", target="/ws", rng=random.Random(name), limits=FrameLimits()
        )
        self.do(inp.ConnectionMade(connection=name))
        self.do(inp.BytesReceived(connection=name, data=self.framings[name].request()))

    def say(self, name: int, size: int) -> None:
        data = self.framings[name].send_text("x" * size)
        self.do(inp.BytesReceived(connection=name, data=data))

    @property
    def read(self) -> list[int]:
        return [name for name, reading in self.reading.items() if reading and name < 100]


def heavy(*names: int) -> Raw:
    """A gateway on which these have said much before their log-in; text that is no JSON would end
    them, so half a message does it. So many do before them that these have to wait."""
    raw = Raw()
    for name in (*range(100, 100 + FREE), *names):
        raw.connect(name)
        part = raw.framings[name].send_text("y" * 20_000)[:18_000]
        raw.do(inp.BytesReceived(connection=name, data=part))
    return raw


def test_who_says_much_is_not_read_until_its_turn() -> None:
    raw = heavy(1, 2, 3)
    raw.connect(4)
    assert raw.read == [4]
    assert raw.gateway.turns_wait
    turns = []
    while raw.gateway.turns_wait:
        assert raw.gateway.next_deadline() == raw.now
        raw.do(inp.TimePassed())
        turns.append(raw.read)
    assert turns == [[1, 4], [1, 2, 4], [1, 2, 3, 4]]
    deadline = raw.gateway.next_deadline()
    assert deadline is not None
    assert deadline > raw.now


def test_who_has_gone_takes_nobodys_turn_for_long() -> None:
    raw = heavy(1, 2)
    raw.do(inp.ConnectionLost(connection=1))
    raw.do(inp.TimePassed())
    raw.do(inp.TimePassed())
    assert 2 in raw.read
    assert not raw.gateway.turns_wait


def test_turns_give_half_a_message_no_more_time() -> None:
    kit = Kit(control_rate=1_000, control_burst=1_000)
    one, *others = (kit.user(number) for number in range(1, 2 + FREE))
    began, timeout = kit.now, kit.config.partial_timeout
    fragment = bytearray(one.bytes_of("y" * 1_000))
    fragment[0] &= 0x7F  # and more to come
    one.raw(bytes(fragment))
    turns = 0
    while one.close is None and kit.now < began + 2 * timeout:
        for peer in (*others, one):  # much enough to wait for turns, and no flood
            peer.raw(peer.ping(120) * 100)
        turns += isinstance(kit.said[-1], act.ResumeReading)
        kit.wait(0.5)
    assert one.code == 1008
    assert turns > 10
    assert kit.now - began == pytest.approx(timeout, abs=1)


@pytest.mark.parametrize("messages", [1, 40, 400])
def test_turns_change_nothing_of_what_is_said_and_answered(messages: int) -> None:
    kit = Kit()
    one, other = kit.user(1), kit.user(2)
    for number in range(1, messages + 1):
        one.chat(number, 2, "a message of the usual length, more or less")
    assert [answer["msgId"] for answer in one.answers] == list(range(1, messages + 1))
    assert len(other.pushes) == messages
    assert not one.paused
