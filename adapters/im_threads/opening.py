"""A connected socket: looking a name up, and connecting to the first address that answers."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

from im_runtime import STAGGER, Address, in_turn, joined, known_address, lookup_flags

from .loop import Alarm, Loop
from .own import own

_UNDER_WAY: Final = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EINTR}


class Opening:
    """Opens one socket (RFC 8305). Ends with one of the two calls, unless it is cancelled.

    Args:
        loop: in whose thread all of it happens, but for the look-up.
        done: takes the socket.
        failed: takes the reason why there is none: an OSError, or a UnicodeError for a name that
            can't be one.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        done: Callable[[socket.socket], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._loop = loop
        self._done = done
        self._failed = failed
        self._waiting: list[Address] = []
        self._attempts: set[socket.socket] = set()
        self._errors: list[OSError] = []
        self._stagger: Alarm | None = None
        self._over = False

    def tcp(self, host: str, port: int) -> None:
        """To a host, by name or address."""
        known = known_address(host, port)
        if known is not None:
            self._addresses([known])
            return
        # A look-up can't be interrupted. If nobody waits for it any more, its answer is dropped.
        look_up = threading.Thread(
            target=self._look_up, args=(host, port), name="im_threads-lookup", daemon=True
        )
        try:
            look_up.start()
        except RuntimeError as exc:
            self._fail(OSError(f"the name can't be looked up: {exc}"))

    def unix(self, path: str) -> None:
        """To a Unix socket."""
        family = getattr(socket, "AF_UNIX", None)
        if family is None:
            self._fail(OSError("this system's Python has no Unix sockets"))
        else:
            self._addresses([(family, socket.SOCK_STREAM, 0, "", path)])

    def cancel(self) -> None:
        """Not wanted any more; no socket is left."""
        self._over = True
        if self._stagger is not None:
            self._stagger.cancel()
        for raw in list(self._attempts):
            self._discard(raw)

    # -- in a thread of its own

    def _look_up(self, host: str, port: int) -> None:
        try:
            found = in_turn(
                socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=lookup_flags(host))
            )
        except Exception as exc:
            self._loop.post(self._fail, exc)
        else:
            self._loop.post(self._addresses, found)

    # -- in the loop's

    def _addresses(self, addresses: list[Address]) -> None:
        if not self._over:
            self._waiting = addresses
            self._next()

    def _next(self) -> None:
        """Begin another attempt, and one more after a while."""
        if self._stagger is not None:
            self._stagger.cancel()
            self._stagger = None
        while self._waiting and not self._over:
            if self._begin(self._waiting.pop(0)):
                break
        if self._over:
            return
        if self._waiting:
            self._stagger = self._loop.at(self._loop.now() + STAGGER, self._next)
        elif not self._attempts:
            self._fail(joined(self._errors))

    def _begin(self, address: Address) -> bool:
        """Begin to connect; False if that has failed already."""
        family, kind, protocol, _, where = address
        try:
            raw = own(socket.socket(family, kind, protocol))
        except OSError as exc:  # a family that this machine doesn't have
            self._errors.append(exc)
            return False
        raw.setblocking(False)
        self._attempts.add(raw)
        try:
            code = raw.connect_ex(where)
        except OSError as exc:  # an address that can't be one
            self._discard(raw)
            self._errors.append(exc)
            return False
        # A full Unix socket says EAGAIN, and there is nothing to wait for then.
        under_way = code in _UNDER_WAY and raw.family != getattr(socket, "AF_UNIX", None)
        if under_way:
            self._loop.watch(raw, selectors.EVENT_WRITE, partial(self._answered, raw))
        elif code:
            self._refused(raw, code)
        else:
            self._connected(raw)
        return under_way or not code

    def _answered(self, raw: socket.socket, _: int) -> None:
        if raw not in self._attempts:
            return
        code = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._refused(raw, code)
            self._next()
        else:
            self._connected(raw)

    def _refused(self, raw: socket.socket, code: int) -> None:
        self._discard(raw)
        self._errors.append(OSError(code, os.strerror(code)))

    def _connected(self, raw: socket.socket) -> None:
        self._loop.watch(raw, 0, _nothing)
        self._attempts.discard(raw)
        self.cancel()
        self._done(raw)

    def _discard(self, raw: socket.socket) -> None:
        self._attempts.discard(raw)
        self._loop.watch(raw, 0, _nothing)
        raw.close()

    def _fail(self, exc: Exception) -> None:
        if not self._over:
            self.cancel()
            self._failed(exc)


def _nothing(_: int) -> None:
    """What a socket is told to that nobody watches."""
