"""The lab from its start to its end: its directory, its world, its HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import uvicorn

from im_server.app import listen

from .lab_http import LabApp
from .lab_world import World, world

#: Seconds that answers have at the end.
_GRACE: Final = 2


@contextlib.asynccontextmanager
async def running(port: int = 0) -> AsyncIterator[tuple[LabApp, World]]:
    """A lab that is served on this port of 127.0.0.1; 0 takes a free one.

    Raises:
        DemoError: its server does not start.
        NotBuiltError: the page is not built.
        OSError: the port can't be listened on.
    """
    with listen("127.0.0.1", port) as sock, _directory() as directory:
        place = f"127.0.0.1:{sock.getsockname()[1]}"
        async with world(directory, f"http://{place}") as it:
            app = LabApp(it, place)
            server = _Server(
                uvicorn.Config(
                    app,
                    lifespan="off",
                    ws="none",
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    timeout_graceful_shutdown=_GRACE,
                )
            )
            serving = asyncio.create_task(server.serve(sockets=[sock]))
            try:
                yield app, it
            finally:
                it.events.close()  # who listens there would hold the end up
                server.should_exit = True
                await serving


class _Server(uvicorn.Server):
    """uvicorn without an eye on signals: they end the lab, which ends this."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="im-lab-", ignore_cleanup_errors=True) as directory:
        yield Path(directory)
