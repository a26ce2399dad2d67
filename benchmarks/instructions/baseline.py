"""What the hot paths took when somebody last looked, for each minor version of Python."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: How much more than its baseline a path may take.
MORE: Final = 0.05
RENEW: Final = "python -m benchmarks.instructions --write"
VERSION: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
_FILES: Final = Path(__file__).parent / "baselines"


def path(version: str = VERSION) -> Path:
    """Where the baseline of a version of Python is."""
    return _FILES / f"{version}.json"


def read(version: str = VERSION) -> dict[str, float] | None:
    """Instructions for a message on each path; None: nobody has looked with that version."""
    try:
        found: dict[str, float] = json.loads(path(version).read_text())
    except FileNotFoundError:
        return None
    return found


def write(costs: Mapping[str, float], version: str = VERSION) -> None:
    """Make these the baseline."""
    path(version).parent.mkdir(exist_ok=True)
    path(version).write_text(json.dumps(costs, indent=2) + "\n")


def complaints(costs: Mapping[str, float], baseline: Mapping[str, float]) -> list[str]:
    """What is dearer than it may be, and what has no baseline or is gone; [] is good."""
    found = [
        f"{name}: {cost:g} instructions a message, {cost / baseline[name] - 1:+.1%} "
        f"(baseline {baseline[name]:g}, at most {MORE:+.0%}); if that is worth it: {RENEW}"
        for name, cost in costs.items()
        if name in baseline and cost > baseline[name] * (1 + MORE)
    ]
    unlike = sorted(costs.keys() ^ baseline.keys())
    found += [f"{name}: in only one of paths and baseline; then: {RENEW}" for name in unlike]
    return found
