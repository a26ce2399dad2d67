"""The scripted peer: a server on a real socket, driven line by line by a case.

Everything blocks and has a limit, so that a case reads from top to bottom like a story.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import time
from typing import Any, Final, TypeVar

from ...errors import LocalProtocolError
from ...framing import CloseFrame, Framing, HandshakeRequested, TextFrame, Violation
from ...limits import FrameLimits
from ...wire import (
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
from .failure import Failed

_M = TypeVar("_M", bound=Message)
#: How long the peer waits for anything, in seconds, if nothing else is said.
PATIENCE: Final = 5.0
_READ: Final = 65_536
#: The most bytes of one message that a case lets the client send.
_MESSAGE: Final = 1 << 26


class Ended(Exception):
    """The client's side of the connection has ended."""


class Connection:
    """One connection of the client under test."""

    def __init__(self, raw: socket.socket, number: int, log: list[str], patience: float) -> None:
        self.raw = raw
        self.number = number
        self._log = log
        self._patience = patience
        self._tls: ssl.SSLObject | None = None
        self._tls_over = False
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._framing = Framing.server(limits=FrameLimits(message_bytes=_MESSAGE))
        self._dialect = Invocation("server")
        self._events: list[Any] = []
        self._messages: list[Message] = []
        #: the code of the client's close frame, once it came
        self.close_code: int | None = None
        #: the client's side has ended
        self.ended = False
        raw.settimeout(patience)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if raw.family != getattr(socket, "AF_UNIX", None):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def note(self, what: str) -> None:
        """Write a line into the log that a failure shows."""
        self._log.append(f"connection {self.number}: {what}")

    # -- bytes

    def seal(self, data: bytes) -> bytes:
        """What goes over the wire for these bytes: with TLS one record, else the bytes."""
        if self._tls is None:
            return data
        self._tls.write(data)
        return self._outgoing.read()

    def put(self, data: bytes) -> None:
        """Bytes as they are, past TLS."""
        self.raw.sendall(data)

    def write(self, data: bytes) -> None:
        """Bytes to the client."""
        self.put(self.seal(data))

    def trickle(self, data: bytes, size: int = 1) -> None:
        """Bytes to the client in pieces, with time between them to be read one by one."""
        data = self.seal(data)
        for start in range(0, len(data), size):
            self.put(data[start : start + size])
            time.sleep(0.0003)

    def read(self) -> bytes:
        """What the client sends next.

        Raises:
            Ended: end of file, or a reset.
            Failed: nothing came for too long.
        """
        while True:
            if self._tls is not None and not self._tls_over:
                try:
                    data = self._tls.read(_READ)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError as error:  # an alert; the socket has an end of its own
                    self.note(f"the client's TLS ended ({error.reason})")
                    self._tls_over = True
                else:
                    if data:
                        return data
                    self._tls_over = True
            try:
                data = self.raw.recv(_READ)
            except TimeoutError:
                raise Failed(
                    f"on connection {self.number} the client said nothing more for "
                    f"{self._patience:g} s"
                ) from None
            except OSError as error:
                raise self._end(type(error).__name__) from None
            if not data:
                raise self._end("end of file")
            if self._tls is None:
                return data
            self._incoming.write(data)

    def _end(self, how: str) -> Ended:
        if not self.ended:
            self.note(f"the client's side ended ({how})")
        self.ended = True
        return Ended(how)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """The server's side of a TLS handshake.

        Raises:
            ssl.SSLError: it failed; the alert, if any, was sent.
            Ended: the client went.
        """
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self.put(self._outgoing.read())
                self._incoming.write(self.read())
            except ssl.SSLError:
                self.put(self._outgoing.read())
                raise
            else:
                break
        self.put(self._outgoing.read())
        self._tls = tls
        self.note("TLS is there")

    # -- the opening

    def head(self) -> bytes:
        """Read an HTTP head, up to and with its empty line; nothing may follow it."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.read()
        return data

    def requested(self) -> HandshakeRequested:
        """Wait for the upgrade request."""
        event = self._next_event()
        if not isinstance(event, HandshakeRequested):
            raise Failed(f"an upgrade request was due, and there came {_shown(event)}")
        return event

    def accepting(self) -> bytes:
        """Wait for the upgrade request; the answer to it, unsent."""
        self.requested()
        return self._framing.accept()

    def accept(self) -> None:
        """Wait for the upgrade request and take it."""
        self.write(self.accepting())

    def log_in(self, **data: Any) -> AuthRequest:
        """Take the upgrade and the log-in; `data` is what a server with extensions says."""
        self.accept()
        request = self.next(AuthRequest)
        self.say(AuthResponse(code=0, data=AuthData(**data) if data else None))
        self.note("logged in")
        return request

    # -- messages

    def frame(self, *messages: Message) -> bytes:
        """The frames of these messages."""
        return b"".join(self._framing.send_text(self._dialect.encode(m)) for m in messages)

    def push(self, content: str, msg_id: int, seq: int | None = None) -> bytes:
        """The frame of a message from user 2."""
        return self.frame(ChatRedirectToUser(content=content, from_user=2, msg_id=msg_id, seq=seq))

    def say(self, *messages: Message) -> None:
        """Messages to the client."""
        self.write(self.frame(*messages))

    def closing(self, code: int) -> bytes:
        """Our close frame, unsent."""
        return self._framing.send_close(code)

    def close_frame(self, code: int) -> None:
        """Our close frame."""
        self.write(self.closing(code))

    def _next_event(self) -> Any:
        while not self._events:
            self._events += self._framing.receive(self.read(), time.monotonic())
        return self._events.pop(0)

    def text(self) -> str:
        """The client's next text frame, whatever it says.

        Raises:
            Ended: its close frame came, or its end.
        """
        while True:
            event = self._next_event()
            if isinstance(event, TextFrame):
                return event.text
            if isinstance(event, CloseFrame):
                self.close_code = event.code
                self.note(f"the client's close frame {event.code}")
                raise Ended(f"close frame {event.code}")
            if isinstance(event, Violation):
                raise Failed(
                    f"what the client sent is broken: {event.reason}. Bytes were lost, doubled or "
                    "written in another order than the engine's SendBytes"
                )

    def receive(self) -> Message:
        """The client's next message.

        Raises:
            Ended: its close frame came, or its end.
        """
        while not self._messages:
            for message in self._dialect.decode(self.text(), batch=64):
                if not isinstance(message, Message):
                    raise Failed(f"the client's text frame holds {_shown(message)}")
                self._messages.append(message)
        return self._messages.pop(0)

    def next(self, kind: type[_M]) -> _M:
        """The client's next message, of this kind; heartbeats before it are answered."""
        while True:
            message = self.receive()
            if isinstance(message, kind):
                return message
            if isinstance(message, HeartbeatRequest):
                self.say(HeartbeatResponse())
            elif not isinstance(message, ChatAck):
                raise Failed(f"{kind.__name__} was due, and there came {_shown(message)}")

    def take(self, count: int) -> list[str]:
        """Take so many chat messages, accept each, return their contents."""
        contents = []
        for _ in range(count):
            message = self.next(ChatSendToOne)
            contents.append(message.content)
            self.say(ChatSendResponse(msg_id=message.msg_id, code=0))
        return contents

    def take_long(self, count: int) -> list[str]:
        """As `take`, of messages that may be longer than any that is read as a message."""
        contents = []
        for _ in range(count):
            message = json.loads(json.loads(self.text())["message"])
            contents.append(message["content"])
            self.say(ChatSendResponse(msg_id=message["msgId"], code=0))
        return contents

    # -- the end

    def until_close_frame(self) -> int:
        """Read on until the client's close frame; its code.

        Raises:
            Failed: the connection ended without one.
        """
        if self.close_code is None:
            with contextlib.suppress(Ended):
                while True:
                    self.receive()
        if self.close_code is None:
            raise Failed(f"connection {self.number} ended without the client's close frame")
        return self.close_code

    def until_ended(self) -> None:
        """Read on until the client's socket is closed; what still comes is of no interest."""
        if self.ended:
            return
        limit = time.monotonic() + self._patience
        with contextlib.suppress(Ended):
            while time.monotonic() < limit:
                self.read()
        if not self.ended:
            raise Failed(f"connection {self.number} goes on for more than {self._patience:g} s")

    def goodbye(self) -> None:
        """Answer the client's close frame, if the connection still goes and one comes."""
        if self.raw.fileno() < 0 or self.ended:
            return
        with contextlib.suppress(Ended):
            while self.close_code is None:
                self.receive()
        if not self.ended:
            with contextlib.suppress(LocalProtocolError, OSError):
                self.close_frame(1000)

    def finish(self) -> None:
        """End it, our side too."""
        self.raw.close()

    def half_close(self) -> None:
        """End our direction only."""
        self.raw.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End it with a TCP reset."""
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.raw.close()


class Peer:
    """A listening socket on this machine.

    Args:
        address: for a Unix socket its path, else a host; the port is any free one.
        family: of the socket.
        receive_buffer: bytes that the kernel holds for us, about.
        patience: seconds to wait for anything.
    """

    def __init__(
        self,
        address: str = "127.0.0.1",
        *,
        family: socket.AddressFamily = socket.AF_INET,
        receive_buffer: int | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._patience = patience
        self.log: list[str] = []
        self.connections: list[Connection] = []
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        unix = family == getattr(socket, "AF_UNIX", None)
        self._socket.bind(address if unix else (address, 0))
        self._socket.listen(16)
        self.port = 0 if unix else int(self._socket.getsockname()[1])
        self._host = "localhost" if unix else f"[{address}]" if ":" in address else address

    def url(self, scheme: str = "ws") -> str:
        """Where it listens; for a Unix socket, what the Host header says."""
        return f"{scheme}://{self._host}:{self.port or 80}/ws"

    def accept(self, within: float | None = None) -> Connection:
        """The next connection of the client.

        Raises:
            Failed: none came in time.
        """
        within = self._patience if within is None else within
        self._socket.settimeout(within)
        try:
            raw, _ = self._socket.accept()
        except TimeoutError:
            raise Failed(
                f"the client did not connect within {within:g} s "
                f"({len(self.connections)} connections before)"
            ) from None
        connection = Connection(raw, len(self.connections) + 1, self.log, self._patience)
        self.connections.append(connection)
        connection.note("accepted")
        return connection

    def nobody_comes(self, within: float, why: str) -> None:
        """For so many seconds the client does not connect.

        Raises:
            Failed: it does; with what `why` says.
        """
        try:
            self.accept(within)
        except Failed:
            return
        raise Failed(f"the client connected, though {why}")

    def accept_waiting(self) -> None:
        """Take the connections that wait to be accepted."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                raw, _ = self._socket.accept()
                raw.setblocking(True)
                self.connections.append(
                    Connection(raw, len(self.connections) + 1, self.log, self._patience)
                )

    def stop_listening(self) -> None:
        """From here on connections are refused."""
        self._socket.close()

    def close(self) -> None:
        """End everything."""
        self._socket.close()
        for connection in self.connections:
            connection.raw.close()


def _shown(thing: object) -> str:
    text = repr(thing)
    return text if len(text) < 200 else f"{text[:200]}…"


def server_tls(certificate: str) -> ssl.SSLContext:
    """A server's TLS with that file: the key and the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
