"""Plain clients of the family at our real server (protocol.md section 1, "Plain clients")."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterable

import pytest

from adapters.adapter_kit import run
from peers.plain_client import PlainClient
from peers.wire import UserId
from server.server_kit import Running, acknowledged, running_server, token

#: at our server by itself, and mounted in another application
pytestmark = pytest.mark.usefixtures("served")
ANN, BOB = 1, 2
#: What Date.now() says, roughly.
NOW = 1_700_000_000_000


@contextlib.asynccontextmanager
async def tab(
    server: Running,
    user: UserId,
    *,
    roles: Iterable[str] = (),
    answer_pings: bool = True,
    log_in: bool = True,
) -> AsyncIterator[PlainClient]:
    """A page of a user, logged in; in the end it must not have seen anything of section 2."""
    client = PlainClient(server.url, token(user, roles), user, answer_pings=answer_pings)
    async with client:
        if log_in:
            answer = await client.login()
            assert answer["code"] == 0, answer
        yield client
    assert client.offences == []


def contents(client: PlainClient) -> list[str]:
    """What was pushed, in order."""
    return [push["content"] for push in client.received]


async def received(client: PlainClient, *expected: str) -> None:
    """Wait for so many pushes; they must be these, in this order."""
    await client.wait_for(lambda: client.closed or len(client.received) >= len(expected))
    assert contents(client) == list(expected)


async def ponged(client: PlainClient, pushes: int) -> None:
    """Wait until the server has asked whether so many pushes arrived; the page has answered."""
    await client.wait_for(lambda: len(client.received) == pushes and client.pings >= 1)


@run
async def test_log_in_chat_heartbeat_and_nothing_of_section_2() -> None:
    async with running_server() as server, tab(server, ANN, log_in=False) as ann:
        answer = await ann.login()
        assert answer == {"code": 0, "message": "", "data": {"userId": 1, "username": "1"}}
        async with tab(server, BOB) as bob:
            answer = await ann.send(BOB, " hé😀 ", NOW, messageType="image")
            session = answer.pop("sessionId")
            assert answer == {"msgId": NOW, "code": 0}
            push = await bob.receive()
            assert push.pop("timestamp") > NOW
            assert push == {
                "content": " hé😀 ",
                "msgId": NOW,
                "fromUser": ANN,
                "messageType": "image",
                "sessionId": session,
            }
            answer = await ann.send(BOB, "in it", NOW + 1, sessionId=str(session))
            assert answer == {"msgId": NOW + 1, "code": 0, "sessionId": session}
            assert (await bob.receive())["sessionId"] == session
            assert (await ann.send(BOB, "not yours", NOW + 2, sessionId="99"))["code"] == 40400
            await ann.heartbeat()
            receipt = await bob.read_receipt(NOW, ANN)
            assert receipt == {"msgId": NOW, "code": 0, "message": ""}
            assert server.server.online() == {ANN: 1, BOB: 1}


@run
async def test_two_tabs_of_one_user_both_get_everything() -> None:
    async with (
        running_server() as server,
        tab(server, ANN) as ann,
        tab(server, BOB) as first,
        tab(server, BOB) as second,
    ):
        for n in range(20):
            assert (await ann.send(BOB, str(n), NOW + n))["code"] == 0
        await received(first, *map(str, range(20)))
        await received(second, *map(str, range(20)))
        await first.close()
        await ann.send(BOB, "one is left", NOW + 20)
        await received(second, *map(str, range(20)), "one is left")
        # both can write, also under the same Date.now()
        async with tab(server, BOB) as third:
            assert (await second.send(ANN, "from two", NOW))["code"] == 0
            assert (await third.send(ANN, "from three", NOW))["code"] == 0
            await received(ann, "from two", "from three")
        assert not second.closed


@run
async def test_the_same_id_with_the_same_content_is_a_repeat_and_pushed_once() -> None:
    async with running_server() as server, tab(server, ANN) as ann, tab(server, BOB) as bob:
        answers = [await ann.send(BOB, "x", NOW) for _ in range(3)]
        assert answers == [{"msgId": NOW, "code": 0, "sessionId": 1}] * 3
        await ann.drop()
        async with tab(server, ANN) as again:  # and on the next connection
            assert await again.send(BOB, "x", NOW) == answers[0]
            await again.send(BOB, "end", NOW + 1)
        await received(bob, "x", "end")


@run
async def test_the_same_id_with_other_content_is_a_new_message() -> None:
    async with (
        running_server() as server,
        tab(server, ANN) as ann,
        tab(server, BOB) as bob,
        tab(server, "bravo") as bravo,
    ):
        for content in ("a", "b", "a", "c", "b"):
            answer = await ann.send(BOB, content, NOW)
            assert answer == {"msgId": NOW, "code": 0, "sessionId": 1}
        answer = await ann.send("bravo", "a", NOW)
        assert answer == {"msgId": NOW, "code": 0, "sessionId": 2}
        await ann.send(BOB, "end", NOW + 1)
        await received(bob, "a", "b", "c", "end")
        await received(bravo, "a")
        ids = [push["msgId"] for push in [*bob.received, *bravo.received]]
        assert len(set(ids)) == 5 and ids[0] == NOW


@run
async def test_pipelined_sends_are_answered_each_and_pushed_in_order() -> None:
    async with running_server() as server, tab(server, ANN) as ann, tab(server, BOB) as bob:
        for n in range(40):
            await ann.post(BOB, str(n), NOW + n)
        for n in range(40):
            assert (await ann.answer(NOW + n))["code"] == 0
        await received(bob, *map(str, range(40)))


@run
async def test_a_busy_page_is_not_held_to_flood_us_with_its_pongs() -> None:
    """Every push asks for a pong; whoever answers them all does as he is told."""
    async with running_server() as server, tab(server, ANN) as ann, tab(server, BOB) as bob:
        for n in range(200):
            assert (await ann.send(BOB, str(n), NOW + n))["code"] == 0
        await received(bob, *map(str, range(200)))


# ---------------------------------------------------------------- offline


@run
async def test_offline_messages_come_at_the_next_login_in_order_and_once() -> None:
    many = [str(n) for n in range(150)]  # more than one read of the mailbox
    async with running_server() as server, tab(server, ANN) as ann:
        for n, content in enumerate(many):
            await ann.post(BOB, content, NOW + n)
        await ann.answer(NOW + len(many) - 1)
        async with tab(server, BOB) as bob:
            await received(bob, *many)
            await acknowledged(server, BOB, 150)
        await ann.send(BOB, "later", NOW + 1000)
        async with tab(server, BOB) as bob:
            await received(bob, "later")


@run
async def test_only_a_pong_says_that_they_arrived() -> None:
    async with running_server() as server, tab(server, ANN) as ann:
        await ann.send(BOB, "x", NOW)
        for _ in range(2):
            async with tab(server, BOB, answer_pings=False) as bob:
                await received(bob, "x")
                await ponged(bob, 1)
                await bob.heartbeat()  # life, but no proof
        async with tab(server, BOB) as bob:
            await received(bob, "x")
            await acknowledged(server, BOB, 1)
        async with tab(server, BOB) as bob:
            await ann.send(BOB, "y", NOW + 1)
            await received(bob, "y")


@run
async def test_what_was_pushed_to_a_page_that_died_comes_again() -> None:
    async with running_server() as server, tab(server, ANN) as ann:
        async with tab(server, BOB, answer_pings=False) as bob:
            await ann.send(BOB, "x", NOW)
            await received(bob, "x")
            await bob.drop()
        await ann.send(BOB, "y", NOW + 1)
        async with tab(server, BOB) as bob:
            await received(bob, "x", "y")


# ---------------------------------------------------------------- what is refused


@run
async def test_a_token_that_is_no_good_is_refused_with_4001() -> None:
    async with running_server() as server:
        for bad, user in (("nonsense", BOB), (token(ANN), BOB)):
            async with PlainClient(server.url, bad, user) as client:
                answer = await client.login()
                assert answer["code"] == 40101 and bad not in str(answer)
                assert await client.wait_closed() == 4001
                assert client.offences == []


@run
async def test_nothing_but_a_log_in_is_taken_before_the_log_in() -> None:
    async with running_server() as server, tab(server, ANN, log_in=False) as ann:
        await ann.post(BOB, "x", NOW)
        assert (await ann.answer(NOW))["code"] == 40100
        await ann.login()
        async with tab(server, BOB) as bob:
            await ann.send(BOB, "y", NOW + 1)
            await received(bob, "y")


@run
async def test_a_log_in_that_never_comes_is_closed_with_4002() -> None:
    async with (
        running_server(auth_timeout=0.05) as server,
        tab(server, ANN, log_in=False) as ann,
    ):
        assert await ann.wait_closed() == 4002


@pytest.mark.parametrize("content", ["", " \t\u3000", "x" * 1001, "😀" * 501])
@run
async def test_content_that_is_none_or_too_long_is_refused_by_itself(content: str) -> None:
    async with running_server() as server, tab(server, ANN) as ann, tab(server, BOB) as bob:
        assert (await ann.send(BOB, content, NOW))["code"] == 400
        assert (await ann.send(BOB, "😀" * 500 + " " * 50, NOW))["code"] == 0
        await received(bob, "😀" * 500 + " " * 50)


@run
async def test_writing_to_everybody_needs_the_role() -> None:
    message = {"msgId": str(NOW), "content": "to all"}
    async with (
        running_server() as server,
        tab(server, ANN) as ann,
        tab(server, BOB) as bob,
        tab(server, "root", roles=["broadcast"]) as root,
    ):
        await ann.write("CHAT_SEND_TO_ALL_REQUEST", message)
        assert (await ann.answer(NOW))["code"] == 403
        await root.write("CHAT_SEND_TO_ALL_REQUEST", message)
        assert await root.answer(NOW) == {"msgId": NOW, "code": 0}
        await received(ann, "to all")
        await received(bob, "to all")
        assert bob.received[0]["fromUser"] == "root" and root.received == []
        async with tab(server, "late") as late:  # it reaches who is online
            await ann.send("late", "x", NOW + 1)
            await received(late, "x")


# ---------------------------------------------------------------- liberal in what it takes


@run
async def test_all_ways_to_write_a_message_down() -> None:
    fields = {"msgId": NOW, "toUser": "2", "content": "x", "fromUser": 99, "new": [1]}
    kind = "CHAT_SEND_TO_ONE_REQUEST"
    async with running_server() as server, tab(server, ANN) as ann, tab(server, BOB) as bob:
        await ann.send_raw(json.dumps({"type": kind, "message": fields, "id": "?", "x": None}))
        assert (await ann.answer(NOW))["code"] == 0
        empties: list[object] = [None, "", "null", {}]
        for empty in empties:
            await ann.send_raw(json.dumps({"type": "HEARTBEAT_REQUEST", "message": empty}))
            await ann.receive("HEARTBEAT_RESPONSE")
        await ann.send_raw('{"type":"HEARTBEAT_REQUEST"}')
        await ann.receive("HEARTBEAT_RESPONSE")
        await ann.write("HEARTBEAT_REQUEST", {"timestamp": NOW})
        await ann.receive("HEARTBEAT_RESPONSE")
        await received(bob, "x")
        assert bob.received[0]["fromUser"] == ANN  # who logged in, whatever it said


@run
async def test_what_it_does_not_know_harms_nobody() -> None:
    async with running_server() as server, tab(server, ANN) as ann:
        await ann.write("CHAT_NEWS_REQUEST", {"x": 1})
        await ann.write("CHAT_SEND_TO_ONE_REQUEST", {"msgId": NOW})
        assert (await ann.receive("CHAT_ERROR_RESPONSE"))["msgId"] == NOW
        assert (await ann.send(ANN, "still here", NOW + 1))["code"] == 0


@run
async def test_big_ids_and_names() -> None:
    big = 2**53 + 1
    async with (
        running_server() as server,
        tab(server, big) as far,
        tab(server, "bravo") as bravo,
    ):
        assert (await far.send("bravo", "x", big + 1))["msgId"] == str(big + 1)
        push = await bravo.receive()
        assert (push["fromUser"], push["msgId"]) == (str(big), str(big + 1))
        await bravo.send(big, "y", 5)
        assert (await far.receive())["fromUser"] == "bravo"
