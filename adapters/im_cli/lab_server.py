"""The server of the lab: a real process on a file of its own, that is killed and started again."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

from im_proto.wire import UserId
from im_server.tokens import make_token

from .demo_server import DemoError, ServerProcess

State = Literal["starting", "running", "stopped", "killed"]
Order = Literal["start", "stop", "kill", "restart"]
#: Seconds that a token is good for; a client renews it on the live connection before.
TOKEN_LIFE: Final = 300.0
_ANSWER: Final = 10.0
logger = logging.getLogger(__name__)

MEANINGS: Final = {
    "start": "The server is started, on the same file and port.",
    "stop": "The server ends in good order (SIGTERM): everybody is told, what was accepted is "
    "answered.",
    "restart": "Both, one after the other.",
    "kill": "The server is killed where it stands (SIGKILL): nobody is told, nothing is tidied up.",
    "expire": "All tokens of that user are refused from now on, and its connections end with 4003; "
    "the page gets another one by itself.",
}


class NotRunningError(Exception):
    """The server has to run for that."""


class LabServer:
    """See the module.

    Args:
        directory: of its files.
        origin: of the lab's page, which may connect.
        changed: called when `as_dict` says something else.
    """

    def __init__(self, directory: Path, origin: str, changed: Callable[[], None]) -> None:
        settings = (f"origins={origin}", "hosts=127.0.0.1", "page=false")
        self._process = ServerProcess(directory, "power", settings=settings)
        self._changed = changed
        self._turn = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self.state: State = "stopped"
        self.starts = 0

    @property
    def port(self) -> int:
        """Where it listens, once it was started; stays the same."""
        return self._process.port

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        running = self.state == "running"
        return {
            "state": self.state,
            "pid": self._process.pid if running else None,
            "starts": self.starts,
        }

    async def order(self, what: Order) -> None:
        """Do it; returns when it is done. What has no sense now, such as a kill of a server that
        is gone, is left out.

        Raises:
            DemoError: it does not start.
        """
        async with self._turn:
            if what in ("stop", "restart") and self.state == "running":
                await self._end("stopped")
            if what == "kill" and self.state == "running":
                await self._end("killed")
            if what in ("start", "restart") and self.state != "running":
                await self._start()

    async def close(self) -> None:
        """End it, whatever it is doing."""
        if self._watch is not None:
            self._watch.cancel()
        await self._process.stop()

    def token(self, user: UserId) -> str:
        """One that is good for `TOKEN_LIFE`."""
        return make_token(user, self._process.secret, expires_in=TOKEN_LIFE)

    async def revoke(self, user: UserId) -> int:
        """Have all tokens of a user refused that were made by now; returns how many connections
        that has ended.

        Raises:
            NotRunningError: it does not run.
        """
        try:
            return await asyncio.to_thread(self._revoke, user)
        except (OSError, http.client.HTTPException) as error:
            raise NotRunningError("the server does not run") from error

    def _revoke(self, user: UserId) -> int:
        admin = make_token("lab", self._process.secret, expires_in=60.0, roles=("admin",))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER)
        try:
            connection.request(
                "POST", "/im/admin/revoke", json.dumps({"user": user}), {"satoken": admin}
            )
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return int(answer["data"]["ended"])

    async def _start(self) -> None:
        self._become("starting")
        try:
            await self._process.start()
        except DemoError:
            self._become("killed")
            raise
        self.starts += 1
        self._become("running")
        self._watch = asyncio.create_task(self._until_it_ends())

    async def _end(self, state: State) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if state == "killed":
            await self._process.kill()
        else:
            await self._process.stop()
        self._become(state)

    async def _until_it_ends(self) -> None:
        """Somebody else may kill it, too."""
        await self._process.ended()
        async with self._turn:
            self._watch = None
            await self._process.kill()
            self._become("killed")

    def _become(self, state: State) -> None:
        self.state = state
        self._changed()
