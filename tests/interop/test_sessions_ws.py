"""Sessions and tokens of both clients over their connection, with a scripted server."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.adapter_kit import Connection, Peer, run
from im_proto.client import Status
from im_proto.client import events as ev
from im_proto.errors import IMErrorCode
from im_proto.wire import (
    AuthData,
    AuthExpiring,
    AuthRequest,
    AuthResponse,
    SessionRequest,
    SessionResponse,
)
from interop.sessions_kit import Ours, both, past

VO = {"id": 77, "bookId": 5, "buyerId": 1, "sellerId": 2, "sessionStatus": 1, "buyerReaded": 3}


@contextlib.asynccontextmanager
async def ours(kind: str, server: Peer, **config: Any) -> AsyncIterator[Ours]:
    """A client that is logged in; nothing of it is left at the end."""
    fields: dict[str, Any] = {
        "ws_url": server.url,
        "token": "t0",
        "user_id": 1,
        "reconnect": {"initial_delay": 0.01, "max_delay": 0.05, "jitter": "none"},
        "timeouts": {"close": 0.5},
    }
    made = Ours(kind, fields | config)
    try:
        await made.do("connect")
        yield made
    finally:
        await made.do("close" if kind == "im_threads" else "disconnect")


@pytest.fixture(autouse=True)
def _without_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here needs it."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *args: None if name == "httpx" else find_spec(name, *args),
    )


async def login(connection: Connection, **data: Any) -> AuthRequest:
    return await connection.login(capabilities=["seq", "batch", "sessions", "refresh"], **data)


async def answer(connection: Connection, data: Any, code: int = 0) -> SessionRequest:
    """Answer the next call."""
    request = await connection.next(SessionRequest)
    connection.send(SessionResponse(id=request.id, code=code, data=data))
    return request


@both
@run
async def test_every_call_works_over_the_connection(kind: str) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    async def script(connection: Connection) -> None:
        await login(connection)
        pages = ([past(4)[2:], True], [past(4)[:2], False])
        for data in (
            VO,
            None,
            77,
            VO,
            VO,
            VO | {"id": 78, "bookId": 0},
            [VO],
            *({"records": records, "hasNext": more} for records, more in pages),
        ):
            request = await answer(connection, data, code=0 if data is not None else 40400)
            asked.append((request.op, request.params))
        await connection.answer_all()

    async with Peer(script) as server, ours(kind, server) as client:
        assert (await client.do("get_session", 77)).id == 77
        assert await client.do("get_session", 78) is None
        assert (await client.do("add_session", 5, 1, 2)).id == 77
        assert (await client.get_or_create()).active
        assert (await client.do("open_chat", "9")).book_id == 0
        (current,) = await client.do("get_current_sessions")
        assert current.unread_of(1) == 3
        assert client.client.get_cached_session(77) == current
        found = await client.history(peer_id=2, page_size=2)
        assert [r.content for r in found] == ["m3", "m2", "m1", "m0"]
    three = {"bookId": 5, "buyerId": 1, "sellerId": 2}
    assert asked == [
        ("get", {"sessionId": 77}),
        ("get", {"sessionId": 78}),
        ("create", three),
        ("get", {"sessionId": 77}),
        ("startChat", three),
        ("startChat", {"bookId": 0, "buyerId": 1, "sellerId": 9}),
        ("getCurrent", {"userId": 1}),
        ("history", {"peerId": 2, "pageSize": 2}),
        ("history", {"peerId": 2, "pageSize": 2, "startMsgId": 102}),
    ]


@both
@run
async def test_a_call_that_lost_its_connection_is_made_again_on_the_next(kind: str) -> None:
    async def loses(connection: Connection) -> None:
        await login(connection)
        await connection.next(SessionRequest)
        connection.reset()

    async def answers(connection: Connection) -> None:
        await login(connection)
        await answer(connection, VO)
        await connection.answer_all()

    async with Peer(loses, answers) as server, ours(kind, server) as client:
        assert (await client.do("add_session", 5, 1, 2)).id == 77
        assert server.count == 2


@both
@run
async def test_a_server_that_is_silent_ends_with_the_deadline_of_the_call(kind: str) -> None:
    async def script(connection: Connection) -> None:
        await login(connection)
        await connection.next(SessionRequest)
        await connection.until_gone()

    async with Peer(script) as server, ours(kind, server, http={"timeout": 0.1}) as client:
        error = await client.error("get_session", 1)
        assert error.code == IMErrorCode.NETWORK_ERROR
        assert client.client.connection_state.status is Status.AUTHENTICATED


@both
@run
async def test_disconnect_ends_the_calls_that_are_under_way(kind: str) -> None:
    arrived = asyncio.Event()

    async def script(connection: Connection) -> None:
        await login(connection)
        await connection.next(SessionRequest)
        arrived.set()
        await connection.until_gone()

    async with Peer(script) as server, ours(kind, server) as client:
        waiting = asyncio.ensure_future(client.error("get_session", 1))
        await arrived.wait()
        await client.do("disconnect")
        assert "disconnect()" in (await waiting).text
        with pytest.raises(ModuleNotFoundError, match="im-proto"):
            await client.do("get_session", 1)  # it would go over HTTP now


@both
@run
async def test_a_call_that_has_to_go_over_http_after_all_says_what_it_needs(kind: str) -> None:
    async def loses(connection: Connection) -> None:
        await login(connection)
        await connection.next(SessionRequest)
        connection.reset()

    async def plain(connection: Connection) -> None:
        await connection.login()
        await connection.answer_all()

    async with Peer(loses, plain) as server, ours(kind, server) as client:
        error = await client.error("get_current_sessions")
        assert "httpx" in error.text


@both
@run
async def test_a_token_that_expires_is_replaced_without_a_drop(kind: str) -> None:
    tokens = iter(["t0", "t1"])
    seen: list[AuthRequest] = []
    listening = asyncio.Event()

    async def script(connection: Connection) -> None:
        seen.append(await login(connection))
        await listening.wait()
        connection.send(AuthExpiring(expires_in=60.0))
        seen.append(await connection.next(AuthRequest))
        connection.send(AuthResponse(code=0, data=AuthData(expires_in=3600.0)))
        await answer(connection, VO)
        await connection.answer_all()

    async with Peer(script) as server, ours(kind, server, token=lambda: next(tokens)) as client:
        loop, refreshed = asyncio.get_running_loop(), asyncio.Event()

        def notice(event: object) -> None:
            if event == ev.TokenRefreshed(expires_in=3600.0):
                loop.call_soon_threadsafe(refreshed.set)

        client.client.on("notice", notice)
        listening.set()
        await refreshed.wait()
        assert (await client.do("get_session", 77)).id == 77
        assert client.client.counters.reconnects == 0
    assert [request.access_token for request in seen] == ["t0", "t1"]
    assert seen[1] == AuthRequest(access_token="t1")


@both
@run
async def test_a_token_of_the_application_goes_out_on_the_connection(kind: str) -> None:
    refused = asyncio.Event()

    async def script(connection: Connection) -> None:
        await login(connection)
        request = await connection.next(AuthRequest)
        assert request == AuthRequest(access_token="t1")
        connection.send(AuthResponse(code=40101, message="no"))
        await answer(connection, VO)
        await connection.answer_all()

    async with Peer(script) as server, ours(kind, server) as client:
        loop = asyncio.get_running_loop()
        errors: list[Any] = []

        def failed(error: Any) -> None:
            errors.append(error)
            loop.call_soon_threadsafe(refused.set)

        client.client.on("auth_failed", failed)
        client.client.update_access_token("t1")
        await refused.wait()
        assert (errors[0].code, errors[0].terminal) == (IMErrorCode.TOKEN_INVALID, False)
        assert (await client.do("get_session", 77)).id == 77
        assert server.count == 1
