"""Sessions, the past and tokens of both clients at our server, by WebSocket and by HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.adapter_kit import run
from im_proto.client import Status
from im_proto.client import events as ev
from im_proto.errors import IMErrorCode
from im_server import TokenRefusedError
from im_server.tokens import Identity
from interop.sessions_kit import Ours, both
from server.server_kit import Running, running_server, token

connected_or_not = pytest.mark.parametrize("connected", [True, False])


@contextlib.asynccontextmanager
async def ours(
    kind: str, server: Running, user: int | str, *, connected: bool = True, **config: Any
) -> AsyncIterator[Ours]:
    """A client at our server; nothing of it is left at the end."""
    fields: dict[str, Any] = {
        "ws_url": server.url,
        "token": token(user),
        "user_id": user,
        "reconnect": {"initial_delay": 0.01, "max_delay": 0.05, "jitter": "none"},
        "timeouts": {"close": 0.5},
    }
    made = Ours(kind, fields | config)
    try:
        if connected:
            await made.do("connect")
        yield made
    finally:
        await made.do("close" if kind == "im_threads" else "disconnect")


@both
@connected_or_not
@run
async def test_every_call_works_either_way(kind: str, connected: bool) -> None:
    async with (
        running_server() as server,
        ours(kind, server, 1, connected=connected) as ann,
        ours(kind, server, 3) as carl,
    ):
        assert ann.client._engine.sessions_over_http is not connected
        assert await ann.do("get_session", book_id=5, buyer_id=1, seller_id=2) is None
        made = await ann.get_or_create()
        assert (made.book_id, made.buyer_id, made.seller_id, made.active) == (5, 1, 2, True)
        assert await ann.do("add_session", 5, 1, 2) == made  # one active session of the three
        assert await ann.do("get_session", made.id) == made
        chat = await ann.do("open_chat", "ömer")
        assert (chat.book_id, chat.buyer_id, chat.seller_id) == (0, 1, "ömer")
        assert {s.id for s in await ann.do("get_current_sessions")} == {made.id, chat.id}
        assert await carl.do("get_session", made.id) is None  # not hers
        assert await carl.do("get_current_sessions") == []
        with pytest.raises(Exception, match="SESSION_NOT_FOUND"):
            await carl.history(session_id=made.id)
        assert (await carl.error("add_session", 5, 1, 2)).code == IMErrorCode.SESSION_CREATE_FAILED


@both
@connected_or_not
@run
async def test_the_past_and_what_is_unread_are_the_same_either_way(
    kind: str, connected: bool
) -> None:
    async with (
        running_server(history_page=3) as server,
        ours(kind, server, 1) as ann,
        ours(kind, server, 2, connected=connected) as bob,
    ):
        for n in range(5):
            await ann.do("send_message", 2, f"m{n}")
        sent = [f"m{n}" for n in range(5)]
        back = await bob.history(peer_id=1, page_size=1000)
        assert [r.content for r in back] == sent[::-1]
        assert {(r.sender_id, r.receiver_id) for r in back} == {(1, 2)}
        chat = await bob.do("open_chat", 1)
        assert (chat.unread_of(2), chat.unread_of(1)) == (5, 0)  # one's own never count
        forward = await bob.history(session_id=chat.id, page_size=2, direction="after")
        assert [r.content for r in forward] == sent
        assert [r.msg_id for r in forward] == [r.msg_id for r in back][::-1]
        middle = forward[2].msg_id
        newer = await bob.history(session_id=chat.id, start_msg_id=middle, direction="after")
        older = await bob.history(session_id=chat.id, start_msg_id=middle)
        assert [r.content for r in older + newer] == ["m1", "m0", "m3", "m4"]
        assert [r.content for r in await ann.history(2, peer_id=2)] == ["m4", "m3"]


@both
@run
async def test_a_token_is_renewed_on_the_live_connection_before_it_expires(kind: str) -> None:
    given: list[str] = []

    def authenticate(given_token: str) -> Identity:
        if given_token != f"token-{len(given)}":
            raise TokenRefusedError("an old one")
        return Identity(user=1, expires_in=2.0)

    def fetch() -> str:
        given.append(f"token-{len(given) + 1}")
        return given[-1]

    async with (
        running_server(site={"authenticate": authenticate}) as server,
        ours(kind, server, 1, connected=False, token=fetch) as client,
    ):
        loop, refreshed = asyncio.get_running_loop(), asyncio.Event()

        def notice(event: object) -> None:
            if isinstance(event, ev.TokenRefreshed):
                loop.call_soon_threadsafe(refreshed.set)

        client.client.on("notice", notice)
        await client.do("connect")
        await asyncio.wait_for(refreshed.wait(), 10)
        assert len(given) == 2
        assert client.client.counters.reconnects == 0
        assert client.client.connection_state.status is Status.AUTHENTICATED
        assert await client.do("get_current_sessions") == []
