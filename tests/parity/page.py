"""docs/parity.md, read: its rows and the test behind each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "parity.md"
_TEST: Final = re.compile(r"\[`(\S+\.py::\S+)`\]\((\S+)\)")


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        original: the name in the TypeScript module.
        here: the name in Python.
        differs: what is different, and why.
        test: the file and name of the test, from tests/parity on; None where there is none.
        link: the file that the page links to.
    """

    original: str
    here: str
    differs: str
    test: str | None
    link: str | None


def rows() -> list[Row]:
    """All rows of all tables, in order."""
    found = []
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("| `"):
            original, here, differs, test = (cell.strip() for cell in line.strip("|").split(" | "))
            match = _TEST.fullmatch(test)
            name, link = match.groups() if match else (None, None)
            found.append(Row(original.strip("`"), here, differs, name, link))
    return found
