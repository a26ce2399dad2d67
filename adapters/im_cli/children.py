"""What all child processes of ours have in common: what they find, and how they are ended."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from asyncio.subprocess import Process
from pathlib import Path

import im_proto


def environment() -> dict[str, str]:
    """Ours, so that a child finds what this process found."""
    roots = [Path(__file__).parent.parent, Path(str(im_proto.__file__)).parent.parent]
    path = [str(root) for root in dict.fromkeys(roots)]
    if "PYTHONPATH" in os.environ:
        path.append(os.environ["PYTHONPATH"])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def kill(process: Process) -> None:
    """SIGKILL (TerminateProcess on Windows); nothing happens to one that has ended."""
    _signal(process, "SIGKILL")


def terminate(process: Process) -> None:
    """SIGTERM (TerminateProcess on Windows); nothing happens to one that has ended."""
    _signal(process, "SIGTERM")


def _signal(process: Process, name: str) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            # process.kill() asks first whether it has ended. Of one that just has, this takes
            # the exit status away from asyncio, which then says 255 (CPython issue 87744).
            os.kill(process.pid, getattr(signal, name))
