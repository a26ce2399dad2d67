"""What `im demo` shows: progress while it runs, and a table at the end."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from .demo_result import DemoOptions, Result, Snapshot

_LANES = (
    ("alice → bob  accepted", 0, "accepted"),
    ("alice → bob  delivered", 0, "delivered"),
    ("bob → alice  accepted", 1, "accepted"),
    ("bob → alice  delivered", 1, "delivered"),
)


class Watching:
    """Shows how far it is: bars on a terminal, otherwise a line a fault; with --json on stderr."""

    def __init__(self, options: DemoOptions) -> None:
        self._console = Console(stderr=options.json, highlight=False)
        self._quiet = options.json and not self._console.is_terminal
        self._last = Text("", style="dim")
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            console=self._console,
        )
        self._tasks = [
            self._progress.add_task(name, total=options.messages) for name, _, _ in _LANES
        ]
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                Group(self._progress, self._last),
                console=self._console,
                transient=True,
                refresh_per_second=10,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def report(self, snapshot: Snapshot) -> None:
        """Show it."""
        if self._live is None:
            for text in snapshot.news:
                if not self._quiet:
                    self._console.print(text, markup=False)
            return
        for task, (_, lane, what) in zip(self._tasks, _LANES, strict=True):
            self._progress.update(task, completed=getattr(snapshot, what)[lane])
        if snapshot.news:
            self._last.plain = snapshot.news[-1]


def result_table(result: Result) -> Table:
    """The table at the end; also the picture in the README."""
    table = Table(title="im demo", title_justify="left", show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")

    def add(name: str, value: object, note: str = "", *, bad: bool = False) -> None:
        shown = f"{value:,}" if isinstance(value, int | float) else str(value)
        table.add_row(name, Text(shown, style="bold red" if bad else ""), note)

    add("sent", result.sent, "both ways together")
    add("accepted", result.accepted, "the server answered: it is on disk")
    add("delivered", result.delivered, "in the other application's log")
    table.add_section()
    for name, value in (
        ("lost", result.lost),
        ("duplicated", result.duplicated),
        ("out of order", result.out_of_order),
    ):
        table.add_row(
            name,
            Text(f"{value:,}", style="bold red" if value else "bold green"),
            "by the two logs and the database alone",
        )
    table.add_section()
    add("kills of the server", result.kills, "SIGKILL, then a restart on the same file")
    in_flight = ", ".join(map(str, result.in_flight_at_kills)) or "-"
    add("in flight at each kill", in_flight, "handed over and unanswered")
    kinds = ", ".join(f"{count} {kind}" for kind, count in result.cuts_by_kind.items())
    add("cut connections", result.cuts, kinds)
    add("reconnects", result.reconnects, "logged in again after a lost link")
    add("resumed", result.resumed, "went on behind the last message handled")
    add("retransmitted", result.retransmitted, "sent again, as the answer never came")
    add("duplicates suppressed", result.duplicates_suppressed, "came again, not delivered again")
    add(
        "stale writes refused",
        result.stale_writes_refused,
        f"late messages of {result.zombies_released} replaced log-ins",
    )
    table.add_section()
    add("latency p50", f"{result.p50_ms:,.0f} ms", "from the call to the other application")
    add("latency p99", f"{result.p99_ms:,.0f} ms", "outages included")
    add("messages a second", round(result.messages_per_s), f"durability: {result.durability}")
    return table


_WORDS = {
    "kept": ("Kept: nothing lost, nothing twice, nothing out of order.", "bold green"),
    "broken": ("BROKEN: the promise was not kept.", "bold red"),
    "nothing proved": ("Nothing proved: the faults did not hit what they had to.", "bold yellow"),
}


def show(result: Result, options: DemoOptions, console: Console | None = None) -> None:
    """Print the table, the verdict and what to try next."""
    console = console or Console(highlight=False)
    console.print(result_table(result))
    words, style = _WORDS[result.verdict]
    if result.sabotage is not None:
        words += f" (sabotaged: {result.sabotage})"
    console.print(words, style=style)
    for reason in result.reasons:
        console.print(f"  {reason}", markup=False)
    console.print("\nTry next:", style="bold")
    for command, what in _next(options):
        console.print(f"  {command:<42}", what, sep="", markup=False)


def _next(options: DemoOptions) -> list[tuple[str, str]]:
    kept: Path | None = options.keep
    audit = f"im audit {kept}" if kept else "im demo --keep DIR && im audit DIR"
    return [
        ("im demo --break dedupe", "break the engine: it must notice"),
        ("im serve --dev + im chat --user 1 --to 2", "talk, in three terminals"),
        (audit, "judge by the files alone"),
    ]
