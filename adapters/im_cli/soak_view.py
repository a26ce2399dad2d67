"""What `im soak` shows: progress while it runs, and two tables at the end."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from .soak_points import ANYWHERE, CLIENT, SERVER
from .soak_result import SoakOptions, SoakResult

if TYPE_CHECKING:
    from . import soak


class Watching:
    """Shows how far it is: a bar on a terminal, otherwise a line a round; with --json on stderr."""

    def __init__(self, options: SoakOptions) -> None:
        self._console = Console(stderr=options.json, highlight=False)
        self._quiet = options.json and not self._console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def report(self, progress: soak.Progress) -> None:
        """Show it."""
        self._bar.update(
            self._task,
            description=progress.news,
            completed=progress.done,
            total=progress.total,
        )
        if not self._console.is_terminal and not self._quiet:
            self._console.print(progress.news, markup=False)


def points_table(result: SoakResult) -> Table:
    """Point × hits."""
    table = Table(title="killed", title_justify="left", pad_edge=False)
    table.add_column("who", style="bold")
    table.add_column("point")
    table.add_column("times", justify="right")
    table.add_column("", style="dim")
    for who, meanings, counts in (
        ("client", CLIENT, result.client_points),
        ("server", SERVER, result.server_points),
    ):
        for point, count in counts.items():
            meaning = meanings.get(point, "the other one had died at its point")
            if count or point != ANYWHERE:
                table.add_row(who, point, Text(str(count), "" if count else "yellow"), meaning)
        table.add_section()
    return table


def messages_table(result: SoakResult) -> Table:
    """What became of the messages."""
    table = Table(title="im soak", title_justify="left", show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    rounds = ", ".join(f"{count} {kind}" for kind, count in result.rounds.items())
    rows = (
        ("sent", result.sent, "with a key, both ways together"),
        ("accepted", result.accepted, "the server answered: it is on disk"),
        ("delivered", result.delivered, "handled by the other application"),
        ("came again", result.redelivered, "and said so: no duplicates"),
        ("rounds", result.rounds and sum(result.rounds.values()), rounds),
    )
    for name, value, note in rows:
        table.add_row(name, f"{value:,}", note)
    table.add_section()
    for name, value in (
        ("lost", result.lost),
        ("duplicated", result.duplicated),
        ("out of order", result.out_of_order),
        ("refused", result.failed),
        ("without an end", result.undecided),
    ):
        style = "bold red" if value else "bold green"
        table.add_row(name, Text(f"{value:,}", style), "by the files alone")
    return table


_WORDS = {
    "kept": ("Kept: nothing lost, nothing twice, nothing out of order.", "bold green"),
    "broken": ("BROKEN: the promise was not kept.", "bold red"),
    "nothing proved": ("Nothing proved: the kills did not hit what they had to.", "bold yellow"),
}


def show(result: SoakResult, options: SoakOptions, console: Console | None = None) -> None:
    """Print the tables and the verdict."""
    console = console or Console(highlight=False)
    console.print(points_table(result))
    console.print(messages_table(result))
    words, style = _WORDS[result.verdict]
    if result.broken is not None:
        words += f" (broken on purpose: {result.broken})"
    console.print(f"{words} {result.seconds:,.0f} s.", style=style)
    for reason in result.reasons:
        console.print(f"  {reason}", markup=False)
    if options.keep is not None:
        console.print(f"\nJudge by the files alone: im audit {options.keep}", markup=False)
