"""The scripted server of the second dialect sees what a client may not send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.asyncio.client import connect

from adapters.adapter_kit import run
from interop.interop_kit import ANN, BOB, TOKENS
from peers.typed_server import TypedServer

NOW = 1_700_000_000_000


def envelope(kind: str, name: object, data: Any, timestamp: object = NOW) -> dict[str, Any]:
    """What a client sends, right unless a test says otherwise."""
    return {"type": kind, "id": name, "timestamp": timestamp, "data": data}


AUTH = envelope("auth", "a", {"token": "token-of-ann", "userId": ANN})
BEAT = envelope("heartbeat", "h", {"timestamp": NOW})


def chat(name: str = "m1", **more: Any) -> dict[str, Any]:
    """A chat message."""
    data = {"toUserId": BOB, "content": "hi", "messageType": "text"}
    return envelope("chat_message", name, data | more)


OFFENCES = [
    ("auth is the first thing", [BEAT]),
    ("auth is the first thing", [AUTH, AUTH]),
    ("before the last message was answered", [AUTH, chat("m1"), chat("m2")]),
    ("an id that was used already", [AUTH, chat(), chat()]),
    ("an id that is no string", [AUTH, envelope("heartbeat", 5, {"timestamp": NOW})]),
    ("not in milliseconds", [AUTH, envelope("heartbeat", "h", {"timestamp": NOW / 1000})]),
    ("not in milliseconds", [AUTH, envelope("heartbeat", "h", {"timestamp": NOW}, NOW // 1000)]),
    ("a toUserId that is none", [AUTH, chat(toUserId=2**60)]),
    ("a toUserId that is none", [AUTH, chat(toUserId=0)]),
    ("a content that is none", [AUTH, chat(content=" \n")]),
    ("a content that is none", [AUTH, chat(content="x" * 1001)]),
    ("a messageType that is none", [AUTH, chat(messageType=None)]),
    ("not what a client says", [AUTH, chat(sessionId=5)]),
    ("not what a client says", [AUTH, envelope("CHAT_ACK_REQUEST", "x", {"seq": 1})]),
    ("not an envelope", [AUTH | {"capabilities": ["seq"]}]),
]


@pytest.mark.parametrize(("offence", "frames"), OFFENCES, ids=lambda value: str(value)[:30])
@run
async def test_it_notes_what_no_client_may_send(offence: str, frames: list[dict[str, Any]]) -> None:
    server = TypedServer(TOKENS, mute_sends=True)
    async with server, connect(server.url, compression=None) as ws:
        for frame in frames:
            await ws.send(json.dumps(frame))
        await server.wait_for(lambda: server.offences)
        assert offence in server.offences[0]


@run
async def test_it_has_nothing_against_a_client_that_keeps_the_rules() -> None:
    async with TypedServer(TOKENS) as server, connect(server.url, compression=None) as ws:
        for frame in (AUTH, BEAT, chat("m1"), chat("m2", toUserId=str(2**60), content=" 😀 ")):
            await ws.send(json.dumps(frame))
            assert json.loads(await ws.recv())["id"] == frame["id"]
        assert server.offences == []
        assert server.contents == ["hi", " 😀 "]
