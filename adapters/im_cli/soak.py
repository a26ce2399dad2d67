"""`im soak`: clients and server are killed at named points, and nothing is lost.

A real server process and two real applications that write to each other all the time. Round by
round one of them, or a client and the server together, die at a point (`soak_points.py`), and are
started again on the same files. At the end the applications say and hear what is left, and the
verdict is audit.py's, from what they and the database have kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .proof import prove
from .soak_plan import KINDS, PEOPLE, SERVER_NAME, Plan, Round
from .soak_points import ANYWHERE, DEATHS, note_death
from .soak_process import Child, SoakError
from .soak_result import SoakOptions, SoakResult, judge

__all__ = ["SoakOptions", "run_soak", "soak_command"]

RESULT: Final = "result.json"
#: A point that is not reached within so many seconds is none.
_PATIENCE: Final = 30.0
#: So much later than the first one the other one dies, wherever it is.
_TOGETHER: Final = 0.5
#: For what is left to be said and heard, in seconds.
_END: Final = 60.0
_STOP: Final = 15.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    #: rounds so far, and in all; seconds if that is what ends it
    done: float
    total: float
    #: what happens now
    news: str


Report = Callable[[Progress], None]


async def run_soak(options: SoakOptions, report: Report) -> SoakResult:
    """Run it and judge it.

    Raises:
        SoakError: it could not be run: a directory that is not empty, a server that won't start.
    """
    started = time.monotonic()
    with _directory(options.keep) as directory:
        run = _Run(options, directory, report)
        await run.go()
        result = await asyncio.to_thread(judge, directory, options, run.rounds, run.trouble)
        result.seconds = round(time.monotonic() - started, 1)
        text = json.dumps(result.as_dict(), indent=2) + "\n"
        (directory / RESULT).write_text(text, encoding="utf-8")
    return result


@contextlib.contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="im-soak-", ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise SoakError(f"{keep} is not empty: name another directory for --keep")
    except OSError as error:
        raise SoakError(f"{keep}: {error.strerror}") from error
    yield keep


class _Run:
    """One run, and what is known of it."""

    def __init__(self, options: SoakOptions, directory: Path, report: Report) -> None:
        self._options = options
        self._directory = directory
        self._report = report
        self._plan = Plan(options.seed)
        self._server = Child(SERVER_NAME, "im_cli.soak_server", directory, {"port": 0})
        self._clients = [self._client(*person) for person in PEOPLE]
        #: rounds that were lived through
        self.rounds: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        #: what is wrong without an audit
        self.trouble: list[str] = []

    def _client(self, name: str, user: int, mode: str) -> Child:
        peers = [other for _, other, _ in PEOPLE if other != user]
        given = {"user": user, "mode": mode, "peers": peers, "broken": self._options.broken}
        return Child(name, "im_cli.soak_client", self._directory, given)

    @property
    def _all(self) -> list[Child]:
        return [self._server, *self._clients]

    async def go(self) -> None:
        """Everything, up to the end of the last process."""
        async with self._ends():
            await self._start_server(None)
            for each in self._clients:
                each.given["port"] = self._server.given["port"]
            for made in self._rounds():
                if not await self._live_through(made):
                    return
                self.rounds[made.kind] += 1
            await self._come_to_the_end()

    @contextlib.asynccontextmanager
    async def _ends(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self._server.terminate()
            for each in self._clients:
                each.kill()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP):
                    if self._server.lives:
                        await self._server.ended()
            for each in self._all:
                each.kill()
                if each.lives:
                    await each.ended()

    def _rounds(self) -> Iterator[Round]:
        minutes = self._options.minutes
        if minutes is None:
            kinds = [kind for kind in KINDS for _ in range(self._options.kills[kind])]
            for done, kind in enumerate(kinds):
                yield self._next(kind, done, len(kinds))
            return
        start = time.monotonic()
        while (passed := time.monotonic() - start) < minutes * 60:
            yield self._next(KINDS[self.rounds.total() % len(KINDS)], passed, minutes * 60)

    def _next(self, kind: str, done: float, total: float) -> Round:
        made = self._plan.round(kind)
        dying = (made.deaths | made.then).items()
        deaths = ", ".join(f"{name} at {point}" for name, (point, _) in dying)
        self._report(Progress(done, total, f"round {self.rounds.total() + 1}: {deaths}"))
        return made

    # ------------------------------------------------------------ a round

    async def _live_through(self, made: Round) -> bool:
        """Arm, wait for the deaths; False if it can't go on."""
        for each in self._all:
            die = made.deaths.get(each.name)
            if each.alive:
                if die is not None:
                    each.arm(die)
            elif each is self._server:
                await self._start_server(die)
            else:
                await each.start(die)
        for name, (point, nth) in made.deaths.items():
            if not await self._dies(name, _PATIENCE):
                self.trouble.append(f"{name} did not come to {point} {nth} times in {_PATIENCE} s")
                return False
        for name, die in made.then.items():
            noted = self._noted()
            self._named(name).arm(die)
            if not await self._dies(name, _TOGETHER):
                self._named(name).kill()
                await self._named(name).ended()
                if self._noted() == noted:  # else it was there at the last moment
                    note_death(self._directory / DEATHS, name, ANYWHERE)
        return self._all_as_planned(made)

    def _noted(self) -> int:
        return len((self._directory / DEATHS).read_bytes())

    def _named(self, name: str) -> Child:
        return next(each for each in self._all if each.name == name)

    async def _dies(self, name: str, seconds: float) -> bool:
        """Wait for its end; False if it does not come in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._named(name).ended()
        except TimeoutError:
            return False
        return True

    def _all_as_planned(self, made: Round) -> bool:
        for each in self._all:
            status = each.status
            if each.name in made.deaths | made.then and status in _KILLED:
                continue
            if status is not None:
                self.trouble.append(
                    f"{each.name} has ended by itself, with status {status}:\n{each.last_words()}"
                )
        return not self.trouble

    async def _start_server(self, die: tuple[str, int] | None) -> None:
        await self._server.start(die)
        self._server.given["port"] = await self._server.port()

    # ------------------------------------------------------------ the end

    async def _come_to_the_end(self) -> None:
        self._report(Progress(1, 1, "nothing is killed any more; what is left is said and heard"))
        if not self._server.alive:
            await self._start_server(None)
        for each in self._clients:
            if not each.alive:
                await each.start()
            each.finish()
        try:
            async with asyncio.timeout(_END):
                statuses = [await each.ended() for each in self._clients]
        except TimeoutError:
            self.trouble.append(f"not everything was heard within {_END:.0f} s")
            return
        for each, status in zip(self._clients, statuses, strict=True):
            if status:
                self.trouble.append(f"{each.name} ended with {status}:\n{each.last_words()}")


_KILLED: Final = (-9, 1) if sys.platform == "win32" else (-signal.SIGKILL,)


def soak_command(options: SoakOptions) -> int:
    """Run it, show it, and return the exit code: 0 kept, 1 broken, 2 nothing proved."""
    from . import soak_view

    return prove(
        soak_view.Watching(options),
        lambda watching: run_soak(options, watching.report),
        failure=SoakError,
        show=None if options.json else lambda result: soak_view.show(result, options),
    )
