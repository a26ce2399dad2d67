"""A child process of `im soak`: started, armed, killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any, Final

from . import children
from .soak_plan import Death

_START_TIMEOUT: Final = 60.0
_WORDS: Final = b"listening on "


class SoakError(Exception):
    """The soak can't go on. Says why."""


class Child:
    """One process and its successors.

    Args:
        name: whose process it is; its log is NAME.log.
        module: what it runs.
        directory: of the run.
        given: its orders, but for where it dies.
    """

    def __init__(self, name: str, module: str, directory: Path, given: dict[str, Any]) -> None:
        self.name = name
        self.given = {**given, "name": name, "directory": str(directory)}
        self.lives = 0
        self._module = module
        self._log = directory / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def alive(self) -> bool:
        """It has been started, and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def status(self) -> int | None:
        """Its exit status, if it has ended."""
        return None if self._process is None else self._process.returncode

    async def start(self, die: Death | None = None) -> None:
        """Start it.

        Args:
            die: the point at which it dies, and at which passage.
        """
        self.lives += 1
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self._module),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=children.environment(),
            )
        self._say(json.dumps({**self.given, "die": die}))

    async def port(self) -> int:
        """Where it listens.

        Raises:
            SoakError: it does not, or not within a minute.
        """
        assert self._process is not None and self._process.stdout is not None
        line = b""
        with contextlib.suppress(TimeoutError):
            line = await asyncio.wait_for(self._process.stdout.readline(), _START_TIMEOUT)
        digits = line.strip().rpartition(b":")[2]
        if not (line.startswith(_WORDS) and digits.isdigit()):
            raise SoakError(f"{self.name} did not start:\n{self.last_words()}")
        return int(digits)

    def arm(self, die: Death) -> None:
        """Have it die at that point."""
        self._say(f"die {die[0]} {die[1]}")

    def finish(self) -> None:
        """Have it come to its end."""
        self._say("finish")

    def kill(self) -> None:
        """Kill it, wherever it is."""
        if self.alive:
            assert self._process is not None
            children.kill(self._process)

    def terminate(self) -> None:
        """Have it end in good order."""
        if self.alive:
            assert self._process is not None
            children.terminate(self._process)

    async def ended(self) -> int:
        """Wait for its end; returns its exit status."""
        assert self._process is not None
        return await self._process.wait()

    def last_words(self) -> str:
        """The end of its log."""
        text = self._log.read_text("utf-8", "replace").strip() if self._log.exists() else ""
        return "\n".join(text.splitlines()[-12:]) or "(it said nothing)"

    def _say(self, text: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(ConnectionError):  # it has just died
            self._process.stdin.write(text.encode() + b"\n")
