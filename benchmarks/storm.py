"""A crowd loses the server at once, and comes back: as fast as the server lets it in?

Either all links are cut, or the server is killed and started again on the same port. What counts is
the time from then, or from the server's first word that it listens, until the last client is logged
in again, in units of the time that so many log-ins take if each begins as soon as `admissions` and
`admission_window` allow.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from im_cli.bench_process import START, BenchProcess
from im_cli.demo_server import ServerProcess
from im_proto.config import ServerConfig

from .harness import Contestant, Figure, Goal, Options, Row, cpu_seconds

_CLIENTS: Final = 2_000
_QUICK: Final = 200
#: Limits that hold one address, from which all come here, and not the crowd.
_RAISED: Final = {
    "arrivals_per_address": 1_000_000,
    "arrivals_burst": 1_000_000,
    "connections_per_address": 10_000,
    "unauthenticated_per_address": 2_000,
    "admissions_per_address": 1_000_000,
}
#: Seconds in which all must be back.
_PATIENCE: Final = 90.0


class _Storm:
    """Storms of a crowd.

    Args:
        clients: how many.
        kills: the server is killed and started again; else only the links are cut.
    """

    def __init__(self, clients: int, *, kills: bool) -> None:
        config = ServerConfig()
        self._clients = clients
        self._kills = kills
        self._allowed = clients / config.admissions * config.admission_window

    def run(self) -> Figure:
        """One storm, with a server and a crowd of its own."""
        with tempfile.TemporaryDirectory(prefix="im-storm-") as directory:
            return asyncio.run(self._run(Path(directory)))

    async def _run(self, directory: Path) -> Figure:
        settings = [f"{name}={value}" for name, value in _RAISED.items()]
        server = ServerProcess(directory, "process", settings=settings)
        try:
            await server.start()
            with BenchProcess("the crowd", "benchmarks.crowd") as crowd:
                await asyncio.to_thread(self._gather, crowd, server)
                return await self._strike(server, crowd)
        finally:
            await server.stop()

    def _gather(self, crowd: BenchProcess, server: ServerProcess) -> None:
        from im_server.tokens import make_token

        users = [[user, make_token(user, server.secret)] for user in range(1, self._clients + 1)]
        crowd.tell({"url": f"ws://127.0.0.1:{server.port}/ws", "users": users})
        crowd.answer(START)

    async def _strike(self, server: ServerProcess, crowd: BenchProcess) -> Figure:
        began, own = time.monotonic(), cpu_seconds(crowd.pid)
        if self._kills:
            await server.kill()
            await server.start()
        else:
            crowd.tell({"cut": True})
        listens = time.monotonic()
        assert server.pid is not None
        before = cpu_seconds(server.pid)
        story: dict[str, Any] = await asyncio.to_thread(crowd.answer, _PATIENCE)
        took = story["last_back"] - listens
        return Figure(
            took / self._allowed,
            {
                "seconds until all are back": took,
                "seconds that the rate allows": self._allowed,
                "seconds until half are back": story["half_back"] - listens,
                "seconds without a server": listens - began,
                "connects refused while it was gone": story["refused"],
                "sent away with a time": story["busy"],
                "server CPU s": cpu_seconds(server.pid) - before,
                "crowd CPU s": cpu_seconds(crowd.pid) - own,
            },
        )


def rows(options: Options) -> Sequence[Row]:
    """One row."""
    clients = _QUICK if options.quick else _CLIENTS
    config = ServerConfig()
    allowed = clients / config.admissions * config.admission_window
    return [
        Row(
            key="storm",
            title=f"{clients:,} clients lose the server at once and are back",
            goal="within 1.2 × what the configured admission rate allows",
            unit="× what the admission rate allows",
            higher_is_better=False,
            contestants=[
                Contestant("links cut", run=_Storm(clients, kills=False).run),
                Contestant(
                    "server killed",
                    run=_Storm(clients, kills=True).run,
                    note="and started again: from its first word on; those who have tried "
                    "meanwhile wait as their own delays say, no longer than they have tried "
                    "and a second",
                ),
            ],
            goals=[Goal("links cut", "<=", 1.2), Goal("server killed", "<=", 1.2)],
            notes=[
                f"the server admits {config.admissions} in {config.admission_window:g} s, which is "
                f"its default, so {clients:,} log-ins take {allowed:g} s",
                "the clients are real engines with their default delays, in one process",
                "raised, since all come from one address: "
                + ", ".join(f"{name}={value}" for name, value in _RAISED.items()),
            ],
        )
    ]
