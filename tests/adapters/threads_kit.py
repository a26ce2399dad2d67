"""A scripted peer with blocking sockets, and a frame around tests that looks for what is left."""

from __future__ import annotations

import contextlib
import functools
import gc
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from im_proto.framing import CloseFrame, Framing, HandshakeRequested, TextFrame
from im_proto.limits import FrameLimits
from im_proto.wire import (
    AuthData,
    AuthRequest,
    AuthResponse,
    ChatAck,
    ChatRedirectToUser,
    ChatSendResponse,
    ChatSendToOne,
    HeartbeatRequest,
    HeartbeatResponse,
    Invocation,
    Message,
)
from im_threads import ClientConfig, IMClient

_M = TypeVar("_M", bound=Message)
_T = TypeVar("_T")
#: A test that takes longer hangs, in seconds.
LONGEST = 60.0
Script = Callable[["Connection"], None]


class Gone(Exception):
    """The client ended the connection."""


class Connection:
    """One client, as the scripted peer sees it."""

    def __init__(self, raw: socket.socket) -> None:
        self.raw = raw
        self._framing = Framing.server(limits=FrameLimits(message_bytes=1 << 20))
        self._dialect = Invocation("server")
        self._waiting: list[Message] = []
        self.target = ""
        #: the close code of the client, once it came
        self.closed: int | None = None

    # -- the opening

    def requested(self) -> HandshakeRequested:
        """Wait for the opening request."""
        while True:
            for event in self._read():
                assert isinstance(event, HandshakeRequested), event
                self.target = event.target
                return event

    def accept(self) -> None:
        """Wait for the opening request and take it."""
        self.requested()
        self.write(self._framing.accept())

    def reject(self, status: int) -> None:
        """Wait for the opening request and refuse it."""
        self.requested()
        self.write(self._framing.reject(status))

    def login(self, **data: Any) -> AuthRequest:
        """Accept, and log in; `data` is what a server with extensions says."""
        self.accept()
        request = self.next(AuthRequest)
        self.send(AuthResponse(code=0, data=AuthData(**data) if data else None))
        return request

    def login_with_seq(self, *, seq: int = 0, resume: str | None = None) -> AuthRequest:
        """Log in as a server with `seq`, whose next push has the number `seq` + 1."""
        self.accept()
        request = self.next(AuthRequest)
        self.send(
            AuthResponse(
                code=0,
                data=AuthData(
                    device_id=request.device_id,
                    capabilities=["seq", "batch"],
                    epoch="e1",
                    seq=seq,
                    resume=resume,
                ),
            )
        )
        return request

    # -- messages

    def _read(self) -> list[Any]:
        data = self.raw.recv(65536)
        if not data:
            raise Gone
        return list(self._framing.receive(data, 0.0))

    def receive(self) -> Message:
        """The next message of the client."""
        while not self._waiting:
            if self.closed is not None:
                raise Gone
            for event in self._read():
                if isinstance(event, TextFrame):
                    for message in self._dialect.decode(event.text, batch=64):
                        assert isinstance(message, Message), message
                        self._waiting.append(message)
                elif isinstance(event, CloseFrame):
                    self.closed = event.code
                    self.write(self._framing.send_close(1000))
        return self._waiting.pop(0)

    def next(self, kind: type[_M]) -> _M:
        """The next message of that kind; heartbeats before it are answered."""
        while True:
            message = self.receive()
            if isinstance(message, kind):
                return message
            assert isinstance(message, HeartbeatRequest | ChatAck), message
            if isinstance(message, HeartbeatRequest):
                self.send(HeartbeatResponse())

    def send(self, *messages: Message) -> None:
        """Say something to the client."""
        for message in messages if self.closed is None else ():
            self.write(self._framing.send_text(self._dialect.encode(message)))

    def push(self, content: str, *, msg_id: int, seq: int | None = None) -> None:
        """A message from user 2."""
        self.send(ChatRedirectToUser(content=content, from_user=2, msg_id=msg_id, seq=seq))

    def answer_all(self) -> None:
        """Accept every message, until the client goes."""
        while True:
            message = self.receive()
            if isinstance(message, ChatSendToOne):
                self.send(ChatSendResponse(msg_id=message.msg_id, code=0, timestamp=1234))
            elif isinstance(message, HeartbeatRequest):
                self.send(HeartbeatResponse())

    def until_gone(self) -> None:
        """Read, and answer nothing but a close, until the client goes."""
        while True:
            self.receive()

    def mute(self) -> None:
        """Read, and answer not even a close, until the client goes."""
        while self.raw.recv(65536):
            pass
        raise Gone

    # -- the end

    def write(self, data: bytes) -> None:
        """Any bytes."""
        self.raw.sendall(data)

    def text(self, message: Message) -> bytes:
        """A message as it goes over the wire."""
        return self._framing.send_text(self._dialect.encode(message))

    def close(self, code: int, reason: str = "") -> None:
        """Our close frame."""
        self.write(self._framing.send_close(code, reason))

    def reset(self) -> None:
        """End it with a TCP reset."""
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.raw.close()
        raise Gone


class Peer:
    """A server that follows a script for each connection, each in a thread.

    Args:
        scripts: for the first connection, the second …; the last one for all others.
        tls: for wss.
        address: where it listens; a str is a Unix socket.
    """

    def __init__(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        address: tuple[str, int] | str = ("127.0.0.1", 0),
    ) -> None:
        self._scripts = scripts
        self._tls = tls
        self._address = address
        self._threads: list[threading.Thread] = []
        self._raws: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._left = threading.Condition(self._lock)
        #: what went wrong in a script
        self.errors: list[BaseException] = []
        #: connections so far
        self.count = 0

    def __enter__(self) -> Self:
        if isinstance(self._address, str):
            self._listener = socket.socket(socket.AF_UNIX)
        else:
            self._listener = socket.socket(
                socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
            )
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # see closed_port
        self._listener.bind(self._address)
        self._listener.listen()
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for raw in (self._listener, *self._raws):
            with contextlib.suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(LONGEST)
        if self.errors:
            raise self.errors[0]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """Where it listens, for a client."""
        host = "localhost" if isinstance(self._address, str) else self._address[0]
        host = f"[{host}]" if ":" in host else host
        port = "" if isinstance(self._address, str) else f":{self.port}"
        return f"{'wss' if self._tls else 'ws'}://{host}{port}/ws"

    def idle(self) -> None:
        """Wait until no client is connected."""
        with self._left:
            assert self._left.wait_for(lambda: not self._raws, LONGEST)

    def _start(self, function: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=function, args=args, name="peer", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._raws.add(raw)
                script = self._scripts[min(self.count, len(self._scripts) - 1)]
                self.count += 1
            self._start(self._serve, raw, script)

    def _serve(self, raw: socket.socket, script: Script) -> None:
        stream = raw
        try:
            if self._tls is not None:
                stream = self._tls.wrap_socket(raw, server_side=True, suppress_ragged_eofs=False)
                with self._lock:
                    self._raws.discard(raw)
                    self._raws.add(stream)
            script(Connection(stream))
        except (Gone, OSError):
            pass
        except BaseException as exc:
            self.errors.append(exc)
        finally:
            with self._left:
                self._raws -= {raw, stream}
                self._left.notify_all()
            stream.close()
            raw.close()


def plain(connection: Connection) -> None:
    """A plain server that takes everything."""
    connection.login()
    connection.answer_all()


def with_seq(connection: Connection) -> None:
    """A server with `seq` that takes everything."""
    connection.login_with_seq()
    connection.answer_all()


def mute(connection: Connection) -> None:
    """A peer that takes the connection and never says a word."""
    connection.mute()


def mute_after_upgrade(connection: Connection) -> None:
    """A peer that never answers the log-in."""
    connection.accept()
    connection.mute()


def mute_after_login(connection: Connection) -> None:
    """A peer that logs in, and never says a word again."""
    connection.login()
    connection.mute()


def drop(connection: Connection) -> None:
    """A peer that resets the connection instead of answering the request."""
    connection.requested()
    connection.reset()


def config(url: str, **more: Any) -> ClientConfig:
    """A configuration for a peer: small delays, nothing left to luck."""
    fields: dict[str, Any] = {
        "ws_url": url,
        "token": "secret-token",
        "user_id": 1,
        "reconnect": {"initial_delay": 0.01, "max_delay": 0.05, "jitter": "none"},
        "timeouts": {"close": 0.2},
    }
    return ClientConfig(**(fields | more))


def until(condition: Callable[[], object]) -> None:
    """Wait until it holds."""
    end = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.001)


def ours() -> list[threading.Thread]:
    """The threads of im_threads that are alive."""
    return [t for t in threading.enumerate() if t.name.startswith(("im_threads", "im-journal"))]


def held() -> set[str]:
    """The file descriptors of this process, with what they are."""
    if sys.platform != "linux":
        return set()
    gc.collect()
    found = set()
    for fd in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):
            found.add(f"{fd}: {fd.readlink()}")
    return {entry for entry in found if "socket" in entry or "eventpoll" in entry}


class Recorder:
    """Callbacks for all names, each noting what it was called with."""

    def __init__(self, *names: str) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self._names = names
        self._changed = threading.Condition()

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """For set_callbacks."""
        return {name: functools.partial(self._note, name) for name in self._names}

    def _note(self, name: str, *args: Any) -> None:
        with self._changed:
            self.calls.append((name, args))
            self._changed.notify_all()

    def names(self) -> list[str]:
        """What was called, in order."""
        return [name for name, _ in self.calls]

    def until(self, name: str, times: int = 1) -> Any:
        """Wait until `name` was called so often; its last arguments."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.names().count(name) >= times, LONGEST)
            return [args for called, args in self.calls if called == name][times - 1]


class Background:
    """A call in a thread of its own."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._call = functools.partial(function, *args, **kwargs)
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as exc:
            self._error = exc

    @property
    def over(self) -> bool:
        """Has it come back?"""
        return not self._thread.is_alive()

    def result(self) -> Any:
        """Wait for it; what it has returned, or raised."""
        self._thread.join(LONGEST)
        assert self.over, "it never came back"
        if self._error is not None:
            raise self._error
        return self._result


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is in here takes no longer."""
    begin = time.monotonic()
    yield
    took = time.monotonic() - begin
    assert took < seconds, f"it took {took:.3f} s"


@pytest.fixture
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that hangs fails, and so does one that leaves a thread, a socket or an error."""
    longest = LONGEST if request.node.get_closest_marker("slow") is None else 4 * LONGEST
    errors: list[threading.ExceptHookArgs] = []
    hook = threading.excepthook
    threading.excepthook = errors.append
    before, threads = held(), ours()

    def hangs(*_: object) -> None:
        raise AssertionError("the test hangs")

    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, hangs)
        signal.setitimer(signal.ITIMER_REAL, longest)
    try:
        yield
        assert ours() == threads
        assert held() == before
        assert errors == []
    finally:
        threading.excepthook = hook
        if hasattr(signal, "SIGALRM"):
            signal.setitimer(signal.ITIMER_REAL, 0.0)


@contextlib.contextmanager
def client_of(peer_or_url: Peer | str, **more: Any) -> Iterator[IMClient]:
    """A client that is not connected yet, and is closed in the end."""
    url = peer_or_url if isinstance(peer_or_url, str) else peer_or_url.url
    options = {
        k: more.pop(k) for k in ("ssl_context", "slow_callback", "wall", "storage") if k in more
    }
    client = IMClient(config(url, **more), **options)
    try:
        yield client
    finally:
        client.close()
