"""Processes that a benchmark measures: started, asked, their CPU read, ended for certain.

Each speaks in lines of JSON. Its input is a pipe that only its parent has, and it ends with it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import IO, Any, Final, Self

from . import children

#: Seconds in which a process has to say its first word; two thousand clients have to log in.
START: Final = 120.0
_END: Final = 10.0


class BenchError(Exception):
    """A process of a benchmark did not do what it should. Says what."""


def cpu_seconds(pid: int) -> float:
    """What all threads of a process that runs have used, in seconds; NaN where nobody tells.

    Linux has a clock for each process; its number is made as `clock_getcpuclockid(3)` makes it.

    Raises:
        ProcessLookupError: there is no such process.
    """
    if not sys.platform.startswith("linux"):
        return math.nan
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError as error:
        raise ProcessLookupError(f"there is no process {pid}") from error


class BenchProcess:
    """A module of Python in a process of its own.

    Args:
        name: for messages.
        arguments: the module, and what it is given.
        environment: on top of ours; secrets go here.
        stop: end it by SIGTERM, for a program that tidies up then; else by the end of its input.

    Raises:
        OSError: it can't be started.
    """

    def __init__(
        self,
        name: str,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        stop: bool = False,
    ) -> None:
        self.name = name
        self._stop = stop
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - until `close`
        self._process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, "-m", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**children.environment(), **(environment or {})},
        )
        self._said: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(line)
        self._said.put(None)

    def line(self, timeout: float) -> str:
        """The next line that it says.

        Raises:
            BenchError: it says none in time, or has ended.
        """
        try:
            said = self._said.get(timeout=timeout)
        except queue.Empty:
            raise BenchError(f"{self.name} said nothing for {timeout:g} s{self._words()}") from None
        if said is None:
            self._said.put(None)
            raise BenchError(f"{self.name} has ended{self._words()}")
        return said.decode("utf-8", "replace").strip()

    def answer(self, timeout: float) -> dict[str, Any]:
        """The next line, which is JSON.

        Raises:
            BenchError: as of `line`; or it is no object; or it has "error", which is told.
        """
        line = self.line(timeout)
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise BenchError(f"{self.name} said {line!r}")
        if "error" in answer:
            raise BenchError(f"{self.name}: {answer['error']}")
        return answer

    def tell(self, order: Mapping[str, Any]) -> None:
        """Give it a line of JSON.

        Raises:
            BenchError: it has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise BenchError(f"{self.name} has ended{self._words()}") from None

    def close(self) -> None:
        """End it, and wait until it is gone. Twice is no error."""
        assert self._process.stdin is not None and self._process.stdout is not None
        if self._stop:
            self._process.terminate()
        else:
            self._close_input()
        try:
            self._process.wait(_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._close_input()
        self._listener.join()
        self._process.stdout.close()
        self._errors.close()

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # what it was told last, it may not have read
            self._process.stdin.close()

    def _words(self) -> str:
        """The last lines of what it wrote to its standard error."""
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - 2000))
        text = self._errors.read().decode("utf-8", "replace").strip()
        return ":\n" + "\n".join(text.splitlines()[-8:]) if text else ""
