"""Connecting to a host with several addresses: the order, the errors, and no socket lost."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import Any

import pytest

from adapters.adapter_kit import closed_port, left_behind, run
from im_asyncio import sockets
from im_asyncio.sockets import connect


class Net:
    """A loop's getaddrinfo and sock_connect, played: address -> how it goes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **hosts: object) -> None:
        self.hosts = hosts
        self.tried: list[str] = []
        self.made: list[socket.socket] = []
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "getaddrinfo", self._getaddrinfo)
        monkeypatch.setattr(loop, "sock_connect", self._connect)
        make = socket.socket

        def noted(*args: Any) -> socket.socket:
            self.made.append(make(*args))
            return self.made[-1]

        monkeypatch.setattr(sockets.socket, "socket", noted)

    async def _getaddrinfo(self, *_: object, **__: object) -> list[Any]:
        families = {"a": socket.AF_INET6, "b": socket.AF_INET}
        return [
            (families[name[0]], socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (name, 1))
            for name in self.hosts
        ]

    async def _connect(self, _: socket.socket, address: tuple[str, int]) -> None:
        self.tried.append(address[0])
        how = self.hosts[address[0]]
        if isinstance(how, asyncio.Event):
            await how.wait()
        elif isinstance(how, BaseException):
            raise how

    @property
    def open(self) -> int:
        """Sockets that are not closed."""
        return sum(raw.fileno() >= 0 for raw in self.made)


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")


@run
async def test_families_take_turns_and_a_refusal_goes_on_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "STAGGER", 3600.0)
    net = Net(monkeypatch, a1=REFUSED, a2=REFUSED, a3=REFUSED, b1=REFUSED, b2=None)
    (await connect("h", 1)).close()
    assert net.tried == ["a1", "b1", "a2", "b2"]
    assert net.open == 0


@run
async def test_an_address_that_does_not_answer_does_not_hold_up_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "STAGGER", 0.01)
    net = Net(monkeypatch, a1=asyncio.Event(), b1=None)
    (await connect("h", 1)).close()
    assert net.tried == ["a1", "b1"]
    assert net.open == 0
    assert left_behind() == []


@run
async def test_the_slow_one_may_still_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "STAGGER", 0.01)
    slow = asyncio.Event()
    net = Net(monkeypatch, a1=slow, b1=asyncio.Event())
    asyncio.get_running_loop().call_later(0.05, slow.set)
    raw = await connect("h", 1)
    assert raw.family == socket.AF_INET6
    raw.close()
    assert net.open == 0


@run
async def test_what_all_agree_on_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(monkeypatch, a1=REFUSED, b1=REFUSED)
    with pytest.raises(ConnectionRefusedError):
        await connect("h", 1)
    assert net.open == 0


@run
async def test_otherwise_the_errors_are_all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(monkeypatch, a1=OSError(errno.ENETUNREACH, "unreachable"), b1=REFUSED)
    with pytest.raises(OSError, match=r"unreachable.*refused"):
        await connect("h", 1)
    assert net.open == 0


@run
async def test_a_name_without_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    Net(monkeypatch)
    with pytest.raises(socket.gaierror):
        await connect("h", 1)


@run
async def test_a_bug_is_not_taken_for_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(monkeypatch, a1=ZeroDivisionError(), b1=None)
    with pytest.raises(ZeroDivisionError):
        await connect("h", 1)
    assert net.open == 0


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("turns", range(12))
@run
async def test_cancelled_after_any_turn_no_socket_is_left(
    turns: int, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "STAGGER", 0.0)
    hosts = {"a1": asyncio.Event()} if others else {}
    net = Net(monkeypatch, **hosts, b1=None)
    connecting = asyncio.create_task(connect("h", 1))
    for _ in range(turns):
        await asyncio.sleep(0)
    connecting.cancel()
    await asyncio.wait({connecting})
    if not connecting.cancelled():
        connecting.result().close()
    assert net.open == 0
    assert left_behind() == []


@run
async def test_real_ones() -> None:
    ended: asyncio.Queue[None] = asyncio.Queue()

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        ended.put_nowait(None)

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for host in ("127.0.0.1", "localhost"):
        (await connect(host, port)).close()
        await ended.get()
    with pytest.raises(ConnectionRefusedError):
        await connect("127.0.0.1", closed_port())
    with pytest.raises(OSError):  # unreachable or refused, as the machine has it
        await connect("::1", closed_port())
    server.close()
    await server.wait_closed()
