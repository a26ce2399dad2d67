"""The demo's server: a real process, on one file and one port, that can be killed and restarted."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from . import children

_START_TIMEOUT: Final = 30.0
_STOP_TIMEOUT: Final = 10.0
LOG: Final = "server.log"


class DemoError(Exception):
    """The demo can't go on. Says why."""


class ServerProcess:
    """`im serve` in a process of its own.

    Args:
        directory: where the database and the server's log go.
        durability: as of `im serve`.
        sabotage: what to break in it (see sabotage.py).
        settings: for its `--set`; without any, all is as it is by default.
    """

    def __init__(
        self,
        directory: Path,
        durability: str,
        sabotage: str | None = None,
        settings: Sequence[str] = (),
    ) -> None:
        self._directory = directory
        self._durability = durability
        self._sabotage = sabotage
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[bytes] | None = None
        self.secret = secrets.token_hex(32)
        self.port = 0

    async def start(self) -> None:
        """Start it; returns when it listens. The second time it takes the same port and file.

        Raises:
            DemoError: it has ended, or says nothing for too long.
        """
        module = ["im_cli"] if self._sabotage is None else ["im_cli.sabotage", self._sabotage]
        database = (self._directory / "im.db").as_posix()
        with (self._directory / LOG).open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "im_cli.tied", *module),
                *("serve", "--host", "127.0.0.1", "--port", str(self.port)),
                *("--database", f"sqlite:///{database}", "--durability", self._durability),
                *(word for setting in self._settings for word in ("--set", setting)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                # the secret shows in no list of processes
                env=children.environment() | {"IM_SECRET": self.secret},
            )
        assert self._process.stdout is not None
        line = b""
        with contextlib.suppress(TimeoutError):
            line = await asyncio.wait_for(self._process.stdout.readline(), _START_TIMEOUT)
        url = line.decode("utf-8", "replace").strip().rpartition(" ")[2]
        port = url.rpartition(":")[2]
        if not line.startswith(b"listening on ") or not port.isdecimal():
            status = self._process.returncode
            await self.kill()
            how = f"exit status {status}" if status is not None else f"it said {line!r}"
            raise DemoError(f"the server did not start ({how}):\n{self._last_words()}")
        self.port = int(port)
        self._drain = asyncio.create_task(self._process.stdout.read())

    @property
    def pid(self) -> int | None:
        """Of the process; None: there is none."""
        return None if self._process is None else self._process.pid

    async def ended(self) -> None:
        """Wait until the process is gone, if there is one."""
        if self._process is not None:
            await self._process.wait()

    def kill_now(self) -> None:
        """SIGKILL (TerminateProcess on Windows)."""
        if self._process is not None:
            children.kill(self._process)

    async def kill(self) -> None:
        """Kill it, and wait until it is gone."""
        self.kill_now()
        await self._gone()

    async def stop(self) -> int | None:
        """End it in good order, or else kill it; returns its exit status."""
        if self._process is None:
            return None
        children.terminate(self._process)
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_TIMEOUT)
        except TimeoutError:
            self.kill_now()
        return await self._gone()

    async def _gone(self) -> int | None:
        if self._process is None:
            return None
        status = await self._process.wait()
        if self._drain is not None:
            await self._drain
        self._process = self._drain = None
        return status

    def check(self) -> None:
        """Does it still run?

        Raises:
            DemoError: it has ended by itself.
        """
        if self._process is not None and self._process.returncode is not None:
            raise DemoError(f"the server has ended by itself:\n{self._last_words()}")

    def _last_words(self) -> str:
        text = (self._directory / LOG).read_text("utf-8", "replace").strip()
        return "\n".join(text.splitlines()[-12:]) or "(it said nothing)"
