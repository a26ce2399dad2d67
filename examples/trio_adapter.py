"""A client for trio: all that is needed to drive the engine from another event loop.

im serve --dev
python examples/trio_adapter.py --user 1 --to 2 hello

`Driver` is the adapter: it moves bytes, arms one timer, carries out actions, hands events over.
`Client` is what a program uses. docs/how-to/another-loop.md explains both.
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import math
import random
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from im_proto import ClientConfig, ClientEngine, IMError
from im_proto.client import actions as act
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.inputs import Input, TransportFailure
from im_proto.config import TokenSource
from im_proto.wire import UserId

#: Bytes that may wait to be written before the engine hears of it, and those at which it goes on.
HIGH, LOW = 65_536, 16_384


class Refused(Exception):
    """A transport, or its TLS, could not be had; the cause says why."""


def failed(transport: int, exc: BaseException | None) -> inp.TransportFailed:
    """Why a transport could not be had, as the engine wants to know it."""
    cause = (exc and exc.__cause__) or exc  # trio's own exceptions have the system's as cause
    causes = cause.exceptions if isinstance(cause, BaseExceptionGroup) else [cause]
    kind = TransportFailure.OTHER
    if isinstance(exc, socket.gaierror | UnicodeError):
        kind = TransportFailure.DNS
    elif isinstance(cause, ssl.SSLError):
        kind = TransportFailure.TLS
    elif all(isinstance(one, ConnectionRefusedError) for one in causes):
        kind = TransportFailure.REFUSED
    return inp.TransportFailed(transport=transport, kind=kind, reason=f"{cause}")


class Link:
    """One transport: its stream, and what waits to be written to it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.stream: trio.abc.Stream | None = None
        #: cancelled, it ends whatever is done for this transport
        self.scope = trio.CancelScope()
        #: the engine has aborted it, and wants to hear no more of it
        self.dropped = False
        #: what waits to be written, and then, perhaps, an end
        self.buffer = bytearray()
        self.closing = False
        self.blocked = False
        self.to_write = trio.Event()
        #: set while the engine wants to be told what comes in
        self.reading = trio.Event()
        self.reading.set()
        #: a host: the engine wants TLS to begin
        self.tls_host: str | None = None

    def put(self, data: bytes, *, last: bool = False) -> None:
        """Have it written; after what is `last` comes the end."""
        self.buffer += data
        self.closing = self.closing or last
        self.to_write.set()

    async def open(self, action: act.OpenTransport, ssl_context: ssl.SSLContext) -> None:
        """Connect. What was opened by then is in `stream`, and is closed by whoever called.

        Raises:
            Refused: it can't be had.
        """
        try:
            if action.unix_path is not None:
                self.stream = await trio.open_unix_socket(action.unix_path)
            else:
                self.stream = await trio.open_tcp_stream(action.host, action.port)
        except Exception as exc:
            raise Refused from exc
        if action.secure:
            await self.start_tls(action.host, ssl_context)

    async def start_tls(self, host: str, ssl_context: ssl.SSLContext) -> None:
        """Begin TLS, with that name to verify; raises what `open` raises."""
        assert self.stream is not None
        try:
            stream = trio.SSLStream(
                self.stream, ssl_context, server_hostname=host, https_compatible=True
            )
            await stream.do_handshake()
        except Exception as exc:
            raise Refused from exc
        self.stream = stream


class Driver:
    """Carries out what the engine wants. Decides nothing.

    Args:
        engine: who decides. Its clock is trio's.
        token: the token, or the function that gets one.
        deliver: takes the events; must not raise, nor call back.
    """

    def __init__(
        self,
        engine: ClientEngine,
        *,
        token: TokenSource,
        deliver: Callable[[ev.Event], None],
        ssl_context: ssl.SSLContext,
    ) -> None:
        self._engine = engine
        self._token = token
        self._deliver = deliver
        self._ssl_context = ssl_context
        self._links: dict[int, Link] = {}
        self._tokens: dict[int, trio.CancelScope] = {}
        self._later: deque[Input] = deque()
        self._stepping = False
        self._alarm = trio.CancelScope()
        self._ended = trio.Event()
        self._nursery: trio.Nursery

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Everything happens in here: `await nursery.start(driver.run)`, until `stop()`."""
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._keep_time)
            task_status.started()

    def stop(self) -> None:
        """End `run`."""
        self._nursery.cancel_scope.cancel()

    # -- in: an input, and what the engine wants then

    def step(self, item: Input) -> None:
        """Tell the engine what happened; carry out what it wants, to the end of the list.

        Raises:
            LocalProtocolError, IMError: the engine refuses it; nothing has changed.
        """
        if self._stepping:  # what happens while a list is carried out waits for its end
            self._later.append(item)
            return
        self._stepping = True
        try:
            self._carry_out(item)
            while self._later:
                self._carry_out(self._later.popleft())
        finally:
            self._stepping = False
            self._arm()

    def _carry_out(self, item: Input) -> None:
        for action in self._engine.step(item, trio.current_time()):
            match action:
                case act.Notify(event=event):
                    self._deliver(event)
                case act.OpenTransport():
                    link = self._links[action.transport] = Link(action.transport)
                    self._nursery.start_soon(self._live, link, action)
                    self._later.append(inp.WallClock(wall=time.time()))
                case act.FetchToken(request=request):
                    scope = self._tokens[request] = trio.CancelScope()
                    self._nursery.start_soon(self._fetch, request, scope)
                case act.CancelToken(request=request):
                    if request in self._tokens:
                        self._tokens.pop(request).cancel()
                case act.CallHttp(request=request):  # only asked for by what this client leaves out
                    self._later.append(inp.HttpFailed(request=request, reason="no HTTP in here"))
                case act.CancelHttp():
                    pass
                case _:
                    if action.transport in self._links:  # else its end was told
                        self._to_link(self._links[action.transport], action)

    def _to_link(self, link: Link, action: act.Action) -> None:
        match action:
            case act.SendBytes(data=data):
                link.put(data)
                if len(link.buffer) > HIGH and not link.blocked:
                    link.blocked = True
                    self.step(inp.WriteBlocked(transport=link.number))
            case act.CloseTransport():
                link.put(b"", last=True)
            case act.AbortTransport():
                link.dropped = True
                link.scope.cancel()
            case act.PauseReading():
                link.reading = trio.Event() if link.reading.is_set() else link.reading
            case act.ResumeReading():
                link.reading.set()
            case act.StartTls(host=host):
                link.tls_host = host

    # -- a transport, from the wish for it until its socket is closed

    async def _live(self, link: Link, action: act.OpenTransport) -> None:
        end: Input = inp.TransportLost(transport=link.number)
        with link.scope:
            try:
                await link.open(action, self._ssl_context)
                self.step(inp.TransportOpened(transport=link.number))
                async with trio.open_nursery() as both:
                    both.start_soon(self._write, link)
                    await self._read(link)
                    both.cancel_scope.cancel()
            except* trio.BrokenResourceError as broken:
                reason = str(broken.exceptions[0].__cause__ or "")
                end = inp.TransportLost(transport=link.number, reason=reason)
            except* Refused as refused:
                end = failed(link.number, refused.exceptions[0].__cause__)
        if link.stream is not None:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(link.stream)
        del self._links[link.number]
        if not link.dropped:
            self.step(end)
        self._look_if_quiet()

    async def _read(self, link: Link) -> None:
        assert link.stream is not None
        while data := await link.stream.receive_some(65_536):
            await link.reading.wait()
            self.step(inp.BytesReceived(transport=link.number, data=bytes(data)))
            if link.tls_host is not None:  # the answer of a proxy was the last in clear
                host, link.tls_host = link.tls_host, None
                await link.start_tls(host, self._ssl_context)
                self.step(inp.TlsStarted(transport=link.number))

    async def _write(self, link: Link) -> None:
        while True:
            while link.buffer:
                assert link.stream is not None
                chunk = bytes(link.buffer[:HIGH])
                await link.stream.send_all(chunk)
                del link.buffer[: len(chunk)]
                if link.blocked and len(link.buffer) <= LOW:
                    link.blocked = False
                    self.step(inp.WriteReady(transport=link.number))
            if link.closing:
                link.scope.cancel()
            link.to_write = trio.Event()
            await link.to_write.wait()

    # -- the one timer

    def _arm(self) -> None:
        deadline = self._engine.next_deadline()
        self._alarm.deadline = math.inf if deadline is None else deadline

    async def _keep_time(self) -> None:
        while True:
            with trio.CancelScope() as self._alarm:
                self._arm()
                await trio.sleep_forever()
            self.step(inp.TimePassed(wall=time.time()))

    # -- the token function

    async def _fetch(self, request: int, scope: trio.CancelScope) -> None:
        answer: Input
        with scope:
            try:
                token: Any = self._token
                if inspect.iscoroutinefunction(token):
                    token = await token()
                elif callable(token):  # a plain function may block, so it gets a thread
                    token = await trio.to_thread.run_sync(token, abandon_on_cancel=True)
                if not isinstance(token, str):
                    raise TypeError
                answer = inp.TokenReady(request=request, token=token)
            except Exception as exc:  # its name alone: the text may hold a secret
                answer = inp.TokenFailed(request=request, reason=type(exc).__name__)
            if self._tokens.pop(request, None) is not None:
                self.step(answer)
        self._look_if_quiet()

    # -- the end

    async def quiet(self) -> None:
        """Wait until there is no transport, and nobody waits for a token."""
        while self._links or self._tokens:
            await self._ended.wait()

    def _look_if_quiet(self) -> None:
        self._ended.set()  # who waits looks again
        self._ended = trio.Event()

    def abort(self) -> None:
        """End every transport at once; the engine is told."""
        for link in self._links.values():
            link.scope.cancel()


class Client:
    """A chat client for trio; `open_client` makes one that is connected.

    Args:
        config: everything that it is told.
        ssl_context: for wss; the system's certificates by default.
        on_event: is told every event of the engine; must not raise, nor call back.
        driver: the adapter.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        ssl_context: ssl.SSLContext | None = None,
        on_event: Callable[[ev.Event], None] = lambda event: None,
        driver: type[Driver] = Driver,
    ) -> None:
        self._engine = ClientEngine(
            config, now=trio.current_time(), wall=time.time(), rng=random.SystemRandom()
        )
        self.driver = driver(
            self._engine,
            token=config.token,
            deliver=self._take,
            ssl_context=ssl_context or ssl.create_default_context(),
        )
        self._on_event = on_event
        self._news = trio.Event()
        self._failure: IMError | None = None
        self._refs = itertools.count(1)
        #: messages that somebody waits for, and their ends
        self._sent: dict[int, ev.MessageAccepted | ev.MessageFailed | None] = {}
        self._inbox: deque[ev.MessageReceived] = deque()

    def _take(self, event: ev.Event) -> None:
        match event:
            case ev.Authenticated():
                self._failure = None
            case ev.ErrorOccurred(another_way=False):
                self._failure = event.error
            case ev.MessageAccepted() | ev.MessageFailed():
                if event.ref in self._sent:
                    self._sent[event.ref] = event
            case ev.MessageReceived():
                self._inbox.append(event)
            case ev.MessageDropped(delivery=dropped):
                self._inbox = deque(m for m in self._inbox if m.delivery != dropped)
        self._on_event(event)
        self._news.set()  # who waits looks again
        self._news = trio.Event()

    async def connect(self, timeout: float = 30.0) -> None:
        """Connect and log in; `driver.run` is running.

        Raises:
            IMError: the attempt failed. Nothing is left running then, nor if it is cancelled.
            trio.TooSlowError: it took longer than `timeout` seconds.
        """
        self._failure = None
        try:
            with trio.fail_after(timeout):
                self.driver.step(inp.Connect())
                while self._engine.state().status is not ev.Status.AUTHENTICATED:
                    if self._failure is not None:
                        raise self._failure
                    await self._news.wait()
        except BaseException:
            self.driver.step(inp.Disconnect())
            self.driver.abort()
            with trio.CancelScope(shield=True):
                await self.driver.quiet()
            raise

    async def disconnect(self) -> None:
        """Say goodbye; returns when the socket is closed, after `timeouts.close` at the latest."""
        self.driver.step(inp.Disconnect())
        try:
            await self.driver.quiet()
        except trio.Cancelled:
            self.driver.abort()
            with trio.CancelScope(shield=True):
                await self.driver.quiet()
            raise

    async def aclose(self) -> None:
        """Disconnect, and end `driver.run`."""
        try:
            await self.disconnect()
        finally:
            self.driver.stop()

    async def send(self, to_user: UserId, content: str) -> ev.MessageAccepted:
        """Send a message; returns when the server has accepted it, over lost links too.

        Raises:
            IMError: it ended otherwise, or the client has given up. A wait that is cancelled
                does not withdraw the message.
        """
        ref = next(self._refs)
        self.driver.step(inp.Send(ref=ref, to_user=to_user, content=content))
        self._sent[ref] = None
        try:
            while (end := self._sent[ref]) is None:
                await self._more_news()
        finally:
            del self._sent[ref]
        if isinstance(end, ev.MessageFailed):
            raise end.error
        return end

    async def messages(self) -> AsyncIterator[ev.MessageReceived]:
        """The messages that come in; asking for the next acknowledges the one before.

        Raises:
            IMError: the client has given up.
        """
        while True:
            while not self._inbox:
                await self._more_news()
            message = self._inbox.popleft()
            self.driver.step(inp.MessageTaken(delivery=message.delivery))
            yield message
            self.driver.step(inp.MessageHandled(delivery=message.delivery))

    async def _more_news(self) -> None:
        if self._failure is not None and self._failure.terminal:
            raise self._failure
        await self._news.wait()


@asynccontextmanager
async def open_client(config: ClientConfig, **more: Any) -> AsyncIterator[Client]:
    """A connected client for the length of an `async with`; `more` is for `Client`."""
    async with trio.open_nursery() as nursery:
        client = Client(config, **more)
        await nursery.start(client.driver.run)
        try:
            await client.connect()
            yield client
        finally:
            await client.aclose()


async def talk(config: ClientConfig, to_user: UserId, content: str) -> None:
    """Send one message, and print what comes in."""
    async with open_client(config) as client:
        await client.send(to_user, content)
        print("accepted", flush=True)
        async for message in client.messages():
            print(f"{message.from_user}: {message.content}", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Send one message, and print what comes in.")
    parser.add_argument("--url", default="ws://127.0.0.1:8080/ws")
    parser.add_argument("--user", default="1")
    parser.add_argument("--to", default="2")
    parser.add_argument("--token", help="by default dev:USER, which a server with --dev takes")
    parser.add_argument("content")
    options = parser.parse_args()
    config = ClientConfig(
        ws_url=options.url, user_id=options.user, token=options.token or f"dev:{options.user}"
    )
    trio.run(talk, config, options.to, options.content)


if __name__ == "__main__":
    main()
