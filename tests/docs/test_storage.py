"""The page about storage and its example: a clerk that is killed where it hurts most."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adapters.adapter_kit import Connection, Peer, run, until
from adapters.storage_kit import Memory
from im_proto.wire import AuthRequest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "exactly_once.py"
#: The example, killed at one point of the n-th commit.
KILLED = textwrap.dedent(
    """
    import os, runpy, sys
    from im_runtime import Transaction

    example, point, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    sys.argv = [example, *sys.argv[4:]]
    commit = Transaction.commit

    def killed(self):
        global count
        count -= 1
        if count == 0 and point == "before":
            os._exit(9)
        commit(self)
        if count == 0 and point == "after":
            os._exit(9)

    Transaction.commit = killed
    runpy.run_path(example, run_name="__main__")
    """
)


def test_the_page_quotes_the_example() -> None:
    page = (ROOT / "docs" / "how-to" / "storage.md").read_text("utf-8")
    source = EXAMPLE.read_text("utf-8")
    body = source[source.index("    # First the answer") : source.index("async def serve")]
    assert textwrap.dedent(body).strip() in page


@pytest.mark.slow
@partial(run, seconds=60.0)
async def test_every_order_is_booked_once_and_answered_once(tmp_path: Path) -> None:
    orders = [f"order {n}" for n in range(1, 7)]
    memory = Memory(*orders)
    path = tmp_path / "clerk.db"

    async def script(connection: Connection) -> None:
        await connection.accept()
        connection.send(*memory.welcome(await connection.next(AuthRequest)))
        while True:
            connection.send(*memory.answer(await connection.receive()))

    async with Peer(script) as peer:
        arguments = ["--url", peer.url, "--storage", path]

        async def life(*program: Any) -> asyncio.subprocess.Process:
            return await asyncio.create_subprocess_exec(
                sys.executable, *map(str, program), *map(str, arguments), stdout=subprocess.DEVNULL
            )

        for point in ("before", "after", "before"):
            child = await life("-c", KILLED, EXAMPLE, point, 2)
            assert await child.wait() == 9
        child = await life(EXAMPLE)
        await until(lambda: memory.acked == len(orders) == len(memory.accepted))
        child.kill()
        await child.wait()
    with contextlib.closing(sqlite3.connect(path)) as db:
        booked = [what for (what,) in db.execute("SELECT what FROM orders ORDER BY rowid")]
    assert booked == orders
    assert list(memory.accepted.values()) == [f"Thank you for ordering {o}" for o in orders]
    assert memory.repeats == 0
    assert len(set(memory.devices)) == 1
