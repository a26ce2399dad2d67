"""What idle connections cost in memory: of clients, and of servers.

    python -m benchmarks.memory KIND LOOP

is a process with clients of a kind: its first line of input is {"url": …, "users": [[user, token],
…], "warm": N}. It lets the first N in, looks at its memory, lets in the others and looks again:
{"kb": of each of the others}; then it waits for the end of its input.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import json
import os
import random
import secrets
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from im_asyncio import IMClient
from im_cli.bench_ours import Server
from im_cli.bench_process import START, BenchProcess
from im_proto.client import ClientEngine
from im_proto.client import actions as client_act
from im_proto.client import events as ev
from im_proto.client import inputs as client_inp
from im_proto.config import ClientConfig, ServerConfig
from im_proto.server import Gateway
from im_proto.server import actions as server_act
from im_proto.server import inputs as server_inp
from im_proto.testing.memory import MemoryStore

from .harness import Contestant, Curve, Goal, Options, Row, Series
from .visits import _TEXT, Visitor, _Visit, ours, relay, socketio

#: Connections, and those before them that are not counted: what is made once is made then.
_CLIENTS: Final = 500
_CONNECTIONS: Final = 1_000
_QUICK: Final = 100
_WARM: Final = 50
_CURVE: Final = (100, 300, 1_000)
_AT_ONCE: Final = 32
#: Seconds until a server has done what follows from a log-in.
_SETTLE: Final = 1.0
_NOW: Final = 1_000.0
_WALL: Final = 1_700_000_000.0
_STATM: Final = Path("/proc/self/statm")


def rss(pid: int | str = "self") -> int:
    """The memory of a process that is in the machine's, in bytes; only Linux tells."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# ---------------------------------------------------------------- engines without a network


def _config(url: str, user: int, token: str) -> ClientConfig:
    return ClientConfig(ws_url=url, token=token, user_id=user, device_id=f"device-{user}")


def _engine(user: int, rng: random.Random) -> ClientEngine:
    config = _config("ws://chat.example/ws", user, f"token {user}")
    return ClientEngine(config, now=_NOW, wall=_WALL, rng=rng, turns=True)


def _bytes(actions: Sequence[Any]) -> bytes:
    sends = client_act.SendBytes, server_act.SendBytes
    return b"".join(action.data for action in actions if isinstance(action, sends))


def answers(count: int) -> list[list[bytes]]:
    """What a server has written to each of so many clients that log in, the first is user 1."""
    rng, store = random.Random(0), MemoryStore()
    gateway = Gateway(ServerConfig(admissions=1_000_000), now=_NOW, wall=_WALL)
    return [_answers(_engine(user, rng), user, gateway, store) for user in range(1, count + 1)]


def _answers(engine: ClientEngine, user: int, gateway: Gateway, store: MemoryStore) -> list[bytes]:
    found: list[bytes] = []
    gateway.step(server_inp.ConnectionMade(connection=user), _NOW)
    engine.step(client_inp.Connect(), _NOW)
    written = _bytes(engine.step(client_inp.TransportOpened(transport=1), _NOW))
    while written:
        came: Any = server_inp.BytesReceived(connection=user, data=written)
        answer = _bytes(_served(gateway, store, came))
        found.append(answer)
        written = _bytes(engine.step(client_inp.BytesReceived(transport=1, data=answer), _NOW))
    assert engine.state().status is ev.Status.AUTHENTICATED, engine.explain()
    _served(gateway, store, server_inp.ConnectionLost(connection=user))
    return found


def _served(gateway: Gateway, store: MemoryStore, event: Any) -> list[server_act.Action]:
    """All that follows from an input of a gateway."""
    done: list[server_act.Action] = []
    todo = [event]
    while todo:
        for action in gateway.step(todo.pop(0), _NOW):
            done.append(action)
            if isinstance(action, server_act.Authenticate):
                connection = action.connection
                verified = server_inp.TokenVerified(connection=connection, user=connection)
                todo.append(verified)
            elif isinstance(action, server_act.StoreAction):
                answer = store.carry_out(action)
                if answer is not None:
                    todo.append(answer)
    return done


def engines(said: Sequence[Sequence[bytes]], warm: int) -> float:
    """KB of an engine that is logged in: what Python has allocated for it, exactly.

    Args:
        said: of `answers`.
        warm: so many do not count.
    """
    rng = random.Random(0)  # as the answers were made
    there = [_replay(user, rng, said) for user in range(1, warm + 1)]
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        there += [_replay(user, rng, said) for user in range(warm + 1, len(said) + 1)]
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert all(engine.state().status is ev.Status.AUTHENTICATED for engine in there)
    return grown / (len(said) - warm) / 1024


def _replay(user: int, rng: random.Random, said: Sequence[Sequence[bytes]]) -> ClientEngine:
    engine = _engine(user, rng)
    engine.step(client_inp.Connect(), _NOW)
    engine.step(client_inp.TransportOpened(transport=1), _NOW)
    for data in said[user - 1]:
        # as a transport does: bytes that nobody else has
        engine.step(client_inp.BytesReceived(transport=1, data=bytes(bytearray(data))), _NOW)
    return engine


# ---------------------------------------------------------------- clients in a process of their own


async def _im(url: str, user: int, token: str) -> Any:
    client = IMClient(_config(url, user, token))
    await client.connect()
    return client


async def _websockets(url: str, user: int, token: str) -> Any:
    from websockets.asyncio.client import connect

    client = await connect(url, compression=None)
    await client.send(json.dumps({"token": token}))
    await client.recv()
    return client


async def _socketio(url: str, user: int, token: str) -> Any:
    import socketio as library

    client = library.AsyncClient()
    await client.connect(url, transports=["websocket"], auth={"token": token}, wait_timeout=30)
    return client


_KINDS: Final[dict[str, Callable[[str, int, str], Awaitable[Any]]]] = {
    "im": _im,
    "websockets": _websockets,
    "socketio": _socketio,
}


async def _let_in(
    users: Sequence[tuple[int, str]], log_in: Callable[[int, str], Awaitable[Any]]
) -> list[Any]:
    """Log all of them in, some at a time."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(user: int, token: str) -> Any:
        async with room:
            return await log_in(user, token)

    return await asyncio.gather(*(one(user, token) for user, token in users))


async def _clients(kind: str) -> None:
    loop = asyncio.get_running_loop()
    setup = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    users, warm = setup["users"], setup["warm"]
    log_in = partial(_KINDS[kind], setup["url"])
    there = await _let_in(users[:warm], log_in)
    await asyncio.sleep(_SETTLE)
    gc.collect()
    before = rss()
    there += await _let_in(users[warm:], log_in)
    await asyncio.sleep(_SETTLE)
    gc.collect()
    print(json.dumps({"kb": (rss() - before) / (len(users) - warm) / 1024}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)  # nobody has to take leave


# ---------------------------------------------------------------- connections of a server


class _Stay(_Visit):
    """Somebody who comes and stays."""

    def __init__(self, visitor: Visitor) -> None:
        super().__init__(visitor)
        self.inside: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode != _TEXT or self._inside:
            return
        reply = self._visitor.reply(payload)
        if reply is not None:
            self._write(reply)
            return
        self._inside = True
        self.inside.set_result(None)

    def leave(self) -> None:
        """Break the connection."""
        if self._transport is not None:
            self._transport.abort()


async def held(
    url: str, visitors: Sequence[Visitor], look: Callable[[], float], sizes: Sequence[int]
) -> list[float]:
    """What is seen while so many are there.

    Args:
        look: looks.
        sizes: at how many, rising.
    """
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    assert host is not None and port is not None
    there: list[_Stay] = []

    async def stay(number: int, _: str) -> None:
        loop = asyncio.get_running_loop()
        made = partial(_Stay, visitors[number])
        protocol = (await loop.create_connection(made, host, port))[1]
        there.append(protocol)
        await asyncio.wait({protocol.inside, protocol.over}, return_when="FIRST_COMPLETED")
        if protocol.over.done():
            protocol.over.result()

    seen = []
    try:
        for size in sizes:
            await _let_in([(number, "") for number in range(len(there), size)], stay)
            await asyncio.sleep(_SETTLE)
            seen.append(look())
    finally:
        for one in there:
            one.leave()
        await asyncio.gather(*(one.over for one in there), return_exceptions=True)
    return seen


# ---------------------------------------------------------------- who measures


def _our_server(stack: ExitStack, loop: str) -> tuple[str, int, str]:
    server = stack.enter_context(Server("process", loop))
    return server.url, server.pid, server.secret


def _peer(name: str, stack: ExitStack, loop: str) -> tuple[str, int, str]:
    secret = secrets.token_hex(32)
    arguments = ("im_cli.tied", "im_cli.bench_loop", loop, "benchmarks.visited", name)
    process = BenchProcess(name, *arguments, environment={"IM_SECRET": secret})
    stack.enter_context(process)
    return process.answer(START)["url"], process.pid, secret


Start = Callable[[ExitStack, str], tuple[str, int, str]]


def _client_kb(kind: str, start: Start, count: int, loop: str) -> float:
    """KB of a client, with a server and a process of its own."""
    from im_server.tokens import make_token

    with ExitStack() as stack:
        url, _, secret = start(stack, loop)
        clients = stack.enter_context(
            BenchProcess(f"{kind} clients", "im_cli.bench_loop", loop, "benchmarks.memory", kind)
        )
        users = [[user, make_token(user, secret)] for user in range(1, _WARM + count + 1)]
        clients.tell({"url": url, "users": users, "warm": _WARM})
        kb: float = clients.answer(START)["kb"]
        return kb


def _server_seen(
    start: Start, make: Callable[[str, int, str], Visitor], sizes: Sequence[int], loop: str
) -> list[float]:
    """KB that a server has while so many are there."""
    from im_server.tokens import make_token

    with ExitStack() as stack:
        url, pid, secret = start(stack, loop)
        visitors = [make(url, user, make_token(user, secret)) for user in range(1, sizes[-1] + 1)]
        return asyncio.run(held(url, visitors, lambda: rss(pid) / 1024, sizes))


def _connection_kb(
    start: Start, make: Callable[[str, int, str], Visitor], count: int, loop: str
) -> float:
    """KB of a connection, in a server of its own."""
    before, after = _server_seen(start, make, [_WARM, _WARM + count], loop)
    return (after - before) / count


def _missing(package: str) -> str:
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed: pip install 'im-proto[bench]'"
    return "" if _STATM.exists() else "/proc tells how much memory a process has: Linux only"


#: The servers: how each is started, its visitors, and the package that it needs.
_SERVERS: Final[dict[str, tuple[Start, Callable[[str, int, str], Visitor], str]]] = {
    "im": (_our_server, ours, "im_server"),
    "websockets relay": (partial(_peer, "relay"), relay, "websockets"),
    "python-socketio": (partial(_peer, "socketio"), socketio, "socketio"),
}


def rows(options: Options) -> Sequence[Row]:
    """Two rows."""
    clients = _QUICK if options.quick else _CLIENTS
    connections = _QUICK if options.quick else _CONNECTIONS
    loop = options.loop

    def client(name: str, kind: str, start: Start, package: str, note: str = "") -> Contestant:
        run = partial(_client_kb, kind, start, clients, loop)
        return Contestant(name, run=run, missing=_missing(package), note=note)

    return [
        Row(
            key="memory-client",
            title="An idle client that is logged in",
            goal="engine ≤ 12 KB; with the asyncio adapter ≤ 24 KB",
            unit="KB",
            higher_is_better=False,
            contestants=[
                Contestant(
                    "engine",
                    run=lambda: engines(answers(_WARM + clients), _WARM),
                    note="with its config; what Python has allocated for it",
                ),
                client("IMClient", "im", _our_server, "im_server"),
                client(
                    "python-socketio",
                    "socketio",
                    _SERVERS["python-socketio"][0],
                    "socketio",
                    "AsyncClient, each with its aiohttp session",
                ),
                client(
                    "websockets",
                    "websockets",
                    _SERVERS["websockets relay"][0],
                    "websockets",
                    "a bare connection without compression: no queue, no state, no way back",
                ),
            ],
            reference="python-socketio",
            goals=[Goal("engine", "<=", 12.0), Goal("IMClient", "<=", 24.0)],
            notes=[
                f"growth of the process's resident memory over {clients} clients, divided, after "
                f"{_WARM} that do not count; real sockets, the server in another process",
            ],
        ),
        Row(
            key="memory-server",
            title="An idle connection on the server, logged in",
            goal="≤ 20 KB",
            unit="KB",
            higher_is_better=False,
            contestants=[
                Contestant(
                    name,
                    run=partial(_connection_kb, start, make, connections, loop),
                    missing=_missing(package),
                )
                for name, (start, make, package) in _SERVERS.items()
            ],
            reference="python-socketio",
            goals=[Goal("im", "<=", 20.0)],
            notes=[
                f"growth of the server's resident memory over {connections} connections, divided, "
                f"after {_WARM} that do not count; the sockets' buffers are the system's",
            ],
        ),
    ]


def _grown(sizes: Sequence[int], loop: str) -> Series:
    """MB of each server, over what it has with the first few."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for name, (start, make, package) in _SERVERS.items():
        if _missing(package):
            continue
        first, *seen = _server_seen(start, make, [_WARM, *(_WARM + size for size in sizes)], loop)
        lines[name] = [(size, (kb - first) / 1024) for size, kb in zip(sizes, seen, strict=True)]
    return lines


def linear(series: Series) -> bool:
    """Whether no connection of ours costs half as much again as one when there were fewer."""
    line = series["im"]
    slopes = [(y - below) / (x - fewer) for (fewer, below), (x, y) in pairwise(line)]
    return max(slopes) <= 1.5 * max(line[0][1] / line[0][0], slopes[0])


def curves(options: Options) -> Sequence[Curve]:
    """One curve."""
    sizes = _CURVE[:2] if options.quick else _CURVE
    return [
        Curve(
            key="memory-connections",
            title="Server: memory over idle connections",
            x_label="connections",
            y_label=f"MB more than with {_WARM}",
            series=partial(_grown, sizes, options.loop),
            goal="linear",
            reached=linear,
            x_log=False,
            notes=["linear: no connection costs more than 1.5 × what one of the first costs"],
        )
    ]


if __name__ == "__main__":
    asyncio.run(_clients(sys.argv[1]))
