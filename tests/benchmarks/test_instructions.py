"""The hot paths take no more instructions than when somebody last looked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.instructions import baseline
from benchmarks.instructions.counting import cost, costs, executed
from im_proto.machines import HEARTBEAT

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(
    baseline.read() is None,
    reason=f"no baseline for Python {baseline.VERSION}: {baseline.RENEW}",
)
@pytest.mark.skipif(
    sys.gettrace() is not None, reason="somebody else traces, a debugger or a measure of coverage"
)
def test_no_hot_path_is_dearer_than_its_baseline() -> None:
    before = baseline.read()
    assert before is not None
    wrong = baseline.complaints(costs(), before)
    assert not wrong, "\n".join(wrong)


def test_what_is_dearer_is_told_and_how_to_renew_it() -> None:
    before = {"one": 100.0, "two": 100.0}
    assert baseline.complaints({"one": 105.0, "two": 20.0}, before) == []
    (told,) = baseline.complaints({"one": 105.5, "two": 100.0}, before)
    assert told.startswith("one: 105.5 instructions a message, +5.5%")
    assert baseline.RENEW in told


def test_a_path_without_a_baseline_is_told_and_one_that_is_gone() -> None:
    told = baseline.complaints({"new": 1.0}, {"gone": 1.0})
    assert [one.partition(":")[0] for one in told] == ["gone", "new"]


def test_a_baseline_is_read_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baseline, "_FILES", tmp_path / "baselines")
    assert baseline.read("3.0") is None
    baseline.write({"one": 1.5}, "3.0")
    assert baseline.read("3.0") == {"one": 1.5}


def test_only_our_own_instructions_count() -> None:
    assert executed(lambda: sum(n for n in range(10))) == 0
    one = executed(lambda: HEARTBEAT.next("stopped", "started"))
    assert 0 < one < 30

    def both() -> None:
        HEARTBEAT.next("stopped", "started")
        HEARTBEAT.next("resting", "probe_sent")

    assert executed(both) == 2 * one


@pytest.mark.skipif(sys.gettrace() is not None, reason="somebody else traces")
def test_who_traced_before_traces_again() -> None:
    def mine(*_: object) -> None:
        return None

    sys.settrace(mine)
    try:
        executed(lambda: None)
        assert sys.gettrace() is mine
    finally:
        sys.settrace(None)


def test_the_same_again_costs_the_same() -> None:
    path = "client receives 64 in a frame"
    assert cost(path) == cost(path)


@pytest.mark.slow
def test_the_counts_hang_on_no_hash() -> None:
    def printed(seed: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.instructions"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "state transition" in done.stdout, done.stderr
        return done.stdout

    assert printed("1") == printed("2")
