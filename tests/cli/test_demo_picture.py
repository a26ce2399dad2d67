"""The picture of the demo's table: the same bytes for the same result, and nothing to load."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from im_cli.demo import Result
from script_kit import load

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docs" / "make_demo_picture.py"
RESULT = Result(sent=4000, accepted=4000, delivered=4000, kills=2, in_flight_at_kills=[64, 128])


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr("sys.path", list(sys.path))  # the script puts our roots there
    return load(SCRIPT)


def test_the_same_result_gives_the_same_picture(script: ModuleType) -> None:
    picture = script.draw(RESULT.as_dict())
    assert picture == script.draw({**RESULT.as_dict(), "of a later version": 1})
    text = "".join(ElementTree.fromstring(picture).itertext()).replace("\xa0", " ")
    for word in ("4,000", "64, 128", "duplicated", "Kept: nothing lost", "im demo --break"):
        assert word in text


@pytest.mark.parametrize("which", ["drawn", "committed"])
def test_it_loads_nothing(script: ModuleType, which: str) -> None:
    if which == "drawn":
        picture = script.draw(RESULT.as_dict())
    else:
        picture = script.PICTURE.read_text(encoding="utf-8")
    assert re.findall(r"https?://[^/\"']+", picture) == ["http://www.w3.org"]
    for word in ("@font-face", "@import", "url(http", "Fira"):
        assert word not in picture
