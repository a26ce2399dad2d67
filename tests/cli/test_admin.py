"""`im admin` and `im backup` at a running server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.adapter_kit import closed_port, run
from im_server import DevAuthenticator
from peers.plain_client import PlainClient
from server.server_kit import SECRET, Ended, Running, im_here, running_server, token

ANN, BOB = 1, 2


async def admin(
    server: Running, *arguments: str, secret: str = SECRET, given: str = "", url: str = ""
) -> Ended:
    """`im admin …` at a server."""
    options = ("--url", url or server.url)
    return await asyncio.to_thread(
        lambda: im_here("admin", *arguments, *options, IM_SECRET=secret, IM_TOKEN=given)
    )


@contextlib.asynccontextmanager
async def busy() -> AsyncIterator[Running]:
    """A server with two who are online, one of them twice, and a message."""
    async with (
        running_server() as server,
        PlainClient(server.url, token(ANN), ANN) as ann,
        PlainClient(server.url, token(BOB), BOB) as first,
        PlainClient(server.url, token(BOB), BOB) as second,
    ):
        for client in (ann, first, second):
            await client.login()
        await server.server.send(BOB, "hush-hush", from_user=ANN)
        yield server


@run
async def test_who_is_online() -> None:
    async with busy() as server:
        told = await admin(server, "online", "--json")
        assert (told.code, told.err) == (0, "")
        expected = [{"user": 1, "connections": 1}, {"user": 2, "connections": 2}]
        assert json.loads(told.out) == expected
        table = (await admin(server, "online")).out
        assert "connections" in table and table.count("2") == 2


@run
async def test_a_mailbox_without_what_was_written() -> None:
    async with busy() as server:
        told = json.loads((await admin(server, "mailbox", "2", "--json")).out)
        assert (told["user"], told["head"]) == (BOB, 1)
        (entry,) = told["entries"]
        expected = {"seq": 1, "kind": "message", "fromUser": 1, "toUser": 2, "characters": 9}
        assert expected.items() <= entry.items()
        table = (await admin(server, "mailbox", "2")).out
        assert "message" in table and "newest is number 1" in table
        assert "hush" not in table and "hush" not in json.dumps(told)
        none = await admin(server, "mailbox", "2", "--after", "1", "--json")
        assert json.loads(none.out)["entries"] == []


@run
async def test_sessions_of_a_user() -> None:
    async with busy() as server:
        (session,) = json.loads((await admin(server, "sessions", "1", "--json")).out)
        assert (session["bookId"], session["buyerId"], session["sellerId"]) == (0, ANN, BOB)
        assert "sellerId" in (await admin(server, "sessions", "1")).out
        assert (await admin(server, "sessions", "9")).out == "no sessions\n"


@run
async def test_a_kick() -> None:
    async with busy() as server:
        assert (await admin(server, "kick", "2", "--device", "x")).out.startswith("0 connections")
        told = await admin(server, "kick", "2", "--reason", "go home")
        assert (told.code, told.out) == (0, "2 connections were ended\n")
        assert server.server.online() == {ANN: 1}


@pytest.mark.parametrize(
    "command", [["online"], ["mailbox", "2"], ["sessions", "2"], ["kick", "2"]]
)
@run
async def test_without_the_role_nothing_is_told_and_nobody_kicked(command: list[str]) -> None:
    async with busy() as server:
        for given, code in ((token(ANN), "403"), ("nonsense", "40101")):
            told = await admin(server, *command, given=given)
            assert (told.code, told.out) == (1, "") and f"({code})" in told.err
            assert "--role admin" in told.err and given not in told.err
        with_role = await admin(server, *command, given=token("root", ["admin"]), secret="")
        assert with_role.code == 0


@run
async def test_at_a_server_for_trials_no_token_is_needed() -> None:
    async with running_server(site={"authenticate": DevAuthenticator()}) as server:
        for url in (server.url, server.http, f"{server.http}/"):
            assert (await admin(server, "online", secret="", url=url)).out == "nobody is online\n"


@run
async def test_what_is_no_server_of_ours_is_told_so() -> None:
    async with running_server() as server:
        nothing = await admin(server, "online", url=f"http://127.0.0.1:{closed_port()}")
        assert nothing.code == 1 and "no answer from 127.0.0.1" in nothing.err
        other = await admin(server, "online", url=f"{server.http}/healthz/more")
        assert other.code == 1 and "no server of ours: it answered 404" in other.err
        bad = await admin(server, "online", url="ftp://x")
        assert bad.code == 1 and "http://" in bad.err
        wrong = await admin(server, "mailbox", "x" * 129)
        assert wrong.code == 1 and "Traceback" not in wrong.err


@run
async def test_a_backup_of_a_running_server_holds_what_was_stored(tmp_path: Path) -> None:
    path, copy = tmp_path / "im.db", tmp_path / "copy.db"
    async with running_server(path=path) as server:
        await server.server.send(BOB, "kept", from_user=ANN)
        database = f"sqlite:///{path.as_posix()}"
        told = await asyncio.to_thread(lambda: im_here("backup", str(copy), "--database", database))
        assert told.code == 0 and told.out.startswith(f"{copy}: ")
        await server.server.send(BOB, "too late", from_user=ANN)
        again = await asyncio.to_thread(lambda: im_here("backup", str(copy), IM_DATABASE=database))
        assert again.code == 1 and "there already" in again.err
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT content FROM messages").fetchall() == [("kept",)]
    async with running_server(path=copy) as server:
        history = await server.server.call(BOB, "history", {"peerId": ANN})
        assert [record["content"] for record in history["records"]] == ["kept"]


def test_a_backup_of_nothing_says_so(tmp_path: Path) -> None:
    told = im_here("backup", str(tmp_path / "copy.db"), IM_DATABASE=f"sqlite:///{tmp_path}/no.db")
    assert told.code == 1 and "doesn't exist" in told.err and told.out == ""
