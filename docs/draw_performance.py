"""Writes the tables of docs/performance.md from benchmarks/results, which `make bench` writes.

python docs/draw_performance.py            write them
python docs/draw_performance.py --check    exit 1 if one is stale
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

FILE = Path(__file__).with_name("performance.md")
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
#: In this order in a table.
_EVERYBODY: Final = (
    "im, process",
    "im, process, unbatched",
    "im, power",
    "im, power, unbatched",
    "websockets relay",
    "JetStream",
    "MQTT",
    "python-socketio",
)
_LOAD: Final = ("client CPU us", "server CPU us", "ack p50 ms")


@cache
def _row(key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{key}.json").read_text(encoding="utf-8"))
    return found


def _median(key: str, who: str, detail: str = "") -> float:
    found = _row(key)["contestants"][who]
    return float((found["details"][detail] if detail else found)["median"])


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _spread(key: str, who: str) -> str:
    found = _row(key)["contestants"][who]["details"]["messages/s"]
    return f"{_figure(found['median'])} ({_figure(found['least'])} – {_figure(found['greatest'])})"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))


def _load(key: str) -> str:
    """Everybody with one load."""
    there = [who for who in _EVERYBODY if who in _row(key)["contestants"]]
    lines = [
        [who, _spread(key, who), *(_figure(_median(key, who, name)) for name in _LOAD)]
        for who in there
    ]
    return _table(["", "messages/s", "client, us", "server, us", "ack p50, ms"], lines)


def _measured() -> str:
    measured = _row("messages-64")["measured"]
    versions = (f"{name} {said.split()[-1]}" for name, said in measured["versions"].items())
    return (
        f"Measured on {measured['date'][:10]}, {measured['machine']['processor']} with "
        f"{measured['machine']['cores']} cores: {', '.join(versions)}."
    )


def _commits() -> str:
    lines = [
        [
            durability,
            *(_figure(_median("commit", f"{durability}, {n} in a commit")) for n in (1, 64)),
        ]
        for durability in ("process", "power")
    ]
    return _table(["us a message", "alone", "64 in a commit"], lines)


def _goals() -> str:
    return (RESULTS / "summary.md").read_text(encoding="utf-8").strip()


def _steps() -> str:
    """Where a message's time goes."""
    end_to_end = "messages-64", "im, process"
    clients = _median(*end_to_end, "client CPU us")
    server = _median(*end_to_end, "server CPU us")
    sends = _median("engine-send-64", "engine")
    answers = _median("engine-rest-64", "client, answers to the events")
    pushes = _median("engine-receive-64", "engine, to the event")
    handled = _median("engine-rest-64", "client, handled to the ack")
    taken = _median("engine-rest-64", "server, sends to the commit")
    stored = _median("commit", "process, 64 in a commit")
    told = _median("engine-rest-64", "server, commit to the bytes")
    writes = _figure(_median("engine-send-64", "pydantic-core"))
    reads = _figure(_median("engine-receive-64", "pydantic-core"))
    lines: list[tuple[str, float, str]] = [
        ("A's engine: sends until bytes", sends, f"{writes}: pydantic-core writes the JSON"),
        ("A's engine: answers until the events", answers, ""),
        ("B's engine: pushes until the events", pushes, f"{reads}: pydantic-core reads the JSON"),
        ("B's engine: handled, until the ack's bytes", handled, ""),
        (
            "clients: adapters, asyncio, sockets, and who measures",
            clients - sends - answers - pushes - handled,
            "",
        ),
        ("**both clients, end to end**", clients, ""),
        (
            "the server's loop: frames in, checks, hub, until the commit is asked for",
            taken,
            "",
        ),
        (
            "the store: decide and write 64",
            stored,
            "some 5: SQLite's INSERTs and COMMIT of the same rows",
        ),
        ("the server's loop: the commit's result until the bytes to A and B", told, ""),
        (
            "server: uvicorn, asyncio, sockets, hand-overs between threads",
            server - taken - stored - told,
            "",
        ),
        ("**the server, end to end**", server, ""),
        (
            "*alone:* A's engine sends one until bytes",
            _median("engine-send-one", "engine"),
            f"{_figure(_median('engine-send-one', 'wsproto + pydantic-core'))}: both libraries",
        ),
        (
            "*alone:* B's engine, one until the event",
            _median("engine-receive-one", "engine, to the event"),
            f"{_figure(_median('engine-receive-one', 'wsproto + pydantic-core'))}: both libraries",
        ),
    ]
    return _table(
        ["step", "us", "floor"], [[step, _figure(value), floor] for step, value, floor in lines]
    )


PARTS: Final[dict[str, Callable[[], str]]] = {
    "measured": _measured,
    "messages-64": lambda: _load("messages-64"),
    "messages-1024": lambda: _load("messages-1024"),
    "round-trip": lambda: _load("round-trip"),
    "pairs": lambda: _load("pairs"),
    "commit": _commits,
    "goals": _goals,
    "steps": _steps,
}


def text(page: str) -> str:
    """The page with its tables as they should be."""
    for name, part in PARTS.items():
        pattern = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
        page, times = re.subn(pattern, lambda m: m[1] + part() + m[2], page, flags=re.DOTALL)  # noqa: B023
        if times != 1:
            raise SystemExit(f"{FILE.name} has {times} places for {name!r}, and needs one")
    return page


def main(arguments: list[str]) -> int:
    """Write the tables, or with --check compare them."""
    page = FILE.read_text(encoding="utf-8")
    drawn = text(page)
    if "--check" in arguments:
        if page != drawn:
            print(f"{FILE.name} is stale: run `make docs`", file=sys.stderr)  # noqa: T201
            return 1
        return 0
    FILE.write_text(drawn, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
