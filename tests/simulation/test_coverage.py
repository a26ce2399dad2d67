"""The simulation goes through nearly every line and branch of the hub and of both cores.

What stands beside a file's own tests: these say that each line does what it should, alone; this
says that the world gets everywhere by itself, with everything else going on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import im_proto

ROOT = Path(im_proto.__file__).parent
#: The hub, whose class is cut in four and measured as one, and both cores with the classes that
#: they are made of.
FILES = (
    "server/hub.py+server/entrance.py+server/mail.py+server/pushes.py",
    "server/core.py",
    "server/connection.py",
    "server/gate.py",
    "server/peers.py",
    "server/presence.py",
    "server/typists.py",
    "client/core.py",
    "client/deadlines.py",
    "client/lifecycle.py",
    "client/ending.py",
    "client/incoming.py",
    "client/outgoing.py",
    "client/recording.py",
)
SEEDS = 100
LEAST = 95.0

#: In a process of its own: everything is imported after the measuring has begun.
SCRIPT = """
import json, sys
import coverage
files, seeds = sys.argv[1:-1], int(sys.argv[-1])
include = [part for file in files for part in file.split("+")]
measured = coverage.Coverage(branch=True, include=include, data_file=None, config_file=False)
for line in ("if TYPE_CHECKING:", "raise AssertionError", "assert_never"):
    measured.exclude(line)
measured.start()
from im_proto.testing import simulate
outcomes = [simulate(seed, minutes=1) for seed in range(seeds)]
measured.stop()
failures = [f"seed {o.seed}: {o.failure}" for o in outcomes if o.failure is not None]
missed = {}
for file in files:
    parts = file.split("+")
    missing = [measured.analysis2(part)[3] for part in parts]
    missed[file] = [measured.report(include=parts, file=open("/dev/null", "w")), missing]
print(json.dumps({"failures": failures, "files": missed}))
"""


@pytest.mark.slow
def test_short_lives_go_everywhere_in_the_hub_and_in_both_cores(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("coverage")
    files = ["+".join(str(ROOT / part) for part in name.split("+")) for name in FILES]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *files, str(SEEDS)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["failures"] == []
    with capsys.disabled():
        print()  # noqa: T201 - figures that somebody wants to see
        for name, file in zip(FILES, files, strict=True):
            percent, missing = told["files"][file]
            print(f"  im_proto/{name}: {percent:.1f} %, not reached: {missing}")  # noqa: T201
    low = {name: told["files"][file][0] for name, file in zip(FILES, files, strict=True)}
    assert {name: at for name, at in low.items() if at < LEAST} == {}
