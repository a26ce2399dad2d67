"""A plain client and one of ours, at our server: neither notices what the other is."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.adapter_kit import collect, run
from im_asyncio import ClientConfig, Guarantee, IMClient
from interop.interop_kit import Ear, refused
from peers.plain_client import PlainClient
from peers.wire import UserId
from server.server_kit import Running, acknowledged, running_server, token

#: at our server by itself, and mounted in another application
pytestmark = pytest.mark.usefixtures("served")
ANN, BOB = 1, 2
NOW = 1_700_000_000_000


def ours(server: Running, user: UserId, **more: Any) -> IMClient:
    """A client of ours."""
    fields: dict[str, Any] = {
        "ws_url": server.url,
        "token": token(user),
        "user_id": user,
        "reconnect": {"initial_delay": 0.01, "max_delay": 0.05, "jitter": "none"},
    }
    return IMClient(ClientConfig(**(fields | more)), callbacks="inline")


@pytest.mark.parametrize("extensions", [True, False])
@run
async def test_they_talk(extensions: bool) -> None:
    async with running_server() as server:
        capable = ours(server, ANN, extensions=extensions)
        ear = Ear(capable, messages=True)
        async with PlainClient(server.url, token(BOB), BOB) as plain, capable:
            await plain.login()
            sent = [capable.queue_message(BOB, f"to plain {n}") for n in range(30)]
            for n in range(30):
                await plain.post(ANN, f"to ours {n}", NOW + n)
            for one in sent:
                await one
            await plain.wait_for(lambda: len(plain.received) == 30)
            await ear.called("message_received", 30)
            assert [p["content"] for p in plain.received] == [m.content for m in sent]
            assert {p["fromUser"] for p in plain.received} == {ANN}
            assert ear.contents == [f"to ours {n}" for n in range(30)]
            assert [m.msg_id for m in ear.messages] == [NOW + n for n in range(30)]
            assert all((m.seq is not None) is extensions for m in ear.messages)
            assert all(m.timestamp is not None and m.timestamp > NOW for m in ear.messages)
            expected = Guarantee.EXACTLY_ONCE if extensions else Guarantee.AT_LEAST_ONCE
            assert capable.guarantee is expected
        assert plain.offences == [] and refused(ear) == []


@run
async def test_a_plain_client_of_ours_is_not_flooded_with_pings() -> None:
    async with running_server() as server, ours(server, ANN) as ann:
        bob = ours(server, BOB, extensions=False)
        ear = Ear(bob, messages=True)
        async with bob:
            for n in range(200):
                await ann.send_message(BOB, str(n))
            await ear.called("message_received", 200)
        assert ear.count("reconnecting") == 0


@run
async def test_a_plain_page_and_a_device_of_the_same_user_each_get_it() -> None:
    async with running_server() as server, ours(server, ANN) as ann:
        device = ours(server, BOB)
        async with PlainClient(server.url, token(BOB), BOB) as page:
            await page.login()
            await ann.send_message(BOB, "first")
            await page.receive()
            async with device:  # was not there: gets it all the same
                await ann.send_message(BOB, "second")
                assert await collect(device, 2) == ["first", "second"]
            await page.receive()
            await acknowledged(server, BOB, 2)
        await ann.send_message(BOB, "third")
        async with device, PlainClient(server.url, token(BOB), BOB) as page:
            await page.login()
            assert await collect(device, 1) == ["third"]
            assert (await page.receive())["content"] == "third"
            assert page.offences == [] and len(page.received) == 1


@run
async def test_a_plain_client_of_ours_gets_what_it_missed_once_the_pong_said_so() -> None:
    async with running_server() as server, ours(server, ANN) as ann:
        bob = ours(server, BOB, extensions=False)
        for n in range(3):
            await ann.send_message(BOB, str(n))
        ear = Ear(bob, messages=True)
        async with bob:
            await ear.called("message_received", 3)
        await ann.send_message(BOB, "later")
        async with bob:
            await ear.called("message_received", 4)
        assert ear.contents == ["0", "1", "2", "later"]
