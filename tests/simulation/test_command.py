"""`im simulate`: what it says, and how it ends."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from im_cli import simulate as command
from im_cli.app import app
from im_cli.simulate import SimulateOptions, run_seeds
from im_proto.testing import FAULTS, Outcome

RUNNER = CliRunner(env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"})


def im(*args: str) -> Any:
    return RUNNER.invoke(app, ["simulate", *args])


def test_help_lists_every_fault() -> None:
    shown = im("--help")
    assert shown.exit_code == 0
    for name in FAULTS:
        assert f"{name}: " in shown.output
    assert "--trace" in shown.output


def test_a_clean_run_shows_its_faults_and_says_kept() -> None:
    shown = im("--seeds", "2", "--minutes", "1", "--jobs", "1", "--faults", "reset,stall")
    assert shown.exit_code == 0, shown.output
    assert "Kept: " in shown.output
    assert "reset" in shown.output
    assert "steps" in shown.output
    assert "garbage" not in shown.output


def test_a_fault_that_never_happened_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAULTS, "reset", lambda _: False)
    shown = im("--seeds", "1", "--minutes", "0.5", "--jobs", "1", "--faults", "reset,lag")
    assert shown.exit_code == 1
    assert "Never injected: reset" in shown.output


def failing(monkeypatch: pytest.MonkeyPatch, *seeds: int) -> None:
    def life(seed: int, **_: object) -> Outcome:
        failure = "message 7 is lost" if seed in seeds else None
        return Outcome(
            seed=seed, steps=10, seconds=0.1, simulated=60.0, faults={"lag": 1}, failure=failure
        )

    monkeypatch.setattr(command, "simulate", life)


def test_a_broken_promise_names_its_seed_and_how_to_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, 12)
    shown = im("--seeds", "5", "--first-seed", "10", "--jobs", "1", "--faults", "lag")
    assert shown.exit_code == 1
    assert "seed 12, at 60.000 s, step 10:" in shown.output
    assert "message 7 is lost" in shown.output
    again = "im simulate --seed 12 --clients 5 --minutes 10 --faults lag --trace seed-12.txt"
    assert again in shown.output
    assert "BROKEN" in shown.output


def test_many_failing_seeds_are_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, *range(13))
    shown = im("--seeds", "13", "--jobs", "1", "--faults", "lag")
    assert "also failed: 10, 11, 12" in shown.output


def test_json_is_one_object_with_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, 1)
    shown = im("--seeds", "3", "--jobs", "1", "--faults", "lag,reset", "--json")
    assert shown.exit_code == 1
    found = json.loads(shown.stdout)
    assert found["seeds"] == 3
    assert found["failures"] == [
        {"seed": 1, "failure": "message 7 is lost", "at": 60.0, "step": 10}
    ]
    assert found["faults"] == {"lag": 3, "reset": 0}
    assert found["never_injected"] == ["reset"]
    assert found["exit_code"] == 1


def test_one_seed_writes_its_history(tmp_path: Path) -> None:
    trace = tmp_path / "history.txt"
    shown = im("--seed", "3", "--minutes", "0.2", "--trace", str(trace))
    assert shown.exit_code == 0, shown.output
    lines = trace.read_text(encoding="utf-8").splitlines()
    assert len(lines) > 100
    assert lines[0].split()[1:3] == ["server", "="]


def test_one_seed_need_not_meet_every_fault() -> None:
    shown = im("--seed", "3", "--minutes", "0.1", "--json")
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["exit_code"] == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--faults", "earthquake"), "there is no fault 'earthquake'"),
        (("--trace", "x.txt"), "--trace writes the history of one seed"),
        (("--seeds", "0"), "Invalid value"),
    ],
)
def test_mistakes_are_named(args: tuple[str, ...], words: str) -> None:
    shown = im(*args)
    assert shown.exit_code == 2
    assert words in shown.output


def test_a_trace_that_can_not_be_written(tmp_path: Path) -> None:
    shown = im("--seed", "1", "--trace", str(tmp_path / "no" / "where.txt"))
    assert shown.exit_code == 1
    assert "can't write" in shown.output


def test_an_interrupt_keeps_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def life(seed: int, **_: object) -> Outcome:
        if seed == 2:
            raise KeyboardInterrupt
        return Outcome(seed=seed, steps=1, seconds=0.1, simulated=1.0, faults={"lag": 1})

    monkeypatch.setattr(command, "simulate", life)
    shown = im("--seeds", "9", "--jobs", "1", "--faults", "lag")
    assert shown.exit_code == 130
    assert "interrupted" in shown.output
    assert "2 seeds" in shown.output


def test_processes_share_the_seeds() -> None:
    options = SimulateOptions(seeds=4, minutes=0.1, faults="reset", jobs=2)
    total = run_seeds(options)
    assert total.seeds == 4
    assert not total.failures
    assert total.steps > 400
    assert not multiprocessing.active_children()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a child alone")
def test_ctrl_c_ends_all_processes() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "im_cli", "simulate", "--seeds", "10000", "--jobs", "2", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    time.sleep(6.0)  # it may be anywhere: starting, or in the middle of a seed
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert json.loads(out)["interrupted"] is True
    assert "Traceback" not in err
