"""What plain servers push, however oddly; and links that die quietly."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from adapters.adapter_kit import run
from im_proto.client import events as ev
from interop.interop_kit import ANN, BOB, field, listening

PUSH = "CHAT_REDIRECT_TO_USER_REQUEST"


@run
async def test_pushes_without_an_id_or_a_sender_all_arrive_also_equal_ones() -> None:
    async with field() as server:
        client, ear = listening(server, messages=True)
        async with client:
            for fields in ({}, {}, {"msgId": 5}, {"msgId": 5}, {"fromUser": BOB}, {"fromUser": 2}):
                await server.push(ANN, "ok", **fields)
            await ear.called("message_received", 6)
            assert [(m.content, m.msg_id, m.from_user) for m in ear.messages] == [
                *[("ok", None, None)] * 2,
                *[("ok", 5, None)] * 2,
                *[("ok", None, BOB)] * 2,
            ]
            assert {m.message_type for m in ear.messages} == {"text"}
        assert ear.notices(ev.DuplicateSuppressed) == []


@run
async def test_a_repeat_is_told_by_id_sender_and_content_together() -> None:
    async with field() as server:
        client, ear = listening(server, messages=True)
        async with client:
            await server.push(ANN, "a", msgId=5, fromUser=BOB)
            await server.push(ANN, "a", msgId="5", fromUser="2")  # the same
            await server.push(ANN, "b", msgId=5, fromUser=BOB)  # other content
            await server.push(ANN, "a", msgId=5, fromUser=3)  # another sender
            await server.push(ANN, "a", msgId=6, fromUser=BOB)  # another id
            await server.drop_all()
            await ear.called("reconnected")
            await server.push(ANN, "a", msgId=6, fromUser=BOB)  # repeats know no link
            await server.push(ANN, "end")
            await ear.until(lambda: "end" in ear.contents)
            assert ear.contents == ["a", "b", "a", "a", "end"]
            assert client.counters.duplicates_suppressed == 2
        told = ear.notices(ev.DuplicateSuppressed)
        assert [(notice.msg_id, notice.from_user) for notice in told] == [(5, BOB), (6, BOB)]


@run
async def test_all_that_a_push_may_hold() -> None:
    async with field() as server:
        client, ear = listening(server, messages=True)
        async with client:
            await server.push(
                ANN,
                " hé😀\u0000 ",
                msgId=str(2**53 + 1),
                fromUser="bravo",
                sessionId="12",
                messageType="image",
                timestamp=1_700_000_000_000,
                bookId=4,
                new={"of": ["next", "year"]},
            )
            await server.push(ANN, "", msgId=None, fromUser=None, sessionId=None, messageType=None)
            await ear.called("message_received", 2)
            first, second = ear.messages
            assert (first.content, first.msg_id, first.from_user) == (
                " hé😀\u0000 ",
                2**53 + 1,
                "bravo",
            )
            assert (first.session_id, first.message_type) == (12, "image")
            assert (first.timestamp, first.seq) == (1_700_000_000_000, None)
            assert (second.content, second.message_type) == ("", "text")
        assert ear.count("error") == 0


@run
async def test_unknown_types_are_told_and_disturb_nothing() -> None:
    async with field() as server:
        client, ear = listening(server, messages=True)
        async with client:
            await server.send_raw('{"type":"CHAT_TYPING","message":"{\\"x\\":1}"}')
            await server.send_raw('{"type":"NEWS"}')
            await server.push(ANN, "after")
            await ear.called("message_received")
            assert [notice.kind for notice in ear.notices(ev.UnknownMessage)] == [
                "CHAT_TYPING",
                "NEWS",
            ]
            await client.send_message(BOB, "still here")
        assert len(server.connections) == 1


@run
async def test_an_id_that_is_none_takes_no_content_along() -> None:
    async with field() as server:
        client, ear = listening(server, messages=True)
        async with client:
            await server.push(ANN, "x", msgId="abc", fromUser=BOB)
            await ear.called("message_received")
            assert (ear.messages[0].content, ear.messages[0].msg_id) == ("x", None)


@pytest.mark.parametrize("message", ["{", '"[]"', '{"msgId": 5}', '{"content": 5}'])
@run
async def test_a_push_that_makes_no_sense_takes_no_neighbour_along(message: str) -> None:
    async with field() as server:
        client, ear = listening(server, messages=True)
        async with client:
            await server.send_raw(json.dumps({"type": PUSH, "message": message}))
            await server.push(ANN, "after")
            await ear.until(lambda: "after" in ear.contents)
            assert len(ear.notices(ev.ProtocolViolation)) == 1
            await client.send_message(BOB, "still here")
        assert len(server.connections) == 1


@pytest.mark.parametrize("raw", ["", "{", "[]", "null", "7", '{"type":5}', '{"message":"{}"}'])
@run
async def test_a_frame_that_is_no_envelope_ends_at_most_the_link(raw: str) -> None:
    async with field() as server:
        client, ear = listening(server)
        async with client:
            await server.send_raw(raw)
            await ear.until(lambda: ear.notices(ev.ProtocolViolation))
            await client.send_message(BOB, "went on")
        assert [accepted.content for accepted in server.accepted] == ["went on"]


@run
async def test_an_iterator_goes_on_over_lost_links() -> None:
    async with field() as server:
        client, ear = listening(server)
        async with client:
            messages = client.messages()
            await server.push(ANN, "one")
            assert (await anext(messages)).content == "one"
            await server.drop_all()
            await ear.called("reconnected")
            await server.push(ANN, "two")
            assert (await anext(messages)).content == "two"
            await messages.aclose()


# ---------------------------------------------------------------- liveness


@run
async def test_a_dead_link_is_found_in_interval_and_missed_times_timeout() -> None:
    beat: dict[str, Any] = {"interval": 0.2, "timeout": 0.05, "max_missed": 2}
    async with field() as server:
        client, ear = listening(server, heartbeat=beat)
        async with client:
            await ear.called("heartbeat_received")
            before = len(server.sent("HEARTBEAT_REQUEST"))
            server.behaviour.mute_heartbeat = True
            began = time.monotonic()
            await ear.called("disconnected")
            found = time.monotonic() - began
            server.behaviour.mute_heartbeat = False
            await ear.called("reconnected")
            await client.send_message(BOB, "x")
        assert 0.1 <= found < 20  # not before two are missed; by default it would take more
        assert "silent" in str(ear.all("error")[0])
        # a miss is followed by the next probe at once
        assert len(server.sent("HEARTBEAT_REQUEST", 0)) == before + 2


@run
async def test_other_frames_are_life_too() -> None:
    """Neither heartbeats nor pings are answered, but messages are: the link is not given up."""
    async with field(mute_heartbeat=True) as server:
        client, ear = listening(server, heartbeat={"interval": 0.02, "timeout": 5, "max_missed": 1})
        async with client:
            for n in range(3):
                await ear.called("heartbeat_sent", n + 1)
                await server.push(ANN, "noise")
        assert len(server.connections) == 1 and ear.count("heartbeat_received") == 0


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 4002, 4008, 4009, 4242])
@run
async def test_closes_that_lead_back(code: int) -> None:
    async with field() as server:
        client, ear = listening(server)
        async with client:
            await server.close_all(code)
            await ear.called("reconnected")
            await client.send_message(BOB, "x")
        assert ear.count("disconnected") >= 1


@pytest.mark.parametrize("code", [4001, 4004])
@run
async def test_closes_that_are_the_end(code: int) -> None:
    async with field() as server:
        client, ear = listening(server)
        async with client:
            await server.close_all(code)
            await ear.until(lambda: any(error.terminal for error in ear.all("error")))
            assert client.connection_state.status == "DISCONNECTED"
        assert len(server.connections) == 1 and ear.count("reconnecting") == 0
