"""The events of the TypeScript module's `IMEventCallbacks`, and its `EventEmitter`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from adapters.adapter_kit import Connection, Peer, Recorder, Script, config, plain
from im_asyncio import IMClient, IMError, LocalProtocolError, Message, SentMessage
from im_proto.wire import AuthRequest, AuthResponse, ChatSendResponse, ChatSendToOne
from parity.parity_kit import BOB, hangs_up, run


async def pushes(connection: Connection) -> None:
    """Log in, and push a message."""
    await connection.login()
    connection.push("hi", msg_id=7)
    await connection.answer_all()


async def refuses_the_login(connection: Connection) -> None:
    """Know no token."""
    await connection.accept()
    await connection.next(AuthRequest)
    connection.send(AuthResponse(code=40101, message="who are you?"))
    await connection.until_gone()


async def refuses_messages(connection: Connection) -> None:
    """Log in, and take no message."""
    await connection.login()
    message = await connection.next(ChatSendToOne)
    connection.send(ChatSendResponse(msg_id=message.msg_id, code=403, message="no"))
    await connection.until_gone()


async def nothing(client: IMClient) -> None:
    """Being connected is enough."""


async def send(client: IMClient) -> None:
    """Have a message on its way."""
    client.queue_message(BOB, "hi")


async def leave(client: IMClient) -> None:
    """Go."""
    await client.disconnect()


def none(*args: Any) -> bool:
    """Called without arguments."""
    return args == ()


def error(code: str) -> Callable[..., bool]:
    """Called with an error of that code."""

    def check(*args: Any) -> bool:
        (given,) = args
        return isinstance(given, IMError) and given.code == code

    return check


def received(*args: Any) -> bool:
    """Called with the message that was pushed."""
    (message,) = args
    return isinstance(message, Message) and (message.content, message.from_user) == ("hi", BOB)


def sent(*args: Any) -> bool:
    """Called with the message that was sent."""
    (message,) = args
    return isinstance(message, SentMessage) and message.content == "hi"


def first(*args: Any) -> bool:
    """Called with the number of the attempt."""
    return args == (1,)


#: By name: what the server does on each connection, what the application does, what it hears.
CASES: Final[dict[str, tuple[list[Script], Callable[[IMClient], Any], Callable[..., bool]]]] = {
    "connected": ([plain], nothing, none),
    "disconnected": ([plain], leave, none),
    "reconnecting": ([hangs_up, plain], nothing, first),
    "reconnected": ([hangs_up, plain], nothing, none),
    "authenticated": ([plain], nothing, none),
    "auth_failed": ([refuses_the_login], nothing, error("TOKEN_INVALID")),
    "message_received": ([pushes], nothing, received),
    "message_sent": ([plain], send, sent),
    "message_failed": ([refuses_messages], send, error("MESSAGE_SEND_FAILED")),
    "heartbeat_sent": ([plain], nothing, none),
    "heartbeat_received": ([plain], nothing, none),
    "error": ([hangs_up, plain], nothing, error("CONNECTION_LOST")),
}


@pytest.mark.parametrize("name", CASES)
@run
async def test_a_callback_is_called(name: str) -> None:
    scripts, act, expected = CASES[name]
    async with Peer(*scripts) as peer:
        client = IMClient(config(peer.url, heartbeat={"interval": 0.02, "timeout": 5}))
        recorder = Recorder(name)
        client.set_callbacks(recorder.callbacks())
        if name == "auth_failed":
            with pytest.raises(IMError):
                await client.connect()
        else:
            await client.connect()
        await act(client)
        assert expected(*await recorder.until(name))
        await client.disconnect()
        await peer.idle()


@run
async def test_on_adds_a_callback_beside_others() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        heard: list[str] = []
        client.set_callbacks(connected=lambda: heard.append("set"))
        client.on("connected", lambda: heard.append("on"))

        @client.on("connected")
        def third() -> None:
            heard.append("decorated")

        for _ in range(2):
            async with client:
                pass
        assert heard == ["set", "on", "decorated"] * 2
        with pytest.raises(LocalProtocolError, match="did you mean 'message_received'"):
            client.on("messageReceived", print)
        await peer.idle()


@run
async def test_off_takes_a_callback_away() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        heard: list[str] = []
        one = client.on("connected", lambda: heard.append("one"))
        client.on("connected", lambda: heard.append("two"))
        client.off("connected", one)
        async with client:
            pass
        assert heard == ["two"]
        client.off("connected")
        async with client:
            pass
        assert heard == ["two"]
        await peer.idle()


@run
async def test_once_is_called_once() -> None:
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        heard: list[str] = []
        client.once("connected", lambda: heard.append("once"))
        client.on("connected", lambda: heard.append("on"))
        for _ in range(2):
            async with client:
                pass
        assert heard == ["once", "on", "on"]
        await peer.idle()
