"""Coverage-guided fuzzing of one target in this process, by atheris; its options are libFuzzer's.

python -m tests.fuzz.guided TARGET CORPUS... [-max_total_time=60 ...]
"""

from __future__ import annotations

import sys

import atheris

from tests.fuzz.catalog import load

if __name__ == "__main__":
    name = sys.argv.pop(1)
    # what reads the peer's bytes, ours and foreign; the harness itself is no goal
    with atheris.instrument_imports(include=["im_proto", "h11", "wsproto"]):
        target = load(name)
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
