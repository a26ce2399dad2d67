"""What `IMClient` has in every adapter: what doesn't depend on how one waits."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, overload

from im_proto.client import ClientEngine, Counters
from im_proto.client import events as ev
from im_proto.client import inputs as inp
from im_proto.client.journal import OutgoingRecord
from im_proto.config import ClientConfig
from im_proto.errors import LocalProtocolError
from im_proto.wire import UserId
from im_proto.wire.session import SessionVO

from .callbacks import Callback, Callbacks
from .calls import Calls
from .driving import Driver
from .environment import read_environment
from .journal import Durability, Journal
from .log import Log
from .message import Desk, Message
from .pending import Pending
from .reception import RECEIVED, Reception
from .sent import SentMessage
from .sessions import Asked, Asking
from .standing import Standing
from .telling import Telling
from .transaction import Transaction

_F = TypeVar("_F", bound=Callback)
_T = TypeVar("_T")
#: One for all clients: it has no state, but takes 2.5 KB.
_RANDOM: Final = random.SystemRandom()


class Client:
    """An engine, its log, its callbacks, and what one can ask. `IMClient` is made of it.

    There is no lock in here. What touches the engine runs in `_here`, which an adapter writes: in
    the one thread, or under the one lock, in which the engine is stepped.

    Args:
        config: a `ClientConfig`, or its fields in a mapping.
        logger: its name.
        log_content: the log has the text of messages; None asks the environment.
        now: seconds on a monotonic clock.
        wall: the wall clock, in seconds since 1970.
        rng: for the engine; None for the system's.
        storage: the path of the journal; None: nothing is kept.
        durability: what the journal survives.

    Raises:
        pydantic.ValidationError: the configuration is wrong.
        LocalProtocolError: the path names no file, or `durability` is another one.
        IMError: JOURNAL_FAILED: what is wrong with the file, and what to do.
    """

    #: An adapter makes these.
    _asking: Asking
    _calls: Calls
    _driver: Driver[Any]
    _life: Standing
    _pending: Pending[Any]
    _reception: Reception[Any]
    _telling: Telling

    def __init__(
        self,
        config: ClientConfig | Mapping[str, Any],
        *,
        logger: str,
        log_content: bool | None,
        now: Callable[[], float],
        wall: Callable[[], float],
        rng: random.Random | None,
        storage: str | os.PathLike[str] | None,
        durability: Durability,
    ) -> None:
        self.config = config if isinstance(config, ClientConfig) else ClientConfig(**config)
        content = read_environment()
        self._log = Log(logger, content=content if log_content is None else log_content)
        self._now = now
        #: an open one, from here on until the client is closed
        self._journal = None
        if storage is not None:
            self._journal = Journal(
                storage,
                user=self.config.user_id,
                durability=durability,
                known_pairs=self.config.known_pairs,
            )
            self._journal.open()
        try:
            self._engine = ClientEngine(
                self.config,
                now=now(),
                wall=wall(),
                rng=_RANDOM if rng is None else rng,
                journal=None if self._journal is None else self._journal.load(),
                turns=True,
            )
        except BaseException:
            if self._journal is not None:
                self._journal.close()
            raise
        self._callbacks = Callbacks()
        self._desk = Desk(
            self._settle,
            self._transaction,
            lambda: 0 if self._journal is None else self._journal.resets,
        )

    def _here(self, function: Callable[..., _T], *args: Any) -> _T:
        """Call it where the engine may be touched, and wait for its result."""
        raise NotImplementedError

    def _step(self, item: inp.Input) -> None:
        """Step the engine, and carry out what it wants. Called in `_here`."""
        self._driver.step(item)

    def _new_sent(self, *message: Any) -> Any:
        """Make a message on its way out."""
        raise NotImplementedError

    def _restore(self, record: OutgoingRecord) -> Any:
        sent = self._new_sent(
            record.ref,
            record.to_user,
            record.content,
            record.message_type,
            record.session_id,
            record.priority,
            record.key,
        )
        return sent.restore(record)

    def _settle(self, message: Message, ok: bool) -> None:
        """The application is done with a message, or has failed on it. In any thread."""

        def settle() -> None:
            if self._driver.closed:
                raise LocalProtocolError("this client is closed, for good: the message comes again")
            self._reception.settle(message, ok)

        self._here(settle)

    def _transaction(self, message: Message) -> Transaction:
        """A transaction in which a message is handled. In any thread."""
        if self._journal is None or self._driver.closed:
            raise LocalProtocolError(
                "transaction() needs a client with storage, before it is closed"
            )
        return Transaction(self._journal, message)

    def _cancel(self, sent: SentMessage) -> bool:
        """Withdraw a message; True if it will not be sent. For its `cancel`."""

        def cancel() -> bool:
            if sent.status != "queued":
                return False
            try:
                self._step(inp.Cancel(ref=sent.ref))
            except LocalProtocolError:  # it is just being handed over, or withdrawn already
                return False
            return True

        return self._here(cancel)

    def _forget(self, asked: Asked) -> None:
        """Nobody waits for this answer any more. Called in `_here`."""
        self._asking.forget(asked)
        if not (len(self._asking) or self._life.in_use):
            self._driver.feed(inp.Disconnect())  # nothing is left running

    # ------------------------------------------------------------ callbacks

    def set_callbacks(
        self, callbacks: Mapping[str, Callback | None] | None = None, /, **more: Callback | None
    ) -> None:
        """Set one callback per name, in place of the one set before; None takes it away.

        The names, with their arguments, stand in `im_runtime.NAMES`: connected, disconnected,
        reconnecting, reconnected, authenticated, auth_failed, message_received, message_sent,
        message_failed, undeliverable, own_message, receipt, read_elsewhere, typing, presence,
        heartbeat_sent, heartbeat_received, error, state_changed, notice.

        All are called in the order of the events, one at a time. A message is acknowledged when
        its callbacks have returned, or, with `config.ack="manual"`, by `message.ack()`. One that
        raises is logged and told to `error`; its message is offered again at once, at most
        `config.handler_attempts` times in all, and then told to `undeliverable`. One that is slow
        is logged and told to `notice`; heartbeats go on, and `config.max_unhandled` bounds the
        messages that wait behind it. message_sent and message_failed are never dropped: one waits
        for each message that was sent meanwhile. Of the others a thousand may wait; then the
        oldest are dropped.

        Raises:
            LocalProtocolError: an unknown name, something that can't be called, or a
                `message_received` beside an iterator of `messages()`. Nothing was set.
        """
        given = {**(callbacks or {}), **more}

        def set_all() -> None:
            if given.get(RECEIVED) is not None:
                self._reception.check_no_iteration()
            self._callbacks.set(given)
            self._reception.listen()

        self._here(set_all)

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
        self._here(self._callbacks.off, name, callback)

    def _add(self, name: str, callback: _F | None, *, once: bool) -> _F | Callable[[_F], _F]:
        if callback is None:
            return lambda callback: self._register(name, callback, once)
        return self._register(name, callback, once)

    def _register(self, name: str, callback: _F, once: bool) -> _F:
        def register() -> None:
            if name == RECEIVED:
                self._reception.check_no_iteration()
            self._callbacks.on(name, callback, once=once)
            self._reception.listen()

        self._here(register)
        return callback

    # ------------------------------------------------------------ asking

    @property
    def connection_state(self) -> ev.ConnectionState:
        """Where the client is, why, and when it tries again."""
        return self._here(lambda: self._engine.state(self._now()))

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
        """What the server knows this client by: `config.device_id`, else that of the storage, else
        one that is drawn for this client object."""
        return self._engine.device_id

    def explain(self, sent: SentMessage | None = None) -> str:
        """In plain words: the state, why, what is waited for; with `sent`, why it is pending.

        A callback that has been running for too long is named too.
        """

        def explain() -> str:
            if sent is not None:
                return self._engine.explain(self._now(), sent.ref)
            return " ".join(
                filter(None, (self._engine.explain(self._now()), self._calls.explain()))
            )

        return self._here(explain)

    def get_cached_session(self, session_id: int) -> SessionVO | None:
        """A session as the server told it last; None if none of this id was told. Asks nobody."""
        return self._here(self._engine.cached_session, session_id)

    def get_all_cached_sessions(self) -> list[SessionVO]:
        """The sessions that the server told last, at most 1000. Asks nobody."""
        return self._here(self._engine.cached_sessions)

    # ------------------------------------------------------------ telling

    def mark_read(self, message: Message) -> None:
        """The user has read this message, and all that its sender wrote before it.

        Its sender is told where the server has `receipts`, and so are this user's other devices;
        without a connection, after the next log-in of this client object.

        Raises:
            LocalProtocolError: the server did not say who sent it, or its number.
        """
        if message.from_user is None or message.msg_id is None:
            raise LocalProtocolError("mark_read() of a message without from_user or msg_id")
        self._here(self._step, inp.MarkRead(from_user=message.from_user, msg_id=message.msg_id))

    def typing(self, to_user_id: UserId, active: bool = True) -> None:
        """The user has begun (or stopped) to write to somebody. It is told where the server takes
        it, and not too often; else it is nothing.

        Raises:
            LocalProtocolError: that is no user id.
        """
        self._here(self._step, inp.SetTyping(to_user=to_user_id, active=active))

    def update_access_token(self, token: str) -> None:
        """Use this token from now on: at once on a connection whose server can take it there, else
        from the next log-in on. A client that gave up over its log-in goes on.

        Raises:
            LocalProtocolError: not 1 to 8192 characters.
        """
        self._here(self._step, inp.UpdateToken(token=token))

    def network_changed(self) -> None:
        """The machine has a network again, or another one; its adapters may say so.

        A client that waits for its next attempt makes it now. One that is logged in looks at once
        whether its link still lives.
        """
        self._here(self._step, inp.NetworkChanged())
