"""Each error code, provoked: what makes it, and where it is heard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from adapters.adapter_kit import (
    Connection,
    Peer,
    Recorder,
    Script,
    closed_port,
    config,
    mute,
    mute_after_upgrade,
    plain,
)
from im_asyncio import IMClient, IMError
from im_proto.wire import AuthRequest, AuthResponse, ChatSendResponse, ChatSendToOne
from parity.parity_kit import ANN, BOB, hangs_up, run, sessions
from peers.session_server import Deed, SessionServer, drops, says


def refuses_logins(code: int) -> Script:
    """A server that answers each log-in with that code."""

    async def script(connection: Connection) -> None:
        await connection.accept()
        await connection.next(AuthRequest)
        connection.send(AuthResponse(code=code, message="no"))
        await connection.until_gone()

    return script


def answers_messages(code: int | None) -> Script:
    """A server that answers each message with that code; None: not at all."""

    async def script(connection: Connection) -> None:
        await connection.login()
        while True:
            message = await connection.next(ChatSendToOne)
            if code is not None:
                connection.send(ChatSendResponse(msg_id=message.msg_id, code=code, message="no"))

    return script


# ------------------------------------------------------------ ways to an error


def connecting(*scripts: Script, retry: bool = False, **more: Any) -> Callable[[], Awaitable[str]]:
    """What connect() raises; without scripts, where nobody listens."""

    async def provoke() -> str:
        if not scripts:
            return await refused(f"ws://127.0.0.1:{closed_port()}/ws")
        async with Peer(*scripts) as peer:
            code = await refused(peer.url)
            await peer.idle()
            return code

    async def refused(url: str) -> str:
        client = IMClient(config(url, **more))
        with pytest.raises(IMError) as caught:
            await client.connect(retry=retry)
        await client.disconnect()
        return caught.value.code

    return provoke


def sending(
    script: Script, content: str = "hi", timeout: float | None = None, **more: Any
) -> Callable[[], Awaitable[str]]:
    """What send_message() raises."""

    async def provoke() -> str:
        async with Peer(script) as peer:
            async with IMClient(config(peer.url, **more)) as client:
                with pytest.raises(IMError) as caught:
                    await client.send_message(BOB, content, timeout=timeout)
            await peer.idle()
        return caught.value.code

    return provoke


def told(script: Script, **callbacks: Callable[..., Any]) -> Callable[[], Awaitable[str]]:
    """What the `error` callback hears first."""

    async def provoke() -> str:
        async with Peer(script) as peer:
            client = IMClient(config(peer.url))
            recorder = Recorder("error")
            client.set_callbacks(recorder.callbacks() | callbacks)
            await client.connect()
            (error,) = await recorder.until("error")
            await client.disconnect()
            await peer.idle()
        assert isinstance(error, IMError)
        return error.code

    return provoke


def asking(deed: Deed, call: Callable[[IMClient], Awaitable[object]]) -> Any:
    """What a call about sessions raises."""

    async def provoke() -> str:
        with SessionServer() as server:
            server.next(deed)
            async with sessions(server) as client:
                with pytest.raises(IMError) as caught:
                    await call(client)
        return caught.value.code

    return provoke


def add(client: IMClient) -> Awaitable[object]:
    """Make a session."""
    return client.add_session(5, ANN, BOB)


def raises() -> None:
    """A callback that fails."""
    raise ValueError("a bug of the application")


SOON: Final[dict[str, Any]] = {"close": 0.2, "connect": 0.02, "auth": 0.02}
WAYS: Final[dict[str, Callable[[], Awaitable[str]]]] = {
    "CONNECTION_FAILED": connecting(),
    "CONNECTION_TIMEOUT": connecting(mute, timeouts=SOON),
    "CONNECTION_LOST": told(hangs_up),
    "RECONNECT_FAILED": connecting(
        retry=True, reconnect={"max_retries": 2, "initial_delay": 0.001, "max_delay": 0.001}
    ),
    "AUTH_FAILED": connecting(refuses_logins(403)),
    "AUTH_TIMEOUT": connecting(
        mute_after_upgrade, extensions=False, timeouts=SOON | {"connect": 5.0}
    ),
    "TOKEN_INVALID": connecting(refuses_logins(40101)),
    "MESSAGE_SEND_FAILED": sending(answers_messages(403)),
    "MESSAGE_TIMEOUT": sending(answers_messages(None), timeout=0.02),
    "MESSAGE_FORMAT_ERROR": sending(plain, content="   "),
    "SESSION_CREATE_FAILED": asking(says(code=40300, message="not yours"), add),
    "SESSION_NOT_FOUND": asking(
        says(code=40400, message="no such user"), lambda client: client.get_current_sessions()
    ),
    "NETWORK_ERROR": asking(drops, add),
    "SERVER_ERROR": sending(answers_messages(50000), max_sends=1),
    "UNKNOWN_ERROR": told(plain, authenticated=raises),
}


@pytest.mark.parametrize("code", WAYS)
@run
async def test_an_error_is_told_as(code: str) -> None:
    assert await WAYS[code]() == code
