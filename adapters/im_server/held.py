"""`Held`: sockets that are not served, for the moment before they are dropped."""

from __future__ import annotations

import asyncio

from im_proto.server.doors import hold


class Held:
    """How long each is left alone, says `doors.hold`. Nothing is read from them."""

    def __init__(self) -> None:
        self._held: dict[asyncio.Transport, asyncio.TimerHandle] = {}
        self._over = False

    def turn_away(self, transport: asyncio.Transport) -> None:
        """Drop it unread, in a moment or, if there are too many, at once. For `connection_made`."""
        # In early releases of Python 3.11 a transport begins to read right after that, whether it
        # was paused, or aborted, in it or not.
        asyncio.get_running_loop().call_soon(self._hold, transport)

    def _hold(self, transport: asyncio.Transport) -> None:
        seconds = hold(len(self._held))
        if self._over or not seconds or transport.is_closing():
            transport.abort()
            return
        transport.pause_reading()
        loop = asyncio.get_running_loop()
        self._held[transport] = loop.call_later(seconds, self._drop, transport)

    def drop_all(self) -> None:
        """The server goes down."""
        self._over = True
        for transport, timer in list(self._held.items()):
            timer.cancel()
            self._drop(transport)

    def _drop(self, transport: asyncio.Transport) -> None:
        del self._held[transport]
        transport.abort()
