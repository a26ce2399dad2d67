"""Calls about sessions that are still under way when something else happens to the client."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import im_asyncio
import im_threads
from adapters.adapter_kit import run
from im_proto.errors import IMErrorCode, LocalProtocolError
from im_proto.wire.session import SessionVO
from interop.interop_kit import field
from interop.sessions_kit import TOKEN, both, ours
from peers.session_server import PATIENCE, SessionServer, hangs


async def until_asked(server: SessionServer, count: int) -> None:
    await asyncio.to_thread(server.arrived, count)


@both
@pytest.mark.parametrize("connected", [False, True])
@run
async def test_disconnect_ends_the_calls_that_are_under_way(kind: str, connected: bool) -> None:
    with SessionServer() as server:
        server.next(hangs, hangs)
        async with (
            field() as chat,
            ours(kind, server, ws_url=chat.url, http={"base_url": server.url}) as client,
        ):
            if connected:
                await client.do("connect")
            calls = [
                asyncio.ensure_future(client.error("add_session", 5, 1, 2)),
                asyncio.ensure_future(client.error("get_session", 1)),
            ]
            await until_asked(server, 2)
            await client.do("disconnect")
            for error in await asyncio.gather(*calls):
                assert error.code == IMErrorCode.NETWORK_ERROR
                assert "disconnect()" in error.text


@both
@run
async def test_the_same_question_at_the_same_time_is_asked_once(kind: str) -> None:
    release = threading.Event()

    def slow(handler: Any) -> None:
        release.wait(PATIENCE)
        body = b'{"code":0,"data":{"id":9,"bookId":5,"buyerId":1,"sellerId":2}}'
        handler.reply(200, body)

    with SessionServer() as server:
        server.next(slow)
        async with ours(kind, server) as client:
            first = asyncio.ensure_future(client.get_or_create())
            await until_asked(server, 1)
            second = asyncio.ensure_future(client.get_or_create())
            # the second has come to the engine when a later call has
            assert await client.do("get_session", 1) is None
            release.set()
            assert (await first).id == (await second).id == 9
        assert server.paths.count("/im/session/startChat") == 1


@run
async def test_a_cancelled_wait_leaves_nothing_running() -> None:
    with SessionServer() as server:
        server.next(hangs)
        async with ours("im_asyncio", server) as client:
            waiting = asyncio.ensure_future(client.do("get_session", 1))
            await until_asked(server, 1)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert "session call" not in client.client.explain()
            for thread in threading.enumerate():
                if thread.name == "im_http":
                    await asyncio.to_thread(thread.join, PATIENCE)


def test_a_client_can_be_used_in_one_event_loop_after_the_other() -> None:
    with SessionServer() as server:
        config = {"ws_url": server.ws_url, "token": TOKEN, "user_id": 1}
        client = im_asyncio.IMClient(config)
        made = asyncio.run(client.get_or_create_session(5, 1, 2))
        assert asyncio.run(client.get_session(made.id)) == made


@run
async def test_closing_the_blocking_client_releases_who_waits() -> None:
    with SessionServer() as server:
        server.next(hangs)
        async with ours("im_threads", server) as client:
            call = asyncio.ensure_future(client.error("add_session", 5, 1, 2))
            await until_asked(server, 1)
            await client.do("close")
            assert (await call).code == IMErrorCode.NETWORK_ERROR
            with pytest.raises(LocalProtocolError, match="closed"):
                await client.do("get_session", 1)


@run
async def test_calls_work_inside_a_callback_of_the_blocking_client() -> None:
    heard: list[SessionVO] = []
    done = threading.Event()
    with SessionServer() as server:
        async with (
            field() as chat,
            ours("im_threads", server, ws_url=chat.url, http={"base_url": server.url}) as client,
        ):

            def authenticated() -> None:
                heard.append(client.client.get_or_create_session(5, 1, 2))
                done.set()

            client.client.on("authenticated", authenticated)
            await client.do("connect")
            assert await asyncio.to_thread(done.wait, PATIENCE)
    assert heard[0].active


@run
async def test_a_call_on_another_event_loop_meanwhile_is_a_mistake() -> None:
    with SessionServer() as server:
        server.next(hangs)
        async with ours("im_asyncio", server) as client:
            waiting = asyncio.ensure_future(client.error("add_session", 5, 1, 2))
            await until_asked(server, 1)

            def elsewhere() -> None:
                with pytest.raises(LocalProtocolError, match="another event loop"):
                    asyncio.run(client.client.get_session(1))

            await asyncio.to_thread(elsewhere)
            await client.do("disconnect")
            assert (await waiting).code == IMErrorCode.NETWORK_ERROR


@run
async def test_a_call_that_comes_while_the_blocking_client_closes_is_released(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with SessionServer() as server:
        server.next(hangs)
        async with ours("im_threads", server) as client:
            call = asyncio.ensure_future(client.error("add_session", 5, 1, 2))
            await until_asked(server, 1)
            monkeypatch.setattr(client.client._life, "disconnect", lambda: None)
            await client.do("close")
            assert (await call).code == IMErrorCode.NETWORK_ERROR


def test_a_ctrl_c_while_the_blocking_client_waits_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with SessionServer() as server:
        server.next(hangs)
        client = im_threads.IMClient({"ws_url": server.ws_url, "token": TOKEN, "user_id": 1})
        wait, waits = client._loop.wait, iter(range(9))

        def interrupted(event: threading.Event, timeout: float | None = None) -> bool:
            if next(waits) == 0:  # for the call to be made
                return wait(event, timeout)
            server.arrived(1)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(client._loop, "wait", interrupted)
            client.get_session(1)
        assert "session call" not in client.explain()
        client.close()
