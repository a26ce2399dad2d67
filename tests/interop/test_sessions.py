"""Sessions of both clients, with a real HTTP server that is not ours."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import re
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import im_asyncio
import im_threads
from adapters.adapter_kit import run
from im_proto.client import Status
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_proto.wire.session import HistoryRecord, SessionVO
from interop.interop_kit import field
from peers.session_server import (
    PATIENCE,
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

KINDS = ["im_asyncio", "im_threads"]
CERTIFICATE = Path(__file__).parents[1] / "adapters" / "certs" / "localhost.pem"
TOKEN = "token-of-ann"

both = pytest.mark.parametrize("kind", KINDS)


class Ours:
    """One of our clients; the calls of the one that blocks are made in a thread."""

    def __init__(self, kind: str, config: dict[str, Any], **more: Any) -> None:
        package = im_asyncio if kind == "im_asyncio" else im_threads
        self.client: Any = package.IMClient(config, **more)
        self._blocking = kind == "im_threads"

    async def do(self, name: str, *args: Any, **more: Any) -> Any:
        method = getattr(self.client, name)
        if self._blocking:
            return await asyncio.to_thread(method, *args, **more)
        return await method(*args, **more)

    async def get_or_create(self) -> SessionVO:
        session = await self.do("get_or_create_session", 5, 1, 2)
        assert isinstance(session, SessionVO)
        return session

    async def history(self, count: int | None = None, **more: Any) -> list[HistoryRecord]:
        """The messages of the past, or so many of them."""
        if self._blocking:
            return await asyncio.to_thread(
                lambda: list(itertools.islice(self.client.history(**more), count))
            )
        found = []
        async for record in self.client.history(**more):
            found.append(record)
            if len(found) == count:
                break
        return found

    async def error(self, name: str, *args: Any, **more: Any) -> IMError:
        with pytest.raises(IMError) as caught:
            await self.do(name, *args, **more)
        return caught.value


@contextlib.asynccontextmanager
async def ours(
    kind: str, server: SessionServer, *, ssl_context: ssl.SSLContext | None = None, **config: Any
) -> AsyncIterator[Ours]:
    """A client that is not connected; nothing of it is left at the end."""
    fields: dict[str, Any] = {
        "ws_url": server.ws_url,
        "token": TOKEN,
        "user_id": 1,
        "reconnect": {"initial_delay": 0.01, "max_delay": 0.05, "jitter": "none"},
        "timeouts": {"close": 0.5},
    }
    made = Ours(kind, fields | config, ssl_context=ssl_context)
    try:
        yield made
    finally:
        await made.do("close" if kind == "im_threads" else "disconnect")
    for thread in threading.enumerate():
        if thread.name == "im_http":
            await asyncio.to_thread(thread.join, PATIENCE)
            assert not thread.is_alive()


@both
@run
async def test_every_call_works_without_a_connection(kind: str) -> None:
    with SessionServer() as server:
        async with ours(kind, server) as client:
            assert await client.do("get_session", book_id=5, buyer_id=1, seller_id=2) is None
            made = await client.get_or_create()
            assert (made.book_id, made.buyer_id, made.seller_id, made.active) == (5, 1, 2, True)
            assert await client.get_or_create() == made
            assert await client.do("get_session", made.id) == made
            assert await client.do("get_session", book_id=5, buyer_id=1, seller_id=2) == made
            other = await client.do("add_session", 0, 1, "bravo")
            assert (other.book_id, other.seller_id) == (0, "bravo")
            current = await client.do("get_current_sessions")
            assert [(s.id, s.buyer_readed) for s in current] == [(made.id, 2), (other.id, 2)]
            assert client.client.get_cached_session(other.id) == current[1]
            assert client.client.get_all_cached_sessions() == current
            assert client.client.get_cached_session(1) is None
            assert client.client.connection_state.status is Status.DISCONNECTED
    assert server.offences == []
    assert {seen.token for seen in server.seen} == {TOKEN}


def past(count: int) -> list[dict[str, Any]]:
    """Messages of Ann and Bob, the oldest first."""
    return [
        {
            "msgId": 100 + n,
            "senderId": 1 + n % 2,
            "receiverId": 2 - n % 2,
            "messageType": "text",
            "content": f"m{n}",
            "messageStatus": 1 + n % 3,
            "sendTime": f"2026-01-02 03:04:{n:02}",
        }
        for n in range(count)
    ]


@both
@pytest.mark.parametrize("bare", [False, True])
@run
async def test_the_past_of_a_session_is_read_page_by_page(kind: str, bare: bool) -> None:
    with SessionServer(Rules(bare_pages=bare)) as server:
        number = server.add(5, 1, 2)["id"]
        server.past[number] = past(7)
        async with ours(kind, server) as client:
            back = await client.history(session_id=number, page_size=3)
            assert [r.content for r in back] == ["m6", "m5", "m4", "m3", "m2", "m1", "m0"]
            assert (back[0].sender_id, back[0].message_status) == (1, 1)
            assert back[0].send_time == "2026-01-02 03:04:06"
            assert len(server.seen) == 3
            forward = await client.history(session_id=number, page_size=3, direction="after")
            assert forward == back[::-1]
            begun = await client.history(session_id=number, start_msg_id=102)
            assert [r.msg_id for r in begun] == [101, 100]
            asked = len(server.seen)
            assert len(await client.history(3, session_id=number, page_size=3)) == 3
            assert len(server.seen) == asked + 1  # who stops early asks for no more
    assert server.offences == []


@both
@run
async def test_a_server_that_goes_on_from_no_message_ends_the_walk(kind: str) -> None:
    with SessionServer(Rules(one_page=True)) as server:
        number = server.add(5, 1, 2)["id"]
        server.past[number] = past(5)
        async with ours(kind, server) as client:
            found = await client.history(session_id=number, page_size=3)
            assert [r.content for r in found] == ["m4", "m3", "m2"]


@both
@run
async def test_a_past_that_is_not_there_is_an_error(kind: str) -> None:
    with SessionServer() as server:
        async with ours(kind, server) as client:
            with pytest.raises(IMError) as caught:
                await client.history(session_id=1)
            assert caught.value.code == IMErrorCode.SESSION_NOT_FOUND
            with pytest.raises(LocalProtocolError, match="session_id or peer_id"):
                await client.history()


@both
@run
async def test_a_chat_without_a_book_names_both_in_one_order(kind: str) -> None:
    tokens: dict[str, Any] = {TOKEN: 1, "token-of-bob": 2}
    with SessionServer(Rules(tokens=tokens)) as server:
        async with (
            ours(kind, server) as ann,
            ours(kind, server, token="token-of-bob", user_id=2) as bob,
        ):
            chat = await ann.do("open_chat", 2)
            assert (chat.book_id, chat.buyer_id, chat.seller_id) == (0, 1, 2)
            assert await bob.do("open_chat", "1") == chat
            assert (await bob.do("open_chat", "ann")).buyer_id == 2
            (first,) = [s for s in await ann.do("get_current_sessions") if s.id == chat.id]
            assert (first.unread_of(1), first.unread_of(2), first.unread_of(3)) == (2, 0, None)
            with pytest.raises(LocalProtocolError, match="peer_id"):
                await ann.do("open_chat", "")


DIFFERENT = [
    Rules(string_ids=True, ok_code=200),
    Rules(prefix="", create_path="/session/add"),
    Rules(start_chat=False),
    Rules(start_chat=False, create_gives_all=True),
    Rules(start_chat=False, string_ids=True),
]


@both
@pytest.mark.parametrize("rules", DIFFERENT, ids=range(len(DIFFERENT)))
@run
async def test_servers_that_differ_are_understood(kind: str, rules: Rules) -> None:
    http = {"prefix": rules.prefix, "create_path": rules.create_path}
    with SessionServer(rules) as server:
        async with ours(kind, server, http=http) as client:
            made = await client.get_or_create()
            assert await client.get_or_create() == made
            added = await client.do("add_session", 2**53 + 1, 1, 2**63 - 1)
            assert (added.book_id, added.seller_id) == (2**53 + 1, 2**63 - 1)
    assert len(server.sessions) == 2
    assert server.offences == []


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
async def test_a_connected_client_asks_another_host_with_the_token_of_its_log_in(kind: str) -> None:
    asked: list[str] = []

    def token() -> str:
        asked.append(TOKEN)
        return TOKEN

    with SessionServer() as server:
        async with (
            field() as chat,
            ours(
                kind, server, ws_url=chat.url, token=token, http={"base_url": server.url}
            ) as client,
        ):
            await client.do("connect")
            session = await client.get_or_create()
            await client.do("send_message", 2, "hello", "text", session.id)
            assert client.client.connection_state.status is Status.AUTHENTICATED
            assert asked == [TOKEN]
            await client.do("disconnect")
            assert await client.do("get_session", session.id) == session


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


@both
@run
async def test_mistakes_of_the_caller_are_raised_at_once(kind: str) -> None:
    with SessionServer() as server:
        async with ours(kind, server) as client:
            with pytest.raises(LocalProtocolError, match="session_id, or book_id"):
                await client.do("get_session")
            with pytest.raises(LocalProtocolError, match="book_id"):
                await client.do("add_session", -1, 1, 2)
        assert server.seen == []


@both
@run
async def test_https_uses_the_clients_own_trust(kind: str) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
    with SessionServer(tls=tls) as server:
        url = f"wss://localhost:{server.port}/ws"
        async with ours(kind, server, ws_url=url, ssl_context=trusting) as client:
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
async def test_without_httpx_a_call_says_how_to_get_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", _no_httpx(__import__("importlib").util))
    with SessionServer() as server:
        async with ours(kind, server) as client:
            with pytest.raises(ModuleNotFoundError, match="im-proto"):
                await client.do("get_session", 1)


def _no_httpx(util: Any) -> Callable[..., Any]:
    find_spec = util.find_spec
    return lambda name, *args: None if name == "httpx" else find_spec(name, *args)


def test_the_how_to_works_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "sessions.md").read_text("utf-8")
    main, _, config = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    with SessionServer(Rules(tokens={"t0": 1})) as server:
        main = main.replace("ws://127.0.0.1:8080/ws", server.ws_url)
        exec(compile(main, "sessions.md", "exec"), {})
        made, current = capsys.readouterr().out.splitlines()
        assert made.split()[1] == "True"
        assert current.split()[0] == made.split()[0]
    names: dict[str, Any] = {}
    exec(compile(config, "sessions.md", "exec"), names)
    assert im_asyncio.ClientConfig(**names["config"]).http_url == "https://api.example"


# ---------------------------------------------------------------- of one client alone


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
