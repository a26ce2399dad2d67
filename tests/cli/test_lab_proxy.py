"""The lab's bad network, on real sockets, before a server that hands out its connections."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from adapters.adapter_kit import run, until
from im_cli import lab_proxy
from im_cli.fault_proxy import abort
from im_cli.lab_proxy import ATTEMPTS, Cut, Faults, LabProxy, _Way


class Dice(random.Random):
    """Whether a segment is lost is said before; then none is. Jitter is at its most, in turns."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: list[bool] = []
        self._jitter = itertools.cycle((1.0, 0.0))

    def random(self) -> float:
        return 0.0 if self.lost and self.lost.pop(0) else 1.0

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * next(self._jitter)


class End:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def hear(self, data: bytes) -> None:
        assert await self.reader.readexactly(len(data)) == data

    async def hear_fin(self) -> None:
        assert await self.reader.read() == b""

    async def hear_reset(self) -> None:
        with pytest.raises(ConnectionResetError):
            await self.reader.read()

    def hears_nothing(self) -> bool:
        buffer: bytearray = self.reader._buffer  # type: ignore[attr-defined]
        return not buffer and not self.reader.at_eof() and self.reader.exception() is None


class World:
    """A proxy, its server, and what was told."""

    def __init__(self, proxy: LabProxy, dice: Dice, told: list[tuple[str, float | None]]) -> None:
        self.proxy, self.dice, self.told = proxy, dice, told
        self.links: asyncio.Queue[End] = asyncio.Queue()
        self.ends: list[End] = []

    async def connect(self) -> End:
        """The window's end of a new connection."""
        client = End(*await asyncio.open_connection("127.0.0.1", self.proxy.port))
        self.ends.append(client)
        return client

    async def link(self) -> tuple[End, End]:
        """Both ends of one."""
        opened = self.proxy.links.opened
        client = await self.connect()
        server = await self.links.get()
        self.ends.append(server)
        await until(lambda: self.proxy.links.opened > opened)
        return client, server

    def ways(self) -> tuple[_Way, _Way]:
        """The two directions of the first connection, the client's first."""
        link = next(iter(self.proxy._tasks.values()))
        assert link is not None
        return link._ways

    def set(self, **faults: float | bool) -> None:
        self.proxy.set(Faults(**faults))  # type: ignore[arg-type]

    def lose(self, pattern: Iterable[int]) -> None:
        """The next segments are lost (1) or not (0)."""
        self.set(loss=0.5)
        self.dice.lost = [bool(lost) for lost in pattern]


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    dice, told = Dice(), list[tuple[str, float | None]]()
    listener = await asyncio.start_server(
        lambda reader, writer: it.links.put_nowait(End(reader, writer)), "127.0.0.1", 0
    )
    port = listener.sockets[0].getsockname()[1]
    proxy = LabProxy(port, lambda what, seconds: told.append((what, seconds)), dice)
    it = World(proxy, dice, told)
    await proxy.start()
    try:
        async with asyncio.timeout(60):
            yield it
    finally:
        await proxy.close()
        listener.close()
        for end in it.ends:
            abort(end.writer)
        await listener.wait_closed()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_proxy, "RETRANSMIT", 0.01)


@run
async def test_a_good_network_carries_everything_both_ways_and_both_ends() -> None:
    async with world() as it:
        client, server = await it.link()
        client.say(bytes(100_000))
        await server.hear(bytes(100_000))
        server.say(b"answer")
        client.writer.write_eof()
        await server.hear_fin()
        server.say(b", and more")
        await client.hear(b"answer, and more")
        server.writer.write_eof()
        await client.hear_fin()
        await until(lambda: it.proxy.links.open == 0)
    assert it.told == [("opened", None), ("closed", None)]


@pytest.mark.parametrize("from_client", [True, False])
@run
async def test_each_segment_takes_its_time_each_way(from_client: bool) -> None:
    async with world() as it:
        one, other = await it.link()
        if not from_client:
            one, other = other, one
        it.set(latency=0.1)
        loop = asyncio.get_running_loop()
        started = loop.time()
        one.say(b"hello")
        await other.hear(b"hello")
        assert loop.time() - started >= 0.1


@run
async def test_jitter_makes_them_later_and_never_changes_their_order() -> None:
    async with world() as it:
        client, server = await it.link()
        it.set(jitter=0.1)  # of the first, and none of the second
        loop = asyncio.get_running_loop()
        started = loop.time()
        client.say(b"one")
        await asyncio.sleep(0.01)  # as a segment of its own
        client.say(b"two")
        await server.hear(b"onetwo")
        assert loop.time() - started >= 0.1


@run
async def test_a_lost_segment_is_sent_again_and_all_behind_it_waits() -> None:
    async with world() as it:
        client, server = await it.link()
        it.lose([1, 1, 1, 0])
        loop = asyncio.get_running_loop()
        started = loop.time()
        client.say(b"lost three times")
        await until(lambda: bool(it.told[1:]))
        client.say(b", and behind it")
        await server.hear(b"lost three times, and behind it")
        assert loop.time() - started >= 0.07
        assert it.told == [("opened", None), ("lost", pytest.approx(0.07))]
        assert it.proxy.links.lost == 3


@run
async def test_a_segment_that_is_always_lost_ends_the_connection() -> None:
    async with world() as it:
        client, server = await it.link()
        it.lose([1] * ATTEMPTS)
        client.say(b"never arrives")
        await asyncio.gather(client.hear_reset(), server.hear_reset())
        await until(lambda: it.proxy.links.open == 0)
        assert [what for what, _ in it.told] == ["opened", "lost", "broken"]


@run
async def test_a_loss_of_none_loses_none_and_of_all_loses_all() -> None:
    async with world() as it:
        it.proxy.rng = random.Random(1)
        client, server = await it.link()
        for n in range(200):
            client.say(b"x" * n)
        await server.hear(b"x" * sum(range(200)))
        assert it.proxy.links.lost == 0
        it.set(loss=1.0)
        client.say(b"never arrives")
        await server.hear_reset()


@run
async def test_nothing_crosses_a_black_hole_until_it_is_closed() -> None:
    async with world() as it:
        client, server = await it.link()
        it.set(blackhole=True)
        client.say(b"to the server")
        server.say(b"to the client")
        client.writer.write_eof()
        late = await it.connect()
        late.say(b"a new one")
        await asyncio.sleep(0.05)
        assert client.hears_nothing() and server.hears_nothing() and it.links.empty()
        it.set(latency=0.0)
        await asyncio.gather(server.hear(b"to the server"), client.hear(b"to the client"))
        await server.hear_fin()
        await (await it.links.get()).hear(b"a new one")


@run
async def test_a_reset_reaches_both_sides_at_once_and_nothing_else_does() -> None:
    async with world() as it:
        (client, server), (other, _) = await it.link(), await it.link()
        it.set(latency=10.0)
        client.say(b"is on its way")
        assert await it.proxy.cut(Cut.RESET) == 2
        await asyncio.gather(client.hear_reset(), server.hear_reset(), other.hear_reset())
        assert (it.proxy.links.open, it.proxy.links.cuts) == (0, 2)
        assert await it.proxy.cut(Cut.RESET) == 0
        assert [what for what, _ in it.told].count("reset") == 1


@run
async def test_a_reset_also_meets_who_waits_in_front_of_a_black_hole() -> None:
    async with world() as it:
        it.set(blackhole=True)
        waits = await it.connect()
        await until(lambda: bool(it.proxy._tasks))
        assert await it.proxy.cut(Cut.HALF) == 0
        assert await it.proxy.cut(Cut.RESET) == 1
        await waits.hear_reset()


@run
async def test_a_fin_is_an_end_without_a_word() -> None:
    async with world() as it:
        client, server = await it.link()
        assert await it.proxy.cut(Cut.FIN) == 1
        await asyncio.gather(client.hear_fin(), server.hear_fin())


@run
async def test_of_a_half_open_connection_neither_side_hears_and_a_new_one_works() -> None:
    async with world() as it:
        client, server = await it.link()
        assert await it.proxy.cut(Cut.HALF) == 1
        client.say(b"into the void")
        server.say(b"into the void")
        again, at_server = await it.link()
        again.say(b"a new one")
        await at_server.hear(b"a new one")
        assert client.hears_nothing() and server.hears_nothing()
        at_proxy = it.ways()[0]._reader
        abort(client.writer)  # of which the server is not told either
        await until(lambda: at_proxy.exception() is not None)
        again.say(b" goes on")
        await at_server.hear(b" goes on")
        assert server.hears_nothing()
        assert it.proxy.links.open == 2
        server.writer.close()
        await until(lambda: it.proxy.links.open == 1)


@run
async def test_who_is_gone_on_one_side_is_gone_on_the_other() -> None:
    async with world() as it:
        client, server = await it.link()
        abort(server.writer)
        await client.hear_reset()
        client, server = await it.link()
        abort(client.writer)
        await server.hear_reset()


@run
async def test_a_server_that_does_not_listen_is_told_and_the_window_is_turned_away() -> None:
    told: list[str] = []
    with_nobody = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = with_nobody.sockets[0].getsockname()[1]
    with_nobody.close()
    await with_nobody.wait_closed()
    proxy = LabProxy(port, lambda what, _: told.append(what), random.Random())
    await proxy.start()
    try:
        client = End(*await asyncio.open_connection("127.0.0.1", proxy.port))
        await client.hear_reset()
        assert told == ["refused"]
        abort(client.writer)
    finally:
        await proxy.close()


@run
async def test_who_sends_more_than_a_slow_network_takes_has_to_wait() -> None:
    async with world() as it:
        client, _ = await it.link()
        it.set(blackhole=True)
        client.say(bytes(50_000_000))  # the kernel and the proxy take a part of it
        await until(it.ways()[0]._line.full)
        for _ in range(100):
            await asyncio.sleep(0)
        assert client.writer.transport.get_write_buffer_size() > 20_000_000
