"""What a site gives to IMServer: who may come in, who may write, and what it is told; and what it
calls: send, kick, online."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from adapters.adapter_kit import run, until
from im_server import (
    DevAuthenticator,
    Identity,
    IMServer,
    JWTAuthenticator,
    RefusedError,
    StoredMessage,
    TokenRefusedError,
)
from im_server import site as site_module
from peers.plain_client import PlainClient
from server.server_kit import running_server, token

ANN, BOB, CARL = 1, 2, 3
NOW = 1_700_000_000_000


def identity(given: str) -> Identity:
    """Tokens are names of users here."""
    if not given.isdigit():
        raise TokenRefusedError("who is that?")
    if given == "13":
        raise LookupError(f"{given} is a secret")
    return Identity(user=int(given), username=f"user {given}")


async def identity_later(given: str) -> Identity:
    """The same, async."""
    await asyncio.sleep(0)
    return identity(given)


class Tokens:
    """The same, an object."""

    def authenticate(self, given: str) -> Identity:
        """See `Authenticator`."""
        return identity(given)


class CallableLater:
    """The same, an object that is called."""

    async def __call__(self, given: str) -> Identity:
        return identity(given)


@pytest.mark.parametrize(
    "authenticate",
    [identity, identity_later, Tokens(), CallableLater(), lambda given: identity_later(given)],
    ids=["plain", "async", "object", "callable", "lambda"],
)
@run
async def test_a_function_or_an_object_says_whose_token_it_is(
    authenticate: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_server(site={"authenticate": authenticate}) as server:
        async with PlainClient(server.url, "7", 7) as client:
            answer = await client.login()
            assert answer["data"] == {"userId": 7, "username": "user 7"}
        async with PlainClient(server.url, "x") as client:
            answer = await client.login()
            assert (answer["code"], answer["message"]) == (40101, "who is that?")
            assert await client.wait_closed() == 4001
        async with PlainClient(server.url, "13") as client:  # it can't be known
            assert (await client.login())["code"] == 50000
            assert await client.wait_closed() == 1013
    assert "LookupError" in caplog.text and "secret" not in caplog.text


@run
async def test_a_user_is_known_by_a_number_or_its_digits() -> None:
    async with (
        running_server(site={"authenticate": lambda given: Identity(user=given)}) as server,
        PlainClient(server.url, "7", 7) as client,
    ):
        assert (await client.login())["code"] == 0
        assert server.server.online() == {7: 1}


@pytest.mark.parametrize("found", ["7", Identity(user=0), None], ids=["text", "zero", "none"])
@run
async def test_what_is_no_identity_lets_nobody_in(found: Any) -> None:
    async with (
        running_server(site={"authenticate": lambda given: found}) as server,
        PlainClient(server.url, "7", 7) as client,
    ):
        assert (await client.login())["code"] == 50000


@pytest.mark.parametrize("is_object", [False, True])
@run
async def test_what_is_not_async_may_block(is_object: bool) -> None:
    here = threading.get_ident()
    threads: list[int] = []
    gate = threading.Event()

    def slow(given: str) -> Identity:
        threads.append(threading.get_ident())
        gate.wait(5)
        return identity(given)

    class Slow:
        def authenticate(self, given: str) -> Identity:
            return slow(given)

    async with (
        running_server(site={"authenticate": Slow() if is_object else slow}) as server,
        PlainClient(server.url, "7", 7) as first,
    ):
        answering = asyncio.ensure_future(first.login())
        await until(lambda: bool(threads))
        async with PlainClient(server.url, "8", 8) as second:  # the loop goes on
            await second.write("CHAT_SEND_TO_ONE_REQUEST", {"msgId": 1})
            await second.receive("CHAT_ERROR_RESPONSE")
        assert not answering.done()
        gate.set()
        assert (await answering)["code"] == 0
    assert here not in threads


@run
async def test_one_that_says_that_it_is_quick_is_called_in_the_loop() -> None:
    threads: list[int] = []

    class Quick:
        quick = True

        def authenticate(self, given: str) -> Identity:
            threads.append(threading.get_ident())
            return identity(given)

    async with (
        running_server(site={"authenticate": Quick()}) as server,
        PlainClient(server.url, "7", 7) as client,
    ):
        assert (await client.login())["code"] == 0
    assert threads == [threading.get_ident()]
    assert JWTAuthenticator.quick and DevAuthenticator.quick


# ------------------------------------------------------------ who may write to whom


@pytest.mark.parametrize("later", [False, True])
@run
async def test_who_may_not_write_is_refused_and_nothing_is_stored(later: bool) -> None:
    asked: list[tuple[Any, Any]] = []

    def may(sender: Any, recipient: Any) -> bool:
        asked.append((sender, recipient))
        return bool(recipient != BOB)

    async def may_later(sender: Any, recipient: Any) -> bool:
        await asyncio.sleep(0)
        return may(sender, recipient)

    async with (
        running_server(site={"authorize_send": may_later if later else may}) as server,
        PlainClient(server.url, token(ANN), ANN) as ann,
    ):
        await ann.login()
        assert (await ann.send(BOB, "no", NOW))["code"] == 403
        assert (await ann.send(CARL, "yes", NOW + 1))["code"] == 0
        async with PlainClient(server.url, token(CARL), CARL) as carl:
            await carl.login()
            assert (await carl.receive())["content"] == "yes"
        # what the site says itself is not asked about
        await server.server.send(BOB, "from the site", from_user=ANN)
        async with PlainClient(server.url, token(BOB), BOB) as bob:
            await bob.login()
            assert (await bob.receive())["content"] == "from the site"
            assert len(bob.received) == 1
    assert sorted(asked) == [(ANN, BOB), (ANN, CARL)]


@run
async def test_a_site_that_fails_refuses_nobody_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    fails = [True]

    def may(sender: Any, recipient: Any) -> bool:
        if fails.pop() if fails else False:
            raise OSError("the database of the site is away")
        return True

    async with running_server(site={"authorize_send": may}) as server:
        async with PlainClient(server.url, token(ANN), ANN) as ann:
            await ann.login()
            await ann.post(BOB, "x", NOW)
            assert await ann.wait_closed() == 1013  # nothing is answered: it is sent again
        async with PlainClient(server.url, token(ANN), ANN) as ann:
            await ann.login()
            assert (await ann.send(BOB, "x", NOW))["code"] == 0
    assert "authorize_send failed" in caplog.text


@run
async def test_a_site_that_does_not_say_is_asked_again_after_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = 0

    async def may(sender: int, recipient: int) -> bool:
        nonlocal asked
        asked += 1
        if asked == 1:
            await asyncio.Event().wait()
        return True

    async with running_server(site={"authorize_send": may}, auth_timeout=0.5) as server:
        async with PlainClient(server.url, token(ANN), ANN) as ann:
            await ann.login()
            await ann.post(BOB, "hello", NOW)
            assert await ann.wait_closed() == 1013
        async with PlainClient(server.url, token(ANN), ANN) as ann:
            await ann.login()
            assert (await ann.send(BOB, "hello", NOW))["code"] == 0
    assert "took too long" in caplog.text


# ------------------------------------------------------------ what it is told


class Told:
    """Hooks that note what they are told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, StoredMessage]] = []

    def message(self, message: StoredMessage) -> None:
        """on_message, plain."""
        self.calls.append(("message", message))

    async def offline(self, message: StoredMessage) -> None:
        """on_offline, async."""
        await asyncio.sleep(0)
        self.calls.append(("offline", message))

    @property
    def names(self) -> list[tuple[str, str]]:
        """What was told, in short."""
        return [(name, message.content) for name, message in self.calls]

    def site(self) -> dict[str, Callable[..., Any]]:
        """Arguments of IMServer."""
        return {"on_message": self.message, "on_offline": self.offline}


@run
async def test_each_message_is_told_in_order_and_whose_recipient_is_away_twice() -> None:
    told = Told()
    async with (
        running_server(site=told.site()) as server,
        PlainClient(server.url, token(ANN), ANN) as ann,
        PlainClient(server.url, token(CARL), CARL) as carl,
    ):
        await ann.login()
        await carl.login()
        for n in range(20):
            await ann.send(CARL if n % 2 else BOB, str(n), NOW + n)
        await ann.send(BOB, "19", NOW + 18)  # another message under an id that is taken
        await ann.send(BOB, "0", NOW)  # a repeat: it is stored already
        await until(lambda: len(told.calls) == 32)
    expected = []
    for n in range(20):
        expected.append(("message", str(n)))
        if n % 2 == 0:
            expected.append(("offline", str(n)))
    assert told.names == [*expected, ("message", "19"), ("offline", "19")]
    first = told.calls[0][1]
    assert (first.from_user, first.to_user, first.msg_id) == (ANN, BOB, NOW)
    assert first.message_type == "text" and first.timestamp > NOW and first.session_id


@run
async def test_a_hook_that_raises_is_logged_and_the_next_is_called(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Told()

    def fail(message: StoredMessage) -> None:
        told.message(message)
        raise ZeroDivisionError

    async with running_server(site={"on_message": fail, "on_offline": told.offline}) as server:
        for text in ("a", "b"):
            await server.server.send(BOB, text, from_user=ANN)
        await until(lambda: len(told.calls) == 4)
    assert told.names == [("message", "a"), ("offline", "a"), ("message", "b"), ("offline", "b")]
    assert caplog.text.count("a hook failed") == 2


@run
async def test_a_slow_hook_holds_nobody_up_and_what_waits_is_told_at_the_end() -> None:
    told = Told()
    gate = asyncio.Event()

    async def slow(message: StoredMessage) -> None:
        await gate.wait()
        told.message(message)

    async with running_server(site={"on_message": slow}) as server:
        for n in range(10):
            await server.server.send(BOB, str(n), from_user=ANN)
        assert told.calls == []
        asyncio.get_running_loop().call_later(0.05, gate.set)
    assert [content for _, content in told.names] == [str(n) for n in range(10)]


@run
async def test_of_a_hook_that_never_ends_nobody_waits_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def never(message: StoredMessage) -> None:
        await asyncio.Event().wait()

    async with running_server(site={"on_message": never}, drain_timeout=0.1) as server:
        for n in range(3):
            await server.server.send(BOB, str(n), from_user=ANN)
    assert "hooks were not called" in caplog.text


@run
async def test_hooks_that_are_too_slow_for_too_long_are_left_out_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(site_module, "MAX_WAITING", 3)
    told = Told()
    gate = asyncio.Event()

    async def slow(message: StoredMessage) -> None:
        await gate.wait()
        told.message(message)

    async with running_server(site={"on_message": slow}) as server:
        for n in range(8):
            await server.server.send(BOB, str(n), from_user=ANN)
        gate.set()
        await until(lambda: len(told.calls) == 4)  # one was called, three waited
        await server.server.send(BOB, "later", from_user=ANN)
        await until(lambda: len(told.calls) == 5)
    assert [content for _, content in told.names] == ["0", "1", "2", "3", "later"]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert ["too slow: 3 calls wait" in r.getMessage() for r in errors] == [True, False]
    assert errors[1].getMessage().startswith("4 calls of hooks were left out")


# ------------------------------------------------------------ what it calls


@run
async def test_a_message_of_the_site_is_stored_once_however_often_it_is_sent() -> None:
    async with running_server() as server, PlainClient(server.url, token(BOB), BOB) as bob:
        await bob.login()
        site = server.server
        sent = [await site.send(BOB, "x", from_user=ANN, msg_id=NOW) for _ in range(3)]
        assert sent[0].msg_id == NOW and sent[0].timestamp > NOW and sent[0].session_id
        assert sent[1:] == sent[:1] * 2
        other = await site.send("2", "y", from_user="1", message_type="image")
        assert other.msg_id > NOW and other.session_id == sent[0].session_id
        assert (await bob.receive())["content"] == "x"
        push = await bob.receive()
        assert (push["content"], push["messageType"], push["fromUser"]) == ("y", "image", ANN)
        assert len(bob.received) == 2


@run
async def test_the_same_id_for_another_message_is_another_message() -> None:
    async with running_server() as server:
        site = server.server
        await site.send(BOB, "x", from_user=ANN, msg_id=NOW)
        await site.send(BOB, "y", from_user=ANN, msg_id=NOW)
        history = await site.call(BOB, "history", {"peerId": ANN})
        assert [record["content"] for record in history["records"]] == ["x", "y"]


@run
async def test_what_can_not_be_sent_is_refused() -> None:
    async with running_server(content_units=5) as server:
        site = server.server
        with pytest.raises(ValueError, match="5"):
            await site.send(BOB, "too long", from_user=ANN)
        with pytest.raises(ValueError, match="user"):
            await site.send(0, "x", from_user=ANN)
        with pytest.raises(RefusedError) as caught:
            await site.send(BOB, "x", from_user=ANN, session_id=99)
        assert caught.value.code == 40400
        with pytest.raises(RefusedError):
            await site.call(ANN, "destroy", {})


@run
async def test_a_kick_ends_the_connections_of_a_user_and_of_nobody_else() -> None:
    async with running_server() as server:
        site = server.server
        async with (
            PlainClient(server.url, token(ANN), ANN) as ann,
            PlainClient(server.url, token(BOB), BOB) as first,
            PlainClient(server.url, token(BOB), BOB) as second,
        ):
            for client in (ann, first, second):
                await client.login()
            assert site.online() == {ANN: 1, BOB: 2} and site.online(BOB) == 2
            assert await site.kick(BOB, "another device") == 0
            assert await site.kick(BOB, reason="go home") == 2
            await first.wait_closed()
            await second.wait_closed()
            assert first.ws.close_reason == "go home"
            assert site.online() == {ANN: 1} and site.online(BOB) == 0
            assert await site.kick(BOB) == 0
            await ann.heartbeat()


@run
async def test_calls_of_another_loop_or_a_server_that_is_not_started_say_what_is_wrong() -> None:
    async with running_server() as server:
        site: IMServer = server.server
        for work in (
            lambda: site.send(BOB, "x", from_user=ANN),
            lambda: site.kick(BOB),
            lambda: site.call(ANN, "getCurrent", {"userId": ANN}),
        ):
            with pytest.raises(RuntimeError, match="another event loop"):
                await asyncio.to_thread(lambda work=work: asyncio.run(asyncio.wait_for(work(), 1)))
    with pytest.raises(RuntimeError, match=r"lifespan=server\.lifespan"):
        await site.kick(BOB)
    assert site.online() == {}


@run
async def test_a_server_may_be_started_again() -> None:
    async with running_server() as server:
        site = server.server
        await site.send(BOB, "before", from_user=ANN)
        await site.runner.stop()
        async with site.lifespan():
            await site.send(BOB, "after", from_user=ANN)
            history = await site.call(BOB, "history", {"peerId": ANN})
            assert [record["content"] for record in history["records"]] == ["before", "after"]
        await site.runner.start()
