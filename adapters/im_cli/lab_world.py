"""All that the lab's page acts on: the server, two users, and the network of each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from . import lab_proxy, lab_server
from .audit import DATABASE
from .lab_events import Events
from .lab_proxy import Cut, Faults, LabProxy
from .lab_server import TOKEN_LIFE, LabServer
from .lab_tally import tally

#: The windows, and who sits there.
WINDOWS: Final = ("a", "b")
_USERS: Final = {"a": (1, "Alice"), "b": (2, "Bob")}
#: The most of each slider, in seconds.
LIMITS: Final = {"latency": 10.0, "jitter": 10.0}


class World:
    """See the module. Made by `world`."""

    def __init__(self, directory: Path, origin: str) -> None:
        self._database = directory / DATABASE
        self.events = Events(self._present)
        self.server = LabServer(directory, origin, self._server_changed)
        self.proxies: dict[str, LabProxy] = {}

    async def start(self) -> None:
        """Start all of it.

        Raises:
            DemoError: the server does not start.
        """
        await self.server.order("start")
        for window in WINDOWS:
            # what is lost is up to chance, and nobody's secret
            proxy = LabProxy(self.server.port, self._teller(window), random.Random())  # noqa: S311
            self.proxies[window] = proxy
            await proxy.start()

    async def close(self) -> None:
        """End all of it. The networks first: a server that ends in good order waits for nobody."""
        for proxy in self.proxies.values():
            await proxy.close()
        await self.server.close()

    # ------------------------------------------------------------ what the page is told

    def as_dict(self) -> dict[str, Any]:
        """Everything, for the page's start."""
        return {
            "wsUrls": {window: self.url(window) for window in WINDOWS},
            "users": [
                {"id": user, "name": name, "token": self.server.token(user), "window": window}
                for window, (user, name) in _USERS.items()
            ],
            **self._present(),
            "limits": LIMITS,
            "meanings": {**lab_proxy.MEANINGS, **lab_server.MEANINGS},
        }

    def url(self, window: str) -> str:
        """Where that window finds the server."""
        return f"ws://127.0.0.1:{self.proxies[window].port}/ws"

    def faults(self) -> dict[str, Any]:
        """What is wrong with each network."""
        return {window: proxy.faults.as_dict() for window, proxy in self.proxies.items()}

    def token(self, window: str) -> dict[str, Any]:
        """A new one for who sits there."""
        user, _ = _USERS[window]
        return {"token": self.server.token(user), "user": user, "expiresIn": TOKEN_LIFE}

    async def tally(self) -> dict[str, Any]:
        """See `lab_tally.tally`."""
        return await asyncio.to_thread(tally, self._database)

    # ------------------------------------------------------------ what the page does

    def set_faults(self, windows: Iterable[str], changes: dict[str, Any]) -> None:
        """From now on these networks are like this; what isn't said stays."""
        for window in windows:
            proxy = self.proxies[window]
            proxy.set(Faults(**(proxy.faults.as_dict() | changes)))
        self.events.tell("faults", self.faults())

    async def cut(self, windows: Iterable[str], how: Cut) -> int:
        """Cut the connections that these windows have; returns how many."""
        return sum([await self.proxies[window].cut(how) for window in windows])

    async def expire(self, window: str) -> int:
        """Make the tokens bad that who sits there has; returns how many connections that ends.

        Raises:
            NotRunningError: the server does not run.
        """
        return await self.server.revoke(_USERS[window][0])

    # ------------------------------------------------------------ events

    def _present(self) -> dict[str, Any]:
        return {"server": self.server.as_dict(), "faults": self.faults(), "links": self._links()}

    def _links(self) -> dict[str, Any]:
        return {window: asdict(proxy.links) for window, proxy in self.proxies.items()}

    def _server_changed(self) -> None:
        self.events.tell("server", self.server.as_dict())

    def _teller(self, window: str) -> lab_proxy.Tell:
        def tell(what: str, seconds: float | None) -> None:
            more = {} if seconds is None else {"seconds": seconds}
            self.events.tell("link", {"window": window, "what": what, **more})
            self.events.tell("links", self._links())

        return tell


@asynccontextmanager
async def world(directory: Path, origin: str) -> AsyncIterator[World]:
    """One that runs, with its files in an empty directory.

    Args:
        directory: where.
        origin: of the page, which the server lets connect.

    Raises:
        DemoError: the server does not start.
    """
    it = World(directory, origin)
    try:
        await it.start()
        yield it
    finally:
        it.events.close()
        await it.close()
