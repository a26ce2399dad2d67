"""`im bench`: how fast this is on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json as jsons
import math
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from .bench_clients import Clients, Sample
from .bench_load import Setup
from .bench_process import BenchError
from .bench_settings import RAISED
from .common import errors, fail

#: Seconds of load before it counts.
_WARM: Final = 0.3

MEANING: Final = """\
A sends messages of 80 characters to B through the server. A message counts
once B has it and A its acknowledgement; before that the server has committed
it to its database.

in flight    messages without acknowledgement that each A has at a time
ack          milliseconds from A's call until A has the acknowledgement: half
             of the messages, 90 and 99 of 100 take no longer
delivered    milliseconds from A's call until B has the message: half of them
client CPU   microseconds of processor time for a message, of the process with
             all clients
server CPU   the same, of the server's process

Client and server share this machine. With a core each, the greater of the two
CPU figures bounds the throughput; a busy machine hardly changes them."""


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """What is to be measured.

    Args:
        windows: messages in flight, a measurement each.
        pairs: of clients, in each.
        seconds: of each measurement.
        messages: the most in each; None: as many as fit.
        loop: the event loop of the clients, and of a server of our own.
    """

    windows: tuple[int, ...]
    pairs: int
    seconds: float
    messages: int | None
    loop: str


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A server that runs: how its clients are set up, and its process, if it is on this machine."""

    setup: Callable[[int, int], Setup]
    pid: int | None


def bench(
    window: Annotated[
        list[int] | None,
        typer.Option(
            help="Messages that each pair keeps in flight. May be given again. \\[1, 64, 1024]",
            min=1,
            max=2048,
        ),
    ] = None,
    pairs: Annotated[
        int, typer.Option(help="Pairs of clients, A and B, at a time.", min=1, max=2000)
    ] = 1,
    seconds: Annotated[
        float, typer.Option(help="Of each measurement.", min=0.01, max=3600.0)
    ] = 3.0,
    messages: Annotated[
        int | None, typer.Option(help="The most in each measurement.", min=1)
    ] = None,
    durability: Annotated[
        Literal["power", "process"], typer.Option(help="Of the server, as of im serve.")
    ] = "power",
    loop: Annotated[
        Literal["asyncio", "uvloop"], typer.Option(help="The event loop of server and clients.")
    ] = "asyncio",
    url: Annotated[
        str | None,
        typer.Option(
            help="Measure this server, which runs, as it is, through its limits: "
            "ws://host:port/ws. One pair.",
            envvar="IM_URL",
            show_envvar=True,
        ),
    ] = None,
    user_a: Annotated[str, typer.Option(help="With --url: who sends.")] = "1",
    user_b: Annotated[
        str, typer.Option(help="With --url: who receives; whatever waits for it is received too.")
    ] = "2",
    token_a: Annotated[
        str,
        typer.Option(
            help="With --url: A's token. \\[dev:USER]", envvar="IM_TOKEN_A", show_envvar=True
        ),
    ] = "",
    token_b: Annotated[
        str, typer.Option(help="With --url: B's.", envvar="IM_TOKEN_B", show_envvar=True)
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object, nothing else.")] = False,
) -> None:
    """Measure how many messages a second go through the server, and how long each takes.

    It starts a server of its own, on a database of its own that goes with it, and raises the
    limits that keep one user from taking all of a server (they are named in the output). With
    --url it measures a server that runs, within its limits: by default 100 messages a second.

    Exit 0: measured, whatever the figures. Exit 1: something did not work. To compare with other
    servers: make bench.
    """
    if loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        fail("uvloop is not installed", 'pip install "im-proto[uvloop]"')
    if url is not None and pairs > 1:
        fail("--url is for one pair: A and B have a token each", "im bench --window 64", 2)
    work = Work(tuple(window or (1, 64, 1024)), pairs, seconds, messages, loop)
    try:
        if url is None:
            place = _own(durability, loop)
        else:
            users = (
                *(_user(user_a), token_a or f"dev:{user_a}"),
                *(_user(user_b), token_b or f"dev:{user_b}"),
            )
            place = _running(url, users)
        with place as there:
            results = _measured(work, there, quiet=json)
    except BenchError as error:
        fail(str(error))
    except ImportError as error:
        fail(f"the server is not installed ({error.name})", 'pip install "im-proto[server,cli]"')
    report = _report(work, durability, url, results)
    if json:
        print(jsons.dumps(report))  # noqa: T201
    else:
        _show(report)


def _user(name: str) -> int | str:
    return int(name) if name.isdecimal() else name


@contextlib.contextmanager
def _own(durability: str, loop: str) -> Iterator[Place]:
    from .bench_ours import Server

    with Server(durability, loop) as server:
        yield Place(server.setup, server.pid)


@contextlib.contextmanager
def _running(url: str, users: Sequence[int | str]) -> Iterator[Place]:
    yield Place(lambda pairs, window: Setup(url, pairs, window, [users]), None)


def _measured(work: Work, place: Place, *, quiet: bool) -> list[dict[str, Any]]:
    """Each window in turn, each with clients of its own."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    results = []
    # Few redraws: they take the processor from what is measured.
    with Progress(
        *columns, console=errors, transient=True, disable=quiet, refresh_per_second=2
    ) as progress:
        task = progress.add_task("", total=len(work.windows))
        for window in work.windows:
            progress.update(task, description=f"{window} in flight")
            setup = place.setup(work.pairs, window)
            with Clients("im_cli.bench_ours", work.loop, setup, place.pid) as clients:
                clients.load(min(_WARM, work.seconds), work.messages)
                results.append(
                    _result(window, work.pairs, clients.load(work.seconds, work.messages))
                )
            progress.advance(task)
    return results


def _result(window: int, pairs: int, sample: Sample) -> dict[str, Any]:
    found = sample.found
    return {
        "window": window,
        "pairs": pairs,
        "messages": found.messages,
        "seconds": found.seconds,
        "per_second": sample.per_second,
        "ack_ms": {name: value * 1e3 for name, value in found.ack.items()},
        "delivery_ms": {name: value * 1e3 for name, value in found.delivery.items()},
        "client_cpu_us": sample.client_us,
        "server_cpu_us": None if math.isnan(sample.server_us) else sample.server_us,
        "others": found.strays,
    }


def _report(
    work: Work, durability: str, url: str | None, results: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What --json prints."""
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "loop": work.loop,
        "url": url,
        "durability": durability if url is None else None,
        "raised": dict(RAISED) if url is None else {},
        "results": list(results),
    }


def _show(report: Mapping[str, Any]) -> None:
    console = Console(highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("in flight", justify="right")
    for heading in ("messages/s", "ack 50", "90", "99 %", "delivered", "client", "server CPU"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in report["results"]:
        ack, delivery, server = one["ack_ms"], one["delivery_ms"], one["server_cpu_us"]
        table.add_row(
            str(one["window"]),
            f"{one['per_second']:,.0f}",
            *(f"{ack[name]:.2f}" for name in ("p50", "p90", "p99")),
            f"{delivery['p50']:.2f}",
            f"{one['client_cpu_us']:.1f}",
            "–" if server is None else f"{server:.1f}",
        )
    pairs = report["results"][0]["pairs"]
    where = report["url"] or f"a server of its own, --durability {report['durability']}"
    if pairs > 1:
        where += f"; {pairs:,} pairs"
    console.print(f"\n{where}; {report['loop']}; Python {report['python']}; {report['machine']}\n")
    console.print(table)
    console.print(f"\n{MEANING}", style="dim", markup=False)
    if report["raised"]:
        raised = ", ".join(f"{name}={value}" for name, value in report["raised"].items())
        console.print(f"\nRaised above what im serve has by default: {raised}", style="dim")
