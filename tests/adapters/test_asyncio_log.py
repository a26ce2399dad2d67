"""The log: a whole session without a secret, and what the environment makes of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Self

import pytest

from adapters.adapter_kit import Connection, Peer, Recorder, config, run, until
from adapters.tls_kit import server_tls, trusting
from im_asyncio import IMClient, IMError
from im_proto.wire import AuthRequest, AuthResponse
from im_runtime import LOGGERS, environment
from im_runtime.environment import Stderr

# ------------------------------------------------------------ secrets


class Proxy:
    """An HTTP proxy that knows CONNECT."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._tasks: set[asyncio.Task[None] | None] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        await until(lambda: not self._tasks)
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(request)
        _, target, _ = request.split(" ", 2)
        host, port = target.rsplit(":", 1)
        to_server = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(self._pipe(reader, to_server[1]), self._pipe(to_server[0], writer))
        self._tasks.discard(asyncio.current_task())

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def refuse_then_serve(connection: Connection) -> None:
    """Refuse the first token, and take the others."""
    await connection.accept()
    request = await connection.next(AuthRequest)
    if request.access_token == "T-refused":
        connection.send(AuthResponse(code=401, msg="not that one: T-refused"))
        await connection.until_gone()
    connection.send(AuthResponse(code=0))
    connection.push("C-received", msg_id=1)
    await connection.answer_all()


@pytest.mark.parametrize("content", [False, True])
@run
async def test_no_secret_is_logged_in_a_whole_session_and_content_only_when_asked_for(
    content: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = iter(["T-refused", "T-taken", "T-not-asked-for"])

    def token() -> str:
        return next(tokens)

    async with Proxy() as proxy, Peer(refuse_then_serve, tls=server_tls()) as peer:
        client = IMClient(
            config(
                peer.url + "?key=Q-secret",
                token=token,
                proxy=f"http://P-user:P-secret@127.0.0.1:{proxy.port}",
                headers={"X-Key": "H-secret"},
            ),
            ssl_context=trusting(),
            log_content=content,
        )
        recorder = Recorder("message_received", "message_sent")
        client.set_callbacks(recorder.callbacks())
        await client.connect(retry=True)
        await client.send_message(2, "C-sent")
        await recorder.until("message_received")
        client.update_access_token("T-updated")
        await client.disconnect()
        await peer.idle()
        credentials = base64.b64encode(b"P-user:P-secret").decode()
        assert all(credentials in request for request in proxy.requests)
        await client.connect()  # with the new token
        assert "T-" not in client.explain()
        await client.disconnect()

        def broken() -> str:
            raise ValueError("T-in-an-exception")

        failing = IMClient(config(peer.url, token=broken), log_content=content)
        with pytest.raises(IMError):
            await failing.connect()
    lines = [r.getMessage() for r in caplog.records if r.name == "im_asyncio"]
    assert any(" begin TLS with 127.0.0.1" in line for line in lines)  # it was a whole session
    assert any("= logged in as 1" in line for line in lines)
    assert all(line[:2] in ("< ", "> ", "= ", "% ", "! ") for line in lines)
    for secret in ("T-", "P-", "Q-", "H-", credentials):
        assert secret not in caplog.text
    for text in ("C-sent", "C-received"):
        assert (f": '{text}'" in caplog.text) == content
        assert caplog.text.count(text) == content


# ------------------------------------------------------------ the environment


def of_pytest(handler: logging.Handler) -> bool:
    """Pytest adds handlers to loggers that don't propagate."""
    return type(handler).__module__ == "_pytest.logging"


@pytest.fixture
def loggers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[logging.Logger]]:
    """The clients' loggers as at the start of a program; pytest's own handlers are overlooked."""
    real = environment._is_real
    monkeypatch.setattr(environment, "_is_real", lambda it: real(it) and not of_pytest(it))
    found = [logging.getLogger(name) for name in LOGGERS]
    before = [(it, it.handlers[:], it.level, it.propagate) for it in found]
    for it in found:
        it.handlers, it.propagate = [logging.NullHandler()], False
        it.setLevel(logging.NOTSET)
    for name in ("IM_LOG", "IM_LOG_CONTENT"):
        monkeypatch.delenv(name, raising=False)
    environment._read.cache_clear()
    yield found
    for it, handlers, level, propagate in before:
        it.handlers, it.propagate = handlers, propagate
        it.setLevel(level)
    environment._read.cache_clear()


def queue_one() -> None:
    """Make a client, and have it log a line of each kind."""
    client = IMClient(config("ws://127.0.0.1:1/ws"))
    client.queue_message(2, "the text")


@pytest.mark.parametrize("level", ["debug", "INFO", " warning "])
def test_im_log_prints_to_stderr_once_with_the_time(
    level: str,
    loggers: list[logging.Logger],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("IM_LOG", level)
    for _ in range(2):  # the second client changes nothing
        queue_one()
    for it in loggers:
        kinds = [type(handler) for handler in it.handlers if not of_pytest(handler)]
        assert kinds == [logging.NullHandler, Stderr]
        assert it.level == getattr(logging, level.strip().upper())
    loggers[1].warning("! from the other one")
    lines = capsys.readouterr().err.splitlines()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} "
    sent = [
        line for line in lines if re.fullmatch(stamp + "im_asyncio < send message 1 to 2", line)
    ]
    assert len(sent) == (2 if level == "debug" else 0)  # once for each of the clients
    assert re.fullmatch(stamp + "im_threads ! from the other one", lines[-1])
    assert "the text" not in "".join(lines)


def test_without_it_nothing_is_printed(
    loggers: list[logging.Logger], capsys: pytest.CaptureFixture[str]
) -> None:
    queue_one()
    assert [it.level for it in loggers] == [logging.NOTSET] * 2
    loggers[0].warning("! nobody wants to hear it")
    assert capsys.readouterr().err == ""


def test_im_log_content_adds_the_text(
    loggers: list[logging.Logger],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("IM_LOG", "debug")
    monkeypatch.setenv("IM_LOG_CONTENT", "1")
    queue_one()
    assert "< send message 1 to 2: 'the text'" in capsys.readouterr().err
    IMClient(config("ws://h/"), log_content=False).queue_message(2, "not this")
    assert "not this" not in capsys.readouterr().err


def test_a_handler_of_the_application_on_the_logger_is_left_alone(
    loggers: list[logging.Logger],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("IM_LOG", "debug")
    own = logging.Handler()
    loggers[0].addHandler(own)
    queue_one()
    assert own in loggers[0].handlers
    assert not any(isinstance(handler, Stderr) for handler in loggers[0].handlers)
    assert loggers[0].level == logging.NOTSET
    assert capsys.readouterr().err == ""


def test_a_level_of_the_application_stays(
    loggers: list[logging.Logger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IM_LOG", "debug")
    loggers[0].setLevel(logging.ERROR)
    queue_one()
    assert loggers[0].level == logging.ERROR


def test_a_handler_that_comes_later_is_not_joined_by_ours(
    loggers: list[logging.Logger],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("IM_LOG", "debug")
    queue_one()
    capsys.readouterr()
    seen: list[str] = []

    class Own(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    loggers[0].addHandler(Own())
    queue_one()
    assert seen == ["< send message 1 to 2", "= message 1 is in the outbox"]
    assert capsys.readouterr().err == ""


def test_a_level_that_is_none_is_told(
    loggers: list[logging.Logger],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("IM_LOG", "loud\n")
    queue_one()
    assert "! IM_LOG is one of debug, info, warning, not 'loud'" in capsys.readouterr().err


def test_in_a_program() -> None:
    """The environment is read when the first client is made; the root's handlers get no repeat."""
    program = textwrap.dedent(
        """
        import logging, os, sys
        from im_asyncio import IMClient
        os.environ["IM_LOG"] = "debug"   # after the import, before the first client
        def client():
            return IMClient(dict(ws_url="ws://h/", token="t", user_id=1))
        client().queue_message(2, "x")
        os.environ["IM_LOG"] = "warning"  # too late
        logging.basicConfig(format="ROOT %(message)s", stream=sys.stderr)
        client().queue_message(2, "x")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    first, _, second, _ = done.stderr.splitlines()
    assert first.endswith("im_asyncio < send message 1 to 2")
    assert second == "ROOT < send message 1 to 2"
