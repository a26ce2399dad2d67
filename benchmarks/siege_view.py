"""What a siege shows: where it is while it runs, and a table at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text
from siege_result import Phase


class Watching:
    """Shows the phases as they go: a table on a terminal, otherwise a line each; on stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, transient=True, refresh_per_second=2)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live.is_started:
            self._live.stop()

    def say(self, text: str) -> None:
        """A line of news."""
        self._console.print(text, markup=False, soft_wrap=True)

    def report(self, phases: Sequence[Phase], left: float, rounds: int) -> None:
        """What is known by now."""
        if self._live.is_started:
            title = f"siege: {phases[-1].name}, {left:,.0f} s to go, {rounds:,} rounds of attacks"
            self._live.update(phases_table([phase.summary() for phase in phases], title))


def phases_table(phases: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Phase by phase."""
    table = Table(title=title, title_justify="left", pad_edge=False)
    for name in ("phase", "messages", "p50", "p99", "CPU", "memory", "files"):
        table.add_column(name, justify="left" if name == "phase" else "right")
    for phase in phases:
        table.add_row(
            phase["phase"],
            f"{phase['messages']:,}",
            f"{phase['p50_ms']:.1f} ms",
            f"{phase['p99_ms']:.1f} ms",
            f"{phase['cpu']:.0%}",
            f"{phase['rss_first_mb']:.0f} → {phase['rss_last_mb']:.0f} MB",
            f"{phase['files']:,}",
        )
    return table


def show(result: Mapping[str, Any]) -> None:
    """The end of it."""
    console = Console(highlight=False)
    console.print(phases_table(result["phases"], "siege"))
    end, done = result["end"], result["attacks"]
    console.print(
        f"{end['said']:,} messages: {end['lost']} lost, {end['duplicated']} twice, "
        f"{end['out_of_order']} out of order, {end['failed']} refused; "
        f"{end['lost_links']} links lost."
    )
    console.print(
        f"{done['rounds']:,} rounds of {done['kinds']} attacks on {done['connections']:,} "
        f"connections: {done['bytes'] / 1e6:,.0f} MB in {done['frames']:,} frames."
    )
    if not result["reasons"]:
        console.print(Text("Withstood.", "bold green"))
        return
    console.print(Text("Not withstood:", "bold red"))
    for reason in result["reasons"]:
        console.print(f"  {reason}", markup=False)
