"""`im demo` as a user runs it: real processes, real sockets, a real SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import im_cli
import im_proto
from im_cli.audit import audit
from im_cli.demo import DemoError, DemoOptions, demo_command
from im_cli.demo_server import ServerProcess

ROOTS = [Path(im_cli.__path__[0]).parent, Path(im_proto.__path__[0]).parent]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, ROOTS))}
SMALL = ("--messages", "300", "--kills", "1", "--cuts", "4")


def im(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "im_cli", *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )


def demo(*arguments: str, status: int) -> dict[str, Any]:
    """Run the demo; its one JSON object."""
    done = im("demo", "--json", *arguments)
    assert done.returncode == status, (done.stdout, done.stderr)
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    result: dict[str, Any] = json.loads(line)
    assert result["exit_code"] == status
    return result


def test_the_promise_is_kept_and_can_be_audited(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    result = demo(*SMALL, "--keep", str(kept), status=0)
    assert result["verdict"] == "kept"
    assert result["sent"] == result["accepted"] == result["delivered"] == 600
    assert result["lost"] == result["duplicated"] == result["out_of_order"] == 0
    assert result["kills"] == 1
    assert result["cuts"] == 4
    assert result["in_flight_at_kills"][0] > 0
    assert result["retransmitted"] > 0
    assert result["reconnects"] >= 5  # each cut, and at the kill one at least
    assert result["resumed"] == result["reconnects"]
    assert result["zombies_released"] > 0
    assert result["stale_writes_refused"] > 0
    assert 0 < result["p50_ms"] <= result["p99_ms"]
    assert json.loads((kept / "result.json").read_text("utf-8")) == result
    assert {"alice.jsonl", "bob.jsonl", "im.db"} <= {path.name for path in kept.iterdir()}

    # the auditor alone, by a Python that sees nothing else of ours
    script = ROOTS[0] / "im_cli" / "audit.py"
    command = [sys.executable, "-I", str(script), str(kept)]
    alone = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert (alone.returncode, alone.stderr) == (0, "")
    assert "verdict" in alone.stdout

    # a message less in the log of one of them
    log = kept / "bob.jsonl"
    lines = log.read_text("utf-8").splitlines(keepends=True)
    last = max(i for i, line in enumerate(lines) if '"received"' in line)
    log.write_text("".join(lines[:last] + lines[last + 1 :]), "utf-8")
    assert audit(kept).lost == 1


def test_a_run_without_faults_proves_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert demo_command(DemoOptions(messages=50, kills=0, cuts=0, json=True)) == 2
    out, err = capfd.readouterr()
    assert err == ""
    result = json.loads(out)
    assert result["reasons"] == ["nothing had to be retransmitted"]
    assert result["sent"] == result["delivered"] == 100
    assert result["lost"] == result["duplicated"] == result["out_of_order"] == 0


def test_a_server_that_ends_by_itself_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def check(server: ServerProcess) -> None:
        raise DemoError("the server has ended by itself")

    monkeypatch.setattr(ServerProcess, "check", check)
    assert demo_command(DemoOptions(messages=50, kills=0, cuts=1, json=True)) == 2
    assert capfd.readouterr() == ("", "error: the server has ended by itself\n")


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["1", "2"])
@pytest.mark.parametrize(
    ("kind", "found"), [("dedupe", "duplicated"), ("resume", "lost"), ("fence", "behind_a_fence")]
)
def test_a_broken_engine_is_noticed(kind: str, found: str, seed: str) -> None:
    result = demo(*SMALL, "--break", kind, "--seed", seed, status=1)
    assert result["verdict"] == "broken"
    assert result[found] > 0
    assert result["reasons"]


@pytest.mark.slow
def test_all_of_it_in_time() -> None:
    start = time.monotonic()
    result = demo(status=0)
    assert time.monotonic() - start < 200  # 30 on two idle cores
    assert result["sent"] == 4000
    assert (result["kills"], result["cuts"]) == (2, 10)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_server(number: signal.Signals, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    process = subprocess.Popen(
        [sys.executable, "-m", "im_cli", "demo", "--json", "--keep", str(kept)],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    end = time.monotonic() + 120
    while not (kept / "bob.jsonl").exists():  # both have begun: the server is up
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err == "interrupted\n"
    # who has the database for himself can open it: the server is gone
    assert (kept / "im.db.lock").read_bytes() == b""
