"""What the author of an adapter writes for the kit: a `Subject`, in a few lines."""

from __future__ import annotations

import queue
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import StrEnum
from typing import ClassVar, Final, Generic, Protocol, TypeAlias, TypeVar

from ...client.events import Event
from ...client.inputs import Input
from ...config import ClientConfig

_H = TypeVar("_H")
#: What a loop's thread may take to begin and to end, in seconds.
_PATIENCE: Final = 10.0


class Feature(StrEnum):
    """What an adapter may leave out; only cases of the level `extras` need one."""

    TLS = "tls"
    IPV6 = "ipv6"
    UNIX = "unix"
    PROXY = "proxy"
    CALLBACKS = "callbacks"
    JOURNAL = "journal"
    """The factory takes the keyword `storage` (see `StoringFactory`), and there is `kill`."""


class Reaction(StrEnum):
    """What a callback of an application does in a case about callbacks."""

    #: raise an exception
    RAISE = "raise"
    #: take about 0.4 s of its own time without giving it back, as `time.sleep` does
    SLOW = "slow"
    #: send a message to user 2 with the content "from inside", and wait for its acceptance
    SEND = "send"
    #: disconnect the client, and wait for that
    DISCONNECT = "disconnect"


class Subject(ABC):
    """One client of the adapter under test, behind calls that block.

    The kit calls from threads of its own, never from inside of `on_event`. A loop, if there is
    one, runs in a thread of its own: see `LoopThread`. A call that can't be done raises.
    """

    #: what the adapter can do, beyond plain TCP
    features: ClassVar[frozenset[Feature]] = frozenset()
    #: how the names of threads begin that the loop's library keeps for later use
    kept_threads: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def connect(self, timeout: float) -> None:
        """Connect and log in; return when logged in.

        Raises:
            IMError: the first attempt failed. Nothing is left running then.
            Exception: any other, for `cancel_connect` and for the timeout (in seconds). Nothing
                is left running then either.
        """

    @abstractmethod
    def cancel_connect(self) -> None:
        """Make a `connect` that waits in another thread end now."""

    @abstractmethod
    def feed(self, item: Input) -> None:
        """Give the engine one of the application's inputs, from any thread, and carry out what it
        wants: Send, MessageHandled, MessageTaken, UpdateToken, NetworkChanged.

        Raises:
            IMError, LocalProtocolError: the engine refused it.
        """

    @abstractmethod
    def disconnect(self) -> None:
        """End the connection; return when its socket is closed. Without one it does nothing."""

    @abstractmethod
    def close(self) -> None:
        """End the client for good, in whatever state it is, and the loop with its thread."""

    @abstractmethod
    def left_behind(self) -> list[str]:
        """What is still there after `disconnect` and should not be: tasks, timers, transports.

        Threads and sockets of the process are counted by the kit itself, after `close`.
        """

    def react(self, name: str, reaction: Reaction) -> None:
        """Register a callback for that name ("message_received", "connected" …) that does this.

        Only for adapters with Feature.CALLBACKS. It does it in the way that an application of this
        adapter would.
        """
        raise NotImplementedError(f"{type(self).__name__} has no callbacks")

    def kill(self) -> None:
        """End the client as the death of its process would, and the loop with its thread: nothing
        more is said to the peer, nothing more is written to the journal, sockets are closed, and
        the journal's file is free.

        Only for adapters with Feature.JOURNAL.
        """
        raise NotImplementedError(f"{type(self).__name__} has no journal")


#: config, who takes every event of the engine in its order (from any thread; it returns at
#: once), and what TLS trusts (None: the system's certificates).
Factory: TypeAlias = Callable[
    [ClientConfig, Callable[[Event], None], "ssl.SSLContext | None"], Subject
]


class StoringFactory(Protocol):
    """What a factory with Feature.JOURNAL can do beside: `storage` is the path of a journal, which
    is there already, or is made.

    Raises:
        IMError: JOURNAL_FAILED, if another client has the file.
    """

    def __call__(
        self,
        config: ClientConfig,
        on_event: Callable[[Event], None],
        ssl_context: ssl.SSLContext | None,
        /,
        *,
        storage: str,
    ) -> Subject: ...


class LoopThread(Generic[_H]):
    """A thread in which a loop runs, for a `Subject`.

    Args:
        main: called in the thread; it calls `ready(handle)` when the loop takes calls from other
            threads, and returns when the loop has ended.

    Raises:
        Exception: what `main` raised before it was ready.
    """

    def __init__(self, main: Callable[[Callable[[_H], None]], None]) -> None:
        self._ready: queue.SimpleQueue[tuple[_H | None, BaseException | None]]
        self._ready = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(main,), name="loop under test")
        self._thread.daemon = True  # a loop that hangs must not keep the process from ending
        self._thread.start()
        handle, error = self._ready.get(timeout=_PATIENCE)
        if handle is None:
            raise error or RuntimeError("main() returned before it was ready")
        #: what `main` gave to `ready`
        self.handle: _H = handle

    def _run(self, main: Callable[[Callable[[_H], None]], None]) -> None:
        try:
            main(lambda handle: self._ready.put((handle, None)))
        except BaseException as error:
            self._error = error
        self._ready.put((None, self._error))

    def join(self) -> None:
        """Wait for the end of the loop, which was told to end.

        Raises:
            TimeoutError: it goes on.
            BaseException: what `main` raised.
        """
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            raise TimeoutError(f"the loop's thread still runs {_PATIENCE:g} s after it should end")
        if self._error is not None:
            raise self._error
