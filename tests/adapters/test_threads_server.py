"""The threads client against our own server, in a process of its own."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from adapters.threads_kit import Background, nothing_left, until
from im_threads import ClientConfig, IMClient
from server.server_kit import ServeProcess, stored, token

__all__ = ["nothing_left"]
pytestmark = [pytest.mark.usefixtures("nothing_left"), pytest.mark.slow]
COUNT = 40


def client(url: str, user: int) -> IMClient:
    fast = {"initial_delay": 0.02, "max_delay": 0.2}
    return IMClient(ClientConfig(ws_url=url, token=token(user), user_id=user, reconnect=fast))


def talk(me: IMClient, other: int) -> list[str]:
    """Send from two threads and receive in a third; what came."""
    with me:

        def send(part: int) -> None:
            for n in range(COUNT):
                me.send_message(other, f"{me.user_id} {part} {n}", timeout=120)

        sending = [Background(send, part) for part in range(2)]
        got: list[str] = []
        for message in me.messages(timeout=120):
            got.append(message.content)
            if len(got) == 2 * COUNT:
                break
        for one in sending:
            one.result()
        return got


def all_of(user: int) -> list[str]:
    return sorted(f"{user} {part} {n}" for part in range(2) for n in range(COUNT))


def check(got: list[str], sender: int) -> None:
    """Each once, and those of each thread in order."""
    assert sorted(got) == all_of(sender)
    for part in range(2):
        own = [int(text.split()[2]) for text in got if text.split()[1] == str(part)]
        assert own == list(range(COUNT))


def test_two_talk(tmp_path: Path) -> None:
    async def main() -> None:
        async with ServeProcess(tmp_path / "im.db") as server:
            got = await asyncio.gather(
                *(asyncio.to_thread(talk, client(server.url, user), 3 - user) for user in (1, 2))
            )
        check(got[0], 2)
        check(got[1], 1)

    asyncio.run(main())
    assert sorted(stored(tmp_path / "im.db")) == sorted(all_of(1) + all_of(2))


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_two_talk_over_a_killed_server(tmp_path: Path) -> None:
    """Exactly once, and in order, whatever happens to the server."""
    file = tmp_path / "im.db"

    async def main() -> None:
        async with ServeProcess(file) as server:
            talking = asyncio.gather(
                *(asyncio.to_thread(talk, client(server.url, user), 3 - user) for user in (1, 2))
            )
            await asyncio.to_thread(until, lambda: len(stored_so_far(file)) >= COUNT)
            assert server.process is not None
            server.process.send_signal(signal.SIGKILL)
            await server.wait()
        async with ServeProcess(file, port=server.port):
            got = await talking
        check(got[0], 2)
        check(got[1], 1)

    asyncio.run(main())
    assert sorted(stored(file)) == sorted(all_of(1) + all_of(2))


def stored_so_far(file: Path) -> list[str]:
    """`stored`, as long as the server may be about to make its tables."""
    try:
        return stored(file)
    except sqlite3.OperationalError:
        return []
