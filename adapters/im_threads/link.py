"""One transport: a socket, TLS on it where asked for, and what waits to be written."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
from collections.abc import Callable
from typing import Final

from im_proto.client.actions import OpenTransport
from im_proto.client.inputs import (
    BytesReceived,
    Input,
    TlsStarted,
    TransportFailed,
    TransportLost,
    TransportOpened,
    WriteBlocked,
    WriteReady,
)
from im_runtime import Driver, failure, words

from .loop import Loop
from .opening import Opening
from .tls import Tls

#: More bytes than this that the socket does not take, and the engine hears WriteBlocked …
_HIGH: Final = 65_536
#: … and no more than this, and it hears WriteReady.
_LOW: Final = 16_384
#: The most bytes read at a time.
_READ: Final = 65_536

Context = Callable[[], ssl.SSLContext]


class Link:
    """One transport, from the wish for it until its socket is gone.

    Args:
        owner: who hears of it.
        loop: in whose thread everything here happens.
        name: the engine's number of it.
    """

    def __init__(self, owner: Driver[Link], loop: Loop, name: int) -> None:
        self._owner = owner
        self._loop = loop
        self.name = name
        self._opening: Opening | None = None
        self._socket: socket.socket | None = None
        self._tls: Tls | None = None
        #: what is told once it is open, or TLS is
        self._news: Input | None = TransportOpened(transport=name)
        self._opened = False
        self._out = bytearray()
        self._blocked = False
        self._paused = False
        self._closing = False
        self._flushing = False
        #: why nothing can be written any more; what came in before is still read
        self._deaf: OSError | None = None
        self.gone = False

    # ------------------------------------------------------------ what the engine wants

    def open(self, action: OpenTransport, context: Context) -> None:
        """Open it.

        Args:
            action: where to, and whether with TLS.
            context: gives what TLS is to trust.
        """
        if self.gone:
            return

        def connected(raw: socket.socket) -> None:
            self._opening, self._socket = None, raw
            with contextlib.suppress(OSError):  # a Unix socket knows no such thing
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if action.secure:
                self._handshake(context, action.host)
            else:
                self._is_open()

        self._opening = Opening(self._loop, done=connected, failed=self._end)
        if action.unix_path is None:
            self._opening.tcp(action.host, action.port)
        else:
            self._opening.unix(action.unix_path)

    def start_tls(self, host: str, context: Context) -> None:
        """Begin TLS on the open stream, with that host to verify."""
        if self._socket is not None and not self._closing:
            self._news = TlsStarted(transport=self.name)
            self._handshake(context, host)

    def write(self, data: bytes) -> None:
        """Write it after all that is there; dropped when the link is closing."""
        if self._socket is None or self._closing or self._deaf is not None:
            return
        if self._tls is None:
            self._out += data
        else:
            self._tls.write(data)
        self._flush_soon()

    def pause(self) -> None:
        """Read no more for now."""
        self._paused = True
        self._watch()

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        self._watch()

    def close(self) -> None:
        """Write what waits, then close."""
        if self._closing or self.gone:
            return
        self._closing = True
        if self._tls is not None and self._news is None:
            self._tls.close()
        self._flush_soon()

    def drop(self, *, tell: bool = False) -> None:
        """End it at once; the owner hears of it only with `tell`, but for `forget`."""
        if self.gone:
            return
        self._release()
        if tell and self._opened:
            self._owner.feed(TransportLost(transport=self.name))
        self._owner.forget(self)

    # ------------------------------------------------------------ TLS

    def _handshake(self, context: Context, host: str) -> None:
        try:
            self._tls = Tls(context(), host)
        except (ValueError, OSError) as exc:  # a name that none can have; certificates amiss
            self._end(exc)
        else:
            self._advance()

    def _is_open(self) -> None:
        news, self._news = self._news, None
        assert news is not None
        self._opened = True
        self._watch()
        self._owner.feed(news)

    def _advance(self) -> None:
        """Go on with what TLS has got."""
        tls = self._tls
        assert tls is not None
        try:
            if self._news is not None and tls.handshake():
                self._flush()
                if not self.gone:
                    self._is_open()
            # Also right after the handshake: what came with it, no selector will tell of.
            data, ended = (b"", False) if self._news is not None else tls.read()
        except ssl.SSLError as exc:
            self._flush()  # the alert that says why
            self._end(exc)
            return
        self._flush()
        if data and not self.gone and not self._closing:
            self._owner.feed(BytesReceived(transport=self.name, data=data))
        if ended:
            self._end(None)

    # ------------------------------------------------------------ the socket

    def _ready(self, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush()
        if events & selectors.EVENT_READ and not self.gone and not self._paused:
            self._read()

    def _read(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self._end(exc)
            return
        if self._tls is not None:
            self._tls.give(data)
            self._advance()
        elif data:
            self._owner.feed(BytesReceived(transport=self.name, data=data))
        else:
            self._end(None)

    def _flush_soon(self) -> None:
        """Once before the thread sleeps: what is said in one turn goes out in one piece."""
        if not self._flushing:
            self._flushing = True
            self._loop.soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._socket is None:
            return
        if self._tls is not None:
            self._out += self._tls.take()
        try:
            while self._out:
                del self._out[: self._socket.send(self._out)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as exc:
            self._out.clear()
            self._deaf = exc
            if self._closing or self._paused:
                self._end(exc)
                return
            # The peer's last words may be here: they are read, and then the end is seen.
        if self._closing and not self._out:
            self._end(None)
            return
        self._watch()
        self._tell_marks()

    def _tell_marks(self) -> None:
        if not self._blocked and len(self._out) > _HIGH:
            self._blocked = True
            self._owner.feed(WriteBlocked(transport=self.name))
        elif self._blocked and len(self._out) <= _LOW:
            self._blocked = False
            self._owner.feed(WriteReady(transport=self.name))

    def _watch(self) -> None:
        """Have the loop tell what is of interest now."""
        if self._socket is not None:
            reading = not self._paused and not self._closing
            events = selectors.EVENT_READ if reading else 0
            if self._out:
                events |= selectors.EVENT_WRITE
            self._loop.watch(self._socket, events, self._ready)

    # ------------------------------------------------------------ the end

    def _end(self, exc: Exception | None) -> None:
        """It is over: it could not be opened, or the peer or an error has ended it."""
        if self.gone:
            return
        self._release()
        exc = exc or self._deaf
        if self._news is None or exc is None:
            reason = "" if exc is None else words(exc)
            self._owner.feed(TransportLost(transport=self.name, reason=reason))
        else:
            kind, reason = failure(exc)
            self._owner.feed(
                TransportFailed(transport=self.name, kind=kind, reason=reason), cause=exc
            )
        self._owner.forget(self)

    def _release(self) -> None:
        self.gone = True
        if self._opening is not None:
            self._opening.cancel()
        raw, self._socket = self._socket, None
        if raw is not None:
            self._loop.watch(raw, 0, self._ready)
            raw.close()
