"""docs/performance.md says what benchmarks/results say."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from script_kit import load


@pytest.fixture
def draw() -> ModuleType:
    return load(Path(__file__).parents[2] / "docs" / "draw_performance.py")


def test_the_page_has_what_was_measured(draw: ModuleType) -> None:
    assert draw.main(["--check"]) == 0, "run `make docs`"


def test_a_stale_page_is_noticed_and_written(
    draw: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = draw.FILE.read_text("utf-8")
    page = tmp_path / "performance.md"
    page.write_text(good.replace("| im, process |", "| im, faster |"), "utf-8")
    monkeypatch.setattr(draw, "FILE", page)
    assert draw.main(["--check"]) == 1 and "make docs" in capsys.readouterr().err
    assert draw.main([]) == 0 and page.read_text("utf-8") == good


def test_a_page_without_a_place_for_a_table_is_an_error(draw: ModuleType) -> None:
    page = draw.FILE.read_text("utf-8").replace("<!-- /pairs -->", "")
    with pytest.raises(SystemExit, match="'pairs'"):
        draw.text(page)
