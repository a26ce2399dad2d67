"""What idle connections cost: the engines are logged in, the visitors stay."""

from __future__ import annotations

import mmap
import sys

import pytest

from benchmarks import memory
from benchmarks.harness import Options

linux = pytest.mark.skipif(not memory._STATM.exists(), reason="/proc tells memory: Linux only")


def test_an_engine_takes_some_kilobytes() -> None:
    # whether all are logged in, `engines` sees itself
    assert 1 < memory.engines(memory.answers(12), 2) < 100


def test_the_figure_is_of_one_engine_however_many_there_are() -> None:
    few, many = memory.engines(memory.answers(30), 20), memory.engines(memory.answers(60), 20)
    assert few == pytest.approx(many, rel=0.3)


@linux
def test_memory_that_is_held_shows() -> None:
    before = memory.rss()
    # no malloc: that may give what another test has left
    with mmap.mmap(-1, 50_000_000) as held:
        held[::4096] = b"x" * len(held[::4096])
        assert memory.rss() - before > 40_000_000


def test_linear_is_what_costs_the_same_for_each() -> None:
    assert memory.linear({"im": [(100, 2.0), (300, 6.1), (1_000, 20.5)]})
    assert not memory.linear({"im": [(100, 2.0), (300, 6.0), (1_000, 60.0)]})


def test_goals_are_about_somebody() -> None:
    for row in memory.rows(Options(quick=True)):
        assert {goal.contestant for goal in row.goals} <= {one.name for one in row.contestants}


@linux
@pytest.mark.peers
@pytest.mark.skipif(sys.platform != "linux", reason="the servers are processes with a clock")
@pytest.mark.parametrize("name", memory._SERVERS)
def test_visitors_stay(name: str) -> None:
    start, make, package = memory._SERVERS[name]
    if memory._missing(package):
        pytest.skip(memory._missing(package))
    few, many = memory._server_seen(start, make, [5, 60], "asyncio")
    assert 0 < few < many


@linux
@pytest.mark.slow
def test_clients_in_a_process_of_their_own() -> None:
    start, _, _ = memory._SERVERS["im"]
    assert memory._client_kb("im", start, 60, "asyncio") > 0
