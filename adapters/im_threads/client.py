"""`IMClient`: the client for threads. It carries things to and from the engine, decides nothing."""

from __future__ import annotations

import atexit
import os
import random
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from im_proto.client.turns import Priority
from im_proto.config import ClientConfig
from im_proto.errors import IMError, IMErrorCode, LocalProtocolError
from im_proto.wire import UserId
from im_proto.wire.session import SessionOp
from im_runtime import (
    Answer,
    Asking,
    Callback,
    Client,
    Durability,
    Pending,
    Reception,
    Telling,
    check_slow,
    is_async,
)

from .dispatcher import Dispatcher
from .driver import Driver
from .life import Life
from .loop import Loop
from .message import Message
from .messages import Messages
from .sent import SentMessage
from .sessions import SessionMethods

_F = TypeVar("_F", bound=Callback)
_T = TypeVar("_T")
#: How long all goodbyes together may hold up the end of the program, in seconds.
_AT_EXIT: Final = 0.5
#: All clients, for the end of the program.
_CLIENTS: Final[weakref.WeakSet[IMClient]] = weakref.WeakSet()


class IMClient(SessionMethods, Client):
    """A chat client that keeps its connection and its promises (protocol.md).

        with IMClient(ClientConfig(ws_url=…, token=…, user_id=1)) as client:
            client.send_message(2, "hello")
            for message in client.messages():
                print(message.from_user, message.content)

    Any number of threads may use it. Callbacks run in a thread of their own; they may call and
    wait for everything.

    A client belongs to the process that made it: in a forked child every call raises a
    LocalProtocolError.

    Args:
        config: a `ClientConfig`, or its fields in a mapping. `config.token` may be a plain
            function that is asked for each new token, in a thread of its own.
        ssl_context: for wss; by default the system's certificates, and TLS 1.2 at least.
        slow_callback: seconds after which a running callback is reported, to the log and to
            `notice`; None never does.
        log_content: the log has the text of messages; None asks the environment
            (IM_LOG_CONTENT).
        rng: where masks, keys, delays and the device id are drawn from. Anything but a
            `random.SystemRandom` is for tests (RFC 6455 section 5.3).
        wall: the wall clock, in seconds since 1970.
        storage: the path of a file that keeps what must outlive the program: messages on their way
            out, what was handled, the device id. It is opened here, which takes a moment of disk,
            and taken for this client alone until `close()`. None: nothing is kept.
        durability: what the file survives: "power" a power cut, "process" a crash of the program.

    Raises:
        pydantic.ValidationError: the configuration is wrong.
        LocalProtocolError: the token function is async; or `slow_callback`, `storage` or
            `durability` is wrong.
        IMError: JOURNAL_FAILED: the storage can't be used; says why, and what to do.
    """

    def __init__(
        self,
        config: ClientConfig | Mapping[str, Any],
        *,
        ssl_context: ssl.SSLContext | None = None,
        slow_callback: float | None = 5.0,
        log_content: bool | None = None,
        rng: random.Random | None = None,
        wall: Callable[[], float] = time.time,
        storage: str | os.PathLike[str] | None = None,
        durability: Durability = "power",
    ) -> None:
        check_slow(slow_callback)
        config = config if isinstance(config, ClientConfig) else ClientConfig(**config)
        token = config.token
        if not isinstance(token, str):
            _check_plain("the token function", token)
        super().__init__(
            config,
            logger="im_threads",
            log_content=log_content,
            now=Loop.now,
            wall=wall,
            rng=rng,
            storage=storage,
            durability=durability,
        )
        # By name, as these are needed before they are made; a bug may come from anywhere.
        self._loop = Loop(
            "im_threads", busy=lambda: self._life.busy, failed=lambda exc: self._driver.broken(exc)
        )
        self._life: Life = Life(
            self._engine,
            self._loop,
            log=self._log,
            close_timeout=self.config.timeouts.close,
            changed=lambda: self._reception.wake(),
            closed=self._closed,
        )
        self._dispatcher = Dispatcher(
            self._loop, self._callbacks, log=self._log, slow=slow_callback
        )
        self._calls = self._dispatcher.calls
        self._reception: Reception[Messages] = Reception(
            self._callbacks,
            self._calls,
            iteration=lambda source: Messages(source, loop=self._loop),
            supply=self._life.supply,
            feed=lambda item: self._driver.feed(item),
            message=Message,
            desk=self._desk,
            manual=self.config.ack == "manual",
        )
        self._pending: Pending[SentMessage] = Pending(self._engine, self._restore)
        self._asking = Asking(lambda: self._engine.sessions_over_http)
        self._telling = Telling(
            self._callbacks,
            self._calls,
            standing=self._life,
            reception=self._reception,
            pending=self._pending,
            asking=self._asking,
            log=self._log,
        )
        self._driver = Driver(
            self._engine,
            self._loop,
            log=self._log,
            token=token,
            deliver=self._telling.event,
            failed=self._telling.bug,
            quiet=self._life.quiet,
            ssl_context=ssl_context,
            wall=wall,
            journal=self._journal,
        )
        self._driver.awaited = lambda: len(self._asking) > 0
        self._life.driver, self._life.dispatcher = self._driver, self._dispatcher
        _CLIENTS.add(self)

    # ------------------------------------------------------------ connecting

    def __enter__(self) -> Self:
        try:
            self.connect()
        except BaseException:
            if self._journal is not None:
                self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def connect(self, timeout: float | None = 30.0, *, retry: bool = False) -> None:
        """Connect and log in. Returns when logged in, at once if it is.

        After a failure or a timeout there is no connection and no attempt; what is queued stays
        queued. Once it has returned, the client comes back by itself after every lost link.

        Args:
            timeout: seconds for all of it; None waits as long as it takes.
            retry: go on after failed attempts as `config.reconnect` says, until the timeout. An
                end that trying again can't change (a refused log-in) raises all the same.

        Raises:
            IMError: CONNECTION_FAILED, CONNECTION_TIMEOUT, CONNECTION_LOST, AUTH_FAILED,
                AUTH_TIMEOUT, TOKEN_INVALID, RECONNECT_FAILED …
            LocalProtocolError: the client is closed.
        """
        self._life.connect(timeout, retry=retry)

    def disconnect(self) -> None:
        """End the connection; returns when the transport is gone and the callbacks were called.

        Takes at most `config.timeouts.close` seconds and a little for each of the two; then the
        transport is aborted, and a callback that still runs is not waited for any more. Called
        inside a callback it does not wait for callbacks.

        What is queued stays queued, and goes out after another `connect()`. Messages that came in
        and are not handled come again then. Doing it twice, or without a connection, is no error.
        """
        self._life.disconnect()

    def close(self) -> None:
        """`disconnect()`, for good: returns when the client's threads have ended.

        But for those that nobody can end: a callback that still runs then, and a look-up of a
        name or a token function that has not come back; they hold up neither this nor the end of
        the program. Whoever waits, in whichever call, is released. Twice is no error.

        The storage, if there is one, is closed: what was queued stays in it, for the next client
        that opens it. A disk that hangs holds this up for some seconds, and not for ever.
        """
        self._life.close()

    # ------------------------------------------------------------ sending

    def send_message(
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
        for a client that has given up. Its timeout does not withdraw the message;
        `sent.cancel()` does.

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
        self._loop.check()
        message = (to_user_id, content, message_type, session_id, priority, key)
        sent: SentMessage = self._here(self._send, message, ttl, wait)
        return sent.accepted(timeout)

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

        With `storage` it is on disk when `sent.queued()` returns; with `wait` that holds back
        whoever would queue more.

        Args: as for `send_message`.

        Raises:
            IMError: QUEUE_FULL or MESSAGE_FORMAT_ERROR; nothing was queued.
            LocalProtocolError: another message was sent under that key; or the client is closed.
        """
        message = (to_user_id, content, message_type, session_id, priority, key)
        sent: SentMessage = self._here(self._queue, message, ttl, wait)
        return sent

    @property
    def outbox(self) -> list[SentMessage]:
        """The messages that have no end yet, in the order they were given; with `storage`, those
        of earlier processes too."""
        return self._here(self._pending.all)

    def _send(self, message: tuple[Any, ...], ttl: float | None, wait: bool) -> SentMessage:
        if self._life.gave_up is not None:
            raise self._life.gave_up.with_traceback(None)
        return self._queue(message, ttl, wait)

    def _queue(self, message: tuple[Any, ...], ttl: float | None, wait: bool) -> SentMessage:
        sent = self._new_sent(self._pending.new_ref(), *message)
        return self._pending.queue(sent, self._step, ttl=ttl, wait=wait)

    def _new_sent(self, *message: Any) -> SentMessage:
        return SentMessage(*message, loop=self._loop, cancel=self._cancel, handling=self._handling)

    def _handling(self) -> bool:
        return self._dispatcher.inside or self._reception.holds(threading.get_ident())

    # ------------------------------------------------------------ receiving

    def messages(self, timeout: float | None = None) -> Messages:
        """The messages that come in, and those that came in and are not handled.

        See `Messages`: asking for the next acknowledges the one before.

        Args:
            timeout: the iterator ends when no message has come for so many seconds.

        Raises:
            LocalProtocolError: there is a `message_received` callback, or another thread waits in
                an iterator of this client.
        """
        messages = self._here(self._reception.messages)
        messages.timeout = timeout
        return messages

    # ------------------------------------------------------------ sessions

    def _ask(self, op: SessionOp, **params: Any) -> Answer:
        self._loop.check()
        ended = threading.Event()
        asked = self._here(lambda: self._asking.ask(op, params, step=self._step, wake=ended.set))
        try:
            self._loop.wait(ended)
        except BaseException:
            self._loop.post(self._forget, asked)
            raise
        return asked.result()

    # ------------------------------------------------------------ callbacks

    def set_callbacks(
        self, callbacks: Mapping[str, Callback | None] | None = None, /, **more: Callback | None
    ) -> None:
        given = {**(callbacks or {}), **more}
        for name, callback in given.items():
            _check_plain(f"the callback {name!r}", callback)
        super().set_callbacks(given)

    set_callbacks.__doc__ = Client.set_callbacks.__doc__

    def _register(self, name: str, callback: _F, once: bool) -> _F:
        _check_plain(f"the callback {name!r}", callback)
        return super()._register(name, callback, once)

    # ------------------------------------------------------------ inside

    def _here(self, function: Callable[..., _T], *args: Any) -> _T:
        return self._loop.ask(function, *args)

    def _closed(self) -> None:
        """For good: nobody is left waiting."""
        self._reception.wake()
        text = "the client was closed before the server had accepted the message"
        self._pending.close(IMError(IMErrorCode.MESSAGE_SEND_FAILED, text))
        text = "the client was closed before the server had answered"
        self._asking.give_up(IMError(IMErrorCode.NETWORK_ERROR, text))


def _check_plain(what: str, function: Callable[..., Any] | None) -> None:
    if function is not None and is_async(function):
        raise LocalProtocolError(f"{what} is async: im_threads calls plain ones, im_asyncio both")


@atexit.register
def _at_exit() -> None:
    """A program that has forgotten close() ends soon, and says goodbye where it can."""
    lives = [client._life for client in list(_CLIENTS)]
    ending = [(life, gone) for life in lives if (gone := life.begin_to_exit()) is not None]
    end = time.monotonic() + _AT_EXIT
    for life, gone in ending:
        life.exit(gone, end - time.monotonic())
