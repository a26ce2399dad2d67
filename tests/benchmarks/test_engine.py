"""The floors do the same bytes as the engine, and a transition is a look-up."""

from __future__ import annotations

import json
import random

import pytest
from wsproto.frame_protocol import FrameProtocol

from benchmarks import engine
from benchmarks.harness import Figure, Options
from benchmarks.paths import LIFE, pieces, texts
from benchmarks.rig import ALICE, CONTENT, Rig
from im_proto.machines import HEARTBEAT
from im_proto.machines.compiled import Table


def _said(data: bytes) -> list[str]:
    server = FrameProtocol(client=False, extensions=[])
    server.receive_bytes(data)
    return [str(frame.payload) for frame in server.received_frames()]


def test_the_floor_reads_what_the_engine_reads() -> None:
    work = next(pieces("client receives one", random.Random(0)))
    frames = FrameProtocol(client=True, extensions=[])
    read = [push for data in work.data for push in engine.read_one(data, frames)]
    assert len(read) == work.count
    assert {push["message"]["content"] for push in read} == {CONTENT}
    assert {push["message"]["fromUser"] for push in read} == {ALICE}
    seqs = [push["message"]["seq"] for push in read]
    assert seqs == list(range(seqs[0], seqs[0] + work.count))


@pytest.mark.parametrize("size", [16, 64])
def test_the_floor_reads_full_frames(size: int) -> None:
    work = next(pieces(f"client receives {size} in a frame", random.Random(0)))
    read = [engine.read_text(text) for data in work.data for text in texts(data)]
    assert [len(one) for one in read] == [size] * (work.count // size)


def test_the_floor_writes_what_the_engine_writes() -> None:
    rig = Rig(rng=random.Random(0))
    (text,) = _said(b"".join(rig.written(rig.sends(1))))
    first = json.loads(text)["message"]["msgId"]
    frames = FrameProtocol(client=True, extensions=[])
    assert _said(engine.write_one(first, frames)) == [text]
    (text,) = _said(b"".join(rig.written(rig.sends(64))))
    assert engine.write_text(first + 1, 64).decode() == text


def test_a_transition_is_one_look_up() -> None:
    assert engine.look_ups(HEARTBEAT, LIFE) == 1


def test_look_ups_are_counted() -> None:
    class Twice(Table):
        def next(self, state: str, event: str) -> str:
            assert self.knows(state, event)
            return super().next(state, event)

    edges = {(state, event): to for state, event, to in HEARTBEAT.edges()}
    twice = Twice(
        HEARTBEAT.name,
        HEARTBEAT.initial,
        HEARTBEAT.states,
        HEARTBEAT.events,
        HEARTBEAT.final,
        edges,
    )
    assert engine.look_ups(twice, LIFE) == 2


def test_each_row_has_figures() -> None:
    for row in engine.rows(Options(quick=True)):
        assert {goal.contestant for goal in row.goals} <= {one.name for one in row.contestants}
        for one in row.contestants:
            figure = one.run()
            assert (figure.value if isinstance(figure, Figure) else figure) > 0, one.name
            one.close()
