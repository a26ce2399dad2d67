"""Runs a module of ours that must not outlive whoever started it.

    python -m im_cli.tied MODULE …

Its standard input is a pipe whose other end only the parent has. However the parent ends, by
SIGKILL too, the pipe ends with it, and with the pipe this process.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading


def _watch() -> None:
    try:
        while os.read(0, 4096):
            pass
    except OSError:  # a pipe that is broken has ended too
        pass
    os._exit(1)


def main() -> None:
    """Run the module in this process."""
    sys.argv = sys.argv[1:]
    threading.Thread(target=_watch, daemon=True).start()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
