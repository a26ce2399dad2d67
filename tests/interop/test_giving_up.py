"""A client that has given up keeps nobody waiting."""

from __future__ import annotations

import asyncio

import pytest

from adapters.adapter_kit import run
from im_asyncio import ClientConfig, IMClient, IMError
from interop.interop_kit import BOB, config, field
from server.server_kit import running_server, token


@run
async def test_a_send_that_waits_ends_with_the_client_and_stays_queued() -> None:
    async with field(mute_sends=True) as server:
        client = IMClient(config(server))
        async with client:
            waiting = asyncio.ensure_future(client.send_message(BOB, "x"))
            await server.wait_for(lambda: server.accepted)
            await server.close_all(4001, "banned")
            with pytest.raises(IMError) as caught:
                await waiting
            assert caught.value.code == "AUTH_FAILED" and caught.value.terminal
            sent = getattr(caught.value, "sent", None)
            assert sent is not None and not sent.done
            with pytest.raises(IMError):  # at once, and nothing is queued
                await client.send_message(BOB, "y")
            assert "1 messages to send" in client.explain()


@run
async def test_callbacks_go_on_when_one_of_them_waits_for_a_send() -> None:
    async with field(mute_sends=True) as server:
        client = IMClient(config(server))
        failed = asyncio.Event()

        async def answer(_: object) -> None:
            await client.send_message(BOB, "answer")

        async def refused(_: IMError) -> None:
            failed.set()

        client.set_callbacks(message_received=answer, auth_failed=refused)
        async with client:
            await server.push(client.user_id, "hello", msgId=1, fromUser=BOB)
            await server.wait_for(lambda: server.accepted)
            await server.close_all(4003, "expired")
            await failed.wait()


@run
async def test_two_bots_with_one_device_id_do_not_hang_one_another() -> None:
    async with running_server() as server:
        bot = ClientConfig(ws_url=server.url, token=token(9), user_id=9, device_id="bot")
        first, second = IMClient(bot), IMClient(bot)
        async with first:
            messages = aiter(first.messages())
            waiting = asyncio.ensure_future(anext(messages))
            async with second:
                with pytest.raises(IMError) as caught:
                    await waiting
                assert caught.value.server_code == 4004
                with pytest.raises(IMError):
                    await first.send_message(1, "x")
