"""The doctor's connection: blocking sockets, and not one wait without an absolute end.

A server that sends a byte now and then gets no more time than one that says nothing.
"""

from __future__ import annotations

import contextlib
import queue
import random
import socket
import ssl
import threading
import time
from typing import Any, Final

from im_proto.framing import FrameEvent, Framing, HandshakeAccepted
from im_proto.limits import FrameLimits

__all__ = ["Deadline", "Ended", "Line", "WebSocketLine", "resolve"]

_READ: Final = 65_536
#: What is kept of an answer to the upgrade, to be shown; Framing itself refuses a longer one.
_HEAD: Final = FrameLimits().handshake_bytes

Address = tuple[socket.AddressFamily, Any]


class Ended(Exception):
    """The peer has ended the connection."""


class Deadline:
    """A moment, so many seconds from now."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then.

        Raises:
            TimeoutError: none are left.
        """
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def resolve(host: str, port: int, deadline: Deadline) -> list[Address]:
    """All addresses of a name. In a thread: the resolver has a patience of its own.

    Raises:
        OSError, UnicodeError: there are none.
        TimeoutError: no answer in time.
    """
    answers: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([(family, address) for family, _, _, _, address in found])
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="im-resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, Exception):
        raise answer
    return list(dict.fromkeys(answer))


class Line:
    """A TCP connection, on which TLS may begin.

    Raises:
        OSError: there is none to be had.
    """

    def __init__(self, address: Address, deadline: Deadline) -> None:
        family, where = address
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(deadline.left())
            self._socket.connect(where)
        except BaseException:
            self._socket.close()
            raise

    def start_tls(self, context: ssl.SSLContext, host: str, deadline: Deadline) -> ssl.SSLSocket:
        """Shake hands; the socket is closed if it fails.

        Raises:
            OSError: it fails; an `ssl.SSLError` says why.
        """
        self._socket.settimeout(deadline.left())
        secured = context.wrap_socket(self._socket, server_hostname=host)
        self._socket = secured
        return secured

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send all of it.

        Raises:
            OSError: it can't be sent, or not in time.
        """
        self._socket.settimeout(deadline.left())
        self._socket.sendall(data)

    def read(self, deadline: Deadline) -> bytes:
        """What there is next.

        Raises:
            Ended: nothing more comes.
            OSError: the connection is broken, or nothing came in time.
        """
        self._socket.settimeout(deadline.left())
        data = self._socket.recv(_READ)
        if not data:
            raise Ended
        return data

    def close(self) -> None:
        """Close it at once."""
        with contextlib.suppress(OSError):
            self._socket.close()


class WebSocketLine:
    """A WebSocket over a `Line`, framed by the core."""

    def __init__(self, line: Line, host: str, target: str) -> None:
        self.line = line
        self.framing = Framing.client(
            host=host, target=target, rng=random.SystemRandom(), limits=FrameLimits()
        )
        self._events: list[FrameEvent] = []
        #: the beginning of what the server answered to the upgrade
        self.head = b""

    def event(self, deadline: Deadline) -> FrameEvent:
        """What comes next.

        Raises:
            Ended, OSError: as of `Line.read`.
        """
        while not self._events:
            deadline.left()  # however fast the server sends
            data = self.line.read(deadline)
            before = self.framing.open
            self._events = self.framing.receive(data, time.monotonic())
            if not before:
                self.head = (self.head + data)[:_HEAD]
        event = self._events.pop(0)
        if isinstance(event, HandshakeAccepted):
            self.head = self.head.partition(b"\r\n\r\n")[0]
        return event

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send what `framing` has made."""
        self.line.send(data, deadline)
