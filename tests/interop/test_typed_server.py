"""Our client and a server of the second dialect, over real sockets (protocol.md section 1)."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.adapter_kit import run
from im_asyncio import ClientConfig, IMClient, IMErrorCode
from im_proto.client import events as ev
from interop.interop_kit import ANN, BOB, CARL, TOKENS, Ear, failure
from peers.typed_server import TypedServer

#: An unanswered message is given up soon: 0.1 s, a probe, and 0.1 s more.
IMPATIENT: dict[str, Any] = {
    "timeouts": {"ack": 0.1, "close": 0.5},
    "heartbeat": {"interval": 60, "timeout": 0.1},
}


@contextlib.asynccontextmanager
async def field(**does: Any) -> AsyncIterator[TypedServer]:
    """A server of the second dialect; when the test is over, it must have had no complaint."""
    async with TypedServer(TOKENS, **does) as server:
        yield server
    assert server.offences == []


def listening(server: TypedServer, **more: Any) -> tuple[IMClient, Ear]:
    """Ann's client, or another's, and what it tells."""
    fields: dict[str, Any] = {
        "ws_url": server.url,
        "token": "token-of-ann",
        "user_id": ANN,
        "dialect": "typed",
        "reconnect": {"initial_delay": 0.01, "max_delay": 0.05, "jitter": "none"},
        "timeouts": {"close": 0.5},
    }
    client = IMClient(ClientConfig(**(fields | more)), callbacks="inline")
    return client, Ear(client, messages=True)


FORMS = [
    {"answer_id": answer_id, "data_as": data_as, "ids": ids, "ok_code": ok_code}
    for answer_id, data_as, ids, ok_code in [
        ("echo", "object", "number", 200),
        ("own", "string", "string", 0),
        ("none", "beside", "number", 200),
        ("none", "object", "string", 0),
    ]
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form['answer_id']}-{form['data_as']}")
@run
async def test_two_people_talk_in_every_form_that_such_servers_write(form: dict[str, Any]) -> None:
    async with field(**form) as server:
        ann, _ = listening(server)
        bob, ear = listening(server, token="token-of-bob", user_id=BOB)
        async with ann, bob:
            assert ann.guarantee == "at-least-once"
            contents = ["hi", " 你好 😀 ", "hi", "x" * 1000]
            everything = [ann.queue_message(BOB, content) for content in contents]
            for sent in everything:
                assert (await sent).status == "accepted"
            await ear.until(lambda: len(ear.messages) == 4)
            assert ear.contents == contents
            assert {(m.from_user, m.message_type, m.msg_id) for m in ear.messages} == {
                (ANN, "text", None)
            }
            await bob.send_message(ANN, "and you?")
        assert server.contents == [*contents, "and you?"]


@run
async def test_names_and_large_ids_find_their_users() -> None:
    big = 2**63 - 1
    async with field() as server:
        server.tokens["token-of-big"] = big
        ann, _ = listening(server)
        bravo, heard = listening(server, token="token-b", user_id="bravo")
        other, heard_too = listening(server, token="token-of-big", user_id=big)
        async with ann, bravo, other:
            await ann.send_message("bravo", "a")
            await ann.send_message(big, "b")
            await heard.called("message_received")
            await heard_too.called("message_received")
        assert (heard.contents, heard_too.contents) == (["a"], ["b"])


@pytest.mark.parametrize("answer_id", ["echo", "own", "none"])
@run
async def test_one_message_is_unanswered_at_a_time(answer_id: str) -> None:
    async with field(hold_sends=True, answer_id=answer_id) as server:
        client, _ = listening(server)
        async with client:
            users: list[int | str] = [BOB, CARL, "bravo"]
            everything = [client.queue_message(user, f"to {user}") for user in users]
            for sent in everything:
                await server.wait_for(lambda: server.held)
                await server.release()
                await sent
        # that never two waited is for the server's judge to say
        assert server.contents == ["to 2", "to 3", "to bravo"]


@pytest.mark.parametrize("answer_id", ["echo", "own", "none"])
@run
async def test_a_refusal_says_the_servers_code_and_words(answer_id: str) -> None:
    async with field(refuse={"bad": (403, "not to him")}, answer_id=answer_id) as server:
        client, _ = listening(server)
        async with client:
            bad, good = client.queue_message(BOB, "bad"), client.queue_message(BOB, "good")
            error = await failure(bad)
            assert (error.code, error.server_code, error.server_text) == (
                "MESSAGE_SEND_FAILED",
                403,
                "not to him",
            )
            await good
        assert server.contents == ["good"]


@run
async def test_a_server_error_is_tried_again_on_the_same_link() -> None:
    async with field(refuse={"a": (50000, "busy")}, refuse_times=2) as server:
        client, _ = listening(server)
        async with client:
            sent = await client.send_message(BOB, "a")
            assert sent.sends == 3
        assert len(server.connections) == 1 and server.contents == ["a"]
        assert len({envelope["id"] for envelope in server.said("chat_message")}) == 1


# ---------------------------------------------------------------- links that drop


@pytest.mark.parametrize("answer_id", ["echo", "none"])
@run
async def test_many_messages_through_many_drops_at_least_once_and_in_order(answer_id: str) -> None:
    drops: dict[str, Any] = {"drop_before_store": {4, 13, 14}, "drop_after_sends": {9, 17, 22}}
    async with field(answer_id=answer_id, **drops) as server:
        client, ear = listening(server)
        async with client:
            everything = [
                client.queue_message(user, f"{user}:{n:02}") for n in range(10) for user in (2, 3)
            ]
            for sent in everything:
                assert (await sent).status == "accepted"
            assert ear.count("reconnected") == 6
        times = Counter(server.contents)
        assert set(times) == {sent.content for sent in everything}
        assert sum(times.values()) == len(everything) + 3  # a drop leaves one unanswered
        for user in (2, 3):
            firsts = [c for c in dict.fromkeys(server.contents) if c.startswith(f"{user}:")]
            assert firsts == sorted(firsts)


@run
async def test_at_most_once_ends_in_doubt_and_is_never_sent_again() -> None:
    async with field(drop_after_sends={1}) as server:
        client, _ = listening(server, resend_when_unsure=False)
        async with client:
            assert client.guarantee == "at-most-once"
            first, second = client.queue_message(BOB, "x"), client.queue_message(BOB, "y")
            assert (await failure(first)).code is IMErrorCode.IN_DOUBT
            await second
        assert server.contents == ["x", "y"]


# ---------------------------------------------------------------- no answer, or a late one


@run
async def test_a_mute_server_ends_it_in_doubt_after_max_sends_one_on_each_connection() -> None:
    async with field(mute_sends=True) as server:
        client, ear = listening(server, max_sends=3, **IMPATIENT)
        async with client:
            error = await failure(client.queue_message(BOB, "x"))
            assert error.code is IMErrorCode.IN_DOUBT
            await ear.called("reconnected", 3)
        assert [stored.conn for stored in server.stored] == [0, 1, 2]


@pytest.mark.parametrize("answer_id", ["echo", "own", "none"])
@run
async def test_a_late_answer_is_never_credited_to_the_next_message(answer_id: str) -> None:
    """The link is dropped before the next send, so it comes to nobody."""
    async with field(hold_sends=True, answer_id=answer_id) as server:
        client, ear = listening(server, resend_when_unsure=False, **IMPATIENT)
        async with client:
            first, second = client.queue_message(BOB, "x"), client.queue_message(CARL, "y")
            assert (await failure(first)).code is IMErrorCode.IN_DOUBT
            server.behaviour.hold_sends = False
            await server.release(1, code=403)
            await server.release()
            assert (await second).status == "accepted"
            assert ear.count("error") == 1  # the lost link
        assert [stored.conn for stored in server.stored] == [0, 1]


@run
async def test_with_an_echoed_id_not_even_an_answer_over_the_new_link_is_credited() -> None:
    async with field(hold_sends=True) as server:
        client, _ = listening(server, resend_when_unsure=False, **IMPATIENT)
        async with client:
            first = client.queue_message(BOB, "x")
            assert (await failure(first)).code is IMErrorCode.IN_DOUBT
            await server.wait_for(lambda: len(server.connections) == 2)
            server.behaviour.hold_sends = False
            server.behaviour.mute_sends = True
            second = client.queue_message(BOB, "y")
            await server.wait_for(lambda: server.contents == ["x", "y"])
            await server.release(to_newest=True)
            assert (await failure(second)).code is IMErrorCode.IN_DOUBT


@run
async def test_an_answer_that_comes_late_but_in_time_counts_and_the_link_is_kept() -> None:
    async with field(hold_sends=True, answer_id="none") as server:
        client, ear = listening(
            server, timeouts={"ack": 0.05}, heartbeat={"interval": 60, "timeout": 5}
        )
        async with client:
            sent = client.queue_message(BOB, "x")
            await ear.called("heartbeat_received")  # the probe
            assert not sent.done
            await server.release()
            await sent
        assert len(server.connections) == 1 and sent.sends == 1


# ---------------------------------------------------------------- the log-in


@run
async def test_a_refused_token_is_told_and_a_new_one_logs_in() -> None:
    async with field() as server:
        client, ear = listening(server, token="stale")
        error = await failure(client.connect())
        assert (error.code, error.server_text) == ("AUTH_FAILED", "unknown token")
        assert error.terminal and ear.count("auth_failed") == 1
        client.update_access_token("token-of-ann")
        async with client:
            await client.send_message(BOB, "x")
        assert server.auths == ["stale", "token-of-ann"]


@run
async def test_a_token_function_is_asked_for_another() -> None:
    tokens = iter(["stale", "token-of-ann"])
    async with field() as server:
        client, _ = listening(server, token=lambda: next(tokens))
        async with client:
            await client.send_message(BOB, "x")
        assert server.auths == ["stale", "token-of-ann"]


@run
async def test_a_server_that_is_mute_at_the_log_in_is_asked_the_same_again() -> None:
    async with field(mute_auth=True) as server:
        client, ear = listening(server, timeouts={"auth": 0.05, "close": 0.5})
        connecting = asyncio.create_task(client.connect(retry=True))
        await server.wait_for(lambda: len(server.auths) == 4)
        server.behaviour.mute_auth = False
        await connecting
        async with client:
            await client.send_message(BOB, "x")
        assert ear.notices(ev.ExtensionsRefused) == []
        data = [envelope["data"] for envelope in server.said("auth")]
        assert data == [{"token": "token-of-ann", "userId": ANN}] * len(data)


# ---------------------------------------------------------------- liveness, and odd frames


@run
async def test_a_dead_server_is_found_and_the_client_comes_back() -> None:
    async with field(mute_heartbeat=True) as server:
        client, ear = listening(
            server, heartbeat={"interval": 0.02, "timeout": 0.02, "max_missed": 2}
        )
        async with client:
            await ear.called("disconnected")
            server.behaviour.mute_heartbeat = False
            await ear.called("reconnected")
            await ear.called("heartbeat_received")


@run
async def test_odd_frames_are_told_and_take_nothing_along() -> None:
    async with field() as server:
        client, ear = listening(server)
        async with client:
            await client.send_message(BOB, "x")
            await server.send_raw('{"type":"KICK","data":{"reconnect":false}}')
            await server.send_raw('{"type":"chat_message","data":{"content":5}}')
            await server.send_raw('{"type":"chat_message","data":"{\\"content\\":\\"y\\"}"}')
            await ear.called("message_received")
            assert ear.contents == ["y"]
            await server.send_raw("[]")
            await ear.called("reconnected")
            await client.send_message(BOB, "z")
        assert server.contents == ["x", "z"]
