"""`IMClient`: the asyncio client. It carries things to and from the engine and decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import ssl
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from im_proto.client import ClientEngine, Counters
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.config import ClientConfig
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_proto.wire import UserId
from im_runtime import LOGGER, Callback, Callbacks, Message, MessageError, translate

from .clock import Clock
from .dispatcher import Dispatcher
from .driver import Driver
from .life import Life, Phase
from .messages import Messages, Supply
from .reception import RECEIVED, Reception
from .sent import SentMessage

_F = TypeVar("_F", bound=Callback)


class IMClient:
    """A chat client that keeps its connection and its promises (protocol.md).

        async with IMClient(ClientConfig(ws_url=…, token=…, user_id=1)) as client:
            await client.send_message(2, "hello")
            async for message in client.messages():
                print(message.from_user, message.content)

    It belongs to one event loop. Plain callbacks and other threads may call everything that isn't
    `async`; async callbacks may call and await everything.

    Args:
        config: a `ClientConfig`, or its fields in a mapping. `config.token` may be a function,
            plain (it runs in a thread) or async, that is asked for each new token.
        callbacks: where plain callbacks run: "thread", one worker thread in order, or "inline",
            on the event loop, which they must not block.
        ssl_context: for wss; by default the system's certificates, and TLS 1.2 at least.
        rng: where masks, keys, delays and the device id are drawn from. Anything but a
            `random.SystemRandom` is for tests (RFC 6455 section 5.3).
        wall: the wall clock, in seconds since 1970.

    Raises:
        pydantic.ValidationError: the configuration is wrong.
    """

    def __init__(
        self,
        config: ClientConfig | Mapping[str, Any],
        *,
        callbacks: Literal["thread", "inline"] = "thread",
        ssl_context: ssl.SSLContext | None = None,
        rng: random.Random | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if callbacks not in ("thread", "inline"):
            raise LocalProtocolError(f"callbacks is 'thread' or 'inline', not {callbacks!r}")
        self.config = config if isinstance(config, ClientConfig) else ClientConfig(**config)
        self._clock = Clock()
        with contextlib.suppress(RuntimeError):  # without a loop, connect() will
            self._clock.bind(asyncio.get_running_loop(), fresh=True)
        self._engine = ClientEngine(
            self.config,
            now=self._clock.now(),
            wall=wall(),
            rng=random.SystemRandom() if rng is None else rng,
        )
        self._driver = Driver(
            self._engine,
            self._clock,
            token=self.config.token,
            deliver=self._on_event,
            failed=self._on_bug,
            ssl_context=ssl_context,
            wall=wall,
            close_timeout=self.config.timeouts.close,
        )
        self._callbacks = Callbacks()
        self._dispatcher = Dispatcher(self._callbacks, inline=callbacks == "inline")
        self._reception = Reception(
            self._callbacks,
            self._dispatcher,
            supply=self._supply,
            handled=lambda delivery: self._driver.feed(inp.MessageHandled(delivery=delivery)),
        )
        self._life = Life(
            self._engine,
            self._driver,
            self._dispatcher,
            close_timeout=self.config.timeouts.close,
            changed=self._reception.wake,
        )
        self._refs = itertools.count(1)
        self._pending: dict[int, SentMessage] = {}

    # ------------------------------------------------------------ connecting

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.disconnect()

    async def connect(self, timeout: float | None = 30.0, *, retry: bool = False) -> None:
        """Connect and log in. Returns when logged in, at once if it is.

        After a failure, a timeout or a cancellation nothing is left running; what is queued stays
        queued. Once it has returned, the client comes back by itself after every lost link.

        Args:
            timeout: seconds for all of it; None waits as long as it takes.
            retry: go on after failed attempts as `config.reconnect` says, until the timeout. An
                end that trying again can't change (a refused log-in) raises all the same.

        Raises:
            IMError: CONNECTION_FAILED, CONNECTION_TIMEOUT, CONNECTION_LOST, AUTH_FAILED,
                AUTH_TIMEOUT, TOKEN_INVALID, RECONNECT_FAILED …
            LocalProtocolError: the client is in use on another event loop.
        """
        self._bind()
        await self._life.connect(timeout, retry=retry)

    async def disconnect(self) -> None:
        """End the connection; returns when the transport is gone and the callbacks were called.

        Takes at most `config.timeouts.close` seconds and a little for each of the two; then the
        transport is aborted, and the callback that is still running cancelled. Cancelling this
        aborts both at once. Called inside a callback it does not wait for callbacks.

        What is queued stays queued, and goes out after another `connect()`. Messages that came in
        and are not handled come again then. Doing it twice, or without a connection, is no error.

        Raises:
            LocalProtocolError: the client is in use on another event loop.
        """
        self._bind()
        await self._life.disconnect()

    # ------------------------------------------------------------ sending

    async def send_message(
        self,
        to_user_id: UserId,
        content: str,
        message_type: str = "text",
        session_id: int | None = None,
        timeout: float | None = None,
    ) -> SentMessage:
        """Send a message; returns when the server has accepted it.

        It waits as long as it takes, over lost links, also while there is no connection, but not
        for a client that has given up. Cancelling the wait, or its timeout, does not withdraw the
        message; `sent.cancel()` does.

        Args:
            to_user_id: whom it is for.
            content: 1 to 1000 UTF-16 units after trimming (`config.content_units`, or what the
                server tells); sent untrimmed.
            message_type: "text", "image" …
            session_id: the session that it belongs to.
            timeout: seconds to wait; None waits for the message's end.

        Raises:
            IMError: QUEUE_FULL and MESSAGE_FORMAT_ERROR, and nothing was queued;
                MESSAGE_SEND_FAILED, SERVER_ERROR, IN_DOUBT, MESSAGE_CANCELLED, with the message as
                `error.sent`; MESSAGE_TIMEOUT, with a message that is still on its way. When the
                client has given up, the error that it gave up over: before, and nothing was
                queued; or meanwhile, with a message that goes out after connect().
        """
        if self._life.gave_up is not None:
            raise self._life.gave_up.with_traceback(None)
        sent = self.queue_message(to_user_id, content, message_type, session_id)
        if timeout is None:
            return await sent.accepted()
        try:
            async with asyncio.timeout(timeout):
                return await sent.accepted()
        except TimeoutError:
            if sent.done:
                return await sent
            error = IMError(
                IMErrorCode.MESSAGE_TIMEOUT,
                f"no answer within {timeout:g} s; the message is not withdrawn, it is still "
                f"{'queued' if sent.status == 'queued' else 'in flight'} (see error.sent)",
            )
            raise MessageError.of(error, sent) from None

    def queue_message(
        self,
        to_user_id: UserId,
        content: str,
        message_type: str = "text",
        session_id: int | None = None,
    ) -> SentMessage:
        """Queue a message and return at once, with or without a connection.

        Args: as for `send_message`.

        Raises:
            IMError: QUEUE_FULL or MESSAGE_FORMAT_ERROR; nothing was queued.
        """
        return self._clock.here(self._queue, to_user_id, content, message_type, session_id)

    def _queue(
        self, to_user_id: UserId, content: str, message_type: str, session_id: int | None
    ) -> SentMessage:
        ref = next(self._refs)
        sent = SentMessage(ref, to_user_id, content, message_type, session_id, cancel=self._cancel)
        self._pending[ref] = sent
        try:
            self._driver.step(
                inp.Send(
                    ref=ref,
                    to_user=to_user_id,
                    content=content,
                    message_type=message_type,
                    session_id=session_id,
                )
            )
        except BaseException:
            del self._pending[ref]
            raise
        return sent

    def _cancel(self, sent: SentMessage) -> bool:
        return self._clock.here(self._cancel_here, sent)

    def _cancel_here(self, sent: SentMessage) -> bool:
        if sent.status != "queued":
            return False
        self._driver.step(inp.Cancel(ref=sent.ref))
        return sent.done

    # ------------------------------------------------------------ receiving

    def messages(self) -> Messages:
        """The messages that come in, and those that came in and are not handled.

        See `Messages`: asking for the next acknowledges the one before.

        Raises:
            LocalProtocolError: there is a `message_received` callback, or another task waits in
                an iterator of this client.
        """
        return self._clock.here(self._reception.messages)

    def _supply(self) -> Supply | IMError:
        """Can messages still come?"""
        if self._life.gave_up is not None:
            return self._life.gave_up
        if self._life.phase in (Phase.CLOSING, Phase.CLOSED):
            return Supply.DRY
        return Supply.FLOWING

    # ------------------------------------------------------------ callbacks

    def set_callbacks(
        self, callbacks: Mapping[str, Callback | None] | None = None, /, **more: Callback | None
    ) -> None:
        """Set one callback per name, in place of the one set before; None takes it away.

        The names, with their arguments, stand in `im_runtime.NAMES`: connected, disconnected,
        reconnecting, reconnected, authenticated, auth_failed, message_received, message_sent,
        message_failed, heartbeat_sent, heartbeat_received, error, state_changed, notice.

        All are called in the order of the events, one at a time. A message is acknowledged when
        its callbacks have returned. One that raises is logged and told to `error`; its message is
        not acknowledged, and is offered again after the next log-in.

        Raises:
            LocalProtocolError: an unknown name, something that can't be called, or a
                `message_received` beside an iterator of `messages()`. Nothing was set.
        """
        given = {**(callbacks or {}), **more}
        self._clock.here(self._set, given)

    def _set(self, given: Mapping[str, Callback | None]) -> None:
        if given.get(RECEIVED) is not None:
            self._reception.check_no_iterator()
        self._callbacks.set(given)
        self._reception.offer()

    @overload
    def on(self, name: str) -> Callable[[_F], _F]: ...
    @overload
    def on(self, name: str, callback: _F) -> _F: ...
    def on(self, name: str, callback: _F | None = None) -> _F | Callable[[_F], _F]:
        """Add a callback, beside others of that name; without one it is a decorator.

        Raises:
            LocalProtocolError: as for `set_callbacks`.
        """
        return self._add(name, callback, once=False)

    @overload
    def once(self, name: str) -> Callable[[_F], _F]: ...
    @overload
    def once(self, name: str, callback: _F) -> _F: ...
    def once(self, name: str, callback: _F | None = None) -> _F | Callable[[_F], _F]:
        """Add a callback that is called once; otherwise as `on`."""
        return self._add(name, callback, once=True)

    def off(self, name: str, callback: Callback | None = None) -> None:
        """Take away a callback, or all of that name.

        Raises:
            LocalProtocolError: an unknown name.
        """
        self._clock.here(self._callbacks.off, name, callback)

    def _add(self, name: str, callback: _F | None, *, once: bool) -> _F | Callable[[_F], _F]:
        if callback is None:
            return lambda callback: self._register(name, callback, once)
        return self._register(name, callback, once)

    def _register(self, name: str, callback: _F, once: bool) -> _F:
        def register() -> None:
            if name == RECEIVED:
                self._reception.check_no_iterator()
            self._callbacks.on(name, callback, once=once)
            self._reception.offer()

        self._clock.here(register)
        return callback

    def _put(self, name: str, *args: object) -> None:
        if name in self._callbacks:
            self._dispatcher.put(name, *args)

    # ------------------------------------------------------------ asking

    @property
    def connection_state(self) -> ev.ConnectionState:
        """Where the client is, why, and when it tries again."""
        return self._clock.here(lambda: self._engine.state(self._clock.now()))

    @property
    def guarantee(self) -> ev.Guarantee | None:
        """What a send means against this server; None before the first log-in."""
        return self._engine.guarantee

    @property
    def counters(self) -> Counters:
        """Totals: reconnects, resumed, retransmitted, duplicates_suppressed, accepted, received."""
        return self._engine.counters

    @property
    def user_id(self) -> UserId:
        """Who logs in."""
        return self._engine.user_id

    @property
    def device_id(self) -> str:
        """What the server knows this client object by; drawn at random."""
        return self._engine.device_id

    def explain(self, sent: SentMessage | None = None) -> str:
        """In plain words: the state, why, what is waited for; with `sent`, why it is pending."""
        ref = None if sent is None else sent.ref
        return self._clock.here(lambda: self._engine.explain(self._clock.now(), ref))

    def update_access_token(self, token: str) -> None:
        """Use this token from the next log-in on. A client that gave up over its log-in goes on.

        Raises:
            LocalProtocolError: not 1 to 8192 characters.
        """
        self._clock.here(self._driver.step, inp.UpdateToken(token=token))

    # ------------------------------------------------------------ what the engine tells

    def _on_event(self, event: ev.Event) -> None:
        sent = None
        match event:
            case ev.MessageReceived():
                self._reception.received(Message.of(event))
                return
            case ev.MessageHandedOver() | ev.MessageAccepted() | ev.MessageFailed():
                sent = self._pending.get(event.ref)
                if sent is not None and sent.apply(event):
                    del self._pending[event.ref]
            case ev.Authenticated():
                self._life.logged_in()
                self._reception.logged_in()
            case ev.ErrorOccurred():
                self._life.trouble(event.error, another_way=event.another_way)
                if event.error.terminal:
                    for waiting in list(self._pending.values()):
                        waiting.give_up(event.error)
            case ev.StateChanged():
                if event.current.status is not ev.Status.DISCONNECTED:
                    self._life.trying()
        call = translate(event, sent)
        if call is not None:
            self._put(call[0], *call[1])

    def _on_bug(self, exc: Exception) -> None:
        """The engine, or the I/O loop, raised: everything is aborted, and it is told."""
        LOGGER.error("! a bug in im_proto: the client gives up", exc_info=exc)
        error = IMError(
            IMErrorCode.UNKNOWN_ERROR,
            f"a bug in im_proto, please report it: {type(exc).__name__}",
            terminal=True,
        )
        error.__cause__ = exc
        self._on_event(ev.ErrorOccurred(error=error))

    # ------------------------------------------------------------ loop and threads

    def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        if self._clock.loop is not loop:
            if self._life.in_use:
                raise LocalProtocolError(
                    "this client is connected on another event loop: disconnect() there first"
                )
            self._clock.bind(loop)
