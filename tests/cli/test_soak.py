"""`im soak` as a user runs it: real processes that are killed at named points."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import im_cli
import im_proto
from im_cli import soak_result, soak_view
from im_cli.audit import AuditError, Verdict, audit
from im_cli.soak import Progress, soak_command
from im_cli.soak_plan import KINDS, PEOPLE, Plan, floor
from im_cli.soak_points import ANYWHERE, CLIENT, DEATHS, NOT_IN_AUTO, SERVER
from im_cli.soak_result import SoakOptions, SoakResult, judge, parse_kills

ROOTS = [Path(im_cli.__path__[0]).parent, Path(im_proto.__path__[0]).parent]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, ROOTS))}
SOAK = [sys.executable, "-m", "im_cli", "soak", "--json"]


def soak(*arguments: str, status: int) -> dict[str, Any]:
    """Run it; its one JSON object."""
    done = subprocess.run(
        [*SOAK, *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == status, (done.stdout, done.stderr)
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    result: dict[str, Any] = json.loads(line)
    assert result["exit_code"] == status
    return result


# ---------------------------------------------------------------- the real thing


@pytest.mark.slow
def test_killed_at_named_points_nothing_is_lost_or_comes_twice_unsaid(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    result = soak("--kills", "client=5,server=5,both=5", "--keep", str(kept), status=0)
    assert result["verdict"] == "kept"
    assert result["rounds"] == dict.fromkeys(KINDS, 5)
    assert result["sent"] == result["accepted"] == result["delivered"] > 100
    for what in ("lost", "duplicated", "out_of_order", "failed", "undecided", "mailbox_gaps"):
        assert result[what] == 0, what
    assert sum(result["client_points"].values()) == sum(result["server_points"].values()) == 10
    # those that died alone died where they were told to, each at a point of its own
    for points in (result["client_points"], result["server_points"]):
        assert points[ANYWHERE] <= 5
        assert sum(count > 0 for point, count in points.items() if point != ANYWHERE) >= 5

    # the auditor alone, by a Python that sees nothing else of ours
    script = ROOTS[0] / "im_cli" / "audit.py"
    command = [sys.executable, "-I", str(script), str(kept)]
    alone = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert (alone.returncode, alone.stderr) == (0, "")

    # a row less in the table of the one that handles in transactions
    with closing(sqlite3.connect(kept / "ann.db")) as db, db:
        db.execute("DELETE FROM received WHERE n = (SELECT max(n) FROM received)")
    assert audit(kept).lost == 1


#: Its first four kills strike where each of the breaks is fatal.
BREAKING_SEED = 827


def test_the_seed_of_the_breaks_strikes_where_it_must() -> None:
    plan = Plan(BREAKING_SEED)
    hit = {
        (who, point) for _ in range(4) for who, (point, _) in plan.round("client").deaths.items()
    }
    assert {("bob", "handle-after"), ("ann", "handle-before"), ("ann", "send-after")} < hit


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "found"), [("cursor", "lost"), ("journal", "duplicated"), ("flag", "duplicated")]
)
def test_a_broken_client_is_noticed(kind: str, found: str) -> None:
    result = soak("--kills", "client=4", "--seed", str(BREAKING_SEED), "--break", kind, status=1)
    assert result["verdict"] == "broken"
    assert result["broken"] == kind
    assert result[found] > 0
    assert result["reasons"]


@pytest.mark.slow
def test_it_goes_on_for_the_time_it_is_given() -> None:
    start = time.monotonic()
    result = soak("--minutes", "0.1", status=0)
    assert time.monotonic() - start > 6
    assert sum(result["rounds"].values()) >= 1


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_an_interrupted_soak_leaves_no_process(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with subprocess.Popen(
        [*SOAK, "--keep", str(kept)], env=ENVIRONMENT, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        end = time.monotonic() + 120
        while not (kept / DEATHS).exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err == "interrupted\n"
    # who has a file for himself can open it: its process is gone
    import fcntl

    for name in ("im.db", "ann.db", "bob.db"):
        with (kept / f"{name}.lock").open("rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


# ---------------------------------------------------------------- dying

CHILD = """
import os, sys, threading
from im_cli.soak_points import Orders
def say(text):
    os.write(1, (text + chr(10)).encode())  # whole, whatever another thread says
orders = Orders()
orders.obey(lambda: say("finish"))
say("ready")
for point in sys.argv[1:]:
    orders.points.reach(point)
    say("past " + point)
threading.Event().wait()
"""


def child(directory: Path, die: object, *passages: str) -> subprocess.Popen[str]:
    """A process that goes past these points."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, *passages],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdin is not None
    orders = {"name": "ann", "directory": str(directory), "die": die}
    process.stdin.write(json.dumps(orders) + "\n")
    process.stdin.flush()
    return process


def test_a_process_dies_at_its_point_and_nowhere_else(tmp_path: Path) -> None:
    with child(tmp_path, ["ack-after", 2], "ack-after", "ack-before", "ack-after", "x") as process:
        assert process.wait(timeout=120) not in (0, 1)
        assert process.stdout is not None
        assert process.stdout.read() == "ready\npast ack-after\npast ack-before\n"
    assert (tmp_path / DEATHS).read_text("utf-8") == "ann ack-after\n"


def test_a_process_takes_orders_and_does_not_outlive_who_gives_them(tmp_path: Path) -> None:
    process = child(tmp_path, None, "x")
    with process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write("die another 1\nfinish\n")
        process.stdin.flush()
        lines = {process.stdout.readline() for _ in range(3)}
        assert lines == {"ready\n", "past x\n", "finish\n"}
        process.stdin.close()
        assert process.wait(timeout=120) == 1
    assert not (tmp_path / DEATHS).exists()


# ---------------------------------------------------------------- the plan


def test_a_plan_can_be_repeated_and_seeds_differ() -> None:
    def rounds(seed: int) -> list[Any]:
        plan = Plan(seed)
        return [plan.round(kind) for kind in KINDS for _ in range(20)]

    assert rounds(1) == rounds(1) != rounds(2)


@pytest.mark.parametrize("seed", range(20))
def test_fifty_kills_hit_each_point_three_times(seed: int) -> None:
    plan = Plan(seed)
    clients = [plan.round("client").deaths for _ in range(50)]
    servers = [plan.round("server").deaths for _ in range(50)]
    assert all(deaths.keys() == {"server"} for deaths in servers)
    both = [plan.round("both") for _ in range(50)]
    assert all(made.then.keys() == {"server"} and len(made.deaths) == 1 for made in both)
    assert {made.then["server"][0] for made in both} == SERVER.keys() - {"login-after"}
    hits = [point for deaths in clients for point, _ in deaths.values()]
    assert all(hits.count(point) >= 3 == floor(50, len(CLIENT)) for point in CLIENT)
    hits = [point for deaths in servers for point, _ in deaths.values()]
    assert all(hits.count(point) >= 3 == floor(50, len(SERVER)) for point in SERVER)
    # there are not many log-ins in a round
    assert {nth for deaths in servers for point, nth in deaths.values() if "login" in point} == {1}
    modes = {name: mode for name, _, mode in PEOPLE}
    for deaths in clients:
        for name, (point, _) in deaths.items():
            assert modes[name] != "auto" or point not in NOT_IN_AUTO


def test_what_is_to_be_killed() -> None:
    assert parse_kills("client=1, both=20") == {"client": 1, "server": 0, "both": 20}
    for wrong in ("client", "clients=1", "client=-1", "client=x", ""):
        with pytest.raises(ValueError, match="KIND=COUNT"):
            parse_kills(wrong)


# ---------------------------------------------------------------- the verdict

GOOD = Verdict(sent=9, accepted=9, delivered=9, redelivered=2, logins=4)
KILLS = {"client": 22, "server": 0, "both": 0}


def judged(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    verdict: Verdict | None = GOOD,
    *,
    hits: int = 2,
    rounds: int = 22,
    trouble: list[str] | None = None,
) -> SoakResult:
    """The result of a run with that verdict, in which each point of a client was hit so often."""

    def found(_: Path) -> Verdict:
        if verdict is None:
            raise AuditError("nothing to judge")
        return verdict

    monkeypatch.setattr(soak_result, "audit", found)
    lines = [f"ann {point}\n" for point in CLIENT for _ in range(hits)]
    (directory / DEATHS).write_text("".join(lines), "utf-8")
    happened = KILLS | {"client": rounds}
    return judge(directory, SoakOptions(kills=KILLS), happened, trouble or [])


def test_a_good_run_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = judged(tmp_path, monkeypatch)
    assert (result.verdict, result.exit_code, result.reasons) == ("kept", 0, [])
    assert result.client_points == dict.fromkeys(CLIENT, 2) | {ANYWHERE: 0}
    assert (result.accepted, result.redelivered) == (9, 2)


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(accepted=1, lost=1, problems=["lost: it"]),
        Verdict(accepted=1, duplicated=1, problems=["duplicated: it"]),
        Verdict(accepted=1, out_of_order=1, problems=["out of order: it"]),
        Verdict(accepted=1, failed=1),
        Verdict(accepted=1, undecided=1),
    ],
)
def test_a_broken_promise_is_one(
    verdict: Verdict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = judged(tmp_path, monkeypatch, verdict)
    assert (result.verdict, result.exit_code) == ("broken", 1)
    assert result.reasons


def test_a_run_that_went_wrong_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = judged(tmp_path, monkeypatch, trouble=["ann has ended by itself"])
    assert (result.exit_code, result.reasons) == (1, ["ann has ended by itself"])


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"hits": 1}, "client point journal-before was hit 1 times, not 2"),
        ({"rounds": 21}, "only 21 of 22 rounds of kind client happened"),
        ({"rounds": 0}, "nothing was killed"),
        ({"verdict": None}, "the run can't be judged: nothing to judge"),
    ],
)
def test_a_run_that_proves_nothing_says_why(
    more: dict[str, Any], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = judged(tmp_path, monkeypatch, **more)
    assert (result.verdict, result.exit_code) == ("nothing proved", 2)
    assert reason in result.reasons


# ---------------------------------------------------------------- what is shown


@pytest.mark.parametrize("broken", [None, "flag"])
def test_the_tables_say_everything(broken: str | None) -> None:
    result = SoakResult(
        sent=1001,
        lost=7,
        rounds={"client": 3, "server": 0, "both": 0},
        client_points=dict.fromkeys(CLIENT, 3) | {ANYWHERE: 1},
        server_points=dict.fromkeys(SERVER, 0) | {ANYWHERE: 0},
        verdict="broken",
        reasons=["lost: [it]"],
        broken=broken,
    )
    out = io.StringIO()
    soak_view.show(result, SoakOptions(keep=Path("kept")), Console(file=out, width=120))
    text = out.getvalue()
    for words in (*CLIENT, *SERVER, "1,001", "BROKEN", "lost: [it]", "im audit kept", ANYWHERE):
        assert words in text, words
    assert ("broken on purpose: flag" in text) is (broken is not None)


def test_progress_is_a_line_a_round_where_nobody_sees_a_bar(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with soak_view.Watching(SoakOptions()) as watching:
        watching.report(Progress(1, 2, "round 2: [ann] at ack-after"))
    assert capsys.readouterr() == ("round 2: [ann] at ack-after\n", "")
    with soak_view.Watching(SoakOptions(json=True)) as watching:
        watching.report(Progress(1, 2, "round 2"))
    assert capsys.readouterr() == ("", "")


def test_a_directory_with_something_in_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").touch()
    assert soak_command(SoakOptions(keep=tmp_path)) == 2
    assert "is not empty" in capsys.readouterr().err
