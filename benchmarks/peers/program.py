"""Runs a program that must not outlive whoever started it, and is none of ours.

    python -m benchmarks.peers.program PROGRAM …

Says {"pid": …}; ends the program when its own standard input ends, and ends with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time


def main() -> int:
    """Be with it until one of the two ends."""
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr)
    print(json.dumps({"pid": process.pid}), flush=True)

    def watch() -> None:
        while os.read(0, 4096):
            pass
        process.terminate()
        time.sleep(5)
        process.kill()

    threading.Thread(target=watch, daemon=True).start()
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
