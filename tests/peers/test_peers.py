"""The two peers talk to each other: they work, and each sees what the other does wrong."""

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Any

import pytest

from peers.plain_client import PUSH, PlainClient
from peers.plain_server import Accepted, Behaviour, PlainServer
from peers.wire import as_id, as_user, content_units

TOKENS: dict[str, int | str] = {"ta": 1, "tb": 2, "ta2": 1, "tc": "carol"}
BIG = 2**53 + 1


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run one scenario; none lasts longer than this."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario

    asyncio.run(bounded())


def server(*, ids_may_be_strings: bool = True, **behaviour: Any) -> PlainServer:
    """A server that forgives the client of the browser its string ids."""
    return PlainServer(TOKENS, Behaviour(**behaviour), string_ids_allowed=ids_may_be_strings)


@pytest.mark.parametrize("null_style", ["braces", "null", "empty", "word", "missing"])
@pytest.mark.parametrize(("ok_code", "ids"), [(0, "string"), (200, "number")])
@pytest.mark.parametrize("message_as", ["string", "object"])
def test_all_styles_of_a_server(ok_code: int, ids: str, message_as: str, null_style: str) -> None:
    async def scenario() -> None:
        style: dict[str, Any] = {"ok_code": ok_code, "ids": ids, "message_as": message_as}
        async with (
            server(**style, null_style=null_style) as field,
            PlainClient(field.url, "ta", 1) as ann,
            PlainClient(field.url, "tb", 2) as bob,
            PlainClient(field.url, "tb", 2) as tab,
        ):
            shown = str if ids == "string" else int
            assert (await ann.login())["data"]["userId"] == shown(1)
            assert (await bob.login())["code"] == (await tab.login())["code"] == ok_code
            assert await ann.heartbeat() == {}
            answer = await ann.send(2, "hé😀", 1700000000001)
            assert answer == {"msgId": shown(1700000000001), "code": ok_code, "message": "ok"}
            expected = {"msgId": shown(1700000000001), "content": "hé😀", "fromUser": shown(1)}
            assert await bob.receive() == await tab.receive() == expected
            assert field.accepted == [Accepted(0, 1, 2, 1700000000001, "hé😀")]
            assert (await bob.read_receipt(1700000000001, 1))["code"] == ok_code
            assert [auth.code for auth in field.auths] == [ok_code] * 3
            assert field.offences == []
            plain = message_as == "string" and ids == "number" and null_style == "braces"
            assert (ann.offences == []) is plain

    run(scenario())


@pytest.mark.parametrize("strict", ["mute", "close", "reject_400"])
def test_strict_server_takes_a_bare_login_only(strict: str) -> None:
    async def scenario() -> None:
        async with server(strict_keys=strict, strict_user_id=True) as field:
            async with PlainClient(field.url, "ta", 1) as ann:
                if strict == "reject_400":
                    assert (await ann.login())["code"] == 400
                elif strict == "close":
                    with pytest.raises(ConnectionError):
                        await ann.login()
                else:
                    await ann.write("AUTH_REQUEST", {"accessToken": "ta", "userId": "1"})
                    assert await ann.heartbeat() == {}
                    assert [message for message in ann.frames if "AUTH" in str(message)] == []
            async with PlainClient(field.url, "ta") as ann:
                assert (await ann.login())["code"] == 200
                await ann.write("AUTH_REQUEST", {"accessToken": "ta", "capabilities": ["seq"]})
                await field.wait_for(lambda: len(field.auths) == 3)
            assert [auth.code for auth in field.auths][1] == 200
            assert field.offences == [
                "#1: AUTH_REQUEST: section 2 key capabilities",
                "#1: extensions in AUTH_REQUEST after a login that had to be bare",
            ]

    run(scenario())


def test_refusals() -> None:
    async def scenario() -> None:
        refuse = {"no": (403, "forbidden"), "busy": (50000, "try later")}
        async with (
            server(refuse=refuse, refuse_times=1, answer_no_code=True) as field,
            PlainClient(field.url, "ta", 1) as ann,
            PlainClient(field.url, "nobody") as eve,
        ):
            assert (await eve.login())["code"] == 40101
            await ann.login()
            assert (await ann.send(2, "no", 1))["code"] == 403
            field.behaviour.refuse_with_error_type = "errorMsg"
            busy = {"code": 50000, "errorMsg": "try later", "msgId": 2}
            assert await ann.send(2, "busy", 2) == busy
            assert await ann.send(2, "busy", 2) == {"msgId": 2}
            assert field.offences == []
            assert (await ann.send(2, "no", 1)) == {"msgId": 1}
            assert field.offences == ["#0: msgId 1 sent again on the same connection"]
            assert [one.content for one in field.accepted] == ["busy", "no"]

    run(scenario())


def test_token_expires_under_way_and_a_fresh_one_serves() -> None:
    async def scenario() -> None:
        async with server(token_expired_after=1, lasting_tokens={"ta2"}) as field:
            async with PlainClient(field.url, "ta", 1) as ann:
                await ann.login()
                assert (await ann.send(2, "a", 1))["code"] == 200
                assert (await ann.send(2, "b", 2))["code"] == 40101
                assert (await ann.login())["code"] == 40101
                ann.token = "ta2"
                assert (await ann.login())["code"] == 200
                assert (await ann.send(2, "b", 2))["code"] == 200
                assert (await ann.send("carol", "c", 3))["code"] == 200
            assert field.offences == []

    run(scenario())


def test_drops_before_and_after_storing() -> None:
    async def scenario() -> None:
        async with server(drop_before_store=1, drop_after_sends={2}) as field:
            for expected in ([], ["x"], ["x", "x"]):
                async with PlainClient(field.url, "ta", 1) as ann:
                    await ann.login()
                    await ann.post(2, "x", 7)
                    if len(expected) < 2:
                        assert await ann.wait_closed() == 1006
                    else:
                        assert (await ann.answer(7))["code"] == 200
                assert [one.content for one in field.accepted] == expected
            assert field.offences == []

    run(scenario())


def test_closes_with_a_code_and_drops_by_hand() -> None:
    async def scenario() -> None:
        async with server(close_after_frames=2, close_code=1013, close_connections=1) as field:
            async with PlainClient(field.url, "ta", 1) as ann:
                await ann.login()
                await ann.post(2, "x", 7)
                assert await ann.wait_closed() == 1013
            field.behaviour.close_on = {"poison": 1007}
            async with PlainClient(field.url, "ta", 1) as ann:
                await ann.login()
                await ann.send(2, "fine", 8)
                await ann.post(2, "poison", 9)
                assert await ann.wait_closed() == 1007
            async with PlainClient(field.url, "ta", 1) as ann:
                await ann.login()
                await field.drop_all()
                assert await ann.wait_closed() == 1006
            async with PlainClient(field.url, "ta", 1) as ann:
                await ann.drop()
                await field.wait_for(lambda: not field.connections[3].open)
                assert field.connections[3].close_code == 1006
            assert [one.content for one in field.accepted] == ["fine"]

    run(scenario())


@pytest.mark.parametrize("how", ["hold_sends", "probe_sends", "mute_sends"])
def test_a_second_unanswered_message_is_an_offence(how: str) -> None:
    async def scenario() -> None:
        async with server(**{how: True}) as field, PlainClient(field.url, "ta", 1) as ann:
            await ann.login()
            ann.answer_pings = False  # so that a probe stays out
            await ann.post(2, "a", 1)
            if how == "probe_sends":
                await ann.wait_for(lambda: ann.pings == 1)
            else:
                await ann.post("carol", "b", 2)
                await ann.heartbeat()
                assert len(field.accepted) == 2
            assert not any("CHAT_SEND_RESPONSE" in str(frame) for frame in ann.frames)
            assert field.offences == []
            if how == "hold_sends":
                await field.release(1)
                assert (await ann.answer(1))["code"] == 200
                await ann.post(2, "c", 3)
            await ann.post(2, "d", 4)
            await field.wait_for(lambda: field.offences)
            assert field.offences == ["#0: a second unanswered message to 2: msgId 4"]
            if how == "hold_sends":
                await field.wait_for(lambda: len(field.accepted) == 4)
                await field.release()
                assert (await ann.answer(4))["code"] == 200

    run(scenario())


def test_a_probe_that_is_answered_lets_the_answer_out() -> None:
    async def scenario() -> None:
        async with server(probe_sends=True) as field, PlainClient(field.url, "ta", 1) as ann:
            await ann.login()
            assert (await ann.send(2, "a", 1))["code"] == 200
            assert ann.pings == 1
            assert field.offences == []

    run(scenario())


SEND = {"msgId": 1, "toUser": 2, "content": "x"}


@pytest.mark.parametrize(
    ("raw", "offence"),
    [
        (b"\x00", "binary frame"),
        ("{", "not JSON: '{'"),
        ('[{"type": "X"}]', """not one JSON object: '[{"type": "X"}]'"""),
        ('{"type": "NEWS"}', "unknown type: 'NEWS'"),
        ('{"type": "SYNC_REQUEST"}', "section 2 type: 'SYNC_REQUEST'"),
        ('{"type": "HEARTBEAT_REQUEST", "message": {}}', "message is not a string"),
        ('{"type": "HEARTBEAT_REQUEST", "message": ""}', "message holds no JSON object"),
        ('{"type": "HEARTBEAT_REQUEST", "message": "{}", "id": 1}', "unknown envelope key id"),
        ({"deviceId": "d", "accessToken": "ta"}, "section 2 key deviceId"),
        (SEND | {"msgId": BIG}, f"msgId is a number above 2^53-1: {BIG}"),
        (SEND | {"toUser": "2"}, "toUser is a string, and not above 2^53-1: '2'"),
        (SEND | {"toUser": ""}, "toUser is not an id: ''"),
        (SEND | {"seq": 1}, "unknown key seq"),
        (SEND | {"content": "😀" * 501}, "content of 1002 UTF-16 units"),
        (SEND | {"content": "\ufeff "}, "content of 0 UTF-16 units"),
        (SEND | {"msgId": str(BIG), "toUser": "carol", "content": "😀" * 500}, None),
    ],
)
def test_offences_of_a_client(raw: str | bytes | dict[str, Any], offence: str | None) -> None:
    async def scenario() -> None:
        async with (
            server(ids_may_be_strings=False) as field,
            PlainClient(field.url, "ta") as ann,
        ):
            await ann.login()
            if isinstance(raw, dict):
                kind = "AUTH_REQUEST" if "accessToken" in raw else "CHAT_SEND_TO_ONE_REQUEST"
                await ann.write(kind, raw)
            else:
                await ann.send_raw(raw)
            await ann.heartbeat()
            assert len(field.offences) == (offence is not None)
            assert not offence or field.offences[0].endswith(offence)
            assert field.frames[1].conn == 0
            assert len(field.frames) == 3

    run(scenario())


def test_chat_before_auth() -> None:
    async def scenario() -> None:
        async with server() as field, PlainClient(field.url, "ta") as ann:
            assert (await ann.send(2, "x", 1))["code"] == 40100
            assert field.offences == ["#0: CHAT_SEND_TO_ONE_REQUEST before auth"]
            assert field.accepted == []

    run(scenario())


@pytest.mark.parametrize(
    ("raw", "offence"),
    [
        (b"\x00", "binary frame"),
        ("[]", "not one JSON object: '[]'"),
        ('{"type": "RECEIPT_PUSH", "message": "{}"}', "not of section 1: 'RECEIPT_PUSH'"),
        ('{"type": "CHAT_ERROR_RESPONSE", "message": {}}', "message is not a string"),
        (
            '{"type": "AUTH_RESPONSE", "message": "{\\"code\\": 0, \\"message\\": \\"\\", '
            '\\"data\\": {\\"capabilities\\": []}}"}',
            "key capabilities is not of section 1",
        ),
        ({"content": "x", "seq": 3}, "key seq is not of section 1"),
        ({"content": "x", "msgId": BIG}, f"msgId is a number above 2^53-1: {BIG}"),
        ({"content": "x", "msgId": str(BIG), "fromUser": "carol", "timestamp": 5}, None),
        ({"content": "x", "epoch": 1}, None),
    ],
)
def test_offences_of_a_server(raw: str | bytes | dict[str, Any], offence: str | None) -> None:
    async def scenario() -> None:
        async with (
            server() as field,
            PlainClient(field.url, "ta", 1, tolerate={"epoch"}) as ann,
        ):
            await ann.login()
            if isinstance(raw, dict):
                assert await field.push(1, **raw) == 1
                assert await ann.receive() == raw
                assert ann.received == [raw]
            else:
                await field.send_raw(raw, user=1)
            await ann.heartbeat()
            assert len(ann.offences) == (offence is not None)
            assert not offence or ann.offences[0].endswith(offence)

    run(scenario())


def test_pushes_of_any_shape_reach_every_tab() -> None:
    async def scenario() -> None:
        async with (
            server() as field,
            PlainClient(field.url, "ta", 1) as one,
            PlainClient(field.url, "ta2", 1) as two,
        ):
            await one.login()
            await two.login()
            pushes: list[dict[str, Any]] = [
                {"content": "no ids at all"},
                {"content": "again", "msgId": "5", "fromUser": "2", "colour": None},
                {"content": "again", "msgId": "5", "fromUser": "2", "colour": None},
            ]
            for push in pushes:
                assert await field.push(1, **push) == 2
            for tab in (one, two):
                assert [await tab.receive(PUSH) for _ in pushes] == pushes
            assert await field.push(2, "nobody is there") == 0

    run(scenario())


def test_pings_of_both_sides_are_answered_or_not() -> None:
    async def scenario() -> None:
        async with server() as field, PlainClient(field.url, "ta", 1) as ann:
            await ann.login()
            await (await field.connections[0].ws.ping())
            await (await ann.ws.ping())
            ann.answer_pings = False
            field.behaviour.mute_heartbeat = True
            silence = [await field.connections[0].ws.ping(), await ann.ws.ping()]
            await ann.wait_for(lambda: ann.pings == 2)
            await ann.write("HEARTBEAT_REQUEST", {})
            assert (await ann.send(2, "x", 1))["code"] == 200
            assert not any("HEARTBEAT" in str(frame) for frame in ann.frames)
            assert not any(cast_future(waiter).done() for waiter in silence)

    run(scenario())


def cast_future(waiter: Any) -> "asyncio.Future[float]":
    """What ping() returns is a future, though its type only says awaitable."""
    assert isinstance(waiter, asyncio.Future)
    return waiter


def test_everyone_and_the_helpers() -> None:
    async def scenario() -> None:
        async with (
            server() as field,
            PlainClient(field.url, "ta", 1) as ann,
            PlainClient(field.url, "tc", "carol") as carol,
        ):
            await ann.login()
            await carol.login()
            await ann.write("CHAT_SEND_TO_ALL_REQUEST", {"msgId": 4, "content": "all"})
            assert (await ann.answer(4))["code"] == 200
            assert (await carol.receive())["fromUser"] == 1
            assert field.accepted == [Accepted(0, 1, "*", 4, "all")]
            assert field.sent("CHAT_SEND_TO_ALL_REQUEST") == [{"msgId": 4, "content": "all"}]
            assert field.sent("AUTH_REQUEST", 1) == [{"accessToken": "tc", "userId": "carol"}]
            with pytest.raises(TimeoutError, match="never so"):
                await field.wait_for(lambda: field.offences, timeout=0)
            await field.close_all(4003)
            assert await carol.wait_closed() == 4003
            with pytest.raises(ConnectionError, match="4003"):
                await carol.receive()

    run(scenario())


def test_ids_and_units() -> None:
    assert [as_id(x) for x in (5, "5", "007", 0, -1, True, "x", 2**63, None)] == [
        *(5, 5, 7),
        *[None] * 6,
    ]
    assert [as_user(x) for x in (5, "5", "007", "bravo", "", None)] == [5, 5, "007", "bravo"] + [
        None
    ] * 2
    assert content_units("\ufeff a😀\x1f ") == 4
    assert json.loads(json.dumps(asdict(Behaviour())))["ok_code"] == 200
