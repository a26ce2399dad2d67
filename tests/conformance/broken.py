"""The trio adapter, broken in one way each: what the conformance kit has to find."""

from __future__ import annotations

import math
import os
import ssl
import time
from collections.abc import Callable
from typing import Any

import trio

from conformance.subjects import AsyncioSubject, Reaction, TrioSubject, trio_adapter
from im_proto.client import actions as act
from im_proto.client import inputs as inp
from im_proto.client.journal import Offered, OutgoingGone

Driver: Any = trio_adapter.Driver
Client: Any = trio_adapter.Client
Link: Any = trio_adapter.Link


#: What LeaksSockets has leaked.
KEPT: list[Any] = []


def end() -> None:
    """End this process, whatever loops a broken adapter has left in it."""
    os._exit(0)


def broken(driver: type[Any] = Driver, client: type[Any] = Client) -> type[TrioSubject]:
    """A subject with another driver or client."""
    name = driver.__name__ if driver is not Driver else client.__name__
    return type(name, (TrioSubject,), {"driver": driver, "client": client})


# ------------------------------------------------------------ reading


class DropsShortReads(Driver):
    def step(self, item: Any) -> None:
        if not (isinstance(item, inp.BytesReceived) and len(item.data) < 4):
            super().step(item)


class CutsLongReads(Driver):
    def step(self, item: Any) -> None:
        if isinstance(item, inp.BytesReceived):
            item = inp.BytesReceived(transport=item.transport, data=item.data[:2000])
        super().step(item)


class DeliversBytesLater(Driver):
    """… in a task of their own, so that the end overtakes them."""

    def step(self, item: Any) -> None:
        if isinstance(item, inp.BytesReceived):
            self._nursery.start_soon(self._later_on, item)
        else:
            super().step(item)

    async def _later_on(self, item: Any) -> None:
        await trio.sleep(0.05)
        super().step(item)


class IgnoresTheEnd(Driver):
    async def _read(self, link: Any) -> None:
        await super()._read(link)
        await trio.sleep_forever()


class IgnoresResets(Driver):
    async def _read(self, link: Any) -> None:
        try:
            await super()._read(link)
        except trio.BrokenResourceError:
            await trio.sleep_forever()


class _Ignores(Driver):
    ignored: tuple[type[Any], ...] = ()

    def _to_link(self, link: Any, action: Any) -> None:
        if not isinstance(action, self.ignored):
            super()._to_link(link, action)


class IgnoresAbort(_Ignores):
    ignored = (act.AbortTransport,)


class IgnoresPause(_Ignores):
    ignored = (act.PauseReading,)


class IgnoresEveryEnd(_Ignores):
    ignored = (act.AbortTransport, act.CloseTransport)


class IgnoresClose(_Ignores):
    ignored = (act.CloseTransport,)


class AbortsInPlaceOfClosing(_Ignores):
    def _to_link(self, link: Any, action: Any) -> None:
        if isinstance(action, act.CloseTransport):
            link.scope.cancel()
        else:
            super()._to_link(link, action)


class CantEndWhatIsPaused(_Ignores):
    ignored = (act.ResumeReading,)

    async def _read(self, link: Any) -> None:
        while data := await link.stream.receive_some(65_536):
            with trio.CancelScope(shield=True):
                await link.reading.wait()
            self.step(inp.BytesReceived(transport=link.number, data=bytes(data)))


# ------------------------------------------------------------ opening


class CallsEveryFailureOther(Driver):
    def step(self, item: Any) -> None:
        if isinstance(item, inp.TransportFailed):
            item = inp.TransportFailed(transport=item.transport)
        super().step(item)


class OpensOnce(Driver):
    def _carry_out(self, item: Any) -> None:
        if isinstance(item, inp.TimePassed):
            return
        super()._carry_out(item)


class ConnectsWithoutTimeout(Client):
    async def connect(self, timeout: float = 30.0) -> None:
        await super().connect(1000.0)


class LeavesAFailedConnect(Client):
    async def connect(self, timeout: float = 30.0) -> None:
        with trio.fail_after(timeout):
            self.driver.step(inp.Connect())
            while self._engine.state().status != "AUTHENTICATED":
                if self._failure is not None:
                    raise self._failure
                await self._news.wait()


class LeaksSockets(Driver):
    async def _live(self, link: Any, action: Any) -> None:
        self._nursery.start_soon(self._keep, link)
        await super()._live(link, action)

    async def _keep(self, link: Any) -> None:
        while link.stream is None:
            await trio.lowlevel.checkpoint()
        KEPT.append(link.stream.socket.dup())


class WaitsForConnectInClose(TrioSubject):
    def close(self) -> None:
        self.disconnect = lambda: None  # type: ignore[method-assign]
        while self._connecting is not None and not self._connecting.cancel_called:
            time.sleep(0.01)


# ------------------------------------------------------------ timing


class IgnoresTimers(Driver):
    def _arm(self) -> None:
        pass


class NeverArmsEarlier(Driver):
    def _arm(self) -> None:
        if self._alarm.deadline in (math.inf, -math.inf) or (
            self._alarm.deadline < trio.current_time()
        ):
            super()._arm()


class PutsTheTimerOff(Driver):
    """… at every step: a loop that is busy never gets there."""

    def _arm(self) -> None:
        super()._arm()
        self._alarm.deadline = max(self._alarm.deadline, trio.current_time() + 0.5)


class SleepsOn(Driver):
    """It lets the timer go off early, and then does not arm it again."""

    def _arm(self) -> None:
        deadline = self._engine.next_deadline()
        if deadline is not None:
            self._alarm.deadline = min(self._alarm.deadline, deadline)

    async def _keep_time(self) -> None:
        while True:
            with trio.CancelScope() as self._alarm:
                await trio.sleep_forever()
            self.step(inp.TimePassed())


class TellsAnotherClock(Driver):
    def _arm(self) -> None:
        super()._arm()
        self._alarm.deadline -= 0.95

    async def _keep_time(self) -> None:
        self._ahead = 0.0
        while True:
            with trio.CancelScope() as self._alarm:
                self._arm()
                await trio.sleep_forever()
            self._ahead = 0.95
            self.step(inp.TimePassed())
            self._ahead = 0.0

    def _carry_out(self, item: Any) -> None:
        real = trio.current_time
        trio.current_time = lambda: real() + self._ahead
        try:
            super()._carry_out(item)
        finally:
            trio.current_time = real


class Spins(Driver):
    async def _keep_time(self) -> None:
        self._nursery.start_soon(self._spin)
        await super()._keep_time()

    async def _spin(self) -> None:
        while True:
            await trio.lowlevel.checkpoint()


class TellsAWrongWallClock(Driver):
    def _carry_out(self, item: Any) -> None:
        super()._carry_out(inp.WallClock(wall=1.0) if isinstance(item, inp.WallClock) else item)


class OnlyQueuesCalls(TrioSubject):
    """… until something else wakes the loop."""

    def feed(self, item: Any) -> None:
        self._client.driver._later.append(item)


# ------------------------------------------------------------ writing


class NeverSaysBlocked(Driver):
    def step(self, item: Any) -> None:
        if not isinstance(item, inp.WriteBlocked | inp.WriteReady):
            super().step(item)


class NeverSaysReady(Driver):
    def step(self, item: Any) -> None:
        if not isinstance(item, inp.WriteReady):
            super().step(item)


class FlushesBeforeItAborts(Driver):
    def _to_link(self, link: Any, action: Any) -> None:
        if isinstance(action, act.AbortTransport) and link.buffer:
            link.put(b"", last=True)
        else:
            super()._to_link(link, action)


class KeepsTheBuffer(Driver):
    """… from one transport to the next."""

    shared: bytearray | None = None

    async def _live(self, link: Any, action: Any) -> None:
        self.shared = link.buffer = bytearray() if self.shared is None else self.shared
        await super()._live(link, action)


class StepsInAnyThread(TrioSubject):
    def feed(self, item: Any) -> None:
        self._client.driver.step(item)


class CarriesOutBackwards(Driver):
    def _carry_out(self, item: Any) -> None:
        engine = self._engine

        class Backwards:
            def step(self, item: Any, now: float) -> list[Any]:
                return list(engine.step(item, now))[::-1]

        self._engine = Backwards()
        try:
            super()._carry_out(item)
        finally:
            self._engine = engine


# ------------------------------------------------------------ ending


class AbortsAtDisconnect(Client):
    async def disconnect(self) -> None:
        self.driver.abort()
        await super().disconnect()


class WaitsAlone(Driver):
    """Of two that wait for the end only the second is woken."""

    async def quiet(self) -> None:
        while self._links or self._tokens:
            self._ended = trio.Event()
            await self._ended.wait()

    def _look_if_quiet(self) -> None:
        self._ended.set()


class DisconnectsOnlyLinks(Client):
    async def disconnect(self) -> None:
        if self.driver._links:
            await super().disconnect()


class MixesTransportsUp(Driver):
    """The end and the bytes of any transport are told as those of the newest."""

    def _carry_out(self, item: Any) -> None:
        newest = max(self._links, default=0)
        if isinstance(item, inp.BytesReceived):
            item = inp.BytesReceived(transport=max(newest, item.transport), data=item.data)
        elif isinstance(item, inp.TransportLost):
            item = inp.TransportLost(transport=max(newest, item.transport))
        super()._carry_out(item)

    def _to_link(self, link: Any, action: Any) -> None:
        if not isinstance(action, act.AbortTransport | act.CloseTransport):
            super()._to_link(link, action)


# ------------------------------------------------------------ tokens


class CallsTheTokenFunctionInTheLoop(Driver):
    async def _fetch(self, request: int, scope: Any) -> None:
        del self._tokens[request]
        self.step(inp.TokenReady(request=request, token=self._token()))


class TellsSecrets(Driver):
    async def _fetch(self, request: int, scope: Any) -> None:
        del self._tokens[request]
        try:
            self._token()
        except Exception as exc:
            self.step(inp.TokenFailed(request=request, reason=str(exc)))


class TakesAnythingForAToken(Driver):
    async def _fetch(self, request: int, scope: Any) -> None:
        del self._tokens[request]
        self.step(inp.TokenReady(request=request, token=f"{self._token()}"))


class NeverForgetsAToken(Driver):
    """A token that comes late is told as the answer to the newest request."""

    newest = 0

    def _carry_out(self, item: Any) -> None:
        if isinstance(item, inp.TokenReady):
            item = inp.TokenReady(request=self.newest, token=item.token)
        super()._carry_out(item)

    async def _fetch(self, request: int, scope: Any) -> None:
        self.newest = request
        token = await trio.to_thread.run_sync(self._token)
        self._tokens.pop(request, None)
        self.step(inp.TokenReady(request=request, token=token))


class AsksForATokenOnce(Driver):
    async def _fetch(self, request: int, scope: Any) -> None:
        if not isinstance(self._token, str):
            self._token = self._token()
        await super()._fetch(request, scope)


# ------------------------------------------------------------ extras


class _OtherTls(Driver):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ssl_context.check_hostname = False


class TrustsAnyName(_OtherTls):
    pass


class TrustsAnybody(_OtherTls):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ssl_context.verify_mode = ssl.CERT_NONE


class AsksTheSocketBeforeEachRead(Driver):
    """… though TLS may hold bytes that the socket has given already."""

    async def _read(self, link: Any) -> None:
        stream = getattr(link.stream, "transport_stream", link.stream)
        read = link.stream.receive_some

        async def receive_some(size: int) -> bytes:
            await trio.lowlevel.wait_readable(stream.socket)
            return bytes(await read(2048))

        link.stream.receive_some = receive_some
        await super()._read(link)


class TakesLittleForTheEnd(Driver):
    async def _read(self, link: Any) -> None:
        stream = getattr(link.stream, "transport_stream", link.stream)
        read = stream.receive_some

        async def receive_some(size: int | None = None) -> bytes:
            data = bytes(await read(size))
            return b"" if len(data) < 4 else data

        stream.receive_some = receive_some
        await super()._read(link)


class _OtherLink(Driver):
    """The rest of a link's methods, with `change` in front of `open`."""

    async def _live(self, link: Any, action: Any) -> None:
        await super()._live(link, self.change(action))

    def change(self, action: Any) -> Any:
        return action


class NeverUsesTls(_OtherLink):
    def change(self, action: Any) -> Any:
        return act.OpenTransport(
            transport=action.transport, host=action.host, port=action.port, secure=False
        )


class CantWaitInAHandshake(Driver):
    """… and so can't be stopped there."""

    async def _live(self, link: Any, action: Any) -> None:
        begin = link.start_tls

        async def start_tls(*args: Any) -> None:
            with trio.CancelScope(shield=True):
                await begin(*args)

        link.start_tls = start_tls
        await super()._live(link, action)


class ForgetsToTellOfFailures(Driver):
    def step(self, item: Any) -> None:
        if not isinstance(item, inp.TransportFailed):
            super().step(item)


class KnowsOnlyTheFirstAddress(_OtherLink):
    def change(self, action: Any) -> Any:
        host = "::1" if action.host == "localhost" else action.host
        return act.OpenTransport(
            transport=action.transport, host=host, port=action.port, secure=action.secure
        )


class KnowsOnlyIPv4(_OtherLink):
    def change(self, action: Any) -> Any:
        return act.OpenTransport(
            transport=action.transport, host="127.0.0.1", port=action.port, secure=action.secure
        )


class OpensSomethingElse(_OtherLink):
    def change(self, action: Any) -> Any:
        return act.OpenTransport(
            transport=action.transport, host="127.0.0.1", port=1, secure=action.secure
        )


class IgnoresStartTls(_Ignores):
    ignored = (act.StartTls,)


class CallsBackInTheLoop(AsyncioSubject):
    """Callbacks inside of the I/O loop, and what they raise comes out there."""

    def react(self, name: str, reaction: Reaction) -> None:
        driver: Any = self._client._driver
        deliver = driver._deliver
        kinds = {"message_received": "MessageReceived", "connected": "Connected"}

        def react(event: Any) -> None:
            deliver(event)
            if type(event).__name__ == kinds.get(name):
                if reaction is Reaction.RAISE:
                    raise RuntimeError("a bug of the application")
                if reaction is Reaction.SLOW:
                    time.sleep(0.4)
                else:
                    self._do(self._client.disconnect())  # waits for the loop in the loop

        driver._deliver = react


# ------------------------------------------------------------ journals


class _Stores(AsyncioSubject):
    """im_asyncio, as the trio client has no journal, with another way to write."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        journal = self._client._journal
        if journal is not None:
            write = journal.write
            self._client._journal.write = lambda changes: self._write(write, changes)  # type: ignore[method-assign, union-attr]

    def _write(self, write: Callable[[Any], None], changes: Any) -> None:
        raise NotImplementedError


class SaysThatItHasWritten(_Stores):
    def _write(self, write: Callable[[Any], None], changes: Any) -> None:
        pass


class NeverTakesAnythingOut(_Stores):
    def _write(self, write: Callable[[Any], None], changes: Any) -> None:
        write([change for change in changes if not isinstance(change, OutgoingGone)])


class ForgetsWhatWasShown(_Stores):
    def _write(self, write: Callable[[Any], None], changes: Any) -> None:
        write([change for change in changes if not isinstance(change, Offered)])


class WritesLater(_Stores):
    """… when there is more to write."""

    _held: tuple[Any, ...] = ()

    def _write(self, write: Callable[[Any], None], changes: Any) -> None:
        write(self._held)
        self._held = tuple(changes)


class LeavesTheFileToAnybody(AsyncioSubject):
    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if self._client._journal is not None:
            self._client._journal._lock.release()
