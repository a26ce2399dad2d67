"""Turns, ratios, goals, files: what the benchmarks do with figures, whatever the figures are."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks import plots, report
from benchmarks.harness import (
    Contestant,
    Curve,
    Figure,
    Goal,
    Options,
    Row,
    RowResult,
    Spread,
    measure,
    trace,
    turns,
)


def _quiet(row: Row, number: int, name: str) -> None:
    pass


def _row(contestants: Sequence[Contestant], **rest: Any) -> Row:
    given = {"reference": "b", **rest}
    return Row("work", "The work", "≥ 2 × b", "things/s", True, contestants, **given)


def _from(*values: float | Figure) -> Callable[[], float | Figure]:
    rest = list(values)
    return lambda: rest.pop(0)


def _result(a: Sequence[float], b: Sequence[float], *goals: Goal) -> RowResult:
    row = _row([Contestant("a", _from(*a)), Contestant("b", _from(*b))], goals=goals)
    return measure(row, len(a), _quiet)


def test_each_round_begins_with_the_next_contestant() -> None:
    assert turns(["a", "b", "c"], 4) == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]
    assert turns([], 2) == [[], []]


def test_contestants_take_turns_and_are_closed_once() -> None:
    said: list[str] = []

    def one(name: str) -> Contestant:
        return Contestant(name, lambda: said.append(name) or 1.0, lambda: said.append(f"{name}."))

    told: list[tuple[int, str]] = []
    measure(_row([one("a"), one("b")]), 2, lambda row, number, name: told.append((number, name)))
    assert said == ["a", "b", "b", "a", "a.", "b."]
    assert told == [(1, "a"), (1, "b"), (2, "b"), (2, "a")]


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    found = _result([10.0, 40.0, 90.0], [10.0, 20.0, 10.0])
    # that of the medians would be 4
    assert found.ratio("a", "b") == Spread(2.0, 1.0, 9.0)
    assert found.spread("a") == Spread(40.0, 10.0, 90.0)
    assert found.ratio("a", "nobody") is None


@pytest.mark.parametrize(
    ("goal", "reached"),
    [
        (Goal("a", ">=", 2.0, "b"), True),
        (Goal("a", ">=", 2.1, "b"), False),
        (Goal("a", "<=", 2.0, "b"), True),
        (Goal("a", "<=", 1.9, "b"), False),
        (Goal("a", ">=", 20.0), True),
        (Goal("a", "<=", 19.0), False),
        (Goal("a", ">=", 1.0, "nobody"), None),
    ],
)
def test_a_goal_is_about_a_ratio_or_about_the_figure(goal: Goal, reached: bool | None) -> None:
    assert _result([20.0], [10.0]).reached(goal) is reached


def test_ratios_of_a_detail() -> None:
    row = _row(
        [
            Contestant("a", _from(Figure(1.0, {"cpu": 6.0}), Figure(1.0, {"cpu": 8.0}))),
            Contestant("b", _from(Figure(1.0, {"cpu": 2.0}), Figure(1.0, {"cpu": 2.0}))),
        ]
    )
    found = measure(row, 2, _quiet)
    assert found.ratio("a", "b", "cpu") == Spread(3.5, 3.0, 4.0)
    assert found.measured["a"].details() == {"cpu": Spread(7.0, 6.0, 8.0)}


def test_who_lacks_something_is_left_out_with_a_word() -> None:
    def never() -> float:
        raise AssertionError

    row = _row([Contestant("a", never, missing="no a: get one"), Contestant("b", _from(1.0))])
    found = measure(row, 1, _quiet)
    assert list(found.measured) == ["b"]
    assert report.of_row(found)["contestants"]["a"] == {"missing": "no a: get one"}


def test_who_fails_is_out_and_the_others_go_on() -> None:
    closed: list[str] = []
    runs = iter([1.0])
    row = _row(
        [
            Contestant("a", lambda: next(runs), lambda: closed.append("a")),
            Contestant("b", _from(5.0, 6.0, 7.0), lambda: closed.append("b")),
        ]
    )
    found = measure(row, 3, _quiet)
    assert found.measured["a"].failed == "StopIteration: "
    assert found.measured["a"].values == []
    assert found.measured["b"].values == [5.0, 6.0, 7.0]
    assert closed == ["a", "b"]


def test_numbers_have_three_digits_that_count() -> None:
    written = [report.number(value) for value in (0, 0.01234, 1.234, 12.34, 123.4, 12345.6)]
    assert written == ["0.00", "0.0123", "1.23", "12.3", "123", "12,346"]
    assert report.number(math.nan) == "–"


def _works(fails: bool = False) -> Callable[[Options], list[Row | Curve]]:
    def found(options: Options) -> list[Row | Curve]:
        def a() -> float:
            if fails:
                raise ValueError("broken")
            return 10.0

        return [
            _row(
                [
                    Contestant("a", a, note="of ours"),
                    Contestant("b", lambda: Figure(10.0, {"CPU us": math.nan})),
                    Contestant("c", missing="c is not installed: get c"),
                ],
                goals=[Goal("a", ">=", 2.0, "b")],
                notes=["a note"],
            ),
            Curve(
                "growth",
                "Growth",
                "things",
                "us",
                lambda: {"a": [(1, 2.0), (10, 2.5)]},
                goal="flat",
                reached=lambda series: series["a"][-1][1] < 3,
            ),
        ]

    return found


def test_files_and_output_of_a_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "works", _works())
    assert command.main(["--rounds", "2", "--json", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert [one["key"] for one in said["found"]] == ["work", "growth"]
    assert said["machine"]["cores"]
    assert said["versions"]["python"]
    row, curve = said["found"]
    assert row["contestants"]["a"]["samples"] == [10.0, 10.0]
    assert row["contestants"]["b"]["details"]["CPU us"]["median"] is None
    assert row["goals"][0]["found"] == {"median": 1.0, "least": 1.0, "greatest": 1.0}
    assert row["goals"][0]["reached"] is False
    assert curve["series"] == {"a": [[1, 2.0], [10, 2.5]]}
    assert curve["reached"] is True
    kept = json.loads((tmp_path / "work.json").read_text("utf-8"))
    assert kept["measured"]["options"] == {"quick": False, "rounds": 2, "loop": "asyncio"}
    assert {one: kept[one] for one in row} == row
    for words in ("not reached", "left out: c: c is not installed: get c", "· a note"):
        assert words in err
    assert (tmp_path / "summary.md").read_text("utf-8").splitlines()[2:] == [
        "| The work: a | ≥ 2 × b | 1.00 (1.00 – 1.00) | not reached |",
        "| Growth | flat | the curve | reached |",
    ]


def test_figures_never_change_the_exit_status_but_failures_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "works", _works(fails=True))
    assert command.main(["work", "--out", str(tmp_path)]) == 1
    assert "failed: a: ValueError: broken" in capsys.readouterr().out
    assert not (tmp_path / "growth.json").exists()


def test_a_curve_that_fails_says_so() -> None:
    def broken() -> dict[str, list[tuple[float, float]]]:
        raise ValueError("broken")

    found = trace(Curve("c", "C", "x", "y", broken, reached=lambda series: True))
    assert (found.failed, found.reached) == ("ValueError: broken", None)


@pytest.mark.parametrize("arguments", [["nothing-like-this"], ["--rounds", "0"]])
def test_a_wrong_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().out == ""


def test_the_list_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    keys = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[0] != " "]
    assert {"round-trip", "messages-64", "messages-1024", "pairs"} <= set(keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.peers
def test_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    drawn = plots.draw_row(_result([10.0, 12.0], [10.0, 9.0], Goal("a", ">=", 2, "b")), tmp_path)
    assert [path.name for path in drawn] == ["work.png", "work.svg"]
    assert drawn[0].read_bytes().startswith(b"\x89PNG")
    before = drawn[1].read_bytes()
    assert b"The work" in before
    plots.draw_row(_result([10.0, 12.0], [10.0, 9.0], Goal("a", ">=", 2, "b")), tmp_path)
    assert drawn[1].read_bytes() == before
    assert plots.draw_row(_result([], []), tmp_path) == []
    curve = Curve("curve", "Curve", "x", "y", lambda: {"a": [(1, 2.0)]})
    assert all(path.exists() for path in plots.draw_curve(trace(curve), tmp_path))
