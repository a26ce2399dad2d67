"""Transports: TLS begun later, Unix sockets, reading that pauses, and nothing left of them."""

from __future__ import annotations

import asyncio
import contextlib
import select
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import pytest

from adapters.adapter_kit import Peer, config, left_behind, plain, run, until
from adapters.asyncio_engine import FakeEngine, driver, opening
from adapters.tls_kit import server_tls, trusting
from im_asyncio import IMClient, IMError
from im_asyncio.driver import Driver
from im_asyncio.link import Link
from im_proto.client import actions as ac
from im_proto.client import inputs as inp

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """A TCP server with one script for all; waits for the ends of its connections."""

    def __init__(self, script: Callable[[Streams], Awaitable[None]]) -> None:
        self._script = script
        self.came = asyncio.Event()
        self.ended: asyncio.Queue[BaseException | None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came.set()
        problem: BaseException | None = None
        try:
            await self._script((reader, writer))
        except (OSError, asyncio.IncompleteReadError) as exc:
            problem = exc
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self.ended.put_nowait(problem)


# ------------------------------------------------------------ TLS that begins later


class Handshake:
    """The server's side of TLS 1.2 by hand, to choose what goes into one segment."""

    def __init__(self, streams: Streams) -> None:
        self._reader, self._writer = streams
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = server_tls()
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # its last word is the server's
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)

    async def finish(self, early: bytes) -> None:
        """Shake hands; the last word and `early` go out in one piece."""
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._writer.write(self._out.read())
                await self.feed()
        self._tls.write(early)
        self._writer.write(self._out.read())

    async def feed(self) -> None:
        """Wait for more of the client."""
        data = await self._reader.read(65536)
        if not data:
            raise ConnectionError("the client has gone")
        self._in.write(data)

    async def read(self) -> bytes:
        """What the client says."""
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                await self.feed()


async def asked(streams: Streams) -> None:
    """What comes before TLS: the client asks, we agree."""
    assert await streams[0].readexactly(3) == b"ask"
    streams[1].write(b"ok")


async def until_gone(streams: Streams) -> None:
    await asked(streams)
    while await streams[0].read(65536):
        pass


def begins_tls(port: int, *, host: str = "127.0.0.1") -> FakeEngine:
    """An engine that asks, and begins TLS when the answer is there."""
    engine = FakeEngine()
    engine.answers[inp.Connect] = opening(port=port)
    engine.answers[inp.TransportOpened] = [ac.SendBytes(transport=1, data=b"ask")]
    engine.answers[inp.BytesReceived] = lambda item: (
        [ac.StartTls(transport=1, host=host)] if item.data == b"ok" else []
    )
    engine.answers[inp.TlsStarted] = [ac.SendBytes(transport=1, data=b"secret")]
    return engine


async def closed(it: Driver) -> None:
    """Wait until the loop has nothing more of it."""
    await until(lambda: it.quiet and not left_behind())


@run
async def test_tls_begins_on_an_open_transport_and_what_comes_with_it_comes_after_it() -> None:
    got = asyncio.get_running_loop().create_future()

    async def script(streams: Streams) -> None:
        await asked(streams)
        tls = Handshake(streams)
        await tls.finish(b"early")
        got.set_result(await tls.read())

    async with Server(script) as server:
        engine = begins_tls(server.port)
        it = driver(engine, tls=trusting())
        it.step(inp.Connect())
        assert await got == b"secret"
        assert (await engine.until(inp.BytesReceived, 2)).data == b"early"
        await engine.until(inp.TransportLost)
        assert engine.kinds() == [
            inp.Connect,
            inp.TransportOpened,
            inp.BytesReceived,
            inp.TlsStarted,
            inp.BytesReceived,
            inp.TransportLost,
        ]
        await closed(it)


@pytest.mark.parametrize("fault", ["nobody vouches", "another name"])
@run
async def test_tls_that_verifies_nothing_is_a_failure(fault: str) -> None:
    async def script(streams: Streams) -> None:
        await asked(streams)
        await Handshake(streams).finish(b"")

    async with Server(script) as server:
        known = fault == "another name"
        engine = begins_tls(server.port, host="example.org" if known else "127.0.0.1")
        it = driver(engine, tls=trusting() if known else ssl.create_default_context())
        it.step(inp.Connect())
        failed = await engine.until(inp.TransportFailed)
        assert failed.kind == "tls"
        assert "CERTIFICATE_VERIFY_FAILED" in failed.reason
        assert inp.TlsStarted not in engine.kinds()
        await closed(it)
        assert await server.ended.get() is not None
        assert inp.TransportLost not in engine.kinds()  # one end is enough


@pytest.mark.parametrize("how", ["end", "reset", "nonsense"])
@run
async def test_a_peer_that_goes_within_the_handshake_is_a_failure(how: str) -> None:
    async def script(streams: Streams) -> None:
        reader, writer = streams
        await asked(streams)
        await reader.read(1)
        if how == "reset":
            writer.transport.abort()
        elif how == "nonsense":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with Server(script) as server:
        engine = begins_tls(server.port)
        it = driver(engine, tls=trusting())
        it.step(inp.Connect())
        failed = await engine.until(inp.TransportFailed)
        assert failed.kind == ("tls" if how == "nonsense" else "other")
        await closed(it)
        assert engine.kinds().count(inp.TransportFailed) == 1


@run
async def test_tls_that_can_not_even_begin_leaves_no_transport() -> None:
    async with Server(until_gone) as server:
        engine = begins_tls(server.port)
        nonsense: Any = "no context"
        it = driver(engine, tls=nonsense)
        it.step(inp.Connect())
        failed = await engine.until(inp.TransportFailed)
        assert failed.reason.startswith("TypeError")
        await server.ended.get()
        await closed(it)


@run
async def test_a_transport_that_is_closing_begins_no_tls() -> None:
    async with Server(until_gone) as server:
        engine = begins_tls(server.port)
        engine.answers[inp.BytesReceived] = [
            ac.CloseTransport(transport=1),
            ac.StartTls(transport=1, host="127.0.0.1"),
        ]
        it = driver(engine, tls=trusting())
        it.step(inp.Connect())
        await closed(it)
        assert inp.TlsStarted not in engine.kinds()


@pytest.mark.parametrize("turns", range(6))
@run
async def test_closed_after_any_turn_of_the_handshake_is_told_once(turns: int) -> None:
    async with Server(until_gone) as server:
        engine = begins_tls(server.port)
        it = driver(engine, tls=trusting())
        it.step(inp.Connect())
        await engine.until(inp.BytesReceived)
        for _ in range(turns):
            await asyncio.sleep(0)
        engine.answers[inp.Disconnect] = [ac.CloseTransport(transport=1)]
        it.step(inp.Disconnect())
        await server.ended.get()
        await closed(it)
        assert engine.kinds()[3:] == [inp.Disconnect, inp.TransportFailed]


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("how", ["action", "driver"])
@run
async def test_aborted_after_any_turn_of_the_handshake_nothing_is_left(
    how: str, turns: int
) -> None:
    async with Server(until_gone) as server:
        engine = begins_tls(server.port)
        it = driver(engine, tls=trusting())
        it.step(inp.Connect())
        await engine.until(inp.BytesReceived)
        for _ in range(turns):
            await asyncio.sleep(0)
        engine.answers[inp.Disconnect] = [ac.AbortTransport(transport=1)]
        if how == "action":
            it.step(inp.Disconnect())
        else:
            it.abort(tell=False)
        await server.ended.get()
        await closed(it)
        assert engine.kinds()[3:] in ([], [inp.Disconnect])  # nobody wants to hear of it


# ------------------------------------------------------------ Unix sockets


@pytest.mark.parametrize("secure", [False, True])
@run
async def test_a_unix_socket(secure: bool, tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with Peer(plain, unix=path, tls=server_tls() if secure else None) as peer:
        url = f"{'wss' if secure else 'ws'}://127.0.0.1/ws"
        wanted = config(url, unix_path=str(path))
        async with IMClient(wanted, ssl_context=trusting()) as client:
            await client.send_message(2, "past the network")
        assert left_behind(peer) == []
        await peer.idle()


@run
async def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    client = IMClient(config("ws://127.0.0.1/ws", unix_path=str(tmp_path / "s")))
    with pytest.raises(IMError, match="FileNotFoundError"):
        await client.connect()
    assert left_behind() == []


# ------------------------------------------------------------ reading


@pytest.mark.parametrize("secure", [False, True])
@run
async def test_what_is_not_read_comes_when_reading_goes_on(secure: bool) -> None:
    streams: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        streams.put_nowait(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_tls() if secure else None)
    port = server.sockets[0].getsockname()[1]
    engine = FakeEngine()
    engine.answers[inp.Connect] = opening(port=port, secure=secure)
    engine.answers[inp.WriteBlocked] = [ac.PauseReading(transport=1)]  # any two inputs
    engine.answers[inp.WriteReady] = [ac.ResumeReading(transport=1)]
    it = driver(engine, tls=trusting())
    it.step(inp.Connect())
    await engine.until(inp.TransportOpened)
    writer = await streams.get()
    it.step(inp.WriteBlocked(transport=1))
    it.step(inp.WriteBlocked(transport=1))  # twice is nothing
    writer.write(b"hello")
    transport: Any = it._links[1].transport
    if secure:  # asyncio takes in what it has room for, and keeps it
        await until(lambda: transport._ssl_protocol._incoming.pending)
    else:
        await until(lambda: select.select([transport.get_extra_info("socket")], [], [], 0)[0])
    for _ in range(3):
        await asyncio.sleep(0)
    assert inp.BytesReceived not in engine.kinds()
    it.step(inp.WriteReady(transport=1))
    it.step(inp.WriteReady(transport=1))
    assert (await engine.until(inp.BytesReceived)).data == b"hello"
    it._links[1].close()
    it.step(inp.WriteBlocked(transport=1))  # a transport that is closing takes it
    it.step(inp.WriteReady(transport=1))
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    await closed(it)
    it.step(inp.WriteBlocked(transport=1))  # and one that is gone
    server.close()
    await server.wait_closed()


class FakeTransport:
    """Notes what is done with it; like uvloop's it takes nothing when it is closing."""

    def __init__(self, *, closing: bool) -> None:
        self.closing = closing
        self.done: list[str] = []

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.done.append("abort")

    def pause_reading(self) -> None:
        assert not self.closing
        self.done.append("pause")

    def resume_reading(self) -> None:
        assert not self.closing
        self.done.append("resume")


@pytest.mark.parametrize("closing", [False, True])
@run
async def test_a_transport_that_is_closing_is_left_alone(closing: bool) -> None:
    engine = FakeEngine()
    it = driver(engine)
    link = it._links[1] = Link(it, 1, close_timeout=1.0)
    link.transport = transport = FakeTransport(closing=closing)  # type: ignore[assignment]
    engine.answers[inp.Connect] = [ac.PauseReading(transport=1), ac.ResumeReading(transport=1)]
    it.step(inp.Connect())
    assert transport.done == ([] if closing else ["pause", "resume"])


@run
async def test_nothing_is_read_from_the_wish_for_tls_on() -> None:
    engine = FakeEngine()
    it = driver(engine)
    link = it._links[1] = Link(it, 1, close_timeout=1.0)
    link.transport = transport = FakeTransport(closing=False)  # type: ignore[assignment]
    engine.answers[inp.Connect] = [ac.StartTls(transport=1, host="h")]
    it.step(inp.Connect())
    assert transport.done == ["pause"]
    it.abort()
    await until(lambda: not it._tasks)


@run
async def test_network_changed_reaches_the_engine_from_any_thread() -> None:
    async with Peer(plain) as peer, IMClient(config(peer.url)) as client:
        seen: list[Any] = []
        step = client._engine.step

        def noted(item: inp.Input, now: float) -> Any:
            seen.append(item)
            return step(item, now)

        client._engine.step = noted  # type: ignore[method-assign]
        client.network_changed()
        await asyncio.to_thread(client.network_changed)
        assert seen.count(inp.NetworkChanged()) == 2
