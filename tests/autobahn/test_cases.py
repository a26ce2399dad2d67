"""The Autobahn cases that take seconds; `make autobahn` runs them all."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from server.server_kit import environment

ROOT: Final = Path(__file__).parents[2]
QUICK: Final = ["1", "2", "3", "4", "5", "6", "7", "10"]


@pytest.mark.skipif(importlib.util.find_spec("kosoku") is None, reason="kosoku is not installed")
@pytest.mark.parametrize("subject", ["server", "asyncio", "threads"])
def test_the_quick_cases_find_no_failure(subject: str) -> None:
    # In a process of its own: kosoku puts modules named `case` and `autobahn` on sys.path.
    done = subprocess.run(
        [sys.executable, "-m", "tests.autobahn", "--subjects", subject, "--groups", *QUICK],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| all | 247 | no failure |" in done.stdout
