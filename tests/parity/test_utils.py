"""What the TypeScript module has in its `utils`: errors, log, rules for what is handed over."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

import im_proto
from adapters.adapter_kit import Connection, Peer, Recorder, config, plain
from im_asyncio import IMClient, IMError, IMErrorCode
from im_proto.wire import AuthRequest, AuthResponse
from im_runtime import environment
from parity.parity_kit import BOB, run

# ------------------------------------------------------------ ErrorHandler


async def knows_nobody(connection: Connection) -> None:
    """A server that takes no token."""
    await connection.accept()
    await connection.next(AuthRequest)
    connection.send(AuthResponse(code=40101, message="token expired"))
    await connection.until_gone()


@run
async def test_an_error_is_raised_told_and_logged_with_what_the_server_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    async with Peer(knows_nobody) as peer:
        client = IMClient(config(peer.url))
        recorder = Recorder("error")
        client.set_callbacks(recorder.callbacks())
        with pytest.raises(IMError) as caught:
            await client.connect()
        (told,) = await recorder.until("error")
        await client.disconnect()
        await peer.idle()
    for error in (caught.value, told):
        assert error.code is IMErrorCode.TOKEN_INVALID
        assert (error.server_code, error.server_text) == (40101, "token expired")
        assert (error.retryable, error.terminal) == (False, True)
    assert "! TOKEN_INVALID (40101)" in caplog.text


# ------------------------------------------------------------ Logger


LINES: Final[dict[str, str]] = {
    "debug": r"[<>] #1 \d+ bytes",
    "info": r"= CONNECTED -> AUTHENTICATED: .*",
    "warning": r"! message 1: MESSAGE_CANCELLED: .*",
}


@pytest.mark.parametrize("level", LINES)
@run
async def test_the_log_has_lines_of_level(level: str, caplog: pytest.LogCaptureFixture) -> None:
    number = getattr(logging, level.upper())
    caplog.set_level(number, "im_asyncio")
    async with Peer(plain) as peer:
        client = IMClient(config(peer.url))
        client.queue_message(BOB, "hi").cancel()
        async with client:
            await client.send_message(BOB, "hi")
        await peer.idle()
    ours = [record for record in caplog.records if record.name == "im_asyncio"]
    assert min(record.levelno for record in ours) == number
    found = [record.levelno for record in ours if re.fullmatch(LINES[level], record.getMessage())]
    assert number in found


@pytest.fixture
def start_of_a_program(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment is not read yet, and no handler (but pytest's own) is there."""
    real, logger = environment._is_real, logging.getLogger("im_asyncio")
    before = logger.handlers[:], logger.level, logger.propagate
    monkeypatch.setattr(
        *(environment, "_is_real"),
        lambda handler: real(handler) and type(handler).__module__ != "_pytest.logging",
    )
    logger.handlers, logger.propagate = [logging.NullHandler()], False
    logger.setLevel(logging.NOTSET)
    environment._read.cache_clear()
    yield
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])
    environment._read.cache_clear()


@pytest.mark.usefixtures("start_of_a_program")
def test_im_log_in_the_environment_prints_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IM_LOG", "debug")
    IMClient(config("ws://127.0.0.1:1/ws")).queue_message(BOB, "hi")
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" im_asyncio ")[2] for line in lines] == [
        "< send message 1 to 2",
        "= message 1 is in the outbox",
    ]


# ------------------------------------------------------------ Validator

RIGHT: dict[str, Any] = {
    "content": "hi",
    "user_id": 7,
    "msg_id": 1,
    "session_id": 1,
    "message_type": "text",
    "token": "t",
    "device_id": "phone",
    "ws_url": "ws://localhost:8080/ws",
}


def test_each_rule_takes_what_is_right_and_says_what_is_wrong() -> None:
    assert RIGHT.keys() == im_proto.RULES.keys()
    for rule, value in RIGHT.items():
        assert im_proto.validate(rule, value) == value
        for wrong in ("", None):
            with pytest.raises(IMError) as caught:
                im_proto.validate(rule, wrong)
            assert caught.value.code is IMErrorCode.MESSAGE_FORMAT_ERROR
            assert caught.value.text
