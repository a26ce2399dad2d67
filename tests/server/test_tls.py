"""`run` with a certificate: TLS on a real socket, its handshakes, and what is wrong with files."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import socket
import ssl
import subprocess
import time
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from adapters.adapter_kit import run, until
from adapters.tls_kit import CERTIFICATE, trusting
from im_asyncio import ClientConfig, IMClient
from im_server import IMServer, JWTAuthenticator
from im_server.app import _Server, listen, url_of
from im_server.tls import READ, server_context
from server.server_kit import SECRET, Running, running_server, token

ANN, BOB = 1, 2
HEALTH: Final = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def ours(server: Running, user: int) -> IMClient:
    """A client of ours that trusts the certificate."""
    config = ClientConfig(ws_url=server.url, token=token(user), user_id=user)
    return IMClient(config, ssl_context=trusting())


async def over_tls(port: int, context: ssl.SSLContext, data: bytes = HEALTH) -> bytes:
    """What the server says to that, up to its end."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    try:
        writer.write(data)
        return await reader.read()
    finally:
        writer.transport.abort()


async def in_plain_text(port: int, data: bytes) -> bytes:
    """… without TLS."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


async def well(server: Running) -> None:
    """Others are served, and nobody else is counted."""
    assert b'{"status":"ok"}' in await over_tls(server.port, trusting())
    doors = server.server.runner.doors
    await until(lambda: doors.inside == 0)
    assert doors.places == 0 and len(server.state.connections) == 0


@run
async def test_clients_of_ours_talk_over_it() -> None:
    async with running_server(tls=server_context(CERTIFICATE)) as server:
        assert server.url.startswith("wss://127.0.0.1:")
        async with ours(server, ANN) as ann, ours(server, BOB) as bob:
            for n in range(20):
                await ann.send_message(BOB, f"{n} over TLS")
            messages = bob.messages()
            assert [(await anext(messages)).content for _ in range(20)] == [
                f"{n} over TLS" for n in range(20)
            ]
            assert server.server.runner.doors.inside == 2
        await well(server)


@run
async def test_a_connection_holds_no_large_buffer_and_takes_much_at_once() -> None:
    """asyncio's own is 256 KiB."""
    made: list[SSLProtocol] = []
    with pytest.MonkeyPatch.context() as patch:
        begin = SSLProtocol.connection_made

        def note(tls: SSLProtocol, transport: asyncio.BaseTransport) -> None:
            made.append(tls)
            begin(tls, transport)

        patch.setattr(SSLProtocol, "connection_made", note)
        async with (
            running_server(tls=server_context(CERTIFICATE)) as server,
            ours(server, ANN) as ann,
            ours(server, BOB) as bob,
        ):
            for n in range(60):
                ann.queue_message(BOB, str(n).ljust(1000, "é"))
            messages = bob.messages()
            for n in range(60):
                assert (await anext(messages)).content == str(n).ljust(1000, "é")
            sizes = [len(vars(tls)["_ssl_buffer"]) for tls in made if tls._server_side]  # type: ignore[attr-defined]
            assert sizes == [READ, READ]


@run
async def test_a_whole_server_is_https_and_goes_down_in_good_order(tmp_path: Path) -> None:
    server = IMServer(
        store=f"sqlite:///{tmp_path.as_posix()}/im.db", authenticate=JWTAuthenticator(SECRET)
    )
    with listen("127.0.0.1", 0) as sock:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        config = server._uvicorn_config(None, server_context(CERTIFICATE))
        url = url_of(sock, tls=True)
        joined = _Server(config, server.runner, url, ready.set_result)
        task = asyncio.create_task(joined.serve(sockets=[sock]))
        assert await ready == f"https://127.0.0.1:{sock.getsockname()[1]}"
        assert b"HTTP/1.1 200 OK" in await over_tls(sock.getsockname()[1], trusting())
        # one that is still at its handshake holds nobody up
        _, mute = await asyncio.open_connection(*sock.getsockname())
        await until(lambda: len(joined.server_state.connections) == 1)
        began = time.monotonic()
        joined.should_exit = True
        await task
        assert time.monotonic() - began < 3
        mute.transport.abort()


def test_run_serves_it_from_the_files_that_it_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[str] = loop.create_future()
        running: list[_Server] = []
        startup = _Server.startup

        async def note(server: _Server, sockets: list[socket.socket] | None = None) -> None:
            running.append(server)
            await startup(server, sockets)

        def say(url: str) -> None:
            loop.call_soon_threadsafe(ready.set_result, url)

        server = IMServer(
            store=f"sqlite:///{tmp_path.as_posix()}/im.db", authenticate=JWTAuthenticator(SECRET)
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_Server, "startup", note)
            ended = loop.run_in_executor(
                None, lambda: server.run(port=0, tls_certificate=CERTIFICATE, ready=say)
            )
            url = await ready
            assert url.startswith("https://127.0.0.1:")
            port = int(url.rpartition(":")[2])
            assert b"HTTP/1.1 200 OK" in await over_tls(port, trusting())
            assert b"HTTP" not in await in_plain_text(port, HEALTH)
            running[0].should_exit = True
            await ended

    asyncio.run(main())


@run
async def test_a_site_sees_that_it_is_asked_by_https() -> None:
    async def scheme(request: Request) -> Response:
        return PlainTextResponse(request.url.scheme)

    app = Starlette(routes=[Route("/healthz", scheme)])
    async with running_server(app=app, tls=server_context(CERTIFICATE)) as server:
        assert (await over_tls(server.port, trusting())).endswith(b"https")


# ------------------------------------------------------------ what is refused


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "good"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
@run
async def test_tls_is_1_2_at_least(version: ssl.TLSVersion, good: bool) -> None:
    client = trusting()
    client.set_ciphers("ALL:@SECLEVEL=0")  # or it would refuse itself
    client.minimum_version = client.maximum_version = version
    lax = server_context(CERTIFICATE)
    lax.set_ciphers("ALL:@SECLEVEL=0")
    lax.minimum_version = ssl.TLSVersion.TLSv1
    async with running_server(tls=server_context(CERTIFICATE)) as server:
        if good:
            assert b"HTTP/1.1 200 OK" in await over_tls(server.port, client)
        else:
            with pytest.raises(OSError):  # asyncio sends no alert
                await over_tls(server.port, client)
        await well(server)
    async with running_server(tls=lax) as server:  # it is not the client that refused
        assert b"HTTP/1.1 200 OK" in await over_tls(server.port, client)


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-NULL-SHA", "AECDH"])
@run
async def test_weak_ciphers_are_refused(cipher: str) -> None:
    client = trusting()
    client.set_ciphers(f"{cipher}:@SECLEVEL=0")
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    lax = server_context(CERTIFICATE)
    lax.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    async with running_server(tls=lax) as server:  # it is not the client that refuses
        assert b"HTTP/1.1 200 OK" in await over_tls(server.port, client)
    async with running_server(tls=server_context(CERTIFICATE)) as server:
        with pytest.raises(OSError):
            await over_tls(server.port, client)
        await well(server)


@pytest.mark.parametrize(
    "data",
    [HEALTH, b"\x00" * 100, b"\x16\x03\x01\x40\x00" + b"\x01" * 20_000, b"\x80\x2e\x01\x00\x02"],
    ids=["HTTP", "zeros", "huge hello", "SSL 2"],
)
@run
async def test_what_is_no_tls_is_dropped_and_never_answered_in_plain_text(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_server(tls=server_context(CERTIFICATE), handshake_timeout=0.5) as server:
        assert b"HTTP" not in await in_plain_text(server.port, data)
        await well(server)
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


# ------------------------------------------------------------ the handshake


@pytest.mark.parametrize("start", [b"", b"\x16\x03\x01"], ids=["mute", "begun"])
@run
async def test_a_handshake_has_a_deadline(start: bytes) -> None:
    async with running_server(tls=server_context(CERTIFICATE), handshake_timeout=0.3) as server:
        async with ours(server, BOB) as bob:
            began = time.monotonic()
            assert await in_plain_text(server.port, start) == b""
            assert time.monotonic() - began > 0.25
            await bob.send_message(BOB, "not disturbed")
        await well(server)


@run
async def test_who_is_at_the_handshake_is_counted() -> None:
    limits = {"connections_per_address": 2, "handshake_timeout": 30.0}
    async with running_server(tls=server_context(CERTIFICATE), **limits) as server:
        async with ours(server, BOB) as bob:
            async with mute(server) as one:
                doors = server.server.runner.doors
                await until(lambda: doors.inside == 2)
                with pytest.raises(OSError):  # whatever the reset hits
                    await over_tls(server.port, trusting())
                one.close()
                await until(lambda: doors.inside == 1)
            assert b"200 OK" in await over_tls(server.port, trusting())
            await bob.send_message(BOB, "not disturbed")
        await well(server)


@contextlib.asynccontextmanager
async def mute(server: Running) -> AsyncIterator[asyncio.StreamWriter]:
    """A connection that never begins its handshake."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield writer
    finally:
        writer.transport.abort()


class ByHand:
    """A client whose TLS is done by hand: it says what it likes when it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = trusting().wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")

    async def shake(self) -> None:
        """The handshake, up to its last words, which wait for `say`."""
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
                return
            self.writer.write(self._outgoing.read())
            self._incoming.write(await self.reader.read(65_536))

    def say(self, data: bytes) -> None:
        """Write it, and what the handshake has left."""
        self._tls.write(data)
        self.writer.write(self._outgoing.read())

    async def hear(self, size: int) -> bytes:
        """So many bytes of what the server says."""
        said = b""
        while len(said) < size:
            with contextlib.suppress(ssl.SSLWantReadError):
                said += self._tls.read(size - len(said))
                continue
            data = await self.reader.read(65_536)
            assert data, "the server has ended it"
            self._incoming.write(data)
        return said


@contextlib.asynccontextmanager
async def by_hand(server: Running) -> AsyncIterator[ByHand]:
    """Connect."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield ByHand(reader, writer)
    finally:
        writer.transport.abort()


@run
async def test_a_request_in_the_packet_that_ends_the_handshake_is_not_lost() -> None:
    """TLS 1.3 lets a client speak at once: its request is here before the handshake is noted."""
    async with running_server(tls=server_context(CERTIFICATE)) as server:
        async with by_hand(server) as client:
            await client.shake()
            client.say(HEALTH)
            assert await client.hear(15) == b"HTTP/1.1 200 OK"
        await well(server)


@run
async def test_who_never_says_goodbye_is_gone_soon() -> None:
    """TLS ends with a word of both sides; asyncio would wait 30 s for the other's."""
    async with running_server(tls=server_context(CERTIFICATE), close_timeout=0.3) as server:
        async with by_hand(server) as client:
            await client.shake()
            client.say(HEALTH)
            await until(lambda: server.server.runner.doors.inside == 1)
            began = time.monotonic()
            await until(lambda: server.server.runner.doors.inside == 0)
            assert time.monotonic() - began > 0.2
        await well(server)


# ------------------------------------------------------------ files


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates and keys: `other` belongs to nothing, `locked` is the key of `good`."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    directory = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    for name in ("good", "other"):
        new = ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        openssl("req", "-x509", *new, "-subj", "/CN=x")
    openssl("rsa", "-aes256", "-in", "good.key", "-out", "locked.key", "-passout", "pass:hush")
    for name in ("good.pem", "good.key"):
        lines = (directory / name).read_text().splitlines()
        (directory / f"cut-{name}").write_text("\n".join([*lines[:5], lines[-1], ""]))
    (directory / "empty.pem").write_text("")
    (directory / "both.pem").write_text(
        (directory / "good.pem").read_text() + (directory / "good.key").read_text()
    )
    return directory


@pytest.mark.parametrize(
    ("certificate", "key", "password"),
    [("good.pem", "good.key", None), ("both.pem", None, None), ("good.pem", "locked.key", "hush")],
)
def test_files_that_are_good(
    files: Path, certificate: str, key: str | None, password: str | None
) -> None:
    context = server_context(files / certificate, key and files / key, password)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert ssl.OP_NO_RENEGOTIATION in context.options


@pytest.mark.parametrize(
    ("certificate", "key", "password", "names", "says"),
    [
        ("empty.pem", "good.key", None, "empty.pem", "no certificate"),
        ("good.key", None, None, "good.key", "no certificate"),
        ("good.pem", None, None, "good.pem", "no private key"),
        ("good.pem", "empty.pem", None, "empty.pem", "no private key"),
        ("good.pem", "other.key", None, "other.key", "not the key of the certificate"),
        ("good.pem", "locked.key", None, "locked.key", "encrypted"),
        ("good.pem", "locked.key", "wrong", "locked.key", "password is wrong"),
        ("cut-good.pem", "good.key", None, "cut-good.pem", "certificate is damaged"),
        ("good.pem", "cut-good.key", None, "cut-good.key", "private key is damaged"),
        (str(CERTIFICATE), "good.key", None, "good.key", "not the key of the certificate"),
    ],
)
def test_files_that_are_not_say_which_and_tell_nothing_of_what_is_in_them(
    files: Path, certificate: str, key: str | None, password: str | None, names: str, says: str
) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        server_context(files / certificate, key and files / key, password)
    told = str(caught.value)
    assert names in told and "\n" not in told
    assert "hush" not in told and "wrong " not in told.replace("is wrong,", "")
    for file in files.iterdir():
        assert not any(line in told for line in file.read_text().splitlines() if len(line) > 8)


@pytest.mark.parametrize("which", ["certificate", "key"])
def test_a_file_that_is_not_there_is_named(files: Path, which: str) -> None:
    missing = {"certificate": files / "good.pem", "key": files / "good.key"}
    missing[which] = files / "no such file"
    with pytest.raises(FileNotFoundError) as caught:
        server_context(**missing)
    assert caught.value.filename == str(files / "no such file")


def test_a_file_that_cant_be_read_is_named(files: Path) -> None:
    with pytest.raises(OSError) as caught:  # a directory: which nobody can read as a file
        server_context(files / "good.pem", files)
    assert caught.value.filename == str(files)


@pytest.mark.parametrize(
    "given",
    [{"tls_certificate": "/no/such.pem"}, {"tls_key": "/no/such.key"}, {"tls_key_password": "x"}],
)
def test_a_server_never_starts_without_the_tls_that_it_was_told(
    given: dict[str, str], tmp_path: Path
) -> None:
    server = IMServer(
        store=f"sqlite:///{tmp_path.as_posix()}/im.db", authenticate=JWTAuthenticator(SECRET)
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises((OSError, ValueError), match=r"such|tls_certificate"):
        server.run(port=port, **given)  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", port)):
        pass
