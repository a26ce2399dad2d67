"""What `make audit` says of what its tools found."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.supply.audit import licences, weaknesses
from tests.supply.licences import allowed, refused

ROOT = Path(__file__).parents[2]
WEAK = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["1.1"], "description": "bad"}


def audited(*dependencies: dict[str, Any]) -> tuple[bool, str]:
    return weaknesses(json.dumps({"dependencies": list(dependencies), "fixes": []}))


def test_a_known_weakness_is_a_failure_that_names_what_mends_it() -> None:
    fine = {"name": "h11", "version": "1.0", "vulns": []}
    good, words = audited(fine, {"name": "wsproto", "version": "1.0", "vulns": [WEAK]})
    assert (good, words) == (False, "wsproto 1.0: PYSEC-1, mended in 1.1")


def test_no_known_weakness_is_fine_and_what_was_not_looked_up_is_told() -> None:
    fine = {"name": "h11", "version": "1.0", "vulns": []}
    unknown = {"name": "kosoku", "skip_reason": "not found"}
    ours = {"name": "im-proto", "skip_reason": "editable"}
    good, words = audited(fine, unknown, ours)
    assert (good, words) == (True, "1 packages without a known weakness; not looked up: kosoku")


@pytest.mark.parametrize("report", ["", "Traceback", "{}", "[]"])
def test_a_service_that_cannot_be_reached_is_told_and_no_failure(report: str) -> None:
    good, words = weaknesses(report)
    assert good and "nothing was looked up" in words


def test_a_service_that_knows_nothing_is_told_and_no_failure() -> None:
    good, words = audited({"name": "h11", "skip_reason": "not found"})
    assert good and "nothing was looked up" in words


@pytest.mark.parametrize(
    ("licence", "good"),
    [
        ("MIT", True),
        ("Apache-2.0 OR BSD-3-Clause", True),
        ("GPL-3.0-only OR MIT", True),
        ("(MIT AND Apache-2.0)", True),
        ("ISC License (ISCL)", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT License; GNU General Public License (GPL)", False),
        ("LGPL-2.1", False),
        ("DFSG approved; MIT License", True),
        ("DFSG approved", False),
        ("DFSG approved; GPL-3.0-only", False),
        ("UNKNOWN", False),
        ("", False),
    ],
)
def test_a_licence_is_in_the_list_or_refused(licence: str, good: bool) -> None:
    assert allowed(licence) is good


def test_a_package_that_names_no_licence_is_refused_unless_somebody_looked() -> None:
    assert refused([("kosoku", "UNKNOWN"), ("other", "UNKNOWN")]) == ["other: UNKNOWN"]
    assert refused([("kosoku", "GPL-3.0-only")]) == ["kosoku: GPL-3.0-only"]
    report = json.dumps(
        [{"Name": "other", "License": "UNKNOWN"}, {"Name": "h11", "License": "MIT"}]
    )
    assert licences(report) == (False, "other: UNKNOWN")


def test_no_file_of_ours_says_from_where_packages_are_downloaded() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    names = [name for name in listed.stdout.splitlines() if not name.endswith((".svg", ".png"))]
    locks = [
        name for name in names if re.search(r"(\.lock|requirements[^/]*\.txt|pylock.*)$", name)
    ]
    assert not locks
    address = re.compile(rb"--(extra-)?index-url[ =]|https?://[^ ]*/simple\b|files\.pythonhosted")
    holding = [
        name
        for name in names
        if (ROOT / name).is_file()
        and name != Path(__file__).relative_to(ROOT).as_posix()
        and address.search((ROOT / name).read_bytes())
    ]
    assert not holding
