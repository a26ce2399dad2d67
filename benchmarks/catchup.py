"""A client that was away for many messages catches up: how fast, and with how much memory.

Devices of one user log in once and go; then everything is sent that they miss. Each round one of
them comes back, and beside it a pair of other users shows what the server does live.
"""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from im_cli.bench_load import Setup
from im_cli.bench_ours import Server
from im_cli.bench_process import START, BenchProcess

from .harness import Contestant, Curve, Figure, Goal, Options, Row, Series, cpu_seconds, flat

_MESSAGES: Final = 100_000
_QUICK: Final = 10_000
#: How often the memory is looked at in a catch-up.
_LOOKS: Final = 20
#: Seconds of the live load, and messages that it keeps in flight.
_LIVE: Final = 3.0
_WINDOW: Final = 64
#: Who sends, and who is away.
_SENDER: Final = 11
_AWAY: Final = 12
#: The most memory is so many times the least: what is called flat. Allocators come and go.
_FLAT: Final = 1.25
#: Seconds until the next line of a client.
_PATIENCE: Final = 120.0


class _CatchUp:
    """A server with a full mailbox, and those who read it.

    Args:
        messages: in the mailbox.
        devices: of its user, at most one for each round.
        loop: of the server.
    """

    def __init__(self, messages: int, devices: int, loop: str) -> None:
        self._messages = messages
        self._devices = devices
        self._loop = loop
        self._stack = ExitStack()
        self._server: Server | None = None
        self._live: BenchProcess | None = None
        self._round = 0
        #: of the last catch-up: messages, and megabytes of the client and of the server
        self.memory: list[tuple[int, float, float]] = []

    def live(self) -> Figure:
        """Messages a second from A to B, both there."""
        server = self._prepare()
        assert self._live is not None
        before = cpu_seconds(server.pid)
        self._live.tell({"seconds": _LIVE})
        found = self._live.answer(_PATIENCE)
        return Figure(
            found["messages"] / found["seconds"],
            {
                "clients' CPU us a message": found["cpu"] / found["messages"] * 1e6,
                "server CPU us a message": (cpu_seconds(server.pid) - before)
                / found["messages"]
                * 1e6,
            },
        )

    def catch_up(self) -> Figure:
        """Messages a second to a device that was away."""
        server = self._prepare()
        self._round += 1
        self.memory = []
        before = cpu_seconds(server.pid)
        with BenchProcess("who was away", "benchmarks.away") as client:
            client.tell(self._order("receive", _AWAY, self._round % self._devices))
            answer: dict[str, Any] = {}
            while "done" not in answer:
                answer = client.answer(_PATIENCE)
                if "received" in answer:
                    held = _megabytes(client.pid), _megabytes(server.pid)
                    self.memory.append((answer["received"], *held))
        (_, client_first, server_first), (_, client_last, server_last) = (
            self.memory[0],
            self.memory[-1],
        )
        return Figure(
            self._messages / answer["done"],
            {
                "client CPU us a message": answer["cpu"] / self._messages * 1e6,
                "server CPU us a message": (cpu_seconds(server.pid) - before)
                / self._messages
                * 1e6,
                "client's memory grows MB": client_last - client_first,
                "server's memory grows MB": server_last - server_first,
            },
        )

    def _prepare(self) -> Server:
        if self._server is not None:
            return self._server
        self._server = server = self._stack.enter_context(Server("process", self._loop))
        for device in range(self._devices):
            self._do(self._order("log in", _AWAY, device))
        self._do(self._order("send", _SENDER, 0) | {"to": _AWAY})
        self._live = self._stack.enter_context(
            BenchProcess("the live load", "im_cli.bench_load", "im_cli.bench_ours")
        )
        self._live.tell(dataclasses.asdict(_pair(server)))
        self._live.answer(START)
        return server

    def _order(self, do: str, user: int, device: int) -> dict[str, Any]:
        from im_server.tokens import make_token

        assert self._server is not None
        return {
            "do": do,
            "url": self._server.url,
            "user": user,
            "token": make_token(user, self._server.secret),
            "device": f"device-{device}",
            "messages": self._messages,
            "each": self._messages // _LOOKS,
        }

    def _do(self, order: dict[str, Any]) -> None:
        with BenchProcess("a client", "benchmarks.away") as client:
            client.tell(order)
            client.answer(_PATIENCE)

    def close(self) -> None:
        """End the server. Both contestants call it; the second time it does nothing."""
        self._stack.close()
        self._server = self._live = None


def _pair(server: Server) -> Setup:
    return server.setup(1, _WINDOW)


def _megabytes(pid: int) -> float:
    """What a process holds in memory; NaN where nobody tells."""
    if not sys.platform.startswith("linux"):
        return math.nan
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@cache
def _catch_up(options: Options) -> _CatchUp:
    """The row's, from which the curve takes what the last round has seen."""
    return _CatchUp(_QUICK if options.quick else _MESSAGES, options.rounds, options.loop)


def rows(options: Options) -> Sequence[Row]:
    """One row."""
    subject = _catch_up(options)
    messages = _QUICK if options.quick else _MESSAGES
    return [
        Row(
            key="catchup",
            title=f"A client that was away for {messages:,} messages catches up",
            goal="≥ 50 % of live throughput, memory flat",
            unit="messages a second",
            higher_is_better=True,
            contestants=[
                Contestant("live", run=subject.live, close=subject.close),
                Contestant("catch-up", run=subject.catch_up, close=subject.close),
            ],
            reference="live",
            goals=[Goal("catch-up", ">=", 0.5, against="live")],
            notes=[
                f"live: one pair, {_WINDOW} in flight for {_LIVE:g} s, on the same server",
                "retention_count is 100,000, its default: a mailbox holds no more",
                f"memory: from the first of {_LOOKS} looks to the last",
            ],
        )
    ]


def curves(options: Options) -> Sequence[Curve]:
    """One curve: the memory of both sides over a catch-up."""
    subject = _catch_up(options)

    def series() -> Series:
        if not subject.memory:
            try:
                subject.catch_up()
            finally:
                subject.close()
        return {
            "client": [(received, client) for received, client, _ in subject.memory],
            "server": [(received, server) for received, _, server in subject.memory],
        }

    return [
        Curve(
            key="catchup-memory",
            title="Memory while a client catches up",
            x_label="messages received",
            y_label="MB resident",
            series=series,
            goal="flat",
            reached=partial(flat, most=_FLAT),
            x_log=False,
            notes=[f"flat: the most is at most {_FLAT:g} × the least"],
        )
    ]
