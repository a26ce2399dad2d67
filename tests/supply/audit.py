"""`make audit`: known weaknesses and licences of everything that is installed beside us.

Weaknesses are asked for at an advisory service, by pip-audit. Where it can't be reached this says
so and is no failure: a machine without it can still build. One package is asked for first, so that
no time is lost there. A weakness that was found is a failure, and so is a licence that is not in
tests/supply/licences.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from tests.supply.licences import refused

#: Weaknesses that don't concern us, each with its reason.
IGNORED: Final[Mapping[str, str]] = {}
_OURS: Final = "im-proto"
#: A package that every advisory service knows.
_KNOWN: Final = "pydantic"
_QUIET: Final = ("--progress-spinner=off", "--format=json", "--timeout=10")


def weaknesses(report: str) -> tuple[bool, str]:
    """Is all well, by what pip-audit wrote as JSON, and words for people."""
    asked = _dependencies(report)
    known = [one for one in asked if "vulns" in one]
    found = [
        f"{one['name']} {one['version']}: {weak['id']}, "
        f"mended in {', '.join(weak['fix_versions']) or 'no version yet'}"
        for one in known
        for weak in one["vulns"]
        if not IGNORED.keys() & {weak["id"], *weak.get("aliases", ())}
    ]
    if found:
        return False, "\n".join(found)
    if not known:
        return True, "the advisory service can't be reached: nothing was looked up"
    unknown = sorted(one["name"] for one in asked if "vulns" not in one)
    return True, f"{len(known)} packages without a known weakness" + (
        f"; not looked up: {', '.join(unknown)}" if unknown else ""
    )


def _dependencies(report: str) -> list[dict[str, Any]]:
    """What pip-audit asked for; nothing if it came to nothing."""
    try:
        asked: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return []
    return [one for one in asked if one["name"] != _OURS]


def licences(report: str) -> tuple[bool, str]:
    """Is all well, by what pip-licenses wrote as JSON, and words for people."""
    packages = [(one["Name"], one["License"]) for one in json.loads(report)]
    packages = [(name, licence) for name, licence in packages if name != _OURS]
    bad = refused(packages)
    return not bad, "\n".join(bad) or f"{len(packages)} packages under licences of the list"


def _run(module: str, *options: str) -> str:
    command = [sys.executable, "-m", module, *options]
    return subprocess.run(command, capture_output=True, text=True).stdout


def _audit() -> tuple[bool, str]:
    with tempfile.TemporaryDirectory() as scratch:
        one = Path(scratch) / "one.txt"
        one.write_text(f"{_KNOWN}=={version(_KNOWN)}\n")
        tried = _run("pip_audit", "-r", str(one), "--no-deps", "--disable-pip", *_QUIET)
    if not any("vulns" in answer for answer in _dependencies(tried)):
        return weaknesses("")
    return weaknesses(_run("pip_audit", "--local", "--skip-editable", *_QUIET))


def main() -> int:
    """The exit code: 1 if anything is wrong."""
    verdicts = {
        "weaknesses": _audit(),
        "licences": licences(_run("piplicenses", "--from=mixed", "--format=json")),
    }
    for what, (good, words) in verdicts.items():
        print(f"{what}: {'ok' if good else 'FAILED'}: {words}")
    return int(not all(good for good, _ in verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
