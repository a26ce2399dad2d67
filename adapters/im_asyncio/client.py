"""`IMClient`: the asyncio client. It carries things to and from the engine and decides nothing."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from im_proto.client.turns import Priority
from im_proto.config import ClientConfig
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_proto.wire import UserId
from im_proto.wire.session import SessionOp
from im_runtime import (
    Answer,
    Asking,
    Client,
    Durability,
    Pending,
    Reception,
    Telling,
    check_slow,
    unanswered,
)

from .clock import Clock
from .dispatcher import Dispatcher
from .driver import Driver, wake
from .life import Life
from .message import Message
from .messages import Messages
from .sent import SentMessage
from .sessions import SessionMethods

_T = TypeVar("_T")


class IMClient(SessionMethods, Client):
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
        slow_callback: a callback that runs longer than so many seconds is reported, by name, in
            the log, to `notice` and by `explain()`; None reports none.
        log_content: the log has the text of messages, clipped; None: if IM_LOG_CONTENT=1.
        rng: where masks, keys, delays and the device id are drawn from. Anything but a
            `random.SystemRandom` is for tests (RFC 6455 section 5.3).
        wall: the wall clock, in seconds since 1970.
        storage: the path of a file that keeps what must outlive the program: messages on their way
            out, what was handled, the device id. It is opened here, which takes a moment of disk,
            and taken for this client alone until `close()`. None: nothing is kept.
        durability: what the file survives: "power" a power cut, "process" a crash of the program.

    Raises:
        pydantic.ValidationError: the configuration is wrong.
        LocalProtocolError: `callbacks`, `slow_callback`, `storage` or `durability` is.
        IMError: JOURNAL_FAILED: the storage can't be used; says why, and what to do.
    """

    def __init__(
        self,
        config: ClientConfig | Mapping[str, Any],
        *,
        callbacks: Literal["thread", "inline"] = "thread",
        ssl_context: ssl.SSLContext | None = None,
        slow_callback: float | None = 5.0,
        log_content: bool | None = None,
        rng: random.Random | None = None,
        wall: Callable[[], float] = time.time,
        storage: str | os.PathLike[str] | None = None,
        durability: Durability = "power",
    ) -> None:
        check_slow(slow_callback)
        if callbacks not in ("thread", "inline"):
            raise LocalProtocolError(f"callbacks is 'thread' or 'inline', not {callbacks!r}")
        self._clock = Clock.here_if_any()
        super().__init__(
            config,
            logger="im_asyncio",
            log_content=log_content,
            now=self._clock.now,
            wall=wall,
            rng=rng,
            storage=storage,
            durability=durability,
        )
        self._driver = Driver(
            self._engine,
            self._clock,
            log=self._log,
            token=self.config.token,
            deliver=lambda event: self._telling.event(event),
            failed=lambda exc: self._telling.bug(exc),
            ssl_context=ssl_context,
            wall=wall,
            journal=self._journal,
            close_timeout=self.config.timeouts.close,
        )
        self._dispatcher = Dispatcher(
            self._callbacks,
            self._clock,
            log=self._log,
            inline=callbacks == "inline",
            slow=slow_callback,
        )
        self._calls = self._dispatcher.calls
        self._life: Life = Life(
            self._engine,
            self._driver,
            self._dispatcher,
            log=self._log,
            close_timeout=self.config.timeouts.close,
            changed=lambda: self._reception.wake(),
        )
        self._reception: Reception[Messages] = Reception(
            self._callbacks,
            self._calls,
            iteration=Messages,
            supply=self._life.supply,
            feed=self._driver.feed,
            message=Message,
            desk=self._desk,
            manual=self.config.ack == "manual",
        )
        self._pending: Pending[SentMessage] = Pending(self._engine, self._restore)
        self._asking = Asking(lambda: self._engine.sessions_over_http)
        self._driver.awaited = lambda: len(self._asking) > 0
        self._telling = Telling(
            self._callbacks,
            self._calls,
            standing=self._life,
            reception=self._reception,
            pending=self._pending,
            asking=self._asking,
            log=self._log,
        )

    def _here(self, function: Callable[..., _T], *args: Any) -> _T:
        return self._clock.here(function, *args)

    # ------------------------------------------------------------ connecting

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            if self._journal is not None:
                await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

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
            LocalProtocolError: the client is in use on another event loop, or closed.
        """
        if self._driver.closed:
            raise LocalProtocolError("connect(): this client is closed, for good")
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

    async def close(self) -> None:
        """`disconnect()`, and the storage, if there is one, is closed, for good: what was queued
        stays in it, for the next client that opens it, and whoever waits for a message is released.

        Takes a little longer than `disconnect()`, but not for ever, also if the disk hangs. Twice
        is no error. `async with` ends with it. Without storage the client can be connected again.

        Raises:
            LocalProtocolError: the client is in use on another event loop.
        """
        try:
            await self.disconnect()
        finally:
            if self._journal is not None and not self._driver.closed:
                try:
                    await self._life.close_storage()
                finally:
                    text = (
                        "the client was closed before the server had accepted the message; what "
                        "was queued() stays in the storage, for the next one"
                    )
                    self._pending.close(IMError(IMErrorCode.MESSAGE_SEND_FAILED, text))

    # ------------------------------------------------------------ sending

    async def send_message(
        self,
        to_user_id: UserId,
        content: str,
        message_type: str = "text",
        session_id: int | None = None,
        timeout: float | None = None,
        *,
        priority: Priority = "normal",
        key: str | None = None,
        ttl: float | None = None,
        wait: bool = False,
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
            priority: "high", "normal" or "low": conversations with a higher one go first, in a
                mix that lets the others through. Inside a conversation the order stays.
            key: the application's own name for it, 1 to 256 printable characters: sent again under
                the same key it is the same message, also in the next process with `storage`, for
                `config.keys_kept` seconds after its end. The message that it is, is returned.
            ttl: seconds after which it expires, if no transport had it; None: as
                `config.time_to_live` says.
            wait: where the outbox is full, stand in line for room instead of QUEUE_FULL.

        Raises:
            IMError: QUEUE_FULL and MESSAGE_FORMAT_ERROR, and nothing was queued;
                MESSAGE_SEND_FAILED, SERVER_ERROR, IN_DOUBT, MESSAGE_CANCELLED, MESSAGE_EXPIRED,
                JOURNAL_FAILED, with the message as `error.sent`; MESSAGE_TIMEOUT, with a message
                that is still on its way. When the client has given up, the error that it gave up
                over: before, and nothing was queued; or meanwhile, with a message that goes out
                after connect().
            LocalProtocolError: another message was sent under that key; or the client is closed.
        """
        if self._life.gave_up is not None:
            raise self._life.gave_up.with_traceback(None)
        sent = self.queue_message(
            to_user_id,
            content,
            message_type,
            session_id,
            priority=priority,
            key=key,
            ttl=ttl,
            wait=wait,
        )
        if timeout is None:
            return await sent.accepted()
        try:
            async with asyncio.timeout(timeout):
                return await sent.accepted()
        except TimeoutError:
            if sent.done:
                return await sent
            raise unanswered(sent, timeout) from None

    def queue_message(
        self,
        to_user_id: UserId,
        content: str,
        message_type: str = "text",
        session_id: int | None = None,
        *,
        priority: Priority = "normal",
        key: str | None = None,
        ttl: float | None = None,
        wait: bool = False,
    ) -> SentMessage:
        """Queue a message and return at once, with or without a connection.

        With `storage` it is on disk when `await sent.queued()` returns; with `wait` that holds back
        whoever would queue more.

        Args: as for `send_message`.

        Raises:
            IMError: QUEUE_FULL or MESSAGE_FORMAT_ERROR; nothing was queued.
            LocalProtocolError: another message was sent under that key; or the client is closed.
        """
        return self._here(
            self._queue, to_user_id, content, message_type, session_id, priority, key, ttl, wait
        )

    @property
    def outbox(self) -> list[SentMessage]:
        """The messages that have no end yet, in the order they were given; with `storage`, those
        of earlier processes too."""
        return self._here(self._pending.all)

    def _queue(
        self,
        to_user_id: UserId,
        content: str,
        message_type: str,
        session_id: int | None,
        priority: Priority,
        key: str | None,
        ttl: float | None,
        wait: bool,
    ) -> SentMessage:
        sent = self._new_sent(
            self._pending.new_ref(), to_user_id, content, message_type, session_id, priority, key
        )
        return self._pending.queue(sent, self._driver.step, ttl=ttl, wait=wait)

    def _new_sent(self, *message: Any) -> SentMessage:
        return SentMessage(*message, self._cancel, self._handling)

    def _handling(self) -> bool:
        task = asyncio.current_task()
        return self._dispatcher.runs_in(task) or self._reception.holds(task)

    # ------------------------------------------------------------ receiving

    def messages(self) -> Messages:
        """The messages that come in, and those that came in and are not handled.

        See `Messages`: asking for the next acknowledges the one before.

        Raises:
            LocalProtocolError: there is a `message_received` callback, or another task waits in
                an iterator of this client.
        """
        return self._here(self._reception.messages)

    # ------------------------------------------------------------ sessions

    async def _ask(self, op: SessionOp, **params: Any) -> Answer:
        self._bind()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asked = self._asking.ask(op, params, step=self._step, wake=partial(wake, waiter))
        try:
            if not asked.done:
                await waiter
        except asyncio.CancelledError:
            self._forget(asked)
            raise
        return asked.result()

    def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        if self._clock.loop is not loop:
            if self._life.in_use or len(self._asking):
                raise LocalProtocolError(
                    "this client is in use on another event loop: disconnect() there first"
                )
            self._clock.bind(loop)
            self._driver.turn_ended()  # one that the loop before may not have come to
