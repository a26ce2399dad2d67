"""`im demo`: watch the promise being kept while the server is killed.

A real server process, two clients over real sockets, a proxy before each that cuts connections.
The verdict is audit.py's, from the two applications' logs and the database alone; the engine's own
counters only say whether the faults have hit anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Final

from im_asyncio import ClientConfig, IMError

from . import sabotage
from .audit import AuditError, Verdict, audit
from .demo_chat import Person, texts
from .demo_faults import Faults, make_plan
from .demo_result import DemoOptions, Result, Snapshot, conclude
from .demo_server import DemoError, ServerProcess
from .fault_proxy import Cut, FaultProxy
from .proof import prove

__all__ = ["DemoError", "DemoOptions", "Result", "Snapshot", "demo_command", "run_demo"]

RESULT: Final = "result.json"
CLIENT_LOG: Final = "clients.log"
_PEOPLE: Final = (("alice", 1), ("bob", 2))
#: With both logged in and nothing on its way, what has not arrived by then is lost, in seconds.
_QUIET: Final = 3.0
#: Late repeats may still come for so long.
_SETTLE: Final = 0.3
_CONNECT: Final = 15.0
#: The two write as fast as they can, for which a site's server would slow them down.
_RATES: Final = ("messages_per_second=10000", "envelopes_per_second=10000")


Report = Callable[[Snapshot], None]


async def run_demo(options: DemoOptions, report: Report) -> Result:
    """Run it and judge it.

    Args:
        options: what and how much.
        report: is told how far it is, some times a second.

    Raises:
        DemoError: it could not be run: a directory that is not empty, a server that won't start.
    """
    broken = sabotage.applied(options.sabotage) if options.sabotage else contextlib.nullcontext()
    with _directory(options.keep) as directory, broken, _log_to(directory / CLIENT_LOG):
        run = _Run(options, directory, report)
        await run.go()
        result = run.result()
        text = json.dumps(result.as_dict(), indent=2) + "\n"
        (directory / RESULT).write_text(text, encoding="utf-8")
    return result


@contextlib.contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """The clients' own log goes into a file: every cut is a warning there."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("im_asyncio")
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.propagate = propagate
        logger.removeHandler(handler)
        handler.close()


@contextlib.contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(
            prefix="im-demo-", ignore_cleanup_errors=True
        ) as temporary:
            yield Path(temporary)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise DemoError(f"{keep} is not empty: name another directory for --keep")
    except OSError as error:
        raise DemoError(f"{keep}: {error.strerror}") from error
    yield keep


class _Run:
    """One run, and what is known of it."""

    def __init__(self, options: DemoOptions, directory: Path, report: Report) -> None:
        self._options = options
        self._directory = directory
        self._report = report
        self._news: list[str] = []
        self._server = ServerProcess(directory, options.durability, options.sabotage, _RATES)
        self._people: list[Person] = []
        self._proxies: list[FaultProxy] = []
        self._faults: Faults | None = None
        self._started = self._ended = 0.0
        #: why it was broken off
        self._error = ""
        #: a client that will not come back
        self._gave_up = ""

    async def go(self) -> None:
        """Everything, up to the end of the server."""
        fatal: BaseException | None = None
        async with self._world():
            try:
                async with asyncio.timeout(self._options.seconds):
                    await self._chat()
            except* TimeoutError:
                self._error = f"it did not finish within {self._options.seconds:.0f} s"
                for person in self._people:
                    self._error += f"\n{person.name}: {person.client.explain()}"
            except* DemoError as errors:
                fatal = _first(errors)  # what is raised in here would come out as a group
            except* IMError as errors:
                self._gave_up = f"a client gave up: {_first(errors)}"
        if fatal is not None:
            raise fatal

    @contextlib.asynccontextmanager
    async def _world(self) -> AsyncIterator[None]:
        try:
            self._news.append("starting the server")
            self._tell()
            await self._server.start()
            for name, user in _PEOPLE:
                proxy = FaultProxy("127.0.0.1", self._server.port)
                self._proxies.append(proxy)
                await proxy.start()
                self._people.append(self._person(name, user, proxy.port))
            alice, bob = self._people
            alice.when_said, bob.when_said = bob.said_at.get, alice.said_at.get
            yield
        finally:
            # cut off first: a graceful end of the server must not wait for anybody
            for person in self._people:
                await person.client.disconnect()
                person.close()
            for proxy in self._proxies:
                await proxy.close()
            await self._server.stop()

    def _person(self, name: str, user: int, port: int) -> Person:
        from im_server.tokens import make_token

        options = self._options
        config = ClientConfig(
            ws_url=f"ws://127.0.0.1:{port}/ws",
            token=make_token(user, self._server.secret, expires_in=options.seconds + 3600),
            user_id=user,
            reconnect={"initial_delay": 0.05, "max_delay": 0.5, "stable_after": 1.0},  # type: ignore[arg-type]
        )
        # what is said can be repeated; ids, masks and delays are the client's own
        rng = random.Random(f"{name} {options.seed}")  # noqa: S311
        (other,) = (number for _, number in _PEOPLE if number != user)
        log = self._directory / f"{name}.jsonl"
        return Person(name, other, config, log, texts(name, options.messages, rng))

    async def _chat(self) -> None:
        options = self._options
        plan = make_plan(options.messages, options.kills, options.cuts, options.seed)
        self._faults = Faults(plan, self._people, self._proxies, self._server, self._news.append)
        for person in self._people:
            await person.client.connect(_CONNECT)
        self._started = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            helpers = [tasks.create_task(person.hear_all()) for person in self._people]
            helpers.append(tasks.create_task(self._tell_on()))
            async with asyncio.TaskGroup() as work:
                for person in self._people:
                    work.create_task(person.say_all())
                work.create_task(self._faults.run())
            await self._all_arrived()
            for helper in helpers:
                helper.cancel()

    async def _all_arrived(self) -> None:
        """Wait until everything was answered and has arrived, or nothing will any more."""
        alice, bob = self._people
        quiet_since, before = time.monotonic(), -1
        while True:
            arrived = alice.delivered + bob.delivered
            now = time.monotonic()
            if arrived != before or not (alice.done and bob.done and alice.online and bob.online):
                quiet_since, before = now, arrived
            if arrived == 2 * self._options.messages and alice.done and bob.done:
                break
            if now - quiet_since > _QUIET:
                break
            self._server.check()
            await asyncio.sleep(0.01)
        self._ended = quiet_since
        await asyncio.sleep(_SETTLE)

    # ------------------------------------------------------------ telling

    async def _tell_on(self) -> None:
        while True:
            self._tell()
            await asyncio.sleep(0.1)

    def _tell(self) -> None:
        news, self._news[:] = tuple(self._news), []
        accepted = [person.accepted for person in self._people] or [0, 0]
        # what alice has said arrives at bob
        delivered = [person.delivered for person in reversed(self._people)] or [0, 0]
        self._report(
            Snapshot(
                messages=self._options.messages,
                accepted=(accepted[0], accepted[1]),
                delivered=(delivered[0], delivered[1]),
                news=news,
            )
        )

    # ------------------------------------------------------------ the result

    def result(self) -> Result:
        """Judge the files, and say what had happened."""
        self._tell()
        try:
            verdict = audit(self._directory)
        except AuditError as error:
            self._error = self._error or f"the run can't be judged: {error}"
            verdict = Verdict()
        result = Result(
            durability=self._options.durability,
            seed=self._options.seed,
            sabotage=self._options.sabotage,
            **{name: getattr(verdict, name) for name in _OF_THE_VERDICT},
        )
        self._count(result)
        return conclude(result, verdict, self._options, self._error, self._gave_up)

    def _count(self, result: Result) -> None:
        counters = [person.client.counters for person in self._people]
        for name in ("reconnects", "resumed", "retransmitted", "duplicates_suppressed"):
            setattr(result, name, sum(getattr(each, name) for each in counters))
        result.duplicates_suppressed += sum(person.repeats_recognised for person in self._people)
        cuts: Counter[str] = Counter()
        for proxy in self._proxies:
            cuts.update(proxy.injected.cuts)
            result.zombies_released += proxy.injected.zombies_released
            result.stale_writes_refused += proxy.injected.stale_messages
        # a write behind a fence is one that was not refused
        result.stale_writes_refused = max(0, result.stale_writes_refused - result.behind_a_fence)
        result.cuts = cuts.total()
        result.cuts_by_kind = {kind.value: cuts[kind] for kind in Cut if cuts[kind]}
        result.in_flight_at_kills = self._faults.in_flight if self._faults else []
        result.kills = len(result.in_flight_at_kills)
        latencies = sorted(t for person in self._people for t in person.latencies)
        if latencies:
            result.p50_ms = round(_quantile(latencies, 0.50) * 1000, 1)
            result.p99_ms = round(_quantile(latencies, 0.99) * 1000, 1)
        result.seconds = round(max(self._ended - self._started, 0.0), 2)
        if result.seconds:
            result.messages_per_s = round(result.delivered / result.seconds, 1)


_OF_THE_VERDICT: Final = (
    *("sent", "accepted", "delivered", "failed", "lost", "duplicated", "out_of_order"),
    *("behind_a_fence", "never_sent", "mailbox_gaps"),
)


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    inner = errors.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _quantile(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def demo_command(options: DemoOptions) -> int:
    """Run it, show it, and return the exit code: 0 kept, 1 broken, 2 nothing proved."""
    from . import demo_view

    return prove(
        demo_view.Watching(options),
        lambda watching: run_demo(options, watching.report),
        failure=DemoError,
        show=None if options.json else lambda result: demo_view.show(result, options),
    )
