"""Our client with storage and our server on a bad day: no room on a disk, a clock that is set, a
device that was away for long, a store of yesterday, a file that another process has."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.adapter_kit import config, run
from im_asyncio import IMClient, IMError, IMErrorCode
from im_proto.client.events import MessagesMayBeMissing
from im_proto.server.actions import StoreCommit, StoreLogin
from im_proto.server.records import Submission
from im_server import DevAuthenticator, Store, runner
from im_server.backup import back_up
from server.server_kit import Running, environment, running_server, stored

patient = functools.partial(run, seconds=120.0)
DEV: dict[str, Any] = {"authenticate": DevAuthenticator()}
HOUR, DAY = 3600.0, 86_400.0


def client_of(server: Running, user: int, storage: Path | None = None, **more: Any) -> IMClient:
    wall: Callable[[], float] = more.pop("wall", time.time)
    settings = config(server.url, token=f"dev:{user}", user_id=user, **more)
    return IMClient(settings, storage=storage, durability="process", wall=wall)


def room(db: Any, *, more: bool) -> None:
    """A disk that is full, or has room again."""
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {1_000_000 if more else pages}")


def database_of(client: IMClient) -> Any:
    assert client._journal is not None
    return client._journal._db


# ------------------------------------------------------------ no room


@patient
async def test_without_room_for_the_journal_nothing_is_sent(tmp_path: Path) -> None:
    big = "x" * 900
    async with running_server(path=tmp_path / "im.db", site=DEV) as server:
        async with client_of(server, 1, tmp_path / "ann.db") as ann:
            await ann.send_message(2, "before")
            room(database_of(ann), more=False)
            sent = [ann.queue_message(2, f"{n} {big}") for n in range(20)]
            ends = await asyncio.gather(*sent, return_exceptions=True)
            failed = [end for end in ends if isinstance(end, IMError)]
            assert failed and failed[0].code is IMErrorCode.JOURNAL_FAILED
            assert "has no room: free some space" in failed[0].text
            room(database_of(ann), more=True)
            await ann.send_message(2, "after")
        accepted = [s.content for s in sent if s.error is None]
    assert stored(tmp_path / "im.db") == ["before", *accepted, "after"]


@patient
async def test_without_room_for_the_store_nothing_is_acknowledged(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'im.db'}", "process")
    contents = [f"{n} " + "x" * 900 for n in range(40)]
    async with (
        running_server(site=DEV | {"store": store}) as server,
        client_of(server, 1, tmp_path / "ann.db") as ann,
    ):
        await ann.send_message(2, "before")
        connection: Any = store._database._writer
        raw = connection.connection.driver_connection
        room(raw, more=False)
        sent = [ann.queue_message(2, content) for content in contents]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await sent[-1]
        acknowledged = [s.content for s in sent if s.done]
        # what was acknowledged is there, and whatever is there may be acknowledged later
        found = await asyncio.to_thread(stored, tmp_path / "im.db")
        assert found[1 : 1 + len(acknowledged)] == acknowledged
        assert len(acknowledged) < len(contents)
        room(raw, more=True)
        await asyncio.gather(*sent)
    assert stored(tmp_path / "im.db") == ["before", *contents]


# ------------------------------------------------------------ a clock that is set


class Clock:
    """The wall clock of a machine."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.mark.parametrize("by", [-HOUR, DAY])
@pytest.mark.parametrize("whose", ["client", "server", "both"])
@patient
async def test_a_clock_that_is_set_loses_and_repeats_nothing(
    by: float, whose: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = Clock(), Clock()
    monkeypatch.setattr(runner, "time", SimpleNamespace(time=there))
    store = Store(f"sqlite:///{tmp_path / 'im.db'}", "process")
    handled: list[str] = []
    async with running_server(site=DEV | {"store": store}) as server:

        async def life(*contents: str) -> list[int]:
            """One of Ann's processes, which Bob hears."""
            ann = client_of(server, 1, tmp_path / "ann.db", wall=here)
            async with ann, client_of(server, 2, tmp_path / "bob.db", wall=here) as bob:
                ends = [await ann.send_message(2, c, key=c) for c in contents]
                messages = bob.messages()
                while handled[-1:] != [contents[-1]]:
                    message = await anext(messages)
                    handled.append(message.content)
                messages.acknowledge()
            return [end.msg_id or 0 for end in ends]

        before = await life("a", "b")
        here.ahead = by if whose != "server" else 0.0
        there.ahead = by if whose != "client" else 0.0
        # the keys of before are known: nothing is sent again
        after = await life("a", "b", "c", "d")
    assert after[:2] == before
    assert sorted(after) == after
    assert handled == ["a", "b", "c", "d"]
    assert stored(tmp_path / "im.db") == ["a", "b", "c", "d"]


# ------------------------------------------------------------ an older store


def restore(copy: Path, path: Path) -> None:
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()
    copy.rename(path)


@patient
async def test_a_store_restored_from_an_older_copy_is_told_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    path, copy = tmp_path / "im.db", tmp_path / "copy.db"
    handled: list[str] = []
    told: list[object] = []

    async def life(server: Running, *contents: str) -> None:
        ann = client_of(server, 1, tmp_path / "ann.db")
        bob = client_of(server, 2, tmp_path / "bob.db")
        bob.set_callbacks(notice=told.append)
        async with ann, bob:
            messages = bob.messages()
            for content in contents:
                await ann.send_message(2, content, key=content)
                handled.append((await anext(messages)).content)
            messages.acknowledge()

    async with running_server(path=path, site=DEV) as server:
        await life(server, "a", "b")
        await asyncio.to_thread(back_up, f"sqlite:///{path}", copy)
        await life(server, "c")
    assert not any(isinstance(event, MessagesMayBeMissing) for event in told)
    restore(copy, path)
    async with running_server(path=path, site=DEV) as server:
        await life(server, "d")
    assert handled == ["a", "b", "c", "d"]
    assert any(isinstance(event, MessagesMayBeMissing) for event in told)
    # what came after the copy is gone from the store, and was said to be accepted
    assert stored(path) == ["a", "b", "d"]


# ------------------------------------------------------------ away for long

MANY = 100_000


@pytest.mark.slow
@functools.partial(run, seconds=240.0)
async def test_a_device_that_was_away_for_100_000_messages_gets_each_once(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'im.db'}", "process")
    here, away = tmp_path / "here.db", tmp_path / "away.db"
    async with running_server(site=DEV | {"store": store}) as server:
        for path in (here, away):
            async with client_of(server, 2, path):
                pass
    await asyncio.to_thread(fill, store)
    async with running_server(site=DEV | {"store": store}) as server:
        for path, lives in ((here, 1), (away, 3)):
            handled: list[int] = []
            for life in range(1, lives + 1):  # interrupted, it goes on where it was
                async with client_of(server, 2, path) as bob:
                    messages = bob.messages()
                    while len(handled) < MANY * life // lives:
                        message = await anext(messages)
                        handled.append(message.seq or 0)
                    messages.acknowledge()
            assert handled == list(range(1, MANY + 1))


def fill(store: Store) -> None:
    """Another user's messages, straight into the mailbox."""
    with store:
        store.login(StoreLogin(request=1, user=1, device="ann", resume_seq=None))
        now = int(time.time() * 1000)
        for first in range(0, MANY, 1000):
            batch = tuple(
                Submission(
                    key=n,
                    sender=1,
                    device="ann",
                    generation=1,
                    msg_id=n + 1,
                    to_user=2,
                    content=f"message {n}",
                    message_type="text",
                    session_id=None,
                )
                for n in range(first, first + 1000)
            )
            store.commit(StoreCommit(request=1, submissions=batch, cursors=(), at=now))


# ------------------------------------------------------------ one file, two processes

HOLDER = """
import sys
from im_asyncio import IMClient
client = IMClient({"ws_url": "ws://h/", "token": "t", "user_id": 1}, storage=sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_by_name_until_the_first_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    settings = {"ws_url": "ws://h/", "token": "t", "user_id": 1}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(IMError, match=rf"in use by another client \(pid {process.pid},"):
            IMClient(settings, storage=path)
        process.kill()
    asyncio.run(IMClient(settings, storage=path).close())
