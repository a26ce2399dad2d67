"""A site's authenticator that is slow, or answers nothing: what is asked of it has an end, so that
those who only ask keep nobody waiting behind them.
"""

from __future__ import annotations

import asyncio
import threading

from adapters.adapter_kit import run, until
from im_server import Identity
from im_server.threads import MOST
from peers.plain_client import PlainClient
from server.server_kit import Running, running_server

#: more than are looked at at a time
MANY = MOST + 8


async def given_up(server: Running, user: int) -> None:
    """A log-in that is answered by nobody in time."""
    async with PlainClient(server.url, str(user), user) as client:
        await client.write("AUTH_REQUEST", {"accessToken": str(user)})
        await client.ws.wait_closed()
        assert client.close_code == 4002


async def many_given_up(server: Running) -> None:
    """As many as can't be looked at all at once; until nothing more is asked for them."""
    await asyncio.gather(*(given_up(server, user) for user in range(1, MANY + 1)))
    asking = server.server.runner.site._asking
    await until(lambda: not asking)


@run
async def test_no_token_is_with_the_authenticator_longer_than_a_log_in_may_take() -> None:
    begun: list[str] = []

    async def never(given: str) -> Identity:
        begun.append(given)
        await asyncio.Event().wait()
        raise AssertionError(given)

    async with running_server(site={"authenticate": never}, auth_timeout=0.05) as server:
        await many_given_up(server)
    assert begun


@run
async def test_the_tokens_of_those_who_were_given_up_are_looked_at_by_nobody() -> None:
    gate, begun = threading.Event(), set[str]()

    def slow(given: str) -> Identity:
        begun.add(given)
        gate.wait(60)
        return Identity(user=int(given))

    async with running_server(site={"authenticate": slow}, auth_timeout=0.3) as server:
        await many_given_up(server)
        gate.set()
        async with PlainClient(server.url, "99", 99) as good:
            assert (await good.login())["code"] == 0
    assert len(begun) <= MOST + 1
