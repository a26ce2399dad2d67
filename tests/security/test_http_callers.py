"""Who calls by HTTP and for whom, what strangers are told, and what of them is in the log."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from adapters.adapter_kit import run
from im_proto.wire import codes
from im_server import make_token
from im_server.answers import RefusedError, answer
from im_server.http import identify
from im_server.tokens import Identity, TokenRefusedError
from security.http_kit import ANN, CURRENT, HEALTH, UPGRADE, Peer, call, peer, undisturbed
from server.server_kit import SECRET, running_server

# ------------------------------------------------------------ who asks, and for whom


@pytest.mark.parametrize(
    ("trusted", "said", "seen"),
    [
        ((), "192.0.2.7", "127.0.0.1 http"),
        (("127.0.0.1",), "192.0.2.7", "192.0.2.7 https"),
        (("127.0.0.0/8",), "203.0.113.5, 192.0.2.7, 127.0.0.9", "192.0.2.7 https"),
        (("10.0.0.1",), "192.0.2.7", "127.0.0.1 http"),
    ],
)
@run
async def test_only_proxies_of_ours_say_where_a_request_of_a_site_comes_from(
    trusted: tuple[str, ...], said: str, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # uvicorn's own setting does not count

    async def who(request: Request) -> Response:
        assert request.client is not None
        return PlainTextResponse(f"{request.client.host} {request.url.scheme}")

    app = Starlette(routes=[Route("/who", who)])
    async with running_server(app=app, trusted_proxies=trusted) as server, peer(server) as one:
        lines = f"X-Forwarded-For: {said}\r\nX-Forwarded-Proto: https\r\n\r\n"
        await one.say(b"GET /who HTTP/1.1\r\nHost: x\r\n" + lines.encode())
        assert (await one.answer())[2].decode() == seen


@pytest.mark.parametrize(
    ("host", "code"), [("localhost:8080", 0), ("evil.example", 403), ("localhost.evil", 403)]
)
@run
async def test_calls_under_a_name_that_is_not_ours_are_refused(host: str, code: int) -> None:
    """A page whose name was made to lead here (DNS rebinding) may set any header but this."""
    admin = make_token(ANN, SECRET, roles=("admin",))
    async with running_server(hosts=("localhost",)) as server:
        for method, path in (("POST", "/im/session/getCurrent"), ("GET", "/im/admin/online")):
            async with peer(server) as one:
                asked = call(path, body=CURRENT, method=method, given=admin)
                await one.say(asked.replace(b"Host: x", f"Host: {host}".encode()))
                assert json.loads((await one.answer())[2])["code"] == code


@run
async def test_a_token_that_was_revoked_is_no_longer_good_for_calls() -> None:
    async with running_server() as server, undisturbed(server):
        given = make_token(ANN, SECRET, roles=("admin",))
        asked = (
            call(given=given, body=CURRENT),
            call("/im/admin/online", given=given, method="GET"),
        )
        told = []
        for revoked in (False, True):
            if revoked:
                await server.server.revoke(ANN)
            for one in asked:
                async with peer(server) as client:
                    await client.say(one)
                    told.append(json.loads((await client.answer())[2])["code"])
        assert told == [0, 0, codes.TOKEN_INVALID, codes.TOKEN_INVALID]


@run
async def test_who_guesses_tokens_is_429_before_they_are_looked_at_and_others_are_not() -> None:
    looked: list[str] = []

    async def authenticate(given: str) -> Identity:
        looked.append(given)
        if given == "down":
            raise RuntimeError
        if given != "good":
            raise TokenRefusedError("no")
        return Identity(user=ANN)

    limits: dict[str, Any] = {
        "site": {"authenticate": authenticate},
        "trusted_proxies": ("127.0.0.1",),
        "bad_tokens_per_address": 0.5,
        "bad_tokens_burst": 3,
    }

    async def ask(one: Peer, given: str, address: str, path: str = "/im/session/getCurrent") -> int:
        looked.clear()
        method = "GET" if "admin" in path else "POST"
        told = f"X-Forwarded-For: {address}"
        await one.say(call(path, told, body=CURRENT, given=given, method=method))
        status, headers, body = await one.answer()
        if status == 429:
            assert headers["retry-after"] == "2" and json.loads(body)["code"] == 429
            assert looked == []
            return 429
        assert looked == [given]
        return int(json.loads(body)["code"])

    async with running_server(**limits) as server, peer(server) as one:
        for given, code in [("good", 0), ("down", codes.SERVER_ERROR)] * 5:
            assert await ask(one, given, "192.0.2.1") == code
        told = [await ask(one, "bad", "192.0.2.1") for _ in range(4)]
        assert told == [codes.TOKEN_INVALID] * 3 + [429]
        assert await one.end() == b"", "who doesn't wait has to connect again"
        async with peer(server) as again:
            assert await ask(again, "good", "192.0.2.1", "/im/admin/online") == 429
        async with peer(server) as other:
            assert await ask(other, "bad", "192.0.2.2") == codes.TOKEN_INVALID
            assert await ask(other, "good", "192.0.2.2") == 0


@run
async def test_where_no_asgi_server_reads_what_a_proxy_says_the_calls_do() -> None:
    async def ask(address: bytes) -> int:
        headers = [(b"satoken", b"bad"), (b"x-forwarded-for", address)]
        scope = {"type": "http", "headers": headers, "client": ("127.0.0.1", 1)}
        with pytest.raises(RefusedError) as refused:
            await identify(server.server.runner, Request(scope))
        return refused.value.code

    limits: dict[str, Any] = {"trusted_proxies": ("127.0.0.1",), "bad_tokens_burst": 1}
    async with running_server(**limits) as server:
        told = [await ask(address) for address in [b"192.0.2.1", b"192.0.2.1", b"192.0.2.2"]]
    assert told == [codes.TOKEN_INVALID, codes.TOO_MANY, codes.TOKEN_INVALID]


# ------------------------------------------------------------ what is told


def test_who_asks_too_much_is_told_when_to_come_again() -> None:
    told = answer(codes.TOO_MANY, {"retryAfter": 1.2}, "too many")
    assert told.status_code == 429 and told.headers["retry-after"] == "2"
    assert json.loads(bytes(told.body)) == {
        "code": 429,
        "data": {"retryAfter": 1.2},
        "message": "too many",
    }


@run
async def test_a_user_who_calls_too_often_is_429_and_others_are_not() -> None:
    limits: dict[str, Any] = {"messages_per_second": 0.5, "message_burst": 6}
    async with running_server(**limits) as server, undisturbed(server):
        told: list[tuple[int, str | None]] = []
        async with peer(server) as one:
            while not told or told[-1][0] == 200:
                await one.say(call(body=CURRENT))
                status, headers, _ = await one.answer()
                told.append((status, headers.get("retry-after")))
            assert await one.end() == b"", "who doesn't wait has to connect again"
        assert told[0] == (200, None) and told[-1][0] == 429 and len(told) < 10
        assert 1 <= int(told[-1][1] or 0) <= 60
        async with peer(server) as other:
            await other.say(call(body=b'{"userId": 77}', user=77))
            assert (await other.answer())[0] == 200


@run
async def test_health_tells_strangers_nothing_but_that() -> None:
    async with running_server() as server, undisturbed(server), peer(server) as one:
        await one.say(HEALTH + b"\r\n")
        status, headers, body = await one.answer()
        assert (status, body) == (200, b'{"status":"ok"}')
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


@run
async def test_health_is_503_while_the_server_goes_down() -> None:
    async with running_server() as server, peer(server) as one:
        server.server.runner.begin_shutdown()
        await one.say(HEALTH + b"\r\n")
        assert (await one.answer())[0] == 503


@pytest.mark.parametrize(
    "junk",
    [
        b"GET /\x1b[31m\x07 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: \x1b]0;owned\x07\r\n\r\n",
        b"\x1b[31m\r\n\r\nERROR forged line\r\n",
        UPGRADE.replace(b"13", b"1\x1b[31m3") + b"\r\n",
        UPGRADE.replace(b"/ws", b"/w\x7fs") + b"\r\n",
        call(given="\x1b[31mtoken", body=CURRENT),
        call(body=b'{"userId": "\x1b[31m"}'),
    ],
)
@run
async def test_no_byte_of_a_peer_reaches_the_log(
    junk: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with running_server(handshake_timeout=0.3) as server, peer(server) as one:
            await one.say(junk)
            one.writer.write_eof()
            await one.end()
    ours = [r for r in caplog.records if r.name.startswith(("im_", "uvicorn"))]
    for record in ours:
        text = record.getMessage()
        assert text.isprintable() and "forged" not in text and len(text) < 300
        assert record.levelno < logging.WARNING  # a stranger can't fill a log
