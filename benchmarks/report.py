"""What was measured as JSON, as a table for people, and as the summary of all files."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.harness import CurveResult, Options, RowResult, Spread

_PACKAGES: Final = (
    *("pydantic", "pydantic-core", "wsproto", "uvicorn", "httptools", "uvloop", "websockets"),
    *("python-socketio", "aiohttp", "nats-py", "aiomqtt"),
)
#: Details of a row that are in its table; the others are in its file.
_SHOWN: Final = 4
_PROGRAMS: Final = {"nats-server": ("nats-server", "--version"), "mosquitto": ("mosquitto", "-h")}


def circumstances(options: Options) -> dict[str, Any]:
    """The machine, the versions, the moment and the code."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _first_line(
            "git", "-C", Path(__file__).parent, "describe", "--always", "--dirty"
        ),
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "processor": _processor(),
            "cores": os.cpu_count(),
        },
        "versions": {"python": platform.python_version(), **_versions()},
        "options": {"quick": options.quick, "rounds": options.rounds, "loop": options.loop},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    for name, command in _PROGRAMS.items():
        if line := _first_line(*command):
            found[name] = line
    return found


def _first_line(*command: object) -> str:
    try:
        ended = subprocess.run(
            [*map(str, command)], capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:
        return ""
    return next(iter(ended.stdout.splitlines()), "")


# ---------------------------------------------------------------- JSON


def _spread(spread: Spread | None) -> dict[str, float | None] | None:
    if spread is None:
        return None
    values = {"median": spread.median, "least": spread.least, "greatest": spread.greatest}
    # JSON has no NaN
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def of_row(result: RowResult) -> dict[str, Any]:
    """A row."""
    row = result.row
    contestants: dict[str, dict[str, Any]] = {}
    for one in row.contestants:
        found = result.measured.get(one.name)
        if found is None:
            contestants[one.name] = {"missing": one.missing}
        elif found.failed:
            contestants[one.name] = {"failed": found.failed}
        else:
            contestants[one.name] = {
                **(_spread(result.spread(one.name)) or {}),
                "samples": found.values,
                "details": {name: _spread(s) for name, s in found.details().items()},
                "ratio": _spread(result.ratio(one.name, row.reference)),
                "note": one.note,
            }
    return {
        "key": row.key,
        "title": row.title,
        "goal": row.goal,
        "unit": row.unit,
        "higher_is_better": row.higher_is_better,
        "reference": row.reference,
        "contestants": contestants,
        "goals": [
            {
                "contestant": goal.contestant,
                "op": goal.op,
                "bound": goal.bound,
                "against": goal.against,
                "found": _spread(result.of_goal(goal)),
                "steady": _spread(result.ratio(goal.contestant, goal.against, row.steady))
                if row.steady and goal.against
                else None,
                "reached": result.reached(goal),
            }
            for goal in row.goals
        ],
        "notes": list(row.notes),
    }


def of_curve(result: CurveResult) -> dict[str, Any]:
    """A curve."""
    curve = result.curve
    return {
        "key": curve.key,
        "title": curve.title,
        "goal": curve.goal,
        "x": curve.x_label,
        "y": curve.y_label,
        "series": {
            name: [list(point) for point in points] for name, points in result.series.items()
        },
        "failed": result.failed,
        "reached": result.reached,
        "notes": list(curve.notes),
    }


def write(found: Mapping[str, Any], about: Mapping[str, Any], directory: Path) -> None:
    """The file KEY.json of a row or a curve."""
    text = json.dumps({**found, "measured": about}, indent=1, ensure_ascii=False)
    (directory / f"{found['key']}.json").write_text(text + "\n", encoding="utf-8")


# ---------------------------------------------------------------- for people


def number(value: float) -> str:
    """With three digits that count, and no more."""
    if math.isnan(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 2 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 4)}f}"


def _range(spread: Spread) -> str:
    return f"{number(spread.least)} – {number(spread.greatest)}"


def _verdict(reached: bool | None) -> str:
    return {True: "[green]reached[/]", False: "[red]not reached[/]", None: "[yellow]unknown[/]"}[
        reached
    ]


def show_row(result: RowResult, console: Console) -> None:
    """A row as a table."""
    row = result.row
    table = Table(title=f"{row.title} ({row.key})", title_justify="left", title_style="bold")
    details = list(
        dict.fromkeys(name for found in result.measured.values() for name in found.details())
    )
    details = [name for name in details if name != row.unit][:_SHOWN]
    table.add_column("")
    for heading in (row.unit, "least – greatest", f"× {row.reference}" if row.reference else "×"):
        table.add_column(heading, justify="right")
    for heading in details:
        table.add_column(heading, justify="right", style="dim")
    for name, found in result.measured.items():
        spread, ratio = result.spread(name), result.ratio(name, row.reference)
        if spread is None:
            continue
        inner = found.details()
        table.add_row(
            name,
            number(spread.median),
            _range(spread),
            f"{ratio.median:.2f} ({ratio.least:.2f} – {ratio.greatest:.2f})" if ratio else "–",
            *(number(inner[one].median) if one in inner else "–" for one in details),
        )
    console.print(table)
    for one in row.contestants:
        if one.missing:
            console.print(f"left out: {one.name}: {one.missing}", style="yellow", markup=False)
        elif failed := result.measured[one.name].failed:
            console.print(f"failed: {one.name}: {failed}", style="red", markup=False)
    for goal in row.goals:
        spread = result.of_goal(goal)
        against = f" × {goal.against}" if goal.against else f" {row.unit}"
        is_ = "–" if spread is None else f"{number(spread.median)} ({_range(spread)})"
        steady = result.ratio(goal.contestant, goal.against, row.steady) if row.steady else None
        by = f"; by {row.steady} {number(steady.median)}" if steady else ""
        console.print(
            f"{goal.contestant}: {goal.op} {goal.bound:g}{against}: {is_}{by}: "
            f"{_verdict(result.reached(goal))}"
        )
    console.print()


def show_curve(result: CurveResult, console: Console) -> None:
    """A curve as a table."""
    curve = result.curve
    if result.failed:
        console.print(f"failed: {curve.title}: {result.failed}\n", style="red", markup=False)
        return
    table = Table(title=f"{curve.title} ({curve.key})", title_justify="left", title_style="bold")
    table.add_column(curve.x_label, justify="right")
    for name in result.series:
        table.add_column(f"{name}: {curve.y_label}", justify="right")
    lines = {name: dict(points) for name, points in result.series.items()}
    for x in sorted({x for points in lines.values() for x in points}):
        cells = (number(points[x]) if x in points else "–" for points in lines.values())
        table.add_row(f"{x:,g}", *cells)
    console.print(table)
    if curve.goal:
        console.print(f"{curve.goal}: {_verdict(result.reached)}")
    console.print()


def summary(files: Sequence[Mapping[str, Any]]) -> str:
    """A table in Markdown of all that was measured, whenever that was."""
    lines = ["| work | goal | found | |", "|---|---|---|---|"]
    for one in files:
        if "series" in one:
            lines.append(
                f"| {one['title']} | {one['goal']} | the curve | {_mark(one['reached'])} |"
            )
            continue
        for goal in one["goals"]:
            found, against = goal["found"], goal["against"]
            unit = f"× {against}" if against else one["unit"]
            op = {"<=": "≤", ">=": "≥"}[goal["op"]]
            is_ = "–"
            if found is not None and found["median"] is not None:
                spread = Spread(found["median"], found["least"], found["greatest"])
                is_ = f"{number(spread.median)} ({_range(spread)})"
            lines.append(
                f"| {one['title']}: {goal['contestant']} | {op} {goal['bound']:,g} {unit} "
                f"| {is_} | {_mark(goal['reached'])} |"
            )
    return "\n".join(lines) + "\n"


def _mark(reached: bool | None) -> str:
    return {True: "reached", False: "not reached", None: ""}[reached]
