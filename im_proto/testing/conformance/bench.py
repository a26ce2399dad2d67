"""What a case works with: the peer, the adapter under test, and what they told."""

from __future__ import annotations

import gc
import itertools
import os
import ssl
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

from ...client import events as ev
from ...client.inputs import MessageHandled, Send
from ...config import ClientConfig
from ...errors import IMError
from ...wire import AuthData, AuthRequest, AuthResponse, UserId
from .failure import Failed
from .peer import PATIENCE, Connection, Peer
from .subject import Factory, StoringFactory, Subject

_T = TypeVar("_T")
_E = TypeVar("_E")
DATA: Final = Path(__file__).parent / "data"
#: More bytes than the buffers of two kernels take, which grow up to some megabytes.
FLOOD: Final = 9_000_000
#: How the threads of the kit are called.
_OWN: Final = "im-conformance"
#: The configuration of every case, but for what it changes: no deadline comes by chance.
QUIET: Final[dict[str, Any]] = {
    "token": "conformance-token",
    "user_id": 1,
    "reconnect": {"initial_delay": 0.02, "max_delay": 0.05, "jitter": "none"},
    "heartbeat": {"interval": 60, "timeout": 60},
    "sleep_watch": None,
}
#: The same for `timeouts`.
PATIENT: Final = {"connect": 30, "auth": 30, "token": 30, "ack": 30, "partial": 30, "close": 0.3}


class Call(Generic[_T]):
    """A call of the subject, in a thread of its own, so that one that hangs is only a failure."""

    def __init__(self, name: str, function: Callable[[], _T], patience: float) -> None:
        self._name = name
        self._patience = patience
        self._function = function
        self._error: BaseException | None = None
        self._value: _T
        self._thread = threading.Thread(target=self._run, name=f"{_OWN}: {name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:
            self._error = error

    @property
    def done(self) -> bool:
        """Has it returned or raised?"""
        return not self._thread.is_alive()

    def _wait(self) -> None:
        self._thread.join(self._patience)
        if self._thread.is_alive():
            raise Failed(f"{self._name} did not return within {self._patience:g} s")

    def result(self) -> _T:
        """What it returned.

        Raises:
            Failed: it hangs, or it raised.
        """
        self._wait()
        if self._error is not None:
            error = self._error
            raise Failed(f"{self._name} raised {type(error).__name__}: {error}") from error
        return self._value

    def error(self) -> BaseException:
        """What it raised.

        Raises:
            Failed: it hangs, or it returned.
        """
        self._wait()
        if self._error is None:
            raise Failed(f"{self._name} returned; it should have raised")
        return self._error

    def im_error(self) -> IMError:
        """The IMError that it raised.

        Raises:
            Failed: it hangs, it returned, or it raised something else.
        """
        error = self.error()
        if not isinstance(error, IMError):
            raise Failed(
                f"{self._name} raised {type(error).__name__}: {error}; an IMError was due, the "
                "one that the engine told in ErrorOccurred"
            ) from error
        return error


class Bench:
    """Everything of one case.

    Args:
        factory: makes the adapter under test.
        ssl_context: what TLS trusts.
        patience: seconds to wait for anything that should come at once.
    """

    def __init__(
        self, factory: Factory, ssl_context: ssl.SSLContext, patience: float = PATIENCE
    ) -> None:
        self._factory = factory
        self._ssl_context = ssl_context
        #: as it was given
        self.patience = patience
        self._threads = set(threading.enumerate())
        self._sockets = _sockets()
        self._peers: list[Peer] = []
        self._subject: Subject | None = None
        self._told = threading.Condition()
        self.events: list[ev.Event] = []
        self._refs = itertools.count(1_000_001)
        self._closed = False
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    # -- the two sides

    def peer(self, *args: Any, **kwargs: Any) -> Peer:
        """A peer that listens; see `Peer`."""
        peer = Peer(*args, patience=self.patience, **kwargs)
        self._peers.append(peer)
        return peer

    @property
    def subject(self) -> Subject:
        """The adapter under test."""
        if self._subject is None:
            raise RuntimeError("a case that calls the subject before client()")
        return self._subject

    def client(self, url: str, *, timeouts: dict[str, float] | None = None, **more: Any) -> None:
        """Make the client under test; `more` are fields of ClientConfig."""
        config = _config(url, timeouts, more)
        self._closed = False
        self._subject = self.call(
            "the factory", lambda: self._factory(config, self._on_event, self._ssl_context)
        ).result()

    def storing(self, url: str, **more: Any) -> Call[Subject]:
        """Begin to make a client with the journal of this case; see `storing_client`."""
        factory, config = cast("StoringFactory", self._factory), _config(url, None, more)
        if self._directory is None:
            self._directory = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        storage = str(Path(self._directory.name) / "journal.db")
        return self.call(
            "the factory",
            lambda: factory(config, self._on_event, self._ssl_context, storage=storage),
        )

    def storing_client(self, url: str, **more: Any) -> None:
        """Make the client under test, with the journal of this case: always the same file."""
        self._closed = False
        self._subject = self.storing(url, **more).result()

    def kill(self) -> None:
        """`kill`; what the engine told is forgotten."""
        self._closed = True
        self.call("kill()", self.subject.kill).result()
        with self._told:
            self.events.clear()

    def call(self, name: str, function: Callable[[], _T]) -> Call[_T]:
        """Begin a call of the subject."""
        return Call(name, function, self.patience)

    def connecting(self, timeout: float = 20.0) -> Call[None]:
        """Begin `connect`."""
        subject = self.subject
        return self.call("connect()", lambda: subject.connect(timeout))

    def disconnecting(self) -> Call[None]:
        """Begin `disconnect`."""
        return self.call("disconnect()", self.subject.disconnect)

    def disconnect(self) -> None:
        """Disconnect; it must end by itself."""
        self.disconnecting().result()

    def cancel(self, connecting: Call[None]) -> None:
        """Cancel a `connect` that waits; it must end."""
        self.call("cancel_connect()", self.subject.cancel_connect).result()
        connecting.error()

    def log_in(self, peer: Peer, **data: Any) -> Connection:
        """Connect and log in; the connection as the peer has it."""
        connecting = self.connecting()
        connection = peer.accept()
        connection.log_in(**data)
        connecting.result()
        return connection

    def idempotent(self, peer: Peer, **data: Any) -> Connection:
        """Log in as a server that takes many unanswered messages and knows a repeat."""
        connecting = self.connecting()
        connection = peer.accept()
        connection.accept()
        self.welcome(connection, **data)
        connecting.result()
        return connection

    @staticmethod
    def welcome(connection: Connection, **data: Any) -> None:
        """Answer the log-in as a server that knows a repeat."""
        request = connection.next(AuthRequest)
        known: dict[str, Any] = {"device_id": request.device_id, "capabilities": []}
        connection.say(AuthResponse(code=0, data=AuthData(**(known | data))))

    def send(self, content: str, to: UserId = 2) -> int:
        """Queue a message; its ref."""
        ref = next(self._refs)
        item = Send(ref=ref, to_user=to, content=content)
        self.call("feed(Send)", lambda: self.subject.feed(item)).result()
        return ref

    def flood(self) -> list[str]:
        """Send far more than a peer that reads nothing has room for; the contents.

        The first alone is more than the kernels take: from then on a write is under way, whatever
        comes when. Each is a conversation of its own.
        """
        contents = ["x" * FLOOD, *(f"{n:02}" + "x" * 30_000 for n in range(60))]
        for n, content in enumerate(contents):
            self.send(content, 1000 + n)
        return contents

    def held_back(self, contents: list[str]) -> None:
        """Of a flood most waits in the engine.

        Raises:
            Failed: it was handed over.
        """
        handed = len(self.of(ev.MessageHandedOver))
        if handed > len(contents) // 2:
            raise Failed(
                f"the peer reads nothing, and {handed} of {len(contents)} messages were handed "
                "over: the engine was not told WriteBlocked, memory is not bounded"
            )

    def handle_all(self) -> None:
        """Say of every message that came in that the application is done with it."""
        for delivery in [event.delivery for event in self.of(ev.MessageReceived)]:
            self.subject.feed(MessageHandled(delivery=delivery))

    # -- what the engine told

    def _on_event(self, event: ev.Event) -> None:
        with self._told:
            self.events.append(event)
            self._told.notify_all()

    def of(self, kind: type[_E]) -> list[_E]:
        """All events of that kind so far."""
        with self._told:
            return [event for event in self.events if isinstance(event, kind)]

    def wait(self, kind: type[_E], times: int = 1, *, why: str = "") -> _E:
        """Wait until the engine has told that so often; the last of them.

        Raises:
            Failed: it has not, in time; with what `why` says.
        """
        with self._told:
            self._told.wait_for(lambda: len(self.of(kind)) >= times, self.patience)
            found = self.of(kind)
        if len(found) >= times:
            return found[times - 1]
        often = "" if times == 1 else f" {times} times, but {len(found)} times"
        raise Failed(
            f"the engine did not tell {kind.__name__}{often} within {self.patience:g} s"
            + (f": {why}" if why else "")
        )

    def received(self, contents: list[str], why: str) -> None:
        """Wait for messages; these, in this order, and no others.

        A message told again because its callback raised is not another one: how many of its
        attempts were made by now is a matter of threads.

        Raises:
            Failed: with what `why` says.
        """

        def first_attempts() -> list[str]:
            return [event.content for event in self.of(ev.MessageReceived) if event.attempt == 1]

        with self._told:
            self._told.wait_for(lambda: len(first_attempts()) >= len(contents), self.patience)
            found = first_attempts()
        if found != contents:
            raise Failed(f"{why}. Due were {_brief(contents)}; there came {_brief(found)}")

    def never(self, kind: type[ev.Event], why: str) -> None:
        """The engine has not told that.

        Raises:
            Failed: it has; with what `why` says.
        """
        found = self.of(kind)
        if found:
            raise Failed(f"the engine told {found[0]!r}: {why}")

    # -- the end

    def nothing_left(self) -> None:
        """After a `disconnect`, or a `connect` that failed: no transport, no task, no timer.

        Raises:
            Failed: something is.
        """
        changes = self.of(ev.StateChanged)
        if changes and changes[-1].current.status is not ev.Status.DISCONNECTED:
            raise Failed(
                f"the engine goes on ({changes[-1].current.status}): it was not told Disconnect"
            )
        until = time.monotonic() + self.patience
        # what was cancelled may need a last turn of its loop
        while left := self.call("left_behind()", self.subject.left_behind).result():
            if time.monotonic() < until:
                time.sleep(0.01)
                continue
            raise Failed(f"left behind, by the adapter's own account: {', '.join(left)}")
        for peer in self._peers:
            with suppress(OSError):
                peer.accept_waiting()
            for connection in peer.connections:
                if connection.raw.fileno() >= 0:
                    try:
                        connection.until_ended()
                    except Failed as failed:
                        raise Failed(f"a socket was left open: {failed}") from None

    def finish(self) -> None:
        """The end of a case that went well: end everything, and look for what is left.

        Raises:
            Failed: something is left behind.
        """
        if self._subject is None:
            return
        if not self._closed:
            ending = self.disconnecting()
            for connection in [c for peer in self._peers for c in peer.connections]:
                connection.goodbye()
            ending.result()
            self.nothing_left()
            self.close()
        for peer in self._peers:
            peer.close()
        self._clean_up()
        kept = (_OWN, *self._subject.kept_threads)
        self._subject = None
        for thread in set(threading.enumerate()) - self._threads:
            if not thread.name.startswith(kept):
                thread.join(self.patience)
                if thread.is_alive():
                    raise Failed(f"the thread {thread.name!r} still runs after close()")
        if _sockets() - self._sockets:
            gc.collect()
            more = _sockets() - self._sockets
            state = "left open" if more else "closed only by the garbage collector"
            raise Failed(f"after close() sockets of this process were {state}")

    def close(self) -> None:
        """`close`, within its limit."""
        self._closed = True
        self.call("close()", self.subject.close).result()

    def abandon(self) -> None:
        """The end of a case that failed: let go of everything, without a word."""
        for peer in self._peers:
            peer.close()
        if self._subject is not None and not self._closed:
            with suppress(Failed):
                self.call("close()", self._subject.close).result()
        self._clean_up()

    def _clean_up(self) -> None:
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def story(self) -> list[str]:
        """What happened, for the author: the last of what each side told."""
        with self._told:
            events = [_line(event) for event in self.events[-12:]]
        lines = [line for peer in self._peers for line in peer.log[-12:]]
        return [*(f"peer: {line}" for line in lines), *(f"engine told: {e}" for e in events)]


def _config(url: str, timeouts: dict[str, float] | None, more: dict[str, Any]) -> ClientConfig:
    fields = QUIET | {"ws_url": url, "timeouts": PATIENT | (timeouts or {})} | more
    return ClientConfig(**fields)


def _sockets() -> set[tuple[int, int]]:
    """The sockets of this process, where a system lets us look."""
    found = set()
    if os.name == "posix":
        for number in range(1024):
            with suppress(OSError):
                status = os.fstat(number)
                if stat.S_ISSOCK(status.st_mode):
                    found.add((number, status.st_ino))
    return found


def _line(event: ev.Event) -> str:
    text = repr(event)
    if isinstance(event, ev.StateChanged):
        text = f"StateChanged to {event.current.status}: {event.current.reason}"
    return text if len(text) <= 160 else f"{text[:159]}…"


def _brief(contents: list[str]) -> str:
    short = [content if len(content) < 24 else f"{content[:20]}…" for content in contents]
    if len(short) > 12:
        return f"{len(short)} messages, {short[:5]} … {short[-3:]}"
    return str(short)
