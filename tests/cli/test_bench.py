"""`im bench`: that it counts right and ends what it has started. How fast it is, no test asks."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from adapters.adapter_kit import closed_port
from im_cli import bench_load
from im_cli.bench_load import Lane, Load, quantiles
from im_cli.bench_ours import Server
from im_cli.bench_process import BenchError, BenchProcess, cpu_seconds
from im_cli.bench_settings import RAISED
from server.server_kit import im_here as im


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_small_run_as_json(temporary: Path) -> None:
    result = im(
        *("bench", "--json", "--messages", "40", "--seconds", "60", "--durability", "process"),
        *("--window", "1", "--window", "8", "--pairs", "2"),
    )
    assert (result.code, result.err) == (0, "")
    said = json.loads(result.out)
    assert said["raised"] == dict(RAISED)
    assert (said["durability"], said["loop"], said["url"]) == ("process", "asyncio", None)
    assert [(one["window"], one["pairs"]) for one in said["results"]] == [(1, 2), (8, 2)]
    for one in said["results"]:
        assert (one["messages"], one["others"]) == (40, 0)
        assert one["per_second"] == pytest.approx(40 / one["seconds"])
        assert list(one["ack_ms"]) == list(one["delivery_ms"]) == ["p50", "p90", "p99", "max"]
        assert one["client_cpu_us"] > 0
        assert (one["server_cpu_us"] is not None) == sys.platform.startswith("linux")
    assert list(temporary.iterdir()) == []


def test_a_server_that_runs_and_what_waits_for_b(temporary: Path) -> None:
    with Server("process", "asyncio") as server:
        user_a, token_a, user_b, token_b = server.setup(1, 1).users[0]
        arguments = ("bench", "--url", server.url, "--window", "2", "--messages", "5")
        users = ("--user-a", user_a, "--token-a", token_a, "--user-b", user_b, "--token-b", token_b)
        assert server.setup(1, 1).users[0][0] == user_b + 1  # nobody gets what was another's
        first = im(*arguments, *map(str, users))
        again = im(*arguments, *map(str, users), "--json")
    assert (first.code, again.code) == (0, 0)
    assert server.url in first.out
    assert "in flight" in first.out
    assert "Raised above" not in first.out
    said = json.loads(again.out)
    assert (said["url"], said["durability"], said["raised"]) == (server.url, None, {})
    assert said["results"][0]["messages"] == 5
    assert said["results"][0]["server_cpu_us"] is None


@pytest.mark.peers
def test_server_and_clients_on_uvloop(temporary: Path) -> None:
    pytest.importorskip("uvloop")
    result = im("bench", "--json", "--loop", "uvloop", "--messages", "4", "--window", "2")
    assert (result.code, result.err) == (0, "")
    said = json.loads(result.out)
    assert (said["loop"], said["results"][0]["messages"]) == ("uvloop", 4)


def test_nobody_listens() -> None:
    result = im("bench", "--url", f"ws://127.0.0.1:{closed_port()}/ws", "--messages", "1")
    assert (result.code, result.out) == (1, "")
    assert "can't connect" in result.err


def test_what_can_not_be_measured_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    result = im("bench", "--url", "ws://127.0.0.1:1/ws", "--pairs", "2")
    assert (result.code, result.out) == (2, "")
    assert "--url is for one pair" in result.err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = im("bench", "--loop", "uvloop")
    assert (result.code, result.out) == (1, "")
    assert 'pip install "im-proto[uvloop]"' in result.err


def test_the_help_teaches() -> None:
    result = im("bench", "--help")
    assert result.code == 0
    for words in ("--window", "--pairs", "--durability", "--url", "make bench", "Exit 0"):
        assert words in result.out


# ---------------------------------------------------------------- counting


class _Pair:
    """Answers by itself; loses one acknowledgement of so many."""

    def __init__(self, loses: bool = False) -> None:
        self.loses = loses

    async def run(self, lane: Lane, window: int) -> None:
        while lane.next():
            lane.received("of somebody else")
            lane.received(lane.text)
            if not self.loses:
                lane.acked()
            await asyncio.sleep(0)


def test_each_message_counts_once() -> None:
    found = asyncio.run(bench_load.run([_Pair(), _Pair()], 1, None, 7))
    assert (found.messages, found.strays) == (7, 7)
    assert set(found.ack) == {"p50", "p90", "p99", "max"}


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_load, "_PATIENCE", 0.01)
    with pytest.raises(TimeoutError, match="3 sent, 0 acknowledged, 3 received"):
        asyncio.run(bench_load.run([_Pair(loses=True)], 1, None, 3))


def test_a_run_ends_by_time_or_by_number() -> None:
    async def taken(seconds: float | None, messages: int | None, now: float) -> int:
        load = Load(seconds, messages)
        return sum(load.take(now) for _ in range(10))

    assert asyncio.run(taken(None, 4, 0.0)) == 4
    assert asyncio.run(taken(1.0, None, 0.0)) == 10
    assert asyncio.run(taken(1.0, None, float("inf"))) == 0


def test_quantiles() -> None:
    assert quantiles([float(n) for n in range(100, 0, -1)]) == {
        "p50": 51.0,
        "p90": 91.0,
        "p99": 100.0,
        "max": 100.0,
    }
    assert quantiles([2.0]) == {"p50": 2.0, "p90": 2.0, "p99": 2.0, "max": 2.0}
    assert quantiles([]) == {}


# ---------------------------------------------------------------- processes


def _run(code: str) -> BenchProcess:
    return BenchProcess("it", "timeit", "-n", "1", "-r", "1", code)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('print(\'{"error": "no"}\', flush=True)', "it: no"),
        ("print('[]', flush=True)", r"it said '\[\]'"),
        ("raise SystemExit('the end')", r"(?s)it has ended:\n.*the end"),
    ],
)
def test_what_a_process_says_instead_of_an_answer(code: str, said: str) -> None:
    with _run(code) as process, pytest.raises(BenchError, match=said):
        process.answer(60.0)


def test_a_process_that_says_nothing_and_one_that_is_gone() -> None:
    with _run("import sys; sys.stdin.read()") as process:
        with pytest.raises(BenchError, match=r"it said nothing for 0\.01 s"):
            process.answer(0.01)
        if sys.platform.startswith("linux"):
            assert cpu_seconds(process.pid) > 0
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_clients_end_with_whoever_started_them() -> None:
    arguments: tuple[Any, ...] = ("im_cli.bench_loop", "asyncio", "im_cli.bench_load")
    process = BenchProcess("clients", *arguments, "im_cli.bench_ours")
    process.close()  # closes its input, as our own end would
    assert process._process.returncode == 0
