"""The command line: `python -m benchmarks.instructions --help`."""

from __future__ import annotations

import argparse
import sys

from . import baseline
from .counting import costs


def main() -> int:
    """0: nothing is dearer than it may be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("--write", action="store_true", help="make these counts the baseline")
    options = parser.parse_args()
    found, before = costs(), baseline.read()
    print(f"instructions of Python {baseline.VERSION} in our files, for a message")
    for name, cost in found.items():
        was = (before or {}).get(name)
        print(f"{name:32} {cost:10.2f}" + ("" if not was else f"  {cost / was - 1:+7.1%}"))
    if options.write:
        baseline.write(found)
        print(f"written: {baseline.path().name}")
        return 0
    if before is None:
        print(f"no baseline for Python {baseline.VERSION}: {baseline.RENEW}")
        return 0
    wrong = baseline.complaints(found, before)
    for complaint in wrong:
        print(complaint, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
