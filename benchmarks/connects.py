"""How many can connect, log in and leave again a second: on one core of a server."""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

from im_cli.bench_ours import Server
from im_cli.bench_process import START, BenchProcess
from im_cli.bench_settings import RAISED

from .harness import Contestant, Figure, Goal, Options, Row, cpu_seconds
from .visits import Visitor, ours, relay, socketio, visit

#: Visits of a round, and of the first one, which is not measured.
_VISITS: Final = 3_000
_QUICK: Final = 300
_WARM: Final = 100
#: Users, who come in turn.
_USERS: Final = 500
#: Visits at a time.
_AT_ONCE: Final = 32
#: Limits that keep one address from taking the whole server: all visitors come from one.
_HOLDING: Final = (
    "admissions",
    "admissions_per_address",
    "arrivals_per_address",
    "arrivals_burst",
    "connections_per_address",
    "unauthenticated_per_address",
)

Make = Callable[[str, int, str], Visitor]


class _Visited:
    """A server, and those who visit it.

    Args:
        start: starts it; returns its URL and pid, and the secret of its tokens.
        make: makes a visitor.
        visits: of each round.
    """

    def __init__(
        self, start: Callable[[ExitStack], tuple[str, int, str]], make: Make, visits: int
    ) -> None:
        self._start = start
        self._make = make
        self._visits = visits
        self._stack = ExitStack()
        self._url, self._pid = "", 0
        self._visitors: list[Visitor] = []

    def run(self) -> Figure:
        """Visit it."""
        if not self._visitors:
            self._prepare()
        wall, cpu, own = time.perf_counter(), cpu_seconds(self._pid), time.process_time()
        self._visit(self._visits)
        wall = time.perf_counter() - wall
        cpu = cpu_seconds(self._pid) - cpu
        own = time.process_time() - own
        return Figure(
            self._visits / cpu,
            {
                "server CPU us a connect": cpu / self._visits * 1e6,
                "connects a second of the clock": self._visits / wall,
                "visitors' CPU us a connect": own / self._visits * 1e6,
            },
        )

    def _prepare(self) -> None:
        from im_server.tokens import make_token

        self._url, self._pid, secret = self._start(self._stack)
        self._visitors = [
            self._make(self._url, user, make_token(user, secret)) for user in range(1, _USERS + 1)
        ]
        self._visit(_WARM)

    def _visit(self, count: int) -> None:
        asyncio.run(visit(self._url, self._visitors, count, _AT_ONCE))

    def close(self) -> None:
        """End the server."""
        self._stack.close()
        self._visitors.clear()


def _our_server(loop: str) -> Callable[[ExitStack], tuple[str, int, str]]:
    def start(stack: ExitStack) -> tuple[str, int, str]:
        server = stack.enter_context(Server("process", loop))
        return server.url, server.pid, server.secret

    return start


def _peer(name: str, loop: str) -> Callable[[ExitStack], tuple[str, int, str]]:
    def start(stack: ExitStack) -> tuple[str, int, str]:
        secret = secrets.token_hex(32)
        arguments = ("im_cli.tied", "im_cli.bench_loop", loop, "benchmarks.visited", name)
        process = BenchProcess(name, *arguments, environment={"IM_SECRET": secret})
        stack.enter_context(process)
        return process.answer(START)["url"], process.pid, secret

    return start


def rows(options: Options) -> Sequence[Row]:
    """One row."""
    visits = _QUICK if options.quick else _VISITS

    def contestant(
        name: str,
        start: Callable[[ExitStack], tuple[str, int, str]],
        make: Make,
        package: str = "jwt",
        note: str = "",
    ) -> Contestant:
        visited = _Visited(start, make, visits)
        there = importlib.util.find_spec(package) is not None
        missing = "" if there else f"{package} is not installed: pip install 'im-proto[bench]'"
        return Contestant(name, run=visited.run, close=visited.close, missing=missing, note=note)

    return [
        Row(
            key="connects",
            title="Connects with auth a second on one server core",
            goal="≥ 3 × python-socketio",
            unit="connects a CPU second of the server",
            higher_is_better=True,
            contestants=[
                contestant(
                    "im",
                    _our_server(options.loop),
                    ours,
                    note="the log-in is a transaction of the store",
                ),
                contestant(
                    "websockets relay",
                    _peer("relay", options.loop),
                    relay,
                    "websockets",
                    "by hand; nothing is kept",
                ),
                contestant(
                    "python-socketio",
                    _peer("socketio", options.loop),
                    socketio,
                    "socketio",
                    "on uvicorn; `auth` is checked in its connect handler",
                ),
            ],
            reference="python-socketio",
            goals=[Goal("im", ">=", 3.0, against="python-socketio")],
            notes=[
                f"{visits} visits a round, {_AT_ONCE} at a time, by bytes that were made before: "
                "connect, log in with a signed token (HS256), wait for the answer, close",
                "raised, since all come from one address: "
                + ", ".join(f"{name}={RAISED[name]}" for name in _HOLDING),
            ],
        )
    ]
