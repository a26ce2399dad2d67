"""Our client logs in to plain servers of all kinds, and stays within section 1."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.adapter_kit import run
from im_asyncio import Guarantee, IMClient, IMError
from im_proto.client import events as ev
from interop.interop_kit import ANN, BOB, Ear, config, failure, field, listening, refused
from peers.plain_server import PlainServer

_EXTENSIONS = {"capabilities", "deviceId", "limits", "resume"}


def logins(server: PlainServer) -> list[set[str]]:
    """The keys of each AUTH_REQUEST."""
    return [set(auth.message) for auth in server.auths]


@pytest.mark.parametrize("null_style", ["braces", "null", "empty", "word", "missing"])
@pytest.mark.parametrize("message_as", ["string", "object"])
@pytest.mark.parametrize("ids", ["number", "string"])
@pytest.mark.parametrize("ok_code", [0, 200])
@run
async def test_every_style_of_the_family_is_understood(
    ok_code: int, ids: Any, message_as: Any, null_style: Any
) -> None:
    style: dict[str, Any] = {"ok_code": ok_code, "ids": ids, "message_as": message_as}
    async with field(**style, null_style=null_style) as server:
        client, ear = listening(server, heartbeat={"interval": 0.01, "timeout": 5}, messages=True)
        async with client, IMClient(config(server, token="token-of-bob", user_id=BOB)) as bob:
            sent = await client.send_message(BOB, " hé😀 ", message_type="image")
            came = await anext(bob.messages())
            assert (came.content, came.from_user, came.msg_id) == (" hé😀 ", ANN, sent.msg_id)
            assert came.message_type == "image"
            await bob.send_message(ANN, "back")
            await ear.called("heartbeat_received")  # its message is an empty one
            await ear.called("message_received")
            assert ear.messages[0].from_user == BOB
            assert client.connection_state.last_error is None
        assert ear.count("error") == ear.count("reconnecting") == 0


@pytest.mark.parametrize("auth_data", [True, False])
@run
async def test_a_log_in_is_answered_with_data_or_without(auth_data: bool) -> None:
    async with field(auth_data=auth_data) as server:
        client, _ = listening(server)
        async with client:
            await client.send_message(BOB, "x")
    assert len(server.auths) == 1


@pytest.mark.parametrize("strict_user_id", [False, True])
@pytest.mark.parametrize("strict", ["mute", "close", "reject_400"])
@run
async def test_a_strict_server_is_logged_in_to_plainly_and_remembered(
    strict: Any, strict_user_id: bool
) -> None:
    async with field(strict_keys=strict, strict_user_id=strict_user_id) as server:
        client, ear = listening(server, timeouts={"auth": 0.1, "close": 0.1})
        await client.connect(retry=True)
        assert logins(server)[-1] == {"accessToken"}
        asked = logins(server)[:-1]
        assert len(asked) == 2 and all(keys >= _EXTENSIONS - {"resume"} for keys in asked)
        await client.send_message(BOB, "one")
        await server.drop_all()
        await ear.called("reconnected")
        await client.send_message(BOB, "two")
        await client.disconnect()
        await client.connect()  # the first try must work now
        await client.send_message(BOB, "three")
        await client.disconnect()
        assert logins(server)[2:] == [{"accessToken"}] * 3
        assert [notice.ws_url for notice in refused(ear)] == [server.url]
        assert client.guarantee is Guarantee.AT_LEAST_ONCE
        assert [a.content for a in server.accepted] == ["one", "two", "three"]


@pytest.mark.parametrize("drops", [1, 2])
@run
async def test_a_server_that_takes_section_2s_keys_is_not_held_to_be_strict(drops: int) -> None:
    async with field(close_after_frames=1, close_connections=drops) as server:
        client, ear = listening(server)
        await client.connect(retry=True)
        if drops == 1:
            assert _EXTENSIONS & logins(server)[-1]
            assert refused(ear) == []
        else:  # two log-ins in a row without an answer: from here it can't be told apart
            assert logins(server)[-1] == {"accessToken"}
            assert len(refused(ear)) == 1
        await client.disconnect()


@run
async def test_without_extensions_nothing_of_section_2_is_sent() -> None:
    more: dict[str, Any] = {"extensions": False, "heartbeat": {"interval": 0.01, "timeout": 5}}
    async with field(extensions_allowed=False, strict_keys="reject_400") as server:
        client, ear = listening(server, messages=True, **more)
        async with client:
            await client.send_message(BOB, "x")
            await server.push(ANN, "hello", msgId=7, fromUser=BOB)
            await ear.called("message_received")
            await ear.called("heartbeat_received")
            await server.drop_all()
            await ear.called("reconnected")
            await client.send_message(BOB, "y")
        assert logins(server) == [{"accessToken", "userId"}] * 2
        assert refused(ear) == []


@run
async def test_a_name_is_a_user_too() -> None:
    async with field() as server:
        client, ear = listening(server, messages=True, token="token-b", user_id="bravo")
        async with client:
            await client.send_message("bravo", "to myself")
            await ear.called("message_received")
            assert ear.messages[0].from_user == "bravo"
        assert server.auths[0].message["userId"] == "bravo"


@run
async def test_ids_that_javascript_would_round_go_out_as_strings() -> None:
    big = 2**53 + 1
    async with field(ids="string", more_tokens={"t-big": big}) as server:
        client, ear = listening(server, messages=True, token="t-big", user_id=big)
        async with client:
            await client.send_message(big, "x", session_id=big)
            await ear.called("message_received")
            assert (ear.messages[0].from_user, ear.messages[0].session_id) == (big, big)
        (request,) = server.sent("CHAT_SEND_TO_ONE_REQUEST")
        assert (request["toUser"], request["sessionId"]) == (str(big), str(big))
        assert isinstance(request["msgId"], int)


@pytest.mark.parametrize(
    ("code", "name", "retryable"),
    [
        (40101, "TOKEN_INVALID", False),
        (401, "AUTH_FAILED", False),
        (403, "AUTH_FAILED", False),
        (50000, "SERVER_ERROR", True),
    ],
)
@run
async def test_a_refused_log_in_raises_with_the_servers_code(
    code: int, name: str, retryable: bool
) -> None:
    async with field(refuse_auth=code) as server:
        client, ear = listening(server)
        error = await failure(client.connect())
        assert (error.code, error.server_code, error.retryable) == (name, code, retryable)
        assert error.server_text == "refused"
        assert ear.count("auth_failed") == 1
        assert len(server.auths) == 1
        assert "token-of-ann" not in f"{error!s}{client.explain()}{ear.calls}"


@run
async def test_a_server_that_fails_while_logging_in_is_tried_again() -> None:
    async with field(refuse_auth=500) as server:
        client, ear = listening(server)

        def heal(attempt: int) -> None:
            if attempt == 2:
                server.behaviour.refuse_auth = None

        client.on("reconnecting", heal)
        await client.connect(retry=True)
        await client.disconnect()
        assert [auth.code for auth in server.auths] == [500, 500, 200]
        assert (ear.count("auth_failed"), ear.count("authenticated")) == (2, 1)


@pytest.mark.parametrize(
    ("more", "guarantee"),
    [
        ({}, "at-least-once"),
        ({"resend_when_unsure": False}, "at-most-once"),
        ({"extensions": False}, "at-least-once"),
    ],
)
@run
async def test_the_guarantee_is_what_a_plain_server_allows(
    more: dict[str, Any], guarantee: str
) -> None:
    async with field() as server:
        client, ear = listening(server, **more)
        before = client.guarantee
        async with client:
            assert (before, client.guarantee) == (None, guarantee)
            await server.drop_all()
            await ear.called("reconnected")
        told = ear.notices(ev.GuaranteeChanged)
        assert [notice.guarantee for notice in told] == [guarantee]


# ---------------------------------------------------------------- tokens


@run
async def test_an_expired_token_is_renewed_once_and_the_message_sent_again() -> None:
    tokens = iter(["token-of-ann", "second"])
    more: dict[str, Any] = {"token_expired_after": 2, "lasting_tokens": {"second"}}
    async with field(more_tokens={"second": ANN}, **more) as server:
        client, ear = listening(server, token=lambda: next(tokens))
        async with client:
            all_sent = [client.queue_message(BOB, str(n)) for n in range(5)]
            for sent in all_sent:
                await sent
        assert [auth.token for auth in server.auths] == ["token-of-ann", "second"]
        assert [a.content for a in server.accepted] == ["0", "1", "2", "3", "4"]
        ids = [message["msgId"] for message in server.sent("CHAT_SEND_TO_ONE_REQUEST")]
        assert len(ids) == 6 and len(set(ids)) == 5
        assert [error.code for error in ear.all("auth_failed")] == ["TOKEN_INVALID"]
        assert ear.count("message_failed") == 0


@run
async def test_a_fresh_token_that_is_refused_too_is_the_end() -> None:
    tokens = iter(["token-of-ann", "second", "never asked for"])
    async with field(more_tokens={"second": ANN}, token_expired_after=0) as server:
        client, ear = listening(server, token=lambda: next(tokens))
        await client.connect()
        sent = client.queue_message(BOB, "x")
        await ear.until(lambda: any(error.terminal for error in ear.all("error")))
        assert [auth.token for auth in server.auths] == ["token-of-ann", "second"]
        assert not sent.done and server.accepted == []
        await client.disconnect()
    assert next(tokens) == "never asked for"


@run
async def test_a_token_that_nobody_can_renew_is_the_end_until_the_application_gives_one() -> None:
    more: dict[str, Any] = {"token_expired_after": 1, "lasting_tokens": {"second"}}
    async with field(more_tokens={"second": ANN}, **more) as server:
        client, ear = listening(server)
        async with client:
            await client.send_message(BOB, "0")
            sent = client.queue_message(BOB, "1")
            await ear.until(lambda: any(error.terminal for error in ear.all("error")))
            assert client.connection_state.status == "DISCONNECTED"
            assert not sent.done
            client.update_access_token("second")
            assert await sent is sent
        # the old one was tried once more: the session may have been lost, not the token
        assert [auth.token for auth in server.auths] == ["token-of-ann"] * 2 + ["second"]
        assert [a.content for a in server.accepted] == ["0", "1"]


@run
async def test_a_session_that_the_server_lost_is_logged_in_to_again_with_the_same_token() -> None:
    async with field(refuse={"x": (40100, "not logged in")}, refuse_times=1) as server:
        client, _ = listening(server)
        async with client:
            await client.send_message(BOB, "x")
        assert [auth.token for auth in server.auths] == ["token-of-ann"] * 2
        assert [a.content for a in server.accepted] == ["x"]


@run
async def test_connect_alone_finds_the_way_into_a_strict_server() -> None:
    async with field(strict_keys="mute") as server:
        client = IMClient(config(server, timeouts={"auth": 0.1, "close": 0.1}))
        await client.connect()
        assert list(server.auths[-1].message) == ["accessToken"]
        await client.disconnect()


@run
async def test_errors_of_connecting_are_raised_and_nothing_hangs() -> None:
    async with field(strict_keys="mute", strict_user_id=True) as server:
        plainly = config(server, timeouts={"auth": 0.1, "close": 0.1}, extensions=False)
        client = IMClient(plainly)
        ear = Ear(client)
        with pytest.raises(IMError, match="AUTH_TIMEOUT"):
            await client.connect()
        assert ear.count("authenticated") == 0
