"""The kit itself: its command, its report, its plugin, what it says when something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.broken import IgnoresTheEnd, broken
from conformance.subjects import TrioSubject
from im_proto.testing.conformance import (
    Failed,
    Level,
    LoopThread,
    Status,
    case_named,
    cases,
    run,
    run_case,
)
from im_proto.testing.conformance.__main__ import main
from server.server_kit import environment

ROOT = Path(__file__).parents[2]


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    env = environment(PYTHONDONTWRITEBYTECODE="1")
    env["PYTHONPATH"] += f"{os.pathsep}{ROOT / 'tests'}"
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=280,
        cwd=cwd,
        env=env,
        check=False,
    )


# ------------------------------------------------------------ cases and report


def test_every_case_says_what_and_where_to_look() -> None:
    everything = cases(Level.EXTRAS)
    assert len({case.name for case in everything}) == len(everything) > 80
    for case in everything:
        assert case.must.endswith("."), case.name
        assert len(case.must) > 30, case.name
        assert len(case.look) > 20, case.name


def test_the_levels_hold_one_another() -> None:
    core, extras = cases("core"), cases("extras")
    assert set(core) < set(extras)
    assert all(case.needs is None for case in core)
    assert all(case.needs is not None for case in extras if case.level is Level.EXTRAS)
    with pytest.raises(ValueError, match="everything"):
        cases("everything")


def test_a_failure_tells_the_author_what_happened_and_where_to_look() -> None:
    case = case_named("half-close")
    report = run(broken(IgnoresTheEnd), only=[case], patience=3)
    assert not report.passed
    (result,) = report.failures
    text = report.text()
    for part in (case.must, case.look, "Disconnected", "the peer has closed its direction"):
        assert part in text
    assert any("peer: connection 1: logged in" in line for line in result.story)
    assert json.loads(report.json())["results"][0]["status"] == "failed"


def test_what_an_adapter_does_not_have_is_skipped_with_the_reason() -> None:
    report = run(TrioSubject, only=[case_named("callback-that-raises"), case_named("refused")])
    assert report.passed
    assert report.count(Status.SKIPPED) == 1
    assert "does not have callbacks" in report.text()


def test_a_run_without_cases_has_not_passed() -> None:
    assert not run(TrioSubject, only=[]).passed


def test_results_are_told_as_they_come() -> None:
    told: list[str] = []
    run(TrioSubject, only=[case_named("refused")], told=lambda result: told.append(result.name))
    assert told == ["refused"]


def test_a_factory_that_raises_is_a_failure() -> None:
    def factory(*_: Any) -> Any:
        raise RuntimeError("not today")

    result = run_case(factory, case_named("refused"))
    assert result.status is Status.FAILED
    assert "not today" in result.why


def test_a_case_with_an_unknown_name_tells_the_names() -> None:
    with pytest.raises(KeyError, match="half-close"):
        case_named("half-closed")


def test_the_kit_needs_nothing_but_im_proto() -> None:
    script = """
import sys, im_proto.testing.conformance
print([m for m in ("pytest", "hypothesis", "trio", "im_asyncio") if m in sys.modules])
"""
    ran = python("-c", script)
    assert ran.stdout == "[]\n", ran.stderr


# ------------------------------------------------------------ LoopThread


def test_a_loop_thread_gives_its_handle_and_can_be_joined() -> None:
    import threading

    end = threading.Event()

    def main(ready: Any) -> None:
        ready("handle")
        end.wait(5)

    thread = LoopThread(main)
    assert thread.handle == "handle"
    end.set()
    thread.join()


def test_a_loop_that_fails_before_it_is_ready_raises() -> None:
    def main(_: Any) -> None:
        raise Failed("no loop")

    with pytest.raises(Failed, match="no loop"):
        LoopThread(main)


def test_a_loop_that_fails_later_raises_in_join() -> None:
    def main(ready: Any) -> None:
        ready(1)
        raise Failed("later")

    with pytest.raises(Failed, match="later"):
        LoopThread(main).join()


# ------------------------------------------------------------ the command


def test_the_command_runs_a_factory(capsys: pytest.CaptureFixture[str]) -> None:
    one = ["conformance.subjects:TrioSubject", "--case", "refused"]
    assert main(one) == 0
    assert "1 passed, 0 failed" in capsys.readouterr().out
    assert main([*one, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True
    assert main(["--list"]) == 0
    assert "half-close (core)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "FACTORY is missing"),
        (["no_colon"], "is no module:name"),
        (["nowhere.at.all:x"], "can't be loaded"),
        (["conformance.subjects:missing"], "can't be loaded"),
        (["conformance.subjects:EXAMPLES"], "can't be called"),
        (["conformance.subjects:TrioSubject", "--case", "none"], "no case 'none'"),
    ],
)
def test_a_wrong_command_says_why(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_in_a_process_of_its_own() -> None:
    module = "im_proto.testing.conformance"
    teaches = python("-m", module, "--help").stdout
    for word in ("class MySubject(Subject)", "left_behind", "--level", "examples:", "exit status"):
        assert word in teaches
    bad = python("-m", module, "conformance.broken:WaitsForConnectInClose", "--case", "refused")
    assert bad.returncode == 1, bad.stderr
    assert "refused: failed" in bad.stdout


# ------------------------------------------------------------ the plugin


def test_the_plugin_loads_nothing_before_it_is_used() -> None:
    script = """
import sys, pytest
before = set(sys.modules)
import im_proto.testing.plugin
print(sorted(m for m in set(sys.modules) - before))
print([m for m in sys.modules if m.startswith("hypothesis")])
"""
    ran = python("-c", script)
    assert ran.stdout.splitlines() == [
        "['im_proto', 'im_proto.testing', 'im_proto.testing.plugin']",
        "[]",
    ], ran.stderr


@pytest.mark.slow
def test_the_plugin_makes_a_test_of_each_case_and_gives_a_world(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        """
import pytest
from conformance.broken import IgnoresTheEnd, broken
from conformance.subjects import TrioSubject

@pytest.mark.im_conformance(TrioSubject, level="extras")
def test_good(im_conformance):
    im_conformance()

@pytest.mark.im_conformance(broken(IgnoresTheEnd), patience=3)
def test_bad(im_conformance):
    im_conformance()

@pytest.mark.parametrize("sim_seed", [1, 2])
def test_world(sim_world, sim_seed):
    assert sim_world.seed == sim_seed

def test_default_world(sim_world):
    assert sim_world.seed == 0
"""
    )
    run = ["-m", "pytest", "-p", "im_proto.testing.plugin", "-p", "no:cacheprovider"]
    run += ["--strict-markers", "-W", "error", str(tmp_path)]
    ran = python(*run, "-v", "-k", "half-close or refused or world", cwd=tmp_path)
    for line in (
        "test_good[half-close] PASSED",
        "test_good[refused] PASSED",
        "test_bad[half-close] FAILED",
        "test_bad[refused] PASSED",
        "test_world[1] PASSED",
        "test_default_world PASSED",
    ):
        assert line in ran.stdout, ran.stdout + ran.stderr
    assert "look:  the reading loop" in ran.stdout
    collected = python(*run, "--collect-only", "-q", cwd=tmp_path).stdout
    wanted = [c for c in cases("extras") if c.needs is None or c.needs in TrioSubject.features]
    assert collected.count("::test_good[") == len(wanted)
    assert collected.count("::test_bad[") == len(cases("core"))
