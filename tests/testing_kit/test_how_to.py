"""What docs/how-to/test-your-application.md shows runs as it stands, and can fail."""

from __future__ import annotations

import re
import unittest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from testing_kit.machine_kit import SABOTAGED

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "test-your-application.md"
#: the last one, about worlds, is run by tests/docs/test_guides.py
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)[:-1]


def load(source: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "shown"}
    exec(compile(source, str(PAGE), "exec"), names)
    return names


def run(names: dict[str, Any]) -> None:
    """Run every test of a block."""
    for name, value in names.items():
        if isinstance(value, type) and issubclass(value, unittest.TestCase):
            value.settings = settings(SABOTAGED, max_examples=8)  # type: ignore[attr-defined]
            value("runTest").debug()
        elif name.startswith("test_"):
            settings(max_examples=20)(value)()


@pytest.mark.parametrize("source", BLOCKS, ids=["bot", "adapter", "store", "strategies"])
def test_what_is_shown_runs(source: str) -> None:
    names = load(source)
    assert any(name.lower().startswith("test") for name in names)
    run(names)


@pytest.mark.parametrize(
    ("block", "good", "bad"),
    [
        (0, "self.asked += 1", "self.asked += len(content) > 2"),
        (1, "self.open.discard(n)", "pass"),
        (2, "return MemoryStore()", "return type('S', (MemoryStore,), {'carry_out': lossy})()"),
    ],
    ids=["bot", "adapter", "store"],
)
def test_what_is_shown_finds_a_mistake(block: int, good: str, bad: str) -> None:
    source = BLOCKS[block]
    assert good in source
    lossy = (
        "def lossy(self, action):\n"
        "    done = MemoryStore.carry_out(self, action)\n"
        "    self._entries.clear()\n"
        "    return done\n"
    )
    names = load(
        source.replace(good, bad).replace("\n\nclass StoreM", f"\n\n{lossy}\n\nclass StoreM")
    )
    machine = next(v for n, v in names.items() if n.startswith("Test"))
    machine.settings = SABOTAGED
    with pytest.raises(AssertionError):
        machine("runTest").debug()
