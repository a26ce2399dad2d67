"""What the cases are run against: our server, and our clients, in one event loop with the cases."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from unittest.mock import patch

from kosoku import FailureError, run_fuzzingclient, run_fuzzingserver
from kosoku.cases import CASES

import im_asyncio
import im_runtime.client
import im_threads
from im_proto.errors import IMError, IMErrorCode
from im_proto.server import gateway
from tests.autobahn.echo import SERVER, EchoClient, EchoServer, client_config
from tests.server.server_kit import running_server

#: Cases at a time: many of them wait most of the time.
_AT_ONCE: Final = 4
#: The longest that a case allows itself is 480 s.
_LONGEST: Final = 600.0

#: Told whenever a case begins.
Begun = Callable[[], None]
Results = list[Any]
Subject = Callable[[Sequence[str], Begun], Awaitable[Results]]


def _as_bytes(hear: Callable[[Any, bytes, bool], None]) -> Callable[[Any, bytes | str, bool], None]:
    def on_message(self: Any, message: bytes | str, binary: bool) -> None:
        if isinstance(message, str):
            message = message.encode("latin-1" if binary else "utf-8")
        hear(self, message, binary)

    return on_message


def _mend_kosoku() -> None:
    """kosoku 0.1.0 gives the cases of groups 12 and 13, which want bytes, a str when the message
    came uncompressed. A short one of ours does, and may (RFC 7692 section 6)."""
    for case in CASES.values():
        if hasattr(case, "TESTDATA"):
            case.onMessage = _as_bytes(case.onMessage)


_mend_kosoku()


async def _results(run: Awaitable[Results]) -> Results:
    try:
        return await run
    except FailureError as failure:
        return failure.results


async def server(cases: Sequence[str], begun: Begun) -> Results:
    """`IMServer` as uvicorn runs it, its engines put out for ones that echo."""

    def engine(*args: Any, **kwargs: Any) -> EchoServer:
        begun()
        return EchoServer(*args, **kwargs)

    with patch.object(gateway, "ServerEngine", engine):
        async with running_server(**SERVER) as running:
            return await _results(run_fuzzingclient(running.url, cases, concurrency=_AT_ONCE))


async def asyncio_client(cases: Sequence[str], begun: Begun) -> Results:
    """`im_asyncio`, its engine put out for one that echoes."""

    async def talk(url: str) -> None:
        try:
            await im_asyncio.IMClient(client_config(url)).connect(_LONGEST)
        except IMError as error:
            _check(error)

    return await _clients(cases, begun, talk)


async def threads_client(cases: Sequence[str], begun: Begun) -> Results:
    """`im_threads`, its engine put out for one that echoes."""

    def talk(url: str) -> None:
        client = im_threads.IMClient(client_config(url))
        try:
            client.connect(_LONGEST)
        except IMError as error:
            _check(error)
        finally:
            client.close()

    return await _clients(cases, begun, functools.partial(asyncio.to_thread, talk))


def _check(error: IMError) -> None:
    """Nobody logs in, so connect() fails when the case ends the link; other failures are ours."""
    if error.code in (IMErrorCode.CONNECTION_TIMEOUT, IMErrorCode.UNKNOWN_ERROR):
        raise error


async def _clients(
    cases: Sequence[str], begun: Begun, talk: Callable[[str], Awaitable[None]]
) -> Results:
    """Let a client go through the cases: a connection for each, and one to say that it is done."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(url: str) -> None:
        async with limit:
            begun()
            await talk(url)

    with patch.object(im_runtime.client, "ClientEngine", EchoClient):
        async with run_fuzzingserver(cases, port=0) as fuzzing:
            url = f"ws://{fuzzing.address}:{fuzzing.port}"
            async with asyncio.TaskGroup() as group:
                for number in range(1, len(cases) + 1):
                    group.create_task(one(f"{url}/runCase?case={number}&agent=im-proto"))
            await talk(f"{url}/updateReports?agent=im-proto")
            return await _results(fuzzing.get_result())


#: By their names on the command line and in the table.
SUBJECTS: Final[dict[str, Subject]] = {
    "server": server,
    "asyncio": asyncio_client,
    "threads": threads_client,
}
