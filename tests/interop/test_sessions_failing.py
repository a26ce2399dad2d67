"""Calls about sessions that fail: with which error, what is asked again, what stays secret."""

from __future__ import annotations

import logging

import pytest

from adapters.adapter_kit import run
from adapters.tls_kit import server_tls, trusting
from im_proto.errors import IMErrorCode
from interop.sessions_kit import TOKEN, both, ours
from peers.session_server import (
    Deed,
    Rules,
    SessionServer,
    drops,
    garbage,
    hangs,
    pours,
    redirects,
    says,
    writes,
)


@both
@run
async def test_a_server_that_fails_now_and_then_is_asked_again(kind: str) -> None:
    with SessionServer() as server:
        for deed in (drops, garbage, says(code=50000), writes(500, b"<html>"), says(status=503)):
            server.next(deed)
            async with ours(kind, server) as client:
                await client.get_or_create()
        assert len(server.seen) == 10
        assert len(server.sessions) == 1


@both
@run
async def test_create_is_asked_once_whatever_happens(kind: str) -> None:
    with SessionServer() as server:
        async with ours(kind, server) as client:
            server.next(drops)
            assert (await client.error("add_session", 5, 1, 2)).code == IMErrorCode.NETWORK_ERROR
            server.next(says(code=50000))
            assert (await client.error("add_session", 5, 1, 2)).code == IMErrorCode.SERVER_ERROR
        assert len(server.seen) == 2


@both
@run
async def test_a_server_that_is_not_there_is_an_error_in_time(kind: str) -> None:
    with SessionServer() as server:
        pass
    async with ours(kind, server, http={"timeout": 0.2}) as client:
        error = await client.error("get_session", 1)
        assert (error.code, error.retryable) == (IMErrorCode.NETWORK_ERROR, True)


@both
@run
async def test_silence_ends_with_the_deadline_of_the_call(kind: str) -> None:
    with SessionServer() as server:
        server.next(hangs)
        async with ours(kind, server, http={"timeout": 0.1}) as client:
            error = await client.error("add_session", 5, 1, 2)
            assert error.code == IMErrorCode.NETWORK_ERROR


@both
@pytest.mark.parametrize(
    "deed",
    [pours, writes(200, b"[" * 50_000), writes(200, b"\xff"), says(data={"id": -1})],
    ids=["pours", "deep", "no text", "no session"],
)
@run
async def test_hostile_answers_are_an_error(kind: str, deed: Deed) -> None:
    with SessionServer() as server:
        server.next(deed)
        async with ours(kind, server) as client:
            error = await client.error("get_session", 1)
            assert (error.code, error.retryable) == (IMErrorCode.SERVER_ERROR, False)


@both
@run
async def test_the_token_follows_no_redirect(kind: str) -> None:
    with SessionServer() as server, SessionServer() as elsewhere:
        server.next(redirects(f"{elsewhere.url}/im/session/get?sessionId=1", 307))
        async with ours(kind, server) as client:
            error = await client.error("get_session", 1)
            assert error.server_code == 307
        assert elsewhere.seen == []
        assert len(server.seen) == 1


@both
@pytest.mark.parametrize("http_401", [False, True])
@run
async def test_a_refused_token_is_replaced_by_the_token_function(kind: str, http_401: bool) -> None:
    asked: list[str] = []

    def token() -> str:
        asked.append("old" if not asked else "new")
        return asked[-1]

    with SessionServer(Rules(tokens={"new": 1}, http_401=http_401)) as server:
        async with ours(kind, server, token=token) as client:
            await client.get_or_create()
            assert [seen.token for seen in server.seen] == ["old", "new"]
            await client.do("get_session", 1)
            assert asked == ["old", "new"]
        async with ours(kind, server, token="wrong") as client:
            assert (await client.error("get_session", 1)).code == IMErrorCode.TOKEN_INVALID
            client.client.update_access_token("new")
            assert await client.do("get_session", 1) is None


@both
@run
async def test_a_token_function_that_raises_is_the_cause(kind: str) -> None:
    def token() -> str:
        raise KeyError("secret of the application")

    with SessionServer() as server:
        async with ours(kind, server, token=token) as client:
            error = await client.error("get_session", 1)
            assert error.code == IMErrorCode.AUTH_FAILED
            assert isinstance(error.__cause__, KeyError)
            assert "secret" not in str(error)
        assert server.seen == []


@both
@run
async def test_https_uses_the_clients_own_trust(kind: str) -> None:
    with SessionServer(tls=server_tls()) as server:
        url = f"wss://localhost:{server.port}/ws"
        async with ours(kind, server, ws_url=url, ssl_context=trusting()) as client:
            assert (await client.get_or_create()).active
        async with ours(kind, server, ws_url=url) as client:
            error = await client.error("add_session", 5, 1, 2)
            assert "CERTIFICATE_VERIFY_FAILED" in error.text
        assert len(server.seen) == 1


@both
@run
async def test_nothing_secret_is_in_our_logs(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), SessionServer() as server:
        server.next(says(code=40101, message=TOKEN), garbage, says(code=400, message=TOKEN))
        async with ours(kind, server) as client:
            await client.error("add_session", 5, 1, 2)
            await client.error("add_session", 5, 1, 2)
            await client.error("add_session", 5, 1, 2)
            await client.get_or_create()
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("im_")]
    assert any("HTTP call" in line for line in lines)
    assert not [line for line in lines if TOKEN in line]


@both
@run
async def test_a_bug_of_ours_releases_who_waits(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with SessionServer() as server:
        async with ours(kind, server) as client:
            monkeypatch.setattr(type(client.client._engine.core.sessions), "answered", broken)
            error = await client.error("get_session", 1)
            assert error.code == IMErrorCode.UNKNOWN_ERROR
            assert isinstance(error.__cause__, ZeroDivisionError)
            monkeypatch.undo()
