"""The command line of the benchmarks: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import benchmarks
from benchmarks import plots, report
from benchmarks.harness import Curve, Options, Row, measure, trace

RESULTS: Final = Path(__file__).parent / "results"
Work = Row | Curve


def works(options: Options, modules: Sequence[str] = benchmarks.MODULES) -> list[Work]:
    """All that can be measured, in order. Starts nothing."""
    found: list[Work] = []
    for name in modules:
        module = importlib.import_module(f"benchmarks.{name}")
        for attribute in ("rows", "curves"):
            found += getattr(module, attribute, lambda _: ())(options)
    return found


def chosen(found: Sequence[Work], keys: Sequence[str]) -> list[Work]:
    """Those with these keys, or a key that begins so; all, if there are none.

    Raises:
        ValueError: nothing has that key.
    """
    for key in keys:
        if not any(one.key.startswith(key) for one in found):
            raise ValueError(f"nothing is called {key!r}; --list lists them")
    return [one for one in found if not keys or one.key.startswith(tuple(keys))]


def run(work: Sequence[Work], options: Options, out: Path, as_json: bool) -> int:
    """Measure, show, write. 0: all have figures, whatever they are; 1: somebody failed."""
    console = Console(highlight=False, stderr=as_json, width=None if sys.stdout.isatty() else 160)
    about = report.circumstances(options)
    machine = about["machine"]
    console.print(
        f"{machine['processor']}, {machine['cores']} cores; Python {about['versions']['python']}; "
        f"{options.loop}; {options.rounds} rounds; commit {about['commit']}\n"
    )
    out.mkdir(parents=True, exist_ok=True)
    if lacking := plots.missing():
        console.print(f"no pictures: {lacking}", style="yellow", markup=False)
    found, failed = [], False
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    # Few redraws: they take the processor from what is measured.
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, refresh_per_second=1
    ) as progress:
        total = sum(_steps(one, options) for one in work)
        task = progress.add_task("", total=total)
        for one in work:
            if isinstance(one, Row):

                def tell(row: Row, number: int, name: str) -> None:
                    progress.update(task, description=f"{row.key}, round {number}: {name}")
                    progress.advance(task)

                row = measure(one, options.rounds, tell)
                failed |= any(measured.failed for measured in row.measured.values())
                report.show_row(row, console)
                found.append(report.of_row(row))
                if not lacking:
                    plots.draw_row(row, out)
            else:
                progress.update(task, description=one.key)
                curve = trace(one)
                progress.advance(task)
                failed |= bool(curve.failed)
                report.show_curve(curve, console)
                found.append(report.of_curve(curve))
                if not lacking:
                    plots.draw_curve(curve, out)
            report.write(found[-1], about, out)
    _write_summary(out)
    notes = dict.fromkeys(note for one in work for note in one.notes)
    for note in notes:
        console.print(f"· {note}", style="dim", markup=False)
    console.print(f"in {out}: JSON{'' if lacking else ', PNG and SVG'} of each, and summary.md")
    if as_json:
        print(json.dumps({**about, "found": found}, ensure_ascii=False))
    return int(failed)


def _steps(work: Work, options: Options) -> int:
    if isinstance(work, Curve):
        return 1
    return options.rounds * sum(not one.missing for one in work.contestants)


def _write_summary(out: Path) -> None:
    order = [work.key for work in works(Options())]
    files = [json.loads(path.read_text("utf-8")) for path in out.glob("*.json")]
    files.sort(key=lambda one: order.index(one["key"]) if one["key"] in order else len(order))
    (out / "summary.md").write_text(report.summary(files), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 whatever the figures are, 1 if somebody failed, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures this project and its peers in turns. Nothing asserts a time.",
    )
    parser.add_argument("keys", nargs="*", metavar="KEY", help="what to measure, or its beginning")
    parser.add_argument("--rounds", type=int, help="how often each runs; 3, with --quick 1")
    parser.add_argument("--quick", action="store_true", help="see whether all works, in seconds")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--list", action="store_true", help="list the keys, and measure nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object, tables to stderr")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the directory of the files")
    given = parser.parse_args(arguments)
    rounds = given.rounds if given.rounds is not None else 1 if given.quick else 3
    if rounds < 1:
        parser.error("--rounds is 1 at least")
    options = Options(quick=given.quick, rounds=rounds, loop=given.loop)
    try:
        work = chosen(works(options), given.keys)
    except ValueError as error:
        parser.error(str(error))
    if given.list:
        for one in work:
            print(f"{one.key:22} {one.title}")
            if one.goal:
                print(f"{'':22} goal: {one.goal}")
        return 0
    # what runs is ended, and what was written for it removed, also then
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(work, options, given.out, given.json)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
