"""`Held`: sockets that are not served, for the moment before they are dropped."""

from __future__ import annotations

import asyncio

from im_proto.server.doors import hold


class Held:
    """How long each is left alone, says `doors.hold`. Nothing is read from them."""

    def __init__(self) -> None:
        self._held: dict[asyncio.Transport, asyncio.TimerHandle] = {}

    def turn_away(self, transport: asyncio.Transport) -> None:
        """Drop it unread, in a moment or, if there are too many, at once."""
        seconds = hold(len(self._held))
        if not seconds:
            transport.abort()
            return
        transport.pause_reading()
        loop = asyncio.get_running_loop()
        self._held[transport] = loop.call_later(seconds, self._drop, transport)

    def drop_all(self) -> None:
        """The server goes down."""
        for transport, timer in list(self._held.items()):
            timer.cancel()
            self._drop(transport)

    def _drop(self, transport: asyncio.Transport) -> None:
        del self._held[transport]
        transport.abort()
