"""The processes of a siege: the server, and those whom it serves."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from im_cli import children
from im_cli.demo_server import ServerProcess

_HERE: Final = Path(__file__).parent
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
#: Seconds in which a child has to say that it is ready.
_START: Final = 60.0
#: A line of a child may hold many latencies.
_LINE: Final = 1 << 24


class Server(ServerProcess):
    """`im serve` with a secret, all of its limits as they are by default."""

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    def rss(self) -> int:
        """Its memory, in bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def files(self) -> int:
        """Files and sockets that it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208


class Child:
    """A script of ours that writes lines of JSON, {"ready": true} the first, until its input ends.

    Args:
        script: its name.
        arguments: for it.
        secret: of the server's tokens; shows in no list of processes.
        tell: called with each line.
        idle: it runs only while nobody else wants to.
    """

    def __init__(
        self,
        script: str,
        *arguments: object,
        secret: str,
        tell: Callable[[dict[str, Any]], None],
        idle: bool = False,
    ) -> None:
        self._arguments = [str(_HERE / script), *map(str, arguments)]
        self._secret = secret
        self._tell = tell
        self._idle = idle
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(("chrt", "--idle", "0") if self._idle else ()),
            sys.executable,
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=children.environment() | {"IM_SECRET": self._secret},
            limit=_LINE,
        )
        self._reader = asyncio.create_task(self._read())
        try:
            async with asyncio.timeout(_START):
                await self._ready.wait()
            if self.ended:
                raise SystemExit(f"{self._arguments[0]} has ended by itself")
        except BaseException:
            children.kill(self._process)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def ended(self) -> bool:
        """It has ended by itself, which it should not."""
        return self._reader is not None and self._reader.done()

    async def stop(self) -> None:
        """End it, and wait for its last line."""
        if self._process is None or self._reader is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(90.0):
                await self._reader
                await self._process.wait()
        finally:
            children.kill(self._process)
        self._process = None

    async def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "ready" in said:
                self._ready.set()
            else:
                self._tell(said)
        self._ready.set()  # whoever waits for it waits in vain
