"""A siege: good users chat while others attack the server, and nobody good may notice.

    python benchmarks/siege.py [--minutes 10] [--quiet 3] [--clients 180] [--attackers 10] [--json]
    python benchmarks/siege.py --table [--seconds 5] [--only NAME …]

`im serve` runs in a process of its own with all limits as they are by default; the good users and
the attackers (tests/security/attacks) in two more. All good users come from 127.0.0.1, each
attacker from an address of its own, so that limits by address act as they do in life. Attackers
run only while the others wait (SCHED_IDLE), as they would have machines of their own. Three
phases: quiet, siege, quiet.

Exit 0: no message of a good user was lost, came twice or out of order, none lost its connection,
their p99 at most doubled, the server's memory stayed flat, and every answer was a documented one.

With `--table` each attack is made alone, by one attacker, as fast as it goes.
`--write FILE` puts what was found into a Markdown file. Needs Linux (/proc, 127.0.0.0/8).
A disk that others use may keep a commit waiting for 0.5 s, attacked or not: `--directory /dev/shm`
leaves it out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

sys.path.extend(str(Path(__file__).parent.parent / part) for part in ("", "adapters", "tests"))

from siege_processes import Child, Server
from siege_result import Phase, judge, siege_section, strangers, table_section, write_section
from siege_view import Watching, show

from security.attacks import ATTACKS

#: Seconds of the siege that an attacker gives to each attack.
SLOT: Final = 3.0
#: Seconds before the first figure: log-ins, first sessions.
WARM: Final = 3.0
#: The longest that the table waits for the end of an attack that goes for a deadline.
DEADLINES: Final = 105.0


class Siege:
    """The server, the good users, and what is measured.

    Args:
        server: that runs.
        options: of the command line.
        watching: is told.
    """

    def __init__(self, server: Server, options: argparse.Namespace, watching: Watching) -> None:
        self._server = server
        self._options = options
        self._watching = watching
        self.phases: list[Phase] = []
        self.deeds: dict[str, dict[str, Any]] = {}
        self.end: dict[str, int] = {}
        self.good = Child(
            "siege_good.py",
            f"ws://127.0.0.1:{server.port}/ws",
            options.clients,
            options.seed,
            secret=server.secret,
            tell=self._hear,
        )

    def attackers(self, count: int, seconds: float, names: Sequence[str] = ()) -> Child:
        """So many, not started."""
        return Child(
            "siege_attackers.py",
            *(self._server.port, count, self._options.seed, seconds, *names),
            secret=self._server.secret,
            tell=self._hear,
            idle=True,
        )

    def _hear(self, line: dict[str, Any]) -> None:
        if "latencies" in line and self.phases:
            self.phases[-1].latencies += line["latencies"]
        self.deeds = line.get("deeds", self.deeds)
        self.end = line.get("end", self.end)

    async def phase(self, name: str, seconds: float) -> Phase:
        """Measure for so long."""
        phase = Phase(name)
        self.phases.append(phase)
        end = time.monotonic() + seconds
        at, used = time.monotonic(), self._server.cpu()
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(1.0, left))
            self._server.check()
            if self.good.ended:
                raise SystemExit("the good users have ended by themselves")
            now, cpu = time.monotonic(), self._server.cpu()
            phase.cpu.append((cpu - used) / max(now - at, 1e-6))
            at, used = now, cpu
            phase.rss.append(self._server.rss())
            phase.files.append(self._server.files())
            rounds = sum(deed["rounds"] for deed in self.deeds.values())
            self._watching.report(self.phases, left, rounds)
        return phase


def _directory(options: argparse.Namespace) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="im-siege-", dir=options.directory)


async def besiege(options: argparse.Namespace) -> dict[str, Any]:
    """The three phases; returns what was found."""
    seconds, quiet = options.minutes * 60, options.quiet * 60
    with _directory(options) as directory, Watching() as watching:
        server = Server(Path(directory), "power")
        await server.start()
        try:
            siege = Siege(server, options, watching)
            async with siege.good:
                await asyncio.sleep(WARM)
                watching.say(f"quiet, {quiet:g} s")
                await siege.phase("quiet", quiet)
                watching.say(f"siege, {seconds:g} s")
                async with siege.attackers(options.attackers, SLOT):
                    await siege.phase("siege", seconds)
                watching.say(f"quiet again, {quiet:g} s")
                await siege.phase("quiet again", quiet)
        finally:
            await server.stop()
    return {
        "clients": options.clients,
        "attackers": options.attackers,
        "minutes": options.minutes,
        "quiet": options.quiet,
        "seed": options.seed,
        "directory": None if options.directory is None else str(options.directory),
        "machine": machine(),
        "phases": [phase.summary() for phase in siege.phases],
        "end": siege.end,
        "attacks": {
            "kinds": len(siege.deeds),
            **{
                what: sum(deed[what] for deed in siege.deeds.values())
                for what in ("rounds", "connections", "bytes", "frames")
            },
        },
        "deeds": siege.deeds,
        "reasons": judge(siege.phases, siege.end, siege.deeds),
    }


async def table(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Each attack alone; returns the rows."""
    rows: list[dict[str, Any]] = []
    names = [n for n in ATTACKS if not options.only or any(part in n for part in options.only)]
    with _directory(options) as directory, Watching() as watching:
        server = Server(Path(directory), "power")
        await server.start()
        try:
            siege = Siege(server, options, watching)
            async with siege.good:
                await asyncio.sleep(WARM)
                quiet = await siege.phase("quiet", options.seconds)
                base = quiet.summary()["cpu"]
                rows.append(_row("(quiet)", "nobody attacks", quiet, quiet.rss[0], {}, base))
                for name in names:
                    rows.append(await _alone(siege, server, name, options.seconds, base))
                    row = rows[-1]
                    watching.say(
                        f"{name:44} CPU {row['cpu']:5.0%}  p99 {row['p99_ms']:7.1f} ms  "
                        f"{row['rss_mb']:+6.1f} MB  {', '.join(row['answers'])}"
                    )
        finally:
            await server.stop()
    return rows


async def _alone(
    siege: Siege, server: Server, name: str, seconds: float, base: float
) -> dict[str, Any]:
    siege.deeds = {}
    before = server.rss()
    async with siege.attackers(1, seconds, [name]):
        phase = await siege.phase(name, seconds)
        until = time.monotonic() + DEADLINES
        # a deadline has to pass first, and a line tells of it
        while not siege.deeds and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.5)
    deed = siege.deeds.get(name, {"rounds": 0, "answers": {}})
    return _row(name, ATTACKS[name].does, phase, before, deed, base)


def _row(
    name: str,
    does: str,
    phase: Phase,
    before: int,
    deed: Mapping[str, Any],
    base: float,
) -> dict[str, Any]:
    figures = phase.summary()
    rounds, seconds = deed.get("rounds", 0), max(1, len(phase.rss))
    waits = name in ATTACKS and ATTACKS[name].waits
    # what the good users cost is in it too
    own = max(0.0, figures["cpu"] - base) * seconds * 1000
    return {
        "name": name,
        "does": does,
        "rounds": rounds,
        "rounds_per_s": rounds / seconds,
        "cpu": figures["cpu"],
        "ms_per_round": own / rounds if rounds and not waits else None,
        "rss_mb": (phase.rss[-1] - before) / 1e6,
        "p99_ms": figures["p99_ms"],
        "answers": deed.get("answers", {}),
        "undocumented": strangers({name: deed}).get(name, {}) if rounds else {},
    }


def machine() -> str:
    """What it ran on."""
    return f"Python {platform.python_version()} on {os.cpu_count()} cores"


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of the siege")
    parser.add_argument("--quiet", type=float, default=3.0, help="minutes before it, and after it")
    parser.add_argument("--clients", type=int, default=180, help="good users, an even number")
    parser.add_argument("--attackers", type=int, default=10, help="of two connections, or more")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="each attack alone")
    parser.add_argument("--seconds", type=float, default=5.0, help="with --table, for each")
    parser.add_argument("--only", nargs="+", help="with --table, attacks with this in their names")
    parser.add_argument("--directory", type=Path, help="for the database; /dev/shm is no disk")
    parser.add_argument("--json", action="store_true", help="one JSON value, nothing else")
    parser.add_argument("--write", type=Path, help="a Markdown file to put it into")
    options = parser.parse_args()
    if options.clients < 2 or options.clients % 2:
        parser.error("--clients: good users come in pairs")
    if options.table:
        rows = asyncio.run(table(options))
        text = table_section(rows, machine())
        print(json.dumps(rows) if options.json else text)
        if options.write:
            write_section(options.write, "attacks", text)
        return 1 if any(row["undocumented"] for row in rows) else 0
    result = asyncio.run(besiege(options))
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    if options.write:
        write_section(options.write, "siege", siege_section(result))
    return 1 if result["reasons"] else 0


if __name__ == "__main__":
    sys.exit(main())
