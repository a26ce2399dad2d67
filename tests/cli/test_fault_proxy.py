"""The proxy that cuts connections, on real sockets, without a server of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from im_cli.demo_frames import Splitter, payload
from im_cli.fault_proxy import Cut, FaultProxy, abort

HEAD = b"GET /ws HTTP/1.1\r\nHost: h\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
CHAT = b'{"type": "CHAT_SEND_TO_ONE_REQUEST"}'
ANSWER = b'{"type": "CHAT_SEND_RESPONSE"}'


def frame(body: bytes, *, masked: bool, opcode: int = 1) -> bytes:
    """A WebSocket frame."""
    size = len(body)
    bit = 0x80 if masked else 0
    if size < 126:
        head = bytes((0x80 | opcode, bit | size))
    elif size < 65_536:
        head = bytes((0x80 | opcode, bit | 126)) + size.to_bytes(2)
    else:
        head = bytes((0x80 | opcode, bit | 127)) + size.to_bytes(8)
    if not masked:
        return head + body
    mask = b"\x11\x22\x33\x44"
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(body))


class End:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def hear(self, data: bytes) -> None:
        assert await self.reader.readexactly(len(data)) == data

    async def hear_reset(self) -> bytes:
        """What still comes, before the RST."""
        got = b""
        with pytest.raises(ConnectionResetError):
            while data := await self.reader.read(1000):
                got += data
        return got


class World:
    """A proxy, and a server that hands out its connections."""

    def __init__(self, proxy: FaultProxy, links: asyncio.Queue[End]) -> None:
        self.proxy, self.links = proxy, links
        self.ends: list[End] = []

    async def link(self) -> tuple[End, End]:
        """A connection of the client, and what the server has of it, both upgraded."""
        client = End(*await asyncio.open_connection("127.0.0.1", self.proxy.port))
        server = await self.links.get()
        self.ends += [client, server]
        client.say(HEAD)
        await server.hear(HEAD)
        server.say(SWITCHING)
        await client.hear(SWITCHING)
        return client, server


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    links: asyncio.Queue[End] = asyncio.Queue()
    listener = await asyncio.start_server(
        lambda reader, writer: links.put_nowait(End(reader, writer)), "127.0.0.1", 0
    )
    proxy = FaultProxy("127.0.0.1", listener.sockets[0].getsockname()[1])
    await proxy.start()
    it = World(proxy, links)
    try:
        async with asyncio.timeout(60):
            yield it
    finally:
        await proxy.close()
        for end in it.ends:
            abort(end.writer)
        listener.close()
        await listener.wait_closed()


def run(test: Callable[[World], Awaitable[None]]) -> None:
    async def go() -> None:
        async with world() as it:
            await test(it)

    asyncio.run(go())


# ---------------------------------------------------------------- frames


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("masked", [True, False])
def test_a_frame_is_found_whole_and_unmasked(size: int, masked: bool) -> None:
    body = bytes(i % 251 for i in range(size))
    one = frame(body, masked=masked)
    assert Splitter().feed(HEAD + one + one) == [HEAD, one, one]
    assert payload(one) == body


def test_frames_are_found_byte_by_byte() -> None:
    splitter = Splitter()
    stream = HEAD + frame(b"x" * 200, masked=True) + frame(b"", masked=True)
    units = [unit for byte in stream for unit in splitter.feed(bytes((byte,)))]
    assert b"".join(units) == stream
    assert len(units) == 3


def test_after_a_refused_upgrade_everything_passes() -> None:
    head = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"
    splitter = Splitter()
    assert splitter.feed(head + b"\x81\x7fbody") == [head, b"\x81\x7fbody"]
    assert splitter.feed(b"more") == [b"more"]


# ---------------------------------------------------------------- links


def test_bytes_pass_both_ways_and_so_does_the_end() -> None:
    async def test(it: World) -> None:
        client, server = await it.link()
        client.say(up := frame(CHAT, masked=True))
        await server.hear(up)
        server.say(down := frame(ANSWER, masked=False))
        await client.hear(down)
        client.writer.write_eof()
        assert await server.reader.read() == b""
        server.writer.write_eof()
        assert await client.reader.read() == b""
        assert it.proxy.injected.cuts.total() == 0

    run(test)


def test_without_a_server_the_client_is_reset() -> None:
    async def test(it: World) -> None:
        proxy = FaultProxy("127.0.0.1", 1)
        await proxy.start()
        client = End(*await asyncio.open_connection("127.0.0.1", proxy.port))
        it.ends.append(client)
        await client.hear_reset()
        await proxy.close()

    run(test)


def test_nothing_can_be_cut_without_a_link() -> None:
    async def test(it: World) -> None:
        for kind in Cut:
            assert not await it.proxy.cut(kind)
        assert it.proxy.injected.cuts.total() == 0

    run(test)


def test_reset_reaches_both_sides() -> None:
    async def test(it: World) -> None:
        client, server = await it.link()
        assert await it.proxy.cut(Cut.RESET)
        assert await client.hear_reset() == b""
        assert await server.hear_reset() == b""
        assert it.proxy.injected.cuts == {Cut.RESET: 1}

    run(test)


@pytest.mark.parametrize("kind", [Cut.MID_FRAME_UP, Cut.MID_FRAME_DOWN])
def test_mid_frame_lets_half_a_frame_through(kind: Cut) -> None:
    async def test(it: World) -> None:
        client, server = await it.link()
        up = kind is Cut.MID_FRAME_UP
        sender, receiver = (client, server) if up else (server, client)
        one = frame(CHAT, masked=up)
        cut = asyncio.create_task(it.proxy.cut(kind))
        await asyncio.sleep(0)  # the cut is asked for; nothing waits for time here
        sender.say(one, one)
        assert await receiver.hear_reset() == one[: len(one) // 2]
        await sender.hear_reset()
        assert await cut

    run(test)


def test_lost_answers_are_lost_and_then_the_link_is() -> None:
    async def test(it: World) -> None:
        client, server = await it.link()
        cut = asyncio.create_task(it.proxy.cut(Cut.LOST_ANSWERS))
        await asyncio.sleep(0)
        client.say(one := frame(CHAT, masked=True))
        await server.hear(one)  # what the client says goes on arriving
        server.say(frame(ANSWER, masked=False))
        assert await cut
        assert await client.hear_reset() == b""
        await server.hear_reset()

    run(test)


def test_a_cut_that_lacks_traffic_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("im_cli.fault_proxy._PATIENCE", 0.01)

    async def test(it: World) -> None:
        client, server = await it.link()
        assert not await it.proxy.cut(Cut.MID_FRAME_UP)
        assert not await it.proxy.cut(Cut.ZOMBIE)
        client.say(one := frame(CHAT, masked=True))  # the link is as before
        await server.hear(one)
        assert it.proxy.injected.cuts.total() == 0

    run(test)


async def _zombie(it: World) -> tuple[End, bytes]:
    """A link that has become a zombie: its server's end, and what is held back."""
    client, old = await it.link()
    cut = asyncio.create_task(it.proxy.cut(Cut.ZOMBIE))
    await asyncio.sleep(0)
    client.say(stale := frame(CHAT, masked=True) * 16)
    assert await cut
    await client.hear_reset()
    assert it.proxy.zombie_waits
    return old, stale


@pytest.mark.parametrize("end", ["close frame", "end of file"])
def test_a_zombie_speaks_after_the_next_log_in_and_before_anything_else(end: str) -> None:
    async def test(it: World) -> None:
        old, stale = await _zombie(it)
        client, server = await it.link()
        client.say(login := frame(b"log-in", masked=True), after := frame(CHAT, masked=True))
        await server.hear(login)
        await old.hear(stale[: len(stale) // 2])
        assert it.proxy.injected.zombies_released == 0
        server.say(welcome := frame(b"welcome", masked=False))
        await client.hear(welcome)
        await old.hear(stale[len(stale) // 2 :])
        assert not _arrived(server)
        assert it.proxy.injected.zombies_released == 0  # until it is known what came of it
        if end == "close frame":
            old.say(frame(b"\x0f\xa4", masked=False, opcode=8))
        else:
            old.writer.write_eof()
        await server.hear(after)
        assert not it.proxy.zombie_waits
        assert it.proxy.injected.zombies_released == 1
        assert it.proxy.injected.stale_messages == it.proxy.injected.stale_frames == 8
        client.say(after)
        await server.hear(after)

    run(test)


def test_a_zombie_that_the_server_keeps_is_watched_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("im_cli.fault_proxy._ZOMBIE_WATCH", 0.05)

    async def test(it: World) -> None:
        old, stale = await _zombie(it)
        client, server = await it.link()
        client.say(both := frame(b"log-in", masked=True) + frame(CHAT, masked=True))
        await server.hear(both[: len(both) - len(frame(CHAT, masked=True))])
        server.say(frame(b"welcome", masked=False))
        await server.hear(frame(CHAT, masked=True))
        assert await old.hear_reset() == stale

    run(test)


def test_a_zombie_dies_with_its_server() -> None:
    async def test(it: World) -> None:
        old, _ = await _zombie(it)
        old.writer.close()
        await old.writer.wait_closed()
        await _until(lambda: it.proxy._zombie is not None and it.proxy._zombie.ended.is_set())
        client, server = await it.link()
        client.say(both := frame(b"log-in", masked=True) + frame(CHAT, masked=True))
        await server.hear(both)
        assert it.proxy.injected.zombies_released == 0

    run(test)


def test_an_outage_keeps_the_next_link_waiting() -> None:
    async def test(it: World) -> None:
        await it.link()
        loop = asyncio.get_running_loop()
        start = loop.time()
        assert await it.proxy.cut(Cut.RESET, outage=0.1)
        await it.link()
        assert loop.time() - start >= 0.1

    run(test)


def _arrived(end: End) -> bytes:
    buffer: Any = getattr(end.reader, "_buffer", b"")
    return bytes(buffer)


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - it ends as soon as the loop has seen it
        await asyncio.sleep(0)
