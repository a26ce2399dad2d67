"""Sessions of both clients, with a real HTTP server that is not ours."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import im_asyncio
from adapters.adapter_kit import run
from im_proto.client import Status
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from interop.interop_kit import field
from interop.sessions_kit import TOKEN, both, ours, past
from peers.session_server import Rules, SessionServer


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
