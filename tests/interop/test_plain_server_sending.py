"""Messages to plain servers that refuse, are mute, drop the link or choke (section 1)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from adapters.adapter_kit import run
from im_asyncio import IMError, IMErrorCode
from interop.interop_kit import BOB, CARL, failure, field, listening
from peers.plain_server import PlainServer
from peers.wire import UserId

SEND = "CHAT_SEND_TO_ONE_REQUEST"
#: An unanswered message is given up soon: 0.05 s, a probe, and 0.05 s more.
IMPATIENT: dict[str, Any] = {
    "timeouts": {"ack": 0.05, "close": 0.5},
    "heartbeat": {"interval": 60, "timeout": 0.05},
}


def sends(server: PlainServer, content: str) -> list[tuple[int, int]]:
    """(connection, msgId) of each time that a message was sent."""
    return [
        (link.number, message["msgId"])
        for link in server.connections
        for message in server.sent(SEND, link.number)
        if message["content"] == content
    ]


def stored(server: PlainServer) -> list[str]:
    """The contents that the server has stored, in order."""
    return [accepted.content for accepted in server.accepted]


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize("code", [400, 403, 404, 40300, 40400, 7])
@run
async def test_a_refusal_says_the_servers_code_and_words(code: int) -> None:
    async with field(refuse={"bad": (code, "not to him")}) as server:
        client, ear = listening(server)
        async with client:
            bad, good = client.queue_message(BOB, "bad"), client.queue_message(BOB, "good")
            error = await failure(bad)
            assert (error.code, error.server_code, error.server_text) == (
                "MESSAGE_SEND_FAILED",
                code,
                "not to him",
            )
            assert not error.retryable and str(code) in str(error) and "not to him" in str(error)
            await good
            await ear.called("message_sent")
            assert [error.sent for error in ear.all("message_failed")] == [bad]
        assert len(server.auths) == 1 and stored(server) == ["good"]


@run
async def test_a_server_error_is_tried_again_on_the_same_link_and_keeps_its_place() -> None:
    async with field(refuse={"a": (50000, "busy")}, refuse_times=2) as server:
        client, _ = listening(server)
        async with client:
            first, second = client.queue_message(BOB, "a"), client.queue_message(BOB, "b")
            await second
            assert first.done and (first.sends, second.sends) == (3, 1)
        assert stored(server) == ["a", "b"] and len(server.auths) == 1
        assert len(set(sends(server, "a"))) == 1 and len(sends(server, "a")) == 3


@run
async def test_a_server_error_that_stays_fails_after_max_sends() -> None:
    async with field(refuse={"a": (50000, "busy")}) as server:
        client, _ = listening(server, max_sends=3)
        async with client:
            error = await failure(client.send_message(BOB, "a"))
            assert (error.code, error.server_code) == ("SERVER_ERROR", 50000)
            assert error.retryable and error.server_text == "busy"
            await client.send_message(BOB, "b")
        assert len(sends(server, "a")) == 3 and stored(server) == ["b"]


@pytest.mark.parametrize("text_key", ["message", "errorMsg"])
@pytest.mark.parametrize("has_id", [True, False])
@run
async def test_chat_error_response_ends_the_message_that_it_is_about(
    has_id: bool, text_key: Any
) -> None:
    more: dict[str, Any] = {"refuse_with_error_type": text_key, "error_msg_id": has_id}
    async with field(refuse={"bad": (40400, "who?")}, **more) as server:
        client, _ = listening(server)
        async with client:
            error = await failure(client.send_message(BOB, "bad"))
            assert (error.code, error.server_code, error.server_text) == (
                "MESSAGE_SEND_FAILED",
                40400,
                "who?",
            )
            await client.send_message(BOB, "good")


@run
async def test_an_error_that_could_mean_two_messages_ends_neither() -> None:
    async with field(hold_sends=True) as server:
        client, ear = listening(server)
        async with client:
            both = [client.queue_message(user, "x") for user in (BOB, CARL)]
            await server.wait_for(lambda: server.sends == 2)
            await server.send_raw(
                '{"type":"CHAT_ERROR_RESPONSE","message":"{\\"errorMsg\\":\\"oh\\"}"}'
            )
            await ear.called("error")
            assert ear.all("error")[0].server_text == "oh"
            assert not any(sent.done for sent in both)
            await server.release()
            for sent in both:
                await sent


@run
async def test_an_answer_without_a_code_is_a_yes() -> None:
    async with field(answer_no_code=True) as server:
        client, _ = listening(server)
        async with client:
            assert (await client.send_message(BOB, "x")).status == "accepted"


@run
async def test_what_no_server_takes_is_never_sent() -> None:
    async with field() as server:
        client, _ = listening(server)
        async with client:
            for content in ("", " \ufeff\u3000\n ", "x" * 1001, "😀" * 501):
                with pytest.raises(IMError) as caught:
                    client.queue_message(BOB, content)
                assert caught.value.code is IMErrorCode.MESSAGE_FORMAT_ERROR
            longest = " " * 9 + "😀" * 500 + "\u2029"
            await client.send_message(BOB, longest)
        assert stored(server) == [longest]


# ---------------------------------------------------------------- the window


@run
async def test_one_unanswered_message_per_recipient_and_many_conversations_at_once() -> None:
    async with field(hold_sends=True) as server:
        client, _ = listening(server)
        async with client:
            everything = [
                client.queue_message(user, f"{user} {n}") for n in range(3) for user in (BOB, CARL)
            ]
            await server.wait_for(lambda: server.sends == 2)
            assert sorted(stored(server)) == ["2 0", "3 0"]
            server.behaviour.hold_sends = False
            server.behaviour.probe_sends = True  # a ping and its pong before each answer
            await server.release()
            for sent in everything:
                await sent
        # that never two waited is for the server's judge to say


# ---------------------------------------------------------------- links that drop


@run
async def test_dropped_before_it_was_stored_is_sent_again_under_its_id() -> None:
    async with field(drop_before_store=1) as server:
        client, ear = listening(server)
        async with client:
            sent = await client.send_message(BOB, "x")
            assert (sent.status, sent.sends) == ("accepted", 2)
            await ear.called("reconnected")
        assert stored(server) == ["x"]
        assert sends(server, "x") == [(0, sent.msg_id), (1, sent.msg_id)]


@run
async def test_dropped_after_it_was_stored_comes_twice_for_nobody_can_know() -> None:
    async with field(drop_after_sends=1) as server:
        client, _ = listening(server)
        async with client:
            sent = await client.send_message(BOB, "x")
        assert stored(server) == ["x", "x"]
        assert {a.msg_id for a in server.accepted} == {sent.msg_id}


@run
async def test_many_messages_through_many_drops_at_least_once_and_in_order() -> None:
    drops: dict[str, Any] = {"drop_before_store": {4, 23, 24}, "drop_after_sends": {11, 17, 40}}
    async with field(**drops) as server:
        client, _ = listening(server)
        async with client:
            everything = [
                client.queue_message(user, f"{user}:{n:02}")
                for n in range(20)
                for user in (BOB, CARL, "bravo")
            ]
            for sent in everything:
                assert (await sent).status == "accepted"
        assert len(server.connections) == 7
        times = Counter(stored(server))
        assert set(times) == {sent.content for sent in everything}
        # a drop leaves at most one per conversation unanswered
        assert sum(times.values()) <= len(everything) + 6 * 3
        for user in (BOB, CARL, "bravo"):
            firsts = [c for c in dict.fromkeys(stored(server)) if c.startswith(f"{user}:")]
            assert firsts == sorted(firsts)


@run
async def test_at_most_once_ends_in_doubt_at_the_loss_and_is_never_sent_again() -> None:
    async with field(drop_after_sends=1) as server:
        client, ear = listening(server, resend_when_unsure=False)
        async with client:
            sent, second = client.queue_message(BOB, "x"), client.queue_message(BOB, "y")
            error = await failure(sent)
            assert error.code is IMErrorCode.IN_DOUBT and not error.retryable
            assert (sent.status, sent.sends) == ("in_doubt", 1)
            assert client.connection_state.status != "AUTHENTICATED"  # at once, not a link later
            await second  # was never on the wire, so it may go
            await ear.called("reconnected")
        assert stored(server) == ["x", "y"]


# ---------------------------------------------------------------- no answer


@run
async def test_a_mute_server_ends_it_in_doubt_after_max_sends_one_on_each_connection() -> None:
    async with field(mute_sends=True) as server:
        client, ear = listening(server, max_sends=3, **IMPATIENT)
        async with client:
            sent = client.queue_message(BOB, "x")
            error = await failure(sent)
            assert error.code is IMErrorCode.IN_DOUBT and error.sent is sent  # type: ignore[attr-defined]
            await ear.called("reconnected", 3)
        assert sends(server, "x") == [(n, sent.msg_id) for n in range(3)]
        assert stored(server) == ["x"] * 3


@run
async def test_a_mute_server_and_at_most_once() -> None:
    async with field(mute_sends=True) as server:
        client, _ = listening(server, resend_when_unsure=False, **IMPATIENT)
        async with client:
            error = await failure(client.send_message(BOB, "x"))
            assert error.code is IMErrorCode.IN_DOUBT
        assert stored(server) == ["x"]


@run
async def test_an_answer_that_comes_late_counts_and_the_link_is_kept() -> None:
    """The ack timeout asks whether anybody is there before it gives the link up."""
    async with field(hold_sends=True) as server:
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


@run
async def test_waiting_no_longer_is_not_withdrawing() -> None:
    async with field(hold_sends=True) as server:
        client, _ = listening(server)
        async with client:
            with pytest.raises(IMError) as caught:
                await client.send_message(BOB, "x", timeout=0.01)
            assert caught.value.code is IMErrorCode.MESSAGE_TIMEOUT
            await server.wait_for(lambda: server.sends == 1)
            await server.release()
            sent = caught.value.sent  # type: ignore[attr-defined]
            assert (await sent).status == "accepted"


# ---------------------------------------------------------------- poison


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1008])
@run
async def test_what_a_server_chokes_on_three_times_fails_and_its_neighbours_arrive(
    code: int,
) -> None:
    async with field(close_on={"poison": code}) as server:
        client, _ = listening(server)
        async with client:
            before = client.queue_message(BOB, "before")
            poison = client.queue_message(BOB, "poison")
            after = client.queue_message(BOB, "after")
            assert (await failure(poison)).code is IMErrorCode.MESSAGE_SEND_FAILED
            assert (await before).done and (await after).done
        assert len(sends(server, "poison")) == 3
        assert stored(server) == ["before", "after"]


@run
async def test_a_message_that_is_too_big_for_the_server_fails_at_once() -> None:
    big = "big" * 100
    async with field(close_on={big: 1009}) as server:
        client, _ = listening(server)
        async with client:
            poison, other = client.queue_message(BOB, big), client.queue_message(CARL, "x")
            error = await failure(poison)
            assert (error.code, error.server_code) == ("MESSAGE_SEND_FAILED", 1009)
            assert (await other).status == "accepted"
        assert len(sends(server, big)) == 1


@run
async def test_the_poison_among_the_messages_to_many_is_found() -> None:
    """Only the oldest unanswered one is suspected, so neighbours in flight are never blamed."""
    async with field(close_on={"poison": 1008}) as server:
        client, _ = listening(server, max_sends=100)
        async with client:
            users: list[UserId] = [BOB, CARL, "bravo", 7]
            good = [client.queue_message(user, f"to {user}") for user in users]
            poison = client.queue_message(8, "poison")
            assert (await failure(poison)).code is IMErrorCode.MESSAGE_SEND_FAILED
            for sent in good:
                assert (await sent).status == "accepted"
