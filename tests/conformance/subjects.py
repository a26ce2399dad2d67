"""The adapters of this project, as the conformance kit wants them."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import trio

import im_asyncio
import im_threads
from im_proto import ClientConfig, IMError, IMErrorCode
from im_proto.client.events import Event
from im_proto.client.inputs import Input
from im_proto.testing.conformance import Feature, LoopThread, Reaction, Subject
from im_runtime import Driver
from script_kit import load

_T = TypeVar("_T")
_LOOP = asyncio.AbstractEventLoop
EXAMPLES = Path(__file__).parents[2] / "examples"


trio_adapter: Any = load(EXAMPLES / "trio_adapter.py")


class ClientSubject(Subject):
    """A client of this project, tapped where all of them are alike: in `im_runtime`.

    These are the only protected names in use: `_here` and `_step` of `Client`, and of `Driver` the
    call through which every event goes, and what it holds.
    """

    features = frozenset(Feature)
    #: an `im_runtime.Client`
    _client: Any

    def _tap(self, on_event: Callable[[Event], None]) -> None:
        """Have the kit told what the engine tells, beside the client."""
        driver: Driver[Any] = self._client._driver
        deliver = driver._deliver

        def both(event: Event) -> None:
            deliver(event)
            on_event(event)

        driver._deliver = both

    def feed(self, item: Input) -> None:
        self._client._here(self._client._step, item)

    def _die(self) -> None:
        """What a kernel does at a process's end: nothing more is stepped, said or written."""
        driver: Driver[Any] = self._client._driver

        def fail(_: object) -> None:
            raise IMError(IMErrorCode.JOURNAL_FAILED, "the process is dead")

        def die() -> None:
            self._client._journal.write = fail
            driver.closed = True
            for link in list(driver._links.values()):
                link.drop()

        self._client._here(die)
        driver.close_journal(5.0)

    def left_behind(self) -> list[str]:
        driver: Driver[Any] = self._client._driver

        def look() -> list[str]:
            links = [f"transport {number}" for number in driver._links]
            tokens = [f"a request for token {number}" for number in driver._tokens]
            calls = [f"{len(driver._http)} HTTP calls"] if len(driver._http) else []
            timer = [] if driver._timer is None else ["the timer"]
            return links + tokens + calls + timer

        found: list[str] = self._client._here(look)
        return found


class AsyncioSubject(ClientSubject):
    """im_asyncio, with its loop in a thread."""

    _client: im_asyncio.IMClient

    def __init__(
        self,
        config: ClientConfig,
        on_event: Callable[[Event], None],
        ssl_context: ssl.SSLContext | None,
        *,
        storage: str | None = None,
    ) -> None:
        async def make() -> im_asyncio.IMClient:
            return im_asyncio.IMClient(config, ssl_context=ssl_context, storage=storage)

        self._thread: LoopThread[_LOOP] = LoopThread(self._main)
        self._loop = self._thread.handle
        try:
            self._client = self._do(make())
        except BaseException:
            self._stop()
            raise
        self._tap(on_event)
        self._connecting: asyncio.Task[None] | None = None

    @staticmethod
    def _main(ready: Callable[[_LOOP], None]) -> None:
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            loop.call_soon(ready, loop)
            loop.run_forever()

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def connect(self, timeout: float) -> None:
        async def connect() -> None:
            self._connecting = asyncio.current_task()
            await self._client.connect(timeout)

        self._do(connect())

    def cancel_connect(self) -> None:
        async def cancel() -> None:
            if self._connecting is not None:
                self._connecting.cancel()

        self._do(cancel())

    def disconnect(self) -> None:
        self._do(self._client.disconnect())

    def close(self) -> None:
        self._do(self._client.close())
        self._stop()

    def kill(self) -> None:
        self._die()
        self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def left_behind(self) -> list[str]:
        async def look() -> list[str]:
            own = asyncio.current_task()
            return [f"task {task}" for task in asyncio.all_tasks() if task is not own]

        return super().left_behind() + self._do(look())

    def react(self, name: str, reaction: Reaction) -> None:
        client = self._client

        async def send(*_: object) -> None:
            await client.send_message(2, "from inside")

        async def disconnect(*_: object) -> None:
            await client.disconnect()

        reactions: dict[Reaction, Callable[..., Any]] = {
            Reaction.RAISE: fail,
            Reaction.SLOW: lambda *_: time.sleep(0.4),
            Reaction.SEND: send,
            Reaction.DISCONNECT: disconnect,
        }
        client.on(name, reactions[reaction])


class ThreadsSubject(ClientSubject):
    """im_threads, whose calls block by themselves."""

    _client: im_threads.IMClient

    def __init__(
        self,
        config: ClientConfig,
        on_event: Callable[[Event], None],
        ssl_context: ssl.SSLContext | None,
        *,
        storage: str | None = None,
    ) -> None:
        self._client = im_threads.IMClient(config, ssl_context=ssl_context, storage=storage)
        self._tap(on_event)

    def connect(self, timeout: float) -> None:
        self._client.connect(timeout)

    def cancel_connect(self) -> None:
        self._client.disconnect()

    def disconnect(self) -> None:
        self._client.disconnect()

    def close(self) -> None:
        self._client.close()

    def kill(self) -> None:
        self._die()
        self._client.close()

    def react(self, name: str, reaction: Reaction) -> None:
        client = self._client
        reactions: dict[Reaction, Callable[..., Any]] = {
            Reaction.RAISE: fail,
            Reaction.SLOW: lambda *_: time.sleep(0.4),
            Reaction.SEND: lambda *_: client.send_message(2, "from inside"),
            Reaction.DISCONNECT: lambda *_: client.disconnect(),
        }
        client.on(name, reactions[reaction])


def fail(*_: object) -> None:
    """What a callback of an application may do as well."""
    raise RuntimeError("a bug of the application")


class TrioSubject(Subject):
    """The trio client of examples/, with its loop in a thread."""

    features = frozenset(Feature) - {Feature.CALLBACKS, Feature.JOURNAL}
    kept_threads = ("Trio thread",)
    #: the adapter; tests put broken ones in their place
    driver: type[Any] = trio_adapter.Driver
    client: type[Any] = trio_adapter.Client

    def __init__(
        self,
        config: ClientConfig,
        on_event: Callable[[Event], None],
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._config, self._on_event, self._ssl_context = config, on_event, ssl_context
        self._connecting: trio.CancelScope | None = None
        self._thread: LoopThread[trio.lowlevel.TrioToken] = LoopThread(
            lambda ready: trio.run(self._main, ready)
        )

    async def _main(self, ready: Callable[[trio.lowlevel.TrioToken], None]) -> None:
        self._stop = trio.Event()
        async with trio.open_nursery() as nursery:
            self._client = self.client(
                self._config,
                ssl_context=self._ssl_context,
                on_event=self._on_event,
                driver=self.driver,
            )
            await nursery.start(self._client.driver.run)
            ready(trio.lowlevel.current_trio_token())
            await self._stop.wait()
            nursery.cancel_scope.cancel()

    def _do(self, function: Callable[..., Any], *args: Any) -> Any:
        return trio.from_thread.run(function, *args, trio_token=self._thread.handle)

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        return trio.from_thread.run_sync(function, *args, trio_token=self._thread.handle)

    def connect(self, timeout: float) -> None:
        async def connect() -> None:
            with trio.CancelScope() as self._connecting:
                await self._client.connect(timeout)
            if self._connecting.cancelled_caught:
                raise RuntimeError("connect() was cancelled")

        self._do(connect)

    def cancel_connect(self) -> None:
        if self._connecting is not None:
            self._call(self._connecting.cancel)

    def feed(self, item: Input) -> None:
        self._call(self._client.driver.step, item)

    def disconnect(self) -> None:
        self._do(self._client.disconnect)

    def close(self) -> None:
        self.cancel_connect()
        self._do(self._client.aclose)
        self._call(self._stop.set)
        self._thread.join()

    def left_behind(self) -> list[str]:
        def look() -> list[str]:
            tasks = self._client.driver._nursery.child_tasks
            return [f"task {task.name}" for task in tasks if "_keep_time" not in task.name]

        return list(self._call(look))
