"""The pictures of the page and the lab: those that the script takes, and not too large."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"


def _constant(name: str) -> Any:
    """Of the script, which is only read: what it imports may not be installed."""
    tree = ast.parse((DOCS / "make_screenshots.py").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name and node.value:
            return ast.literal_eval(node.value)
    raise AssertionError(name)


def test_the_pictures_are_those_that_the_script_takes() -> None:
    assert {path.name for path in (DOCS / "images").iterdir()} == set(_constant("PICTURES"))


def test_no_picture_is_too_large_to_be_loaded_with_the_readme() -> None:
    for name in _constant("PICTURES"):
        picture = (DOCS / "images" / name).read_bytes()
        assert picture.startswith(b"\x89PNG\r\n")
        assert len(picture) <= _constant("LARGEST"), name
