"""docs/parity.md and the tests say the same, and each test can fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import im_asyncio
import im_threads
from parity.page import PAGE, ROOT, rows
from parity.stubs import STUBS

#: What the TypeScript module names and this version has not.
LATER = ["ChatPage", "ChatWindow", "SessionList"]
ROWS = rows()
TESTED = [row.original for row in ROWS if row.test is not None]


def collected() -> list[str]:
    """The tests of this folder, but for this file."""
    done = pytest_in_a_process("--collect-only", "-q", "--ignore=tests/parity/test_page.py")
    assert done.returncode == 0, done.stdout + done.stderr
    found = [line for line in done.stdout.splitlines() if "::" in line]
    return [line.removeprefix("tests/parity/") for line in found]


def pytest_in_a_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on this folder."""
    folders = [ROOT, ROOT / "adapters", ROOT / "tests"]
    env = {"PYTHONPATH": os.pathsep.join(map(str, folders)), "PYTEST_ADDOPTS": ""}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments, "tests/parity"],
        cwd=ROOT,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=280,
    )


def test_each_row_names_its_feature_once_and_has_a_stub_or_comes_later() -> None:
    assert [
        name for name, count in Counter(row.original for row in ROWS).items() if count > 1
    ] == []
    assert set(TESTED) == STUBS.keys()
    assert [row.original for row in ROWS if row.test is None] == LATER
    assert all(row.here and row.differs for row in ROWS)


def test_each_line_of_a_table_is_read_as_a_row() -> None:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    assert len(lines) - len([line for line in lines if "TypeScript" in line]) == len(ROWS)


def test_the_tests_that_the_page_names_are_those_that_there_are() -> None:
    assert sorted(row.test for row in ROWS if row.test is not None) == sorted(collected())


def test_each_row_links_to_the_file_of_its_test() -> None:
    for row in ROWS:
        if row.test is not None and row.link is not None:
            assert (PAGE.parent / row.link).resolve().name == row.test.partition("::")[0]
            assert (PAGE.parent / row.link).is_file()


def test_the_threaded_client_has_the_same_names() -> None:
    ours = {name for name in dir(im_asyncio.IMClient) if not name.startswith("_")}
    threaded = {name for name in dir(im_threads.IMClient) if not name.startswith("_")}
    assert threaded == ours


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of each row's test, plain and stubbed."""
    path = tmp_path_factory.mktemp("parity") / "report.json"
    done = pytest_in_a_process("-p", "parity.stubbed", f"--stubbed={path}")
    assert path.exists(), done.stdout + done.stderr
    found: dict[str, dict[str, Any]] = json.loads(Path(path).read_text("utf-8"))
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
@pytest.mark.parametrize("row", TESTED)
def test_the_test_of_a_feature_fails_when_the_feature_is_stubbed(
    row: str, report: dict[str, dict[str, Any]]
) -> None:
    assert report[row]["plain"] == "passed"
    assert report[row]["stubbed"].startswith("failed: ")
