"""`im protocol`: the protocol as data, for people and for clients in other languages."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from im_proto.description import describe

from .common import fail


def protocol(
    as_json: Annotated[
        bool, typer.Option("--json", help="All of it as one JSON object, nothing else.")
    ] = False,
    vectors: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Record conformance vectors into DIR/client-*.jsonl."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="With --vectors: worlds to live through.", min=1)] = 40,
) -> None:
    """What goes over the wire, and what a client's engine does, as data.

    Without options: a summary. For who writes a client in another language: --json is the protocol
    with all its tables, and --vectors records what the engine of this one does; docs/vectors.md
    says how to replay that. The same number of seeds gives the same vectors, byte for byte.
    """
    if vectors is not None:
        _record(vectors, seeds)
    elif as_json:
        print(json.dumps(_told(), ensure_ascii=False))  # noqa: T201
    else:
        _summary(_told(), Console(highlight=False))


def _told() -> dict[str, Any]:
    try:
        return describe(inspect.getsource)
    except OSError:  # an installation without sources has no words
        return describe()


def _record(folder: Path, seeds: int) -> None:
    from im_proto.testing.vectors import record, write  # brings much, and takes a while

    bar = Progress(
        TextColumn("recording"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("", total=seeds)
        found = record(seeds, progress=lambda done: bar.update(task, completed=done))
    try:
        paths = write(found, folder)
    except OSError as error:
        fail(f"can't write {folder}: {error.strerror or error}")
    steps = sum(len(vector["steps"]) for vector in found)
    size = sum(path.stat().st_size for path in paths)
    print(f"{len(found)} vectors, {steps} steps, {size} bytes: {folder}/client-*.jsonl")  # noqa: T201


def _summary(told: dict[str, Any], console: Console) -> None:
    for side, arrow in (("client", "client → server"), ("server", "server → client")):
        table = _table(f"Messages, {arrow}", "type", "fields", "")
        for message in told["messages"][side]:
            fields = " ".join(field["name"] for field in message["fields"])
            table.add_row(message["kind"], fields, message["doc"].partition("\n")[0])
        console.print(table)
    table = _table("Machines", "machine", "states", "events")
    for name, machine in told["machines"].items():
        table.add_row(name, " ".join(machine["states"]), " ".join(machine["events"]))
    console.print(table)
    table = _table("Ends of a connection", "", "", "then")
    for code, verdict in [*told["closes"].items(), *told["httpStatuses"].items()]:
        table.add_row(code, verdict["reason"], _then(verdict))
    console.print(table)
    table = _table("Errors", "code", "", "")
    for code, error in told["errors"].items():
        flags = [flag for flag in ("retryable", "terminal") if error[flag]]
        table.add_row(code, error["meaning"], ", ".join(flags))
    console.print(table)
    table = _table("Deadlines of a client", "name", "", "")
    for name, timer in told["timers"]["client"].items():
        table.add_row(name, timer["meaning"], "condemns" if timer["judges"] else "")
    console.print(table)
    counts = ", ".join(f"{len(told[name])} {name}" for name in ("inputs", "actions", "events"))
    console.print(
        f"A client's engine has {counts}. All fields, bounds, defaults and constants: "
        "im protocol --json"
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
        show_header=any(columns),
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _then(verdict: dict[str, Any]) -> str:
    if not verdict["reconnect"]:
        return "stays away"
    then = "comes back"
    if verdict["refreshToken"]:
        then += " with a new token"
    if verdict["failedDelay"]:
        then += ", later"
    return then if verdict["counts"] else f"{then}; counts as no failure"
