"""A token that is known to be stolen: nobody comes in with it again, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import sqlite3
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from adapters.adapter_kit import run
from core.server_kit import WALL, Kit, Peer
from im_asyncio import ClientConfig, IMClient, IMError
from im_proto.server import actions as act
from im_proto.server import inputs as inp
from im_proto.testing.memory import MemoryStore
from im_server import Identity, IMServer, RefusedError, Store, StoreError, make_token
from peers.plain_client import PlainClient
from server.server_kit import (
    SECRET,
    Running,
    ServeProcess,
    im,
    im_here,
    running_server,
    served,
    token,
)

__all__ = ["served"]
ANN, BOB = 1, 2
NOW = int(WALL * 1000)
GOOD, LATE = {"capabilities": ["seq"], "deviceId": "phone"}, NOW + 60_000
REASON = "the token was revoked"


def come(kit: Kit, user: int, issued_at: int | None, **auth: Any) -> Peer:
    """Somebody logs in with a token of that time, in milliseconds since 1970."""
    kit.verifying = False
    peer = kit.peer()
    peer.login(user, **auth)
    verify(kit, peer, user, issued_at)
    return peer


def verify(kit: Kit, peer: Peer, user: int | str, issued_at: int | None) -> None:
    """The authenticator knows whose token it is."""
    kit.do(inp.TokenVerified(connection=peer.connection, user=user, issued_at=issued_at))


def code_of(peer: Peer) -> int:
    """Of the answer to its log-in."""
    (answer,) = peer.of("AUTH_RESPONSE")
    return int(answer["code"])


def revoke(kit: Kit, user: int | str = BOB, request: int = 7) -> None:
    kit.do(inp.RevokeAsked(request=request, user=user))


# ---------------------------------------------------------------- what the engine does


def test_all_connections_of_the_user_end_and_may_come_back_with_another_token() -> None:
    kit = Kit()
    phone, plain = come(kit, BOB, NOW, **GOOD), come(kit, BOB, NOW)
    other = come(kit, ANN, NOW)
    revoke(kit)
    assert phone.close == plain.close == (4003, REASON)
    assert phone.of("KICK") == [{"reason": REASON, "reconnect": True}]
    assert plain.of("KICK") == [] and other.close is None
    (answered,) = kit.answered
    assert (answered.request, answered.code) == (7, 0)
    assert answered.data == {"before": NOW + 1, "ended": 2}
    assert kit.store.revoked == {BOB: NOW + 1}


def test_it_counts_at_once_and_is_answered_when_it_is_on_disk() -> None:
    kit = Kit()
    phone = come(kit, BOB, NOW)
    kit.holding = True
    revoke(kit)
    assert phone.code == 4003 and kit.answered == []
    assert kit.gateway.revoked(BOB, NOW)
    kit.release()
    assert [a.code for a in kit.answered] == [0]


def test_those_who_are_just_logging_in_are_met_wherever_they_are() -> None:
    kit = Kit()
    kit.verifying = False
    asked = kit.peer()
    asked.login(BOB, **GOOD)  # its token is with the authenticator
    kit.holding = True
    stored = come(kit, BOB, NOW, **GOOD)  # … with the store
    revoke(kit)
    verify(kit, asked, BOB, NOW)
    assert stored.code == 4003 and stored.of("AUTH_RESPONSE") == []
    assert code_of(asked) == 40101 and asked.code == 4001
    kit.release()
    assert kit.gateway.online() == {} and stored.of("AUTH_RESPONSE") == []
    assert kit.answered[0].data["ended"] == 1


@pytest.mark.parametrize("lost", [False, True])
def test_a_store_that_fails_opens_nothing(lost: bool) -> None:
    kit = Kit()
    phone = come(kit, BOB, NOW)
    kit.holding = True
    revoke(kit)
    if lost:
        phone.lose()
    kit.fail()
    assert [(a.request, a.code, a.data) for a in kit.answered] == [(7, 50000, None)]
    kit.release()
    assert code_of(come(kit, BOB, NOW)) == 40101
    revoke(kit, request=8)  # and may be asked for again
    assert kit.answered[-1].code == 0 and kit.store.revoked[BOB] > NOW


def test_tokens_are_told_by_when_they_were_made() -> None:
    kit = Kit()
    revoke(kit)
    for issued_at, code in (
        (None, 40101), (0, 40101), (NOW - 1, 40101), (NOW, 40101), (NOW + 1, 0), (LATE, 0),
    ):  # fmt: skip
        assert code_of(come(kit, BOB, issued_at)) == code, issued_at
        assert code_of(come(kit, ANN, issued_at)) == 0


def test_it_is_the_user_however_the_token_names_it() -> None:
    kit = Kit()
    revoke(kit, "2")
    assert kit.store.revoked == {BOB: NOW + 1}
    assert kit.gateway.revoked("2", NOW) and kit.gateway.revoked(2, NOW)
    kit.verifying = False
    peer = kit.peer()
    peer.login(BOB)
    verify(kit, peer, "2", NOW)
    assert code_of(peer) == 40101
    assert not kit.gateway.revoked("", NOW)  # nobody's, which others say
    revoke(kit, "\x00")
    assert kit.answered[-1].code == 400 and len(kit.store.revoked) == 1


def test_a_revoked_token_is_no_next_one_for_a_live_connection() -> None:
    kit = Kit()
    revoke(kit)
    caps = GOOD | {"capabilities": ["seq", "refresh"]}
    phone = come(kit, BOB, LATE, **caps)
    phone.forget()
    phone.send("AUTH_REQUEST", accessToken="the old one")
    verify(kit, phone, BOB, NOW)
    assert code_of(phone) == 40101 and phone.close is None
    phone.forget()
    phone.send("AUTH_REQUEST", accessToken="a new one")
    verify(kit, phone, BOB, LATE)
    assert code_of(phone) == 0


def test_it_outlives_the_gateway() -> None:
    kit = Kit()
    kit.gateway = type(kit.gateway)(
        kit.config, now=kit.now, wall=WALL, revoked={BOB: NOW, "bravo": NOW}, strict=True
    )
    assert kit.gateway.revoked("bravo", NOW - 1)
    assert code_of(come(kit, BOB, NOW - 1)) == 40101
    assert code_of(come(kit, BOB, NOW)) == code_of(come(kit, ANN, None)) == 0


def test_a_clock_that_goes_back_makes_nothing_good_again() -> None:
    kit = Kit()
    revoke(kit)
    kit.do(inp.WallClock(wall=WALL - 3600))
    revoke(kit)
    assert kit.store.revoked == {BOB: NOW + 1} and kit.gateway.revoked(BOB, NOW)


def test_each_who_asks_is_answered() -> None:
    kit = Kit()
    kit.holding = True
    for request in (1, 2, 3):
        revoke(kit, BOB if request < 3 else ANN, request)
    kit.answer()
    kit.fail()
    kit.release()
    assert [(a.request, a.code) for a in kit.answered] == [(1, 0), (2, 50000), (3, 0)]
    kit.do(inp.RevocationStored(request=99))  # of another life
    assert len(kit.answered) == 3


def test_a_server_that_goes_down_waits_for_it_and_takes_no_more() -> None:
    kit = Kit()
    kit.holding = True
    revoke(kit, request=1)
    kit.do(inp.Shutdown())
    revoke(kit, request=2)
    assert not any(isinstance(action, act.Drained) for action in kit.said)
    kit.release()
    assert [(a.request, a.code) for a in kit.answered] == [(2, 50000), (1, 0)]
    assert any(isinstance(action, act.Drained) for action in kit.said)


def test_what_was_sent_before_is_kept() -> None:
    kit = Kit()
    phone = come(kit, BOB, NOW, **GOOD)
    kit.holding = True
    phone.chat(1, ANN, "before")
    revoke(kit)
    kit.release()
    assert phone.answers == []
    assert kit.stored == [(BOB, "before")]


def test_both_stores_keep_the_newest(tmp_path: Path) -> None:
    with Store(f"sqlite:///{tmp_path / 'im.db'}", "process") as store:
        twin = MemoryStore()
        for user, before in (("bravo", 5), (BOB, 5), (BOB, 9)):
            for each in (store, twin):
                done = each.revoke(act.StoreRevoke(request=3, user=user, before=before))
                assert done == inp.RevocationStored(request=3)
        assert store.revoked() == twin.revoked == {"bravo": 5, BOB: 9}
        with pytest.raises(StoreError, match="not canonical"):
            store.revoke(act.StoreRevoke(request=1, user="2", before=1))


# ---------------------------------------------------------------- what clients see


def config(server: Running, **more: Any) -> ClientConfig:
    """Bob's; small delays."""
    delays = {"initial_delay": 0.01, "max_delay": 0.05, "jitter": "none"}
    return ClientConfig(ws_url=server.url, user_id=BOB, reconnect=delays, **more)


@pytest.mark.usefixtures("served")
@run
async def test_a_client_that_can_get_a_token_gets_one_and_goes_on() -> None:
    async with running_server() as server:
        made: list[str] = []

        async def get_token() -> str:
            made.append(token(BOB))
            return made[-1]

        again = asyncio.Event()
        client = IMClient(config(server, token=get_token))
        async with client:
            client.on("connected", lambda *_: again.set())
            assert await server.server.revoke(BOB) == 1
            await again.wait()
            await server.server.send(BOB, "hello", from_user=ANN)
            assert (await anext(aiter(client.messages()))).content == "hello"
        assert len(made) == 2


@pytest.mark.usefixtures("served")
@run
async def test_a_client_with_a_text_for_a_token_stops_and_says_why() -> None:
    async with running_server() as server:
        client = IMClient(config(server, token=token(BOB)))
        told: list[IMError] = []
        stopped = asyncio.Event()

        def refused(error: IMError) -> None:
            told.append(error)
            stopped.set()

        async with client:
            client.on("auth_failed", refused)
            assert await server.server.revoke(BOB) == 1
            await stopped.wait()
        assert told[0].terminal and REASON in str(told[0])
        late = IMClient(config(server, token=client.config.token))
        with pytest.raises(IMError) as caught:
            async with late:
                pass
        assert caught.value.server_code == 40101 and REASON in str(caught.value)


@pytest.mark.usefixtures("served")
@run
async def test_a_plain_client_is_refused_too() -> None:
    async with running_server() as server:
        old = token(BOB)
        async with PlainClient(server.url, old, BOB) as bob:
            await bob.login()
            assert await server.server.revoke(BOB) == 1
            assert await bob.wait_closed() == 4003
        async with PlainClient(server.url, old, BOB) as bob:
            assert (await bob.login())["code"] == 40101
        async with PlainClient(server.url, token(BOB), BOB) as bob:
            assert (await bob.login())["code"] == 0


def call(server: Running, path: str, given: str, **body: object) -> dict[str, Any]:
    """A call by HTTP."""
    request = urllib.request.Request(
        server.http + path, json.dumps(body).encode(), {"satoken": given}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


@run
async def test_by_http_it_is_refused_too() -> None:
    async with running_server() as server:
        ask = functools.partial(asyncio.to_thread, call, server)
        old, current = token(BOB), functools.partial(ask, "/im/session/getCurrent", userId=BOB)
        assert (await current(old))["code"] == 0
        assert await server.server.revoke(BOB) == 0
        answer = await current(old)
        assert (answer["code"], answer["message"]) == (40101, REASON)
        assert (await current(token(BOB)))["code"] == 0


@run
async def test_admins_revoke_by_http_and_nobody_else() -> None:
    async with running_server() as server:
        ask = functools.partial(asyncio.to_thread, call, server, "/im/admin/revoke")
        assert (await ask(token(BOB), user=ANN))["code"] == 403
        root = token("root", ["admin"])
        async with PlainClient(server.url, token(BOB), BOB) as bob:
            await bob.login()
            answer = await ask(root, user=BOB)
            assert answer["code"] == 0 and answer["data"]["ended"] == 1
            assert abs(answer["data"]["before"] - time.time() * 1000) < 60_000
            assert await bob.wait_closed() == 4003
        for wrong in ({}, {"user": ""}, {"user": 0}, {"user": ["2"]}):
            assert (await ask(root, **wrong))["code"] == 400
        # an admin may revoke itself, and is one no longer
        assert (await ask(root, user="root"))["data"]["ended"] == 0
        assert (await ask(root, user=BOB))["code"] == 40101


@run
async def test_im_admin_revoke() -> None:
    async with running_server() as server:

        def admin(*arguments: str) -> Any:
            return im_here("admin", "revoke", *arguments, "--url", server.url, IM_SECRET=SECRET)

        async with PlainClient(server.url, token(BOB), BOB) as bob:
            await bob.login()
            done = await asyncio.to_thread(admin, "2")
            assert (done.code, done.out) == (0, "revoked; 1 connections were ended\n")
            assert await bob.wait_closed() == 4003
        told = json.loads((await asyncio.to_thread(admin, "bravo", "--json")).out)
        assert told["ended"] == 0
        failed = await asyncio.to_thread(admin, "")
        assert failed.code == 1 and "user" in failed.err


@run
async def test_a_disk_that_is_full_is_told_and_opens_nothing(tmp_path: Path) -> None:
    async with running_server(path=tmp_path / "im.db") as server:
        old = token(BOB)
        with contextlib.closing(sqlite3.connect(tmp_path / "im.db", isolation_level=None)) as raw:
            raw.execute(
                "CREATE TRIGGER full BEFORE INSERT ON revocations"
                " BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
            )
            with pytest.raises(RefusedError) as caught:
                await server.server.revoke(BOB)
            assert caught.value.code == 50000
            async with PlainClient(server.url, old, BOB) as bob:
                assert (await bob.login())["code"] == 40101
            raw.execute("DROP TRIGGER full")
        assert await server.server.revoke(BOB) == 0


@run
async def test_a_site_s_own_tokens_are_met_as_far_as_they_say_when_they_were_made() -> None:
    def identity(given: str) -> Identity:
        user, _, made = given.partition("@")
        return Identity(user=user, issued_at=int(made) if made else None)

    async with running_server(site={"authenticate": identity}) as server:
        later = int(time.time() * 1000) + 60_000
        assert await server.server.revoke("bravo") == 0
        for given, code in (("bravo", 40101), ("bravo@5", 40101), (f"bravo@{later}", 0)):
            async with PlainClient(server.url, given, "bravo") as bravo:
                assert (await bravo.login())["code"] == code
    wrong = {"authenticate": lambda given: Identity(user=given, issued_at="now")}
    async with (
        running_server(site=wrong) as server,
        PlainClient(server.url, "bravo", "bravo") as bravo,
    ):
        assert (await bravo.login())["code"] == 50000


@run
async def test_a_user_that_is_none_and_a_server_that_is_not_started(tmp_path: Path) -> None:
    async with running_server() as server:
        with pytest.raises(ValueError, match="user name"):
            await server.server.revoke("")
    idle = IMServer(
        store=f"sqlite:///{tmp_path / 'im.db'}", authenticate=lambda _: Identity(user=1)
    )
    with pytest.raises(RuntimeError, match="isn't started"):
        await idle.revoke(BOB)


@pytest.mark.slow
@functools.partial(run, seconds=60.0)
async def test_a_server_that_is_killed_right_after_knows_it(tmp_path: Path) -> None:
    old = make_token(BOB, SECRET)
    file = tmp_path / "im.db"
    async with ServeProcess(file) as server:
        url = server.url
        async with PlainClient(url, old, BOB) as bob:
            assert (await bob.login())["code"] == 0
            done = await im("admin", "revoke", "2", "--url", url, IM_SECRET=SECRET)
            server.kill()
            assert (done.code, done.out) == (0, "revoked; 1 connections were ended\n")
        await server.wait()
    async with ServeProcess(file) as server:
        async with PlainClient(server.url, old, BOB) as bob:
            assert (await bob.login())["code"] == 40101
        async with PlainClient(server.url, make_token(BOB, SECRET), BOB) as bob:
            assert (await bob.login())["code"] == 0
