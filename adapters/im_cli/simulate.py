"""`im simulate`: many lives of clients and a server in virtual time, and everything going wrong.

Each seed is one `im_proto.testing.simulate`; this runs many of them in processes, shows how far it
is, and says how to see a failing one again.
"""

from __future__ import annotations

import contextlib
import gc
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from im_proto.testing.sim import FAULTS, Outcome, describe, simulate

#: Failing seeds that are told one by one.
_TOLD: Final = 10

HELP: Final = """Live through years of bad luck in virtual time, and check every promise.

Each seed is a world of its own: real client engines, a real server, and simulated networks, clocks,
disks, tokens and applications, in which faults happen at random moments. Then everything heals,
and every accepted message must have arrived once and in order, or its loss must have been told.
The same seed gives the same history, so a failure can be looked at:

[bold]im simulate --seed 17 --trace seed-17.txt[/]

Exit 0: every promise was kept. Exit 1: one was broken, or a fault never happened.

The faults:

""" + "\n\n".join(f"[bold]{name}[/]: {describe(name)}" for name in FAULTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateOptions:
    """What `im simulate` is told."""

    seeds: int = 100
    first_seed: int = 0
    clients: int = 5
    minutes: float = 10.0
    faults: str = "all"
    jobs: int = 0
    seed: int | None = None
    trace: Path | None = None
    json: bool = False

    @property
    def names(self) -> list[str]:
        """The chosen faults.

        Raises:
            ValueError: there is no such fault.
        """
        if self.faults == "all":
            return list(FAULTS)
        names = [name.strip() for name in self.faults.split(",") if name.strip()]
        for name in names:
            if name not in FAULTS:
                raise ValueError(f"there is no fault {name!r}")
        return names

    def again(self, seed: int) -> str:
        """The command that shows a seed's history."""
        words = f"im simulate --seed {seed} --clients {self.clients} --minutes {self.minutes:g}"
        if self.faults != "all":
            words += f" --faults {self.faults}"
        return f"{words} --trace seed-{seed}.txt"


@dataclass(slots=True, kw_only=True)
class Total:
    """What came of all seeds."""

    seeds: int = 0
    simulated_seconds: float = 0.0
    seconds: float = 0.0
    #: of processor time, all processes together
    busy_seconds: float = 0.0
    steps: int = 0
    submitted: int = 0
    accepted: int = 0
    delivered: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    failures: list[Outcome] = field(default_factory=list)
    interrupted: bool = False

    def add(self, outcome: Outcome) -> None:
        """One more seed."""
        self.seeds += 1
        self.simulated_seconds += outcome.simulated
        self.busy_seconds += outcome.seconds
        self.steps += outcome.steps
        self.submitted += outcome.submitted
        self.accepted += outcome.accepted
        self.delivered += outcome.delivered
        self.faults.update(outcome.faults)
        if outcome.failure is not None:
            self.failures.append(outcome)

    @property
    def steps_per_second(self) -> int:
        """Steps of engines in a second of processor time."""
        return round(self.steps / self.busy_seconds) if self.busy_seconds else 0

    def idle(self, names: list[str]) -> list[str]:
        """The chosen faults that never happened."""
        return [name for name in names if not self.faults[name]]

    def exit_code(self, options: SimulateOptions) -> int:
        """0: kept; 1: broken, or a fault never happened; 130: interrupted.

        One seed alone need not meet every fault.
        """
        if self.failures:
            return 1
        if self.interrupted:
            return 130
        return 1 if options.seed is None and self.idle(options.names) else 0

    def as_dict(self, options: SimulateOptions) -> dict[str, Any]:
        """For --json."""
        names = options.names
        return {
            "seeds": self.seeds,
            "first_seed": options.first_seed if options.seed is None else options.seed,
            "clients": options.clients,
            "minutes": options.minutes,
            "simulated_seconds": round(self.simulated_seconds, 3),
            "seconds": round(self.seconds, 3),
            "steps": self.steps,
            "steps_per_second": self.steps_per_second,
            "submitted": self.submitted,
            "accepted": self.accepted,
            "delivered": self.delivered,
            "faults": {name: self.faults[name] for name in names},
            "never_injected": self.idle(names),
            "failures": [
                {"seed": o.seed, "failure": o.failure, "at": o.simulated, "step": o.steps}
                for o in self.failures
            ],
            "interrupted": self.interrupted,
            "exit_code": self.exit_code(options),
        }


@dataclass(frozen=True, slots=True)
class _Job:
    """One seed, as a process is told."""

    seed: int
    clients: int
    minutes: float
    faults: tuple[str, ...]


def _live(job: _Job) -> Outcome:
    return simulate(job.seed, clients=job.clients, minutes=job.minutes, faults=job.faults)


def _begin_process() -> None:
    # Ctrl-C reaches the whole group: the first process says what becomes of the others
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _collect_seldom()


def _collect_seldom() -> None:
    """A world has few cycles and many objects: looking at them all the time costs a fifth."""
    gc.set_threshold(100_000, 50, 50)


@contextlib.contextmanager
def _outcomes(options: SimulateOptions) -> Iterator[Iterator[Outcome]]:
    """The outcomes as they come, from as many processes as wanted."""
    names = tuple(options.names)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    jobs = [_Job(seed, options.clients, options.minutes, names) for seed in seeds]
    processes = min(options.jobs or os.cpu_count() or 1, len(jobs))
    if processes == 1:
        _collect_seldom()
        yield map(_live, jobs)
        return
    # leaving the block ends the processes at once, whatever they do
    with multiprocessing.get_context("spawn").Pool(processes, _begin_process) as pool:
        yield pool.imap_unordered(_live, jobs)


def run_seeds(options: SimulateOptions, console: Console | None = None) -> Total:
    """Run all seeds, and add them up. Ctrl-C ends it with what was done so far.

    Args:
        options: what and how much.
        console: where to show how far it is; None: nowhere.

    Raises:
        ValueError: there is no such fault.
    """
    total = Total()
    began = time.perf_counter()
    progress = Progress(
        TextColumn("seeds"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}"),
        console=console,
        disable=console is None or not console.is_terminal,
        transient=True,
    )
    with progress:
        bar = progress.add_task("", total=options.seeds, told="")
        try:
            with _outcomes(options) as outcomes:
                for outcome in outcomes:
                    total.add(outcome)
                    seconds = time.perf_counter() - began
                    told = f"{total.steps / seconds:,.0f} steps/s"
                    if total.failures:
                        told += f"  [red]{len(total.failures)} failed[/]"
                    progress.update(bar, advance=1, told=told)
        except KeyboardInterrupt:
            total.interrupted = True
    total.failures.sort(key=lambda outcome: outcome.seed)
    total.seconds = time.perf_counter() - began
    return total


def run_one(options: SimulateOptions) -> Total:
    """Run one seed, and write its history if it is wanted.

    Raises:
        OSError: the file can't be written.
        ValueError: there is no such fault.
    """
    assert options.seed is not None
    total = Total()
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        trace = None
        if options.trace is not None:
            file = stack.enter_context(options.trace.open("w", encoding="utf-8", newline="\n"))
            trace = lambda line: file.write(line + "\n")  # noqa: E731
        try:
            total.add(
                simulate(
                    options.seed,
                    clients=options.clients,
                    minutes=options.minutes,
                    faults=options.names,
                    trace=trace,
                )
            )
        except KeyboardInterrupt:
            total.interrupted = True
    total.seconds = time.perf_counter() - began
    return total


# ---------------------------------------------------------------- what is shown


def faults_table(total: Total, names: list[str]) -> Table:
    """The faults, how often each was injected, and what each does."""
    table = Table(title="im simulate", title_justify="left", pad_edge=False)
    table.add_column("fault", style="bold", no_wrap=True)
    table.add_column("injected", justify="right")
    table.add_column("what it does", style="dim")
    for name in names:
        count = total.faults[name]
        table.add_row(name, f"{count:,}" if count else "[bold red]0[/]", describe(name))
    return table


def show(total: Total, options: SimulateOptions, console: Console) -> None:
    """Print the table, the figures and the verdict."""
    names = options.names
    if names:
        console.print(faults_table(total, names))
    console.print(
        f"{total.seeds:,} seeds, {total.simulated_seconds / 3600:,.1f} simulated hours in "
        f"{total.seconds:,.1f} s; {total.steps:,} steps, {total.steps_per_second:,} a second of "
        "processor time",
    )
    console.print(
        f"{total.submitted:,} messages submitted, {total.accepted:,} accepted, "
        f"{total.delivered:,} deliveries"
    )
    for outcome in total.failures[:_TOLD]:
        console.print(
            f"seed {outcome.seed}, at {outcome.simulated:.3f} s, step {outcome.steps}:",
            style="bold red",
        )
        console.print(f"  {outcome.failure}", markup=False)
        console.print(f"  {options.again(outcome.seed)}", markup=False, style="dim")
    if len(total.failures) > _TOLD:
        others = ", ".join(str(outcome.seed) for outcome in total.failures[_TOLD:])
        console.print(f"also failed: {others}")
    idle = total.idle(names)
    if total.failures:
        console.print("BROKEN: a promise was not kept.", style="bold red")
    elif total.interrupted:
        console.print("interrupted: this is what was done so far", style="yellow")
    elif idle and options.seed is None:
        console.print(
            f"Never injected: {', '.join(idle)}. A fault that didn't happen proves nothing: take "
            "more seeds or minutes, or leave it out with --faults.",
            style="bold red",
        )
    else:
        console.print(
            "Kept: everything accepted arrived, once and in order, or was reported.",
            style="bold green",
        )


def simulate_command(options: SimulateOptions) -> int:
    """Run it, show it, and return the exit code.

    Raises:
        OSError: the trace can't be written.
        ValueError: there is no such fault.
    """
    console = Console(stderr=options.json, highlight=False)
    total = run_seeds(options, console) if options.seed is None else run_one(options)
    if options.json:
        sys.stdout.write(json.dumps(total.as_dict(options)) + "\n")
    else:
        show(total, options, console)
        if options.trace is not None:
            console.print(f"the history is in {options.trace}", markup=False, soft_wrap=True)
    return total.exit_code(options)
