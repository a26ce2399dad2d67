"""What is measured, and how: contestants take turns, and nothing here asserts a time.

A module of figures (listed in `benchmarks.MODULES`; one that is not there yet is passed over) has

    def rows(options: Options) -> Sequence[Row]: ...
    def curves(options: Options) -> Sequence[Curve]: ...

or one of the two. Both only describe: they start nothing, so that `--list` is quick. A row is one
piece of work and those who do it:

    Row(
        key="engine-receive-one",              # on the command line, and the name of its files
        title="Engine: receive one message, one per frame",
        goal="≤ 1.4 × (wsproto + pydantic-core on the same bytes)",   # as it was set, for people
        unit="us",                             # of the figures
        higher_is_better=False,
        contestants=[
            Contestant("engine", run=receive),
            Contestant("floor", run=floor),
        ],
        reference="floor",                     # whom everybody is compared with; "" for nobody
        goals=[Goal("engine", "<=", 1.4, against="floor")],
    )

`run` does the work once and returns one figure in `unit`, a float, or a `Figure` when there is
more to tell (`details`: other figures of the same run, such as the CPU's microseconds). What it has
to prepare it prepares at its first call, outside of what it measures; `close` ends that. Whoever
lacks something (a program, a package) has `missing`, a word that names what and how to get it, and
is left out. A goal is a bound on the ratio between two contestants, or, without `against`, on the
figure itself (12 KB, 20,000 steps a second).

`measure()` lets the contestants of a row take turns: in round one each runs once, in order; in
round two again, the order rotated by one, and so on. So what the machine does besides hits all of
them. A ratio is the median of the ratios of the rounds, never that of medians, and has its spread.
A contestant that raises is out of its row, with its words; the others go on.

A `Curve` is for cost as work grows: `series` is called once and returns {name: [(x, y), …]}.

`--quick` (options.quick): a look at whether all works, in seconds for each row. Figures that depend
on how fast the machine is at that moment are worth nothing in one round; take CPU time
(`time.process_time()`, `cpu_seconds(pid)` of another process) where wall-clock time is not what is
asked for.
"""

from __future__ import annotations

import gc
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from im_cli.bench_process import cpu_seconds

__all__ = [
    "Contestant",
    "Curve",
    "CurveResult",
    "Figure",
    "Goal",
    "Measured",
    "Options",
    "Row",
    "RowResult",
    "Spread",
    "cpu_seconds",
    "measure",
    "trace",
    "turns",
]

Op = Literal["<=", ">="]
Series = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Options:
    """Of the command line, for the modules.

    Args:
        quick: little work, to see that all runs.
        rounds: how often each contestant runs.
        loop: the event loop of all servers and clients.
    """

    quick: bool = False
    rounds: int = 3
    loop: Literal["asyncio", "uvloop"] = "asyncio"


@dataclass(frozen=True, slots=True)
class Figure:
    """What one run found.

    Args:
        value: in the row's unit.
        details: other figures, each with its unit in its name: {"server CPU us": 31.5}. The first
            four are shown in the table, all are in the file.
    """

    value: float
    details: Mapping[str, float] = field(default_factory=dict)


def _nothing() -> None:
    pass


def _never() -> float:
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Contestant:
    """Somebody who does the work of a row.

    Args:
        name: for people, and for goals.
        run: does the work once; called once a round.
        close: ends what `run` has prepared; called once, after the last round, also after a
            failure, and also if `run` never was.
        missing: what this contestant lacks here and how to get it; it is left out then.
        note: what one has to know about it, for the output.
    """

    name: str
    run: Callable[[], float | Figure] = _never
    close: Callable[[], None] = _nothing
    missing: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on what a contestant's figure is in units of another's, or on the figure itself."""

    contestant: str
    op: Op
    bound: float
    against: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One piece of work. See the top of this file.

    Args:
        notes: for people: what one has to know about the work.
        steady: a detail whose ratios are shown beside each goal, since it depends less on what
            else the machine does; "" for none.
    """

    key: str
    title: str
    goal: str
    unit: str
    higher_is_better: bool
    contestants: Sequence[Contestant]
    reference: str = ""
    goals: Sequence[Goal] = ()
    notes: Sequence[str] = ()
    steady: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """Cost as work grows.

    Args:
        key: on the command line, and the name of its files.
        series: measures, and returns a line for each name.
        goal: as it was set, for people.
        reached: whether the lines say so; None where only eyes can tell.
    """

    key: str
    title: str
    x_label: str
    y_label: str
    series: Callable[[], Series]
    goal: str = ""
    reached: Callable[[Series], bool] | None = None
    x_log: bool = True
    notes: Sequence[str] = ()


def flat(series: Series, most: float) -> bool:
    """Whether no line's greatest is above `most` times its least."""
    return all(
        max(y for _, y in line) <= most * min(y for _, y in line) for line in series.values()
    )


# ---------------------------------------------------------------- what was found


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several samples, and the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    @staticmethod
    def of(samples: Sequence[float]) -> Spread:
        """At least one."""
        return Spread(statistics.median(samples), min(samples), max(samples))


@dataclass(slots=True)
class Measured:
    """What became of a contestant: its figures in the order of rounds, or why there are none."""

    figures: list[Figure] = field(default_factory=list)
    failed: str = ""

    @property
    def values(self) -> list[float]:
        """Of the rounds."""
        return [figure.value for figure in self.figures]

    def of(self, detail: str) -> list[float]:
        """Of the rounds; NaN where one has no such detail. "": the figures themselves."""
        if not detail:
            return self.values
        return [figure.details.get(detail, math.nan) for figure in self.figures]

    def details(self) -> dict[str, Spread]:
        """Of the rounds."""
        names = dict.fromkeys(name for figure in self.figures for name in figure.details)
        return {
            name: Spread.of([f.details[name] for f in self.figures if name in f.details])
            for name in names
        }


@dataclass(frozen=True, slots=True)
class RowResult:
    """A row and what was found, by contestant; who is missing is not in it."""

    row: Row
    measured: Mapping[str, Measured]

    def spread(self, name: str) -> Spread | None:
        """Of a contestant; None: it has no figures."""
        found = self.measured.get(name)
        return Spread.of(found.values) if found is not None and found.figures else None

    def ratio(self, name: str, against: str, detail: str = "") -> Spread | None:
        """What `name` has in units of `against`, round by round; None: one of them has nothing.

        Args:
            detail: of this one; "": of the figure itself.
        """
        above, below = self.measured.get(name), self.measured.get(against)
        if above is None or below is None:
            return None
        pairs = zip(above.of(detail), below.of(detail), strict=False)
        ratios = [a / b for a, b in pairs if b]
        return Spread.of(ratios) if ratios else None

    def of_goal(self, goal: Goal) -> Spread | None:
        """What the goal is about: a ratio, or a figure."""
        if goal.against:
            return self.ratio(goal.contestant, goal.against)
        return self.spread(goal.contestant)

    def reached(self, goal: Goal) -> bool | None:
        """Whether it was; None: nothing to tell from."""
        found = self.of_goal(goal)
        if found is None:
            return None
        return found.median >= goal.bound if goal.op == ">=" else found.median <= goal.bound


@dataclass(frozen=True, slots=True)
class CurveResult:
    """A curve and its lines, or why there are none."""

    curve: Curve
    series: Series
    failed: str = ""

    @property
    def reached(self) -> bool | None:
        """None: nothing to tell from."""
        if self.failed or self.curve.reached is None:
            return None
        return self.curve.reached(self.series)


#: Told before each run: the row, the round from 1, and the contestant.
Progress = Callable[[Row, int, str], None]


def turns(names: Sequence[str], rounds: int) -> list[list[str]]:
    """Who runs in each round, in order: that of the round before, rotated by one."""
    return [
        [*names[turn % len(names) :], *names[: turn % len(names)]] if names else []
        for turn in range(rounds)
    ]


def measure(row: Row, rounds: int, progress: Progress) -> RowResult:
    """Let the contestants of a row take turns."""
    there = {one.name: one for one in row.contestants if not one.missing}
    measured = {name: Measured() for name in there}
    try:
        for number, order in enumerate(turns(list(there), rounds), 1):
            for name in order:
                found = measured[name]
                if found.failed:
                    continue
                progress(row, number, name)
                gc.collect()
                try:
                    figure = there[name].run()
                except Exception as error:  # whatever it is, the others go on
                    found.failed = f"{type(error).__name__}: {error}"
                    found.figures.clear()
                else:
                    found.figures.append(figure if isinstance(figure, Figure) else Figure(figure))
    finally:
        for one in there.values():
            one.close()
    return RowResult(row, measured)


def trace(curve: Curve) -> CurveResult:
    """Measure a curve."""
    gc.collect()
    try:
        return CurveResult(curve, curve.series())
    except Exception as error:  # whatever it is, the others go on
        return CurveResult(curve, {}, f"{type(error).__name__}: {error}")
