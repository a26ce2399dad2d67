"""Streams in the world behave as TCP does, at its worst."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from im_proto.client import Status
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.server import inputs as si
from im_proto.testing import SimWorld
from im_proto.testing.sim.client import ClientNode
from im_proto.testing.sim.network import HIGH_WATER, WINDOW, End


class Seen:
    """What two nodes were fed, by kind."""

    def __init__(self, patch: pytest.MonkeyPatch, *nodes: object) -> None:
        self.inputs: list[tuple[object, object]] = []
        for node in nodes:
            patch.setattr(node, "feed", self._of(node))

    def _of(self, node: object) -> Callable[[object], None]:
        return lambda event: self.inputs.append((node, event))

    def data(self, node: object) -> list[bytes]:
        return [
            event.data
            for who, event in self.inputs
            if who is node and isinstance(event, inp.BytesReceived | si.BytesReceived)
        ]

    def kinds(self, node: object) -> list[str]:
        return [type(event).__name__ for who, event in self.inputs if who is node]


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> tuple[SimWorld, End, Seen]:
    """A stream between a client and the server, whose engines hear nothing of it."""
    world = SimWorld(1)
    client = world.client(1)
    seen = Seen(monkeypatch, client, world.server)
    end = world.network.open(client, 1, world.server)
    client.ends[1] = end
    world.run(1)
    assert seen.kinds(client) == ["TransportOpened"]
    assert seen.kinds(world.server) == ["ConnectionMade"]
    end.piece = end.other.piece = 0
    return world, end, seen


def test_bytes_come_in_order_and_in_pieces(stream: tuple[SimWorld, End, Seen]) -> None:
    world, end, seen = stream
    world.network.cutting = 1.0
    sent = [bytes([n]) * 50 for n in range(100)]
    for data in sent:
        world.network.write(end, data)
    world.run(1)
    pieces = seen.data(world.server)
    assert b"".join(pieces) == b"".join(sent)
    assert len(pieces) > 100


def test_one_byte_at_a_time_is_one_byte_at_a_time(stream: tuple[SimWorld, End, Seen]) -> None:
    world, end, seen = stream
    end.piece = 1
    world.network.write(end, b"a frame")
    world.run(1)
    assert seen.data(world.server) == [bytes([b]) for b in b"a frame"]


def test_a_reader_that_is_slow_blocks_the_writer_and_frees_it_again(
    stream: tuple[SimWorld, End, Seen],
) -> None:
    world, end, seen = stream
    end.other.reading = False
    world.network.write(end, b"x" * (WINDOW + HIGH_WATER))
    assert "WriteBlocked" not in seen.kinds(end.node)
    world.network.write(end, b"x")
    world.run(1)
    assert seen.kinds(end.node)[1:] == ["WriteBlocked"]
    assert seen.data(world.server) == []
    assert end.flying == WINDOW
    end.other.reading = True
    world.network.read(end.other)
    world.run(1)
    assert seen.kinds(end.node)[1:] == ["WriteBlocked", "WriteReady"]
    assert sum(map(len, seen.data(world.server))) == WINDOW + HIGH_WATER + 1


def test_a_close_lets_all_bytes_through_first(stream: tuple[SimWorld, End, Seen]) -> None:
    world, end, seen = stream
    world.network.write(end, b"x" * 200_000)
    world.network.close(end)
    world.run(1)
    assert sum(map(len, seen.data(world.server))) == 200_000
    assert seen.kinds(world.server)[-1] == "ConnectionLost"
    assert seen.kinds(end.node)[-1] == "TransportLost"
    assert not world.network.ends


def test_a_close_with_unread_bytes_is_a_reset(stream: tuple[SimWorld, End, Seen]) -> None:
    world, end, seen = stream
    end.reading = False
    world.network.write(end.other, b"never read")
    world.run(1)
    world.network.close(end)
    world.run(1)
    ends = [e for _, e in seen.inputs if isinstance(e, si.ConnectionLost)]
    assert [e.reason for e in ends] == ["connection reset by peer"]


def test_an_abort_resets_the_other_and_tells_nothing_here(
    stream: tuple[SimWorld, End, Seen],
) -> None:
    world, end, seen = stream
    world.network.abort(end)
    world.run(1)
    assert seen.kinds(end.node) == ["TransportOpened"]
    assert seen.kinds(world.server) == ["ConnectionMade", "ConnectionLost"]


def test_half_open_is_told_to_nobody_until_somebody_writes(
    stream: tuple[SimWorld, End, Seen],
) -> None:
    world, end, seen = stream
    world.network.vanish(end)
    world.network.write(end.other, b"is anybody there?")
    world.run(100)
    assert seen.kinds(world.server) == ["ConnectionMade"]


def test_who_writes_to_a_closed_end_is_reset(stream: tuple[SimWorld, End, Seen]) -> None:
    world, end, seen = stream
    world.network.close(end)
    end.other.reading = False  # it does not see the end of file
    world.run(1)
    assert seen.kinds(world.server) == ["ConnectionMade"]
    world.network.write(end.other, b"still here?")
    world.network.write(end.other, b"and now?")
    world.run(1)
    world.network.write(end.other, b"and now?")
    world.run(1)
    assert seen.kinds(world.server) == ["ConnectionMade", "ConnectionLost"]


def test_a_partition_holds_up_and_loses_nothing(stream: tuple[SimWorld, End, Seen]) -> None:
    world, end, seen = stream
    world.network.write(end, b"one ")
    end.node.machine.island = 1
    world.network.write(end, b"two ")
    world.run(100)
    assert seen.data(world.server) == []
    end.node.machine.island = 0
    world.network.heal()
    world.network.write(end, b"three")
    world.run(1)
    assert b"".join(seen.data(world.server)) == b"one two three"


def test_the_dead_direction_swallows_and_the_other_goes_on(
    stream: tuple[SimWorld, End, Seen],
) -> None:
    world, end, seen = stream
    end.dead = True
    world.network.write(end, b"lost")
    world.network.write(end.other, b"heard")
    world.run(10)
    assert seen.data(world.server) == []
    assert b"".join(seen.data(end.node)) == b"heard"


def test_a_truncated_stream_ends_as_if_closed(stream: tuple[SimWorld, End, Seen]) -> None:
    world, end, seen = stream
    world.network.write(end, b"x" * (WINDOW + 10))
    world.network.truncate(end)
    world.run(1)
    assert sum(map(len, seen.data(world.server))) == WINDOW
    ends = [e for _, e in seen.inputs if isinstance(e, si.ConnectionLost)]
    assert [e.reason for e in ends] == [""]
    lost = [e for _, e in seen.inputs if isinstance(e, inp.TransportLost)]
    assert [e.reason for e in lost] == ["connection reset by peer"]


def failures(client: ClientNode) -> list[str]:
    return [str(e.error) for e in client.events if isinstance(e, ev.ErrorOccurred)]


def test_names_that_can_not_be_resolved_and_ports_that_are_closed() -> None:
    world = SimWorld(2)
    client = world.client(1)
    client.no_names = True
    client.connect()
    world.run(2)
    assert "(dns)" in failures(client)[0]
    client.no_names = False
    world.server.refuses = True
    before = len(failures(client))
    assert world.run(60, lambda: len(failures(client)) > before)
    assert "(refused)" in failures(client)[-1]
    world.server.refuses = False
    assert world.run(60, lambda: client.status is Status.AUTHENTICATED)


def test_an_aborted_attempt_is_never_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    world = SimWorld(3)
    client = world.client(1)
    seen = Seen(monkeypatch, client)
    end = world.network.open(client, 1, world.server)
    client.ends[1] = end
    client._abort(act.AbortTransport(transport=1))
    world.run(10)
    assert seen.inputs == []
