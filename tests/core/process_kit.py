"""A script in a process of its own, with a seed for its hashes."""

from __future__ import annotations

import os
import subprocess
import sys


def said_in_a_process(script: str, hash_seed: str) -> str:
    """What it prints; it must end well."""
    environment = os.environ | {
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout
