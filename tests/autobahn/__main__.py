"""`make autobahn`: the Autobahn cases against our server and our clients, and a table of it.

python -m tests.autobahn [--subjects server asyncio] [--groups 1 2 3]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from kosoku.cases import CASES

from tests.autobahn.subjects import SUBJECTS

GROUPS: Final = {
    "1": "framing",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragmentation",
    "6": "UTF-8",
    "7": "closing",
    "9": "limits and performance",
    "10": "automatic fragmentation",
    "12": "compression, kinds of data",
    "13": "compression, parameters",
}
#: A case that kosoku has no result of.
MISSING: Final = "MISSING"
#: Where there is no line to write over, every so many cases are told.
_SELDOM: Final = 50


def group_of(case: str) -> str:
    """The group of a case."""
    return case.partition(".")[0]


class Verdicts:
    """How the cases ended for one subject."""

    def __init__(self, cases: Sequence[str], results: Sequence[Any]) -> None:
        self.of = dict.fromkeys(cases, MISSING)
        self.failures: list[str] = []
        for result in results:
            verdict = result.behavior.value if result.passed else "FAILED"
            self.of[result.case_id] = verdict
            if not result.passed:
                self.failures.append(
                    f"{result.case_id}: {result.behavior.value}, {result.result} "
                    f"Close: {result.behavior_close.value}, {result.result_close}"
                )
        self.failures += [
            f"{case}: no result" for case, verdict in self.of.items() if verdict == MISSING
        ]

    def cell(self, group: str) -> str:
        """A group in short: `7 OK, 2 NON-STRICT`."""
        found = Counter(verdict for case, verdict in self.of.items() if group_of(case) == group)
        order = ("OK", "NON-STRICT", "INFORMATIONAL", "FAILED", MISSING)
        return ", ".join(f"{found[verdict]} {verdict}" for verdict in order if found[verdict])

    def cases(self, wanted: str) -> list[str]:
        """The cases with a verdict."""
        return [case for case, verdict in self.of.items() if verdict == wanted]


def table(verdicts: dict[str, Verdicts], cases: Sequence[str]) -> Iterator[str]:
    """The result, as Markdown."""
    yield f"| group | cases | {' | '.join(verdicts)} |"
    yield f"|---|---:|{'---|' * len(verdicts)}"
    for group, size in Counter(map(group_of, cases)).items():
        cells = " | ".join(found.cell(group) for found in verdicts.values())
        yield f"| {group} {GROUPS[group]} | {size} | {cells} |"
    yield f"| all | {len(cases)} | {' | '.join(_total(found) for found in verdicts.values())} |"
    for wanted in ("NON-STRICT", "INFORMATIONAL"):
        for subject, found in verdicts.items():
            if found.cases(wanted):
                yield f"\n{wanted}, {subject}: {', '.join(found.cases(wanted))}"
    for subject, found in verdicts.items():
        for failure in found.failures:
            yield f"\nFAILED, {subject}: {failure}"


def _total(found: Verdicts) -> str:
    return f"{len(found.failures)} failed" if found.failures else "no failure"


async def run(subject: str, cases: Sequence[str]) -> Verdicts:
    """All of the cases, with a line that says how far it is."""
    begun, start = 0, time.monotonic()

    def one_more() -> None:
        nonlocal begun
        begun += 1
        if sys.stderr.isatty() or begun % _SELDOM == 0 or begun == len(cases):
            took = time.monotonic() - start
            line = f"{subject}: case {begun} of {len(cases)}, {took:.0f} s"
            sys.stderr.write(f"\r{line}" if sys.stderr.isatty() else f"{line}\n")
            sys.stderr.flush()

    results = await SUBJECTS[subject](cases, one_more)
    sys.stderr.write(f"\n{subject}: {time.monotonic() - start:.0f} s\n")
    return Verdicts(cases, results)


def main() -> int:
    """Run what the command line says; 1 after a failure."""
    parser = argparse.ArgumentParser(prog="python -m tests.autobahn")
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    wanted = parser.parse_args()
    cases = [case for case in CASES if group_of(case) in wanted.groups]
    verdicts = {subject: asyncio.run(run(subject, cases)) for subject in wanted.subjects}
    for line in table(verdicts, cases):
        sys.stdout.write(f"{line}\n")
    return int(any(found.failures for found in verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
