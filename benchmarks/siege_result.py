"""What a siege has shown, the verdict over it, and both as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from security.attacks import ATTACKS, BUSY

_MB: Final = 1_000_000
#: The good users' p99 may become so many times what it was in quiet.
P99_FACTOR: Final = 2.0
#: Memory is flat if the last quarter of the siege has at most so much of the first one …
RSS_FACTOR: Final = 1.10
#: … and so many bytes more.
RSS_SLACK: Final = 8 * _MB
#: This part of the siege, from its start, warms the server up: buffers and tables grow once.
WARM_UP: Final = 0.1
#: Files and sockets that may be open at the end beyond those before the siege.
FILES_SLACK: Final = 8
_HEAD: Final = """# What attacks cost

Written by `benchmarks/siege.py`: what each attack is and what it is answered stands in
`tests/security/attacks`, what the limits are and why in `im_proto/config/limits.py`.

## A siege

    python benchmarks/siege.py --directory /dev/shm --write docs/security-figures.md

<!-- siege -->
<!-- /siege -->

## Each attack alone

    python benchmarks/siege.py --table --seconds 2 --directory /dev/shm --write FILE

<!-- attacks -->
<!-- /attacks -->
"""


@dataclass
class Phase:
    """What was measured in one phase, second by second."""

    name: str
    #: share of one core
    cpu: list[float] = field(default_factory=list)
    #: bytes
    rss: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    #: milliseconds from one user's call to the other's
    latencies: list[float] = field(default_factory=list)

    def quantile(self, q: float) -> float:
        """Of the latencies, in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else 0.0

    def memory(self, start: float, end: float) -> float:
        """The mean in a part of the phase, in bytes; 0.75 and 1 are its last quarter."""
        size = len(self.rss)
        part = self.rss[int(start * size) : max(int(end * size), int(start * size) + 1)]
        return statistics.fmean(part) if part else 0.0

    def summary(self) -> dict[str, Any]:
        """Figures for people and programs."""
        return {
            "phase": self.name,
            "seconds": len(self.rss),
            "messages": len(self.latencies),
            "p50_ms": round(self.quantile(0.5), 1),
            "p99_ms": round(self.quantile(0.99), 1),
            "cpu": round(statistics.fmean(self.cpu), 3) if self.cpu else 0.0,
            "rss_mb": round(self.memory(0, 1) / _MB, 1),
            "rss_first_mb": round(self.memory(WARM_UP, 0.25 + WARM_UP) / _MB, 1),
            "rss_last_mb": round(self.memory(0.75, 1) / _MB, 1),
            "files": max(self.files, default=0),
        }


def strangers(deeds: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """The answers that are not documented, by attack."""
    found = {
        name: {
            answer: count
            for answer, count in deed["answers"].items()
            if answer not in ATTACKS[name].answers | ATTACKS[name].also | BUSY
        }
        for name, deed in deeds.items()
    }
    return {name: answers for name, answers in found.items() if answers}


def judge(
    phases: Sequence[Phase], end: Mapping[str, int], deeds: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Why the siege was not withstood; empty: it was."""
    before, siege, after = phases
    reasons = [
        f"{name.replace('_', ' ')}: {end[name]}"
        for name in sorted(end)
        if name != "said" and end[name]
    ]
    quiet, loud = before.quantile(0.99), siege.quantile(0.99)
    if loud > P99_FACTOR * quiet:
        reasons.append(f"p99 went from {quiet:.1f} ms to {loud:.1f} ms")
    first, last = siege.memory(WARM_UP, 0.25 + WARM_UP), siege.memory(0.75, 1)
    if last > first * RSS_FACTOR + RSS_SLACK:
        reasons.append(f"memory grew from {first / _MB:.0f} MB to {last / _MB:.0f} MB in the siege")
    late = after.memory(0.75, 1)
    if late > last * RSS_FACTOR + RSS_SLACK:
        reasons.append(f"memory grew to {late / _MB:.0f} MB after the siege")
    if before.files and after.files[-1] > max(before.files) + FILES_SLACK:
        reasons.append(f"{after.files[-1]} files are open, before it were {max(before.files)}")
    for name, answers in strangers(deeds).items():
        reasons.append(f"{name}: {answers}, which is not documented")
    return reasons


# ---------------------------------------------------------------- Markdown


def _place(directory: str | None) -> str:
    return "on the disk" if directory is None else f"in {directory}"


def siege_section(result: Mapping[str, Any]) -> str:
    """The siege as Markdown."""
    lines = [
        f"{result['clients']} good users, {result['attackers']} attackers, "
        f"{result['minutes']:g} minutes, with {result['quiet']:g} quiet ones before and after; "
        f"{result['machine']}; the database {_place(result['directory'])}.",
        "",
        "| phase | messages | p50 | p99 | CPU | memory, first quarter | last quarter |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {phase['phase']} | {phase['messages']:,} | {phase['p50_ms']:.1f} ms "
        f"| {phase['p99_ms']:.1f} ms | {phase['cpu']:.0%} | {phase['rss_first_mb']:.0f} MB "
        f"| {phase['rss_last_mb']:.0f} MB |"
        for phase in result["phases"]
    ]
    end, done = result["end"], result["attacks"]
    lines += [
        "",
        f"Of {end['said']:,} messages {end['lost']} were lost, {end['duplicated']} came twice, "
        f"{end['out_of_order']} out of order; {end['lost_links']} connections of good users were "
        "lost.",
        "",
        f"The attackers made {done['rounds']:,} rounds of {done['kinds']} attacks, on "
        f"{done['connections']:,} connections, with {done['bytes'] / _MB:,.0f} MB in "
        f"{done['frames']:,} frames.",
        "",
        "Withstood." if not result["reasons"] else "Not withstood: " + "; ".join(result["reasons"]),
    ]
    return "\n".join(lines)


def table_section(rows: Sequence[Mapping[str, Any]], machine: str) -> str:
    """The attacks, each alone, as Markdown."""
    lines = [
        f"One attacker, as fast as it goes, {machine}. CPU is the server's share of one core, the "
        "good users' own messages included (the first row has only those); memory is what it had "
        "more at the end than before.",
        "",
        "| attack | what it does | rounds/s | CPU | a round | memory | good p99 | answers |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        each = f"{row['ms_per_round']:.1f} ms" if row["ms_per_round"] is not None else ""
        answers = ", ".join(row["answers"]).replace("|", "/")
        lines.append(
            f"| {row['name']} | {row['does']} | {row['rounds_per_s']:.1f} | {row['cpu']:.0%} "
            f"| {each} | {row['rss_mb']:+.1f} MB | {row['p99_ms']:.1f} ms | {answers} |"
        )
    return "\n".join(lines)


def write_section(path: Path, name: str, text: str) -> None:
    """Put it in its place in a file: between `<!-- name -->` and `<!-- /name -->`, at the end if
    they aren't there."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    old = path.read_text("utf-8") if path.exists() else _HEAD
    if start not in old:
        old += f"{start}\n{end}\n"
    head, _, rest = old.partition(start)
    _, _, tail = rest.partition(end)
    path.write_text(f"{head}{start}\n{text}\n{end}{tail}", "utf-8")
